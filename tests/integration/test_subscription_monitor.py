"""redrive_alerts checks the subscriptions: the handler as deployed against moto's SNS, SQS and tables (rule 16)."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import boto3
import pytest

from functions.redrive_alerts import app
from orderwatch.publishing.publish import publish
from orderwatch.settings import RedriveAlertsSettings, read_settings
from tests.support.cloud import Tables
from tests.support.lambda_context import lambda_context


@dataclass
class Stack:
    """Two topics, the queues `slack` and `ops-inbox`, and the tables."""

    tables: Tables
    topics: dict[str, str]
    queues: dict[str, str]

    def subscribe(self, topic: str, *, protocol: str = "email", endpoint: str = "someone@example.com") -> str:
        arn = self.topics[topic]
        answer = boto3.client("sns").subscribe(TopicArn=arn, Protocol=protocol, Endpoint=endpoint)
        return str(answer["SubscriptionArn"])

    def redrive(self) -> None:
        """One scheduled run, then the stream's delivery of its alerts."""
        app.handler({}, lambda_context(seconds_left=300))
        delivery = app._adapters(read_settings(RedriveAlertsSettings)).delivery
        publish(
            [alert.key for alert in self.tables.all_alerts()],
            outbox=delivery.outbox,
            topic=delivery.topic,
            operators=delivery.operators,
            details=None,
            digest_threshold=5,
        )

    def received(self, queue: str) -> list[tuple[str, str]]:
        """Kind and topic of each alert in a queue."""
        url = self.queues[queue]
        messages = boto3.client("sqs").receive_message(QueueUrl=url, MaxNumberOfMessages=10).get("Messages", [])
        bodies: list[dict[str, Any]] = [json.loads(message["Body"]) for message in messages]
        alerts = [json.loads(body["Message"]) if "Message" in body else body for body in bodies]
        return [(body["kind"], body["connection"]["id"]) for body in alerts]


@pytest.fixture
def stack(tables: Tables, monkeypatch: pytest.MonkeyPatch) -> Iterator[Stack]:
    sns, sqs = boto3.client("sns"), boto3.client("sqs")
    topics = {name: sns.create_topic(Name=name)["TopicArn"] for name in ("AlertTopic", "OpsTopic")}
    queues = {name: sqs.create_queue(QueueName=name)["QueueUrl"] for name in ("slack", "ops-inbox")}
    variables = {
        "ALERT_TABLE_NAME": tables.names["AlertTable"],
        "ALERT_TOPIC_ARN": topics["AlertTopic"],
        "OPS_TOPIC_ARN": topics["OpsTopic"],
        "PACE_TABLE_NAME": tables.names["PaceTable"],
        "DIGEST_THRESHOLD": "5",
        "ALERT_EMAIL_EXPECTED": "true",
        "OPS_EMAIL_EXPECTED": "false",
        "SLACK_QUEUE_URL": queues["slack"],
    }
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    real: Any = boto3.client
    monkeypatch.setattr(boto3, "client", lambda name, **how: tables.client if name == "dynamodb" else real(name, **how))
    app._adapters.cache_clear()
    yield Stack(tables, topics, queues)
    app._adapters.cache_clear()


def test_the_other_topic_and_slack_get_one_alert_and_one_at_the_end(stack: Stack) -> None:
    queue_arn = "arn:aws:sqs:us-east-1:123456789012:{}"
    stack.subscribe("OpsTopic", protocol="sqs", endpoint=queue_arn.format("ops-inbox"))
    stack.subscribe("AlertTopic", protocol="sqs", endpoint=queue_arn.format("slack"))
    subscription = stack.subscribe("AlertTopic")
    stack.redrive()
    assert stack.received("ops-inbox") == []
    boto3.client("sns").unsubscribe(SubscriptionArn=subscription)
    for expected in ([("topic.no_subscribers", "AlertTopic")], []):
        stack.redrive()
        assert stack.received("ops-inbox") == stack.received("slack") == expected
    stack.subscribe("AlertTopic")
    stack.redrive()
    assert stack.received("ops-inbox") == stack.received("slack") == [("topic.resubscribed", "AlertTopic")]
