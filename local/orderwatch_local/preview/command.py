"""`orderwatch preview`: shows on the terminal what an alert looks like in each channel."""

import json
import sys
from collections.abc import Callable, Iterator, Mapping
from datetime import tzinfo
from pathlib import Path
from typing import Annotated, Any

import typer
from pydantic import ValidationError
from rich.console import Console, Group, RenderableType
from rich.highlighter import JSONHighlighter
from rich.padding import Padding
from rich.text import Text

from orderwatch.alerts.alert import Alert
from orderwatch.model import flaws_in_words
from orderwatch.rendering import amazon_q, email, formatting, slack, sms, sns
from orderwatch_cli.output import printable, printable_json, printable_text
from orderwatch_local.box import show_box
from orderwatch_local.preview.mrkdwn import Style, text_spans
from orderwatch_local.preview.page import page
from orderwatch_local.preview.samples import SAMPLES

_STYLES = {
    Style.BOLD: "bold",
    Style.ITALIC: "italic",
    Style.STRIKE: "strike",
    Style.CODE: "reverse",
    Style.LINK: "underline",
}


def read_alert(source: Path | str) -> Alert:
    """Read an alert in the form of `orderwatch.alert.v1`.

    Args:
        source: A file, or the JSON itself.

    Raises:
        ValueError: The JSON is no such alert; the message names the wrong fields, without their values.
    """
    text = source.read_text(encoding="utf-8") if isinstance(source, Path) else source
    try:
        return Alert.model_validate_json(text)
    except ValidationError as error:
        raise ValueError(f"not an orderwatch.alert.v1: {flaws_in_words(error)}") from None


def show(alert: Alert, console: Console, *, channel: str = "all") -> None:
    """Print an alert as a channel shows it.

    Args:
        alert: The alert.
        console: The terminal.
        channel: One of `CHANNELS`, or `all`.
    """
    for name in CHANNELS if channel == "all" else [channel]:
        title, content = CHANNELS[name](alert)
        show_box(console, title, content)


def _email(alert: Alert) -> tuple[str, RenderableType]:
    return f"E-mail: {email.subject(alert)}", printable_text(email.body(alert).rstrip())


def _slack(alert: Alert) -> tuple[str, RenderableType]:
    blocks, zone = slack.blocks(alert).blocks, formatting.zone_of(alert.connection)
    return "Slack", Group(*(part for block in blocks for part in _block(block, zone)))


def _sms(alert: Alert) -> tuple[str, RenderableType]:
    body = sms.body(alert)
    return f"SMS ({len(body)} characters)", printable_text(body)


BODIES: dict[str, Callable[[Alert], str]] = {"json": sns.json_body, "chat": amazon_q.body}
"""The channels whose message is JSON, which a pipe gets without a frame."""


def _machine(alert: Alert) -> tuple[str, RenderableType]:
    return "SQS, Lambda, Firehose", _json(BODIES["json"](alert))


def _chat(alert: Alert) -> tuple[str, RenderableType]:
    return "HTTPS: Amazon Q Developer", _json(BODIES["chat"](alert))


def _json(text: str) -> RenderableType:
    return JSONHighlighter()(Text(printable_json(_indented(text)), overflow="fold"))


def _indented(text: str) -> str:
    return json.dumps(json.loads(text), indent=2, ensure_ascii=False)


CHANNELS: dict[str, Callable[[Alert], tuple[str, RenderableType]]] = {
    "email": _email,
    "slack": _slack,
    "sms": _sms,
    "json": _machine,
    "chat": _chat,
}
"""Title and content of each channel, by its name."""


def _block(block: dict[str, Any], zone: tzinfo) -> Iterator[RenderableType]:
    """Render one block of Block Kit for a terminal, for a reader in this time zone."""
    match block["type"]:
        case "header":
            yield printable_text(_plain(block["text"]), "bold")
        case "section":
            texts = [block["text"]] if "text" in block else block["fields"]
            first, *others = [_text(each, zone, inline="fields" in block) for each in texts]
            yield Padding(first, (1, 0, 0, 0))
            yield from others
        case "actions":
            labels = "  ".join(f"[ {each['text']['text']} ]" for each in block["elements"])
            yield Padding(printable_text(labels, "reverse"), (1, 0, 0, 0))
        case _:
            yield Padding(Group(*(printable_text(_plain(each), "dim") for each in block["elements"])), (1, 0, 0, 0))


def _text(text: Mapping[str, str], zone: tzinfo, *, inline: bool) -> Text:
    shown = printable_text("")
    for span in text_spans({**text, "text": text["text"].replace("\n", ": ", 1)} if inline else text, zone):
        shown.append_text(printable_text(span.text, _STYLES.get(span.style, "")))
    return shown


def _plain(text: Mapping[str, str]) -> str:
    return "".join(span.text for span in text_spans(text))


DEFAULT_KIND = "order.exception"


def _one_of(*names: str) -> Callable[[str], str]:
    def check(value: str) -> str:
        if value not in names:
            raise typer.BadParameter(f"{value} is not one of {', '.join(filter(None, names))}")
        return value

    return check


_KIND = typer.Option(
    metavar="KIND",
    help="Kind of the sample (default: order.exception; with --html: every kind).",
    callback=_one_of("", *SAMPLES),
)
_CHANNEL = typer.Option(
    metavar="CHANNEL", help=f"Channel to show: {', '.join(CHANNELS)} or all.", callback=_one_of("all", *CHANNELS)
)
_ALERT = typer.Option(metavar="FILE", help="File with an orderwatch.alert.v1 instead of a sample; - for stdin.")


def preview(
    kind: Annotated[str, _KIND] = "",
    alert: Annotated[
        str,
        typer.Option(metavar="FILE", help="File with an orderwatch.alert.v1 to show instead of a sample; - for stdin."),
    ] = "",
    channel: Annotated[str, _CHANNEL] = "all",
    html: Annotated[Path | None, typer.Option(metavar="FILE", help="HTML page to write, instead of printing.")] = None,
) -> None:
    """Show an alert as each channel shows it."""
    shown = [_read(alert)] if alert else [SAMPLES[kind]] if kind else list(SAMPLES.values())
    if html is None:
        one = SAMPLES[DEFAULT_KIND] if len(shown) > 1 else shown[0]
        if channel in BODIES and not sys.stdout.isatty():
            typer.echo(printable_json(_indented(BODIES[channel](one))))
        else:
            show(one, Console(highlight=False), channel=channel)
        return
    html.write_text(page(*shown), encoding="utf-8")
    typer.echo(f"wrote {html}")


def _read(source: str) -> Alert:
    try:
        return read_alert(sys.stdin.read() if source == "-" else Path(source))
    except (OSError, ValueError) as error:
        raise typer.BadParameter(printable(f"{source}: {error}"), param_hint="--alert") from None
