"""Adapts the program to terminals that are closed, cannot show every character, or have no valid size."""

import io
import os
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import NoReturn

_SIZE = re.compile(r"[1-9][0-9]{0,4}", re.ASCII)


def adapt_to_terminal() -> None:
    """Make the standard streams and the size of the terminal usable; call it before anything is printed or read.

    A stream that was closed reads and writes nothing. A character that the encoding lacks becomes a question mark.
    """
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        stream = getattr(sys, name)
        if stream is None:
            setattr(sys, name, Path(os.devnull).open(mode))  # noqa: SIM115 - stays open
        elif isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")
    for name in ("COLUMNS", "LINES"):
        if not _SIZE.fullmatch(os.environ.get(name, "")):
            os.environ.pop(name, None)


def discard_unwritable_output() -> None:
    """Close standard output if it cannot be written: Python would try again at the exit, and report that too."""
    try:
        sys.stdout.flush()
    except OSError:
        with suppress(OSError):
            sys.stdout.close()


@contextmanager
def reader_may_leave() -> Iterator[None]:
    """End successfully if the reader of standard output has seen enough, as `head` does.

    Raises:
        SystemExit: The block ended, or nobody reads its output.
    """
    try:
        yield
    except BrokenPipeError:
        _end_unread(0)
    except SystemExit as left:
        if isinstance(left.__context__, BrokenPipeError):  # Typer and Rich exit with 1
            _end_unread(0)
        try:
            sys.stdout.flush()
        except BrokenPipeError:
            _end_unread(left.code)
        raise


def _end_unread(code: str | int | None) -> NoReturn:
    discard_unwritable_output()
    raise SystemExit(code) from None
