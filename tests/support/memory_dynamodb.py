"""DynamoDB in a dictionary: just what the adapters call, at the level of boto3's client.

The real adapters run on it unchanged. It is quick where moto copies whole tables for every transaction, and it passes
the same contract as moto (`tests/unit/test_tables.py`). It refuses every request that it does not know, and every read
of a row that is not consistent: such a read could return an older row.
"""

import math
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache, partial
from itertools import batched
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, NamedTuple, cast

from boto3.dynamodb.types import TypeDeserializer, TypeSerializer
from botocore.exceptions import ClientError

from orderwatch import clock

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

MAX_ACTIONS = 100
ITEMS_A_PAGE = 50

_serialize = TypeSerializer().serialize
_deserialize = TypeDeserializer().deserialize

type Item = dict[str, Any]
type Key = tuple[str, ...]


class ConditionFailedError(ClientError):
    """The condition of an update does not hold."""


class TransactionCancelledError(ClientError):
    """An action's condition does not hold: nothing was written."""


def _refused(operation: str, message: str) -> ClientError:
    return ClientError({"Error": {"Code": "ValidationException", "Message": message}}, operation)


@dataclass
class _Table:
    key: tuple[str, ...]
    indexes: dict[str, tuple[str, ...]]
    rows: dict[Key, Item] = field(default_factory=dict)

    def key_of(self, item: Mapping[str, Any]) -> Key:
        return tuple(str(item[name]["S"]) for name in self.key)

    def place_of(self, key: Mapping[str, Any]) -> Key:
        """The same of what must be the key and nothing else."""
        if set(key) != set(self.key):
            raise _refused("Key", "the provided key element does not match the schema")
        return self.key_of(key)

    def index(self, name: str) -> list[Item]:
        """The rows that carry all keys of the index, by its last one."""
        keys = self.indexes[name]
        rows = (row for row in self.rows.values() if all(key in row for key in keys))
        return sorted(rows, key=lambda row: str(row[keys[-1]]["S"]))


