"""The products of a seed's orders and the stock of its shops, and a check of what alerts report about it.

Drawn apart from everything else of a seed.
"""

import random
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from tests.simulation.facts import expect

SHARE_STOCKED = 0.4
"""The share of runs with stock: in the others orders have no lines, and no product is asked for."""
IN_CATALOGUE = ("p1", "p2")
"""As many as fit the smallest page, so that one request shows them all."""
NOT_IN_CATALOGUE = "gone"
LOOSE = "LOOSE"
"""The SKU of lines that name no product."""
MAX_ON_HAND, MAX_QUANTITY = 12, 4


@dataclass
class Stock:
    """The stock of each shop, and its oracle.

    Args:
        on_hand: By connection, of each product that it has; empty where orders have no lines.
        late_shops: Connections whose products are not visible at first: their stock may be reported as unknown.
        chance: Draws the lines of orders.
    """

    on_hand: Mapping[str, Mapping[str, int]]
    late_shops: frozenset[str]
    chance: random.Random

    @classmethod
    def drawn(cls, seed: int, shops: Mapping[str, bool]) -> "Stock":
        """The stock of a seed.

        Args:
            seed: The source of chance.
            shops: Connections, each with whether its products cannot be seen at first.
        """
        rng = random.Random(f"stock:{seed}")
        is_stocked = rng.random() < SHARE_STOCKED
        on_hand = {each: {product: rng.randint(-1, MAX_ON_HAND) for product in IN_CATALOGUE} for each in shops}
        late = frozenset(each for each, is_late in shops.items() if is_late)
        return cls(on_hand if is_stocked else {}, late, rng)

    def products(self, connection_id: str) -> list[dict[str, Any]]:
        """The catalogue of a shop."""
        counts = self.on_hand.get(connection_id, {})
        return [
            {"id": each, "sku": f"SKU-{each}", "name": each, "parent_product_id": "family", "inventory": count}
            for each, count in counts.items()
        ]

    def lines(self) -> list[dict[str, Any]]:
        """The lines of a new order; two lines may name one product."""
        if not self.on_hand:
            return []
        kinds = self.chance.choices(
            (*IN_CATALOGUE, *IN_CATALOGUE, NOT_IN_CATALOGUE, LOOSE), k=self.chance.randint(0, 3)
        )
        return [self._line(each) for each in kinds]

    def _line(self, product: str) -> dict[str, Any]:
        quantity = self.chance.randint(1, MAX_QUANTITY)
        named = {"product_sku": LOOSE} if product == LOOSE else {"product_id": product, "product_sku": f"SKU-{product}"}
        return named | {"quantity": quantity, "unit_price": 1}

    def took(self, body: Mapping[str, Any]) -> None:
        """SNS accepted a message about one order: each count is the shop's, or reported as missing."""
        if body["kind"] == "summary.daily" or not body.get("order"):
            return
        counts = self.on_hand.get(body["connection_id"], {})
        is_whole = body["enrichment"]["complete"] and body["connection_id"] not in self.late_shops
        for line in body["order"]["line_items"]:
            expected = counts.get(line["product_id"] or "")
            if line["on_hand"] is not None or (is_whole and expected is not None):
                expect(f"the stock of {line['product_id']}", line["on_hand"], expected)
