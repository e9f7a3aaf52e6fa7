"""PollQueue: one message a connection; the FIFO group gives one poll a connection at a time."""

import json
import uuid
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mypy_boto3_sqs import SQSClient


class PollQueue:
    """Asks for polls.

    Args:
        client: SQS.
        url: The queue.
    """

    def __init__(self, client: "SQSClient", url: str) -> None:
        self._client = client
        self._url = url

    def ask_for_poll(self, connection_id: str) -> str:
        """Ask for one poll of the connection; the poll's id, which is the message's.

        Every message is one of its own (a random deduplication id): dropping one by its content would also drop a
        tick that comes a little early. Polls that are asked for too often end at once by themselves.
        """
        answer = self._client.send_message(
            QueueUrl=self._url,
            MessageBody=json.dumps({"connection_id": connection_id}),
            MessageGroupId=connection_id,
            MessageDeduplicationId=uuid.uuid4().hex,
        )
        return answer["MessageId"]
