"""The time that requests for details may take before alerts are sent, so that no alert is late (rule 11)."""

from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta

from orderwatch import clock

SECONDS_PER_CONNECTION = 12.0
"""For the products of one connection: a hundred requests, ten a second, and a retry."""
SECONDS_IN_TOTAL = 25.0
"""For all connections within `REMEMBERED_FOR`. The last request can take five more seconds to connect, so an alert is
delayed by at most 30 seconds."""
MIN_SECONDS = 2.0
"""No request starts with less time: its timeout would say nothing about the connection."""
REMEMBERED_FOR = timedelta(minutes=5)
"""How long failures and the time spent count: one poll interval."""


class TimeBudget:
    """The time budget of one process."""

    def __init__(self) -> None:
        self._spent: deque[tuple[datetime, float]] = deque()

    def left(self) -> float:
        """The seconds that are left; negative if requests took longer than they may."""
        oldest = clock.now() - REMEMBERED_FOR
        while self._spent and self._spent[0][0] <= oldest:
            self._spent.popleft()
        return SECONDS_IN_TOTAL - sum(seconds for _, seconds in self._spent)

    @contextmanager
    def spend(self, seconds: float) -> Iterator[Callable[[], float]]:
        """Measure a request that may take this long; yields a function that returns the seconds that it has left."""
        started_at = clock.monotonic()
        try:
            yield lambda: started_at + seconds - clock.monotonic()
        finally:
            self._spent.append((clock.now(), clock.monotonic() - started_at))
