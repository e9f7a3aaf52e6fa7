"""Input and output of the command line: moments, tables, commands in messages, help, and invalid arguments."""

import io
import os
import re
import shlex
import sys
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import typer
from rich.console import Console
from rich.panel import Panel
from typer.main import get_command
from typer.testing import CliRunner

from orderwatch_cli import main, output
from orderwatch_cli.arguments import since_moment
from orderwatch_cli.aws import is_endpoint
from orderwatch_cli.command_hints import Commands, program
from orderwatch_cli.commands import COMMANDS as LISTED
from orderwatch_cli.commands import EXAMPLES
from orderwatch_cli.terminal import adapt_to_terminal
from tests.support.clocks import NOON
from tests.support.template import ROOT

MINUTE = timedelta(minutes=1)
ALERT = "2c829bb9b086ea591bd42ab4f79fe763"
COMMANDS: dict[str, Any] = get_command(main.app).commands  # type: ignore[attr-defined]
OPERATOR_COMMANDS = [name for name, entry in LISTED.items() if not entry.needs_checkout]


@pytest.fixture
def berlin(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Sets this machine's time zone to Berlin."""
    monkeypatch.setenv("TZ", "Europe/Berlin")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


# Moments


@pytest.mark.usefixtures("berlin")
@pytest.mark.parametrize(
    ("typed", "utc", "moment"),
    [
        ("2026-03-02", False, datetime(2026, 3, 1, 23, tzinfo=UTC)),
        ("2026-03-02", True, datetime(2026, 3, 2, tzinfo=UTC)),
        ("2026-07-02T10:00", False, datetime(2026, 7, 2, 8, tzinfo=UTC)),
        ("2026-03-02T10:00Z", False, datetime(2026, 3, 2, 10, tzinfo=UTC)),
        ("2026-03-02T10:00+02:00", True, datetime(2026, 3, 2, 8, tzinfo=UTC)),
    ],
)
def test_moment_is_read_in_the_zone_of_the_output(typed: str, utc: bool, moment: datetime) -> None:
    assert since_moment(typed, utc=utc) == moment


def test_moment_can_be_an_age() -> None:
    before = datetime.now(UTC)
    assert before <= since_moment("36h") + timedelta(hours=36) <= datetime.now(UTC)


@pytest.mark.parametrize("typed", ["", "yesterday", "h", "9999999999999d", "0001-01-01T00:00+14:00"])
def test_invalid_moment_is_rejected(typed: str) -> None:
    with pytest.raises(typer.BadParameter):
        since_moment(typed)


@pytest.mark.usefixtures("berlin")
def test_moment_is_shown_in_local_time_or_utc() -> None:
    assert output.moment(NOON) == "2026-01-05 13:00 CET"
    assert output.moment(datetime(2026, 7, 5, 12, tzinfo=UTC)) == "2026-07-05 14:00 CEST"
    assert output.moment(NOON, utc=True) == "2026-01-05 12:00 UTC"


# Tables


def test_table_prints_foreign_texts_safely(
    capsys: pytest.CaptureFixture[str],
) -> None:
    rows = [("#1\x1b]0;title\x07\n[bold]x", 3 * MINUTE), (None, NOON)]
    output.table(("order", "age"), rows, empty="nothing", utc=True)
    out = capsys.readouterr().out
    assert "\x1b" not in out
    assert [line.split("  ")[0] for line in out.splitlines()] == ["order", "#1 ]0;title [bold]x", "-"]
    assert "3 min" in out
    assert "2026-01-05 12:00 UTC" in out


@pytest.mark.parametrize("width", [20, 40, 60, 80, 120, None])
def test_table_never_cuts_an_id_at_any_width(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, width: int | None
) -> None:
    monkeypatch.setattr(output, "terminal_width", lambda: width)
    row = (NOON, "order.exception", "A shop with a rather long name of its own", ALERT)
    output.table(("written", "kind", "shop", "alert"), [row, row], empty="nothing", flexible=("shop",), utc=True)
    lines = capsys.readouterr().out.splitlines()
    assert [ALERT in line for line in lines].count(True) == 2
    assert lines[0].startswith("written  2026") is (width is not None and width < 85)


def test_list_omits_missing_values(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(output, "terminal_width", lambda: 10)
    output.table(("order", "raw status"), [("#1000001", None), ("#2", "hold")], empty="nothing")
    assert capsys.readouterr().out == "order       #1000001\n\norder       #2\nraw status  hold\n"


@pytest.mark.parametrize(("width", "before"), [(None, ""), (60, ""), (10, "\n")])
def test_line_below_a_list_is_set_apart(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, width: int | None, before: str
) -> None:
    monkeypatch.setattr(output, "terminal_width", lambda: width)
    output.table(("order", "status"), [("#1000001", "late")], empty="nothing", footer="and more")
    assert re.search(rf"late\s*\n{before}and more\n$", capsys.readouterr().out)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("- #934: ship by Sun 29 Nov 03:08 UTC", "- #934: ship by\n  Sun 29 Nov 03:08 UTC\n"),
        ("  https://alpine.example/admin/orders/1", "  https://alpine.example/admin/orders/1\n"),
        ("", "\n"),
    ],
)
def test_a_line_is_wrapped_between_words_on_a_terminal(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, text: str, shown: str
) -> None:
    monkeypatch.setattr(output, "terminal_width", lambda: 22)
    output.line(text)
    output.line(text, to_copy=True)
    monkeypatch.setattr(output, "terminal_width", lambda: None)
    output.line(text)
    assert capsys.readouterr().out == f"{shown}{text}\n{text}\n"


