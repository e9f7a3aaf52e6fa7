"""Clocks: the simulated vendor tells its time by one of these, never by the machine's directly."""

from datetime import UTC, datetime, timedelta
from typing import Protocol

from orderwatch import clock


class Clock(Protocol):
    """Tells the time."""

    def now(self) -> datetime:
        """The present moment, aware, in UTC."""


class SystemClock:
    """The machine's own clock."""

    def now(self) -> datetime:
        """The present moment, aware, in UTC."""
        return datetime.now(UTC)


class VirtualClock:
    """A clock that stands still until it is moved.

    Args:
        start: Its first moment; must be aware.

    Raises:
        ValueError: When a moment without a time zone is given, here or to `set`.
    """

    def __init__(self, start: datetime) -> None:
        self._now = _in_utc(start)

    def now(self) -> datetime:
        """The moment it was last moved to, aware, in UTC."""
        return self._now

    def advance(self, by: timedelta) -> None:
        """Moves on by that much; back where it is negative, as a vendor's clock may."""
        self._now += by

    def set(self, moment: datetime) -> None:
        """Jumps to a moment, either way."""
        self._now = _in_utc(moment)


class LiveClock(VirtualClock):
    """A clock that stands still until `start`, then runs as fast as the machine's and never goes back.

    Args:
        start: Its first moment; must be aware.
    """

    def __init__(self, start: datetime) -> None:
        super().__init__(start)
        self._started: float | None = None

    def start(self) -> None:
        """Runs from now on."""
        self._started = clock.monotonic()

    def now(self) -> datetime:
        """The present moment, aware, in UTC."""
        if self._started is None:
            return super().now()
        return super().now() + timedelta(seconds=clock.monotonic() - self._started)

    def set(self, moment: datetime) -> None:
        """Jumps to a moment; one that has passed changes nothing once the clock runs."""
        if self._started is None:
            super().set(moment)
        else:
            self.advance(max(_in_utc(moment) - self.now(), timedelta()))


def _in_utc(moment: datetime) -> datetime:
    if moment.tzinfo is None:
        raise ValueError("a clock needs an aware datetime: give it a time zone")
    return moment.astimezone(UTC)
