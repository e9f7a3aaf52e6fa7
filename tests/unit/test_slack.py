"""Posts to Slack: what each response leads to, and post_to_slack, which posts each alert of its queue once."""

import json
import re
from types import SimpleNamespace
from typing import Any

import pytest
from aws_lambda_powertools.utilities.batch.exceptions import BatchProcessingError
from aws_lambda_powertools.utilities.idempotency import DynamoDBPersistenceLayer
from pydantic import SecretStr

from functions.post_to_slack import app
from orderwatch import clock
from orderwatch.aws.rate_limit import SLACK_LIMIT, RateLimiter
from orderwatch.rendering.slack import SlackMessage
from orderwatch.slack import SlackInvalidError, SlackRefusedError, SlackWebhook
from tests.support.alerts import alert_of
from tests.support.clocks import FakeClock
from tests.support.lambda_context import lambda_context, sqs_event
from tests.support.memory_dynamodb import MemoryDynamoDB
from tests.support.template import load_template

OLD, NEW = "https://hooks.example/old", "https://hooks.example/new"
MESSAGE = SlackMessage(text="an alert", blocks=[])


class Slack:
    """Slack, and the parameter with the URL of its webhook.

    Attributes:
        responses: The next responses, as a status or a status and `Retry-After`; then 200.
        posted: The URL of every request.
        messages: The messages that were accepted.
        body: The body of responses.
        stored: The URL in the parameter.
        cached: The URL that is used until it is dropped.
    """

    def __init__(self) -> None:
        self.responses: list[int | tuple[int, str]] = []
        self.posted: list[str] = []
        self.messages: list[dict[str, Any]] = []
        self.body = "ok"
        self.stored = self.cached = OLD

    def slack_webhook_url(self) -> SecretStr:
        return SecretStr(self.cached)

    def forget(self) -> None:
        self.cached = self.stored

    def client(self, url: str, **options: object) -> Any:
        """In place of slack_sdk's client."""
        self.posted.append(url)
        return self

    def send(self, **message: Any) -> Any:
        response = self.responses.pop(0) if self.responses else 200
        status, retry_after = response if isinstance(response, tuple) else (response, None)
        if status == 200:
            self.messages.append(message)
        headers = {"retry-after": retry_after} if retry_after is not None else {}
        return SimpleNamespace(status_code=status, body=self.body, headers=headers)


@pytest.fixture
def fake_clock() -> FakeClock:
    fake_clock = FakeClock()
    clock.use(fake_clock)
    return fake_clock


@pytest.fixture
def slack(monkeypatch: pytest.MonkeyPatch, fake_clock: FakeClock) -> Slack:
    slack = Slack()
    monkeypatch.setattr("orderwatch.slack.WebhookClient", slack.client)
    return slack


@pytest.fixture
def webhook(slack: Slack) -> SlackWebhook:
    return SlackWebhook(slack, rate_limiter=RateLimiter(SLACK_LIMIT))


def post(webhook: SlackWebhook) -> None:
    """Post a message within 45 seconds."""
    deadline = clock.monotonic() + 45
    webhook.post(MESSAGE, seconds_left=lambda: deadline - clock.monotonic())


# One message


@pytest.mark.parametrize(
    ("responses", "waited"),
    [
        ([], []),
        ([500], [1.0]),
        ([503, 502], [1.0, 1.0]),
        ([(429, "7")], [7.0]),
        ([(429, "0")], [1.0]),
        ([(429, "soon")], [30.0]),
        ([(429, "\u0667")], [30.0]),
        ([429, 500], [30.0, 1.0]),
    ],
    ids=str,
)
def test_a_message_is_posted_after_short_faults(
    slack: Slack, webhook: SlackWebhook, fake_clock: FakeClock, responses: list[Any], waited: list[float]
) -> None:
    slack.responses = responses
    post(webhook)
    assert slack.messages == [{"text": "an alert", "blocks": []}]
    assert fake_clock.slept == waited


