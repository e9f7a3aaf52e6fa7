"""Products kept from batch to batch of one process, so that a warm function asks Trackstar for none twice."""

from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta

from orderwatch import clock
from orderwatch.publishing.enrich import ProductSource
from orderwatch.trackstar.products import Product

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
