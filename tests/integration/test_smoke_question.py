"""`make smoke` asks before it touches an account."""

import boto3
import pytest
from rich.console import Console
from typer.testing import CliRunner

from orderwatch_local.cloud.account import Account
from orderwatch_local.smoke import run as smoke


@pytest.mark.parametrize("answer", ["n\n", "\n", ""])
def test_nothing_is_created_without_confirmation(answer: str) -> None:
    result = CliRunner().invoke(smoke.app, [], input=answer)
    assert result.exit_code == 1
    assert "Account 123456789012, region us-east-1: create the stacks orderwatch-smoke-" in result.output
    assert "[y/N]" in result.output
    assert boto3.client("s3").list_buckets()["Buckets"] == []


def test_with_yes_it_does_not_ask(monkeypatch: pytest.MonkeyPatch) -> None:
    names: list[str] = []

    def ran(console: Console, account: Account, name: str) -> bool:
        names.append(name)
        return True

    monkeypatch.setattr(smoke, "run_smoke", ran)
    result = CliRunner().invoke(smoke.app, ["--yes"])
    assert (result.exit_code, result.output) == (0, "")
    assert len(names) == 1
