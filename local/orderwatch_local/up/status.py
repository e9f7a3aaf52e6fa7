"""How the polls of a watch go: the results that poll_orders logs, and the status line that sums them up."""

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from rich.cells import cell_len

from orderwatch.clock import duration
from orderwatch.polling.metrics import Outcome
from orderwatch.records import ConnectionState, HealthState
from orderwatch.rendering.formatting import clean, plural
from orderwatch_cli.poll_results import PollResult, parse_result

if TYPE_CHECKING:
    from mypy_boto3_logs import CloudWatchLogsClient

OVERDUE_AFTER = timedelta(minutes=3)
"""A shop is overdue if no poll of it finished for this long plus two polling intervals."""
_SEPARATOR = " · "


class PollLog:
    """Reads the log of poll_orders; each call continues where the last one stopped.

    Args:
        logs: CloudWatch Logs.
        group: The function's log group.
    """

    def __init__(self, logs: "CloudWatchLogsClient", group: str) -> None:
        self._logs = logs
        self._group = group
        self._since = 0
        self._known: set[str] = set()

    def new_results(self) -> list[PollResult]:
        """Return the results that were logged since the last call, oldest first."""
        found = (parse_result(message, at=datetime.fromtimestamp(at / 1000, UTC)) for at, message in self._new_lines())
        return [result for result in found if result and result.outcome != Outcome.ALREADY_READ]

    def _new_lines(self) -> Iterator[tuple[int, str]]:
        pages = self._logs.get_paginator("filter_log_events").paginate(logGroupName=self._group, startTime=self._since)
        events = [(event["timestamp"], event["message"]) for page in pages for event in page["events"]]
        for at, message in sorted(events, key=lambda event: event[0]):
            if at > self._since:
                self._since, self._known = at, set()
            if message not in self._known:  # the last millisecond is read again: it may have more lines by now
                self._known.add(message)
                yield at, message


def interval_of(schedule: str) -> timedelta | None:
    """Return the interval of a schedule such as `rate(1 minute)`; None if the schedule is no rate."""
    match = re.fullmatch(r"rate\((\d+) (minute|hour|day)s?\)", schedule)
    return timedelta(**{f"{match[2]}s": int(match[1])}) if match else None


