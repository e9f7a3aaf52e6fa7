"""From an observed order to its row and its alerts. Pure functions.

An order is alerted if its observed status is watched and differs from the stored one. A deadline that passed, and a
reminder that is due, is alerted if the observation has a watermark (rules 19 and 24), and stock that is back if it has
a `Restock` (rule 23). The row and its
alerts are one `OrderWrite`, which is written atomically.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum
from itertools import islice
from typing import NamedTuple, Self

from orderwatch.alerts.alert import Alert, alert_id
from orderwatch.alerts.kinds import KIND_RECOVERED, severity_of
from orderwatch.alerts.parts import (
    MAX_LINE_ITEMS,
    MAX_SHIPMENTS,
    MAX_URL,
    AlertConnection,
    AlertLineItem,
    AlertOrder,
    AlertShipment,
)
from orderwatch.deadlines.alerts import Problem, deadline_alert, describe_resolved, reminder_alert, resolved_id
from orderwatch.deadlines.rules import NO_DEADLINE, PROBLEM_KINDS, DeadlineChange, Suppression, evaluate, remind
from orderwatch.ownership import Ownership
from orderwatch.polling.restock_alert import Restock, restock_alert
from orderwatch.reading.policy import Policy
from orderwatch.reading.window import Window, WindowKind
from orderwatch.records import READINGS_TO_BELIEVE, ConnectionState, Extract, StoredOrder, stored_id
from orderwatch.statuses import OPEN_STATUSES
from orderwatch.trackstar.orders import Order, OrderDetails, OrderPage, Version, VersionClock
from orderwatch.trackstar.shipments import warehouses_of_lines

END_OF_TIME = datetime.max.replace(tzinfo=UTC)


class Reason(StrEnum):
    """Why an observed order is written and alerted, or not."""

    FIRST_SEEN = "first seen"
    BASELINE = "recorded by the baseline"
    BEFORE_WATCH = "older than the watch"
    STATUS_CHANGED = "status changed"
    SAME_STATUS = "new version of the same status"
    OLDER_COPY = "older copy that may be current"
    STATE = "same version, other deadline, reminder, attention, stock or count of older copies"
    GONE = "gone from Trackstar"
    UNCHANGED = "unchanged"
    STALE = "stale version"


SUPPRESSED_REASONS = frozenset({Reason.BASELINE, Reason.BEFORE_WATCH})
"""Orders that are recorded and not alerted (rule 8)."""


@dataclass(frozen=True, slots=True)
class Observation:
    """What one page or list showed, and the circumstances in which it was read.

    Attributes:
        connection: The connection, as alerts show it.
        observed_at: The vendor's clock when the page was read.
        window: Why it was read.
        watch_started_at: The vendor's clock when the baseline began; None before the baseline.
        data_as_of: The end of the last sync of the connection's orders.
        suppression: The deadlines that are not alerted.
        watermark: Up to when the shop's data are complete; None: deadlines are scheduled and not alerted.
        reading: When the poll was requested, which tells readings apart.
        restock: What a look at the stock found; None: there was none.
        orders: The newest record of each order of the page, by id.
    """

    connection: AlertConnection
    observed_at: datetime
    window: WindowKind
    watch_started_at: datetime | None
    data_as_of: datetime | None
    suppression: Suppression | None = None
    watermark: datetime | None = None
    reading: datetime = END_OF_TIME
    restock: Restock | None = None
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
        reading: datetime,
    ) -> Self:
        """The observation of a page of a window; `now` is the vendor's clock, `reading` when the poll was requested."""
        return cls(
            connection=connection,
            observed_at=now,
            window=window.kind,
            watch_started_at=state.cursor.watch_started_at,
            data_as_of=state.syncs.last_end,
            suppression=suppression_for(state, policy, now=window.until),
            reading=reading,
            orders=newest_of_each(page.orders),
        )

    @classmethod
    def by_id(
        cls,
        orders: Iterable[Order],
        state: ConnectionState,
        connection: AlertConnection,
        *,
        window: WindowKind,
        now: datetime,
        policy: Policy,
        reading: datetime,
        watermark: datetime | None = None,
        restock: Restock | None = None,
    ) -> Self:
        """The observation of orders that were read again by their ids; the arguments are as for `of`."""
        return cls(
            connection=connection,
            observed_at=now,
            window=window,
            watch_started_at=state.cursor.watch_started_at,
            data_as_of=state.syncs.last_end,
            suppression=suppression_for(state, policy, now=now),
            watermark=watermark,
            reading=reading,
            restock=restock,
            orders=newest_of_each(orders),
        )


