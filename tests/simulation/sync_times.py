"""The sync times that Trackstar reports in a simulated run: right or wrong. No alert may depend on them."""

import random
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from enum import StrEnum

from orderwatch_local.simulator import Shop

MAX_GAP = 900.0
"""Seconds after which a shop is polled whatever its sync times say."""
UNREPORTED = 0.3
"""The share of unreported syncs, where some are not reported."""


class SyncTimeFault(StrEnum):
    """How a shop's last sync time is wrong."""

    NONE = "none"
    EARLY = "early"
    LATE = "late"
    MISSING = "missing"
    GOING_BACK = "going back"
    SYNCING = "in progress for ever"
    FROZEN = "never moves"
    SOMETIMES = "some syncs are not reported"


_BACK = (0.0, -1800.0, -3600.0)
_APPLY: dict[SyncTimeFault, Callable[[Shop, random.Random], object]] = {
    SyncTimeFault.EARLY: lambda shop, rng: setattr(shop.quirks, "sync_time_error", -600.0),
    SyncTimeFault.LATE: lambda shop, rng: setattr(shop.quirks, "sync_time_error", 600.0),
    SyncTimeFault.MISSING: lambda shop, rng: setattr(shop.quirks, "reports_syncs", False),
    SyncTimeFault.GOING_BACK: lambda shop, rng: setattr(shop.quirks, "sync_time_error", rng.choice(_BACK)),
    SyncTimeFault.SYNCING: lambda shop, rng: setattr(shop.quirks, "is_syncing", True),
}


@dataclass
class SyncTimes:
    """The fault of each shop's sync times, drawn apart from everything else in a seed."""

    faults: dict[str, SyncTimeFault]
    chance: random.Random

    @classmethod
    def drawn(cls, seed: int, connection_ids: Iterable[str]) -> "SyncTimes":
        """Half of all shops report right times."""
        rng = random.Random(f"marks:{seed}")
        faults = list(SyncTimeFault)
        return cls({each: rng.choice([SyncTimeFault.NONE] * len(faults) + faults) for each in connection_ids}, rng)

    def before_sync(self, shop: Shop) -> bool:
        """Apply the shop's fault; whether the sync that follows is reported at all."""
        fault = self.faults[shop.connection_id]
        if apply := _APPLY.get(fault):
            apply(shop, self.chance)
        if fault is SyncTimeFault.SOMETIMES:
            return self.chance.random() >= UNREPORTED
        return fault is not SyncTimeFault.FROZEN

    def restore(self, shop: Shop, *, reports_syncs: bool) -> None:
        """From now on the shop reports right times."""
        self.faults[shop.connection_id] = SyncTimeFault.NONE
        shop.quirks.sync_time_error, shop.quirks.is_syncing, shop.quirks.reports_syncs = 0.0, False, reports_syncs
