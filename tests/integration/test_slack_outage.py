"""A Slack outage of days: post_to_slack behind a queue with the template's settings, on a virtual clock."""

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from types import SimpleNamespace
from typing import Any
from urllib.error import URLError

import boto3
import pytest
from aws_lambda_powertools.utilities.batch.exceptions import BatchProcessingError
from aws_lambda_powertools.utilities.idempotency.exceptions import (
    IdempotencyItemAlreadyExistsError,
    IdempotencyItemNotFoundError,
)
from aws_lambda_powertools.utilities.idempotency.persistence.base import BasePersistenceLayer
from aws_lambda_powertools.utilities.idempotency.persistence.datarecord import DataRecord

from functions.post_to_slack import app
from orderwatch import clock
from orderwatch import slack as slack_module
from tests.support.alerts import alert_of
from tests.support.clocks import FakeClock
from tests.support.lambda_context import lambda_context, sqs_event
from tests.support.template import load_template

RESOURCES = load_template()["Resources"]
QUEUE = RESOURCES["SlackQueue"]["Properties"]
DAY = timedelta(days=1).total_seconds()


class Ledger(BasePersistenceLayer):
    """The idempotency records, in memory; test_post_to_slack covers SlackDeliveryTable."""

    def __init__(self, **_: object) -> None:
        self.records: dict[str, DataRecord] = {}
        super().__init__()  # type: ignore[no-untyped-call]

    def _get_record(self, idempotency_key: str) -> DataRecord:
        if idempotency_key not in self.records:
            raise IdempotencyItemNotFoundError
        return self.records[idempotency_key]

    def _put_record(self, data_record: DataRecord) -> None:
        if data_record.idempotency_key in self.records:
            raise IdempotencyItemAlreadyExistsError(old_data_record=self.records[data_record.idempotency_key])
        self.records[data_record.idempotency_key] = data_record

    def _update_record(self, data_record: DataRecord) -> None:
        self.records[data_record.idempotency_key] = data_record

    def _delete_record(self, data_record: DataRecord) -> None:
        self.records.pop(data_record.idempotency_key, None)


class NoLimit:
    """No wait between messages; the rate limiter has its own tests."""

    def __init__(self, *_: object) -> None:
        """Accept any arguments."""

    def acquire(self, count: int = 1, *, within: float) -> int:
        return count

    def hold(self, seconds: float) -> None:
        """Do nothing."""


@dataclass
class Slack:
    """Cannot be reached until `back_at`; records its messages.

    Attributes:
        back_at: On the test's clock, in seconds.
        posts: What was posted after that.
    """

    fake_clock: FakeClock
    back_at: float = 0.0
    posts: list[str] = field(default_factory=list)

    def send(self, *, text: str, blocks: list[dict[str, Any]]) -> Any:
        if self.fake_clock.seconds < self.back_at:
            raise URLError("no route to host")
        self.posts.append(text)
        return SimpleNamespace(status_code=200, body="ok", headers={})


@dataclass
class Message:
    body: str
    sent_at: float
    visible_at: float
    receives: int = 0


@dataclass
class Queue:
    """SlackQueue as SQS runs it, before its function."""

    fake_clock: FakeClock
    messages: list[Message] = field(default_factory=list)
    dead: list[Message] = field(default_factory=list)
    expired: list[Message] = field(default_factory=list)

    def send(self, *order_ids: str) -> None:
        now = self.fake_clock.seconds
        self.messages += [Message(alert_of(order_id).model_dump_json(), now, now) for order_id in order_ids]

    def run(self, seconds: float) -> None:
        """Let the function process the queue for some seconds."""
        until = self.fake_clock.seconds + seconds
        while self.messages and (due := min(message.visible_at for message in self.messages)) <= until:
            self.fake_clock.seconds = max(self.fake_clock.seconds, due)
            self._set_aside()
            if batch := [message for message in self.messages if message.visible_at <= self.fake_clock.seconds][:10]:
                self._deliver(batch)
        self.fake_clock.seconds = max(self.fake_clock.seconds, until)

    def _set_aside(self) -> None:
        most, kept_for = QUEUE["RedrivePolicy"]["maxReceiveCount"], QUEUE["MessageRetentionPeriod"]
        self.expired += [each for each in self.messages if self.fake_clock.seconds - each.sent_at > kept_for]
        self.dead += [each for each in self.messages if each.receives >= most and each not in self.expired]
        self.messages = [each for each in self.messages if each not in self.dead and each not in self.expired]

    def _deliver(self, batch: list[Message]) -> None:
        event = sqs_event(*(message.body for message in batch))
        for message, record in zip(batch, event["Records"], strict=True):
            message.receives += 1
            message.visible_at = self.fake_clock.seconds + QUEUE["VisibilityTimeout"]
            sent_at = clock.now() - timedelta(seconds=self.fake_clock.seconds - message.sent_at)
            record["attributes"]["SentTimestamp"] = str(int(sent_at.timestamp() * 1000))
        try:
            failures = app.handler(event, lambda_context())["batchItemFailures"]
        except BatchProcessingError:
            return
        failed = {failure["itemIdentifier"] for failure in failures}
        posted = [each for number, each in enumerate(batch) if f"message-{number}" not in failed]
        self.messages = [each for each in self.messages if each not in posted]


