"""A connection (one customer's shop) as Trackstar describes it; every documented spelling of its fields is accepted."""

from datetime import datetime, timedelta
from typing import Annotated, Any

from pydantic import BeforeValidator

from orderwatch.model import Model
from orderwatch.trackstar.fields import Date, NoneIfMalformed, Number, Text

ORDERS = "get_orders"
"""Trackstar's name of the function that syncs orders."""
DEFAULT_SYNC_FREQUENCY = timedelta(hours=1)
"""How often Trackstar pulls orders from a shop unless it says otherwise (docs/trackstar.md#syncing)."""
LONGEST_SYNC_FREQUENCY = timedelta(days=31)
"""A longer one is taken for a mistake."""


def objects(value: Any) -> Any:
    """Of a list, its objects: anything else in it is left out."""
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []


class SyncSchedule(Model):
    """How and when Trackstar pulls one resource from the shop; both spellings of the last sync are documented."""

    function_name: Text = None
    last_crawl_start: Date = None
    last_crawl_end: Date = None
    latest_sync: Date = None
    latest_data: Date = None
    sync_frequency: Number = None
    in_progress: Annotated[bool | None, NoneIfMalformed()] = None

    @property
    def synced_at(self) -> datetime | None:
        """The end of the last sync, if it is known."""
        return max(filter(None, (self.last_crawl_end, self.latest_sync)), default=self.latest_data)

    @property
    def complete_until(self) -> datetime | None:
        """Up to when the copy shows all that happened in the shop: a crawl may miss what changes while it runs."""
        start, end = self.last_crawl_start, self.last_crawl_end
        return start if start and end and start <= end == self.synced_at else self.synced_at


class AffectedEndpoint(Model):
    """An endpoint that an error touches."""

    preventing_sync: Annotated[bool | None, NoneIfMalformed()] = None


class SyncError(Model):
    """An entry of `errors[]`, in either of its two documented shapes."""

    error_type: Text = None
    resource: Text = None
    affected_endpoints: Annotated[tuple[AffectedEndpoint, ...], BeforeValidator(objects)] = ()

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
    sync_schedules: Annotated[tuple[SyncSchedule, ...], BeforeValidator(objects)] = ()
    historical_sync_completed: Annotated[dict[str, bool | None] | None, NoneIfMalformed()] = None
    errors: Annotated[tuple[SyncError, ...], BeforeValidator(objects)] = ()

    @property
    def orders_schedule(self) -> SyncSchedule:
        """The schedule of `get_orders`; an empty one if there is none."""
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
