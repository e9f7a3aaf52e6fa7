"""A merchant's shop, and the connection through which Trackstar reads it.

The merchant's store and Trackstar's copy are separate. `place`, `move`, `edit` and `restock` change the store at once.
The API shows the changes after the next `sync`, which stamps each copied record with its own time. As with the vendor,
`updated_date` is earlier than `trackstar_updated_date` by up to the time between two syncs.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterable, Mapping
from copy import deepcopy
from dataclasses import dataclass
from datetime import datetime, timedelta
from threading import RLock

from orderwatch_local.simulator.clock import Clock
from orderwatch_local.simulator.exchange import RefusedError
from orderwatch_local.simulator.filters import ListQuery
from orderwatch_local.simulator.limits import Paging
from orderwatch_local.simulator.mirror import Garbling, Mirror, Resource, TrackstarDates
from orderwatch_local.simulator.records import Record, blocks, stamp
from orderwatch_local.simulator.seeded_data import seeded_warehouses

HOURLY = 3600


@dataclass(frozen=True, slots=True)
class VisibleChange:
    """A change of an order's status that a reader of the API can see.

    Attributes:
        connection_id: The shop's connection.
        order_id: Unique within the connection.
        order_number: As served.
        previous_status: The status that was visible before; None if the order was not visible.
        status: The status that is visible now.
        version: `trackstar_updated_date` as served; None if the connection sends none.
        visible_at: When it became visible, by the API's clock.
        visible_monotonic: The same by `time.monotonic()`, for real latencies.
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
    """How a connection's integration differs from the documentation's best case; may be changed at any time.

    Attributes:
        lacks: Resources that it does not implement: 501.
        disabled: Whether it is disabled by policy: 403.
        refused_filters: Documented fields that it does not filter by: 422.
        trackstar_dates: The values that later syncs write into the `trackstar_*` fields.
        latest_sync_field: The field of the last sync in its schedules, `latest_sync` or `latest_data`.
        paging: The behaviour of its page tokens.
        reports_syncs: Whether its schedules have the time of the last sync.
        is_syncing: Whether its schedules show a sync in progress.
        sync_time_error: How far the reported time of a sync differs from the real one, in seconds.
        shows_superseded: Whether its lists of orders show them twice, with their version of one crawl before.
        spell_status: How it spells a documented status, such as `str.upper`; filters take the documented spelling.
        clock_error: How far the shop's own clock is ahead of Trackstar's, in seconds.
        no_sync_time: What its schedules have where they have no time of a sync.
        refuse_token: The refusal of a page token of its lists; None: the token is accepted.
        null_if_empty: Whether an empty list has `null` in place of its records.
        lacks_warehouses: Whether it does not implement warehouses: 501.
    """

    lacks: Collection[Resource] = frozenset()
    disabled: bool = False
    refused_filters: Collection[str] = frozenset()
    trackstar_dates: TrackstarDates = TrackstarDates.PRESENT
    latest_sync_field: str = "latest_sync"
    reports_syncs: bool = True
    is_syncing: bool = False
    sync_time_error: float = 0.0
    paging: Paging = Paging.FORWARD
    shows_superseded: bool = False
    spell_status: Callable[[str], str] = str
    clock_error: float = 0.0
    no_sync_time: str | None = None
    refuse_token: Callable[[str], RefusedError | None] = lambda _: None
    null_if_empty: bool = False
    lacks_warehouses: bool = False


