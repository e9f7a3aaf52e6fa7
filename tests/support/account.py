"""The stack in one process: the template's resources in moto, a simulated shop, and the seven handlers as deployed."""

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from types import SimpleNamespace
from typing import Any

import boto3
import pytest
from moto import mock_aws

import functions.dispatch_polls.app
import functions.handle_action.app
import functions.poll_orders.app
import functions.post_to_slack.app
import functions.publish_alerts.app
import functions.redrive_alerts.app
import functions.send_summary.app
from orderwatch import clock, slack
from orderwatch.alerts.alert import Alert, AlertKey
from orderwatch.aws.alert_table import AlertTable
from orderwatch.aws.dynamodb import to_item
from orderwatch.trackstar import client
from orderwatch.trackstar.client import Trackstar
from orderwatch_local.simulator import Shop, ShopTransport, VirtualClock
from orderwatch_local.simulator import Trackstar as SimulatedTrackstar
from tests.support.clocks import NOON, FakeClock
from tests.support.cloud import CREATED_BY
from tests.support.lambda_context import lambda_context, sqs_event
from tests.support.permissions import REGION, RESOURCES, Recorder, arn_of, environment_of, name_of, role_of

FUNCTIONS = {
    "DispatchPollsFunction": functions.dispatch_polls.app,
    "PollOrdersFunction": functions.poll_orders.app,
    "PublishAlertsFunction": functions.publish_alerts.app,
    "RedriveAlertsFunction": functions.redrive_alerts.app,
    "SendSummaryFunction": functions.send_summary.app,
    "PostToSlackFunction": functions.post_to_slack.app,
    "HandleActionFunction": functions.handle_action.app,
}


ACTION_KEY = "k" * 43


class FakeSlack:
    """Replaces slack_sdk's client; it fails for messages that contain `REFUSED`."""

    REFUSED = "#refused"

    def __init__(self, *arguments: object, **options: object) -> None:
        """Ignore the URL."""

    def send(self, *, text: str, **message: object) -> Any:
        return SimpleNamespace(status_code=500 if self.REFUSED in text else 200, body="ok", headers={})


@dataclass
class Account:
    """The stack in moto, a shop, and handlers whose calls are recorded."""

    recorder: Recorder
    patch: pytest.MonkeyPatch
    shop: Shop
    clock: FakeClock
    dynamodb: Any
    sqs: Any
    sns: Any
    vendor_clock: VirtualClock
    trackstar: SimulatedTrackstar

    def invoke(self, function: str, event: dict[str, Any], *, seconds_left: float = 120.0) -> Any:
        self.recorder.role = role_of(function)
        for name, value in environment_of(function).items():
            if value:
                self.patch.setenv(name, value)
        return FUNCTIONS[function].handler(event, lambda_context(seconds_left=seconds_left))

    def poll(self, *, seconds_left: float = 120.0) -> None:
        self.clock.seconds += 300
        sent_at = str(int(self.clock.now().timestamp() * 1000))
        event = sqs_event(json.dumps({"connection_id": self.shop.connection_id}))
        event["Records"][0]["attributes"]["SentTimestamp"] = sent_at
        answer = self.invoke("PollOrdersFunction", event, seconds_left=seconds_left)
        assert answer == {"batchItemFailures": []}

    def add_problem_order(self, order_id: str) -> None:
        """An order that is alerted, and a malformed one that only the operators are alerted about."""
        self.shop.place(order(order_id, status="exception"))
        self.shop.place(order(f"broken-{order_id}"))
        self.shop.garble(f"broken-{order_id}", missing=["status"])
        self.shop.sync()

    def subscribe(self, topic: str) -> None:
        """Add a confirmed subscriber to a topic of the template, by its logical name."""
        endpoint = arn_of("StreamFailureQueue")
        self.sns.subscribe(TopicArn=arn_of(topic), Protocol="sqs", Endpoint=endpoint)

    def messages(self, queue: str) -> list[dict[str, Any]]:
        """What is in a queue of the template, by its logical name."""
        url = self.sqs.get_queue_url(QueueName=name_of(queue))["QueueUrl"]
        return list(self.sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10).get("Messages", []))

    def alert(self, key: AlertKey) -> str:
        """The JSON of an alert's row."""
        return str(
            self.dynamodb.get_item(TableName=name_of("AlertTable"), Key=to_item(key._asdict()))["Item"]["alert"]["S"]
        )

    def hold(self, alert: Alert) -> None:
        """Put an alert whose quiet hours end now."""
        table = AlertTable(self.dynamodb, name_of("AlertTable"))
        action: Any = table.put_action(alert, deliver_after=clock.now())
        self.dynamodb.transact_write_items(TransactItems=[action])

    def pending(self) -> list[AlertKey]:
        rows = self.dynamodb.scan(TableName=name_of("AlertTable"))["Items"]
        return [AlertKey(row["connection_id"]["S"], row["alert_id"]["S"]) for row in rows if "pending" in row]


