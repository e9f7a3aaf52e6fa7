import io
import json
import re
from html.parser import HTMLParser
from pathlib import Path

import pytest
from rich.console import Console
from typer.testing import CliRunner

from orderwatch.alerts.alert import Alert
from orderwatch.alerts.parts import AlertLineItem
from orderwatch_cli.main import app
from orderwatch_local.errors import ToolMissingError
from orderwatch_local.preview import picture
from orderwatch_local.preview.command import CHANNELS, read_alert, show
from orderwatch_local.preview.mrkdwn import Span, Style, spans
from orderwatch_local.preview.page import page
from orderwatch_local.preview.picture import PictureError
from orderwatch_local.preview.samples import SAMPLES, order_alert

NASTY = "</pre><script>alert(1)</script>{{json}}\"'&<b>"


def shown(alert: Alert, channel: str = "all") -> str:
    console = Console(file=io.StringIO(), width=100)
    show(alert, console, channel=channel)
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


@pytest.mark.parametrize("kind", SAMPLES)
def test_every_kind_is_shown_in_every_channel(kind: str) -> None:
    text = shown(SAMPLES[kind])
    for title in ("E-mail: [", "Slack", "SMS (", "SQS, Lambda, Firehose", "Amazon Q Developer"):
        assert title in text


def test_one_channel_alone_can_be_shown() -> None:
    text = shown(SAMPLES["order.exception"], "sms")
    assert "SMS (125 characters)" in text
    assert "E-mail" not in text


def test_the_terminal_shows_slack_blocks_as_slack_does() -> None:
    text = shown(order_alert("order.exception", raw_status="<b> & _co_"), "slack")
    assert "Order #1042 is in exception at Nordic Outdoor" in text
    assert "<b> & _co_." in text
    assert "[ Open the order ]" in text


# The page


