"""At most so many messages in any second, for one process or for every sender that shares a row.

Slack takes one message a second from a webhook, and SNS drops an e-mail subscription above ten messages a second. Each
shard of the stream has a sender of its own, and SQS lets no fewer than two functions work on a queue. So the pace is
kept outside of them (rule 17): a row holds the moments of the latest messages, and a sender that adds its own, on
condition that no other one did meanwhile, may send at the moment that it added.
"""

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple, cast

from orderwatch import clock
from orderwatch.aws.dynamodb import Item, from_item, to_item
from orderwatch.errors import OrderwatchError

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient
    from mypy_boto3_dynamodb.type_defs import UpdateItemInputTypeDef

LONGEST_HOLD = 300.0
"""Seconds: Slack asks for tens of them; an absurd value must not silence the channel."""
MAX_TRIES = 10
"""Tries to add to the row before it counts as unreachable; each one that failed means that another sender got on."""


MILLISECOND = 0.001
"""Seconds: the grain of the moments in the row; a shorter wait is not worth a sleep."""


class Limit(NamedTuple):
    """At most `messages` in any `seconds`."""

    messages: int
    seconds: float


SLACK_LIMIT = Limit(messages=1, seconds=1.0)
"""Slack's, for one webhook."""
TOPIC_LIMIT = Limit(messages=10, seconds=1.0)
"""SNS's, for one e-mail subscription (rule 12)."""


class RateLimitUnknownError(OrderwatchError):
    """The shared pace cannot be read or written: try again later, or go on at a pace of your own."""


def _milliseconds(seconds: float) -> int:
    """Round up, so that what follows never comes too early."""
    return math.ceil(seconds * 1000)


def _free_from(moments: Sequence[int], limit: Limit, count: int) -> int:
    """Return the first moment at which `count` more messages keep the limit; moments are milliseconds, in order."""
    excess = len(moments) + count - limit.messages
    return moments[excess - 1] + round(limit.seconds * 1000) if excess > 0 else 0


class LocalRateLimiter:
    """The pace of one process.

    Args:
        limit: What to keep.
    """

    def __init__(self, limit: Limit) -> None:
        self._limit = limit
        self._moments: list[int] = []

    def wait(self, count: int = 1) -> None:
        """Wait until `count` messages more keep the limit; at most `limit.messages`."""
        delay = _free_from(self._moments, self._limit, count) / 1000 - clock.monotonic()
        if delay > 0:
            clock.sleep(delay)
        self._moments = [*self._moments, *[_milliseconds(clock.monotonic())] * count][-self._limit.messages :]


class SharedRateLimiter:
    """The pace of all senders that share a row: one write a call, unless another sender was quicker.

    Args:
        client: DynamoDB.
        table_name: A table whose key is `id`.
        row_id: The row; what is paced, such as a topic's ARN.
        limit: What to keep; by the wall clock, as the senders share no other.
    """

    def __init__(self, client: "DynamoDBClient", table_name: str, row_id: str, limit: Limit) -> None:
        self._client = client
        self._table_name = table_name
        self._row_id = row_id
        self._limit = limit
        self._turn = 0
        self._moments: list[int] = []

    def wait(self, within: float, count: int = 1) -> bool:
        """Reserve the next free moment for `count` messages, at most `limit.messages`, and wait for it.

        Args:
            within: Seconds that the caller can wait.
            count: Messages that will be sent at once.

        Returns:
            False, at once and with nothing reserved, if no moment is free in that time.

        Raises:
            RateLimitUnknownError: The row was out of reach of `MAX_TRIES` tries.
            ClientError: DynamoDB refused.
            BotoCoreError: DynamoDB was not reached.
        """
        for _ in range(MAX_TRIES):
            now = clock.now().timestamp()
            moment = max(_milliseconds(now), _free_from(self._moments, self._limit, count))
            delay = moment / 1000 - now
            if delay > within:
                return False
            if self._write([*self._moments, *[moment] * count]):
                if delay > MILLISECOND:
                    clock.sleep(delay)
                return True
        raise RateLimitUnknownError(f"{MAX_TRIES} tries")

    def hold(self, seconds: float) -> None:
        """Let nobody send for so long, at most `LONGEST_HOLD`: what Slack asks for with `Retry-After`.

        Raises:
            RateLimitUnknownError: As `wait`; so are the others.
        """
        until = _milliseconds(clock.now().timestamp() + min(seconds, LONGEST_HOLD))
        for _ in range(MAX_TRIES):
            if _free_from(self._moments, self._limit, 1) >= until:
                return
            if self._write([until - round(self._limit.seconds * 1000)] * self._limit.messages):
                return
        raise RateLimitUnknownError(f"{MAX_TRIES} tries")

    def _write(self, moments: Sequence[int]) -> bool:
        """Write the row if it is as this sender last knew it; if it is not, learn how it is and return False."""
        moments = list(moments)[-self._limit.messages :]
        try:
            self._client.update_item(**self._request(moments))
        except self._client.exceptions.ConditionalCheckFailedException as error:
            row = from_item(cast("Item", error.response.get("Item", {})))
            self._turn, self._moments = int(row.get("turn", 0)), [int(moment) for moment in row.get("moments", [])]
            return False
        self._turn, self._moments = self._turn + 1, moments
        return True

    def _request(self, moments: list[int]) -> "UpdateItemInputTypeDef":
        condition = "turn = :known" if self._turn else "attribute_not_exists(turn)"
        values = {":moments": moments, ":next": self._turn + 1} | ({":known": self._turn} if self._turn else {})
        return {
            "TableName": self._table_name,
            "Key": to_item({"id": self._row_id}),
            "UpdateExpression": "SET moments = :moments, turn = :next",
            "ConditionExpression": condition,
            "ExpressionAttributeValues": to_item(values),
            "ReturnValuesOnConditionCheckFailure": "ALL_OLD",
        }
