"""Prints results: tables for people, one JSON document for machines.

On a terminal, severities have colors (unless NO_COLOR is set), and amounts and times are not broken. Control and
invisible characters of texts of shops and Trackstar, which could manipulate the terminal, are removed.
"""

import json
import re
import shutil
import sys
import textwrap
from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from pydantic import BaseModel
from rich.cells import cell_len
from rich.console import Console, Group
from rich.containers import Lines
from rich.style import Style
from rich.table import Table
from rich.text import Text

from orderwatch.alerts.kinds import Severity, severity_of
from orderwatch.clock import duration
from orderwatch.records import HealthState
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


_GLUE = "\ue000"
"""Replaces a space while a text is wrapped: Rich breaks lines at no-break spaces too."""
_UNBROKEN = re.compile(
    r"(?<=\d) (?=(?:s|min|h|d|hours?|minutes?|days?|business)\b|[A-Z]{3}\b)"  # 186.54 USD, 27 d
    r"|(?<=\d [hd]) (?=\d)"  # 3 h 20 min
    r"|(?<=\b[A-Z][a-z]{2}) (?=\d)|(?<=\d) (?=[A-Z][a-z]{2}\b)"  # Wed 4 Mar
    r"|(?<=\w) (?=\d\d:\d\d)|(?<=\d\d:\d\d) (?=[A-Z]{2,5}\b|[+-]\d)"  # 13:33 CET
    r"|[\u00a0\u202f]"
)
"""The spaces of amounts, durations and times."""


def _glued(text: str) -> str:
    return _UNBROKEN.sub(_GLUE, text)


def _unglued(text: str) -> str:
    return text.replace(_GLUE, " ")


def wrapped(text: str, width: int | None, *, indent: str = "") -> list[str]:
    """Wrap a line between words, but not within an amount or a time.

    Args:
        text: The line.
        width: The width in characters; None: do not wrap.
        indent: Begins every line but the first.
    """
    if width is None:
        return [text]
    lines = textwrap.wrap(
        _glued(text), max(width, 20), subsequent_indent=indent, break_long_words=False, break_on_hyphens=False
    )
    return [_unglued(each) for each in lines]


class _PrintableText(Text):
    """A text of which Rich does not break amounts and times."""

    def wrap(self, *arguments: Any, **options: Any) -> Lines:
        glued = self.copy()
        glued.plain = _glued(self.plain)
        lines = glued.wrap(*arguments, **options)
        for each in lines:
            each.plain = _unglued(each.plain)
        return lines


def printable_text(text: str, style: str = "") -> Text:
    """Make a text safe for Rich, without interpreting markup in it."""
    return _PrintableText(printable(text), style)


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


def document_line(value: BaseModel) -> None:
    """Print a JSON document on one line, at once."""
    sys.stdout.write(json.dumps(_plain(value)) + "\n")
    sys.stdout.flush()


def _plain(value: BaseModel) -> Any:
    return value.model_dump(mode="json")


def line(text: str, *, to_copy: bool = False) -> None:
    """Print one line; a line break in the text becomes a space.

    Args:
        text: The line.
        to_copy: Whether it is a command or a document to copy. Other lines are wrapped between words on a terminal.
    """
    shown = printable(text).replace("\n", " ")
    body = shown.lstrip(" ")
    lead, width = shown[: len(shown) - len(body)], None if to_copy else terminal_width()
    lines = wrapped(body, width and width - len(lead), indent="  " if body.startswith("- ") else "")
    sys.stdout.write("".join(f"{lead}{each}\n" for each in lines or [""]))


def raw(document: str) -> None:
    """Print a JSON document as it was sent; characters that could manipulate the terminal become escapes."""
    sys.stdout.write(printable_json(document) + "\n")


def styled_line(*parts: tuple[str, str], is_wrapped: bool = False) -> None:
    """Print one line of texts, each with its style; on a terminal, it can be wrapped between words."""
    shown = _PrintableText()
    for text, style in parts:
        shown.append(printable(text).replace("\n", " "), style)
    if is_wrapped and terminal_width():
        _console().print(Group(shown))  # a text by itself loses its class, and so what is not to be broken
    else:
        _console().print(shown, soft_wrap=True)


