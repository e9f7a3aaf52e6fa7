"""How this program is called, for commands that are printed to be typed again."""

import shlex
import sys
from pathlib import Path


def this_program() -> str:
    """The command line as it was typed, relative to this directory where it lies below it."""
    typed = Path(sys.argv[0])
    if typed.name != "orderwatch":
        return ".venv/bin/orderwatch"
    near = typed.relative_to(Path.cwd()) if typed.is_relative_to(Path.cwd()) else typed
    return shlex.quote(str(near))
