"""What orderwatch costs a month: requests counted in a simulated day, times the published prices.

`python -m bench.cost docs/operations.md` puts the small table between its two marks. The requests are
counted at the real adapters; what is assumed instead of counted is a constant below, and the text names it.
"""

import io
import json
import math
import sys
import time
from collections import Counter, defaultdict
from collections.abc import Callable
from contextlib import redirect_stdout
from dataclasses import dataclass, field, replace
from pathlib import Path

import httpx

from bench.metered_dynamodb import MeteredDynamoDB
from bench.prices import DAYS_A_MONTH, PRICES, SECONDS, billed, standing_parts, used_parts
from bench.report import Say, Section, Target, markdown
from bench.storm import Storm, sent
from orderwatch.alerts.alert import AlertKey
from orderwatch.aws.alert_table import HELD_PARTITIONS, PENDING_PARTITIONS
from orderwatch.observability import logger, metrics
from orderwatch.polling.metrics import PollMetrics
from orderwatch.polling.schedule import poll_reason
from orderwatch.publishing.publish import PublishMetrics
from orderwatch.reading.cursor import Now
from orderwatch.trackstar.connections import TrackstarConnection
from orderwatch_local.simulator import ShopTransport
from tests.support.cloud import Tables
from tests.support.polls import WATCHED
from tests.support.recording_sns import RecordingSns
from tests.support.sending import send
from tests.support.world import MINUTE, World

SHOPS = (1, 20, 500, 5_000)
PROCESSES = {1: 1, 20: 5, 500: 5, 5_000: 25}
"""Of poll_orders: `PollConcurrency`, as docs/scale.md advises."""
PROCESSES_A_DAY = 12
"""Assumed: Lambda ends a process after two hours."""
ORDERS = (100, 1_000, 10_000)
"""New orders a day and shop."""
ORDERS_A_DAY = (100, 1_000)
"""Those of the small table."""
STORM = Storm(1, 1_000)

TICKS_AN_HOUR = 60
TICKS_A_DAY = 24 * TICKS_AN_HOUR
REDRIVES_A_DAY = 96
LISTINGS_A_DAY = 96
NAMES, LISTED, MESSAGES = 50, 1000, 10
"""Of one request of a tick: names of parameters, connections, messages."""
ROW_BYTES = 750
"""Of a shop's row between two polls; a row of a shop that is being read has up to 80 KB more."""
SCANNED, SCAN_SECONDS = 1_000_000, 0.150
"""Bytes of one request of a scan, and the time that it is assumed to take."""
STATUSES = ("open", "confirmed", "processing", "fulfilled")
"""An order takes one an hour, each in that hour's sync."""
MAX_GAP = 15 * MINUTE
TROUBLED = 50
"""One order in this many is in exception instead of confirmed."""
IDLE_RECEIVES_A_DAY = 5 * 24 * 60 * 3
"""Lambda keeps five long polls of 20 seconds on a queue (AWS's documentation of SQS event sources)."""
PARAMETERS = 3
"""Of a shop: token, name and settings. A poll reads them without decryption."""
LOG_BYTES = 2_000
"""Assumed for every invocation."""

PROCESSOR_AN_INVOCATION, PROCESSOR_AN_ORDER = 0.010, 0.000_1
"""Assumed seconds of one whole core; `measure` holds them against what the polls of its day take."""
BEGIN, END = "<!-- cost -->", "<!-- end of cost -->"

TEXT = f"""\
US dollars a month for a whole stack at the prices of us-east-1 in November 2026, without a free tier: a tick a
minute that polls shops that may have changed, a sync of orders and products an hour, four statuses an order, one order
in {TROUBLED} in exception, digests above five, one e-mail subscriber. The requests and DynamoDB units of one shop are
counted in a simulated day and multiplied by the number of shops. Assumptions: Lambda waits
{SECONDS["DynamoDB"] * 1e3:.0f} ms for DynamoDB, {SECONDS["SNS"] * 1e3:.0f} ms for SNS,
{SECONDS["SQS"] * 1e3:.0f} ms for SQS and SSM, and
{SECONDS["Trackstar"] * 1e3:.0f} ms for Trackstar. Processor time is {PROCESSOR_AN_INVOCATION * 1e3:.0f} ms an
invocation and {PROCESSOR_AN_ORDER * 1e3:.1f} ms an order on one core; a target compares it with the day's measured
time. Functions are warm and log {LOG_BYTES / 1e3:.0f} KB an invocation. A tick scans the rows of all shops, of
{ROW_BYTES} bytes each. A process of Lambda is assumed to live for {24 // PROCESSES_A_DAY} hours and to decrypt the API
key and each token that it needs once; polls spread evenly over the processes ({
    ", ".join(f"{PROCESSES[shops]} for {shops:,} shops" for shops in SHOPS)
}). Storage, backups and DynamoDB's encryption are not included. The Parameter Store is free with standard parameters
and standard throughput. With higher throughput each parameter that is read costs: a shop's {PARAMETERS} at each poll.

The naive design polls as often, reads the same pages and sends the same alerts. For every order on a page it makes
one GetItem and one PutItem, one after the other, even if the order has not changed. For every alert and for the
connection's row it makes one plain PutItem. Nothing is atomic. Only its DynamoDB units and its wait for DynamoDB
differ. The ratio is not smaller because a transactional write costs twice a plain one, and because alarms and the
dashboard are most of the cost of a small stack.

A metric is charged for the hours in which it is sent (the hours of several shops are assumed to be independent),
and an alarm for each metric that it watches."""


