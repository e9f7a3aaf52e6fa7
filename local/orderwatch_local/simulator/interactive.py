"""`orderwatch shop`: serves the simulated shops, and takes commands from a prompt or a pipe."""

import os
import shlex
import shutil
import sys
import textwrap
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import TextIO

from orderwatch import clock
from orderwatch_cli.pasting import program
from orderwatch_cli.show import printable
from orderwatch_local.simulator import LiveClock, Script, Trackstar, day_of_three_shops, serve
from orderwatch_local.simulator.commands import CommandError, QuitError, ShopCommands
from orderwatch_local.simulator.script import API_KEY, DAY, SHOP_NAMES
from orderwatch_local.up.checks import token_variable

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


SYNC_EVERY = 60.0
"""Seconds between two syncs of shops that stand still, so that they never look stale."""
POLL_EVERY = 5
"""Seconds between two polls in the command that is printed: an alert shows soon after its order."""


def serve_shops(*, seed: int, port: int, seconds_an_hour: float | None) -> None:
    """Serve the shops until interrupted, and take commands.

    Args:
        seed: Which day.
        port: On 127.0.0.1; 0 takes a free one.
        seconds_an_hour: Seconds that an hour of the day takes; None: the shops stand still, at this very moment.

    Raises:
        PortInUseError: The port is taken.
    """
    begins_at = DAY if seconds_an_hour else clock.now().replace(microsecond=0)
    time = LiveClock(begins_at)
    script = day_of_three_shops(seed, begins_at=begins_at, clock=time)
    trackstar = script.begin()
    time.start()
    prompt = Prompt(ShopCommands(trackstar), source=sys.stdin, out=sys.stdout, errors=sys.stderr)
    over = threading.Event()
    with serve(trackstar, port=port) as server:
        prompt.say(how_to_watch(trackstar, server.url))
        playing = threading.Thread(target=_play, args=(script, prompt, seconds_an_hour, over), daemon=True)
        playing.start()
        try:
            if not prompt.serve():
                over.wait()
        finally:
            over.set()


def how_to_watch(trackstar: Trackstar, url: str) -> str:
    """What to type in another terminal, and what here."""
    first, *others = trackstar.shops
    more = " ".join(f"--connection {shop.connection_id}" for shop in others)
    tokens = [f"export {token_variable(shop.connection_id)}={shop.access_token}" for shop in trackstar.shops]
    return "\n".join(
        [
            f"Three simulated shops are at {url}",
            "Watch one of them from a second terminal:",
            "",
            f"export TRACKSTAR_API_KEY={API_KEY}",
            *tokens,
            f"{program()} up --every {POLL_EVERY} \\",
            f"  --trackstar-url {url} \\",
            f"  --connection {first.connection_id} --name {shlex.quote(SHOP_NAMES[first.connection_id])}",
            "",
            "The others too: instead of --name ...",
            f"  {more}",
            "",
            "When it is watching, break an order here:",
            "",
            'fail 1042 exception "Address verification failed"',
            "",
            "`orders` shows some orders, `help` all commands.",
        ]
    )


def _play(script: Script, prompt: Prompt, seconds_an_hour: float | None, over: threading.Event) -> None:
    if seconds_an_hour:
        _play_the_day(script, prompt, seconds_an_hour, over)
    while not over.wait(SYNC_EVERY):
        script.sync()


def _play_the_day(script: Script, prompt: Prompt, seconds_an_hour: float, over: threading.Event) -> None:
    for hour in script.hours:
        if over.wait(seconds_an_hour):
            return
        script.apply(hour)
        script.sync()
        prompt.say(f"{hour.ends_at:%H:%M}  {len(hour.steps)} changes are visible")
    prompt.say("The day is over; the shops stand still. Ctrl-C ends it.")
