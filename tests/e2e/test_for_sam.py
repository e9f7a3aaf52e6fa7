"""`orderwatch up --for-sam`: every function works with the files that it writes.

Once with the built functions under the Lambda runtime interface, which needs no Docker, and once as a user does it: the
commands as `up` prints them, in Docker. Where no daemon answers the second does not run, and says so.
"""

import io
import json
import os
import shlex
import subprocess
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr
from rich.console import Console

from orderwatch_local.cloud.containers import LOOPBACK, find_container_network
from orderwatch_local.cloud.sam import PROJECT, build, this_architecture
from orderwatch_local.cloud.watch import WatchedShop
from orderwatch_local.errors import DockerMissingError
from orderwatch_local.simulator import Shop, ShopServer, Trackstar, VirtualClock, serve
from orderwatch_local.up.checks import Request
from orderwatch_local.up.run import run_up
from tests.e2e.runtime_interface import RuntimeInterface

pytestmark = pytest.mark.slow
API_KEY = "key-of-the-tests"
TOKEN = "token-of-sam"
CONNECTION = "conn_sam"
WITHIN = 300.0
USERS_CREDENTIALS = {
    "AWS_ACCESS_KEY_ID": "AKIAUSER",
    "AWS_SECRET_ACCESS_KEY": "secret-of-the-user",
    "AWS_SESSION_TOKEN": "token-of-the-user",
    "AWS_REGION": "eu-central-1",
    "AWS_DEFAULT_REGION": "eu-central-1",
}

type Invoke = Callable[[str], Any]


class Screen(io.StringIO):
    """Output of a process, and a wait for a text in it."""

    def __init__(self) -> None:
        super().__init__()
        self._changed = threading.Condition()

    def write(self, text: str) -> int:
        with self._changed:
            written = super().write(text)
            self._changed.notify_all()
        return written

    def shows(self, text: str) -> bool:
        """Whether it is there in time, however the lines are wrapped."""
        with self._changed:
            return self._changed.wait_for(lambda: text in " ".join(self.getvalue().split()), WITHIN)


@dataclass
class Up:
    """A running `up --for-sam` and the shop that it watches."""

    shop: Shop
    clock: VirtualClock
    alerts: Screen = field(default_factory=Screen)
    log: Screen = field(default_factory=Screen)


@pytest.fixture
def clock() -> VirtualClock:
    return VirtualClock(datetime(2026, 3, 2, 10, 0, tzinfo=UTC))


@pytest.fixture
def shop(clock: VirtualClock) -> Shop:
    shop = Shop(CONNECTION, access_token=TOKEN, clock=clock)
    shop.place({"id": "o1", "order_number": "#1042", "status": "open"})
    shop.sync()
    clock.advance(timedelta(hours=1))
    return shop


@pytest.fixture
def server(shop: Shop, clock: VirtualClock) -> Iterator[ShopServer]:
    with serve(Trackstar(API_KEY, [shop], clock)) as server:
        yield server


def every_function_does_its_work(up: Up, invoke: Invoke) -> None:
    assert up.log.shows("Ctrl-C stops it"), up.log.getvalue()

    up.clock.advance(timedelta(minutes=5))
    up.shop.sync()
    assert invoke("DispatchPollsFunction")["connection_ids"] == [CONNECTION]
    assert up.log.shows(f"PollQueue got a poll of {CONNECTION}")

    up.shop.move("o1", "exception")
    up.shop.sync()
    assert invoke("PollOrdersFunction") == {"batchItemFailures": []}
    assert up.log.shows("publish_alerts_stream.json has 2 new alerts for publish_alerts"), (
        "the baseline's and the order's"
    )

    assert "[exception] Order #1042" not in up.alerts.getvalue()
    assert invoke("PublishAlertsFunction") == {"batchItemFailures": []}
    assert up.alerts.shows("[exception] Order #1042")
    assert up.log.shows("post_to_slack_message.json has 3 messages for post_to_slack"), "these two and a test's"

    assert "[backordered] Order #TEST" not in up.alerts.getvalue()
    assert invoke("RedriveAlertsFunction") == {"sent": 1, "unsent": 0}
    assert up.alerts.shows("[backordered] Order #TEST")

    assert invoke("PostToSlackFunction") == {"batchItemFailures": []}
    assert up.log.shows("posted to Slack: Order #1042 is in exception")


@contextmanager
def up_in_this_process(shop: Shop, server: ShopServer, clock: VirtualClock) -> Iterator[Up]:
    up, until = Up(shop, clock), threading.Event()
    watched = WatchedShop(CONNECTION, SecretStr(TOKEN))
    request = Request(server.url, SecretStr(API_KEY), [watched], "rate(1 minute)", "exception", for_sam=True)
    out, log = Console(file=up.alerts, highlight=False), Console(file=up.log, highlight=False)
    with ThreadPoolExecutor(1) as pool:
        running = pool.submit(run_up, request, out=out, log=log, as_json=False, until=until)
        running.add_done_callback(lambda _: up.log.write("up has ended\n"))
        try:
            yield up
        finally:
            until.set()
            running.result()


def test_every_function_works_with_its_event_file(
    shop: Shop, server: ShopServer, clock: VirtualClock, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, built = tmp_path / "for-sam", build(this_architecture()).parent
    monkeypatch.setattr("orderwatch_local.up.run.find_container_network", lambda _: LOOPBACK)
    monkeypatch.setattr("orderwatch_local.cloud.containers.HOST", "127.0.0.1")
    monkeypatch.setattr("orderwatch_cli.commands.env_json.FOLDER", folder)

    def invoke(function: str) -> Any:
        [event] = [word for word in command_of(up, function) if word.startswith(str(folder)) and "env.json" not in word]
        scratch = tmp_path / function
        scratch.mkdir()
        with RuntimeInterface(
            function=built / function,
            layer=built / "OrderwatchLayer",
            environment={**json.loads((folder / "env.json").read_text())[function], **USERS_CREDENTIALS},
            scratch=scratch,
            timeout=300,
        ) as running:
            return running.invoke(json.loads(Path(event).read_text())).payload

    with up_in_this_process(shop, server, clock) as up:
        every_function_does_its_work(up, invoke)
        assert (folder / "env.json").stat().st_mode & 0o777 == 0o600
        assert TOKEN not in "".join(path.read_text() for path in folder.iterdir())
    assert not folder.exists()


def command_of(up: Up, function: str) -> list[str]:
    """The command as `up` prints it."""
    [line] = [line for line in up.log.getvalue().splitlines() if f" invoke {function} " in line]
    return shlex.split(line)


@pytest.fixture
def docker() -> None:
    try:
        find_container_network(os.environ)
    except DockerMissingError as missing:
        pytest.skip(f"sam local invoke was NOT run: {missing}")


def test_every_printed_command_works_in_docker(
    docker: None, shop: Shop, server: ShopServer, clock: VirtualClock
) -> None:
    template = build(this_architecture())

    def invoke(function: str) -> Any:
        # The build that is there, in place of the user's own; SAM looks for its settings beside the template.
        files = ("--template", str(template), "--config-file", str(PROJECT / "samconfig.toml"))
        command = [*command_of(up, function), *files]
        done = subprocess.run(
            command, cwd=PROJECT, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout.strip().splitlines()[-1])

    with up_in_this_process(shop, server, clock) as up:
        every_function_does_its_work(up, invoke)
