"""One reader of all pages in a process of its own: `python -m bench.reader WHAT URL` prints what it took."""

import gc
import json
import sys
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from functools import partial
from zoneinfo import ZoneInfo

import boto3
import httpx
import orjson
from pydantic import SecretStr

from bench.meter import Meter
from bench.pages import ALERTED_STATUS, LISTED_STATUS, UPDATED, ship_by_at, status_at
from bench.peak import peak_megabytes
from orderwatch import clock
from orderwatch.alerts.alert import Alert
from orderwatch.alerts.parts import AlertConnection
from orderwatch.deadlines.rules import NO_DEADLINE, DeadlineRules, schedule
from orderwatch.observability import logger
from orderwatch.polling.commit import Store
from orderwatch.polling.detect import OrderWrite
from orderwatch.polling.metrics import Outcome
from orderwatch.polling.poll import poll as real_poll
from orderwatch.reading.cursor import Cursor, DeadlineWatch
from orderwatch.reading.policy import Policy
from orderwatch.records import ConnectionState, StoredOrder
from orderwatch.statuses import OPEN_STATUSES
from orderwatch.trackstar.client import Trackstar
from orderwatch.trackstar.orders import PAGE_SIZE, Version, VersionClock
from tests.simulation.functions import handler_module
from tests.support.clocks import InstantSleepClock
from tests.support.cloud import Tables

type Reading = Callable[[], int]
"""Reads everything; the number of orders."""
RULES = DeadlineRules(zone=ZoneInfo("UTC"))
WATCHED = "exception"
_JUST_NOW = datetime.now(UTC) - timedelta(minutes=1)
WATCHED_SHOP = ConnectionState(
    connection_id="conn_a",
    cursor=Cursor(
        position=_JUST_NOW,
        last_read_started_at=_JUST_NOW,
        has_orders=True,
        has_vendor_dates=True,
        watch_started_at=_JUST_NOW,
        deadlines=DeadlineWatch(RULES.fingerprint, _JUST_NOW),
        last_sweep_at=_JUST_NOW,
    ),
)
"""A shop after its baseline, whose deadlines are recorded: the next poll reads one window."""


class KnownOrders:
    """The tables of a shop that is watched and whose every order is known: rows are generated, writes are discarded.

    Args:
        row_at: The row of the order at a place of its page.
    """

    def __init__(self, row_at: Callable[[int], StoredOrder]) -> None:
        self._rows = {f"{place:04}": row_at(place) for place in range(PAGE_SIZE)}
        self._state = WATCHED_SHOP

    def load(self, connection_id: str) -> ConnectionState:
        return self._state

    def stored_orders(self, connection_id: str, order_ids: Collection[str]) -> Mapping[str, StoredOrder]:
        return {each: self._rows[each[-4:]] for each in order_ids}

    def needing_attention(self, connection_id: str) -> dict[str, StoredOrder]:
        return {}

    def due_orders(self, connection_id: str, until: datetime) -> list[str]:
        return []

    def commit(
        self, state: ConnectionState, *, writes: Sequence[OrderWrite], alerts: Sequence[Alert]
    ) -> list[OrderWrite]:
        self._state = state.committed()
        return []


class NewOrders(KnownOrders):
    """The tables of a shop that was never read.

    Args:
        keeps_rows: Whether the rows that are written are kept.
        on_page: Gets the number of pages that were written.
    """

    def __init__(self, *, keeps_rows: bool, on_page: Callable[[int], None] = lambda _: None) -> None:
        self._kept: dict[str, StoredOrder] = {}
        self._keeps_rows = keeps_rows
        self._state = ConnectionState(connection_id="conn_a")
        self._pages = 0
        self._on_page = on_page

    def stored_orders(self, connection_id: str, order_ids: Collection[str]) -> Mapping[str, StoredOrder]:
        return {each: row for each in order_ids if (row := self._kept.get(each))}

    def commit(
        self, state: ConnectionState, *, writes: Sequence[OrderWrite], alerts: Sequence[Alert]
    ) -> list[OrderWrite]:
        if self._keeps_rows:
            self._kept.update((write.order_id, write.stored) for write in writes)
        self._pages += 1
        self._on_page(self._pages)
        return super().commit(state, writes=writes, alerts=alerts)


