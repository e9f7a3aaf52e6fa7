"""The Slack webhook: slack_sdk against a loopback server."""

import json
import logging
import traceback
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any

import pytest
from pydantic import SecretStr

from orderwatch import clock
from orderwatch.aws.rate_limit import SLACK_LIMIT, RateLimiter
from orderwatch.rendering.slack import blocks
from orderwatch.slack import SlackRefusedError, SlackWebhook
from tests.support.alerts import alert_of
from tests.support.clocks import FakeClock

SECRET = "T000-very-secret-B000"


class Server(ThreadingHTTPServer):
    """Accepts messages, and the store of its own URL.

    Attributes:
        statuses: The statuses of the next responses; then 200.
        messages: The JSON of the messages that were accepted.
        charset: The charset that responses name.
    """

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.statuses: list[int] = []
        self.messages: list[dict[str, Any]] = []
        self.charset = "utf-8"

    def slack_webhook_url(self) -> SecretStr:
        return SecretStr(f"http://127.0.0.1:{self.server_port}/services/{SECRET}")

    def forget(self) -> None:
        """Nothing is cached."""

    def post(self) -> None:
        """Post an alert within a minute."""
        webhook = SlackWebhook(self, rate_limiter=RateLimiter(SLACK_LIMIT))
        webhook.post(blocks(alert_of("1")), seconds_left=lambda: 60.0)


class Handler(BaseHTTPRequestHandler):
    server: Server

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        status = self.server.statuses.pop(0) if self.server.statuses else 200
        if status == 200:
            self.server.messages.append(body)
        self.send_response(status)
        self.send_header("Retry-After", "7")
        self.send_header("Content-Type", f"text/html; charset={self.server.charset}")
        self.end_headers()
        self.wfile.write(b"ok")

    def log_message(self, *arguments: object) -> None:
        """Suppress the log."""


@pytest.fixture
def server() -> Iterator[Server]:
    with Server() as server:
        thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def test_a_message_is_posted_after_the_time_that_slack_asks_for(server: Server) -> None:
    fake_clock = FakeClock()
    clock.use(fake_clock)
    server.statuses = [429]
    server.post()
    message = blocks(alert_of("1"))
    assert server.messages == [{"text": message.text, "blocks": message.blocks}]
    assert fake_clock.slept == [7.0]


@pytest.mark.parametrize("fault", ["refused", "unreachable", "unreadable"])
def test_the_webhook_url_is_in_no_error_and_no_log(
    server: Server, fault: str, caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str]
) -> None:
    caplog.set_level(logging.DEBUG)
    server.statuses = [500] * 3
    if fault == "unreachable":
        server.server_close()
    if fault == "unreadable":
        server.charset = "of-no-library"
    with pytest.raises(SlackRefusedError, match="Slack") as caught:
        server.post()
    records = [f"{record.getMessage()} {record.__dict__}" for record in caplog.records]
    assert SECRET not in "".join([*traceback.format_exception(caught.value), *records, *capsys.readouterr()])
