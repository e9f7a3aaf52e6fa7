"""The operator's commands as they are typed."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Annotated

import typer
from pydantic import SecretStr

from orderwatch.publishing.messages.text import money, plural
from orderwatch_cli import connecting, dead_letters, functions, show, standing, trial
from orderwatch_cli.arguments import check_connection_id
from orderwatch_cli.aws import Aws
from orderwatch_cli.doctor import examine
from orderwatch_cli.history import ToldAlert
from orderwatch_cli.history import alerts as alerts_of
from orderwatch_cli.stack import STACK_NAME, Stack, find_stack

app = typer.Typer(rich_markup_mode=None)

StackName = Annotated[str, typer.Option(help="Which stack.")]
Endpoint = Annotated[str | None, typer.Option(help="A local cloud; else AWS_ENDPOINT_URL, else AWS.")]
Json = Annotated[bool, typer.Option("--json", help="One JSON document instead of a table.")]
ConnectionId = Annotated[str, typer.Argument(help="Trackstar's id of the connection.", callback=check_connection_id)]


@contextmanager
def _stack(name: str, endpoint_url: str | None) -> Iterator[Stack]:
    with Aws(endpoint_url=endpoint_url) as aws:
        yield find_stack(aws, name)


@app.command()
def doctor(stack_name: StackName = STACK_NAME, endpoint_url: Endpoint = None, *, json: Json = False) -> None:
    """Check everything that must hold for alerts to come; exit code 1 if something does not."""
    with Aws(endpoint_url=endpoint_url) as aws:
        examination = examine(aws, stack_name)
    if json:
        show.document(examination)
    else:
        for each in examination.lines():
            show.line(each)
    raise typer.Exit(0 if examination.ok else 1)


@app.command()
def connect(
    connection_id: ConnectionId,
    name: Annotated[str | None, typer.Option(help="What alerts call the shop.")] = None,
    stack_name: StackName = STACK_NAME,
    endpoint_url: Endpoint = None,
    *,
    json: Json = False,
) -> None:
    """Watch a shop, or replace its token; asks for the token, or reads it from standard input.

    The token is checked at the API before it is stored.
    """
    with _stack(stack_name, endpoint_url) as stack:
        token = _read_token(connection_id)
        connected = connecting.connect(stack, connection_id, access_token=token, name=name)
    if json:
        show.document(connected)
        return
    show.line(f"connected {connection_id} ({connected.integration or 'integration unknown'}, {connected.health})")
    show.line("The next tick polls it. A new shop's first poll records its history and alerts nothing of it.")


def _read_token(connection_id: str) -> SecretStr:
    if sys.stdin.isatty():
        return SecretStr(typer.prompt(f"access token of {connection_id}", hide_input=True, err=True).strip())
    return SecretStr(sys.stdin.readline().strip())


@app.command()
def disconnect(
    connection_id: ConnectionId,
    stack_name: StackName = STACK_NAME,
    endpoint_url: Endpoint = None,
    *,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
) -> None:
    """Stop watching a shop: delete its token, name and settings."""
    if not yes:
        typer.confirm(f"stop watching {connection_id}?", abort=True, err=True)
    with _stack(stack_name, endpoint_url) as stack:
        connecting.disconnect(stack, connection_id)
    show.line(f"disconnected {connection_id}: its token, name and settings are deleted")
    show.line("Its orders, cursor and alerts stay: if it is connected again, what changed in between is alerted.")


@app.command()
def shops(stack_name: StackName = STACK_NAME, endpoint_url: Endpoint = None, *, json: Json = False) -> None:
    """List the shops: health, last poll, how fresh the data is, orders that wait for a person."""
    with _stack(stack_name, endpoint_url) as stack:
        found = standing.shops(stack)
    if json:
        show.document(found)
        return
    columns = ("connection", "name", "integration", "health", "last poll", "data as of", "waiting")
    rows = [
        (
            *(each.connection_id, each.name, each.integration, each.health),
            *(each.last_poll_at, each.data_as_of, each.orders_in_watched_status),
        )
        for each in found
    ]
    show.table(columns, rows, empty="no shop is connected: orderwatch connect CONNECTION_ID")


@app.command()
def orders(
    shop: Annotated[str | None, typer.Option(help="Only this connection.")] = None,
    stack_name: StackName = STACK_NAME,
    endpoint_url: Endpoint = None,
    *,
    json: Json = False,
) -> None:
    """List the orders that wait for a person now (in a watched status, late or stuck), by shop, the oldest first."""
    with _stack(stack_name, endpoint_url) as stack:
        found = standing.waiting_orders(stack, shop=shop)
    if json:
        show.document(found)
        return
    columns = ("shop", "order", "status", "raw status", "since", "age", "value")
    rows = [
        (*(each.shop, each.order_number, _status(each), each.raw_status), *(each.status_since, each.age, _value(each)))
        for each in found
    ]
    show.table(columns, rows, empty="no order waits for a person")


def _status(order: standing.WaitingOrder) -> str:
    return f"{order.status}, {order.deadline.removeprefix('order.')}" if order.deadline else order.status


def _value(order: standing.WaitingOrder) -> str | None:
    return None if order.total_price is None else money(order.total_price, order.currency)


@app.command()
def alerts(
    *,
    shop: Annotated[str | None, typer.Option(help="Only of this connection.")] = None,
    kind: Annotated[str | None, typer.Option(help="Only of this kind, such as order.exception.")] = None,
    state: Annotated[str | None, typer.Option(help="Only pending or only sent ones.")] = None,
    since: Annotated[
        str | None, typer.Option(help="From then on: 2026-03-02, 2026-03-02T10:00Z, 90m, 36h, 7d.")
    ] = None,
    limit: Annotated[int, typer.Option(min=1, help="The newest so many.")] = 100,
    stack_name: StackName = STACK_NAME,
    endpoint_url: Endpoint = None,
    json: Json = False,
) -> None:
    """List the alerts, the newest first."""
    if state not in {None, "pending", "sent"}:
        raise typer.BadParameter("--state is pending or sent")
    from_then = since_moment(since) if since else None
    with _stack(stack_name, endpoint_url) as stack:
        found = alerts_of(stack, shop=shop, kind=kind, state=state, since=from_then)
    if json:
        show.document(found[:limit])
        return
    columns = ("written", "kind", "shop", "order", "before", "state", "sent", "alert")
    show.table(columns, [_alert_row(each) for each in found[:limit]], empty="no alert")
    if len(found) > limit:
        show.line(f"and {plural(len(found) - limit, 'older alert')}: --limit shows more")


def _alert_row(told: ToldAlert) -> tuple[object, ...]:
    subject = (told.created_at, told.kind, told.shop, told.order_number, told.previous_status)
    return (*subject, told.state, told.sent_at, told.alert_id)


def since_moment(value: str) -> datetime:
    """A moment as it is typed: a date, a date with time (UTC unless it says otherwise), or how long ago.

    Raises:
        BadParameter: It is none of these.
    """
    units = {"m": "minutes", "h": "hours", "d": "days"}
    try:
        if value[-1] in units and value[:-1].isdigit():
            return datetime.now(UTC) - timedelta(**{units[value[-1]]: int(value[:-1])})
        moment = datetime.fromisoformat(value)
    except (ValueError, IndexError, OverflowError):
        raise typer.BadParameter(f"{value!r} is no date and no span such as 36h") from None
    return moment.astimezone(UTC) if moment.tzinfo else moment.replace(tzinfo=UTC)


@app.command()
def poll(
    connection_ids: Annotated[list[str] | None, typer.Argument(help="Which; all without any.")] = None,
    stack_name: StackName = STACK_NAME,
    endpoint_url: Endpoint = None,
    *,
    json: Json = False,
) -> None:
    """Poll shops now instead of at the next tick."""
    with _stack(stack_name, endpoint_url) as stack:
        asked = functions.poll_now(stack, connection_ids or [])
    if json:
        show.document(asked)
    else:
        show.line(f"polling {', '.join(asked.connection_ids)}")


@app.command()
def redrive(
    dead: Annotated[str | None, typer.Option("--dead-letters", help="Move this queue's messages back.")] = None,
    stack_name: StackName = STACK_NAME,
    endpoint_url: Endpoint = None,
    *,
    json: Json = False,
) -> None:
    """Send now what has been pending for ten minutes, or move dead letters back into their queue."""
    with _stack(stack_name, endpoint_url) as stack:
        done = dead_letters.redrive_dead_letters(stack, dead) if dead else functions.redrive(stack)
    if json:
        show.document(done)
    else:
        show.line(_redriven(done))


def _redriven(done: dead_letters.Moved | functions.Redriven) -> str:
    if isinstance(done, dead_letters.Moved):
        return f"moved {plural(done.messages, 'message')} from {done.source} to {done.target}"
    counts = f"sent {plural(done.sent, 'alert')}, {done.unsent} could not be sent, {done.still_pending} still pending"
    return f"{counts} (the stream's until they are ten minutes old)"


@app.command("test-alert")
def send_test_alert(
    status: Annotated[str, typer.Option(help="The status of its order.")] = "exception",
    shop: Annotated[str, typer.Option(help="The connection that it names.")] = trial.TEST_CONNECTION,
    value: Annotated[float, typer.Option(min=0, help="The order's total in US dollars.")] = 1.0,
    stack_name: StackName = STACK_NAME,
    endpoint_url: Endpoint = None,
    *,
    json: Json = False,
) -> None:
    """Send one clearly marked test alert to every channel, and say which subscriptions it should reach."""
    with _stack(stack_name, endpoint_url) as stack:
        sent = trial.send_test_alert(stack, status=status, connection_id=shop, total_price=Decimal(str(value)))
    if json:
        show.document(sent)
        return
    show.line(f"sent: {sent.subject} (alert {sent.alert_id})")
    rows = [(each.protocol, each.endpoint, _YES[each.should_receive], each.reason) for each in sent.recipients]
    show.table(("channel", "to", "should get it", "because"), rows, empty="but nobody is subscribed")


_YES = {True: "yes", False: "no", None: "unknown"}