def _row(status: str, place: int) -> StoredOrder:
    ship_by = ship_by_at(place)
    ahead = RULES.deadlines(status=status, ship_by=ship_by, since=UPDATED)
    return StoredOrder(
        status=status,
        raw_status=None,
        version=Version(UPDATED, VersionClock.TRACKSTAR),
        status_since=UPDATED,
        order_number="#1",
        needs_attention=status == WATCHED,
        ship_by=ship_by,
        deadline_state=schedule(NO_DEADLINE, ahead, is_open=status in OPEN_STATUSES, suppression=None),
        deadline_rules=RULES.fingerprint,
    )


def unchanged(place: int) -> StoredOrder:
    """The order is as it was."""
    return _row(status_at(place), place)


def changed(place: int) -> StoredOrder:
    """The order was in another status before."""
    return _row("other", place)


def floor(url: str) -> Reading:
    """Fetch, decode, pick three fields: what every reader has to do."""
    client = httpx.Client(base_url=url)

    def read() -> int:
        orders, token = 0, "0"
        while token:
            answer = orjson.loads(client.get("/cart/orders", params={"limit": "1000", "page_token": token}).content)
            picked = [(each["id"], each["status"], each["trackstar_updated_date"]) for each in answer["data"]]
            orders, token = orders + len(picked), answer["next_token"]
        return orders

    return read


def poll(url: str, store: Store, *, watched: str = WATCHED) -> Reading:
    """The real poll, in a process that has imported its function."""
    handler_module("poll_orders", 0)
    trackstar = Trackstar(url)

    def read() -> int:
        shop = trackstar.client_of(
            "conn_a",
            api_key=SecretStr("key"),
            access_token=SecretStr("token"),
            seconds_left=lambda: 900.0,
        )
        summary = real_poll(
            AlertConnection(id="conn_a"),
            vendor=shop,
            store=store,
            policy=Policy(statuses=frozenset({watched}), deadlines=RULES),
            has_time=lambda: True,
            requested_at=datetime.now(UTC),
        )
        assert summary.outcome is Outcome.FINISHED
        return summary.orders

    return read


def _through_the_tables(url: str) -> dict[str, Reading]:
    """The adapters of the real tables over a DynamoDB in memory: every order new, then every order known."""
    tables = Tables.in_memory()
    store = tables.through(_METER.client(tables.client, "dynamodb")).store
    return {"tables, new": poll(url, store), "tables, unchanged": poll(url, store)}


def _baseline(url: str) -> dict[str, Reading]:
    """Every order new, in a process with the function's clients; prints how its memory grows."""
    clients = [boto3.client(service, region_name="us-east-1") for service in ("dynamodb", "ssm", "sqs")]
    assert clients
    return {"baseline": poll(url, NewOrders(keeps_rows=False, on_page=partial(_report, time.perf_counter())))}


def _report(begun: float, pages: int) -> None:
    if pages in _REPORTED_AFTER:
        _print("baseline", pages * PAGE_SIZE, seconds=time.perf_counter() - begun)


def _print(what: str, orders: int, **figures: float) -> None:
    print(json.dumps({"what": what, "orders": orders, "peak": peak_megabytes(), **figures}), flush=True)  # noqa: T201 - our answer


_METER = Meter()
"""The seconds inside the DynamoDB in memory."""
_REPORTED_AFTER = (1, 10, 100, 250, 500)
READERS: Mapping[str, Callable[[str], dict[str, Reading]]] = {
    "floor": lambda url: {"floor": floor(url)},
    "unchanged": lambda url: {"unchanged": poll(url, KnownOrders(unchanged))},
    "changed": lambda url: {"changed": poll(url, KnownOrders(changed))},
    "alerted": lambda url: {"alerted": poll(url, KnownOrders(changed), watched=ALERTED_STATUS)},
    "new": lambda url: {"new": poll(url, NewOrders(keeps_rows=True), watched=LISTED_STATUS)},
    "tables": _through_the_tables,
    "baseline": _baseline,
}


def main() -> None:
    """Read, and print the seconds of each reading and the peak of resident memory in MB."""
    logger.setLevel("CRITICAL")
    clock.use(InstantSleepClock())  # the vendor's ten requests a second are not what is measured
    for name, read in READERS[sys.argv[1]](sys.argv[2]).items():
        gc.collect()
        gc.freeze()  # the tables' rows are outside this process
        orders, seconds = _METER.own(read)
        _print(name, orders, seconds=seconds)


if __name__ == "__main__":
    main()
