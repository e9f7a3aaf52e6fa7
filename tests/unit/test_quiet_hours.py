"""Quiet hours: until when an alert waits, by the shop's wall clock, and which alerts wait."""

from copy import replace
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest

from orderwatch.alerts.alert import Alert
from orderwatch.alerts.kinds import KIND_LATE, KIND_RECOVERED, KIND_RESTOCKED, KIND_STUCK, severity_of
from orderwatch.deadlines.rules import Deadline, DeadlineState
from orderwatch.quiet_hours import QuietHours, deliver_after
from orderwatch.records import StoredOrder
from orderwatch.shop_settings import ShopSettings, time_zone
from tests.support.alerts import alert_of, first_sight
from tests.support.clocks import NOON

BERLIN = time_zone("Europe/Berlin")
MINUTE = timedelta(minutes=1)


def utc(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def hours(text: str, zone: str = "Europe/Berlin", **settings: Any) -> QuietHours:
    found = QuietHours.of(ShopSettings(quiet_hours=text, time_zone=zone, **settings), zone=BERLIN)
    assert found
    return found


@pytest.mark.parametrize(
    ("quiet", "at", "end"),
    [  # Berlin is at UTC+2 in summer
        ("20:00-07:00", "2026-07-29T17:59:59", None),
        ("20:00-07:00", "2026-07-29T18:00:00", "2026-07-30T05:00"),
        ("20:00-07:00", "2026-07-29T22:30:00", "2026-07-30T05:00"),
        ("20:00-07:00", "2026-07-30T04:59:59.999999", "2026-07-30T05:00"),
        ("20:00-07:00", "2026-07-30T05:00:00", None),
        ("12:00-13:30", "2026-07-29T09:59", None),
        ("12:00-13:30", "2026-07-29T10:00", "2026-07-29T11:30"),
        ("12:00-13:30", "2026-07-29T11:30", None),
        ("00:00-06:00", "2026-07-28T22:00", "2026-07-29T04:00"),
        ("18:00-00:00", "2026-07-29T21:59", "2026-07-29T22:00"),
        ("18:00-00:00", "2026-07-29T22:00", None),
        ("07:00-06:59", "2026-07-29T04:59", None),
        ("07:00-06:59", "2026-07-29T05:00", "2026-07-30T04:59"),
    ],
)
def test_quiet_hours_include_their_begin_and_not_their_end(quiet: str, at: str, end: str | None) -> None:
    assert hours(quiet).end_of(utc(at)) == (utc(end) if end else None)


@pytest.mark.parametrize(
    ("quiet", "zone", "at", "end"),
    [
        # forward on 29 March 2026 at 2:00 CET, back on 25 October at 3:00 CEST
        ("20:00-07:00", "Europe/Berlin", "2026-03-28T19:00", "2026-03-29T05:00"),
        ("20:00-07:00", "Europe/Berlin", "2026-10-24T18:00", "2026-10-25T06:00"),
        ("20:00-02:30", "Europe/Berlin", "2026-03-28T23:00", "2026-03-29T01:30"),  # 2:30 is skipped: 3:30
        ("20:00-02:30", "Europe/Berlin", "2026-10-24T23:00", "2026-10-25T00:30"),  # the first 2:30
        ("20:00-02:30", "Europe/Berlin", "2026-10-25T01:15", None),  # 2:15 for the second time
        ("02:30-07:00", "Europe/Berlin", "2026-10-25T01:15", "2026-10-25T06:00"),
        ("02:30-03:10", "Europe/Berlin", "2026-03-29T01:05", None),  # they begin at 3:30, after their end
        ("20:00-00:00", "Africa/Cairo", "2026-04-23T21:00", "2026-04-23T22:00"),  # midnight is skipped
        ("20:00-07:00", "America/New_York", "2026-03-08T05:00", "2026-03-08T11:00"),
        ("20:00-07:00", "America/New_York", "2026-11-01T05:00", "2026-11-01T12:00"),
        ("20:00-07:00", "Asia/Kathmandu", "2026-07-29T14:15", "2026-07-30T01:15"),
        ("20:00-07:00", "Pacific/Kiritimati", "2026-07-29T06:00", "2026-07-29T17:00"),
        ("20:00-07:00", "Pacific/Pago_Pago", "2026-07-30T07:00", "2026-07-30T18:00"),
    ],
)
def test_the_wall_clock_of_the_zone_decides(quiet: str, zone: str, at: str, end: str | None) -> None:
    assert hours(quiet, zone).end_of(utc(at)) == (utc(end) if end else None)


@pytest.mark.parametrize("change", ["2026-03-29T01:00", "2026-10-25T01:00"])
def test_around_a_change_of_clocks_every_moment_is_quiet_or_not(change: str) -> None:
    """An alert waits for less than a day, and is not held again at its end."""
    quiet, start = hours("20:00-07:00"), utc(change) - timedelta(hours=30)
    for minute in range(0, 60 * 60, 5):
        at = start + minute * MINUTE
        end = quiet.end_of(at)
        is_quiet = at.astimezone(BERLIN).hour >= 20 or at.astimezone(BERLIN).hour < 7
        assert (end is not None) is is_quiet
        if end:
            assert end.astimezone(BERLIN).strftime("%H:%M") == "07:00"
            assert timedelta(0) < end - at <= timedelta(hours=12)
            assert quiet.end_of(end) is None


@pytest.mark.parametrize(
    ("at", "end"),
    [
        ("2026-07-31T19:00", "2026-08-01T05:00"),  # Friday night
        ("2026-08-01T04:59", "2026-08-01T05:00"),  # Saturday morning: they began on Friday
        ("2026-08-01T19:00", None),
        ("2026-08-02T23:00", None),  # Monday morning: they would have begun on Sunday
        ("2026-08-03T18:00", None),  # a holiday
        ("2026-08-04T18:00", "2026-08-05T05:00"),
    ],
)
def test_on_working_days_they_belong_to_the_day_on_which_they_begin(at: str, end: str | None) -> None:
    holidays = frozenset({date(2026, 8, 3)})
    assert hours("20:00-07:00 working days", holidays=holidays).end_of(utc(at)) == (utc(end) if end else None)
    assert hours("20:00-07:00", holidays=holidays).end_of(utc(at)), "every day"


def test_a_shop_without_quiet_hours_or_zone() -> None:
    assert QuietHours.of(ShopSettings(), zone=BERLIN) is None
    of_stack = QuietHours.of(ShopSettings(quiet_hours="20:00-07:00"), zone=time_zone("Asia/Tokyo"))
    assert of_stack
    assert of_stack.end_of(utc("2026-07-29T11:00")) == utc("2026-07-29T22:00")
    sunday = hours("20:00-07:00 working days", working_days=frozenset({"sun"}))
    assert sunday.end_of(utc("2026-08-02T19:00")) == utc("2026-08-03T05:00")


# Which alerts wait

NIGHT = utc("2026-07-29T22:00")
MORNING = utc("2026-07-30T05:00")


def alert(kind: str) -> Alert:
    return alert_of("1").model_copy(update={"kind": kind, "severity": severity_of(kind)})


def row(status: str, *, is_alerted: bool = True, problem: str | None = None) -> StoredOrder:
    stored = first_sight("1", status=status).stored
    state = DeadlineState(passed=Deadline(NOON, problem), deadline_alert_id="alerted") if problem else DeadlineState()
    return replace(stored, status_alert_id="alerted" if is_alerted else None, deadline_state=state)


@pytest.mark.parametrize(
    ("kinds", "before", "waits"),
    [
        (["order.backordered"], None, True),
        (["order.exception"], None, False),
        ([KIND_LATE], row("processing"), False),
        (["order.backordered", KIND_LATE], row("processing"), False),
        ([KIND_RECOVERED], row("backordered"), True),
        ([KIND_RECOVERED], row("exception"), False),
        ([KIND_RECOVERED], row("exception", is_alerted=False), True),
        ([KIND_RECOVERED], row("processing", problem=KIND_LATE), False),
        ([KIND_RECOVERED], row("processing", problem=KIND_STUCK), True),
        (["order.backordered"], row("exception"), False),
        ([KIND_STUCK], row("exception"), True),
        ([KIND_RESTOCKED], row("backordered", problem=KIND_LATE), True),
    ],
)
def test_a_critical_alert_and_what_ends_it_are_sent_at_once(
    kinds: list[str], before: StoredOrder | None, waits: bool
) -> None:
    alerts = [alert(kind) for kind in kinds]
    assert deliver_after(alerts, before, hours("20:00-07:00"), now=NIGHT) == (MORNING if waits else None)


def test_without_quiet_hours_and_by_day_nothing_waits() -> None:
    assert deliver_after([alert("order.backordered")], None, None, now=NIGHT) is None
    assert deliver_after([alert("order.backordered")], None, hours("20:00-07:00"), now=MORNING) is None
