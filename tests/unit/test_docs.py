"""The docs match the project: parameters, outputs, alarms, commands, links and paths."""

import re
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml

from orderwatch_local.cloud import for_sam
from tests.support.template import ROOT, load_template

TEMPLATE = load_template()
RESOURCES: dict[str, Any] = TEMPLATE["Resources"]
PARAMETERS: dict[str, Any] = TEMPLATE["Parameters"]
PAGES = [*sorted(ROOT.glob("*.md")), *sorted((ROOT / "docs").rglob("*.md"))]
OPERATIONS = (ROOT / "docs/operations.md").read_text()
TEXTS = {page: page.read_text() for page in PAGES}
SAM_SETTINGS = tomllib.loads((ROOT / "samconfig.toml").read_text())
TEXT = "\n".join(TEXTS.values())


def name_of(page: Path) -> str:
    return page.relative_to(ROOT).as_posix()


def rows(text: str, heading: str) -> list[list[str]]:
    """The rows of the tables whose first column has this heading, cells stripped."""
    found = []
    for table in re.findall(rf"^\| {heading} \|.*\n\|[- |]+\|\n((?:\|.*\n)+)", text, re.MULTILINE):
        found += [[cell.strip() for cell in line.strip("|").split(" | ")] for line in table.splitlines()]
    return found


def quoted(cell: str) -> list[str]:
    return re.findall(r"`([^`]+)`", cell)


DOCUMENTED = {name: row for row in rows(TEXT, "parameter") for name in quoted(row[0])}


# The template


def test_every_parameter_is_documented() -> None:
    documented = {name for name in PARAMETERS if re.search(rf"\b{name}\b", TEXT)}
    assert documented == PARAMETERS.keys()


def test_every_documented_parameter_exists() -> None:
    assert DOCUMENTED.keys() <= PARAMETERS.keys()
    assert len(DOCUMENTED) > 10


@pytest.mark.parametrize("name", DOCUMENTED)
def test_a_documented_default_is_the_default_of_the_template(name: str) -> None:
    documented = quoted(DOCUMENTED[name][1])
    if documented:
        assert documented[0] == str(PARAMETERS[name]["Default"])


def test_every_named_output_exists() -> None:
    named = set(re.findall(r"\b[A-Z]\w+(?:FunctionName|TableName|TopicArn|QueueUrl)\b", TEXT))
    assert named
    assert named <= TEMPLATE["Outputs"].keys()


def test_every_named_resource_exists() -> None:
    named = set(re.findall(r"\b[A-Z][A-Za-z]+(?:Queue|Table|Topic|Function)\b", TEXT))
    assert named >= {"PollDeadLetterQueue", "OrderTable", "OpsTopic", "PollOrdersFunction"}
    assert named <= RESOURCES.keys()


# Alarms


def alarms() -> set[str]:
    return {name for name, resource in RESOURCES.items() if resource["Type"] == "AWS::CloudWatch::Alarm"}


def test_the_table_of_alarms_is_complete() -> None:
    documented = [name for row in rows(OPERATIONS, "alarm") for name in quoted(row[0])]
    assert sorted(documented) == sorted(alarms())


def test_every_alarm_has_a_meaning_and_a_remedy() -> None:
    for row in rows(OPERATIONS, "alarm"):
        _, meaning, remedy = row
        assert len(meaning) > 20, row
        assert len(remedy) > 10, row


# Commands and files


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_every_link_resolves(page: Path) -> None:
    for target in re.findall(r"\]\(([^)\s]+)\)", TEXTS[page]):
        if "://" in target:
            continue
        path, _, anchor = target.partition("#")
        aim = (page.parent / path) if path else page
        assert aim.exists(), target
        if anchor:
            assert anchor in anchors(aim.read_text()), target


def anchors(text: str) -> set[str]:
    headings = re.findall(r"^#+ (.+)$", text, re.MULTILINE)
    return {re.sub(r"[^\w -]", "", heading).strip().lower().replace(" ", "-") for heading in headings}


def test_every_named_path_exists() -> None:
    named = set(re.findall(r"\b(?:events|cli|local|layers|functions|tests|docs)/[\w./-]+\w", TEXT))
    named |= set(re.findall(r"[`\s](samconfig\.toml|template\.yaml|\.ci/run)\b", TEXT))
    assert [path for path in sorted(named) if not (ROOT / path).exists()] == []


def test_contributing_lists_every_make_target() -> None:
    targets = set(re.findall(r"^([a-z-]+):.*## ", (ROOT / "Makefile").read_text(), re.MULTILINE))
    listed = {words.split()[1] for row in rows(TEXTS[ROOT / "CONTRIBUTING.md"], "target") for words in quoted(row[0])}
    assert listed | {"help", "setup"} == targets


def test_operations_invokes_every_function_with_its_event() -> None:
    invoked = dict(re.findall(r"sam local invoke (\w+) -e (\S+)", OPERATIONS))
    functions = {name for name, resource in RESOURCES.items() if resource["Type"] == "AWS::Serverless::Function"}
    assert invoked.keys() == functions
    for function, event in invoked.items():
        folder = RESOURCES[function]["Properties"]["CodeUri"].removeprefix("functions/").strip("/")
        assert Path(event).name.startswith(folder)
    assert {function: Path(event).name for function, event in invoked.items()} == for_sam.FUNCTIONS, (
        "as `up` prints them"
    )


def test_tracked_files_hold_no_deployment_parameters() -> None:
    deploys = [
        each["deploy"]["parameters"] for each in SAM_SETTINGS.values() if isinstance(each, dict) and "deploy" in each
    ]
    assert deploys
    assert [deploy for deploy in deploys if "parameter_overrides" in deploy] == []
    assert "samconfig.*.toml" in (ROOT / ".gitignore").read_text().splitlines()


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_no_page_saves_answers_of_sam_in_a_tracked_file(page: Path) -> None:
    guided = re.findall(r"^sam deploy --guided.*", TEXTS[page], re.MULTILINE)
    assert [command for command in guided if "--config-file samconfig.mine.toml" not in command] == []


def test_every_skipped_checkov_rule_has_a_reason() -> None:
    path = ROOT / "local/checkov.yaml"
    lines = [line for line in path.read_text().splitlines() if line.strip().startswith("- CKV")]
    assert len(lines) == len(yaml.safe_load(path.read_text())["skip-check"])
    assert all(len(line.partition(" # ")[2]) > 20 for line in lines)