def test_a_log_line_is_wrapped_between_words_on_a_terminal(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(output, "Console", lambda **_: Console(width=16))
    for width in (16, None):
        monkeypatch.setattr(output, "terminal_width", lambda width=width: width)
        output.styled_line(("INFO", "bold"), ("  poll ended 30 Nov 16:06", ""), is_wrapped=True)
    plain = "INFO  poll ended 30 Nov 16:06"
    assert capsys.readouterr().out.split("\n") == ["INFO  poll ended", "30 Nov 16:06", plain, ""]


@pytest.mark.parametrize(("width", "is_shown"), [(None, True), (60, True), (30, False), (8, True)])
def test_address_of_a_link_is_shown_or_behind_the_cell(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, width: int | None, is_shown: bool
) -> None:
    monkeypatch.setattr(output, "terminal_width", lambda: width)
    monkeypatch.setattr(
        output, "Console", partial(Console, force_terminal=True, color_system="standard" if width else None)
    )
    url = "https://alpine.example/admin/orders/1"
    output.table(("order", "status"), [("#1", "late"), ("#2", "late")], empty="", links=("order", [url, None]))
    out = capsys.readouterr().out
    assert out.count(f";{url}\x1b\\") == (width in {30, 60})
    assert (f"  {url}" in out.replace(f";{url}", "")) is is_shown


@pytest.mark.parametrize("columns", ["0", "-5", "1e3", "9" * 20, "\u0668", "\u00b2", "abc", ""])
def test_a_width_that_is_no_number_of_columns_is_ignored(columns: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", columns)
    monkeypatch.setenv("LINES", "24")
    adapt_to_terminal()
    assert ("COLUMNS" in os.environ, os.environ["LINES"]) == (False, "24")


@pytest.mark.parametrize(
    "whole",
    [
        *("186.54 USD", "1,204.00 EUR", "27 d", "3 h 20 min", "45 s", "3 business", "Wed 4 Mar 13:33 CET"),
        *("28 Feb", "2026-03-02 09:00 UTC", "13:33 +0530", "40\u00a0kg"),
    ],
)
def test_amounts_and_times_are_not_broken(whole: str) -> None:
    text = f"An order of some shop has been waiting for so long: {whole}, and that is what it is about."
    console = Console(file=io.StringIO(), width=20, highlight=False)
    for width in range(20, 80):
        shown = whole.replace("\u00a0", " ")
        assert any(shown in line for line in output.wrapped(text, width))
        console.width = width + 4
        with console.capture() as captured:
            console.print(Panel(output.printable_text(text)))
        assert any(shown in line for line in captured.get().splitlines()), width
    assert output.wrapped(text, None) == [text]


@pytest.mark.parametrize(
    ("column", "colors"),
    [
        ("kind", {"order.exception": "red", "order.backordered": "yellow", "order.recovered": "green"}),
        ("health", {"healthy": "green", "stale": "yellow", "initial_sync": "yellow", "blocked": "red"}),
        ("status", {"exception": "red", "backordered": "yellow", "on_hold, late": "red", "confirmed, stuck": "yellow"}),
        (
            "state",
            {
                "pending for 1 h": "yellow",
                "not confirmed": "yellow",
                "confirmed by link": "yellow",
                "sent after 3 s": "green",
            },
        ),
        ("shop", {"exception": ""}),
    ],
)
@pytest.mark.parametrize("width", [10, 80])
def test_severities_have_colors_on_a_terminal_only(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, column: str, colors: dict[str, str], width: int
) -> None:
    monkeypatch.setattr(output, "terminal_width", lambda: width)
    codes = {"red": "\x1b[1;31m", "yellow": "\x1b[33m", "green": "\x1b[32m", "": ""}
    rows = [(cell, "x" * 20) for cell in colors]
    for environment in ({}, {"NO_COLOR": "1"}, {"FORCE_COLOR": "1", "TERM": "xterm"}):
        for name, value in environment.items():
            monkeypatch.setenv(name, value)
        output.table((column, "id"), rows, empty="none")
        out = capsys.readouterr().out
        is_colored = "FORCE_COLOR" in environment and "NO_COLOR" not in environment
        for cell, color in colors.items():
            assert (f"{codes[color]}{cell}" in out) is (is_colored or not color)
        monkeypatch.delenv("NO_COLOR", raising=False)


# Commands in messages


def test_command_contains_the_options_of_the_stack() -> None:
    plain = Commands(program="orderwatch")
    assert plain.own("poll conn_a") == "orderwatch poll conn_a"
    assert plain.aws("sns list-topics") == "aws sns list-topics"
    other = Commands(
        stack_name="my stack",
        endpoint_url="http://127.0.0.1:9",
        credentials_file=Path("/tmp/c d/credentials"),
        region="us-east-1",
        program=".venv/bin/orderwatch",
    )
    assert other.own("poll") == (".venv/bin/orderwatch poll --stack-name 'my stack' --endpoint-url http://127.0.0.1:9")
    assert other.aws("sns list-topics") == (
        "AWS_SHARED_CREDENTIALS_FILE='/tmp/c d/credentials' AWS_PROFILE=default "
        "aws --region us-east-1 --endpoint-url http://127.0.0.1:9 sns list-topics"
    )


@pytest.mark.parametrize(
    ("path", "folder", "named"),
    [("bin", ".", "orderwatch"), ("none", ".", "bin/orderwatch"), ("none", "elsewhere", "{root}/bin/orderwatch")],
)
def test_program_is_named_so_that_the_shell_finds_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, path: str, folder: str, named: str
) -> None:
    (tmp_path / "bin").mkdir()
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "bin/orderwatch").touch(mode=0o755)
    monkeypatch.setattr(sys, "argv", [str(tmp_path / "bin/orderwatch")])
    monkeypatch.setenv("PATH", str(tmp_path / path))
    monkeypatch.chdir(tmp_path / folder)
    assert program() == named.format(root=tmp_path)


