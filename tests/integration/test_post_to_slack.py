"""post_to_slack against a loopback server in place of the webhook."""

import json
import logging
import traceback
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any

import boto3
import pytest
from aws_lambda_powertools.utilities.batch.exceptions import BatchProcessingError

from functions.post_to_slack import app
from orderwatch import clock
from orderwatch.settings import PostToSlackSettings, read_settings
from orderwatch.slack import MAX_TRIES
from tests.support.alerts import alert_of
from tests.support.clocks import FakeClock
from tests.support.lambda_context import lambda_context, sqs_event
from tests.support.template import load_template

SECRET = "T000-very-secret-B000"


class Webhook:
    """Accepts messages; answers with the next of `answers`, then with 200.

    Attributes:
        gone: What every address but the one that is put now answers; 0: the same as that one.
    """

    def __init__(self) -> None:
        self.answers: list[int] = []
        self.gone = 0
        self.path = f"/services/{SECRET}"
        self.posted_to: list[str] = []
        self.body = b"ok"
        self.retry_after = "0"
        self.messages: list[dict[str, Any]] = []
        webhook = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                webhook.posted_to.append(self.path)
                status = webhook.answers.pop(0) if webhook.answers else 200
                if webhook.gone and self.path != webhook.path:
                    status = webhook.gone
                if status == 200:
                    webhook.messages.append(body)
                self.send_response(status)
                self.send_header("Retry-After", webhook.retry_after)
                self.end_headers()
                self.wfile.write(webhook.body if status == 200 else b"invalid_blocks")

            def log_message(self, *arguments: object) -> None:
                """Suppress the log."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._thread = Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.01})
        self._thread.start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_address[1]}{self.path}"

    def put(self, url: str) -> None:
        """Write the parameter."""
        name = "/orderwatch/slack/webhook-url"
        boto3.client("ssm").put_parameter(Name=name, Value=url, Type="SecureString", Overwrite=True)

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


@pytest.fixture
def webhook(aws: None, monkeypatch: pytest.MonkeyPatch) -> Iterator[Webhook]:
    webhook = Webhook()
    webhook.put(webhook.url)
    properties = load_template()["Resources"]["SlackDeliveryTable"]["Properties"]
    definition = {name: properties[name] for name in ("AttributeDefinitions", "KeySchema", "BillingMode")}
    boto3.client("dynamodb").create_table(TableName="slack-deliveries", **definition)
    monkeypatch.setenv("PARAMETER_PREFIX", "/orderwatch")
    monkeypatch.setenv("IDEMPOTENCY_TABLE_NAME", "slack-deliveries")
    yield webhook
    webhook.close()


@pytest.fixture(autouse=True)
def fake_clock() -> Iterator[FakeClock]:
    """Reset the process's state for each test; sleeping takes no time."""
    app._adapters.cache_clear()
    fake_clock = FakeClock()
    clock.use(fake_clock)
    yield fake_clock
    clock.use(None)


def deliver(*order_ids: str, body: str | None = None) -> list[str]:
    """Invoke the function with alerts of these orders; return the failed records."""
    bodies = [body] if body else [alert_of(order_id).model_dump_json() for order_id in order_ids]
    answer = app.handler(sqs_event(*bodies), lambda_context())
    return [failure["itemIdentifier"] for failure in answer["batchItemFailures"]]


def test_each_alert_is_posted(webhook: Webhook) -> None:
    assert deliver("1", "2") == []
    assert len(webhook.messages) == 2
    assert all(message["text"] and message["blocks"] for message in webhook.messages)


def test_a_duplicate_is_not_posted_again(webhook: Webhook) -> None:
    deliver("1")
    assert deliver("1", "1", "2") == []
    assert len(webhook.messages) == 2


def test_slack_gets_one_message_a_second(webhook: Webhook, fake_clock: FakeClock) -> None:
    deliver("1", "2", "3")
    assert fake_clock.slept == [1.0, 1.0]
    deliver("1", "2", "3")
    assert fake_clock.slept == [1.0, 1.0], "a duplicate does not wait"


