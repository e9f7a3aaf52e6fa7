"""DynamoDB's notation of rows, and transactions that return which of their parts lost."""

import random
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import batched, count
from typing import TYPE_CHECKING, Any

from boto3.dynamodb.types import TypeDeserializer, TypeSerializer
from botocore.exceptions import ClientError

from orderwatch import clock

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

MAX_ACTIONS = 100
"""Actions of one TransactWriteItems, keys of one BatchGetItem."""
MAX_BYTES = 3_000_000
"""Bytes of one transaction; DynamoDB takes 4 MB."""
MAX_TRIES = 8
"""Tries of a transaction that conflicts with another one."""

_serialize = TypeSerializer().serialize
_deserialize = TypeDeserializer().deserialize

type Item = dict[str, Any]
type Action = dict[str, Any]


def to_item(row: Mapping[str, Any]) -> Item:
    """A row in DynamoDB's notation; attributes that are None are left out."""
    # Nearly all are texts, thousands a page: the serializer would take ten times as long for them.
    return {
        name: {"S": value} if isinstance(value, str) else _serialize(value)
        for name, value in row.items()
        if value is not None
    }


def from_item(item: Item) -> dict[str, Any]:
    """A row out of DynamoDB's notation; numbers are Decimals."""
    return {name: value["S"] if "S" in value else _deserialize(value) for name, value in item.items()}


def put_action(
    table: str,
    row: Mapping[str, Any],
    *,
    condition: str,
    values: Mapping[str, Any],
    names: Mapping[str, str] | None = None,
) -> Action:
    """A conditional Put as an action of a transaction."""
    put: Action = {"TableName": table, "Item": to_item(row), "ConditionExpression": condition}
    if values:
        put["ExpressionAttributeValues"] = to_item(values)
    if names:
        put["ExpressionAttributeNames"] = dict(names)
    return {"Put": put}


def batch_get(
    client: "DynamoDBClient",
    table: str,
    keys: Iterable[Mapping[str, Any]],
) -> Iterator[dict[str, Any]]:
    """The rows of these keys, those that there are, consistent, 100 a request."""
    for batch in batched(map(to_item, keys), MAX_ACTIONS, strict=False):
        connections_to_poll: Any = {table: {"Keys": list(batch), "ConsistentRead": True}}
        attempt = 0
        while connections_to_poll:
            answer = client.batch_get_item(RequestItems=connections_to_poll)
            yield from map(from_item, answer["Responses"].get(table, []))
            connections_to_poll = answer.get("UnprocessedKeys")
            if connections_to_poll:  # cut at 16 MB, or throttled: the rest is asked for more slowly
                clock.sleep(_jitter(attempt))
                attempt += 1


def _jitter(attempt: int) -> float:
    return random.uniform(0, 0.05 * 2 ** min(attempt, 6))  # noqa: S311 - jitter, not a secret


def check_action(table: str, key: Mapping[str, Any], *, condition: str, values: Mapping[str, Any]) -> Action:
    """A condition on a row that the transaction does not write."""
    check: Action = {"TableName": table, "Key": to_item(key), "ConditionExpression": condition}
    if values:
        check["ExpressionAttributeValues"] = to_item(values)
    return {"ConditionCheck": check}


@dataclass(frozen=True, slots=True)
class Unit[T]:
    """Actions that are written together or not at all.

    Attributes:
        subject: What the caller knows them by.
        actions: The required one, then optional ones: where only an optional one's condition fails, the rest is
            written without it.
    """

    subject: T
    actions: tuple[Action, ...]


def _size(unit: Unit[Any]) -> int:
    # Texts are nearly all of a row; names, numbers and conditions are covered by the margin below 4 MB.
    rows = (part.get("Item", {}) for action in unit.actions for part in action.values())
    return sum(len(value["S"].encode()) for row in rows for value in row.values() if "S" in value)


def chunked[T](units: Iterable[Unit[T]], *, spare: int = 0) -> Iterator[list[Unit[T]]]:
    """Fill transactions in order, none over the limits of actions and bytes, each with room for `spare` actions."""
    chunk: list[Unit[T]] = []
    actions = size = 0
    for unit in units:
        more_actions, more_bytes = len(unit.actions), _size(unit)
        if chunk and (actions + more_actions > MAX_ACTIONS - spare or size + more_bytes > MAX_BYTES):
            yield chunk
            chunk, actions, size = [], 0, 0
        chunk.append(unit)
        actions, size = actions + more_actions, size + more_bytes
    if chunk:
        yield chunk


class Transactions:
    """Writes units; a cancelled transaction is split to find the ones that lost."""

    def __init__(self, client: "DynamoDBClient") -> None:
        self._client = client

    def write[T](self, units: Sequence[Unit[T]]) -> list[Unit[T]]:
        """Write one transaction's worth of units (see `chunked`).

        Returns:
            The units whose required action's condition failed. Where there are any, nothing was written: a
            transaction is written whole or not at all.

        Raises:
            ClientError: It was cancelled for another reason, or it conflicted with others `MAX_TRIES` times.
        """
        for attempt in count():
            error = self._attempt(units)
            if error is None:
                return []
            lost, units = _sorted_out(units, error)
            if lost:
                return lost
            refusals = _refusals(error)
            if refusals - _PASSING or attempt + 1 == MAX_TRIES:
                raise error
            clock.sleep(_jitter(attempt) if refusals else 0)
        return []

    def _attempt(self, units: Sequence[Unit[Any]]) -> ClientError | None:
        actions: Any = [action for unit in units for action in unit.actions]
        try:
            self._client.transact_write_items(TransactItems=actions)
        except self._client.exceptions.TransactionCanceledException as error:
            return error
        return None


_PASSING = {"TransactionConflict", "ThrottlingError", "ProvisionedThroughputExceeded"}


def _codes(error: ClientError) -> list[str]:
    reasons = error.response.get("CancellationReasons", [])
    return [str(reason.get("Code") or "None") for reason in reasons]


def _refusals(error: ClientError) -> set[str]:
    """Why it was cancelled, apart from conditions."""
    return set(_codes(error)) - {"None", "ConditionalCheckFailed"}


def _sorted_out[T](units: Sequence[Unit[T]], error: ClientError) -> tuple[list[Unit[T]], list[Unit[T]]]:
    """Return the units that lost, and all units without the optional actions that were already there."""
    codes = iter(_codes(error))
    lost, rest = [], []
    for unit in units:
        failed = [next(codes, "None") == "ConditionalCheckFailed" for _ in unit.actions]
        if failed and failed[0]:
            lost.append(unit)
        kept = tuple(action for action, gone in zip(unit.actions, failed, strict=True) if not gone)
        rest.append(Unit(unit.subject, kept))
    return lost, rest
