"""The names of warehouses in a seed's messages: those of the shops' settings, else Trackstar's, else none.

Drawn apart from everything else of a seed. A run without stock has no warehouses.
"""

import json
import random
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from orderwatch_local.simulator import Shop
from orderwatch_local.simulator.seeded_data import WAREHOUSES
from tests.simulation.facts import Violation

SHARE_NAMED, SHARE_WITHOUT_LIST = 0.4, 0.3
"""The share of shops whose settings name a warehouse, and of those whose integration has no list of them."""


@dataclass
class Warehouses:
    """The names of the warehouses of each shop, and a check of those in messages.

    Args:
        settings: By connection, the names that its settings have.
        without_list: Connections whose integration has no list of warehouses.
    """

    settings: Mapping[str, dict[str, str]]
    without_list: Collection[str]

    @classmethod
    def drawn(cls, seed: int, shops: Iterable[str], flawed: Collection[str]) -> "Warehouses":
        """The names of a seed; `flawed` are the shops whose settings cannot be read."""
        rng = random.Random(f"warehouses:{seed}")
        shops = list(shops)
        named = {each: {rng.choice(WAREHOUSES): f"Hall of {each}"} for each in shops if rng.random() < SHARE_NAMED}
        without_list = [each for each in shops if rng.random() < SHARE_WITHOUT_LIST]
        return cls({each: names for each, names in named.items() if each not in flawed}, without_list)

    def in_settings(self, connection_id: str, settings: str | None) -> str | None:
        """The settings of a shop with its names."""
        if connection_id not in self.settings:
            return settings
        return json.dumps(json.loads(settings or "{}") | {"warehouses": self.settings[connection_id]})

    def took(self, body: Mapping[str, Any], shop: Shop, *, is_looked_up: bool) -> None:
        """SNS accepted a message: each name is right, and none is missing that the settings have.

        A sender that could not read the settings shows Trackstar's name.

        Args:
            body: The message.
            shop: The shop that it is about.
            is_looked_up: Whether the sender could look up names: nothing fails, and the alert is not late.
        """
        if not (order := body.get("order")):
            return
        listed = [] if shop.connection_id in self.without_list else shop.warehouses
        settings = self.settings.get(shop.connection_id, {})
        of_vendor, ids, reported = {each["id"]: each["name"] for each in listed}, _ids_in(order), order["warehouses"]
        known = of_vendor | settings
        right = known.items() if is_looked_up else known.items() | of_vendor.items()
        if any(each not in ids or (each, name) not in right for each, name in reported.items()):
            raise Violation(f"{shop.connection_id}: the warehouses {ids} are named {reported}, and are {known}")
        if is_looked_up and not settings.keys() & ids <= reported.keys():
            raise Violation(f"{shop.connection_id}: the settings name {settings}, the alert only {reported}")


def _ids_in(order: Mapping[str, Any]) -> set[str]:
    lines, shipments = order["line_items"], order["shipments"] or ()
    of_stock = {each for line in lines for each in line["on_hand_by_warehouse"]}
    return of_stock | {each["warehouse"] for each in (*lines, *shipments) if each["warehouse"]}