@pytest.mark.parametrize(
    ("responses", "requests", "error"),
    [
        ([500] * 9, 3, "Slack responded 500: <body>"),
        ([429] * 2, 2, "a wait that is too long"),
        ([(429, "46")], 1, "a wait that is too long"),
        ([404], 1, "Slack responded 404: <body>"),
        ([302], 1, "Slack responded 302: <body>"),
    ],
    ids=str,
)
def test_a_message_that_is_not_accepted_is_an_error(
    slack: Slack, webhook: SlackWebhook, responses: list[Any], requests: int, error: str
) -> None:
    slack.responses, slack.body = responses, "<body>"
    with pytest.raises(SlackRefusedError, match=error) as caught:
        post(webhook)
    assert not isinstance(caught.value, SlackInvalidError)
    assert len(slack.posted) == requests


@pytest.mark.parametrize(
    ("body", "error"),
    [
        ("", "responded 200 without ok: nothing"),
        ("\n", "responded 200 without ok: nothing"),
        ("no_text", "responded 200 without ok: no_text"),
        ("OK", "responded 200 without ok: OK"),
        ('"ok"', "responded 200 without ok"),
        ("ok, sign in to continue", "responded 200 without ok"),
        ('{"ok": false, "error": "invalid_auth"}', "responded 200 without ok: .*invalid_auth"),
        ('{"ok":true}', "responded 200 without ok"),
        ('{"success":true}', "responded 200 without ok"),
        ("first\nsecond\x1b[2J", "without ok: first second \\[2J"),
        ("<!DOCTYPE html><title>Sign in</title>", "a web page responded"),
        (" \n<html>", "a web page responded"),
    ],
)
def test_only_ok_in_a_200_is_success(slack: Slack, webhook: SlackWebhook, body: str, error: str) -> None:
    slack.body = body
    with pytest.raises(SlackRefusedError, match=error) as caught:
        post(webhook)
    assert not isinstance(caught.value, SlackInvalidError)
    assert len(slack.posted) == 1
    slack.body = "ok\n"
    post(webhook)


def test_an_invalid_message_is_an_error_of_its_own(slack: Slack, webhook: SlackWebhook) -> None:
    slack.responses, slack.body = [400], "invalid_blocks"
    with pytest.raises(SlackInvalidError, match="Slack responded 400: invalid_blocks"):
        post(webhook)


@pytest.mark.parametrize("status", [403, 404, 410])
def test_a_replaced_webhook_is_used_after_the_first_refusal(slack: Slack, webhook: SlackWebhook, status: int) -> None:
    slack.responses, slack.stored = [status], NEW
    post(webhook)
    post(webhook)
    assert slack.posted == [OLD, NEW, NEW]


# post_to_slack


@pytest.fixture(autouse=True)
def function(webhook: SlackWebhook, monkeypatch: pytest.MonkeyPatch) -> None:
    """The function, with Slack and SlackDeliveryTable in memory."""
    dynamodb = MemoryDynamoDB()
    dynamodb.create_table(TableName="T", KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}])
    ledger = DynamoDBPersistenceLayer(table_name="T", boto3_client=dynamodb.as_client())
    monkeypatch.setattr(app, "_adapters", lambda settings: SimpleNamespace(webhook=webhook, ledger=ledger, links=None))
    monkeypatch.setattr(app, "read_settings", lambda model: None)


def deliver(*order_ids: str, seconds_left: float = 60.0) -> list[str]:
    """Invoke the function with alerts of these orders; return the orders whose messages failed."""
    event = sqs_event(*(alert_of(order_id).model_dump_json() for order_id in order_ids))
    try:
        failures = app.handler(event, lambda_context(seconds_left=seconds_left))["batchItemFailures"]
    except BatchProcessingError:  # every message failed
        return list(order_ids)
    return [order_ids[int(failure["itemIdentifier"].removeprefix("message-"))] for failure in failures]


def test_each_alert_is_posted_once_and_one_a_second(slack: Slack, fake_clock: FakeClock) -> None:
    for _ in range(2):
        assert deliver("1", "2", "1", "3") == []
    assert len(slack.messages) == 3
    assert all(message["text"] and message["blocks"] for message in slack.messages)
    assert fake_clock.slept == [1.0, 1.0], "a duplicate does not wait"


