"""OrderTable: the last seen status of every order, and its next deadline."""

import json
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from orderwatch import clock
from orderwatch.alerts.alert import Alert, AlertKey
from orderwatch.aws.dynamodb import Action, Transactions, Unit, batch_get, check_action, from_item, put_action, to_item
from orderwatch.deadlines.rules import Deadline, DeadlineState
from orderwatch.model import describe_flaws
from orderwatch.observability import logger
from orderwatch.polling.cursor import ConnectionState
from orderwatch.polling.detect import OrderWrite
from orderwatch.publishing.subscription_monitor import TopicSubscriptions
from orderwatch.records import StoredOrder
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


def _row(connection_id: str, order_id: str, stored: StoredOrder) -> dict[str, Any]:
    deadline_state = stored.deadline_state
    return {
        "order_key": order_key(connection_id, order_id),
        # The key of the sparse indexes: `attention` takes rows that have `status_since` too, `due` those with `due_at`.
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
        """The connection's row, consistent; a new one where there is none."""
        key = to_item({"connection_id": connection_id})
        item = self._client.get_item(TableName=self._name, Key=key, ConsistentRead=True).get("Item")
        return ConnectionState.model_validate(from_item(item)) if item else ConnectionState(connection_id=connection_id)

    def load_all(self, connection_ids: Iterable[str]) -> dict[str, ConnectionState]:
        """The rows of these connections, those that there are and can be read, 100 a request."""
        keys = ({"connection_id": connection_id} for connection_id in connection_ids)
        rows = filter(None, map(_readable, batch_get(self._client, self._name, keys)))
        return {row.connection_id: row for row in rows}

    def save_action(self, state: ConnectionState) -> Action:
        """The write of the state, on condition that the row is still the one that was loaded."""
        written = state.model_copy(update={"revision": state.revision + 1}).model_dump_json(exclude_none=True)
        row = json.loads(written, parse_float=Decimal)  # the price of an order that waits: DynamoDB takes no float
        condition, values = _unchanged(state)
        return put_action(self._name, row, condition=condition, values=values)

    def unchanged_action(self, state: ConnectionState) -> Action:
        """The condition alone: the row is still the one that was loaded."""
        condition, values = _unchanged(state)
        key = {"connection_id": state.connection_id}
        return check_action(self._name, key, condition=condition, values=values)


def _readable(row: Mapping[str, Any]) -> ConnectionState | None:
    """The state; None where it is broken, which its own poll tells and must cost no other connection."""
    try:
        return ConnectionState.model_validate(row)
    except ValidationError as error:
        flaws = describe_flaws(error)
        logger.error("a connection's row is broken", extra={"connection_id": row["connection_id"], "flaws": flaws})
        return None


def _unchanged(state: ConnectionState) -> tuple[str, dict[str, int]]:
    if state.revision == 0:
        return "attribute_not_exists(connection_id)", {}
    return "revision = :revision", {":revision": state.revision}


LEASE_DURATION = timedelta(seconds=130)
"""How long a claim lasts: longer than publish_alerts runs (120 seconds)."""
KEPT_AFTER_SENT = timedelta(days=90)
"""How long a sent row is kept; one that is pending never expires."""
PENDING = "pending"
SENT = "sent"


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

    def unsent(self, keys: Collection[AlertKey]) -> list[Alert]:
        """Return those of these alerts that are still pending, in the order of the keys; consistent, 100 a request.

        An alert that cannot be read (another release wrote it) is logged, stays pending and delays no other.
        """
        rows = batch_get(self._client, self._name, (key._asdict() for key in keys))
        alerts = {_key(row): _read(row) for row in rows if row["state"] == PENDING}
        return [alert for key in keys if (alert := alerts.get(key))]

    def pending_since_before(self, moment: datetime) -> Iterator[AlertKey]:
        """List the alerts that were made before the moment and not sent, oldest first, by the sparse index."""
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

        One that cannot be read (another release wrote it) is logged and left out.
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

    def acquire(self, key: AlertKey, *, owner: str) -> bool:
        """Reserve the alert for this owner, and count the attempt; False if it was sent or another one holds it."""
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
        """Give up the owner's claim of an alert that was not sent; anybody else's stays."""
        self._update(
            key,
            "REMOVE leased_until, lease_owner",
            condition="#state = :pending AND lease_owner = :owner",
            values={":pending": PENDING, ":owner": owner},
        )

    def mark_sent(self, key: AlertKey, *, message_id: str) -> None:
        """Record that SNS accepted the alert's message; from now on the row may expire."""
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


def _read(row: dict[str, Any]) -> Alert | None:
    try:
        return Alert.model_validate_json(row["alert"])
    except ValidationError as error:
        logger.error("an alert cannot be read", extra={"alert_id": row["alert_id"], "flaws": describe_flaws(error)})
        return None


KEY = {"connection_id": "#topics"}
"""No shop has it: the name of a parameter holds no `#`."""


class SubscriptionRow:
    """The row, and the alerts that are written with it.

    Args:
        client: DynamoDB.
        table_name: ConnectionTable.
        alerts: The outbox.
    """

    def __init__(self, client: "DynamoDBClient", table_name: str, alerts: AlertTable) -> None:
        self._client = client
        self._table_name = table_name
        self._alerts = alerts

    def load(self) -> TopicSubscriptions:
        """The row, consistent; a new one where there is none."""
        answer = self._client.get_item(TableName=self._table_name, Key=to_item(KEY), ConsistentRead=True)
        return (
            TopicSubscriptions.model_validate_json(from_item(answer["Item"])["recipients"])
            if "Item" in answer
            else TopicSubscriptions()
        )

    def save(self, recipients: TopicSubscriptions, *, alerts: Sequence[Alert]) -> TopicSubscriptions | None:
        """Save the row and put the alerts, in one transaction; None where another process saved first."""
        saved = recipients.model_copy(update={"revision": recipients.revision + 1})
        row = {**KEY, "revision": saved.revision, "recipients": saved.model_dump_json()}
        first = recipients.revision == 0
        condition = "attribute_not_exists(connection_id)" if first else "revision = :revision"
        put = put_action(
            self._table_name, row, condition=condition, values={} if first else {":revision": recipients.revision}
        )
        unit = Unit(KEY["connection_id"], (put, *(self._alerts.put_action(alert) for alert in alerts)))
        return None if Transactions(self._client).write([unit]) else saved
