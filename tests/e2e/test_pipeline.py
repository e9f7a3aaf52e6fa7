"""The deployed template: an order's transition becomes one message on a queue that is subscribed to AlertTopic."""

import json
import time
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import pytest

from orderwatch.aws.connection_table import ConnectionTable
from orderwatch_cli.stack import Outputs
from orderwatch_local.cloud.local_cloud import LocalCloud
from orderwatch_local.simulator import Shop, Trackstar, VirtualClock
from tests.e2e.conftest import SlackChannel

WITHIN = 30.0
"""Seconds for what takes less than one: a wide bound, so that a fault fails the test instead of hanging it."""


@dataclass
class Watched:
    """One shop, watched by the deployed template, and a queue that gets its alerts."""

    cloud: LocalCloud
    outputs: Outputs
    clock: VirtualClock
    shop: Shop
    queue_url: str

    def poll(self) -> None:
        """A poll of the shop, and the wait until it has read everything up to now."""
        payload = json.dumps({"connection_ids": [self.shop.connection_id]}).encode()
        answer = self.cloud.client("lambda").invoke(
            FunctionName=self.outputs.dispatch_polls_function_name, Payload=payload
        )
        assert "FunctionError" not in answer
        table = ConnectionTable(self.cloud.client("dynamodb"), self.outputs.connection_table_name)
        deadline = time.monotonic() + WITHIN
        while (read := table.load(self.shop.connection_id).cursor.position) is None or read < self.clock.now():
            assert time.monotonic() < deadline, self.cloud.logs(self.outputs.poll_orders_function_name)
            time.sleep(0.05)

    def sync(self) -> None:
        """The vendor's next sync, an hour later."""
        self.clock.advance(timedelta(hours=1))
        self.shop.sync()

    def receive(self, count: int) -> list[dict[str, Any]]:
        """The next alerts, of which there must be exactly this many: one more poll shows that there are none behind."""
        received: list[dict[str, Any]] = []
        deadline = time.monotonic() + WITHIN
        while len(received) < count and time.monotonic() < deadline:
            received += self._take(wait=1)
        self.sync()
        self.poll()
        return received + self._take(wait=1)

    def _take(self, *, wait: int) -> list[dict[str, Any]]:
        sqs = self.cloud.client("sqs")
        answer = sqs.receive_message(QueueUrl=self.queue_url, MaxNumberOfMessages=10, WaitTimeSeconds=wait)
        for message in answer.get("Messages", []):
            sqs.delete_message(QueueUrl=self.queue_url, ReceiptHandle=message["ReceiptHandle"])
        return [json.loads(message["Body"]) for message in answer.get("Messages", [])]


@pytest.fixture
def watched(cloud: LocalCloud, deployed: Outputs, trackstar: Trackstar, clock: VirtualClock) -> Iterator[Watched]:
    connection_id = f"conn_{uuid.uuid4().hex[:8]}"
    products = [{"id": "p1", "name": "Trail lamp", "sku": "LAMP-1", "inventory": 1}]
    shop = Shop(connection_id, access_token=f"token-{connection_id}", clock=clock, products=products)
    trackstar.connect(shop)
    parameter = f"/orderwatch/connections/{connection_id}/access-token"
    cloud.put_secret(parameter, shop.access_token)
    queue_url = cloud.subscribe_queue(deployed.alert_topic_arn, filter_policy={"connection_id": [connection_id]})
    yield Watched(cloud, deployed, clock, shop, queue_url)
    trackstar.disconnect(connection_id)
    cloud.client("ssm").delete_parameter(Name=parameter)


ORDER = {
    "id": "o1",
    "order_number": "#1042",
    "status": "open",
    "total_price": 129.9,
    "invoice_currency_code": "EUR",
    "ship_to_address": {"full_name": "Ada Example", "email_address": "ada@shopper.example"},
    "line_items": [{"product_id": "p1", "product_sku": "LAMP-1", "quantity": 3, "unit_price": 43.3}],
}


def test_a_transition_becomes_one_complete_message(watched: Watched) -> None:
    watched.shop.place(ORDER)
    watched.shop.place(ORDER | {"id": "o2", "order_number": "#1043", "status": "exception"})
    watched.sync()
    watched.poll()
    [started] = watched.receive(1)
    assert (started["kind"], started["detail"]) == (
        "watch.started",
        "Watching 2 orders for backordered, cancelled, exception; 1 in exception now.",
    )

    watched.shop.move("o1", "backordered", "awaiting_stock")
    watched.sync()
    watched.poll()
    [alert] = watched.receive(1)

    assert (alert["kind"], alert["order"]["number"]) == ("order.backordered", "#1042")
    assert (alert["order"]["previous_status"], alert["order"]["raw_status"]) == ("open", "awaiting_stock")
    assert (alert["order"]["total_price"], alert["order"]["currency"]) == (129.9, "EUR")
    [line] = alert["order"]["line_items"]
    assert (line["name"], line["quantity"], line["on_hand"]) == ("Trail lamp", 3, 1)
    assert alert["enrichment"] == {"complete": True, "missing": []}
    assert "Ada" not in json.dumps(alert)
    assert "ada@shopper.example" not in json.dumps(alert)


def test_a_recovery_and_a_cancellation_are_alerted_once_each(watched: Watched) -> None:
    watched.shop.place(ORDER)
    watched.sync()
    watched.poll()
    watched.receive(1)

    alerted = []
    for status in ("exception", "cancelled", "open", "processing"):
        watched.shop.move("o1", status)
        watched.sync()
        watched.poll()
        alerted += [alert["kind"] for alert in watched.receive(0 if status == "processing" else 1)]

    assert alerted == ["order.exception", "order.cancelled", "order.recovered"]


def test_the_slack_channel_gets_the_alert_once(watched: Watched, slack_channel: SlackChannel) -> None:
    number = f"#{watched.shop.connection_id}"
    watched.shop.place(ORDER | {"order_number": number})
    watched.sync()
    watched.poll()
    watched.receive(1)
    watched.shop.move("o1", "exception")
    watched.sync()
    watched.poll()
    watched.receive(1)

    deadline = time.monotonic() + WITHIN
    while not (posted := [each for each in slack_channel.messages if number in each["text"]]):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    assert len(posted) == 1
    assert "exception" in posted[0]["text"]


def test_rows_hold_nothing_personal(watched: Watched) -> None:
    watched.shop.place(ORDER)
    watched.sync()
    watched.poll()
    watched.shop.move("o1", "exception")
    watched.sync()
    watched.poll()
    watched.receive(2)

    dynamodb = watched.cloud.client("dynamodb")
    names = [
        watched.outputs.order_table_name,
        watched.outputs.connection_table_name,
        watched.outputs.alert_table_name,
    ]
    rows = json.dumps([dynamodb.scan(TableName=name)["Items"] for name in names])
    logs = watched.cloud.logs(watched.outputs.poll_orders_function_name, lines=1000)
    assert "#1042" in rows
    for personal in ("Ada", "ada@shopper.example", watched.shop.access_token):
        assert personal not in rows + logs
