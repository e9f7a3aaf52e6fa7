"""What a poll costs as connections and known orders grow: our own time, and requests counted by service."""

import gc
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import httpx

from bench.meter import Meter
from bench.report import Say, Section, Target
from orderwatch.aws.dynamodb import Item, to_item
from orderwatch.aws.parameters import Parameters
from orderwatch.aws.poll_queue import PollQueue
from orderwatch.polling.metrics import Outcome
from orderwatch.trackstar.client import Trackstar
from orderwatch_local.simulator import ShopTransport
from orderwatch_local.simulator.script import API_KEY
from tests.simulation.cloud import PREFIX, FifoQueue, ParameterStore
from tests.support.cloud import Tables
from tests.support.memory_dynamodb import Key, MemoryDynamoDB
from tests.support.polls import poll
from tests.support.world import TICK, World

ROUNDS = range(3)
CONNECTIONS = {1: 200, 10: 60, 100: 20, 500: 8}
"""How many connections, and how many ticks of them."""
ORDERS = 200
"""Orders of each connection."""
CHANGED = 3
"""Orders of each connection that change between two ticks; one of them is alerted."""
KNOWN = (1, 1_000, 100_000, 1_000_000)
POLLS = 130
"""Polls of each kind for each number of known orders; all of them take less than the day between two sweeps."""
GROWTH = 1.25
SERVICES = ("DynamoDB", "SSM", "SQS", "Trackstar")
TEXT = f"""\
All in one process, without a cloud. Dispatching, polling, the HTTP client and the tables' adapters are real. AWS is
in memory, and Trackstar is the simulated shop; the time inside these two is subtracted. The fastest of
{len(ROUNDS)} rounds counts, because other load on the machine only adds time. Requests are counted where they leave
the code.

**A tick**: every connection has {ORDERS} orders and is polled after {CHANGED} of them changed, one of which is
alerted. Names and settings are read again, as after five minutes. **Orders known**: one connection with this many
orders in OrderTable is polled when nothing has changed and when one order has ({POLLS} polls each). Rows have their
own keys; their other attributes are generated when they are read."""


class MeteredTransport(httpx.BaseTransport):
    """The simulated vendor, metered."""

    def __init__(self, inner: httpx.BaseTransport, meter: Meter) -> None:
        self._inner, self._meter = inner, meter

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        with self._meter.request("Trackstar"):
            return self._inner.handle_request(request)


class Fleet:
    """Connected shops whose baseline was read, and one process that polls them.

    Args:
        connections: How many.
        orders: Orders of each.
    """

    def __init__(self, connections: int, orders: int) -> None:
        self.world = World(*(f"conn_{each}" for each in range(connections)))
        self.meter, self.memory = Meter(), MemoryDynamoDB()
        self.tables = Tables.over(self.memory)
        metered = self.tables.through(self.meter.client(self.memory, "DynamoDB"))
        self._store, self._connections = metered.store, metered.connections
        ssm, queue = ParameterStore(), FifoQueue(lambda: 0.0, lambda group: None)
        self._parameters = Parameters(self.meter.client(ssm, "SSM"), PREFIX)
        self._queue = PollQueue(self.meter.client(queue, "SQS"), "polls")
        transport = MeteredTransport(ShopTransport(self.world.trackstar), self.meter)
        self._trackstar = Trackstar("https://trackstar.invalid", transport=transport)
        ssm.values[f"{PREFIX}/trackstar/api-key"] = API_KEY
        for name, shop in self.world.shops.items():
            ssm.values[f"{PREFIX}/connections/{name}/access-token"] = shop.access_token
            self.tables.connections.watch(name)
            self.world.place(*map(str, range(orders)), shop=shop)
        for _ in range(3):  # the baseline, a window that overlaps it, and one that does not
            self.tick()
            self.world.pass_time(3 * TICK)

    def tick(self) -> None:
        """Ask for every poll, and do each."""
        for connection_id in self._queue.request_polls(self._connections.registry().watched):
            self.poll(connection_id)

    def poll(self, connection_id: str) -> None:
        """One poll, with the adapters that poll_orders has."""
        shop = self._trackstar.client_of(
            connection_id,
            api_key=self._parameters.api_key(),
            access_token=self._parameters.connection(connection_id).access_token,
            seconds_left=lambda: 60.0,
        )
        summary = poll(shop, self._store, connection_id)
        if summary.outcome is not Outcome.FINISHED:
            raise RuntimeError(f"a poll of {connection_id} ended {summary.outcome}")

    def change(self, count: int) -> None:
        """A tick later, some orders of every shop have changed; the first of several has to be alerted."""
        self.world.pass_time(TICK)
        for shop in self.world.shops.values():
            for number in range(count):
                troubled = "exception" if number == 0 and count > 1 else "processing"
                shop.move(str(number), troubled if shop.order(str(number))["status"] == "open" else "open")
            shop.sync()


