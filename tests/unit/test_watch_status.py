"""The status of `orderwatch up`: the results in the log of poll_orders, its line, and its messages."""

import json
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from orderwatch.records import ConnectionState, Health, HealthState
from orderwatch_cli.poll_results import POLL_ENDED, POLL_FAILED, PollResult, parse_result
from orderwatch_local.up.status import PollLog, WatchStatus, interval_of
from tests.support.clocks import NOON

NAMES = {"conn_a": "Alpine Outdoor", "conn_b": "conn_b"}
UNREACHABLE = "GET /cart/orders: 127.0.0.1 cannot be reached (ConnectError)"
TRACEBACK = (
    f"Traceback (most recent call last):\n  File app.py, line 84\norderwatch.errors.UnavailableError: {UNREACHABLE}"
)


def entry(message: str, **fields: Any) -> str:
    return json.dumps({"level": "INFO", "message": message, "connection_id": "conn_a", **fields})


# Results in the log


@pytest.mark.parametrize(
    ("line", "result"),
    [
        (
            entry(POLL_ENDED, outcome="finished", OrdersRead=12, OrdersWritten=3),
            PollResult("conn_a", NOON, orders=12, moved=3),
        ),
        (
            entry(POLL_FAILED, exception=TRACEBACK, exception_name="UnavailableError"),
            PollResult("conn_a", NOON, outcome="failed", reason=UNREACHABLE),
        ),
        (
            entry(POLL_ENDED, outcome="unauthorized"),
            PollResult(
                "conn_a", NOON, outcome="unauthorized", reason="Trackstar refuses the API key or the access token"
            ),
        ),
        ("START RequestId: 875edbf0", None),
        ("{not json", None),
        ("[1]", None),
        (entry("trying trackstar again"), None),
    ],
)
def test_a_log_line_is_a_result_or_ignored(line: str, result: PollResult | None) -> None:
    assert parse_result(line, at=NOON) == result


@pytest.mark.parametrize("fields", [{}, {"exception": ""}, {"exception": "one line", "exception_name": None}])
def test_a_failure_without_an_exception_has_a_reason(fields: dict[str, Any]) -> None:
    result = parse_result(entry(POLL_FAILED, **fields), at=NOON)
    assert result
    assert result.reason


class Logs:
    """CloudWatch Logs with one group."""

    def __init__(self) -> None:
        self.events: list[dict[str, Any]] = []

    def get_paginator(self, _: str) -> "Logs":
        return self

    def paginate(self, *, logGroupName: str, startTime: int) -> list[dict[str, Any]]:  # noqa: N803 - AWS's names
        return [{"events": [event for event in self.events if event["timestamp"] >= startTime]}]

    def write(self, at: int, orders: int, *, outcome: str = "finished") -> None:
        self.events.append({"timestamp": at, "message": entry(POLL_ENDED, outcome=outcome, OrdersRead=orders)})


def test_each_result_is_read_once_even_in_the_same_millisecond() -> None:
    logs = Logs()
    log = PollLog(logs, "group")  # type: ignore[arg-type]
    logs.write(1000, 1)
    assert [result.orders for result in log.new_results()] == [1]
    logs.write(1000, 2)
    logs.write(2000, 3)
    assert [result.orders for result in log.new_results()] == [2, 3]
    assert log.new_results() == []
    logs.write(3000, 0, outcome="already read")
    assert log.new_results() == [], "a queued poll that had nothing left to read"


# The line


READ = "12 orders read"


def after(seconds: float) -> datetime:
    return NOON + timedelta(seconds=seconds)


