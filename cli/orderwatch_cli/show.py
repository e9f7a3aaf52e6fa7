"""How results are shown: tables for people, one JSON document for machines.

Whatever a shop or its vendor wrote is cleaned here before it reaches a terminal, which it could steer or deceive.
"""

import json
import re
import shutil
import sys
from collections.abc import Collection, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from pydantic import BaseModel
from rich.cells import cell_len
from rich.console import Console
from rich.table import Table
from rich.text import Text

from orderwatch.clock import duration
from orderwatch.rendering.formatting import clean

GAP = 2
"""Spaces between the columns of a table."""
FLEXIBLE_WIDTH = 12
"""Columns that a text gets at least which may go on in the next line."""
NOTHING = "-"
"""What stands where there is no value."""

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


def terminal_width() -> int | None:
    """Columns of the terminal; None where the output goes into a file or a pipe, which take any line."""
    return shutil.get_terminal_size().columns if sys.stdout.isatty() else None


def table(
    columns: Sequence[str],
    rows: Sequence[Sequence[Any]],
    *,
    empty: str,
    flexible: Collection[str] = (),
    utc: bool = False,
) -> None:
    """Print a table, or a list where the terminal is too narrow for it: no id is ever cut or broken.

    Args:
        columns: The headings.
        rows: The cells; None is shown as a dash, texts lose what could steer a terminal.
        empty: What to say where there are no rows.
        flexible: The columns whose texts may go on in the next line.
        utc: Whether times are shown in UTC; else in the zone of this machine.
    """
    if not rows:
        line(empty)
        return
    cells = [[_cell(value, utc=utc) for value in row] for row in rows]
    full = [max(map(cell_len, column)) for column in zip(columns, *cells, strict=True)]
    least = [min(each, FLEXIBLE_WIDTH) if name in flexible else each for name, each in zip(columns, full, strict=True)]
    between = GAP * (len(columns) - 1)
    width = terminal_width() or sum(full) + between
    if width < sum(least) + between:
        _print_list(columns, cells)
        return
    shown = Table(box=None, pad_edge=False, padding=(0, GAP, 0, 0), header_style="bold")
    for name, needed in zip(columns, least, strict=True):
        shown.add_column(name, no_wrap=name not in flexible, min_width=needed, overflow="fold")
    for row in cells:
        shown.add_row(*map(Text, row))
    Console(highlight=False, width=width).print(shown)


def _print_list(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    longest = max(map(len, columns))
    for number, row in enumerate(rows):
        if number:
            sys.stdout.write("\n")
        for heading, cell in zip(columns, row, strict=True):
            if cell != NOTHING:
                line(f"{heading:<{longest}}  {cell}")


def moment(at: datetime, *, utc: bool = False, seconds: bool = False) -> str:
    """A moment to the minute or the second with its zone: this machine's, or UTC."""
    shown = at.astimezone(UTC if utc else None)
    return f"{shown:%Y-%m-%d %H:%M:%S %Z}" if seconds else f"{shown:%Y-%m-%d %H:%M %Z}"


def _cell(value: Any, *, utc: bool) -> str:
    if value is None:
        return NOTHING
    if isinstance(value, datetime):
        return moment(value, utc=utc)
    return duration(value) if isinstance(value, timedelta) else clean(str(value))
