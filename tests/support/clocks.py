"""Clocks that a test gives to the process (`orderwatch.clock.use`)."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta

from orderwatch import clock
from orderwatch_local.simulator import VirtualClock

BEGINS_AT = datetime(2026, 1, 5, 12, tzinfo=UTC)


class Impatient:
    """The machine's clock, on which waiting takes no time."""

    def now(self) -> datetime:
        return datetime.now(UTC)

    def monotonic(self) -> float:
        return time.monotonic()

    def sleep(self, seconds: float) -> None:
        """Return at once."""


class StandingClock(VirtualClock):
    """A clock that moves only when it is told to; waiting takes no time."""

    def monotonic(self) -> float:
        return time.monotonic()

    def sleep(self, seconds: float) -> None:
        """Return at once."""


class FakeClock:
    """A clock that only sleeping moves; it remembers what was slept.

    Attributes:
        seconds: What `monotonic` says.
        slept: Every wait, oldest first.
    """

    def __init__(self) -> None:
        self.seconds = 1000.0
        self.slept: list[float] = []

    def now(self) -> datetime:
        return BEGINS_AT + timedelta(seconds=self.seconds)

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.seconds += seconds

    def monotonic(self) -> float:
        return self.seconds


@contextmanager
def running_on(other: clock.Clock) -> Iterator[None]:
    """Let the process take its time from another clock for a while."""
    before = clock.use(other)
    try:
        yield
    finally:
        clock.use(before)


@contextmanager
def set_back(by: timedelta) -> Iterator[None]:
    """Let the process believe that it is earlier."""
    with running_on(StandingClock(clock.now() - by)):
        yield