def suppression_for(state: ConnectionState, policy: Policy, *, now: datetime) -> Suppression:
    """The deadlines of a connection that are not alerted; `now` is when the reading began, by the vendor's clock."""
    deadlines = state.cursor.deadlines
    if deadlines.since is None or deadlines.rules != policy.deadline_rules:
        return Suppression(now, is_recording=True)
    return Suppression(deadlines.since, is_recording=False)


def newest_of_each(orders: Iterable[Order]) -> dict[str, Order]:
    """The newest record of each order, as a page can show an order twice.

    Dates in the future are compared as they are: the vendor's clock may have been set back.
    """
    newest: dict[str, Order] = {}
    for order in orders:
        known = newest.get(order.id)
        if known is None or not order.is_older_than(known):
            newest[order.id] = order
    return newest


class OrderWrite(NamedTuple):
    """An order's row to write, with the alerts that are written atomically with it. A tuple, as the row is.

    Attributes:
        order_id: The order.
        expected: The row that was read, which the write replaces; None: no row may exist.
        stored: The row to write.
        alert: The alert about the order's status, if any.
        reason: Why the row is written.
        deadline_alert: The alert about a deadline that passed, if any.
        restock_alert: The alert about stock that is back, if any.
        reminder_alert: The reminder, if one is due.
    """

    order_id: str
    expected: StoredOrder | None
    stored: StoredOrder
    alert: Alert | None
    reason: Reason
    deadline_alert: Alert | None = None
    restock_alert: Alert | None = None
    reminder_alert: Alert | None = None

    @property
    def alerts(self) -> tuple[Alert, ...]:
        """The alerts that are written with the row."""
        alerts = (self.alert, self.deadline_alert, self.restock_alert, self.reminder_alert)
        return tuple(filter(None, alerts)) if any(alerts) else ()


def detect(
    order: Order, stored: StoredOrder | None, *, observation: Observation, policy: Policy
) -> OrderWrite | Reason:
    """The write that an observed order requires, or the reason why it requires none."""
    if stored and is_settled(order, stored, observation=observation, policy=policy):
        return Reason.UNCHANGED
    version = version_of(order, stored, observation)
    reason = reason_for(order, stored, version, observation=observation, policy=policy)
    if reason is Reason.OLDER_COPY and stored:
        counted = stored.with_older_copy(order.status, observation.reading)
        if counted.older_copy and counted.older_copy.readings < READINGS_TO_BELIEVE:
            return OrderWrite(order.id, expected=stored, stored=counted, alert=None, reason=reason)
        reason = Reason.SAME_STATUS if order.status == stored.status else Reason.STATUS_CHANGED
    if reason is Reason.STALE:
        return _without_older_copy(order, stored, observation) or reason
    same = stored if stored and stored.status == order.status else None
    evaluation = Evaluation(order, stored, same, version, reason, observation, policy)
    change = evaluation.deadline_change()
    if reason is Reason.UNCHANGED and stored and evaluation.leaves(stored, change):
        return reason
    return evaluation.write(change)


def reason_for(
    order: Order, stored: StoredOrder | None, version: Version, *, observation: Observation, policy: Policy
) -> Reason:
    """How an observed order, in this version, compares with its row."""
    if stored is None:
        return _reason_for_unknown(order, observation=observation, policy=policy)
    if version.is_older_than(stored.version):
        is_counted = stored.is_counted(observation.reading) or not _matters(order, stored, observation)
        return Reason.STALE if is_counted else Reason.OLDER_COPY
    if order.status != stored.status:
        return Reason.STATUS_CHANGED
    same_version = version == stored.version or version.clock is VersionClock.OBSERVED
    return Reason.UNCHANGED if same_version and order.raw_status == stored.raw_status else Reason.SAME_STATUS


