"""Product details in alerts: names, pictures, links and stock. Trackstar's products are looked up within a time budget.

What is missing is named in `enrichment.missing`, in words for people. No failure here stops an alert (rule 11).
"""

from collections import OrderedDict, deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import NamedTuple, Protocol

from orderwatch import clock
from orderwatch.alerts.alert import Alert, Enrichment
from orderwatch.alerts.parts import AlertLineItem
from orderwatch.errors import NotSupportedError, TrackstarError, UnavailableError
from orderwatch.observability import logger
from orderwatch.trackstar.products import Product

MAX_MISSING = 20
"""Entries of `enrichment.missing`; the rest is counted."""
MAX_WAREHOUSES = 50
"""Warehouses of a product whose stock an alert lists."""
SECONDS_PER_CONNECTION = 12.0
"""For the products of one connection: a hundred requests, ten a second, and a retry."""
SECONDS_IN_TOTAL = 25.0
"""For all connections within `REMEMBERED_FOR`. An alert waits 30 seconds at most: the last request can take five more
to connect."""
MIN_SECONDS = 2.0
"""A request with less time is not started: its timeout would say nothing about the connection."""
REMEMBERED_FOR = timedelta(minutes=5)
"""How long failures and the time spent count: one poll interval."""
MAX_PRODUCTS = 2_000
"""Products in the cache: a few megabytes, and twenty storms of a hundred products each."""
CACHED_FOR = timedelta(minutes=5)
"""One poll interval. Trackstar itself copies the products once an hour."""

SKIPPED_LATE = "product details: skipped because this alert is late"
SKIPPED_NO_TIME = "product details: skipped so that no alert is late"


class ProductSource(Protocol):
    """The products of every connection."""

    def products(
        self, connection_id: str, product_ids: Sequence[str], *, seconds_left: Callable[[], float]
    ) -> Mapping[str, Product]:
        """Return the products that exist, by id.

        Args:
            connection_id: The connection.
            product_ids: The products; read with as few requests as possible.
            seconds_left: Seconds that the caller can still wait.

        Raises:
            TrackstarError: Trackstar did not respond as documented.
        """
        ...


@dataclass
class _Missing:
    """What is missing in one alert, in the order in which it was found."""

    entries: list[str] = field(default_factory=list)

    def add(self, entry: str) -> None:
        if entry not in self.entries:
            self.entries.append(entry)

    def enrichment(self) -> Enrichment:
        listed, more = self.entries[:MAX_MISSING], len(self.entries) - MAX_MISSING
        missing = [*listed, f"+{more} more"] if more > 0 else listed
        return Enrichment(complete=not self.entries, missing=tuple(missing))


def enrich(alerts: Sequence[Alert], products: Mapping[str, Product]) -> list[Alert]:
    """Return the alerts with the details of these products; an alert without an order does not change."""
    return [_enriched(alert, products) for alert in alerts]


def without_details(alerts: Sequence[Alert], reason: str) -> list[Alert]:
    """Return the alerts without details; those with order lines name the reason."""
    enrichment = Enrichment(complete=False, missing=(reason,))
    return [
        alert.replace(enrichment=enrichment) if alert.order and alert.order.line_items else alert for alert in alerts
    ]


def product_ids_of(alerts: Sequence[Alert]) -> list[str]:
    """Return the products of the order lines of these alerts, each once, in order of appearance."""
    lines = [line for alert in alerts if alert.order for line in alert.order.line_items]
    return list(dict.fromkeys(line.product_id for line in lines if line.product_id))


def missing_reason(error: Exception) -> str:
    """Say in words for people why there are no product details."""
    if isinstance(error, NotSupportedError):
        return "product details: not supported by this shop's integration"
    if isinstance(error, UnavailableError):
        return "product details: Trackstar did not respond"
    if isinstance(error, TrackstarError):
        return "product details: Trackstar refused the request"
    return "product details: could not be read"


def _enriched(alert: Alert, products: Mapping[str, Product]) -> Alert:
    if alert.order is None:
        return alert
    missing = _Missing()
    lines = tuple(
        _enriched_line(line, position, products, missing)
        for position, line in enumerate(alert.order.line_items, start=1)
    )
    return alert.replace(order=alert.order.replace(line_items=lines), enrichment=missing.enrichment())


