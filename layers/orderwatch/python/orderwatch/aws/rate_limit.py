"""The rate limiter of the topics and of Slack: at most a number of messages in any second, over all senders (rule 17).

Every shard of the stream has its own sender, and SQS runs at least two functions for a queue. So all senders share a
row with the times of the latest messages. A sender adds the time of its next messages with a conditional write. If
another sender wrote first, it takes the row from the refusal and tries again. If the row is not available, a sender
applies a lower limit of its own.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

from botocore.exceptions import BotoCoreError, ClientError

from orderwatch import clock
from orderwatch.aws.dynamodb import Item, from_item, to_item
from orderwatch.observability import logger

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

MAX_HOLD = 300.0
"""Seconds. Slack requires tens of seconds; a wrong value must not stop the channel."""
MAX_ATTEMPTS = 10
"""Refused writes after which the row counts as not available."""
RETRY_ROW_AFTER = 60.0
"""Seconds after which a row that was not available is tried again."""
MILLISECOND = 0.001
"""Seconds: the unit of the times in the row, and the shortest sleep."""


@dataclass(frozen=True, slots=True)
class Limit:
    """At most `messages` in any `seconds`.

    Attributes:
        messages: For all senders together.
        local_messages: For one sender that cannot use the shared row.
        seconds: Length of the window.
        max_wait: Seconds. Senders never cause a longer wait: a row that requires one is wrong.
    """

    messages: int
    local_messages: int
    seconds: float
    max_wait: float


SLACK_LIMIT = Limit(messages=1, local_messages=1, seconds=1.0, max_wait=2 * MAX_HOLD)
"""Slack's limit for one webhook."""
TOPIC_LIMIT = Limit(messages=5, local_messages=2, seconds=1.0, max_wait=60.0)
"""SNS deactivates an e-mail subscription that gets more than ten messages a second. It delivers with a jitter of 0.1 to
1 second, so the messages of two seconds can arrive in one. Without the row, five senders (four shards of the stream and
redrive_alerts) send ten a second together."""


@dataclass(frozen=True, slots=True)
class Row:
    """The row that all senders share.

    Attributes:
        client: DynamoDB.
        table_name: A table with the key `id`.
        row_id: What is limited, such as the ARN of a topic.
    """

    client: "DynamoDBClient"
    table_name: str
    row_id: str


class RateLimiter:
    """Limits the messages of all senders that share a row, or of this process if there is no row.

    Times are milliseconds of the wall clock, because senders share no other clock.
    """

    def __init__(self, limit: Limit, row: Row | None = None) -> None:
        self._limit = limit
        self._row = row
        self._retry_row_at = 0.0
        self._times: list[int] = []
        self._revision = 0

    def acquire(self, count: int = 1, *, within: float = math.inf) -> int:
        """Wait until messages can be sent.

        Args:
            count: Number of messages to send at once.
            within: Seconds that the caller can wait.

        Returns:
            How many messages the caller may send now, at most `count`; 0 without a wait if `within` is too short.
        """
        attempts = 0
        while True:
            granted = min(count, self._messages)
            now = clock.now().timestamp()
            send_at = max(_milliseconds(now), self._free_at(granted))
            delay = send_at / 1000 - now
            if delay > self._limit.max_wait:
                self._leave_row("rate-limit wait is too long; using the local limit")
                self._times = [time for time in self._times if time <= _milliseconds(now)]
                continue
            if delay > within:
                return 0
            attempts += 1
            if self._save([*self._times, *[send_at] * granted], attempts):
                if delay > MILLISECOND:
                    clock.sleep(delay)
                return granted

    def hold(self, seconds: float) -> None:
        """Stop all senders for the `Retry-After` of a response, at most `MAX_HOLD` seconds."""
        until = _milliseconds(clock.now().timestamp() + min(seconds, MAX_HOLD))
        held = [until - round(self._limit.seconds * 1000)] * self._limit.messages
        attempts = 0
        while self._free_at(1) < until:
            attempts += 1
            if self._save(held, attempts):
                return

    @property
    def _uses_row(self) -> bool:
        return self._row is not None and clock.monotonic() >= self._retry_row_at

    @property
    def _messages(self) -> int:
        return self._limit.messages if self._row is None or self._uses_row else self._limit.local_messages

    def _free_at(self, count: int) -> int:
        """The first time at which `count` more messages are within the limit."""
        excess = len(self._times) + count - self._messages
        return self._times[excess - 1] + round(self._limit.seconds * 1000) if excess > 0 else 0

    def _save(self, times: Sequence[int], attempts: int) -> bool:
        """Save the times; False if the caller must try again with the times that the limiter has read now."""
        times = list(times)[-self._limit.messages :]
        if self._row is None or not self._uses_row:
            self._times = times
            return True
        try:
            is_saved = self._write(self._row, times)
        except (ClientError, BotoCoreError) as error:
            self._leave_row("rate-limit row is not available; using the local limit", error)
            return False
        if not is_saved and attempts >= MAX_ATTEMPTS:
            self._leave_row("rate-limit row is contended; using the local limit")
        return is_saved

    def _write(self, row: Row, times: list[int]) -> bool:
        """Write the row if no other sender has; else read it and return False."""
        try:
            row.client.update_item(
                TableName=row.table_name,
                Key=to_item({"id": row.row_id}),
                UpdateExpression="SET sent_times = :times, revision = :next",
                ConditionExpression="revision = :known" if self._revision else "attribute_not_exists(revision)",
                ExpressionAttributeValues=to_item(
                    {":times": times, ":next": self._revision + 1, ":known": self._revision or None}
                ),
                ReturnValuesOnConditionCheckFailure="ALL_OLD",
            )
        except row.client.exceptions.ConditionalCheckFailedException as error:
            found = from_item(cast("Item", error.response.get("Item", {})))
            self._revision = int(found.get("revision", 0))
            self._times = [int(time) for time in found.get("sent_times", [])]
            return False
        self._revision, self._times = self._revision + 1, times
        return True

    def _leave_row(self, reason: str, error: Exception | None = None) -> None:
        logger.warning(reason, exc_info=error, extra={"row_id": self._row.row_id if self._row else None})
        self._retry_row_at = clock.monotonic() + RETRY_ROW_AFTER


def _milliseconds(seconds: float) -> int:
    """Round up, so that nothing is sent too early."""
    return math.ceil(seconds * 1000)
