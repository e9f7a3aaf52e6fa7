"""OrderTable: the last seen status of every order."""

from collections.abc import Collection
from datetime import datetime
from typing import TYPE_CHECKING, Any

from orderwatch.aws.dynamodb import Action, batch_get, put_action, query, to_item
from orderwatch.deadlines.rules import Deadline, DeadlineState
from orderwatch.polling.detect import OrderWrite
from orderwatch.records import OlderCopy, StoredOrder
from orderwatch.trackstar.orders import Version, VersionClock

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient


def order_key(connection_id: str, order_id: str) -> str:
    """The key of an order's row: order ids are unique within their connection only."""
    return f"{connection_id}#{order_id}"


class OrderTable:
    """The rows of orders.

    Two sparse indexes find them by connection: `attention` has the orders that need attention, `due` those that have a
    next deadline, earliest first.
    """

    def __init__(self, client: "DynamoDBClient", name: str) -> None:
        self._client = client
        self._name = name

    def read(self, connection_id: str, order_ids: Collection[str]) -> dict[str, StoredOrder]:
        """The existing rows of these orders, by order id, by consistent reads of 100 rows."""
        prefix = order_key(connection_id, "")
        rows = batch_get(self._client, self._name, ({"order_key": prefix + order_id} for order_id in order_ids))
        return {row["order_key"].removeprefix(prefix): _stored(row) for row in rows}

    def due(self, connection_id: str, until: datetime) -> list[str]:
        """The ids of the orders that are due at or before `until`, earliest first."""
        rows = self._query("due", connection_id, until=until, ProjectionExpression="order_key")
        return [order_id for order_id, _ in rows]

    def due_rows(self, connection_id: str, until: datetime) -> dict[str, StoredOrder]:
        """The orders that are due at or before `until`, by id."""
        return {order_id: _stored(row) for order_id, row in self._query("due", connection_id, until=until)}

    def needing_attention(self, connection_id: str) -> dict[str, StoredOrder]:
        """The orders that need attention, by id."""
        return {order_id: _stored(row) for order_id, row in self._query("attention", connection_id)}

    def count_needing_attention(self, connection_id: str) -> int:
        """Count the orders that need attention."""
        pages = self._client.get_paginator("query").paginate(
            TableName=self._name,
            IndexName="attention",
            KeyConditionExpression="connection_id = :connection_id",
            ExpressionAttributeValues=to_item({":connection_id": connection_id}),
            Select="COUNT",
        )
        return sum(page["Count"] for page in pages)

    def write_action(self, connection_id: str, write: OrderWrite) -> Action:
        """The write of an order's row, on condition that it is still the one that was read (rules 3 and 19)."""
        row = _row(connection_id, write.order_id, write.stored)
        if write.expected is None:
            return put_action(self._name, row, condition="attribute_not_exists(order_key)", values={})
        due = write.expected.deadline_state.due
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

    def _query(
        self, index: str, connection_id: str, *, until: datetime | None = None, **options: Any
    ) -> list[tuple[str, dict[str, Any]]]:
        """The rows of a connection in an index, each with its order id."""
        condition = "connection_id = :connection_id" + (" AND due_at <= :until" if until else "")
        values = {":connection_id": connection_id, ":until": until.isoformat() if until else None}
        prefix = order_key(connection_id, "")
        rows = query(self._client, self._name, index, condition, values, **options)
        return [(row["order_key"].removeprefix(prefix), row) for row in rows]


def _row(connection_id: str, order_id: str, stored: StoredOrder) -> dict[str, Any]:
    deadline_state = stored.deadline_state
    return {
        "order_key": order_key(connection_id, order_id),
        # The key of the sparse indexes: `attention` contains rows with `status_since`, `due` those with `due_at`.
        "connection_id": connection_id if stored.needs_attention or deadline_state.due else None,
        "status_since": stored.status_since.isoformat() if stored.needs_attention else None,
        "status": stored.status,
        "raw_status": stored.raw_status,
        "version": stored.version.at.isoformat(),
        "version_clock": str(stored.version.clock),
        "since": stored.status_since.isoformat(),
        "order_number": stored.order_number,
        "changes": stored.changes,
        "status_alert_id": stored.status_alert_id,
        "ship_by": stored.ship_by.isoformat() if stored.ship_by else None,
        "extract": stored.extract,
        "older_copy": _older_copy_to_row(stored.older_copy),
        "restocked_at": stored.restocked_at.isoformat() if stored.restocked_at else None,
        "deadline_alert_id": deadline_state.deadline_alert_id,
        **_deadline_attributes("due", deadline_state.due),
        **_deadline_attributes("passed", deadline_state.passed),
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
        needs_attention="status_since" in row,
        changes=int(row["changes"]),
        status_alert_id=row.get("status_alert_id"),
        ship_by=datetime.fromisoformat(row["ship_by"]) if "ship_by" in row else None,
        deadline_state=DeadlineState(_deadline(row, "due"), _deadline(row, "passed"), row.get("deadline_alert_id")),
        extract=row.get("extract"),
        older_copy=_older_copy(row["older_copy"]) if "older_copy" in row else None,
        restocked_at=datetime.fromisoformat(row["restocked_at"]) if "restocked_at" in row else None,
    )


def _older_copy_to_row(copy: OlderCopy | None) -> dict[str, Any] | None:
    return copy._asdict() | {"last_reading": copy.last_reading.isoformat()} if copy else None


def _older_copy(row: dict[str, Any]) -> OlderCopy:
    return OlderCopy(row["status"], int(row["readings"]), datetime.fromisoformat(row["last_reading"]))


def _deadline(row: dict[str, Any], name: str) -> Deadline | None:
    if f"{name}_at" not in row:
        return None
    return Deadline(datetime.fromisoformat(row[f"{name}_at"]), row[f"{name}_kind"])
