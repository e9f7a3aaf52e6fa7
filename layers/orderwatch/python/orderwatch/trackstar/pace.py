"""The pace of requests: the vendor's budget for each access token (docs/trackstar.md#requests)."""

from collections import deque
from collections.abc import Mapping
from datetime import datetime

from orderwatch import clock
from orderwatch.trackstar.answers import rate_header

GETS_A_SECOND = 10
"""The vendor's budget for each access token."""


class Pace:
    """At most 10 requests in any second, and none while the vendor says that none is left."""

    def __init__(self) -> None:
        self._sent: deque[float] = deque(maxlen=GETS_A_SECOND)
        self._not_before = 0.0

    def wait(self) -> None:
        """Wait until the next request may go."""
        now = clock.monotonic()
        free_at = self._sent[0] + 1.0 if len(self._sent) == GETS_A_SECOND else 0.0
        delay = max(free_at, self._not_before) - now
        if delay > 0:
            clock.sleep(delay)
        self._sent.append(clock.monotonic())

    def heed(self, headers: Mapping[str, str], vendor_now: datetime | None) -> None:
        """Take what the vendor says of the budget; both spellings are documented."""
        remaining, reset = rate_header(headers, "remaining"), rate_header(headers, "reset")
        if remaining == 0 and reset is not None and vendor_now:
            wait = min(max(reset - vendor_now.timestamp(), 0.0), 2.0)
            self._not_before = clock.monotonic() + wait
