"""What one poll did, counted for the metrics and the log."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Self

from orderwatch.observability import count_by, count_nonzero, logger
from orderwatch.polling.detect import OrderWrite, Reason
from orderwatch.trackstar.orders import OrderPage


class Outcome(StrEnum):
    """How a poll ended."""

    FINISHED = "finished"
    UNFINISHED = "unfinished"
    ALREADY_READ = "already read"
    INITIAL_SYNC = "waiting for the initial sync"
    UNAUTHORIZED = "unauthorized"


@dataclass(slots=True)
class PollMetrics:
    """What a poll did, counted.

    Attributes:
        outcome: How it ended.
        pages: Pages read.
        orders: Records read that can be watched.
        quarantined: Records read that cannot (rule 9).
        stale: Orders read in a version older than the stored one, and dropped (rule 3).
        suppressed: Orders first seen that are older than the watch: recorded, not alerted (rule 8).
        written: Orders written.
        alerts: Alerts of transitions and deadlines written.
        found_by_sweep: Alerts that only the sweep found; stays 0 (rule 6).
        left: Orders of an unfinished window that are still to be read.
        conflicts: Orders that another poll had written meanwhile and that were decided again.
        transitions: Transitions and deadlines that were alerted, by the kind of their alert: `AlertStatuses` bounds
            the kinds.
        sync_age: Seconds since the vendor's last sync of the connection's orders, where it tells.
        is_syncing: Whether one is in progress.
    """

    outcome: Outcome = Outcome.FINISHED
    pages: int = 0
    orders: int = 0
    quarantined: int = 0
    stale: int = 0
    suppressed: int = 0
    written: int = 0
    alerts: int = 0
    found_by_sweep: int = 0
    left: int = 0
    conflicts: int = 0
    transitions: Counter[str] = field(default_factory=Counter)
    sync_age: float | None = None
    is_syncing: bool = False

    def ended(self, outcome: Outcome, *, left: int = 0) -> Self:
        """Set how the poll ended, and return the summary."""
        self.outcome, self.left = outcome, left
        return self

    def count_page(self, page: OrderPage) -> None:
        """Count a page that was read."""
        self.pages += 1
        self.orders += len(page.orders)
        self.quarantined += len(page.quarantined)

    def count_writes(self, writes: Sequence[OrderWrite], lost: Sequence[OrderWrite], *, by_sweep: bool) -> None:
        """Count what was written, and what lost to another poll."""
        lost_ids = {write.order_id for write in lost}
        written = [write for write in writes if write.order_id not in lost_ids]
        kinds = [alert.kind for write in written for alert in write.alerts]
        self.written += len(written)
        self.suppressed += sum(1 for write in written if write.reason is Reason.BEFORE_WATCH)
        self.alerts += len(kinds)
        self.transitions.update(kinds)
        self.found_by_sweep += len(kinds) if by_sweep else 0
        self.conflicts += len(lost)

    def report(self) -> None:
        """Put the signals into the metrics, and every count into one line of the log."""
        signals = {
            "PollsFinished": int(self.outcome is Outcome.FINISHED),
            "OrdersQuarantined": self.quarantined,
            "FoundBySweep": self.found_by_sweep,
        }
        count_nonzero(signals)
        count_by("Transitions", "kind", self.transitions)
        counts = {
            "PagesRead": self.pages,
            "OrdersRead": self.orders,
            "OrdersStale": self.stale,
            "OrdersSuppressed": self.suppressed,
            "OrdersMoved": self.written,
            "AlertsWritten": self.alerts,
            "OrdersLeft": self.left,
            "OrdersInConflict": self.conflicts,
            "SyncAge": self.sync_age,
        }
        logger.info("poll ended", extra={"outcome": str(self.outcome), **signals, **counts})
