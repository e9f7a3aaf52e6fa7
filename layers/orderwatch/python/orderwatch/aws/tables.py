"""The tables: OrderTable, ConnectionTable and AlertTable, and how their rows are read and written."""

import heapq
import json
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from functools import cache
from itertools import batched
from typing import TYPE_CHECKING, Any

from pydantic import TypeAdapter, ValidationError

from orderwatch import clock
from orderwatch.alerts.alert import Alert, AlertKey
from orderwatch.aws.dynamodb import (
    MAX_ACTIONS,
    Action,
    Transactions,
    Unit,
    batch_get,
    check_action,
    from_item,
    put_action,
    to_item,
)
from orderwatch.deadlines.rules import Deadline, DeadlineState
from orderwatch.model import describe_flaws
from orderwatch.observability import logger
from orderwatch.polling.detect import OrderWrite
from orderwatch.records import ConnectionState, StoredOrder
from orderwatch.trackstar.orders import Version, VersionClock

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient


def order_key(connection_id: str, order_id: str) -> str:
    """The key of an order's row: order ids are unique within their connection only."""
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
        """The existing rows of these orders, by order id, by consistent reads of 100 rows."""
        prefix = order_key(connection_id, "")
        keys = ({"order_key": prefix + order_id} for order_id in order_ids)
        rows = batch_get(self._client, self._name, keys)
        return {row["order_key"].removeprefix(prefix): _stored(row) for row in rows}

    def due(self, connection_id: str, until: datetime) -> list[str]:
        """The ids of the orders whose next deadline is at or before the moment, earliest first, by the sparse index."""
        pages = self._client.get_paginator("query").paginate(
            TableName=self._name,
            IndexName="due",
            KeyConditionExpression="connection_id = :connection_id AND due_at <= :until",
            ExpressionAttributeValues=to_item({":connection_id": connection_id, ":until": until.isoformat()}),
            ProjectionExpression="order_key",
        )
        prefix = order_key(connection_id, "")
        return [from_item(item)["order_key"].removeprefix(prefix) for page in pages for item in page["Items"]]

    def needing_attention(self, connection_id: str) -> dict[str, StoredOrder]:
        """The orders that need attention, by id, by the sparse index `attention`."""
        return self._indexed("attention", connection_id, "", {})

    def due_rows(self, connection_id: str, until: datetime) -> dict[str, StoredOrder]:
        """The orders whose next deadline is at or before the moment, by id, by the sparse index `due`."""
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

    def count_needing_attention(self, connection_id: str) -> int:
        """Count the orders that need attention, by the sparse index `attention`."""
        pages = self._client.get_paginator("query").paginate(
            TableName=self._name,
            IndexName="attention",
            KeyConditionExpression="connection_id = :connection_id",
            ExpressionAttributeValues=to_item({":connection_id": connection_id}),
            Select="COUNT",
        )
        return sum(page["Count"] for page in pages)


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
    )


def _deadline(row: dict[str, Any], name: str) -> Deadline | None:
    if f"{name}_at" not in row:
        return None
    return Deadline(datetime.fromisoformat(row[f"{name}_at"]), row[f"{name}_kind"])