def measure(say: Say) -> Section:
    """Grow the connections, then the orders that are known."""
    rows, targets = [], list[Target]()
    for measured, found in (_connections(say), _known(say)):
        rows += measured
        targets += found
    return Section(
        title="Scale: connections, and orders known",
        text=TEXT,
        head=["", "own ms per connection", *(f"{service} requests" for service in SERVICES)],
        rows=rows,
        targets=targets,
    )


@dataclass(frozen=True)
class _Cost:
    """What one connection costs."""

    milliseconds: float
    requests: dict[str, float]

    def row(self, name: str) -> list[str]:
        """As cells."""
        return [name, f"{self.milliseconds:.2f}", *(f"{self.requests[service]:.2f}" for service in SERVICES)]

    def growth_over(self, other: "_Cost", what: str) -> list[Target]:
        """The targets: the time is nearly the same, and no service gets more requests."""
        times = self.milliseconds / other.milliseconds
        requests = ", ".join(f"{self.requests[each]:.2f} {each}" for each in SERVICES)
        bound = ", ".join(f"{other.requests[each]:.2f}" for each in SERVICES)
        grown = any(self.requests[each] > other.requests[each] for each in SERVICES)
        return [
            Target(f"{what}: own time", f"{times:.2f} x", f"at most {GROWTH} x", times <= GROWTH),
            Target(f"{what}: requests", requests, f"at most {bound}", not grown),
        ]


@contextmanager
def _settled() -> Iterator[None]:
    """The simulator's many objects are no work for the garbage collector while it is our code that is timed."""
    gc.collect()
    gc.freeze()
    try:
        yield
    finally:
        gc.unfreeze()


def _cost(fleet: Fleet, works: Sequence[Callable[[], None]], prepare: Callable[[], None], connections: int) -> _Cost:
    before, seconds = Counter(fleet.meter.requests), []
    for work in works:
        prepare()
        seconds.append(fleet.meter.own(work)[1])
    made = {each: (fleet.meter.requests[each] - before[each]) / (len(works) * connections) for each in SERVICES}
    return _Cost(1000 * min(seconds) / connections, made)


def _fastest(costs: Iterable[_Cost]) -> _Cost:
    return min(costs, key=lambda cost: cost.milliseconds)


def _connections(say: Say) -> tuple[list[list[str]], list[Target]]:
    rounds = [{number: _cost_of_ticks(number, ticks, say) for number, ticks in CONNECTIONS.items()} for _ in ROUNDS]
    costs = {number: _fastest(each[number] for each in rounds) for number in CONNECTIONS}
    rows = [cost.row(f"tick, connections: {number:,}") for number, cost in costs.items()]
    return rows, costs[500].growth_over(costs[10], "500 connections over 10")


def _cost_of_ticks(connections: int, ticks: int, say: Say) -> _Cost:
    say(f"connections: {connections:,}")
    fleet = Fleet(connections, ORDERS)
    with _settled():
        return _cost(fleet, [fleet.tick] * ticks, lambda: fleet.change(CHANGED), connections)


def _known(say: Say) -> tuple[list[list[str]], list[Target]]:
    rounds = [{known: _costs_of_polls(known, say) for known in KNOWN} for _ in ROUNDS]
    rows, targets = [], list[Target]()
    for index, what in enumerate(("nothing changed", "one order changed")):
        costs = {known: _fastest(each[known][index] for each in rounds) for known in KNOWN}
        rows += [cost.row(f"poll, orders known: {known:,}; {what}") for known, cost in costs.items()]
        targets += costs[1_000_000].growth_over(costs[1], f"1,000,000 orders known over 1, {what}")
    return rows, targets


def _costs_of_polls(known: int, say: Say) -> tuple[_Cost, _Cost]:
    """Of polls for which nothing has changed, and of polls for which one order has."""
    say(f"orders known: {known:,}")
    fleet = Fleet(1, 1)
    fleet.memory._tables[fleet.tables.names["OrderTable"]].rows = _rows(known, fleet)
    [connection_id] = fleet.world.shops
    works = [lambda: fleet.poll(connection_id)] * POLLS
    with _settled():
        quiet = _cost(fleet, works, lambda: fleet.change(0), 1)
        return quiet, _cost(fleet, works, lambda: fleet.change(1), 1)


_LIGHT: Item = {}
"""Replaces a row of which only the key is kept."""


class _Rows(dict[Key, Item]):
    """Rows some of which are light until they are written."""

    def __getitem__(self, key: Key) -> Item:
        row = super().__getitem__(key)
        return _made_up(key[0]) if row is _LIGHT else row

    def get(self, key: Key, default: Any = None) -> Any:
        return self[key] if key in self else default  # noqa: SIM401 - dict's own would not make the row up


def _rows(known: int, fleet: Fleet) -> _Rows:
    written = {(row["order_key"]["S"],): row for row in fleet.tables.rows("OrderTable")}
    light = ((f"conn_0#known-{number}",) for number in range(len(written), known))
    return _Rows(dict.fromkeys(light, _LIGHT) | written)


def _made_up(key: str) -> Item:
    noon = "2026-01-05T12:00:00+00:00"
    row = {"order_key": key, "status": "open", "version": noon, "version_clock": "trackstar", "status_since": noon}
    return to_item(row | {"order_number": key})
