"""`orderwatch alerts`: the alerts that were sent, and those that are pending."""

from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any

from pydantic import BaseModel, ValidationError

from orderwatch.alerts import Alert
from orderwatch.aws.dynamodb import from_item, to_item
from orderwatch_cli.stack import Stack


class ToldAlert(BaseModel):
    """An alert's row.

    Attributes:
        alert_id: Its id.
        kind: Such as `order.exception`.
        connection_id: The shop's connection.
        shop: What it was called.
        order_number: Of the order that it is about, if it is.
        status: The order's.
        previous_status: The one before.
        detail: What happened, in words; alerts about a connection.
        state: `pending` or `sent`.
        created_at: Our clock when it was written.
        sent_at: When its message was taken by SNS.
        attempts: How often it was taken for sending.
        message_id: SNS's id of the message.
    """

    alert_id: str
    kind: str
    connection_id: str
    shop: str
    order_number: str | None
    status: str | None
    previous_status: str | None
    detail: str | None
    state: str
    created_at: datetime
    sent_at: datetime | None
    attempts: int
    message_id: str | None


def alerts(
    stack: Stack,
    *,
    shop: str | None = None,
    kind: str | None = None,
    state: str | None = None,
    since: datetime | None = None,
) -> list[ToldAlert]:
    """The alerts that pass every filter, the newest first.

    The table has no order in time, so all of its rows are read: at most those of the last 90 days.

    Args:
        stack: Where.
        shop: Only of this connection.
        kind: Only of this kind.
        state: Only `pending` or only `sent` ones.
        since: Only those that were written at or after this moment.
    """
    wanted = {"connection_id": shop, "kind": kind, "state": state}
    conditions = {f"#{name} = :{name}": (name, value) for name, value in wanted.items() if value}
    if since:
        conditions["#created_at >= :created_at"] = ("created_at", since.isoformat())
    found = (_told(from_item(item)) for item in _items(stack, conditions))
    return sorted(found, key=lambda told: told.created_at, reverse=True)


def _items(stack: Stack, conditions: dict[str, tuple[str, str]]) -> Iterator[Any]:
    options: dict[str, Any] = {}
    if conditions:
        options = {
            "FilterExpression": " AND ".join(conditions),
            "ExpressionAttributeNames": {f"#{name}": name for name, _ in conditions.values()},
            "ExpressionAttributeValues": to_item({f":{name}": value for name, value in conditions.values()}),
        }
    pages = stack.aws.dynamodb.get_paginator("scan").paginate(TableName=stack.outputs.alert_table_name, **options)
    return (item for page in pages for item in page["Items"])


def stored_alert(row: Mapping[str, Any]) -> Alert | None:
    """The alert of a row; None where another version of orderwatch wrote it in a way that is not understood."""
    try:
        return Alert.model_validate_json(row["alert"])
    except ValidationError:
        return None


def _told(row: Mapping[str, Any]) -> ToldAlert:
    alert = stored_alert(row)
    order = alert.order if alert else None
    return ToldAlert(
        alert_id=row["alert_id"],
        kind=row["kind"],
        connection_id=row["connection_id"],
        shop=alert.connection.label if alert else row["connection_id"],
        order_number=order.number if order else row.get("order_id"),
        status=row.get("status"),
        previous_status=row.get("previous_status"),
        detail=alert.detail if alert else None,
        state=row["state"],
        created_at=row["created_at"],
        sent_at=row.get("sent_at"),
        attempts=int(row["attempts"]),
        message_id=row.get("message_id"),
    )
