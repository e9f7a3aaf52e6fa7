"""AlertTopic: one SNS message for each alert, for all channels at once."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from botocore.exceptions import BotoCoreError, ClientError

from orderwatch import clock
from orderwatch.aws import clients
from orderwatch.aws.rate_limit import TOPIC_LIMIT, LocalRateLimiter, RateLimitUnknownError, SharedRateLimiter
from orderwatch.aws.tables import AlertTable
from orderwatch.observability import logger
from orderwatch.publishing.subscription_monitor import Subscription
from orderwatch.rendering.sns import SnsMessage
from orderwatch.settings import SenderSettings

if TYPE_CHECKING:
    from mypy_boto3_sns import SNSClient
    from mypy_boto3_sns.type_defs import SubscriptionTypeDef

BATCH = 10
"""Messages of one PublishBatch; no more than the pace lets go at once."""
MAX_BATCH_BYTES = 262_144
LONGEST_WAIT = 60.0
"""Seconds that a batch waits for other senders; each reserves a second at a time, so more than this is an error."""
LEFT_ALONE = 60.0
"""Seconds for which a shared pace that failed is not asked again."""


class AlertTopic:
    """Publishes messages.

    Args:
        client: SNS.
        arn: The topic.
        rate_limiter: Shared by all senders to this topic; None if this is the only one.
    """

    def __init__(self, client: "SNSClient", arn: str, *, rate_limiter: SharedRateLimiter | None = None) -> None:
        self._client = client
        self._arn = arn
        self._shared = rate_limiter
        self._local = LocalRateLimiter(TOPIC_LIMIT)
        self._shared_again_at = 0.0

    def publish(self, messages: Sequence[SnsMessage]) -> list[str | None]:
        """Publish at most ten messages; at most ten in any second, over all senders.

        Returns:
            For each message, in order, the id that SNS gave it; None if SNS did not accept it, or if its answer was
            lost or cannot be read. SNS may have sent the message then: PublishBatch has no way to send a message
            only once to a standard topic, so a repeat is possible after a lost answer, the SDK's own too (rule 2).
        """
        return [message_id for batch in _fitting(messages) for message_id in self._publish_batch(batch)]

    def _publish_batch(self, batch: Sequence[SnsMessage]) -> list[str | None]:
        self._wait(len(batch))
        entries: Any = [_entry(str(index), message) for index, message in enumerate(batch)]
        try:
            answer = self._client.publish_batch(TopicArn=self._arn, PublishBatchRequestEntries=entries)
            for failure in answer.get("Failed", []):
                logger.error("SNS refused a message", extra={"code": failure["Code"], "entry": failure["Id"]})
            taken = {each["Id"]: each["MessageId"] for each in answer.get("Successful", [])}
        except Exception as error:  # noqa: BLE001 - botocore's parsers raise errors of no common class
            logger.error("SNS did not take a batch", exc_info=error)
            return [None] * len(batch)
        return [taken.get(str(index)) for index in range(len(batch))]

    def _wait(self, count: int) -> None:
        """Wait until `count` messages more are no more than ten in any second."""
        self._local.wait(count)
        if self._shared is None or clock.monotonic() < self._shared_again_at:
            return
        try:
            if self._shared.wait(LONGEST_WAIT, count):
                return
            logger.error("the shared pace of the topic is absurd: going on at this sender's own")
        except (ClientError, BotoCoreError, RateLimitUnknownError) as error:
            logger.warning("the shared pace of the topic is unknown: going on at this sender's own", exc_info=error)
        self._shared_again_at = clock.monotonic() + LEFT_ALONE


def _entry(entry_id: str, message: SnsMessage) -> dict[str, Any]:
    return {
        "Id": entry_id,
        "Subject": message.subject,
        "Message": message.message,
        "MessageStructure": "json",
        "MessageAttributes": {
            name: {"DataType": kind, "StringValue": value} for name, (kind, value) in message.attributes.items()
        },
    }


def _fitting(messages: Sequence[SnsMessage]) -> Iterator[list[SnsMessage]]:
    """Cut into batches that SNS takes: ten messages and 256 KB, subjects and attributes included."""
    batch: list[SnsMessage] = []
    size = 0
    for message in messages:
        if batch and (len(batch) == BATCH or size + message.size > MAX_BATCH_BYTES):
            yield batch
            batch, size = [], 0
        batch.append(message)
        size += message.size
    if batch:
        yield batch


@dataclass(frozen=True, slots=True)
class Delivery:
    """The way of an alert out of AWS.

    Attributes:
        outbox: AlertTable.
        topic: AlertTopic.
        operators: OpsTopic.
    """

    outbox: AlertTable
    topic: AlertTopic
    operators: AlertTopic


def build_delivery(settings: SenderSettings) -> Delivery:
    """Build the clients of DynamoDB and SNS; call it once a process."""
    dynamodb, sns = clients.dynamodb(), clients.sns()

    def topic(arn: str) -> AlertTopic:
        return AlertTopic(
            sns, arn, rate_limiter=SharedRateLimiter(dynamodb, settings.pace_table_name, arn, TOPIC_LIMIT)
        )

    return Delivery(
        outbox=AlertTable(dynamodb, settings.alert_table_name),
        topic=topic(settings.alert_topic_arn),
        operators=topic(settings.ops_topic_arn),
    )


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
