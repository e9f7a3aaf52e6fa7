"""The lists of an alert: order lines with their stock, the orders and products of a digest, the orders of a backlog."""

from collections import Counter
from collections.abc import Iterator
from decimal import Decimal
from typing import NamedTuple

from orderwatch.alerts.alert import Alert
from orderwatch.alerts.kinds import KIND_BACKORDERED, KIND_RECOVERED
from orderwatch.alerts.parts import (
    AlertLineItem,
    AlertOrder,
    BacklogOrder,
    Digest,
    DigestedOrder,
    DigestedProduct,
    ListedProduct,
    by_urgency,
)
from orderwatch.rendering import formatting

MAX_REASONS = 8
"""Maximum number of reasons in the list of reasons; the others are counted with their orders."""
MAX_REASON = 80
"""Maximum characters of a reason in a list."""
NO_REASON = "no reason given"
MAX_WAREHOUSES = 4
MAX_ADDENDS = 4
_MAX_CODE = 40
_WITHOUT_STOCK = {"order.cancelled", "order.recovered"}
"""Kinds whose orders need no stock any more."""
_KIT = "kit: the stock of its parts decides"


class Entry(NamedTuple):
    """An order in a list.

    Attributes:
        heading: The reason and its number of orders, for the first order of each reason; else None.
        notes: Value, status and other facts, without full stops.
        url: Its page in the shop's admin.
    """

    heading: str | None
    number: str
    notes: list[str]
    due: formatting.Due | None
    url: str | None

    @property
    def line(self) -> str:
        """`#1042: ship by Fri 6 Mar 10:00 CET (in 35 h), 129.90 EUR`."""
        parts = [*([f"ship by {self.due.text}"] if self.due else []), *self.notes]
        return f"{self.number}: {', '.join(parts)}" if parts else self.number


def entries(alert: Alert) -> list[Entry]:
    """The orders of a digest by reason, or of a backlog in its order; each reason by ship-by and value."""
    if alert.digest:
        return list(_digest_entries(alert, alert.digest))
    return [_backlog_entry(each, alert) for each in alert.backlog.orders] if alert.backlog else []


def total(alert: Alert) -> int:
    """The number of orders, including those that are not listed."""
    if alert.digest:
        return alert.digest.count
    return len(alert.backlog.orders) + alert.backlog.more_orders if alert.backlog else 0


def heading(alert: Alert) -> str:
    """The heading of the list of orders."""
    return "Needs attention now, the most urgent first" if alert.backlog else "Orders"


def digest_reasons(alert: Alert) -> str | None:
    """The reasons of a digest: `Supplier delayed (9), Discontinued (3)`; None if there are none."""
    digest = alert.digest
    if digest is None or digest.of_kind == KIND_RECOVERED:
        return None
    counts = _reason_counts(digest)
    if set(counts) <= {NO_REASON}:
        return None
    shown = counts.most_common(MAX_REASONS)
    rest = counts.total() - sum(count for _, count in shown)
    left_out = formatting.more(len(counts) - len(shown), "reason", "reasons")
    named = [f"{reason} ({count:,})" for reason, count in shown]
    return ", ".join([*named, *(f"{each} ({rest:,})" for each in left_out)])


def _reason_counts(digest: Digest) -> Counter[str]:
    """Orders by reason as it is shown: several raw statuses may show as one reason."""
    counts: Counter[str] = Counter()
    for each in digest.reasons:
        counts[_reason(each.raw_status, digest.status)] += each.orders
    return counts


def _reason(raw_status: str | None, status: str) -> str:
    return formatting.clip(formatting.reason(raw_status, status) or NO_REASON, MAX_REASON)


def _digest_entries(alert: Alert, digest: Digest) -> Iterator[Entry]:
    has_reasons, counts = digest_reasons(alert) is not None, _reason_counts(digest)
    zone, seen = formatting.zone_of(alert.connection), formatting.seen_at(alert)
    by_reason: dict[str, list[DigestedOrder]] = {}
    for order in digest.orders:
        by_reason.setdefault(_reason(order.raw_status, digest.status), []).append(order)
    for reason, orders in by_reason.items():
        above = f"{reason} ({formatting.plural(counts[reason], 'order')})" if has_reasons else None
        for order in sorted(orders, key=lambda order: by_urgency(order.ship_by, order.total_price)):
            due = formatting.due(order.ship_by, status=digest.status, seen=seen, zone=zone)
            yield Entry(above, formatting.order_number(order), _notes(order, digest), due, order.url)
            above = None


def _notes(order: DigestedOrder, digest: Digest) -> list[str]:
    value = formatting.money(order.total_price, order.currency) if order.total_price is not None else "total unknown"
    before = formatting.clean(order.previous_status or "") if digest.of_kind == KIND_RECOVERED else ""
    return [value, *([f"was {before}"] if before else [])]


def _backlog_entry(order: BacklogOrder, alert: Alert) -> Entry:
    zone, seen = formatting.zone_of(alert.connection), formatting.seen_at(alert)
    due = formatting.due(order.ship_by, status=order.status, seen=seen, zone=zone)
    reason = formatting.reason(order.raw_status, order.status)
    status = f"{formatting.status_phrase(order.status)}{f' ({formatting.clip(reason, MAX_REASON)})' if reason else ''}"
    value = [formatting.money(order.total_price, order.currency)] if order.total_price is not None else []
    return Entry(None, formatting.order_number(order), [status, *value], due, order.url)


