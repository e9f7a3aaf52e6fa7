"""What may be typed as an argument, for all commands."""

import re

import typer


def check_connection_id(value: str) -> str:
    """A connection id as it is, if it can be part of a parameter's name.

    Raises:
        BadParameter: It cannot.
    """
    if not re.fullmatch(r"[A-Za-z0-9_.-]{1,128}", value):
        raise typer.BadParameter(f"{value!r} is no connection id: letters, digits, dots, hyphens, underscores")
    return value
