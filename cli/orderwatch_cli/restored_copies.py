"""Copies of tables as they were at an earlier time, and what is taken from them into the live tables.

DynamoDB restores a table only into a new one. The live tables keep their names, streams and settings, because
CloudFormation, the functions and the stream's event source mapping know them; so their rows are replaced instead.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from itertools import batched
from typing import TYPE_CHECKING, Any

from orderwatch import clock
from orderwatch.aws.alert_table import PENDING
from orderwatch.aws.dynamodb import MAX_ACTIONS, Transactions, Unit, batch_get, from_item, put_action
from orderwatch.errors import OrderwatchError

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient
    from mypy_boto3_dynamodb.type_defs import WaiterConfigTypeDef

_WAITING: "WaiterConfigTypeDef" = {"Delay": 15, "MaxAttempts": 4 * 60 * 24}
"""A look at the copy every 15 seconds, for at most a day."""

type Row = dict[str, Any]
type Key = tuple[Any, ...]


class RestoreError(OrderwatchError):
    """The tables cannot be restored to that time; the message says why and what to do."""


@dataclass(frozen=True, slots=True)
class RestoredCopy:
    """A copy of a live table as it was at a time.

    Attributes:
        logical_id: The template's name of the table.
        live: The name of the live table.
        at: The time, in whole seconds.
    """

    logical_id: str
    live: str
    at: datetime

    @property
    def name(self) -> str:
        """The copy's name. It follows from the time, so that an interrupted restore finds its copies again."""
        return f"{self.live}-restored-{self.at:%Y%m%dT%H%M%SZ}"

    def check(self, client: "DynamoDBClient") -> None:
        """Check that DynamoDB can restore the table to that time.

        Raises:
            RestoreError: It cannot.
        """
        found = client.describe_continuous_backups(TableName=self.live)["ContinuousBackupsDescription"]
        recovery = found.get("PointInTimeRecoveryDescription", {})
        if recovery.get("PointInTimeRecoveryStatus") != "ENABLED":
            raise RestoreError(f"{self.live} has no point-in-time recovery, so there is nothing to restore it from")
        first, last = recovery["EarliestRestorableDateTime"], recovery["LatestRestorableDateTime"]
        if not first <= self.at <= last:
            raise RestoreError(
                f"{self.live} can be restored to a time from {first.astimezone(self.at.tzinfo):%Y-%m-%dT%H:%M:%SZ} to "
                f"{last.astimezone(self.at.tzinfo):%Y-%m-%dT%H:%M:%SZ}, not to {self.at:%Y-%m-%dT%H:%M:%SZ}"
            )

    def create(self, client: "DynamoDBClient") -> bool:
        """Begin to create the copy, without indexes; False if an earlier run did."""
        try:
            client.restore_table_to_point_in_time(
                SourceTableName=self.live,
                TargetTableName=self.name,
                RestoreDateTime=self.at,
                GlobalSecondaryIndexOverride=[],
            )
        except client.exceptions.TableAlreadyExistsException:
            return False
        return True

    def wait(self, client: "DynamoDBClient") -> None:
        """Wait until the copy can be read."""
        client.get_waiter("table_exists").wait(TableName=self.name, WaiterConfig=_WAITING)

    def delete(self, client: "DynamoDBClient") -> None:
        """Delete the copy."""
        client.delete_table(TableName=self.name)


@dataclass(frozen=True, slots=True)
class Taken:
    """What was taken from a copy.

    Attributes:
        rows: Rows of the copy.
        written: Rows that were written into the live table.
        pending: Alerts among them that were not sent at that time, so they are sent now.
    """

    rows: int = 0
    written: int = 0
    pending: int = 0

    def plus(self, rows: int, written: list[Row]) -> "Taken":
        """Add a batch."""
        pending = sum(row.get("state") == PENDING for row in written)
        return replace(self, rows=self.rows + rows, written=self.written + len(written), pending=self.pending + pending)


def replace_rows(client: "DynamoDBClient", copy: RestoredCopy) -> Taken:
    """Write the rows of the copy that the live table lacks or has with other content; other live rows stay."""
    return _take(client, copy, lambda row, live: row != live, condition="")


def add_missing_rows(client: "DynamoDBClient", copy: RestoredCopy) -> Taken:
    """Write the rows of the copy that the live table lacks, but not those that have expired; live rows stay."""
    now = int(clock.now().timestamp())

    def is_missing(row: Row, live: Row | None) -> bool:
        return live is None and row.get("expires_at", now) >= now

    # A poll or a summary may write the same alert meanwhile: its row wins.
    return _take(client, copy, is_missing, condition="attribute_not_exists(connection_id)")


def _take(
    client: "DynamoDBClient", copy: RestoredCopy, is_taken: Callable[[Row, Row | None], bool], *, condition: str
) -> Taken:
    key_of = _key_reader(client, copy.live)
    taken = Taken()
    for rows in batched(_scan(client, copy.name), MAX_ACTIONS, strict=False):
        keys = [key_of(row) for row in rows]
        live = {tuple(key_of(row).values()): row for row in batch_get(client, copy.live, keys)}
        wanted = [row for row, key in zip(rows, keys, strict=True) if is_taken(row, live.get(tuple(key.values())))]
        taken = taken.plus(len(rows), _write(client, copy.live, wanted, condition=condition))
    return taken


def _key_reader(client: "DynamoDBClient", table: str) -> Callable[[Row], Mapping[str, Any]]:
    names = [each["AttributeName"] for each in client.describe_table(TableName=table)["Table"]["KeySchema"]]
    return lambda row: {name: row[name] for name in names}


def _scan(client: "DynamoDBClient", table: str) -> Iterator[Row]:
    pages = client.get_paginator("scan").paginate(TableName=table, ConsistentRead=True)
    return (from_item(item) for page in pages for item in page["Items"])


def _write(client: "DynamoDBClient", table: str, rows: list[Row], *, condition: str) -> list[Row]:
    """Write rows; returns those that were written, without those whose condition failed."""
    units = (Unit(row, (put_action(table, row, condition=condition, values={}),)) for row in rows)
    return [unit.subject for unit in Transactions(client).write_all(units)]
