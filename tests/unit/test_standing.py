"""The line of `orderwatch up` that is never dead, and the lines when polls fail and recover."""

from datetime import UTC, datetime, timedelta

import pytest

from orderwatch_local.up.status import DeadlineState, PollNews, period_of

NOON = datetime(2026, 1, 5, 12, tzinfo=UTC)
NAMES = {"conn_a": "Alpine Outdoor", "conn_b": "conn_b"}


def after(seconds: float) -> datetime:
    return NOON + timedelta(seconds=seconds)


@pytest.fixture
def deadline_state() -> DeadlineState:
    return DeadlineState(NAMES, timedelta(seconds=5), begun=NOON)


def polled(deadline_state: DeadlineState, *, at: float = 0, orders: int = 12, reason: str | None = None) -> str | None:
    return deadline_state.acquire(PollNews("conn_a", after(at), orders=orders, moved=1, reason=reason))


@pytest.mark.parametrize(
    ("schedule", "period"),
    [
        ("rate(1 minute)", timedelta(minutes=1)),
        ("rate(6 hours)", timedelta(hours=6)),
        ("rate(2 days)", timedelta(days=2)),
        ("cron(0 8 ? * MON-FRI *)", None),
    ],
)
def test_a_rate_says_when_the_next_poll_is(schedule: str, period: timedelta | None) -> None:
    assert period_of(schedule) == period


def test_the_line_says_the_shops_the_last_poll_the_next_one_and_the_shops_hour(deadline_state: DeadlineState) -> None:
    polled(deadline_state)
    deadline_state.vendor_time = datetime(2026, 3, 10, 14, tzinfo=UTC)
    assert deadline_state.line(after(2), 120) == (
        "watching 2 shops · last poll 2 s ago: 12 orders read, 1 changed · next in 3 s · shop's clock 10 Mar 14:00 UTC"
    )


def test_at_60_columns_it_says_the_same_in_fewer_words(deadline_state: DeadlineState) -> None:
    polled(deadline_state)
    deadline_state.vendor_time = datetime(2026, 3, 10, 14, tzinfo=UTC)
    assert deadline_state.line(after(2), 60) == "2 shops · 12 orders read 2 s ago · next in 3 s · shop 14:00"


@pytest.mark.parametrize("width", [0, 1, 20, 59])
def test_it_is_never_wider_than_there_is_room(deadline_state: DeadlineState, width: int) -> None:
    polled(deadline_state, orders=1_234_567)
    assert len(deadline_state.line(after(3600), width)) <= width


def test_before_the_first_poll_ended_it_says_so(deadline_state: DeadlineState) -> None:
    assert deadline_state.line(after(1), 120) == "watching 2 shops · first poll · next in 4 s"


def test_a_poll_that_is_due_is_next_now_and_one_of_a_cron_expression_is_not_foretold() -> None:
    assert "next now" in DeadlineState(NAMES, timedelta(seconds=5), begun=NOON).line(after(7), 120)
    assert "next" not in DeadlineState(NAMES, None, begun=NOON).line(after(7), 120)


def test_polls_that_fail_are_said_once_for_each_reason(deadline_state: DeadlineState) -> None:
    assert polled(deadline_state, reason="it cannot be reached") == (
        "polls of Alpine Outdoor fail: it cannot be reached. The next try is within three minutes."
    )
    assert polled(deadline_state, at=150, reason="it cannot be reached") is None
    assert "status 503" in (polled(deadline_state, at=300, reason="status 503") or "")
    assert "polls of 1 shop fail" in deadline_state.line(after(301), 120)


def test_the_recovery_is_said_once_with_how_long_it_took(deadline_state: DeadlineState) -> None:
    polled(deadline_state, reason="it cannot be reached")
    polled(deadline_state, at=150, reason="it cannot be reached")
    assert polled(deadline_state, at=300) == "Alpine Outdoor is polled again, after 5 min"
    assert polled(deadline_state, at=305) is None


def test_only_shops_whose_polls_end_well_are_asked_for_again(deadline_state: DeadlineState) -> None:
    polled(deadline_state, reason="it cannot be reached")
    assert deadline_state.polled_well == ["conn_b"]
    polled(deadline_state, at=150)
    assert deadline_state.polled_well == ["conn_a", "conn_b"]


def test_a_shop_of_which_no_poll_ends_is_said_once_although_nobody_logged_why(deadline_state: DeadlineState) -> None:
    polled(deadline_state, at=100)
    assert list(deadline_state.suppression(after(180))) == []
    assert list(deadline_state.suppression(after(200))) == ["no poll of conn_b has ended for 3 min"]
    assert list(deadline_state.suppression(after(201))) == []
    assert list(deadline_state.suppression(after(300))) == ["no poll of Alpine Outdoor has ended for 3 min"]


def test_a_shop_that_is_not_watched_here_is_no_news(deadline_state: DeadlineState) -> None:
    assert deadline_state.acquire(PollNews("conn_other", NOON, reason="x")) is None
    assert deadline_state.failing_since == {}
