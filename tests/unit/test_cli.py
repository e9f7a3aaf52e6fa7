"""The whole command line: help, version, and the commands of a checkout."""

from importlib.metadata import version

import pytest
import typer
from typer.main import get_command
from typer.testing import CliRunner

from orderwatch_cli import main
from orderwatch_cli.main import app
from orderwatch_local import commands as local

COMMANDS = sorted(get_command(app).commands)  # type: ignore[attr-defined]


def names_of_local_commands() -> set[str]:
    return set(get_command(local.app).commands)  # type: ignore[attr-defined]


def test_version_is_that_of_the_package() -> None:
    assert CliRunner().invoke(app, ["--version"]).stdout == f"orderwatch {version('orderwatch')}\n"


def test_help_has_a_short_option() -> None:
    for command in ([], ["doctor"]):
        result = CliRunner().invoke(app, [*command, "-h"], prog_name="orderwatch")
        assert result.stdout.startswith(f"Usage: {' '.join(['orderwatch', *command])} [OPTIONS]")


def test_checkout_has_all_commands_that_need_it() -> None:
    assert names_of_local_commands() == set(main.CHECKOUT_COMMANDS)
    assert names_of_local_commands() < set(COMMANDS)


@pytest.mark.parametrize("arguments", [["-h"], ["--connection", "conn_1", "--json", "more"]])
@pytest.mark.parametrize("name", main.CHECKOUT_COMMANDS)
def test_checkout_commands_without_a_checkout_say_what_to_do(
    monkeypatch: pytest.MonkeyPatch, name: str, arguments: list[str]
) -> None:
    monkeypatch.setattr(main, "find_spec", lambda name: None)
    error = CliRunner().invoke(main.checkout_commands(), [name, *arguments]).exception
    assert isinstance(error, main.CheckoutMissingError)
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
