"""DynamoDB: the format of rows, reads, and transactions that return the units whose condition failed."""

import random
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from decimal import Decimal
from functools import partial
from itertools import batched, count
from typing import TYPE_CHECKING, Any, NamedTuple, cast

from boto3.dynamodb.types import TypeDeserializer, TypeSerializer
from botocore.exceptions import ClientError

from orderwatch import clock
from orderwatch.errors import ThrottledError

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

MAX_ACTIONS = 100
"""Actions of one TransactWriteItems, keys of one BatchGetItem."""
MAX_BYTES = 3_000_000
"""Bytes of one transaction; the limit of DynamoDB is 4 MB."""
MAX_TRIES = 8
"""Attempts of a transaction that conflicts with another one."""

_serialize = TypeSerializer().serialize
_deserialize = TypeDeserializer().deserialize

type Item = dict[str, Any]
type Action = dict[str, Any]


def to_item(row: Mapping[str, Any]) -> Item:
    """Convert a row to DynamoDB's format; attributes that are None are left out."""
    # Nearly all values are strings and integers, thousands a page: the serializer takes ten times as long for them.
    return {
        name: {"S": value} if isinstance(value, str) else {"N": str(value)} if type(value) is int else _serialize(value)
        for name, value in row.items()
        if value is not None
    }


def from_item(item: Item) -> dict[str, Any]:
    """Convert a row from DynamoDB's format; numbers become Decimals."""
    return {
        name: value["S"] if "S" in value else Decimal(value["N"]) if "N" in value else _deserialize(value)
        for name, value in item.items()
    }


def put_action(
    table: str,
    row: Mapping[str, Any],
    *,
    condition: str,
    values: Mapping[str, Any],
    names: Mapping[str, str] | None = None,
) -> Action:
    """A conditional Put as an action of a transaction."""
    return {"Put": {"TableName": table, "Item": to_item(row), **_condition(condition, values, names)}}


def update_action(
    table: str,
    key: Mapping[str, Any],
    update: str,
    *,
    condition: str,
    values: Mapping[str, Any],
    names: Mapping[str, str] | None = None,
) -> Action:
    """A conditional Update as an action of a transaction."""
    expressions = {"UpdateExpression": update, **_condition(condition, values, names)}
    return {"Update": {"TableName": table, "Key": to_item(key), **expressions}}


def check_action(table: str, key: Mapping[str, Any], *, condition: str, values: Mapping[str, Any]) -> Action:
    """A condition on a row that the transaction does not write, as an action of a transaction."""
    return {"ConditionCheck": {"TableName": table, "Key": to_item(key), **_condition(condition, values)}}


def _condition(text: str, values: Mapping[str, Any], names: Mapping[str, str] | None = None) -> dict[str, Any]:
    parts = {
        "ConditionExpression": text,
        "ExpressionAttributeValues": to_item(values),
        "ExpressionAttributeNames": names,
    }
    return {name: part for name, part in parts.items() if part}  # DynamoDB refuses one that is empty


def batch_get(client: "DynamoDBClient", table: str, keys: Iterable[Mapping[str, Any]]) -> Iterator[dict[str, Any]]:
    """Read the rows of these keys that exist: consistent reads, 100 keys a request."""
    for batch in batched(map(to_item, keys), MAX_ACTIONS, strict=False):
        unread: Any = {table: {"Keys": list(batch), "ConsistentRead": True}}
        attempt = 0
        while unread:
            response = client.batch_get_item(RequestItems=unread)
            yield from map(from_item, response["Responses"].get(table, []))
            unread = response.get("UnprocessedKeys")
            if unread:  # the response was full (16 MB) or the table is throttled: back off
                clock.sleep(_jitter(attempt))
                attempt += 1


def query(
    client: "DynamoDBClient", table: str, index: str, condition: str, values: Mapping[str, Any], **options: Any
) -> Iterator[dict[str, Any]]:
    """Query an index lazily: the rows that meet a key condition, in the order of the index, 1 MB a request."""
    position: dict[str, Any] = {}
    while True:
        response = client.query(
            TableName=table,
            IndexName=index,
            KeyConditionExpression=condition,
            ExpressionAttributeValues=to_item(values),
            **options,
            **position,
        )
        yield from map(from_item, response["Items"])
        if not (last := response.get("LastEvaluatedKey")):
            return
        position = {"ExclusiveStartKey": last}


def scan(client: "DynamoDBClient", table: str, **options: Any) -> Iterator[dict[str, Any]]:
    """Read all rows of a table lazily, 1 MB a request."""
    pages = client.get_paginator("scan").paginate(TableName=table, **options)
    return (from_item(item) for page in pages for item in page["Items"])


def _jitter(attempt: int) -> float:
    """Seconds of backoff: full jitter, at most 3.2."""
    return random.uniform(0, 0.05 * 2 ** min(attempt, 6))  # noqa: S311 - jitter, not a secret


class Unit[T](NamedTuple):
    """Actions that are written together or not at all. A tuple, since a poll builds one for each order.

    Attributes:
        subject: What identifies the unit for the caller.
        actions: One required action, then optional ones. If only the condition of an optional action fails, the others
            are written without it.
    """

    subject: T
    actions: tuple[Action, ...]