def order(order_id: str, *, status: str = "open") -> dict[str, Any]:
    lines = [{"product_id": "p1", "product_sku": "sku-1", "quantity": 1}]
    return {"id": order_id, "order_number": f"#{order_id}", "status": status, "line_items": lines}


def inserts(keys: list[AlertKey]) -> dict[str, Any]:
    return {
        "Records": [
            {"eventName": "INSERT", "dynamodb": {"Keys": to_item(key._asdict()), "SequenceNumber": str(number)}}
            for number, key in enumerate(keys)
        ]
    }


def put_parameters(shop: Shop) -> None:
    values = {
        "trackstar/api-key": "key",
        f"connections/{shop.connection_id}/access-token": shop.access_token,
        "slack/webhook-url": "https://hooks.example/T0/B0",
        "action-links/key": ACTION_KEY,
    }
    for name, value in values.items():
        boto3.client("ssm").put_parameter(Name=f"/orderwatch/{name}", Value=value, Type="SecureString")


def create_stack() -> None:
    """The tables, queues and topics of the template, under their names in these tests."""
    for resource, definition in RESOURCES.items():
        properties = definition.get("Properties", {})
        match definition["Type"]:
            case "AWS::DynamoDB::Table":
                definition_of_table = {key: properties[key] for key in CREATED_BY if key in properties}
                definition_of_table.pop("StreamSpecification", None)
                boto3.client("dynamodb").create_table(TableName=name_of(resource), **definition_of_table)
            case "AWS::SQS::Queue":
                fifo = {"FifoQueue": "true"} if properties.get("FifoQueue") else {}
                boto3.client("sqs").create_queue(QueueName=name_of(resource), Attributes=fifo)  # type: ignore[arg-type]
            case "AWS::SNS::Topic":
                boto3.client("sns").create_topic(Name=name_of(resource))


@contextmanager
def account() -> Iterator[Account]:
    vendor_clock, fake_clock = VirtualClock(NOON), FakeClock()
    shop = Shop("conn_a", access_token="token", clock=vendor_clock, products=[{"id": "p1", "name": "Beans"}])
    trackstar = SimulatedTrackstar("key", [shop], vendor_clock, rate_limit=1_000_000)
    transport = ShopTransport(trackstar)
    with pytest.MonkeyPatch.context() as patch, mock_aws():
        for name in [name for name in os.environ if name.startswith("AWS_")]:
            patch.delenv(name)
        patch.setenv("AWS_ACCESS_KEY_ID", "testing")
        patch.setenv("AWS_SECRET_ACCESS_KEY", "testing")
        patch.setenv("AWS_DEFAULT_REGION", REGION)
        create_stack()
        put_parameters(shop)
        recorder = Recorder()
        dynamodb, sqs, sns = boto3.client("dynamodb"), boto3.client("sqs"), boto3.client("sns")
        patch.setattr(boto3, "client", recorder.client)
        for app in (client, *FUNCTIONS.values()):  # redrive_alerts imports it from its own module, when it needs it
            if hasattr(app, "Trackstar"):
                patch.setattr(app, "Trackstar", partial(Trackstar, transport=transport))
        patch.setattr(slack, "WebhookClient", FakeSlack)
        forget_adapters()
        clock.use(fake_clock)
        try:
            yield Account(recorder, patch, shop, fake_clock, dynamodb, sqs, sns, vendor_clock, trackstar)
        finally:
            clock.use(None)
            forget_adapters()


def forget_adapters() -> None:
    for app in FUNCTIONS.values():
        for value in vars(app).values():
            if hasattr(value, "cache_clear"):
                value.cache_clear()