@dataclass(slots=True)
class WatchStatus:
    """The status of all polls.

    Attributes:
        names: The name of each shop, by connection.
        interval: The time between two polls, if it is known.
        started_at: When the watch started.
        requested_at: When polls were last requested.
        results: The last result of each shop.
        failing_since: When the polls of a shop began to fail.
        overdue: The shops that were reported as overdue.
        vendor_time: Trackstar's clock at the last poll.
        unhealthy: The state of each shop whose orders are not visible, and when this watch first saw it.
    """

    names: Mapping[str, str]
    interval: timedelta | None
    started_at: datetime
    requested_at: datetime = field(init=False)
    results: dict[str, PollResult] = field(default_factory=dict)
    failing_since: dict[str, datetime] = field(default_factory=dict)
    overdue: set[str] = field(default_factory=set)
    vendor_time: datetime | None = None
    unhealthy: dict[str, tuple[HealthState, datetime]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.requested_at = self.started_at

    @property
    def healthy_shops(self) -> list[str]:
        """The shops to request polls for. The others are left out: the queue retries a failed poll by itself."""
        return [connection_id for connection_id in self.names if connection_id not in self.failing_since]

    def record(self, result: PollResult) -> str | None:
        """Record a result and return the message to show, if there is one.

        There is one message for each new reason of a failure, and one for the recovery.
        """
        if result.connection_id not in self.names:
            return None
        name, before = self.names[result.connection_id], self.results.get(result.connection_id)
        self.results[result.connection_id] = result
        self.overdue.discard(result.connection_id)
        if result.reason:
            self.failing_since.setdefault(result.connection_id, result.at)
            is_known = before is not None and before.reason == result.reason
            return None if is_known else f"polling {name} fails: {result.reason}. It is retried within three minutes."
        failed_at = self.failing_since.pop(result.connection_id, None)
        return f"polling {name} works again, after {duration(result.at - failed_at)}" if failed_at else None

    def record_health(self, states: Iterable[ConnectionState], now: datetime) -> None:
        """Record the health of the shops."""
        for shop in states:
            if shop.health is None or not shop.health.is_unhealthy:
                self.unhealthy.pop(shop.connection_id, None)
            elif self.unhealthy.get(shop.connection_id, (None,))[0] is not shop.health.state:
                self.unhealthy[shop.connection_id] = (shop.health.state, now)

    def overdue_messages(self, now: datetime) -> Iterator[str]:
        """Yield one message for each shop that became overdue since the last call."""
        patience = OVERDUE_AFTER + 2 * (self.interval or timedelta(days=1))
        for connection_id, name in self.names.items():
            last = self.results.get(connection_id)
            if now - (last.at if last else self.started_at) > patience and connection_id not in self.overdue:
                self.overdue.add(connection_id)
                yield f"no poll of {name} has finished for {duration(patience)}"

    def line(self, now: datetime, width: int) -> str:
        """Return the status line: the longest form that fits into `width` columns."""
        short = self._short_parts(now)
        for parts in (self._parts(now), *(short[:count] for count in range(len(short), 0, -1))):
            line = _SEPARATOR.join(parts)
            if cell_len(line) <= width:
                return line
        return ""

    def full_line(self, now: datetime) -> str:
        """Return the longest form of the status line."""
        return _SEPARATOR.join(self._parts(now))

    def _parts(self, now: datetime) -> list[str]:
        shops = next(iter(self.names.values())) if len(self.names) == 1 else f"{len(self.names)} shops"
        last_poll = self._last_poll(now, "last poll {ago}: {orders} read, {moved} changed")
        parts = [f"watching {clean(shops)}", *filter(None, [self.health]), last_poll, *self._next_poll(now)]
        return parts + ([f"shop's clock {self.vendor_time:%d %b %H:%M} UTC"] if self.vendor_time else [])

    def _short_parts(self, now: datetime) -> list[str]:
        last_poll = self._last_poll(now, "{orders} read {ago}")
        parts = [plural(len(self.names), "shop"), *filter(None, [self.health]), last_poll, *self._next_poll(now)]
        return parts + ([f"shop {self.vendor_time:%H:%M}"] if self.vendor_time else [])

    @property
    def health(self) -> str:
        """`blocked since 13:02`; with the name if other shops are watched too, and the number if several are.

        It is empty if all shops are healthy.
        """
        if not self.unhealthy:
            return ""
        (connection_id, (state, since)), *others = self.unhealthy.items()
        if others:
            first = min(moment for _, moment in self.unhealthy.values())
            return f"{len(self.unhealthy)} shops not visible since {first.astimezone():%H:%M}"
        name = f"{clean(self.names[connection_id])} " if len(self.names) > 1 else ""
        return f"{name}{state.replace('_', ' ')} since {since.astimezone():%H:%M}"

    def _last_poll(self, now: datetime, form: str) -> str:
        if self.failing_since:
            return (
                "polling fails" if len(self.names) == 1 else f"polling {plural(len(self.failing_since), 'shop')} fails"
            )
        if not self.results:
            return "first poll"
        ago = f"{_countdown(now - max(result.at for result in self.results.values()))} ago"
        orders = plural(sum(result.orders for result in self.results.values()), "order")
        return form.format(ago=ago, orders=orders, moved=sum(result.moved for result in self.results.values()))

    def _next_poll(self, now: datetime) -> list[str]:
        if self.interval is None or not self.healthy_shops:
            return []
        left = self.requested_at + self.interval - now
        return [f"next in {_countdown(left)}" if left > timedelta() else "next now"]


def _countdown(time: timedelta) -> str:
    """`4 s`, or `2:05 min` from a minute on."""
    seconds = max(round(time.total_seconds()), 0)
    return f"{seconds} s" if seconds < 60 else f"{seconds // 60}:{seconds % 60:02d} min"  # noqa: PLR2004 - of a minute
