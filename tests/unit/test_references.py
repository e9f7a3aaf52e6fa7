"""What code, tests and docs cite exists: the numbered rules, the tests that hold them, vendor facts."""

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


def numbers_in(words: str) -> Iterator[int]:
    """The numbers of a citation such as "4, 5 and 7 to 9", those within a range too."""
    for first, last in re.findall(r"(\d+)(?:\s+to\s+(\d+))?", words):
        yield from range(int(first), int(last or first) + 1)


def cited_in(text: str) -> set[int]:
    return {number for words in CITED.findall(text) for number in numbers_in(words)}


def anchors(text: str) -> set[str]:
    return {heading.lower().replace(" ", "-") for heading in re.findall(r"^## (.+)$", text, re.MULTILINE)}


SECTIONS = {
    int(number): text for number, text in re.findall(r"^### (\d+)\. (.*?)(?=^##|\Z)", RULES, re.MULTILINE | re.DOTALL)
}
NAMED_TESTS = [
    (number, name)
    for number, text in SECTIONS.items()
    for name in re.findall(r"`(tests/[^`]+)`", text.split("Tests:")[-1])
]


def test_a_citation_names_all_its_rules() -> None:
    assert cited_in("rule 1, rules 2 and 3, (rules 5 to\n7), rules 9, 10 and 12") == {1, 2, 3, 5, 6, 7, 9, 10, 12}


def test_every_rule_that_is_cited_exists() -> None:
    cited = {path.relative_to(ROOT).as_posix(): cited_in(path.read_text()) for path in FILES if path != THIS_FILE}
    assert {name: unknown for name, numbers in cited.items() if (unknown := numbers - SECTIONS.keys())} == {}


def test_a_rule_has_its_reason_and_a_test() -> None:
    held = {number for number, _ in NAMED_TESTS}
    assert held == SECTIONS.keys()
    assert all(re.search(r"^- Why: .{20}", text, re.MULTILINE) for text in SECTIONS.values())


@pytest.mark.parametrize(("number", "name"), NAMED_TESTS)
def test_a_test_that_holds_a_rule_exists(number: int, name: str) -> None:
    path, _, function = name.partition("::")
    assert (ROOT / path).is_file()
    assert not function or f"def {function}(" in (ROOT / path).read_text()


def test_the_glossary_is_sorted_and_explains_a_term_once() -> None:
    terms = re.findall(r"^\| ([a-z ]+) \| ", RULES.split("## Glossary")[1], re.MULTILINE)[1:]
    assert len(terms) >= 20
    assert terms == sorted(set(terms))


def test_cited_vendor_facts_are_documented() -> None:
    cited = {anchor for path in FILES if path.suffix == ".py" for anchor in VENDOR.findall(path.read_text())}
    assert cited
    assert cited <= anchors((ROOT / "docs/trackstar.md").read_text())
