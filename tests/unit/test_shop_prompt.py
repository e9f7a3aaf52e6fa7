"""Commands from a pipe: plain lines, errors apart, and the shops go on when the pipe ends."""

import io

from orderwatch_local.simulator import day_of_three_shops
from orderwatch_local.simulator.commands import ShopCommands
from orderwatch_local.simulator.interactive import Prompt


def piped(*lines: str) -> tuple[bool, str, str]:
    """Whether the user wants to leave, what was answered, and what was not understood."""
    out, errors = io.StringIO(), io.StringIO()
    source = io.StringIO("".join(f"{line}\n" for line in lines))
    prompt = Prompt(ShopCommands(day_of_three_shops(1).begin()), source=source, out=out, errors=errors)
    return prompt.serve(), out.getvalue(), errors.getvalue()


def test_a_command_from_a_pipe_is_answered_without_a_prompt_or_a_control_character() -> None:
    _, out, errors = piped('fail 1042 exception "Address verification failed"')
    assert out == "#1042 at Alpine Outdoor: confirmed -> exception. Trackstar shows it now.\n"
    assert errors == ""


def test_a_line_that_is_not_understood_goes_to_the_errors_and_the_next_one_is_carried_out() -> None:
    _, out, errors = piped("fial 1042", "", "ship 1042")
    assert errors == "no command fial (did you mean fail?); help lists them\n"
    assert "confirmed -> fulfilled" in out


def test_what_was_typed_steers_no_terminal_when_it_is_quoted() -> None:
    _, _, errors = piped("\x1b[2J")
    assert "\x1b" not in errors


def test_a_pipe_that_ends_leaves_the_shops_open_and_quit_closes_them() -> None:
    assert piped("orders")[0] is False
    assert piped("quit", "fail 1042")[:2] == (True, "")
