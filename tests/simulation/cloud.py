"""AWS in one process: the calls of boto3's clients that the handlers make, and the events that start the handlers."""

from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

from botocore.exceptions import ClientError

from orderwatch.alerts.alert import AlertKey
from orderwatch.aws.dynamodb import from_item, to_item
from tests.support.memory_dynamodb import MemoryDynamoDB, TransactionCancelledError
from tests.support.template import load_template

ORDERS, CONNECTIONS, ALERTS, PACE = "orders", "connections", "alerts", "pace"
TABLES = {ORDERS: "OrderTable", CONNECTIONS: "ConnectionTable", ALERTS: "AlertTable", PACE: "PaceTable"}
PREFIX = "/orderwatch"

type Row = dict[str, Any]


@dataclass(frozen=True)
class Change:
    """One row that a transaction wrote, before and after."""

    table: str
    before: Row | None
    after: Row


def client_error(code: str, operation: str) -> ClientError:
    """What boto3 raises when a service refuses a request."""
    return ClientError({"Error": {"Code": code, "Message": "simulated"}}, operation)


def transaction_conflict(actions: int, which: int) -> ClientError:
    """A transaction that conflicts with another one."""
    reasons = [{"Code": "TransactionConflict" if index == which else "None"} for index in range(actions)]
    answer: Any = {"Error": {"Code": "TransactionCanceledException", "Message": "x"}, "CancellationReasons": reasons}
    return TransactionCancelledError(answer, "TransactWriteItems")


class ObservedTables(MemoryDynamoDB):
    """The template's tables, with callbacks for every write of rows and every update of an alert or an order.

    Args:
        on_write: Gets what a transaction wrote.
        on_mark: Gets the id of an alert whose row was just updated, and its row.
        on_own: Gets what an update of an order's row changed.
    """

    def __init__(
        self,
        on_write: Callable[[list[Change]], None],
        on_mark: Callable[[str, Row], None],
        on_own: Callable[[Change], None],
    ) -> None:
        super().__init__()
        self._on_write, self._on_mark, self._on_own = on_write, on_mark, on_own
        resources = load_template()["Resources"]
        for name, resource in TABLES.items():
            properties = resources[resource]["Properties"]
            indexes = properties.get("GlobalSecondaryIndexes", [])
            self.create_table(TableName=name, KeySchema=properties["KeySchema"], GlobalSecondaryIndexes=indexes)

    def partition_key(self, table: str) -> str:
        """The attribute whose hash decides where a row lies, and through which shard of the stream it comes."""
        return self._tables[table].key[0]

    def row(self, table: str, *key: str) -> Row | None:
        """A row by its key."""
        item = self._tables[table].rows.get(key)
        return None if item is None else from_item(item)

    def all_rows(self, table: str) -> list[Row]:
        """Every row of a table."""
        return [from_item(item) for item in self._tables[table].rows.values()]

    def asked_for(self, request: dict[str, Any]) -> list[Change]:
        """What a transaction would write."""
        puts = [action["Put"] for action in request["TransactItems"] if "Put" in action]
        before = [self.row(put["TableName"], *self._tables[put["TableName"]].key_of(put["Item"])) for put in puts]
        pairs = zip(puts, before, strict=True)
        return [Change(put["TableName"], old, from_item(put["Item"])) for put, old in pairs]

    def transact_write_items(self, **request: Any) -> dict[str, Any]:
        changes = self.asked_for(request)
        answer = super().transact_write_items(**request)
        if changes:
            self._on_write(changes)
        for update in (action["Update"] for action in request["TransactItems"] if "Update" in action):
            connection_id, alert_id = self._tables[ALERTS].key_of(update["Key"])
            self._on_mark(alert_id, self.row(ALERTS, connection_id, alert_id) or {})
        return answer

    def update_item(self, **request: Any) -> dict[str, Any]:
        table = request["TableName"]
        key = self._tables[table].key_of(request["Key"])
        before = self.row(table, *key)
        answer = super().update_item(**request)
        if table == ORDERS:
            self._on_own(Change(ORDERS, before, self.row(ORDERS, *key) or {}))
        return answer


class ParameterStore:
    """SSM with a secret for the organisation and one for each shop."""

    class exceptions:  # noqa: N801 - as boto3 names it
        class ParameterNotFound(ClientError):  # noqa: N818 - as boto3 names it
            """The parameter does not exist."""

    def __init__(self) -> None:
        self.values: dict[str, str] = {}

    def get_parameter(self, **request: Any) -> dict[str, Any]:
        if request["Name"] not in self.values:
            raise self.exceptions.ParameterNotFound({"Error": {"Code": "ParameterNotFound"}}, "GetParameter")
        return {"Parameter": {"Value": self.values[request["Name"]]}}

    def get_parameters(self, **request: Any) -> dict[str, Any]:
        found = {name: self.values[name] for name in request["Names"] if name in self.values}
        return {"Parameters": [{"Name": name, "Value": value} for name, value in found.items()]}

    def describe_parameters(self, **request: Any) -> dict[str, Any]:
        [path] = request["ParameterFilters"]
        return {"Parameters": [{"Name": name} for name in self._below(path["Values"][0])]}

    def get_paginator(self, operation: str) -> Any:
        assert operation == "get_parameters_by_path"
        return SimpleNamespace(paginate=self._by_path)

    def _by_path(self, **request: Any) -> list[dict[str, Any]]:
        found = self._below(request["Path"])
        return [{"Parameters": [{"Name": name, "Value": value, "Version": 1} for name, value in found.items()]}]

    def _below(self, path: str) -> dict[str, str]:
        return {name: value for name, value in self.values.items() if name.startswith(f"{path.rstrip('/')}/")}


