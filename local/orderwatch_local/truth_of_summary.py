"""What the summary at the end of a day of the simulated shops must say, worked out from what was visible alone.

An order waits if it is in exception or backordered, or if it is open and its ship-by had passed by the last sync that
could read its shop. It is at risk if it is open and that moment lies in the day after that sync.
"""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from orderwatch_local.shop import Script
from orderwatch_local.truth_of_deadlines import OPEN_STATUSES, WARNING, late_moments

_WAITING_STATUSES = frozenset({"exception", "backordered"})


@dataclass
class ShopTruth:
    """The figures of one shop."""

    waiting: int = 0
    late: int = 0
    at_risk: int = 0
    by_reason: Counter[str] = field(default_factory=Counter)
    value_by_currency: Counter[str] = field(default_factory=Counter)

    def count(self, order: Mapping[str, Any], status: str, late_at: datetime | None, synced_at: datetime) -> None:
        """Count one order as it could be seen at a sync."""
        is_open = status in OPEN_STATUSES
        is_late = is_open and late_at is not None and late_at <= synced_at
        self.at_risk += is_open and late_at is not None and synced_at < late_at <= synced_at + WARNING
        if not is_late and status not in _WAITING_STATUSES:
            return
        self.waiting += 1
        self.late += is_late
        self.by_reason[status if status in _WAITING_STATUSES else "late"] += 1
        self.value_by_currency[order["invoice_currency_code"]] += round(order["total_price"] * 100)


def summary_of(script: Script, zones: Mapping[str, str]) -> dict[str, ShopTruth]:
    """The figures of every shop where something waits or is at risk, at the end of the day; money in hundredths."""
    seen = {(each.connection_id, each.order_id): each.status for each in script.truth}
    late_at = late_moments(script, zones)
    found: dict[str, ShopTruth] = {}
    for shop in script.shops:
        truth = ShopTruth()
        synced_at = max(sync.at for sync in script.syncs if shop.connection_id in sync.shops)
        for order in shop.orders():
            subject = (shop.connection_id, str(order["id"]))
            if subject in seen:
                truth.count(order, seen[subject], late_at.get(subject), synced_at)
        found[shop.connection_id] = truth
    return {key: truth for key, truth in found.items() if truth.waiting or truth.at_risk}


def figures_in(daily: Mapping[str, Any]) -> dict[str, ShopTruth]:
    """The same figures as a delivered summary has them."""
    return {
        shop["connection_id"]: ShopTruth(
            waiting=shop["needs_attention"],
            late=shop["late"],
            at_risk=shop["at_risk"],
            by_reason=Counter(shop["by_reason"]),
            value_by_currency=Counter(
                {currency: round(amount * 100) for currency, amount in shop["value_by_currency"].items()}
            ),
        )
        for shop in daily["shops"]
    }
