"""How results are shown: tables for people, one JSON document for machines."""

import json
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


def document(value: BaseModel | Sequence[BaseModel]) -> None:
    """Print one JSON document."""
    whole = [_plain(each) for each in value] if isinstance(value, Sequence) else _plain(value)
    line(json.dumps(whole, indent=2))


def _plain(value: BaseModel) -> Any:
    return value.model_dump(mode="json")


def line(text: str) -> None:
    """Print one line."""
    sys.stdout.write(text + "\n")


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