def _enriched_line(
    line: AlertLineItem, position: int, products: Mapping[str, Product], missing: _Missing
) -> AlertLineItem:
    if line.product_id is None:
        missing.add(f"product details of {line.sku or f'line {position}'}: the order line names no product")
        return line
    product = products.get(line.product_id)
    if product is None:
        missing.add(f"product details of {line.sku or line.product_id}: not found in Trackstar")
        return line
    has_stock = not product.is_parent
    by_warehouse = product.on_hand_by_warehouse
    label = line.sku or product.sku or product.id
    if product.is_parent:
        missing.add(f"stock of {label}: only its variants have a stock, and the order line names their parent")
    elif product.inventory is None:
        missing.add(f"stock of {label}: not provided by the shop")
    elif len(by_warehouse) > MAX_WAREHOUSES:
        missing.add(f"stock of {label} by warehouse: {len(by_warehouse)} warehouses are too many to list")
    return AlertLineItem(
        sku=line.sku or product.sku,
        name=product.name,
        quantity=line.quantity,
        unit_price=line.unit_price,
        on_hand=product.inventory if has_stock else None,
        on_hand_by_warehouse=by_warehouse if has_stock and len(by_warehouse) <= MAX_WAREHOUSES else {},
        image_url=product.image_url,
        url=product.external_system_url,
        product_id=line.product_id,
        is_kit=product.is_kit,
        active=product.active,
    )


class ProductCache:
    """The products of a source, kept for a while; the least recently used product is dropped first.

    It also keeps that Trackstar does not have a product. Errors are not cached.

    Args:
        source: Where other products come from.
        max_products: Products to keep, over all connections.
    """

    def __init__(self, source: ProductSource, *, max_products: int = MAX_PRODUCTS) -> None:
        self._source = source
        self._max_products = max_products
        self._entries: OrderedDict[tuple[str, str], tuple[datetime, Product | None]] = OrderedDict()

    def products(
        self, connection_id: str, product_ids: Sequence[str], *, seconds_left: Callable[[], float]
    ) -> dict[str, Product]:
        """Return the products that exist, by id; read only those from the source that are not in the cache.

        Raises:
            Exception: An error of the source.
        """
        cached = self._cached(connection_id, product_ids)
        other_ids = [product_id for product_id in product_ids if product_id not in cached]
        if other_ids:
            found = self._source.products(connection_id, other_ids, seconds_left=seconds_left)
            added = {product_id: found.get(product_id) for product_id in other_ids}
            self._add(connection_id, added)
            cached |= added
        return _existing(cached)

    def cached(self, connection_id: str, product_ids: Sequence[str]) -> dict[str, Product] | None:
        """Return the products that exist, by id; None if any of them has to be read from the source."""
        cached = self._cached(connection_id, product_ids)
        return _existing(cached) if len(cached) == len(set(product_ids)) else None

    def _cached(self, connection_id: str, product_ids: Sequence[str]) -> dict[str, Product | None]:
        """The cached entries of these products, now marked as used; None means that Trackstar does not have it."""
        # By the wall clock: the monotonic clock of a frozen process can stop.
        now = clock.now()
        cached: dict[str, Product | None] = {}
        for product_id in product_ids:
            entry = self._entries.get((connection_id, product_id))
            if entry and entry[0] > now:
                self._entries.move_to_end((connection_id, product_id))
                cached[product_id] = entry[1]
        return cached

    def _add(self, connection_id: str, products: Mapping[str, Product | None]) -> None:
        expires_at = clock.now() + CACHED_FOR
        for product_id, product in products.items():
            self._entries[connection_id, product_id] = (expires_at, product)
            self._entries.move_to_end((connection_id, product_id))
        while len(self._entries) > self._max_products:
            self._entries.popitem(last=False)


def _existing(products: Mapping[str, Product | None]) -> dict[str, Product]:
    return {product_id: product for product_id, product in products.items() if product}


