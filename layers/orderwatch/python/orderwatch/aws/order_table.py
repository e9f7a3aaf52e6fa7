"""OrderTable: the last seen status of every order, and its next deadline."""

from collections.abc import Collection
from datetime import datetime
from typing import TYPE_CHECKING, Any

from orderwatch.aws.dynamodb import Action, batch_get, from_item, put_action, to_item
from orderwatch.deadlines.rules import Deadline, Standing
from orderwatch.polling.transitions import OrderWrite, StoredOrder
from orderwatch.trackstar.orders import Version, VersionClock

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient


def order_key(connection_id: str, order_id: str) -> str:
    """The key of an order's row: ids are unique within their connection only."""
    return f"{connection_id}#{order_id}"


class OrderTable:
    """The rows of orders.

    Args:
        client: DynamoDB.
        name: The table.
    """

    def __init__(self, client: "DynamoDBClient", name: str) -> None:
        self._client = client
        self._name = name

    def read(self, connection_id: str, order_ids: Collection[str]) -> dict[str, StoredOrder]:
        """The rows of these orders, those that there are, by order id; consistent, 100 a request."""
        prefix = order_key(connection_id, "")
        keys = ({"order_key": prefix + order_id} for order_id in order_ids)
        rows = batch_get(self._client, self._name, keys)
        return {row["order_key"].removeprefix(prefix): _stored(row) for row in rows}

    def due(self, connection_id: str, until: datetime) -> list[str]:
        """The ids of the orders whose deadline is the moment or before it, the earliest first, by the sparse index."""
        pages = self._client.get_paginator("query").paginate(
            TableName=self._name,
            IndexName="due",
            KeyConditionExpression="connection_id = :connection_id AND due_at <= :until",
            ExpressionAttributeValues=to_item({":connection_id": connection_id, ":until": until.isoformat()}),
            ProjectionExpression="order_key",
        )
        prefix = order_key(connection_id, "")
        return [from_item(item)["order_key"].removeprefix(prefix) for page in pages for item in page["Items"]]

    def waiting(self, connection_id: str) -> dict[str, StoredOrder]:
        """The orders that wait for a person, by id, by the sparse index `attention`."""
        return self._indexed("attention", connection_id, "", {})

    def due_rows(self, connection_id: str, until: datetime) -> dict[str, StoredOrder]:
        """The orders whose next deadline is the moment or before it, by id, by the sparse index `due`."""
        return self._indexed("due", connection_id, " AND due_at <= :until", {":until": until.isoformat()})

    def _indexed(
        self, index: str, connection_id: str, condition: str, values: dict[str, str]
    ) -> dict[str, StoredOrder]:
        pages = self._client.get_paginator("query").paginate(
            TableName=self._name,
            IndexName=index,
            KeyConditionExpression=f"connection_id = :connection_id{condition}",
            ExpressionAttributeValues=to_item({":connection_id": connection_id, **values}),
        )
        prefix = order_key(connection_id, "")
        rows = (from_item(item) for page in pages for item in page["Items"])
        return {row["order_key"].removeprefix(prefix): _stored(row) for row in rows}

    def write_action(self, connection_id: str, write: OrderWrite) -> Action:
        """The write of an order's row, on condition that it is still the one that was read (rules 3 and 19)."""
        row = _row(connection_id, write.order_id, write.stored)
        if write.expected is None:
            return put_action(self._name, row, condition="attribute_not_exists(order_key)", values={})
        due = write.expected.standing.due
        return put_action(
            self._name,
            row,
            condition="#version = :version AND #clock = :clock AND #status = :status AND #changes = :changes AND "
            + ("due_at = :due_at" if due else "attribute_not_exists(due_at)"),
            values={
                ":version": write.expected.version.at.isoformat(),
                ":clock": str(write.expected.version.clock),
                ":status": write.expected.status,
                ":changes": write.expected.changes,
                **({":due_at": due.at.isoformat()} if due else {}),
            },
            names={"#version": "version", "#clock": "version_clock", "#status": "status", "#changes": "changes"},
        )


def _row(connection_id: str, order_id: str, stored: StoredOrder) -> dict[str, Any]:
    standing = stored.standing
    return {
        "order_key": order_key(connection_id, order_id),
        # The key of the sparse indexes: `attention` takes rows that have `status_since` too, `due` those with `due_at`.
        "connection_id": connection_id if stored.waits or standing.due else None,
        "status_since": stored.status_since.isoformat() if stored.waits else None,
        "status": stored.status,
        "raw_status": stored.raw_status,
        "version": stored.version.at.isoformat(),
        "version_clock": str(stored.version.clock),
        "since": stored.status_since.isoformat(),
        "order_number": stored.order_number,
        "changes": stored.changes,
        "alerted_by": stored.alerted_by,
        "ship_by": stored.ship_by.isoformat() if stored.ship_by else None,
        "extract": stored.extract,
        "told_by": standing.told_by,
        **_deadline_attributes("due", standing.due),
        **_deadline_attributes("passed", standing.passed),
    }


def _deadline_attributes(name: str, deadline: Deadline | None) -> dict[str, str]:
    return {f"{name}_at": deadline.at.isoformat(), f"{name}_kind": deadline.kind} if deadline else {}


def _stored(row: dict[str, Any]) -> StoredOrder:
    return StoredOrder(
        status=row["status"],
        raw_status=row.get("raw_status"),
        version=Version(datetime.fromisoformat(row["version"]), VersionClock(row["version_clock"])),
        status_since=datetime.fromisoformat(row["since"]),
        order_number=row["order_number"],
        waits="status_since" in row,
        changes=int(row["changes"]),
        alerted_by=row.get("alerted_by"),
        ship_by=datetime.fromisoformat(row["ship_by"]) if "ship_by" in row else None,
        standing=Standing(_deadline(row, "due"), _deadline(row, "passed"), row.get("told_by")),
        extract=row.get("extract"),
    )


def _deadline(row: dict[str, Any], name: str) -> Deadline | None:
    if f"{name}_at" not in row:
        return None
    return Deadline(datetime.fromisoformat(row[f"{name}_at"]), row[f"{name}_kind"])
