"""One merchant's shop and the connection through which Trackstar watches it.

The merchant's store and Trackstar's copy are two things. `place`, `move`, `edit` and `restock` change the store at
once; the API shows nothing of it before `sync`, which stamps what it copies with its own time. So `updated_date` lies
behind `trackstar_updated_date`, as with the vendor, by up to the time between two syncs.
"""

from __future__ import annotations

import time
from collections.abc import Collection, Iterable, Mapping
from copy import deepcopy
from dataclasses import dataclass
from datetime import datetime, timedelta
from threading import RLock

from orderwatch_local.simulator.clock import Clock
from orderwatch_local.simulator.filters import ListQuery
from orderwatch_local.simulator.limits import Paging
from orderwatch_local.simulator.mirror import Garbling, Mirror, Resource, TrackstarDates
from orderwatch_local.simulator.records import Record, blocks, stamp

HOURLY = 3600


@dataclass(frozen=True, slots=True)
class Visible:
    """The truth about one step of one order: what a reader of the API could see, and since when.

    Attributes:
        connection_id: The shop's connection.
        order_id: Unique within it.
        order_number: As served then.
        previous_status: The status that could be seen before; None where the order could not be seen.
        status: The status that can be seen now.
        version: `trackstar_updated_date` as served; None where the connection sends none.
        visible_at: The API's time.
        visible_monotonic: `time.monotonic()` then, for real latencies.
    """

    connection_id: str
    order_id: str
    order_number: str | None
    previous_status: str | None
    status: str
    version: str | None
    visible_at: datetime
    visible_monotonic: float


@dataclass(slots=True)
class Quirks:
    """How this connection's integration differs from the page's best case; may be changed at any time.

    Attributes:
        lacks: Resources that it does not implement: 501.
        disabled: Disabled by policy: 403.
        refused_filters: Fields that it does not filter by although documented: 422.
        trackstar_dates: What later syncs write into the `trackstar_*` fields.
        latest_sync_field: How its schedules name the last sync, `latest_sync` or `latest_data`.
        paging: Where its page tokens lead.
        tells_syncs: Whether its schedules say when it was synced.
        is_syncing: Whether they say that a sync is in progress.
        mark_lies_by: How far the moment that they tell of the last sync lies from when it was, in seconds.
        shows_superseded: Whether its lists show orders twice, as they are and as they were one crawl before.
    """

    lacks: Collection[Resource] = frozenset()
    disabled: bool = False
    refused_filters: Collection[str] = frozenset()
    trackstar_dates: TrackstarDates = TrackstarDates.PRESENT
    latest_sync_field: str = "latest_sync"
    tells_syncs: bool = True
    is_syncing: bool = False
    mark_lies_by: float = 0.0
    paging: Paging = Paging.FORWARD
    shows_superseded: bool = False


