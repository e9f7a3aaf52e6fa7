"""When an order is at risk, late or stuck: the calendar of the shop, its rules, and what becomes of each deadline."""

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from orderwatch.alerts.kinds import KIND_AT_RISK, KIND_LATE, KIND_STUCK
from orderwatch.alerts.parts import AlertConnection, AlertOrder
from orderwatch.deadlines.alerts import (
    deadline_alert,
    deadline_id,
    describe_past,
    describe_resolved,
    resolved_id,
)
from orderwatch.deadlines.calendar import (
    after_business_hours,
    business_time,
    end_of_business_days,
    end_of_day,
    ship_deadline,
)
from orderwatch.deadlines.rules import (
    NO_DEADLINE,
    Deadline,
    DeadlineChange,
    DeadlineRules,
    DeadlineState,
    Suppression,
    evaluate,
)
from orderwatch.shop_settings import ShopSettings, time_zone
from orderwatch.statuses import DOCUMENTED_STATUSES, FINAL_STATUSES, OPEN_STATUSES

SECOND, HOUR, DAY = timedelta(seconds=1), timedelta(hours=1), timedelta(days=1)
WORKDAYS = frozenset(range(5))
IN_UTC = ZoneInfo("UTC")


def utc(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


# The calendar


@pytest.mark.parametrize(
    ("day", "zone", "ends_at", "why"),
    [
        ("2026-03-06", "UTC", "2026-03-07T00:00", "in UTC it is the next midnight"),
        ("2026-03-06", "Europe/Berlin", "2026-03-06T23:00", "an hour before it in winter"),
        ("2026-07-06", "Europe/Berlin", "2026-07-06T22:00", "two hours before it in summer"),
        ("2026-03-29", "Europe/Berlin", "2026-03-29T22:00", "a day of 23 hours"),
        ("2026-10-25", "Europe/Berlin", "2026-10-25T23:00", "a day of 25 hours"),
        ("2026-03-06", "America/Los_Angeles", "2026-03-07T08:00", "hours after it in the west"),
        ("2026-04-23", "Africa/Cairo", "2026-04-23T22:00", "the next midnight does not exist: clocks jump over it"),
        ("2026-10-24", "Atlantic/Azores", "2026-10-25T00:00", "the next midnight comes twice: the first counts"),
        ("2026-03-06", "Asia/Kathmandu", "2026-03-06T18:15", "an offset of 45 minutes"),
    ],
)
def test_where_a_day_ends(day: str, zone: str, ends_at: str, why: str) -> None:
    assert end_of_day(date.fromisoformat(day), ZoneInfo(zone)) == utc(ends_at), why


@pytest.mark.parametrize(
    ("ship_by", "passes_at"),
    [
        ("2026-03-06", "2026-03-07T06:00"),
        ("2026-03-06T06:00:00", "2026-03-07T06:00"),  # midnight of the shop
        ("2026-03-06T00:00:01", "2026-03-06T00:00:01"),
        ("2026-03-06T23:59:59", "2026-03-06T23:59:59"),
    ],
)
def test_only_a_ship_by_without_a_time_ends_with_the_shops_day(ship_by: str, passes_at: str) -> None:
    assert ship_deadline(utc(ship_by), ZoneInfo("America/Chicago")) == utc(passes_at)


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


@pytest.mark.parametrize(("closed", "is_found"), [(3659, True), (3660, False)])
def test_business_days_are_searched_for_ten_years(closed: int, is_found: bool) -> None:
    monday = utc("2026-03-02")
    holidays = {(monday + number * DAY).date() for number in range(1, closed + 1)}
    found = end_of_business_days(monday, 1, zone=IN_UTC, working_days=range(7), holidays=holidays)
    assert found == (monday + 3661 * DAY if is_found else None)


@pytest.mark.parametrize(
    ("since", "hours", "calendar", "at", "why"),
    [
        ("2026-03-02T09:00", 4, ("UTC",), "2026-03-02T13:00", "within a day"),
        ("2026-03-02T09:00", 15, ("UTC",), "2026-03-03T00:00", "until its end"),
        ("2026-03-02T09:00", 24, ("UTC",), "2026-03-03T09:00", "the same time on the next day"),
        ("2026-03-06T15:00", 24, ("UTC",), "2026-03-09T15:00", "Friday to Monday"),
        ("2026-03-07T15:00", 24, ("UTC",), "2026-03-10T00:00", "Saturday: all of Monday"),
        ("2026-03-05T15:00", 24, ("UTC", "2026-03-06"), "2026-03-09T15:00", "Friday is a holiday"),
        ("2026-03-08T22:30", 1, ("Asia/Kathmandu",), "2026-03-08T23:30", "there it is Monday already"),
        (
            "2026-03-08T22:30",
            1,
            ("America/Chicago",),
            "2026-03-09T06:00",
            "there it is still Sunday, and clocks change",
        ),
        ("2026-10-23T21:00", 2, ("Europe/Berlin",), "2026-10-26T00:00", "Friday 23:00 to Monday 1:00, in winter"),
    ],
)
def test_when_business_hours_have_passed(since: str, hours: int, calendar: tuple[str, ...], at: str, why: str) -> None:
    zone, *holidays = calendar
    free = frozenset(map(date.fromisoformat, holidays))
    options: dict[str, Any] = {"zone": ZoneInfo(zone), "working_days": WORKDAYS, "holidays": free}
    assert after_business_hours(utc(since), hours, **options) == utc(at), why
    assert business_time(utc(since), utc(at), **options) == hours * HOUR, why


def test_a_shop_that_never_works_has_no_business_hours() -> None:
    assert after_business_hours(MONDAY, 1, zone=IN_UTC, working_days=(), holidays=()) is None


# The deadlines of an order

RULES = DeadlineRules(zone=ZoneInfo("Europe/Berlin"), late_warning_hours=24, stuck_days=2)
QUIET = DeadlineRules(zone=RULES.zone, late_warning_hours=0, stuck_days=0)
MONDAY = utc("2026-03-02T09:00")
SHIP_BY = utc("2026-03-06")
LATE = Deadline(utc("2026-03-06T23:00"), KIND_LATE)
AT_RISK = Deadline(LATE.at - DAY, KIND_AT_RISK)
STUCK = Deadline(utc("2026-03-04T23:00"), KIND_STUCK)


@pytest.mark.parametrize(
    ("ship_by", "rules", "expected", "why"),
    [
        (SHIP_BY, RULES, (AT_RISK, LATE), "a warning, then the ship-by"),
        (SHIP_BY, QUIET, (LATE,), "no warning"),
        (None, RULES, (STUCK,), "without a ship-by it can get stuck"),
        (None, QUIET, (), "that is turned off"),
        (None, replace(RULES, working_days=frozenset()), (), "a shop that never works"),
        (utc("2000-01-01"), QUIET, (Deadline(utc("2000-01-01T23:00"), KIND_LATE),), "the earliest ship-by"),
        (utc("2099-12-31"), QUIET, (Deadline(utc("2099-12-31T23:00"), KIND_LATE),), "far away"),
        (utc("9999-12-31"), RULES, (), "it never comes"),
    ],
)
def test_the_deadlines_of_an_open_order(
    ship_by: datetime | None, rules: DeadlineRules, expected: tuple[Deadline, ...], why: str
) -> None:
    assert rules.deadlines(status="open", ship_by=ship_by, since=MONDAY) == expected, why


@pytest.mark.parametrize("status", sorted(DOCUMENTED_STATUSES | {"on_hold"}))
def test_only_open_statuses_have_deadlines(status: str) -> None:
    expected = (AT_RISK, LATE) if status in OPEN_STATUSES else ()
    assert RULES.deadlines(status=status, ship_by=SHIP_BY, since=MONDAY) == expected
    assert OPEN_STATUSES | FINAL_STATUSES | {"other"} == DOCUMENTED_STATUSES


def test_a_shops_own_settings_go_before_the_stacks() -> None:
    own = ShopSettings.model_validate(
        {
            "time_zone": "Asia/Tokyo",
            "working_days": ["sun", "mon"],
            "holidays": ["2026-05-05"],
            "late_warning_hours": 0,
            "stuck_days": 0,
            "reminder_hours": 0,
        }
    )
    stack = {"late_warning_hours": 12, "stuck_days": 1, "reminder_hours": 8, "max_reminders": 2}
    rules = DeadlineRules.of(own, zone=IN_UTC, **stack)
    assert rules == DeadlineRules(time_zone("Asia/Tokyo"), frozenset({6, 0}), frozenset({date(2026, 5, 5)}), 0, 0, 0, 2)
    assert DeadlineRules.of(ShopSettings(), zone=IN_UTC, **stack) == DeadlineRules(
        IN_UTC, WORKDAYS, frozenset(), 12, 1, 8, 2
    )
    assert DeadlineRules(IN_UTC) == DeadlineRules(IN_UTC, WORKDAYS, frozenset(), 24, 0, 0, 3)


def test_the_fingerprint_changes_only_with_the_deadlines() -> None:
    holidays = frozenset({date(2026, 5, 1)})
    assert QUIET.fingerprint == replace(QUIET, holidays=holidays, working_days=frozenset({6})).fingerprint
    reminding = replace(QUIET, reminder_hours=8)
    assert reminding.fingerprint == replace(reminding, max_reminders=5).fingerprint
    changes = [
        reminding,
        replace(reminding, reminder_hours=9),
        replace(reminding, holidays=holidays),
        RULES,
        QUIET,
        replace(RULES, holidays=holidays),
        replace(RULES, zone=IN_UTC),
        replace(RULES, late_warning_hours=23),
        replace(RULES, stuck_days=1),
        replace(RULES, working_days=frozenset({6})),
    ]
    assert len({each.fingerprint for each in changes}) == len(changes)


def test_the_fingerprint_survives_an_upgrade() -> None:
    assert DeadlineRules(IN_UTC).fingerprint == "ffd11f46a509ab89", (
        "rows have it: another one reads all open orders again"
    )


# What becomes of a deadline

NEW, WARNED, WAS_LATE = DeadlineState(due=AT_RISK), DeadlineState(LATE, AT_RISK, "a1"), DeadlineState(None, LATE, "a1")
WAS_STUCK = DeadlineState(None, STUCK, "a1")
PAST_WARNING, PAST = DeadlineState(due=LATE, passed=AT_RISK), DeadlineState(passed=LATE)
LATER = SHIP_BY + 3 * DAY
RESCHEDULED = DeadlineState(due=Deadline(AT_RISK.at + 3 * DAY, KIND_AT_RISK))


def evaluated(
    before: DeadlineState,
    *,
    status: str = "open",
    ship_by: datetime | None = SHIP_BY,
    since: datetime = MONDAY,
    suppression: Suppression | None = None,
    watermark: datetime | None = None,
) -> DeadlineChange:
    return evaluate(
        before, RULES, status=status, ship_by=ship_by, since=since, suppression=suppression, watermark=watermark
    )


@pytest.mark.parametrize(
    ("before", "watermark", "state", "expired", "why"),
    [
        (NO_DEADLINE, None, NEW, None, "a new order has its first deadline ahead"),
        (NEW, AT_RISK.at - SECOND, NEW, None, "it has not passed"),
        (NEW, AT_RISK.at, PAST_WARNING, AT_RISK, "it passes at its time"),
        (NEW, LATE.at - SECOND, PAST_WARNING, AT_RISK, "the next one has not"),
        (NEW, LATE.at, PAST, LATE, "of several only the last is alerted"),
        (NEW, LATE.at + 9 * DAY, PAST, LATE, "long after"),
        (NEW, None, NEW, None, "without a watermark nothing expires"),
        (WARNED, LATE.at - SECOND, WARNED, None, "a warning is alerted once"),
        (WARNED, LATE.at, PAST, LATE, "and then it is late"),
        (WAS_LATE, LATE.at + DAY, WAS_LATE, None, "late is alerted once"),
    ],
)
def test_a_deadline_expires_at_the_watermark_once(
    before: DeadlineState, watermark: datetime | None, state: DeadlineState, expired: Deadline | None, why: str
) -> None:
    assert evaluated(before, watermark=watermark) == DeadlineChange(state, expired=expired), why


@pytest.mark.parametrize(
    ("before", "until", "is_recording", "expected"),
    [
        (NO_DEADLINE, AT_RISK.at - SECOND, True, NEW),
        (NO_DEADLINE, AT_RISK.at, True, PAST_WARNING),
        (NO_DEADLINE, LATE.at - SECOND, True, PAST_WARNING),
        (NO_DEADLINE, LATE.at, True, PAST),
        (NO_DEADLINE, AT_RISK.at, False, NEW),
        (NO_DEADLINE, LATE.at - SECOND, False, NEW),
        (NO_DEADLINE, LATE.at, False, PAST),
        (NEW, LATE.at + DAY, True, NEW),
        (WARNED, LATE.at + DAY, True, WARNED),
    ],
)
def test_deadlines_past_when_the_watch_began_are_not_alerted(
    before: DeadlineState, until: datetime, is_recording: bool, expected: DeadlineState
) -> None:
    suppression = Suppression(until, is_recording)
    assert evaluated(before, suppression=suppression) == DeadlineChange(expected)


@pytest.mark.parametrize(
    ("before", "status", "ship_by", "state", "resolved", "why"),
    [
        (WAS_LATE, "open", LATER, RESCHEDULED, LATE, "a new ship-by"),
        (WAS_LATE, "open", None, DeadlineState(due=STUCK), LATE, "no ship-by"),
        (WAS_LATE, "exception", SHIP_BY, WAS_LATE, None, "another open status keeps it late"),
        (WAS_LATE, "fulfilled", SHIP_BY, PAST, LATE, "shipped, and the deadline stays known"),
        (PAST, "open", SHIP_BY, PAST, None, "opened again: not late twice"),
        (PAST, "fulfilled", SHIP_BY, PAST, None, "never alerted, so not resolved"),
        (WARNED, "fulfilled", SHIP_BY, DeadlineState(passed=AT_RISK), None, "a warning ends without an alert"),
        (WARNED, "open", LATER, RESCHEDULED, None, "so it does with a new ship-by"),
        (DeadlineState(LATE, AT_RISK, "a1"), "open", None, DeadlineState(due=STUCK), None, "or with none"),
        (WAS_STUCK, "open", SHIP_BY, NEW, STUCK, "it was stuck and has a ship-by"),
        (NEW, "open", LATER, RESCHEDULED, None, "moved in time"),
        (NEW, "other", SHIP_BY, NO_DEADLINE, None, "a custom status suspends it"),
        (DeadlineState(deadline_alert_id="a1"), "open", SHIP_BY, NEW, None, "an alert without its deadline"),
    ],
)
def test_a_change_of_the_order_schedules_and_resolves(
    before: DeadlineState,
    status: str,
    ship_by: datetime | None,
    state: DeadlineState,
    *,
    resolved: Deadline | None,
    why: str,
) -> None:
    assert evaluated(before, status=status, ship_by=ship_by) == DeadlineChange(state, resolved=resolved), why


def test_without_rules_only_what_passed_is_known() -> None:
    change = evaluate(WARNED, None, status="open", ship_by=SHIP_BY, since=MONDAY, watermark=LATE.at)
    assert change == DeadlineChange(DeadlineState(passed=AT_RISK))


# In words


def test_each_deadline_and_its_end_have_an_id() -> None:
    subjects = [
        ("a", "1", LATE),
        ("b", "1", LATE),
        ("a", "2", LATE),
        ("a", "1", STUCK),
        ("a", "1", Deadline(SHIP_BY, KIND_LATE)),
    ]
    ids = [identify(*subject) for identify in (deadline_id, resolved_id) for subject in subjects]
    assert len(set(ids)) == 10
    assert deadline_id("a", "1", LATE) == ids[0]


def shown(status: str = "open", ship_by: datetime | None = None) -> AlertOrder:
    return AlertOrder(
        id="1", number="#1", status=status, ship_by=ship_by, status_since=MONDAY, updated_at=MONDAY, seen_at=MONDAY
    )


@pytest.mark.parametrize(
    ("deadline", "days", "detail"),
    [
        (LATE, 1, None),
        (AT_RISK, 1, None),
        (STUCK, 1, "In exception for 1 business day, with no ship-by date."),
        (STUCK, 2, "In exception for 2 business days, with no ship-by date."),
    ],
)
def test_an_alert_says_how_long_an_order_is_stuck(deadline: Deadline, days: int, detail: str | None) -> None:
    alert = deadline_alert(
        deadline,
        order=shown("exception"),
        rules=replace(RULES, stuck_days=days),
        connection=AlertConnection(id="conn_a"),
        data_as_of=MONDAY,
    )
    assert (alert.kind, alert.detail, alert.data_as_of) == (deadline.kind, detail, MONDAY)
    assert alert.order
    assert (alert.alert_id, alert.order.due_at) == (deadline_id("conn_a", "1", deadline), deadline.at)


@pytest.mark.parametrize(
    ("deadline", "status", "ship_by", "text"),
    [
        (LATE, "open", LATER, "It is no longer late: it has a new ship-by."),
        (LATE, "open", None, "It is no longer late: its ship-by was removed."),
        (LATE, "fulfilled", LATER, "It was late and is now fulfilled."),
        (LATE, "other", None, "It was late and is now in a custom status."),
        (STUCK, "open", LATER, "It is no longer stuck: it has a new ship-by."),
        (STUCK, "processing", None, "It was stuck and is now processing."),
    ],
)
def test_why_a_deadline_no_longer_applies(deadline: Deadline, status: str, ship_by: datetime | None, text: str) -> None:
    assert describe_resolved(deadline, order=shown(status, ship_by), is_open=status in OPEN_STATUSES) == text


@pytest.mark.parametrize(
    ("past", "hours", "text"),
    [
        ({}, 24, ""),
        ({KIND_LATE: 1}, 24, "1 is already overdue; it won't be alerted."),
        ({KIND_LATE: 1060}, 24, "1,060 are already overdue; they won't be alerted one by one."),
        ({KIND_AT_RISK: 1}, 1, "1 is due within 1 h; it is alerted if late."),
        (
            {KIND_LATE: 12, KIND_AT_RISK: 3},
            2,
            "12 are already overdue; they won't be alerted one by one. 3 are due within 2 h; each is alerted if late.",
        ),
    ],
)
def test_deadlines_past_when_the_watch_began_in_words(past: dict[str, int], hours: int, text: str) -> None:
    assert " ".join(describe_past(past, replace(RULES, late_warning_hours=hours))) == text
