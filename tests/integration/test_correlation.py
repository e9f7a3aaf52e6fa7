"""One poll and one alert, followed by id through the logs and the metrics of every function that handles them."""

import json
import logging
from collections.abc import Iterator
from typing import Any

import pytest
from pydantic import SecretStr

from orderwatch.errors import UnavailableError
from orderwatch.observability import count_response, logger, metrics
from orderwatch.trackstar.client import Trackstar
from orderwatch_local.simulator import Request, Response, Shop, ShopTransport, VirtualClock
from orderwatch_local.simulator import Trackstar as SimulatedTrackstar
from tests.support.account import Account, account, inserts, order
from tests.support.clocks import BEGINS_AT
from tests.support.lambda_context import sqs_event


class Lines(logging.Handler):
    """Every line of the log as CloudWatch gets it."""

    def __init__(self) -> None:
        super().__init__()
        self.lines: list[dict[str, Any]] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append(json.loads(logger.registered_formatter.format(record)))

    def saying(self, message: str) -> list[dict[str, Any]]:
        return [line for line in self.lines if line["message"] == message]


@pytest.fixture
def log() -> Iterator[Lines]:
    lines = Lines()
    logger.addHandler(lines)
    yield lines
    logging.getLogger(logger.name).removeHandler(lines)


@pytest.fixture
def running() -> Iterator[Account]:
    with account() as running:
        yield running


def started(running: Account) -> None:
    running.shop.place(order("1"))
    running.shop.sync()
    running.poll()
    running.invoke("PublishAlertsFunction", inserts(running.pending()))


def test_a_poll_can_be_traced_from_its_tick(running: Account, log: Lines) -> None:
    running.invoke("DispatchPollsFunction", {})
    [asked] = log.saying("poll requested")
    [message] = running.messages("PollQueue")
    assert asked["poll_id"] == message["MessageId"]
    assert asked["connection_id"] == running.shop.connection_id

    event = sqs_event(message["Body"])
    event["Records"][0]["messageId"] = message["MessageId"]
    running.invoke("PollOrdersFunction", event, seconds_left=1.0)
    [ended] = log.saying("poll ended")
    assert (ended["poll_id"], ended["connection_id"]) == (asked["poll_id"], running.shop.connection_id)
    [goes_on] = log.saying("poll unfinished; the next one continues")
    assert goes_on["next_poll_id"] != goes_on["poll_id"] == asked["poll_id"]


def test_an_alert_can_be_traced_from_its_poll_to_slack(running: Account, log: Lines) -> None:
    started(running)
    running.shop.place(order("2", status="exception"))
    running.shop.sync()
    running.poll()
    [key] = running.pending()
    running.invoke("PublishAlertsFunction", inserts([key]))
    running.invoke("PostToSlackFunction", sqs_event(running.alert(key)))
    alert_id = key.alert_id

    written = [line for line in log.saying("alerts written") if alert_id in line["alert_ids"]]
    sent = [line for line in log.saying("message sent") if alert_id in line["alert_ids"]]
    posted = [line for line in log.saying("message posted") if line["alert_id"] == alert_id]
    assert [len(lines) for lines in (written, sent, posted)] == [1, 1, 1]
    assert written[0]["poll_id"]
    assert sent[0]["message_id"]


def test_a_failure_of_the_vendor_carries_its_request_id(log: Lines) -> None:
    clock = VirtualClock(BEGINS_AT)
    shop = Shop("conn_a", access_token="token", clock=clock)
    trackstar = SimulatedTrackstar("key", [shop], clock)

    def down(request: Request) -> Response:
        return Response(503, (), b"")

    trackstar.intercept = down
    client = Trackstar("https://trackstar.invalid", transport=ShopTransport(trackstar)).client_of(
        "conn_a",
        api_key=SecretStr("key"),
        access_token=SecretStr("token"),
        seconds_left=lambda: 60.0,
    )
    with pytest.raises(UnavailableError, match="request ") as caught:
        client.connection()
    retried = log.saying("Trackstar request failed; will retry")
    assert retried
    assert caught.value.request_id
    assert all(line["request_id"] for line in retried)


def emitted(text: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in text.splitlines() if line.startswith('{"_aws"')]


def test_metrics_have_the_stack_and_transitions_the_kind(
    running: Account, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(metrics.provider, "service", "orderwatch")
    started(running)
    running.shop.place(order("2", status="exception"))
    running.shop.sync()
    capsys.readouterr()
    running.poll()
    running.invoke("PublishAlertsFunction", inserts(running.pending()))
    blobs = emitted(capsys.readouterr().out)

    dimensions: dict[str, set[str]] = {}
    for blob in blobs:
        [described] = blob["_aws"]["CloudWatchMetrics"]
        assert described["Namespace"] == "orderwatch"
        for metric in described["Metrics"]:
            dimensions[metric["Name"]] = set(described["Dimensions"][0])
    assert dimensions.pop("Transitions") == {"service", "kind"}
    assert {"PollsFinished", "DeliveryDelay"} <= dimensions.keys()
    assert all(names == {"service"} for names in dimensions.values())
    [transition] = [blob for blob in blobs if "Transitions" in blob]
    assert (transition["kind"], transition["Transitions"]) == ("order.exception", [1.0])


def test_a_quiet_poll_sends_only_the_metric_that_it_finished(
    running: Account, capsys: pytest.CaptureFixture[str]
) -> None:
    """CloudWatch bills a metric for every hour in which it is sent."""
    started(running)
    capsys.readouterr()
    running.poll()
    [blob] = emitted(capsys.readouterr().out)
    [described] = blob["_aws"]["CloudWatchMetrics"]
    assert [metric["Name"] for metric in described["Metrics"]] == ["PollsFinished"]


def test_a_tick_without_news_sends_no_metric(running: Account, capsys: pytest.CaptureFixture[str]) -> None:
    running.invoke("DispatchPollsFunction", {})
    assert emitted(capsys.readouterr().out) == []


def test_too_many_requests_are_counted(capsys: pytest.CaptureFixture[str]) -> None:
    metrics.clear_metrics()
    for status in (200, 429, 503):
        count_response(status)
    metrics.flush_metrics()
    [blob] = emitted(capsys.readouterr().out)
    assert blob["TrackstarThrottled"] == [1.0]
