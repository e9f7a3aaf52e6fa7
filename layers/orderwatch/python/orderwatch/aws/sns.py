"""The topics: send alerts, and list subscriptions."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from orderwatch.action_links import ActionLinks
from orderwatch.aws import clients
from orderwatch.aws.alert_table import AlertTable
from orderwatch.aws.parameters import action_links
from orderwatch.aws.rate_limit import TOPIC_LIMIT, RateLimiter, Row
from orderwatch.observability import logger
from orderwatch.publishing.subscription_monitor import Subscription
from orderwatch.rendering.sns import SnsMessage
from orderwatch.settings import SenderSettings

if TYPE_CHECKING:
    from mypy_boto3_sns import SNSClient
    from mypy_boto3_sns.type_defs import SubscriptionTypeDef

MAX_BATCH_BYTES = 262_144
"""Bytes of one PublishBatch, with subjects and attributes."""
DELETED = "Deleted"
"""SNS lists this in place of the ARN for a while after a subscription was deleted."""


class AlertTopic:
    """Publishes messages within the limit that all senders to the topic share; without one, this is the only sender."""

    def __init__(self, client: "SNSClient", arn: str, *, rate_limiter: RateLimiter | None = None) -> None:
        self._client = client
        self._arn = arn
        self._rate_limiter = rate_limiter or RateLimiter(TOPIC_LIMIT)

    def publish(self, messages: Sequence[SnsMessage]) -> list[str | None]:
        """Publish the messages, at most five in any second over all senders (rule 17).

        Returns:
            The SNS id of each message, in order; None if SNS refused it or the response was lost. SNS may have sent the
            message in the second case: a standard topic cannot deduplicate, so the retry can be a duplicate (rule 2).
        """
        message_ids: list[str | None] = []
        for batch in _batches(messages):
            sent = 0
            while sent < len(batch):
                granted = self._rate_limiter.acquire(len(batch) - sent)
                message_ids += self._publish_batch(batch[sent : sent + granted])
                sent += granted
        return message_ids

    def _publish_batch(self, batch: Sequence[SnsMessage]) -> list[str | None]:
        entries: Any = [
            {
                "Id": str(index),
                "Subject": message.subject,
                "Message": message.message,
                "MessageStructure": "json",
                "MessageAttributes": {
                    name: {"DataType": kind, "StringValue": value} for name, (kind, value) in message.attributes.items()
                },
            }
            for index, message in enumerate(batch)
        ]
        try:
            response = self._client.publish_batch(TopicArn=self._arn, PublishBatchRequestEntries=entries)
            for failure in response.get("Failed", []):
                extra = {"code": failure["Code"], "entry": failure["Id"]}
                logger.error("SNS refused a message; will retry", extra=extra)
            accepted = {each["Id"]: each["MessageId"] for each in response.get("Successful", [])}
        except Exception as error:  # noqa: BLE001 - the errors of botocore's parsers have no common class
            logger.error("SNS publish failed; will retry", exc_info=error)
            return [None] * len(batch)
        return [accepted.get(str(index)) for index in range(len(batch))]


def _batches(messages: Sequence[SnsMessage]) -> Iterator[list[SnsMessage]]:
    """Split into batches, each within the messages of one second and the bytes of one PublishBatch."""
    batch: list[SnsMessage] = []
    size = 0
    for message in messages:
        if batch and (len(batch) == TOPIC_LIMIT.messages or size + message.size > MAX_BATCH_BYTES):
            yield batch
            batch, size = [], 0
        batch.append(message)
        size += message.size
    if batch:
        yield batch


@dataclass(frozen=True, slots=True)
class Delivery:
    """What a function needs to send alerts; `operators` is OpsTopic, and `links` is None if ActionLinks is off."""

    outbox: AlertTable
    topic: AlertTopic
    operators: AlertTopic
    links: ActionLinks | None = None


def build_delivery(settings: SenderSettings) -> Delivery:
    """Build the clients of DynamoDB and SNS; call it once a process."""
    dynamodb, sns = clients.dynamodb(), clients.sns()

    def topic(arn: str) -> AlertTopic:
        row = Row(dynamodb, settings.pace_table_name, arn)
        return AlertTopic(sns, arn, rate_limiter=RateLimiter(TOPIC_LIMIT, row))

    return Delivery(
        outbox=AlertTable(dynamodb, settings.alert_table_name),
        topic=topic(settings.alert_topic_arn),
        operators=topic(settings.ops_topic_arn),
        links=action_links(settings.action_url, settings.parameter_prefix),
    )


class Subscriptions:
    """The subscriptions of topics."""

    def __init__(self, client: "SNSClient") -> None:
        self._client = client

    def of(self, topic_arn: str) -> list[Subscription]:
        """List the subscriptions of a topic, 100 a request; an empty list if the topic does not exist."""
        pages = self._client.get_paginator("list_subscriptions_by_topic").paginate(TopicArn=topic_arn)
        try:
            listed = [each for page in pages for each in page["Subscriptions"]]
        except self._client.exceptions.NotFoundException:
            return []
        return [_subscription(each) for each in listed if each["SubscriptionArn"] != DELETED]


def _subscription(listed: "SubscriptionTypeDef") -> Subscription:
    queue = listed["Endpoint"].rpartition(":")[2] if listed["Protocol"] == "sqs" else ""
    # SNS lists `PendingConfirmation` in place of the ARN until the subscription is confirmed.
    return Subscription(listed["Protocol"], is_confirmed=listed["SubscriptionArn"].startswith("arn:"), queue=queue)
