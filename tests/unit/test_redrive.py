"""redrive_alerts: which pending alerts it sends, what it counts as overdue, and the subscriptions that it checks."""

import json
from collections.abc import Sequence
from copy import replace
from datetime import timedelta
from types import SimpleNamespace
from typing import Any, cast

import pytest

from functions.redrive_alerts import app
from orderwatch.alerts.alert import Alert
from orderwatch.aws.order_table import OrderTable
from orderwatch.aws.sns import Delivery, Subscriptions
from orderwatch.publishing.enrich import ProductDetails
from orderwatch.records import ConnectionState
from orderwatch.settings import RedriveAlertsSettings
from orderwatch.trackstar.products import Product
from tests.support.alerts import alert_of, first_sight
from tests.support.lambda_context import lambda_context
from tests.support.recording_sns import ARN, RecordingSns
from tests.support.sending import Desk, ProductsOf

MINUTE = timedelta(minutes=1)
SETTINGS = RedriveAlertsSettings(
    parameter_prefix="/orderwatch",
    action_url="",
    trackstar_base_url="https://trackstar.invalid",
    order_table_name="orders",
    alert_table_name="alerts",
    pace_table_name="pace",
    alert_topic_arn=ARN,
    ops_topic_arn=ARN,
    digest_threshold=100,
    alert_email_expected=True,
    ops_email_expected=False,
    slack_queue_url="",
)


class Redrive(Desk):
    """The function over a desk; its operators have a topic of their own."""

    def __init__(self) -> None:
        super().__init__()
        self.operators = RecordingSns()
        self.adapters = SimpleNamespace(
            orders=self.tables.orders,
            details=None,
            delivery=Delivery(self.tables.alerts, self.sns.topic, self.operators.topic),
            subscriptions=Subscriptions(self.sns.as_client()),
            slack=None,
        )

    def run(self, *, after: int = 0, seconds_left: float = 300.0) -> dict[str, int]:
        """One scheduled run, some minutes after the last one."""
        self.clock.advance(timedelta(minutes=after))
        return dict(cast("Any", app.handler({}, lambda_context(seconds_left=seconds_left))))

    def hold(self, alerts: Sequence[Alert], *, minutes: int) -> None:
        """Put alerts that wait for quiet hours that end in some minutes."""
        for alert in alerts:
            action: Any = self.tables.alerts.put_action(alert, deliver_after=self.clock.now() + minutes * MINUTE)
            self.tables.client.transact_write_items(TransactItems=[action])

    def states(self) -> set[str]:
        return {row["state"]["S"] for row in self.tables.rows("AlertTable")}


@pytest.fixture
def redrive(monkeypatch: pytest.MonkeyPatch) -> Redrive:
    redrive = Redrive()
    monkeypatch.setattr(app, "_adapters", lambda settings: redrive.adapters)
    monkeypatch.setattr(app, "read_settings", lambda model: SETTINGS)
    return redrive


def counted(metric: str, capsys: pytest.CaptureFixture[str]) -> list[float]:
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines() if f'"{metric}"' in line]
    return [count for line in lines for count in line[metric]]


def test_alerts_are_sent_after_ten_minutes_the_oldest_first(redrive: Redrive) -> None:
    [old] = redrive.put(products=("p1",))
    assert redrive.run(after=10) == {"sent": 0, "unsent": 0}
    [new] = redrive.put()
    assert redrive.run(after=1) == {"sent": 1, "unsent": 0}
    assert redrive.run(after=10) == {"sent": 1, "unsent": 0}
    assert redrive.sns.sent_ids() == [old.alert_id, new.alert_id]
    assert not redrive.sns.taken[0]["enrichment"]["complete"], "product details would make it later still"