def test_a_failed_post_is_left_to_the_queue(webhook: Webhook) -> None:
    webhook.answers = [200, *[500] * MAX_TRIES, 200]
    assert deliver("1", "2", "3") == ["message-1"]
    assert deliver("2") == []
    assert len(webhook.messages) == 3


def test_a_short_fault_of_slack_is_retried_within_the_invocation(webhook: Webhook, fake_clock: FakeClock) -> None:
    webhook.answers = [502]
    assert deliver("1") == []
    assert len(webhook.messages) == 1
    assert fake_clock.slept == [1.0]


def test_a_message_that_slack_finds_invalid_is_posted_simpler(webhook: Webhook) -> None:
    webhook.answers = [400, 400]
    assert deliver("1") == []
    [message] = webhook.messages
    assert not message.get("blocks")
    assert "1" in message["text"]


def test_a_rendering_bug_posts_plain_text(webhook: Webhook, monkeypatch: pytest.MonkeyPatch) -> None:
    def explode(*arguments: object, **named: object) -> None:
        raise RuntimeError("a bug")

    monkeypatch.setattr("functions.post_to_slack.app.blocks", explode)
    assert deliver("1") == []
    assert not webhook.messages[0].get("blocks")


@pytest.mark.parametrize(("retry_after", "waited"), [("7", 7.0), ("0", 1.0), ("soon", 30.0)])
def test_retry_after_is_respected(webhook: Webhook, fake_clock: FakeClock, retry_after: str, waited: float) -> None:
    webhook.answers, webhook.retry_after = [429], retry_after
    assert deliver("1") == []
    assert len(webhook.messages) == 1
    assert fake_clock.slept == [waited]


def test_retry_after_applies_to_all_functions(webhook: Webhook, fake_clock: FakeClock) -> None:
    webhook.answers, webhook.retry_after = [429], "20"
    deliver("1")
    app._adapters.cache_clear()
    deliver("2")
    assert fake_clock.slept == [20.0, 1.0]


def test_a_long_retry_after_is_left_to_the_queue(webhook: Webhook, fake_clock: FakeClock) -> None:
    webhook.answers, webhook.retry_after = [200, 429], "120"
    assert deliver("1", "2", "3") == ["message-1", "message-2"]
    assert fake_clock.slept == [1.0], "no unnecessary sleep"
    fake_clock.seconds += 120
    assert deliver("2", "3") == []
    assert len(webhook.messages) == 3


def test_a_busy_slack_is_not_retried_forever(webhook: Webhook) -> None:
    webhook.answers = [429] * 9
    with pytest.raises(BatchProcessingError):
        deliver("1")
    assert len(webhook.answers) == 9 - MAX_TRIES


def test_a_record_that_is_not_json_does_not_affect_the_others(webhook: Webhook) -> None:
    event = sqs_event("no JSON", alert_of("1").model_dump_json())
    answer = app.handler(event, lambda_context())
    assert [failure["itemIdentifier"] for failure in answer["batchItemFailures"]] == ["message-0"]
    assert len(webhook.messages) == 1


def said_in(error: BaseException, caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str]) -> str:
    """All output of a failed run: the error, the log records and the printed text."""
    records = [f"{record.getMessage()} {record.__dict__}" for record in caplog.records]
    return "".join([*traceback.format_exception(error), *records, *capsys.readouterr()])


@pytest.mark.parametrize("fault", ["refused", "unreachable"])
def test_the_webhook_url_is_in_no_error_and_no_log(
    webhook: Webhook, fault: str, caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str]
) -> None:
    caplog.set_level(logging.INFO)
    webhook.answers = [500] * 9
    if fault == "unreachable":
        webhook.close()
    with pytest.raises(BatchProcessingError) as caught:
        deliver("1")
    said = said_in(caught.value, caplog, capsys)
    assert "Slack" in said
    assert SECRET not in said
    assert SECRET not in repr(vars(app._adapters(read_settings(PostToSlackSettings))))


