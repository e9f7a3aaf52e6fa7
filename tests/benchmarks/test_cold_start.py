"""The cold-start benchmark can start every function."""

import pytest

from orderwatch import settings
from orderwatch.settings import read_settings
from tests.benchmarks.cold_start import ENVIRONMENT, FUNCTIONS
from tests.support.template import ROOT


def test_every_function_is_started() -> None:
    assert {each.name for each in FUNCTIONS} == {path.parent.name for path in ROOT.glob("functions/*/app.py")}


@pytest.mark.parametrize("function", [each.name for each in FUNCTIONS])
def test_a_function_finds_its_whole_environment(function: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in ENVIRONMENT.items():
        monkeypatch.setenv(name, value)
    assert read_settings(getattr(settings, f"{function.title().replace('_', '')}Settings"))
