"""What a reminder costs (rule 24): our own time and requests, beside those of a missed ship-by."""

import statistics
from dataclasses import replace
from datetime import timedelta
from zoneinfo import ZoneInfo

from bench.metered_poll import PollCost, median, metered_poll
from bench.report import Say, Section, Target
from orderwatch.deadlines.rules import DeadlineRules
from tests.support.polls import WATCHED
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


def measure(say: Say) -> Section:
    """Measure it."""
    turns: list[tuple[PollCost, PollCost]] = []
    for number in range(ROUNDS):
        say(f"round {number + 1} of {ROUNDS}")
        turns.append((_late(), _reminded()))
    late, reminded = (median(list(costs)) for costs in zip(*turns, strict=True))
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


def _late() -> PollCost:
    return _cost(DeadlineRules(ZoneInfo("UTC"), late_warning_hours=0), status="open", ship_after=timedelta(hours=HOURS))


def _reminded() -> PollCost:
    return _cost(DeadlineRules(ZoneInfo("UTC"), late_warning_hours=0, reminder_hours=HOURS), status="backordered")


def _cost(rules: DeadlineRules, *, status: str, ship_after: timedelta | None = None) -> PollCost:
    """Of the poll in which the orders' ship-bys, or else their reminders, are due."""
    world = World(policy=replace(WATCHED, deadlines=rules))
    ship_by = (world.vendor_clock.now() + ship_after).isoformat() if ship_after else None
    for number in range(ORDERS):
        world.shop.place({"id": f"{number:04}", "status": status, "latest_ship_date": ship_by})
    world.shop.sync()
    world.poll()
    world.pass_time(timedelta(hours=HOURS, minutes=1))
    world.shop.sync()
    cost = metered_poll(world)
    if cost.alerts != ORDERS:
        raise RuntimeError(f"{cost.alerts} of {ORDERS} orders were alerted")
    return cost


def _row(what: str, cost: PollCost) -> list[str]:
    return [what, f"{cost.seconds:.3f} s", f"{cost.dynamodb:,}", f"{cost.trackstar:,}"]