@pytest.mark.parametrize("status", [403, 404, 410])
def test_a_new_webhook_url_is_used_after_the_first_refusal(webhook: Webhook, status: int) -> None:
    assert deliver("1") == []
    webhook.gone, webhook.path = status, "/services/renewed"
    webhook.put(webhook.url)
    assert deliver("2", "3") == []
    assert len(webhook.messages) == 3
    assert webhook.posted_to.count(f"/services/{SECRET}") == 2, "only one post went to the dead address"


def test_a_revoked_webhook_gets_one_request_and_loses_nothing(webhook: Webhook) -> None:
    webhook.gone, webhook.path = 404, "/services/not-put-yet"
    with pytest.raises(BatchProcessingError, match="Slack responded 404"):
        deliver("1")
    assert len(webhook.posted_to) == 1
    webhook.put(webhook.url)
    assert deliver("1") == []


def test_a_replaced_webhook_url_is_read_again(webhook: Webhook, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("orderwatch.aws.parameters.MAX_AGE", 0)
    deliver("1")
    webhook.path = "/services/replaced"
    webhook.put(webhook.url)
    deliver("2")
    assert webhook.posted_to == [f"/services/{SECRET}", "/services/replaced"]


MISTYPED = {
    "quoted": '"https://hooks.slack.com/services/{}"',
    "a quote at its end": "https://hooks.slack.com/services/{}'",
    "in angle brackets": "<https://hooks.slack.com/services/{}>",
    "a space in it": "https://hooks.slack.com/services/ {}",
    "a line break in it": "https://hooks.slack.com/services/\n{}",
    "not encrypted": "http://hooks.slack.com/services/{}",
    "no scheme": "hooks.slack.com/services/{}",
    "no host": "https:///services/{}",
    "no path": "https://{}",
    "a password": "https://me:{}@hooks.slack.com/services/T0",
    "a port that is none": "https://hooks.slack.com:port/services/{}",
    "letters beyond ASCII": "https://hooks.slack.com/services/\u201c{}",
}


@pytest.mark.parametrize("url", MISTYPED.values(), ids=MISTYPED)
def test_an_invalid_webhook_url_is_reported_without_its_value(
    webhook: Webhook, url: str, caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str]
) -> None:
    caplog.set_level(logging.DEBUG)
    webhook.put(url.format(SECRET))
    with pytest.raises(BatchProcessingError, match="/orderwatch/slack/webhook-url") as caught:
        deliver("1")
    said = said_in(caught.value, caplog, capsys)
    assert SECRET not in said
    webhook.put(f" {webhook.url}\n")
    assert deliver("1") == [], "the corrected URL is used immediately; surrounding blanks are ignored"


def test_a_web_page_is_not_a_response_of_slack(webhook: Webhook) -> None:
    webhook.body = b"<!DOCTYPE html><title>Slack</title>"
    with pytest.raises(BatchProcessingError, match="web page"):
        deliver("1")


def test_the_age_of_a_late_message_is_reported(
    webhook: Webhook, fake_clock: FakeClock, capsys: pytest.CaptureFixture[str]
) -> None:
    webhook.answers = [500] * MAX_TRIES
    event = sqs_event(*(alert_of(order_id).model_dump_json() for order_id in ("1", "2")))
    for record, waited in zip(event["Records"], (1000, 20), strict=True):
        sent_at = (fake_clock.now().timestamp() - waited) * 1000
        record["attributes"]["SentTimestamp"] = str(int(sent_at))
    app.handler(event, lambda_context())
    [line] = [json.loads(line) for line in capsys.readouterr().out.splitlines() if '"SlackMessageAge"' in line]
    assert line["SlackMessageAge"] == [1000.0]