@pytest.fixture
def fake_clock() -> Iterator[FakeClock]:
    fake_clock = FakeClock()
    clock.use(fake_clock)
    app._adapters.cache_clear()
    yield fake_clock
    clock.use(None)
    app._adapters.cache_clear()


@pytest.fixture
def slack(fake_clock: FakeClock, monkeypatch: pytest.MonkeyPatch) -> Slack:
    url = "https://hooks.slack.example/services/T0/B0"
    boto3.client("ssm").put_parameter(Name="/orderwatch/slack/webhook-url", Value=url, Type="SecureString")
    monkeypatch.setenv("PARAMETER_PREFIX", "/orderwatch")
    monkeypatch.setenv("IDEMPOTENCY_TABLE_NAME", "slack-deliveries")
    slack = Slack(fake_clock)
    monkeypatch.setattr(slack_module, "WebhookClient", lambda *_, **__: slack)
    monkeypatch.setattr(app, "DynamoDBPersistenceLayer", Ledger)
    monkeypatch.setattr(app, "RateLimiter", NoLimit)
    return slack


@pytest.mark.parametrize("days", [1, 4])
def test_after_days_without_slack_each_alert_is_posted_once(slack: Slack, fake_clock: FakeClock, days: int) -> None:
    queue = Queue(fake_clock)
    queue.send("before")
    queue.run(60)
    slack.back_at = fake_clock.seconds + days * DAY
    queue.send("before", "1", "2")
    queue.run(DAY / 2)
    queue.send("2", "3")
    queue.run(slack.back_at - fake_clock.seconds - 1)
    assert len(slack.posts) == 1
    queue.run(QUEUE["VisibilityTimeout"] + 1)
    assert (queue.messages, queue.dead, queue.expired) == ([], [], [])
    posted = [order_id for text in slack.posts for order_id in ("before", "1", "2", "3") if f"#{order_id} " in text]
    assert sorted(posted) == ["1", "2", "3", "before"]


def test_after_a_week_without_slack_alerts_are_dead_letters(slack: Slack, fake_clock: FakeClock) -> None:
    queue = Queue(fake_clock)
    slack.back_at = fake_clock.seconds + 7 * DAY
    queue.send("1")
    queue.run(7 * DAY)
    assert (queue.messages, queue.expired) == ([], [])
    assert [json.loads(message.body)["order"]["id"] for message in queue.dead] == ["1"]


def test_the_age_alarm_stays_on_during_an_outage(
    slack: Slack, fake_clock: FakeClock, capsys: pytest.CaptureFixture[str]
) -> None:
    alarm = RESOURCES["SlackFailingAlarm"]["Properties"]
    queue = Queue(fake_clock)
    slack.back_at = fake_clock.seconds + DAY
    queue.send("1")
    began_at = fake_clock.seconds
    seen_at = None
    while fake_clock.seconds - began_at < 3 * 3600:
        capsys.readouterr()
        queue.run(alarm["Period"] * alarm["EvaluationPeriods"] if seen_at else alarm["Period"])
        lines = [json.loads(line) for line in capsys.readouterr().out.splitlines() if '"SlackMessageAge"' in line]
        ages = [age for line in lines for age in line["SlackMessageAge"]]
        is_on = any(age > alarm["Threshold"] for age in ages)
        assert is_on or not seen_at, "the alarm must not end during the outage"
        seen_at = seen_at or (fake_clock.seconds - began_at if is_on else None)
    assert seen_at is not None
    assert seen_at <= 30 * 60, "within half an hour (rule 16)"