def test_alerts_are_overdue_if_they_are_pending_after_15_minutes(
    redrive: Redrive, capsys: pytest.CaptureFixture[str]
) -> None:
    redrive.put(2)
    redrive.sns.is_down = True
    assert redrive.run(after=15) == {"sent": 0, "unsent": 2}
    assert counted("AlertsOverdue", capsys) == []
    assert redrive.run(after=1) == {"sent": 0, "unsent": 2}
    assert counted("AlertsOverdue", capsys) == [2.0]
    redrive.sns.is_down = False
    assert redrive.run() == {"sent": 2, "unsent": 0}
    assert counted("AlertsOverdue", capsys) == []


def test_alerts_that_arrive_late_are_counted(redrive: Redrive, capsys: pytest.CaptureFixture[str]) -> None:
    """With the event source mapping of the stream disabled, no other function fails."""
    redrive.put(3)
    redrive.run(after=11)
    assert counted("AlertsRedriven", capsys) == [3.0]
    redrive.run(after=15)
    assert counted("AlertsRedriven", capsys) == []


@pytest.mark.parametrize(("seconds_left", "sent"), [(59.9, 0), (60.0, 10), (68.9, 50), (69.0, 55)])
def test_no_message_is_sent_in_the_last_minute(redrive: Redrive, seconds_left: float, sent: int) -> None:
    redrive.put(60)
    assert redrive.run(after=11, seconds_left=seconds_left)["sent"] == sent
    assert redrive.run() == {"sent": 60 - sent, "unsent": 0}, "no lease is left"


def test_subscriptions_are_checked_in_every_run(redrive: Redrive, capsys: pytest.CaptureFixture[str]) -> None:
    redrive.run()
    assert redrive.tables.all_alerts() == []
    redrive.sns.subscriptions = [{"SubscriptionArn": f"{ARN}:1", "Protocol": "sqs", "Endpoint": f"{ARN}:other"}]
    redrive.run()
    [alert] = redrive.tables.all_alerts()
    assert (alert.kind, alert.connection.id) == ("topic.no_subscribers", "AlertTopic")
    assert '"TopicsWithoutSubscribers":[1.0]' in capsys.readouterr().out.replace(" ", "")


# Alerts that wait for the end of quiet hours


def backorders(count: int, *, shop: str = "conn_a") -> list[Alert]:
    return [alert_of(f"{shop}-{number}", status="backordered", connection_id=shop) for number in range(count)]


def test_held_alerts_wait_without_an_attempt(redrive: Redrive, capsys: pytest.CaptureFixture[str]) -> None:
    held = backorders(2)
    redrive.hold(held, minutes=60)
    result = redrive.publish([alert.key for alert in held])
    assert (result.sent, result.unsent_keys) == (0, []), "the stream is done with them"
    assert redrive.run(after=59) == {"sent": 0, "unsent": 0}
    assert [row["attempts"]["N"] for row in redrive.tables.rows("AlertTable")] == ["0", "0"]
    assert counted("AlertsOverdue", capsys) == []
    assert redrive.run(after=1) == {"sent": 2, "unsent": 0}
    assert redrive.states() == {"sent"}
    assert not redrive.tables.alerts.held()


def test_held_alerts_that_are_sent_are_neither_redriven_nor_delayed(
    redrive: Redrive, capsys: pytest.CaptureFixture[str]
) -> None:
    redrive.hold(backorders(2), minutes=60)
    redrive.run(after=74)
    assert redrive.states() == {"sent"}
    assert not {"AlertsRedriven", "DeliveryDelay"} & {
        name for line in capsys.readouterr().out.splitlines() for name in json.loads(line)
    }


def test_held_alerts_are_overdue_15_minutes_after_their_quiet_hours(
    redrive: Redrive, capsys: pytest.CaptureFixture[str]
) -> None:
    redrive.hold(backorders(2), minutes=60)
    redrive.sns.is_down = True
    redrive.run(after=75)
    assert counted("AlertsOverdue", capsys) == []
    redrive.run(after=1)
    assert counted("AlertsOverdue", capsys) == [2.0]
    redrive.sns.is_down = False
    assert redrive.run() == {"sent": 2, "unsent": 0}
    assert counted("AlertsOverdue", capsys) == []