class Reader(HTMLParser):
    """A page as a browser parses it: its elements, its texts, and every URL that it would fetch."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.open: list[str] = []
        self.fetched: list[str] = []
        self.text = ""
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.open += [] if tag in {"meta", "img", "br", "path"} else [tag]
        self.fetched += [value or "" for name, value in attrs if name in {"src", "data", "srcset", "poster"}]

    def handle_endtag(self, tag: str) -> None:
        assert not self.open or tag == "path" or self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data


@pytest.mark.parametrize("kind", SAMPLES)
def test_the_page_is_well_formed_and_loads_nothing(kind: str) -> None:
    html = page(SAMPLES[kind])
    reader = Reader(html)
    assert reader.open == []
    assert all(source.startswith("data:image/svg+xml,") for source in reader.fetched)
    assert "link" not in reader.tags
    assert "@import" not in html
    assert "url(" not in html


def test_the_page_shows_every_channel() -> None:
    reader = Reader(page(SAMPLES["order.exception"]))
    assert "ordered 2, on hand 1 (Hamburg 1, Lyon 0): short 1" in reader.text
    assert {"h2", "img", "b", "pre"} <= set(reader.tags)
    assert '"schema": "orderwatch.alert.v1"' in reader.text
    assert "Next steps" in reader.text
    assert "If you wish to stop receiving notifications" in reader.text, "as SNS adds it"
    assert "[exception] Due in 20 h: Order #1042 at Nordic Outdoor, 129.90 EUR" in reader.text


def test_text_of_a_shop_is_escaped_on_the_page() -> None:
    line = AlertLineItem(sku=NASTY, name=NASTY, image_url='https://a.example/"onerror="x')
    alert = order_alert(
        "order.exception", number=NASTY, raw_status=NASTY, url="https://a.example/?a&b|c", line_items=(line,)
    )
    html = page(alert)
    assert "script" not in Reader(html).tags
    assert "<b>\"'" not in html
    assert "alert(1)" in Reader(html).text
    assert Reader(html).open == []


def test_inserted_text_is_not_filled_again() -> None:
    assert "{{email}}" in page(order_alert("order.exception", raw_status="{{email}}"))


@pytest.mark.parametrize(
    ("markup", "read"),
    [
        ("a *short 2* b", [Span("a "), Span("short 2", Style.BOLD), Span(" b")]),
        ("_as of_", [Span("as of", Style.ITALIC)]),
        ("2 * 3 * 4, snake_case_name", [Span("2 * 3 * 4, snake_case_name")]),
        ("<https://a.example/?a&amp;b|open>", [Span("open", Style.LINK, "https://a.example/?a&b")]),
        ("&lt;!here&gt; &amp;amp;", [Span("<!here> &amp;")]),
        ("", []),
    ],
)
def test_slack_markup_is_parsed_as_slack_does(markup: str, read: list[Span]) -> None:
    assert list(spans(markup)) == read


# The command


def run(*arguments: str, stdin: str | None = None) -> str:
    result = CliRunner().invoke(app, ["preview", *arguments], input=stdin)
    assert result.exit_code == 0, result.output
    return result.output


def refused(*arguments: str, stdin: str | None = None) -> str:
    result = CliRunner().invoke(app, ["preview", *arguments], input=stdin)
    assert result.exit_code == 2
    return re.sub(r"[\s│]+", " ", result.output)


@pytest.mark.parametrize("source", ["a file", "stdin"])
def test_a_received_alert_can_be_shown(source: str, tmp_path: Path) -> None:
    alert = order_alert("order.cancelled", number="from a file").model_dump_json()
    file = tmp_path / "alert.json"
    file.write_text(alert)
    arguments = ("--alert", "-" if source == "stdin" else str(file), "--channel", "sms")
    assert "#from a file is cancelled" in run(*arguments, stdin=alert)


def test_the_page_is_written_to_the_given_file(tmp_path: Path) -> None:
    html = tmp_path / "alert.html"
    assert run("--kind", "order.digest", "--html", str(html)) == f"wrote {html}\n"
    assert "12 orders are backordered" in Reader(html.read_text(encoding="utf-8")).text


def test_without_a_kind_the_page_links_to_every_kind(tmp_path: Path) -> None:
    html = tmp_path / "alerts.html"
    run("--html", str(html))
    text = html.read_text(encoding="utf-8")
    assert all(f'<a href="#{kind}">' in text and f'<article id="{kind}">' in text for kind in SAMPLES)


def test_without_a_kind_the_terminal_shows_an_order_in_exception() -> None:
    assert "Order #1042 is in exception" in run("--channel", "sms")


def test_an_invalid_option_is_refused_in_one_sentence(tmp_path: Path) -> None:
    assert "order.lost is not one of order.exception" in refused("--kind", "order.lost")
    assert "fax is not one of all, email" in refused("--channel", "fax")
    assert "No such file" in refused("--alert", str(tmp_path / "missing.json"))
    assert "not an orderwatch.alert.v1" in refused("--alert", "-", stdin='{"order": {"ship_to": "Ada"}}')


def test_a_refusal_does_not_quote_the_alert() -> None:
    with pytest.raises(ValueError, match="alert_id: missing") as caught:
        read_alert(json.dumps({"kind": 7, "connection": "Ada Example"}))
    assert "Ada" not in str(caught.value)


def test_the_channels_are_those_of_the_command() -> None:
    assert list(CHANNELS) == ["email", "slack", "sms", "json", "chat"]


# The picture


def test_without_a_browser_the_error_names_the_remedy(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(ToolMissingError, match="install chromium"):
        picture.take(tmp_path / "alert.png")


def _browser(folder: Path, script: str) -> None:
    browser = folder / "chromium"
    browser.write_text(f"#!/bin/sh\n{script}\n")
    browser.chmod(0o755)


WRITE = """for each in "$@"; do
  case $each in --screenshot=*) head -c {size} /dev/zero >"${{each#--screenshot=}}";; esac
done"""


def test_a_browser_without_a_picture_is_an_error(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    _browser(tmp_path, "echo no display >&2")
    monkeypatch.setenv("PATH", f"{tmp_path}:/bin:/usr/bin")
    with pytest.raises(PictureError, match="no display"):
        picture.take(tmp_path / "alert.png")


def test_a_picture_over_the_limit_is_an_error(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", f"{tmp_path}:/bin:/usr/bin")
    _browser(tmp_path, WRITE.format(size=picture.MAX_BYTES + 1))
    with pytest.raises(PictureError, match="300,001 bytes"):
        picture.take(tmp_path / "alert.png")
    assert not (tmp_path / "alert.png").exists()
    _browser(tmp_path, WRITE.format(size=1000))
    picture.take(tmp_path / "alert.png")
    assert (tmp_path / "alert.png").stat().st_size == 1000


@pytest.mark.parametrize("name", picture.PICTURES)
def test_a_committed_picture_is_a_png_of_a_readmes_size(name: str) -> None:
    committed = Path(__file__).parents[2] / "docs/images" / name
    assert committed.read_bytes().startswith(b"\x89PNG")
    assert committed.stat().st_size <= picture.MAX_BYTES
