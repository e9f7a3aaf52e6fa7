"""AlertTopic: one SNS message an alert, for every channel at once."""

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

from orderwatch import clock
from orderwatch.observability import logger
from orderwatch.publishing.messages import SnsMessage

if TYPE_CHECKING:
    from mypy_boto3_sns import SNSClient

BATCH = 10
"""Messages of one PublishBatch, and messages a second: above that SNS drops e-mail subscriptions (rule 12)."""
MAX_BATCH_BYTES = 262_144


class AlertTopic:
    """Publishes messages.

    Args:
        client: SNS.
        arn: The topic.
        sleep: How to wait.
        monotonic: A clock for pacing, in seconds.
    """

    def __init__(
        self,
        client: "SNSClient",
        arn: str,
        *,
        sleep: Callable[[float], None] = clock.sleep,
        monotonic: Callable[[], float] = clock.monotonic,
    ) -> None:
        self._client = client
        self._arn = arn
        self._sleep = sleep
        self._monotonic = monotonic
        self._sent: deque[float] = deque(maxlen=BATCH)

    def publish(self, messages: Sequence[SnsMessage]) -> list[str | None]:
        """Publish at most ten messages; at most ten a second over all calls.

        Returns:
            For each message, in order, the id that SNS gave it; None where SNS did not take it.
        """
        return [message_id for batch in _fitting(messages) for message_id in self._publish_batch(batch)]

    def _publish_batch(self, batch: Sequence[SnsMessage]) -> list[str | None]:
        self._wait(len(batch))
        entries: Any = [_entry(str(index), message) for index, message in enumerate(batch)]
        try:
            answer = self._client.publish_batch(TopicArn=self._arn, PublishBatchRequestEntries=entries)
        except ClientError as error:
            logger.error("SNS refused a batch", exc_info=error)
            return [None] * len(batch)
        for failure in answer.get("Failed", []):
            logger.error("SNS refused a message", extra={"code": failure["Code"], "entry": failure["Id"]})
        taken = {each["Id"]: each["MessageId"] for each in answer.get("Successful", [])}
        return [taken.get(str(index)) for index in range(len(batch))]

    def _wait(self, count: int) -> None:
        """Wait until `count` messages more are no more than ten in any second."""
        excess = len(self._sent) + count - BATCH
        delay = self._sent[excess - 1] + 1.0 - self._monotonic() if excess > 0 else 0.0
        if delay > 0:
            self._sleep(delay)
        self._sent.extend([self._monotonic()] * count)


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
