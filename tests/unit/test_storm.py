"""A storm: all orders of a shop change in one poll; few messages name them all (rules 12 and 17)."""

from collections import Counter
from itertools import batched

from functions.post_to_slack import app as post_to_slack
from orderwatch import clock
from orderwatch.aws.rate_limit import TOPIC_LIMIT
from orderwatch.aws.sns import AlertTopic
from orderwatch.publishing.enrich import ProductDetails
from orderwatch_local.simulator import Shop
from tests.support.clocks import FakeClock
from tests.support.recording_sns import ARN, RecordingSns, alert_ids_in
from tests.support.sending import ProductsOf, send
from tests.support.template import load_template
from tests.support.world import World

ORDERS, PRODUCTS = 300, 10
STATUSES = ("exception", "backordered", "cancelled")
ORDERS_A_MESSAGE = 100
"""On average, at least: orders in three statuses, in digests of up to 100."""

RESOURCES = load_template()["Resources"]
SLACK_QUEUE = RESOURCES["SlackQueue"]["Properties"]
SLACK_FUNCTION = RESOURCES["PostToSlackFunction"]["Properties"]
MAPPING = SLACK_FUNCTION["Events"]["SlackQueue"]["Properties"]
STREAM = RESOURCES["PublishAlertsFunction"]["Properties"]["Events"]["AlertStream"]["Properties"]


def order(number: int) -> dict[str, object]:
    line = {"product_id": f"p{number % PRODUCTS}", "product_sku": f"SKU-{number % PRODUCTS}", "quantity": 1}
    totals = {"total_price": 10, "invoice_currency_code": "EUR" if number % 2 else "USD"}
    return {"id": str(number), "status": "open", "line_items": [line], **totals}


def stormy_world() -> World:
    """A shop whose orders, all of them known, changed between two polls."""
    world = World()
    products = [{"id": f"p{n}", "sku": f"SKU-{n}", "name": f"Product {n}", "inventory": n} for n in range(PRODUCTS)]
    shop = Shop("conn_a", access_token="token-of-conn_a", clock=world.vendor_clock, products=products)
    world.shops["conn_a"] = shop
    world.trackstar.connect(shop)
    for number in range(ORDERS):
        shop.place(order(number))
    shop.sync()
    world.poll()
    world.new_alerts()
    world.pass_time()
    for number in range(ORDERS):
        shop.move(str(number), STATUSES[number % len(STATUSES)])
    shop.sync()
    world.poll()
    return world


def test_a_storm_becomes_few_messages_that_name_every_order() -> None:
    world, sns, fake_clock = stormy_world(), RecordingSns(), FakeClock()
    keys = [alert.key for alert in world.new_alerts()]
    clock.use(fake_clock)
    topic, details = AlertTopic(sns.as_client(), ARN), ProductDetails(ProductsOf(lambda _: world.client()))
    for batch in batched(keys, STREAM["BatchSize"], strict=False):
        assert send(batch, outbox=world.tables.alerts, topic=topic, products=details).unsent_keys == []

    named = Counter(alert_id for body in sns.taken for alert_id in alert_ids_in(body))
    assert named == Counter(key.alert_id for key in keys)
    assert len(keys) == ORDERS
    assert len(sns.taken) <= ORDERS / ORDERS_A_MESSAGE
    assert sum(fake_clock.slept) >= len(sns.taken) / TOPIC_LIMIT.messages - TOPIC_LIMIT.seconds
    digests = [body["digest"] for body in sns.taken]
    assert all(digest["count"] == len(digest["orders"]) for digest in digests)
    assert sum(sum(digest["value_by_currency"].values()) for digest in digests) == 10 * ORDERS
    assert all(digest["products"][0]["on_hand"] is not None for digest in digests)
    assert len(world.queries("/cart/products")) == 1


def test_a_slack_batch_is_posted_within_one_invocation() -> None:
    posters = MAPPING["ScalingConfig"]["MaximumConcurrency"]
    assert MAPPING["BatchSize"] * posters <= SLACK_FUNCTION["Timeout"] - post_to_slack.STOP_BEFORE


def test_half_an_hour_without_slack_loses_no_alert() -> None:
    tries = SLACK_QUEUE["RedrivePolicy"]["maxReceiveCount"]
    assert tries * SLACK_QUEUE["VisibilityTimeout"] >= 30 * 60
