"""Clocks that a test gives to the process (`orderwatch.clock.use`)."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta

from orderwatch import clock

NOON = datetime(2026, 1, 5, 12, tzinfo=UTC)


class InstantSleepClock:
    """The machine's clock, on which sleeping takes no time."""

    def now(self) -> datetime:
        return datetime.now(UTC)

    def monotonic(self) -> float:
        return time.monotonic()

    def sleep(self, seconds: float) -> None:
        """Return immediately."""


class FakeClock:
    """A clock that moves only by `advance`, `set` and `sleep`; it records every sleep.

    Attributes:
        seconds: The value of `monotonic`: seconds since `NOON`.
        slept: Every sleep, oldest first.
    """

    def __init__(self, start: datetime = NOON + timedelta(seconds=1000)) -> None:
        self.set(start)
        self.slept: list[float] = []

    def now(self) -> datetime:
        return NOON + timedelta(seconds=self.seconds)

    def monotonic(self) -> float:
        return self.seconds

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.seconds += seconds

    def advance(self, by: timedelta) -> None:
        self.seconds += by.total_seconds()

    def set(self, moment: datetime) -> None:
        self.seconds = (moment - NOON).total_seconds()


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
    with running_on(FakeClock(clock.now() - by)):
        yield
