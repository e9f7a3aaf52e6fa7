"""Group alerts into messages: many alerts of one kind and connection become digests (rule 12).

An alert about a deadline and one about the status or the stock of the same order are merged into one message. An order
that recovered before its alerts were sent is one line in one message: the alerts say so, or its row does.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from itertools import pairwise
from typing import TYPE_CHECKING, NamedTuple

from orderwatch.alerts.alert import Alert, AlertKey, MergedAlert, alert_id
from orderwatch.alerts.kinds import (
    DEADLINE_KINDS,
    KIND_AT_RISK,
    KIND_BACKORDERED,
    KIND_DIGEST,
    KIND_RECOVERED,
    KIND_REMINDER,
    KIND_RESTOCKED,
    KIND_STUCK,
    Severity,
    Urgency,
    severity_of,
)
from orderwatch.alerts.parts import (
    AlertLineItem,
    AlertOrder,
    Digest,
    DigestedOrder,
    DigestedProduct,
    DigestedReason,
    ProductKey,
    by_urgency,
    short_of,
    sum_by_currency,
)
from orderwatch.rendering import formatting
from orderwatch.statuses import OPEN_STATUSES

if TYPE_CHECKING:  # an import would make the cold start of publish_alerts slower
    from orderwatch.records import StoredOrder

MAX_ORDERS = 100
"""Maximum orders of one digest: a list that people can read, far below the limits of every channel."""
MAX_PRODUCTS = 5
"""Maximum products of one digest: those whose restocking helps most orders."""
MIXED = "mixed"
"""The status of a digest whose orders have different statuses: recovered orders."""
_SEVERITIES = (Severity.CRITICAL, Severity.WARNING, Severity.INFO)


@dataclass(frozen=True, slots=True)
class Group:
    """One message and the alerts that it covers.

    Attributes:
        alert: The alert to send: the only member, a digest of the members, or the members merged.
        members: In order of appearance; all are marked as sent after the message was sent.
    """

    alert: Alert
    members: tuple[Alert, ...]


type OrderId = tuple[str, str]
"""Connection, order."""


class _Problem(NamedTuple):
    """A status of an order since it began, or that the order is stuck in it."""

    connection_id: str
    order_id: str
    status: str
    since: datetime | None
    is_stuck: bool = False


def messages_of(
    alerts: Sequence[Alert], *, threshold: int, current: Mapping[OrderId, "StoredOrder"] | None = None
) -> list[Group]:
    """The messages of a batch of alerts: recovered orders merged, then grouped, then deadlines merged.

    Args:
        alerts: The batch, of any connections.
        threshold: Maximum number of alerts of one kind and connection that are sent one by one.
        current: The rows of the orders, for alerts that have waited: an order that has left its problem since has
            recovered, and one that was taken since has its owner.
    """
    rows = current or {}
    resolved = merge_resolved(merge_recovered([_with_owner(each, rows) for each in alerts]), rows)
    members_of = {each.alert.key: each for each in resolved}
    groups = merge_alerts(group([each.alert for each in members_of.values()], threshold=threshold))
    return [Group(each.alert, _all_members(each, members_of)) for each in groups]


def _all_members(each: Group, members_of: Mapping[AlertKey, Group]) -> tuple[Alert, ...]:
    return tuple(alert for member in each.members for alert in members_of[member.key].members)


def group(alerts: Sequence[Alert], *, threshold: int) -> list[Group]:
    """Group a batch of alerts into messages. Each alert is in exactly one message.

    More than `threshold` alerts (and at least two) of one kind and connection become digests of at most `MAX_ORDERS`
    orders. Each digest names all of its orders. Alerts about a connection are never part of a digest. Messages are in
    the order in which their first members appear.

    Args:
        alerts: The batch, of any connections.
        threshold: Maximum number of alerts of one kind and connection that are sent one by one.
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
    by_key: dict[object, list[Alert]] = {}
    for position, alert in enumerate(alerts):
        key = (alert.kind, alert.connection_id) if alert.order else position
        by_key.setdefault(key, []).append(alert)
    return list(by_key.values())


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
        value_by_currency=sum_by_currency((order.currency, order.total_price) for order in orders),
        seen_at=max(order.seen_at for order in orders),
        reasons=reasons,
        overdue=urgencies[Urgency.OVERDUE],
        due_soon=urgencies[Urgency.SOON],
        shipped=_shipped(orders),
        orders=tuple(_digested(alert, order) for alert, order in _sorted(members, reasons)),
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
        # A digest is as fresh as its oldest member.
        data_as_of=min((alert.data_as_of for alert in members if alert.data_as_of), default=None),
    )


