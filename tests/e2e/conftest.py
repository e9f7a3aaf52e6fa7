"""The deployed template: built, started and deployed once for all the tests of this process."""

import json
import threading
from collections.abc import Iterator
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from orderwatch_cli.stack import Outputs
from orderwatch_local.cloud.local_cloud import LocalCloud
from orderwatch_local.simulator import Shop, Trackstar, VirtualClock, serve

API_KEY = "key-of-the-tests"
ACCESS_TOKEN = "token-of-the-tests"
CONNECTION_ID = "conn_harbor_coffee"
# No schedules here: a test starts each poll itself.
NEVER = "rate(365 days)"


class SlackChannel(ThreadingHTTPServer):
    """A webhook that accepts and records every message."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Webhook)
        self.messages: list[dict[str, Any]] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}/services/webhook-of-the-tests"


class _Webhook(BaseHTTPRequestHandler):
    server: SlackChannel

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.messages.append(json.loads(body))
        self.send_response(200)
        self.send_header("Content-Length", "2")
        self.end_headers()
        self.wfile.write(b"ok")

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class names it so
        """Suppress the log."""


@pytest.fixture(scope="session")
def slack_channel() -> Iterator[SlackChannel]:
    with SlackChannel() as channel:
        thread = threading.Thread(target=channel.serve_forever)
        thread.start()
        yield channel
        channel.shutdown()
        thread.join()


@pytest.fixture(scope="session")
def clock() -> VirtualClock:
    """The vendor's clock."""
    return VirtualClock(datetime(2026, 3, 2, 10, 15, tzinfo=UTC))


@pytest.fixture(scope="session")
def trackstar(clock: VirtualClock) -> Trackstar:
    """The vendor, with the shop that the files of `events/` are about."""
    shop = Shop(CONNECTION_ID, access_token=ACCESS_TOKEN, clock=clock, products=[{"id": "prod_espresso_1kg"}])
    shop.place({"id": "ord_5f2c9a", "status": "exception", "order_number": "HC-10482"})
    shop.sync()
    return Trackstar(API_KEY, [shop], clock, rate_limit=1000)


@pytest.fixture(scope="session")
def trackstar_url(trackstar: Trackstar) -> Iterator[str]:
    with serve(trackstar) as server:
        yield server.url


@pytest.fixture(scope="session")
def cloud() -> Iterator[LocalCloud]:
    with LocalCloud() as running:
        yield running


@pytest.fixture(scope="session")
def deployed(cloud: LocalCloud, trackstar_url: str, slack_channel: SlackChannel) -> Outputs:
    """The template's outputs, with every secret put."""
    cloud.put_secret("/orderwatch/trackstar/api-key", API_KEY)
    cloud.put_secret(f"/orderwatch/connections/{CONNECTION_ID}/access-token", ACCESS_TOKEN)
    cloud.put_secret("/orderwatch/slack/webhook-url", slack_channel.url)
    return cloud.deploy({"TrackstarBaseUrl": trackstar_url, "SlackEnabled": "true", "PollSchedule": NEVER})
