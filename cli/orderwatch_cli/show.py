"""How results are shown: tables for people, one JSON document for machines.

Whatever a shop or its vendor wrote is cleaned here before it reaches a terminal, which it could steer or deceive.
"""

import json
import re
import sys
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from pydantic import BaseModel
from rich.console import Console
from rich.table import Table
from rich.text import Text

from orderwatch.publishing.messages.text import clean, duration

WIDTH = 200
"""Columns of a table that goes into a file or a pipe."""

_CONTROLS = r"\x00-\x09\x0b-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff"
_HIDDEN = (
    r"\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069"  # they turn the direction of what follows
    r"\u00ad\u200b\u2060-\u2064\ufeff\ufff9-\ufffb\U000e0000-\U000e007f"
)
_CONTROL = re.compile(f"[{_CONTROLS}]")
_HIDES = re.compile(f"[{_HIDDEN}]")
_UNPRINTABLE = re.compile(f"[{_CONTROLS}{_HIDDEN}]")


def printable(text: str) -> str:
    """The text as a terminal may have it: its lines and spaces stay, a control character becomes a space.

    Characters that cannot be seen or that change the direction of the text are left out.
    """
    return _CONTROL.sub(" ", _HIDES.sub("", text))


def printable_text(text: str, style: str = "") -> Text:
    """The same for Rich, which then takes nothing in it for markup."""
    return Text(printable(text), style)


def printable_json(document: str) -> str:
    """A JSON document with the same values, in which such characters are written as escapes."""
    return _UNPRINTABLE.sub(_escaped, document)


def _escaped(match: re.Match[str]) -> str:
    # Outside of its texts, JSON has no control characters but these.
    return " " if match[0] in "\t\r" else json.dumps(match[0])[1:-1]


def document(value: BaseModel | Sequence[BaseModel]) -> None:
    """Print one JSON document."""
    whole = [_plain(each) for each in value] if isinstance(value, Sequence) else _plain(value)
    sys.stdout.write(json.dumps(whole, indent=2) + "\n")


def _plain(value: BaseModel) -> Any:
    return value.model_dump(mode="json")


def line(text: str) -> None:
    """Print one line; a break in the text does not begin another."""
    sys.stdout.write(printable(text).replace("\n", " ") + "\n")


def table(columns: Sequence[str], rows: Sequence[Sequence[Any]], *, empty: str) -> None:
    """Print a table.

    Args:
        columns: The headings.
        rows: The cells; None is shown as a dash, texts lose what could steer a terminal.
        empty: What to say where there are no rows.
    """
    if not rows:
        line(empty)
        return
    shown = Table(*columns, box=None, pad_edge=False, header_style="bold")
    for row in rows:
        shown.add_row(*(Text(_cell(value)) for value in row))
    Console(highlight=False, width=None if sys.stdout.isatty() else WIDTH).print(shown)


def _cell(value: Any) -> str:
    if value is None:
        return "-"
    if isinstance(value, datetime):
        return f"{value:%Y-%m-%d %H:%M} UTC"
    return duration(value) if isinstance(value, timedelta) else clean(str(value))
