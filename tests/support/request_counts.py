"""The requests of one poll and of the alerts that it wrote, counted at the clients of DynamoDB, SNS and Trackstar."""

import math
from collections import Counter
from collections.abc import Callable, Collection, Iterable
from copy import deepcopy
from dataclasses import dataclass, field
from itertools import batched
from types import SimpleNamespace
from typing import Any, cast

from orderwatch.aws.sns import AlertTopic
from orderwatch.publishing.enrich import ProductDetails
from orderwatch.reading.policy import Policy
from orderwatch.trackstar.orders import PAGE_SIZE
from orderwatch_local.simulator.mirror import Resource
from tests.support.cloud import Tables
from tests.support.polls import WATCHED, poll
from tests.support.recording_sns import ARN, RecordingSns
from tests.support.sending import ProductsOf, send
from tests.support.template import load_template
from tests.support.world import World

_STREAM = load_template()["Resources"]["PublishAlertsFunction"]["Properties"]["Events"]["AlertStream"]["Properties"]
RECORDS_A_BATCH: int = _STREAM["BatchSize"]
"""Records of the stream that publish_alerts gets at once."""


@dataclass(frozen=True)
class Case:
    """What a poll finds.

    Attributes:
        unchanged: Orders that are as they were.
        changed: Orders in another status.
        alerts: Those of them whose new status is watched.
        products: Distinct products of the alerted orders' lines.
    """

    unchanged: int
    changed: int
    alerts: int
    products: int = 0

    @property
    def pages(self) -> int:
        """Of the vendor's list."""
        return math.ceil((self.unchanged + self.changed) / PAGE_SIZE)

    @property
    def floor(self) -> int:
        """The fewest requests to DynamoDB of a design whose writes are atomic and that saves its progress each page."""
        orders, writes = self.unchanged + self.changed, self.changed + self.alerts + 1
        return 1 + math.ceil(orders / 100) + max(math.ceil(writes / 100), self.pages)

    def __str__(self) -> str:
        return f"{self.unchanged}-{self.changed}-{self.alerts}"


CASES = (Case(1000, 0, 0), Case(1000, 10, 2), Case(990, 10, 10), Case(0, 1000, 1000))
"""What is counted: one page each, but for the second, of 1,010 orders."""


@dataclass(frozen=True)
class Counted:
    """Requests by their operation or path.

    Attributes:
        poll: Of the poll, to DynamoDB.
        trackstar: Of the poll, to Trackstar.
        publishing: Of sending its alerts, to DynamoDB and SNS.
        products_cold: Of sending its alerts, to Trackstar.
        products_warm: Of sending them once more in the same process.
    """

    poll: Counter[str]
    trackstar: Counter[str]
    publishing: Counter[str]
    products_cold: Counter[str]
    products_warm: Counter[str]


def count_requests(case: Case, *, policy: Policy = WATCHED, synced: Collection[Resource] = tuple(Resource)) -> Counted:
    """Let the orders change, sync them, poll once and send the alerts in batches as the stream delivers them."""
    world = _changed_shop(case, policy, synced)
    asked: Counter[str] = Counter()
    tables = world.tables.through(cast("Any", _Counting("dynamodb", world.tables.client, asked)))
    poll(world.client(), tables.store, world.shop.connection_id, policy=policy)
    polled, of_poll = _taken(asked), _trackstar(world)
    keys = [alert.key for alert in world.new_alerts()]
    unsent = world.tables.through(deepcopy(world.tables.client))
    topic = AlertTopic(cast("Any", _Counting("sns", RecordingSns(), asked)), ARN)
    products = ProductDetails(ProductsOf(lambda _: world.client()))

    def send_all(outbox: Tables) -> Counter[str]:
        for batch in batched(keys, RECORDS_A_BATCH, strict=False):
            send(batch, outbox=outbox.alerts, topic=topic, products=products, digest_threshold=case.alerts)
        return _trackstar(world)

    cold = send_all(tables)
    published = _taken(asked)
    return Counted(polled, of_poll, published, products_cold=cold, products_warm=send_all(unsent))


def _changed_shop(case: Case, policy: Policy, synced: Collection[Resource]) -> World:
    """A shop whose orders are known, and have changed since."""
    world = World(policy=policy)
    product_ids = [f"p{number}" for number in range(case.products)]
    for number in range(case.unchanged + case.changed):
        mine = product_ids[number :: case.alerts] if number < case.alerts else []
        lines = [{"product_id": each, "product_sku": each, "quantity": 1} for each in mine]
        world.shop.place({"id": str(number), "order_number": f"#{number}", "status": "open", "line_items": lines})
    world.shop.sync()
    world.started().pass_time()
    for number in range(case.changed):
        world.shop.move(str(number), "exception" if number < case.alerts else "confirmed")
    world.shop.sync(synced)
    world.trackstar.requests.clear()
    return world


@dataclass
class _Counting:
    """A client of AWS that counts each request under its service and operation."""

    service: str
    client: Any
    asked: Counter[str]
    exceptions: Any = field(init=False)

    def __post_init__(self) -> None:
        self.exceptions = self.client.exceptions

    def __getattr__(self, operation: str) -> Callable[..., Any]:
        def request(**parameters: Any) -> Any:
            self._count(operation)
            return getattr(self.client, operation)(**parameters)

        return request

    def get_paginator(self, operation: str) -> Any:
        def paginate(**parameters: Any) -> Iterable[Any]:
            self._count(operation)
            return cast("Iterable[Any]", self.client.get_paginator(operation).paginate(**parameters))

        return SimpleNamespace(paginate=paginate)

    def _count(self, operation: str) -> None:
        self.asked[f"{self.service}.{operation.title().replace('_', '')}"] += 1


def _taken(asked: Counter[str]) -> Counter[str]:
    """The counts up to now; they begin again at none."""
    seen = Counter(asked)
    asked.clear()
    return seen


def _trackstar(world: World) -> Counter[str]:
    """The requests to Trackstar since the last call, by their path."""
    seen = Counter(exchange.path for exchange in world.trackstar.requests)
    world.trackstar.requests.clear()
    return seen
