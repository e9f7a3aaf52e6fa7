"""`orderwatch shops` and `orders`: the health of each shop, and the orders that need attention."""

from datetime import datetime, timedelta
from typing import Annotated

import typer
from pydantic import BaseModel

from orderwatch import clock
from orderwatch.alerts.parts import Number
from orderwatch.aws.order_table import OrderTable
from orderwatch.deadlines.rules import PROBLEM_KINDS
from orderwatch.records import HealthState
from orderwatch.rendering.formatting import link, money, plural
from orderwatch.summary.figures import SummaryRow
from orderwatch_cli import output
from orderwatch_cli.arguments import Endpoint, Json, Limit, Shop, StackName, Utc, own_name, stack_at
from orderwatch_cli.filters import known_status, resolve_shop
from orderwatch_cli.parameters import NamedShop, connected_shops
from orderwatch_cli.shop_status import PolledShop, polled_shops
from orderwatch_cli.stack import STACK_NAME, Stack


class ShopStatus(BaseModel):
    """The status of a shop.

    Attributes:
        connection_id: Trackstar's ID of the connection.
        name: The operator's name for the shop.
        integration: Trackstar's name of the integration.
        health: The state that the last poll found; None before the first poll.
        detail: The problem and what to do about it.
        last_poll_at: Our clock when a poll last read a window to its end.
        data_as_of: End of the last Trackstar sync that a poll saw.
        is_baseline_done: Whether the first poll has read the shop's history.
        needs_attention: Number of orders that need attention.
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
    """An order that needs attention: in a watched status that is not final, or late, or stuck.

    Attributes:
        connection_id: The shop's connection.
        shop: The operator's name for the shop, otherwise the connection ID.
        order_number: The number that people use.
        status: The current status.
        deadline: `order.late` or `order.stuck` if a deadline has passed.
        raw_status: The status in the shop's own words.
        status_since: When the shop changed to this status.
        age: How long the order has needed attention for its present reason, as in the summary.
        is_late: Whether the order is open and its ship-by date has passed.
        ship_by: The ship-by date; None: the shop gives none.
        total_price: The price at the last poll.
        currency: Currency of the price.
        url: The order in the shop's admin.
        alert_id: The alert about it; None: the baseline found it, so there was no alert.
        order_id: Trackstar's ID of the order.
        owner: Who has taken it.
        taken_at: When it was taken.
        snoozed_until: When its snooze ends; None: it is not snoozed.
        note: What its owner wrote about it.
    """

    connection_id: str
    shop: str
    order_id: str
    order_number: str
    status: str
    raw_status: str | None
    status_since: datetime
    age: timedelta
    is_late: bool = False
    deadline: str | None = None
    ship_by: datetime | None = None
    total_price: Number | None = None
    currency: str | None = None
    url: str | None = None
    alert_id: str | None = None
    owner: str | None = None
    taken_at: datetime | None = None
    snoozed_until: datetime | None = None
    note: str | None = None

    @property
    def is_unowned(self) -> bool:
        """Whether nobody has taken or snoozed it."""
        return self.owner is None and self.snoozed_until is None

    def is_owned_by(self, name: str) -> bool:
        """Whether the person with this name has taken it."""
        return self.owner is not None and self.owner.casefold() == name.casefold()


def shops(
    *,
    status: Annotated[HealthState | None, typer.Option("--status", help="Health of the shops.")] = None,
    limit: Limit = 500,
    utc: Utc = False,
    stack_name: StackName = STACK_NAME,
    endpoint_url: Endpoint = None,
    json: Json = False,
) -> None:
    """List the shops and their health.

    Shows the last poll, the age of Trackstar's data, and the number of orders that need attention.
    """
    with stack_at(stack_name, endpoint_url) as stack:
        connected = shop_statuses(stack)
        connect = stack.commands.own("connect CONNECTION_ID")
    matching = [each for each in connected if status in {None, each.health}]
    found = matching[:limit]
    if json:
        output.document(found)
        return
    columns = ("connection", "name", "integration", "health", "last poll", "data as of", "need attention")
    rows = [
        (
            *(each.connection_id, each.name, each.integration, each.health),
            *(each.last_poll_at, each.data_as_of, each.needs_attention),
        )
        for each in found
    ]
    empty = f"no shop is {status}" if connected else f"no shop is connected; connect one with: {connect}"
    footer = _rest(len(matching) - len(found), "shop")
    output.table(columns, rows, empty=empty, flexible=("name", "integration"), footer=footer, utc=utc)


def shop_statuses(stack: Stack) -> list[ShopStatus]:
    """Return the status of every connected shop."""
    connected = connected_shops(stack)
    polled = polled_shops(stack, [shop.connection_id for shop in connected])
    table = _order_table(stack)
    return [
        _shop_status(
            shop,
            polled.get(shop.connection_id, PolledShop()),
            needs_attention=table.count_needing_attention(shop.connection_id),
        )
        for shop in connected
    ]


def _shop_status(shop: NamedShop, polled: PolledShop, *, needs_attention: int) -> ShopStatus:
    return ShopStatus(
        connection_id=shop.connection_id,
        name=shop.name,
        integration=polled.integration,
        health=polled.health,
        detail=polled.health_detail,
        last_poll_at=polled.last_poll_at,
        data_as_of=polled.data_as_of,
        is_baseline_done=polled.is_baseline_done,
        needs_attention=needs_attention,
    )


def orders(
    *,
    shop: Shop = None,
    status: Annotated[
        str | None, typer.Option(metavar="STATUS", help="Status of the orders, such as exception.")
    ] = None,
    late: Annotated[bool, typer.Option("--late", help="Only open orders whose ship-by date has passed.")] = False,
    mine: Annotated[bool, typer.Option("--mine", help="Only orders that you have taken (see `take`).")] = False,
    unowned: Annotated[bool, typer.Option("--unowned", help="Only orders that nobody has taken or snoozed.")] = False,
    snoozed: Annotated[bool, typer.Option("--snoozed", help="Only snoozed orders.")] = False,
    limit: Limit = 100,
    utc: Utc = False,
    stack_name: StackName = STACK_NAME,
    endpoint_url: Endpoint = None,
    json: Json = False,
) -> None:
    """List orders that need attention.

    These are in a watched status, late or stuck. The most urgent come first, as in the summary: the earliest ship-by
    date, then the highest value. Cancelled orders need no attention; list them with `alerts`.
    """
    with stack_at(stack_name, endpoint_url) as stack:
        matching = backlog(stack, shop=shop, status=status, late=late)
    name = own_name() if mine else None
    matching = [
        each
        for each in matching
        if (name is None or each.is_owned_by(name)) and (each.is_unowned or not unowned)
        if each.snoozed_until or not snoozed
    ]
    found = matching[:limit]
    if json:
        output.document(found)
        return
    columns = ("shop", "order", "status", "raw status", "age", "ship by", "value", "owner", "note")
    rows = [
        (
            *(each.shop, each.order_number, _status(each), each.raw_status, each.age, each.ship_by, _value(each)),
            *(_owner(each, utc=utc), each.note),
        )
        for each in found
    ]
    filters = {"late": late, "taken": mine, "unowned": unowned, "snoozed": snoozed}
    what = "".join(f"{name} " for name, is_set in filters.items() if is_set) + "order"
    output.table(
        columns,
        rows,
        empty=f"no {what}{f' in status {status}' if status else ''} needs attention",
        flexible=("shop", "raw status", "owner", "note"),
        links=("order", [link(each.url) for each in found]),
        footer=_rest(len(matching) - len(found), "order"),
        utc=utc,
    )


def backlog(
    stack: Stack, *, shop: str | None = None, status: str | None = None, late: bool = False
) -> list[BacklogOrder]:
    """Return the orders that need attention, the most urgent first.

    Args:
        stack: The stack.
        shop: Only the shop with this ID or name.
        status: Only this status.
        late: Only open orders whose ship-by date has passed.

    Raises:
        UnknownFilterError: The shop or the status does not exist.
    """
    shop = resolve_shop(stack, shop) if shop else None
    status = known_status(stack, status) if status else None
    connected = [each for each in connected_shops(stack) if shop in {None, each.connection_id}]
    table, watched, now = _order_table(stack), stack.parameters.watched_statuses, clock.now()
    found = [
        (order, each)
        for each in connected
        for order_id, row in table.needing_attention(each.connection_id).items()
        if (order := SummaryRow(order_id, row, watched, now)) and status in {None, row.status}
        if order.is_late or not late
    ]
    found.sort(key=lambda each: each[0].urgency)
    polled = polled_shops(stack, {each.connection_id for _, each in found})
    as_of = {connection_id: each.data_as_of for connection_id, each in polled.items()}
    return [_backlog_order(order, each, as_of=as_of.get(each.connection_id) or now) for order, each in found]


def _backlog_order(order: SummaryRow, shop: NamedShop, *, as_of: datetime) -> BacklogOrder:
    row, extract = order.row, order.extract
    passed = row.deadline_state.passed
    ownership = order.ownership
    return BacklogOrder(
        connection_id=shop.connection_id,
        shop=shop.name or shop.connection_id,
        order_id=order.id,
        order_number=row.order_number,
        status=row.status,
        raw_status=row.raw_status,
        status_since=row.status_since,
        age=order.age(as_of),
        is_late=order.is_late,
        deadline=passed.kind if passed and passed.kind in PROBLEM_KINDS else None,
        ship_by=row.ship_by,
        total_price=extract.total_price,
        currency=extract.currency,
        url=extract.url,
        alert_id=row.status_alert_id or row.deadline_state.deadline_alert_id,
        owner=ownership.owner,
        taken_at=ownership.taken_at,
        snoozed_until=ownership.snoozed_until,
        note=ownership.note,
    )


def _order_table(stack: Stack) -> OrderTable:
    return OrderTable(stack.aws.dynamodb, stack.outputs.order_table_name)


def _status(order: BacklogOrder) -> str:
    return f"{order.status}, {order.deadline.removeprefix('order.')}" if order.deadline else order.status


def _owner(order: BacklogOrder, *, utc: bool) -> str | None:
    """`ana, snoozed until 2026-03-09 09:00 CET`."""
    until = f"snoozed until {output.moment(order.snoozed_until, utc=utc)}" if order.snoozed_until else None
    return ", ".join(filter(None, [order.owner, until])) or None


def _value(order: BacklogOrder) -> str | None:
    return None if order.total_price is None else money(order.total_price, order.currency)


def _rest(count: int, noun: str) -> str:
    return f"and {plural(count, f'more {noun}')}; use --limit to show more" if count else ""