def test_a_failed_post_is_left_to_the_queue_and_stops_no_other(slack: Slack) -> None:
    slack.responses = [200, 500, 500, 500]
    assert deliver("1", "2", "3") == ["2"]
    assert deliver("2") == []
    assert len(slack.messages) == 3


def test_no_post_starts_in_the_last_15_seconds(slack: Slack) -> None:
    assert deliver("1", "2", seconds_left=15.5) == ["2"]
    assert deliver("2", seconds_left=16.0) == []


@pytest.mark.parametrize(("refused", "kept"), [(1, True), (2, False)])
def test_an_invalid_message_is_posted_without_picture_then_as_text(slack: Slack, refused: int, kept: bool) -> None:
    slack.responses = [400] * refused
    assert deliver("1") == []
    [message] = slack.messages
    assert bool(message["blocks"]) is kept
    assert "1" in message["text"]


def test_a_rendering_bug_posts_plain_text(slack: Slack, monkeypatch: pytest.MonkeyPatch) -> None:
    def explode(*arguments: object, **named: object) -> None:
        raise RuntimeError("a bug")

    monkeypatch.setattr(app, "blocks", explode)
    assert deliver("1") == []
    assert not slack.messages[0]["blocks"]


def test_messages_that_are_no_alerts_do_not_affect_the_others(slack: Slack) -> None:
    unknown = json.dumps({"alert_id": "a1", "kind": "of.another.release"})
    answer = app.handler(sqs_event("no JSON", unknown, alert_of("1").model_dump_json()), lambda_context())
    assert answer == {"batchItemFailures": [{"itemIdentifier": "message-0"}]}
    assert slack.messages[0] == {"text": "orderwatch: of.another.release, alert a1", "blocks": []}
    assert len(slack.messages) == 2


@pytest.mark.filterwarnings("ignore:No idempotency key")
@pytest.mark.parametrize(
    "body",
    [
        {"alert_id": "a1", "kind": "<!here> <!channel> <@U1> <https://evil.example|log in> *x* :fire: \u202e\n&gt; y"},
        {"alert_id": "<!channel>", "kind": "order.exception"},
        {"alert_id": "a1", "kind": {"<!here>": ["`<@U1>`"]}},
        {"alert_id": "a1", "kind": "<!here>" * 9999},
        {"kind": "<!here>"},
    ],
    ids=str,
)
def test_words_of_a_message_that_is_no_alert_are_not_active(slack: Slack, body: dict[str, Any]) -> None:
    assert app.handler(sqs_event(json.dumps(body)), lambda_context()) == {"batchItemFailures": []}
    text = slack.messages[0]["text"]
    assert text.startswith("orderwatch: ")
    assert len(text) <= 3000
    assert not re.search(r"<|[*`]|:fire:|\n|\u202e", re.sub(r"<!date\^0\^\{_\}\|[^>]*>", "", text))


def test_the_age_of_a_late_message_is_reported(fake_clock: FakeClock, capsys: pytest.CaptureFixture[str]) -> None:
    event = sqs_event(*(alert_of(order_id).model_dump_json() for order_id in "123"))
    for record, waited in zip(event["Records"], (1000, 60, 61), strict=True):
        record["attributes"]["SentTimestamp"] = str(int((fake_clock.now().timestamp() - waited) * 1000))
    app.handler(event, lambda_context())
    [line] = [json.loads(line) for line in capsys.readouterr().out.splitlines() if '"SlackMessageAge"' in line]
    assert line["SlackMessageAge"] == [1000.0, 61.0]


def test_an_outage_of_slack_raises_an_alarm_that_stays_on() -> None:
    resources = load_template()["Resources"]
    alarm, queue = resources["SlackFailingAlarm"]["Properties"], resources["SlackQueue"]["Properties"]
    assert alarm["MetricName"] == "SlackMessageAge"
    assert alarm["DatapointsToAlarm"] == 1
    assert alarm["Threshold"] > app.LATE
    assert alarm["Threshold"] + queue["VisibilityTimeout"] + alarm["Period"] <= 30 * 60, "rule 16"
    assert alarm["Period"] * alarm["EvaluationPeriods"] >= queue["VisibilityTimeout"] + alarm["Period"]
