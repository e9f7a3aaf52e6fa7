"""Orders with large fields: pages of them are too large to be read, and now and then a single order is (rule 7).

Drawn apart from everything else of a seed.
"""

import random
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

from orderwatch_local.simulator import Shop

if TYPE_CHECKING:
    from tests.simulation.run import SimulatedRun

SHARE = 0.25
"""The share of runs with large orders."""
BOUND = 32 * 1024
"""Bytes of a body that can be read in such a run."""
ROOMY = BOUND // 4
"""Bytes of a page after which the next one may have twice as many orders."""
END = 2048
"""Bytes that are read of each end of a body above the bound."""
LARGE = (5_000, 12_000, 20_000)
OVERSIZED = 40_000


@dataclass
class LargeOrders:
    """The large orders of a seed.

    Attributes:
        share: The share of its orders that are large; 0: no body is above the bound.
        chance: Decides which ones are.
    """

    share: float
    chance: random.Random

    @classmethod
    def drawn(cls, seed: int) -> Self:
        """What a seed has."""
        rng = random.Random(f"large orders:{seed}")
        return cls(rng.choice((0.2, 0.5, 0.8)) if rng.random() < SHARE else 0.0, rng)

    def fields(self) -> dict[str, Any]:
        """The further fields of a new order."""
        return _notes(self.chance.choice(LARGE)) if self.chance.random() < self.share else {}

    def is_too_large(self, body: bytes) -> bool:
        """Whether a body cannot be read."""
        return self.share > 0 and len(body) > BOUND

    def schedule(self, run: "SimulatedRun", shop: Shop, active: float) -> None:
        """Let an order of the shop be too large by itself, until it changes."""
        if self.share:
            run.time.after(self.chance.uniform(0, active), lambda: self._oversize(run, shop))

    def _oversize(self, run: "SimulatedRun", shop: Shop) -> None:
        if orders := shop.orders():
            order_id = self.chance.choice(orders)["id"]
            shop.garble(order_id, _notes(OVERSIZED))
            run.note(f"{shop.connection_id} {order_id} is oversized")


def is_oversized(record: dict[str, Any]) -> bool:
    """Whether no page of one can show the order."""
    return len((record.get("additional_fields") or {}).get("notes", "")) >= OVERSIZED


def _notes(length: int) -> dict[str, Any]:
    return {"additional_fields": {"notes": "x" * length}}
