"""Arguments and options that several commands share, and the stack that they select."""

import getpass
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Annotated

import typer
from pydantic import SecretStr

from orderwatch_cli.aws import Aws, is_endpoint
from orderwatch_cli.stack import Stack, find_stack

MOMENT_EXAMPLES = "2026-03-02, 2026-03-02T10:00Z, 90m, 36h or 7d"


def check_connection_id(value: str) -> str:
    """Return a connection ID that can be part of a parameter's name.

    Raises:
        BadParameter: It has other characters, or more than 128.
    """
    if not re.fullmatch(r"[A-Za-z0-9_.-]{1,128}", value):
        raise typer.BadParameter(
            f"{value!r} is not a connection ID; use letters, digits, dots, hyphens and underscores"
        )
    return value


def check_endpoint(value: str | None) -> str | None:
    """Return the endpoint if it is a URL.

    Raises:
        BadParameter: It is not a URL.
    """
    if value is not None and not is_endpoint(value):
        raise typer.BadParameter(f"{value!r} is not a URL such as http://127.0.0.1:4566")
    return value


def since_moment(value: str, *, utc: bool = False) -> datetime:
    """Parse a date, a date with a time, or an age such as `36h`, in UTC.

    Args:
        value: The text.
        utc: Whether a date without a zone is in UTC instead of this machine's zone.

    Raises:
        BadParameter: The text has none of these forms.
    """
    units = {"m": "minutes", "h": "hours", "d": "days"}
    try:
        if value[-1] in units and value[:-1].isdigit():
            return datetime.now(UTC) - timedelta(**{units[value[-1]]: int(value[:-1])})
        moment = datetime.fromisoformat(value)
        if utc and moment.tzinfo is None:
            moment = moment.replace(tzinfo=UTC)
        return moment.astimezone(UTC)
    except (ValueError, IndexError, OverflowError):
        raise typer.BadParameter(f"{value!r} is neither a date nor an age such as 36h") from None


def read_secret(prompt: str) -> SecretStr:
    """Read a secret from a prompt without echo, or from the first line of standard input."""
    if sys.stdin.isatty():
        return SecretStr(typer.prompt(prompt, hide_input=True, err=True).strip())
    return SecretStr(sys.stdin.readline().strip())


def own_name() -> str:
    """Return the name of the user's account on this machine.

    Raises:
        BadParameter: The account has no name.
    """
    try:
        return getpass.getuser()
    except (OSError, KeyError):
        raise typer.BadParameter("your account has no name on this machine; add: --by NAME") from None


def calls_subcommand(context: typer.Context) -> bool:
    """Whether a command that lists by default calls one of its own commands.

    Raises:
        BadParameter: It has options of the list too, which the other command would ignore.
    """
    if context.invoked_subcommand is None:
        return False
    for parameter in context.command.params:
        source = context.get_parameter_source(parameter.name or "")
        if source and source.name == "COMMANDLINE":
            raise typer.BadParameter(f"write {parameter.opts[0]} after {context.invoked_subcommand}")
    return True


@contextmanager
def stack_at(name: str, endpoint_url: str | None) -> Iterator[Stack]:
    """Find the stack, and close its AWS clients at the end.

    Raises:
        StackError: The stack does not exist or lacks the outputs of orderwatch.
    """
    with Aws(endpoint_url=endpoint_url) as aws:
        yield find_stack(aws, name)


StackName = Annotated[str, typer.Option(metavar="NAME", help="Name of the stack.")]
Endpoint = Annotated[
    str | None,
    typer.Option(
        metavar="URL",
        help="Address of a local cloud (default: AWS_ENDPOINT_URL, otherwise AWS).",
        callback=check_endpoint,
    ),
]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON document instead of text.")]
Utc = Annotated[bool, typer.Option("--utc", help="Show times in UTC instead of this machine's time zone.")]
Limit = Annotated[int, typer.Option(min=1, metavar="COUNT", help="Maximum number of results.")]
Shop = Annotated[str | None, typer.Option(metavar="SHOP", help="Connection ID or name of a shop (default: all shops).")]
ShopArgument = Annotated[str, typer.Argument(metavar="SHOP", help="Connection ID or name of the shop.")]
