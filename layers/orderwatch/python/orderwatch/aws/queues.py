"""PollQueue: one message a connection; the FIFO group gives one poll a connection at a time."""

import json
import uuid
from collections.abc import Collection, Sequence
from itertools import batched
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

from orderwatch.alerts.alert import Alert
from orderwatch.errors import PollsNotRequestedError
from orderwatch.observability import logger
from orderwatch.rendering import machine

if TYPE_CHECKING:
    from mypy_boto3_sqs import SQSClient

BATCH = 10
"""Messages of one SendMessageBatch."""


class PollQueue:
    """Requests polls.

    Args:
        client: SQS.
        url: The queue.
    """

    def __init__(self, client: "SQSClient", url: str) -> None:
        self._client = client
        self._url = url

    def ask_for_polls(self, connection_ids: Collection[str]) -> dict[str, str]:
        """Request one poll of each connection, ten a request; what SQS refuses is logged and delays no other.

        Returns:
            For each connection whose message SQS took, the poll's id, which is the message's.
        """
        asked: dict[str, str] = {}
        for batch in batched(dict.fromkeys(connection_ids), BATCH, strict=False):
            asked |= self._send(batch)
        return asked

    def ask_for_poll(self, connection_id: str) -> str:
        """Request one poll of the connection; returns the poll's id, which is the message's.

        Raises:
            PollsNotRequestedError: SQS did not take the message.
        """
        asked = self.ask_for_polls([connection_id])
        if connection_id not in asked:
            raise PollsNotRequestedError([connection_id])
        return asked[connection_id]

    def _send(self, connection_ids: Sequence[str]) -> dict[str, str]:
        entries: Any = [_entry(str(index), connection_id) for index, connection_id in enumerate(connection_ids)]
        try:
            answer = self._client.send_message_batch(QueueUrl=self._url, Entries=entries)
        except ClientError as error:
            logger.error("SQS refused a batch", exc_info=error, extra={"connection_ids": connection_ids})
            return {}
        for failure in answer.get("Failed", []):
            connection_id = connection_ids[int(failure["Id"])]
            logger.error("SQS refused a message", extra={"code": failure["Code"], "connection_id": connection_id})
        return {connection_ids[int(each["Id"])]: each["MessageId"] for each in answer.get("Successful", [])}


def _entry(entry_id: str, connection_id: str) -> dict[str, str]:
    """A message of its own, by a random deduplication id.

    Deduplication by content would also drop a tick that comes a little early. A poll that is not needed ends at once.
    """
    return {
        "Id": entry_id,
        "MessageBody": json.dumps({"connection_id": connection_id}),
        "MessageGroupId": connection_id,
        "MessageDeduplicationId": uuid.uuid4().hex,
    }


class SlackQueue:
    """Puts alerts into the queue.

    Args:
        client: SQS.
        url: The queue.
    """

    def __init__(self, client: "SQSClient", url: str) -> None:
        self._client = client
        self._url = url

    def send(self, alert: Alert) -> None:
        """Put an alert in, in the shape in which AlertTopic delivers it."""
        self._client.send_message(QueueUrl=self._url, MessageBody=machine.body(alert))
