"""The pace of one Slack webhook, shared by every function that posts to it.

Slack takes one message a second from a webhook, and SQS lets no fewer than two functions work on a queue (its least
maximum concurrency). So the pace is kept outside of them: a row holds the moment at which the next message may go,
and whoever moves it on, on condition that nobody else did, has that moment.
"""

from collections.abc import Callable
from datetime import datetime
from typing import TYPE_CHECKING

from orderwatch import clock
from orderwatch.aws.dynamodb import from_item, to_item

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

BETWEEN_MESSAGES = 1.0
"""Seconds between two messages of one webhook (Slack's limit)."""
LONGEST_HOLD = 300.0
"""Seconds: Slack asks for tens of them; an absurd value must not silence the channel."""
_ROW = {"id": "pace"}


class SlackPace:
    """Gives out the moments at which a message may go.

    Args:
        client: DynamoDB.
        table_name: The table of Slack's deliveries, keyed by `id`.
        now: The wall clock, as the functions share no other.
        sleep: How to wait.
    """

    def __init__(
        self,
        client: "DynamoDBClient",
        table_name: str,
        *,
        now: Callable[[], datetime] = clock.now,
        sleep: Callable[[float], None] = clock.sleep,
    ) -> None:
        self._client = client
        self._table_name = table_name
        self._now = now
        self._sleep = sleep

    def wait(self, within: float) -> bool:
        """Take the next free moment and wait for it.

        Args:
            within: Seconds that the caller can wait.

        Returns:
            False, at once and with nothing taken, where no moment is free in that time.
        """
        while True:
            now, free_at = self._milliseconds(), self._free_at()
            moment = max(now, free_at or 0)
            if moment - now > within * 1000:
                return False
            if self._move(free_at, moment + int(BETWEEN_MESSAGES * 1000)):
                if moment > now:
                    self._sleep((moment - now) / 1000)
                return True

    def hold(self, seconds: float) -> None:
        """Let nobody post for so long, at most `LONGEST_HOLD`: what Slack asks for with `Retry-After`."""
        until = self._milliseconds() + int(min(seconds, LONGEST_HOLD) * 1000)
        free_at = self._free_at()
        while (free_at or 0) < until and not self._move(free_at, until):
            free_at = self._free_at()

    def _milliseconds(self) -> int:
        return int(self._now().timestamp() * 1000)

    def _free_at(self) -> int | None:
        answer = self._client.get_item(TableName=self._table_name, Key=to_item(_ROW), ConsistentRead=True)
        return int(from_item(answer["Item"])["free_at"]) if "Item" in answer else None

    def _move(self, before: int | None, after: int) -> bool:
        """Move the next free moment on; False if another function moved it first."""
        condition = "attribute_not_exists(free_at)" if before is None else "free_at = :before"
        values = {":after": after} | ({":before": before} if before is not None else {})
        try:
            self._client.update_item(
                TableName=self._table_name,
                Key=to_item(_ROW),
                UpdateExpression="SET free_at = :after",
                ConditionExpression=condition,
                ExpressionAttributeValues=to_item(values),
            )
        except self._client.exceptions.ConditionalCheckFailedException:
            return False
        return True
