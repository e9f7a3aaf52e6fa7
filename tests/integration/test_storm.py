"""A storm: 5,000 orders of one shop change in one poll; every channel stays within its limits (rules 12 and 17)."""

from collections import Counter, deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import batched, pairwise
from typing import Any

import pytest

from functions.post_to_slack import app as post_to_slack
from orderwatch import clock
from orderwatch.alerts.alert import Alert, AlertKey
from orderwatch.aws.rate_limit import MILLISECOND, SLACK_LIMIT, TOPIC_LIMIT, RateLimiter, Row
from orderwatch.aws.sns import AlertTopic
from orderwatch.publishing.enrich import ProductDetails
from orderwatch.rendering import slack
from orderwatch_local.simulator import Shop
from tests.support.clocks import FakeClock, running_on
from tests.support.memory_dynamodb import MemoryDynamoDB
from tests.support.recording_sns import ARN, RecordingSns, alert_ids_in
from tests.support.sending import ProductsOf, send
from tests.support.template import load_template
from tests.support.world import World
from tests.unit.test_messages_slack import assert_within_limits

ORDERS = 5_000
PRODUCTS = 10
STREAM_BATCH = 100
TEN_MINUTES = 600.0
SNS_REQUEST, SLACK_REQUEST = 0.02, 0.3
"""Seconds that a request takes."""


@dataclass
class Storm:
    """The messages that were sent, with their times.

    Attributes:
        keys: The alerts that the poll wrote.
        begins_at: The time of the first batch of the stream.
        sent: The JSON of each message with the time at which SNS accepted it.
        product_requests: Requests for products.
    """

    keys: list[AlertKey]
    begins_at: float
    sent: list[tuple[float, dict[str, Any]]] = field(default_factory=list)
    product_requests: int = 0


class TimedSns(RecordingSns):
    """SNS whose requests take time; records when it accepted each message."""

    def __init__(self, fake_clock: FakeClock) -> None:
        super().__init__()
        self._clock = fake_clock
        self.sent: list[tuple[float, dict[str, Any]]] = []

    def publish_batch(self, **request: Any) -> dict[str, Any]:
        self._clock.seconds += SNS_REQUEST
        known = len(self.taken)
        answer = super().publish_batch(**request)
        self.sent += [(self._clock.seconds, body) for body in self.taken[known:]]
        return answer


def stormy_world(statuses: tuple[str, ...]) -> World:
    """A shop whose orders, all of them known, take these statuses in turn between two polls."""
    world = World()
    products = [{"id": f"p{n}", "sku": f"SKU-{n}", "name": f"Product {n}", "inventory": n} for n in range(PRODUCTS)]
    shop = Shop("conn_a", access_token="token-of-conn_a", clock=world.vendor_clock, products=products)
    world.shops["conn_a"] = shop
    world.trackstar.connect(shop)
    for number in range(ORDERS):
        shop.place(_order(number))
    shop.sync()
    world.poll()
    world.new_alerts()
    world.pass_time()
    for number in range(ORDERS):
        shop.move(str(number), statuses[number % len(statuses)])
    shop.sync()
    world.poll()
    return world


def _order(number: int) -> dict[str, object]:
    line = {"product_id": f"p{number % PRODUCTS}", "product_sku": f"SKU-{number % PRODUCTS}", "quantity": 1}
    totals = {"total_price": 10, "invoice_currency_code": "EUR" if number % 2 else "USD"}
    url = f"https://shop.example/admin/orders/{number:07}"
    return {"id": str(number), "status": "open", "line_items": [line], "external_system_url": url, **totals}


@pytest.fixture(scope="module")
def storm() -> Storm:
    world = stormy_world(("exception", "backordered", "cancelled"))
    fake_clock = FakeClock()
    clock.use(fake_clock)
    sns, products = TimedSns(fake_clock), ProductDetails(ProductsOf(lambda _: world.client()))
    topic = AlertTopic(sns.as_client(), ARN)
    storm = Storm([alert.key for alert in world.new_alerts()], begins_at=fake_clock.seconds, sent=sns.sent)
    before = len(world.queries("/cart/products"))
    for batch in batched(storm.keys, STREAM_BATCH, strict=False):
        summary = send(batch, outbox=world.tables.alerts, topic=topic, products=products)
        assert summary.unsent_keys == []
    storm.product_requests = len(world.queries("/cart/products")) - before
    return storm


def most_in_a_second(moments: list[float]) -> int:
    window: deque[float] = deque()
    most = 0
    for moment in sorted(moments):
        window.append(moment)
        while window[0] <= moment - 1 + MILLISECOND:
            window.popleft()
        most = max(most, len(window))
    return most


