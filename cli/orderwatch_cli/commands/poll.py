"""`orderwatch poll`: invokes dispatch_polls, as its schedule does."""

import shlex
from collections.abc import Sequence
from typing import Annotated

import typer
from pydantic import BaseModel

from orderwatch.errors import OrderwatchError
from orderwatch_cli import output
from orderwatch_cli.arguments import Endpoint, Json, StackName, stack_at
from orderwatch_cli.parameters import connected_shops
from orderwatch_cli.stack import STACK_NAME, Function, Stack


class NotConnectedError(OrderwatchError):
    """A shop cannot be polled because it is not connected; the message says how to connect it."""


class QueuedPolls(BaseModel):
    """The connections whose polls were queued."""

    connection_ids: list[str]


def poll(
    connection_ids: Annotated[
        list[str] | None, typer.Argument(metavar="CONNECTION_ID", help="Shops to poll (default: all).")
    ] = None,
    stack_name: StackName = STACK_NAME,
    endpoint_url: Endpoint = None,
    *,
    restart: Annotated[
        bool, typer.Option("--restart", help="Begin an unfinished reading of these shops again, from its first page.")
    ] = False,
    json: Json = False,
) -> None:
    """Poll shops now.

    A scheduled run polls only the shops that may have changed.
    """
    if restart and not connection_ids:
        raise typer.BadParameter("name the shops whose reading begins again: orderwatch poll CONNECTION_ID --restart")
    with stack_at(stack_name, endpoint_url) as stack:
        queued = poll_now(stack, connection_ids or [], restart=restart)
    if json:
        output.document(queued)
    else:
        output.line(f"polling {', '.join(queued.connection_ids)}")


def poll_now(stack: Stack, connection_ids: Sequence[str], *, restart: bool = False) -> QueuedPolls:
    """Queue a poll of these connections, or of all if the list is empty.

    Args:
        stack: The stack.
        connection_ids: The connections.
        restart: Whether an unfinished reading begins again.

    Raises:
        NotConnectedError: A connection has no access token, or none has.
        InvocationError: dispatch_polls failed.
    """
    connected = {shop.connection_id for shop in connected_shops(stack)}
    if unknown := [each for each in connection_ids if each not in connected]:
        connect = stack.commands.own(f"connect {shlex.quote(unknown[0])}")
        raise NotConnectedError(f"not connected: {', '.join(unknown)}; connect a shop with: {connect}")
    if not connected:
        connect = stack.commands.own("connect CONNECTION_ID")
        raise NotConnectedError(f"no shop is connected; connect one with: {connect}")
    payload = {"connection_ids": list(connection_ids) or sorted(connected)} | ({"restart": True} if restart else {})
    return QueuedPolls.model_validate(stack.invoke(Function.DISPATCH_POLLS, payload))
