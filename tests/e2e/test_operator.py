"""The operator's commands against the deployed template, whose functions are really invoked."""

import json
import os
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from orderwatch.aws.alert_table import AlertTable
from orderwatch_cli.stack import Outputs
from orderwatch_local.cloud.local_cloud import LocalCloud
from orderwatch_local.simulator import Shop, Trackstar, VirtualClock
from tests.e2e.conftest import SlackChannel
from tests.support.alerts import alert_of
from tests.support.clocks import set_back

ORDERWATCH = Path(sys.executable).with_name("orderwatch")
WITHIN = 30.0
"""Seconds for what takes less than two: a wide bound, so that a fault fails the test instead of hanging it."""


@dataclass
class Operator:
    """An operator at a terminal, with a shop of their own."""

    cloud: LocalCloud
    outputs: Outputs
    clock: VirtualClock
    shop: Shop

    def run(self, *arguments: str, stdin: str = "") -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [ORDERWATCH, *arguments, "--endpoint-url", self.cloud.endpoint],
            env={name: value for name, value in os.environ.items() if not name.startswith("AWS_")},
            input=stdin,
            text=True,
            capture_output=True,
            timeout=60,
            check=False,
        )

    def json(self, *arguments: str) -> Any:
        done = self.run(*arguments, "--json")
        assert (done.returncode, done.stderr) == (0, "")
        return json.loads(done.stdout)

    def findings(self) -> Any:
        """The findings, whatever the exit code."""
        return json.loads(self.run("doctor", "--json").stdout)["findings"]

    def poll(self) -> None:
        """Poll until everything up to now is read."""
        assert self.run("poll", self.shop.connection_id).returncode == 0
        self.wait_for("shops", lambda shop: shop["data_as_of"] and seconds(shop["data_as_of"]) >= self.clock.now())

    def wait_for(self, command: str, holds: Any) -> dict[str, Any]:
        """Return the row of this shop as soon as the condition holds."""
        deadline = time.monotonic() + WITHIN
        while True:
            rows = [row for row in self.json(command) if row["connection_id"] == self.shop.connection_id]
            if found := next((row for row in rows if holds(row)), None):
                return dict(found)
            assert time.monotonic() < deadline, rows


def seconds(moment: str) -> datetime:
    return datetime.fromisoformat(moment)


@pytest.fixture
def operator(cloud: LocalCloud, deployed: Outputs, trackstar: Trackstar, clock: VirtualClock) -> Iterator[Operator]:
    connection_id = f"conn_{uuid.uuid4().hex[:8]}"
    shop = Shop(connection_id, access_token=f"token-{connection_id}", clock=clock)
    trackstar.connect(shop)
    yield Operator(cloud, deployed, clock, shop)
    cloud.client("ssm").delete_parameters(Names=[f"/orderwatch/connections/{connection_id}/access-token"])
    trackstar.disconnect(connection_id)


def test_shop_is_connected_polled_listed_and_disconnected(operator: Operator) -> None:
    shop, clock = operator.shop, operator.clock
    shop.place({"id": "o1", "order_number": "#1", "status": "open", "total_price": 20, "invoice_currency_code": "EUR"})
    shop.sync()
    connected = operator.run("connect", shop.connection_id, "--name", "Bazaar", stdin=shop.access_token)
    assert (connected.returncode, connected.stderr) == (0, "")
    assert shop.access_token not in connected.stdout
    operator.poll()

    clock.advance(timedelta(hours=1))
    shop.move("o1", "exception")
    shop.sync()
    operator.poll()

    order = operator.wait_for("orders", lambda order: order["order_number"] == "#1")
    assert (order["shop"], order["status"], order["total_price"]) == ("Bazaar", "exception", 20.0)
    alert = operator.wait_for("alerts", lambda alert: alert["kind"] == "order.exception" and alert["state"] == "sent")
    assert alert["alert_id"] == order["alert_id"]
    row = operator.wait_for("shops", lambda row: row["needs_attention"] == 1)
    assert (row["name"], row["health"], row["is_baseline_done"]) == ("Bazaar", "healthy", True)

    summary = operator.json("summary")["summary"]
    assert (summary["total"]["needs_attention"], summary["total"]["value_by_currency"]) == (1, {"EUR": 20.0}), summary
    printed = operator.run("summary", "--send").stdout
    assert "Do: begin with #1 at Bazaar: in exception." in printed
    assert [each["shop"] for each in operator.json("alerts", "--kind", "summary.daily")] == ["All shops"]

    assert operator.run("disconnect", shop.connection_id, "--yes").returncode == 0
    assert operator.run("poll", shop.connection_id).returncode == 1


