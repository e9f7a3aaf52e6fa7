"""The status line of `orderwatch up`, and its messages when polls fail and recover."""

from datetime import UTC, datetime, timedelta

import pytest

from orderwatch_local.up.status import PollResult, WatchStatus, interval_of

NOON = datetime(2026, 1, 5, 12, tzinfo=UTC)
NAMES = {"conn_a": "Alpine Outdoor", "conn_b": "conn_b"}


def after(seconds: float) -> datetime:
    return NOON + timedelta(seconds=seconds)


@pytest.fixture
def status() -> WatchStatus:
    return WatchStatus(NAMES, timedelta(seconds=5), started_at=NOON)


def polled(status: WatchStatus, *, at: float = 0, orders: int = 12, reason: str | None = None) -> str | None:
    return status.record(PollResult("conn_a", after(at), orders=orders, moved=1, reason=reason))


@pytest.mark.parametrize(
    ("schedule", "period"),
    [
        ("rate(1 minute)", timedelta(minutes=1)),
        ("rate(6 hours)", timedelta(hours=6)),
        ("rate(2 days)", timedelta(days=2)),
        ("cron(0 8 ? * MON-FRI *)", None),
    ],
)
def test_a_rate_has_an_interval(schedule: str, period: timedelta | None) -> None:
    assert interval_of(schedule) == period


def test_the_line_has_shops_last_poll_next_poll_and_vendor_time(status: WatchStatus) -> None:
    polled(status)
    status.vendor_time = datetime(2026, 3, 10, 14, tzinfo=UTC)
    assert status.line(after(2), 120) == (
        "watching 2 shops · last poll 2 s ago: 12 orders read, 1 changed · next in 3 s · shop's clock 10 Mar 14:00 UTC"
    )


def test_at_60_columns_the_line_has_a_shorter_form(status: WatchStatus) -> None:
    polled(status)
    status.vendor_time = datetime(2026, 3, 10, 14, tzinfo=UTC)
    assert status.line(after(2), 60) == "2 shops · 12 orders read 2 s ago · next in 3 s · shop 14:00"


@pytest.mark.parametrize("width", [0, 1, 20, 59])
def test_the_line_is_never_wider_than_the_terminal(status: WatchStatus, width: int) -> None:
    polled(status, orders=1_234_567)
    assert len(status.line(after(3600), width)) <= width


def test_before_the_first_result_the_line_says_first_poll(status: WatchStatus) -> None:
    assert status.line(after(1), 120) == "watching 2 shops · first poll · next in 4 s"


def test_an_overdue_poll_is_next_now_and_a_cron_has_no_next() -> None:
    assert "next now" in WatchStatus(NAMES, timedelta(seconds=5), started_at=NOON).line(after(7), 120)
    assert "next" not in WatchStatus(NAMES, None, started_at=NOON).line(after(7), 120)


def test_failing_polls_are_reported_once_for_each_reason(status: WatchStatus) -> None:
    assert polled(status, reason="it cannot be reached") == (
        "polling Alpine Outdoor fails: it cannot be reached. It is retried within three minutes."
    )
    assert polled(status, at=150, reason="it cannot be reached") is None
    assert "status 503" in (polled(status, at=300, reason="status 503") or "")
    assert "polling 1 shop fails" in status.line(after(301), 120)


def test_a_recovery_is_reported_once_with_its_duration(status: WatchStatus) -> None:
    polled(status, reason="it cannot be reached")
    polled(status, at=150, reason="it cannot be reached")
    assert polled(status, at=300) == "polling Alpine Outdoor works again, after 5 min"
    assert polled(status, at=305) is None


def test_polls_are_requested_only_for_shops_that_do_not_fail(status: WatchStatus) -> None:
    polled(status, reason="it cannot be reached")
    assert status.healthy_shops == ["conn_b"]
    polled(status, at=150)
    assert status.healthy_shops == ["conn_a", "conn_b"]


def test_a_shop_without_poll_results_is_reported_once(status: WatchStatus) -> None:
    polled(status, at=100)
    assert list(status.overdue_messages(after(180))) == []
    assert list(status.overdue_messages(after(200))) == ["no poll of conn_b has finished for 3 min"]
    assert list(status.overdue_messages(after(201))) == []
    assert list(status.overdue_messages(after(300))) == ["no poll of Alpine Outdoor has finished for 3 min"]


def test_a_shop_that_is_not_watched_is_ignored(status: WatchStatus) -> None:
    assert status.record(PollResult("conn_other", NOON, reason="x")) is None
    assert status.failing_since == {}
