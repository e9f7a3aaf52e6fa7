"""Due times as people read them: in the shop's time zone, relative to when the alert was seen."""

from datetime import UTC, datetime, timedelta, timezone

import pytest

from orderwatch.alerts.kinds import Urgency
from orderwatch.rendering import email, formatting, slack, sms
from orderwatch.shop_settings import time_zone
from orderwatch_local.preview.samples import NOW, SAMPLES, order_alert

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
        (datetime(2026, 3, 6, 9, tzinfo=UTC), None, "Fri 6 Mar 2026 10:00 CET"),
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
        (timedelta(0), "exception", "in less than a minute", Urgency.SOON),
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


def test_no_order_is_overdue_without_a_date() -> None:
    alert = order_alert("order.exception", ship_by=None)
    assert formatting.urgency(alert) is Urgency.NONE
    assert formatting.late_hours(alert) is None
    assert "verdue" not in email.subject(alert) + email.body(alert) + sms.body(alert) + str(slack.blocks(alert))


@pytest.mark.parametrize(
    ("ship_by", "zone", "ends"),
    [
        (datetime(2026, 3, 6, tzinfo=UTC), "Europe/Berlin", datetime(2026, 3, 6, 23, tzinfo=UTC)),
        (datetime(2026, 3, 6, tzinfo=UTC), "America/Los_Angeles", datetime(2026, 3, 7, 8, tzinfo=UTC)),
        (datetime(2026, 3, 29, tzinfo=UTC), "Europe/Berlin", datetime(2026, 3, 29, 22, tzinfo=UTC)),
        (datetime(2026, 3, 6, tzinfo=UTC).replace(tzinfo=None), "UTC", datetime(2026, 3, 7, tzinfo=UTC)),
        (datetime(2026, 3, 6, 0, 1, tzinfo=UTC), "Europe/Berlin", datetime(2026, 3, 6, 0, 1, tzinfo=UTC)),
    ],
    ids=["Berlin", "Los Angeles", "the clocks go forward", "naive", "a moment"],
)
def test_midnight_utc_is_the_end_of_that_day_in_the_shop(ship_by: datetime, zone: str, ends: datetime) -> None:
    alert = order_alert("order.exception", ship_by=ship_by, seen_at=ends - timedelta(hours=3))
    connection = alert.connection.model_copy(update={"time_zone": zone})
    due = formatting.order_due(alert.model_copy(update={"connection": connection}))
    assert due
    assert due.relative == "in 3 h"


@pytest.mark.parametrize("status", ["fulfilled", "cancelled"])
def test_a_shipped_or_cancelled_order_shows_no_ship_by(status: str) -> None:
    alert = order_alert("order.recovered", status=status, ship_by=datetime(2026, 3, 6, 9, tzinfo=UTC))
    assert "hip by" not in email.body(alert) + sms.body(alert) + str(slack.blocks(alert))


def test_a_date_without_a_time_is_shown_as_a_date() -> None:
    alert = order_alert("order.exception", ship_by=datetime(2026, 3, 6, tzinfo=UTC))
    assert "Ship by Fri 6 Mar (in 2 d)." in email.body(alert)
    assert "Ship by Fri 6 Mar (in 2 d)." in slack.blocks(alert).blocks[1]["text"]["text"]


def test_an_unknown_zone_falls_back_to_utc() -> None:
    alert = order_alert("order.exception", created_at=NOW)
    elsewhere = alert.connection.model_copy(update={"time_zone": "Mars/Olympus"})
    assert "Placed: Wed 4 Mar 12:32 UTC" in email.body(alert.model_copy(update={"connection": elsewhere}))


@pytest.mark.parametrize("name", ["", "Europe", "Mars/Olympus", "../../etc/passwd", "/etc/localtime", "CET\0"])
def test_an_unknown_time_zone_error_shows_an_example(name: str) -> None:
    with pytest.raises(ValueError, match="such as Europe/Berlin"):
        time_zone(name)


def test_every_channel_shows_that_an_order_is_overdue() -> None:
    alert = SAMPLES["order.backordered"]
    assert email.subject(alert).startswith("[backordered] 11 d overdue: Order #JP-20931")
    assert slack.blocks(alert).blocks[0]["text"]["text"].endswith(", 11 d overdue")
    assert "11 d overdue" in sms.body(alert)
    assert formatting.late_hours(alert) == 11 * 24 + 13
