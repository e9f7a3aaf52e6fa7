"""An operator's day on the deployed template: the commands invoke the functions, and alerts arrive in every channel."""

import io
import json
import os
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from orderwatch.aws.alert_table import AlertTable
from orderwatch_cli.main import run
from orderwatch_cli.restored_copies import RestoredCopy
from orderwatch_cli.stack import Outputs
from orderwatch_local.cloud.local_cloud import LocalCloud
from orderwatch_local.simulator import Shop, Trackstar, VirtualClock
from tests.e2e.conftest import WITHIN
from tests.support.alerts import alert_of
from tests.support.clocks import InstantSleepClock, running_on, set_back
from tests.support.slack_channel import SlackChannel

ORDER = {
    "id": "o1",
    "order_number": "#1042",
    "status": "open",
    "total_price": 129.9,
    "invoice_currency_code": "EUR",
    "ship_to_address": {"full_name": "Ada Example", "email_address": "ada@shopper.example"},
    "line_items": [{"product_id": "p1", "product_sku": "LAMP-1", "quantity": 3, "unit_price": 43.3}],
}


@dataclass
class Operator:
    """An operator at a terminal, with a shop of their own and a queue that gets the shop's alerts."""

    cloud: LocalCloud
    outputs: Outputs
    clock: VirtualClock
    shop: Shop
    queue_url: str
    capture: pytest.CaptureFixture[str]

    def run(self, *arguments: str) -> tuple[object, str, str]:
        """Run a command: exit code, output and errors."""
        with pytest.raises(SystemExit) as left:
            run([*arguments, "--endpoint-url", self.cloud.endpoint])
        return (left.value.code, *self.capture.readouterr())

    def json(self, *arguments: str) -> Any:
        return json.loads(self.run(*arguments, "--json")[1])

    def sync_and_poll(self) -> None:
        """The vendor's next sync, an hour later, and a poll that reads everything up to then."""
        self.clock.advance(timedelta(hours=1))
        self.shop.sync()
        assert self.run("poll", self.shop.connection_id)[0] == 0
        now = f"{self.clock.now():%Y-%m-%dT%H:%M:%SZ}"
        self.wait_for(lambda: (self.own("shops")["data_as_of"] or "") >= now)

    def own(self, *command: str, **values: str) -> dict[str, Any]:
        """The first listed row of this shop with these values; empty if there is none."""
        wanted = {"connection_id": self.shop.connection_id, **values}
        return next((dict(row) for row in self.json(*command) if wanted.items() <= row.items()), {})

    def wait_for[T](self, find: Callable[[], T]) -> T:
        """Repeat until something is found, and return it."""
        deadline = time.monotonic() + WITHIN
        while not (found := find()):
            assert time.monotonic() < deadline
            time.sleep(0.1)
        return found

    def receive(self) -> dict[str, Any]:
        """The only alert in the queue."""
        sqs = self.cloud.client("sqs")
        request: Any = {"QueueUrl": self.queue_url, "MaxNumberOfMessages": 10, "WaitTimeSeconds": 1}
        [message] = self.wait_for(lambda: sqs.receive_message(**request).get("Messages"))
        sqs.delete_message(QueueUrl=self.queue_url, ReceiptHandle=message["ReceiptHandle"])
        return dict(json.loads(message["Body"]))


@pytest.fixture
def operator(
    cloud: LocalCloud,
    deployed: Outputs,
    trackstar: Trackstar,
    clock: VirtualClock,
    capsys: pytest.CaptureFixture[str],
) -> Iterator[Operator]:
    connection_id = f"conn_{uuid.uuid4().hex[:8]}"
    products = [{"id": "p1", "name": "Trail lamp", "sku": "LAMP-1", "inventory": 1}]
    shop = Shop(connection_id, access_token=f"token-{connection_id}", clock=clock, products=products)
    trackstar.connect(shop)
    queue_url = cloud.subscribe_queue(deployed.alert_topic_arn, filter_policy={"connection_id": [connection_id]})
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("sys.stdin", io.StringIO(shop.access_token))
        yield Operator(cloud, deployed, clock, shop, queue_url, capsys)
    cloud.client("ssm").delete_parameters(Names=[f"/orderwatch/connections/{connection_id}/access-token"])
    trackstar.disconnect(connection_id)


