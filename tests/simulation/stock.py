"""The products of a seed's orders and the stock of its shops, and a check of what messages report about it (rule 22).

Drawn apart from everything else of a seed.
"""

import random
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Any

from tests.simulation.facts import Subject, expect

SHARE_STOCKED = 0.4
"""The share of runs with stock: in the others orders have no lines, and no product is asked for."""
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
MAX_ON_HAND, MAX_QUANTITY = 12, 4

type Key = tuple[str | None, str]
"""The id and the SKU of a product."""


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
    _placed: dict[Subject, list[dict[str, Any]]] = field(default_factory=dict)

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
        named = [{"id": each, "sku": f"SKU-{each}", "name": each, "inventory": count} for each, count in counts.items()]
        return [each | {"parent_product_id": "family", "is_kit": each["id"] == KIT} for each in named]

    def lines(self, order: Subject) -> list[dict[str, Any]]:
        """The lines of a new order; two lines may name one product."""
        if not self.on_hand:
            return []
        named = (*IN_CATALOGUE, *IN_CATALOGUE, NOT_IN_CATALOGUE)
        keys: list[tuple[object, str]] = [(each, f"SKU-{each}") for each in named]
        keys += [(PRODUCT, VARIANT), *((self.chance.choice(PLACEHOLDERS), sku) for sku in LOOSE)]
        lines = [self._line(*each) for each in self.chance.choices(keys, k=self.chance.randint(0, 3))]
        self._placed[order] = lines
        return lines

    def _line(self, product_id: object, sku: str) -> dict[str, Any]:
        quantity = self.chance.randint(1, MAX_QUANTITY)
        return {"product_id": product_id, "product_sku": sku, "quantity": quantity, "unit_price": 1}

    def took(self, body: Mapping[str, Any]) -> None:
        """SNS accepted a message: each count is the shop's, or reported as missing; each total is of one product."""
        shop = body["connection_id"]
        is_whole = body["enrichment"]["complete"] and shop not in self.late_shops
        if body.get("order"):
            for line in body["order"]["line_items"]:
                self._check_count(shop, line, is_whole=is_whole)
        for product in (body.get("digest") or {}).get("products", ()):
            self._check_product(shop, product)
            self._check_total(shop, product, {order["id"] for order in body["digest"]["orders"]})
        for listed in (body.get("summary") or {}).get("shops", ()):
            for product in listed["products"]:
                self._check_product(listed["connection_id"], product)

    def _check_product(self, shop: str, product: Mapping[str, Any]) -> None:
        self._check_count(shop, product, is_whole=False)
        if product["product_id"] == KIT or product["on_hand"] is None or product["outstanding"] is None:
            expect(f"what is short of {product['sku']}", product["short"], None)
            return
        short = product["outstanding"] - max(product["on_hand"], 0)
        expect(f"what is short of {product['sku']}", product["short"], short if short > 0 else None)

    def _check_count(self, shop: str, line: Mapping[str, Any], *, is_whole: bool) -> None:
        expected = self._count(shop, (line["product_id"], line["sku"]))
        if line["on_hand"] is not None or (is_whole and expected is not None):
            expect(f"the stock of {line['sku']}", line["on_hand"], expected)

    def _count(self, shop: str, key: Key) -> int | None:
        """What the shop has of a product; None for a product that is not in the catalogue, and for an empty kit."""
        product_id, sku = key
        count = self.on_hand.get(shop, {}).get(product_id or "")
        return None if sku != f"SKU-{product_id}" or (product_id == KIT and (count or 0) <= 0) else count

    def _check_total(self, shop: str, product: Mapping[str, Any], order_ids: Collection[str]) -> None:
        key = (product["product_id"], product["sku"])
        orders = [self._placed.get((shop, order_id), []) for order_id in order_ids]
        units = [[line["quantity"] for line in lines if _key(line) == key] for lines in orders]
        expect(f"the orders with {key}", product["orders"], sum(map(bool, units)))
        expect(f"the units of {key}", product["outstanding"], sum(map(sum, units)))


def _key(line: Mapping[str, Any]) -> Key:
    return None if line["product_id"] in PLACEHOLDERS else line["product_id"], line["product_sku"]
