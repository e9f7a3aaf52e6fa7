"""What the log of poll_orders says of a poll, in words that a person understands."""

import json
from datetime import UTC, datetime
from typing import Any

import pytest

from orderwatch_local.up.status import PollLog, PollNews, news_in

AT = datetime(2026, 1, 5, 12, tzinfo=UTC)
TRACEBACK = (
    'Traceback (most recent call last):\n  File "/var/task/app.py", line 84, in _handle\n    raise\n'
    "orderwatch.errors.UnavailableError: GET /cart/orders: 127.0.0.1 cannot be reached (ConnectError)"
)


def entry(message: str, **fields: Any) -> str:
    return json.dumps({"level": "INFO", "message": message, "connection_id": "conn_a", **fields})


def test_a_poll_that_ended_says_what_it_read() -> None:
    line = entry("poll ended", outcome="finished", OrdersRead=12, OrdersMoved=3)
    assert news_in(line, at=AT) == PollNews("conn_a", AT, orders=12, moved=3)


def test_a_poll_that_failed_gives_the_reason_without_the_traceback() -> None:
    line = entry("poll failed, the cursor stays", exception=TRACEBACK, exception_name="UnavailableError")
    assert news_in(line, at=AT) == PollNews(
        "conn_a", AT, reason="GET /cart/orders: 127.0.0.1 cannot be reached (ConnectError)"
    )


def test_a_refused_token_is_a_failure_though_the_poll_ended() -> None:
    news = news_in(entry("poll ended", outcome="unauthorized"), at=AT)
    assert news
    assert news.reason == "Trackstar refuses the API key or the access token"


@pytest.mark.parametrize(
    "line",
    [
        "START RequestId: 875edbf0",
        '  File "/var/task/app.py", line 84, in _handle',
        "{not json",
        "[1]",
        entry("trying trackstar again"),
        entry("poll ended", outcome="already read"),  # a tick that piled up behind another poll read nothing
    ],
)
def test_other_lines_are_no_news(line: str) -> None:
    assert news_in(line, at=AT) is None


@pytest.mark.parametrize("fields", [{}, {"exception": ""}, {"exception": "one line", "exception_name": None}])
def test_a_failure_without_a_readable_exception_is_news_too(fields: dict[str, Any]) -> None:
    news = news_in(entry("poll failed, the cursor stays", **fields), at=AT)
    assert news
    assert news.reason


class Logs:
    """CloudWatch Logs with one group."""

    def __init__(self) -> None:
        self.events: list[dict[str, Any]] = []

    def get_paginator(self, _: str) -> "Logs":
        return self

    def paginate(self, *, logGroupName: str, startTime: int) -> list[dict[str, Any]]:  # noqa: N803 - AWS's names
        return [{"events": [event for event in self.events if event["timestamp"] >= startTime]}]

    def write(self, at: int, orders: int) -> None:
        self.events.append({"timestamp": at, "message": entry("poll ended", outcome="finished", OrdersRead=orders)})


def test_each_poll_is_news_once_even_of_two_that_ended_in_the_same_millisecond() -> None:
    logs = Logs()
    log = PollLog(logs, "group")  # type: ignore[arg-type]
    logs.write(1000, 1)
    assert [news.orders for news in log.news()] == [1]
    logs.write(1000, 2)
    logs.write(2000, 3)
    assert [news.orders for news in log.news()] == [2, 3]
    assert log.news() == []
