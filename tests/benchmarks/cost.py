"""What orderwatch costs a month: requests counted in a simulated day, times the published prices.

`python -m tests.benchmarks.cost docs/operations.md` puts the table between its two marks. The requests are counted at
the real adapters; what is assumed instead of counted is a constant below, and the document names it.
"""

import json
import math
import sys
from collections import Counter, defaultdict
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from orderwatch.observability import logger
from tests.support.cloud import Tables
from tests.support.memory_dynamodb import MemoryDynamoDB
from tests.support.recording_sns import RecordingSns
from tests.support.sending import send
from tests.support.template import load_template
from tests.support.world import TICK, World

DAYS_A_MONTH = 30
TICKS_A_DAY = 288
REDRIVES_A_DAY = 96
TROUBLED = 50
"""One order in so many falls into exception."""
IDLE_RECEIVES_A_DAY = 5 * 24 * 60 * 3
"""Lambda keeps five long polls of 20 seconds on a queue (AWS's documentation of SQS event sources)."""
SECONDS = 1.0
"""Assumed for every invocation."""
LOG_BYTES = 2_000
"""Assumed for every invocation."""

METRICS = 23
"""Names of custom metrics that the code emits; CloudWatch bills one with a dimension for each value that occurs."""
BEGIN, END = "<!-- cost -->", "<!-- end of cost -->"

# As published for us-east-1 and known in November 2026; no free tier is taken off.
PRICES = {
    "DynamoDB writes": 0.625e-6,
    "DynamoDB reads": 0.125e-6,
    "Lambda GB-seconds": 13.3334e-6,
    "Lambda requests": 0.2e-6,
    "SQS requests": 0.5e-6,
    "Scheduler": 1e-6,
    "SNS publishes": 0.5e-6,
    "SNS e-mails": 20e-6,
    "log bytes": 0.5e-9,
}
"""US dollars a unit: arm64, DynamoDB on demand, FIFO queues, one subscriber by e-mail."""
ALARM, METRIC = 0.10, 0.30
"""US dollars a month for each alarm and each custom metric, whatever the number of shops."""


class MeteredDynamoDB(MemoryDynamoDB):
    """Counts request units: a transaction writes at twice the price, a read is consistent."""

    def __init__(self) -> None:
        super().__init__()
        self.units: Counter[str] = Counter()

    def _units(self, what: str, item: Any, kilobytes: int, times: int = 1) -> None:
        size = len(json.dumps(item, default=str))
        self.units[what] += times * max(1, math.ceil(size / 1024 / kilobytes))

    def get_item(self, **request: Any) -> dict[str, Any]:
        answer = super().get_item(**request)
        self._units("DynamoDB reads", answer.get("Item"), 4)
        return answer

    def batch_get_item(self, **request: Any) -> dict[str, Any]:
        answer = super().batch_get_item(**request)
        wanted = sum(len(each["Keys"]) for each in request["RequestItems"].values())
        found = [item for items in answer["Responses"].values() for item in items]
        self.units["DynamoDB reads"] += wanted - len(found)
        for item in found:
            self._units("DynamoDB reads", item, 4)
        return answer

    def transact_write_items(self, **request: Any) -> dict[str, Any]:
        for action in request["TransactItems"]:
            self._units("DynamoDB writes", next(iter(action.values())), 1, times=2)
        return super().transact_write_items(**request)

    def update_item(self, **request: Any) -> dict[str, Any]:
        # The row that is rewritten, and the entry of the index that comes or goes with it.
        self.units["DynamoDB writes"] += 3
        return super().update_item(**request)


@dataclass
class Day:
    """A day of one shop.

    Attributes:
        orders: New orders a day.
        units: What was counted, by the name of its price.
    """

    orders: int
    units: defaultdict[str, float] = field(default_factory=lambda: defaultdict(float))

    def play(self) -> None:
        """Play it: a sync an hour, a poll every five minutes, each alert sent when it comes."""
        world, memory, sns = World(), MeteredDynamoDB(), RecordingSns()
        world.tables = Tables.over(memory, world.our_clock.now)
        world.poll()
        memory.units.clear()
        for tick in range(TICKS_A_DAY):
            if tick % 12 == 0:
                self._hour(world, tick // 12)
            world.pass_time(TICK)
            self._count_invocation(gigabytes=0.5)
            world.poll()
            if told := [alert.alert_id for alert in world.told()]:
                self._count_invocation(gigabytes=0.5)
                summary = send(told, outbox=world.tables.alerts, topic=sns.topic)
                self.units["SNS publishes"] += summary.messages
                self.units["SNS e-mails"] += summary.messages
        for what, count in memory.units.items():
            self.units[what] += count
        self.units["SQS requests"] += 3 * TICKS_A_DAY

    def _hour(self, world: World, hour: int) -> None:
        for age, status in enumerate(("open", "confirmed", "processing", "fulfilled")):
            for number in range(self.orders // 24):
                order_id = f"{hour - age}-{number}"
                if age == 0:
                    world.shop.place({"id": order_id, "order_number": f"#{order_id}", "status": "open"})
                elif hour >= age:
                    troubled = age == 1 and (hour * (self.orders // 24) + number) % TROUBLED == 0
                    world.shop.move(order_id, "exception" if troubled else status)
        world.shop.sync()

    def _count_invocation(self, *, gigabytes: float) -> None:
        self.units["Lambda requests"] += 1
        self.units["Lambda GB-seconds"] += gigabytes * SECONDS
        self.units["log bytes"] += LOG_BYTES


def a_month_of(units: dict[str, float]) -> float:
    """What a day's units cost in a month, in US dollars."""
    return DAYS_A_MONTH * sum(PRICES[what] * count for what, count in units.items())


def whatever_the_shops() -> float:
    """What a stack costs a month before its first shop, in US dollars."""
    invocations = TICKS_A_DAY + REDRIVES_A_DAY
    requests = {
        "Scheduler": invocations,
        "Lambda requests": invocations,
        "Lambda GB-seconds": invocations * 0.25 * SECONDS,
        "log bytes": invocations * LOG_BYTES,
        "SQS requests": IDLE_RECEIVES_A_DAY,
        "DynamoDB reads": REDRIVES_A_DAY,
    }
    resources = load_template()["Resources"].values()
    alarms = sum(1 for each in resources if each["Type"] == "AWS::CloudWatch::Alarm")
    return a_month_of(requests) + ALARM * alarms + METRIC * METRICS


def table() -> str:
    """The table in Markdown."""
    fixed, rows = whatever_the_shops(), []
    for orders in (120, 1200):
        day = Day(orders)
        day.play()
        shop = a_month_of(day.units)
        rows += [f"| {orders:,} | {shop:.2f} | {fixed + shop:.2f} | {fixed + 20 * shop:.2f} |"]
    head = [
        "| orders a day and shop | each shop | stack with 1 shop | stack with 20 shops |",
        "| --- | --- | --- | --- |",
    ]
    return "\n".join([*head, *rows])


def main() -> None:
    """Put the table into the document that the command line names."""
    logger.setLevel("CRITICAL")
    path = Path(sys.argv[1])
    before, _, rest = path.read_text(encoding="utf-8").partition(BEGIN)
    _, _, after = rest.partition(END)
    path.write_text(f"{before}{BEGIN}\n{table()}\n{END}{after}", encoding="utf-8")


if __name__ == "__main__":
    main()
