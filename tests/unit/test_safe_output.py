"""Texts of shops and Trackstar cannot manipulate the operator's terminal."""

import io
import json
import re
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest
from pydantic import BaseModel, SecretStr
from rich.console import Console
from typer.testing import CliRunner

from orderwatch.errors import OrderwatchError
from orderwatch.records import HealthState
from orderwatch.trackstar.connections import TrackstarConnection
from orderwatch_cli import arguments, main, output
from orderwatch_cli.commands import connect
from orderwatch_cli.commands.connect import Connected
from orderwatch_local.cloud.inbox import Mail
from orderwatch_local.demo import run as demo
from orderwatch_local.preview.command import CHANNELS
from orderwatch_local.preview.command import show as preview
from orderwatch_local.preview.samples import SAMPLES
from orderwatch_local.up import run as up
from orderwatch_local.up.checks import Request
from orderwatch_local.up.screen import Screen

ESCAPES = "\x1b[2J\x1b]0;owned\x07 \x9b31m \x00\x08\x7f\r"
BIDI = "\u202e\u2066\u2069\u200f"
HIDDEN = "\u200b\u00ad\ufeff\U000e0041\u034f\u115f\u180e\u2061\u2064\u206a\u3164\uffa0\U000e0001"
NASTY = f"{ESCAPES}{BIDI}{HIDDEN}\u2028[bold red]shop[/] [/nothing] é 日本"
"""Control characters, text directions, invisible characters, a line separator, and Rich's markup."""
UNSAFE = re.compile(
    r"[\x00-\x09\x0b-\x1f\x7f-\x9f\u2028-\u202e\u2060-\u206f\u200b\u200e\u200f\u00ad\ufeff\u034f\u061c\u115f\u180e"
    r"\u3164\uffa0\U000e0000-\U000e007f]",
)


def is_safe(printed: str) -> bool:
    """Whether no unsafe character is left and Rich's markup is printed literally."""
    return not UNSAFE.search(printed) and "[bold red]shop[/]" in printed


def console() -> tuple[Console, io.StringIO]:
    """A console whose output can be read, without colours."""
    file = io.StringIO()
    return Console(file=file, width=200, force_terminal=False, highlight=False), file


def test_printable_keeps_lines_and_drops_unsafe_characters() -> None:
    assert output.printable("one\n   two  three\n") == "one\n   two  three\n"
    assert output.printable("a\x1b[31mb\x9bc\x7fd\te\x85f\u2028g\ud800h") == "a [31mb c d e f g h"
    assert output.printable("a\u202eb\u200bc\U000e0041d") == "abcd"
    assert output.printable("é 日本 👩‍👩‍👧 नमस्ते") == "é 日本 👩‍👩‍👧 नमस्ते"


def test_printable_json_keeps_values_and_escapes_characters() -> None:
    value = {"raw": NASTY, "amount": 129.90, "emoji": "👩‍👧"}
    body = json.dumps(value, ensure_ascii=False)
    line = output.printable_json(body)
    assert json.loads(line) == value
    assert not UNSAFE.search(line)
    assert "é 日本" in line


def test_line_break_in_a_value_starts_no_new_line(capsys: pytest.CaptureFixture[str]) -> None:
    output.line(f"connected {NASTY}\nok    everything")
    out = capsys.readouterr().out
    assert out.count("\n") == 1
    assert is_safe(out)


def test_document_is_ascii_json(capsys: pytest.CaptureFixture[str]) -> None:
    class Named(BaseModel):
        name: str

    output.document(Named(name=NASTY))
    out = capsys.readouterr().out
    assert json.loads(out) == {"name": NASTY}
    assert out.isascii()


def test_connect_prints_trackstar_texts_safely(monkeypatch: pytest.MonkeyPatch) -> None:
    connected = Connected(
        connection_id="conn_a",
        name=None,
        integration=NASTY,
        health=HealthState.HEALTHY,
        data_as_of=datetime(2026, 1, 5, tzinfo=UTC),
    )
    monkeypatch.setattr(connect, "_stored_api_key", lambda _: SecretStr("key"))
    monkeypatch.setattr(connect, "connect_shop", lambda *_, **__: connected)
    monkeypatch.setattr(connect, "_connected_shop", lambda *_: None)
    monkeypatch.setattr(arguments, "find_stack", lambda *_: None)
    printed = CliRunner().invoke(main.app, ["connect", "conn_a"], input="token\n").stdout
    assert is_safe(printed)


