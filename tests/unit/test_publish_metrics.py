"""The metrics of a batch, such as the time from Trackstar to the recipient."""

import json
from datetime import timedelta
from typing import Any

import pytest

from orderwatch import clock
from orderwatch.alerts.alert import Alert
from orderwatch.observability import metrics
from orderwatch.publishing.publish import PublishMetrics
from tests.support.alerts import SEEN_AT, alert_of
from tests.support.clocks import FakeClock

NOW = SEEN_AT + timedelta(minutes=5)


def seconds_ago(seconds: float) -> Any:
    return NOW - timedelta(seconds=seconds)


def counted(alert: Alert) -> PublishMetrics:
    """The metrics after this alert was sent at `NOW`."""
    clock.use(FakeClock(NOW))
    found = PublishMetrics()
    found.count_sent(alert)
    return found


def with_times(**times: Any) -> Alert:
    alert = alert_of("1")
    assert alert.order
    return alert.model_copy(update={"order": alert.order.model_copy(update=times)})


@pytest.mark.parametrize("kind", ["order.late", "order.restocked"])
def test_an_alert_about_an_old_status_has_no_delay(kind: str) -> None:
    found = counted(with_times(updated_at=seconds_ago(90)).model_copy(update={"kind": kind}))
    assert (found.sent, found.delays) == (1, [])


@pytest.mark.parametrize(
    ("updated_at", "seen_at", "delay", "reason"),
    [
        (seconds_ago(90), seconds_ago(30), 90.0, "from when the copy changed"),
        (None, seconds_ago(30), 30.0, "without such a date, from when we saw it"),
        (seconds_ago(0), seconds_ago(30), 0.0, "at once"),
        (seconds_ago(-20), seconds_ago(-10), 0.0, "a vendor's clock that is ahead makes no negative delay"),
        (seconds_ago(0.5), seconds_ago(30), 0.5, "parts of a second count"),
    ],
)
def test_the_delay_starts_when_the_status_was_visible(updated_at: Any, seen_at: Any, delay: float, reason: str) -> None:
    assert counted(with_times(updated_at=updated_at, seen_at=seen_at)).delays == [delay], reason


def test_an_alert_about_a_connection_has_no_delay() -> None:
    about_a_connection = alert_of("1").model_copy(update={"kind": "connection.blocked", "order": None})
    found = counted(about_a_connection)
    assert (found.sent, found.delays, found.sent_keys) == (1, [], [about_a_connection.key])


@pytest.mark.parametrize(("complete", "degraded"), [(True, 0), (False, 1)])
def test_an_alert_that_lacks_details_counts_as_degraded(complete: bool, degraded: int) -> None:
    alert = alert_of("1")
    enrichment = alert.enrichment.model_copy(update={"complete": complete})
    assert counted(alert.model_copy(update={"enrichment": enrichment})).degraded == degraded


def test_counts_with_an_alarm_and_every_delay_are_metrics(capsys: pytest.CaptureFixture[str]) -> None:
    metrics.clear_metrics()
    total = counted(with_times(updated_at=seconds_ago(2)))
    total += PublishMetrics(sent=1, unsent_keys=[alert_of("2").key] * 3, degraded=2, delays=[3.0])
    assert (total.sent, total.sent_keys) == (2, [alert_of("1").key])
    total.report()
    metrics.flush_metrics()
    [blob] = [json.loads(line) for line in capsys.readouterr().out.splitlines() if line.startswith('{"_aws"')]
    sent = {name: value for name, value in blob.items() if isinstance(value, list)}
    assert sent == {"AlertsUnsent": [3.0], "AlertsDegraded": [2.0], "DeliveryDelay": [2.0, 3.0]}
