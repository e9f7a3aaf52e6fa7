"""A process's clock that only sleeping moves."""

from datetime import UTC, datetime, timedelta

BEGINS_AT = datetime(2026, 1, 5, 12, tzinfo=UTC)


class Waits:
    """Stands in for `orderwatch.clock`'s own; remembers what was slept.

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
