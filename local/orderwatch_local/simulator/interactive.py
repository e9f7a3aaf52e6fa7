"""`orderwatch shop`: serves the simulated shops, and reads commands from a prompt or a pipe."""

import io
import os
import shlex
import shutil
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from itertools import chain
from queue import SimpleQueue
from typing import TextIO

from orderwatch import clock
from orderwatch_cli.command_hints import program
from orderwatch_cli.output import printable, wrapped
from orderwatch_local.cloud.watch import token_variable
from orderwatch_local.simulator import LiveClock, Script, Trackstar, day_of_three_shops, serve
from orderwatch_local.simulator.commands import CommandError, QuitError, ShopCommands
from orderwatch_local.simulator.scenario import ShopDay
from orderwatch_local.simulator.script import API_KEY, DAY, SHOP_NAMES, THREE_SHOPS

PROMPT = "shop> "
SYNC_EVERY = 60.0
"""Seconds between two syncs of shops without a script, so that their data does not become stale."""
POLL_EVERY = 5
"""Polling interval of the printed command, in seconds; short, so that alerts come soon."""
_CLEAR_LINE = "\r\x1b[K"


class Prompt:
    """Reads commands and shows their messages; other threads may call `say` at any time.

    Args:
        commands: Runs the commands.
        source: The input. There is a prompt only on a terminal that this process has in the foreground.
        out: Gets the messages.
        errors: Gets the messages about invalid commands.
    """

    def __init__(self, commands: ShopCommands, *, source: TextIO, out: TextIO, errors: TextIO) -> None:
        self._commands = commands
        self._source = source
        self._out = out
        self._errors = errors
        self._lock = threading.Lock()
        self._is_asking = False
        self.is_interactive = _is_foreground(source) and out.isatty()

    def add_status(self, status: Callable[[], str]) -> None:
        """Add the command `status`, which shows the text that the function returns."""
        self._commands.add_status(status)

    def say(self, text: str) -> None:
        """Show a text; on a terminal, above the prompt and its input."""
        with self._lock:
            if not self._is_asking:
                self._write(self._out, f"{text}\n")
                return
            self._write(self._out, f"{_CLEAR_LINE}{text}\n{PROMPT}{_typed_so_far()}")

    def write(self, text: str) -> None:
        """Write a text of whole lines as it is; on a terminal, above the prompt and its input."""
        with self._lock:
            if self._is_asking and text:
                self._write(self._out, f"{_CLEAR_LINE}{text}{PROMPT}{_typed_so_far()}")
            else:
                self._write(self._out, text)

    def serve(self) -> bool:
        """Run every line until `quit` or the end of the input.

        Returns:
            Whether to stop the shops: after `quit`, or Ctrl-D at the prompt. They go on when a pipe ends.
        """
        with suppress(QuitError):
            for line in self._typed() if self.is_interactive else self._piped():
                self._run(line)
            return self.is_interactive
        return True

    def _run(self, line: str) -> None:
        try:
            answer = self._commands.run(line)
        except CommandError as error:
            self._write(self._errors, f"{self._wrapped(str(error))}\n")
        else:
            if answer:
                self.say(self._wrapped(answer))

    def _wrapped(self, text: str) -> str:
        """Wrap long lines between words, where a terminal would break them anywhere."""
        width = shutil.get_terminal_size().columns if self.is_interactive else sys.maxsize
        lines = ([line] if len(line) <= width else wrapped(line, width) for line in printable(text).split("\n"))
        return "\n".join(chain.from_iterable(lines))

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
        if not self._source.isatty():  # reading the terminal would stop a background job
            yield from self._source

    def _write(self, stream: TextIO, text: str) -> None:
        stream.write(text)
        stream.flush()


def _is_foreground(source: TextIO) -> bool:
    """Whether this is a terminal that this process has in the foreground."""
    return source.isatty() and os.tcgetpgrp(source.fileno()) == os.getpgrp()


def _editable_input(words: list[str]) -> Callable[[str], str]:
    """Return `input`, with history and completion if Python has readline."""
    with suppress(ImportError):
        import readline  # noqa: PLC0415 - optional, and it changes the terminal

        readline.set_completer(lambda text, state: [*(f"{w} " for w in words if w.startswith(text)), None][state])
        readline.parse_and_bind("tab: complete")
    return input


