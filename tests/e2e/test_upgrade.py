"""An upgrade of a stack with state in it: state is kept and no alert is repeated."""

import json
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cached_property
from typing import Any

import pytest

from orderwatch.aws.connection_table import ConnectionTable
from orderwatch.records import ConnectionState
from orderwatch_cli.stack import Outputs
from orderwatch_local.cloud.local_cloud import LocalCloud
from orderwatch_local.simulator import Shop, Trackstar, VirtualClock, serve
from tests.e2e.conftest import NEVER, WITHIN

pytestmark = pytest.mark.slow
API_KEY = "key-of-the-upgrade"
CONNECTION = "conn_a"


@dataclass
class Stack:
    """A stack of its own, which is deployed again and again."""

    cloud: LocalCloud
    clock: VirtualClock
    shop: Shop
    url: str
    queue_url: str = ""

    def deploy(self, **parameters: str) -> Outputs:
        return self.cloud.deploy({"TrackstarBaseUrl": self.url, "PollSchedule": NEVER, **parameters})

    @cached_property
    def outputs(self) -> Outputs:
        return self.cloud.outputs()

    def state(self) -> ConnectionState:
        return ConnectionTable(self.cloud.client("dynamodb"), self.outputs.connection_table_name).load(CONNECTION)

    def rows(self, table: str) -> list[Any]:
        return sorted(self.cloud.client("dynamodb").scan(TableName=table)["Items"], key=str)

    def everything(self) -> tuple[ConnectionState, list[Any], list[Any]]:
        return self.state(), self.rows(self.outputs.order_table_name), self.rows(self.outputs.alert_table_name)

    def sync_and_poll(self) -> list[tuple[str, str]]:
        """The vendor's next sync, a poll of it, and the alerts once all are sent: their kinds and orders."""
        self.clock.advance(timedelta(hours=1))
        self.shop.sync()
        self.cloud.client("lambda").invoke(FunctionName=self.outputs.dispatch_polls_function_name, Payload=b"{}")
        deadline = time.monotonic() + WITHIN
        while not self._is_done():
            assert time.monotonic() < deadline, self.cloud.logs(self.outputs.poll_orders_function_name)
            time.sleep(0.05)
        sqs, alerts = self.cloud.client("sqs"), []
        request: Any = {"QueueUrl": self.queue_url, "MaxNumberOfMessages": 10, "WaitTimeSeconds": 1}
        while messages := sqs.receive_message(**request).get("Messages"):
            for message in messages:
                alerts.append(json.loads(message["Body"]))
                sqs.delete_message(QueueUrl=self.queue_url, ReceiptHandle=message["ReceiptHandle"])
        return sorted((alert["kind"], (alert["order"] or {}).get("number", "")) for alert in alerts)

    def _is_done(self) -> bool:
        state, _, alerts = self.everything()
        position = state.cursor.position
        is_sent = all(row["state"]["S"] == "sent" for row in alerts)
        return is_sent and position is not None and position >= self.clock.now()


@pytest.fixture
def stack() -> Iterator[Stack]:
    clock = VirtualClock(datetime(2026, 3, 2, 10, 0, tzinfo=UTC))
    shop = Shop(CONNECTION, access_token="token-of-the-upgrade", clock=clock)
    for number, status in enumerate(("open", "open", "open", "on_hold", "exception"), start=1):
        shop.place({"id": f"o{number}", "order_number": f"#{number}", "status": status})
    shop.sync()
    with serve(Trackstar(API_KEY, [shop], clock, rate_limit=1000)) as server, LocalCloud() as cloud:
        stack = Stack(cloud, clock, shop, server.url)
        stack.queue_url = cloud.subscribe_queue(stack.deploy().alert_topic_arn)
        cloud.put_secret("/orderwatch/trackstar/api-key", API_KEY)
        cloud.put_secret(f"/orderwatch/connections/{CONNECTION}/access-token", shop.access_token)
        yield stack


def test_an_upgrade_keeps_cursor_and_state_and_repeats_no_alert(stack: Stack) -> None:
    assert stack.sync_and_poll() == [("watch.started", "")]
    stack.shop.move("o1", "backordered")
    assert stack.sync_and_poll() == [("order.backordered", "#1")]
    before = stack.everything()

    # The same again, then with another set of watched statuses.
    assert (stack.deploy(), stack.everything()) == (stack.outputs, before)
    assert stack.sync_and_poll() == []
    before = stack.everything()
    assert (stack.deploy(AlertStatuses="cancelled,on_hold"), stack.everything()) == (stack.outputs, before)

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
    assert stack.sync_and_poll() == [("order.on_hold", "#2")]
    state, orders, _ = stack.everything()
    assert (state.cursor.baseline_completed_at, len(orders)) == (before[0].cursor.baseline_completed_at, 5)

    # Back again: what became exception meanwhile was not watched then and is not alerted later.
    stack.deploy(AlertStatuses="exception,backordered,cancelled")
    stack.shop.edit("o3", {"total_price": 13})
    assert stack.sync_and_poll() == []
    stack.shop.move("o3", "cancelled")
    assert stack.sync_and_poll() == [("order.cancelled", "#3")]
