"""The shipments of a seed's orders, and a check of how many of them alerts count (rule 22).

Drawn apart from everything else of a seed.
"""

import json
import random
from dataclasses import dataclass, field
from typing import Any

from tests.simulation.cloud import ALERTS, Change
from tests.simulation.facts import Subject, expect

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


@dataclass
class Shipments:
    """The shipments of each order, and their oracle.

    Args:
        chance: Draws them.
    """

    chance: random.Random
    _sent: dict[Subject, int | None] = field(default_factory=dict)

    def of_new(self, order: Subject) -> object:
        """The `shipments` of a new order; they stay the same."""
        if self.chance.random() < 0.2:
            self._sent[order] = None
            return self.chance.choice(NO_LIST)
        kinds = self.chance.choices((SENT, NOT_SENT), k=self.chance.randint(0, 3))
        self._sent[order] = kinds.count(SENT)
        return [self.chance.choice(kind) for kind in kinds]

    def wrote(self, changes: list[Change]) -> None:
        """Alerts were written: each counts what has left."""
        for row in (change.after for change in changes if change.table == ALERTS and change.after.get("order_id")):
            order: dict[str, Any] = json.loads(row["alert"])["order"]
            subject = (row["connection_id"], row["order_id"])
            listed = order.get("shipments")
            count = None if listed is None else len(listed) + order.get("more_shipments", 0)
            expect(f"the shipments of {subject}", count, self._sent[subject])
