"""The commands of the repository as they are typed: the simulated day, and the watch from a laptop."""

import os
import re
import sys
from typing import Annotated, NoReturn

import typer
from pydantic import SecretStr
from rich.console import Console

from orderwatch_cli.arguments import check_connection_id
from orderwatch_local.demo import run_demo
from orderwatch_local.preview_command import preview
from orderwatch_local.serve_shop import serve_day
from orderwatch_local.up import Request, run_up, token_variable
from orderwatch_local.watch import WatchedShop

VENDOR = "https://production.trackstarhq.com"

app = typer.Typer(rich_markup_mode=None)
app.command()(preview)
Port = Annotated[int, typer.Option(min=0, max=65535, help="Port on 127.0.0.1; 0 takes a free one.")]
Seed = Annotated[int, typer.Option(help="Which scripted day.")]


def _web_address(value: str) -> str:
    if not re.fullmatch(r"https?://[A-Za-z0-9.-]+(:\d{1,5})?(/[A-Za-z0-9._~/-]*)?", value):
        raise typer.BadParameter(f"{value} is no http or https URL")
    return value.rstrip("/")


def _connection_ids(values: list[str]) -> list[str]:
    # They become names in the Parameter Store.
    return [check_connection_id(value) for value in values]


_CONNECTION = typer.Option(help="Trackstar's id of a connection; once for each shop.", callback=_connection_ids)
_URL = typer.Option(help="A Trackstar-shaped API.", callback=_web_address)


@app.command()
def demo(
    seed: Seed = 1, pause: Annotated[float, typer.Option(min=0, help="Seconds to wait after each hour.")] = 0.0
) -> None:
    """Play a day of three simulated shops on a local cloud and show every alert."""
    raise typer.Exit(0 if run_demo(Console(highlight=False), seed=seed, pause=pause) else 1)


@app.command()
def up(
    connection: Annotated[list[str], _CONNECTION],
    trackstar_url: Annotated[str, _URL] = VENDOR,
    schedule: Annotated[str, typer.Option(help="How often to poll.")] = "rate(1 minute)",
    statuses: Annotated[str, typer.Option(help="Statuses to alert on.")] = "exception,backordered,cancelled",
    port: Port = 0,
    *,
    json: Annotated[bool, typer.Option("--json", help="One orderwatch.alert.v1 a line on stdout.")] = False,
    for_sam: Annotated[bool, typer.Option("--for-sam", help="Run functions by `sam local invoke` alone.")] = False,
) -> None:
    """Watch your own shops from this machine, without an AWS account.

    The API key is read from TRACKSTAR_API_KEY, a shop's access token from TRACKSTAR_ACCESS_TOKEN_<connection id> or
    TRACKSTAR_ACCESS_TOKEN; what is not set is asked for.
    """
    request = Request(
        trackstar_url=trackstar_url,
        api_key=_secret("API key", "TRACKSTAR_API_KEY"),
        shops=[WatchedShop(each, _token(each)) for each in connection],
        schedule=schedule,
        statuses=statuses,
        port=port,
        for_sam=for_sam,
    )
    run_up(request, out=Console(highlight=False), log=Console(stderr=True, highlight=False), as_json=json)


@app.command()
def shop(
    seed: Seed = 1,
    port: Port = 0,
    hour: Annotated[float, typer.Option(min=0.1, help="Seconds that an hour of the day takes.")] = 60.0,
) -> None:
    """Serve three simulated shops that play a day, for `orderwatch up` to watch."""
    serve_day(Console(highlight=False), seed=seed, port=port, seconds_an_hour=hour)


def _token(connection_id: str) -> SecretStr:
    return _secret(f"access token of {connection_id}", token_variable(connection_id), "TRACKSTAR_ACCESS_TOKEN")


def _secret(what: str, *variables: str) -> SecretStr:
    """A secret from the environment, else from a prompt that does not show it."""
    for variable in variables:
        if value := os.environ.get(variable, "").strip():
            return SecretStr(value)
    if not sys.stdin.isatty():
        _fail(f"no {what}: set {' or '.join(variables)}")
    return SecretStr(typer.prompt(what, hide_input=True, err=True).strip())


def _fail(message: str) -> NoReturn:
    typer.echo(f"orderwatch: {message}", err=True)
    raise typer.Exit(1)