class ConnectionTable:
    """The rows of connections.

    Args:
        client: DynamoDB.
        name: The table.
    """

    def __init__(self, client: "DynamoDBClient", name: str) -> None:
        self._client = client
        self._name = name

    def load(self, connection_id: str) -> ConnectionState:
        """The connection's row, by a consistent read; a new one if there is none.

        Raises:
            ValidationError: The row cannot be read.
        """
        key = to_item({"connection_id": connection_id})
        item = self._client.get_item(TableName=self._name, Key=key, ConsistentRead=True).get("Item")
        return state_from_row(from_item(item)) if item else ConnectionState(connection_id=connection_id)

    def load_all(self, connection_ids: Iterable[str]) -> dict[str, ConnectionState]:
        """The existing, readable rows of these connections, 100 a request."""
        keys = ({"connection_id": connection_id} for connection_id in connection_ids)
        rows = filter(None, map(_readable, batch_get(self._client, self._name, keys)))
        return {row.connection_id: row for row in rows}

    def save_action(self, state: ConnectionState) -> Action:
        """The write of the state, on condition that the row is still the one that was loaded."""
        condition, values = _unchanged(state)
        return put_action(self._name, row_from_state(state.committed()), condition=condition, values=values)

    def unchanged_action(self, state: ConnectionState) -> Action:
        """The condition that the row is still the one that was loaded, without a write."""
        condition, values = _unchanged(state)
        key = {"connection_id": state.connection_id}
        return check_action(self._name, key, condition=condition, values=values)

    def connection_ids(self) -> list[str]:
        """Return the IDs of all connections that have a row: those that were ever polled; scans the table."""
        pages = self._client.get_paginator("scan").paginate(TableName=self._name, ProjectionExpression="connection_id")
        return sorted(from_item(item)["connection_id"] for page in pages for item in page["Items"])


@cache
def _state_adapter() -> TypeAdapter[ConnectionState]:
    """The converter of the stored JSON; built at first use, as it costs a cold start milliseconds."""
    return TypeAdapter(ConnectionState)


def row_from_state(state: ConnectionState) -> dict[str, Any]:
    """The attributes of a connection's row. Numbers are Decimals, as DynamoDB takes no float."""
    row: dict[str, Any] = json.loads(_state_adapter().dump_json(state, exclude_none=True), parse_float=Decimal)
    return row


def state_from_row(row: Mapping[str, Any]) -> ConnectionState:
    """Decode the result of `row_from_state`.

    Raises:
        ValidationError: The row cannot be read.
    """
    return _state_adapter().validate_python(row)


def _readable(row: Mapping[str, Any]) -> ConnectionState | None:
    """The state; None if the row is broken, which fails its own poll and must not affect other connections."""
    try:
        return state_from_row(row)
    except ValidationError as error:
        flaws = describe_flaws(error)
        logger.error("connection row cannot be read", extra={"connection_id": row["connection_id"], "flaws": flaws})
        return None


def _unchanged(state: ConnectionState) -> tuple[str, dict[str, int]]:
    if state.revision == 0:
        return "attribute_not_exists(connection_id)", {}
    return "revision = :revision", {":revision": state.revision}


LEASE_DURATION = timedelta(seconds=190)
"""Longer than publish_alerts can run (180 seconds)."""
KEPT_AFTER_SENT = timedelta(days=90)
"""How long the row of a sent alert is kept; the row of a pending alert never expires."""
PENDING = "pending"
SENT = "sent"


@dataclass(frozen=True, slots=True)
class AlertRow:
    """A row of AlertTable as an operator sees it.

    Attributes:
        key: The key.
        kind: Such as `order.exception`.
        order_id: Trackstar's ID of the order, if the alert is about one.
        status: Status of the order.
        previous_status: Status of the order before.
        state: `PENDING` or `SENT`.
        created_at: Our clock when it was written.
        sent_at: Our clock when SNS accepted its message.
        attempts: Number of attempts to send it.
        message_id: SNS's ID of the message.
        alert: The alert; None: another release wrote it and it cannot be parsed.
    """

    key: AlertKey
    kind: str
    order_id: str | None
    status: str | None
    previous_status: str | None
    state: str
    created_at: datetime
    sent_at: datetime | None
    attempts: int
    message_id: str | None
    alert: Alert | None


