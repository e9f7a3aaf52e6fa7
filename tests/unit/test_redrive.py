"""redrive_alerts: which pending alerts it sends, what it counts as overdue, and the subscriptions that it checks."""

import json
from datetime import timedelta
from types import SimpleNamespace
from typing import Any, cast

import pytest

from functions.redrive_alerts import app
from orderwatch.aws.sns import Delivery, Subscriptions
from orderwatch.settings import RedriveAlertsSettings
from tests.support.lambda_context import lambda_context
from tests.support.recording_sns import ARN, RecordingSns
from tests.support.sending import Desk

SETTINGS = RedriveAlertsSettings(
    parameter_prefix="/orderwatch",
    action_url="",
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
            delivery=Delivery(self.tables.alerts, self.sns.topic, self.operators.topic),
            subscriptions=Subscriptions(self.sns.as_client()),
            slack=None,
        )

    def run(self, *, after: int = 0, seconds_left: float = 300.0) -> dict[str, int]:
        """One scheduled run, some minutes after the last one."""
        self.clock.advance(timedelta(minutes=after))
        return dict(cast("Any", app.handler({}, lambda_context(seconds_left=seconds_left))))


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


@pytest.mark.parametrize(("seconds_left", "sent"), [(59.9, 0), (60.0, 50), (68.9, 50), (69.0, 60)])
def test_no_batch_starts_in_the_last_minute(redrive: Redrive, seconds_left: float, sent: int) -> None:
    redrive.put(60)
    assert redrive.run(after=11, seconds_left=seconds_left) == {"sent": sent, "unsent": 0}


def test_subscriptions_are_checked_in_every_run(redrive: Redrive, capsys: pytest.CaptureFixture[str]) -> None:
    redrive.run()
    assert redrive.tables.all_alerts() == []
    redrive.sns.subscriptions = [{"SubscriptionArn": f"{ARN}:1", "Protocol": "sqs", "Endpoint": f"{ARN}:other"}]
    redrive.run()
    [alert] = redrive.tables.all_alerts()
    assert (alert.kind, alert.connection.id) == ("topic.no_subscribers", "AlertTopic")
    assert '"TopicsWithoutSubscribers":[1.0]' in capsys.readouterr().out.replace(" ", "")
