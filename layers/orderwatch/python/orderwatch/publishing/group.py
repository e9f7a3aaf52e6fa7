"""Storms stay readable (rule 12): many alerts of one kind and connection become digests."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from itertools import pairwise

from orderwatch.alerts.alert import Alert, MergedAlert, alert_id
from orderwatch.alerts.kinds import DEADLINE_KINDS, KIND_DIGEST, KIND_RECOVERED, Severity, Urgency, severity_of
from orderwatch.alerts.parts import (
    AlertLineItem,
    AlertOrder,
    Digest,
    DigestedOrder,
    DigestedProduct,
    DigestedReason,
    by_urgency,
    short_of,
)
from orderwatch.rendering import formatting
from orderwatch.rendering.lists import BACKORDERED

MAX_ORDERS = 100
"""Orders that one digest names: a list that a person can still read, far below the limits of every channel."""
MAX_PRODUCTS = 5
"""Products that one digest names: those whose restocking would help the most orders."""
MIXED = "mixed"
"""The status of a digest whose orders have different statuses: orders that recovered."""


@dataclass(frozen=True, slots=True)
class Group:
    """One message to send and the alerts that it covers.

    Attributes:
        alert: The alert to send: the only member itself, or a digest of the members.
        members: In order of appearance; all are marked as sent when the message was sent.
    """

    alert: Alert
    members: tuple[Alert, ...]


def group(alerts: Sequence[Alert], *, threshold: int) -> list[Group]:
    """Make the messages of a batch: each alert is in exactly one.

    More than `threshold` alerts (and more than one) of one kind and connection become digests of at most
    `MAX_ORDERS` orders, each naming all of its orders; other alerts are sent one by one. Alerts about a connection are
    never part of a digest. Messages are in the order in which their first members appear.

    Args:
        alerts: The batch, of any connections.
        threshold: How many alerts of one kind and connection are still sent one by one; 0 digests any two.
    """
    groups: list[Group] = []
    for members in _by_kind_and_connection(alerts):
        if len(members) > max(threshold, 1):
            groups += [Group(_digest(part), part) for part in _parts(members)]
        else:
            groups += [Group(alert, (alert,)) for alert in members]
    positions = {id(alert): position for position, alert in reversed(list(enumerate(alerts)))}
    return sorted(groups, key=lambda each: positions[id(each.members[0])])


def _by_kind_and_connection(alerts: Sequence[Alert]) -> list[list[Alert]]:
    merge_alerts: dict[object, list[Alert]] = {}
    for position, alert in enumerate(alerts):
        key = (alert.kind, alert.connection_id) if alert.order else position
        merge_alerts.setdefault(key, []).append(alert)
    return list(merge_alerts.values())


def _parts(members: Sequence[Alert]) -> list[tuple[Alert, ...]]:
    """Split into as few digests as possible, whose sizes differ by one at most."""
    count = -(-len(members) // MAX_ORDERS)
    bounds = [len(members) * part // count for part in range(count + 1)]
    return [tuple(members[start:end]) for start, end in pairwise(bounds)]


def _digest(members: Sequence[Alert]) -> Alert:
    first = members[0]
    orders = [alert.order for alert in members if alert.order]
    statuses = {order.status for order in orders}
    reasons = _reasons(first.kind, orders)
    urgencies = Counter(map(formatting.urgency, members))
    products = _products(orders)
    affected = [each for each in products if _is_affected(each, first.kind)][:MAX_PRODUCTS]
    digest = Digest(
        of_kind=first.kind,
        status=statuses.pop() if len(statuses) == 1 else MIXED,
        count=len(members),
        value_by_currency=_value_by_currency(orders),
        seen_at=max(order.seen_at for order in orders),
        reasons=reasons,
        overdue=urgencies[Urgency.OVERDUE],
        due_soon=urgencies[Urgency.SOON],
        orders=tuple(_digested(alert, alert.order) for alert in _sorted(members, reasons) if alert.order),
        products=tuple(affected),
        more_products=len(products) - len(affected),
    )
    return Alert(
        alert_id=alert_id(KIND_DIGEST, *sorted(alert.alert_id for alert in members)),
        kind=KIND_DIGEST,
        severity=severity_of(first.kind),
        connection_id=first.connection_id,
        connection=first.connection,
        digest=digest,
        data_as_of=_oldest(members),
    )


def _reasons(kind: str, orders: Iterable[AlertOrder]) -> tuple[DigestedReason, ...]:
    """How many orders have which reason, the commonest first; none where they recovered from one."""
    if kind == KIND_RECOVERED:
        return ()
    counts = Counter(order.raw_status for order in orders)
    return tuple(DigestedReason(raw_status=reason, orders=count) for reason, count in counts.most_common())


def _sorted(members: Sequence[Alert], reasons: Sequence[DigestedReason]) -> list[Alert]:
    """By reason, the commonest first; then what must ship first, then what is worth most."""
    places = {reason.raw_status: place for place, reason in enumerate(reasons)}
    return sorted(members, key=lambda alert: _place(alert.order, places) if alert.order else (0,))


def _place(order: AlertOrder, places: Mapping[str | None, int]) -> tuple[int, datetime, Decimal]:
    return (places.get(order.raw_status, 0), *by_urgency(order.ship_by, order.total_price))


def _digested(alert: Alert, order: AlertOrder) -> DigestedOrder:
    return DigestedOrder(
        alert_id=alert.alert_id,
        id=order.id,
        number=order.number,
        url=order.url,
        previous_status=order.previous_status,
        raw_status=order.raw_status,
        currency=order.currency,
        total_price=order.total_price,
        ship_by=order.ship_by,
    )


def _is_affected(product: DigestedProduct, kind: str) -> bool:
    """Whether several orders have it or it is short; of backorders, whose stock explains them, no other is named."""
    if kind == BACKORDERED and product.on_hand is not None:
        return product.short is not None
    return product.orders > 1 or product.short is not None


def _products(orders: Iterable[AlertOrder]) -> list[DigestedProduct]:
    """The products of these orders: what is short first, then by how many orders have it and how much is short."""
    lines: dict[str, list[tuple[str, AlertLineItem]]] = {}
    for order in orders:
        for line in order.line_items:
            if line.product_key:
                lines.setdefault(line.product_key, []).append((order.id, line))
    products = [_product(of_product) for of_product in lines.values()]
    return sorted(products, key=lambda each: (each.short is None, -each.orders, -(each.short or 0)))


def _product(lines: Sequence[tuple[str, AlertLineItem]]) -> DigestedProduct:
    quantities = [line.quantity for _, line in lines if line.quantity is not None]
    ordered = sum(quantities, Decimal(0)) if quantities else None
    # A line may lack what another one of the same product has, such as a SKU: take what any has.
    known = [line for _, line in lines]
    on_hand = next((line.on_hand for line in known if line.on_hand is not None), None)
    return DigestedProduct(
        sku=next((line.sku for line in known if line.sku), None),
        name=next((line.name for line in known if line.name), None),
        product_id=known[0].product_id,
        orders=len({order_id for order_id, _ in lines}),
        ordered=ordered,
        on_hand=on_hand,
        short=short_of(ordered, on_hand) if ordered is not None else None,
    )


def _oldest(members: Sequence[Alert]) -> datetime | None:
    """A digest is as fresh as its oldest member."""
    return min((alert.data_as_of for alert in members if alert.data_as_of), default=None)


def _value_by_currency(orders: Iterable[AlertOrder]) -> dict[str, Decimal]:
    """The sum of the totals; orders that lack either are left out."""
    sums: dict[str, Decimal] = {}
    for order in orders:
        if order.currency and order.total_price is not None:
            sums[order.currency] = sums.get(order.currency, Decimal(0)) + order.total_price
    return sums


_WORST_FIRST = (Severity.CRITICAL, Severity.WARNING, Severity.INFO)


def merge_alerts(groups: Sequence[Group]) -> list[Group]:
    """Join the message about a deadline with that about the status of the same order; digests stay as they are."""
    troubles = {key: each for each in groups if (key := _order_of(each)) and _is_about_trouble(each.alert)}
    deadlines = {key: each for each in groups if (key := _order_of(each)) and each.alert.kind in DEADLINE_KINDS}
    both = troubles.keys() & deadlines.keys()
    joined = {id(troubles[key]): _joined(troubles[key], deadlines[key]) for key in both}
    left_out = {id(deadlines[key]) for key in both}
    return [joined.get(id(each), each) for each in groups if id(each) not in left_out]


def _order_of(group: Group) -> tuple[str, str] | None:
    return (group.alert.connection_id, group.alert.order.id) if group.alert.order else None


def _is_about_trouble(alert: Alert) -> bool:
    return alert.kind not in {*DEADLINE_KINDS, KIND_RECOVERED}


def _joined(trouble: Group, deadline: Group) -> Group:
    main, other = trouble.alert, deadline.alert
    due_at = other.order.due_at if other.order else None
    changes = {
        "merged": (MergedAlert(kind=other.kind, alert_id=other.alert_id),),
        "severity": _worst([main.severity, other.severity]),
        "detail": other.detail,
        "order": main.order.model_copy(update={"due_at": due_at}) if main.order else None,
    }
    return Group(main.model_copy(update=changes), (*trouble.members, *deadline.members))


def _worst(severities: Iterable[Severity]) -> Severity:
    return min(severities, key=_WORST_FIRST.index)
