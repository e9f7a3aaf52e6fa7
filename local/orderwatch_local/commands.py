"""The commands `shop` and `up`; `demo` and `preview` are in their packages. They need the repository."""

import os
import re
import sys
from collections.abc import Callable, Sequence
from functools import partial
from typing import IO, Annotated, NoReturn, cast

import typer
from pydantic import SecretStr
from rich.console import Console

from orderwatch_cli.arguments import check_connection_id
from orderwatch_local.cloud.watch import WatchedShop, token_variable
from orderwatch_local.simulator.commands import ShopCommands
from orderwatch_local.simulator.interactive import POLL_EVERY, Prompt, PromptStream, serve_one_shop, serve_shops
from orderwatch_local.simulator.script import API_KEY, SHOP_NAMES
from orderwatch_local.up.checks import Request
from orderwatch_local.up.run import run_up

VENDOR = "https://production.trackstarhq.com"

Seed = Annotated[int, typer.Option(metavar="NUMBER", help="Seed of the scripted day.")]
Port = Annotated[int, typer.Option(min=0, max=65535, metavar="PORT", help="Port on 127.0.0.1; 0 takes a free one.")]


def _web_address(value: str) -> str:
    if not re.fullmatch(r"https?://[A-Za-z0-9.-]+(:\d{1,5})?(/[A-Za-z0-9._~/-]*)?", value):
        raise typer.BadParameter(f"{value} is not an http or https URL")
    return value.rstrip("/")


def _connection_ids(values: list[str] | None) -> list[str]:
    # They become part of parameter names in the Parameter Store.
    return list(dict.fromkeys(check_connection_id(value) for value in values or []))


def _statuses(value: str) -> str:
    if not value.replace(",", " ").strip():
        raise typer.BadParameter("name at least one status")
    return value


def _schedule(value: str) -> str:
    """Check a schedule: AWS would only refuse it after the build.

    Raises:
        BadParameter: It is neither a rate nor six fields of a cron expression, of which one of both days is `?`.
    """
    cron = re.fullmatch(r"cron\(([\w*?,/#-]+(?: [\w*?,/#-]+){5})\)", value, re.ASCII)
    fields = cron[1].split() if cron else []
    is_rate = re.fullmatch(r"rate\([1-9]\d* (minute|hour|day)s?\)", value, re.ASCII)
    if not is_rate and "?" not in fields[2:5:2]:
        raise typer.BadParameter(f"{value!r} is no schedule such as rate(2 minutes) or cron(0/5 8-18 ? * MON-FRI *)")
    return value


_CONNECTION = typer.Option(
    metavar="CONNECTION_ID", help="Trackstar's ID of a connection; repeat it for more shops.", callback=_connection_ids
)
_URL = typer.Option(metavar="URL", help="Base URL of the Trackstar API.", callback=_web_address)
_NAME = typer.Option(metavar="NAME", help="Name of the shop in alerts; ID=NAME if there are several shops.")
_STATUSES = typer.Option(metavar="STATUSES", help="Statuses to alert on.", callback=_statuses)
_EVERY = typer.Option(min=1.0, metavar="SECONDS", help="Polling interval, in addition to the schedule.")
_DEMO = typer.Option("--demo", help="Watch a simulated shop, whose orders you change by commands.")
_SCHEDULE = typer.Option(metavar="SCHEDULE", help="Polling schedule.", callback=_schedule)


