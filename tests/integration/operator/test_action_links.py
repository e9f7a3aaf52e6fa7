"""`orderwatch action-links`: the key of the links in messages."""

import pytest

from orderwatch.aws.parameters import MIN_ACTION_KEY
from orderwatch_cli.stack import STACK_NAME
from tests.support.operated import Operated


def without_page(operated: Operated) -> None:
    """The stack is deployed without ActionLinks."""
    described = operated.session.cloudformation.stacks[STACK_NAME]
    described["Outputs"] = [each for each in described["Outputs"] if "HandleAction" not in each["OutputKey"]]


def test_the_key_is_made_once_replaced_and_deleted(operated: Operated) -> None:
    assert "there is no key" in operated.run("action-links").out
    made = operated.run("action-links", "enable")
    kind, key = operated.parameters()["action-links/key"]
    assert (kind, len(key) >= MIN_ACTION_KEY) == ("SecureString", True)
    assert "valid for 14 days" in made.out
    operated.run("action-links", "enable")
    assert operated.parameters()["action-links/key"][1] == key, "links that were sent keep working"
    rotated = operated.json("action-links", "rotate")
    assert operated.parameters()["action-links/key"][1] != key
    assert (rotated["has_key"], rotated["url"]) == (
        True,
        "https://handleactionfunctionurl.lambda-url.us-east-1.on.aws/",
    )
    assert key not in made.out + str(rotated)
    for _ in range(2):
        assert "there is no key" in operated.run("action-links", "disable").out
    assert "action-links/key" not in operated.parameters()


def test_a_missing_key_cannot_be_replaced(operated: Operated) -> None:
    assert "make one with: orderwatch action-links enable" in operated.run("action-links", "rotate").err


@pytest.mark.parametrize("command", [[], ["enable"]])
def test_without_the_parameter_the_command_says_how_to_deploy(operated: Operated, command: list[str]) -> None:
    operated.put_secret("action-links/key", "k" * 43)
    without_page(operated)
    assert "ActionLinks=true" in operated.run("action-links", *command).out
