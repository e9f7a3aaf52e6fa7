"""Virtual time: one axis of seconds, our clock and the vendor's on it, and scheduled events."""

import heapq
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from itertools import count

BEGINS_AT = datetime(2026, 1, 5, 12, tzinfo=UTC)


class Timeline:
    """Virtual seconds that pass only on demand.

    Args:
        begins_at: What its clocks show at the beginning.

    Attributes:
        seconds: Since the beginning; never goes back.
    """

    def __init__(self, begins_at: datetime = BEGINS_AT) -> None:
        self.begins_at = begins_at
        self.seconds = 0.0
        self._due: list[tuple[float, int, Callable[[], object]]] = []
        self._numbers = count()

    def spend(self, seconds: float) -> None:
        """Time passes."""
        self.seconds += max(seconds, 0.0)

    def at(self, seconds: float, happens: Callable[[], object]) -> None:
        """Schedule an event at a moment, or as soon as possible after it."""
        heapq.heappush(self._due, (seconds, next(self._numbers), happens))

    def after(self, seconds: float, happens: Callable[[], object]) -> None:
        """Schedule an event after some seconds."""
        self.at(self.seconds + seconds, happens)

    def play(self, until: float) -> None:
        """Run every event that is due by then."""
        while self._due and self._due[0][0] <= until:
            moment, _, happens = heapq.heappop(self._due)
            self.seconds = max(self.seconds, moment)
            happens()
        self.seconds = max(self.seconds, until)


class SkewedClock:
    """A clock with an offset from the timeline. Serves as `orderwatch.clock`'s and as the simulated vendor's.

    Args:
        timeline: The axis.
        offset: How far it is ahead, in seconds.

    Attributes:
        offset: May be changed at any time: the clock jumps.
    """

    def __init__(self, timeline: Timeline, offset: float) -> None:
        self._timeline = timeline
        self.offset = offset

    def now(self) -> datetime:
        return self._timeline.begins_at + timedelta(seconds=self._timeline.seconds + self.offset)

    def monotonic(self) -> float:
        return self._timeline.seconds + 1000.0

    def sleep(self, seconds: float) -> None:
        self._timeline.spend(seconds)
