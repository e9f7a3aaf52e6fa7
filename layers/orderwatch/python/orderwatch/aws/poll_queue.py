"""PollQueue, whose FIFO groups allow one poll of each connection at a time."""

import json
import uuid
from collections.abc import Collection, Mapping, Sequence
from itertools import batched
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

from orderwatch.errors import PollsNotRequestedError
from orderwatch.observability import logger

if TYPE_CHECKING:
    from mypy_boto3_sqs import SQSClient

BATCH = 10
"""Messages in one SendMessageBatch: SQS's maximum."""


class PollQueue:
    """Requests polls."""

    def __init__(self, client: "SQSClient", url: str) -> None:
        self._client = client
        self._url = url

    def request_polls(self, connection_ids: Collection[str], *, restart: bool = False) -> dict[str, str]:
        """Request one poll of each connection; log the messages that SQS refuses.

        Args:
            connection_ids: The connections.
            restart: Whether a window that is being read is read from its first page again.

        Returns:
            The id of the poll (which is the id of its message) for each connection whose message SQS accepted.
        """
        requested: dict[str, str] = {}
        for batch in batched(dict.fromkeys(connection_ids), BATCH, strict=False):
            requested |= self._send(batch, {"restart": True} if restart else {})
        return requested

    def request_poll(self, connection_id: str) -> str:
        """Request a poll of the connection, and return the poll's id.

        Raises:
            PollsNotRequestedError: SQS did not accept the message.
        """
        requested = self.request_polls([connection_id])
        if connection_id not in requested:
            raise PollsNotRequestedError([connection_id])
        return requested[connection_id]

    def _send(self, connection_ids: Sequence[str], options: Mapping[str, bool]) -> dict[str, str]:
        entries: Any = [
            {
                "Id": str(index),
                "MessageBody": json.dumps({"connection_id": connection_id, **options}),
                "MessageGroupId": connection_id,
                # Random: deduplication by content would drop a scheduled poll that is a little early.
                "MessageDeduplicationId": uuid.uuid4().hex,
            }
            for index, connection_id in enumerate(connection_ids)
        ]
        try:
            response = self._client.send_message_batch(QueueUrl=self._url, Entries=entries)
        except ClientError as error:
            logger.error("SQS refused poll requests", exc_info=error, extra={"connection_ids": connection_ids})
            return {}
        for failure in response.get("Failed", []):
            connection_id = connection_ids[int(failure["Id"])]
            logger.error("SQS refused a poll request", extra={"code": failure["Code"], "connection_id": connection_id})
        return {connection_ids[int(each["Id"])]: each["MessageId"] for each in response.get("Successful", [])}
