"""Trackstar's connections, each of which is a customer's shop, in every documented format."""

import re
from datetime import datetime, timedelta
from typing import Annotated, Any

from pydantic import PrivateAttr

from orderwatch.model import Model
from orderwatch.trackstar.fields import (
    Date,
    Envelope,
    NoneIfMalformed,
    Number,
    Objects,
    Text,
    UnreadableValues,
    parse_json,
)

ORDERS = "get_orders"
"""Trackstar's name for the function that syncs orders."""
PRODUCTS = "get_products"
"""Trackstar's name for the function that syncs products."""
DEFAULT_SYNC_FREQUENCY = timedelta(hours=1)
"""How often Trackstar pulls orders from a shop by default (docs/trackstar.md#syncing)."""
LONGEST_SYNC_FREQUENCY = timedelta(days=31)
"""A longer frequency is ignored, and the default is used."""


class SyncSchedule(Model):
    """How and when Trackstar pulls one resource from the shop; the last sync has two documented spellings."""

    function_name: Text = None
    last_crawl_start: Date = None
    last_crawl_end: Date = None
    latest_sync: Date = None
    latest_data: Date = None
    sync_frequency: Number = None
    """Seconds between two syncs."""
    in_progress: Annotated[bool | None, NoneIfMalformed()] = None

    @property
    def synced_at(self) -> datetime | None:
        """The end of the last sync; None if it is unknown."""
        return max(filter(None, (self.last_crawl_end, self.latest_sync)), default=self.latest_data)

    @property
    def complete_until(self) -> datetime | None:
        """The time up to which Trackstar's copy is complete: a sync can miss changes that are made while it runs."""
        start, end = self.last_crawl_start, self.last_crawl_end
        return start if start and end and start <= end == self.synced_at else self.synced_at


_WORD = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+")
_ORDERS = re.compile(r"(?:^|(?<!purchase)_|get|list|cart)orders?(?:_|$)")
_PRODUCTS = re.compile(r"(?:^|_|get|list|cart)(?:products?|inventory|inventories)(?:_|$)")


def _folded(name: str | None) -> str:
    """An endpoint or resource in lower case with underscores: `getOrders` and `GET /orders?a=1` become `get_orders`."""
    return "_".join(word.lower() for word in _WORD.findall((name or "").partition("?")[0]))


class AffectedEndpoint(Model):
    """An endpoint that a sync error affects."""

    endpoint: Text = None
    preventing_sync: Annotated[bool | None, NoneIfMalformed()] = None


class SyncError(Model):
    """An entry of `errors[]`, in either of its two documented shapes."""

    error_type: Text = None
    resource: Text = None
    affected_endpoints: Objects[AffectedEndpoint] = ()

    @property
    def blocks_orders(self) -> bool:
        """Whether the error stops the sync of orders. What names neither an endpoint nor a resource is about all."""
        return any(not name or _ORDERS.search(name) for name in self._blocked)

    @property
    def blocks_products(self) -> bool:
        """Whether the error stops the sync of products, and not that of orders."""
        return not self.blocks_orders and any(map(_PRODUCTS.search, self._blocked))

    @property
    def _blocked(self) -> list[str]:
        """The endpoints and resources that are not synced, folded; an empty text stands for all of them."""
        blocked = [_folded(each.endpoint) for each in self.affected_endpoints if each.preventing_sync]
        if self.error_type == "missing_permission":
            blocked.append(_folded(self.resource))
        return [*blocked, ""] if self.error_type == "invalid_credentials" else blocked


class TrackstarConnection(Model):
    """One connection: its integration, its syncs and their errors."""

    connection_id: Text = None
    integration_name: Text = None
    sync_schedules: Objects[SyncSchedule] = ()
    historical_sync_completed: Annotated[dict[str, bool | None] | None, NoneIfMalformed()] = None
    errors: Objects[SyncError] = ()
    _unreadable: UnreadableValues = PrivateAttr(default_factory=UnreadableValues)

    def model_post_init(self, context: Any) -> None:
        """Keep the unreadable values that the validation collected (pydantic calls this)."""
        if isinstance(context, UnreadableValues):
            self._unreadable = context

    @property
    def unreadable(self) -> UnreadableValues:
        """The values that were given and cannot be read (rule 21)."""
        return self._unreadable

    @property
    def are_orders_blocked(self) -> bool:
        """Whether an error stops the sync of orders."""
        return any(error.blocks_orders for error in self.errors)

    @property
    def are_products_blocked(self) -> bool:
        """Whether an error stops the sync of products alone."""
        return any(error.blocks_products for error in self.errors)

    @property
    def orders_schedule(self) -> SyncSchedule:
        """The schedule of `get_orders`; an empty one if Trackstar lists none."""
        return self._schedule_of(ORDERS)

    @property
    def products_schedule(self) -> SyncSchedule:
        """The schedule of `get_products`; an empty one if Trackstar lists none."""
        return self._schedule_of(PRODUCTS)

    def _schedule_of(self, function_name: str) -> SyncSchedule:
        return next((each for each in self.sync_schedules if each.function_name == function_name), SyncSchedule())

    @property
    def sync_frequency(self) -> timedelta:
        """How often Trackstar pulls orders from the shop."""
        seconds = self.orders_schedule.sync_frequency
        if not seconds or not 0 < seconds <= LONGEST_SYNC_FREQUENCY.total_seconds():
            return DEFAULT_SYNC_FREQUENCY
        return timedelta(seconds=float(seconds))

    @property
    def awaits_historical_sync(self) -> bool:
        """Whether the first sync is unfinished. Until it ends, the lists of orders are empty."""
        return (self.historical_sync_completed or {}).get(ORDERS) is False


class ConnectionPage(Envelope):
    """One page of `GET /connections`; items that are not objects are skipped."""

    data: Objects[TrackstarConnection]
    next_token: Text = None


def read_connection(connection_id: str, body: bytes) -> TrackstarConnection:
    """Read the response to `GET /connections/{connection_id}`, in any of its three documented envelopes.

    Raises:
        ValueError: The body does not contain the connection, or it reports an error.
    """
    value = parse_json(body)
    if isinstance(value, dict) and value.get("error"):
        raise ValueError("the body reports an error")
    record = value.get("data", value) if isinstance(value, dict) else value
    for each in record if isinstance(record, list) else [record]:
        if isinstance(each, dict) and each.get("connection_id") == connection_id:
            return TrackstarConnection.model_validate(each, context=UnreadableValues())
    raise ValueError("the body does not contain the connection")
