"""What the baseline of a large shop writes, and how long a new table takes for it."""

from collections import Counter
from typing import Any

from bench.metered_dynamodb import LATENCY, MeteredDynamoDB
from bench.report import Say, Section, Target
from orderwatch.aws.dynamodb import MAX_ACTIONS
from orderwatch.deadlines.rules import DeadlineRules
from orderwatch.reading.policy import Policy
from orderwatch.shop_settings import ShopSettings, time_zone
from tests.support.cloud import Tables
from tests.support.polls import WATCHED
from tests.support.world import World

FIRST, ORDERS = 12_000, 22_000
"""The ids of the first 10,000 orders are saved in the connection's row, which becomes as large as 80 KB."""
A_MILLION = 1_000_000
NEW_TABLE = 4_000
"""Write units a second of a new on-demand table (AWS's documentation of DynamoDB)."""
OPEN, IN_EXCEPTION = 10, 50
"""One order in this many is open with a ship-by; one in this many is in exception."""
WRITES_AN_ORDER = 2.2
REQUESTS = 21_500
"""Of a million orders. The floor is a read and a transaction for a hundred orders."""
TEXT = f"""\
The baseline of a shop with {ORDERS:,} orders, one in {OPEN} of them open with a ship-by date and one in {IN_EXCEPTION}
in exception. Write units are counted at the tables' adapters: a row below 1 KB takes two in a transaction, and one for
each index that it is in. A million orders are the first {FIRST:,}, and the next {ORDERS - FIRST:,} as often as needed.
A new on-demand table takes {NEW_TABLE:,} units a second, for all shops together. Memory: see "Memory"."""


class _Counted(MeteredDynamoDB):
    """Counts the write units of each table."""

    def __init__(self) -> None:
        super().__init__()
        self.written: Counter[str] = Counter()

    def _count_write(self, table: str, before: Any, after: Any, *, times: int) -> None:
        counted = self.units["DynamoDB writes"]
        super()._count_write(table, before, after, times=times)
        self.written[table.partition("-")[0]] += self.units["DynamoDB writes"] - counted


def measure(say: Say) -> Section:
    """Play baselines of two sizes."""
    say(f"{FIRST:,} orders, then {ORDERS:,}")
    (first, first_requests), (both, both_requests) = _played(FIRST), _played(ORDERS)
    more = (A_MILLION - FIRST) / (ORDERS - FIRST)
    million = {table: first[table] + more * (both[table] - first[table]) for table in sorted(both)}
    requests = first_requests + more * (both_requests - first_requests)
    rows = [
        [table, f"{both[table]:,}", f"{units:,.0f}", f"{units / A_MILLION:.2f}", f"{units / NEW_TABLE:,.0f} s"]
        for table, units in million.items()
    ]
    an_order = million["OrderTable"] / A_MILLION
    what, bound = "baseline: write units an order in OrderTable", f"at most {WRITES_AN_ORDER}"
    targets = [
        Target(what, f"{an_order:.2f}", bound, an_order <= WRITES_AN_ORDER, floor="2.00"),
        Target(
            "baseline of a million new orders: DynamoDB requests",
            f"{requests:,.0f}",
            f"at most {REQUESTS:,}",
            requests <= REQUESTS,
            floor=f"{2 * A_MILLION // MAX_ACTIONS:,}",
        ),
    ]
    waiting = f"A million orders take {requests:,.0f} requests to DynamoDB: {requests * LATENCY:,.0f} s at 8 ms each."
    head = ["table", f"units, {ORDERS:,} orders", "units, a million orders", "an order", f"at {NEW_TABLE:,} a second"]
    return Section("Baseline of a large shop", f"{TEXT}\n{waiting}", head, rows, targets)


def _played(orders: int) -> tuple[Counter[str], int]:
    """The write units of a baseline, by table, and the requests to DynamoDB."""
    memory, world = _Counted(), World(policy=_policy())
    world.tables = Tables.over(memory)
    for number in range(orders):
        world.shop.place(_order(number))
    world.shop.sync()
    world.poll()
    return memory.written, memory.requests


def _policy() -> Policy:
    zone = time_zone("UTC")
    rules = DeadlineRules.of(ShopSettings(), zone=zone, late_warning_hours=24, stuck_days=0)
    return Policy(statuses=WATCHED.statuses, deadlines=rules)


def _order(number: int) -> dict[str, Any]:
    status = "exception" if number % IN_EXCEPTION == 0 else "open" if number % OPEN == 1 else "fulfilled"
    line = {"product_id": "p1", "product_sku": "SKU-1", "quantity": 1}
    ship_by = {"latest_ship_date": "2026-02-01T17:00:00Z"} if status == "open" else {}
    return {"id": str(number), "order_number": f"#{number}", "status": status, "line_items": [line], **ship_by}