def up(
    *,
    connection: Annotated[list[str] | None, _CONNECTION] = None,
    name: Annotated[list[str] | None, _NAME] = None,
    trackstar_url: Annotated[str, _URL] = VENDOR,
    demo: Annotated[bool, _DEMO] = False,
    schedule: Annotated[str, _SCHEDULE] = "rate(1 minute)",
    every: Annotated[float | None, _EVERY] = None,
    statuses: Annotated[str, _STATUSES] = "exception,backordered,cancelled",
    port: Port = 0,
    json: Annotated[bool, typer.Option("--json", help="Print one orderwatch.alert.v1 a line.")] = False,
    for_sam: Annotated[bool, typer.Option("--for-sam", help="Run functions only by `sam local invoke`.")] = False,
) -> None:
    """Watch your own shops from this machine.

    It needs no AWS account. Set the API key in TRACKSTAR_API_KEY and each shop's access token in
    TRACKSTAR_ACCESS_TOKEN_CONNECTION_ID or TRACKSTAR_ACCESS_TOKEN. You are prompted for what is not set. With --demo,
    it watches a simulated shop instead, whose orders you change by commands.
    """
    make_request = partial(Request, schedule=schedule, statuses=statuses, port=port, for_sam=for_sam)
    if demo:
        if connection or name or trackstar_url != VENDOR:
            raise typer.BadParameter("--demo has a shop: leave out --connection, --name and --trackstar-url")
        _watch_demo(make_request, every=every or POLL_EVERY, as_json=json)
        return
    if not connection:
        raise typer.BadParameter("name a connection with --connection, or use --demo for a simulated shop")
    names = shop_names(connection, name or [])
    request = make_request(
        trackstar_url=trackstar_url,
        api_key=_secret("API key", "TRACKSTAR_API_KEY"),
        shops=[WatchedShop(each, _token(each), names.get(each)) for each in connection],
        every=every,
    )
    run_up(request, out=Console(highlight=False), log=Console(stderr=True, highlight=False), as_json=json)


def _watch_demo(make_request: Callable[..., Request], *, every: float, as_json: bool) -> None:
    with serve_one_shop() as (trackstar, url):
        [shop] = trackstar.shops
        request = make_request(
            trackstar_url=url,
            api_key=SecretStr(API_KEY),
            shops=[WatchedShop(shop.connection_id, SecretStr(shop.access_token), SHOP_NAMES[shop.connection_id])],
            every=every,
        )
        prompt = Prompt(ShopCommands(trackstar), source=sys.stdin, out=sys.stdout, errors=sys.stderr)
        out, log = Console(highlight=False), Console(stderr=True, highlight=False)
        if prompt.is_interactive:
            out = log = Console(file=cast("IO[str]", PromptStream(prompt)), highlight=False)
        run_up(request, out=out, log=log, as_json=as_json, prompt=prompt)


def shop(
    seed: Seed = 1,
    port: Port = 0,
    hour: Annotated[float, typer.Option(min=0.1, metavar="SECONDS", help="Duration of a simulated hour.")] = 60.0,
    *,
    still: Annotated[bool, typer.Option("--still", help="Change orders only by the commands that you type.")] = False,
) -> None:
    """Serve three simulated shops.

    `orderwatch up` can watch them. Their orders change by themselves and by commands, which are read from a prompt or
    from standard input: `help` lists them.
    """
    serve_shops(seed=seed, port=port, seconds_an_hour=None if still else hour)


def shop_names(connection_ids: Sequence[str], names: Sequence[str]) -> dict[str, str]:
    """Return the name of each connection in alerts.

    Args:
        connection_ids: The connections.
        names: `ID=NAME` each, or only a name if there is one connection.

    Raises:
        BadParameter: A name is empty, or does not say which connection it belongs to.
    """
    named: dict[str, str] = {}
    for value in names:
        connection_id, is_pair, name = value.partition("=")
        if not (is_pair and connection_id in connection_ids):
            if len(connection_ids) > 1:
                raise typer.BadParameter(f"{value!r} names no connection: type --name ID=NAME")
            connection_id, name = connection_ids[0], value
        if not name.strip():
            raise typer.BadParameter("the name is empty")
        named[connection_id] = name.strip()
    return named


def _token(connection_id: str) -> SecretStr:
    return _secret(f"access token of {connection_id}", token_variable(connection_id), "TRACKSTAR_ACCESS_TOKEN")


def _secret(what: str, *variables: str) -> SecretStr:
    """Return a secret from the environment, or prompt for it without echo."""
    for variable in variables:
        if value := os.environ.get(variable, "").strip():
            return SecretStr(value)
    if not sys.stdin.isatty():
        _fail(f"no {what}: set {' or '.join(variables)}")
    return SecretStr(typer.prompt(what, hide_input=True, err=True).strip())


def _fail(message: str) -> NoReturn:
    typer.echo(f"orderwatch: {message}", err=True)
    raise typer.Exit(1)
