"""The simulation bites: each rule that is broken on purpose is found within a few seeds."""

import pytest

from tests.simulation import deadline_breakages, summary_breakages
from tests.simulation.breakages import BREAKAGES
from tests.simulation.oracle import Violation
from tests.simulation.world import run

WITHIN = 200


def _found(seed: int) -> Violation | None:
    try:
        run(seed)
    except Violation as violation:
        return violation
    return None


ALL = BREAKAGES | deadline_breakages.BREAKAGES | summary_breakages.BREAKAGES


@pytest.mark.parametrize("name", ALL)
def test_a_broken_rule_is_found(name: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    ALL[name](monkeypatch)
    for seed in range(WITHIN):
        if violation := _found(seed):
            with capsys.disabled():
                print(f"\n{name}: found by seed {seed}: {str(violation)[:120]}")  # noqa: T201 - asked for
            return
    pytest.fail(f"{name} was not found by {WITHIN} seeds")
