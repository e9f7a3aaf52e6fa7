"""What counts as a transition: pure rules over what is stored and what is observed.

An order whose observed status differs from its stored one has moved; it is alerted when the new status is watched,
whatever the old one was. Nothing here reads or writes: an `OrderWrite` says what to write and why.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum
from typing import NamedTuple, Self

from orderwatch.alerts.alert import Alert, alert_id
from orderwatch.alerts.kinds import KIND_RECOVERED, severity_of
from orderwatch.alerts.parts import MAX_LINE_ITEMS, AlertConnection, AlertLineItem, AlertOrder
from orderwatch.deadlines.alerts import deadline_alert, describe_resolved, resolved_id
from orderwatch.deadlines.rules import NO_DEADLINE, OPEN_STATUSES, DeadlineChange, Suppression, alerted, evaluate
from orderwatch.polling.cursor import ConnectionState, Window, WindowKind
from orderwatch.polling.policy import Policy
from orderwatch.records import Extract, StoredOrder, _product_id
from orderwatch.trackstar.orders import LineItem, Order, OrderPage, Version, VersionClock


class Reason(StrEnum):
    """Why an observed order is written and alerted, or not."""

    FIRST_SEEN = "first seen"
    BASELINE = "recorded by the baseline"
    BEFORE_WATCH = "older than the watch"
    STATUS_CHANGED = "status changed"
    SAME_STATUS = "new version of the same status"
    DEADLINE = "a deadline of the same version"
    GONE = "no longer in Trackstar's copy"
    UNCHANGED = "unchanged"
    STALE = "stale version"


SUPPRESSED_REASONS = frozenset({Reason.BASELINE, Reason.BEFORE_WATCH})
END_OF_TIME = datetime.max.replace(tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Observation:
    """What one page showed, and in which circumstances it was read.

    Attributes:
        connection: The connection that was read.
        observed_at: The vendor's clock when the page was read.
        window: Why it was read: a baseline records in silence (rule 8).
        watch_started_at: The vendor's clock when the baseline began, None before there was one.
        data_as_of: The end of the vendor's last sync of the connection's orders.
        suppression: Deadlines that had passed when the watch of them began.
        watermark: Up to when the shop's data reach, where deadlines are told; None: they are only armed.
        orders: The newest record of each order of the page, by its id.
    """

    connection: AlertConnection
    observed_at: datetime
    window: WindowKind
    watch_started_at: datetime | None
    data_as_of: datetime | None
    suppression: Suppression | None = None
    watermark: datetime | None = None
    orders: Mapping[str, Order] = field(default_factory=dict)

    @classmethod
    def of(
        cls,
        page: OrderPage,
        state: ConnectionState,
        window: Window,
        connection: AlertConnection,
        *,
        now: datetime,
        policy: Policy,
    ) -> Self:
        """What a page of a window showed by now, the vendor's clock."""
        return cls(
            connection=connection,
            observed_at=now,
            window=window.kind,
            watch_started_at=state.watch_started_at,
            data_as_of=state.data_as_of,
            suppression=suppression_for(state, policy, now=window.until),
            orders=newest_of_each(page.orders),
        )


def suppression_for(state: ConnectionState, policy: Policy, *, now: datetime) -> Suppression:
    """What of a connection's deadlines is not told.

    Args:
        state: The connection's row.
        policy: What is watched.
        now: When the reading began, for deadlines that are not recorded yet.
    """
    if state.deadlines_since is None or state.deadline_rules != policy.deadline_rules:
        return Suppression(now, is_recording=True)
    return Suppression(state.deadlines_since, is_recording=False)


def newest_of_each(orders: Iterable[Order]) -> dict[str, Order]:
    """One record an order: a page may hold one twice, and only the one dated newest counts.

    The dates are taken as they stand, also where the vendor's clock was set back behind them.
    """
    newest: dict[str, Order] = {}
    for order in orders:
        known = newest.get(order.id)
        if known is None or not order.version(END_OF_TIME).is_older_than(known.version(END_OF_TIME)):
            newest[order.id] = order
    return newest


@dataclass(frozen=True, slots=True)
class OrderWrite:
    """One order's row to write, with the alert that stands or falls with it.

    Attributes:
        order_id: The order.
        expected: The row that was read and must still be there; None: there must be none.
        stored: The row to write.
        alert: The alert about its status to put beside it, None where there is nothing to alert about.
        reason: Why.
        deadline_alert: The alert about a deadline that passed.
    """

    order_id: str
    expected: StoredOrder | None
    stored: StoredOrder
    alert: Alert | None
    reason: Reason
    deadline_alert: Alert | None = None

    @property
    def alerts(self) -> tuple[Alert, ...]:
        """All that stands or falls with the row."""
        return tuple(alert for alert in (self.alert, self.deadline_alert) if alert)


