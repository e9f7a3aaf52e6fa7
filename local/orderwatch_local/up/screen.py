"""What `orderwatch up` shows: a live status line at the bottom of a terminal, or plain lines elsewhere."""

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from datetime import timedelta

import typer
from rich.console import Console
from rich.live import Live
from rich.text import Text

from orderwatch import clock
from orderwatch_cli.output import printable, printable_json, printable_text, wrapped
from orderwatch_local.box import show_box
from orderwatch_local.cloud.inbox import Mail
from orderwatch_local.up.status import WatchStatus

PLAIN_LINE_EVERY = timedelta(minutes=1)
"""Time between two plain status lines, where a line cannot be rewritten in place."""
FOR_OPERATORS = "OpsTopic: for the operators"


class Screen:
    """Shows messages and the status of the watch.

    The live line needs both streams on a terminal and no other writer on it. Everywhere else there are plain lines
    without control characters: messages on `out`, the rest on `log`.

    Args:
        out: Gets the messages.
        log: Gets everything else.
        as_json: Messages are one `orderwatch.alert.v1` a line.
        has_prompt: A prompt takes the place of the status line, which is shown above it when the health changes.
    """

    def __init__(self, out: Console, log: Console, *, as_json: bool, has_prompt: bool = False) -> None:
        self.is_live = out.is_terminal and log.is_terminal and not as_json and not has_prompt
        self._has_prompt = has_prompt
        self._out = out
        # Only one console may write while a line is live, or Rich rewrites the wrong line.
        self._log = out if self.is_live else log
        self._next_plain = clock.now()
        self._shown_health = ""

    def step(self, what: str) -> AbstractContextManager[object]:
        """Show that a step is running until the block ends."""
        self._log.print(f"{what} ...")
        return self._log.status(what)

    def say(self, text: str, *, to_copy: bool = False) -> None:
        """Show one line. A line to copy is never wrapped; others are wrapped between words on a terminal."""
        width = self._log.width if self._log.is_terminal and not to_copy else None
        self._log.print(Text("\n".join(wrapped(printable(text), width))), soft_wrap=True)

    def report(self, text: str) -> None:
        """Show one line with the time of day."""
        self.say(f"{clock.now().astimezone():%H:%M:%S} {text}")

    @contextmanager
    def showing(self, status: WatchStatus) -> Iterator[None]:
        """Show the status on a live line until the block ends, where there can be one."""
        if not self.is_live:
            yield
            return

        def line() -> Text:
            text = status.line(clock.now(), width=self._log.width - 1)
            return Text(text, style="dim", no_wrap=True, overflow="ellipsis")

        try:
            with Live(get_renderable=line, console=self._log, refresh_per_second=2, transient=True):
                yield
        finally:
            self.say("stopping ...")

    def update(self, status: WatchStatus) -> None:
        """Show a plain status line if one is due, or above a prompt if the health changed.

        A live line updates itself.
        """
        now = clock.now()
        if self._has_prompt:
            is_due, self._shown_health = status.health != self._shown_health, status.health
        else:
            is_due = not self.is_live and now >= self._next_plain
        if is_due:
            self._next_plain = now + PLAIN_LINE_EVERY
            self.report(status.full_line(now))

    def show_mail(self, mail: Mail, *, for_operators: bool = False) -> None:
        """Show a message as its reader gets it."""
        note = FOR_OPERATORS if for_operators else None
        if self._out.is_terminal:
            show_box(self._out, mail.subject, printable_text(mail.text.rstrip()), note=note)
        else:
            head = f"{mail.subject} ({note})" if note else mail.subject
            self._out.print(printable_text(f"{head}\n{mail.text.rstrip()}\n"), soft_wrap=True)

    def show_json(self, body: str) -> None:
        """Print an alert as one line of JSON."""
        self._out.print(Text(printable_json(body)), soft_wrap=True)

    def check_reader(self) -> None:
        """End the command if nobody reads the messages any more.

        Messages are printed by the inboxes' threads. Rich makes their console quiet when a pipe is closed.

        Raises:
            Exit: Nobody reads them.
        """
        if self._out.quiet:
            raise typer.Exit
