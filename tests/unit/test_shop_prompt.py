"""Commands from a pipe: plain output, separate errors, and shops that go on when the pipe ends."""

import io

from orderwatch_local.simulator import day_of_three_shops
from orderwatch_local.simulator.commands import ShopCommands
from orderwatch_local.simulator.interactive import Prompt


def piped(*lines: str) -> tuple[bool, str, str]:
    """Return whether to stop the shops, the output and the errors."""
    out, errors = io.StringIO(), io.StringIO()
    source = io.StringIO("".join(f"{line}\n" for line in lines))
    prompt = Prompt(ShopCommands(day_of_three_shops(1).begin()), source=source, out=out, errors=errors)
    return prompt.serve(), out.getvalue(), errors.getvalue()


def test_output_to_a_pipe_has_no_prompt_and_no_control_characters() -> None:
    _, out, errors = piped('fail 1042 exception "Address verification failed"')
    assert out == "#1042 at Alpine Outdoor: confirmed -> exception. Trackstar shows it now.\n"
    assert errors == ""


def test_an_invalid_line_is_reported_and_the_next_one_runs() -> None:
    _, out, errors = piped("fial 1042", "", "ship 1042")
    assert errors == "unknown command fial (did you mean fail?); `help` lists the commands\n"
    assert "confirmed -> fulfilled" in out


def test_a_quoted_line_cannot_control_the_terminal() -> None:
    _, _, errors = piped("\x1b[2J")
    assert "\x1b" not in errors


def test_shops_go_on_when_a_pipe_ends_and_stop_on_quit() -> None:
    assert piped("orders")[0] is False
    assert piped("quit", "fail 1042")[:2] == (True, "")
