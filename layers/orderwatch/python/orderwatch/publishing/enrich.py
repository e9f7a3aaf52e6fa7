"""Product details in alerts: names, pictures, links and stock. Trackstar's products are looked up within a time budget.

`enrichment.missing` lists what is missing, in words for people. No failure here stops an alert (rule 11).
"""

from collections import OrderedDict
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Protocol

from orderwatch import clock
from orderwatch.alerts.alert import Alert, Enrichment, by_connection
from orderwatch.alerts.parts import AlertLineItem, product_key, shared_ids
from orderwatch.errors import NotSupportedError, TrackstarError, UnavailableError
from orderwatch.observability import logger
from orderwatch.publishing.time_budget import MIN_SECONDS, REMEMBERED_FOR, SECONDS_PER_CONNECTION, TimeBudget
from orderwatch.publishing.warehouses import WarehouseNames, WarehouseSource
from orderwatch.trackstar.products import Product, ProductLookup

MAX_MISSING = 20
"""Maximum entries of `enrichment.missing`; the others are counted."""
MAX_WAREHOUSES = 50
"""Maximum warehouses of a product for which an alert lists the stock."""
MAX_PRODUCTS = 2_000
"""Maximum products in the cache: a few megabytes."""
CACHED_FOR = timedelta(minutes=5)
"""One poll interval. Trackstar itself syncs the products once an hour."""

SKIPPED_LATE = "skipped because this alert is late"
SKIPPED_NO_TIME = "skipped so that no alert is late"


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


def enrich(alerts: Sequence[Alert], products: Mapping[str, Product]) -> list[Alert]:
    """The alerts, all of one connection, with the details of these products.

    An alert without an order does not change.
    """
    lines = [line for alert in alerts if alert.order for line in alert.order.line_items]
    shared = shared_ids(product_key(line.product_id, _sku(line, products)) for line in lines)
    return [_enriched(alert, products, shared) for alert in alerts]


def _sku(line: AlertLineItem, products: Mapping[str, Product]) -> str | None:
    """The line's SKU; that of its product if the line has none."""
    product = products.get(line.product_id or "")
    return line.sku or (product.sku if product else None)


def without_details(alerts: Sequence[Alert], reason: str) -> list[Alert]:
    """The alerts without details; those with order lines name the reason."""
    enrichment = Enrichment(complete=False, missing=(f"product details: {reason}",))
    return [
        alert.replace(enrichment=enrichment) if alert.order and alert.order.line_items else alert for alert in alerts
    ]


def product_ids_of(alerts: Sequence[Alert]) -> list[str]:
    """The products of the order lines of these alerts, each once, in order of appearance."""
    lines = [line for alert in alerts if alert.order for line in alert.order.line_items]
    return list(dict.fromkeys(line.product_id for line in lines if line.product_id))


def missing_reason(error: Exception) -> str:
    """Why there are no product details, in words for people."""
    if isinstance(error, NotSupportedError):
        return "not supported by this shop's integration"
    if isinstance(error, UnavailableError):
        return "Trackstar did not respond"
    if isinstance(error, TrackstarError):
        return "Trackstar refused the request"
    return "could not be read"


def _enriched(alert: Alert, products: Mapping[str, Product], shared: Collection[str]) -> Alert:
    if alert.order is None:
        return alert
    missing: list[str] = []
    lines = tuple(
        _enriched_line(line, position, products, shared, missing)
        for position, line in enumerate(alert.order.line_items, start=1)
    )
    distinct = list(dict.fromkeys(missing))
    more = len(distinct) - MAX_MISSING
    listed = (*distinct[:MAX_MISSING], *([f"+{more} more"] if more > 0 else []))
    enrichment = Enrichment(complete=not missing, missing=listed)
    return alert.replace(order=alert.order.replace(line_items=lines), enrichment=enrichment)


