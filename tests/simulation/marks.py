"""What Trackstar says of its syncs in a seed's world: the truth, or a lie. Nothing may depend on it."""

import random
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from enum import StrEnum

from orderwatch_local.simulator import Shop

MAX_GAP = 900.0
"""Seconds after which a shop is polled whatever its marks say."""
UNMARKED = 0.3
"""The share of syncs that no mark tells of, where some do not."""


class Lie(StrEnum):
    """How a shop's mark of its last sync is false."""

    NONE = "none"
    EARLY = "early"
    LATE = "late"
    MISSING = "missing"
    GOING_BACK = "going back"
    SYNCING = "in progress for ever"
    FROZEN = "never moves"
    SOMETIMES = "some syncs are not told"


_TELLS: dict[Lie, Callable[[Shop, random.Random], object]] = {
    Lie.EARLY: lambda shop, rng: setattr(shop.quirks, "sync_time_error", -600.0),
    Lie.LATE: lambda shop, rng: setattr(shop.quirks, "sync_time_error", 600.0),
    Lie.MISSING: lambda shop, rng: setattr(shop.quirks, "reports_syncs", False),
    Lie.GOING_BACK: lambda shop, rng: setattr(shop.quirks, "sync_time_error", rng.choice((0.0, -1800.0, -3600.0))),
    Lie.SYNCING: lambda shop, rng: setattr(shop.quirks, "is_syncing", True),
}


@dataclass
class Marks:
    """The lie of each shop, drawn apart from everything else in a seed."""

    lies: dict[str, Lie]
    chance: random.Random

    @classmethod
    def drawn(cls, seed: int, connection_ids: Iterable[str]) -> "Marks":
        """Half of all shops tell the truth."""
        rng = random.Random(f"marks:{seed}")
        lies = list(Lie)
        return cls({each: rng.choice([Lie.NONE] * len(lies) + lies) for each in connection_ids}, rng)

    def before_sync(self, shop: Shop) -> bool:
        """Let the shop tell its lie; whether the sync that follows is told of at all."""
        lie = self.lies[shop.connection_id]
        if tell := _TELLS.get(lie):
            tell(shop, self.chance)
        return not (lie is Lie.FROZEN or (lie is Lie.SOMETIMES and self.chance.random() < UNMARKED))

    def end(self, shop: Shop, *, reports_syncs: bool) -> None:
        """From now on the shop tells the truth."""
        self.lies[shop.connection_id] = Lie.NONE
        shop.quirks.sync_time_error, shop.quirks.is_syncing, shop.quirks.reports_syncs = 0.0, False, reports_syncs
