"""Who is subscribed to a topic, as SNS lists it."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

from orderwatch.publishing.audience import Subscription

if TYPE_CHECKING:
    from mypy_boto3_sns import SNSClient
    from mypy_boto3_sns.type_defs import SubscriptionTypeDef

DELETED = "Deleted"
"""What SNS lists in place of an ARN for a while after an unsubscription; `PendingConfirmation` before the first."""


class Subscriptions:
    """The subscriptions of topics.

    Args:
        client: SNS.
    """

    def __init__(self, client: "SNSClient") -> None:
        self._client = client

    def of(self, topic_arn: str) -> list[Subscription]:
        """Every subscription, 100 a request; none where the topic is gone."""
        try:
            return [_subscription(each) for each in self._listed(topic_arn) if each["SubscriptionArn"] != DELETED]
        except self._client.exceptions.NotFoundException:
            return []

    def _listed(self, topic_arn: str) -> Iterator["SubscriptionTypeDef"]:
        for page in self._client.get_paginator("list_subscriptions_by_topic").paginate(TopicArn=topic_arn):
            yield from page["Subscriptions"]


def _subscription(listed: "SubscriptionTypeDef") -> Subscription:
    queue = listed["Endpoint"].rpartition(":")[2] if listed["Protocol"] == "sqs" else ""
    return Subscription(listed["Protocol"], is_confirmed=listed["SubscriptionArn"].startswith("arn:"), queue=queue)
