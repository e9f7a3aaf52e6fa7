"""`make smoke` on a local cloud: it passes, reports refused calls, and always removes what it created."""

import io
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from rich.console import Console

from orderwatch_local.cloud.account import Account
from orderwatch_local.cloud.local_cloud import LocalCloud
from orderwatch_local.smoke import day as smoke_day
from orderwatch_local.smoke.run import run_smoke
from tests.support.template import ROOT

pytestmark = pytest.mark.slow
SMOKE = [sys.executable, "-m", "orderwatch_local.smoke.run"]


@pytest.fixture(scope="module")
def cloud() -> Iterator[LocalCloud]:
    """A separate cloud, so that every resource on it belongs to this test."""
    with LocalCloud() as running:
        yield running


def what_is_there(cloud: LocalCloud) -> set[str]:
    """The names of all resources that a run creates."""
    stacks = cloud.client("cloudformation").describe_stacks()["Stacks"]
    return {
        *(stack["StackName"] for stack in stacks if stack["StackStatus"] != "DELETE_COMPLETE"),
        *cloud.client("dynamodb").list_tables()["TableNames"],
        *cloud.client("sqs").list_queues().get("QueueUrls", []),
        *(topic["TopicArn"] for topic in cloud.client("sns").list_topics()["Topics"]),
        *(each["SubscriptionArn"] for each in cloud.client("sns").list_subscriptions()["Subscriptions"]),
        *(parameter["Name"] for parameter in cloud.client("ssm").describe_parameters()["Parameters"]),
        *(group["logGroupName"] for group in cloud.client("logs").describe_log_groups()["logGroups"]),
        *(function["FunctionName"] for function in cloud.client("lambda").list_functions()["Functions"]),
        *(layer["LayerName"] for layer in cloud.client("lambda").list_layers()["Layers"]),
        *(schedule["Name"] for schedule in cloud.client("scheduler").list_schedules()["Schedules"]),
        *(bucket["Name"] for bucket in cloud.client("s3").list_buckets()["Buckets"]),
    }


def start(cloud: LocalCloud) -> "subprocess.Popen[str]":
    environment = {**os.environ, **cloud.environment()}
    return subprocess.Popen(
        SMOKE, env=environment, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )


def test_smoke_delivers_every_alert_and_deletes_everything(cloud: LocalCloud) -> None:
    with start(cloud) as smoke:
        assert smoke.stdout
        shown = smoke.stdout.read()
    assert smoke.returncode == 0, shown
    assert "│ alerts delivered             │ 38 in" in shown
    assert "Every expected alert was delivered exactly once." in shown
    assert re.search(r"^attribute filters work: [1-9]\d* messages? \(order.exception\)", shown, re.MULTILINE)
    assert re.search(r"^body filters work: [1-9]\d* messages? \(order.exception\)", shown, re.MULTILINE)
    assert what_is_there(cloud) == set()


def test_ctrl_c_deletes_everything(cloud: LocalCloud) -> None:
    with start(cloud) as smoke:
        assert smoke.stdout
        shown = next(line for line in smoke.stdout if "-shop: " in line)
        there = what_is_there(cloud)
        smoke.send_signal(signal.SIGINT)
        shown += smoke.stdout.read()
    assert smoke.returncode == 130, shown
    assert any(name.endswith("-shop") for name in there)
    assert what_is_there(cloud) == set(), shown


def test_refusals_of_the_account_are_shown(cloud: LocalCloud, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        smoke_day, "template_for_emulator", lambda template: template
    )  # the emulator knows no metric math
    out = io.StringIO()
    with Account(tmp_path, endpoint_url=cloud.endpoint) as account:
        assert not run_smoke(Console(file=out, width=200), account, "orderwatch-smoke-refused")
    assert re.search(r"refused: \w+Alarm: ", out.getvalue())
    assert what_is_there(cloud) == set(), out.getvalue()