def test_every_order_of_a_storm_is_in_exactly_one_message(storm: Storm) -> None:
    copies = Counter(alert_id for _, body in storm.sent for alert_id in alert_ids_in(body))
    assert len(storm.keys) == ORDERS
    assert copies == Counter(key.alert_id for key in storm.keys)


def test_the_digests_of_a_storm_have_values_and_stock(storm: Storm) -> None:
    digests = [body["digest"] for _, body in storm.sent]
    assert all(digest["count"] == len(digest["orders"]) for digest in digests)
    assert sum(sum(digest["value_by_currency"].values()) for digest in digests) == 10 * ORDERS
    assert all(digest["products"][0]["on_hand"] is not None for digest in digests)


def test_a_storm_sends_at_most_five_messages_a_second(storm: Storm) -> None:
    assert most_in_a_second([moment for moment, _ in storm.sent]) <= TOPIC_LIMIT.messages


def test_a_storm_requests_its_products_once(storm: Storm) -> None:
    assert storm.product_requests == 1


# Slack


SLACK_QUEUE = load_template()["Resources"]["SlackQueue"]["Properties"]
SLACK_FUNCTION = load_template()["Resources"]["PostToSlackFunction"]["Properties"]
MAPPING = SLACK_FUNCTION["Events"]["SlackQueue"]["Properties"]
POSTERS = MAPPING["ScalingConfig"]["MaximumConcurrency"]


class Poster:
    """One concurrent invocation of post_to_slack, with the shared rate limiter."""

    def __init__(self, dynamodb: MemoryDynamoDB, begins_at: float) -> None:
        self.fake_clock = FakeClock()
        self.fake_clock.seconds = begins_at
        self._rate_limiter = RateLimiter(SLACK_LIMIT, Row(dynamodb.as_client(), "slack", "pace"))
        self._batch: list[dict[str, Any]] = []
        self._ends_at = 0.0

    def post(self, queue: Iterator[dict[str, Any]]) -> tuple[float, dict[str, Any]] | None:
        """Post the next message of its batch, or of the next batch; None if the queue is empty."""
        if not self._batch:
            self._batch = [body for _, body in zip(range(MAPPING["BatchSize"]), queue, strict=False)]
            self._ends_at = self.fake_clock.seconds + SLACK_FUNCTION["Timeout"] - post_to_slack.STOP_BEFORE
        if not self._batch:
            return None
        with running_on(self.fake_clock):
            assert self._rate_limiter.acquire(within=self._ends_at - self.fake_clock.seconds), (
                "the message stays in the queue"
            )
        posted = (self.fake_clock.seconds, self._batch.pop(0))
        self.fake_clock.seconds += SLACK_REQUEST
        return posted


def post_all(storm: Storm) -> list[tuple[float, dict[str, Any]]]:
    dynamodb = MemoryDynamoDB()
    dynamodb.create_table(TableName="slack", KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}])
    queue = iter([body for _, body in storm.sent])
    posters = [Poster(dynamodb, storm.sent[0][0]) for _ in range(POSTERS)]
    posted = []
    while posters:
        earliest = min(posters, key=lambda poster: poster.fake_clock.seconds)
        if message := earliest.post(queue):
            posted.append(message)
        else:
            posters.remove(earliest)
    return posted


def test_a_storm_posts_one_slack_message_a_second(storm: Storm) -> None:
    posted = post_all(storm)
    moments = sorted(moment for moment, _ in posted)
    assert min(later - earlier for earlier, later in pairwise(moments)) >= 0.998
    assert len(posted) == len(storm.sent)


def test_the_whole_storm_is_delivered_within_ten_minutes(storm: Storm) -> None:
    assert max(moment for moment, _ in [*storm.sent, *post_all(storm)]) - storm.begins_at < TEN_MINUTES


def test_every_digest_names_all_its_orders_within_slacks_limits(storm: Storm) -> None:
    for _, body in storm.sent:
        message = slack.blocks(Alert.model_validate(body))
        assert_within_limits(message)
        assert all(f"#{order['number']}: " in str(message.blocks) for order in body["digest"]["orders"])


def test_a_slack_batch_is_posted_within_one_invocation() -> None:
    assert MAPPING["BatchSize"] * POSTERS <= SLACK_FUNCTION["Timeout"] - post_to_slack.STOP_BEFORE


def test_half_an_hour_without_slack_loses_no_alert() -> None:
    tries = SLACK_QUEUE["RedrivePolicy"]["maxReceiveCount"]
    assert tries * SLACK_QUEUE["VisibilityTimeout"] >= 30 * 60
