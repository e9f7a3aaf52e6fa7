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

type Mutation = Callable[[pytest.MonkeyPatch], None]

_of = DeadlineRules.of
_observed = Observation.of


def now_for_data_as_of(patch: pytest.MonkeyPatch) -> None:
    patch.setattr("orderwatch.polling.health._watermark", lambda record, last_end, found, *, now: now)


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


def told_by_the_page_of_a_window(patch: pytest.MonkeyPatch) -> None:
    def of(*page: Any, now: datetime, **others: Any) -> Observation:
        return replace(_observed(*page, now=now, **others), watermark=now)

    patch.setattr(Observation, "of", of)


def the_past_is_told(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Suppression, "covers", lambda self, ahead: False)


def nobody_hears_that_it_is_over(patch: pytest.MonkeyPatch) -> None:
    def deadline_change(*order: Any, **facts: Any) -> DeadlineChange:
        return evaluate(*order, **facts)._replace(resolved=None)

    patch.setattr("orderwatch.polling.detect.evaluate", deadline_change)


def due_orders_are_forgotten(patch: pytest.MonkeyPatch) -> None:
    def due(self: Any, connection_id: str, until: datetime) -> Collection[str]:
        return []

    patch.setattr("orderwatch.aws.stores.PollStore.due_orders", due)


BREAKAGES: dict[str, Mutation] = {
    breakage.__name__: breakage
    for breakage in (
        now_for_data_as_of,
        no_holidays,
        days_end_at_midnight_utc,
        every_day_has_24_hours,
        the_day_of_a_change_counts,
        deadlines_written_unconditionally,
        final_orders_keep_their_deadline,
        told_by_the_page_of_a_window,
        the_past_is_told,
        nobody_hears_that_it_is_over,
        due_orders_are_forgotten,
    )
}
