"""The process's clocks: everything that asks for the time or waits does it here, so that a simulation can take over."""

import time
from datetime import UTC, datetime
from typing import Protocol
from zoneinfo import ZoneInfo


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


def time_zone(name: str) -> ZoneInfo:
    """The time zone of an IANA name, from the system's data or those of the package `tzdata`.

    Raises:
        ValueError: There is none of this name; says what a name looks like.
    """
    try:
        return ZoneInfo(name)
    except (KeyError, ValueError, OSError):  # unknown, no name at all, or a folder of names such as `Europe`
        raise ValueError("no time zone of the IANA database, such as Europe/Berlin or UTC") from None
