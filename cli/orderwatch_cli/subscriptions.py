"""The subscriptions of a topic."""

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from orderwatch_cli.aws import Aws

if TYPE_CHECKING:
    from mypy_boto3_sns.type_defs import SubscriptionTypeDef

DELETED = "Deleted"
"""What SNS lists instead of an ARN for a while after a subscription was deleted."""


@dataclass(frozen=True)
class Subscription:
    """A subscription of a topic.

    Attributes:
        protocol: Such as `email` or `sqs`.
        endpoint: The address; only the host of a URL, because its path may be a secret.
        is_pending: Whether it is not confirmed yet; until then SNS sends nothing to it.
        has_open_link: Whether anyone, even a mail scanner, ends it by following the unsubscribe link in an e-mail.
        filter_policy: The filter policy; empty: it receives every message.
        arn: SNS's name of the subscription; empty until it is confirmed.
    """

    protocol: str
    endpoint: str
    is_pending: bool = False
    has_open_link: bool = False
    filter_policy: dict[str, Any] = field(default_factory=dict)
    arn: str = ""

    @property
    def label(self) -> str:
        """Protocol and address."""
        return f"{self.protocol} {self.endpoint}"

    @property
    def is_email(self) -> bool:
        """Whether it receives e-mails."""
        return self.protocol.startswith("email")

    @property
    def state(self) -> str:
        """Whether it receives messages, for lists."""
        if self.is_pending:
            return "not confirmed"
        return "confirmed by link" if self.has_open_link else "confirmed"

    @property
    def filter_text(self) -> str:
        """The filter policy, for lists."""
        return json.dumps(self.filter_policy) if self.filter_policy else "none"


def subscriptions_of(aws: Aws, topic_arn: str) -> list[Subscription]:
    """Return every subscription of the topic."""
    pages = aws.sns.get_paginator("list_subscriptions_by_topic").paginate(TopicArn=topic_arn)
    listed = (each for page in pages for each in page["Subscriptions"])
    return [_subscription(aws, each) for each in listed if each["SubscriptionArn"] != DELETED]


def _subscription(aws: Aws, listed: "SubscriptionTypeDef") -> Subscription:
    protocol, endpoint = listed["Protocol"], _public_part(listed["Endpoint"])
    arn = listed["SubscriptionArn"]
    if not arn.startswith("arn:"):  # "PendingConfirmation": it has no attributes yet
        return Subscription(protocol, endpoint, is_pending=True)
    attributes = aws.sns.get_subscription_attributes(SubscriptionArn=arn)["Attributes"]
    return Subscription(
        protocol,
        endpoint,
        is_pending=attributes.get("PendingConfirmation") == "true",
        has_open_link=protocol.startswith("email") and attributes.get("ConfirmationWasAuthenticated") == "false",
        filter_policy=json.loads(attributes.get("FilterPolicy") or "{}"),
        arn=arn,
    )


def _public_part(endpoint: str) -> str:
    if endpoint.startswith("arn:"):
        return endpoint.rpartition(":")[2]
    return (urlsplit(endpoint).hostname or "") if "://" in endpoint else endpoint