def reason_for(order: Order, stored: StoredOrder | None, *, observation: Observation, policy: Policy) -> Reason:
    """What an observed order is to us, and so whether it is written and alerted."""
    if stored is None:
        return _reason_for_unknown(order, observation=observation, policy=policy)
    version = version_of(order, stored, observation)
    if version.is_older_than(stored.version):
        return Reason.STALE
    if order.status != stored.status:
        return Reason.STATUS_CHANGED
    same_version = version == stored.version or version.clock is VersionClock.OBSERVED
    return Reason.UNCHANGED if same_version and order.raw_status == stored.raw_status else Reason.SAME_STATUS


def version_of(order: Order, stored: StoredOrder | None, observation: Observation) -> Version:
    """Which version is observed: what was believed once is no future, also where the vendor's clock was set back."""
    past = observation.observed_at
    return order.version(max(past, stored.version.at) if stored else past)


def _reason_for_unknown(order: Order, *, observation: Observation, policy: Policy) -> Reason:
    if observation.window is WindowKind.BASELINE:
        return Reason.BASELINE
    if policy.baseline_days == 0 or observation.watch_started_at is None:
        return Reason.FIRST_SEEN
    had_since = order.details.first_seen_by_trackstar
    return Reason.BEFORE_WATCH if had_since and had_since <= observation.watch_started_at else Reason.FIRST_SEEN


def snapshot(
    order: Order,
    *,
    previous_status: str | None,
    previous_status_since: datetime | None,
    status_since: datetime,
    updated_at: datetime,
    seen_at: datetime,
) -> AlertOrder:
    """The order as an alert shows it.

    Args:
        order: As it was observed.
        previous_status: What it was in before, where it moved.
        previous_status_since: When it came into that.
        status_since: When it came into the status that it is in.
        updated_at: When the copy changed that shows it.
        seen_at: When it was observed, by the vendor's clock.
    """
    details = order.details
    lines = details.line_items[:MAX_LINE_ITEMS]
    return AlertOrder(
        id=order.id,
        number=order.number,
        url=details.external_system_url,
        status=order.status,
        previous_status=previous_status,
        previous_status_since=previous_status_since,
        status_since=status_since,
        raw_status=order.raw_status,
        created_at=details.created_date,
        updated_at=updated_at,
        seen_at=seen_at,
        currency=details.invoice_currency_code,
        total_price=details.total_price,
        total_tax=details.total_tax,
        total_discount=details.total_discount,
        total_shipping=details.total_shipping,
        ship_by=order.latest_ship_date,
        shipments=details.shipments,
        line_items=tuple(_line(item) for item in lines),
        more_line_items=len(details.line_items) - len(lines),
    )


def _line(item: LineItem) -> AlertLineItem:
    return AlertLineItem(
        sku=item.product_sku, quantity=item.quantity, unit_price=item.unit_price, product_id=_product_id(item)
    )


def decide(
    order: Order, stored: StoredOrder | None, *, observation: Observation, policy: Policy
) -> OrderWrite | Reason:
    """The write that an observed order asks for, or why it asks for none."""
    reason = reason_for(order, stored, observation=observation, policy=policy)
    if reason is Reason.STALE:
        return reason
    seen = _Seen(order, stored, reason, observation, policy)
    deadline_change = _judge(seen)
    if reason is Reason.UNCHANGED and stored and stored.deadline_state == deadline_change.deadline_state:
        return reason
    return _write(seen, deadline_change)


class _Seen(NamedTuple):
    """An order that was seen, and all that a decision about it rests on."""

    order: Order
    stored: StoredOrder | None
    reason: Reason
    observation: Observation
    policy: Policy

    @property
    def same(self) -> StoredOrder | None:
        """Its row, where that shows the same status; None where the order moved."""
        return self.stored if self.stored and self.stored.status == self.order.status else None

    @property
    def version(self) -> Version:
        return version_of(self.order, self.stored, self.observation)

    @property
    def status_since(self) -> datetime:
        return self.same.status_since if self.same else self.version.at

    @property
    def is_open(self) -> bool:
        return self.order.status in OPEN_STATUSES


