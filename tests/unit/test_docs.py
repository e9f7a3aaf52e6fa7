"""The docs match the project: parameters, outputs, alarms, cost, links and paths."""

import json
import re
import tomllib
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

import pytest
import yaml

from bench.cost import BEGIN, END, table
from orderwatch_cli.stack import STACK_NAME
from orderwatch_local.cloud import for_sam
from tests.support.doc_commands import PAGES
from tests.support.template import ROOT, load_template, of_type

TEMPLATE = load_template()
RESOURCES: dict[str, Any] = TEMPLATE["Resources"]
PARAMETERS: dict[str, Any] = TEMPLATE["Parameters"]
FUNCTIONS = of_type("AWS::Serverless::Function")
TEXTS = {page: page.read_text() for page in PAGES}
TEXT = "\n".join(TEXTS.values())
OPERATIONS = TEXTS[ROOT / "docs/operations.md"]


def rows(text: str, heading: str) -> list[list[str]]:
    """The rows of the tables whose first column has this heading, cells stripped."""
    found = []
    for lines in re.findall(rf"^\| {heading} \|.*\n\|[- |]+\|\n((?:\|.*\n)+)", text, re.MULTILINE):
        found += [[cell.strip() for cell in line.strip("|").split(" | ")] for line in lines.splitlines()]
    return found


def quoted(cell: str) -> list[str]:
    return re.findall(r"`([^`]+)`", cell)


# The template


def test_every_parameter_is_documented_with_its_default() -> None:
    documented = {name: row[1] for row in rows(TEXT, "parameter") for name in quoted(row[0])}
    assert documented.pop("TrackstarBaseUrl") == "the vendor's"
    defaults = {name: (quoted(default) or [""])[0] for name, default in documented.items()}
    assert defaults == {name: str(each["Default"]) for name, each in PARAMETERS.items() if name in defaults}
    assert defaults.keys() == PARAMETERS.keys() - {"TrackstarBaseUrl"}


def test_every_named_output_and_resource_exists() -> None:
    outputs = set(re.findall(r"\b[A-Z]\w+(?:FunctionName|TableName|TopicArn|QueueUrl)\b", TEXT))
    assert outputs <= TEMPLATE["Outputs"].keys()
    resources = set(re.findall(r"\b[A-Z][A-Za-z]+(?:Queue|Table|Topic|Function)\b", TEXT))
    assert resources <= RESOURCES.keys()
    assert resources


def test_every_alarm_has_a_meaning_and_a_remedy() -> None:
    alarms = rows(OPERATIONS, "alarm")
    assert sorted(name for row in alarms for name in quoted(row[0])) == sorted(of_type("AWS::CloudWatch::Alarm"))
    assert [row for row in alarms if len(row) != 3 or len(row[1]) < 20 or len(row[2]) < 10] == []


@pytest.mark.slow
def test_the_documented_cost_is_that_of_a_simulated_day() -> None:
    assert f"{BEGIN}\n{table()}\n{END}" in OPERATIONS, "run `make cost`"


def test_operations_invokes_every_function_with_its_event() -> None:
    invoked = dict(re.findall(r"sam local invoke (\w+) -e (\S+)", OPERATIONS))
    assert invoked.keys() == FUNCTIONS.keys()
    for function, event in invoked.items():
        folder = FUNCTIONS[function]["CodeUri"].removeprefix("functions/").strip("/")
        assert Path(event).name.startswith(folder)
    assert {function: Path(event).name for function, event in invoked.items()} == for_sam.FUNCTIONS, (
        "as `up` prints them"
    )


def test_the_documented_key_policy_is_for_the_services_that_need_it() -> None:
    [text] = re.findall(r"^```json\n(.*?\"kms:\*\".*?)^```", OPERATIONS, re.MULTILINE | re.DOTALL)
    statements = {each["Sid"]: each for each in json.loads(text)["Statement"]}
    services = {each["Principal"].get("Service") for each in statements.values()}
    # Those that act for no principal of the account; functions and schedules have roles.
    assert services == {None, "cloudwatch.amazonaws.com", "sns.amazonaws.com", "logs.REGION.amazonaws.com"}
    [logs] = statements["Logs"]["Condition"]["ArnLike"].values()
    for group in of_type("AWS::Logs::LogGroup").values():
        name = group["LogGroupName"]["Fn::Sub"].replace("${AWS::StackName}", STACK_NAME)
        assert fnmatch(f"arn:aws:logs:REGION:ACCOUNT:log-group:{name}", logs)


# Links, files and targets


def anchors(text: str) -> set[str]:
    headings = re.findall(r"^#+ (.+)$", text, re.MULTILINE)
    return {re.sub(r"[^\w -]", "", heading).strip().lower().replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_every_link_resolves(page: Path) -> None:
    for target in re.findall(r"\]\(([^)\s]+)\)", TEXTS[page]):
        if "://" not in target:
            path, _, anchor = target.partition("#")
            aim = (page.parent / path) if path else page
            assert aim.exists(), target
            assert not anchor or anchor in anchors(aim.read_text()), target


def test_every_named_path_exists() -> None:
    named = set(re.findall(r"\b(?:bench|events|cli|local|layers|functions|integrations|tests|docs)/[\w./-]+\w", TEXT))
    named |= set(re.findall(r"[`\s](samconfig\.toml|template\.yaml|\.ci/run)\b", TEXT))
    assert [path for path in sorted(named) if not (ROOT / path).exists()] == []


def test_contributing_lists_every_make_target() -> None:
    targets = set(re.findall(r"^([a-z-]+):.*## ", (ROOT / "Makefile").read_text(), re.MULTILINE))
    listed = {words.split()[1] for row in rows(TEXTS[ROOT / "CONTRIBUTING.md"], "target") for words in quoted(row[0])}
    assert listed | {"help", "setup"} == targets


def test_no_tracked_file_holds_parameters_of_a_deployment() -> None:
    sam = tomllib.loads((ROOT / "samconfig.toml").read_text())
    deploys = [each["deploy"]["parameters"] for each in sam.values() if isinstance(each, dict) and "deploy" in each]
    assert [deploy for deploy in deploys if "parameter_overrides" in deploy] == []
    assert "samconfig.*.toml" in (ROOT / ".gitignore").read_text().splitlines()
    guided = re.findall(r"^sam deploy --guided.*", TEXT, re.MULTILINE)
    assert [command for command in guided if "--config-file samconfig.mine.toml" not in command] == []


def test_every_skipped_checkov_rule_has_a_reason() -> None:
    text = (ROOT / "local/checkov.yaml").read_text()
    reasons = dict(re.findall(r"^  - (CKV\w+) # (.{20,})$", text, re.MULTILINE))
    assert list(reasons) == yaml.safe_load(text)["skip-check"]
