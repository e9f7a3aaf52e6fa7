"""`orderwatch logs`: what the functions wrote, in the order of time."""

import heapq
import json
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any

from pydantic import BaseModel

from orderwatch.errors import OrderwatchError
from orderwatch_cli.stack import Stack

_NOISE = frozenset(
    {
        *("level", "message", "timestamp", "location", "service", "cold_start", "sampling_rate", "xray_trace_id"),
        *("function_name", "function_memory_size", "function_arn", "function_request_id", "exception", "stack_trace"),
    }
)
"""Keys of a line that are shown elsewhere in it, or that say nothing about what happened."""
_PLATFORM = ("INIT_START", "START ", "END ", "REPORT ", "EXTENSION")
"""How Lambda's own lines begin, of which each invocation has some."""


class Function(StrEnum):
    """The functions, as their logs are called."""

    DISPATCH_POLLS = "dispatch-polls"
    POLL_ORDERS = "poll-orders"
    PUBLISH_ALERTS = "publish-alerts"
    REDRIVE_ALERTS = "redrive-alerts"
    SEND_SUMMARY = "send-summary"
    POST_TO_SLACK = "post-to-slack"

    @property
    def log_group(self) -> str:
        """What the template calls the log."""
        return "".join(part.capitalize() for part in self.split("-")) + "LogGroup"


class Level(StrEnum):
    """How much a line matters."""

    DEBUG = "debug"
    INFO = "info"
    WARNING = "warning"
    ERROR = "error"

    def lets_through(self, level: str | None) -> bool:
        """Whether a line of a level is shown; what Lambda itself writes always is."""
        order = list(Level)
        name = (level or "").lower()
        return name not in order or order.index(Level(name)) >= order.index(self)


class LogError(OrderwatchError):
    """The function has no log."""


class LoggedLine(BaseModel):
    """A line of a log.

    Attributes:
        at: When it was written.
        function: By which function.
        level: Such as `ERROR`; None where Lambda itself wrote it.
        message: What happened.
        fields: The line's other keys; of one that is no JSON there are none.
        exception: The traceback, where there is one.
    """

    at: datetime
    function: str
    level: str | None = None
    message: str
    fields: dict[str, Any] = {}
    exception: str | None = None

    def alerted(self) -> str:
        """Level, function, message and fields on one line."""
        fields = "".join(f"  {name}={_value(value)}" for name, value in self.fields.items())
        return f"{self.level or '-':<7} {self.function:<14} {self.message}{fields}"


def lines(
    stack: Stack, functions: Sequence[Function], *, since: datetime, about: Sequence[str]
) -> Iterator[LoggedLine]:
    """What these functions wrote, the oldest first.

    Args:
        stack: Where.
        functions: Whose; all of the stack's where none is named.
        since: From this moment on.
        about: Only lines that hold each of these texts, such as the id of an alert or of a shop.

    Raises:
        LogError: The stack has no such function.
    """
    named = functions or [each for each in Function if each.log_group in stack.resources]
    logs = [_events(stack, each, since=since, about=about) for each in named]
    return heapq.merge(*logs, key=lambda line: line.at)


def _events(stack: Stack, function: Function, *, since: datetime, about: Sequence[str]) -> Iterator[LoggedLine]:
    if function.log_group not in stack.resources:
        raise LogError(f"this stack has no {function}: it comes with SlackEnabled=true")
    options: Any = {"filterPattern": " ".join(map(_quoted, about))} if about else {}
    pages = stack.aws.logs.get_paginator("filter_log_events").paginate(
        logGroupName=stack.resources[function.log_group].id, startTime=int(since.timestamp() * 1000), **options
    )
    for page in pages:
        for event in page["events"]:
            at = datetime.fromtimestamp(event["timestamp"] / 1000, UTC)
            if line := _line(event["message"].strip(), function, at):
                yield line


def _quoted(text: str) -> str:
    """A filter pattern that finds the text wherever it stands in a line."""
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def _line(text: str, function: Function, at: datetime) -> LoggedLine | None:
    """What a line says; None where it is Lambda's account of an invocation that went well, or a metric."""
    written = _object(text)
    if written is None:
        has_ship_by = bool(text) and not text.startswith(_PLATFORM)
        return LoggedLine(at=at, function=function, message=text) if has_ship_by else None
    if "_aws" in written or _is_routine(written):
        return None
    return LoggedLine(
        at=at,
        function=function,
        level=str(written.get("level", "")) or None,
        message=str(written.get("message") or written.get("type") or ""),
        fields={name: value for name, value in written.items() if name not in _NOISE},
        exception=str(written["exception"]) if written.get("exception") else None,
    )


def _is_routine(written: dict[str, Any]) -> bool:
    record = written.get("record")
    status = record.get("status", "success") if isinstance(record, dict) else "success"
    return str(written.get("type", "")).startswith("platform.") and status == "success"


def _object(text: str) -> dict[str, Any] | None:
    try:
        found = json.loads(text)
    except ValueError:
        return None
    return found if isinstance(found, dict) else None


def _value(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
