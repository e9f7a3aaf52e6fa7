"""SlackQueue, which post_to_slack reads."""

from typing import TYPE_CHECKING

from orderwatch.alerts.alert import Alert
from orderwatch.rendering import sns

if TYPE_CHECKING:
    from mypy_boto3_sqs import SQSClient


class SlackQueue:
    """Sends alerts to post_to_slack."""

    def __init__(self, client: "SQSClient", url: str) -> None:
        self._client = client
        self._url = url

    def send(self, alert: Alert) -> None:
        """Put an alert into the queue, in the format in which AlertTopic delivers it."""
        self._client.send_message(QueueUrl=self._url, MessageBody=sns.json_body(alert))
