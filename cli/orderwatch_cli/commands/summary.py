"""`orderwatch summary`: invokes send_summary, as its schedule does."""

from typing import Annotated

import typer
from pydantic import BaseModel

from orderwatch.alerts.alert import Alert
from orderwatch.rendering import email
from orderwatch_cli import output
from orderwatch_cli.arguments import Endpoint, Json, StackName, stack_at
from orderwatch_cli.stack import STACK_NAME, Function, Stack


class SummaryResult(BaseModel):
    """The result of send_summary.

    Attributes:
        is_written: Whether the summary is sent too.
        alert: The summary.
    """

    is_written: bool
    alert: Alert


def summary(
    *,
    send: Annotated[bool, typer.Option("--send", help="Send the summary to all subscribers too.")] = False,
    stack_name: StackName = STACK_NAME,
    endpoint_url: Endpoint = None,
    json: Json = False,
) -> None:
    """Show the backlog of all shops.

    Prints what the morning summary contains: how many orders need attention, how late they are, what they are worth,
    and which to start with.
    """
    with stack_at(stack_name, endpoint_url) as stack:
        result = build_summary(stack, send=send)
    if json:
        output.document(result.alert)
        return
    for line in email.body(result.alert).splitlines():
        output.line(line)
    if result.is_written:
        output.line("The summary is being sent to AlertTopic.")


def build_summary(stack: Stack, *, send: bool) -> SummaryResult:
    """Let send_summary build the summary.

    Args:
        stack: The stack.
        send: Whether to send it to all subscribers.

    Raises:
        InvocationError: send_summary failed.
    """
    payload = {} if send else {"send": False}
    return SummaryResult.model_validate(stack.invoke(Function.SEND_SUMMARY, payload))
