"""Clocks of the simulated vendor, which never reads the machine's clock directly."""

from datetime import UTC, datetime, timedelta
from typing import Protocol

from orderwatch import clock


class Clock(Protocol):
    """A source of the present time."""

    def now(self) -> datetime:
        """The present moment, aware, in UTC."""


class SystemClock:
    """The machine's clock."""

    def now(self) -> datetime:
        """The present moment, aware, in UTC."""
        return datetime.now(UTC)


class VirtualClock:
    """A clock that changes only by `advance` and `set`.

    Args:
        start: Its first moment; must be aware.

    Raises:
        ValueError: A moment without a time zone, here or in `set`.
    """

    def __init__(self, start: datetime) -> None:
        self._now = _in_utc(start)

    def now(self) -> datetime:
        """The moment that was last set, aware, in UTC."""
        return self._now

    def advance(self, by: timedelta) -> None:
        """Advance by a time, which may be negative: a vendor's clock can be set back."""
        self._now += by

    def set(self, moment: datetime) -> None:
        """Set the clock to a moment, later or earlier."""
        self._now = _in_utc(moment)


class LiveClock(VirtualClock):
    """A clock that is stopped until `start`, then runs as fast as the machine's and never goes back.

    Args:
        start: Its first moment; must be aware.
    """

    def __init__(self, start: datetime) -> None:
        super().__init__(start)
        self._started: float | None = None

    def start(self) -> None:
        """Start the clock."""
        self._started = clock.monotonic()

    def now(self) -> datetime:
        """The present moment, aware, in UTC."""
        if self._started is None:
            return super().now()
        return super().now() + timedelta(seconds=clock.monotonic() - self._started)

    def set(self, moment: datetime) -> None:
        """Set the clock to a moment. A running clock ignores a moment in the past."""
        if self._started is None:
            super().set(moment)
        else:
            self.advance(max(_in_utc(moment) - self.now(), timedelta()))


def _in_utc(moment: datetime) -> datetime:
    if moment.tzinfo is None:
        raise ValueError("a clock needs an aware datetime: give it a time zone")
    return moment.astimezone(UTC)
