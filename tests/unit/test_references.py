"""Citations in code, tests and docs resolve: rules, their tests and mutations, decisions, facts about the vendor."""

import re
from collections.abc import Iterator

import pytest

from tests.support.template import ROOT

RULES = (ROOT / "docs/rules.md").read_text()
FOLDERS = ("layers", "functions", "cli", "local", "tests", "bench", "docs")
FILES = [
    *(path for folder in FOLDERS for kind in ("*.py", "*.md") for path in (ROOT / folder).rglob(kind)),
    *ROOT.glob("*.md"),
    ROOT / "template.yaml",
    ROOT / "Makefile",
]
TEXTS = {path.relative_to(ROOT).as_posix(): path.read_text() for path in FILES}
CITED = re.compile(r"\brules?\s+(\d+(?:(?:,\s+|\s+and\s+|\s+to\s+)\d+)*)")
SECTIONS = {
    int(number): text for number, text in re.findall(r"^### (\d+)\. (.*?)(?=^##|\Z)", RULES, re.MULTILINE | re.DOTALL)
}
DECISIONS = ROOT / "docs/decisions"


def cited_in(text: str) -> Iterator[int]:
    """The rules that a text cites, such as "rules 4, 5 and 7 to 9", including those within a range."""
    for words in CITED.findall(text):
        for first, last in re.findall(r"(\d+)(?:\s+to\s+(\d+))?", words):
            yield from range(int(first), int(last or first) + 1)


def listed(section: str, label: str) -> list[str]:
    """The quoted names after `- Label:` in the section of a rule."""
    [entry] = re.findall(rf"^- {label}: (.*?)(?=^- |^\s*$|\Z)", section, re.MULTILINE | re.DOTALL) or [""]
    return re.findall(r"`([^`]+)`", entry)


def test_every_cited_rule_exists() -> None:
    assert {name: each for name, text in TEXTS.items() for each in cited_in(text) if each not in SECTIONS} == {}


@pytest.mark.parametrize("number", SECTIONS)
def test_every_rule_has_a_reason_and_tests_that_exist(number: int) -> None:
    assert re.search(r"^- Why: .{20}", SECTIONS[number], re.MULTILINE)
    tests = listed(SECTIONS[number], "Tests")
    assert tests
    assert [name for name in tests if not (ROOT / name).is_file()] == []


def test_every_mutation_of_a_rule_exists() -> None:
    mutations = [name for text in SECTIONS.values() for name in listed(text, "Mutations")]
    source = "\n".join(text for name, text in TEXTS.items() if re.fullmatch(r"tests/simulation/.*mutations\.py", name))
    assert mutations
    assert [name for name in mutations if not re.search(rf"^def {name}\(", source, re.MULTILINE)] == []


def test_every_cited_fact_about_the_vendor_is_documented() -> None:
    cited = {anchor for text in TEXTS.values() for anchor in re.findall(r"docs/trackstar\.md#([\w-]+)", text)}
    headings = re.findall(r"^## (.+)$", (ROOT / "docs/trackstar.md").read_text(), re.MULTILINE)
    assert cited
    assert cited <= {heading.lower().replace(" ", "-") for heading in headings}


def test_every_decision_is_in_the_index_and_every_cited_one_exists() -> None:
    decisions = {path.name for path in DECISIONS.glob("*.md")} - {"README.md"}
    assert set(re.findall(r"\]\(([\w-]+\.md)\)", (DECISIONS / "README.md").read_text())) == decisions
    cited = {name for text in TEXTS.values() for name in re.findall(r"docs/decisions/([\w-]+\.md)", text)}
    assert cited <= decisions | {"README.md"}
