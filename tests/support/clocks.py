"""Clocks that a test gives to the process (`orderwatch.clock.use`)."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta

from orderwatch import clock
from orderwatch_local.simulator import VirtualClock

BEGINS_AT = datetime(2026, 1, 5, 12, tzinfo=UTC)


class InstantSleepClock:
    """The machine's clock, on which sleeping takes no time."""

    def now(self) -> datetime:
        return datetime.now(UTC)

    def monotonic(self) -> float:
        return time.monotonic()

    def sleep(self, seconds: float) -> None:
        """Return immediately."""


class ManualClock(VirtualClock, InstantSleepClock):
    """A wall clock that moves only by `advance` and `set`; sleeping takes no time."""


class FakeClock:
    """A clock that only sleeping moves; it records every sleep.

    Attributes:
        seconds: The value of `monotonic`.
        slept: Every sleep, oldest first.
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
    """Run the process on another clock for a while."""
    before = clock.use(other)
    try:
        yield
    finally:
        clock.use(before)


@contextmanager
def set_back(by: timedelta) -> Iterator[None]:
    """Set the clock of the process back."""
    with running_on(ManualClock(clock.now() - by)):
        yield
