"""The command line as a whole: help, version, and the commands that need a checkout."""

from importlib.metadata import version

import pytest
import typer
from typer.main import get_command
from typer.testing import CliRunner

from orderwatch_cli import repository
from orderwatch_cli.main import app
from orderwatch_local import commands as local

COMMANDS = sorted(get_command(app).commands)  # type: ignore[attr-defined]


def names_of_local_commands() -> set[str]:
    return set(get_command(local.app).commands)  # type: ignore[attr-defined]


def test_the_version_is_the_packages() -> None:
    assert CliRunner().invoke(app, ["--version"]).stdout == f"orderwatch {version('orderwatch')}\n"


@pytest.mark.parametrize("option", ["-h", "--help"])
@pytest.mark.parametrize("command", [[], *([name] for name in COMMANDS)], ids=str)
def test_every_command_explains_itself(command: list[str], option: str) -> None:
    result = CliRunner().invoke(app, [*command, option], prog_name="orderwatch")
    assert result.exit_code == 0
    assert result.stdout.startswith(f"Usage: {' '.join(['orderwatch', *command])} [OPTIONS]")


def test_a_checkout_has_the_commands_that_are_known_to_need_one() -> None:
    assert names_of_local_commands() == set(repository.NAMES)
    assert names_of_local_commands() < set(COMMANDS)


@pytest.mark.parametrize("arguments", [[], ["--seed", "3"], ["-h"], ["--connection", "conn_1", "--json", "more"]])
@pytest.mark.parametrize("name", repository.NAMES)
def test_without_a_checkout_its_commands_say_what_to_do_whatever_is_typed(
    monkeypatch: pytest.MonkeyPatch, name: str, arguments: list[str]
) -> None:
    monkeypatch.setattr(repository, "find_spec", lambda name: None)
    error = CliRunner().invoke(repository.repository_commands(), [name, *arguments]).exception
    assert isinstance(error, repository.RepositoryMissingError)
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
def test_a_shop_gets_its_name(connections: list[str], names: list[str], named: dict[str, str]) -> None:
    assert local.shop_names(connections, names) == named


@pytest.mark.parametrize(
    ("connections", "names", "says"),
    [
        (["conn_a", "conn_b"], ["Sora"], "'Sora' names no connection"),
        (["conn_a", "conn_b"], ["conn_c=Sora"], "--name ID=NAME"),
        (["conn_a"], ["conn_a= "], "the name is empty"),
    ],
)
def test_a_name_of_no_shop_or_without_a_letter_is_refused(connections: list[str], names: list[str], says: str) -> None:
    with pytest.raises(typer.BadParameter, match=says):
        local.shop_names(connections, names)