def _typed_so_far() -> str:
    with suppress(ImportError):
        import readline  # noqa: PLC0415 - as above

        return readline.get_line_buffer()
    return ""


def serve_shops(*, seed: int, port: int, seconds_an_hour: float | None) -> None:
    """Serve the shops until interrupted, and run commands.

    Args:
        seed: The seed of the day.
        port: On 127.0.0.1; 0 takes a free one.
        seconds_an_hour: Duration of a simulated hour; None: orders change only by commands, and the time is real.

    Raises:
        PortInUseError: The port is in use.
        BrokenPipeError: Nobody reads the output any more.
    """
    begins_at = DAY if seconds_an_hour else clock.now().replace(microsecond=0)
    time = LiveClock(begins_at)
    script = day_of_three_shops(seed, begins_at=begins_at, clock=time)
    trackstar = script.begin()
    time.start()
    prompt = Prompt(ShopCommands(trackstar), source=sys.stdin, out=sys.stdout, errors=sys.stderr)
    over = threading.Event()
    ends: SimpleQueue[BrokenPipeError | None] = SimpleQueue()
    with serve(trackstar, port=port) as server:
        prompt.say(how_to_watch(trackstar, server.url))
        _start(lambda: _play(script, prompt, seconds_an_hour, over), ends)
        try:
            if prompt.is_interactive:
                prompt.serve()
            else:
                _start(prompt.serve, ends)
                if error := ends.get():
                    raise error
        finally:
            over.set()


class PromptStream(io.TextIOBase):
    """The output of a console that shows its lines above a prompt."""

    def __init__(self, prompt: Prompt) -> None:
        self._prompt = prompt

    def write(self, text: str) -> int:
        """Write whole lines."""
        self._prompt.write(text)
        return len(text)

    def isatty(self) -> bool:
        """Whether it is a terminal: a prompt needs one."""
        return True


@contextmanager
def serve_one_shop() -> Iterator[tuple[Trackstar, str]]:
    """Serve the first of the simulated shops until the block ends: its API, and the URL of it.

    Its orders change only by commands, and the time is real.
    """
    begins_at = clock.now().replace(microsecond=0)
    time = LiveClock(begins_at)
    script = Script([ShopDay(1, THREE_SHOPS[0], begins_at)], begins_at, clock=time)
    trackstar = script.begin()
    time.start()
    over = threading.Event()
    with serve(trackstar) as server:
        threading.Thread(target=_keep_synced, args=(script, over), daemon=True).start()
        try:
            yield trackstar, server.url
        finally:
            over.set()


def _start(work: Callable[[], bool], ends: SimpleQueue[BrokenPipeError | None]) -> None:
    """Do the work in a thread, and put into `ends` that it returned True, or that nobody reads its output."""

    def run() -> None:
        try:
            if work():
                ends.put(None)
        except BrokenPipeError as error:
            ends.put(error)

    threading.Thread(target=run, daemon=True).start()


def how_to_watch(trackstar: Trackstar, url: str) -> str:
    """The commands to type in another terminal and at this prompt."""
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
            "To watch the others too, replace --name ... by",
            f"  {more}",
            "",
            "When it is watching, change an order here:",
            "",
            'fail 1042 exception "Address verification failed"',
            "",
            "`orders` lists orders, `help` all commands.",
        ]
    )


def _play(script: Script, prompt: Prompt, seconds_an_hour: float | None, over: threading.Event) -> bool:
    if seconds_an_hour:
        _play_day(script, prompt, seconds_an_hour, over)
    _keep_synced(script, over)
    return False


def _keep_synced(script: Script, over: threading.Event) -> None:
    while not over.wait(SYNC_EVERY):
        script.sync()


def _play_day(script: Script, prompt: Prompt, seconds_an_hour: float, over: threading.Event) -> None:
    for hour in script.hours:
        if over.wait(seconds_an_hour):
            return
        script.apply(hour)
        script.sync()
        prompt.say(f"{hour.ends_at:%H:%M}  {len(hour.steps)} changes are visible")
    prompt.say("The day is over; orders change only by commands. Ctrl-C stops the shops.")
