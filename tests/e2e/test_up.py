"""`orderwatch shop`, `up` and `demo` as processes, as in the README: shops, the alerts about them, and the end."""

import json
import re
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from tests.e2e.processes import WITHIN, Lines, children_of, ends, running

CONTROLS = re.compile(r"[\x00-\x08\x0b-\x1f\x7f]")
ALPINE = ("--every", "1", "--connection", "conn_alpine", "--name", "Alpine Outdoor")


@contextmanager
def shops() -> Iterator[tuple[subprocess.Popen[str], dict[str, str], str]]:
    """`orderwatch shop --still` with its commands in a pipe; the environment and the URL that it prints for `up`."""
    with running("shop", "--still") as process:
        printed = Lines(process.stdout)
        printed.until("help")
        url = re.search(r"http://127\.0\.0\.1:\d+", printed.text)
        assert url
        yield process, dict(re.findall(r"export (\w+)=(\S+)", printed.text)), url[0]


def say(shop: subprocess.Popen[str], command: str) -> None:
    """Type a command of `orderwatch shop`."""
    assert shop.stdin
    shop.stdin.write(f"{command}\n")
    shop.stdin.flush()


def test_up_alerts_an_order_that_a_shop_command_changed() -> None:
    with shops() as (shop, environment, url), running("up", "--trackstar-url", url, *ALPINE, **environment) as up:
        alerts, log = Lines(up.stdout), Lines(up.stderr)
        alerts.until("Now watching 320 orders")
        say(shop, 'fail 1042 exception "Address verification failed"')
        alerts.until("Address verification failed.")
        assert "[exception] Order #1042 at Alpine Outdoor" in alerts.text

        say(shop, "block")
        alerts.until("(OpsTopic: for the operators)")
        assert "[shop blocked]" in alerts.text

        shop.send_signal(signal.SIGINT)
        assert shop.wait(timeout=30) == 130
        assert "cannot be reached" in log.until("polling Alpine Outdoor fails: ")
        assert re.search(r"^\d\d:\d\d:\d\d watching Alpine Outdoor · ", log.text, re.MULTILINE)
        below = children_of(up.pid)
        up.send_signal(signal.SIGINT)
        alerts.until("summary.daily")
        assert re.search(r"\[summary\] .*\d+ orders need attention", alerts.text)
        assert "Alpine Outdoor: not visible" in alerts.text
        assert up.wait(timeout=WITHIN) == 130
        assert below
        assert all(map(ends, below))
        for secret in environment.values():
            assert secret not in log.text + alerts.text
        assert not CONTROLS.search(alerts.text + log.text)


@pytest.mark.slow
def test_up_prints_json_and_exits_after_its_reader_has_exited() -> None:
    with shops() as (shop, environment, url):
        arguments = ("up", "--json", "--every", "1", "--trackstar-url", url, "--connection", "conn_alpine")
        with running(*arguments, **environment) as up:
            assert up.stdout
            assert up.stderr
            assert json.loads(up.stdout.readline())["kind"] == "watch.started"
            say(shop, "fail 1042")
            alert = json.loads(up.stdout.readline())
            assert (alert["schema"], alert["kind"]) == ("orderwatch.alert.v1", "order.exception")
            below = children_of(up.pid)
            up.stdout.close()
            say(shop, "fail 1043")
            assert up.wait(timeout=WITHIN) == 0
            assert all(map(ends, below))
            assert not re.search("Traceback|Error|Exception", up.stderr.read())


@pytest.mark.slow
def test_up_demo_needs_one_terminal_and_no_secrets() -> None:
    with running("up", "--demo") as up:
        alerts = Lines(up.stdout)
        say(up, 'fail 1042 exception "Address verification failed"')
        alerts.until("Address verification failed.")
        assert "[exception] Order #1042 at Alpine Outdoor" in alerts.text
        say(up, "quit")
        alerts.until("summary.daily")
        assert up.wait(timeout=WITHIN) == 0


@pytest.mark.slow
@pytest.mark.parametrize("command", [("demo",), ("shop", "--hour", "0.5")])
def test_a_command_exits_quietly_after_its_reader_has_exited(command: tuple[str, ...]) -> None:
    with running(*command) as process:
        assert process.stdout
        assert process.stderr
        process.stdout.readline()
        process.stdout.close()
        assert process.wait(timeout=WITHIN) == 0
        assert process.stderr.read() == ""


@pytest.mark.parametrize("pause", [0, 0.01, 0.1])
def test_a_second_interrupt_causes_no_traceback(pause: float) -> None:
    with running("shop") as process:
        Lines(process.stdout).until("help")
        for _ in range(2):
            process.send_signal(signal.SIGINT)
            time.sleep(pause)
        assert process.wait(timeout=WITHIN) in {130, -signal.SIGINT}
        assert process.stderr
        assert process.stderr.read() == ""


@pytest.mark.slow
def test_demo_succeeds_and_shows_every_alert() -> None:
    with running("demo", "--seed", "3") as process:
        out, err = process.communicate(timeout=WITHIN)
    assert process.returncode == 0, out[-3000:] + err
    assert "Every expected alert was delivered exactly once." in out
    for title in ("watch started", "exception", "backordered", "recovered", "shop blocked", "shop recovered"):
        assert f"[{title}]" in out


@pytest.mark.slow
def test_interrupted_demo_leaves_no_process_behind() -> None:
    with running("demo") as process:
        Lines(process.stdout).until("watch started")
        below = children_of(process.pid)
        process.send_signal(signal.SIGINT)
        assert process.wait(timeout=30) == 130
    assert below
    assert all(map(ends, below))
