"""Rules about owners, reminders and links (rule 24) and quiet hours (rule 12) broken on purpose, one at a time."""

from collections.abc import Callable
from copy import replace
from datetime import UTC, datetime
from typing import Any

import pytest
from pydantic import SecretStr

from orderwatch.action_links import OrderKey, verify
from orderwatch.actions import _fingerprint, _Visit
from orderwatch.alerts.kinds import KIND_REMINDER
from orderwatch.aws.alert_table import AlertTable
from orderwatch.aws.order_table import OrderTable
from orderwatch.deadlines.rules import DeadlineRules
from orderwatch.ownership import Ownership
from orderwatch.polling.detect import OrderWrite
from orderwatch.quiet_hours import QuietHours
from orderwatch.records import StoredOrder
from tests.simulation.deadline_mutations import change_rules
from tests.simulation.mutations import change_writes, mutation

_next_reminder = DeadlineRules.next_reminder
_set_ownership = OrderTable.set_ownership


def _change_owned(patch: pytest.MonkeyPatch, change: Callable[[OrderWrite, StoredOrder], OrderWrite]) -> None:
    """Change what a poll writes of an order that needed attention."""

    def of_owned(write: OrderWrite) -> OrderWrite:
        needed = write.expected is not None and write.expected.needs_attention
        return change(write, write.expected) if write.expected and needed else write

    change_writes(patch, of_owned)


# Owners


@mutation
def owners_stay_after_the_end(patch: pytest.MonkeyPatch) -> None:
    _change_owned(
        patch,
        lambda write, before: replace(write, stored=replace(write.stored, ownership=before.ownership)),
    )


@mutation
def owners_lost_by_polls(patch: pytest.MonkeyPatch) -> None:
    _change_owned(patch, lambda write, before: replace(write, stored=replace(write.stored, ownership=None)))


@mutation
def acts_of_two_people_overwrite_each_other(patch: pytest.MonkeyPatch) -> None:
    def set_ownership(
        self: OrderTable, connection_id: str, order_id: str, after: StoredOrder, *, expected: StoredOrder
    ) -> bool:
        current = self.read(connection_id, [order_id]).get(order_id, expected)
        return _set_ownership(self, connection_id, order_id, after, expected=current)

    patch.setattr(OrderTable, "set_ownership", set_ownership)


# Reminders


@mutation
def reminded_after_the_end(patch: pytest.MonkeyPatch) -> None:
    def change(write: OrderWrite, before: StoredOrder) -> OrderWrite:
        if write.stored.needs_attention or not write.alert or not before.deadline_state.reminder_at:
            return write
        changes = {"kind": KIND_REMINDER, "alert_id": f"last-{write.alert.alert_id}"}
        return replace(write, reminder_alert=write.alert.model_copy(update=changes))

    _change_owned(patch, change)


@mutation
def one_reminder_too_many(patch: pytest.MonkeyPatch) -> None:
    change_rules(patch, lambda rules: replace(rules, max_reminders=rules.max_reminders + 1))


@mutation
def reminded_by_the_hours_of_a_clock(patch: pytest.MonkeyPatch) -> None:
    every_day = frozenset(range(7))
    change_rules(
        patch, lambda rules: rules if rules.stuck_days else replace(rules, working_days=every_day, holidays=frozenset())
    )


@mutation
def taken_orders_reminded_about_as_others(patch: pytest.MonkeyPatch) -> None:
    def next_reminder(self: DeadlineRules, ownership: Ownership | None, *, after: datetime) -> datetime | None:
        is_snoozed = ownership is not None and ownership.snoozed_until is not None
        return _next_reminder(self, ownership if is_snoozed else None, after=after)

    patch.setattr(DeadlineRules, "next_reminder", next_reminder)


@mutation
def snoozes_forgotten(patch: pytest.MonkeyPatch) -> None:
    def change(write: OrderWrite, before: StoredOrder) -> OrderWrite:
        owned = write.stored.ownership
        if owned is None or owned.snoozed_until is None:
            return write
        return replace(write, stored=replace(write.stored, ownership=replace(owned, snoozed_until=None)))

    _change_owned(patch, change)


@mutation
def reminders_lost(patch: pytest.MonkeyPatch) -> None:
    _change_owned(patch, lambda write, before: replace(write, reminder_alert=None))


# Links


@mutation
def opening_a_link_acts(patch: pytest.MonkeyPatch) -> None:
    def show(self: _Visit) -> Any:
        row = self.orders.read(self.order.connection_id, [self.order.order_id]).get(self.order.order_id)
        return self.post(f"do=take&name=scanner&seen={_fingerprint(row)}" if row else "")

    patch.setattr(_Visit, "show", show)


@mutation
def links_work_for_ever(patch: pytest.MonkeyPatch) -> None:
    def verified(token: str, key: SecretStr, *, at: datetime) -> OrderKey:
        return verify(token, key, at=datetime.min.replace(tzinfo=UTC))

    patch.setattr("orderwatch.actions.verify", verified)


@mutation
def pages_act_on_what_they_never_showed(patch: pytest.MonkeyPatch) -> None:
    patch.setattr("orderwatch.actions._fingerprint", lambda row: "same")


# Quiet hours


@mutation
def held_alerts_lost(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(AlertTable, "held", lambda self: {})


@mutation
def held_alerts_sent_at_once(patch: pytest.MonkeyPatch) -> None:
    patch.setattr("orderwatch.aws.alert_table._is_due", lambda row, now: True)


@mutation
def quiet_hours_without_the_day_before(patch: pytest.MonkeyPatch) -> None:
    end_of = QuietHours.end_of

    def today_only(self: QuietHours, moment: datetime) -> datetime | None:
        return end_of(self, moment) if moment.astimezone(self.zone).time() >= self.start else None

    patch.setattr(QuietHours, "end_of", today_only)


@mutation
def critical_alerts_wait(patch: pytest.MonkeyPatch) -> None:
    def deliver_after(alerts: Any, before: Any, quiet_hours: QuietHours | None, *, now: datetime) -> datetime | None:
        return quiet_hours.end_of(now) if quiet_hours and alerts else None

    patch.setattr("orderwatch.aws.poll_store.deliver_after", deliver_after)
