"""`orderwatch preview`: what an alert looks like in each channel."""

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from orderwatch.alerts.alert import Alert
from orderwatch_cli.output import printable
from orderwatch_local.preview import CHANNELS, read_alert, show
from orderwatch_local.preview_page import page
from orderwatch_local.samples import SAMPLES

DEFAULT_KIND = "order.exception"


def _one_of(*names: str) -> Callable[[str], str]:
    def check(value: str) -> str:
        if value not in names:
            raise typer.BadParameter(f"{value} is none of: {', '.join(filter(None, names))}")
        return value

    return check


_KIND = typer.Option(
    metavar="KIND",
    help="Kind of the sample; without it order.exception, with --html every kind.",
    callback=_one_of("", *SAMPLES),
)
_CHANNEL = typer.Option(
    metavar="CHANNEL", help=f"One of {', '.join(CHANNELS)}, all.", callback=_one_of("all", *CHANNELS)
)


def preview(
    kind: Annotated[str, _KIND] = "",
    alert: Annotated[str, typer.Option(metavar="FILE", help="An orderwatch.alert.v1 instead; - reads stdin.")] = "",
    channel: Annotated[str, _CHANNEL] = "all",
    html: Annotated[Path | None, typer.Option(metavar="FILE", help="Write one HTML page instead.")] = None,
) -> None:
    """Show what an alert looks like in each channel."""
    shown = [_read(alert)] if alert else [SAMPLES[kind]] if kind else list(SAMPLES.values())
    if html is None:
        one = SAMPLES[DEFAULT_KIND] if len(shown) > 1 else shown[0]
        show(one, Console(highlight=False), channel=channel)
        return
    html.write_text(page(*shown), encoding="utf-8")
    typer.echo(f"wrote {html}")


def _read(source: str) -> Alert:
    try:
        return read_alert(sys.stdin.read() if source == "-" else Path(source))
    except (OSError, ValueError) as error:
        raise typer.BadParameter(printable(f"{source}: {error}"), param_hint="--alert") from None