def test_error_is_printed_safely(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    def fail(*_: object) -> None:
        raise OrderwatchError(f"Trackstar does not respond: {NASTY}")

    monkeypatch.setattr(arguments, "find_stack", fail)
    with pytest.raises(SystemExit):
        main.run(["shops"])
    assert is_safe(capsys.readouterr().err)


class Ended(Exception):  # noqa: N818 - no error: the test has seen enough
    """Ends `up` after it has checked the shop."""


def test_up_prints_trackstar_texts_safely(monkeypatch: pytest.MonkeyPatch) -> None:
    def end(*_: object, **__: object) -> None:
        raise Ended

    found = TrackstarConnection(connection_id="conn_a", integration_name=NASTY)
    monkeypatch.setattr(up, "check", lambda _: [found])
    monkeypatch.setattr(up, "watching", end)
    log, printed = console()
    request = Request("https://api.example", SecretStr("key"), shops=[], schedule="rate(1 minute)", statuses="x")
    with pytest.raises(Ended):
        up.run_up(request, out=log, log=log, as_json=False)
    assert is_safe(printed.getvalue())


@pytest.mark.parametrize(
    "show",
    [
        lambda out: Screen(out, out, as_json=False).show_mail,
        lambda out: demo.mail_printer(out, demo.Received()),
    ],
    ids=["up", "demo"],
)
def test_mail_is_printed_safely(show: Callable[[Console], Callable[[Mail], None]]) -> None:
    out, printed = console()
    show(out)(Mail(f"subject {NASTY}", f"one\n  two {NASTY}", 0.0))
    assert is_safe(printed.getvalue())


def test_up_prints_an_alert_as_one_safe_line_of_json() -> None:
    out, printed = console()
    Screen(out, out, as_json=True).show_json(json.dumps({"raw_status": NASTY}, ensure_ascii=False))
    assert is_safe(printed.getvalue())
    assert printed.getvalue().count("\n") == 1
    assert json.loads(printed.getvalue()) == {"raw_status": NASTY}


@pytest.mark.parametrize("channel", CHANNELS)
def test_preview_prints_an_alert_safely(channel: str) -> None:
    sample = SAMPLES["order.exception"]
    assert sample.order is not None
    # model_copy skips the validation, which would clean the texts.
    order = sample.order.model_copy(update={"raw_status": NASTY, "url": f"https://a.example/{BIDI}", "id": NASTY})
    alert = sample.model_copy(update={"order": order})
    out, printed = console()
    preview(alert, out, channel=channel)
    assert not UNSAFE.search(printed.getvalue())


def test_the_page_of_the_preview_shows_unsafe_characters_as_escapes(tmp_path: Path) -> None:
    alert = json.loads(SAMPLES["order.exception"].model_dump_json())
    alert["connection_id"] = alert["connection"]["id"] = f"conn{NASTY}"
    alert["order"] |= {"id": NASTY, "raw_status": NASTY, "currency": NASTY, "url": f"https://a.example/{BIDI}"}
    alert["order"]["line_items"][0] |= {"product_id": NASTY, "name": NASTY, "image_url": f"https://a.example/{HIDDEN}"}
    file = tmp_path / "alert.html"
    given = json.dumps(alert)
    result = CliRunner().invoke(main.app, ["preview", "--alert", "-", "--html", str(file)], input=given)
    assert result.exit_code == 0, result.output
    html = file.read_text(encoding="utf-8")
    assert not UNSAFE.search(html)
    assert r"\u001b[2J" in html
    assert r"\u202e\u2066\u2069\u200f\u200b\u00ad\ufeff\udb40\udc41\u034f" in html


def test_error_about_a_file_is_printed_safely() -> None:
    alert = json.loads(SAMPLES["order.exception"].model_dump_json())
    alert["order"]["line_items"][0]["on_hand_by_warehouse"] = {NASTY: "many"}
    result = CliRunner().invoke(main.app, ["preview", "--alert", "-"], input=json.dumps(alert))
    assert result.exit_code != 0
    assert "not an orderwatch.alert.v1" in result.output
    assert not UNSAFE.search(result.output)
