"""What survives from one poll of a connection to the next."""

from datetime import datetime, timedelta

from pydantic import Field

from orderwatch.model import Model
from orderwatch.polling.health import Health, HealthState
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
        read_sync: The end of the last sync that Trackstar had told of when that reading began.
        sync_asked_at: Our clock when Trackstar was last asked to sync the shop.
        sync_refused_at: Our clock when it last refused to.
        watch_started_at: The vendor's clock when the baseline began.
        baseline_completed_at: The vendor's clock when it ended.
        date_field: What the incremental filter runs on.
        has_orders: Whether an order was ever read: before that, `date_field` is a guess.
        has_vendor_dates: Whether any order ever showed Trackstar's date of change.
        is_filter_refused: Whether Trackstar answered 422 to the filter on its own date; tried again after each sweep.
        fell_back_at: Where the cursor was when the shop's date came into use: a window on Trackstar's date reaches back
            to it, once.
        sync_frequency: How often Trackstar pulls its orders.
        data_as_of: The end of the last of these syncs.
        health: Whether its orders can be seen.
        last_success_at: Our clock when a window was last read to its end.
        last_sweep_at: The vendor's clock when the last sweep began.
        other_statuses: Statuses beyond Trackstar's documented ones that orders of the connection have had.
        doubted_statuses: Watched statuses that the operators were asked about.
        deadline_rules: The fingerprint of the rules by which the deadlines of all open orders were recorded, if any.
        deadlines_since: The vendor's clock when that reading began: what had passed by then is not alerted (rule 19).
        settings_flaw: Why the shop's own settings cannot be read; the operators were notified of it.
        quarantined: Why an order cannot be watched, by its id; the operators were notified of each (rule 9).
        progress: The window that is being read, None between windows.
    """

    connection_id: str
    revision: int = 0
    integration: str | None = None
    cursor: datetime | None = None
    read_until: datetime | None = None
    cursor_set_at: datetime | None = None
    read_sync: datetime | None = None
    sync_asked_at: datetime | None = None
    sync_refused_at: datetime | None = None
    watch_started_at: datetime | None = None
    baseline_completed_at: datetime | None = None
    date_field: DateField = DateField.TRACKSTAR_UPDATED
    has_orders: bool = False
    has_vendor_dates: bool = False
    is_filter_refused: bool = False
    fell_back_at: datetime | None = None
    sync_frequency: timedelta = DEFAULT_SYNC_FREQUENCY
    data_as_of: datetime | None = None
    health: Health | None = None
    last_success_at: datetime | None = None
    last_sweep_at: datetime | None = None
    other_statuses: tuple[str, ...] = ()
    doubted_statuses: tuple[str, ...] = ()
    deadline_rules: str | None = None
    deadlines_since: datetime | None = None
    settings_flaw: str | None = None
    quarantined: dict[str, str] = Field(default_factory=dict)
    progress: Progress | None = None

    @property
    def is_unread(self) -> bool:
        """Whether no reading came to its end since the operators were notified that none does."""
        if self.health is None or self.health.state is not HealthState.UNREAD:
            return False
        return self.last_success_at is None or self.last_success_at < self.health.since

    def has_read_since(self, moment: datetime) -> bool:
        """Whether a whole reading that began after the moment is done (both by our clock)."""
        return self.cursor_set_at is not None and self.cursor_set_at >= moment
