"""The lists of an alert: order lines with their stock, the orders and products of a digest, the orders of a backlog."""

from collections import Counter
from collections.abc import Iterator
from decimal import Decimal
from typing import NamedTuple

from orderwatch.alerts.alert import Alert
from orderwatch.alerts.kinds import KIND_BACKORDERED, KIND_LATE, KIND_RECOVERED, KIND_RESTOCKED
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
from orderwatch.statuses import FINAL_STATUSES

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
    def details(self) -> str:
        """`ship by Fri 6 Mar 10:00 CET (in 35 h), 129.90 EUR`."""
        return ", ".join([*([f"ship by {self.due.text}"] if self.due else []), *self.notes])

    @property
    def line(self) -> str:
        """`#1042: ship by Fri 6 Mar 10:00 CET (in 35 h), 129.90 EUR`."""
        return f"{self.number}: {self.details}" if self.details else self.number


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
    by_reason: dict[str, list[DigestedOrder]] = {}
    for order in digest.orders:
        reason = _reason(order.raw_status, digest.status) if has_reasons else NO_REASON
        by_reason.setdefault(reason, []).append(order)
    for reason, orders in by_reason.items():
        above = f"{reason} ({formatting.plural(counts[reason], 'order')})" if has_reasons else None
        for order in sorted(orders, key=lambda order: by_urgency(order.ship_by, order.total_price)):
            number, due = formatting.order_number(order), _digested_due(order, digest, alert)
            yield Entry(above, number, _notes(order, digest), due, order.url)
            above = None


def _digested_due(order: DigestedOrder, digest: Digest, alert: Alert) -> formatting.Due | None:
    """When an order of a digest must ship; None if it has shipped or was cancelled."""
    status = order.status or digest.status
    if status in FINAL_STATUSES:
        return None
    zone, is_late = formatting.zone_of(alert.connection), digest.of_kind == KIND_LATE
    return formatting.due(order.ship_by, status=status, seen=formatting.seen_at(alert), zone=zone, is_late=is_late)


def _notes(order: DigestedOrder, digest: Digest) -> list[str]:
    notes = [formatting.money(order.total_price, order.currency) if order.total_price is not None else "total unknown"]
    if order.items is not None:
        notes.append(_digested_items(order, order.items, digest))
    if digest.of_kind == KIND_RECOVERED:
        notes += [f"was {formatting.status_name(order.previous_status)}"] if order.previous_status else []
        notes += [f"now {formatting.status_name(order.status)}"] if order.status else []
    if digest.status == "cancelled" and order.shipment_count:
        notes.append(shipments_phrase(order.shipment_count))
    return [*notes, f"taken by {formatting.clean(order.owner)}"] if order.owner else notes


def _digested_items(order: DigestedOrder, items: Decimal, digest: Digest) -> str:
    """`3 items`, or `1 of 3 items still to ship`."""
    noun, status = "item" if items == 1 else "items", order.status or digest.status
    is_open = digest.of_kind != KIND_RECOVERED and status not in FINAL_STATUSES
    if is_open and order.outstanding is not None and order.outstanding < items:
        return f"{formatting.quantity(order.outstanding)} of {formatting.quantity(items)} {noun} still to ship"
    return f"{formatting.quantity(items)} {noun}"


def shipments_phrase(count: int) -> str:
    """What has left of a cancelled order: `Nothing has shipped`, `1 parcel has left already`."""
    if not count:
        return "Nothing has shipped"
    return f"{formatting.plural(count, 'parcel')} {'has' if count == 1 else 'have'} left already"


def shipped_already(digest: Digest) -> str | None:
    """How many of a digest's cancelled orders had shipped; None for other digests, and if that is unknown."""
    if digest.status != "cancelled" or digest.shipped is None:
        return None
    return f"{digest.shipped:,} of them shipped already" if digest.shipped else "None of them has shipped"


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


def product_title(line: AlertLineItem | DigestedProduct) -> str:
    """The product's name and SKU, and whether it is a kit or no longer sold: `Merino socks, M (SOCK-M)`."""
    name, code = product_name(line), product_code(line)
    notes = [code] if name else []
    if isinstance(line, AlertLineItem):
        notes += ["kit"] * bool(line.is_kit) + ["no longer sold"] * (line.active is False)
    return f"{name or code}{f' ({", ".join(notes)})' if notes else ''}"


