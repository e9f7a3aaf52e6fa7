"""Where `orderwatch up` shows what happens: with a live line at the bottom of a terminal, or in plain lines."""

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from datetime import timedelta

from rich.console import Console
from rich.live import Live
from rich.text import Text

from orderwatch import clock
from orderwatch_cli.show import printable_json, printable_text
from orderwatch_local.cloud.inbox import Mail, show_box
from orderwatch_local.up.status import DeadlineState

PLAIN_LINE_EVERY = timedelta(minutes=1)
"""Between two lines about the standing where no line can be rewritten in place."""
FOR_OPERATORS = "OpsTopic: for the operators"


class Screen:
    """Shows messages, and what is to be said of the watch.

    The live line needs both streams on a terminal and nothing else that writes there; everywhere else there are plain
    lines without control characters: messages on `out`, the rest on `log`.

    Args:
        out: Where messages go.
        log: Where everything else goes.
        as_json: Messages are one `orderwatch.alert.v1` a line.
    """

    def __init__(self, out: Console, log: Console, *, as_json: bool) -> None:
        self.is_live = out.is_terminal and log.is_terminal and not as_json
        self._out = out
        # One console writes both, or the line would be rewritten in the wrong place.
        self._log = out if self.is_live else log
        self._next_plain = clock.now()

    def step(self, what: str) -> AbstractContextManager[object]:
        """Show that something goes on, for as long as the block lasts."""
        self._log.print(f"{what} ...")
        return self._log.status(what)

    def say(self, text: str, *, to_copy: bool = False) -> None:
        """Show one line; one to be copied is never broken by us, the others between words on a terminal."""
        self._log.print(printable_text(text), soft_wrap=to_copy or not self._log.is_terminal)

    def report(self, text: str) -> None:
        """Show one line with the time of day."""
        self.say(f"{clock.now().astimezone():%H:%M:%S} {text}")

    @contextmanager
    def showing(self, deadline_state: DeadlineState) -> Iterator[None]:
        """Show how the watch stands for as long as the block lasts, on a live line where there can be one."""
        if not self.is_live:
            yield
            return

        def line() -> Text:
            text = deadline_state.line(clock.now(), width=self._log.width - 1)
            return Text(text, style="dim", no_wrap=True, overflow="ellipsis")

        try:
            with Live(get_renderable=line, console=self._log, refresh_per_second=2, transient=True):
                yield
        finally:
            self.say("stopping ...")

    def update(self, deadline_state: DeadlineState) -> None:
        """Show the standing where it is time for a plain line; a live one shows itself."""
        now = clock.now()
        if not self.is_live and now >= self._next_plain:
            self._next_plain = now + PLAIN_LINE_EVERY
            self.report(deadline_state.line(now, width=200))

    def show_mail(self, mail: Mail, *, for_operators: bool = False) -> None:
        """Show a message as its reader gets it."""
        note = FOR_OPERATORS if for_operators else None
        if self._out.is_terminal:
            show_box(self._out, mail, note=note)
            return
        with suppress(BrokenPipeError):  # the end of the reader ends the whole command
            head = f"{mail.subject} ({note})" if note else mail.subject
            self._out.print(printable_text(f"{head}\n{mail.text.rstrip()}\n"), soft_wrap=True)

    def show_json(self, body: str) -> None:
        """Print an alert as one line of JSON."""
        with suppress(BrokenPipeError):
            self._out.file.write(printable_json(body) + "\n")
            self._out.file.flush()
