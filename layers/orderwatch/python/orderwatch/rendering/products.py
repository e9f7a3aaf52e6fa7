"""What is said of products: the lines of an order, their stock, and what a digest's orders wait for."""

from decimal import Decimal
from typing import NamedTuple

from orderwatch.alerts.alert import Alert
from orderwatch.alerts.parts import AlertLineItem, AlertOrder, Digest, DigestedProduct
from orderwatch.rendering import formatting

MAX_WAREHOUSES = 4
MAX_ADDENDS = 4
BACKORDERED = "order.backordered"
_MAX_SHORT = 40
_WITHOUT_STOCK = {"order.cancelled", "order.recovered"}
"""Kinds whose orders wait for no stock any longer: to say that something is short would be noise."""


def product_code(line: AlertLineItem | DigestedProduct) -> str:
    """What the line calls its product: the SKU, else the product's id."""
    return formatting.clean(line.sku or "") or formatting.clean(line.product_id or "") or "no SKU"


def product_name(line: AlertLineItem | DigestedProduct) -> str | None:
    """The product's name, where it says more than its SKU."""
    name = formatting.clean(line.name or "")
    return name if name and name != product_code(line) else None


def described_product(line: AlertLineItem) -> str | None:
    """The product's name with what is unusual about the product: a kit, or no longer active."""
    notes = ["kit"] * bool(line.is_kit) + ["no longer active"] * (line.active is False)
    parts = [*filter(None, [product_name(line)]), *([f"({', '.join(notes)})"] if notes else [])]
    return " ".join(parts) or None


def line_quantity(line: AlertLineItem) -> str:
    """How many are ordered."""
    return formatting.quantity(line.quantity) if line.quantity is not None else "?"


def unit_price(line: AlertLineItem, currency: str | None) -> str | None:
    """The price of one: `89.00 EUR`, or `15.50 EUR each` where there are several."""
    if line.unit_price is None:
        return None
    return formatting.money(line.unit_price, currency) + ("" if line.quantity == 1 else " each")


class Stock(NamedTuple):
    """The stock of a line's product against what is ordered: `ordered 3, on hand 1`, `short 2`."""

    known: str
    short: str | None


def stock(line: AlertLineItem, order: AlertOrder) -> Stock | None:
    """What is on hand of the line's product against what the order wants of it, in all of its lines.

    None where the stock is not known, and at the product's further lines: said twice, a shortfall reads like two.
    """
    if line.on_hand is None or order.lines_of(line)[0] is not line:
        return None
    known = f"ordered {_ordered(line, order)}, on hand {formatting.quantity(line.on_hand)}{_by_warehouse(line)}"
    return Stock(known, _short(order.shortfall(line)))


def _ordered(line: AlertLineItem, order: AlertOrder) -> str:
    """`3`, or `3 + 2` where the order has the product in two lines."""
    lines = order.lines_of(line)
    shown = [line_quantity(each) for each in lines[:MAX_ADDENDS]]
    return " + ".join([*shown, *(["..."] if len(lines) > MAX_ADDENDS else [])])


def _short(shortfall: Decimal | None) -> str | None:
    return f"short {formatting.quantity(shortfall)}" if shortfall is not None else None


def _by_warehouse(line: AlertLineItem) -> str:
    counts = line.on_hand_by_warehouse
    if len(counts) < 2:  # noqa: PLR2004 - one warehouse holds what was just said
        return ""
    largest = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    shown = [
        f"{formatting.clip(formatting.clean(name), 40)} {formatting.quantity(count)}"
        for name, count in largest[:MAX_WAREHOUSES]
    ]
    return f" ({', '.join(shown + formatting.more(len(counts) - len(shown), 'warehouse', 'warehouses'))})"


def digested_product(product: DigestedProduct) -> str:
    """One product of a digest: its SKU and name, how many orders have it, and the stock against them."""
    name = product_name(product)
    what = f"{product_code(product)}{f', {name}' if name else ''}: in {formatting.plural(product.orders, 'order')}"
    if product.ordered is not None:
        what += f", ordered {formatting.quantity(product.ordered)}"
    if product.on_hand is None:
        return f"{what}, stock not known"
    return f"{what}, on hand {formatting.quantity(product.on_hand)}"


def digested_shortfall(product: DigestedProduct) -> str | None:
    """What these orders lack of the product: `short 13`."""
    return _short(product.short)


def shows_stock(alert: Alert) -> bool:
    """Whether the stock on hand says something about an order in this state."""
    return alert.kind not in _WITHOUT_STOCK


def shortest(order: AlertOrder) -> str | None:
    """The product that the order lacks most of: `KANZASHI-1 short 1`, with how many others it lacks."""
    firsts = [line for line in order.line_items if order.lines_of(line)[0] is line]
    short = [(shortfall, line) for line in firsts if (shortfall := order.shortfall(line)) is not None]
    if not short:
        return None
    most, line = max(short, key=lambda each: each[0])
    others = formatting.more(len(short) - 1, "product", "products")
    return ", ".join([f"{formatting.clip(product_code(line), _MAX_SHORT)} {_short(most)}", *others])


def stock_covers_every_line(order: AlertOrder) -> bool:
    """Whether it is known of every line that there is enough: the status and the stock contradict each other."""
    whole = bool(order.line_items) and not order.more_line_items
    return whole and all(_is_covered(line, order) for line in order.line_items)


def _is_covered(line: AlertLineItem, order: AlertOrder) -> bool:
    known = line.on_hand is not None and line.quantity is not None
    return known and order.shortfall(line) is None


def listed(digest: Digest) -> tuple[DigestedProduct, ...]:
    """The products to name: those of backorders, which wait for stock."""
    return digest.products if digest.of_kind == BACKORDERED else ()
