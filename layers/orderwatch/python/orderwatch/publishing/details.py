"""Product details within a budget: no alert waits long for them, and none for those of a shop that hangs.

Alerts that need no request to Trackstar come first. A connection whose products could not be had is left alone for a
while, and all requests of a process together may take only so long. What gets no details says so (rule 11).
"""

from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from typing import NamedTuple

from orderwatch import clock
from orderwatch.alerts.alert import Alert
from orderwatch.observability import logger
from orderwatch.publishing.enrich import ProductSource, enrich, gap_of, product_ids_of, without_details
from orderwatch.publishing.product_cache import ProductCache
from orderwatch.trackstar.products import Product

SECONDS_A_CONNECTION = 12.0
"""The most that the products of one connection may take: a hundred asked for one by one, ten a second, and a retry."""
SECONDS_IN_ALL = 25.0
"""The most that all connections may take in `REMEMBERED_FOR`: an alert waits 30 seconds at most, as a request that
begins in the last of these may take five more to connect."""
MIN_SECONDS = 2.0
"""A request that has less time is not begun: it would say nothing of the connection."""
REMEMBERED_FOR = timedelta(minutes=5)
"""How long failures and the time spent count, by the wall clock: one poll interval."""
NO_TIME = "product details: left out so that no alert is late"


class LookedUp(NamedTuple):
    """The products that were found, by id, or why none were."""

    products: Mapping[str, Product]
    gap: str | None


class Details:
    """The product details of every connection, for one process.

    Args:
        source: Where the products come from; what it gives is kept (`ProductCache`).
    """

    def __init__(self, source: ProductSource) -> None:
        self._cache = ProductCache(source)
        self._failures: dict[str, tuple[datetime, str]] = {}
        self._spent: deque[tuple[datetime, float]] = deque()

    def portions(self, alerts: Sequence[Alert]) -> Iterator[list[Alert]]:
        """Add the details; yield first what waits for nobody, then one connection after the other.

        All alerts of one connection are in one portion. Whatever fails, every alert comes out (rule 11).
        """
        by_connection: dict[str, list[Alert]] = {}
        for alert in alerts:
            by_connection.setdefault(alert.connection_id, []).append(alert)
        waiting = [each for each, members in by_connection.items() if self._must_ask(each, members)]
        yield [
            alert
            for each, members in by_connection.items()
            if each not in waiting
            for alert in self._detailed(each, members)
        ]
        for each in sorted(waiting, key=lambda connection_id: connection_id in self._failures):
            yield self._detailed(each, by_connection[each])

    def _must_ask(self, connection_id: str, alerts: Sequence[Alert]) -> bool:
        try:
            known = self._cache.known(connection_id, product_ids_of(alerts))
        except Exception:  # noqa: BLE001 - it will be said where the details are added
            return False
        return known is None and self._recent_gap(connection_id) is None

    def look_up(self, connection_id: str, product_ids: Sequence[str]) -> LookedUp:
        """The products of a connection, or why there are none; whatever fails, nothing is raised."""
        try:
            return self._found(connection_id, product_ids)
        except Exception as error:  # noqa: BLE001
            logger.warning("product details missing", exc_info=error, extra={"connection_id": connection_id})
            return LookedUp({}, gap_of(error))

    def _detailed(self, connection_id: str, alerts: Sequence[Alert]) -> list[Alert]:
        try:
            found = self._found(connection_id, product_ids_of(alerts))
            return without_details(alerts, found.gap) if found.gap else enrich(alerts, found.products)
        except Exception as error:  # noqa: BLE001
            logger.warning("product details missing", exc_info=error, extra={"connection_id": connection_id})
            return without_details(alerts, gap_of(error))

    def _found(self, connection_id: str, product_ids: Sequence[str]) -> LookedUp:
        known = self._cache.known(connection_id, product_ids)
        if known is not None:
            return LookedUp(known, None)
        if gap := self._recent_gap(connection_id):
            return LookedUp({}, gap)
        seconds = min(SECONDS_A_CONNECTION, SECONDS_IN_ALL - self._seconds_spent())
        if seconds < MIN_SECONDS:
            return LookedUp({}, NO_TIME)
        return LookedUp(self._ask(connection_id, product_ids, seconds), None)

    def _ask(self, connection_id: str, product_ids: Sequence[str], seconds: float) -> Mapping[str, Product]:
        began = clock.monotonic()
        try:
            products = self._cache.products(
                connection_id, product_ids, seconds_left=lambda: began + seconds - clock.monotonic()
            )
        except Exception as error:
            self._failures[connection_id] = (clock.now() + REMEMBERED_FOR, gap_of(error))
            raise
        finally:
            self._spent.append((clock.now(), clock.monotonic() - began))
        self._failures.pop(connection_id, None)
        return products

    def _recent_gap(self, connection_id: str) -> str | None:
        """Why the connection is left alone; None if it is not, though an older failure is kept, to ask it last."""
        until, gap = self._failures.get(connection_id, (None, ""))
        return gap if until and clock.now() < until else None

    def _seconds_spent(self) -> float:
        oldest = clock.now() - REMEMBERED_FOR
        while self._spent and self._spent[0][0] <= oldest:
            self._spent.popleft()
        return sum(seconds for _, seconds in self._spent)
