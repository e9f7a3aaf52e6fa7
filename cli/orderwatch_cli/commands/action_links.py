"""`orderwatch action-links`: makes, replaces and deletes the key of the links that take or snooze an order."""

import secrets

import typer
from pydantic import BaseModel, SecretStr

from orderwatch.aws.parameters import ACTION_KEY
from orderwatch.errors import OrderwatchError
from orderwatch_cli import output
from orderwatch_cli.arguments import Endpoint, Json, StackName, calls_subcommand, stack_at
from orderwatch_cli.parameters import put_secret
from orderwatch_cli.stack import STACK_NAME, Stack

KEY_BYTES = 32


class ActionLinksError(OrderwatchError):
    """There is no key to replace; the message says what to do."""


class ActionLinksState(BaseModel):
    """Whether messages have links.

    Attributes:
        parameter: Name of the parameter with the key.
        has_key: Whether it exists.
        url: The public URL of the stack; None: it is deployed without ActionLinks.
    """

    parameter: str
    has_key: bool
    url: str | None


action_links = typer.Typer(rich_markup_mode=None)


@action_links.callback(invoke_without_command=True)
def show(
    context: typer.Context, stack_name: StackName = STACK_NAME, endpoint_url: Endpoint = None, *, json: Json = False
) -> None:
    """Let people take or snooze an order from a message.

    Without a command, shows whether messages have such links. Whoever has a link can use it: read SECURITY.md.
    """
    if calls_subcommand(context):
        return
    with stack_at(stack_name, endpoint_url) as stack:
        _print(_state(stack), stack, json=json)


@action_links.command("enable")
def enable(stack_name: StackName = STACK_NAME, endpoint_url: Endpoint = None, *, json: Json = False) -> None:
    """Make the key, unless there is one."""
    with stack_at(stack_name, endpoint_url) as stack:
        state = _state(stack)
        _print(state if state.has_key else _put_key(stack), stack, json=json)


@action_links.command("rotate")
def rotate(stack_name: StackName = STACK_NAME, endpoint_url: Endpoint = None, *, json: Json = False) -> None:
    """Replace the key: every link that was sent stops working within a minute."""
    with stack_at(stack_name, endpoint_url) as stack:
        if not _state(stack).has_key:
            raise ActionLinksError(f"there is no key to replace; make one with: {_own(stack, 'enable')}")
        _print(_put_key(stack), stack, json=json)


@action_links.command("disable")
def disable(stack_name: StackName = STACK_NAME, endpoint_url: Endpoint = None, *, json: Json = False) -> None:
    """Delete the key: links stop working, and new messages have none, within a minute."""
    with stack_at(stack_name, endpoint_url) as stack:
        stack.aws.ssm.delete_parameters(Names=[_parameter(stack)])
        _print(_state(stack), stack, json=json)


def _put_key(stack: Stack) -> ActionLinksState:
    put_secret(stack, _parameter(stack), SecretStr(secrets.token_urlsafe(KEY_BYTES)))
    return _state(stack)


def _parameter(stack: Stack) -> str:
    return f"{stack.parameters.parameter_prefix}/{ACTION_KEY}"


def _state(stack: Stack) -> ActionLinksState:
    """Without reading the key."""
    filters = [{"Key": "Name", "Option": "Equals", "Values": [_parameter(stack)]}]
    found = stack.aws.ssm.describe_parameters(ParameterFilters=filters)["Parameters"]  # type: ignore[arg-type]
    return ActionLinksState(parameter=_parameter(stack), has_key=bool(found), url=stack.outputs.handle_action_url)


def _print(state: ActionLinksState, stack: Stack, *, json: bool) -> None:
    if json:
        output.document(state)
        return
    if not state.has_key:
        output.line(f"Messages have no links: there is no key. Make one with: {_own(stack, 'enable')}")
        return
    output.line(f"The key is stored in {state.parameter}.")
    if state.url:
        output.line(
            "E-mails and Slack messages about orders that need attention have a link that is valid for 14 days."
        )
    else:
        output.line("This stack has no page for links yet. To create it, run in the repository:")
        output.line(f"sam deploy --stack-name {stack.name} --parameter-overrides ActionLinks=true", to_copy=True)


def _own(stack: Stack, command: str) -> str:
    return stack.commands.own(f"action-links {command}")
