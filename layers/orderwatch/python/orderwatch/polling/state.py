"""What survives from one poll of a connection to the next."""

from datetime import datetime, timedelta

from pydantic import Field

from orderwatch.model import Model
from orderwatch.polling.health import Health
from orderwatch.polling.windows import Progress
from orderwatch.trackstar.connections import DEFAULT_SYNC_FREQUENCY
from orderwatch.trackstar.query import DateField


class ConnectionState(Model):
    """A connection's row: what survives from poll to poll.

    Attributes:
        connection_id: Which connection.
        revision: Grows with every write; a write is conditional on the one that was read.
        integration: Trackstar's name of the integration.
        cursor: By the vendor's clock, up to when everything was read and written (rule 4); None before the baseline.
        read_until: The vendor's clock when the reading that set the cursor began: before the cursor where the vendor's
            clock went back, since a cursor never does.
        cursor_set_at: Our clock when the reading that set the cursor began.
        watch_started_at: The vendor's clock when the baseline began.
        baseline_completed_at: The vendor's clock when it ended.
        date_field: What the incremental filter runs on.
        has_orders: Whether an order was ever read: before that, `date_field` is a guess.
        sync_frequency: How often Trackstar pulls its orders.
        data_as_of: The end of the last of these syncs.
        health: Whether its orders can be seen.
        last_success_at: Our clock when a window was last read to its end.
        last_sweep_at: The vendor's clock when the last sweep began.
        quarantined: Why an order cannot be watched, by its id; the operators were notified of each (rule 9).
        progress: The window that is being read, None between windows.
    """

    connection_id: str
    revision: int = 0
    integration: str | None = None
    cursor: datetime | None = None
    read_until: datetime | None = None
    cursor_set_at: datetime | None = None
    watch_started_at: datetime | None = None
    baseline_completed_at: datetime | None = None
    date_field: DateField = DateField.TRACKSTAR_UPDATED
    has_orders: bool = False
    sync_frequency: timedelta = DEFAULT_SYNC_FREQUENCY
    data_as_of: datetime | None = None
    health: Health | None = None
    last_success_at: datetime | None = None
    last_sweep_at: datetime | None = None
    quarantined: dict[str, str] = Field(default_factory=dict)
    progress: Progress | None = None

    def has_read_since(self, moment: datetime) -> bool:
        """Whether a whole reading that began after the moment is done (both by our clock)."""
        return self.cursor_set_at is not None and self.cursor_set_at >= moment
