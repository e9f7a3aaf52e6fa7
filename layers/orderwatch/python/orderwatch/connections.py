"""A connection (one shop at Trackstar): how far it was read, and whether it can be seen at all.

Silence is never taken for health (rule 10): orders of a shop whose credentials are blocked simply stop changing, so a
poller that reads only orders sees nothing wrong. `judge` turns what Trackstar says of a connection into a state.
"""

from collections.abc import Mapping
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Annotated, Any

from pydantic import BeforeValidator, Field

from orderwatch.alerts import (
    KIND_BLOCKED,
    KIND_CONNECTION_RECOVERED,
    KIND_QUARANTINED,
    KIND_STALE,
    KIND_UNAUTHORIZED,
    Alert,
    AlertConnection,
    connection_alert,
)
from orderwatch.fields import Date, NoneIfMalformed, Number, Text
from orderwatch.model import Model
from orderwatch.windows import DateField, Progress

ORDERS = "get_orders"
"""Trackstar's name of the function that syncs orders."""
DEFAULT_SYNC_FREQUENCY = timedelta(hours=1)
"""How often Trackstar pulls orders from a shop unless it says otherwise (the vendor's page)."""
LONGEST_SYNC_FREQUENCY = timedelta(days=31)
"""What is said to be longer is taken for a mistake."""


def _objects(value: Any) -> Any:
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []


class SyncSchedule(Model):
    """How and when Trackstar pulls one resource from the shop; both spellings of the last sync are documented."""

    function_name: Text = None
    last_crawl_end: Date = None
    latest_sync: Date = None
    latest_data: Date = None
    sync_frequency: Number = None

    @property
    def synced_at(self) -> datetime | None:
        """The end of the last sync, as far as it is told."""
        return max(filter(None, (self.last_crawl_end, self.latest_sync)), default=self.latest_data)


class AffectedEndpoint(Model):
    """An endpoint that an error touches."""

    preventing_sync: Annotated[bool | None, NoneIfMalformed()] = None


class SyncError(Model):
    """An entry of `errors[]`, in either of its two documented shapes."""

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


class TrackstarConnection(Model):
    """What Trackstar says of one connection."""

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
        if not seconds or not 0 < seconds <= LONGEST_SYNC_FREQUENCY.total_seconds():
            return DEFAULT_SYNC_FREQUENCY
        return timedelta(seconds=float(seconds))

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


MAX_NAMED = 20
"""Orders that a notice of quarantine names."""
GOOD_CHECKS = 2
"""Checks in a row that must find a trouble gone before its end is told."""
_TROUBLES = [HealthState.STALE, HealthState.BLOCKED, HealthState.UNAUTHORIZED]
"""From the least to the worst."""
_ALERT_KINDS = {
    HealthState.STALE: KIND_STALE,
    HealthState.BLOCKED: KIND_BLOCKED,
    HealthState.UNAUTHORIZED: KIND_UNAUTHORIZED,
}


class Health(Model):
    """The state of a connection, since when, and what to do about it.

    Attributes:
        state: How it is.
        since: When it began, by the vendor's clock.
        detail: What happened and what to do, in words.
        good_checks: How many checks in a row have found the trouble gone.
    """

    state: HealthState = HealthState.HEALTHY
    since: datetime
    detail: str = ""
    good_checks: int = 0

    @property
    def is_trouble(self) -> bool:
        """Whether people are told of this state, so that its end is told too."""
        return self.state in _ALERT_KINDS


def health_after(before: Health | None, seen: Health) -> Health:
    """The state after a check: trouble is believed at once, its end only after `GOOD_CHECKS` checks in a row.

    A connection that comes and goes is thus told once, not at every turn; and while it is in trouble, only a worse
    trouble is told.

    Args:
        before: The state up to now.
        seen: What this check found.
    """
    if before is None or not before.is_trouble:
        return before if before and before.state is seen.state else seen
    if seen.is_trouble:
        worse = _TROUBLES.index(seen.state) > _TROUBLES.index(before.state)
        return seen if worse else before.model_copy(update={"good_checks": 0})
    good_checks = before.good_checks + (seen.state is HealthState.HEALTHY)
    return seen if good_checks >= GOOD_CHECKS else before.model_copy(update={"good_checks": good_checks})


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


def unknown_to_trackstar(*, now: datetime) -> Health:
    """The state of a connection that Trackstar no longer has."""
    detail = (
        "Trackstar no longer knows this connection: connect the shop again, or delete its access token from the "
        "Parameter Store."
    )
    return Health(state=HealthState.BLOCKED, since=now, detail=detail)


def refused_by_trackstar(*, now: datetime) -> Health:
    """The state of a connection whose API key or access token is refused."""
    detail = "Trackstar refused the access: put a valid access token (or API key) into the Parameter Store."
    return Health(state=HealthState.UNAUTHORIZED, since=now, detail=detail)


def health_alert(
    before: Health | None, after: Health, *, connection: AlertConnection, data_as_of: datetime | None = None
) -> Alert | None:
    """The alert that a change of state asks for: trouble, or the end of trouble that was told."""
    if before and before.state is after.state:
        return None
    if after.is_trouble:
        kind, detail = _ALERT_KINDS[after.state], after.detail
    elif before and before.is_trouble and after.state is HealthState.HEALTHY:
        kind = KIND_CONNECTION_RECOVERED
        detail = f"The shop can be seen again; it was {before.state} since {before.since:%Y-%m-%d %H:%M} UTC."
    else:
        return None
    return connection_alert(kind, connection=connection, since=after.since, detail=detail, data_as_of=data_as_of)


def quarantine_notice(reasons: Mapping[str, str], *, connection: AlertConnection, now: datetime) -> Alert | None:
    """What the operators are told of orders that cannot be watched; None where there are none.

    Args:
        reasons: Why, by order id.
        connection: The shop.
        now: The vendor's clock.
    """
    if not reasons:
        return None
    named = [f"{order_id} ({reason})" for order_id, reason in list(reasons.items())[:MAX_NAMED]]
    more = f" and {len(reasons) - MAX_NAMED} more" if len(reasons) > MAX_NAMED else ""
    detail = (
        f"{len(reasons):,} order{'s' if len(reasons) > 1 else ''} cannot be watched, their records are malformed: "
        f"{', '.join(named)}{more}. The other orders are watched; ask Trackstar's support about these."
    )
    return connection_alert(KIND_QUARANTINED, connection=connection, since=now, detail=detail, subject=sorted(reasons))


class ConnectionState(Model):
    """A connection's row: what survives from poll to poll.

    Attributes:
        connection_id: The shop.
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
        sync_frequency: How often Trackstar pulls the shop's orders.
        data_as_of: The end of the last of these syncs.
        health: Whether the shop can be seen.
        last_success_at: Our clock when a window was last read to its end.
        last_sweep_at: The vendor's clock when the last sweep began.
        quarantined: Why an order cannot be watched, by its id; the operators were told of each (rule 9).
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
