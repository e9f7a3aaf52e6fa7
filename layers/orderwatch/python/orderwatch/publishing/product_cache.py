"""Products remembered from batch to batch of one process, so that a warm function asks Trackstar for none twice."""

from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta

from orderwatch import clock
from orderwatch.publishing.enrich import ProductSource
from orderwatch.trackstar.products import Product

MAX_PRODUCTS = 2_000
"""Products kept: a few megabytes of the function's memory, and twenty storms of a hundred products each."""
KEPT_FOR = timedelta(minutes=5)
"""How long one is believed: one poll interval. Trackstar itself pulls them hourly, so little can be missed by it."""

type _Entry = tuple[datetime, Product | None]


class ProductCache:
    """What is known of products, by connection and id; the one that was used longest ago goes first.

    That Trackstar does not have a product is remembered too.

    Args:
        max_products: How many to keep, over all connections.
        kept_for: For how long.
        now: The wall clock: a frozen process's monotonic one may stand still.
    """

    def __init__(
        self,
        *,
        max_products: int = MAX_PRODUCTS,
        kept_for: timedelta = KEPT_FOR,
        now: Callable[[], datetime] = clock.now,
    ) -> None:
        self._entries: OrderedDict[tuple[str, str], _Entry] = OrderedDict()
        self._max_products = max_products
        self._kept_for = kept_for
        self._now = now

    def of_shop(self, connection_id: str, source: Callable[[], ProductSource]) -> ProductSource:
        """A shop's products, out of the cache where it has them.

        Args:
            connection_id: The shop.
            source: Where the others come from; called only when one is missing.
        """
        return _CachedProducts(self, connection_id, source)

    def find(self, connection_id: str, product_ids: Sequence[str]) -> dict[str, Product | None]:
        """What is known of these products: None stands for one that Trackstar does not have."""
        return {each: entry[1] for each in product_ids if (entry := self._fresh((connection_id, each)))}

    def keep(self, connection_id: str, products: Mapping[str, Product | None]) -> None:
        """Remember what was just learned."""
        expires_at = self._now() + self._kept_for
        for product_id, product in products.items():
            self._entries[connection_id, product_id] = (expires_at, product)
            self._entries.move_to_end((connection_id, product_id))
        while len(self._entries) > self._max_products:
            self._entries.popitem(last=False)

    def _fresh(self, key: tuple[str, str]) -> _Entry | None:
        entry = self._entries.get(key)
        if entry is None or entry[0] <= self._now():
            self._entries.pop(key, None)
            return None
        self._entries.move_to_end(key)
        return entry


class _CachedProducts:
    """A `ProductSource` in front of another one."""

    def __init__(self, cache: ProductCache, connection_id: str, source: Callable[[], ProductSource]) -> None:
        self._cache = cache
        self._connection_id = connection_id
        self._source = source

    def products(self, product_ids: Sequence[str]) -> dict[str, Product]:
        """The products that are there, by id; what the source raises is not remembered."""
        known = self._cache.find(self._connection_id, product_ids)
        unknown = [product_id for product_id in product_ids if product_id not in known]
        if unknown:
            fetched = self._source().products(unknown)
            learned = {product_id: fetched.get(product_id) for product_id in unknown}
            self._cache.keep(self._connection_id, learned)
            known |= learned
        return {product_id: product for product_id, product in known.items() if product}