def _reasons(kind: str, orders: Iterable[AlertOrder]) -> tuple[DigestedReason, ...]:
    """Every reason with its number of orders, the most frequent first; none where the orders have left the problem."""
    if kind in {KIND_RECOVERED, KIND_RESTOCKED}:
        return ()
    counts = Counter(order.raw_status for order in orders)
    return tuple(DigestedReason(raw_status=reason, orders=count) for reason, count in counts.most_common())


def _shipped(orders: Sequence[AlertOrder]) -> int | None:
    """Number of orders with a shipment that has left; None if that is unknown for one of them."""
    known = [order.shipment_count for order in orders if order.shipment_count is not None]
    return sum(map(bool, known)) if len(known) == len(orders) else None


def _sorted(members: Sequence[Alert], reasons: Sequence[DigestedReason]) -> list[tuple[Alert, AlertOrder]]:
    """Sort by reason (the most frequent first), then by ship-by (the earliest), then by value (the highest)."""
    ranks = {reason.raw_status: rank for rank, reason in enumerate(reasons)}
    listed = [(alert, alert.order) for alert in members if alert.order]
    listed.sort(key=lambda each: (ranks.get(each[1].raw_status, 0), *by_urgency(each[1].ship_by, each[1].total_price)))
    return listed


def _digested(alert: Alert, order: AlertOrder) -> DigestedOrder:
    return DigestedOrder(
        alert_id=alert.alert_id,
        merged=tuple(each.alert_id for each in alert.merged),
        id=order.id,
        number=order.number,
        url=order.url,
        status=order.status,
        previous_status=order.previous_status,
        items=order.items,
        outstanding=order.outstanding,
        shipment_count=order.shipment_count,
        raw_status=order.raw_status,
        currency=order.currency,
        total_price=order.total_price,
        ship_by=order.ship_by,
        owner=order.owner,
    )


def _is_affected(product: DigestedProduct, kind: str) -> bool:
    """Whether it is short or in several orders; for backorders with a stock that decides, only whether it is short."""
    if kind == KIND_RESTOCKED:
        return product.on_hand is not None
    if kind == KIND_BACKORDERED and product.on_hand is not None and not product.is_kit:
        return product.short is not None
    return product.orders > 1 or product.short is not None


def _products(orders: Iterable[AlertOrder]) -> list[DigestedProduct]:
    """The products that these orders wait for.

    Those that are short come first, then those in most orders, then those of which most is short.
    """
    lines: dict[ProductKey, list[tuple[str, AlertLineItem]]] = {}
    for order in {order.id: order for order in orders}.values():  # an order can be in a digest twice
        for line in order.line_items:
            if (key := line.product_key) and line.is_outstanding:
                lines.setdefault(key, []).append((order.id, line))
    products = [_product(of_product) for of_product in lines.values()]
    return sorted(products, key=lambda each: (each.short is None, -each.orders, -(each.short or 0)))


def _product(lines: Sequence[tuple[str, AlertLineItem]]) -> DigestedProduct:
    units = [line.outstanding for _, line in lines if line.outstanding is not None]
    outstanding = sum(units, Decimal(0)) if units else None
    # One line can lack what another line of the same product has, such as the name.
    known = [line for _, line in lines]
    on_hand = next((line.on_hand for line in known if line.on_hand is not None), None)
    is_kit = next((line.is_kit for line in known if line.is_kit is not None), None)
    return DigestedProduct(
        sku=known[0].sku,
        name=next((line.name for line in known if line.name), None),
        product_id=known[0].product_id,
        orders=len({order_id for order_id, _ in lines}),
        outstanding=outstanding,
        on_hand=on_hand,
        short=None if outstanding is None or is_kit else short_of(outstanding, on_hand),
        is_kit=is_kit,
    )


def merge_recovered(alerts: Sequence[Alert]) -> list[Group]:
    """Merge alerts about an order into the later one that says it has recovered from just that.

    Critical alerts are not merged, and neither is a warning that an order is at risk: that can still be so.
    """
    recoveries = {key: alert for alert in alerts if (key := _resolved_by(alert))}
    merged: dict[AlertKey, list[Alert]] = {}
    for alert in alerts:
        if recovery := _recovery_of(alert, recoveries):
            merged.setdefault(recovery.key, []).append(alert)
    merged_away = {alert.key for others in merged.values() for alert in others}
    return [_with_merged(each, merged.get(each.key, ())) for each in alerts if each.key not in merged_away]


def _resolved_by(alert: Alert) -> _Problem | None:
    """What an alert about a recovery resolves: a status, or that the order was stuck in its status."""
    order = alert.order
    if order is None or alert.kind != KIND_RECOVERED:
        return None
    if order.previous_status is None:
        return _Problem(alert.connection_id, order.id, order.status, order.status_since, is_stuck=True)
    return _Problem(alert.connection_id, order.id, order.previous_status, order.previous_status_since)


