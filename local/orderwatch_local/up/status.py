"""How the polls of a watch go: the results that poll_orders logs, and the status line that sums them up."""

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from rich.cells import cell_len

from orderwatch.polling.metrics import Outcome
from orderwatch.rendering.formatting import clean, duration, plural
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
    if entry.get("message") == "poll failed, the cursor stays":
        return PollNews(connection_id, at, reason=_reason(entry))
    if entry.get("message") != "poll ended" or entry.get("outcome") == Outcome.ALREADY_READ:
        return None
    reason = _REASONS.get(entry.get("outcome", ""))
    return PollNews(connection_id, at, entry.get("OrdersRead", 0), entry.get("OrdersMoved", 0), reason)


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


SILENT_AFTER = timedelta(minutes=3)
"""Without the end of a poll for this long, and two periods more, something is wrong that nobody logged."""
_SEPARATOR = " · "


def period_of(schedule: str) -> timedelta | None:
    """The time between two polls of a schedule such as `rate(1 minute)`; None where it is no rate."""
    match = re.fullmatch(r"rate\((\d+) (minute|hour|day)s?\)", schedule)
    return timedelta(**{f"{match[2]}s": int(match[1])}) if match else None


@dataclass(slots=True)
class DeadlineState:
    """How the polls fare.

    Attributes:
        names: What each shop is called, by connection.
        period: The time between two polls, where it is known.
        begun: When the watch began.
        asked_at: When polls were last asked for.
        polls: The last poll of each shop.
        failing_since: When the polls of a shop began to fail.
        silent: The shops of which it was said that no poll ends.
        vendor_time: Trackstar's clock at the last poll.
    """

    names: Mapping[str, str]
    period: timedelta | None
    begun: datetime
    asked_at: datetime = field(init=False)
    polls: dict[str, PollNews] = field(default_factory=dict)
    failing_since: dict[str, datetime] = field(default_factory=dict)
    silent: set[str] = field(default_factory=set)
    vendor_time: datetime | None = None

    def __post_init__(self) -> None:
        self.asked_at = self.begun

    @property
    def polled_well(self) -> list[str]:
        """The shops to ask polls for: of one whose polls fail the queue tries the last one again by itself."""
        return [connection_id for connection_id in self.names if connection_id not in self.failing_since]

    def acquire(self, news: PollNews) -> str | None:
        """Take in how a poll ended; return what is to be said of it, if anything.

        A shop whose polls fail is said once for each reason, and so is their recovery.
        """
        if news.connection_id not in self.names:
            return None
        name, before = self.names[news.connection_id], self.polls.get(news.connection_id)
        self.polls[news.connection_id] = news
        self.silent.discard(news.connection_id)
        if news.reason:
            self.failing_since.setdefault(news.connection_id, news.at)
            is_known = before is not None and before.reason == news.reason
            return None if is_known else f"polls of {name} fail: {news.reason}. The next try is within three minutes."
        failed_at = self.failing_since.pop(news.connection_id, None)
        return f"{name} is polled again, after {duration(news.at - failed_at)}" if failed_at else None

    def suppression(self, now: datetime) -> Iterator[str]:
        """Say once of each shop that no poll of it has ended for long."""
        patience = SILENT_AFTER + 2 * (self.period or timedelta(days=1))
        for connection_id, name in self.names.items():
            last = self.polls.get(connection_id)
            if now - (last.at if last else self.begun) > patience and connection_id not in self.silent:
                self.silent.add(connection_id)
                yield f"no poll of {name} has ended for {duration(patience)}"

    def line(self, now: datetime, width: int) -> str:
        """The standing in one line: the most that fits into so many columns."""
        short = self._short_pieces(now)
        for pieces in (self._pieces(now), *(short[:count] for count in range(len(short), 0, -1))):
            line = _SEPARATOR.join(pieces)
            if cell_len(line) <= width:
                return line
        return ""

    def _pieces(self, now: datetime) -> list[str]:
        shops = next(iter(self.names.values())) if len(self.names) == 1 else f"{len(self.names)} shops"
        pieces = [f"watching {clean(shops)}", *self._polled(now, "last poll {ago}: {orders} read, {moved} changed")]
        due = self._due(now)
        pieces += [f"next {due}"] if due else []
        return pieces + ([f"shop's clock {self.vendor_time:%d %b %H:%M} UTC"] if self.vendor_time else [])

    def _short_pieces(self, now: datetime) -> list[str]:
        shops = plural(len(self.names), "shop")
        pieces = [shops, *self._polled(now, "{orders} read {ago}")]
        due = self._due(now)
        pieces += [f"next {due}"] if due else []
        return pieces + ([f"shop {self.vendor_time:%H:%M}"] if self.vendor_time else [])

    def _polled(self, now: datetime, form: str) -> list[str]:
        if self.failing_since:
            failing = "" if len(self.names) == 1 else f" of {plural(len(self.failing_since), 'shop')}"
            return [f"polls{failing} fail"]
        if not self.polls:
            return ["first poll"]
        ago = f"{_seconds(now - max(poll.at for poll in self.polls.values()))} ago"
        orders = plural(sum(poll.orders for poll in self.polls.values()), "order")
        return [form.format(ago=ago, orders=orders, moved=sum(poll.moved for poll in self.polls.values()))]

    def _due(self, now: datetime) -> str | None:
        if self.period is None or not self.polled_well:
            return None
        left = self.asked_at + self.period - now
        return f"in {_seconds(left)}" if left > timedelta() else "now"


def _seconds(time: timedelta) -> str:
    """`4 s`, or `2:05 min` for a minute and more."""
    seconds = max(round(time.total_seconds()), 0)
    return f"{seconds} s" if seconds < 60 else f"{seconds // 60}:{seconds % 60:02d} min"  # noqa: PLR2004 - of a minute
