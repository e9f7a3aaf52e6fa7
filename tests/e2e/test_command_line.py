"""The command line as a process: output, exit code, and child processes."""

import json
import os
import queue
import select
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import IO

import pytest

from orderwatch_local.simulator import Shop, ShopServer, Trackstar, VirtualClock, serve

ORDERWATCH = Path(sys.executable).with_name("orderwatch")
API_KEY = "key-of-the-tests"
WITHIN = 150.0
"""Seconds for a build, a deployment and the next tick of a schedule that ticks once a minute."""


@pytest.fixture
def clock() -> VirtualClock:
    return VirtualClock(datetime(2026, 3, 2, 10, 0, tzinfo=UTC))


@pytest.fixture
def shop(clock: VirtualClock) -> Shop:
    shop = Shop("conn_up", access_token="token-of-up", clock=clock)
    shop.place({"id": "o1", "order_number": "#1", "status": "open"})
    shop.sync()
    clock.advance(timedelta(hours=1))
    return shop


@pytest.fixture
def server(shop: Shop, clock: VirtualClock) -> Iterator[ShopServer]:
    with serve(Trackstar(API_KEY, [shop], clock)) as server:
        yield server


@contextmanager
def running(*arguments: str, **environment: str) -> Iterator[subprocess.Popen[str]]:
    process = subprocess.Popen(
        [ORDERWATCH, *arguments],
        env={**os.environ, "TRACKSTAR_API_KEY": API_KEY, **environment},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        yield process
    finally:
        process.kill()
        process.wait()
        for stream in filter(None, (process.stdin, process.stdout, process.stderr)):
            stream.close()


def lines_of(stream: IO[str]) -> "queue.Queue[str]":
    """The lines of a stream, as they arrive."""
    lines: queue.Queue[str] = queue.Queue()

    def read() -> None:
        with suppress(ValueError):  # the test closes it at its end
            for line in stream:
                lines.put(line)

    threading.Thread(target=read, daemon=True).start()
    return lines


def children_of(pid: int) -> list[int]:
    """All descendants of a process, from /proc."""
    found: list[int] = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            parent = int(stat.read_text().rpartition(")")[2].split()[1])
        except OSError:
            continue
        if parent == pid:
            child = int(stat.parent.name)
            found += [child, *children_of(child)]
    return found


def ends(pid: int) -> bool:
    """Whether the process ends within ten seconds."""
    try:
        process = os.pidfd_open(pid)
    except ProcessLookupError:
        return True
    try:
        return bool(select.select([process], [], [], 10)[0])
    finally:
        os.close(process)


def test_up_prints_each_transition_once_as_one_line_of_json(
    shop: Shop, server: ShopServer, clock: VirtualClock
) -> None:
    arguments = ("up", "--json", "--every", "1", "--trackstar-url", server.url, "--connection", "conn_up")
    with running(*arguments, TRACKSTAR_ACCESS_TOKEN="token-of-up") as process:
        assert process.stdout
        assert process.stderr
        lines, log = lines_of(process.stdout), lines_of(process.stderr)
        assert json.loads(lines.get(timeout=WITHIN))["kind"] == "watch.started"

        shop.move("o1", "exception")
        shop.sync()
        alert = json.loads(lines.get(timeout=WITHIN))
        assert (alert["schema"], alert["kind"]) == ("orderwatch.alert.v1", "order.exception")

        clock.advance(timedelta(hours=1))
        shop.move("o1", "cancelled")
        shop.sync()
        assert json.loads(lines.get(timeout=WITHIN))["kind"] == "order.cancelled"

        below = children_of(process.pid)
        assert below
        process.send_signal(signal.SIGINT)
        assert process.wait(timeout=30) == 130
        assert all(map(ends, below))
        assert lines.empty()
        assert "token-of-up" not in "".join(log.queue)


@pytest.mark.parametrize(
    ("environment", "connection", "says"),
    [
        ({"TRACKSTAR_API_KEY": "wrong", "TRACKSTAR_ACCESS_TOKEN": "token-of-up"}, "conn_up", "TRACKSTAR_API_KEY"),
        ({"TRACKSTAR_ACCESS_TOKEN": "wrong"}, "conn_up", "TRACKSTAR_ACCESS_TOKEN_conn_up"),
        ({"TRACKSTAR_ACCESS_TOKEN": "token-of-up"}, "conn_gone", "has no connection conn_gone"),
        ({"TRACKSTAR_API_KEY": ""}, "conn_up", "no API key: set TRACKSTAR_API_KEY"),
        ({}, "conn_up", "set TRACKSTAR_ACCESS_TOKEN_conn_up or TRACKSTAR_ACCESS_TOKEN"),
    ],
)
def test_wrong_secret_or_connection_is_one_line_that_names_it(
    server: ShopServer, environment: dict[str, str], connection: str, says: str
) -> None:
    with running("up", "--trackstar-url", server.url, "--connection", connection, **environment) as process:
        out, err = process.communicate(timeout=30)
    assert process.returncode == 1
    assert out == ""
    assert says in err
    assert err.count("\n") == 1


def test_unreachable_api_is_one_line_that_names_the_option() -> None:
    arguments = ("up", "--trackstar-url", "http://127.0.0.1:9", "--connection", "conn_up")
    with running(*arguments, TRACKSTAR_ACCESS_TOKEN="token-of-up") as process:
        _, err = process.communicate(timeout=60)
    assert process.returncode == 1
    assert "check --trackstar-url" in err
    assert err.count("\n") == 1


def test_port_in_use_is_one_line_that_names_it(server: ShopServer) -> None:
    with running("shop", "--port", str(server.port)) as process:
        _, err = process.communicate(timeout=30)
    assert (process.returncode, err.count("\n")) == (1, 1)
    assert f"port {server.port}" in err


def test_demo_succeeds_and_shows_every_alert() -> None:
    with running("demo", "--seed", "3") as process:
        out, err = process.communicate(timeout=WITHIN)
    assert process.returncode == 0, out[-3000:] + err
    assert "Every expected alert was delivered exactly once." in out
    for title in (
        "[watch started]",
        "[exception]",
        "[backordered]",
        "[recovered]",
        "[shop blocked]",
        "[shop recovered]",
    ):
        assert title in out


def test_interrupted_demo_leaves_no_process_behind() -> None:
    with running("demo") as process:
        assert process.stdout
        lines = lines_of(process.stdout)
        while "watch started" not in lines.get(timeout=WITHIN):
            pass
        below = children_of(process.pid)
        process.send_signal(signal.SIGINT)
        assert process.wait(timeout=30) == 130
    assert below
    assert all(map(ends, below))
