"""What may be typed as an argument, for all commands, and the stack that it leads to."""

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


def check_connection_id(value: str) -> str:
    """A connection id as it is, if it can be part of a parameter's name.

    Raises:
        BadParameter: It cannot.
    """
    if not re.fullmatch(r"[A-Za-z0-9_.-]{1,128}", value):
        raise typer.BadParameter(f"{value!r} is no connection id: letters, digits, dots, hyphens, underscores")
    return value


def check_endpoint(value: str | None) -> str | None:
    """An endpoint as it is, if it is a URL.

    Raises:
        BadParameter: It is none.
    """
    if value is not None and not is_endpoint(value):
        raise typer.BadParameter(f"{value!r} is no URL such as http://127.0.0.1:4566")
    return value


def since_moment(value: str, *, utc: bool = False) -> datetime:
    """A moment as it is typed: a date, a date with time, or how long ago.

    Args:
        value: What was typed.
        utc: Whether a date without a zone is in UTC; else it is in this machine's.

    Raises:
        BadParameter: It is none of these.
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
        raise typer.BadParameter(f"{value!r} is no date and no span such as 36h") from None


def read_secret(what: str) -> SecretStr:
    """A secret from a prompt that does not show it, else from the first line of standard input."""
    if sys.stdin.isatty():
        return SecretStr(typer.prompt(what, hide_input=True, err=True).strip())
    return SecretStr(sys.stdin.readline().strip())


@contextmanager
def stack_at(name: str, endpoint_url: str | None) -> Iterator[Stack]:
    """The stack that was named.

    Raises:
        StackError: It is not there, not finished, or no stack of this template.
    """
    with Aws(endpoint_url=endpoint_url) as aws:
        yield find_stack(aws, name)


StackName = Annotated[str, typer.Option(metavar="NAME", help="Which stack.")]
Endpoint = Annotated[
    str | None,
    typer.Option(
        metavar="URL", help="A local cloud's address; else AWS_ENDPOINT_URL, else AWS.", callback=check_endpoint
    ),
]
Json = Annotated[bool, typer.Option("--json", help="One JSON document instead of text.")]
Utc = Annotated[bool, typer.Option("--utc", help="Times in UTC instead of this machine's time zone.")]
Limit = Annotated[int, typer.Option(min=1, metavar="COUNT", help="At most so many.")]
Shop = Annotated[str | None, typer.Option(metavar="CONNECTION_ID", help="Only of this shop.")]
ConnectionId = Annotated[
    str, typer.Argument(metavar="CONNECTION_ID", help="Trackstar's id of the shop.", callback=check_connection_id)
]