def line_quantity(line: AlertLineItem) -> str:
    """The quantity of the line; a question mark if it is unknown."""
    return _quantity(line.quantity)


def _quantity(units: Decimal | None) -> str:
    return formatting.quantity(units) if units is not None else "?"


def unit_price(line: AlertLineItem, currency: str | None) -> str | None:
    """The price of one unit: `89.00 EUR`, or `15.50 EUR each` if the quantity is not one."""
    if line.unit_price is None:
        return None
    return formatting.money(line.unit_price, currency) + ("" if line.quantity == 1 else " each")


class Item(NamedTuple):
    """An order line, or a product of a digest.

    Attributes:
        what: `3 × Merino socks, M (SOCK-M), 15.50 EUR each`.
        stock: `1 in stock`; None if it is unknown, or shown already on another line of the product.
        short: `1 short`.
        shipped: `1 of 3 still to ship`, `shipped`; None if nothing of it has left.
    """

    what: str
    stock: str | None = None
    short: str | None = None
    shipped: str | None = None

    @property
    def notes(self) -> str:
        """What has left, and the stock."""
        return ", ".join(filter(None, [self.shipped, self.stock]))


def items(alert: Alert, most: int) -> list[Item]:
    """The first lines of the alert's order, at most this number (`sorted_lines`)."""
    order = alert.order
    return [_item(line, order, alert) for line in sorted_lines(order)[:most]] if order else []


def sorted_lines(order: AlertOrder) -> list[AlertLineItem]:
    """The order's lines: first those that are still to ship, then those that have left."""
    return sorted(order.line_items, key=lambda line: not line.is_outstanding)


def _item(line: AlertLineItem, order: AlertOrder, alert: Alert) -> Item:
    """A line of the order; the first line of a product shows its stock and what the order lacks, over all its lines."""
    price = unit_price(line, order.currency)
    what = f"{line_quantity(line)} × {product_title(line)}{f', {price}' if price else ''}"
    shipped = ", ".join(_shipping_notes(line, order, alert)) or None
    lines, in_stock = [each for each in order.lines_of(line) if each.is_outstanding], stock_phrase(line, order)
    if not shows_stock(alert) or in_stock is None or not lines or lines[0] is not line:
        return Item(what, shipped=shipped)
    quantities = [_quantity(each.outstanding) for each in lines[:MAX_ADDENDS]] + ["..."] * (len(lines) > MAX_ADDENDS)
    for_lines = f" for {' + '.join(quantities)}" if len(lines) > 1 else ""
    return Item(what, f"{in_stock}{for_lines}", short_phrase(order.shortfall(line)), shipped)


def is_awaited(alert: Alert) -> bool:
    """Whether the alert's order is open, so that what is still to ship matters."""
    order = alert.order
    return order is not None and order.status not in FINAL_STATUSES and alert.kind != KIND_RECOVERED


def _shipping_notes(line: AlertLineItem, order: AlertOrder, alert: Alert) -> Iterator[str]:
    is_open = is_awaited(alert)
    if not is_open and alert.kind != "order.cancelled":
        return
    if line.shipped:
        if not line.is_outstanding:
            yield "shipped"
        elif is_open and line.outstanding is not None:
            yield f"{_quantity(line.outstanding)} of {_quantity(line.quantity)} still to ship"
        else:
            yield f"{_quantity(line.shipped)} of {_quantity(line.quantity)} shipped"
    elif not is_open and order.is_partly_shipped and not order.unknown_shipments:
        yield "not shipped"
    if is_open and line.is_outstanding and line.warehouse and common_warehouse(order) is None:
        yield f"from {warehouse_name(order, line.warehouse)}"


def common_warehouse(order: AlertOrder) -> str | None:
    """The name of the warehouse that ships everything that is still to ship; None if unknown or if several do."""
    ids = {line.warehouse for line in order.line_items if line.is_outstanding}
    [only] = ids if len(ids) == 1 else [None]
    return warehouse_name(order, only) if only else None


def warehouse_name(order: AlertOrder, warehouse: str) -> str:
    """The name of a warehouse of the order; its id if it has no name."""
    named = formatting.clean(order.warehouses.get(warehouse, "")) or formatting.clean(warehouse)
    return formatting.clip(named or "unnamed warehouse", _MAX_CODE)


