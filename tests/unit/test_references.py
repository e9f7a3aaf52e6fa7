"""Citations in code, tests and docs resolve: rules, their tests and mutations, facts about the vendor."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.template import ROOT

RULES = (ROOT / "docs/rules.md").read_text()
FOLDERS = ("layers", "functions", "cli", "local", "tests", "docs")
FILES = [
    *sorted(path for folder in FOLDERS for kind in ("*.py", "*.md") for path in (ROOT / folder).rglob(kind)),
    *sorted(ROOT.glob("*.md")),
    ROOT / "template.yaml",
    ROOT / "Makefile",
]
CITED = re.compile(r"\brules?\s+(\d+(?:(?:,\s+|\s+and\s+|\s+to\s+)\d+)*)")
THIS_FILE = Path(__file__)
VENDOR = re.compile(r"docs/trackstar\.md#([\w-]+)")
DECISION = re.compile(r"docs/decisions/([\w-]+\.md)")


def numbers_in(words: str) -> Iterator[int]:
    """The numbers of a citation such as "4, 5 and 7 to 9", including those within a range."""
    for first, last in re.findall(r"(\d+)(?:\s+to\s+(\d+))?", words):
        yield from range(int(first), int(last or first) + 1)


def cited_in(text: str) -> set[int]:
    return {number for words in CITED.findall(text) for number in numbers_in(words)}


def anchors(text: str) -> set[str]:
    return {heading.lower().replace(" ", "-") for heading in re.findall(r"^## (.+)$", text, re.MULTILINE)}


def listed(section: str, label: str) -> list[str]:
    """The quoted names after `- Label:` in the section of a rule."""
    [entry] = re.findall(rf"^- {label}: (.*?)(?=^- |^\s*$|\Z)", section, re.MULTILINE | re.DOTALL) or [""]
    return re.findall(r"`([^`]+)`", entry)


SECTIONS = {
    int(number): text for number, text in re.findall(r"^### (\d+)\. (.*?)(?=^##|\Z)", RULES, re.MULTILINE | re.DOTALL)
}
NAMED_TESTS = [(number, name) for number, text in SECTIONS.items() for name in listed(text, "Tests")]
NAMED_MUTATIONS = [(number, name) for number, text in SECTIONS.items() for name in listed(text, "Mutations")]
MUTATIONS = {
    name
    for path in (ROOT / "tests/simulation").glob("*mutations.py")
    for name in re.findall(r"^def ([a-z]\w+)\(patch", path.read_text(), re.MULTILINE)
}


def test_a_citation_includes_every_number() -> None:
    assert cited_in("rule 1, rules 2 and 3, (rules 5 to\n7), rules 9, 10 and 12") == {1, 2, 3, 5, 6, 7, 9, 10, 12}


def test_every_cited_rule_exists() -> None:
    cited = {path.relative_to(ROOT).as_posix(): cited_in(path.read_text()) for path in FILES if path != THIS_FILE}
    assert {name: unknown for name, numbers in cited.items() if (unknown := numbers - SECTIONS.keys())} == {}


def test_every_rule_has_a_reason_and_a_test() -> None:
    assert {number for number, _ in NAMED_TESTS} == SECTIONS.keys()
    assert all(re.search(r"^- Why: .{20}", text, re.MULTILINE) for text in SECTIONS.values())


@pytest.mark.parametrize(("number", "name"), NAMED_TESTS)
def test_the_test_of_a_rule_exists(number: int, name: str) -> None:
    assert (ROOT / name).is_file()


def test_every_mutation_of_a_rule_exists() -> None:
    assert NAMED_MUTATIONS
    assert [(number, name) for number, name in NAMED_MUTATIONS if name not in MUTATIONS] == []


def test_glossary_terms_are_unique_and_sorted() -> None:
    terms = re.findall(r"^\| ([a-z ]+) \| ", RULES.split("## Glossary")[1], re.MULTILINE)[1:]
    assert len(terms) >= 5
    assert terms == sorted(set(terms))


def test_every_cited_fact_about_the_vendor_is_documented() -> None:
    cited = {anchor for path in FILES if path.suffix == ".py" for anchor in VENDOR.findall(path.read_text())}
    assert cited
    assert cited <= anchors((ROOT / "docs/trackstar.md").read_text())


def test_every_cited_decision_exists() -> None:
    folder = ROOT / "docs/decisions"
    cited = {name for path in FILES for name in DECISION.findall(path.read_text())}
    assert {name for name in cited if not (folder / name).is_file()} == set()


def test_the_index_lists_every_decision() -> None:
    folder = ROOT / "docs/decisions"
    indexed = set(re.findall(r"\]\(([\w-]+\.md)\)", (folder / "README.md").read_text()))
    assert indexed == {path.name for path in folder.glob("*.md")} - {"README.md"}