def is_settled(order: Order, stored: StoredOrder, *, observation: Observation, policy: Policy) -> bool:
    """Whether an order is as its row shows it and would leave the row as it is, so that it need not be evaluated.

    Without a watermark, deadlines depend only on the rules of the shop, the ship-by, and the status and its begin. If
    the row was written by the same rules, its deadlines are those that an evaluation would give. What else can change a
    row (reminders, stock, older copies, a change of the watched statuses) is evaluated.
    """
    return (
        order.status == stored.status
        and order.is_of(stored.version)
        and order.raw_status == stored.raw_status
        and stored.deadline_rules is not None
        and stored.deadline_rules == policy.deadline_rules
        and order.latest_ship_date == stored.ship_by
        and observation.watermark is None
        and observation.restock is None
        and stored.older_copy is None
        and not stored.needs_attention
        and not policy.watches(order.status)
    )


def _without_older_copy(order: Order, stored: StoredOrder | None, observation: Observation) -> OrderWrite | None:
    """The end of a row of readings that showed an older copy: this one showed the order as it is stored."""
    if stored is None or stored.older_copy is None or stored.is_counted(observation.reading):
        return None
    return OrderWrite(order.id, stored, stored._replace(older_copy=None), alert=None, reason=Reason.STATE)


def _matters(order: Order, stored: StoredOrder, observation: Observation) -> bool:
    """Whether an older copy would change something: the status, the ship-by, or a deadline or reminder that is due."""
    if (order.status, order.latest_ship_date) != (stored.status, stored.ship_by):
        return True
    due_at, watermark = stored.deadline_state.due_at, observation.watermark
    return due_at is not None and watermark is not None and due_at <= watermark


def version_of(order: Order, stored: StoredOrder | None, observation: Observation) -> Version:
    """The observed version. A date is not in the future if it was stored before: the vendor's clock can go back."""
    observed_at = observation.observed_at
    return order.version(stored.version.at if stored and stored.version.at > observed_at else observed_at)


def _reason_for_unknown(order: Order, *, observation: Observation, policy: Policy) -> Reason:
    if observation.window is WindowKind.BASELINE:
        return Reason.BASELINE
    if policy.baseline_days == 0 or observation.watch_started_at is None:
        return Reason.FIRST_SEEN
    first_seen = order.details.first_seen_by_trackstar
    return Reason.BEFORE_WATCH if first_seen and first_seen <= observation.watch_started_at else Reason.FIRST_SEEN


