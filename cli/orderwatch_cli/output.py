"""Prints results: tables for people, one JSON document for machines.

Removes control and invisible characters from texts of shops and Trackstar, which could manipulate the terminal.
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
from rich.style import Style
from rich.table import Table
from rich.text import Text

from orderwatch.clock import duration
from orderwatch.rendering.formatting import clean
from orderwatch.sanitize import HIDDEN

GAP = 2
"""Spaces between two columns of a table."""
FLEXIBLE_WIDTH = 12
"""Minimum width of a column that may wrap."""
NOTHING = "-"
"""Shown for a missing value."""

_CONTROLS = r"\x00-\x09\x0b-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff"
_CONTROL = re.compile(f"[{_CONTROLS}]")
_INVISIBLE = re.compile(HIDDEN)
_UNPRINTABLE = re.compile(f"[{_CONTROLS}]|{HIDDEN}")


def printable(text: str) -> str:
    """Make a text safe for a terminal; lines and spaces stay.

    A control character becomes a space. Invisible characters and those that change the direction of the text go.
    """
    return _CONTROL.sub(" ", _INVISIBLE.sub("", text))


def printable_text(text: str, style: str = "") -> Text:
    """Make a text safe for Rich, without interpreting markup in it."""
    return Text(printable(text), style)


def printable_json(document: str) -> str:
    """Write such characters of a JSON document as escapes; its values stay."""
    return _UNPRINTABLE.sub(_escaped, document)


def _escaped(match: re.Match[str]) -> str:
    # Outside strings, JSON has no other control characters.
    return " " if match[0] in "\t\r" else json.dumps(match[0])[1:-1]


def document(value: BaseModel | Sequence[BaseModel]) -> None:
    """Print one JSON document."""
    whole = [_plain(each) for each in value] if isinstance(value, Sequence) else _plain(value)
    sys.stdout.write(json.dumps(whole, indent=2) + "\n")


def _plain(value: BaseModel) -> Any:
    return value.model_dump(mode="json")


def line(text: str) -> None:
    """Print one line; a line break in the text becomes a space."""
    sys.stdout.write(printable(text).replace("\n", " ") + "\n")


def raw(document: str) -> None:
    """Print a JSON document as it was sent; characters that could manipulate the terminal become escapes."""
    sys.stdout.write(printable_json(document) + "\n")


def terminal_width() -> int | None:
    """Return the width of the terminal in columns; None if the output goes to a file or a pipe."""
    return shutil.get_terminal_size().columns if sys.stdout.isatty() else None


def table(
    columns: Sequence[str],
    rows: Sequence[Sequence[Any]],
    *,
    empty: str,
    flexible: Collection[str] = (),
    links: tuple[str, Sequence[str | None]] | None = None,
    utc: bool = False,
) -> None:
    """Print a table, or a list if the terminal is too narrow: IDs are never cut or wrapped.

    Args:
        columns: Headings.
        rows: Cells; None becomes a dash, texts are made safe for a terminal.
        empty: Line to print if there are no rows.
        flexible: Columns that may wrap.
        links: A column whose cells are links, and the addresses. They are also a column of their own, except where a
            terminal is wide enough for the table but not for them.
        utc: Whether to show times in UTC instead of this machine's zone.
    """
    if not rows:
        line(empty)
        return
    cells = [[_cell(value, utc=utc) for value in row] for row in rows]
    width = terminal_width()
    linked, addresses = links or ("", [])
    if any(addresses):
        with_addresses = [[*row, url or NOTHING] for row, url in zip(cells, addresses, strict=True)]
        has_room = _fits((*columns, "link"), with_addresses, flexible, width)
        if has_room or not _fits(columns, cells, flexible, width):
            columns, cells = (*columns, "link"), with_addresses
    if not _fits(columns, cells, flexible, width):
        _print_list(columns, cells)
        return
    shown = Table(box=None, pad_edge=False, padding=(0, GAP, 0, 0), header_style="bold")
    for name, least in zip(columns, _least_widths(columns, cells, flexible), strict=True):
        shown.add_column(name, no_wrap=name not in flexible, min_width=least, overflow="fold")
    for row, url in zip(cells, addresses or [None] * len(cells), strict=True):
        style = Style(link=url)
        shown.add_row(*(Text(cell, style if name == linked else "") for name, cell in zip(columns, row, strict=True)))
    Console(highlight=False, width=width or sum(_widths(columns, cells)) + GAP * (len(columns) - 1)).print(shown)


def _widths(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> list[int]:
    return [max(map(cell_len, column)) for column in zip(columns, *rows, strict=True)]


def _least_widths(columns: Sequence[str], rows: Sequence[Sequence[str]], flexible: Collection[str]) -> list[int]:
    widths = zip(columns, _widths(columns, rows), strict=True)
    return [min(width, FLEXIBLE_WIDTH) if name in flexible else width for name, width in widths]


def _fits(columns: Sequence[str], rows: Sequence[Sequence[str]], flexible: Collection[str], width: int | None) -> bool:
    return width is None or sum(_least_widths(columns, rows, flexible)) + GAP * (len(columns) - 1) <= width


def _print_list(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    longest = max(map(len, columns))
    for number, row in enumerate(rows):
        if number:
            sys.stdout.write("\n")
        for heading, cell in zip(columns, row, strict=True):
            if cell != NOTHING:
                line(f"{heading:<{longest}}  {cell}")


def moment(at: datetime, *, utc: bool = False, seconds: bool = False) -> str:
    """Format a moment to the minute or the second, in this machine's zone or in UTC."""
    shown = at.astimezone(UTC if utc else None)
    return f"{shown:%Y-%m-%d %H:%M:%S %Z}" if seconds else f"{shown:%Y-%m-%d %H:%M %Z}"


def _cell(value: Any, *, utc: bool) -> str:
    if value is None:
        return NOTHING
    if isinstance(value, datetime):
        return moment(value, utc=utc)
    return duration(value) if isinstance(value, timedelta) else clean(str(value))
