"""post_to_slack as deployed: slack_sdk against a loopback server, with moto's parameters and SlackDeliveryTable."""

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
from tests.support.alerts import alert_of
from tests.support.clocks import FakeClock
from tests.support.lambda_context import lambda_context, sqs_event
from tests.support.template import load_template

SECRET = "T000-very-secret-B000"


class Webhook:
    """Accepts messages.

    Attributes:
        statuses: The statuses of the next responses; then 200.
        retry_after: The header of every response.
        messages: What was accepted.
    """

    def __init__(self) -> None:
        self.statuses: list[int] = []
        self.retry_after = "0"
        self.messages: list[dict[str, Any]] = []
        webhook = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                status = webhook.statuses.pop(0) if webhook.statuses else 200
                if status == 200:
                    webhook.messages.append(body)
                self.send_response(status)
                self.send_header("Retry-After", webhook.retry_after)
                self.end_headers()
                self.wfile.write(b"ok")

            def log_message(self, *arguments: object) -> None:
                """Suppress the log."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._thread = Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.01})
        self._thread.start()
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}/services/{SECRET}"

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


@pytest.fixture
def webhook(aws: None, monkeypatch: pytest.MonkeyPatch) -> Iterator[Webhook]:
    webhook = Webhook()
    boto3.client("ssm").put_parameter(Name="/orderwatch/slack/webhook-url", Value=webhook.url, Type="SecureString")
    properties = load_template()["Resources"]["SlackDeliveryTable"]["Properties"]
    definition = {name: properties[name] for name in ("AttributeDefinitions", "KeySchema", "BillingMode")}
    boto3.client("dynamodb").create_table(TableName="slack-deliveries", **definition)
    monkeypatch.setenv("PARAMETER_PREFIX", "/orderwatch")
    monkeypatch.setenv("IDEMPOTENCY_TABLE_NAME", "slack-deliveries")
    app._adapters.cache_clear()
    yield webhook
    app._adapters.cache_clear()
    webhook.close()


@pytest.fixture
def fake_clock() -> FakeClock:
    fake_clock = FakeClock()
    clock.use(fake_clock)
    return fake_clock


def deliver(*order_ids: str) -> list[str]:
    """Invoke the function with alerts of these orders; return the failed records."""
    answer = app.handler(sqs_event(*(alert_of(order_id).model_dump_json() for order_id in order_ids)), lambda_context())
    return [failure["itemIdentifier"] for failure in answer["batchItemFailures"]]


def test_each_alert_is_posted_once_by_any_instance(webhook: Webhook, fake_clock: FakeClock) -> None:
    assert deliver("1", "2") == []
    app._adapters.cache_clear()
    assert deliver("1", "3") == []
    assert len(webhook.messages) == 3
    assert all(message["text"] and message["blocks"] for message in webhook.messages)
    assert fake_clock.slept == [1.0, 1.0], "all instances share one rate limit"


def test_retry_after_applies_to_all_instances(webhook: Webhook, fake_clock: FakeClock) -> None:
    webhook.statuses, webhook.retry_after = [200, 429], "120"
    assert deliver("1", "2") == ["message-1"]
    app._adapters.cache_clear()
    fake_clock.seconds += 60
    assert deliver("1", "2") == ["message-1"]
    fake_clock.seconds += 40
    assert deliver("2") == []
    assert fake_clock.slept == [1.0, 20.0]


@pytest.mark.parametrize("fault", ["refused", "unreachable"])
def test_the_webhook_url_is_in_no_error_and_no_log(
    webhook: Webhook,
    fake_clock: FakeClock,
    fault: str,
    caplog: pytest.LogCaptureFixture,
    capsys: pytest.CaptureFixture[str],
) -> None:
    caplog.set_level(logging.DEBUG)
    webhook.statuses = [500] * 9
    if fault == "unreachable":
        webhook.close()
    with pytest.raises(BatchProcessingError) as caught:
        deliver("1")
    records = [f"{record.getMessage()} {record.__dict__}" for record in caplog.records]
    said = "".join([*traceback.format_exception(caught.value), *records, *capsys.readouterr()])
    assert "Slack" in said
    assert SECRET not in said
    assert SECRET not in repr(vars(app._adapters(read_settings(PostToSlackSettings))))
