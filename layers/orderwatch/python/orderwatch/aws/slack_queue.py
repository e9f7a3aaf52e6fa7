"""SlackQueue: what post_to_slack posts. Alerts come to it from AlertTopic; this is the way past the topic."""

from typing import TYPE_CHECKING

from orderwatch.alerts.alert import Alert
from orderwatch.publishing.messages import machine

if TYPE_CHECKING:
    from mypy_boto3_sqs import SQSClient


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
