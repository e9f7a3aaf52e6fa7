"""The requests of one poll and of the alerts that it wrote, counted where they leave: by hooks of botocore and httpx.

The clients are boto3's own. DynamoDB's answers come from memory, SNS's from moto, Trackstar's from the simulated shop.
"""

import json
import math
from collections import Counter
from dataclasses import dataclass
from io import BytesIO
from itertools import batched
from typing import TYPE_CHECKING, Any, cast

import boto3
import httpx
from botocore import xform_name
from botocore.awsrequest import AWSPreparedRequest, AWSResponse
from moto import mock_aws
from pydantic import SecretStr

from orderwatch.alerts.alert import AlertKey
from orderwatch.aws.dynamodb import to_item
from orderwatch.aws.sns import AlertTopic
from orderwatch.publishing.enrich import ProductDetails
from orderwatch.reading.policy import Policy
from orderwatch.trackstar.client import PAGE_SIZE, ConnectionClient, Trackstar
from orderwatch_local.simulator import ShopTransport
from orderwatch_local.simulator.script import API_KEY
from tests.support.cloud import Tables
from tests.support.memory_dynamodb import MemoryDynamoDB
from tests.support.polls import WATCHED, poll
from tests.support.sending import ProductsOf, send
from tests.support.world import World

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

RECORDS_A_BATCH = 100
"""Records of the stream that publish_alerts gets at once (template.yaml)."""


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
        products_warm: Of sending them once more in the same process; not tried where there are no products.
    """

    poll: Counter[str]
    trackstar: Counter[str]
    publishing: Counter[str]
    products_cold: Counter[str]
    products_warm: Counter[str]


def count_requests(case: Case, *, policy: Policy = WATCHED) -> Counted:
    """Let the orders change, poll once and send the alerts in batches as the stream delivers them."""
    with mock_aws():
        counter = _Counter()
        world, tables = _world(case, counter, policy)
        shop = counter.shop(world)
        products = ProductDetails(ProductsOf(lambda _: shop))
        topic = AlertTopic(counter.aws("sns"), _topic_arn())

        def send_all(keys: list[AlertKey]) -> None:
            for batch in batched(keys, RECORDS_A_BATCH, strict=False):
                send(
                    batch,
                    outbox=tables.alerts,
                    topic=topic,
                    products=products,
                    digest_threshold=case.alerts,
                )

        counter.take()
        poll(shop, tables.store, world.shop.connection_id, policy=policy)
        polled = counter.take()
        keys = [alert.key for alert in world.new_alerts()]
        assert len(keys) == case.alerts
        send_all(keys)
        sent = counter.take()
        again = keys if case.products else []
        _make_pending(tables, again)
        counter.take()
        send_all(again)
        sent_again = counter.take()
    return Counted(
        poll=_of_aws(polled),
        trackstar=_of_trackstar(polled),
        publishing=_of_aws(sent),
        products_cold=_of_trackstar(sent),
        products_warm=_of_trackstar(sent_again),
    )


def _world(case: Case, counter: "_Counter", policy: Policy) -> tuple[World, Tables]:
    """A shop whose orders are known, and have changed since."""
    world, memory = World(), MemoryDynamoDB()
    known = Tables.over(memory)
    world.tables = known
    product_ids = [f"p{number}" for number in range(case.products)]
    world.shop.sync()
    for number in range(case.unchanged + case.changed):
        mine = product_ids[number :: case.alerts] if number < case.alerts else []
        lines = [{"product_id": each, "product_sku": each, "quantity": 1} for each in mine]
        world.shop.place({"id": str(number), "order_number": f"#{number}", "status": "open", "line_items": lines})
    world.shop.sync()
    world.poll(policy=policy)
    world.new_alerts()
    world.pass_time()
    for number in range(case.changed):
        world.shop.move(str(number), "exception" if number < case.alerts else "confirmed")
    world.shop.sync()
    return world, known.through(counter.dynamodb(memory))


class _Counter:
    """Clients whose every request is counted."""

    def __init__(self) -> None:
        self._seen: Counter[str] = Counter()

    def take(self) -> Counter[str]:
        """The counts since the last call."""
        seen, self._seen = self._seen, Counter()
        return seen

    def aws(self, service: Any) -> Any:
        """A client of boto3."""
        client = _client(service)
        client.meta.events.register(f"before-send.{service}", self._count_aws)
        return client

    def dynamodb(self, memory: MemoryDynamoDB) -> "DynamoDBClient":
        """A boto3 client with a table in memory behind it."""
        client = _client("dynamodb", endpoint_url="https://dynamodb.invalid")  # without moto's own handlers

        def answer(event_name: str, request: AWSPreparedRequest, **_: Any) -> AWSResponse:
            self._count_aws(event_name)
            operation = getattr(memory, xform_name(event_name.rpartition(".")[2]))
            asked = json.loads(cast("bytes", request.body))
            asked.pop("ClientRequestToken", None)  # botocore's own, for its retries
            body = json.dumps(operation(**asked)).encode()
            headers: Any = {"content-type": "application/x-amz-json-1.0"}
            return AWSResponse(request.url, 200, headers, _Raw(body))

        client.meta.events.register("before-send.dynamodb", answer)
        return cast("DynamoDBClient", client)

    def shop(self, world: World) -> ConnectionClient:
        """Our client for the shop."""
        trackstar = Trackstar("https://trackstar.invalid", transport=ShopTransport(world.trackstar))
        trackstar._http.event_hooks = {"request": [self._count_http]}
        return trackstar.client_of(
            world.shop.connection_id,
            api_key=SecretStr(API_KEY),
            access_token=SecretStr(world.shop.access_token),
            seconds_left=lambda: 60.0,
        )

    def _count_aws(self, event_name: str, **_: Any) -> None:
        self._seen[event_name.removeprefix("before-send.")] += 1

    def _count_http(self, request: httpx.Request) -> None:
        self._seen[request.url.path] += 1


class _Raw(BytesIO):
    """A body as botocore reads it."""

    def stream(self, **_: Any) -> Any:
        yield self.read()


def _client(service: Any, **options: Any) -> Any:
    keys = {"aws_access_key_id": "testing", "aws_secret_access_key": "testing"}
    client: Any = boto3.client
    return client(service, region_name="us-east-1", **keys, **options)


def _topic_arn() -> str:
    return str(_client("sns").create_topic(Name="alerts")["TopicArn"])


def _make_pending(tables: Tables, keys: list[AlertKey]) -> None:
    """As docs/operations.md says how to send an alert again."""
    for key in keys:
        tables.client.update_item(
            TableName=tables.names["AlertTable"],
            Key=to_item(key._asdict()),
            ConditionExpression="attribute_exists(alert_id)",
            UpdateExpression="SET #state = :pending, pending = :pending REMOVE expires_at",
            ExpressionAttributeNames={"#state": "state"},
            ExpressionAttributeValues={":pending": {"S": "pending"}},
        )


def _of_aws(seen: Counter[str]) -> Counter[str]:
    return Counter({name: count for name, count in seen.items() if not name.startswith("/")})


def _of_trackstar(seen: Counter[str]) -> Counter[str]:
    return Counter({name: count for name, count in seen.items() if name.startswith("/")})
