"""The shipments of a seed's orders: what shops send about what has left (rule 22).

They are added, completed and voided while orders live. Drawn apart from everything else of a seed.
"""

import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from orderwatch_local.simulator.seeded_data import WAREHOUSES

SENT: tuple[object, ...] = (
    {"status": "shipped", "tracking_number": "1Z1"},
    {"status": "delivered", "raw_status": "Left at the door"},
    {"status": "in_transit", "raw_status": None},
    {"status": None},
    {"status": "shipped", "raw_status": "cancellation requested"},
)
NOT_SENT: tuple[object, ...] = (
    {"status": "voided"},
    {"status": "Cancelled"},
    {"status": "canceled", "raw_status": "by the shop"},
    {"status": "shipped", "raw_status": "label_voided"},
    {"status": "RETURNED"},
    {"status": "other", "raw_status": "Return to sender"},
    None,
    "shipped",
)
NO_LIST: tuple[object, ...] = (None, {}, "none")
NO_LINES: tuple[object, ...] = (None, [], {}, "all", [None, "SKU-p1"])
UNKNOWN_PRODUCT = {"product_id": "other", "product_sku": "OTHER-1"}
SHARE_WITHOUT_LIST, SHARE_WITHOUT_LINES = 0.1, 0.25
ADDED, VOIDED, RESTORED = 0.5, 0.2, 0.1
"""The chances that a change of an order adds a shipment, or that one is voided, or sent nevertheless."""

type Fields = dict[str, Any]


@dataclass
class Shipments:
    """Draws shipments and shipping groups.

    Args:
        chance: The source of chance.
    """

    chance: random.Random

    def of_new(self, lines: Sequence[Fields]) -> Fields:
        """The `shipments` and `shipping_groups` of a new order with these lines."""
        groups = {"shipping_groups": self._groups(lines)} if lines else {}
        if self.chance.random() < SHARE_WITHOUT_LIST:
            return groups | {"shipments": self.chance.choice(NO_LIST)}
        kinds = self.chance.choices((SENT, NOT_SENT), (2, 1), k=self.chance.choice((0, 0, 1, 2)))
        return groups | {"shipments": [self._shipment(kind, lines) for kind in kinds]}

    def after(self, order: Mapping[str, Any]) -> Fields:
        """The changed `shipments` of an order that changes; empty where they stay."""
        shipments, lines = order.get("shipments"), order.get("line_items")
        if not isinstance(shipments, list) or not isinstance(lines, list) or not lines:
            return {}
        changed = [self._moved_on(each) for each in shipments]
        if self.chance.random() < ADDED:
            changed.append(self._shipment(SENT, lines))
        return {"shipments": changed} if changed != shipments else {}

    def _moved_on(self, shipment: Any) -> Any:
        drawn = self.chance.random()
        if not isinstance(shipment, dict) or drawn > VOIDED + RESTORED:
            return shipment
        kept = {name: value for name, value in shipment.items() if name not in {"status", "raw_status"}}
        return kept | {"status": "voided" if drawn < VOIDED else "shipped"}

    def _shipment(self, kind: Sequence[object], lines: Sequence[Fields]) -> Any:
        chosen = self.chance.choice(kind)
        if not isinstance(chosen, dict) or not lines:
            return chosen
        if self.chance.random() < SHARE_WITHOUT_LINES:
            return chosen | {"line_items": self.chance.choice(NO_LINES)}
        return chosen | {"line_items": list(self._lines(lines)), "warehouse_id": self.chance.choice(WAREHOUSES)}

    def _lines(self, lines: Sequence[Fields]) -> Iterator[Fields]:
        """Lines about some of the order's lines, as integrations name them."""
        for line in self.chance.sample(lines, k=self.chance.randint(1, len(lines))):
            sku = line["product_sku"]
            named = self.chance.choice(
                (
                    {"line_item_id": line.get("line_item_id"), "product_id": line["product_id"], "product_sku": sku},
                    {"line_item_id": line.get("line_item_id")},
                    {"product_id": line["product_id"], "product_sku": sku},
                    {"product_id": line["product_id"], "product_sku": f" {sku.lower()} "},
                    {"product_id": line["product_id"], "product_sku": self.chance.choice((None, "", "None"))},
                    {"product_id": line["product_id"]},
                    {"line_item_id": "unknown", "product_id": None, "product_sku": sku},
                    {"product_sku": sku},
                    {"product_id": self.chance.choice((0, "-1", "null")), "product_sku": sku.upper()},
                    UNKNOWN_PRODUCT,
                )
            )
            yield named | {"quantity": self._quantity(line["quantity"])}

    def _quantity(self, ordered: float | None) -> object:
        whole = int(ordered or 1)
        return self.chance.choice((1, 1, whole, whole, whole, str(whole), whole + 2, 0.5, 0, -1, None, "some"))

    def _groups(self, lines: Sequence[Fields]) -> object:
        if self.chance.random() < SHARE_WITHOUT_LIST:
            return self.chance.choice(NO_LIST)
        half = self.chance.randint(0, len(lines))
        parts = [part for part in (lines[:half], lines[half:]) if part]
        return [
            {
                "shipping_group_id": f"g{number}",
                "warehouse_id": self.chance.choice((*WAREHOUSES, None)),
                "line_items": [{"line_item_id": line.get("line_item_id")} | _product(line) for line in part],
            }
            for number, part in enumerate(parts)
        ]


def _product(line: Mapping[str, Any]) -> Fields:
    return {name: line[name] for name in ("product_id", "product_sku", "quantity")}
