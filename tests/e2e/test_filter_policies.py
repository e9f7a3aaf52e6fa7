"""The filter policies of docs/alerts.md, applied to subscriptions on the local cloud."""

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
"""Seconds to wait for messages, which takes less than one; after that the test fails."""
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
"""The published alerts, by the names in the expectations."""
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
    """A topic with one queue for each policy and one without a policy."""

    cloud: LocalCloud
    topic: AlertTopic
    queues: dict[str, str]

    def publish(self) -> None:
        """Publish all alerts through the real adapter, with their names as IDs."""
        alerts = [alert.model_copy(update={"alert_id": name}) for name, alert in SENT.items()]
        assert None not in self.topic.publish([render(alert) for alert in alerts])

    def receive(self, name: str, count: int) -> list[str]:
        """Return the IDs of the alerts in a queue; wait until there are at least `count`."""
        sqs, received = self.cloud.client("sqs"), list[str]()
        deadline = time.monotonic() + WITHIN
        while len(received) < count and time.monotonic() < deadline:
            answer = sqs.receive_message(QueueUrl=self.queues[name], MaxNumberOfMessages=10, WaitTimeSeconds=1)
            for message in answer.get("Messages", []):
                received.append(json.loads(message["Body"])["alert_id"])
                sqs.delete_message(QueueUrl=self.queues[name], ReceiptHandle=message["ReceiptHandle"])
        return received

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
    subscribers = Subscribers(cloud, topic, queues)
    subscribers.publish()
    yield subscribers
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
    """Set the scope first if the policy reads the JSON, then the policy, as documented."""
    if "skus" in json.loads(policy):
        sns.set_subscription_attributes(
            SubscriptionArn=arn, AttributeName="FilterPolicyScope", AttributeValue="MessageBody"
        )
    sns.set_subscription_attributes(SubscriptionArn=arn, AttributeName="FilterPolicy", AttributeValue=policy)


def test_subscription_without_a_policy_gets_every_alert(subscribers: Subscribers) -> None:
    assert sorted(subscribers.receive("everything", len(SENT))) == sorted(SENT)


@pytest.mark.parametrize("name", EXPECTED)
def test_documented_policy_selects_the_alerts_that_it_describes(subscribers: Subscribers, name: str) -> None:
    assert sorted(subscribers.receive(name, len(EXPECTED[name]))) == sorted(EXPECTED[name])
    assert subscribers.left_in(name) == 0


def test_samples_distinguish_all_policies() -> None:
    reached = [frozenset(names) for names in EXPECTED.values()]
    assert len(set(reached)) == len(POLICIES) == 6
    assert all(isinstance(alert, Alert) for alert in SENT.values())
