"""The products of a seed's orders and the stock of its shops, which rises and falls between syncs (rules 22 and 23).

Trackstar syncs the products apart from the orders: the API shows the stock as of the last sync. Drawn apart from
everything else of a seed. In a run without stock, orders have no lines and no sync of products is reported.
"""

import random
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from orderwatch_local.simulator import Resource, Shop
from orderwatch_local.simulator.filters import ListQuery
from orderwatch_local.simulator.seeded_data import WAREHOUSES
from tests.simulation.outstanding import Units, as_units

if TYPE_CHECKING:
    from tests.simulation.run import SimulatedRun

SHARE_STOCKED = 0.4
"""The share of runs with stock: in the others orders have no lines, and no product is asked for."""
BACKORDERS = 0.3
"""The share of changes in such a run that leave an order backordered, beside those of every run."""
SHARE_OFF = 0.15
"""The share of runs with `RestockAlerts=false`."""
PRODUCT, KIT = "p1", "p2"
IN_CATALOGUE = (PRODUCT, KIT)
"""As many as fit the smallest page, so that one request shows them all."""
NOT_IN_CATALOGUE = "gone"
PLACEHOLDERS = (None, 0, "0", -1, "None", "null", " ")
"""What shops send instead of an id."""
LOOSE = ("LOOSE-1", "LOOSE-2")
"""The SKUs of lines that name no product."""
VARIANT = "SKU-p1-XL"
"""The SKU of lines that name the product `p1`, which has another SKU."""
LINE_IDS = (("l1", "l2", "l3"), ("l1", "l2", "l3"), (None, None, None), ("l1", "l1", "l2"))
"""The ids of the lines of an order: several may have one, and integrations may know none."""
QUANTITIES: tuple[float | None, ...] = (1, 2, 3, 4) * 4 + (1.5, None)
MAX_ON_HAND = 12
COUNTS = (None, -1, 0, 0, 1, 2, 3, 4, 6, 9, MAX_ON_HAND)
"""Stock that a shop reports, in all warehouses; None: none is reported."""
SYNC_FREQUENCIES = (300, 300, 600, 900)
SYNC_DURATIONS = (0.0, 0.0, 0.0, 5.0, 120.0)
SYNC_TIME_ERRORS = (0.0,) * 6 + (-600.0, 600.0)
"""How far the reported time of a sync of products is ahead of the real one."""
UNREPORTED = 0.1
"""The share of syncs of products that are not reported."""
VISIBLE_FOR = 900.0
"""Seconds for which a message may show stock that the API no longer shows: products are cached, and sending takes
time."""

type Key = tuple[str | None, str | None]
"""The id and the SKU of a product."""


