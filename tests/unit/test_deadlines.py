"""When an order is at risk, late or stuck: the calendar of the shop, and which deadline is still ahead."""

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from orderwatch.alerts.kinds import KIND_AT_RISK, KIND_LATE, KIND_STUCK, Severity, severity_of
from orderwatch.deadlines.calendar import end_of_business_days, end_of_day, ship_deadline
from orderwatch.deadlines.rules import (
    FINAL_STATUSES,
    OPEN_STATUSES,
    Deadline,
    DeadlineRules,
    DeadlineState,
    Suppression,
    expire,
    schedule,
)
from orderwatch.polling.connection_alerts import DOCUMENTED_STATUSES
from orderwatch.shop_settings import ShopSettings

HOUR, DAY = timedelta(hours=1), timedelta(days=1)
WORKDAYS = frozenset(range(5))


def utc(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


# The end of a day


@pytest.mark.parametrize(
    ("day", "zone", "ends_at", "why"),
    [
        ("2026-03-06", "UTC", "2026-03-07T00:00", "in UTC it is the next midnight"),
        ("2026-03-06", "Europe/Berlin", "2026-03-06T23:00", "an hour before it in winter"),
        ("2026-07-06", "Europe/Berlin", "2026-07-06T22:00", "two hours before it in summer"),
        ("2026-03-29", "Europe/Berlin", "2026-03-29T22:00", "a day of 23 hours"),
        ("2026-10-25", "Europe/Berlin", "2026-10-25T23:00", "a day of 25 hours"),
        ("2026-03-06", "America/Los_Angeles", "2026-03-07T08:00", "hours after it in the west"),
        ("2026-03-08", "America/New_York", "2026-03-09T04:00", "the day on which the clocks go forward there"),
        ("2026-04-23", "Africa/Cairo", "2026-04-23T22:00", "the next midnight does not exist: clocks jump over it"),
        ("2026-10-31", "America/Havana", "2026-11-01T04:00", "the next midnight comes twice: the first counts"),
        ("2026-03-06", "Asia/Kathmandu", "2026-03-06T18:15", "an offset of 45 minutes"),
        ("2026-12-31", "Pacific/Kiritimati", "2026-12-31T10:00", "the first zone of all"),
    ],
)
def test_where_a_day_ends(day: str, zone: str, ends_at: str, why: str) -> None:
    assert end_of_day(date.fromisoformat(day), ZoneInfo(zone)) == utc(ends_at), why


def test_midnight_utc_is_a_date_that_ends_with_the_shops_day() -> None:
    assert ship_deadline(utc("2026-03-06"), ZoneInfo("America/Chicago")) == utc("2026-03-07T06:00")


@pytest.mark.parametrize("time", ["2026-03-06T00:00:01", "2026-03-06T15:30", "2026-03-06T23:59:59"])
def test_a_ship_by_with_a_time_ignores_the_shops_time_zone(time: str) -> None:
    assert ship_deadline(utc(time), ZoneInfo("America/Chicago")) == utc(time)


# Business days


@pytest.mark.parametrize(
    ("since", "days", "calendar", "at", "why"),
    [
        ("2026-03-02T09:00", 1, ("UTC",), "2026-03-04", "Monday to Tuesday's end: one whole day"),
        ("2026-03-02T00:00", 1, ("UTC",), "2026-03-04", "the day of the change is never whole"),
        ("2026-03-05T09:00", 2, ("UTC",), "2026-03-10", "Thursday: Friday and, over a weekend, Monday"),
        ("2026-03-07T09:00", 1, ("UTC",), "2026-03-10", "Saturday: Monday is the first whole one"),
        ("2026-03-05T09:00", 1, ("UTC", "2026-03-06"), "2026-03-10", "Friday is a holiday"),
        ("2026-03-06T09:00", 1, ("UTC", "2026-03-07"), "2026-03-10", "a holiday on a Saturday costs none"),
        ("2026-03-02T23:30", 1, ("Europe/Berlin",), "2026-03-04T23:00", "there it is Tuesday already"),
        ("2026-03-27T12:00", 1, ("Europe/Berlin",), "2026-03-30T22:00", "daylight saving began on Sunday"),
    ],
)
def test_when_whole_business_days_have_passed(
    since: str, days: int, calendar: tuple[str, ...], at: str, why: str
) -> None:
    zone, *holidays = calendar
    free = frozenset(map(date.fromisoformat, holidays))
    found = end_of_business_days(utc(since), days, zone=ZoneInfo(zone), working_days=WORKDAYS, holidays=free)
    assert found == utc(at), why


def test_a_week_may_be_one_from_sunday_to_thursday() -> None:
    thursday = utc("2026-03-05T09:00")
    found = end_of_business_days(thursday, 1, zone=ZoneInfo("UTC"), working_days={6, 0, 1, 2, 3}, holidays=())
    assert found == utc("2026-03-09"), "the end of Sunday"


def test_a_calendar_that_never_works_has_no_business_days() -> None:
    found = end_of_business_days(utc("2026-03-02"), 1, zone=ZoneInfo("UTC"), working_days=(), holidays=())
    assert found is None


# The deadlines of an order

RULES = DeadlineRules(zone=ZoneInfo("Europe/Berlin"), late_warning_hours=24, stuck_days=2)
MONDAY = utc("2026-03-02T09:00")
SHIP_BY = utc("2026-03-06")
LATE = Deadline(utc("2026-03-06T23:00"), KIND_LATE)
AT_RISK = Deadline(LATE.at - DAY, KIND_AT_RISK)
STUCK = Deadline(utc("2026-03-04T23:00"), KIND_STUCK)


def deadlines(
    status: str = "open", ship_by: datetime | None = SHIP_BY, rules: DeadlineRules = RULES
) -> tuple[Deadline, ...]:
    return rules.deadlines(status=status, ship_by=ship_by, since=MONDAY)


@pytest.mark.parametrize("status", sorted(OPEN_STATUSES))
def test_an_open_order_is_at_risk_and_then_late(status: str) -> None:
    assert deadlines(status) == (AT_RISK, LATE)


@pytest.mark.parametrize("status", sorted((DOCUMENTED_STATUSES - OPEN_STATUSES) | {"on_hold"}))
def test_final_and_custom_statuses_have_no_deadline(status: str) -> None:
    assert deadlines(status) == deadlines(status, ship_by=None) == ()


def test_every_documented_status_but_other_is_open_or_final() -> None:
    assert OPEN_STATUSES | FINAL_STATUSES | {"other"} == DOCUMENTED_STATUSES


def test_zero_warning_hours_or_stuck_days_turn_a_deadline_off() -> None:
    quiet = DeadlineRules(zone=RULES.zone, late_warning_hours=0, stuck_days=0)
    assert deadlines(rules=quiet) == (LATE,)
    assert deadlines(ship_by=None, rules=quiet) == ()


def test_an_order_without_a_ship_by_is_stuck_after_its_business_days() -> None:
    assert deadlines(ship_by=None) == (STUCK,)


@pytest.mark.parametrize("nothing", ["0001-01-01", "1970-01-01", "1899-12-30"])
def test_placeholder_dates_are_no_ship_by(nothing: str) -> None:
    assert deadlines(ship_by=utc(nothing)) == (STUCK,)


def test_a_ship_by_of_2099_is_a_deadline_that_is_far_away() -> None:
    assert deadlines(ship_by=utc("2099-12-31"))[-1] == Deadline(utc("2099-12-31T23:00"), KIND_LATE)


def test_a_ship_by_at_the_end_of_time_never_comes() -> None:
    assert deadlines(ship_by=utc("9999-12-31")) == ()


def test_only_late_is_critical() -> None:
    assert [severity_of(kind) for kind in (KIND_LATE, KIND_AT_RISK, KIND_STUCK)] == [
        Severity.CRITICAL,
        Severity.WARNING,
        Severity.WARNING,
    ]


def test_a_shops_own_settings_go_before_the_stacks() -> None:
    own = ShopSettings.model_validate(
        {
            "time_zone": "Asia/Tokyo",
            "working_days": ["sun", "mon"],
            "holidays": ["2026-05-05"],
            "late_warning_hours": 0,
            "stuck_days": 3,
        }
    )
    rules = DeadlineRules.of(own, zone=ZoneInfo("UTC"), late_warning_hours=24, stuck_days=0)
    assert rules == DeadlineRules(ZoneInfo("Asia/Tokyo"), frozenset({6, 0}), frozenset({date(2026, 5, 5)}), 0, 3)
    default = DeadlineRules.of(ShopSettings(), zone=ZoneInfo("UTC"), late_warning_hours=24, stuck_days=1)
    assert default == DeadlineRules(ZoneInfo("UTC"), WORKDAYS, frozenset(), 24, 1)


def test_the_fingerprint_changes_only_with_the_deadlines() -> None:
    holidays = frozenset({date(2026, 5, 1)})
    unused = DeadlineRules(zone=RULES.zone, stuck_days=0)
    assert unused.fingerprint == DeadlineRules(zone=RULES.zone, stuck_days=0, holidays=holidays).fingerprint
    assert RULES.fingerprint != DeadlineRules(zone=RULES.zone, stuck_days=2, holidays=holidays).fingerprint
    assert RULES.fingerprint != DeadlineRules(zone=ZoneInfo("UTC"), stuck_days=2).fingerprint


# The deadline state of an order

BOTH = (AT_RISK, LATE)
UNKNOWN = DeadlineState()


def scheduled(
    before: DeadlineState, found: tuple[Deadline, ...], *, suppression: Suppression | None = None
) -> DeadlineState:
    return schedule(before, found, is_open=True, suppression=suppression)


def test_a_new_order_has_its_first_deadline_ahead() -> None:
    assert scheduled(UNKNOWN, BOTH) == DeadlineState(due=AT_RISK)


@pytest.mark.parametrize(
    ("until", "is_recording", "expected"),
    [
        (AT_RISK.at - HOUR, True, DeadlineState(due=AT_RISK)),
        (AT_RISK.at, True, DeadlineState(due=LATE, passed=AT_RISK)),
        (LATE.at, True, DeadlineState(passed=LATE)),
        (AT_RISK.at - HOUR, False, DeadlineState(due=AT_RISK)),
        (AT_RISK.at, False, DeadlineState(due=AT_RISK)),
        (LATE.at, False, DeadlineState(passed=LATE)),
    ],
)
def test_deadlines_past_at_the_baseline_are_suppressed(
    until: datetime, *, is_recording: bool, expected: DeadlineState
) -> None:
    assert scheduled(UNKNOWN, BOTH, suppression=Suppression(until, is_recording)) == expected


def test_a_scheduled_deadline_is_alerted_after_any_pause() -> None:
    waiting = DeadlineState(due=AT_RISK)
    assert scheduled(waiting, BOTH, suppression=Suppression(LATE.at + DAY, is_recording=True)) == waiting


def test_seeing_an_order_again_keeps_its_deadline_state() -> None:
    for before in (
        DeadlineState(due=AT_RISK),
        DeadlineState(LATE, AT_RISK, "alert-1"),
        DeadlineState(None, LATE, "alert-1"),
    ):
        assert scheduled(before, BOTH) == before


def test_a_moved_ship_by_reschedules_and_resolves() -> None:
    was_late = DeadlineState(passed=LATE, deadline_alert_id="alert-1")
    later = (Deadline(AT_RISK.at + 3 * DAY, KIND_AT_RISK), Deadline(LATE.at + 3 * DAY, KIND_LATE))
    assert was_late.is_alerted_problem
    assert scheduled(was_late, later) == DeadlineState(due=later[0])


def test_a_removed_ship_by_leaves_no_deadline() -> None:
    assert scheduled(DeadlineState(due=LATE, passed=AT_RISK, deadline_alert_id="alert-1"), ()) == DeadlineState()


def test_an_order_that_is_closed_and_opened_again_is_not_late_twice() -> None:
    was_late = DeadlineState(passed=LATE, deadline_alert_id="alert-1")
    closed = schedule(was_late, (), is_open=False, suppression=None)
    assert closed == DeadlineState(passed=LATE)
    assert scheduled(closed, BOTH) == closed


def test_the_end_of_a_warning_is_not_alerted() -> None:
    assert not DeadlineState(due=LATE, passed=AT_RISK, deadline_alert_id="alert-1").is_alerted_problem


# What passes


@pytest.mark.parametrize(
    ("watermark", "expected"),
    [
        (AT_RISK.at - timedelta(seconds=1), DeadlineState(due=AT_RISK)),
        (AT_RISK.at, DeadlineState(due=LATE, passed=AT_RISK)),
        (LATE.at - timedelta(seconds=1), DeadlineState(due=LATE, passed=AT_RISK)),
        (LATE.at, DeadlineState(passed=LATE)),
        (LATE.at + 9 * DAY, DeadlineState(passed=LATE)),
    ],
)
def test_of_several_passed_deadlines_only_the_last_is_alerted(watermark: datetime, expected: DeadlineState) -> None:
    assert expire(DeadlineState(due=AT_RISK), BOTH, watermark=watermark) == expected


def test_an_alerted_deadline_is_not_alerted_again() -> None:
    after = expire(DeadlineState(due=AT_RISK), BOTH, watermark=LATE.at).with_alert("alert")
    assert after == DeadlineState(passed=LATE, deadline_alert_id="alert")
    assert expire(scheduled(after, BOTH), BOTH, watermark=LATE.at + DAY) == after