def test_the_held_alerts_of_each_shop_become_digests(redrive: Redrive, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(app, "read_settings", lambda model: SETTINGS.model_copy(update={"digest_threshold": 5}))
    in_turns = [each for pair in zip(backorders(140), backorders(140, shop="conn_b"), strict=True) for each in pair]
    redrive.hold(in_turns, minutes=60)
    assert redrive.run(after=60) == {"sent": 280, "unsent": 0}
    assert [body["digest"]["count"] for body in redrive.sns.taken] == [70] * 4


def test_no_held_alert_is_lost_if_redrive_is_down_for_a_day(redrive: Redrive) -> None:
    held = backorders(5)
    redrive.hold(held, minutes=60)
    redrive.publish_later([alert.key for alert in held], seconds=0)
    assert redrive.run(after=60 * 25) == {"sent": 5, "unsent": 0}
    assert redrive.run(after=15) == {"sent": 0, "unsent": 0}
    assert sorted(redrive.sns.sent_ids()) == sorted(alert.alert_id for alert in held)


def test_an_order_that_recovered_in_quiet_hours_is_sent_as_recovered(redrive: Redrive) -> None:
    """The shop may not want alerts about recoveries, and then no other alert says so."""
    [shipped, waiting] = backorders(2)
    redrive.hold([shipped, waiting], minutes=60)
    fulfilled = replace(first_sight("conn_a-0", status="fulfilled"), alert=None)
    row = replace(fulfilled.stored, needs_attention=False, status_alert_id=None)
    redrive.tables.store.commit(
        ConnectionState(connection_id="conn_a"), writes=[replace(fulfilled, stored=row)], alerts=[]
    )
    redrive.run(after=60)
    assert [body["kind"] for body in redrive.sns.taken] == ["order.recovered", "order.backordered"]
    assert [each["kind"] for each in redrive.sns.taken[0]["merged"]] == ["order.backordered"]
    assert redrive.states() == {"sent"}


def test_held_alerts_have_product_details(redrive: Redrive) -> None:
    lamp = Product.model_validate({"id": "p1", "name": "Trail lamp", "sku": "sku-p1", "inventory": 3})
    redrive.adapters.details = ProductDetails(ProductsOf(lambda _: SimpleNamespace(products=lambda _: {"p1": lamp})))
    redrive.hold([alert_of("1", status="backordered", product_ids=("p1",))], minutes=60)
    redrive.run(after=60)
    [line] = redrive.sns.taken[0]["order"]["line_items"]
    assert (line["name"], line["on_hand"]) == ("Trail lamp", 3.0)


def test_held_alerts_are_sent_if_their_orders_cannot_be_read(redrive: Redrive) -> None:
    redrive.hold(backorders(1), minutes=60)
    redrive.adapters.orders = OrderTable(redrive.tables.client, "missing")
    assert redrive.run(after=60) == {"sent": 1, "unsent": 0}


def test_late_alerts_are_sent_before_held_ones(redrive: Redrive) -> None:
    held = backorders(1)
    redrive.hold(held, minutes=60)
    redrive.clock.advance(49 * MINUTE)
    [late] = redrive.put(shop="conn_b")
    redrive.run(after=11)
    assert redrive.sns.sent_ids() == [late.alert_id, held[0].alert_id]


@pytest.mark.parametrize(("seconds_left", "sent"), [(59.9, 0), (60.0, 3)])
def test_no_held_alert_is_sent_in_the_last_minute(redrive: Redrive, seconds_left: float, sent: int) -> None:
    redrive.hold(backorders(3), minutes=60)
    assert redrive.run(after=60, seconds_left=seconds_left) == {"sent": sent, "unsent": 0}
