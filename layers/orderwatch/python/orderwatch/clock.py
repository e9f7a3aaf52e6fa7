"""The process's clocks: everything that asks for the time or waits does it here, so that a simulation can take over."""

import time
from datetime import UTC, datetime
from typing import Protocol


class Clock(Protocol):
    """Time as a process sees it."""

    def now(self) -> datetime:
        """The wall clock, aware, in UTC."""

    def monotonic(self) -> float:
        """Seconds that never go back."""

    def sleep(self, seconds: float) -> None:
        """Wait."""


class _SystemClock:
    def now(self) -> datetime:
        return datetime.now(UTC)

    def monotonic(self) -> float:
        return time.monotonic()

    def sleep(self, seconds: float) -> None:
        time.sleep(seconds)


_clock: Clock = _SystemClock()


def use(clock: Clock | None) -> Clock:
    """Take the time from another clock, None for the system's; return the one that was used until now."""
    global _clock
    before, _clock = _clock, clock or _SystemClock()
    return before


def now() -> datetime:
    """The wall clock, aware, in UTC."""
    return _clock.now()


def monotonic() -> float:
    """Seconds that never go back."""
    return _clock.monotonic()


def sleep(seconds: float) -> None:
    """Wait."""
    _clock.sleep(seconds)