class Shop:
    """A shop, its connection, and its visible changes.

    Args:
        connection_id: Trackstar's id of the connection.
        access_token: The connection's secret.
        clock: The clock of the shop and of Trackstar.
        integration_name: The cart system.
        products: The catalogue that the store starts with.
        sync_frequency: Seconds between syncs, as the connection reports it; the caller makes the syncs.
        historical_sync_completed: Whether the initial sync is done; before that, lists are empty.

    Attributes:
        quirks: The integration's deviations.
        errors: The connection's `errors[]`; `sync` copies nothing that an error blocks.
        sync_frequencies: Seconds between syncs of a resource whose schedule is not that of the others.
        visible_changes: The visible changes of order statuses, in the order in which they became visible.
        warehouses: The warehouses that the API serves, without a sync.
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
        self.sync_frequencies: dict[Resource, int] = {}
        self.quirks = Quirks()
        self.errors: list[Record] = []
        self.visible_changes: list[VisibleChange] = []
        self.warehouses = seeded_warehouses()
        self._clock = clock
        self._created_at = clock.now()
        self._completed = dict.fromkeys(Resource, historical_sync_completed)
        self._schedules: dict[Resource, dict[str, str | None]] = {resource: {} for resource in Resource}
        self._visible_status: dict[str, str] = {}
        self._lock = RLock()
        self._mirrors = {resource: Mirror() for resource in Resource}
        for product in products:
            self._write(Resource.PRODUCTS, product)

    # The merchant's store

    def place(self, order: Record) -> None:
        """Place a new order, updated now, and created now unless it has a `created_date`.

        Raises:
            ValueError: The shop has an order with that id.
        """
        with self._lock:
            if order["id"] in self._mirrors[Resource.ORDERS].store:
                raise ValueError(f"{self.connection_id} already has an order {order['id']}")
            self._write(Resource.ORDERS, order)

    def move(
        self, order_id: str, status: str, raw_status: str | None = None, *, changes: Mapping[str, object] | None = None
    ) -> None:
        """Move an order to another status, and change other fields with it.

        Raises:
            KeyError: The shop has no such order. `edit`, `delete` and `restock` raise it too.
        """
        self.edit(order_id, {**(changes or {}), "status": status, "raw_status": raw_status})

    def edit(self, order_id: str, changes: Mapping[str, object]) -> None:
        """Change fields of an order; `updated_date` is now."""
        with self._lock:
            order = self._mirrors[Resource.ORDERS].store[order_id]
            self._write(Resource.ORDERS, order | dict(changes))

    def delete(self, order_id: str) -> None:
        """Delete an order; the next sync removes it from Trackstar."""
        with self._lock:
            self._mirrors[Resource.ORDERS].remove(order_id)

    def restock(self, product_id: str, on_hand: Mapping[str, int] | None) -> None:
        """Set the stock of a product, by warehouse; None: the shop no longer reports it."""
        with self._lock:
            product = self._mirrors[Resource.PRODUCTS].store[product_id]
            total, by_warehouse = (None, None) if on_hand is None else (sum(on_hand.values()), dict(on_hand))
            counted = {"inventory": total, "inventory_by_warehouse_id": by_warehouse}
            self._write(Resource.PRODUCTS, product | counted)

    def order(self, order_id: str) -> Record:
        """Return a copy of an order of the store."""
        with self._lock:
            return deepcopy(self._mirrors[Resource.ORDERS].store[order_id])

    def orders(self, status: str | None = None) -> list[Record]:
        """Return copies of the orders of the store that are in this status; None: all orders."""
        with self._lock:
            stored = self._mirrors[Resource.ORDERS].store.values()
            return deepcopy([order for order in stored if status in {None, order["status"]}])

    def products(self) -> list[Record]:
        """Return copies of all products of the store."""
        with self._lock:
            return deepcopy(list(self._mirrors[Resource.PRODUCTS].store.values()))

    def product(self, product_id: str) -> Record:
        """Return a copy of a product of the store."""
        with self._lock:
            return deepcopy(self._mirrors[Resource.PRODUCTS].store[product_id])

    def stock(self) -> dict[str, int | None]:
        """Return the stock of the store, by product id."""
        with self._lock:
            return {key: each["inventory"] for key, each in self._mirrors[Resource.PRODUCTS].store.items()}

    # Damage between the store and the copy

    def garble(self, order_id: str, fields: Mapping[str, object] | None = None, *, missing: Iterable[str] = ()) -> None:
        """From the next sync on, copy an order with these values, or without these fields, until `heal`."""
        self._garble(order_id, Garbling(fields or {}, frozenset(missing)))

    def heal(self, order_id: str) -> None:
        """From the next sync on, copy the order without damage."""
        self._garble(order_id, Garbling())

    # Trackstar's copy

    def sync(
        self, resources: Iterable[Resource] = tuple(Resource), *, is_reported: bool = True, took: float = 0.0
    ) -> int:
        """Let Trackstar crawl the shop now.

        Args:
            resources: The resources to crawl.
            is_reported: Whether the schedules show it; they do not show a change that came by a webhook.
            took: Seconds that the crawl has taken, which ends now: the schedules show when it began.

        Returns:
            The number of copied records; 0 if an error of the connection blocks the sync.
        """
        with self._lock:
            wanted = [each for each in resources if not self.is_blocked(each)]
            return sum(self._crawl(each, is_reported=is_reported, took=took) for each in wanted)

    def complete_historical_sync(self) -> None:
        """Complete the initial sync: from now on, the lists show the copied records."""
        with self._lock:
            self._completed = dict.fromkeys(Resource, True)
            self._record_changes(self._mirrors[Resource.ORDERS].ids())

    def select(self, resource: Resource, query: ListQuery) -> list[Record]:
        """Return the records that match a query; none before the historical sync is completed."""
        with self._lock:
            return self._mirrors[resource].select(query) if self._completed[resource] else []

    def listed(self, resource: Resource, query: ListQuery) -> list[Record]:
        """Return the list that the API serves, with the integration's quirks."""
        with self._lock:
            records = [self._spelled(record) for record in self.select(resource, query)]
            shows_twice = self.quirks.shows_superseded and resource is Resource.ORDERS
            return list(self._mirrors[resource].with_superseded(records)) if shows_twice else records

    def find(self, resource: Resource, record_id: str) -> Record | None:
        """Return the record that the API serves."""
        with self._lock:
            record = self._mirrors[resource].find(record_id) if self._completed[resource] else None
            return self._spelled(record) if record else None

    def connection(self) -> Record:
        """Return the connection that the API serves."""
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

    def _spelled(self, record: Record) -> Record:
        status = record.get("status")
        return {**record, "status": self.quirks.spell_status(status)} if isinstance(status, str) else record

    def _implemented(self) -> list[Resource]:
        return [resource for resource in Resource if resource not in self.quirks.lacks]

    def _schedule(self, resource: Resource) -> Record:
        crawl, unknown = self._schedules[resource] if self.quirks.reports_syncs else {}, self.quirks.no_sync_time
        return {
            "function_name": resource.function,
            "last_crawl_start": crawl.get("start", unknown),
            "last_crawl_end": crawl.get("end", unknown),
            self.quirks.latest_sync_field: crawl.get("end", unknown),
            "sync_frequency": self.sync_frequencies.get(resource, self.sync_frequency),
            "in_progress": self.quirks.is_syncing,
            "sync_status": "enabled",
        }

    def _write(self, resource: Resource, record: Record) -> None:
        now = stamp(self._clock.now() + timedelta(seconds=self.quirks.clock_error))
        self._mirrors[resource].put({"created_date": now, **deepcopy(record), "updated_date": now})

    def _garble(self, order_id: str, garbling: Garbling) -> None:
        with self._lock:
            orders = self._mirrors[Resource.ORDERS]
            orders.garblings[order_id] = garbling
            orders.mark_changed(orders.store[order_id]["id"])

    def is_blocked(self, resource: Resource) -> bool:
        """Whether an error of the connection stops the syncs of a resource."""
        return any(blocks(error, resource.function) for error in self.errors)

    def _crawl(self, resource: Resource, *, is_reported: bool, took: float) -> int:
        now = self._clock.now()
        crawled = self._mirrors[resource].crawl(now, self.quirks.trackstar_dates)
        if is_reported:
            end = now + timedelta(seconds=self.quirks.sync_time_error)
            self._schedules[resource] = {"start": stamp(end - timedelta(seconds=took)), "end": stamp(end)}
        if resource is Resource.ORDERS:
            self._record_changes(crawled)
        return len(crawled)

    def _record_changes(self, order_ids: Iterable[str]) -> None:
        if self._completed[Resource.ORDERS]:
            for order_id in order_ids:
                self._record_change(self._mirrors[Resource.ORDERS].copy_of(order_id) or {})

    def _record_change(self, record: Record) -> None:
        order_id, status = record.get("id"), record.get("status")
        if not (_is_text(order_id) and _is_text(status)) or self._visible_status.get(str(order_id)) == status:
            return
        self.visible_changes.append(
            VisibleChange(
                connection_id=self.connection_id,
                order_id=str(order_id),
                order_number=record.get("order_number"),
                previous_status=self._visible_status.get(str(order_id)),
                status=str(status),
                version=record.get("trackstar_updated_date"),
                visible_at=self._clock.now(),
                visible_monotonic=time.monotonic(),
            )
        )
        self._visible_status[str(order_id)] = str(status)


def _is_text(value: object) -> bool:
    return isinstance(value, str) and value != ""