@dataclass
class Stock:
    """The stock of each shop, and what the API has shown of it.

    Args:
        on_hand: By connection, what each product has at first; empty where orders have no lines.
        late_shops: Connections whose products are not visible at first: their stock may be reported as unknown.
        is_watched: Whether the run has `RestockAlerts=true`.
        chance: Draws the lines of orders.
        apart: Draws syncs and changes of stock.
    """

    on_hand: Mapping[str, Mapping[str, int]]
    late_shops: frozenset[str]
    is_watched: bool
    chance: random.Random
    apart: random.Random
    _shown: defaultdict[str, list[tuple[float, dict[str, Units]]]] = field(default_factory=lambda: defaultdict(list))

    @classmethod
    def drawn(cls, seed: int, shops: Mapping[str, bool]) -> "Stock":
        """The stock of a seed.

        Args:
            seed: The source of chance.
            shops: Connections, each with whether its products cannot be seen at first.
        """
        rng, apart = random.Random(f"stock:{seed}"), random.Random(f"restock:{seed}")
        is_stocked = rng.random() < SHARE_STOCKED
        on_hand = {each: {product: rng.randint(-1, MAX_ON_HAND) for product in IN_CATALOGUE} for each in shops}
        late = frozenset(each for each, is_late in shops.items() if is_late)
        return cls(on_hand if is_stocked else {}, late, apart.random() >= SHARE_OFF, rng, apart)

    def products(self, connection_id: str) -> list[dict[str, Any]]:
        """The catalogue of a shop."""
        counts = self.on_hand.get(connection_id, {})
        named = [{"id": each, "sku": f"SKU-{each}", "name": each, "inventory": count} for each, count in counts.items()]
        return [each | {"parent_product_id": "family", "is_kit": each["id"] == KIT} for each in named]

    def status(self, drawn: str) -> str:
        """The status that an order gets: where there is stock, it lacks more often than other things go wrong."""
        return "backordered" if self.on_hand and self.apart.random() < BACKORDERS else drawn

    def lines(self) -> list[dict[str, Any]]:
        """The lines of a new order; two lines may name one product."""
        if not self.on_hand:
            return []
        named = (*(PRODUCT,) * 4, KIT, KIT, NOT_IN_CATALOGUE)
        keys: list[tuple[object, str]] = [(each, f"SKU-{each}") for each in named]
        keys += [(PRODUCT, VARIANT), *((self.chance.choice(PLACEHOLDERS), sku) for sku in LOOSE)]
        lines = [self._line(*each) for each in self.chance.choices(keys, k=self.chance.choice((0, 1, 1, 1, 2, 3)))]
        line_ids = self.chance.choice(LINE_IDS)
        return [{"line_item_id": line_id} | line for line_id, line in zip(line_ids, lines, strict=False)]

    def _line(self, product_id: object, sku: str) -> dict[str, Any]:
        return {
            "product_id": product_id,
            "product_sku": sku,
            "quantity": self.chance.choice(QUANTITIES),
            "unit_price": 1,
        }

    # Changes and syncs

    def schedule(self, run: "SimulatedRun", shop: Shop, active: float) -> None:
        """Let the stock of a shop change, and Trackstar sync it, at times of their own."""
        if not self.on_hand:
            return
        every = self.apart.choice(SYNC_FREQUENCIES)
        shop.sync_frequencies[Resource.PRODUCTS] = every
        at = self.apart.uniform(0, every)
        while at < active:
            run.time.after(at, lambda: self._sync_in_time(run, shop))
            at += every
        for _ in range(int(active / every) + 2):
            run.time.after(self.apart.uniform(0, active), lambda: self.change(run, shop))

    def change(self, run: "SimulatedRun", shop: Shop) -> None:
        """The stock of a product rises or falls, or is no longer reported."""
        product, count = self.apart.choice((PRODUCT, PRODUCT, KIT)), self.apart.choice(COUNTS)
        north = self.apart.randint(0, max(count or 0, 0))
        on_hand = None if count is None else dict(zip(WAREHOUSES, (north, count - north), strict=True))
        shop.restock(product, on_hand)
        run.note(f"{shop.connection_id} has {count} of {product}")

    def _sync_in_time(self, run: "SimulatedRun", shop: Shop) -> None:
        if not run.is_calm:
            shop_error, shop.quirks.sync_time_error = shop.quirks.sync_time_error, self.apart.choice(SYNC_TIME_ERRORS)
            is_reported, took = self.apart.random() >= UNREPORTED, self.apart.choice(SYNC_DURATIONS)
            self.sync(run, shop, is_reported=is_reported, took=took)
            shop.quirks.sync_time_error = shop_error

    def sync(self, run: "SimulatedRun", shop: Shop, *, is_reported: bool = True, took: float = 0.0) -> None:
        """Trackstar crawls the products of a shop."""
        if self.on_hand:
            copied = shop.sync([Resource.PRODUCTS], is_reported=is_reported, took=took)
            self.show(run, shop)
            run.note(f"sync products of {shop.connection_id}: {copied}{'' if is_reported else ', not reported'}")

    def show(self, run: "SimulatedRun", shop: Shop) -> None:
        """Take what the API shows of the products of a shop from now on."""
        counts = counts_in(shop.select(Resource.PRODUCTS, ListQuery()))
        self._shown[shop.connection_id].append((run.time.seconds, counts))

    # What messages may show

    def counts(self, connection_id: str, key: Key, at: float) -> set[Units]:
        """What a message may show of a product, looked up at a moment or later; None: its stock is unknown."""
        return {stock_of(key, counts) for counts in self.states(connection_id, at)} or {None}

    def states(self, connection_id: str, at: float) -> list[dict[str, Units]]:
        """The stock that the API has shown shortly before a moment, and since."""
        shown = self._shown[connection_id]
        recent = [counts for begins, counts in shown if begins > at - VISIBLE_FOR]
        return [counts for begins, counts in shown if begins <= at - VISIBLE_FOR][-1:] + recent


def counts_in(products: Iterable[Mapping[str, Any]]) -> dict[str, Units]:
    """The stock of products by their records."""
    return {str(each["id"]): as_units(each.get("inventory")) for each in products}


def stock_of(key: Key, counts: Mapping[str, Units]) -> Units:
    """What a shop has of a product, by the counts of its products.

    None for a product that it does not have, for lines with another SKU, and for a kit without stock of its own.
    """
    product_id, sku = key
    count = counts.get(product_id or "")
    return None if sku != f"SKU-{product_id}" or (product_id == KIT and (count or 0) <= 0) else count
