"""Two processes as in the README: the shops, whose orders are changed by commands, and `up`, which shows the alerts."""

import re
import signal
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import IO

import pytest

from tests.e2e.test_command_line import WITHIN, children_of, ends, lines_of, running

CONTROLS = re.compile(r"[\x00-\x08\x0b-\x1f\x7f]")
ENDS_WITHIN = WITHIN
"""Seconds for the next output and the stop of the emulator on a busy machine."""


@contextmanager
def shops() -> Iterator[tuple[subprocess.Popen[str], dict[str, str], str]]:
    """`orderwatch shop --still` with its commands in a pipe; the environment and the URL that it prints for `up`."""
    with running("shop", "--still") as process:
        assert process.stdout
        lines, printed = lines_of(process.stdout), ""
        while "help" not in printed:
            printed += lines.get(timeout=WITHIN)
        url = re.search(r"http://127\.0\.0\.1:\d+", printed)
        assert url
        yield process, dict(re.findall(r"export (\w+)=(\S+)", printed)), url[0]


def wait_for(lines: Iterator[str], text: str) -> str:
    """The lines up to the first one with this text."""
    seen = ""
    for line in lines:
        seen += line
        if text in line:
            break
    return seen


def coming(stream: IO[str] | None) -> Iterator[str]:
    """The lines of a stream, each awaited for a bounded time."""
    assert stream
    queue = lines_of(stream)
    while True:
        yield queue.get(timeout=WITHIN)


def test_up_alerts_an_order_that_a_shop_command_changed() -> None:
    arguments = ("--every", "1", "--connection", "conn_alpine", "--name", "Alpine Outdoor")
    with shops() as (shop, environment, url), running("up", "--trackstar-url", url, *arguments, **environment) as up:
        assert shop.stdin
        alerts, log = coming(up.stdout), coming(up.stderr)
        shown = wait_for(alerts, "Watching 320 orders")
        shop.stdin.write('fail 1042 exception "Address verification failed"\n')
        shop.stdin.flush()
        shown += wait_for(alerts, "Address verification failed.")
        assert "[exception] Order #1042 at Alpine Outdoor" in shown

        shop.stdin.write("block\n")
        shop.stdin.flush()
        shown += wait_for(alerts, "(OpsTopic: for the operators)")
        assert "[shop blocked]" in shown

        shop.send_signal(signal.SIGINT)
        assert shop.wait(timeout=30) == 130
        said = wait_for(log, "polling Alpine Outdoor fails: ")
        assert "cannot be reached" in said
        assert "Traceback" not in said
        assert re.search(r"^\d\d:\d\d:\d\d watching Alpine Outdoor · ", said, re.MULTILINE)
        assert not CONTROLS.search(shown + said)
        up.send_signal(signal.SIGINT)
        shown = wait_for(alerts, "summary.daily")
        assert re.search(r"\[summary\] .*\d+ orders need attention", shown)
        assert "Alpine Outdoor: not visible" in shown
        assert up.wait(timeout=ENDS_WITHIN) == 130


def test_up_exits_at_the_next_alert_after_its_reader_has_exited() -> None:
    with shops() as (shop, environment, url):
        assert shop.stdin
        arguments = ("up", "--json", "--every", "1", "--trackstar-url", url, "--connection", "conn_alpine")
        with running(*arguments, **environment) as up:
            assert up.stdout
            assert up.stderr
            assert '"watch.started"' in up.stdout.readline()
            below = children_of(up.pid)
            up.stdout.close()
            shop.stdin.write("fail 1042\n")
            shop.stdin.flush()
            assert up.wait(timeout=ENDS_WITHIN) == 1
            assert all(map(ends, below))
            assert not re.search("Traceback|Error|Exception", up.stderr.read())


@pytest.mark.parametrize("command", [("demo",), ("shop", "--hour", "0.5")])
def test_a_command_exits_quietly_after_its_reader_has_exited(command: Sequence[str]) -> None:
    with running(*command) as process:
        assert process.stdout
        assert process.stderr
        process.stdout.readline()
        process.stdout.close()
        assert process.wait(timeout=ENDS_WITHIN) == 1
        assert process.stderr.read() == ""
