"""`orderwatch alerts`: the alerts that were sent, and those that are pending."""

import heapq
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from itertools import batched
from typing import Any

from pydantic import BaseModel, ValidationError

from orderwatch.alerts.alert import Alert, AlertKey
from orderwatch.aws.dynamodb import batch_get, from_item, to_item
from orderwatch.aws.tables import PENDING
from orderwatch_cli.known import NO_SHOP, connection_ids, require_kind, require_shop, require_status
from orderwatch_cli.stack import Stack

_A_READ = 100
"""Rows a request of BatchGetItem, at most."""


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


class AlertState(StrEnum):
    """Whether an alert's message was taken by SNS."""

    PENDING = "pending"
    SENT = "sent"


@dataclass(frozen=True)
class Wanted:
    """Which alerts to list; what is None filters nothing.

    Attributes:
        shop: Of this connection.
        kind: Of this kind.
        status: About an order that went into this status.
        state: Pending or sent.
        since: Written at or after this moment.
    """

    shop: str | None = None
    kind: str | None = None
    status: str | None = None
    state: AlertState | None = None
    since: datetime | None = None

    def takes(self, row: Mapping[str, Any]) -> bool:
        """Whether a row is one of them; shop and time were asked of the index."""
        connections_to_poll = {"kind": self.kind, "status": self.status, "state": self.state}
        return all(row.get(name) == value for name, value in connections_to_poll.items() if value)


def alerts(stack: Stack, connections_to_poll: Wanted) -> Iterator[ToldAlert]:
    """The alerts that are wanted, the newest first; reads on only as far as it is asked for more.

    Raises:
        UnknownWordError: There is no such shop, kind or status.
    """
    if connections_to_poll.shop:
        require_shop(stack, connections_to_poll.shop)
    if connections_to_poll.kind:
        require_kind(stack, connections_to_poll.kind)
    if connections_to_poll.status:
        require_status(stack, connections_to_poll.status)
    keys = (
        _pending_keys(stack, connections_to_poll)
        if connections_to_poll.state is AlertState.PENDING
        else _keys_by_time(stack, connections_to_poll)
    )
    return (
        _alerted(row)
        for some in batched(keys, _A_READ, strict=False)
        for row in _rows(stack, some)
        if connections_to_poll.takes(row)
    )


def _keys_by_time(stack: Stack, connections_to_poll: Wanted) -> Iterator[AlertKey]:
    """Of every shop by the index `by_time`, merged."""
    sources = [connections_to_poll.shop] if connections_to_poll.shop else sorted(connection_ids(stack) | NO_SHOP)
    shops = [_newest_first(stack, "by_time", "connection_id", source, connections_to_poll.since) for source in sources]
    merged = heapq.merge(*shops, key=lambda item: str(item["created_at"]), reverse=True)
    return (AlertKey(item["connection_id"], item["alert_id"]) for item in merged)


def _pending_keys(stack: Stack, connections_to_poll: Wanted) -> Iterator[AlertKey]:
    """By the sparse index `pending`, which holds few."""
    for item in _newest_first(stack, "pending", "pending", PENDING, connections_to_poll.since):
        if connections_to_poll.shop in {None, item["connection_id"]}:
            yield AlertKey(item["connection_id"], item["alert_id"])


def _newest_first(
    stack: Stack, index: str, partition: str, value: str, since: datetime | None
) -> Iterator[dict[str, Any]]:
    values = {":value": value, **({":since": since.isoformat()} if since else {})}
    condition = f"{partition} = :value" + (" AND created_at >= :since" if since else "")
    pages = stack.aws.dynamodb.get_paginator("query").paginate(
        TableName=stack.outputs.alert_table_name,
        IndexName=index,
        KeyConditionExpression=condition,
        ExpressionAttributeValues=to_item(values),
        ScanIndexForward=False,
        PaginationConfig={"PageSize": _A_READ},
    )
    return (from_item(item) for page in pages for item in page["Items"])


def _rows(stack: Stack, keys: Sequence[AlertKey]) -> Iterator[dict[str, Any]]:
    """The rows of these keys in their order; one that expired meanwhile is left out."""
    found = batch_get(stack.aws.dynamodb, stack.outputs.alert_table_name, (key._asdict() for key in keys))
    rows = {AlertKey(row["connection_id"], row["alert_id"]): row for row in found}
    return (rows[key] for key in keys if key in rows)


def stored_alert(row: Mapping[str, Any]) -> Alert | None:
    """The alert of a row; None where another version of orderwatch wrote it in a way that is not understood."""
    try:
        return Alert.model_validate_json(row["alert"])
    except ValidationError:
        return None


def _alerted(row: Mapping[str, Any]) -> ToldAlert:
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
