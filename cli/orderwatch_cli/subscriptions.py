"""Who is subscribed to a topic."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from orderwatch_cli.aws import Aws

if TYPE_CHECKING:
    from mypy_boto3_sns.type_defs import SubscriptionTypeDef

DELETED = "Deleted"
"""What SNS lists in place of an ARN for a while after an unsubscription."""


@dataclass(frozen=True)
class Subscription:
    """A subscriber of a topic.

    Attributes:
        protocol: Such as `email` or `sqs`.
        endpoint: Where to, as it may be shown: of a URL the host alone, since its path may be a secret.
        is_pending: Whether it still waits to be confirmed; until then it gets nothing.
        filter_policy: What it takes; empty: everything.
        filter_scope: What the policy is held against: `MessageAttributes` or `MessageBody`.
    """

    protocol: str
    endpoint: str
    is_pending: bool = False
    filter_policy: Mapping[str, Any] = field(default_factory=dict)
    filter_scope: str = "MessageAttributes"

    @property
    def label(self) -> str:
        """What a person calls it."""
        return f"{self.protocol} {self.endpoint}"


def subscriptions_of(aws: Aws, topic_arn: str) -> list[Subscription]:
    """Every subscription of the topic."""
    pages = aws.sns.get_paginator("list_subscriptions_by_topic").paginate(TopicArn=topic_arn)
    listed = (each for page in pages for each in page["Subscriptions"])
    return [_subscription(aws, each) for each in listed if each["SubscriptionArn"] != DELETED]


def _subscription(aws: Aws, listed: "SubscriptionTypeDef") -> Subscription:
    protocol, endpoint = listed["Protocol"], _showable(listed["Endpoint"])
    arn = listed["SubscriptionArn"]
    if not arn.startswith("arn:"):  # "PendingConfirmation": it has no attributes yet
        return Subscription(protocol, endpoint, is_pending=True)
    attributes = aws.sns.get_subscription_attributes(SubscriptionArn=arn)["Attributes"]
    return Subscription(
        protocol,
        endpoint,
        is_pending=attributes.get("PendingConfirmation") == "true",
        filter_policy=json.loads(attributes.get("FilterPolicy") or "{}"),
        filter_scope=attributes.get("FilterPolicyScope") or "MessageAttributes",
    )


def _showable(endpoint: str) -> str:
    if endpoint.startswith("arn:"):
        return endpoint.rpartition(":")[2]
    return (urlsplit(endpoint).hostname or "") if "://" in endpoint else endpoint
