"""The counts of one poll, for the metrics and the log."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Self

from orderwatch.alerts.alert import Alert
from orderwatch.observability import count_by, count_nonzero, logger
from orderwatch.polling.detect import OrderWrite, Reason
from orderwatch.trackstar.orders import OrderPage


class Outcome(StrEnum):
    """How a poll ended."""

    FINISHED = "finished"
    UNFINISHED = "unfinished"
    ALREADY_READ = "already read"
    INITIAL_SYNC = "initial sync"
    UNAUTHORIZED = "unauthorized"
    NOT_CONNECTED = "not connected"


@dataclass(slots=True)
class PollMetrics:
    """Counts of one poll.

    Attributes:
        outcome: How it ended.
        pages: Pages read.
        orders: Readable records read.
        quarantined: Unreadable records read (rule 9).
        unreadable: Values that were given and cannot be read (rule 21).
        stale: Orders in a version older than the stored one, which were dropped (rule 3).
        suppressed: Orders first seen that are older than the watch; they are not alerted (rule 8).
        written: Orders written.
        alerts: Alerts about transitions and deadlines written.
        found_by_sweep: Alerts that only the sweep found; should stay 0 (rule 6).
        remaining: Orders that an unfinished poll leaves to the next one.
        conflicts: Orders that another poll wrote at the same time.
        transitions: Alerts by kind; `AlertStatuses` bounds the number of kinds.
        sync_age: Seconds since the last sync of the connection's orders; None if unknown.
        is_syncing: Whether a sync is in progress.
    """

    outcome: Outcome = Outcome.FINISHED
    pages: int = 0
    orders: int = 0
    quarantined: int = 0
    unreadable: int = 0
    stale: int = 0
    suppressed: int = 0
    written: int = 0
    alerts: int = 0
    found_by_sweep: int = 0
    remaining: int = 0
    conflicts: int = 0
    transitions: Counter[str] = field(default_factory=Counter)
    sync_age: float | None = None
    is_syncing: bool = False

    def ended(self, outcome: Outcome, *, remaining: int = 0) -> Self:
        """Set how the poll ended, and return the metrics."""
        self.outcome, self.remaining = outcome, remaining
        return self

    def count_page(self, page: OrderPage) -> None:
        """Count a page that was read."""
        self.pages += 1
        self.orders += len(page.orders)
        self.quarantined += len(page.quarantined)
        self.unreadable += page.unreadable.counts.total()

    def count_writes(
        self, written: Sequence[OrderWrite], alerts: Sequence[Alert], *, conflicts: int, by_sweep: bool
    ) -> None:
        """Count the orders that were written with these alerts, and those that another poll wrote."""
        self.written += len(written)
        self.suppressed += sum(1 for write in written if write.reason is Reason.BEFORE_WATCH)
        self.alerts += len(alerts)
        self.transitions.update(alert.kind for alert in alerts)
        self.found_by_sweep += len(alerts) if by_sweep else 0
        self.conflicts += conflicts

    def report(self) -> None:
        """Emit the metrics that have alarms, and log every count in one line."""
        signals = {
            "PollsFinished": int(self.outcome is Outcome.FINISHED),
            "OrdersQuarantined": self.quarantined,
            "ValuesUnreadable": self.unreadable,
            "FoundBySweep": self.found_by_sweep,
        }
        count_nonzero(signals)
        count_by("Transitions", "kind", self.transitions)
        counts = {
            "PagesRead": self.pages,
            "OrdersRead": self.orders,
            "OrdersStale": self.stale,
            "OrdersSuppressed": self.suppressed,
            "OrdersWritten": self.written,
            "AlertsWritten": self.alerts,
            "OrdersRemaining": self.remaining,
            "OrdersInConflict": self.conflicts,
            "SyncAge": self.sync_age,
        }
        logger.info("poll ended", extra={"outcome": str(self.outcome), **signals, **counts})