class _TimedTransport(ShopTransport):
    """Measures how long the simulated vendor itself works.

    Attributes:
        requests: How many came.
        seconds: Of the processor, in all.
    """

    requests = 0
    seconds = 0.0

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        begun = time.process_time()
        response = super().handle_request(request)
        self.requests += 1
        self.seconds += time.process_time() - begun
        return response


@dataclass
class Usage:
    """What a day of one shop takes.

    Attributes:
        polls: What its polls take of DynamoDB and of Lambda's time, by the name of the price.
        naive_polls: What those of the naive design would take.
        rest: All else, which is the same for both.
        asked: How many polls there are.
        hours: The hours of the day in which each metric is sent.
        processor: Seconds that the polls kept the processor busy, the tables in memory included.
        processor_assumed: Seconds that are assumed for them.
    """

    polls: Counter[str] = field(default_factory=Counter)
    naive_polls: Counter[str] = field(default_factory=Counter)
    rest: Counter[str] = field(default_factory=Counter)
    asked: int = 0
    hours: defaultdict[str, set[int]] = field(default_factory=lambda: defaultdict(set))
    processor: float = 0.0
    processor_assumed: float = 0.0


class Day:
    """A day of one shop: a sync an hour, a tick a minute that polls what may have moved, alerts sent as they come.

    Args:
        orders: New orders a day.
    """

    def __init__(self, orders: int) -> None:
        self._orders = orders
        self._usage = Usage()
        self._memory, self._sns = MeteredDynamoDB(), RecordingSns()
        self._world = World(policy=replace(WATCHED, restock_alerts=True))
        self._world.tables = Tables.over(self._memory)
        self._transport = _TimedTransport(self._world.trackstar)

    def play(self) -> Usage:
        """Play it, after some hours in which its first orders take their first statuses."""
        self._world.poll()
        self._world.new_alerts()
        for hour in range(-len(STATUSES), 0):
            self._play_hour(hour)
        self._usage = Usage()
        for hour in range(24):
            self._play_hour(hour)
        return self._usage

    def _play_hour(self, hour: int) -> None:
        self._hour = hour
        self._sync(hour)
        for _ in range(TICKS_AN_HOUR):
            self._tick()

    def _sync(self, hour: int) -> None:
        shop = self._world.shop
        for number in self._placed_in(hour):
            shop.place({"id": str(number), "order_number": f"#{number}", "status": STATUSES[0]})
        for age, status in enumerate(STATUSES[1:], start=1):
            for number in self._placed_in(hour - age):
                shop.move(str(number), "exception" if age == 1 and number % TROUBLED == 0 else status)
        shop.sync()

    def _placed_in(self, hour: int) -> range:
        if hour < -len(STATUSES):
            return range(0)
        return range(self._orders * hour // 24, self._orders * (hour + 1) // 24)

    def _tick(self) -> None:
        self._world.pass_time(MINUTE)
        if not self._is_wanted():
            return
        self._usage.asked += 1
        made = self._meter()
        summary = self._poll()
        self._count_metrics(summary)
        requests, units = made()
        waited = requests["Trackstar"] * SECONDS["Trackstar"]
        processor = PROCESSOR_AN_INVOCATION + PROCESSOR_AN_ORDER * summary.orders
        self._usage.processor_assumed += processor
        self._usage.polls += units
        waited_in_all = waited + requests["DynamoDB"] * SECONDS["DynamoDB"]
        self._usage.polls["MB-milliseconds"] += billed(waited_in_all, processor, megabytes=512)
        self._add_naive_poll(summary, waited, processor)
        self._add_invocation()
        self._usage.rest["SQS requests"] += 2  # received and deleted; dispatch_polls sends them in batches of ten
        if keys := [alert.key for alert in self._world.new_alerts()]:
            self._send(keys)
            self._usage.rest["KMS requests"] += 1  # the token; a shard's batches of one shop are hours apart
            self._usage.rest["parameters"] += PARAMETERS

    def _is_wanted(self) -> bool:
        listed = TrackstarConnection.model_validate(self._world.shop.connection())
        now = Now(self._world.vendor_clock.now(), self._world.our_clock.now())
        return poll_reason(self._world.state(), listed, now=now, max_gap=MAX_GAP) is not None

    def _poll(self) -> PollMetrics:
        begun, at_the_vendor = time.process_time(), self._transport.seconds
        summary = self._world.poll(transport=self._transport)
        self._usage.processor += time.process_time() - begun - (self._transport.seconds - at_the_vendor)
        return summary

    def _add_naive_poll(self, summary: PollMetrics, waited: float, processor: float) -> None:
        requests = 2 + 2 * summary.orders + summary.alerts
        alert_units, self._memory.alert_units = self._memory.alert_units, 0
        self._usage.naive_polls["DynamoDB reads"] += 1 + summary.orders
        self._usage.naive_polls["DynamoDB writes"] += 1 + summary.orders + alert_units
        waited_in_all = waited + requests * SECONDS["DynamoDB"]
        self._usage.naive_polls["MB-milliseconds"] += billed(waited_in_all, processor, megabytes=512)

    def _send(self, keys: list[AlertKey]) -> None:
        made = self._meter()
        summary = send(keys, outbox=self._world.tables.alerts, topic=self._sns.topic)
        self._count_metrics(summary)
        requests, units = made()
        # The day's orders have no lines: one request for products is assumed.
        waited = SECONDS["Trackstar"] + sum(SECONDS[service] * count for service, count in requests.items())
        self._usage.rest += units
        self._usage.rest["SNS publishes"] += summary.messages
        self._usage.rest["SNS e-mails"] += summary.messages
        self._usage.rest["MB-milliseconds"] += billed(waited, PROCESSOR_AN_INVOCATION, megabytes=512)
        self._add_invocation()

    def _count_metrics(self, summary: PollMetrics | PublishMetrics) -> None:
        """What the summary's own report would send to CloudWatch."""
        with redirect_stdout(io.StringIO()) as out:
            summary.report()
            metrics.flush_metrics()
        for blob in (json.loads(line) for line in out.getvalue().splitlines() if line.startswith('{"_aws"')):
            [described] = blob["_aws"]["CloudWatchMetrics"]
            for metric in described["Metrics"]:
                self._usage.hours[f"{metric['Name']} {blob.get('kind', '')}"].add(self._hour)

    def _add_invocation(self) -> None:
        self._usage.rest["invocations"] += 1
        self._usage.rest["log bytes"] += LOG_BYTES

    def _meter(self) -> Callable[[], tuple[Counter[str], Counter[str]]]:
        """Count from now on: the requests by service, and DynamoDB's units."""
        requests, units = self._requests(), self._memory.units.copy()
        return lambda: (self._requests() - requests, self._memory.units - units)

    def _requests(self) -> Counter[str]:
        sns, trackstar = len(self._sns.batches), self._transport.requests
        return Counter({"DynamoDB": self._memory.requests, "SNS": sns, "Trackstar": trackstar})


def besides(shops: int, *, polls: int) -> Counter[str]:
    """A day's usage of a stack with these shops and polls, without the polls and alerts themselves."""
    asked = shops * polls / TICKS_A_DAY
    sent = max(asked / MESSAGES, min(asked, 1.0))
    looked = math.ceil(shops * ROW_BYTES / SCANNED) * SCAN_SECONDS + sent * SECONDS["SQS"]
    looked += math.ceil(shops / LISTED) * SECONDS["Trackstar"]
    listing = billed(math.ceil(PARAMETERS * shops / NAMES) * SECONDS["SSM"], 0, megabytes=256)
    dispatch = billed(looked, PROCESSOR_AN_INVOCATION + PROCESSOR_AN_ORDER * shops, megabytes=256)
    queries = len(PENDING_PARTITIONS) + len(HELD_PARTITIONS)
    redrive = billed((queries + 1) * SECONDS["DynamoDB"] + 2 * SECONDS["SNS"], PROCESSOR_AN_INVOCATION, megabytes=512)
    invocations = TICKS_A_DAY + REDRIVES_A_DAY
    day: dict[str, float] = {
        "Scheduler": invocations,
        "invocations": invocations,
        "MB-milliseconds": TICKS_A_DAY * dispatch + REDRIVES_A_DAY * redrive + LISTINGS_A_DAY * listing,
        "log bytes": invocations * LOG_BYTES,
        "SQS requests": IDLE_RECEIVES_A_DAY + TICKS_A_DAY * sent,
        "KMS requests": _decryptions(shops, polls),
        "parameters": PARAMETERS * shops * polls,
        # Neither read is consistent: 8 KB a unit.
        "DynamoDB reads": queries / 2 * REDRIVES_A_DAY + TICKS_A_DAY * shops * ROW_BYTES / 8192,
    }
    return Counter[str](day)


def _decryptions(shops: int, polls: int) -> float:
    """A day's decryptions: the API key once in each process of three functions, and each token that it needs.

    A process needs a token if one of its polls is of that shop; which one is chance.
    """
    polls_of_a_process = shops * polls / PROCESSES[shops] / PROCESSES_A_DAY
    tokens = shops * (1 - math.pow(1 - 1 / shops, polls_of_a_process))
    return PROCESSES_A_DAY * (PROCESSES[shops] * (1 + tokens) + 2)


def table() -> str:
    """The small tables in Markdown: the sums, and the parts of the first of them."""
    days = {orders: Day(orders).play() for orders in ORDERS_A_DAY}
    bills = {orders: [_bill(day.polls, day, shops) for shops in SHOPS] for orders, day in days.items()}
    fewest = bills[ORDERS_A_DAY[0]]
    columns = [f"{shops:,} shop{'s' if shops > 1 else ''}" for shops in SHOPS]
    sums = [[f"{orders:,}", *(f"{bill.total():,.2f}" for bill in each)] for orders, each in bills.items()]
    parts = [[part, *(f"{bill[part]:,.2f}" for bill in fewest)] for part in fewest[0]]
    throughput = [_higher_throughput(days[ORDERS_A_DAY[0]], shops) for shops in SHOPS]
    parts.append(
        ["Parameter Store, if throughput is raised (not in the sums)", *(f"{each:,.2f}" for each in throughput)]
    )
    tables = [
        markdown(["orders a day and shop", *columns], sums),
        markdown([f"parts at {ORDERS_A_DAY[0]}", *columns], parts),
        markdown([f"to send {STORM}", "DynamoDB requests", "write units", "of DynamoDB, $"], _storms()),
    ]
    return "\n\n".join(tables)


def _storms() -> list[list[str]]:
    """What leases and marks cost in transactions, as they are made, and one by one."""
    storms = {"100 alerts a request": sent(STORM), "one alert a request": sent(STORM, one_by_one=True)}
    return [
        [name, f"{each.requests:,}", f"{each.write_units:,}", f"{each.write_units * PRICES['DynamoDB writes']:.4f}"]
        for name, each in storms.items()
    ]


def measure(say: Say) -> Section:
    """Run the benchmark."""
    rows, targets = [], list[Target]()
    for orders in ORDERS:
        say(f"a day of {orders:,} orders")
        day = Day(orders).play()
        rows += [_row(orders, day, shops) for shops in SHOPS]
        targets.append(_processor_target(orders, day))
    return Section("Cost", TEXT, ["orders a day and shop", "shops", "orderwatch $", "naive $", "ratio"], rows, targets)


def _bill(polls: Counter[str], day: Usage, shops: int) -> Counter[str]:
    """A month of these shops, each with these polls and the rest of the day, by the parts of the bill."""
    used = besides(shops, polls=day.asked)
    for unit, count in (polls + day.rest).items():
        used[unit] += shops * count
    hours = {metric: len(hours) for metric, hours in day.hours.items()}
    return standing_parts(hours, shops=shops) + used_parts(used)


def _higher_throughput(day: Usage, shops: int) -> float:
    """What the Parameter Store costs a month with higher throughput."""
    read: float = besides(shops, polls=day.asked)["parameters"] + shops * day.rest["parameters"]
    return DAYS_A_MONTH * PRICES["parameters"] * read


def _row(orders: int, day: Usage, shops: int) -> list[str]:
    ours, naive = _bill(day.polls, day, shops).total(), _bill(day.naive_polls, day, shops).total()
    return [f"{orders:,}", f"{shops}", f"{ours:,.2f}", f"{naive:,.2f}", f"{ours / naive:.2f}"]


def _processor_target(orders: int, day: Usage) -> Target:
    what = f"cost: processor time of a day's polls, {orders:,} orders"
    holds = day.processor <= day.processor_assumed
    return Target(what, f"{day.processor:.1f} s", f"at most the assumed {day.processor_assumed:.1f} s", holds)


def main() -> None:
    """Put the small table into the document that the command line names."""
    logger.setLevel("CRITICAL")
    path = Path(sys.argv[1])
    before, _, rest = path.read_text(encoding="utf-8").partition(BEGIN)
    _, _, after = rest.partition(END)
    path.write_text(f"{before}{BEGIN}\n{table()}\n{END}{after}", encoding="utf-8")


if __name__ == "__main__":
    main()
