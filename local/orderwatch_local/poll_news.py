"""What poll_orders logged: how each poll ended, in a few words that a person understands."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from orderwatch.polling.metrics import Outcome
from orderwatch.sanitize import one_line

if TYPE_CHECKING:
    from mypy_boto3_logs import CloudWatchLogsClient

MAX_REASON = 300
"""Characters of a reason."""
_REASONS = {
    Outcome.UNAUTHORIZED: "Trackstar refuses the API key or the access token",
    Outcome.INITIAL_SYNC: "Trackstar has not finished its first sync of this shop",
}


@dataclass(frozen=True, slots=True)
class PollNews:
    """How one poll ended.

    Attributes:
        connection_id: Whose poll.
        at: When, by this machine's clock.
        orders: Orders that it read.
        moved: Orders whose status it found changed, or new.
        reason: Why it failed; None where it did not.
    """

    connection_id: str
    at: datetime
    orders: int = 0
    moved: int = 0
    reason: str | None = None


class PollLog:
    """The log of poll_orders, read on from where the last look ended.

    Args:
        logs: CloudWatch Logs.
        group: The function's log group.
    """

    def __init__(self, logs: "CloudWatchLogsClient", group: str) -> None:
        self._logs = logs
        self._group = group
        self._since = 0
        self._known: set[str] = set()

    def news(self) -> list[PollNews]:
        """The polls that ended since the last call, the oldest first."""
        found: list[PollNews] = []
        for at, message in self._fresh():
            news = news_in(message, at=datetime.fromtimestamp(at / 1000, UTC))
            found += [news] if news else []
        return found

    def _fresh(self) -> Iterator[tuple[int, str]]:
        pages = self._logs.get_paginator("filter_log_events").paginate(logGroupName=self._group, startTime=self._since)
        events = [(event["timestamp"], event["message"]) for page in pages for event in page["events"]]
        for at, message in sorted(events, key=lambda event: event[0]):
            if at > self._since:
                self._since, self._known = at, set()
            if message not in self._known:  # the last millisecond is read again: more may have come in it
                self._known.add(message)
                yield at, message


def news_in(message: str, *, at: datetime) -> PollNews | None:
    """What a line of the log says of a poll; None where it says nothing of how one ended."""
    entry = _parsed(message)
    connection_id = str(entry.get("connection_id"))
    if entry.get("message") == "poll failed; the cursor stays":
        return PollNews(connection_id, at, reason=_reason(entry))
    if entry.get("message") != "poll ended" or entry.get("outcome") == Outcome.ALREADY_READ:
        return None
    reason = _REASONS.get(entry.get("outcome", ""))
    return PollNews(connection_id, at, entry.get("OrdersRead", 0), entry.get("OrdersWritten", 0), reason)


def _parsed(message: str) -> dict[str, Any]:
    if not message.startswith("{"):
        return {}
    try:
        entry = json.loads(message)
    except ValueError:
        return {}
    return entry if isinstance(entry, dict) else {}


def _reason(entry: dict[str, Any]) -> str:
    """The sentence of the exception, without its traceback and the name of its class."""
    lines = str(entry.get("exception") or "").strip().splitlines() or ["for a reason that was not logged"]
    name = str(entry.get("exception_name") or "")
    _, is_named, sentence = lines[-1].partition(f"{name}: ")
    return one_line(sentence if is_named and name else lines[-1], MAX_REASON)
