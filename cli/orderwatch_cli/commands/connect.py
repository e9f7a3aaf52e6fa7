"""`orderwatch connect`, `disconnect` and `connect-trackstar`: they change parameters; nothing is deployed."""

from datetime import datetime
from typing import Annotated

import typer
from pydantic import BaseModel, SecretStr

from orderwatch.aws.parameters import Parameters
from orderwatch.errors import OrderwatchError, ParameterMissingError
from orderwatch.polling.health import assess
from orderwatch.records import HealthState
from orderwatch.trackstar.client import Trackstar
from orderwatch_cli import output
from orderwatch_cli.arguments import (
    Endpoint,
    Json,
    ShopArgument,
    StackName,
    check_connection_id,
    confirm,
    read_secret,
    stack_at,
)
from orderwatch_cli.filters import find_shop
from orderwatch_cli.parameters import access_tokens, delete_shop, named_shops, put_secret, put_shop
from orderwatch_cli.shop_check import Flaw, UnusableShopError, check_api_key, check_shop
from orderwatch_cli.stack import STACK_NAME, Stack


class ConnectError(OrderwatchError):
    """The shop cannot be connected or disconnected; the message says why and what to do."""


class Connected(BaseModel):
    """A shop that was connected.

    Attributes:
        connection_id: Trackstar's ID of the connection.
        name: The shop's name in alerts.
        integration: Trackstar's name of the integration.
        health: The health of the connection.
        data_as_of: End of Trackstar's last sync of the shop's orders.
    """

    connection_id: str
    name: str | None
    integration: str | None
    health: HealthState
    data_as_of: datetime | None


class TrackstarConnected(BaseModel):
    """An API key that Trackstar accepts and that was stored.

    Attributes:
        parameter: Name of the parameter.
    """

    parameter: str


def connect(
    shop: Annotated[
        str,
        typer.Argument(metavar="CONNECTION_ID", help="Trackstar's ID of the shop, or the name of a connected shop."),
    ],
    name: Annotated[str | None, typer.Option(metavar="TEXT", help="Name of the shop in alerts.")] = None,
    stack_name: StackName = STACK_NAME,
    endpoint_url: Endpoint = None,
    *,
    json: Json = False,
) -> None:
    """Watch a shop, or replace its token.

    Reads the access token from a prompt or from standard input, because other users of this machine can see
    arguments. Checks it with Trackstar's API before storing it.
    """
    with stack_at(stack_name, endpoint_url) as stack:
        connection_id = _connected_shop(stack, shop) or check_connection_id(shop)
        api_key = _stored_api_key(stack)
        token = read_secret(f"access token of {connection_id}")
        connected = connect_shop(stack, connection_id, api_key=api_key, access_token=token, name=name)
    if json:
        output.document(connected)
        return
    output.line(f"connected {connection_id} ({connected.integration or 'unknown integration'}, {connected.health})")
    output.line("The next scheduled run polls it. The first poll of a new shop reads its history and sends no alerts.")


def connect_shop(
    stack: Stack, connection_id: str, *, api_key: SecretStr, access_token: SecretStr, name: str | None
) -> Connected:
    """Check the shop with the API and store its token.

    Raises:
        ConnectError: The API rejects the shop, or another shop has the token.
    """
    if not access_token.get_secret_value():
        raise ConnectError("no access token: enter it at the prompt or on standard input")
    _require_own_token(stack, connection_id, access_token)
    try:
        with Trackstar(stack.parameters.trackstar_base_url) as api:
            checked = check_shop(api, connection_id, api_key=api_key, access_token=access_token)
    except UnusableShopError as error:
        raise ConnectError(f"{error}: {_remedy(stack, error.flaw)}; nothing was stored") from None
    put_shop(stack, connection_id, access_token=access_token, name=name)
    return Connected(
        connection_id=connection_id,
        name=name,
        integration=checked.connection.integration_name,
        health=assess(checked.connection, now=checked.vendor_now).state,
        data_as_of=checked.connection.orders_schedule.synced_at,
    )


def _stored_api_key(stack: Stack) -> SecretStr:
    try:
        return Parameters(stack.aws.ssm, stack.parameters.parameter_prefix).api_key()
    except ParameterMissingError as error:
        command = stack.commands.own("connect-trackstar")
        raise ConnectError(f"{error.name}, the Trackstar API key, is missing; store it with: {command}") from None


def _require_own_token(stack: Stack, connection_id: str, access_token: SecretStr) -> None:
    # The token alone selects the shop: with a wrong one, another shop's orders would be alerted under this name.
    for other, token in access_tokens(stack).items():
        if other != connection_id and token == access_token:
            raise ConnectError(f"this is the access token of {other}: use the token of {connection_id}")


def _remedy(stack: Stack, flaw: Flaw) -> str:
    return {
        Flaw.API_KEY: "store your organisation's key with connect-trackstar",
        Flaw.CONNECTION: "find the ID under Connections in Trackstar's dashboard",
        Flaw.ACCESS_TOKEN: "copy it from the connection in Trackstar's dashboard",
        Flaw.API: f"check {stack.parameters.trackstar_base_url}",
        Flaw.ORDERS: "check the connection in Trackstar's dashboard",
    }[flaw]


def _connected_shop(stack: Stack, text: str) -> str | None:
    return find_shop(stack, text, among={shop.connection_id for shop in named_shops(stack)})


def disconnect(
    shop: ShopArgument,
    stack_name: StackName = STACK_NAME,
    endpoint_url: Endpoint = None,
    *,
    yes: Annotated[bool, typer.Option("--yes", help="Skip the confirmation.")] = False,
) -> None:
    """Stop watching a shop.

    Deletes its token, name and settings, and keeps its orders, cursor and alerts.
    """
    with stack_at(stack_name, endpoint_url) as stack:
        connection_id = _connected_shop(stack, shop)
        if connection_id is None:
            raise ConnectError(f"no shop {shop} is connected; list the shops with: {stack.commands.own('shops')}")
        if not yes:
            confirm(f"stop watching {connection_id}?")
        delete_shop(stack, connection_id)
    output.line(f"disconnected {connection_id} and deleted its token, name and settings")
    output.line("Its orders, cursor and alerts are kept. If you connect it again, changes since then are alerted.")


def connect_trackstar(stack_name: StackName = STACK_NAME, endpoint_url: Endpoint = None, *, json: Json = False) -> None:
    """Store your Trackstar API key.

    Reads it from a prompt or from standard input, and checks it with Trackstar's API before replacing the old one.
    """
    with stack_at(stack_name, endpoint_url) as stack:
        stored = store_api_key(stack, read_secret("Trackstar API key"))
    if json:
        output.document(stored)
        return
    output.line(f"Trackstar accepts the API key: stored in {stored.parameter}")
    output.line("The functions use it when Trackstar refuses the old one.")


def store_api_key(stack: Stack, api_key: SecretStr) -> TrackstarConnected:
    """Check the organisation's API key with the API and store it.

    Raises:
        ConnectError: The API does not respond or rejects the key.
    """
    if not api_key.get_secret_value():
        raise ConnectError("no API key: enter it at the prompt or on standard input")
    try:
        check_api_key(stack.parameters.trackstar_base_url, api_key)
    except UnusableShopError as error:
        raise ConnectError(f"{error}; nothing was stored") from None
    name = f"{stack.parameters.parameter_prefix}/trackstar/api-key"
    put_secret(stack, name, api_key)
    return TrackstarConnected(parameter=name)
