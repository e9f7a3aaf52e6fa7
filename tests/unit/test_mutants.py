"""The operators of `make mutants`: what each changes, and what they leave alone."""

from pathlib import Path

import pytest

from tests.mutants.operators import mutants_of, sample
from tests.support.template import ROOT

LAYER = ROOT / "layers/orderwatch/python"


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("a < b", ["(a <= b)"]),
        ("a is not None", ["(a is None)"]),
        ("a and b or c", ["(a or b) or c", "((a and b) and c)"]),
        ("x = not a", ["x = (a)"]),
        ("x = a if b else c", ["x = a if (not (b)) else c"]),
        ("x = True", ["x = False"]),
        ("x = 3", ["x = 4", "x = (2)"]),
        ("x = min(a, b)", ["x = (max(a, b))"]),
        ("def f(): return a", ["def f(): return None"]),
        ("a.add(b)", ["pass"]),
        ("é = a == b", ["é = (a != b)"]),
        ('"""Words."""', []),
        ("logger.info(f())", []),
        ("def f(a: Annotated[int, 3]) -> None: ...", []),
    ],
)
def test_what_an_operator_changes(source: str, expected: list[str]) -> None:
    mutants = mutants_of(Path("module.py"), source.encode())
    assert [mutant.applied_to(source.encode()).decode() for mutant in mutants] == expected


def test_a_mutant_runs_the_tests_of_its_lines() -> None:
    source = b"LIMIT = 1\ndef f():\n    if a < b:\n        return 2\n"
    lines = {mutant.operator: mutant.lines for mutant in mutants_of(Path("module.py"), source)}
    assert lines["comparison"] == (3, 3)
    assert lines["return None"] == (4, 4)


def test_the_same_seed_gives_the_same_mutants_that_compile() -> None:
    mutants = sample(LAYER, count=30, seed=3, modules=["deadlines"])
    assert mutants == sample(LAYER, count=30, seed=3, modules=["deadlines"])
    for mutant in mutants:
        compile(mutant.applied_to((LAYER / mutant.module).read_bytes()), mutant.module, "exec")
