"""What `orderwatch up` shows on a terminal and in a pipe."""

import io
import re
from datetime import datetime, timedelta

import pytest
from rich.console import Console

from orderwatch_local.cloud.inbox import Mail
from orderwatch_local.up.screen import Screen
from orderwatch_local.up.status import DeadlineState
from tests.support.clocks import BEGINS_AT, StandingClock, running_on

CONTROLS = re.compile(r"[\x00-\x09\x0b-\x1f\x7f]")
MAIL = Mail("[exception] Order #1042 at Alpine Outdoor", "Order #1042 is in exception\n\nTotal  186.54 USD\n", 0.0)


def console(*, terminal: bool, width: int = 60) -> tuple[Console, io.StringIO]:
    printed = io.StringIO()
    return Console(file=printed, force_terminal=terminal, width=width, highlight=False, color_system=None), printed


def deadline_state(begun: datetime = BEGINS_AT) -> DeadlineState:
    return DeadlineState({"conn_a": "Alpine Outdoor"}, timedelta(seconds=5), begun=begun)


@pytest.mark.parametrize(
    ("out", "log", "as_json", "live"),
    [(True, True, False, True), (False, True, False, False), (True, False, False, False), (True, True, True, False)],
)
def test_a_line_is_rewritten_in_place_only_where_nothing_else_writes_on_the_terminal(
    out: bool, log: bool, as_json: bool, live: bool
) -> None:
    assert Screen(console(terminal=out)[0], console(terminal=log)[0], as_json=as_json).is_live is live


def test_in_a_pipe_a_message_is_its_subject_and_text_in_plain_lines() -> None:
    out, printed = console(terminal=False, width=20)
    Screen(out, out, as_json=False).show_mail(MAIL)
    assert printed.getvalue() == f"{MAIL.subject}\n{MAIL.text}\n"


def test_in_a_pipe_the_standing_is_a_plain_line_a_minute() -> None:
    time = StandingClock(BEGINS_AT)
    out, _ = console(terminal=False)
    log, printed = console(terminal=False)
    with running_on(time):
        screen, now = Screen(out, log, as_json=True), deadline_state()
        with screen.showing(now):
            for _ in range(130):
                time.advance(timedelta(seconds=1))
                screen.update(now)
    assert printed.getvalue().count("watching Alpine Outdoor") == 3
    assert not CONTROLS.search(printed.getvalue())


@pytest.mark.parametrize("width", [60, 120])
def test_on_a_terminal_a_message_is_a_box_as_wide_as_there_is_room_up_to_78(width: int) -> None:
    out, printed = console(terminal=True, width=width)
    Screen(out, out, as_json=False).show_mail(MAIL)
    lines = printed.getvalue().splitlines()
    assert lines[0].startswith("╭─ [exception] Order #1042")
    assert {len(line) for line in lines} == {min(width, 78)}


@pytest.mark.parametrize("terminal", [True, False])
def test_a_message_of_the_other_topic_says_whom_it_is_for(terminal: bool) -> None:
    out, printed = console(terminal=terminal)
    Screen(out, out, as_json=False).show_mail(MAIL, for_operators=True)
    assert "OpsTopic: for the operators" in printed.getvalue()


def test_the_live_line_is_gone_when_the_watch_ends_and_what_was_said_stays() -> None:
    out, printed = console(terminal=True, width=100)
    with running_on(StandingClock(BEGINS_AT)):
        screen = Screen(out, out, as_json=False)
        with screen.showing(deadline_state()):
            screen.report("polls of Alpine Outdoor fail")
    text = printed.getvalue()
    assert "watching Alpine Outdoor · first poll · next in 5 s" in text
    assert "polls of Alpine Outdoor fail" in text
    assert text.endswith("\x1b[2Kstopping ...\n"), "the line is erased before that"


def test_a_command_to_be_copied_is_in_one_piece_however_narrow_the_terminal() -> None:
    out, printed = console(terminal=True, width=20)
    command = "orderwatch shops --endpoint-url http://127.0.0.1:40000"
    Screen(out, out, as_json=False).say(command, to_copy=True)
    assert printed.getvalue() == f"{command}\n"
