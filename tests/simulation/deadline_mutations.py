"""Rules about deadlines (rule 19) and dates (rule 21) broken on purpose, one at a time."""

from collections.abc import Callable
from copy import replace
from datetime import UTC, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from orderwatch.aws.poll_store import PollStore
from orderwatch.deadlines.rules import Deadline, DeadlineRules, Suppression
from orderwatch.polling.detect import Observation, OrderWrite, is_settled
from orderwatch.reading.policy import Policy
from orderwatch.records import StoredOrder
from orderwatch.statuses import FINAL_STATUSES
from orderwatch.trackstar.connections import ORDERS, SyncSchedule
from orderwatch.trackstar.fields import UnreadableValues
from orderwatch.trackstar.orders import Order
from tests.simulation.mutations import change_observations, change_writes, mutation

DAY = timedelta(days=1)

_of = DeadlineRules.of
_deadlines = DeadlineRules.deadlines
_is_settled = is_settled
_complete_until: Any = vars(SyncSchedule)["complete_until"].fget


def change_rules(patch: pytest.MonkeyPatch, change: Callable[[DeadlineRules], DeadlineRules]) -> None:
    """Change the rules of every shop."""
    patch.setattr(DeadlineRules, "of", lambda *settings, **stack: change(_of(*settings, **stack)))


@mutation
def no_holidays(patch: pytest.MonkeyPatch) -> None:
    change_rules(patch, lambda rules: replace(rules, holidays=frozenset()))


@mutation
def days_end_at_midnight_utc(patch: pytest.MonkeyPatch) -> None:
    change_rules(patch, lambda rules: replace(rules, zone=ZoneInfo("UTC")))


@mutation
def every_day_has_24_hours(patch: pytest.MonkeyPatch) -> None:
    def deadlines(self: DeadlineRules, *, ship_by: datetime | None, **order: Any) -> tuple[Deadline, ...]:
        found = _deadlines(self, ship_by=ship_by, **order)
        if not found or ship_by is None or ship_by.time() != time():
            return found
        begins = datetime.combine(ship_by.date(), time(), self.zone).astimezone(UTC)
        error = begins + DAY - found[-1].at
        return tuple(each._replace(at=each.at + error) for each in found)

    patch.setattr(DeadlineRules, "deadlines", deadlines)


@mutation
def the_day_of_a_change_counts(patch: pytest.MonkeyPatch) -> None:
    def deadlines(self: DeadlineRules, *, since: datetime, **order: Any) -> tuple[Deadline, ...]:
        return _deadlines(self, since=since - DAY, **order)

    patch.setattr(DeadlineRules, "deadlines", deadlines)


@mutation
def watermark_by_the_clock(patch: pytest.MonkeyPatch) -> None:
    def complete_until(self: SyncSchedule) -> datetime | None:
        # The product uses the earlier of this and its clock.
        return datetime.max.replace(tzinfo=UTC) if self.function_name == ORDERS else _complete_until(self)

    patch.setattr(SyncSchedule, "complete_until", property(complete_until))


@mutation
def past_deadlines_alerted(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Suppression, "covers", lambda self, ahead: False)


@mutation
def due_orders_never_read(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(PollStore, "due_orders", lambda self, connection_id, until: [])


@mutation
def alerted_without_reading_again(patch: pytest.MonkeyPatch) -> None:
    change_observations(patch, lambda shown, page: replace(shown, watermark=shown.observed_at))


@mutation
def final_orders_keep_their_deadline(patch: pytest.MonkeyPatch) -> None:
    def change(write: OrderWrite) -> OrderWrite:
        if write.expected is None or write.stored.status not in FINAL_STATUSES:
            return write
        kept = write.stored.deadline_state._replace(due=write.expected.deadline_state.due)
        return replace(write, stored=replace(write.stored, deadline_state=kept))

    change_writes(patch, change)


@mutation
def no_alert_when_a_deadline_is_resolved(patch: pytest.MonkeyPatch) -> None:
    def change(write: OrderWrite) -> OrderWrite:
        was_late = write.expected is not None and write.expected.deadline_state.is_alerted_problem
        is_resolved = was_late and write.alert is not None and write.alert.kind == "order.recovered"
        return replace(write, alert=None) if is_resolved else write

    change_writes(patch, change)


@mutation
def unchanged_versions_never_overdue(patch: pytest.MonkeyPatch) -> None:
    def settled(order: Order, stored: StoredOrder, *, observation: Observation, policy: Policy) -> bool:
        return _is_settled(order, stored, observation=replace(observation, watermark=None), policy=policy)

    patch.setattr("orderwatch.polling.detect.is_settled", settled)


# Dates as shops write them (rule 21)


@mutation
def zero_dates_believed(patch: pytest.MonkeyPatch) -> None:
    patch.setattr("orderwatch.trackstar.values.EARLIEST", datetime.min.replace(tzinfo=UTC))


@mutation
def far_dates_believed(patch: pytest.MonkeyPatch) -> None:
    patch.setattr("orderwatch.trackstar.values.FARTHEST", timedelta(days=365 * 7900))


@mutation
def odd_ship_bys_dropped(patch: pytest.MonkeyPatch) -> None:
    # What pydantic refuses counts as missing, and nobody is told.
    patch.setattr("orderwatch.trackstar.fields.read_date", lambda value: None)


@mutation
def unreadable_values_not_reported(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(UnreadableValues, "add", lambda self, name, record_id: None)


@mutation
def midnight_with_an_offset_is_a_moment(patch: pytest.MonkeyPatch) -> None:
    # The validators of the fields keep `day_or_moment`, which compares with this.
    patch.setattr("orderwatch.trackstar.values.time", lambda: None)