def test_an_order_is_alerted_in_every_channel_and_listed(operator: Operator, slack_channel: SlackChannel) -> None:
    shop = operator.shop
    shop.place(ORDER)
    shop.place(ORDER | {"id": "o2", "order_number": "#1043", "status": "exception"})
    code, connected, _ = operator.run("connect", shop.connection_id, "--name", "Bazaar")
    assert (code, shop.access_token in connected) == (0, False)
    operator.sync_and_poll()
    started = operator.receive()
    assert (started["kind"], started["detail"]) == (
        "watch.started",
        "Now watching 2 orders (1 in exception).",
    )

    shop.move("o1", "backordered", "awaiting_stock")
    operator.sync_and_poll()
    alert = operator.receive()
    order = alert["order"]
    assert (alert["kind"], order["number"], order["raw_status"]) == ("order.backordered", "#1042", "awaiting_stock")
    assert (order["previous_status"], order["total_price"], order["currency"]) == ("open", 129.9, "EUR")
    [line] = order["line_items"]
    assert (line["name"], line["quantity"], line["on_hand"]) == ("Trail lamp", 3, 1)
    assert alert["enrichment"] == {"complete": True, "missing": []}

    listed = operator.own("orders", order_number="#1042")
    assert (listed["shop"], listed["status"], listed["alert_id"]) == ("Bazaar", "backordered", alert["alert_id"])
    assert operator.wait_for(lambda: operator.own("alerts", kind="order.backordered", state="sent"))
    row = operator.own("shops")
    assert (row["health"], row["is_baseline_done"], row["needs_attention"]) == ("healthy", True, 2)
    functions = {"poll-orders", "publish-alerts", "post-to-slack"}
    logs = ("logs", "--alert", alert["alert_id"])
    operator.wait_for(lambda: functions <= {each["function"] for each in operator.json(*logs)})
    assert ["#1042" in each["text"] for each in slack_channel.messages].count(True) == 1

    summary = operator.json("summary")["summary"]
    assert summary["total"]["value_by_currency"] == {"EUR": 259.8}
    assert "Do: begin with #1042 at Bazaar: backordered" in operator.run("summary", "--send")[1]
    assert [each["shop"] for each in operator.json("alerts", "--kind", "summary.daily")] == ["All shops"]

    tables = (operator.outputs.order_table_name, operator.outputs.connection_table_name)
    scan = operator.cloud.client("dynamodb").scan
    rows = [scan(TableName=name)["Items"] for name in (*tables, operator.outputs.alert_table_name)]
    shown = json.dumps([rows, alert, slack_channel.messages, operator.json("logs")])
    assert [each in shown for each in ("#1042", "Ada", "ada@shopper.example", shop.access_token)] == [
        True,
        *[False] * 3,
    ]

    assert operator.run("disconnect", shop.connection_id, "--yes")[0] == 0
    assert operator.run("poll", shop.connection_id)[0] == 1


def test_redrive_sends_overdue_alerts_only(operator: Operator) -> None:
    connection_id = operator.shop.connection_id
    assert operator.run("connect", connection_id)[0] == 0
    functions = operator.cloud.client("lambda")
    publish = operator.outputs.publish_alerts_function_name
    source = functions.list_event_source_mappings(FunctionName=publish)["EventSourceMappings"][0]["UUID"]
    # Without the stream, pending alerts stay pending.
    functions.update_event_source_mapping(UUID=source, Enabled=False)
    try:
        table = AlertTable(operator.cloud.client("dynamodb"), operator.outputs.alert_table_name)
        for order_id, age in (("o-old", timedelta(hours=1)), ("o-young", timedelta())):
            with set_back(age):
                assert table.put(alert_of(order_id, connection_id=connection_id))
        assert "FAIL  pending alerts: 1 alert pending for more than 15 min" in operator.run("doctor")[1]
        done = operator.json("redrive")
        assert (done["sent"], done["unsent"]) == (1, 0)
        assert operator.receive()["order"]["number"] == "o-old"
        assert operator.own("alerts", order_number="o-young")["state"] == "pending"
    finally:
        functions.update_event_source_mapping(UUID=source, Enabled=True)
    assert "ok    pending alerts" in operator.run("doctor")[1]


