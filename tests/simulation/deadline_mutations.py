"""Rules about deadlines (rule 19) broken on purpose, one at a time."""

from collections.abc import Callable, Collection
from dataclasses import replace
from datetime import UTC, date, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from orderwatch.aws.dynamodb import put_action
from orderwatch.deadlines.calendar import end_of_business_days, ship_deadline
from orderwatch.deadlines.rules import DeadlineChange, DeadlineRules, DeadlineState, Suppression, evaluate, schedule
from orderwatch.polling.detect import Observation
from orderwatch.trackstar.connections import SyncSchedule

type Mutation = Callable[[pytest.MonkeyPatch], None]

_of = DeadlineRules.of
_observed = Observation.of


def watermark_by_the_clock(patch: pytest.MonkeyPatch) -> None:
    # The product uses the earlier of this and its clock.
    patch.setattr(SyncSchedule, "complete_until", property(lambda self: datetime.max.replace(tzinfo=UTC)))


def no_holidays(patch: pytest.MonkeyPatch) -> None:
    def of(settings: Any, **of_stack: Any) -> DeadlineRules:
        return replace(_of(settings, **of_stack), holidays=frozenset())

    patch.setattr(DeadlineRules, "of", of)


def days_end_at_midnight_utc(patch: pytest.MonkeyPatch) -> None:
    def deadline(ship_by: datetime, zone: ZoneInfo) -> datetime:
        return ship_deadline(ship_by, ZoneInfo("UTC"))

    patch.setattr("orderwatch.deadlines.rules.ship_deadline", deadline)


def every_day_has_24_hours(patch: pytest.MonkeyPatch) -> None:
    def end_of_day(day: date, zone: ZoneInfo) -> datetime:
        return datetime.combine(day, time(), zone).astimezone(UTC) + timedelta(hours=24)

    patch.setattr("orderwatch.deadlines.calendar.end_of_day", end_of_day)


def the_day_of_a_change_counts(patch: pytest.MonkeyPatch) -> None:
    def end(since: datetime, days: int, **calendar: Any) -> datetime | None:
        return end_of_business_days(since - timedelta(days=1), days, **calendar)

    patch.setattr("orderwatch.deadlines.rules.end_of_business_days", end)


def deadlines_written_unconditionally(patch: pytest.MonkeyPatch) -> None:
    def unconditional(table: str, row: Any, **_: Any) -> dict[str, Any]:
        anything = "attribute_exists(alert_id) OR attribute_not_exists(alert_id)"
        return put_action(table, row, condition=anything, values={})

    for table in ("order_table", "connection_table", "alert_table"):
        patch.setattr(f"orderwatch.aws.{table}.put_action", unconditional)


def final_orders_keep_their_deadline(patch: pytest.MonkeyPatch) -> None:
    def keeping(
        before: DeadlineState, deadlines: Any, *, is_open: bool, suppression: Suppression | None
    ) -> DeadlineState:
        after = schedule(before, deadlines, is_open=is_open, suppression=suppression)
        return after if is_open else after._replace(due=before.due)

    patch.setattr("orderwatch.deadlines.rules.schedule", keeping)


def alerted_without_reading_again(patch: pytest.MonkeyPatch) -> None:
    def of(*page: Any, now: datetime, **others: Any) -> Observation:
        return replace(_observed(*page, now=now, **others), watermark=now)

    patch.setattr(Observation, "of", of)


def past_deadlines_alerted(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Suppression, "covers", lambda self, ahead: False)


def no_alert_when_a_deadline_is_resolved(patch: pytest.MonkeyPatch) -> None:
    def without_end(*order: Any, **facts: Any) -> DeadlineChange:
        return evaluate(*order, **facts)._replace(resolved=None)

    patch.setattr("orderwatch.polling.detect.evaluate", without_end)


def due_orders_never_read(patch: pytest.MonkeyPatch) -> None:
    def due(self: Any, connection_id: str, until: datetime) -> Collection[str]:
        return []

    patch.setattr("orderwatch.aws.stores.PollStore.due_orders", due)


MUTATIONS: dict[str, Mutation] = {
    mutation.__name__: mutation
    for mutation in (
        watermark_by_the_clock,
        no_holidays,
        days_end_at_midnight_utc,
        every_day_has_24_hours,
        the_day_of_a_change_counts,
        deadlines_written_unconditionally,
        final_orders_keep_their_deadline,
        alerted_without_reading_again,
        past_deadlines_alerted,
        no_alert_when_a_deadline_is_resolved,
        due_orders_never_read,
    )
}
