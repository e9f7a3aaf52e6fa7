"""The commands that list what a stack knows, as they are typed."""

from collections.abc import Iterator
from datetime import timedelta
from itertools import islice
from typing import Annotated

import typer

from orderwatch import clock
from orderwatch.clock import duration
from orderwatch.records import HealthState
from orderwatch.rendering.formatting import money, plural
from orderwatch_cli import logs as function_logs
from orderwatch_cli import shop_status, show
from orderwatch_cli.arguments import Endpoint, Json, Limit, Shop, StackName, Utc, since_moment, stack_at
from orderwatch_cli.history import AlertState, ToldAlert, Wanted
from orderwatch_cli.history import alerts as alerts_of
from orderwatch_cli.logs import Function, Level
from orderwatch_cli.stack import STACK_NAME

app = typer.Typer(rich_markup_mode=None)

MOMENT = "2026-03-02, 2026-03-02T10:00Z, 90m, 36h or 7d"


@app.command()
def shops(
    *,
    status: Annotated[HealthState | None, typer.Option("--status", help="Only those in this health.")] = None,
    limit: Limit = 500,
    utc: Utc = False,
    stack_name: StackName = STACK_NAME,
    endpoint_url: Endpoint = None,
    json: Json = False,
) -> None:
    """List the shops and how they are.

    Health, last poll, how fresh Trackstar's data is, and how many orders wait for a person.
    """
    with stack_at(stack_name, endpoint_url) as stack:
        every = shop_status.shops(stack)
        connect = stack.commands.own("connect CONNECTION_ID")
    connections_to_poll = [each for each in every if status in {None, each.health}]
    found = connections_to_poll[:limit]
    if json:
        show.document(found)
        return
    columns = ("connection", "name", "integration", "health", "last poll", "data as of", "waiting")
    rows = [
        (
            *(each.connection_id, each.name, each.integration, each.health),
            *(each.last_poll_at, each.data_as_of, each.needs_attention),
        )
        for each in found
    ]
    empty = f"no shop is {status}" if every else f"no shop is connected; this connects one: {connect}"
    show.table(columns, rows, empty=empty, flexible=("name", "integration"), utc=utc)
    _say_the_rest(len(connections_to_poll) - len(found), "shop")


@app.command()
def orders(
    *,
    shop: Shop = None,
    status: Annotated[str | None, typer.Option(metavar="STATUS", help="Only in this one, such as exception.")] = None,
    limit: Limit = 100,
    utc: Utc = False,
    stack_name: StackName = STACK_NAME,
    endpoint_url: Endpoint = None,
    json: Json = False,
) -> None:
    """List orders that need a person.

    They are in a watched status now, late or stuck; by shop, the oldest first. Cancelled ones wait for nobody: `alerts`
    has them.
    """
    with stack_at(stack_name, endpoint_url) as stack:
        found, more = shop_status.attention_rows(stack, shop=shop, status=status, limit=limit)
    if json:
        show.document(found)
        return
    columns = ("shop", "order", "status", "raw status", "age", "ship by", "value")
    rows = [
        (*(each.shop, each.order_number, _status(each), each.raw_status), *(each.age, each.ship_by, _value(each)))
        for each in found
    ]
    empty = "no order waits for a person" + (f" in {status}" if status else "")
    show.table(columns, rows, empty=empty, flexible=("shop", "raw status"), utc=utc)
    _say_the_rest(more, "order")


def _status(order: shop_status.BacklogOrder) -> str:
    return f"{order.status}, {order.deadline.removeprefix('order.')}" if order.deadline else order.status


def _value(order: shop_status.BacklogOrder) -> str | None:
    return None if order.total_price is None else money(order.total_price, order.currency)


def _say_the_rest(count: int, noun: str) -> None:
    if count:
        show.line(f"and {plural(count, f'more {noun}')}: --limit shows more")


@app.command()
def alerts(
    *,
    shop: Shop = None,
    kind: Annotated[
        str | None, typer.Option(metavar="KIND", help="Only of this kind, such as order.exception.")
    ] = None,
    status: Annotated[
        str | None, typer.Option(metavar="STATUS", help="Only about orders that went into this status.")
    ] = None,
    state: Annotated[AlertState | None, typer.Option(help="Only pending or only sent ones.")] = None,
    since: Annotated[str | None, typer.Option(metavar="WHEN", help=f"From then on: {MOMENT}.")] = None,
    limit: Limit = 100,
    utc: Utc = False,
    stack_name: StackName = STACK_NAME,
    endpoint_url: Endpoint = None,
    json: Json = False,
) -> None:
    """List the alerts, the newest first.

    They are kept for 90 days after they were sent.
    """
    from_then = since_moment(since, utc=utc) if since else None
    connections_to_poll = Wanted(shop=shop, kind=kind, status=status, state=state, since=from_then)
    with stack_at(stack_name, endpoint_url) as stack:
        found = list(islice(alerts_of(stack, connections_to_poll), limit + 1))
    if json:
        show.document(found[:limit])
        return
    columns = ("written", "kind", "shop", "order", "state", "alert")
    rows = [(each.created_at, each.kind, each.shop, each.order_number, _state(each), each.alert_id) for each in found]
    show.table(columns, rows[:limit], empty="no alert", flexible=("shop",), utc=utc)
    if len(found) > limit:
        show.line("There are older ones: --limit shows more.")


def _state(alerted: ToldAlert) -> str:
    if alerted.sent_at:
        return f"sent after {_span(alerted.sent_at - alerted.created_at)}"
    return f"pending for {_span(clock.now() - alerted.created_at)}"


def _span(span: timedelta) -> str:
    return duration(span) if span >= timedelta(minutes=1) else f"{max(span, timedelta()).total_seconds():.0f} s"


@app.command()
def logs(
    *,
    functions: Annotated[
        list[Function] | None, typer.Argument(metavar="FUNCTION", help="Whose; all without any.")
    ] = None,
    since: Annotated[str, typer.Option(metavar="WHEN", help=f"From then on: {MOMENT}.")] = "1h",
    alert: Annotated[str | None, typer.Option(metavar="ALERT_ID", help="Only lines about this alert.")] = None,
    shop: Shop = None,
    level: Annotated[Level, typer.Option(help="The least level that is shown.")] = Level.DEBUG,
    utc: Utc = False,
    stack_name: StackName = STACK_NAME,
    endpoint_url: Endpoint = None,
    json: Json = False,
) -> None:
    """Show what the functions logged.

    The oldest first; of every function where none is named.
    """
    from_then = since_moment(since, utc=utc)
    with stack_at(stack_name, endpoint_url) as stack:
        about = [each for each in (alert, shop) if each]
        read = function_logs.lines(stack, functions or [], since=from_then, about=about)
        found = [line for line in read if level.lets_through(line.level)]
    if json:
        show.document(found)
        return
    for text in _alerted(found, utc=utc):
        show.line(text)


def _alerted(found: list[function_logs.LoggedLine], *, utc: bool) -> Iterator[str]:
    if not found:
        yield "nothing was logged: --since looks further back"
    for each in found:
        yield f"{show.moment(each.at, utc=utc, seconds=True)}  {each.alerted()}"
        yield from (f"    {line}" for line in (each.exception or "").splitlines())