class Shop:
    """A shop, its connection, and the record of what could be seen when.

    Args:
        connection_id: Trackstar's id of the connection.
        access_token: The connection's secret.
        clock: The time of both the shop and Trackstar.
        integration_name: The cart system.
        products: The catalogue that the store starts with.
        sync_frequency: Seconds between syncs as the connection tells it; the syncs themselves are the caller's.
        historical_sync_completed: Whether lists show anything at all yet.

    Attributes:
        quirks: The integration's deviations.
        errors: What the connection shows in `errors[]`; an error that blocks syncing makes `sync` copy nothing.
        truth: Every visible change of an order's status, in the order in which they became visible.
    """

    def __init__(
        self,
        connection_id: str,
        *,
        access_token: str,
        clock: Clock,
        integration_name: str = "shopify",
        products: Iterable[Record] = (),
        sync_frequency: int = HOURLY,
        historical_sync_completed: bool = True,
    ) -> None:
        self.connection_id = connection_id
        self.access_token = access_token
        self.integration_name = integration_name
        self.sync_frequency = sync_frequency
        self.quirks = Quirks()
        self.errors: list[Record] = []
        self.truth: list[Visible] = []
        self._clock = clock
        self._created_at = clock.now()
        self._completed = dict.fromkeys(Resource, historical_sync_completed)
        self._schedules: dict[Resource, dict[str, str | None]] = {resource: {} for resource in Resource}
        self._seen: dict[str, str] = {}
        self._lock = RLock()
        self._mirrors = {resource: Mirror() for resource in Resource}
        for product in products:
            self._write(Resource.PRODUCTS, product)

    # The merchant's store

    def place(self, order: Record) -> None:
        """A new order, created and updated now unless its record tells an earlier `created_date`.

        Raises:
            ValueError: When the shop has an order of that id.
        """
        with self._lock:
            if order["id"] in self._mirrors[Resource.ORDERS].store:
                raise ValueError(f"{self.connection_id} already has an order {order['id']}")
            self._write(Resource.ORDERS, order)

    def move(
        self, order_id: str, status: str, raw_status: str | None = None, *, changes: Mapping[str, object] | None = None
    ) -> None:
        """An order takes another status, and other fields with it where given.

        Raises:
            KeyError: When the shop has no such order; so do `edit` and `restock`.
        """
        self.edit(order_id, {**(changes or {}), "status": status, "raw_status": raw_status})

    def edit(self, order_id: str, changes: Mapping[str, object]) -> None:
        """An order is touched: fields change, `updated_date` is now."""
        with self._lock:
            order = self._mirrors[Resource.ORDERS].store[order_id]
            self._write(Resource.ORDERS, order | dict(changes))

    def delete(self, order_id: str) -> None:
        """An order is deleted: from the next sync on Trackstar has it no longer."""
        with self._lock:
            self._mirrors[Resource.ORDERS].remove(order_id)

    def restock(self, product_id: str, on_hand: Mapping[str, int]) -> None:
        """A count of a product's stock: what each warehouse holds from now on."""
        with self._lock:
            product = self._mirrors[Resource.PRODUCTS].store[product_id]
            counted = {"inventory": sum(on_hand.values()), "inventory_by_warehouse_id": dict(on_hand)}
            self._write(Resource.PRODUCTS, product | counted)

    def order(self, order_id: str) -> Record:
        """An order as the store has it, a copy of it."""
        with self._lock:
            return deepcopy(self._mirrors[Resource.ORDERS].store[order_id])

    def orders(self) -> list[Record]:
        """All orders as the store has them, copies of them."""
        with self._lock:
            return deepcopy(list(self._mirrors[Resource.ORDERS].store.values()))

    # What goes wrong between the store and the copy

    def garble(self, order_id: str, fields: Mapping[str, object] | None = None, *, missing: Iterable[str] = ()) -> None:
        """From the next sync on an order arrives with other values or without some fields, until the next such call."""
        self._garble(order_id, Garbling(fields or {}, frozenset(missing)))

    def heal(self, order_id: str) -> None:
        """From the next sync on the order arrives as it is."""
        self._garble(order_id, Garbling())

    # Trackstar's copy

    def sync(self, resources: Iterable[Resource] = tuple(Resource), *, is_marked: bool = True) -> int:
        """Trackstar crawls the shop now.

        Args:
            resources: What of it.
            is_marked: Whether its schedules tell of it; a change that a webhook brought shows in none.

        Returns:
            How many records it copied; 0 where an error of the connection blocks it.
        """
        with self._lock:
            crawled = [self._crawl(each, is_marked=is_marked) for each in resources if not self.is_blocked(each)]
            return sum(crawled)

    def complete_historical_sync(self) -> None:
        """The initial crawl is done: from now on the lists show what was copied."""
        with self._lock:
            self._completed = dict.fromkeys(Resource, True)
            self._witness(self._mirrors[Resource.ORDERS].ids())

    def select(self, resource: Resource, query: ListQuery) -> list[Record]:
        """The records of a list; empty until the historical sync is completed."""
        with self._lock:
            return self._mirrors[resource].select(query) if self._completed[resource] else []

    def listed(self, resource: Resource, query: ListQuery) -> list[Record]:
        """The list that the API serves, with what the integration does to it."""
        with self._lock:
            records = self.select(resource, query)
            return list(self._mirrors[resource].with_superseded(records)) if self.quirks.shows_superseded else records

    def find(self, resource: Resource, record_id: str) -> Record | None:
        """The record that the API serves."""
        with self._lock:
            return self._mirrors[resource].find(record_id) if self._completed[resource] else None

    def connection(self) -> Record:
        """The connection as the API serves it."""
        with self._lock:
            return {
                "connection_id": self.connection_id,
                "integration_name": self.integration_name,
                "integration_type": "cart",
                "customer_id": f"customer-of-{self.connection_id}",
                "created_at": stamp(self._created_at),
                "available_actions": [resource.function for resource in self._implemented()],
                "sync_schedules": [self._schedule(resource) for resource in self._implemented()],
                "historical_sync_completed": {r.function: self._completed[r] for r in self._implemented()},
                "errors": deepcopy(self.errors),
            }

    def _implemented(self) -> list[Resource]:
        return [resource for resource in Resource if resource not in self.quirks.lacks]

    def _schedule(self, resource: Resource) -> Record:
        crawl = self._schedules[resource] if self.quirks.tells_syncs else {}
        return {
            "function_name": resource.function,
            "last_crawl_start": crawl.get("start"),
            "last_crawl_end": crawl.get("end"),
            self.quirks.latest_sync_field: crawl.get("end"),
            "sync_frequency": self.sync_frequency,
            "in_progress": self.quirks.is_syncing,
            "sync_status": "enabled",
        }

    def _write(self, resource: Resource, record: Record) -> None:
        now = stamp(self._clock.now())
        self._mirrors[resource].put({"created_date": now, **deepcopy(record), "updated_date": now})

    def _garble(self, order_id: str, garbling: Garbling) -> None:
        with self._lock:
            orders = self._mirrors[Resource.ORDERS]
            orders.garblings[order_id] = garbling
            orders.mark_changed(orders.store[order_id]["id"])

    def is_blocked(self, resource: Resource) -> bool:
        """Whether an error of the connection keeps Trackstar from copying the resource."""
        return any(blocks(error, resource.function) for error in self.errors)

    def _crawl(self, resource: Resource, *, is_marked: bool) -> int:
        now = self._clock.now()
        crawled = self._mirrors[resource].crawl(now, self.quirks.trackstar_dates)
        if is_marked:
            mark = stamp(now + timedelta(seconds=self.quirks.mark_lies_by))
            self._schedules[resource] = {"start": mark, "end": mark}
        if resource is Resource.ORDERS:
            self._witness(crawled)
        return len(crawled)

    def _witness(self, order_ids: Iterable[str]) -> None:
        if self._completed[Resource.ORDERS]:
            for order_id in order_ids:
                self._witness_one(self._mirrors[Resource.ORDERS].copy_of(order_id) or {})

    def _witness_one(self, record: Record) -> None:
        order_id, status = record.get("id"), record.get("status")
        if not (_is_text(order_id) and _is_text(status)) or self._seen.get(str(order_id)) == status:
            return
        self.truth.append(
            Visible(
                connection_id=self.connection_id,
                order_id=str(order_id),
                order_number=record.get("order_number"),
                previous_status=self._seen.get(str(order_id)),
                status=str(status),
                version=record.get("trackstar_updated_date"),
                visible_at=self._clock.now(),
                visible_monotonic=time.monotonic(),
            )
        )
        self._seen[str(order_id)] = str(status)


def _is_text(value: object) -> bool:
    return isinstance(value, str) and value != ""
