"""Due times as people read them: in the shop's time zone, relative to when the alert was seen."""

from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal

import pytest

from orderwatch.alerts.kinds import Urgency
from orderwatch.rendering import email, formatting
from orderwatch.shop_settings import time_zone
from orderwatch_local.preview.samples import NOW, order_alert

BERLIN = time_zone("Europe/Berlin")
SEEN = datetime(2026, 3, 4, 12, 35, tzinfo=UTC)


@pytest.mark.parametrize(
    ("at", "beside", "shown"),
    [
        (datetime(2026, 3, 6, 9, tzinfo=UTC), SEEN, "Fri 6 Mar 10:00 CET"),
        (datetime(2026, 3, 6, 9, tzinfo=UTC).replace(tzinfo=None), SEEN, "Fri 6 Mar 10:00 CET"),
        (datetime(2026, 3, 6, 14, tzinfo=timezone(timedelta(hours=5))), SEEN, "Fri 6 Mar 10:00 CET"),
        (datetime(2026, 7, 6, 9, tzinfo=UTC), SEEN, "Mon 6 Jul 11:00 CEST"),
        (datetime(2027, 1, 1, 9, tzinfo=UTC), SEEN, "Fri 1 Jan 2027 10:00 CET"),
        (datetime(2025, 12, 31, 23, 30, tzinfo=UTC), SEEN, "Thu 1 Jan 00:30 CET"),
        (datetime(2026, 3, 6, 9, tzinfo=UTC), None, "Fri 6 Mar 10:00 CET"),
    ],
    ids=["UTC", "naive", "another offset", "summer", "next year", "this year only here", "beside nothing"],
)
def test_a_moment_is_shown_in_the_zone_of_the_shop(at: datetime, beside: datetime | None, shown: str) -> None:
    assert formatting.moment(at, BERLIN, beside=beside) == shown


def test_a_zone_without_a_name_shows_its_offset() -> None:
    assert formatting.moment(SEEN, time_zone("America/Sao_Paulo"), beside=SEEN).endswith(" 09:35 UTC-03")


@pytest.mark.parametrize(
    ("left", "status", "relative", "urgency"),
    [
        (timedelta(hours=35, minutes=59), "exception", "in 35 h", Urgency.NONE),
        (timedelta(hours=24), "exception", "in 24 h", Urgency.SOON),
        (timedelta(hours=24, seconds=1), "exception", "in 24 h", Urgency.NONE),
        (timedelta(hours=48), "exception", "in 2 d", Urgency.NONE),
        (timedelta(minutes=25), "processing", "in 25 min", Urgency.SOON),
        (timedelta(seconds=1), "exception", "in less than a minute", Urgency.SOON),
        (timedelta(0), "exception", "less than a minute overdue", Urgency.OVERDUE),
        (timedelta(seconds=-1), "exception", "less than a minute overdue", Urgency.OVERDUE),
        (timedelta(days=-11), "backordered", "11 d overdue", Urgency.OVERDUE),
        (timedelta(days=-11), "cancelled", "11 d ago", Urgency.NONE),
        (timedelta(days=-11), "on_hold", "11 d ago", Urgency.NONE),
        (timedelta(hours=2), "fulfilled", "in 2 h", Urgency.NONE),
    ],
)
def test_how_urgent_a_ship_by_is(left: timedelta, status: str, relative: str, urgency: Urgency) -> None:
    due = formatting.due(SEEN + left, status=status, seen=SEEN, zone=BERLIN)
    assert due
    assert (due.relative, due.urgency) == (relative, urgency)


def test_an_unknown_zone_falls_back_to_utc() -> None:
    alert = order_alert("order.exception", created_at=NOW)
    elsewhere = alert.connection.model_copy(update={"time_zone": "Mars/Olympus"})
    assert "Placed: Wed\u00a04\u00a0Mar\u00a012:32\u00a0UTC" in email.body(
        alert.model_copy(update={"connection": elsewhere})
    )


@pytest.mark.parametrize(
    ("ship_by", "zone", "ends"),
    [
        (datetime(2026, 3, 6, tzinfo=UTC), "America/Los_Angeles", datetime(2026, 3, 7, 8, tzinfo=UTC)),
        (datetime(2026, 3, 6, tzinfo=UTC).replace(tzinfo=None), "UTC", datetime(2026, 3, 7, tzinfo=UTC)),
        (datetime(2026, 3, 6, 0, 1, tzinfo=UTC), "Europe/Berlin", datetime(2026, 3, 6, 0, 1, tzinfo=UTC)),
    ],
    ids=["a date", "a naive date", "a moment"],
)
def test_midnight_utc_is_the_end_of_that_day_in_the_shop(ship_by: datetime, zone: str, ends: datetime) -> None:
    due = formatting.due(ship_by, status="exception", seen=ends - timedelta(hours=3), zone=time_zone(zone))
    assert due
    assert due.relative == "in 3 h"


def test_an_order_without_a_ship_by_is_never_overdue() -> None:
    alert = order_alert("order.exception", ship_by=None)
    assert (formatting.urgency(alert), formatting.late_hours(alert)) == (Urgency.NONE, None)


@pytest.mark.parametrize(("late", "hours"), [(0, 0), (59, 0), (60, 1), (61, 1)])
def test_late_hours_are_whole_hours(late: int, hours: int) -> None:
    alert = order_alert("order.exception", ship_by=SEEN - timedelta(minutes=late), seen_at=SEEN)
    assert formatting.late_hours(alert) == hours


@pytest.mark.parametrize("behind", [timedelta(0), timedelta(milliseconds=1), timedelta(seconds=40)])
def test_a_late_alert_is_overdue_even_by_a_clock_that_is_behind(behind: timedelta) -> None:
    alert = order_alert("order.late", status="processing", ship_by=SEEN, seen_at=SEEN - behind)
    assert email.subject(alert).startswith("[late] Less than a minute overdue: ")
    assert (formatting.urgency(alert), formatting.late_hours(alert)) == (Urgency.OVERDUE, Decimal(0))


@pytest.mark.parametrize(
    "text",
    [
        "Wed 4 Mar 13:33 CET",
        "Thu 5 Mar 2027",
        "Fri 6 Mar 10:00 UTC-03",
        "3 h 20 min",
        "1,200 d",
        "12 min",
        "186.54 USD",
    ],
)
def test_dates_times_and_amounts_stay_on_one_line(text: str) -> None:
    assert formatting.keep_together(f"It is ({text}), so") == f"It is ({text.replace(' ', chr(160))}), so"


@pytest.mark.parametrize("text", ["2 \u00d7 Merino socks, M", "12 days", "Order #1042 is late", "5 x M"])
def test_other_words_may_break(text: str) -> None:
    assert formatting.keep_together(text) == text
