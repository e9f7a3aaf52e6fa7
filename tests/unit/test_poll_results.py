"""The results of polls, as `orderwatch up` reads them from the log of poll_orders."""

import json
from datetime import UTC, datetime
from typing import Any

import pytest

from orderwatch_local.up.status import POLL_ENDED, POLL_FAILED, PollLog, PollResult, parse_result

AT = datetime(2026, 1, 5, 12, tzinfo=UTC)
TRACEBACK = (
    'Traceback (most recent call last):\n  File "/var/task/app.py", line 84, in _handle\n    raise\n'
    "orderwatch.errors.UnavailableError: GET /cart/orders: 127.0.0.1 cannot be reached (ConnectError)"
)


def entry(message: str, **fields: Any) -> str:
    return json.dumps({"level": "INFO", "message": message, "connection_id": "conn_a", **fields})


def test_a_finished_poll_has_its_counts() -> None:
    line = entry(POLL_ENDED, outcome="finished", OrdersRead=12, OrdersWritten=3)
    assert parse_result(line, at=AT) == PollResult("conn_a", AT, orders=12, moved=3)


def test_a_failed_poll_has_its_reason_without_a_traceback() -> None:
    line = entry(POLL_FAILED, exception=TRACEBACK, exception_name="UnavailableError")
    assert parse_result(line, at=AT) == PollResult(
        "conn_a", AT, reason="GET /cart/orders: 127.0.0.1 cannot be reached (ConnectError)"
    )


def test_a_refused_token_is_a_failure_of_a_finished_poll() -> None:
    result = parse_result(entry(POLL_ENDED, outcome="unauthorized"), at=AT)
    assert result
    assert result.reason == "Trackstar refuses the API key or the access token"


@pytest.mark.parametrize(
    "line",
    [
        "START RequestId: 875edbf0",
        '  File "/var/task/app.py", line 84, in _handle',
        "{not json",
        "[1]",
        entry("trying trackstar again"),
        entry(POLL_ENDED, outcome="already read"),  # a queued poll that had nothing left to read
    ],
)
def test_other_lines_are_ignored(line: str) -> None:
    assert parse_result(line, at=AT) is None


@pytest.mark.parametrize("fields", [{}, {"exception": ""}, {"exception": "one line", "exception_name": None}])
def test_a_failure_without_an_exception_has_a_reason(fields: dict[str, Any]) -> None:
    result = parse_result(entry(POLL_FAILED, **fields), at=AT)
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

    def write(self, at: int, orders: int) -> None:
        self.events.append({"timestamp": at, "message": entry(POLL_ENDED, outcome="finished", OrdersRead=orders)})


def test_each_result_is_read_once_even_in_the_same_millisecond() -> None:
    logs = Logs()
    log = PollLog(logs, "group")  # type: ignore[arg-type]
    logs.write(1000, 1)
    assert [result.orders for result in log.new_results()] == [1]
    logs.write(1000, 2)
    logs.write(2000, 3)
    assert [result.orders for result in log.new_results()] == [2, 3]
    assert log.new_results() == []