def _recovery_of(alert: Alert, recoveries: Mapping[_Problem, Alert]) -> Alert | None:
    order = alert.order
    if order is None or alert.severity is Severity.CRITICAL or alert.kind in {KIND_RECOVERED, KIND_AT_RISK}:
        return None
    problem = _Problem(alert.connection_id, order.id, order.status, order.status_since)
    stuck = recoveries.get(problem._replace(is_stuck=True)) if alert.kind == KIND_STUCK else None
    return stuck or recoveries.get(problem)


def _with_merged(alert: Alert, others: Sequence[Alert]) -> Group:
    if not others:
        return Group(alert, (alert,))
    return Group(alert.replace(merged=_as_merged(others)), (*others, alert))


def _as_merged(alerts: Iterable[Alert]) -> tuple[MergedAlert, ...]:
    return tuple(MergedAlert(kind=each.kind, alert_id=each.alert_id) for each in alerts)


def _row_of(alert: Alert, rows: Mapping[OrderId, "StoredOrder"]) -> "StoredOrder | None":
    return rows.get((alert.connection_id, alert.order.id)) if alert.order else None


def _with_owner(alert: Alert, rows: Mapping[OrderId, "StoredOrder"]) -> Alert:
    order, row = alert.order, _row_of(alert, rows)
    if order is None or row is None or row.ownership is None or row.status != order.status:
        return alert
    known = row.ownership
    owned = order.replace(
        owner=known.owner, taken_at=known.taken_at, snoozed_until=known.snoozed_until, note=known.note
    )
    return alert.replace(order=owned)


def merge_resolved(groups: Sequence[Group], rows: Mapping[OrderId, "StoredOrder"]) -> list[Group]:
    """Merge the messages about an order that has left its problem meanwhile into one that says so.

    Args:
        groups: Messages about one order or connection each.
        rows: The rows of the orders, if they were looked up.
    """
    about: dict[OrderId, list[Group]] = {}
    for each in groups:
        order, row = each.alert.order, _row_of(each.alert, rows)
        if order and row and row.has_left_problem and _is_resolved(each.alert, order.status, row):
            about.setdefault((each.alert.connection_id, order.id), []).append(each)
    merged = {id(of_order[-1]): _resolved(of_order, rows[key]) for key, of_order in about.items()}
    merged_away = {id(each) for of_order in about.values() for each in of_order[:-1]}
    return [merged.get(id(each), each) for each in groups if id(each) not in merged_away]


def _is_resolved(alert: Alert, status: str, row: "StoredOrder") -> bool:
    """Whether what the alert is about is over; an order that is at risk is so in every open status."""
    if alert.kind == KIND_AT_RISK:
        return row.status not in OPEN_STATUSES
    return alert.kind == KIND_RECOVERED or status != row.status


def _resolved(of_order: Sequence[Group], row: "StoredOrder") -> Group:
    """The last message about the order, as its recovery, with the others merged into it."""
    last, members = of_order[-1].alert, tuple(alert for each in of_order for alert in each.members)
    if last.kind == KIND_RECOVERED:
        alert, others = last, [each for each in members if each.key != last.key]
    else:
        alert, others = _recovery(last, row), list(members)
    return Group(alert.replace(merged=_as_merged(others)), members)


def _recovery(alert: Alert, row: "StoredOrder") -> Alert:
    order = alert.order and alert.order.replace(
        status=row.status,
        status_since=row.status_since,
        raw_status=row.raw_status,
        previous_status=alert.order.status,
        previous_status_since=alert.order.status_since,
        updated_at=row.version.at,
        due_at=None,
    )
    severity = severity_of(KIND_RECOVERED)
    return alert.replace(kind=KIND_RECOVERED, severity=severity, order=order, detail=None)


def merge_alerts(groups: Sequence[Group]) -> list[Group]:
    """Merge the message about a deadline into the one about the status or stock of its order; digests do not change."""
    of_orders = [((each.alert.connection_id, each.alert.order.id), each) for each in groups if each.alert.order]
    deadlines = {key: each for key, each in of_orders if each.alert.kind in DEADLINE_KINDS}
    others = {*DEADLINE_KINDS, KIND_RECOVERED, KIND_REMINDER}
    statuses = {key: each for key, each in of_orders if each.alert.kind not in others}
    both = statuses.keys() & deadlines.keys()
    merged = {id(statuses[key]): _merged(statuses[key], deadlines[key]) for key in both}
    merged_away = {id(deadlines[key]) for key in both}
    return [merged.get(id(each), each) for each in groups if id(each) not in merged_away]


def _merged(status: Group, deadline: Group) -> Group:
    main, other = status.alert, deadline.alert
    due_at = other.order.due_at if other.order else None
    alert = main.replace(
        merged=_as_merged([other]),
        severity=min(main.severity, other.severity, key=_SEVERITIES.index),
        detail=other.detail,
        order=main.order.replace(due_at=due_at) if main.order else None,
    )
    return Group(alert, (*status.members, *deadline.members))
