"""Product details in an alert: names, pictures, links, and how many of what was ordered are on hand.

Every gap is named in `enrichment.missing`, in a user's words (rule 11). Nothing here asks the vendor.
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

MAX_GAPS = 20
MAX_WAREHOUSES = 50

SKIPPED_LATE = "product details: left out because this alert was late"


class ProductSource(Protocol):
    """Where the products of every connection come from."""

    def products(
        self, connection_id: str, product_ids: Sequence[str], *, seconds_left: Callable[[], float]
    ) -> Mapping[str, Product]:
        """Return the products that exist, by id.

        Args:
            connection_id: The connection that they belong to.
            product_ids: Which; asked for in as few requests as possible.
            seconds_left: How long the caller can still wait; no wait goes on beyond it.

        Raises:
            TrackstarError: The vendor did not answer as documented.
        """
        ...


@dataclass
class _Gaps:
    """The gaps of one alert, in the order in which they were found."""

    found: list[str] = field(default_factory=list)

    def add(self, gap: str) -> None:
        if gap not in self.found:
            self.found.append(gap)

    def enrichment(self) -> Enrichment:
        listed, more = self.found[:MAX_GAPS], len(self.found) - MAX_GAPS
        missing = [*listed, f"+{more} more gaps"] if more > 0 else listed
        return Enrichment(complete=not self.found, missing=tuple(missing))


def enrich(alerts: Sequence[Alert], products: Mapping[str, Product]) -> list[Alert]:
    """Return the alerts with the details of these products; alerts that are about no order stay as they are."""
    return [_with_details(alert, products) for alert in alerts]


def product_ids_of(alerts: Sequence[Alert]) -> list[str]:
    """Return the products that the lines of these alerts name, each once, in order of appearance."""
    lines = [line for alert in alerts if alert.order for line in alert.order.line_items]
    return list(dict.fromkeys(line.product_id for line in lines if line.product_id))


def without_details(alerts: Sequence[Alert], gap: str) -> list[Alert]:
    """Return the alerts unchanged but for the gap, which those with order lines name as missing."""
    enrichment = Enrichment(complete=False, missing=(gap,))
    return [
        alert.model_copy(update={"enrichment": enrichment}) if alert.order and alert.order.line_items else alert
        for alert in alerts
    ]


def missing_reason(error: Exception) -> str:
    """Say in a user's words why there are no product details."""
    if isinstance(error, NotSupportedError):
        return "product details: this shop's integration offers none"
    if isinstance(error, UnavailableError):
        return "product details: Trackstar did not answer"
    if isinstance(error, TrackstarError):
        return "product details: Trackstar refused to give them"
    return "product details: they could not be read"


def _with_details(alert: Alert, products: Mapping[str, Product]) -> Alert:
    if alert.order is None:
        return alert
    gaps = _Gaps()
    lines = tuple(
        _detailed(line, position, products, gaps) for position, line in enumerate(alert.order.line_items, start=1)
    )
    order = alert.order.model_copy(update={"line_items": lines})
    return alert.model_copy(update={"order": order, "enrichment": gaps.enrichment()})


def _detailed(line: AlertLineItem, position: int, products: Mapping[str, Product], gaps: _Gaps) -> AlertLineItem:
    if line.product_id is None:
        gaps.add(f"product details of {line.sku or f'line {position}'}: the line names no product")
        return line
    product = products.get(line.product_id)
    if product is None:
        gaps.add(f"product details of {line.sku or line.product_id}: not in Trackstar's copy")
        return line
    return _merged(line, product, gaps)


def _merged(line: AlertLineItem, product: Product, gaps: _Gaps) -> AlertLineItem:
    by_warehouse = product.on_hand_by_warehouse
    code = line.sku or product.sku or product.id
    if product.is_parent:
        gaps.add(f"stock of {code}: known of its variants only, and the line names their parent")
    elif product.inventory is None:
        gaps.add(f"stock of {code}: the shop does not tell")
    elif len(by_warehouse) > MAX_WAREHOUSES:
        gaps.add(f"stock of {code} by warehouse: {len(by_warehouse)} warehouses are too many to list")
    stocked = not product.is_parent
    listed = stocked and len(by_warehouse) <= MAX_WAREHOUSES
    return AlertLineItem(
        sku=line.sku or product.sku,
        name=product.name,
        quantity=line.quantity,
        unit_price=line.unit_price,
        on_hand=product.inventory if stocked else None,
        on_hand_by_warehouse=by_warehouse if listed else {},
        image_url=product.image_url,
        url=product.external_system_url,
        product_id=line.product_id,
        is_kit=product.is_kit,
        active=product.active,
    )


