"""OrderTable: the last seen status of every order."""

from collections.abc import Collection
from datetime import datetime
from typing import TYPE_CHECKING, Any

from orderwatch.aws.dynamodb import Action, batch_get, put_action
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

    def write_action(self, connection_id: str, write: OrderWrite) -> Action:
        """The write of an order's row, on condition that it is still the one that was read (rule 3)."""
        row = _row(connection_id, write.order_id, write.stored)
        if write.expected is None:
            return put_action(self._name, row, condition="attribute_not_exists(order_key)", values={})
        return put_action(
            self._name,
            row,
            condition="#version = :version AND #clock = :clock AND #status = :status AND #changes = :changes",
            values={
                ":version": write.expected.version.at.isoformat(),
                ":clock": str(write.expected.version.clock),
                ":status": write.expected.status,
                ":changes": write.expected.changes,
            },
            names={"#version": "version", "#clock": "version_clock", "#status": "status", "#changes": "changes"},
        )


def _row(connection_id: str, order_id: str, stored: StoredOrder) -> dict[str, Any]:
    return {
        "order_key": order_key(connection_id, order_id),
        # Only orders that wait for a person carry the key of the sparse index `attention`.
        "connection_id": connection_id if stored.waits else None,
        "status": stored.status,
        "raw_status": stored.raw_status,
        "version": stored.version.at.isoformat(),
        "version_clock": str(stored.version.clock),
        "status_since": stored.status_since.isoformat(),
        "order_number": stored.order_number,
        "changes": stored.changes,
        "alerted_by": stored.alerted_by,
    }


def _stored(row: dict[str, Any]) -> StoredOrder:
    return StoredOrder(
        status=row["status"],
        raw_status=row.get("raw_status"),
        version=Version(datetime.fromisoformat(row["version"]), VersionClock(row["version_clock"])),
        status_since=datetime.fromisoformat(row["status_since"]),
        order_number=row["order_number"],
        waits="connection_id" in row,
        changes=int(row["changes"]),
        alerted_by=row.get("alerted_by"),
    )
