"""What to watch in a shop."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime

from orderwatch.deadlines.rules import NO_DEADLINE, PROBLEM_KINDS, DeadlineRules, DeadlineState
from orderwatch.statuses import BACKORDERED, FINAL_STATUSES, OPEN_STATUSES


@dataclass(frozen=True, slots=True)
class Policy:
    """What is watched in a shop.

    Attributes:
        statuses: The watched statuses.
        notify_recovered: Whether leaving a watched status is alerted.
        baseline_days: Days of history that a baseline reads; 0: all.
        deadlines: The deadline rules; None: deadlines are not watched.
        restock_alerts: Whether backordered orders that the stock covers again are alerted.
    """

    statuses: Collection[str]
    notify_recovered: bool = True
    baseline_days: int = 0
    deadlines: DeadlineRules | None = None
    restock_alerts: bool = False

    @property
    def watches_stock(self) -> bool:
        """Whether the stock of backordered orders is watched (rule 23)."""
        return self.restock_alerts and self.watches(BACKORDERED)

    @property
    def deadline_rules(self) -> str | None:
        """The fingerprint of the deadline rules."""
        return self.deadlines.fingerprint if self.deadlines else None

    def watches(self, status: str) -> bool:
        """Whether a transition into the status is alerted."""
        return status in self.statuses

    def needs_attention(self, status: str, deadline_state: DeadlineState = NO_DEADLINE) -> bool:
        """Whether an order is in a watched status that is not final, or is open and late or stuck."""
        if status in self.statuses and status not in FINAL_STATUSES:
            return True
        passed = deadline_state.passed
        return passed is not None and passed.kind in PROBLEM_KINDS and status in OPEN_STATUSES

    def past_shipping(self, status: str, ship_by: datetime | None, *, by: datetime) -> str | None:
        """The kind of the latest deadline of a ship-by that had passed by that time; None if none is watched."""
        return self.deadlines.past_shipping(status, ship_by, by=by) if self.deadlines else None