def _judge(seen: _Seen) -> DeadlineChange:
    observation = seen.observation
    # An order that is older than the watch is recorded as it is, whatever passed before it was seen (rule 8).
    is_old = seen.reason is Reason.BEFORE_WATCH
    return evaluate(
        seen.stored.deadline_state if seen.stored else NO_DEADLINE,
        seen.policy.deadlines,
        status=seen.order.status,
        ship_by=seen.order.latest_ship_date,
        since=seen.status_since,
        suppression=Suppression(observation.observed_at, is_recording=True) if is_old else observation.suppression,
        watermark=observation.watermark,
    )


def _write(seen: _Seen, deadline_change: DeadlineChange) -> OrderWrite:
    order, stored, same = seen.order, seen.stored, seen.same
    alert = None if seen.reason in SUPPRESSED_REASONS else _alert_of(seen, deadline_change)
    late = _deadline_alert(seen, deadline_change)
    deadline_state = alerted(deadline_change.deadline_state, late.alert_id) if late else deadline_change.deadline_state
    needs_attention = seen.policy.needs_attention(order.status, deadline_state)
    # A summary tells of these alone: to keep what every open order is of would cost a poll four times its time.
    is_listed = needs_attention or (seen.is_open and deadline_state.passed is not None)
    after = StoredOrder(
        status=order.status,
        raw_status=order.raw_status,
        version=seen.version,
        status_since=seen.status_since,
        order_number=order.number,
        needs_attention=needs_attention,
        changes=same.changes if same else _changes_after(stored),
        status_alert_id=same.status_alert_id
        if same
        else alert.alert_id
        if alert and seen.policy.watches(order.status)
        else None,
        ship_by=order.latest_ship_date,
        deadline_state=deadline_state,
        extract=Extract.of(order.details).to_json() if is_listed else None,
    )
    reason = Reason.DEADLINE if seen.reason is Reason.UNCHANGED else seen.reason
    return OrderWrite(order.id, expected=stored, stored=after, alert=alert, reason=reason, deadline_alert=late)


def _changes_after(stored: StoredOrder | None) -> int:
    return stored.changes + 1 if stored else 1


def _alert_of(seen: _Seen, deadline_change: DeadlineChange) -> Alert | None:
    """The alert that a transition asks for, or that a deadline which was told no longer holds.

    A transition's id is made of connection, order, status, version and the number of statuses seen before: dates may
    stand still while the order goes into trouble again, and the same one decided again has the same id (rule 2).
    """
    kind = _kind_of(seen, deadline_change)
    if kind is None:
        return None
    shown, connection = _snapshot(seen), seen.observation.connection
    return Alert(
        alert_id=_identity(seen, deadline_change),
        kind=kind,
        severity=severity_of(kind),
        connection_id=connection.id,
        connection=connection,
        order=shown,
        detail=_end_of_deadline(seen, deadline_change, shown) if kind == KIND_RECOVERED else None,
        data_as_of=seen.observation.data_as_of,
    )


def _identity(seen: _Seen, deadline_change: DeadlineChange) -> str:
    order, connection_id = seen.order, seen.observation.connection.id
    if seen.same and deadline_change.over:
        return resolved_id(connection_id, order.id, deadline_change.over)
    changes = _changes_after(seen.stored)
    return alert_id(connection_id, order.id, order.status, seen.version.at.isoformat(), str(changes))


def _end_of_deadline(seen: _Seen, deadline_change: DeadlineChange, shown: AlertOrder) -> str | None:
    return describe_resolved(deadline_change.over, order=shown, is_open=seen.is_open) if deadline_change.over else None


def _deadline_alert(seen: _Seen, deadline_change: DeadlineChange) -> Alert | None:
    rules = seen.policy.deadlines
    if deadline_change.passed is None or rules is None:
        return None
    return deadline_alert(
        deadline_change.passed,
        order=_snapshot(seen),
        rules=rules,
        connection=seen.observation.connection,
        data_as_of=seen.observation.data_as_of,
    )


def _snapshot(seen: _Seen) -> AlertOrder:
    before = None if seen.same else seen.stored
    return snapshot(
        seen.order,
        previous_status=before.status if before else None,
        previous_status_since=before.status_since if before else None,
        status_since=seen.status_since,
        updated_at=seen.version.at,
        seen_at=seen.observation.observed_at,
    )


def _kind_of(seen: _Seen, deadline_change: DeadlineChange) -> str | None:
    if not seen.same and seen.policy.watches(seen.order.status):
        return f"order.{seen.order.status}"
    # Nobody heard of a problem that was never alerted (a baseline's, say): its end is no news.
    left = seen.stored is not None and not seen.same and seen.stored.status_alert_id is not None
    return KIND_RECOVERED if seen.policy.notify_recovered and (left or deadline_change.over) else None