MAX_PRODUCTS = 2_000
"""Products kept: a few megabytes of the function's memory, and twenty storms of a hundred products each."""
KEPT_FOR = timedelta(minutes=5)
"""How long a product is trusted: one poll interval. Trackstar itself copies products hourly, so little is missed."""

type _Entry = tuple[datetime, Product | None]


class ProductCache:
    """A `ProductSource` in front of another one; the product that was used longest ago is dropped first.

    It also remembers that Trackstar does not have a product.

    Args:
        source: Where the products come from that are not in the cache; its errors are not cached.
        max_products: How many to keep, over all connections.
        kept_for: For how long, by the wall clock: the monotonic one of a frozen process may stand still.
    """

    def __init__(
        self,
        source: ProductSource,
        *,
        max_products: int = MAX_PRODUCTS,
        kept_for: timedelta = KEPT_FOR,
    ) -> None:
        self._source = source
        self._entries: OrderedDict[tuple[str, str], _Entry] = OrderedDict()
        self._max_products = max_products
        self._kept_for = kept_for

    def products(
        self, connection_id: str, product_ids: Sequence[str], *, seconds_left: Callable[[], float]
    ) -> dict[str, Product]:
        """Return the products that exist, by id; asks the source only for those that are not in the cache.

        Raises:
            Exception: Whatever the source raises.
        """
        known = self._find(connection_id, product_ids)
        unknown = [product_id for product_id in product_ids if product_id not in known]
        if unknown:
            fetched = self._source.products(connection_id, unknown, seconds_left=seconds_left)
            learned = {product_id: fetched.get(product_id) for product_id in unknown}
            self._keep(connection_id, learned)
            known |= learned
        return _existing(known)

    def known(self, connection_id: str, product_ids: Sequence[str]) -> dict[str, Product] | None:
        """Return the products that exist, by id; None if the source would have to be asked for any of them."""
        known = self._find(connection_id, product_ids)
        return _existing(known) if len(known) == len(set(product_ids)) else None

    def _find(self, connection_id: str, product_ids: Sequence[str]) -> dict[str, Product | None]:
        """Look up these products, and count them as used; None stands for one that Trackstar does not have."""
        now = clock.now()
        keys = {each: (connection_id, each) for each in product_ids}
        found = {each: entry for each, key in keys.items() if (entry := self._entries.get(key)) and entry[0] > now}
        for each in found:
            self._entries.move_to_end(keys[each])
        return {each: product for each, (_, product) in found.items()}

    def _keep(self, connection_id: str, products: Mapping[str, Product | None]) -> None:
        expires_at = clock.now() + self._kept_for
        for product_id, product in products.items():
            self._entries[connection_id, product_id] = (expires_at, product)
            self._entries.move_to_end((connection_id, product_id))
        while len(self._entries) > self._max_products:
            self._entries.popitem(last=False)


def _existing(products: Mapping[str, Product | None]) -> dict[str, Product]:
    return {product_id: product for product_id, product in products.items() if product}


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
    missing_reason: str | None


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
            return LookedUp({}, missing_reason(error))

    def _detailed(self, connection_id: str, alerts: Sequence[Alert]) -> list[Alert]:
        try:
            found = self._found(connection_id, product_ids_of(alerts))
            if found.missing_reason:
                return without_details(alerts, found.missing_reason)
            return enrich(alerts, found.products)
        except Exception as error:  # noqa: BLE001
            logger.warning("product details missing", exc_info=error, extra={"connection_id": connection_id})
            return without_details(alerts, missing_reason(error))

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
            self._failures[connection_id] = (clock.now() + REMEMBERED_FOR, missing_reason(error))
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
