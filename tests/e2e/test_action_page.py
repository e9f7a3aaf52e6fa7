"""The page of an action link in a browser, on a phone's screen by day and by night, and deployed on the local cloud."""

import re
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any
from urllib.parse import urlsplit

import boto3
import httpx
import pytest
from pydantic import SecretStr

from orderwatch import clock
from orderwatch.action_links import OrderKey, sign
from orderwatch.aws.order_table import OrderTable
from orderwatch.ownership import Ownership
from orderwatch.rendering.action_page import HEADERS, ActionPage, Choice, Form
from orderwatch_local.cloud.local_cloud import LocalCloud
from tests.support.alerts import first_sight

BROWSER = shutil.which("chromium") or shutil.which("chromium-browser")
OPTIONS = (
    *("--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking"),
    *("--disable-component-update", "--disable-sync", "--virtual-time-budget=3000", "--dump-dom"),
)
WIDTH = 390
PAGE = ActionPage(
    "Order #1042 needs attention",
    "Nothing was done, because the order changed meanwhile: Ana has it.",
    (("Status", "backordered"), ("Note", "W" * 300)),
    Form(
        "0" * 32, "Ben", "Nothing was done: a name is missing.", True, (Choice("Snooze for 4 hours", "snooze x"),), True
    ),
)
# A window of a browser is at least 500 pixels wide, so the page is in a frame of the outer one, which measures it.
OUTER = """<!doctype html><iframe src="/page" width="390" height="844" style="border:0"></iframe><script>
const frame = document.querySelector("iframe");
frame.onload = () => {
  const page = frame.contentDocument;
  const targets = [...page.querySelectorAll("button, input:not([type=hidden])")];
  const lowest = Math.min(...targets.map(each => each.getBoundingClientRect().height));
  document.title = [getComputedStyle(page.body).backgroundColor, page.documentElement.scrollWidth, lowest];
};
</script>"""


class Server(BaseHTTPRequestHandler):
    """Serves the page with its own headers; only this server may frame it."""

    def do_GET(self) -> None:
        policy = HEADERS["Content-Security-Policy"].replace("frame-ancestors 'none'", "frame-ancestors 'self'")
        own = self.path == "/page"
        self.send_response(200)
        for name, value in (
            HEADERS | {"Content-Security-Policy": policy} if own else {"Content-Type": "text/html"}
        ).items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write((PAGE.html() if own else OUTER).encode())

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture
def address() -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), Server) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/"
        server.shutdown()


@pytest.mark.skipif(BROWSER is None, reason="chromium is not installed")
@pytest.mark.parametrize(
    ("scheme", "background"), [("1", "rgb(246, 247, 249)"), ("0", "rgb(20, 22, 26)")], ids=["day", "night"]
)
def test_the_page_fits_a_phone_by_day_and_by_night(address: str, tmp_path: Path, scheme: str, background: str) -> None:
    """Its style is allowed by its policy, nothing is cut off, and a thumb hits every button."""
    colors = f"--blink-settings=preferredColorScheme={scheme}"
    command = [str(BROWSER), *OPTIONS, colors, f"--user-data-dir={tmp_path}", address]
    dom = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True).stdout
    [title] = re.findall("<title>(.*)</title>", dom)
    color, width, height = re.fullmatch(r"(rgb\(.*\)),(\d+),([\d.]+)", title).groups()  # type: ignore[union-attr]
    assert (color, int(width) <= WIDTH, float(height) >= 44) == (background, True, True)


def test_an_order_is_taken_at_the_url_of_a_deployed_function() -> None:
    key, order = "k" * 43, OrderKey("conn_a", "id-1042")
    with LocalCloud() as cloud:
        cloud.put_secret("/orderwatch/action-links/key", key)
        outputs = cloud.deploy({"ActionLinks": "true", "PollSchedule": "rate(365 days)", "ReminderHours": "24"})
        variables = cloud.environment()
        dynamodb = boto3.client(
            "dynamodb",
            endpoint_url=cloud.endpoint,
            region_name=variables["AWS_DEFAULT_REGION"],
            aws_access_key_id=variables["AWS_ACCESS_KEY_ID"],
            aws_secret_access_key=variables["AWS_SECRET_ACCESS_KEY"],
            aws_session_token=variables["AWS_SESSION_TOKEN"],
        )
        table = OrderTable(dynamodb, outputs.order_table_name)
        written: Any = table.write_action(order.connection_id, first_sight(order.order_id))
        dynamodb.transact_write_items(TransactItems=[written])
        token = sign(order, SecretStr(key), at=clock.now())
        # The emulator serves a function's URL below a path of its own.
        url_id = str(urlsplit(outputs.handle_action_url or "").hostname).partition(".")[0]
        address = f"{cloud.endpoint}/_aws/lambda-url/{url_id}/{token}"
        headers = {"X-Amz-Security-Token": variables["AWS_SESSION_TOKEN"]}
        with httpx.Client(headers=headers, timeout=60, trust_env=False) as browser:
            opened, head = browser.get(address), browser.head(address)
            [seen] = re.findall('name="seen" value="([0-9a-f]+)"', opened.text)
            done = browser.post(address, data={"do": "take", "name": "Ana Müller", "seen": seen})
            refused = browser.post(f"{address}x", data={"do": "take", "name": "Ben", "seen": seen})
        row = table.read(order.connection_id, [order.order_id])[order.order_id]
        log = cloud.logs(str(outputs.handle_action_function_name), lines=100)
    assert (head.status_code, head.content, done.status_code, refused.status_code) == (200, b"", 200, 404)
    assert {name.title(): value for name, value in opened.headers.items()}.items() >= HEADERS.items()
    assert "Ana Müller has it." in done.text
    assert row.ownership
    assert replace(row.ownership, taken_at=None) == Ownership("Ana Müller")
    assert log.count("request answered") == 4
    assert str(token) not in log
    assert "Ana" not in log