class MemoryDynamoDB:
    """A DynamoDB client whose tables live and die with it.

    Attributes:
        throttled_until: The reading of the process's clock until which reads of rows and transactions are throttled.
    """

    exceptions = SimpleNamespace(
        ConditionalCheckFailedException=ConditionFailedError, TransactionCanceledException=TransactionCancelledError
    )

    def __init__(self) -> None:
        self._tables: dict[str, _Table] = {}
        self.throttled_until = -math.inf

    def _is_throttled(self) -> bool:
        return clock.monotonic() < self.throttled_until

    def _throttle(self, operation: str, code: str) -> None:
        """Refuse a request, with one of the codes that DynamoDB has for it."""
        if self._is_throttled():
            raise ClientError({"Error": {"Code": code, "Message": "too many requests"}}, operation)

    def as_client(self) -> "DynamoDBClient":
        """Itself under the type that the adapters name."""
        return cast("DynamoDBClient", self)

    def create_table(self, **request: Any) -> None:
        """Take the key and the indexes of a table; all else that a table has changes nothing here."""
        key = tuple(each["AttributeName"] for each in request["KeySchema"])
        indexes = {
            index["IndexName"]: tuple(each["AttributeName"] for each in index["KeySchema"])
            for index in request.get("GlobalSecondaryIndexes", [])
        }
        self._tables[request["TableName"]] = _Table(key, indexes)

    def delete_table(self, **request: Any) -> None:
        del self._tables[request["TableName"]]

    def get_waiter(self, name: str) -> Any:
        return SimpleNamespace(wait=lambda **request: None)

    def get_item(self, **request: Any) -> dict[str, Any]:
        _known(request, "TableName", "Key", "ConsistentRead")
        _consistent(request)
        self._throttle("GetItem", "ThrottlingException")
        table = self._tables[request["TableName"]]
        row = table.rows.get(table.place_of(request["Key"]))
        return {"Item": dict(row)} if row is not None else {}

    def batch_get_item(self, **request: Any) -> dict[str, Any]:
        _known(request, "RequestItems")
        self._throttle("BatchGetItem", "ProvisionedThroughputExceededException")
        responses = {name: self._batch(name, keys_asked) for name, keys_asked in request["RequestItems"].items()}
        return {"Responses": responses, "UnprocessedKeys": {}}

    def _batch(self, name: str, keys_asked: dict[str, Any]) -> list[Item]:
        _known(keys_asked, "Keys", "ConsistentRead")
        _consistent(keys_asked)
        table = self._tables[name]
        keys = [table.place_of(key) for key in keys_asked["Keys"]]
        if not keys or len(keys) > MAX_ACTIONS or len(set(keys)) < len(keys):
            raise _refused("BatchGetItem", "1 to 100 different keys are expected")
        return [dict(table.rows[key]) for key in keys if key in table.rows]

    def transact_write_items(self, **request: Any) -> dict[str, Any]:
        _known(request, "TransactItems")
        parts = [self._part(action) for action in request["TransactItems"]]
        if not parts or len(parts) > MAX_ACTIONS or len({part.place for part in parts}) < len(parts):
            raise _refused("TransactWriteItems", "1 to 100 actions on different items are expected")
        if self._is_throttled():
            raise _cancelled(["ThrottlingError", *["None"] * (len(parts) - 1)])
        held = [part.condition.holds(part.table.rows.get(part.place[1], {})) for part in parts]
        if not all(held):
            raise _cancelled(["None" if held_one else "ConditionalCheckFailed" for held_one in held])
        for part in parts:
            part.write()
        return {}

    def _part(self, action: dict[str, Any]) -> "_Part":
        _known(action, "Put", "Update", "ConditionCheck")
        [(kind, part)] = action.items()
        row = "Item" if kind == "Put" else "Key"
        update = ["UpdateExpression"] * (kind == "Update")
        expressions = ("ConditionExpression", "ExpressionAttributeNames", "ExpressionAttributeValues")
        _known(part, "TableName", row, *update, *expressions)
        table = self._tables[part["TableName"]]
        place = (part["TableName"], table.key_of(part[row]))
        return _Part(
            table,
            place,
            dict(part[row]) if kind != "ConditionCheck" else None,
            _Expression.of(part, "UpdateExpression") if update else None,
            _Expression.of(part, "ConditionExpression"),
        )

    def update_item(self, **request: Any) -> dict[str, Any]:
        _known(
            request,
            "TableName",
            "Key",
            "UpdateExpression",
            "ConditionExpression",
            "ExpressionAttributeNames",
            "ExpressionAttributeValues",
            "ReturnValuesOnConditionCheckFailure",
        )
        table = self._tables[request["TableName"]]
        key = table.place_of(request["Key"])
        row = table.rows.get(key, {})
        if "ConditionExpression" in request and not _Expression.of(request, "ConditionExpression").holds(row):
            raise _condition_failed(row if "ReturnValuesOnConditionCheckFailure" in request else {})
        update = _Expression.of(request, "UpdateExpression")
        table.rows[key] = update.updated(row | request["Key"])
        return {}

    def put_item(self, **request: Any) -> None:
        """Write a row as the library of post_to_slack does: conditionally, and the row that exists is returned."""
        assert request.pop("ReturnValuesOnConditionCheckFailure") == "ALL_OLD"
        part = self._part({"Put": request})
        row = part.table.rows.get(part.place[1], {})
        if part.item is None or not part.condition.holds(row):
            raise _condition_failed(row)
        part.write()

    def delete_item(self, **request: Any) -> None:
        _known(request, "TableName", "Key")
        table = self._tables[request["TableName"]]
        table.rows.pop(table.place_of(request["Key"]), None)

    def query(self, **request: Any) -> dict[str, Any]:
        """All of it as one page."""
        self._throttle("Query", "RequestLimitExceeded")
        return {"Items": self._query(**request)}

    def get_paginator(self, name: str) -> Any:
        return SimpleNamespace(paginate=partial(self._pages, {"query": self._query, "scan": self._scan}[name]))

    def _pages(self, find: Callable[..., list[Item]], **request: Any) -> Iterator[dict[str, Any]]:
        found = find(**request)
        yield from ({"Items": list(page), "Count": len(page)} for page in batched(found, ITEMS_A_PAGE, strict=False))
        yield {"Items": [], "Count": 0}

    def _query(self, **request: Any) -> list[Item]:
        _known(
            request,
            "TableName",
            "IndexName",
            "KeyConditionExpression",
            "ExpressionAttributeValues",
            "ExpressionAttributeNames",
            "ProjectionExpression",
            "ScanIndexForward",
            "Limit",
            "Select",
        )
        condition = _Expression.of(request, "KeyConditionExpression")
        rows = self._tables[request["TableName"]].index(request["IndexName"])
        found = [row for row in rows if condition.holds(row)]
        return _projected(found if request.get("ScanIndexForward", True) else found[::-1], request)

    def _scan(self, **request: Any) -> list[Item]:
        _known(request, "TableName", "ProjectionExpression")
        return _projected(self._tables[request["TableName"]].rows.values(), request)


def _projected(rows: Iterable[Item], request: Mapping[str, Any]) -> list[Item]:
    """Copies of the rows, with all attributes or those of the projection."""
    shown = request.get("ProjectionExpression", "").replace(" ", "").split(",")
    return [{name: row[name] for name in (row if shown == [""] else shown) if name in row} for row in rows]


class _Part(NamedTuple):
    table: _Table
    place: tuple[str, Key]
    item: Item | None  # the key, for an update
    update: "_Expression | None"
    condition: "_Expression"

    def write(self) -> None:
        """Put the item, or update the row; a check writes nothing."""
        if self.item is None:
            return
        row = self.table.rows.get(self.place[1], {})
        self.table.rows[self.place[1]] = self.update.updated(row | self.item) if self.update else self.item


def _known(request: Mapping[str, Any], *names: str) -> None:
    if unknown := set(request) - set(names):
        raise NotImplementedError(f"not known here: {sorted(unknown)}")


