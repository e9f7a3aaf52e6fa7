"""One poll and one alert, followed by id through the logs and the metrics of every function that handles them."""

import json
import logging
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout
from dataclasses import dataclass, field
from io import StringIO
from typing import Any

import pytest

from orderwatch.errors import UnavailableError
from orderwatch.observability import count_response, logger, metrics
from orderwatch_local.simulator import Response
from tests.support.account import account, inserts, order
from tests.support.lambda_context import sqs_event
from tests.support.world import World


@dataclass
class Observed:
    """The log lines and metrics of some invocations, as CloudWatch gets them."""

    lines: list[dict[str, Any]] = field(default_factory=list)
    metrics: list[dict[str, Any]] = field(default_factory=list)

    def saying(self, message: str) -> list[dict[str, Any]]:
        return [line for line in self.lines if line["message"] == message]


class Handler(logging.Handler):
    def __init__(self, observed: Observed) -> None:
        super().__init__()
        self.observed = observed

    def emit(self, record: logging.LogRecord) -> None:
        self.observed.lines.append(json.loads(logger.registered_formatter.format(record)))


@contextmanager
def observed() -> Iterator[Observed]:
    seen = Observed()
    handler, out = Handler(seen), StringIO()
    logger.addHandler(handler)
    try:
        with redirect_stdout(out):
            yield seen
    finally:
        logging.getLogger(logger.name).removeHandler(handler)
    seen.metrics += [json.loads(line) for line in out.getvalue().splitlines() if line.startswith('{"_aws"')]


@dataclass
class Day:
    """What was observed of each step of a day, and the ids of its first poll and of its alert."""

    connection_id: str
    poll_id: str
    alert_id: str
    steps: dict[str, Observed]


@pytest.fixture(scope="module")
def day() -> Iterator[Day]:
    steps: dict[str, Observed] = {}
    with account() as running, pytest.MonkeyPatch.context() as patch:
        patch.setattr(metrics.provider, "service", "orderwatch")
        running.shop.place(order("1"))
        running.shop.sync()
        with observed() as steps["first tick"]:
            running.invoke("DispatchPollsFunction", {})
        [message] = running.messages("PollQueue")
        event = sqs_event(message["Body"])
        event["Records"][0]["messageId"] = message["MessageId"]
        with observed() as steps["cut short"]:
            running.invoke("PollOrdersFunction", event, seconds_left=1.0)
        running.poll()
        running.invoke("PublishAlertsFunction", inserts(running.pending()))
        with observed() as steps["quiet poll"]:
            running.poll()
        with observed() as steps["quiet tick"]:
            running.invoke("DispatchPollsFunction", {})
        running.shop.place(order("2", status="exception"))
        running.shop.sync()
        with observed() as steps["alert"]:
            running.poll()
            [key] = running.pending()
            running.invoke("PublishAlertsFunction", inserts([key]))
            running.invoke("PostToSlackFunction", sqs_event(running.alert(key)))
        yield Day(running.shop.connection_id, message["MessageId"], key.alert_id, steps)


def test_a_poll_can_be_traced_from_its_tick(day: Day) -> None:
    [asked] = day.steps["first tick"].saying("poll requested")
    assert (asked["poll_id"], asked["connection_id"]) == (day.poll_id, day.connection_id)
    [ended] = day.steps["cut short"].saying("poll ended")
    assert (ended["poll_id"], ended["connection_id"]) == (day.poll_id, day.connection_id)
    [goes_on] = day.steps["cut short"].saying("poll unfinished; the next one continues")
    assert goes_on["next_poll_id"] != goes_on["poll_id"] == day.poll_id


def test_an_alert_can_be_traced_from_its_poll_to_slack(day: Day) -> None:
    [written] = [line for line in day.steps["alert"].saying("alerts written") if day.alert_id in line["alert_ids"]]
    [sent] = [line for line in day.steps["alert"].saying("message sent") if day.alert_id in line["alert_ids"]]
    [posted] = [line for line in day.steps["alert"].saying("message posted") if line["alert_id"] == day.alert_id]
    assert written["poll_id"]
    assert sent["message_id"]
    assert posted


def test_metrics_have_the_stack_and_transitions_the_kind(day: Day) -> None:
    dimensions: dict[str, set[str]] = {}
    for blob in day.steps["alert"].metrics:
        [described] = blob["_aws"]["CloudWatchMetrics"]
        assert described["Namespace"] == "orderwatch"
        for metric in described["Metrics"]:
            dimensions[metric["Name"]] = set(described["Dimensions"][0])
    assert dimensions.pop("Transitions") == {"service", "kind"}
    assert {"PollsFinished", "DeliveryDelay"} <= dimensions.keys()
    assert all(names == {"service"} for names in dimensions.values())
    [transition] = [blob for blob in day.steps["alert"].metrics if "Transitions" in blob]
    assert (transition["kind"], transition["Transitions"]) == ("order.exception", [1.0])


def test_only_a_finished_poll_sends_a_metric_on_a_quiet_day(day: Day) -> None:
    """CloudWatch bills a metric for every hour in which it is sent."""
    [blob] = day.steps["quiet poll"].metrics
    [described] = blob["_aws"]["CloudWatchMetrics"]
    assert [metric["Name"] for metric in described["Metrics"]] == ["PollsFinished"]
    assert day.steps["quiet tick"].metrics == []


def test_a_failure_of_the_vendor_carries_its_request_id() -> None:
    world = World()
    world.trackstar.intercept = lambda request: Response(503, (), b"")
    with observed() as seen, pytest.raises(UnavailableError, match="request ") as caught:
        world.client().connection()
    assert caught.value.request_id
    retried = seen.saying("Trackstar request failed; will retry")
    assert retried
    assert all(line["request_id"] for line in retried)


def test_too_many_requests_are_counted() -> None:
    metrics.clear_metrics()
    with observed() as seen:
        for status in (200, 429, 503):
            count_response(status)
        metrics.flush_metrics()
    assert [blob["TrackstarThrottled"] for blob in seen.metrics] == [[1.0]]