@pytest.fixture
def utc(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Sets this machine's time zone to UTC."""
    monkeypatch.setenv("TZ", "UTC")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


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


@pytest.mark.parametrize(
    ("width", "line"),
    [
        (120, f"watching 2 shops · last poll 2 s ago: {READ}, 1 changed · next in 3 s · shop's clock 10 Mar 14:00 UTC"),
        (60, f"2 shops · {READ} 2 s ago · next in 3 s · shop 14:00"),
    ],
)
def test_the_line_has_shops_last_poll_next_poll_and_vendor_time(status: WatchStatus, width: int, line: str) -> None:
    polled(status)
    status.vendor_time = datetime(2026, 3, 10, 14, tzinfo=UTC)
    assert status.line(after(2), width) == line


@pytest.mark.parametrize("width", [0, 1, 20, 59])
def test_the_line_is_never_wider_than_the_terminal(status: WatchStatus, width: int) -> None:
    polled(status, orders=1_234_567)
    assert len(status.line(after(3600), width)) <= width


def test_the_line_says_when_the_next_poll_is(status: WatchStatus) -> None:
    assert status.line(after(1), 120) == "watching 2 shops · first poll · next in 4 s"
    assert "next now" in status.line(after(7), 120)
    assert "next" not in WatchStatus(NAMES, None, started_at=NOON).line(after(7), 120)


BLOCKED, STALE = (Health(since=NOON, state=state) for state in (HealthState.BLOCKED, HealthState.STALE))


@pytest.mark.usefixtures("utc")
@pytest.mark.parametrize(
    ("names", "seen", "says"),
    [
        (
            ["conn_a"],
            [("conn_a", 60, BLOCKED), ("conn_a", 120, BLOCKED)],
            "watching A · blocked since 12:01 · first poll",
        ),
        (
            ["conn_a"],
            [("conn_a", 60, STALE), ("conn_a", 120, BLOCKED)],
            "watching A · blocked since 12:02 · first poll",
        ),
        (["conn_a"], [("conn_a", 60, BLOCKED), ("conn_a", 120, None)], "watching A · first poll"),
        (["conn_a"], [("conn_a", 60, Health(since=NOON))], "watching A · first poll"),
        (["conn_a", "conn_b"], [("conn_b", 60, BLOCKED)], "watching 2 shops · B blocked since 12:01 · first poll"),
        (
            ["conn_a", "conn_b"],
            [("conn_b", 60, BLOCKED), ("conn_a", 180, STALE)],
            "watching 2 shops · 2 shops not visible since 12:01 · first poll",
        ),
    ],
)
def test_the_line_says_since_when_a_shop_is_not_visible(
    names: list[str], seen: list[tuple[str, float, Health | None]], says: str
) -> None:
    status = WatchStatus({name: name[-1].upper() for name in names}, None, started_at=NOON)
    for connection_id, seconds, health in seen:
        status.record_health([ConnectionState(connection_id=connection_id, health=health)], after(seconds))
    assert status.line(after(200), 120) == says


# Messages


def test_failing_polls_are_reported_once_for_each_reason(status: WatchStatus) -> None:
    assert polled(status, reason="it cannot be reached") == (
        "polling Alpine Outdoor fails: it cannot be reached. It is retried within three minutes."
    )
    assert status.healthy_shops == ["conn_b"]
    assert polled(status, at=150, reason="it cannot be reached") is None
    assert "status 503" in (polled(status, at=299, reason="status 503") or "")
    assert "polling 1 shop fails" in status.line(after(299), 120)
    assert polled(status, at=300) == "polling Alpine Outdoor works again, after 5 min"
    assert status.healthy_shops == ["conn_a", "conn_b"]
    assert polled(status, at=305) is None


def test_a_shop_without_poll_results_is_reported_once(status: WatchStatus) -> None:
    polled(status, at=100)
    assert list(status.overdue_messages(after(180))) == []
    assert list(status.overdue_messages(after(200))) == ["no poll of conn_b has finished for 3 min"]
    assert list(status.overdue_messages(after(201))) == []
    assert list(status.overdue_messages(after(300))) == ["no poll of Alpine Outdoor has finished for 3 min"]


def test_a_shop_that_is_not_watched_is_ignored(status: WatchStatus) -> None:
    assert status.record(PollResult("conn_other", NOON, reason="x")) is None
    assert status.failing_since == {}