def _enriched_line(
    line: AlertLineItem,
    position: int,
    products: Mapping[str, Product],
    shared: Collection[str],
    missing: list[str],
) -> AlertLineItem:
    product = products.get(line.product_id or "")
    if reason := _why_no_details(line, product):
        missing.append(f"product details of {line.sku or line.product_id or f'line {position}'}: {reason}")
    if product is None or reason:
        return line
    sku = _sku(line, products)
    on_hand, by_warehouse = _stock(product, sku, product.id in shared, missing)
    if line.on_hand not in {None, on_hand}:  # the stock that the alert is about, not that of a cached product
        on_hand, by_warehouse = line.on_hand, {}
    return line.replace(
        sku=sku,
        name=product.name,
        on_hand=on_hand,
        on_hand_by_warehouse=by_warehouse,
        image_url=product.image_url,
        url=product.external_system_url,
        is_kit=product.is_kit,
        active=product.active,
    )


def _stock(
    product: Product, sku: str | None, is_shared: bool, missing: list[str]
) -> tuple[Decimal | None, dict[str, Decimal]]:
    """The stock of a line's product, in all warehouses and in each of them; adds what is missing."""
    reason = _why_no_stock(product, sku, is_shared)
    missing += [f"stock of {sku or product.id}: {reason}"] if reason else []
    if not product.has_stock_of_line(sku, is_shared=is_shared):
        return None, {}
    by_warehouse = product.on_hand_by_warehouse
    if len(by_warehouse) > MAX_WAREHOUSES:
        reason = f"{len(by_warehouse)} warehouses are too many to list"
        missing.append(f"stock of {sku or product.id} by warehouse: {reason}")
        return product.inventory, {}
    return product.inventory, by_warehouse


def _why_no_details(line: AlertLineItem, product: Product | None) -> str | None:
    if line.product_id is None:
        return "the order line names no product"
    if product is None:
        return "not found in Trackstar"
    if not product.is_of_line(line.sku):
        return f"the product that the order line names has another SKU, {product.sku}"
    return None


def _why_no_stock(product: Product, sku: str | None, is_shared: bool) -> str | None:
    """Why the stock for a line is unknown; None if it is known, and for a kit, whose parts decide."""
    if product.is_kit:
        return None
    if product.is_parent:
        return "the order line names a parent product, and only its variants have stock"
    if not product.has_stock_of_line(sku, is_shared=is_shared):
        return "order lines with other SKUs name the same product"
    if product.inventory is not None:
        return None
    return "cannot be read" if "inventory" in product.unreadable else "not provided by the shop"


class ProductCache:
    """Caches the products of a source, up to `max_products` over all connections; evicts the least recently used first.

    Products that Trackstar does not have are cached too; errors are not.
    """

    def __init__(self, source: ProductSource, *, max_products: int = MAX_PRODUCTS) -> None:
        self._source = source
        self._max_products = max_products
        self._entries: OrderedDict[tuple[str, str], tuple[datetime, Product | None]] = OrderedDict()

    def products(
        self, connection_id: str, product_ids: Sequence[str], *, seconds_left: Callable[[], float]
    ) -> dict[str, Product]:
        """The products that exist, by id; only those that are not in the cache are read from the source."""
        cached = self._cached(connection_id, product_ids)
        other_ids = [product_id for product_id in product_ids if product_id not in cached]
        if other_ids:
            found = self._source.products(connection_id, other_ids, seconds_left=seconds_left)
            added = {product_id: found.get(product_id) for product_id in other_ids}
            self._add(connection_id, added)
            cached |= added
        return _existing(cached)

    def cached(self, connection_id: str, product_ids: Sequence[str]) -> dict[str, Product] | None:
        """The products that exist, by id; None if any of them has to be read from the source."""
        cached = self._cached(connection_id, product_ids)
        return _existing(cached) if len(cached) == len(set(product_ids)) else None

    def drop(self, connection_id: str) -> None:
        """Drop the products of a connection, so that they are read again."""
        for key in [each for each in self._entries if each[0] == connection_id]:
            del self._entries[key]

    def _cached(self, connection_id: str, product_ids: Sequence[str]) -> dict[str, Product | None]:
        """The cached entries of these products, now marked as used; None: Trackstar does not have the product."""
        # The monotonic clock of a frozen process can stop, so entries expire by the wall clock.
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