def test_restored_orders_are_read_again_and_not_alerted_again(
    operator: Operator, monkeypatch: pytest.MonkeyPatch
) -> None:
    shop, dynamodb = operator.shop, operator.cloud.client("dynamodb")
    shop.place(ORDER)
    shop.place(ORDER | {"id": "o2", "order_number": "#1043"})
    assert operator.run("connect", shop.connection_id)[0] == 0
    operator.sync_and_poll()
    assert operator.receive()["kind"] == "watch.started"

    # The emulator restores only the present, and says so: an interrupted run made these copies at that time.
    monkeypatch.setattr(RestoredCopy, "check", lambda *_: None)
    at = datetime.now(UTC).replace(microsecond=0)
    outputs = operator.outputs
    for name in (outputs.order_table_name, outputs.connection_table_name, outputs.alert_table_name):
        assert RestoredCopy("", name, at).create(dynamodb)
    shop.move("o1", "exception")
    operator.sync_and_poll()
    alert_id = operator.receive()["alert_id"]
    key = {"order_key": {"S": f"{shop.connection_id}#o1"}}
    dynamodb.delete_item(TableName=outputs.order_table_name, Key=key)
    read_until = operator.own("shops")["data_as_of"]

    with running_on(InstantSleepClock()):
        code, shown, _ = operator.run("restore", "--to", at.isoformat(), "--yes")
    assert (code, "found " in shown, "creating" in shown) == (0, True, False)
    assert dynamodb.get_item(TableName=outputs.order_table_name, Key=key)["Item"]["status"] == {"S": "open"}
    assert operator.own("shops")["data_as_of"] < read_until
    assert not [name for name in dynamodb.list_tables()["TableNames"] if "-restored-" in name]

    shop.move("o2", "exception")
    operator.sync_and_poll()
    assert operator.receive()["order"]["number"] == "#1043"
    status = dynamodb.get_item(TableName=outputs.order_table_name, Key=key)["Item"]["status"]
    assert status == {"S": "exception"}, "it was read again"
    listed = operator.json("alerts", "--shop", shop.connection_id, "--kind", "order.exception")
    assert [each["order_number"] for each in listed] == ["#1043", "#1042"]
    assert (listed[1]["alert_id"], listed[1]["state"]) == (alert_id, "sent")
    assert "FAIL  DispatchPolls" not in operator.run("doctor")[1]


def test_test_alert_arrives_in_every_channel(operator: Operator, slack_channel: SlackChannel) -> None:
    operator.run("connect", operator.shop.connection_id)
    sent = operator.json("test-alert", "--shop", operator.shop.connection_id)
    assert operator.receive()["alert_id"] == sent["alert_id"]
    operator.wait_for(lambda: [each for each in slack_channel.messages if "TEST" in each["text"]])


def test_remedy_of_doctor_runs_as_it_is_printed(operator: Operator) -> None:
    connection_id = operator.shop.connection_id
    name = f"/orderwatch/connections/{connection_id}/name"
    operator.cloud.client("ssm").put_parameter(Name=name, Value="Bazaar", Type="String")
    try:
        findings = json.loads(operator.run("doctor", "--json")[1])["findings"]
        [remedy] = [each["command"] for each in findings if each["subject"] == f"{connection_id} token"]
        path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
        done = subprocess.run(
            ["sh", "-c", remedy],
            env={"PATH": path, "HOME": os.environ.get("HOME", "")},
            input=operator.shop.access_token,
            text=True,
            capture_output=True,
            check=False,
        )
        assert (done.returncode, done.stderr) == (0, "")
        assert f"connected {connection_id}" in done.stdout
    finally:
        operator.cloud.client("ssm").delete_parameter(Name=name)