@dataclass
class Message:
    """A message of the queue."""

    number: int
    group: str
    body: str
    sent_at: float
    visible_at: float
    received: int = 0


@dataclass
class FifoQueue:
    """SQS FIFO: the order of a group, visibility, receive counts, retention, dead letters.

    Args:
        now: Seconds on the axis.
        on_message: Gets the group of every message that comes.
        refuses: Whether the next entry of a batch is refused while the others are taken.
    """

    now: Callable[[], float]
    on_message: Callable[[str], None]
    refuses: Callable[[], bool] = lambda: False
    visibility: float = 150.0
    retention: float = 3600.0
    max_receives: int = 5
    groups: dict[str, deque[Message]] = field(default_factory=dict)
    dead: list[Message] = field(default_factory=list)
    sent: int = 0

    def send_message_batch(self, **request: Any) -> dict[str, Any]:
        answer: dict[str, Any] = {"Successful": [], "Failed": []}
        for entry in request["Entries"]:
            if self.refuses():
                answer["Failed"].append({"Id": entry["Id"], "Code": "InternalError", "SenderFault": False})
            else:
                answer["Successful"].append({"Id": entry["Id"], "MessageId": self._send(entry)})
        return answer

    def _send(self, entry: dict[str, Any]) -> str:
        self.sent += 1
        group, now = entry["MessageGroupId"], self.now()
        message = Message(self.sent, group, entry["MessageBody"], sent_at=now, visible_at=now)
        self.groups.setdefault(group, deque()).append(message)
        self.on_message(group)
        return str(message.number)

    def receive(self, group: str) -> Message | None:
        """The group's first message, unless it is in flight; a message in flight blocks the group."""
        queue = self.groups.get(group, deque())
        while queue and self._is_over(queue[0]):
            self.dead.append(queue.popleft())
        if not queue or queue[0].visible_at > self.now():
            return None
        queue[0].received += 1
        queue[0].visible_at = self.now() + self.visibility
        return queue[0]

    def delete(self, message: Message) -> None:
        """Delete a processed message."""
        queue = self.groups[message.group]
        if message in queue:
            queue.remove(message)

    def _is_over(self, message: Message) -> bool:
        is_visible = message.visible_at <= self.now()
        return is_visible and (message.received >= self.max_receives or self.now() - message.sent_at > self.retention)


@dataclass
class Record:
    """A record of the table's stream: one new alert."""

    number: int
    key: AlertKey
    written_at: float
    tries: int = 0


@dataclass
class Shard:
    """The records of one shard that are not delivered yet, oldest first.

    Attributes:
        number: Of the sender that gets them.
        hashes: Of the partition keys whose records come through it.
        parent: The shard that it was split off; all of that one's records are handed over before any of its own.
    """

    number: int
    hashes: range
    parent: "Shard | None" = None
    records: deque[Record] = field(default_factory=deque)
    is_awake: bool = False

    @property
    def may_begin(self) -> bool:
        """Whether every record of its ancestors was handed over."""
        return self.parent is None or (not self.parent.records and self.parent.may_begin)

    def split(self, number: int) -> tuple["Shard", "Shard"]:
        """Close it: its children take its hashes from now on, the first one with its own sender."""
        middle = (self.hashes.start + self.hashes.stop) // 2
        return (
            Shard(self.number, range(self.hashes.start, middle), self),
            Shard(number, range(middle, self.hashes.stop), self),
        )

    def drop(self, now: float, *, max_tries: int, max_age: float) -> Iterator[Record]:
        """Drop the records that the mapping gives up."""
        while self.records and (self.records[0].tries > max_tries or now - self.records[0].written_at > max_age):
            yield self.records.popleft()


HASHES = 2**32


def first_shards(count: int) -> list[Shard]:
    """Shards that share all hashes evenly, as the partitions of a new table do."""
    return [Shard(each, range(HASHES * each // count, HASHES * (each + 1) // count)) for each in range(count)]


def stream_event(records: list[Record]) -> dict[str, Any]:
    """A batch as the mapping hands it to a function."""
    return {
        "Records": [
            {
                "eventID": str(record.number),
                "eventName": "INSERT",
                "eventSource": "aws:dynamodb",
                "dynamodb": {
                    "Keys": to_item(record.key._asdict()),
                    "SequenceNumber": str(record.number),
                    "ApproximateCreationDateTime": 0,
                },
            }
            for record in records
        ]
    }


def queue_event(message: Message, sent_at_ms: int) -> dict[str, Any]:
    """A message as the mapping hands it to a function."""
    return {
        "Records": [
            {
                "messageId": f"message-{message.number}",
                "receiptHandle": "receipt",
                "body": message.body,
                "attributes": {"ApproximateReceiveCount": str(message.received), "SentTimestamp": str(sent_at_ms)},
                "messageAttributes": {},
                "eventSource": "aws:sqs",
                "eventSourceARN": "arn:aws:sqs:us-east-1:123456789012:polls.fifo",
                "awsRegion": "us-east-1",
            }
        ]
    }
