"""The preview of alerts: terminal, HTML page, and the pictures of the docs."""

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
from orderwatch_local.preview.command import BODIES, read_alert, show
from orderwatch_local.preview.mrkdwn import Span, Style, spans
from orderwatch_local.preview.page import page
from orderwatch_local.preview.picture import PictureError
from orderwatch_local.preview.samples import SAMPLES, SHOP, order_alert
from tests.support.template import ROOT

NASTY = "</pre><script>alert(1)</script>{{json}}\"'&<b>"


def named(alert: Alert, shop: str) -> Alert:
    """The same alert of a shop with another name."""
    return Alert.model_validate_json(alert.model_dump_json().replace(str(SHOP.name), json.dumps(shop)[1:-1]))


def shown(alert: Alert, channel: str = "all") -> str:
    out = io.StringIO()
    show(alert, Console(file=out, width=100), channel=channel)
    return out.getvalue()


class Reader(HTMLParser):
    """A page as a browser parses it: its elements, its text, and every URL that it would fetch."""

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


def safely_read(html: str) -> str:
    """The text of a page, after a check that it is well formed, runs nothing and loads nothing."""
    reader = Reader(html)
    assert reader.open == []
    assert not {"script", "link"} & {*reader.tags}
    assert all(source.startswith("data:image/svg+xml,") for source in reader.fetched)
    assert "@import" not in html
    assert "url(" not in html
    return reader.text


@pytest.mark.parametrize("kind", SAMPLES)
def test_every_kind_is_shown_in_every_channel_and_escaped(kind: str) -> None:
    text = shown(SAMPLES[kind])
    for title in ("E-mail: [", "Slack", "SMS (", "SQS, Lambda, Firehose", "Amazon Q Developer"):
        assert title in text
    safely_read(page(SAMPLES[kind]))
    safely_read(page(named(SAMPLES[kind], NASTY)))


@pytest.mark.parametrize(
    ("channel", "text"),
    [
        ("email", "[exception] Due in 20 h: Order #1042 at Nordic Outdoor, 129.90 EUR"),
        ("email footer", "If you wish to stop receiving notifications"),
        ("Slack", "2 × Merino socks, M (SOCK-M), 15.50\u00a0EUR each – 1 in stock (Hamburg 1, Lyon 0), 1 short"),
        ("Amazon Q", "Next steps"),
        ("SMS", "SMS, 125 characters"),
        ("JSON", '"schema": "orderwatch.alert.v1"'),
    ],
)
def test_the_page_shows_every_channel(channel: str, text: str) -> None:
    assert text in safely_read(page(SAMPLES["order.exception"]))


@pytest.mark.parametrize(("kind", "time"), [("order.exception", "13:35"), ("summary.daily", "08:00")])
def test_slack_shows_the_time_in_the_zone_of_the_shop(kind: str, time: str) -> None:
    assert f"<span>{time}</span>" in page(SAMPLES[kind])


def test_text_of_an_order_is_escaped_and_not_filled_again() -> None:
    line = AlertLineItem(sku=NASTY, name=NASTY, image_url='https://a.example/"onerror="x')
    url = "https://a.example/?a&b|c"
    html = page(order_alert("order.exception", number=NASTY, raw_status=NASTY, url=url, line_items=(line,)))
    assert "<script>alert(1)</script>{{json}}" in safely_read(html)
    assert "onerror" not in str(re.findall("<[^>]*>", html))


def test_the_terminal_shows_slack_blocks_as_slack_does() -> None:
    text = shown(order_alert("order.exception", raw_status="<b> & _co_"), "slack")
    assert "Order #1042 is in exception at Nordic Outdoor" in text
    assert "<b> & _co_." in text
    assert "[ Open the order ]" in text
    assert "E-mail" not in text


