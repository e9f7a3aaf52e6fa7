"""The documented cost equals the measured one."""

from tests.benchmarks.cost import BEGIN, END, table
from tests.support.template import ROOT


def test_the_documented_cost_matches_a_simulated_day() -> None:
    document = (ROOT / "docs/operations.md").read_text(encoding="utf-8")
    assert f"{BEGIN}\n{table()}\n{END}" in document
