"""Where commands for the simulated shops are typed: a prompt on a terminal, lines from a pipe."""

import os
import shutil
import sys
import textwrap
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import TextIO

from orderwatch_cli.output import printable
from orderwatch_local.shop_commands import CommandError, QuitError, ShopCommands

PROMPT = "shop> "
_CLEAR_LINE = "\r\x1b[K"


class Prompt:
    """Reads commands and shows what comes of them; other threads may `say` something in between.

    Args:
        commands: What carries them out.
        source: Where they come from; a prompt is shown where that is the terminal that we are in the foreground of.
        out: Where answers go.
        errors: Where what was not understood goes.
    """

    def __init__(self, commands: ShopCommands, *, source: TextIO, out: TextIO, errors: TextIO) -> None:
        self._commands = commands
        self._source = source
        self._out = out
        self._errors = errors
        self._lock = threading.Lock()
        self._is_asking = False
        self.is_interactive = _is_ours(source) and out.isatty()

    def say(self, text: str) -> None:
        """Show a text; on a terminal above the prompt and what is being typed."""
        with self._lock:
            if not self._is_asking:
                self._write(self._out, f"{text}\n")
                return
            self._write(self._out, f"{_CLEAR_LINE}{text}\n{PROMPT}{_typed_so_far()}")

    def serve(self) -> bool:
        """Carry out every line until `quit` or the end of the input.

        Returns:
            Whether the user wants to leave: by `quit`, or by Ctrl-D at the prompt. A pipe that ends is no wish to.
        """
        with suppress(QuitError):
            for line in self._typed() if self.is_interactive else self._piped():
                self._carry_out(line)
            return self.is_interactive
        return True

    def _carry_out(self, line: str) -> None:
        try:
            answer = self._commands.run(line)
        except CommandError as error:
            self._write(self._errors, f"{self._fitted(str(error))}\n")
        else:
            if answer:
                self.say(self._fitted(answer))

    def _fitted(self, text: str) -> str:
        """The text with its lines broken between words, where a terminal would break them within."""
        lines = printable(text).split("\n")
        width = shutil.get_terminal_size().columns if self.is_interactive else sys.maxsize
        return "\n".join(line if len(line) <= width else textwrap.fill(line, width) for line in lines)

    def _typed(self) -> Iterator[str]:
        ask = _editable_input(self._commands.names)
        while True:
            self._is_asking = True
            try:
                line = ask(PROMPT)
            except EOFError:
                self._write(self._out, "\n")
                return
            finally:
                self._is_asking = False
            yield line

    def _piped(self) -> Iterator[str]:
        if not self._source.isatty():  # a job in the background would be stopped by reading its terminal
            yield from self._source

    def _write(self, stream: TextIO, text: str) -> None:
        stream.write(text)
        stream.flush()


def _is_ours(source: TextIO) -> bool:
    """Whether this is a terminal that gives us what is typed."""
    return source.isatty() and os.tcgetpgrp(source.fileno()) == os.getpgrp()


def _editable_input(words: list[str]) -> Callable[[str], str]:
    """`input` with a history and the commands' names completed, where Python was built with readline."""
    with suppress(ImportError):
        import readline  # noqa: PLC0415 - not everywhere, and it takes the terminal over

        readline.set_completer(lambda text, state: [*(f"{w} " for w in words if w.startswith(text)), None][state])
        readline.parse_and_bind("tab: complete")
    return input


def _typed_so_far() -> str:
    with suppress(ImportError):
        import readline  # noqa: PLC0415 - as above

        return readline.get_line_buffer()
    return ""