@pytest.mark.parametrize(
    ("markup", "read"),
    [
        ("Ship by <!date^1772701200^{date_short_pretty}, {time}|Thu 5 Mar>.", [Span("Ship by Mar 5th, 9:00 AM.")]),
        ("<!date^1772287920^{date_short_pretty}, {time}|late, since Sat>", [Span("Feb 28th, 2:12 PM")]),
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


def run(*arguments: str, stdin: str | None = None, code: int = 0) -> str:
    result = CliRunner().invoke(app, ["preview", *arguments], input=stdin)
    assert result.exit_code == code, result.output
    return re.sub(r"[\s│]+", " ", result.output)


def test_an_alert_is_read_from_a_file_or_from_stdin(tmp_path: Path) -> None:
    alert = order_alert("order.cancelled", number="from a file").model_dump_json()
    file = tmp_path / "alert.json"
    file.write_text(alert)
    for source in (str(file), "-"):
        assert "#from a file is cancelled" in run("--alert", source, "--channel", "sms", stdin=alert)
    assert "Order #1042 is in exception" in run("--channel", "sms"), "without an alert and a kind"


def test_the_page_has_one_kind_or_links_to_all(tmp_path: Path) -> None:
    html = tmp_path / "alerts.html"
    assert f"wrote {html}" in run("--kind", "order.digest", "--html", str(html))
    assert "12 orders are backordered" in safely_read(html.read_text(encoding="utf-8"))
    run("--html", str(html))
    text = html.read_text(encoding="utf-8")
    assert all(f'<a href="#{kind}">' in text and f'<article id="{kind}">' in text for kind in SAMPLES)


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        (("--kind", "order.lost"), "order.lost is not one of order.exception"),
        (("--channel", "fax"), "fax is not one of all, email"),
        (("--alert", "/no/such/file"), "No such file"),
        (("--alert", "-"), "not an orderwatch.alert.v1"),
    ],
)
def test_an_invalid_option_is_refused_in_one_sentence(arguments: tuple[str, ...], error: str) -> None:
    assert error in run(*arguments, stdin='{"order": {"ship_to": "Ada"}}', code=2)


def test_a_refusal_does_not_quote_the_alert() -> None:
    with pytest.raises(ValueError, match="alert_id is missing; kind must be a text") as caught:
        read_alert(json.dumps({"kind": 7, "connection": "Ada Example"}))
    assert "Ada" not in str(caught.value)


@pytest.mark.parametrize("channel", ["json", "chat"])
def test_a_channel_with_json_is_raw_json_in_a_pipe(channel: str) -> None:
    piped = CliRunner().invoke(app, ["preview", "--channel", channel]).stdout
    assert json.loads(piped) == json.loads(BODIES[channel](SAMPLES["order.exception"]))


def test_a_piped_preview_can_be_previewed_again() -> None:
    alert = run("--channel", "json", "--kind", "order.late")
    assert run("--channel", "email", "--alert", "-", stdin=alert) == run("--channel", "email", "--kind", "order.late")


# The pictures


def browser(folder: Path, script: str) -> None:
    path = folder / "chromium"
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)


WRITE = """for each in "$@"; do
  case $each in --screenshot=*) head -c {size} /dev/zero >"${{each#--screenshot=}}";; esac
done"""


def test_a_picture_needs_a_browser_that_takes_one(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(ToolMissingError, match="install chromium"):
        picture.take(tmp_path / "alert.png")
    browser(tmp_path, "echo no display >&2")
    with pytest.raises(PictureError, match="no display"):
        picture.take(tmp_path / "alert.png")


def test_a_picture_over_the_limit_is_an_error(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", f"{tmp_path}:/bin:/usr/bin")
    browser(tmp_path, WRITE.format(size=picture.MAX_BYTES + 1))
    with pytest.raises(PictureError, match="300,001 bytes"):
        picture.take(tmp_path / "alert.png")
    assert not (tmp_path / "alert.png").exists()
    browser(tmp_path, WRITE.format(size=picture.MAX_BYTES))
    picture.take(tmp_path / "alert.png")
    assert (tmp_path / "alert.png").stat().st_size == picture.MAX_BYTES


@pytest.mark.parametrize("name", picture.PICTURES)
def test_a_committed_picture_is_a_png_of_a_readmes_size(name: str) -> None:
    committed = ROOT / "docs/images" / name
    assert committed.read_bytes().startswith(b"\x89PNG")
    assert committed.stat().st_size <= picture.MAX_BYTES