class LookedUp(NamedTuple):
    """The result of a lookup.

    Attributes:
        products: The products that exist, by id.
        missing_reason: Why no product was looked up; None if they were.
    """

    products: Mapping[str, Product]
    missing_reason: str | None = None


class ProductDetails:
    """Looks up products within a time budget, for one process.

    Args:
        source: Where the products come from; they are cached.
    """

    def __init__(self, source: ProductSource) -> None:
        self._cache = ProductCache(source)
        self._failures: dict[str, tuple[datetime, str]] = {}
        self._spent: deque[tuple[datetime, float]] = deque()

    def enriched_batches(self, alerts: Sequence[Alert]) -> Iterator[list[Alert]]:
        """Enrich the alerts: first those that need no request, then one connection after the other.

        All alerts of a connection are in one batch. Connections that failed before come last.
        """
        by_connection: dict[str, list[Alert]] = {}
        for alert in alerts:
            by_connection.setdefault(alert.connection_id, []).append(alert)
        slow = [each for each, members in by_connection.items() if self._needs_request(each, members)]
        fast = [each for each in by_connection if each not in slow]
        yield [alert for each in fast for alert in self._enriched(each, by_connection[each])]
        for each in sorted(slow, key=lambda connection_id: connection_id in self._failures):
            yield self._enriched(each, by_connection[each])

    def look_up(self, connection_id: str, product_ids: Sequence[str]) -> LookedUp:
        """Look up products of a connection. Raises nothing."""
        try:
            return self._look_up(connection_id, product_ids)
        except Exception as error:  # noqa: BLE001
            return LookedUp({}, _log_failure(connection_id, error))

    def _needs_request(self, connection_id: str, alerts: Sequence[Alert]) -> bool:
        try:
            cached = self._cache.cached(connection_id, product_ids_of(alerts))
        except Exception:  # noqa: BLE001 - `_enriched` raises, logs and reports the same error
            return False
        return cached is None and self._recent_failure(connection_id) is None

    def _enriched(self, connection_id: str, alerts: Sequence[Alert]) -> list[Alert]:
        try:
            found = self._look_up(connection_id, product_ids_of(alerts))
            if found.missing_reason:
                return without_details(alerts, found.missing_reason)
            return enrich(alerts, found.products)
        except Exception as error:  # noqa: BLE001
            return without_details(alerts, _log_failure(connection_id, error))

    def _look_up(self, connection_id: str, product_ids: Sequence[str]) -> LookedUp:
        cached = self._cache.cached(connection_id, product_ids)
        if cached is not None:
            return LookedUp(cached)
        if reason := self._recent_failure(connection_id):
            return LookedUp({}, reason)
        seconds = min(SECONDS_PER_CONNECTION, SECONDS_IN_TOTAL - self._seconds_spent())
        if seconds < MIN_SECONDS:
            return LookedUp({}, SKIPPED_NO_TIME)
        return LookedUp(self._request(connection_id, product_ids, seconds))

    def _request(self, connection_id: str, product_ids: Sequence[str], seconds: float) -> Mapping[str, Product]:
        started_at = clock.monotonic()
        try:
            products = self._cache.products(
                connection_id, product_ids, seconds_left=lambda: started_at + seconds - clock.monotonic()
            )
        except Exception as error:
            self._failures[connection_id] = (clock.now() + REMEMBERED_FOR, missing_reason(error))
            raise
        finally:
            self._spent.append((clock.now(), clock.monotonic() - started_at))
        self._failures.pop(connection_id, None)
        return products

    def _recent_failure(self, connection_id: str) -> str | None:
        """Why there are no requests for this connection now. An older failure stays, so that the connection is last."""
        until, reason = self._failures.get(connection_id, (None, ""))
        return reason if until and clock.now() < until else None

    def _seconds_spent(self) -> float:
        oldest = clock.now() - REMEMBERED_FOR
        while self._spent and self._spent[0][0] <= oldest:
            self._spent.popleft()
        return sum(seconds for _, seconds in self._spent)


def _log_failure(connection_id: str, error: Exception) -> str:
    logger.warning(
        "product details missing; alert sent without them", exc_info=error, extra={"connection_id": connection_id}
    )
    return missing_reason(error)
