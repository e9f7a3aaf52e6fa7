"""A storm: how long its alerts take from the stream to SNS, and what they take of DynamoDB."""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from bench.meter import Meter
from bench.metered_dynamodb import LATENCY, MeteredDynamoDB
from bench.prices import SECONDS
from bench.report import Say, Section, Target
from orderwatch.alerts.alert import AlertKey
from orderwatch.aws.rate_limit import TOPIC_LIMIT, RateLimiter, Row
from orderwatch.aws.sns import AlertTopic
from orderwatch.publishing.enrich import ProductDetails
from orderwatch.trackstar.products import Product
from tests.support.alerts import alert_of
from tests.support.clocks import NOON, running_on
from tests.support.cloud import Tables
from tests.support.recording_sns import ARN, RecordingSns
from tests.support.sending import send
from tests.support.template import load_template

ROUNDS = range(3)
ADDED = SECONDS | {"DynamoDB": LATENCY}
"""Seconds of each request: those to SNS and Trackstar take as long as the cost section assumes."""
PRODUCTS = 40
"""Products of each shop; an order has two of them."""
PACE = TOPIC_LIMIT.messages / TOPIC_LIMIT.seconds
"""Messages a second."""
MAX_SECONDS, MAX_REQUESTS, MAX_RATIO = 20.0, 250, 1.05
_PUBLISH_ALERTS = load_template()["Resources"]["PublishAlertsFunction"]["Properties"]
TIMEOUT = float(_PUBLISH_ALERTS["Timeout"])
RECORDS_A_BATCH = int(_PUBLISH_ALERTS["Events"]["AlertStream"]["Properties"]["BatchSize"])
TEXT = f"""\
Alerts that are in AlertTable when the storm begins are sent by one warm `publish_alerts`, in batches of the stream of
up to {RECORDS_A_BATCH:,} records. Sending, rate limit and the adapters of DynamoDB and SNS are real; the services are
in memory, and the time inside them is subtracted. A virtual clock adds {LATENCY * 1e3:.0f} ms to each request
to DynamoDB, {SECONDS["SNS"] * 1e3:.0f} ms to each to SNS, {SECONDS["Trackstar"] * 1e3:.0f} ms to each to Trackstar, and
all waits for the topic's pace of {PACE:.0f} messages a second. Our own processor time counts as it is; the fastest of
{len(ROUNDS)} rounds counts. Every order has two of its shop's {PRODUCTS} products. The storm of one shop becomes
digests; the shops with five alerts each get a message an alert. For comparison, leases and marks are also made one by
one. A row of 1 to 2 KB takes four write units in a transaction and two in a request of its own. The poll that writes
the alerts is not included, and neither are DynamoDB's limits of a partition."""
HEAD = ("storm", "messages", "invocations", "seconds", "of them our own", "DynamoDB requests", "write units")


@dataclass(frozen=True)
class Storm:
    """Alerts that are sent at once.

    Attributes:
        shops: How many shops have alerts.
        alerts: How many alerts each of them has.
    """

    shops: int
    alerts: int

    def __str__(self) -> str:
        if self.shops == 1:
            return f"{self.alerts:,} alerts of one shop"
        return f"{self.shops * self.alerts:,} alerts of {self.shops} shops"


ONE_SHOP, MANY_SHOPS = Storm(1, 5_000), Storm(200, 5)


@dataclass(frozen=True)
class Sent:
    """What a storm took.

    Attributes:
        messages: Messages that SNS accepted.
        invocations: Invocations of publish_alerts.
        seconds: From the first record to the last mark, by the virtual clock.
        own: Seconds of them in our own code.
        requests: To DynamoDB.
        write_units: Of DynamoDB.
    """

    messages: int
    invocations: int
    seconds: float
    own: float
    requests: int
    write_units: int

    def row(self, storm: str) -> list[str]:
        """As cells."""
        times = [f"{self.seconds:,.1f}", f"{self.own:,.1f}"]
        return [
            storm,
            f"{self.messages:,}",
            f"{self.invocations}",
            *times,
            f"{self.requests:,}",
            f"{self.write_units:,}",
        ]


class _Clock:
    """The machine's clock without the time inside the services, and with all waits, which take no time.

    Args:
        meter: Measures the time inside the services.
    """

    def __init__(self, meter: Meter) -> None:
        self._meter, self._waited = meter, 0.0
        self._begun = self.monotonic()

    def now(self) -> datetime:
        return NOON + timedelta(seconds=self.monotonic() - self._begun)

    def monotonic(self) -> float:
        return self.own() + self._waited

    def sleep(self, seconds: float) -> None:
        self._waited += seconds

    def own(self) -> float:
        """Seconds outside of the services and waits."""
        return time.perf_counter() - self._meter.outside


