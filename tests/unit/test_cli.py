"""The whole command line: help, version, what is imported, and the commands of a checkout."""

import subprocess
import sys
from importlib.metadata import version

import pytest
import typer
from typer.main import get_command
from typer.testing import CliRunner

from orderwatch_cli import command_group
from orderwatch_cli.commands import COMMANDS
from orderwatch_cli.main import app
from orderwatch_local import commands as local
from tests.support.template import ROOT

CHECKOUT_COMMANDS = [name for name, entry in COMMANDS.items() if entry.needs_checkout]
SLOW_IMPORTS = {"boto3", "botocore", "httpx", "pydantic", "rich", "slack_sdk", "holidays", "aws_lambda_powertools"}


def test_version_is_that_of_the_package() -> None:
    assert CliRunner().invoke(app, ["--version"]).stdout == f"orderwatch {version('orderwatch')}\n"


def test_help_has_a_short_option() -> None:
    for command in ([], ["doctor"], ["alerts"], ["alerts", "show"]):
        result = CliRunner().invoke(app, [*command, "-h"], prog_name="orderwatch")
        assert result.stdout.startswith(f"Usage: {' '.join(['orderwatch', *command])} [OPTIONS]")


@pytest.mark.parametrize(
    ("arguments", "unused"),
    [
        (["--help"], SLOW_IMPORTS),
        (["--version"], SLOW_IMPORTS),
        (["shops", "--help"], {"httpx", "slack_sdk", "holidays", "orderwatch_local"}),
        (["preview", "--help"], {"boto3", "httpx", "holidays", "orderwatch_local.cloud"}),
    ],
)
def test_a_command_imports_only_what_it_needs(arguments: list[str], unused: set[str]) -> None:
    ran = subprocess.run(
        [sys.executable, "-X", "importtime", "-m", "orderwatch_cli", *arguments],
        capture_output=True,
        text=True,
        check=False,
        env={"PYTHONPATH": ":".join(str(ROOT / each) for each in ("layers/orderwatch/python", "cli", "local"))},
    )
    imported = {line.rpartition("|")[2].strip() for line in ran.stderr.splitlines() if line.startswith("import time:")}
    assert "typer" in imported
    assert imported & unused == set()


def test_the_list_of_commands_repeats_their_own_summaries() -> None:
    listed = {name: entry.summary for name, entry in COMMANDS.items()}
    assert listed == {name: command.help.splitlines()[0] for name, command in get_command(app).commands.items()}  # type: ignore[attr-defined]


def test_installed_command_line_lists_no_command_that_needs_a_checkout(monkeypatch: pytest.MonkeyPatch) -> None:
    assert "\nTry it:\n  demo " in CliRunner().invoke(app, ["--help"]).stdout
    monkeypatch.setattr(command_group, "find_spec", lambda name: None)
    assert "Try it" not in CliRunner().invoke(app, ["--help"]).stdout


@pytest.mark.parametrize("arguments", [["-h"], ["--connection", "conn_1", "--json", "more"]])
@pytest.mark.parametrize("name", CHECKOUT_COMMANDS)
def test_checkout_commands_without_a_checkout_say_what_to_do(
    monkeypatch: pytest.MonkeyPatch, name: str, arguments: list[str]
) -> None:
    monkeypatch.setattr(command_group, "find_spec", lambda name: None)
    error = CliRunner().invoke(app, [name, *arguments]).exception
    assert isinstance(error, command_group.CheckoutMissingError)
    assert "`make setup`" in str(error)
    assert str(error).endswith(f".venv/bin/orderwatch {name}")


@pytest.mark.parametrize(
    ("connections", "names", "named"),
    [
        (["conn_a"], ["Alpine Outdoor"], {"conn_a": "Alpine Outdoor"}),
        (["conn_a"], ["1+1=2"], {"conn_a": "1+1=2"}),
        (["conn_a", "conn_b"], ["conn_b=Sora"], {"conn_b": "Sora"}),
        (["conn_a"], [], {}),
    ],
)
def test_name_is_assigned_to_its_shop(connections: list[str], names: list[str], named: dict[str, str]) -> None:
    assert local.shop_names(connections, names) == named


@pytest.mark.parametrize(
    ("connections", "names", "says"),
    [
        (["conn_a", "conn_b"], ["Sora"], "'Sora' names no connection"),
        (["conn_a", "conn_b"], ["conn_c=Sora"], "--name ID=NAME"),
        (["conn_a"], ["conn_a= "], "the name is empty"),
    ],
)
def test_name_that_is_empty_or_matches_no_shop_is_rejected(connections: list[str], names: list[str], says: str) -> None:
    with pytest.raises(typer.BadParameter, match=says):
        local.shop_names(connections, names)
