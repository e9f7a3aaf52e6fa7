"""The vendor's rate limit: so many requests in any one second, per access token, reads and writes apart."""

import math
from collections import defaultdict, deque
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from threading import Lock

from orderwatch_local.shop.exchange import Headers

_WINDOW_SECONDS = 1.0


class Spelling(StrEnum):
    """How a deployment names the rate limit's headers."""

    CURRENT = "x-ratelimit"
    OLDER = "x-rate-limit"

    @property
    def retry_after(self) -> str:
        """The name of the header that says how long to wait."""
        return "retry-after" if self is Spelling.CURRENT else f"{self}-retry-after"


@dataclass(frozen=True, slots=True)
class Budget:
    """What a token may still do.

    Attributes:
        limit: Requests a second.
        remaining: What is left of them.
        full_in: Seconds until the budget is full again.
        wait: Seconds until a request would be granted, where this one was not.
    """

    limit: int
    remaining: int
    full_in: float
    wait: float | None

    def headers(self, now: datetime, spelling: Spelling) -> Headers:
        """The documented headers; `now` is the API's own clock, whose epoch seconds the reset is given in."""
        headers: Headers = (
            (f"{spelling}-limit", str(self.limit)),
            (f"{spelling}-remaining", str(self.remaining)),
            (f"{spelling}-reset", str(math.ceil(now.timestamp() + self.full_in))),
        )
        if self.wait is None:
            return headers
        return (*headers, (spelling.retry_after, str(max(1, math.ceil(self.wait)))))


class RateLimiter:
    """Counts the granted requests of the last second (a sliding window, the strictest reading of the page).

    Args:
        reads: GETs a second and token.
        writes: Everything else.
        monotonic: Seconds that only grow; real ones unless the whole world is simulated.
    """

    def __init__(self, *, reads: int, writes: int, monotonic: Callable[[], float]) -> None:
        self._limits = {False: reads, True: writes}
        self._monotonic = monotonic
        self._granted: defaultdict[tuple[str, bool], deque[float]] = defaultdict(deque)
        self._lock = Lock()

    def spend(self, who: str, *, write: bool) -> Budget:
        """Takes one request from a budget, or says how long to wait."""
        limit = self._limits[write]
        with self._lock:
            now = self._monotonic()
            granted = self._granted[who, write]
            while granted and granted[0] <= now - _WINDOW_SECONDS:
                granted.popleft()
            if len(granted) >= limit:
                return Budget(limit, 0, granted[-1] + _WINDOW_SECONDS - now, granted[0] + _WINDOW_SECONDS - now)
            granted.append(now)
            return Budget(limit, limit - len(granted), _WINDOW_SECONDS, None)
