"""`orderwatch logs`: the log lines of the functions, the oldest first."""

import heapq
import json
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Annotated, Any

import typer
from pydantic import BaseModel

from orderwatch import clock
from orderwatch.errors import OrderwatchError
from orderwatch_cli import output
from orderwatch_cli.arguments import MOMENT_EXAMPLES, Endpoint, Json, Shop, StackName, Utc, since_moment, stack_at
from orderwatch_cli.filters import resolve_shop
from orderwatch_cli.stack import STACK_NAME, Function, Stack

_NOISE = frozenset(
    {
        *("level", "message", "timestamp", "location", "service", "cold_start", "sampling_rate", "xray_trace_id"),
        *("function_name", "function_memory_size", "function_arn", "function_request_id", "exception", "stack_trace"),
    }
)
"""Keys of a line that are shown elsewhere in it, or that say nothing about the event."""
FOLLOW_EVERY = 2.0
"""Seconds between two reads with --follow."""
LATE_LINES = timedelta(seconds=10)
"""How much later than its time a line may be found."""
_PLATFORM = ("INIT_START", "START ", "END ", "REPORT ", "EXTENSION")
"""How Lambda's own lines begin, which each invocation writes."""


class Level(StrEnum):
    """The level of a log line."""

    DEBUG = "debug"
    INFO = "info"
    WARNING = "warning"
    ERROR = "error"

    def includes(self, level: str | None) -> bool:
        """Whether a line of a level is shown; Lambda's own lines always are."""
        order = list(Level)
        name = (level or "").lower()
        return name not in order or order.index(Level(name)) >= order.index(self)


class LogError(OrderwatchError):
    """The stack does not have the function."""


class LoggedLine(BaseModel):
    """A line of a log.

    Attributes:
        at: Time of the line.
        function: The function that wrote it.
        level: Such as `ERROR`; None for Lambda's own lines.
        message: The message.
        fields: The other keys of the line; empty for a line that is not JSON.
        exception: The traceback, if there is one.
    """

    at: datetime
    function: str
    level: str | None = None
    message: str
    fields: dict[str, Any] = {}
    exception: str | None = None

    def text(self) -> str:
        """Format function, message and fields in one line."""
        fields = "".join(f"  {name}={_value(value)}" for name, value in self.fields.items())
        return f"{self.function:<14} {self.message}{fields}"


def logs(
    *,
    functions: Annotated[
        list[Function] | None,
        typer.Argument(metavar="FUNCTION", help=f"Functions (default: all): {', '.join(Function)}."),
    ] = None,
    since: Annotated[str, typer.Option(metavar="WHEN", help=f"Start of the log: {MOMENT_EXAMPLES}.")] = "1h",
    alert: Annotated[str | None, typer.Option(metavar="ALERT_ID", help="Alert ID that the lines contain.")] = None,
    shop: Shop = None,
    level: Annotated[Level, typer.Option(help="Minimum level.")] = Level.DEBUG,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Show new lines until Ctrl-C.")] = False,
    utc: Utc = False,
    stack_name: StackName = STACK_NAME,
    endpoint_url: Endpoint = None,
    json: Json = False,
) -> None:
    """Show the logs of the functions.

    The oldest lines come first. With --follow, --json prints one document a line.
    """
    from_then = since_moment(since, utc=utc)
    with stack_at(stack_name, endpoint_url) as stack:
        contains = [each for each in (alert, resolve_shop(stack, shop) if shop else None) if each]
        read = follow_logs if follow else read_logs
        lines = read(stack, functions or [], since=from_then, contains=contains)
        shown = (line for line in lines if level.includes(line.level))
        if json and not follow:
            output.document(list(shown))
            return
        is_empty = True
        for each in shown:
            is_empty = False
            if json:
                output.document_line(each)
            else:
                _print(each, utc=utc)
    if is_empty:
        output.line("no log lines; use --since to look further back")


def _print(line: LoggedLine, *, utc: bool) -> None:
    at, level = output.moment(line.at, utc=utc, seconds=True), line.level or "-"
    output.styled_line(
        (f"{at}  ", ""), (f"{level:<7}", output.style_of_level(level)), (f" {line.text()}", ""), is_wrapped=True
    )
    for each in (line.exception or "").splitlines():
        output.line(f"    {each}")


def read_logs(
    stack: Stack, functions: Sequence[Function], *, since: datetime, contains: Sequence[str]
) -> Iterator[LoggedLine]:
    """Return the lines of these functions, the oldest first.

    Args:
        stack: The stack.
        functions: The functions; empty: all that the stack has.
        since: Start of the log.
        contains: Texts that each line must contain, such as the ID of an alert or of a shop.

    Raises:
        LogError: The stack does not have one of the functions.
    """
    selected = functions or [each for each in Function if each.log_group in stack.resources]
    by_function = [_lines(stack, each, since=since, contains=contains) for each in selected]
    return heapq.merge(*by_function, key=lambda line: line.at)


def follow_logs(
    stack: Stack, functions: Sequence[Function], *, since: datetime, contains: Sequence[str]
) -> Iterator[LoggedLine]:
    """Yield the lines of `read_logs`, and then new ones, without an end.

    CloudWatch makes lines available some seconds late, and not in their order. So each read goes back `LATE_LINES`.
    """
    seen: set[tuple[datetime, str]] = set()
    while True:
        for line in read_logs(stack, functions, since=since, contains=contains):
            if (key := (line.at, line.text())) not in seen:
                seen.add(key)
                yield line
        since = max(since, clock.now() - LATE_LINES)
        seen = {key for key in seen if key[0] >= since}
        clock.sleep(FOLLOW_EVERY)


def _lines(stack: Stack, function: Function, *, since: datetime, contains: Sequence[str]) -> Iterator[LoggedLine]:
    if function.log_group not in stack.resources:
        raise LogError(f"Slack is off: this stack has no {function}; deploy it with SlackEnabled=true")
    options: Any = {"filterPattern": " ".join(map(_quoted, contains))} if contains else {}
    pages = stack.aws.logs.get_paginator("filter_log_events").paginate(
        logGroupName=stack.resources[function.log_group].id, startTime=int(since.timestamp() * 1000), **options
    )
    for page in pages:
        for event in page["events"]:
            at = datetime.fromtimestamp(event["timestamp"] / 1000, UTC)
            if line := _line(event["message"].strip(), function, at):
                yield line


def _quoted(text: str) -> str:
    """Build a filter pattern that finds the text anywhere in a line."""
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def _line(text: str, function: Function, at: datetime) -> LoggedLine | None:
    """Parse a line; None for a metric and for Lambda's report of a successful invocation."""
    written = _object(text)
    if written is None:
        is_platform = not text or text.startswith(_PLATFORM)
        return None if is_platform else LoggedLine(at=at, function=function, message=text)
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
