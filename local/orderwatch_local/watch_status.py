"""How a watch stands: what is said when it changes, and the line that says it at any time."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from rich.cells import cell_len

from orderwatch.clock import duration
from orderwatch.rendering.formatting import clean, plural
from orderwatch_local.poll_news import PollNews

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
