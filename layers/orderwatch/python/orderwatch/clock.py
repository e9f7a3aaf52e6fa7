"""The process's clocks, which a simulation can replace, and the wording of durations."""

import time
from datetime import UTC, datetime, timedelta
from typing import Protocol


class Clock(Protocol):
    """A wall clock, a monotonic clock and a sleep."""

    def now(self) -> datetime:
        """The wall clock, aware, in UTC."""

    def monotonic(self) -> float:
        """Seconds on a clock that never goes back."""

    def sleep(self, seconds: float) -> None:
        """Wait for this many seconds."""


class _SystemClock:
    def now(self) -> datetime:
        return datetime.now(UTC)

    def monotonic(self) -> float:
        return time.monotonic()

    def sleep(self, seconds: float) -> None:
        time.sleep(seconds)


class Invocation(Protocol):
    """What the runtime tells a function about its invocation."""

    def get_remaining_time_in_millis(self) -> int:
        """Milliseconds until the function is stopped."""


_clock: Clock = _SystemClock()


def use(clock: Clock | None) -> Clock:
    """Use another clock, or the system's if None; return the one that was in use."""
    global _clock
    previous, _clock = _clock, clock or _SystemClock()
    return previous


def now() -> datetime:
    """The wall clock, aware, in UTC."""
    return _clock.now()


def monotonic() -> float:
    """Seconds on a clock that never goes back."""
    return _clock.monotonic()


def sleep(seconds: float) -> None:
    """Wait for this many seconds."""
    _clock.sleep(seconds)


def seconds_left(invocation: Invocation) -> float:
    """Seconds until the function is stopped."""
    return invocation.get_remaining_time_in_millis() / 1000


def duration(span: timedelta, *, units: int = 2, seconds: bool = False) -> str:
    """A span of time in words, rounded down: `3 h 20 min`, `2 d 4 h`, `less than a minute`.

    Args:
        span: A negative one counts as zero.
        units: How many units to show, from the largest one. A single unit shows hours up to 48: `35 h`, `2 d`.
        seconds: Whether to show seconds: `4 s` instead of `less than a minute`.
    """
    total = max(int(span.total_seconds()), 0)
    days, rest = divmod(total, 86_400)
    if units == 1 and days < 2:  # noqa: PLR2004 - `35 h` says more than `1 d`
        days, rest = 0, total
    parts = [(days, "d"), (rest // 3600, "h"), (rest // 60 % 60, "min")]
    parts += [(rest % 60, "s")] if seconds else []
    largest = next((index for index, (amount, _) in enumerate(parts) if amount), None)
    if largest is None:
        return "0 s" if seconds else "less than a minute"
    return " ".join(f"{amount:,} {unit}" for amount, unit in parts[largest : largest + units] if amount)
