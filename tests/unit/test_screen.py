"""What `orderwatch up` shows on a terminal and in a pipe."""

import io
import re
from datetime import datetime, timedelta

import pytest
from rich.console import Console

from orderwatch.records import HealthState
from orderwatch_local.cloud.inbox import Mail
from orderwatch_local.up.screen import Screen
from orderwatch_local.up.status import WatchStatus
from tests.support.clocks import NOON, FakeClock, running_on

CONTROLS = re.compile(r"[\x00-\x09\x0b-\x1f\x7f]")
MAIL = Mail("[exception] Order #1042 at Alpine Outdoor", "Order #1042 is in exception\n\nTotal  186.54 USD\n", 0.0)


def console(*, terminal: bool, width: int = 60) -> tuple[Console, io.StringIO]:
    printed = io.StringIO()
    return Console(file=printed, force_terminal=terminal, width=width, highlight=False, color_system=None), printed


def status(started_at: datetime = NOON) -> WatchStatus:
    return WatchStatus({"conn_a": "Alpine Outdoor"}, timedelta(seconds=5), started_at=started_at)


@pytest.mark.parametrize(
    ("out", "log", "as_json", "live"),
    [(True, True, False, True), (False, True, False, False), (True, False, False, False), (True, True, True, False)],
)
def test_the_live_line_needs_a_terminal_of_its_own(out: bool, log: bool, as_json: bool, live: bool) -> None:
    assert Screen(console(terminal=out)[0], console(terminal=log)[0], as_json=as_json).is_live is live


def test_in_a_pipe_a_message_is_plain_lines() -> None:
    out, printed = console(terminal=False, width=20)
    Screen(out, out, as_json=False).show_mail(MAIL)
    assert printed.getvalue() == f"{MAIL.subject}\n{MAIL.text}\n"


def test_in_a_pipe_the_status_is_one_plain_line_a_minute() -> None:
    time = FakeClock(NOON)
    out, _ = console(terminal=False)
    log, printed = console(terminal=False)
    with running_on(time):
        screen, now = Screen(out, log, as_json=True), status()
        with screen.showing(now):
            for _ in range(130):
                time.advance(timedelta(seconds=1))
                screen.update(now)
    assert printed.getvalue().count("watching Alpine Outdoor") == 3
    assert not CONTROLS.search(printed.getvalue())


@pytest.mark.parametrize("width", [60, 120])
def test_on_a_terminal_a_message_is_a_box_of_up_to_78_columns(width: int) -> None:
    out, printed = console(terminal=True, width=width)
    Screen(out, out, as_json=False).show_mail(MAIL)
    lines = printed.getvalue().splitlines()
    assert lines[0].startswith("╭─ [exception] Order #1042")
    assert {len(line) for line in lines} == {min(width, 78)}


@pytest.mark.parametrize("width", [60, 120])
@pytest.mark.parametrize("subject", ["[summary] 49 orders need attention, 22 of them late. 2 at risk", "x" * 73])
def test_long_subject_is_shown_whole_inside_the_box(width: int, subject: str) -> None:
    out, printed = console(terminal=True, width=width)
    Screen(out, out, as_json=False).show_mail(Mail(subject, "Text", 0.0))
    lines = printed.getvalue().splitlines()
    assert {len(line) for line in lines} == {min(width, 78)}
    assert re.sub(r"\W", "", subject) in re.sub(r"\W", "", printed.getvalue())


@pytest.mark.parametrize(("state", "said"), [(None, 0), (HealthState.BLOCKED, 1)])
def test_status_is_shown_above_a_prompt_when_the_health_changes(state: HealthState | None, said: int) -> None:
    out, printed = console(terminal=True, width=200)
    with running_on(FakeClock(NOON)):
        screen, now = Screen(out, out, as_json=False, has_prompt=True), status()
        screen.update(now)
        for health in (state, state, None, None):
            now.unhealthy = {"conn_a": (health, NOON)} if health else {}
            screen.update(now)
    shown = printed.getvalue().splitlines()
    assert ["blocked since" in line for line in shown] == [True, False][: 2 * said]


@pytest.mark.parametrize("terminal", [True, False])
def test_a_message_of_the_other_topic_is_marked_for_operators(terminal: bool) -> None:
    out, printed = console(terminal=terminal)
    Screen(out, out, as_json=False).show_mail(MAIL, for_operators=True)
    assert "OpsTopic: for the operators" in printed.getvalue()


def test_at_the_end_the_live_line_is_erased_and_messages_stay() -> None:
    out, printed = console(terminal=True, width=100)
    with running_on(FakeClock(NOON)):
        screen = Screen(out, out, as_json=False)
        with screen.showing(status()):
            screen.report("polling Alpine Outdoor fails")
    text = printed.getvalue()
    assert "watching Alpine Outdoor · first poll · next in 5 s" in text
    assert "polling Alpine Outdoor fails" in text
    assert text.endswith("\x1b[2Kstopping ...\n"), "the line is erased before that"


def test_a_report_is_wrapped_but_not_within_a_time() -> None:
    out, printed = console(terminal=True, width=24)
    Screen(out, out, as_json=False).say("the clock of the shop: 30 Nov 16:06 UTC")
    assert printed.getvalue() == "the clock of the shop:\n30 Nov 16:06 UTC\n"


def test_a_command_to_copy_is_never_wrapped() -> None:
    out, printed = console(terminal=True, width=20)
    command = "orderwatch shops --endpoint-url http://127.0.0.1:40000"
    Screen(out, out, as_json=False).say(command, to_copy=True)
    assert printed.getvalue() == f"{command}\n"