def _consistent(request: Mapping[str, Any]) -> None:
    if not request.get("ConsistentRead"):
        raise NotImplementedError("a read that is not consistent can return an older row")


def _condition_failed(row: Item) -> ConditionFailedError:
    shown = {"Item": dict(row)} if row else {}
    error = {"Code": "ConditionalCheckFailedException", "Message": "The conditional request failed"}
    return ConditionFailedError(cast("Any", {"Error": error, **shown}), "UpdateItem")


def _cancelled(codes: Sequence[str]) -> TransactionCancelledError:
    answer = {
        "Error": {"Code": "TransactionCanceledException", "Message": "Transaction cancelled"},
        "CancellationReasons": [{"Code": code} for code in codes],
    }
    return TransactionCancelledError(cast("Any", answer), "TransactWriteItems")


_TOKEN = re.compile(r"\s*(:\w+|#\w+|[A-Za-z_]\w*|<=|>=|=|<|\(|\)|,)")
_COMPARE: dict[str, Callable[[Any, Any], bool]] = {
    "=": lambda left, right: left == right,
    "<": lambda left, right: left < right,
    "<=": lambda left, right: left <= right,
    ">=": lambda left, right: left >= right,
}
_SECTION = re.compile(r"\b(SET|ADD|REMOVE)\b")


class _Expression(NamedTuple):
    """A condition or an update."""

    text: str
    names: Mapping[str, str]
    values: Mapping[str, Any]

    @classmethod
    def of(cls, request: Mapping[str, Any], which: str) -> "_Expression":
        names = request.get("ExpressionAttributeNames", {})
        return cls(request[which], names, request.get("ExpressionAttributeValues", {}))

    def holds(self, item: Item) -> bool:
        """Whether a condition holds for a row; an empty one always holds."""
        return _condition(self.text)(self, item)

    def updated(self, item: Item) -> Item:
        """The row after an update."""
        after = dict(item)
        _, *parts = _SECTION.split(self.text)
        for section, clauses in batched(parts, 2, strict=True):
            for clause in clauses.split(","):
                self._apply(section, clause.split(), after)
        return after

    def _apply(self, section: str, words: list[str], item: Item) -> None:
        match section, words:
            case "SET", [path, "=", value]:
                item[self.name(path)] = self.values[value]
            case "ADD", [path, value]:
                before = item.get(self.name(path), {"N": "0"})
                item[self.name(path)] = _serialize(_deserialize(before) + _deserialize(self.values[value]))
            case "REMOVE", [path]:
                item.pop(self.name(path), None)
            case _:
                raise NotImplementedError(f"update: {self.text}")

    def name(self, path: str) -> str:
        """The attribute that a path names."""
        return self.names[path] if path.startswith("#") else path


type _Test = Callable[[_Expression, Item], bool]


@cache
def _condition(text: str) -> _Test:
    """A condition, parsed once for all rows."""
    tokens = list(_tokens(text))
    test = _either(tokens)
    if tokens:
        raise NotImplementedError(f"condition: {text}")
    return test


def _either(tokens: list[str]) -> _Test:
    tests = [_both(tokens)]
    while tokens[:1] == ["OR"]:
        tokens.pop(0)
        tests.append(_both(tokens))
    return tests[0] if len(tests) == 1 else lambda given, item: any(test(given, item) for test in tests)


def _both(tokens: list[str]) -> _Test:
    tests = [_one(tokens)]
    while tokens[:1] == ["AND"]:
        tokens.pop(0)
        tests.append(_one(tokens))
    return tests[0] if len(tests) == 1 else lambda given, item: all(test(given, item) for test in tests)


def _one(tokens: list[str]) -> _Test:
    first = tokens.pop(0)
    if first == "(":
        test = _either(tokens)
        _expect(tokens, ")")
        return test
    if first in {"attribute_exists", "attribute_not_exists"}:
        _expect(tokens, "(")
        path = tokens.pop(0)
        _expect(tokens, ")")
        exists = first == "attribute_exists"
        return lambda given, item: (given.name(path) in item) is exists
    compare, value = _COMPARE[tokens.pop(0)], tokens.pop(0)
    return lambda given, item: _compared(item.get(given.name(first)), given.values[value], compare)


def _compared(left: Any, right: Any, compare: Callable[[Any, Any], bool]) -> bool:
    if left is None or left.keys() != right.keys():
        return False
    if "S" in left:
        return compare(left["S"], right["S"])
    return compare(_deserialize(left), _deserialize(right))


def _expect(tokens: list[str], token: str) -> None:
    if tokens.pop(0) != token:
        raise NotImplementedError(f"condition: no {token}")


@cache
def _tokens(text: str) -> Sequence[str]:
    at, found = 0, list[str]()
    while at < len(text.rstrip()):
        match = _TOKEN.match(text, at)
        if match is None:
            raise NotImplementedError(f"condition: {text}")
        found.append(match[1])
        at = match.end()
    return found
