"""`orderwatch up --demo`: commands are read while the watch runs in another thread, and both end together."""

import io
import os
import threading

import pytest
from rich.console import Console

from orderwatch_local.errors import FunctionFailedError
from orderwatch_local.simulator import day_of_three_shops
from orderwatch_local.simulator.commands import ShopCommands
from orderwatch_local.simulator.interactive import PROMPT, Prompt, PromptStream
from orderwatch_local.up.run import _attend


def prompt(source: io.TextIOBase, out: io.StringIO | None = None) -> Prompt:
    commands = ShopCommands(day_of_three_shops(1).begin())
    return Prompt(commands, source=source, out=out or io.StringIO(), errors=io.StringIO())  # type: ignore[arg-type]


def test_quit_ends_the_watch() -> None:
    over, out = threading.Event(), io.StringIO()

    def work() -> None:
        over.wait()

    _attend(work, prompt(io.StringIO("orders alpine 1\nquit\n"), out), over)
    assert over.is_set()
    assert "Alpine Outdoor" in out.getvalue()


def test_status_is_a_command_of_the_watch() -> None:
    out = io.StringIO()
    shown = prompt(io.StringIO("status\nhelp\nquit\n"), out)
    shown.add_status(lambda: "watching Alpine Outdoor · blocked since 13:02")
    shown.serve()
    status, _, helped = out.getvalue().partition("\n")
    assert status == "watching Alpine Outdoor · blocked since 13:02"
    assert "\nstatus  " in helped


def test_watch_goes_on_when_a_pipe_ends() -> None:
    over = threading.Event()

    def work() -> None:
        assert not over.wait(0.2), "the end of the pipe does not end it"
        over.set()

    _attend(work, prompt(io.StringIO("")), over)
    assert over.is_set()


def test_error_of_the_watch_ends_the_reading_of_commands() -> None:
    reader, writer = os.pipe()

    def work() -> None:
        raise FunctionFailedError("poll failed")

    failed = pytest.raises(FunctionFailedError, match="poll failed")
    with os.fdopen(reader) as source, os.fdopen(writer, "w"), failed:
        _attend(work, prompt(source), threading.Event())


def test_alerts_are_shown_above_the_prompt() -> None:
    out = io.StringIO()
    shown = prompt(io.StringIO(""), out)
    console = Console(file=PromptStream(shown), width=40, color_system=None)  # type: ignore[arg-type]
    console.print("before")
    shown._is_asking = True
    console.print("an alert")
    assert out.getvalue() == f"before\n\r\x1b[Kan alert\n{PROMPT}"
