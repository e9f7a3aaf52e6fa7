"""What has left of an order and what is still to ship, and the parcels of a cancelled order."""

from collections.abc import Iterator, Sequence
from decimal import Decimal
from typing import NamedTuple

from orderwatch.alerts.alert import Alert
from orderwatch.alerts.kinds import KIND_AT_RISK, KIND_LATE
from orderwatch.alerts.parts import AlertLineItem, AlertOrder, AlertShipment
from orderwatch.rendering import formatting, lists

MAX_PRODUCTS = 3
"""Maximum number of products that are named as still to ship; the list of items has them all."""
MAX_PARCELS = 5
"""Maximum number of parcels in a message to people; the JSON lists more."""
_MAX_NAME = 60
_MAX_NUMBER = 80
_MAX_WORDS = 40
_NO_NEWS = {"shipped", "fulfilled"}
"""Statuses that say no more about a parcel than that it has left."""


def progress(alert: Alert) -> str | None:
    """What has left of an order that is still open, and what has not, in whole sentences.

    `Shipped: 2 of 3 items. Still to ship: 1 × Desk clock, small.` None if there is no more to say than that all of its
    items are to ship.
    """
    order = alert.order
    if order is None or not lists.is_awaited(alert):
        return None
    return " ".join([*_shipped(order), *_unknown(order), *_still_to_ship(alert, order)]) or None


def _shipped(order: AlertOrder) -> Iterator[str]:
    shipped = sum((line.shipped or Decimal(0) for line in order.line_items), Decimal(0))
    if not shipped or order.more_line_items:
        return
    all_items = order.items
    yield f"Shipped: {_items(shipped) if all_items is None else _of(shipped, all_items)}."


def still_to_ship_count(order: AlertOrder) -> str | None:
    """`1 of 3 items still to ship`; None if nothing has left, or if a number is unknown."""
    items, outstanding = order.items, order.outstanding
    if items is None or outstanding is None or not order.is_partly_shipped or order.unknown_shipments:
        return None
    return f"{_of(outstanding, items)} still to ship"


def _of(units: Decimal, items: Decimal) -> str:
    return f"{formatting.quantity(units)} of {_items(items)}"


def _items(units: Decimal) -> str:
    return f"{formatting.quantity(units)} {'item' if units == 1 else 'items'}"


def _unknown(order: AlertOrder) -> Iterator[str]:
    if order.unknown_shipments:
        yield f"{left(order.unknown_shipments)}, contents unknown."


def left(count: int) -> str:
    """`1 parcel has left`, `2 parcels have left`."""
    return f"{formatting.plural(count, 'parcel')} {'has' if count == 1 else 'have'} left"


def _still_to_ship(alert: Alert, order: AlertOrder) -> Iterator[str]:
    lines = [line for line in order.line_items if line.is_outstanding]
    must_ship = {alert.kind, *(each.kind for each in alert.merged)} & {KIND_LATE, KIND_AT_RISK}
    has_news = order.is_partly_shipped or (must_ship and any(line.warehouse for line in lines))
    if order.more_line_items or not lines or not has_news:
        return
    common = lists.common_warehouse(order)
    products = _by_product(order, lines)
    named = [_product(each, order, with_warehouse=common is None) for each in products[:MAX_PRODUCTS]]
    place = f" from {common}" if common else ""
    limit = ", at most" if order.unknown_shipments else ""
    listed = "; ".join([*named, *formatting.more(len(products) - len(named), "product", "products")])
    yield f"Still to ship{place}{limit}: {formatting.sentence(listed)}"


def _by_product(order: AlertOrder, lines: Sequence[AlertLineItem]) -> list[list[AlertLineItem]]:
    """The lines of each product that is still to ship."""
    of_products = [[each for each in order.lines_of(line) if each.is_outstanding] for line in lines]
    return [found for line, found in zip(lines, of_products, strict=True) if found[0] is line]


def _product(lines: Sequence[AlertLineItem], order: AlertOrder, *, with_warehouse: bool) -> str:
    units = [line.outstanding for line in lines]
    known = [each for each in units if each is not None]
    count = formatting.quantity(sum(known, Decimal(0))) if len(known) == len(units) else "?"
    name = lists.product_name(lines[0]) or lists.product_code(lines[0])
    warehouses = {line.warehouse for line in lines}
    [warehouse] = warehouses if len(warehouses) == 1 else [None]
    place = f" ({lists.warehouse_name(order, warehouse)})" if with_warehouse and warehouse else ""
    return f"{count} × {formatting.clip(name, _MAX_NAME)}{place}"


class Parcel(NamedTuple):
    """A parcel that has left: `DHL 00340434161094000000 from Hamburg, delivered`, and where to track it."""

    text: str
    url: str | None


def parcels(alert: Alert) -> list[Parcel]:
    """The parcels of a cancelled order that can be tracked; none for any other alert."""
    order = alert.order
    if order is None or alert.kind != "order.cancelled":
        return []
    tracked = [each for each in order.shipments or () if each.carrier or each.tracking_number or each.tracking_url]
    return [_parcel(each, order) for each in tracked[:MAX_PARCELS]]


def more_parcels(alert: Alert, shown: int) -> list[str]:
    """`["+2 more parcels"]`, where this number is shown; empty if that is every parcel."""
    count = (alert.order.shipment_count if alert.order else None) or 0
    return formatting.more(count - shown, "parcel", "parcels")


def _parcel(shipment: AlertShipment, order: AlertOrder) -> Parcel:
    carrier = formatting.clip(formatting.clean(shipment.carrier or ""), _MAX_WORDS)
    number = formatting.clip(formatting.clean(shipment.tracking_number or ""), _MAX_NUMBER)
    what = " ".join(filter(None, [carrier, number])) or "Parcel"
    place = f" from {lists.warehouse_name(order, shipment.warehouse)}" if shipment.warehouse else ""
    status = formatting.clip(formatting.status_name(shipment.status or ""), _MAX_WORDS)
    note = f", {status}" if status and status.casefold() not in _NO_NEWS else ""
    return Parcel(f"{what}{place}{note}", formatting.link(shipment.tracking_url))


def has_left_untracked(order: AlertOrder) -> bool:
    """Whether a cancelled order was partly shipped before, and no shipment shows what has left."""
    return order.shipment_count == 0 and order.previous_status == "partially_fulfilled"


def cancelled_shipments(order: AlertOrder) -> str | None:
    """What has left of a cancelled order: `Nothing has shipped`, `2 parcels have left already`; None if unknown."""
    count, unknown = order.shipment_count, order.unknown_shipments
    if count is None:
        return None
    if has_left_untracked(order):
        return "It was partly shipped, but no parcel that left is listed"
    if count and count == unknown:
        return f"{left(count)}, contents unknown"
    return f"{lists.shipments_phrase(count)}{f', contents of {unknown:,} unknown' if unknown else ''}"
