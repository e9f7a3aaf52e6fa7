"""The filter policies of docs/alerts.md, applied to subscriptions on the local cloud."""

import json
import re
import time
from collections.abc import Collection, Iterator
from decimal import Decimal

import pytest

from orderwatch.aws.sns import AlertTopic
from orderwatch.rendering.sns import render
from orderwatch_local.cloud.local_cloud import LocalCloud
from orderwatch_local.preview.samples import SAMPLES, order_alert
from tests.e2e.conftest import WITHIN
from tests.support.template import ROOT

_EXAMPLE, *POLICIES = re.findall(r"```json\n(.*?)\n```", (ROOT / "docs/alerts.md").read_text("utf-8"), re.DOTALL)
GOOD_NEWS = {"order.recovered", "connection.recovered", "topic.resubscribed", "watch.started"}
OF_NO_SHOP = {"topic.no_subscribers", "topic.resubscribed", "status.unknown", "summary.daily"}
SENT = {
    **SAMPLES,
    "another shop": order_alert("order.exception").model_copy(update={"connection_id": "conn-other"}),
    "worth 500": order_alert("order.exception", total_price=Decimal(500)),
    "worth 500.01": order_alert("order.exception", total_price=Decimal("500.01")),
}
"""The published alerts, by the names in the expectations."""
EXPECTED = {
    "none": SENT.keys(),
    "one shop": SENT.keys() - {"another shop"} - OF_NO_SHOP,
    "one status": {
        *("order.backordered", "order.restocked", "order.reminder"),
        *("order.digest", "order.digest.restocked", "order.digest.reminder"),
    },
    "value over 500": {
        *("order.backordered", "order.digest", "order.digest.restocked", "order.digest.reminder"),
        "worth 500.01",
    },
    "overdue by more than two days": {"order.backordered"},
    "all but good news": SENT.keys() - GOOD_NEWS,
    "SKUs": {
        *("order.exception", "order.at_risk", "order.late", "order.stuck"),
        *("order.reminder", "order.digest.reminder"),
    },
}


@pytest.fixture(scope="module")
def queues(cloud: LocalCloud) -> Iterator[dict[str, str]]:
    """A queue for each policy, after all alerts were published through the real adapter."""
    sns, queues = cloud.client("sns"), dict[str, str]()
    topic_arn = sns.create_topic(Name="filtered")["TopicArn"]
    for name, policy in zip(EXPECTED, ["", *POLICIES], strict=True):
        queues[name] = cloud.subscribe_queue(topic_arn)
        arn = sns.list_subscriptions_by_topic(TopicArn=topic_arn)["Subscriptions"][-1]["SubscriptionArn"]
        # As documented: first the scope, if the policy reads the JSON.
        scope = {"FilterPolicyScope": "MessageBody"} if "skus" in policy else {}
        for attribute, value in {**scope, "FilterPolicy": policy}.items() if policy else ():
            sns.set_subscription_attributes(SubscriptionArn=arn, AttributeName=attribute, AttributeValue=value)
    alerts = [alert.model_copy(update={"alert_id": name}) for name, alert in SENT.items()]
    assert None not in AlertTopic(sns, topic_arn).publish([render(alert) for alert in alerts])
    yield queues
    sns.delete_topic(TopicArn=topic_arn)


def receive(cloud: LocalCloud, queue_url: str, expected: Collection[str]) -> list[str]:
    """The IDs of the alerts in a queue, as soon as there are as many as expected."""
    sqs, received, deadline = cloud.client("sqs"), list[str](), time.monotonic() + WITHIN
    while True:
        wait = 1 if len(received) < len(expected) else 0
        messages = sqs.receive_message(QueueUrl=queue_url, MaxNumberOfMessages=10, WaitTimeSeconds=wait).get("Messages")
        received += [json.loads(message["Body"])["alert_id"] for message in messages or []]
        if not messages and (not wait or time.monotonic() > deadline):
            return received


@pytest.mark.parametrize("name", EXPECTED)
def test_documented_policy_selects_the_alerts_that_it_describes(
    cloud: LocalCloud, queues: dict[str, str], name: str
) -> None:
    assert sorted(receive(cloud, queues[name], EXPECTED[name])) == sorted(EXPECTED[name])


def test_samples_distinguish_all_policies() -> None:
    assert len({frozenset(names) for names in EXPECTED.values()}) == len(EXPECTED) == 7