def product_code(line: AlertLineItem | ListedProduct) -> str:
    """The SKU; the product id if there is no SKU."""
    return formatting.clean(line.sku or "") or formatting.clean(line.product_id or "") or "no SKU"


def product_name(line: AlertLineItem | DigestedProduct) -> str | None:
    """The product's name; None if it says no more than its SKU."""
    name = formatting.clean(line.name or "")
    return name if name and name != product_code(line) else None


def product_description(line: AlertLineItem) -> str | None:
    """The product's name, and whether it is a kit or no longer active."""
    notes = ["kit"] * bool(line.is_kit) + ["no longer active"] * (line.active is False)
    parts = [*filter(None, [product_name(line)]), *([f"({', '.join(notes)})"] if notes else [])]
    return " ".join(parts) or None


def line_quantity(line: AlertLineItem) -> str:
    """The quantity of the line; a question mark if it is unknown."""
    return formatting.quantity(line.quantity) if line.quantity is not None else "?"


def unit_price(line: AlertLineItem, currency: str | None) -> str | None:
    """The price of one unit: `89.00 EUR`, or `15.50 EUR each` if the quantity is not one."""
    if line.unit_price is None:
        return None
    return formatting.money(line.unit_price, currency) + ("" if line.quantity == 1 else " each")


class Stock(NamedTuple):
    """The stock of a line's product: `ordered 3, on hand 1` and `short 2`."""

    known: str
    short: str | None


def stock(line: AlertLineItem, order: AlertOrder) -> Stock | None:
    """The stock of the line's product and what the order needs of it, over all of its lines.

    None if the stock is unknown, and for further lines of the product, so that a shortfall is shown once.
    """
    lines = order.lines_of(line)
    on_hand = stock_phrase(line)
    if on_hand is None or lines[0] is not line:
        return None
    quantities = [line_quantity(each) for each in lines[:MAX_ADDENDS]]
    ordered = " + ".join([*quantities, *(["..."] if len(lines) > MAX_ADDENDS else [])])
    return Stock(f"ordered {ordered}, {on_hand}", short_phrase(order.shortfall(line)))


def stock_phrase(product: AlertLineItem | ListedProduct) -> str | None:
    """The stock on hand: `on hand 3`, with what decides about a kit; None if it is unknown."""
    by_warehouse = _by_warehouse(product) if isinstance(product, AlertLineItem) else ""
    counted = f"on hand {formatting.quantity(product.on_hand)}{by_warehouse}" if product.on_hand is not None else None
    return ", ".join(filter(None, [counted, _KIT if product.is_kit else None])) or None


def short_phrase(shortfall: Decimal | None) -> str | None:
    """The missing units of a product: `short 13`; None if none are missing."""
    return f"short {formatting.quantity(shortfall)}" if shortfall is not None else None


def _by_warehouse(line: AlertLineItem) -> str:
    counts = line.on_hand_by_warehouse
    if len(counts) < 2:  # noqa: PLR2004 - a single warehouse holds the whole stock
        return ""
    largest = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    shown = [
        f"{formatting.clip(formatting.clean(name), 40)} {formatting.quantity(count)}"
        for name, count in largest[:MAX_WAREHOUSES]
    ]
    return f" ({', '.join(shown + formatting.more(len(counts) - len(shown), 'warehouse', 'warehouses'))})"


def shows_stock(alert: Alert) -> bool:
    """Whether the stock on hand matters for an alert of this kind."""
    return alert.kind not in _WITHOUT_STOCK


def largest_shortfall(order: AlertOrder) -> str | None:
    """The product of which the order lacks most units: `KANZASHI-1 short 1`, and how many others are short."""
    firsts = [line for line in order.line_items if order.lines_of(line)[0] is line]
    short = [(shortfall, line) for line in firsts if (shortfall := order.shortfall(line)) is not None]
    if not short:
        return None
    most, line = max(short, key=lambda each: each[0])
    others = formatting.more(len(short) - 1, "product", "products")
    return ", ".join([f"{formatting.clip(product_code(line), _MAX_CODE)} {short_phrase(most)}", *others])


def awaited_kit(order: AlertOrder) -> str | None:
    """The kit that an order may wait for: `BAG-01 is a kit: ...`; None if there is none, or if a product is short."""
    kit = next((line for line in order.line_items if line.is_kit), None)
    if kit is None or largest_shortfall(order):
        return None
    return f"{formatting.clip(product_code(kit), _MAX_CODE)} is a {_KIT}"


def stock_covers_every_line(order: AlertOrder) -> bool:
    """Whether the stock of every line is known and sufficient, which contradicts a backorder; never for a kit."""
    is_complete = bool(order.line_items) and not order.more_line_items
    return is_complete and all(
        not line.is_kit and line.on_hand is not None and line.quantity is not None and order.shortfall(line) is None
        for line in order.line_items
    )


def digest_products(digest: Digest) -> tuple[DigestedProduct, ...]:
    """The products to list for a digest: only backorders depend on stock."""
    return digest.products if digest.of_kind == KIND_BACKORDERED else ()


def digest_product(product: DigestedProduct) -> str:
    """A product of a digest: SKU, name, number of orders and stock."""
    name = product_name(product)
    what = f"{product_code(product)}{f', {name}' if name else ''}: in {formatting.plural(product.orders, 'order')}"
    if product.ordered is not None:
        what += f", ordered {formatting.quantity(product.ordered)}"
    return f"{what}, {stock_phrase(product) or 'stock unknown'}"
