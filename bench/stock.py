"""What a look at the stock costs (rule 23): our own time, and requests counted by service."""

import math
from dataclasses import replace

from bench.metered_poll import PollCost, median, metered_poll
from bench.report import Say, Section, Target
from orderwatch_local.simulator.mirror import Resource
from tests.support.polls import WATCHED
from tests.support.world import TICK, World

ORDERS = 5_000
"""Backordered orders."""
LINES = 3
"""Lines of each, of different products."""
PRODUCTS = 2_000
"""Products of all of them."""
POLLS = 5
"""Polls without news, and looks that find nothing."""
SECONDS = 5.0
"""Maximum of our own seconds for a look that finds nothing."""
TEXT = f"""\
One shop with {ORDERS:,} backordered orders of {LINES} lines, and {PRODUCTS:,} products. A poll looks at the stock if
the products were synced since the last look. It then makes one query, one request to Trackstar for each hundred
products, and one transaction that records the look. DynamoDB answers the query with 1 MB at a time, which is about
2,000 orders; the tables in memory answer with all. If the stock covers orders, each hundred of them take one
request to Trackstar, one for their rows, and their transactions. The rules, the HTTP client and the tables' adapters
are real. AWS is in memory, and Trackstar is the simulated shop; the time inside these two is subtracted. The first two
rows are medians of {POLLS} polls."""


class _Shop:
    """A shop whose orders wait for stock; the baseline is read."""

    def __init__(self) -> None:
        names = [f"p{number}" for number in range(PRODUCTS)]
        policy = replace(WATCHED, restock_alerts=True)
        self.world = World(policy=policy, products=[{"id": each, "sku": each, "inventory": 0} for each in names])
        for number in range(ORDERS):
            mine = [names[(LINES * number + line) % PRODUCTS] for line in range(LINES)]
            lines = [{"product_id": each, "product_sku": each, "quantity": 2} for each in mine]
            self.world.shop.place({"id": f"{number:05}", "status": "backordered", "line_items": lines})
        self.world.shop.sync()
        self.world.poll()

    def poll(self, *, stock: int | None = None, is_synced: bool = False) -> PollCost:
        """A poll after a quarter of an hour, with this stock of every product."""
        self.world.pass_time(3 * TICK)
        if stock is not None:
            for number in range(PRODUCTS):
                self.world.shop.restock(f"p{number}", {"main": stock})
        self.world.shop.sync(list(Resource) if is_synced else [Resource.ORDERS])
        return metered_poll(self.world)


def measure(say: Say) -> Section:
    """Measure it."""
    say(f"{ORDERS:,} orders")
    shop = _Shop()
    say("polls without news")
    quiet = median([shop.poll() for _ in range(POLLS)])
    say("looks that find nothing")
    empty = median([shop.poll(is_synced=True) for _ in range(POLLS)])
    say("a look that covers every order")
    full = shop.poll(stock=2 * LINES * ORDERS, is_synced=True)
    if full.alerts != ORDERS:
        raise RuntimeError(f"{full.alerts} of {ORDERS} orders were alerted")
    asked = quiet.trackstar + math.ceil(PRODUCTS / 100)
    return Section(
        title="Stock is back",
        text=TEXT,
        head=("poll", "our own time", "requests to DynamoDB", "requests to Trackstar", "alerts"),
        rows=[
            _row("the products were not synced", quiet),
            _row(f"a look at {ORDERS:,} orders, none of them covered", empty),
            _row(f"a look at {ORDERS:,} orders, all of them covered", full),
        ],
        targets=[
            _exact("stock: requests of a poll without news", quiet, 2, 2),
            _exact("stock: requests of a look that finds nothing", empty, quiet.dynamodb + 2, asked),
            Target(
                "stock: our own time of a look that finds nothing",
                f"{empty.seconds:.2f} s",
                f"at most {SECONDS} s",
                empty.seconds <= SECONDS,
            ),
        ],
    )


def _row(what: str, cost: PollCost) -> list[str]:
    return [what, f"{cost.seconds:.3f} s", f"{cost.dynamodb:,}", f"{cost.trackstar:,}", f"{cost.alerts:,}"]


def _exact(what: str, cost: PollCost, dynamodb: int, trackstar: int) -> Target:
    found, bound = (
        f"{each[0]} DynamoDB, {each[1]} Trackstar" for each in ((cost.dynamodb, cost.trackstar), (dynamodb, trackstar))
    )
    return Target(what, found, f"exactly {bound}", found == bound)