def stock_phrase(product: AlertLineItem | ListedProduct, order: AlertOrder | None = None) -> str | None:
    """The stock on hand: `3 in stock`, with what decides about a kit; None if it is unknown.

    Args:
        product: An order line or a product of a list.
        order: The line's order, for the stock by warehouse.
    """
    by_warehouse = _by_warehouse(product, order) if isinstance(product, AlertLineItem) and order else ""
    counted = f"{formatting.quantity(product.on_hand)} in stock{by_warehouse}" if product.on_hand is not None else None
    return ", ".join(filter(None, [counted, _KIT if product.is_kit else None])) or None


def short_phrase(shortfall: Decimal | None) -> str | None:
    """The missing units of a product: `13 short`; None if none are missing."""
    return f"{formatting.quantity(shortfall)} short" if shortfall is not None else None


def _by_warehouse(line: AlertLineItem, order: AlertOrder) -> str:
    counts = line.on_hand_by_warehouse
    if len(counts) < 2:  # noqa: PLR2004 - a single warehouse holds the whole stock
        return ""
    largest = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    shown = [
        f"{warehouse_name(order, warehouse)} {formatting.quantity(count)}"
        for warehouse, count in largest[:MAX_WAREHOUSES]
    ]
    return f" ({', '.join(shown + formatting.more(len(counts) - len(shown), 'warehouse', 'warehouses'))})"


def shows_stock(alert: Alert) -> bool:
    """Whether the stock on hand matters for an alert of this kind."""
    return alert.kind not in _WITHOUT_STOCK


def largest_shortfall(order: AlertOrder) -> str | None:
    """The product of which the order lacks most units: `2 × LAMP-1 short`, and how many others are short."""
    firsts = [line for line in order.line_items if order.lines_of(line)[0] is line]
    short = [(shortfall, line) for line in firsts if (shortfall := order.shortfall(line)) is not None]
    if not short:
        return None
    most, line = max(short, key=lambda each: each[0])
    others = formatting.more(len(short) - 1, "product", "products")
    return ", ".join([f"{formatting.quantity(most)} × {formatting.clip(product_code(line), _MAX_CODE)} short", *others])


def awaited_kit(order: AlertOrder) -> str | None:
    """The kit that an order may wait for: `BAG-01 is a kit: ...`; None if there is none, or if a product is short."""
    kit = next((line for line in order.line_items if line.is_kit and line.is_outstanding), None)
    if kit is None or largest_shortfall(order):
        return None
    return f"{formatting.clip(product_code(kit), _MAX_CODE)} is a {_KIT}"


def stock_covers_every_line(order: AlertOrder) -> bool:
    """Whether the stock covers all that is still to ship, which contradicts a backorder; never for a kit."""
    lines = [line for line in order.line_items if line.is_outstanding]
    return (
        bool(lines)
        and not order.more_line_items
        and all(
            not line.is_kit
            and line.on_hand is not None
            and line.outstanding is not None
            and order.shortfall(line) is None
            for line in lines
        )
    )


def digest_products(digest: Digest) -> tuple[DigestedProduct, ...]:
    """The products to list for a digest: only backorders depend on stock."""
    return digest.products if digest.of_kind in {KIND_BACKORDERED, KIND_RESTOCKED} else ()


def products_heading(digest: Digest) -> str:
    """The heading of that list."""
    return "In stock" if digest.of_kind == KIND_RESTOCKED else "Most affected"


def restocked_products(digest: Digest) -> list[str]:
    """What is in stock again: `["KENYA-1KG 40 in stock, +2 more products"]`; empty for digests of other kinds."""
    if digest.of_kind != KIND_RESTOCKED or not digest.products:
        return []
    first = digest.products[0]
    on_hand = f"{formatting.quantity(first.on_hand)} in stock" if first.on_hand is not None else "in stock"
    others = formatting.more(len(digest.products) - 1 + digest.more_products, "product", "products")
    return [", ".join([f"{formatting.clip(product_code(first), _MAX_CODE)} {on_hand}", *others])]


def digest_product(product: DigestedProduct) -> Item:
    """A product of a digest: name and SKU, what is short, and its orders and stock."""
    units = f"{formatting.quantity(product.outstanding)} still to ship" if product.outstanding is not None else None
    known = ", ".join(filter(None, [units, stock_phrase(product) or "stock unknown"]))
    where = f"in {formatting.plural(product.orders, 'order')} ({known})"
    return Item(product_title(product), where, short_phrase(product.short))
