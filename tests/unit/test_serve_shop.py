"""The commands that `orderwatch shop` prints, and the screens of the README."""

import sys

import pytest

from orderwatch_local.simulator import day_of_three_shops
from orderwatch_local.simulator.commands import ShopCommands
from orderwatch_local.simulator.interactive import how_to_watch
from tests.support.template import ROOT


def test_the_printed_commands_fit_into_60_columns(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", ["/somewhere/pytest"])
    lines = how_to_watch(day_of_three_shops(1).begin(), "http://127.0.0.1:40000").splitlines()
    assert "export TRACKSTAR_ACCESS_TOKEN_conn_alpine=token-of-conn_alpine" in lines
    begin = lines.index("orderwatch up --every 5 \\")
    assert lines[begin + 1 : begin + 3] == [
        "  --trackstar-url http://127.0.0.1:40000 \\",
        "  --connection conn_alpine --name 'Alpine Outdoor'",
    ]
    assert [line for line in lines if len(line) > 60 and not line.startswith("export ")] == []


def test_the_screen_in_the_readme_is_the_real_output() -> None:
    commands = ShopCommands(day_of_three_shops(1).begin())
    _, _, screen = (ROOT / "README.md").read_text().partition("```text\nshop> ")
    typed = [part.partition("\n") for part in screen.partition("```")[0].split("shop> ")]
    assert len(typed) == 2
    for command, _, answer in typed:
        assert commands.run(command) == answer.rstrip("\n")
