"""A connection (one shop at Trackstar): how far it was read, and whether it can be seen at all.

Silence is never taken for health (rule 10): orders of a shop whose credentials are blocked simply stop changing, so a
poller that reads only orders sees nothing wrong. `judge` turns what Trackstar says of a connection into a state.
"""

from datetime import datetime, timedelta
from enum import StrEnum
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict

from orderwatch.alerts import (
    KIND_BLOCKED,
    KIND_CONNECTION_RECOVERED,
    KIND_STALE,
    KIND_UNAUTHORIZED,
    Alert,
    AlertConnection,
    connection_alert,
)
from orderwatch.orders import Date, NoneIfMalformed, Number, Text
from orderwatch.windows import DateField, Progress

ORDERS = "get_orders"
"""Trackstar's name of the function that syncs orders."""
DEFAULT_SYNC_FREQUENCY = timedelta(hours=1)
"""How often Trackstar pulls orders from a shop unless it says otherwise (the vendor's page)."""


def _objects(value: Any) -> Any:
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []


class SyncSchedule(BaseModel):
    """How and when Trackstar pulls one resource from the shop; both spellings of the last sync are documented."""

    model_config = ConfigDict(frozen=True)

    function_name: Text = None
    last_crawl_end: Date = None
    latest_sync: Date = None
    latest_data: Date = None
    sync_frequency: Number = None

    @property
    def synced_at(self) -> datetime | None:
        """The end of the last sync, as far as it is told."""
        return max(filter(None, (self.last_crawl_end, self.latest_sync)), default=self.latest_data)


class AffectedEndpoint(BaseModel):
    """An endpoint that an error touches."""

    model_config = ConfigDict(frozen=True)

    preventing_sync: Annotated[bool | None, NoneIfMalformed()] = None


class SyncError(BaseModel):
    """An entry of `errors[]`, in either of its two documented shapes."""

    model_config = ConfigDict(frozen=True)

    error_type: Text = None
    resource: Text = None
    affected_endpoints: Annotated[tuple[AffectedEndpoint, ...], BeforeValidator(_objects)] = ()

    @property
    def blocks_orders(self) -> bool:
        """Whether orders stop changing because of it."""
        if any(endpoint.preventing_sync for endpoint in self.affected_endpoints):
            return True
        about_orders = self.resource is None or "order" in self.resource
        return self.error_type == "invalid_credentials" or (self.error_type == "missing_permission" and about_orders)


class TrackstarConnection(BaseModel):
    """What Trackstar says of one connection."""

    model_config = ConfigDict(frozen=True)

    connection_id: Text = None
    integration_name: Text = None
    sync_schedules: Annotated[tuple[SyncSchedule, ...], BeforeValidator(_objects)] = ()
    historical_sync_completed: Annotated[dict[str, bool | None] | None, NoneIfMalformed()] = None
    errors: Annotated[tuple[SyncError, ...], BeforeValidator(_objects)] = ()

    @property
    def orders_schedule(self) -> SyncSchedule:
        """The schedule of `get_orders`; an empty one where none is told."""
        return next((each for each in self.sync_schedules if each.function_name == ORDERS), SyncSchedule())

    @property
    def sync_frequency(self) -> timedelta:
        """How often orders are pulled from the shop."""
        seconds = self.orders_schedule.sync_frequency
        return timedelta(seconds=float(seconds)) if seconds and seconds > 0 else DEFAULT_SYNC_FREQUENCY

    @property
    def awaits_historical_sync(self) -> bool:
        """Whether reads of orders return nothing yet."""
        return (self.historical_sync_completed or {}).get(ORDERS) is False


class HealthState(StrEnum):
    """Whether the shop's orders can be seen."""

    HEALTHY = "healthy"
    WAITING = "waiting"
    STALE = "stale"
    BLOCKED = "blocked"
    UNAUTHORIZED = "unauthorized"


_ALERT_KINDS = {
    HealthState.STALE: KIND_STALE,
    HealthState.BLOCKED: KIND_BLOCKED,
    HealthState.UNAUTHORIZED: KIND_UNAUTHORIZED,
}


