"""`orderwatch logs`, on lines of Powertools, Lambda's own lines, and metrics."""

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from orderwatch_cli.commands import logs
from orderwatch_cli.commands.logs import LogError
from orderwatch_cli.stack import Function
from tests.support.operated import Operated

ALERT = "2c829bb9b086ea591bd42ab4f79fe763"
NOW = datetime.now(UTC)


def written(message: str, level: str = "INFO", **fields: Any) -> str:
    """A line as Powertools writes it."""
    constant = {"location": "f:1", "service": "stack", "function_name": "f", "function_request_id": "r"}
    return json.dumps({"level": level, "message": message, **constant, **fields})


def log(operated: Operated, function: Function, *messages: str, ago: timedelta = timedelta(minutes=5)) -> None:
    client, group = operated.cloud.client("logs"), operated.stack.resources[function.log_group].id
    client.create_log_stream(logGroupName=group, logStreamName=str(ago))
    at = int((NOW - ago).timestamp() * 1000)
    events: Any = [{"timestamp": at + number, "message": message} for number, message in enumerate(messages)]
    client.put_log_events(logGroupName=group, logStreamName=str(ago), logEvents=events)


@pytest.fixture
def logged(operated: Operated) -> Operated:
    """An alert that passes two functions, and an error of another shop."""
    log(
        operated,
        Function.POLL_ORDERS,
        "START RequestId: r Version: $LATEST",
        written("alerts written", connection_id="conn_a", alert_ids=[ALERT]),
        json.dumps({"_aws": {"Timestamp": 1}, "PollsFinished": [1.0]}),
        json.dumps({"time": "t", "type": "platform.report", "record": {"status": "success"}}),
        "END RequestId: r",
    )
    log(operated, Function.PUBLISH_ALERTS, written("message sent", alert_ids=[ALERT]), ago=timedelta(minutes=4))
    log(
        operated,
        Function.POLL_ORDERS,
        written("poll failed", "ERROR", connection_id="conn_b", exception="Traceback\n  ValueError: x\x1b[2J"),
        json.dumps({"time": "t", "type": "platform.report", "record": {"status": "timeout"}}),
        ago=timedelta(hours=3),
    )
    return operated


def test_logs_are_sorted_by_time_and_skip_routine_lines(logged: Operated) -> None:
    ran = logged.run("logs", "--since", "1d", "--utc")
    assert (ran.code, ran.err) == (0, "")
    first, *exception, timeout, poll, publish = ran.out.splitlines()
    assert first.startswith(f"{NOW - timedelta(hours=3):%Y-%m-%d %H:%M:%S} UTC  ERROR   poll-orders    poll failed")
    assert exception == ["    Traceback", "      ValueError: x [2J"]
    assert "timeout" in timeout
    assert poll.endswith(f'alerts written  connection_id=conn_a  alert_ids=["{ALERT}"]')
    assert publish.endswith(f'publish-alerts message sent  alert_ids=["{ALERT}"]')


def test_logs_follow_an_alert_through_all_functions(logged: Operated) -> None:
    lines = logged.json("logs", "--alert", ALERT)
    assert [(line["function"], line["message"]) for line in lines] == [
        ("poll-orders", "alerts written"),
        ("publish-alerts", "message sent"),
    ]


def test_logs_are_filtered_by_function_shop_level_and_time(logged: Operated) -> None:
    def messages(*typed: str) -> list[str]:
        return [line["message"] for line in logged.json("logs", *typed)]

    assert messages("publish-alerts") == ["message sent"]
    assert messages("poll-orders", "publish-alerts") == ["alerts written", "message sent"]
    assert messages("--shop", "conn_b", "--since", "1d") == ["poll failed"]
    assert messages("--shop", "conn_b", "--alert", ALERT, "--since", "1d") == []
    assert messages("--level", "error", "--since", "1d") == ["poll failed", "platform.report"]
    assert messages("redrive-alerts") == []
    assert logged.run("logs", "redrive-alerts").out == "no log lines; use --since to look further back\n"


def test_missing_function_is_named(operated: Operated) -> None:
    stack = replace(operated.stack, resources={})
    with pytest.raises(LogError, match="this stack has no post-to-slack: deploy it with SlackEnabled=true"):
        list(logs.read_logs(stack, [Function.POST_TO_SLACK], since=NOW, contains=[]))
