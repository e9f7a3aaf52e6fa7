"""`orderwatch shops` and `orders`: how each shop is, and which orders wait for a person now."""

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any

from pydantic import BaseModel

from orderwatch import clock
from orderwatch.alerts.parts import Number
from orderwatch.aws.dynamodb import to_item
from orderwatch.aws.tables import ConnectionTable, OrderTable
from orderwatch.deadlines.rules import PROBLEM_KINDS
from orderwatch.records import ConnectionState, Extract, StoredOrder
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
        needs_attention: How many wait for a person now.
    """

    connection_id: str
    name: str | None
    integration: str | None
    health: str | None
    detail: str
    last_poll_at: datetime | None
    data_as_of: datetime | None
    is_baseline_done: bool
    needs_attention: int


class BacklogOrder(BaseModel):
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
        ship_by: When the shop promised to ship it; None: it does not say.
        total_price: As its row keeps it.
        currency: Of the price.
        url: The order in the shop's own admin.
        alert_id: The alert about it; None if there was none, as for what the baseline found.
    """

    connection_id: str
    shop: str
    order_number: str
    status: str
    raw_status: str | None
    status_since: datetime
    age: timedelta
    deadline: str | None = None
    ship_by: datetime | None = None
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
        last_poll_at=state.cursor.last_success_at,
        data_as_of=state.syncs.last_end,
        is_baseline_done=state.cursor.baseline_completed_at is not None,
        needs_attention=sum(page["Count"] for page in _pages(stack, shop.connection_id, Select="COUNT")),
    )


def attention_rows(
    stack: Stack, *, shop: str | None = None, status: str | None = None, limit: int | None = None
) -> tuple[list[BacklogOrder], int]:
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
    table = OrderTable(stack.aws.dynamodb, stack.outputs.order_table_name)
    rows = ((row, each) for each in found for row in table.needing_attention(each.connection_id).values())
    orders = [_order(row, each) for row, each in rows if status in {None, row.status}]
    return orders[:limit], len(orders) - len(orders[:limit])


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


def _order(row: StoredOrder, shop: NamedShop) -> BacklogOrder:
    extract = Extract.from_json(row.extract) if row.extract else Extract()
    passed = row.deadline_state.passed
    return BacklogOrder(
        connection_id=shop.connection_id,
        shop=shop.name or shop.connection_id,
        order_number=row.order_number,
        status=row.status,
        raw_status=row.raw_status,
        status_since=row.status_since,
        age=max(clock.now() - row.status_since, timedelta()),
        deadline=passed.kind if passed and passed.kind in PROBLEM_KINDS else None,
        ship_by=row.ship_by,
        total_price=extract.total_price,
        currency=extract.currency,
        url=extract.url,
        alert_id=row.status_alert_id or row.deadline_state.deadline_alert_id,
    )