class Health(BaseModel):
    """The state of a connection, since when, and what to do about it."""

    model_config = ConfigDict(frozen=True)

    state: HealthState = HealthState.HEALTHY
    since: datetime
    detail: str = ""

    @property
    def is_trouble(self) -> bool:
        """Whether people were told of this state, so that its end is told too."""
        return self.state in _ALERT_KINDS

    def changes(self, before: "Health | None") -> bool:
        """Whether it takes the place of the state before: waiting for a first sync ends no trouble that was told."""
        if before is None:
            return True
        if before.is_trouble and self.state is HealthState.WAITING:
            return False
        return self.state is not before.state


def judge(connection: TrackstarConnection, *, now: datetime) -> Health:
    """The state of a connection by what Trackstar says of it.

    Args:
        connection: Trackstar's record.
        now: The vendor's clock, the one by which its syncs are dated.
    """
    if any(error.blocks_orders for error in connection.errors):
        detail = (
            "Trackstar cannot sync this shop's orders: its credentials or permissions were refused. "
            "Reconnect the shop in Trackstar."
        )
        return Health(state=HealthState.BLOCKED, since=now, detail=detail)
    if connection.awaits_historical_sync:
        detail = "Trackstar has not finished its first sync of this shop's orders: nothing can be read yet."
        return Health(state=HealthState.WAITING, since=now, detail=detail)
    synced_at = connection.orders_schedule.synced_at
    if synced_at and now - synced_at > 2 * connection.sync_frequency:
        detail = (
            f"Trackstar last synced this shop's orders at {synced_at:%Y-%m-%d %H:%M} UTC, more than twice its sync "
            "frequency ago: changes since then are not visible. Look at the connection in Trackstar."
        )
        return Health(state=HealthState.STALE, since=now, detail=detail)
    return Health(since=now)


def health_alert(before: Health | None, after: Health, *, connection: AlertConnection) -> Alert | None:
    """The alert that a change of state asks for: trouble, or the end of trouble that was told."""
    if not after.changes(before):
        return None
    if after.is_trouble:
        kind, detail = _ALERT_KINDS[after.state], after.detail
    elif before and before.is_trouble and after.state is HealthState.HEALTHY:
        kind = KIND_CONNECTION_RECOVERED
        detail = f"The shop can be seen again; it was {before.state} since {before.since:%Y-%m-%d %H:%M} UTC."
    else:
        return None
    return connection_alert(kind, connection=connection, since=after.since, detail=detail)


class ConnectionState(BaseModel):
    """A connection's row: what survives from poll to poll.

    Attributes:
        connection_id: The shop.
        revision: Grows with every write; a write is conditional on the one that was read.
        integration: Trackstar's name of the integration.
        cursor: By the vendor's clock, up to when everything was read and written (rule 4); None before the baseline.
        cursor_set_at: Our clock when the reading that set the cursor began.
        watch_started_at: The vendor's clock when the baseline began.
        baseline_completed_at: The vendor's clock when it ended.
        date_field: What the incremental filter runs on.
        sync_frequency: How often Trackstar pulls the shop's orders.
        data_as_of: The end of the last of these syncs.
        health: Whether the shop can be seen.
        last_success_at: Our clock when a window was last read to its end.
        last_sweep_at: The vendor's clock when the last sweep began.
        progress: The window that is being read, None between windows.
    """

    model_config = ConfigDict(frozen=True)

    connection_id: str
    revision: int = 0
    integration: str | None = None
    cursor: datetime | None = None
    cursor_set_at: datetime | None = None
    watch_started_at: datetime | None = None
    baseline_completed_at: datetime | None = None
    date_field: DateField = DateField.TRACKSTAR_UPDATED
    sync_frequency: timedelta = DEFAULT_SYNC_FREQUENCY
    data_as_of: datetime | None = None
    health: Health | None = None
    last_success_at: datetime | None = None
    last_sweep_at: datetime | None = None
    progress: Progress | None = None

    def has_read_since(self, moment: datetime) -> bool:
        """Whether a whole reading that began after the moment is done (both by our clock)."""
        return self.cursor_set_at is not None and self.cursor_set_at >= moment
