"""`orderwatch shops` and `orders`: how each shop is, and which orders wait for a person now."""

from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from typing import Any

from pydantic import BaseModel

from orderwatch import clock
from orderwatch.alerts.alert import Alert
from orderwatch.alerts.parts import Number
from orderwatch.aws.connection_table import ConnectionTable
from orderwatch.aws.dynamodb import batch_get, from_item, to_item
from orderwatch.deadlines.rules import TROUBLES
from orderwatch.polling.state import ConnectionState
from orderwatch_cli.history import stored_alert
from orderwatch_cli.known import require_shop, require_status
from orderwatch_cli.shop_parameters import NamedShop, connected_shops
from orderwatch_cli.stack import Stack

INDEX = "attention"


class ShopStanding(BaseModel):
    """How a shop is.

    Attributes:
        connection_id: Trackstar's id of it.
        name: What the operator calls it.
        integration: Trackstar's name of the integration.
        health: As the last poll found it; None before the first.
        detail: What is wrong and what to do.
        last_poll_at: Our clock when a window was last read to its end.
        data_as_of: The end of the vendor's last sync that a poll saw.
        is_baseline_done: Whether the first reading of its history has ended.
        waiting_orders: How many wait for a person now.
    """

    connection_id: str
    name: str | None
    integration: str | None
    health: str | None
    detail: str
    last_poll_at: datetime | None
    data_as_of: datetime | None
    is_baseline_done: bool
    waiting_orders: int


class WaitingOrder(BaseModel):
    """An order that waits for a person now: in a watched status that is not final, or late or stuck.

    Attributes:
        connection_id: The shop's connection.
        shop: What the operator calls the shop.
        order_number: As people write it.
        status: What it is in.
        deadline: `order.late` or `order.stuck`, where it is that.
        raw_status: The shop's own word for it.
        status_since: When the copy changed that showed it.
        age: How long ago that was.
        total_price: From the alert about it; None if there was none, as for what the baseline found.
        currency: Of the price.
        url: The order in the shop's own admin, from the same alert.
        alert_id: That alert.
    """

    connection_id: str
    shop: str
    order_number: str
    status: str
    raw_status: str | None
    status_since: datetime
    age: timedelta
    deadline: str | None = None
    total_price: Number | None = None
    currency: str | None = None
    url: str | None = None
    alert_id: str | None = None


def shops(stack: Stack) -> list[ShopStanding]:
    """Every connected shop."""
    table = ConnectionTable(stack.aws.dynamodb, stack.outputs.connection_table_name)
    return [_standing(stack, shop, table.load(shop.connection_id)) for shop in connected_shops(stack)]


def _standing(stack: Stack, shop: NamedShop, state: ConnectionState) -> ShopStanding:
    return ShopStanding(
        connection_id=shop.connection_id,
        name=shop.name,
        integration=state.integration,
        health=state.health.state if state.health else None,
        detail=state.health.detail if state.health else "",
        last_poll_at=state.last_success_at,
        data_as_of=state.data_as_of,
        is_baseline_done=state.baseline_completed_at is not None,
        waiting_orders=sum(page["Count"] for page in _pages(stack, shop.connection_id, Select="COUNT")),
    )


def waiting_orders(
    stack: Stack, *, shop: str | None = None, status: str | None = None, limit: int | None = None
) -> tuple[list[WaitingOrder], int]:
    """The orders that wait for a person now, by shop, the oldest first; and how many there are beyond the limit.

    Args:
        stack: Where.
        shop: Only this connection; else every connected one.
        status: Only those in this status.
        limit: At most so many.

    Raises:
        UnknownWordError: There is no such shop or status.
    """
    if shop:
        require_shop(stack, shop)
    if status:
        require_status(stack, status)
    found = [each for each in connected_shops(stack) if shop in {None, each.connection_id}]
    rows = ((row, each) for each in found for row in _rows(stack, each.connection_id))
    orders = [_order(row, each) for row, each in rows if status in {None, row["status"]}]
    return _with_values(stack, orders[:limit]), len(orders) - len(orders[:limit])


def _pages(stack: Stack, connection_id: str, **options: Any) -> Iterator[Any]:
    paginator: Any = stack.aws.dynamodb.get_paginator("query")
    return iter(
        paginator.paginate(
            TableName=stack.outputs.order_table_name,
            IndexName=INDEX,
            KeyConditionExpression="connection_id = :connection_id",
            ExpressionAttributeValues=to_item({":connection_id": connection_id}),
            **options,
        )
    )


def _rows(stack: Stack, connection_id: str) -> Iterator[dict[str, Any]]:
    return (from_item(item) for page in _pages(stack, connection_id) for item in page["Items"])


def _order(row: dict[str, Any], shop: NamedShop) -> WaitingOrder:
    since = datetime.fromisoformat(row["status_since"])
    return WaitingOrder(
        connection_id=shop.connection_id,
        shop=shop.name or shop.connection_id,
        order_number=row["order_number"],
        status=row["status"],
        raw_status=row.get("raw_status"),
        status_since=since,
        age=max(clock.now() - since, timedelta()),
        deadline=row.get("passed_kind") if row.get("passed_kind") in TROUBLES else None,
        alert_id=row.get("alerted_by") or row.get("told_by"),
    )


def _with_values(stack: Stack, orders: Sequence[WaitingOrder]) -> list[WaitingOrder]:
    """The price and the link are in the order's alert, for as long as that is kept."""
    alerted = {(order.connection_id, order.alert_id) for order in orders if order.alert_id}
    keys = ({"connection_id": connection_id, "alert_id": alert_id} for connection_id, alert_id in alerted)
    rows = batch_get(stack.aws.dynamodb, stack.outputs.alert_table_name, keys)
    alerts = {row["alert_id"]: stored_alert(row) for row in rows}
    return [_with_value(order, alerts.get(order.alert_id or "")) for order in orders]


def _with_value(order: WaitingOrder, alert: Alert | None) -> WaitingOrder:
    told = alert.order if alert else None
    if told is None:
        return order
    return order.model_copy(update={"total_price": told.total_price, "currency": told.currency, "url": told.url})