# The help


@pytest.mark.parametrize("name", sorted(COMMANDS))
def test_help_has_meaningful_metavars_and_valid_examples(name: str) -> None:
    help_text = CliRunner().invoke(main.app, [name, "--help"], terminal_width=60).stdout
    assert help_text.startswith(f"Usage: root {name} [OPTIONS]")
    assert " TEXT " not in help_text.replace("--name TEXT ", "")
    assert "FLOAT" not in help_text
    assert EXAMPLES[name]
    for example in EXAMPLES[name]:
        assert f"\n    {example}\n" in help_text
        program_name, command, *words = shlex.split(example.partition(" < ")[0])
        assert (program_name, command) == ("orderwatch", name)
        COMMANDS[name].make_context(name, words, parent=typer.Context(get_command(main.app)))


@pytest.mark.parametrize("name", [*sorted(COMMANDS), "alerts show", "subscriptions confirm"])
def test_help_shows_no_type_of_python(name: str) -> None:
    help_text = CliRunner().invoke(main.app, [*name.split(), "--help"]).stdout
    assert help_text.startswith(f"Usage: root {name} [OPTIONS]")
    assert re.findall(r"<\w+[|>\[]|\{|\bstr\b", help_text) == []


@pytest.mark.parametrize("width", [40, 60, 80])
def test_command_list_is_grouped_and_cuts_no_summary(width: int) -> None:
    listed = CliRunner().invoke(main.app, ["--help"], terminal_width=width).stdout
    groups = dict.fromkeys(entry.group for entry in LISTED.values())
    assert re.findall(r"^(\S.*):$", listed, re.MULTILINE) == ["Options", *groups]
    words = " ".join(listed.split())
    assert [name for name, entry in LISTED.items() if f" {name} {entry.summary}" not in words] == []


