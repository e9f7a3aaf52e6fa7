"""`orderwatch poll`, `redrive` and `summary`: invoke the functions that the schedules invoke."""

import json
import shlex
from collections.abc import Mapping, Sequence
from typing import Any

from pydantic import BaseModel

from orderwatch import clock
from orderwatch.alerts.alert import Alert
from orderwatch.aws.tables import AlertTable
from orderwatch.errors import OrderwatchError
from orderwatch_cli.logs import Function
from orderwatch_cli.shop_parameters import connected_shops
from orderwatch_cli.stack import Stack


class InvocationError(OrderwatchError):
    """A function failed, or was asked for something that there is not: says which and where to look."""


class AskedPolls(BaseModel):
    """The connections for which a poll was asked."""

    connection_ids: list[str]


class Redriven(BaseModel):
    """What became of the overdue alerts.

    Attributes:
        sent: Alerts that were sent now.
        unsent: Alerts that could not be.
        still_pending: Alerts that are pending afterwards, the unsent and the young ones.
    """

    sent: int
    unsent: int
    still_pending: int


def poll_now(stack: Stack, connection_ids: Sequence[str]) -> AskedPolls:
    """Ask for a poll of these connections, of all where none is named.

    Raises:
        InvocationError: A connection has no access token, or dispatch_polls failed.
    """
    known = {shop.connection_id for shop in connected_shops(stack)}
    if strangers := [each for each in connection_ids if each not in known]:
        connect = stack.commands.own(f"connect {shlex.quote(strangers[0])}")
        raise InvocationError(f"not connected: {', '.join(strangers)}; this connects a shop: {connect}")
    if not known:
        connect = stack.commands.own("connect CONNECTION_ID")
        raise InvocationError(f"no shop is connected; this connects one: {connect}")
    payload = {"connection_ids": list(connection_ids) or sorted(known)}
    return AskedPolls.model_validate(
        _invoke(stack, stack.outputs.dispatch_polls_function_name, payload, log=Function.DISPATCH_POLLS)
    )


def redrive(stack: Stack) -> Redriven:
    """Send every alert that has been pending for ten minutes; what is younger is the stream's.

    Raises:
        InvocationError: redrive_alerts failed.
    """
    answer = _invoke(stack, stack.outputs.redrive_alerts_function_name, {}, log=Function.REDRIVE_ALERTS)
    table = AlertTable(stack.aws.dynamodb, stack.outputs.alert_table_name)
    return Redriven(**answer, still_pending=sum(1 for _ in table.pending_since_before(clock.now())))


class Summed(BaseModel):
    """A summary of what waits.

    Attributes:
        is_written: Whether it is sent too.
        alert: It.
    """

    is_written: bool
    alert: Alert


def sum_up(stack: Stack, *, send: bool) -> Summed:
    """Sum up what waits in every shop now.

    Args:
        stack: Whose shops.
        send: Whether everybody gets it.

    Raises:
        InvocationError: send_summary failed.
    """
    payload = {} if send else {"send": False}
    answer = _invoke(stack, stack.outputs.send_summary_function_name, payload, log=Function.SEND_SUMMARY)
    return Summed.model_validate(answer)


def _invoke(stack: Stack, function: str, payload: Mapping[str, Any], *, log: Function) -> dict[str, Any]:
    answer = stack.aws.functions.invoke(FunctionName=function, Payload=json.dumps(payload).encode())
    body: dict[str, Any] = json.loads(answer["Payload"].read() or "{}")
    if answer.get("FunctionError"):
        reason = body.get("errorType", answer["FunctionError"])
        raise InvocationError(f"{function} failed ({reason}); its log says why: {stack.commands.own(f'logs {log}')}")
    return body
