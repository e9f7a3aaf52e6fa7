"""OrderTable: the last seen status of every order."""

from collections.abc import Collection
from datetime import UTC, datetime
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from orderwatch.aws.dynamodb import Action, batch_get, put_action, query, to_item
from orderwatch.deadlines.rules import Deadline, DeadlineState
from orderwatch.ownership import Ownership
from orderwatch.records import OlderCopy, StoredOrder
from orderwatch.trackstar.orders import Version, VersionClock

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

    from orderwatch.polling.detect import OrderWrite


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

    def write_action(self, connection_id: str, write: "OrderWrite") -> Action:
        """The write of an order's row, on condition that it is still the one that was read (rules 3 and 19)."""
        row = _row(connection_id, write.order_id, write.stored)
        if write.expected is None:
            return put_action(self._name, row, condition="attribute_not_exists(order_key)", values={})
        version = write.expected.version
        return put_action(
            self._name,
            row,
            condition=f"#version = :version AND #clock = :clock AND {_unchanged(write.expected)}",
            values={
                ":version": _text(version.at),
                ":clock": str(version.clock),
                **_expected_values(write.expected),
            },
            names={"#version": "version", "#clock": "version_clock", **_EXPECTED_NAMES},
        )

    def set_ownership(self, connection_id: str, order_id: str, after: StoredOrder, *, expected: StoredOrder) -> bool:
        """Write who works on an order, and its next reminder, if the order still needs attention (rule 24).

        Nothing else of the row changes. A newer version of the same status does not matter.

        Args:
            connection_id: The connection.
            order_id: The order.
            after: The row with the new ownership (`StoredOrder.with_ownership`).
            expected: The row that was read.

        Returns:
            False if the order no longer needs attention, or its status, owner or deadline is not as expected.
        """
        row = _row(connection_id, order_id, after)
        new = {name: row.get(name) for name in _OF_OWNERSHIP}
        kept = ", ".join(f"{name} = :new_{name}" for name, value in new.items() if value is not None)
        gone = ", ".join(name for name, value in new.items() if value is None)
        update = [f"SET {kept}"] * bool(kept) + [f"REMOVE {gone}"] * bool(gone)
        values = {f":new_{name}": value for name, value in new.items()} | _expected_values(expected)
        try:
            self._client.update_item(
                TableName=self._name,
                Key=to_item({"order_key": row["order_key"]}),
                UpdateExpression=" ".join(update),
                ConditionExpression=f"attribute_exists(status_since) AND {_unchanged(expected)}",
                ExpressionAttributeNames=_EXPECTED_NAMES,
                ExpressionAttributeValues=to_item(values),
            )
        except self._client.exceptions.ConditionalCheckFailedException:
            return False
        return True

    def _query(
        self, index: str, connection_id: str, *, until: datetime | None = None, **options: Any
    ) -> list[tuple[str, dict[str, Any]]]:
        """The rows of a connection in an index, each with its order id."""
        condition = "connection_id = :connection_id" + (" AND due_at <= :until" if until else "")
        values = {":connection_id": connection_id, ":until": until.isoformat() if until else None}
        prefix = order_key(connection_id, "")
        rows = query(self._client, self._name, index, condition, values, **options)
        return [(row["order_key"].removeprefix(prefix), row) for row in rows]


_EXPECTED_NAMES = {"#status": "status", "#changes": "changes"}
_OF_OWNERSHIP = ("ownership", "due_at", "deadline_at", "reminder_at", "reminders")
"""The attributes that change when somebody takes, snoozes or releases an order."""


def _unchanged(expected: StoredOrder) -> str:
    """The condition that a row has the status, the owner and the next deadline or reminder that were read."""
    optional = {"due_at": expected.deadline_state.due_at, "ownership": expected.ownership}
    parts = [f"{name} = :{name}" if value else f"attribute_not_exists({name})" for name, value in optional.items()]
    return " AND ".join(["#status = :status AND #changes = :changes", *parts])


def _expected_values(expected: StoredOrder) -> dict[str, Any]:
    due_at = expected.deadline_state.due_at
    return {
        ":status": expected.status,
        ":changes": expected.changes,
        ":due_at": _text(due_at) if due_at else None,
        ":ownership": _ownership_to_row(expected.ownership),
    }