def test_completion_finds_commands_and_options() -> None:
    def completed(words: str) -> set[str]:
        count = str(len(words.split(" ")) - 1)
        environment = {"_ORDERWATCH_COMPLETE": "complete_bash", "COMP_WORDS": words, "COMP_CWORD": count}
        return set(CliRunner().invoke(main.app, [], env=environment, prog_name="orderwatch").stdout.split())

    assert completed("orderwatch connect") == {"connect", "connect-trackstar", "connect-slack"}
    assert completed("orderwatch alerts --s") == {"--shop", "--status", "--state", "--since", "--stack-name"}
    assert completed("orderwatch logs poll") == {"poll-orders"}


def command_and_its_own(name: str) -> list[Any]:
    return [COMMANDS[name], *getattr(COMMANDS[name], "commands", {}).values()]


def test_reference_lists_every_command_and_option() -> None:
    page = (ROOT / "docs/cli.md").read_text()
    sections = {part.partition("\n")[0].strip("`"): part for part in page.split("\n### ")[1:]}
    assert {name: group(page, name) for name in sections} == {name: entry.group for name, entry in LISTED.items()}
    for name in OPERATOR_COMMANDS:
        for parameter in (each for command in command_and_its_own(name) for each in command.params):
            for option in parameter.opts:
                if option.startswith("--") and option not in COMMON:
                    assert f"`{option}`" in sections[name], (name, option)


def group(page: str, name: str) -> str:
    """The heading above the section of a command."""
    return page[: page.index(f"### `{name}`")].rpartition("\n## ")[2].partition("\n")[0]


COMMON = {"--stack-name", "--endpoint-url", "--json", "--utc", "--help"}
"""Options that the reference describes once."""


# Invalid arguments


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["orders", "--limit", "many"], "must be a whole number"),
        (["orders", "--limit", "0"], "must be at least 1"),
        (["orders", "--limit", "1.5"], "must be a whole number"),
        (["test-alert", "--value", "much"], "must be a number"),
        (["up", "--connection", "conn_1", "--port", "99999"], "must be at most 65535"),
        (["logs", "--level", "loud"], "'loud' is not one of 'debug', "),
        (["logs", "poll-order"], "'poll-order' is not one of 'dispatch-polls', "),
    ],
)
def test_a_value_of_the_wrong_type_is_described_in_plain_words(
    capsys: pytest.CaptureFixture[str], arguments: list[str], words: str
) -> None:
    with pytest.raises(SystemExit):
        main.run(arguments)
    assert re.search(rf"Error: Invalid value for '[-A-Za-z]+': {re.escape(words)}", capsys.readouterr().err)


@pytest.mark.parametrize(
    "arguments",
    [
        ["shops", "--endpoint-url", "garbage"],
        ["shops", "--endpoint-url", "http://127.0.0.1:99999"],
        ["doctor", "--endpoint-url", "http://[::1"],
        ["shops", "--status", "ill"],
        ["alerts", "--state", "lost"],
        ["alerts", "--since", "yesterday"],
        ["logs", "--level", "loud"],
        ["orders", "--limit", "many"],
    ],
)
def test_invalid_argument_exits_with_2(capsys: pytest.CaptureFixture[str], arguments: list[str]) -> None:
    with pytest.raises(SystemExit) as left:
        main.run(arguments)
    err = capsys.readouterr().err
    assert left.value.code == 2
    assert "Traceback" not in err
    assert arguments[-1] in err or arguments[-2] in err


def test_invalid_endpoint_in_the_environment_is_one_line(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", "garbage")
    with pytest.raises(SystemExit) as left:
        main.run(["shops"])
    err = capsys.readouterr().err
    assert (left.value.code, err.count("\n")) == (1, 1)
    assert "AWS_ENDPOINT_URL is not a URL such as http://127.0.0.1:4566: garbage" in err


@pytest.mark.parametrize(
    ("url", "is_valid"),
    [
        ("http://127.0.0.1:4566", True),
        ("https://vpce-1.ssm.eu-west-1.vpce.amazonaws.com", True),
        ("http://[::1]:4566/", True),
        ("127.0.0.1:4566", False),
        ("ftp://host", False),
        ("http://host:0", False),
        ("http://user:secret@host", False),
    ],
)
def test_valid_endpoints(url: str, is_valid: bool) -> None:
    assert is_endpoint(url) is is_valid


def test_file_that_cannot_be_written_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as left:
        main.run(["preview", "--html", "/no/such/folder/preview.html"])
    err = capsys.readouterr().err
    assert (left.value.code, err) == (1, "orderwatch: /no/such/folder/preview.html: No such file or directory\n")
