"""redrive_alerts checks the subscriptions: the handler against moto's SNS, SQS and tables."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import boto3
import pytest

from functions.redrive_alerts import app
from orderwatch.aws.sns import Subscriptions
from orderwatch.publishing.publish import publish
from orderwatch.publishing.subscription_monitor import Subscription
from orderwatch.settings import RedriveAlertsSettings, read_settings
from tests.support.cloud import Tables
from tests.support.lambda_context import lambda_context


@dataclass
class Stack:
    """Two topics, SlackQueue and the tables."""

    tables: Tables
    topics: dict[str, str]
    slack_url: str
    inboxes: dict[str, str]

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

    def received(self, queue_url: str) -> list[tuple[str, str]]:
        messages = boto3.client("sqs").receive_message(QueueUrl=queue_url, MaxNumberOfMessages=10).get("Messages", [])
        bodies: list[dict[str, Any]] = [json.loads(message["Body"]) for message in messages]
        alerts = [json.loads(body["Message"]) if "Message" in body else body for body in bodies]
        return [(body["kind"], body["connection"]["id"]) for body in alerts]


@pytest.fixture
def stack(tables: Tables, monkeypatch: pytest.MonkeyPatch) -> Iterator[Stack]:
    sns, sqs = boto3.client("sns"), boto3.client("sqs")
    topics = {name: sns.create_topic(Name=name)["TopicArn"] for name in ("AlertTopic", "OpsTopic")}
    queues = {name: sqs.create_queue(QueueName=name)["QueueUrl"] for name in ("slack", "alerts-inbox", "ops-inbox")}
    variables = {
        "ALERT_TABLE_NAME": tables.names["AlertTable"],
        "ALERT_TOPIC_ARN": topics["AlertTopic"],
        "OPS_TOPIC_ARN": topics["OpsTopic"],
        "PACE_TABLE_NAME": tables.names["PaceTable"],
        "DIGEST_THRESHOLD": "5",
        "ALERT_EMAIL_EXPECTED": "true",
        "OPS_EMAIL_EXPECTED": "false",
        "SLACK_QUEUE_URL": "",
    }
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    real: Any = boto3.client
    monkeypatch.setattr(boto3, "client", lambda name, **how: tables.client if name == "dynamodb" else real(name, **how))
    app._adapters.cache_clear()
    yield Stack(tables, topics, queues["slack"], queues)
    app._adapters.cache_clear()


def queue_arn(name: str) -> str:
    return f"arn:aws:sqs:us-east-1:123456789012:{name}"


def test_the_other_topic_gets_one_alert_and_one_at_the_end(stack: Stack) -> None:
    stack.subscribe("OpsTopic", protocol="sqs", endpoint=queue_arn("ops-inbox"))
    subscription = stack.subscribe("AlertTopic")
    stack.redrive()
    assert stack.received(stack.inboxes["ops-inbox"]) == []
    boto3.client("sns").unsubscribe(SubscriptionArn=subscription)
    for expected in ([("topic.no_subscribers", "AlertTopic")], []):
        stack.redrive()
        assert stack.received(stack.inboxes["ops-inbox"]) == expected
    stack.subscribe("AlertTopic")
    stack.redrive()
    assert stack.received(stack.inboxes["ops-inbox"]) == [("topic.resubscribed", "AlertTopic")]


def test_slack_gets_the_alerts_if_both_topics_are_dead(stack: Stack, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SLACK_QUEUE_URL", stack.slack_url)
    stack.redrive()
    assert sorted(stack.received(stack.slack_url)) == [
        ("topic.no_subscribers", "AlertTopic"),
        ("topic.no_subscribers", "OpsTopic"),
    ]


def test_a_deleted_topic_has_no_subscribers(stack: Stack) -> None:
    stack.subscribe("OpsTopic", protocol="sqs", endpoint=queue_arn("ops-inbox"))
    boto3.client("sns").delete_topic(TopicArn=stack.topics["AlertTopic"])
    stack.redrive()
    assert stack.received(stack.inboxes["ops-inbox"]) == [("topic.no_subscribers", "AlertTopic")]


def test_more_than_one_page_of_subscriptions_is_read(stack: Stack) -> None:
    for number in range(130):
        stack.subscribe("AlertTopic", endpoint=f"someone-{number}@example.com")
    assert len(Subscriptions(boto3.client("sns")).of(stack.topics["AlertTopic"])) == 130


def test_topics_without_subscribers_are_counted_in_every_run(stack: Stack, capsys: pytest.CaptureFixture[str]) -> None:
    stack.subscribe("AlertTopic", endpoint="someone@example.com")
    stack.redrive()
    [line] = [json.loads(line) for line in capsys.readouterr().out.splitlines() if '"TopicsWithoutSubscribers"' in line]
    assert line["TopicsWithoutSubscribers"] == [1.0]
    stack.subscribe("OpsTopic", endpoint="operator@example.com")
    stack.redrive()
    assert "TopicsWithoutSubscribers" not in capsys.readouterr().out


def test_pending_and_deleted_subscriptions_do_not_count() -> None:
    class Listing:
        exceptions = boto3.client("sns").exceptions

        def get_paginator(self, operation: str) -> Any:
            return self

        def paginate(self, **_: object) -> Any:
            arns = ("PendingConfirmation", "Deleted", "arn:aws:sns:us-east-1:123456789012:AlertTopic:1")
            listed = [{"SubscriptionArn": arn, "Protocol": "email", "Endpoint": "me@example.com"} for arn in arns]
            return [{"Subscriptions": listed}]

    listing: Any = Listing()
    assert Subscriptions(listing).of("arn") == [
        Subscription("email", is_confirmed=False),
        Subscription("email", is_confirmed=True),
    ]