def _row(connection_id: str, order_id: str, stored: StoredOrder) -> dict[str, Any]:
    deadline_state = stored.deadline_state
    return {
        "order_key": order_key(connection_id, order_id),
        # The key of the sparse indexes: `attention` contains rows with `status_since`, `due` those with `due_at`.
        "connection_id": connection_id if stored.needs_attention or deadline_state.due_at else None,
        "status_since": _text(stored.status_since) if stored.needs_attention else None,
        "status": stored.status,
        "raw_status": stored.raw_status,
        "version": _text(stored.version.at),
        "version_clock": str(stored.version.clock),
        "since": _text(stored.status_since),
        "order_number": stored.order_number,
        "changes": stored.changes,
        "status_alert_id": stored.status_alert_id,
        "ship_by": _text(stored.ship_by) if stored.ship_by else None,
        "extract": stored.extract,
        "older_copy": _older_copy_to_row(stored.older_copy),
        "restocked_at": stored.restocked_at.isoformat() if stored.restocked_at else None,
        "deadline_rules": stored.deadline_rules,
        "deadline_alert_id": deadline_state.deadline_alert_id,
        "ownership": _ownership_to_row(stored.ownership),
        **_due_attributes(deadline_state),
        **_passed_attributes(deadline_state.passed),
    }


def _text(moment: datetime) -> str:
    return _utc_text(moment) if moment.tzinfo is UTC else moment.isoformat()


@lru_cache(maxsize=4096)  # the dates of a row, and of the rows of a page, are often the same
def _utc_text(moment: datetime) -> str:
    return moment.isoformat()


def _due_attributes(state: DeadlineState) -> dict[str, Any]:
    """The next deadline and reminder. `due_at`, the key of the index, is the earlier of the two."""
    due, due_at = state.due, state.due_at
    return {
        "due_at": _text(due_at) if due_at else None,
        "due_kind": due.kind if due else None,
        "deadline_at": _text(due.at) if due and due.at != due_at else None,
        "reminder_at": state.reminder_at.isoformat() if state.reminder_at else None,
        "reminders": state.reminders or None,
    }


def _passed_attributes(passed: Deadline | None) -> dict[str, str]:
    return {"passed_at": passed.at.isoformat(), "passed_kind": passed.kind} if passed else {}


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
        deadline_state=_deadline_state(row),
        deadline_rules=row.get("deadline_rules"),
        extract=row.get("extract"),
        older_copy=_older_copy(row["older_copy"]) if "older_copy" in row else None,
        restocked_at=datetime.fromisoformat(row["restocked_at"]) if "restocked_at" in row else None,
        ownership=_ownership(row["ownership"]) if "ownership" in row else None,
    )


def _older_copy_to_row(copy: OlderCopy | None) -> dict[str, Any] | None:
    return copy._asdict() | {"last_reading": copy.last_reading.isoformat()} if copy else None


def _older_copy(row: dict[str, Any]) -> OlderCopy:
    return OlderCopy(row["status"], int(row["readings"]), datetime.fromisoformat(row["last_reading"]))


def _deadline_state(row: dict[str, Any]) -> DeadlineState:
    return DeadlineState(
        due=_deadline(row.get("deadline_at") or row["due_at"], row["due_kind"]) if "due_kind" in row else None,
        passed=_deadline(row["passed_at"], row["passed_kind"]) if "passed_at" in row else None,
        deadline_alert_id=row.get("deadline_alert_id"),
        reminder_at=datetime.fromisoformat(row["reminder_at"]) if "reminder_at" in row else None,
        reminders=int(row.get("reminders", 0)),
    )


def _deadline(at: str, kind: str) -> Deadline:
    return Deadline(datetime.fromisoformat(at), kind)


def _ownership_to_row(ownership: Ownership | None) -> dict[str, str] | None:
    if ownership is None:
        return None
    moments = {"taken_at": ownership.taken_at, "snoozed_until": ownership.snoozed_until}
    texts = {"owner": ownership.owner, "note": ownership.note}
    return {name: at.isoformat() for name, at in moments.items() if at} | {n: text for n, text in texts.items() if text}


def _ownership(row: dict[str, str]) -> Ownership:
    return Ownership(
        owner=row.get("owner"),
        taken_at=datetime.fromisoformat(row["taken_at"]) if "taken_at" in row else None,
        snoozed_until=datetime.fromisoformat(row["snoozed_until"]) if "snoozed_until" in row else None,
        note=row.get("note"),
    )