def _size(unit: Unit[Any]) -> int:
    # Strings are most of a row; the margin below 4 MB covers names, numbers and conditions.
    rows = (part.get("Item", {}) for action in unit.actions for part in action.values())
    texts = [value["S"] for row in rows for value in row.values() if "S" in value]
    return len("".join(texts).encode())


def chunked[T](units: Iterable[Unit[T]], *, spare: int = 0) -> Iterator[list[Unit[T]]]:
    """Split units, in order, into transactions within the limits, each with room for `spare` more actions."""
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
    """Writes units, and finds those whose condition failed."""

    def __init__(self, client: "DynamoDBClient") -> None:
        self._client = client

    def write[T](self, units: Sequence[Unit[T]]) -> list[Unit[T]]:
        """Write the units of one transaction (see `chunked`).

        Returns:
            The units whose required condition failed. If there are any, nothing was written.

        Raises:
            ClientError: The transaction was cancelled for another reason, or had a conflict `MAX_TRIES` times.
        """
        for attempt in count(1):
            error = self._attempt(units)
            if error is None:
                break
            lost, units = _split_lost(units, error)
            if lost:
                return lost
            other_reasons = set(_codes(error)) - {"None", "ConditionalCheckFailed"}
            if other_reasons - _TRANSIENT or attempt == MAX_TRIES:
                raise error
            clock.sleep(_jitter(attempt - 1) if other_reasons else 0)
        return []

    def write_all[T](self, units: Iterable[Unit[T]]) -> list[Unit[T]]:
        """Write the units, in as few transactions as possible, without those whose required condition failed.

        Returns:
            The units that were written.

        Raises:
            ClientError: By one of the transactions. Those before it are written.
        """
        written: list[Unit[T]] = []
        for chunk in chunked(units):
            rest = chunk
            while rest and (lost := self.write(rest)):
                rest = [unit for unit in rest if unit not in lost]
            written += rest
        return written

    def _attempt(self, units: Sequence[Unit[Any]]) -> ClientError | None:
        actions: Any = [action for unit in units for action in unit.actions]
        try:
            self._client.transact_write_items(TransactItems=actions)
        except self._client.exceptions.TransactionCanceledException as error:
            return error
        return None


_THROTTLED_ACTION = {"ThrottlingError", "ProvisionedThroughputExceeded"}
_TRANSIENT = {"TransactionConflict", *_THROTTLED_ACTION}
_THROTTLED = {"ThrottlingException", "ProvisionedThroughputExceededException", "RequestLimitExceeded"}


def is_throttled(error: ClientError) -> bool:
    """Whether AWS refused the request only because there were too many."""
    reasons = set(_codes(error)) - {"None"}
    return bool(reasons and reasons <= _THROTTLED_ACTION) or error.response["Error"].get("Code") in _THROTTLED


_REPEATED = {"get_item", "batch_get_item", "query", "transact_write_items"}


class _PatientClient:
    """See `patient`."""

    def __init__(self, client: "DynamoDBClient", has_time: Callable[[], bool]) -> None:
        self._client = client
        self._has_time = has_time

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._client, name)
        return partial(self._send, found) if name in _REPEATED else found

    def _send(self, send: Callable[..., Any], **request: Any) -> Any:
        for attempt in count():
            try:
                response = send(**request)
            except ClientError as error:
                if not is_throttled(error):
                    raise
                self._require_time(error)
                clock.sleep(_jitter(attempt))
            else:
                if response.get("UnprocessedKeys"):
                    self._require_time(None)
                return response
        raise AssertionError("unreachable")

    def _require_time(self, error: ClientError | None) -> None:
        if not self._has_time():
            raise ThrottledError("DynamoDB throttles requests: the rest is written later") from error


def patient(client: "DynamoDBClient", has_time: Callable[[], bool]) -> "DynamoDBClient":
    """The client, but a request that DynamoDB throttles is repeated as long as there is time.

    A new table takes 4,000 writes a second, and doubles that within minutes. A transaction counts twice.

    Raises:
        ThrottledError: By any request: it is throttled, and there is no more time.
    """
    return cast("DynamoDBClient", _PatientClient(client, has_time))


def _codes(error: ClientError) -> list[str]:
    reasons = error.response.get("CancellationReasons", [])
    return [str(reason.get("Code") or "None") for reason in reasons]


def _split_lost[T](units: Sequence[Unit[T]], error: ClientError) -> tuple[list[Unit[T]], list[Unit[T]]]:
    """The units whose required condition failed, and all units without the optional actions that failed."""
    codes = iter(_codes(error))
    lost, rest = [], []
    for unit in units:
        failed = [next(codes, "None") == "ConditionalCheckFailed" for _ in unit.actions]
        if failed and failed[0]:
            lost.append(unit)
        kept = tuple(action for action, has_failed in zip(unit.actions, failed, strict=True) if not has_failed)
        rest.append(Unit(unit.subject, kept))
    return lost, rest