def test_redrive_sends_overdue_alerts_only(operator: Operator) -> None:
    dynamodb = operator.cloud.client("dynamodb")
    connection_id = operator.shop.connection_id
    assert operator.run("connect", connection_id, stdin=operator.shop.access_token).returncode == 0
    source = operator.cloud.client("lambda").list_event_source_mappings(
        FunctionName=operator.outputs.publish_alerts_function_name
    )["EventSourceMappings"][0]["UUID"]
    # Without the stream, pending alerts stay pending.
    operator.cloud.client("lambda").update_event_source_mapping(UUID=source, Enabled=False)
    try:
        for order_id, age in (("o-old", timedelta(hours=1)), ("o-young", timedelta())):
            table = AlertTable(dynamodb, operator.outputs.alert_table_name)
            with set_back(age):
                action: Any = table.put_action(alert_of(order_id, connection_id=connection_id))
            dynamodb.transact_write_items(TransactItems=[action])
        doctor = operator.run("doctor")
        assert doctor.returncode == 1
        assert "FAIL  pending alerts: 1 alert pending for more than 15 min" in doctor.stdout
        assert "FAIL  PublishAlertsFunctionAlertStream: disabled" in doctor.stdout
        assert f" lambda update-event-source-mapping --uuid {source} --enabled" in doctor.stdout

        done = operator.json("redrive")
        assert (done["sent"], done["unsent"]) == (1, 0)
        # The recent one, and the alert about the unconfirmed e-mail address if it was not raised before.
        assert done["still_pending"] == sum(alert["state"] == "pending" for alert in operator.json("alerts")) >= 1
        states = {alert["order_number"]: alert["state"] for alert in operator.json("alerts", "--shop", connection_id)}
        assert states == {"o-old": "sent", "o-young": "pending"}
    finally:
        operator.cloud.client("lambda").update_event_source_mapping(UUID=source, Enabled=True)
    assert "ok    pending alerts" in operator.run("doctor").stdout


def test_remedy_runs_as_it_is_printed(operator: Operator) -> None:
    connection_id = operator.shop.connection_id
    name = f"/orderwatch/connections/{connection_id}/name"
    operator.cloud.client("ssm").put_parameter(Name=name, Value="Bazaar", Type="String", Overwrite=True)
    try:
        findings = operator.findings()
        [remedy] = [each["command"] for each in findings if each["subject"] == f"{connection_id} token"]
        done = subprocess.run(
            ["sh", "-c", remedy], input=operator.shop.access_token, text=True, capture_output=True, check=False
        )
        assert (done.returncode, done.stderr) == (0, "")
        assert f"connected {connection_id}" in done.stdout
    finally:
        operator.cloud.client("ssm").delete_parameter(Name=name)


def test_logs_follow_an_alert_from_the_poll_to_slack(operator: Operator) -> None:
    shop = operator.shop
    shop.place({"id": "o1", "order_number": "#1", "status": "open"})
    shop.sync()
    assert operator.run("connect", shop.connection_id, stdin=shop.access_token).returncode == 0
    operator.poll()
    alert = operator.wait_for("alerts", lambda alert: alert["kind"] == "watch.started" and alert["state"] == "sent")
    deadline = time.monotonic() + WITHIN
    functions = {"poll-orders", "publish-alerts", "post-to-slack"}
    while (found := {line["function"] for line in operator.json("logs", "--alert", alert["alert_id"])}) != functions:
        assert time.monotonic() < deadline, found
        time.sleep(0.2)


def test_test_alert_arrives_in_every_channel(operator: Operator, slack_channel: SlackChannel) -> None:
    queue_url = operator.cloud.subscribe_queue(operator.outputs.alert_topic_arn, filter_policy={"currency": ["USD"]})
    sent = operator.json("test-alert")
    assert {"currency": ["USD"]} in [each["filter_policy"] for each in sent["subscriptions"]]

    answer = operator.cloud.client("sqs").receive_message(QueueUrl=queue_url, WaitTimeSeconds=10)
    [message] = answer["Messages"]
    assert json.loads(message["Body"])["alert_id"] == sent["alert_id"]
    deadline = time.monotonic() + WITHIN
    while not [each for each in slack_channel.messages if "TEST" in each["text"]]:
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_missing_stack_is_one_line_for_every_command(operator: Operator) -> None:
    for command in ("shops", "orders", "alerts", "logs", "poll", "redrive", "summary", "test-alert"):
        done = operator.run(command, "--stack-name", "no-such-stack")
        assert (done.returncode, done.stdout) == (1, "")
        assert done.stderr.count("\n") == 1
        assert "no stack no-such-stack" in done.stderr
