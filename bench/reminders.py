"""What a reminder costs (rule 24): our own time and requests, beside those of a missed ship-by."""

import statistics
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import timedelta
from zoneinfo import ZoneInfo

from bench.meter import Meter
from bench.report import Say, Section, Target
from bench.scale import MeteredTransport
from orderwatch.deadlines.rules import DeadlineRules
from orderwatch_local.simulator import ShopTransport
from tests.support.polls import WATCHED, client_of, poll
from tests.support.world import World

ORDERS = 1_000
ROUNDS = 5
HOURS = 4
"""Hours after which the ship-bys pass, or the orders are reminded about."""
BOUND = 1.25
TEXT = f"""\
A poll of a shop in which {ORDERS:,} deadlines have passed: the ship-by of open orders, or the time of the next reminder
about backordered ones. Each order is read again by its id and written with its alert. Medians of {ROUNDS} rounds, taken
in turns, each with new orders. The rules, the HTTP client and the tables' adapters are real. AWS is in memory, and
Trackstar is the simulated shop; the time inside these two is subtracted."""


@dataclass(frozen=True)
class _Cost:
    """Of one poll."""

    seconds: float
    dynamodb: int
    trackstar: int


def measure(say: Say) -> Section:
    """Measure it."""
    turns: list[tuple[_Cost, _Cost]] = []
    for number in range(ROUNDS):
        say(f"round {number + 1} of {ROUNDS}")
        turns.append((_late(), _reminded()))
    late, reminded = (_median(list(costs)) for costs in zip(*turns, strict=True))
    ratio = statistics.median(reminder.seconds / deadline.seconds for deadline, reminder in turns)
    return Section(
        title="Reminders",
        text=TEXT,
        head=("poll", "our own time", "requests to DynamoDB", "requests to Trackstar"),
        rows=[_row(f"{ORDERS:,} orders become late", late), _row(f"{ORDERS:,} orders are reminded about", reminded)],
        targets=[
            Target(
                "reminders: requests",
                f"{reminded.dynamodb} DynamoDB, {reminded.trackstar} Trackstar",
                f"those of as many missed ship-bys: {late.dynamodb}, {late.trackstar}",
                (reminded.dynamodb, reminded.trackstar) == (late.dynamodb, late.trackstar),
            ),
            Target("reminders: our own time", f"{ratio:.2f} x a deadline", f"at most {BOUND} x", ratio <= BOUND),
        ],
    )


def _late() -> _Cost:
    rules = DeadlineRules(ZoneInfo("UTC"), late_warning_hours=0)
    return _cost(rules, lambda world: world.vendor_clock.now() + timedelta(hours=HOURS), status="open")


def _reminded() -> _Cost:
    rules = DeadlineRules(ZoneInfo("UTC"), late_warning_hours=0, reminder_hours=HOURS)
    return _cost(rules, lambda world: None, status="backordered")


def _cost(rules: DeadlineRules, ship_by: Callable[[World], object], *, status: str) -> _Cost:
    world = World(policy=replace(WATCHED, deadlines=rules))
    for number in range(ORDERS):
        world.shop.place({"id": f"{number:04}", "status": status, "latest_ship_date": _text(ship_by(world))})
    world.shop.sync()
    world.poll()
    world.pass_time(timedelta(hours=HOURS, minutes=1))
    world.shop.sync()
    meter = Meter()
    transport = MeteredTransport(ShopTransport(world.trackstar), meter)
    vendor = client_of(world.trackstar, world.shop, transport=transport)
    store = world.tables.through(meter.client(world.tables.client, "DynamoDB")).store
    result, seconds = meter.own(lambda: poll(vendor, store, "conn_a", policy=world.policy))
    if result.alerts != ORDERS:
        raise RuntimeError(f"{result.alerts} of {ORDERS} orders were alerted")
    return _Cost(seconds, meter.requests["DynamoDB"], meter.requests["Trackstar"])


def _text(moment: object) -> str | None:
    return str(moment) if moment else None


def _median(costs: list[_Cost]) -> _Cost:
    return replace(costs[-1], seconds=statistics.median(each.seconds for each in costs))


def _row(what: str, cost: _Cost) -> list[str]:
    return [what, f"{cost.seconds:.3f} s", f"{cost.dynamodb:,}", f"{cost.trackstar:,}"]