class AlertTable:
    """The rows of alerts.

    Args:
        client: DynamoDB.
        name: The table.
    """

    def __init__(self, client: "DynamoDBClient", name: str) -> None:
        self._client = client
        self._name = name

    def put_action(self, alert: Alert, *, snapshot: str | None = None) -> Action:
        """Build the write of a new alert, on condition that no row has its key (rule 2).

        Args:
            alert: Any.
            snapshot: For a summary, the snapshot that the next one compares with; it is not sent.
        """
        order = alert.order
        row = {
            **alert.key._asdict(),
            "kind": alert.kind,
            "order_id": order.id if order else None,
            "status": order.status if order else None,
            "previous_status": order.previous_status if order else None,
            "alert": alert.model_dump_json(exclude_none=True),
            "state": PENDING,
            "pending": PENDING,
            "created_at": clock.now().isoformat(),
            "attempts": 0,
            "snapshot": snapshot,
        }
        return put_action(self._name, row, condition="attribute_not_exists(alert_id)", values={})

    def put(self, alert: Alert) -> bool:
        """Write a new alert; False if a row has its key already."""
        return not Transactions(self._client).write([Unit(alert, (self.put_action(alert),))])

    def unsent(self, keys: Collection[AlertKey]) -> list[Alert]:
        """Return the alerts of these keys that are still pending, in the order of the keys; consistent, 100 a request.

        An alert that cannot be parsed (another release wrote it) is logged, stays pending and delays no other alert.
        """
        rows = batch_get(self._client, self._name, (key._asdict() for key in keys))
        alerts = {_key(row): _read(row) for row in rows if row["state"] == PENDING}
        return [alert for key in keys if (alert := alerts.get(key))]

    def pending_since_before(self, moment: datetime) -> Iterator[AlertKey]:
        """List the pending alerts that were written before that time, oldest first, by the sparse index."""
        pages = self._client.get_paginator("query").paginate(
            TableName=self._name,
            IndexName="pending",
            KeyConditionExpression="pending = :pending AND created_at < :moment",
            ExpressionAttributeValues=to_item({":pending": PENDING, ":moment": moment.isoformat()}),
            ProjectionExpression="connection_id, alert_id",
        )
        for page in pages:
            yield from (_key(from_item(item)) for item in page["Items"])

    def written_since(self, connection_id: str, moment: datetime) -> list[tuple[Alert, str | None]]:
        """A connection's alerts since a moment, each with its row's snapshot, the newest first (index `by_time`).

        The index `by_time` finds them. An alert that cannot be parsed (another release wrote it) is logged and skipped.
        """
        pages = self._client.get_paginator("query").paginate(
            TableName=self._name,
            IndexName="by_time",
            KeyConditionExpression="connection_id = :connection_id AND created_at >= :moment",
            ExpressionAttributeValues=to_item({":connection_id": connection_id, ":moment": moment.isoformat()}),
            ProjectionExpression="connection_id, alert_id",
        )
        keys = [_key(from_item(item))._asdict() for page in pages for item in page["Items"]]
        rows = sorted(batch_get(self._client, self._name, keys), key=lambda row: str(row["created_at"]), reverse=True)
        return [(alert, row.get("snapshot")) for row in rows if (alert := _read(row))]

    def alerts_since(self, connection_id: str, moment: datetime) -> list[Alert]:
        """Return the alerts of a connection, or of a topic, since that time, newest first."""
        return [alert for alert, _ in self.written_since(connection_id, moment)]

    def acquire(self, key: AlertKey, *, owner: str) -> bool:
        """Lease the alert to this owner and count the attempt; False if it was sent or is leased to another owner."""
        now = clock.now()
        return self._update(
            key,
            "SET leased_until = :until, lease_owner = :owner ADD attempts :one",
            condition="#state = :pending AND "
            "(attribute_not_exists(leased_until) OR leased_until <= :now OR lease_owner = :owner)",
            values={
                ":until": int((now + LEASE_DURATION).timestamp()),
                ":now": int(now.timestamp()),
                ":owner": owner,
                ":one": 1,
                ":pending": PENDING,
            },
        )

    def release(self, key: AlertKey, *, owner: str) -> None:
        """End the owner's lease of an alert that was not sent; the lease of another owner stays."""
        self._update(
            key,
            "REMOVE leased_until, lease_owner",
            condition="#state = :pending AND lease_owner = :owner",
            values={":pending": PENDING, ":owner": owner},
        )

    def mark_sent(self, key: AlertKey, *, message_id: str) -> None:
        """Record that SNS accepted the message of the alert; from now on the row can expire."""
        now = clock.now()
        self._update(
            key,
            "SET #state = :sent, sent_at = :now, message_id = :message_id, expires_at = :expires_at "
            "REMOVE pending, leased_until, lease_owner",
            condition="attribute_exists(alert_id)",
            values={
                ":sent": SENT,
                ":now": now.isoformat(),
                ":message_id": message_id,
                ":expires_at": int((now + KEPT_AFTER_SENT).timestamp()),
            },
        )

    def recent(self, connection_ids: Iterable[str], *, since: datetime | None = None) -> Iterator[AlertRow]:
        """Yield the alerts of these connections, the newest first, by the index `by_time`.

        Args:
            connection_ids: The connections.
            since: When an alert was written, at the earliest.
        """
        by_connection = [
            self._newest_first("by_time", "connection_id", connection_id, since) for connection_id in connection_ids
        ]
        merged = heapq.merge(*by_connection, key=lambda item: str(item["created_at"]), reverse=True)
        return self.rows(map(_key, merged))

    def recent_pending(self, *, since: datetime | None = None) -> Iterator[AlertRow]:
        """Yield the pending alerts of all connections, the newest first, by the sparse index `pending`."""
        return self.rows(map(_key, self._newest_first("pending", "pending", PENDING, since)))

    def rows(self, keys: Iterable[AlertKey]) -> Iterator[AlertRow]:
        """Yield the rows of these keys in their order, without those that have expired; lazy, 100 a request."""
        for some in batched(keys, MAX_ACTIONS, strict=False):
            found = batch_get(self._client, self._name, (key._asdict() for key in some))
            rows = {_key(row): row for row in found}
            yield from (_alert_row(rows[key]) for key in some if key in rows)

    def _newest_first(self, index: str, partition: str, value: str, since: datetime | None) -> Iterator[dict[str, Any]]:
        pages = self._client.get_paginator("query").paginate(
            TableName=self._name,
            IndexName=index,
            KeyConditionExpression=f"{partition} = :value" + (" AND created_at >= :since" if since else ""),
            ExpressionAttributeValues=to_item({":value": value, ":since": since.isoformat() if since else None}),
            ScanIndexForward=False,
            PaginationConfig={"PageSize": MAX_ACTIONS},
        )
        return (from_item(item) for page in pages for item in page["Items"])

    def _update(self, key: AlertKey, update: str, *, condition: str, values: dict[str, Any]) -> bool:
        names = {"#state": "state"} if "#state" in update + condition else {}
        try:
            self._client.update_item(
                TableName=self._name,
                Key=to_item(key._asdict()),
                UpdateExpression=update,
                ConditionExpression=condition,
                ExpressionAttributeValues=to_item(values),
                **({"ExpressionAttributeNames": names} if names else {}),  # type: ignore[arg-type]
            )
        except self._client.exceptions.ConditionalCheckFailedException:
            return False
        return True


def _key(row: Mapping[str, Any]) -> AlertKey:
    return AlertKey(row["connection_id"], row["alert_id"])


def _alert_row(row: dict[str, Any]) -> AlertRow:
    return AlertRow(
        key=_key(row),
        kind=row["kind"],
        order_id=row.get("order_id"),
        status=row.get("status"),
        previous_status=row.get("previous_status"),
        state=row["state"],
        created_at=datetime.fromisoformat(row["created_at"]),
        sent_at=datetime.fromisoformat(row["sent_at"]) if "sent_at" in row else None,
        attempts=int(row["attempts"]),
        message_id=row.get("message_id"),
        alert=_read(row),
    )


def _read(row: dict[str, Any]) -> Alert | None:
    try:
        return Alert.model_validate_json(row["alert"])
    except ValidationError as error:
        logger.error(
            "stored alert is invalid; skipped", extra={"alert_id": row["alert_id"], "flaws": describe_flaws(error)}
        )
        return None
