"""The filter policies of docs/alerts.md, applied to subscriptions on the local cloud, and what each lets through."""

import json
import re
import time
from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import pytest

from orderwatch.alerts.alert import Alert
from orderwatch.aws.sns import AlertTopic
from orderwatch.rendering.sns import render
from orderwatch_cli.stack import Outputs
from orderwatch_local.cloud.local_cloud import LocalCloud
from orderwatch_local.preview.samples import SAMPLES, order_alert
from tests.support.template import ROOT

WITHIN = 30.0
"""Seconds for what takes less than one: a wide bound, so that a fault fails the test instead of hanging it."""
_EXAMPLE, *POLICIES = re.findall(r"```json\n(.*?)\n```", (ROOT / "docs/alerts.md").read_text("utf-8"), re.DOTALL)
GOOD_NEWS = {"order.recovered", "connection.recovered", "topic.resubscribed", "watch.started"}
OF_NO_SHOP = {"topic.no_subscribers", "topic.resubscribed", "status.unknown", "summary.daily"}
EVERYTHING = set(SAMPLES)

SENT = {
    **SAMPLES,
    "another shop": order_alert("order.exception").model_copy(update={"connection_id": "conn-other"}),
    "worth 500": order_alert("order.exception", total_price=Decimal(500)),
    "worth 500.01": order_alert("order.exception", total_price=Decimal("500.01")),
}
"""What is published, by the name under which the expectations know it."""
OTHERS = SENT.keys() - SAMPLES.keys()
EXPECTED = {
    "one shop": SENT.keys() - {"another shop"} - OF_NO_SHOP,
    "one status": {"order.backordered", "order.digest"},
    "value over 500": {"order.backordered", "order.digest", "worth 500.01"},
    "overdue by more than two days": {"order.backordered"},
    "all but good news": (EVERYTHING - GOOD_NEWS) | OTHERS,
    "SKUs": {"order.exception"},
}


@dataclass
class Subscribers:
    """One queue for each policy, one for everything, and the topic."""

    cloud: LocalCloud
    topic: AlertTopic
    queues: dict[str, str]

    def publish(self) -> None:
        """Publish everything through the real adapter, each under an id of its own."""
        alerts = [alert.model_copy(update={"alert_id": name}) for name, alert in SENT.items()]
        assert None not in self.topic.publish([render(alert) for alert in alerts])

    def acquire(self, name: str, count: int) -> list[str]:
        """The ids of what came to a queue: at least so many are waited for."""
        sqs, taken = self.cloud.client("sqs"), list[str]()
        deadline = time.monotonic() + WITHIN
        while len(taken) < count and time.monotonic() < deadline:
            answer = sqs.receive_message(QueueUrl=self.queues[name], MaxNumberOfMessages=10, WaitTimeSeconds=1)
            for message in answer.get("Messages", []):
                taken.append(json.loads(message["Body"])["alert_id"])
                sqs.delete_message(QueueUrl=self.queues[name], ReceiptHandle=message["ReceiptHandle"])
        return taken

    def left_in(self, name: str) -> int:
        attributes = self.cloud.client("sqs").get_queue_attributes(
            QueueUrl=self.queues[name], AttributeNames=["ApproximateNumberOfMessages"]
        )
        return int(attributes["Attributes"]["ApproximateNumberOfMessages"])


@pytest.fixture(scope="module")
def subscribers(cloud: LocalCloud, deployed: Outputs) -> Iterator[Subscribers]:
    sns = cloud.client("sns")
    topic = AlertTopic(sns, deployed.alert_topic_arn)
    before = {each["SubscriptionArn"] for each in _subscriptions(sns, deployed)}
    queues = {"everything": cloud.subscribe_queue(deployed.alert_topic_arn)}
    for name, policy in zip(EXPECTED, POLICIES, strict=True):
        queues[name] = cloud.subscribe_queue(deployed.alert_topic_arn)
        _apply(sns, arn=_newest(sns, deployed, queues[name]), policy=policy)
    there = Subscribers(cloud, topic, queues)
    there.publish()
    yield there
    for subscription in _subscriptions(sns, deployed):
        if subscription["SubscriptionArn"] not in before:
            sns.unsubscribe(SubscriptionArn=subscription["SubscriptionArn"])


def _subscriptions(sns: Any, deployed: Outputs) -> list[dict[str, Any]]:
    return list(sns.list_subscriptions_by_topic(TopicArn=deployed.alert_topic_arn)["Subscriptions"])


def _newest(sns: Any, deployed: Outputs, queue_url: str) -> str:
    name = queue_url.rsplit("/", 1)[-1]
    [arn] = [each["SubscriptionArn"] for each in _subscriptions(sns, deployed) if each["Endpoint"].endswith(name)]
    return str(arn)


def _apply(sns: Any, *, arn: str, policy: str) -> None:
    """As the documentation says: the scope first where the policy looks into the JSON, then the policy."""
    if "skus" in json.loads(policy):
        sns.set_subscription_attributes(
            SubscriptionArn=arn, AttributeName="FilterPolicyScope", AttributeValue="MessageBody"
        )
    sns.set_subscription_attributes(SubscriptionArn=arn, AttributeName="FilterPolicy", AttributeValue=policy)


def test_without_a_policy_everything_comes(subscribers: Subscribers) -> None:
    assert sorted(subscribers.acquire("everything", len(SENT))) == sorted(SENT)


@pytest.mark.parametrize("name", EXPECTED)
def test_a_documented_policy_lets_through_what_it_says_and_nothing_else(subscribers: Subscribers, name: str) -> None:
    assert sorted(subscribers.acquire(name, len(EXPECTED[name]))) == sorted(EXPECTED[name])
    assert subscribers.left_in(name) == 0


def test_the_samples_tell_every_policy_from_every_other() -> None:
    reached = [frozenset(names) for names in EXPECTED.values()]
    assert len(set(reached)) == len(POLICIES) == 6
    assert all(isinstance(alert, Alert) for alert in SENT.values())