@dataclass(frozen=True)
class _OneByOne:
    """A client of DynamoDB that makes the updates of a transaction one after the other, each as a request."""

    client: Any

    def __getattr__(self, name: str) -> Any:
        return getattr(self.client, name)

    def transact_write_items(self, **request: Any) -> None:
        for action in request["TransactItems"]:
            self.client.update_item(**action["Update"])


@dataclass(frozen=True)
class _Products:
    """The products of every shop, 100 a request."""

    clock: _Clock

    def products(
        self, connection_id: str, product_ids: Sequence[str], *, seconds_left: Callable[[], float]
    ) -> Mapping[str, Product]:
        self.clock.sleep(ADDED["Trackstar"])
        return {
            each: Product(id=each, sku=f"sku-{each}", name=f"Product {each}", inventory="1") for each in product_ids
        }


def measure(say: Say) -> Section:
    """Send both storms, and one of them with a request an alert."""
    one, many = _fastest(ONE_SHOP, say), _fastest(MANY_SHOPS, say)
    say(f"{ONE_SHOP}, leased and marked one by one")
    rows = {ONE_SHOP: one, f"{ONE_SHOP}, one by one": sent(ONE_SHOP, one_by_one=True), MANY_SHOPS: many}
    pace = MANY_SHOPS.shops * MANY_SHOPS.alerts / PACE
    targets = [
        Target(
            f"storm: {ONE_SHOP}", f"{one.seconds:.1f} s", f"at most {MAX_SECONDS:.0f} s", one.seconds <= MAX_SECONDS
        ),
        Target(
            f"storm: DynamoDB requests of {ONE_SHOP}",
            f"{one.requests}",
            f"at most {MAX_REQUESTS}",
            one.requests <= MAX_REQUESTS,
        ),
        Target.ratio(f"storm: {MANY_SHOPS}, over the topic's pace", many.seconds / pace, at_most=MAX_RATIO),
    ]
    return Section("A storm", TEXT, HEAD, [each.row(str(storm)) for storm, each in rows.items()], targets)


def _fastest(storm: Storm, say: Say) -> Sent:
    say(str(storm))
    return min((sent(storm) for _ in ROUNDS), key=lambda each: each.seconds)


def sent(storm: Storm, *, one_by_one: bool = False) -> Sent:
    """Write the alerts of a storm, send them, and count.

    Args:
        storm: The alerts.
        one_by_one: Whether each alert is leased and marked in a request of its own, for comparison.
    """
    memory, sns, meter = MeteredDynamoDB(), RecordingSns(), Meter()
    clock = _Clock(meter)
    meter.on_request = lambda service: clock.sleep(ADDED[service])
    with running_on(clock):
        tables = Tables.over(memory)
        keys = _written(storm, tables)
        requests, units = memory.requests, memory.units["DynamoDB writes"]
        metered = meter.client(memory, "DynamoDB")
        client: Any = _OneByOne(metered) if one_by_one else metered
        own, begun = clock.own(), clock.monotonic()
        invocations = _send(keys, tables.through(client), meter.client(sns, "SNS"), clock)
        return Sent(
            messages=len(sns.taken),
            invocations=invocations,
            seconds=clock.monotonic() - begun,
            own=clock.own() - own,
            requests=memory.requests - requests,
            write_units=memory.units["DynamoDB writes"] - units,
        )


def _written(storm: Storm, tables: Tables) -> list[AlertKey]:
    keys = []
    for number in range(storm.shops * storm.alerts):
        record = {"order_number": f"#{number}", "total_price": 49.9, "invoice_currency_code": "EUR"}
        products = (f"p{number % PRODUCTS}", f"p{(number + 1) % PRODUCTS}")
        shop = f"conn_{number // storm.alerts}"
        alert = alert_of(f"{number:024}", status="backordered", connection_id=shop, product_ids=products, record=record)
        tables.alerts.put(alert)
        keys.append(alert.key)
    return keys


def _send(keys: Sequence[AlertKey], tables: Tables, sns: Any, clock: _Clock) -> int:
    """Send as the stream invokes: from the first alert on that was not sent, a batch is given again."""
    row = Row(tables.client, tables.names["PaceTable"], ARN)
    topic = AlertTopic(sns, ARN, rate_limiter=RateLimiter(TOPIC_LIMIT, row))
    details, invocations = ProductDetails(_Products(clock)), 0
    for start in range(0, len(keys), RECORDS_A_BATCH):
        batch = keys[start : start + RECORDS_A_BATCH]
        while batch:
            invocations += 1
            ends_at = clock.monotonic() + TIMEOUT

            def seconds_left(ends_at: float = ends_at) -> float:
                return ends_at - clock.monotonic()

            result = send(batch, outbox=tables.alerts, topic=topic, products=details, seconds_left=seconds_left)
            unsent = set(result.unsent_keys)
            batch = batch[next((index for index, key in enumerate(batch) if key in unsent), len(batch)) :]
    return invocations
