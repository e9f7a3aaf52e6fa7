"""The limits of the simulated API: its rate limit, and its page tokens."""

import base64
import hashlib
import hmac
import math
from collections import defaultdict, deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from threading import Lock

from orderwatch_local.simulator.clock import Clock
from orderwatch_local.simulator.exchange import Headers, RefusedError
from orderwatch_local.simulator.filters import ListQuery
from orderwatch_local.simulator.records import Record

_WINDOW_SECONDS = 1.0

_SIGNATURE_BYTES = 12
_NOT_VALID = "Invalid parameter page_token: not valid for this list"


class Spelling(StrEnum):
    """The names of the rate limit's headers."""

    CURRENT = "x-ratelimit"
    OLDER = "x-rate-limit"

    @property
    def retry_after(self) -> str:
        """The name of the retry-after header."""
        return "retry-after" if self is Spelling.CURRENT else f"{self}-retry-after"


@dataclass(frozen=True, slots=True)
class Budget:
    """The remaining requests of an access token.

    Attributes:
        limit: Requests a second.
        remaining: Requests that are left.
        full_in: Seconds until all requests are available again.
        wait: Seconds until the next request is allowed, if this one was refused; else None.
    """

    limit: int
    remaining: int
    full_in: float
    wait: float | None

    def headers(self, now: datetime, spelling: Spelling) -> Headers:
        """Return the documented headers; the reset is in epoch seconds of the API's clock, which shows `now`."""
        headers: Headers = (
            (f"{spelling}-limit", str(self.limit)),
            (f"{spelling}-remaining", str(self.remaining)),
            (f"{spelling}-reset", str(math.ceil(now.timestamp() + self.full_in))),
        )
        if self.wait is None:
            return headers
        return (*headers, (spelling.retry_after, str(max(1, math.ceil(self.wait)))))


class RateLimiter:
    """Counts the requests of the last second: a sliding window, the strictest reading of the documentation.

    Args:
        reads: GET requests a second for each token.
        writes: Other requests a second for each token.
        monotonic: A monotonic clock, in seconds.
    """

    def __init__(self, *, reads: int, writes: int, monotonic: Callable[[], float]) -> None:
        self._limits = {False: reads, True: writes}
        self._monotonic = monotonic
        self._granted: defaultdict[tuple[str, bool], deque[float]] = defaultdict(deque)
        self._lock = Lock()

    def spend(self, who: str, *, write: bool) -> Budget:
        """Take one request from the budget, or return how long to wait."""
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


class Paging(StrEnum):
    """The behaviour of a connection's page tokens.

    Attributes:
        FORWARD: Each page leads to the next one.
        STUCK: Every page but the first leads to itself.
        LOOP: The last page leads to the first.
    """

    FORWARD = "forward"
    STUCK = "stuck"
    LOOP = "loop"


class PageTokens:
    """Issues and verifies page tokens.

    A token is a signed offset without any stored state. If the list changes between two pages, records move to other
    pages, as the vendor warns: a record that leaves the list makes the reader miss another one.

    Args:
        clock: The clock for expiries.
        lifetime: How long a token is valid.
        key: Signs the tokens, so that a token of another API is refused.
    """

    def __init__(self, clock: Clock, lifetime: timedelta, key: str) -> None:
        self._clock = clock
        self._lifetime = lifetime
        self._key = key.encode()

    def page(
        self, records: Sequence[Record], query: ListQuery, scope: str, *, paging: Paging = Paging.FORWARD
    ) -> Record:
        """Return the page that the query asks for.

        Args:
            records: The whole list, filtered.
            query: Has the limit and the token.
            scope: Names the list and the connection; a token is valid in its own scope only.
            paging: The behaviour of the tokens.

        Raises:
            RefusedError: 422 if the token has another scope or has expired.
        """
        start = self._offset(query.page_token, scope) if query.page_token is not None else 0
        end = start + query.limit
        next_token = self._issue(end, scope) if end < len(records) else None
        if paging is Paging.STUCK:
            next_token = query.page_token or next_token
        if paging is Paging.LOOP and start > 0:
            next_token = next_token or self._issue(0, scope)
        return {"data": list(records[start:end]), "next_token": next_token, "total_count": len(records)}

    def _issue(self, offset: int, scope: str) -> str:
        expires = (self._clock.now() + self._lifetime).timestamp()
        content = f"{offset}:{expires}".encode()
        return base64.urlsafe_b64encode(self._sign(content, scope) + content).decode().rstrip("=")

    def _offset(self, token: str, scope: str) -> int:
        try:
            raw = base64.urlsafe_b64decode(token + "=" * (-len(token) % 4))
        except ValueError:
            raise RefusedError(422, _NOT_VALID) from None
        signature, content = raw[:_SIGNATURE_BYTES], raw[_SIGNATURE_BYTES:]
        if not hmac.compare_digest(signature, self._sign(content, scope)):
            raise RefusedError(422, _NOT_VALID)
        offset, expires = content.decode().split(":")
        if self._clock.now() >= datetime.fromtimestamp(float(expires), self._clock.now().tzinfo):
            raise RefusedError(422, "Invalid parameter page_token: expired")
        return int(offset)

    def _sign(self, content: bytes, scope: str) -> bytes:
        signed = scope.encode() + b"\0" + content
        return hmac.digest(self._key, signed, hashlib.sha256)[:_SIGNATURE_BYTES]