class Evaluation(NamedTuple):
    """An observed order and what its write depends on; a tuple, since a poll builds one for each order.

    Attributes:
        order: The order.
        stored: Its row; None: it has none.
        same: Its row if that shows the same status.
        version: The observed version.
        reason: How the order compares with its row.
        observation: The circumstances.
        policy: What is watched.
    """

    order: Order
    stored: StoredOrder | None
    same: StoredOrder | None
    version: Version
    reason: Reason
    observation: Observation
    policy: Policy

    @property
    def status_since(self) -> datetime:
        """When the status began: the date of the first version that showed it.

        Trackstar dates every order by its first sync of the shop; the shop's own date of an order seen first then is
        earlier, and the order has not changed since.
        """
        if self.same:
            return self.same.status_since
        changed_at = self.order.updated_date
        return min(changed_at, self.version.at) if changed_at and self.stored is None else self.version.at

    @property
    def changes(self) -> int:
        """Number of consecutive statuses seen, the observed one included."""
        if self.same:
            return self.same.changes
        return self.stored.changes + 1 if self.stored else 1

    @property
    def is_open(self) -> bool:
        """Whether something is still to be shipped."""
        return self.order.status in OPEN_STATUSES

    @property
    def restocked_at(self) -> datetime | None:
        """The end of the products' sync that showed the stock of this backorder to be back (rule 23)."""
        restock = self.observation.restock
        if self.same and self.same.restocked_at is None and restock and restock.covers(self.order, at=self.version.at):
            return restock.synced_until
        return self.same.restocked_at if self.same else None

    def leaves(self, stored: StoredOrder, change: DeadlineChange) -> bool:
        """Whether an unchanged version leaves the row as it is."""
        needs_attention = self.policy.needs_attention(self.order.status, change.state)
        after = (change.state, needs_attention, self.restocked_at, None)
        return after == (stored.deadline_state, stored.needs_attention, stored.restocked_at, stored.older_copy)

    def deadline_change(self) -> DeadlineChange:
        """The change of the order's deadlines and reminders."""
        suppression = self.observation.suppression
        if self.reason is Reason.BEFORE_WATCH:  # nothing that passed before is alerted (rule 8)
            suppression = Suppression(self.observation.observed_at, is_recording=True)
        change = evaluate(
            self.stored.deadline_state if self.stored else NO_DEADLINE,
            self.policy.deadlines,
            status=self.order.status,
            ship_by=self.order.latest_ship_date,
            since=self.status_since,
            suppression=suppression,
            watermark=self.observation.watermark,
        )
        return self._with_reminder(change, suppression)

    def _with_reminder(self, change: DeadlineChange, suppression: Suppression | None) -> DeadlineChange:
        """The change with what becomes of the order's reminders; an order that needs no attention has none."""
        rules, same = self.policy.deadlines, self.same
        if rules is None or not self.policy.needs_attention(self.order.status, change.state):
            return change
        recorded = suppression if suppression and suppression.is_recording else None
        return remind(
            change,
            same.deadline_state if same and same.needs_attention and not recorded else NO_DEADLINE,
            rules,
            ownership=same.ownership if same else None,
            now=recorded.until if recorded else self.observation.observed_at,
            watermark=self.observation.watermark,
        )

    @property
    def ownership(self) -> Ownership | None:
        """Who works on the order in this status, without a snooze that has ended."""
        known = self.same.ownership if self.same else None
        return known.awake(self.observation.watermark) if known and self.observation.watermark else known

    def write(self, change: DeadlineChange) -> OrderWrite:
        """The order's new row, and its alerts."""
        order, same = self.order, self.same
        alert = None if self.reason in SUPPRESSED_REASONS else self._status_alert(change)
        late, restocked_at = self._deadline_alert(change), self.restocked_at
        deadline_state = change.state.with_alert(late.alert_id) if late else change.state
        needs_attention = self.policy.needs_attention(order.status, deadline_state)
        is_watched = alert and self.policy.watches(order.status)
        # Only these orders are in summaries. An extract of every open order would make a poll four times as slow.
        is_listed = needs_attention or (self.is_open and deadline_state.passed is not None)
        after = StoredOrder(
            status=order.status,
            raw_status=order.raw_status,
            version=self.version,
            status_since=self.status_since,
            order_number=order.number,
            needs_attention=needs_attention,
            changes=self.changes,
            status_alert_id=same.status_alert_id if same else alert.alert_id if alert and is_watched else None,
            ship_by=order.latest_ship_date,
            deadline_state=deadline_state,
            deadline_rules=self.policy.deadline_rules,
            extract=Extract.of(order.details).to_json() if is_listed else None,
            restocked_at=restocked_at,
            ownership=self.ownership if needs_attention else None,
        )
        reason = Reason.STATE if self.reason is Reason.UNCHANGED else self.reason
        is_new = restocked_at is not None and same is not None and same.restocked_at is None
        restocked, reminder = self._restock_alert() if is_new else None, self._reminder_alert(change)
        return OrderWrite(order.id, self.stored, after, alert, reason, late, restocked, reminder)

    def _status_alert(self, change: DeadlineChange) -> Alert | None:
        """The alert about a transition, or about an alerted deadline that is resolved."""
        kind = self._kind(change)
        if kind is None:
            return None
        shown, connection = self._snapshot(), self.observation.connection
        detail = None
        if kind == KIND_RECOVERED and change.resolved:
            detail = describe_resolved(change.resolved, order=shown, is_open=self.is_open)
        return Alert(
            alert_id=self._alert_id(change),
            kind=kind,
            severity=severity_of(kind),
            connection_id=connection.id,
            connection=connection,
            order=shown,
            detail=detail,
            data_as_of=self.observation.data_as_of,
        )

    def _kind(self, change: DeadlineChange) -> str | None:
        if not self.same and self.policy.watches(self.order.status):
            return f"order.{self.order.status}"
        # A problem that was never alerted, such as one in the baseline, gets no recovery alert.
        left = self.stored is not None and not self.same and self.stored.status_alert_id is not None
        return KIND_RECOVERED if self.policy.notify_recovered and (left or change.resolved) else None

    def _alert_id(self, change: DeadlineChange) -> str:
        """The same transition always has the same id (rule 2).

        It contains the number of changes, since a status can change and change back without a new date.
        """
        order, connection_id = self.order, self.observation.connection.id
        if self.same and change.resolved:
            return resolved_id(connection_id, order.id, change.resolved)
        return alert_id(connection_id, order.id, order.status, self.version.at.isoformat(), str(self.changes))

    def _deadline_alert(self, change: DeadlineChange) -> Alert | None:
        rules = self.policy.deadlines
        if change.expired is None or rules is None:
            return None
        return deadline_alert(
            change.expired,
            order=self._snapshot(),
            rules=rules,
            connection=self.observation.connection,
            data_as_of=self.observation.data_as_of,
        )

    def _reminder_alert(self, change: DeadlineChange) -> Alert | None:
        rules, passed = self.policy.deadlines, change.state.passed
        if change.reminder is None or rules is None:
            return None
        is_passed = passed is not None and passed.kind in PROBLEM_KINDS and not self.policy.watches(self.order.status)
        return reminder_alert(
            change.reminder,
            order=self._snapshot(),
            problem=Problem(passed.at, passed.kind) if passed and is_passed else Problem(self.status_since),
            ownership=self.same.ownership if self.same else None,
            rules=rules,
            connection=self.observation.connection,
            data_as_of=self.observation.data_as_of,
        )

    def _restock_alert(self) -> Alert | None:
        restock = self.observation.restock
        if restock is None or restock.is_baseline:
            return None
        return restock_alert(
            restock,
            order=self._snapshot(),
            changes=self.changes,
            connection=self.observation.connection,
            data_as_of=self.observation.data_as_of,
        )

    def _snapshot(self) -> AlertOrder:
        """The order as an alert shows it."""
        order, before = self.order, None if self.same else self.stored
        details = order.details
        lines = alert_lines(details)
        shipments = alert_shipments(details)
        ownership = self._shown_ownership() or Ownership()
        return AlertOrder(
            id=order.id,
            number=order.number,
            url=details.external_system_url,
            status=order.status,
            previous_status=before.status if before else None,
            previous_status_since=before.status_since if before else None,
            status_since=self.status_since,
            raw_status=order.raw_status,
            created_at=details.created_date,
            updated_at=self.version.at,
            seen_at=self.observation.observed_at,
            currency=details.invoice_currency_code,
            total_price=details.total_price,
            total_tax=details.total_tax,
            total_discount=details.total_discount,
            total_shipping=details.total_shipping,
            unreadable=details.unreadable_amounts,
            ship_by=order.latest_ship_date,
            shipping_method=details.shipping_method_name or details.requested_shipping_method,
            carrier=details.carrier_name,
            shipments=shipments[:MAX_SHIPMENTS] if shipments is not None else None,
            more_shipments=max(len(shipments or ()) - MAX_SHIPMENTS, 0),
            unknown_shipments=details.shipped_units.unknown,
            line_items=lines,
            more_line_items=len(details.line_items) - len(lines),
            owner=ownership.owner,
            taken_at=ownership.taken_at,
            snoozed_until=ownership.snoozed_until,
            note=ownership.note,
        )

    def _shown_ownership(self) -> Ownership | None:
        """Who works on the order, or worked on it until it left the problem. A new problem begins without an owner."""
        if self.same or self.stored is None or self.policy.needs_attention(self.order.status):
            return self.ownership
        return self.stored.ownership


def alert_lines(details: OrderDetails) -> tuple[AlertLineItem, ...]:
    """The first order lines, with what has left of each and the warehouse that will ship it."""
    lines = details.line_items
    shipped, warehouses = details.shipped_units.by_line, warehouses_of_lines(lines, details.shipping_groups)
    return tuple(
        AlertLineItem(
            sku=line.product_sku,
            quantity=line.quantity,
            shipped=units,
            unit_price=line.unit_price,
            product_id=stored_id(line.product_id),
            warehouse=stored_id(warehouse),
        )
        for line, units, warehouse in islice(zip(lines, shipped, warehouses, strict=True), MAX_LINE_ITEMS)
    )


def alert_shipments(details: OrderDetails) -> tuple[AlertShipment, ...] | None:
    """The shipments that have left; None if unknown."""
    if details.left is None:
        return None
    return tuple(
        AlertShipment(
            carrier=each.carrier,
            tracking_number=each.tracking_number,
            tracking_url=each.tracking_url if each.tracking_url and len(each.tracking_url) <= MAX_URL else None,
            status=each.status or each.raw_status,
            warehouse=stored_id(each.warehouse_id),
        )
        for each in details.left
    )
