"""An upgrade of a stack with state in it: state is kept and no alert is repeated."""

import json
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from orderwatch.aws.connection_table import ConnectionTable
from orderwatch.records import ConnectionState
from orderwatch_cli.stack import Outputs
from orderwatch_local.cloud.local_cloud import LocalCloud
from orderwatch_local.simulator import Shop, ShopServer, Trackstar, VirtualClock, serve
from tests.e2e.conftest import NEVER, WITHIN

pytestmark = pytest.mark.slow
API_KEY = "key-of-the-upgrade"
CONNECTION = "conn_a"


@dataclass
class Stack:
    """A stack of its own, which is deployed again and again."""

    cloud: LocalCloud
    outputs: Outputs
    clock: VirtualClock
    shop: Shop
    url: str
    queue_url: str

    def deploy(self, **parameters: str) -> Outputs:
        return self.cloud.deploy({"TrackstarBaseUrl": self.url, "PollSchedule": NEVER, **parameters})

    def state(self) -> ConnectionState:
        return ConnectionTable(self.cloud.client("dynamodb"), self.outputs.connection_table_name).load(CONNECTION)

    def orders(self) -> dict[str, Any]:
        rows = self.cloud.client("dynamodb").scan(TableName=self.outputs.order_table_name)["Items"]
        return {row["order_key"]["S"]: row for row in rows}

    def alert_ids(self) -> set[str]:
        rows = self.cloud.client("dynamodb").scan(TableName=self.outputs.alert_table_name)["Items"]
        return {row["alert_id"]["S"] for row in rows}

    def sync_and_poll(self) -> list[dict[str, Any]]:
        """The vendor's next sync, a poll of it, and the alerts."""
        self.clock.advance(timedelta(hours=1))
        self.shop.sync()
        self.cloud.client("lambda").invoke(FunctionName=self.outputs.dispatch_polls_function_name, Payload=b"{}")
        deadline = time.monotonic() + WITHIN
        while (cursor := self.state().cursor.position) is None or cursor < self.clock.now():
            assert time.monotonic() < deadline, self.cloud.logs(self.outputs.poll_orders_function_name)
            time.sleep(0.05)
        return self.received(len(self.alert_ids()))

    def received(self, written: int) -> list[dict[str, Any]]:
        """What came since the last time, once every alert that is written was sent."""
        deadline = time.monotonic() + WITHIN
        while self._sent() < written:
            assert time.monotonic() < deadline, self.cloud.logs(self.outputs.publish_alerts_function_name)
            time.sleep(0.05)
        sqs, alerts = self.cloud.client("sqs"), []
        while messages := sqs.receive_message(QueueUrl=self.queue_url, MaxNumberOfMessages=10, WaitTimeSeconds=1).get(
            "Messages"
        ):
            for message in messages:
                alerts.append(json.loads(message["Body"]))
                sqs.delete_message(QueueUrl=self.queue_url, ReceiptHandle=message["ReceiptHandle"])
        return alerts

    def _sent(self) -> int:
        rows = self.cloud.client("dynamodb").scan(TableName=self.outputs.alert_table_name)["Items"]
        return sum(row["state"]["S"] == "sent" for row in rows)


@pytest.fixture
def clock() -> VirtualClock:
    return VirtualClock(datetime(2026, 3, 2, 10, 0, tzinfo=UTC))


@pytest.fixture
def shop(clock: VirtualClock) -> Shop:
    shop = Shop(CONNECTION, access_token="token-of-the-upgrade", clock=clock)
    for number, status in enumerate(("open", "open", "open", "on_hold", "exception"), start=1):
        shop.place({"id": f"o{number}", "order_number": f"#{number}", "status": status})
    shop.sync()
    return shop


@pytest.fixture
def server(shop: Shop, clock: VirtualClock) -> Iterator[ShopServer]:
    with serve(Trackstar(API_KEY, [shop], clock, rate_limit=1000)) as server:
        yield server


@pytest.fixture
def stack(shop: Shop, clock: VirtualClock, server: ShopServer) -> Iterator[Stack]:
    with LocalCloud() as cloud:
        outputs = cloud.deploy({"TrackstarBaseUrl": server.url, "PollSchedule": NEVER})
        cloud.put_secret("/orderwatch/trackstar/api-key", API_KEY)
        cloud.put_secret(f"/orderwatch/connections/{CONNECTION}/access-token", shop.access_token)
        yield Stack(cloud, outputs, clock, shop, server.url, cloud.subscribe_queue(outputs.alert_topic_arn))


def kinds(alerts: list[dict[str, Any]]) -> list[tuple[str, str]]:
    return sorted((alert["kind"], (alert["order"] or {}).get("number", "")) for alert in alerts)


def test_an_upgrade_keeps_cursor_and_state_and_repeats_no_alert(stack: Stack) -> None:
    assert kinds(stack.sync_and_poll()) == [("watch.started", "")]
    stack.shop.move("o1", "backordered")
    assert kinds(stack.sync_and_poll()) == [("order.backordered", "#1")]
    before = (stack.outputs, stack.state(), stack.orders(), stack.alert_ids())

    # The same again, then with another set of watched statuses.
    assert stack.deploy() == stack.outputs
    assert (stack.outputs, stack.state(), stack.orders(), stack.alert_ids()) == before
    assert stack.sync_and_poll() == []
    cursor = stack.state().cursor.position
    assert stack.deploy(AlertStatuses="cancelled,on_hold") == stack.outputs
    assert (stack.state().cursor.position, stack.orders(), stack.alert_ids()) == (cursor, *before[2:])

    # o4 has long been on hold and o1 backordered: neither is a transition, also not for the sweep.
    stack.shop.edit("o4", {"total_price": 12})
    assert stack.sync_and_poll() == []
    swept_at = stack.state().cursor.last_sweep_at
    stack.clock.advance(timedelta(days=1))
    assert stack.sync_and_poll() == []
    assert stack.state().cursor.last_sweep_at != swept_at

    # From here on the new statuses are alerted, and the old ones are not.
    stack.shop.move("o2", "on_hold")
    stack.shop.move("o3", "exception")
    assert kinds(stack.sync_and_poll()) == [("order.on_hold", "#2")]
    assert (stack.state().cursor.baseline_completed_at, len(stack.orders())) == (
        before[1].cursor.baseline_completed_at,
        5,
    )

    # Back again: what became exception meanwhile was not watched then and is not alerted later.
    stack.deploy(AlertStatuses="exception,backordered,cancelled")
    stack.shop.edit("o3", {"total_price": 13})
    assert stack.sync_and_poll() == []
    stack.shop.move("o3", "cancelled")
    assert kinds(stack.sync_and_poll()) == [("order.cancelled", "#3")]