class ProductDetails:
    """Looks up products, and names of warehouses, within the time budget of one process, and caches them.

    An alert of a later sync than the cached products has them read again: its stock is no older than its order.

    Args:
        source: The products.
        warehouses: The names of warehouses; None adds none.
    """

    def __init__(self, source: ProductSource, warehouses: WarehouseSource | None = None) -> None:
        self._cache = ProductCache(source)
        self._synced: dict[str, datetime] = {}
        self._failures: dict[str, tuple[datetime, str]] = {}
        self._budget = TimeBudget()
        self._names = WarehouseNames(warehouses, self._budget) if warehouses else None

    def enriched_batches(self, alerts: Sequence[Alert]) -> Iterator[list[Alert]]:
        """Enrich the alerts: first those that need no request, then one connection after the other.

        All alerts of a connection are in one batch. Connections that failed before come last, and after all products
        those that need the names of warehouses.
        """
        batches = self._batches_with_products(alerts)
        return self._names.named_batches(batches) if self._names else batches

    def _batches_with_products(self, alerts: Sequence[Alert]) -> Iterator[list[Alert]]:
        alerts_of = by_connection(alerts)
        for each, members in alerts_of.items():
            self._drop_older(each, members)
        slow = [each for each, members in alerts_of.items() if self._needs_request(each, members)]
        fast = [each for each in alerts_of if each not in slow]
        yield [alert for each in fast for alert in self._enriched(each, alerts_of[each])]
        for each in sorted(slow, key=lambda connection_id: connection_id in self._failures):
            yield self._enriched(each, alerts_of[each])

    def look_up(self, connection_id: str, product_ids: Sequence[str]) -> ProductLookup:
        """Look up products of a connection, none of them in the cache. Raises nothing."""
        self._cache.drop(connection_id)
        try:
            return self._look_up(connection_id, product_ids)
        except Exception as error:  # noqa: BLE001
            return ProductLookup({}, _log_failure(connection_id, error))

    def _drop_older(self, connection_id: str, alerts: Sequence[Alert]) -> None:
        synced = [alert.data_as_of for alert in alerts if alert.data_as_of]
        known = self._synced.get(connection_id)
        if synced and (known is None or max(synced) > known):
            self._cache.drop(connection_id)
            self._synced[connection_id] = max(synced)

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

    def _look_up(self, connection_id: str, product_ids: Sequence[str]) -> ProductLookup:
        cached = self._cache.cached(connection_id, product_ids)
        if cached is not None:
            return ProductLookup(cached)
        if reason := self._recent_failure(connection_id):
            return ProductLookup({}, reason)
        seconds = min(SECONDS_PER_CONNECTION, self._budget.left())
        if seconds < MIN_SECONDS:
            return ProductLookup({}, SKIPPED_NO_TIME)
        return ProductLookup(self._request(connection_id, product_ids, seconds))

    def _request(self, connection_id: str, product_ids: Sequence[str], seconds: float) -> Mapping[str, Product]:
        try:
            with self._budget.spend(seconds) as seconds_left:
                products = self._cache.products(connection_id, product_ids, seconds_left=seconds_left)
        except Exception as error:
            self._failures[connection_id] = (clock.now() + REMEMBERED_FOR, missing_reason(error))
            raise
        self._failures.pop(connection_id, None)
        return products

    def _recent_failure(self, connection_id: str) -> str | None:
        """Why the connection is skipped now; None if it is not. Older failures are kept to sort the connection last."""
        until, reason = self._failures.get(connection_id, (None, ""))
        return reason if until and clock.now() < until else None


def _log_failure(connection_id: str, error: Exception) -> str:
    logger.warning(
        "product details missing; alert sent without them", exc_info=error, extra={"connection_id": connection_id}
    )
    return missing_reason(error)
