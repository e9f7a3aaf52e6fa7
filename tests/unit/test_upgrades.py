"""An update of a stack that exists loses nothing and does not fail: the template is compared with the released one."""

import subprocess
from copy import deepcopy
from typing import Any

import pytest

from tests.support.template import ROOT, load_template, parse_template
from tests.support.upgrades import problems_of_an_upgrade

TEMPLATE = load_template()


def git(*arguments: str) -> str:
    """The output of git; empty if it fails, as outside of a checkout."""
    done = subprocess.run(["git", "-C", str(ROOT), *arguments], capture_output=True, text=True, check=False)
    return "" if done.returncode else done.stdout.strip()


def released() -> dict[str, Any]:
    """The template of the last tag; without a tag, what stacks that exist have."""
    if tag := git("describe", "--tags", "--abbrev=0", "--match", "v*"):
        return parse_template(git("show", f"{tag}:template.yaml"))
    return parse_template((ROOT / "tests/support/deployed.yaml").read_text())


def test_an_update_of_the_released_template_loses_nothing() -> None:
    assert problems_of_an_upgrade(released(), TEMPLATE) == []


def changed(**changes: Any) -> dict[str, Any]:
    """The template with other values at the paths, which have dots; None deletes."""
    template = deepcopy(TEMPLATE)
    for path, value in changes.items():
        *parents, last = path.split("__")
        place: Any = template
        for name in parents:
            place = place[name]
        if value is None:
            del place[last]
        else:
            place[last] = value
    return template


ALERTS = "Resources__AlertTable__Properties"
INDEXES = TEMPLATE["Resources"]["AlertTable"]["Properties"]["GlobalSecondaryIndexes"]
ANOTHER = {**INDEXES[0], "IndexName": "another"}


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"Resources__OrderTable": None}, "OrderTable: gone from the template"),
        ({"Resources__AlertTopic": None}, "AlertTopic: gone from the template"),
        ({"Resources__OrderTable__UpdateReplacePolicy": "Delete"}, "OrderTable: another UpdateReplacePolicy"),
        ({"Resources__SlackQueue__DeletionPolicy": None}, "SlackQueue: another DeletionPolicy"),
        ({f"{ALERTS}__TableName": "alerts"}, "AlertTable: another TableName replaces it"),
        ({f"{ALERTS}__KeySchema": []}, "AlertTable: another KeySchema replaces it"),
        (
            {f"{ALERTS}__StreamSpecification": {"StreamViewType": "KEYS_ONLY"}},
            "AlertTable: another StreamSpecification",
        ),
        ({f"{ALERTS}__GlobalSecondaryIndexes": [ANOTHER]}, "AlertTable: DynamoDB creates or deletes one index"),
        (
            {f"{ALERTS}__GlobalSecondaryIndexes": [{**INDEXES[0], "Projection": {}}, *INDEXES[1:]]},
            "AlertTable: index pending cannot change",
        ),
        ({"Resources__PollQueue__Properties__FifoQueue": None}, "PollQueue: another FifoQueue replaces it"),
        ({"Outputs__AlertTopicArn": None}, "output AlertTopicArn: gone"),
        ({"Parameters__New": {"Type": "String"}}, "parameter New: new, and without a default"),
    ],
)
def test_an_update_that_loses_something_is_found(changes: dict[str, Any], problem: str) -> None:
    [found] = problems_of_an_upgrade(TEMPLATE, changed(**changes))
    assert found.startswith(problem)


@pytest.mark.parametrize("indexes", [[*INDEXES, ANOTHER], INDEXES[:1], INDEXES])
def test_one_index_may_come_or_go(indexes: list[Any]) -> None:
    assert problems_of_an_upgrade(TEMPLATE, changed(**{f"{ALERTS}__GlobalSecondaryIndexes": indexes})) == []