def _console(width: int | None = None) -> Console:
    return Console(highlight=False, width=width)


def terminal_width() -> int | None:
    """Return the width of the terminal in columns; None if the output goes to a file or a pipe."""
    return shutil.get_terminal_size().columns if sys.stdout.isatty() else None


OK, PROBLEM, ATTENTION = "green", "bold red", "yellow"
"""Styles of results, problems, and what needs attention but not now."""
_OF_SEVERITY = {Severity.CRITICAL: PROBLEM, Severity.WARNING: ATTENTION, Severity.INFO: OK}


def style_of_kind(kind: str) -> str:
    """Return the style of an alert's kind, by its severity."""
    return _OF_SEVERITY[severity_of(kind)]


def style_of_level(level: str | None) -> str:
    """Return the style of a log line's level."""
    return {"ERROR": PROBLEM, "CRITICAL": PROBLEM, "WARNING": ATTENTION}.get((level or "").upper(), "")


def _style_of_health(health: str) -> str:
    return OK if health == HealthState.HEALTHY else style_of_kind(f"connection.{health}")


def _style_of_status(status: str) -> str:
    """The style of an order's status, of which `, late` may be a part: the more severe of the two."""
    severities = {severity_of(f"order.{each}") for each in status.split(", ")}
    return PROBLEM if Severity.CRITICAL in severities else ATTENTION


def _style_of_state(state: str) -> str:
    return ATTENTION if state.startswith(("pending", "not confirmed", "confirmed by link")) else OK


_STYLES: Mapping[str, Callable[[str], str]] = {
    "kind": style_of_kind,
    "health": _style_of_health,
    "status": _style_of_status,
    "state": _style_of_state,
}
"""The style of a cell by the heading of its column."""


def table(
    columns: Sequence[str],
    rows: Sequence[Sequence[Any]],
    *,
    empty: str,
    flexible: Collection[str] = (),
    links: tuple[str, Sequence[str | None]] | None = None,
    footer: str = "",
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
        footer: Line to print below the rows.
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
        _print_list(columns, cells, footer)
        return
    shown = Table(box=None, pad_edge=False, padding=(0, GAP, 0, 0), header_style="bold")
    for name, least in zip(columns, _least_widths(columns, cells, flexible), strict=True):
        shown.add_column(name, no_wrap=name not in flexible, min_width=least, overflow="fold")
    for row, url in zip(cells, addresses or [None] * len(cells), strict=True):
        pairs = zip(columns, row, strict=True)
        shown.add_row(*(_shown(name, cell, url if name == linked else None) for name, cell in pairs))
    _console(width or sum(_widths(columns, cells)) + GAP * (len(columns) - 1)).print(shown)
    if footer:
        line(footer)


def _shown(heading: str, cell: str, url: str | None) -> Text:
    shown = _PrintableText(cell, _style(heading, cell))
    if url:
        shown.stylize(Style(link=url))
    return shown


def _widths(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> list[int]:
    return [max(map(cell_len, column)) for column in zip(columns, *rows, strict=True)]


def _least_widths(columns: Sequence[str], rows: Sequence[Sequence[str]], flexible: Collection[str]) -> list[int]:
    widths = zip(columns, _widths(columns, rows), strict=True)
    return [min(width, FLEXIBLE_WIDTH) if name in flexible else width for name, width in widths]


def _fits(columns: Sequence[str], rows: Sequence[Sequence[str]], flexible: Collection[str], width: int | None) -> bool:
    return width is None or sum(_least_widths(columns, rows, flexible)) + GAP * (len(columns) - 1) <= width


def _print_list(columns: Sequence[str], rows: Sequence[Sequence[str]], footer: str) -> None:
    longest = max(map(len, columns))
    for number, row in enumerate(rows):
        if number:
            sys.stdout.write("\n")
        for heading, cell in zip(columns, row, strict=True):
            if cell != NOTHING:
                styled_line((f"{heading:<{longest}}  ", ""), (cell, _style(heading, cell)))
    if footer:
        sys.stdout.write("\n")
        line(footer)


def _style(heading: str, cell: str) -> str:
    return _STYLES[heading](cell) if heading in _STYLES and cell != NOTHING else ""


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
