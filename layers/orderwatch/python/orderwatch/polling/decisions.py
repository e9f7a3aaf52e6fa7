"""What an observed order asks for: the row to write, and the alerts beside it. Pure rules.

A status that changed is alerted as `transitions` says; a deadline that passed is alerted where the observation tells of
deadlines (rule 19). Both stand in one write, so that neither is ever told without being remembered.
"""

from datetime import datetime
from typing import NamedTuple

from orderwatch.alerts.alert import Alert, alert_id
from orderwatch.alerts.kinds import KIND_RECOVERED, severity_of
from orderwatch.alerts.parts import AlertOrder
from orderwatch.deadlines.notices import deadline_alert, over_id, over_in_words
from orderwatch.deadlines.rules import NO_DEADLINE, OPEN_STATUSES, Judgement, Silence, judge, told
from orderwatch.polling.snapshot import Extract, snapshot
from orderwatch.polling.transitions import (
    SILENT,
    Observation,
    OrderWrite,
    Policy,
    Reason,
    StoredOrder,
    reason_for,
    version_of,
)
from orderwatch.trackstar.orders import Order, Version


def decide(
    order: Order, stored: StoredOrder | None, *, observation: Observation, policy: Policy
) -> OrderWrite | Reason:
    """The write that an observed order asks for, or why it asks for none."""
    reason = reason_for(order, stored, observation=observation, policy=policy)
    if reason is Reason.STALE:
        return reason
    seen = _Seen(order, stored, reason, observation, policy)
    judged = _judge(seen)
    if reason is Reason.UNCHANGED and stored and stored.standing == judged.standing:
        return reason
    return _write(seen, judged)


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


def _judge(seen: _Seen) -> Judgement:
    observation = seen.observation
    # An order that is older than the watch is recorded as it is, whatever passed before it was seen (rule 8).
    is_old = seen.reason is Reason.BEFORE_WATCH
    return judge(
        seen.stored.standing if seen.stored else NO_DEADLINE,
        seen.policy.deadlines,
        status=seen.order.status,
        ship_by=seen.order.latest_ship_date,
        since=seen.status_since,
        silence=Silence(observation.observed_at, is_recording=True) if is_old else observation.silence,
        known_until=observation.known_until,
    )


def _write(seen: _Seen, judged: Judgement) -> OrderWrite:
    order, stored, same = seen.order, seen.stored, seen.same
    alert = None if seen.reason in SILENT else _alert_of(seen, judged)
    late = _deadline_alert(seen, judged)
    standing = told(judged.standing, late.alert_id) if late else judged.standing
    waits = seen.policy.waits(order.status, standing)
    # A summary tells of these alone: to keep what every open order is of would cost a poll four times its time.
    is_listed = waits or (seen.is_open and standing.passed is not None)
    after = StoredOrder(
        status=order.status,
        raw_status=order.raw_status,
        version=seen.version,
        status_since=seen.status_since,
        order_number=order.number,
        waits=waits,
        changes=same.changes if same else _changes_after(stored),
        alerted_by=same.alerted_by if same else alert.alert_id if alert and seen.policy.watches(order.status) else None,
        ship_by=order.latest_ship_date,
        standing=standing,
        extract=Extract.of(order.details).saved() if is_listed else None,
    )
    reason = Reason.DEADLINE if seen.reason is Reason.UNCHANGED else seen.reason
    return OrderWrite(order.id, expected=stored, stored=after, alert=alert, reason=reason, deadline_alert=late)


def _changes_after(stored: StoredOrder | None) -> int:
    return stored.changes + 1 if stored else 1


def _alert_of(seen: _Seen, judged: Judgement) -> Alert | None:
    """The alert that a transition asks for, or that a deadline which was told no longer holds.

    A transition's id is made of connection, order, status, version and the number of statuses seen before: dates may
    stand still while the order goes into trouble again, and the same one decided again has the same id (rule 2).
    """
    kind = _kind_of(seen, judged)
    if kind is None:
        return None
    shown, connection = _snapshot(seen), seen.observation.connection
    return Alert(
        alert_id=_identity(seen, judged),
        kind=kind,
        severity=severity_of(kind),
        connection_id=connection.id,
        connection=connection,
        order=shown,
        detail=_end_of_deadline(seen, judged, shown) if kind == KIND_RECOVERED else None,
        data_as_of=seen.observation.data_as_of,
    )


def _identity(seen: _Seen, judged: Judgement) -> str:
    order, connection_id = seen.order, seen.observation.connection.id
    if seen.same and judged.over:
        return over_id(connection_id, order.id, judged.over)
    changes = _changes_after(seen.stored)
    return alert_id(connection_id, order.id, order.status, seen.version.at.isoformat(), str(changes))


def _end_of_deadline(seen: _Seen, judged: Judgement, shown: AlertOrder) -> str | None:
    return over_in_words(judged.over, order=shown, is_open=seen.is_open) if judged.over else None


def _deadline_alert(seen: _Seen, judged: Judgement) -> Alert | None:
    rules = seen.policy.deadlines
    if judged.passed is None or rules is None:
        return None
    return deadline_alert(
        judged.passed,
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


def _kind_of(seen: _Seen, judged: Judgement) -> str | None:
    if not seen.same and seen.policy.watches(seen.order.status):
        return f"order.{seen.order.status}"
    # Nobody heard of a problem that was never alerted (a baseline's, say): its end is no news.
    left = seen.stored is not None and not seen.same and seen.stored.alerted_by is not None
    return KIND_RECOVERED if seen.policy.notify_recovered and (left or judged.over) else None
