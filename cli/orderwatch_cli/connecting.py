"""`orderwatch connect`, `connect-trackstar` and `disconnect`: they are parameters; nothing is deployed."""

from datetime import datetime

from pydantic import BaseModel, SecretStr

from orderwatch.aws.parameters import Parameters
from orderwatch.errors import OrderwatchError, ParameterMissingError
from orderwatch.polling.health import assess
from orderwatch.records import HealthState
from orderwatch.trackstar.client import Trackstar
from orderwatch_cli.secret_parameters import put_secret
from orderwatch_cli.shop_check import Flaw, UnusableShopError, check_api_key, check_shop
from orderwatch_cli.shop_parameters import access_tokens, delete_shop, put_shop
from orderwatch_cli.stack import Stack


class ConnectError(OrderwatchError):
    """The shop cannot be connected or disconnected as asked: says why and what to do."""


class Connected(BaseModel):
    """A shop that is watched from now on.

    Attributes:
        connection_id: Trackstar's id of the connection.
        name: What alerts call it.
        integration: Trackstar's name of the integration.
        health: Whether its orders can be seen.
        data_as_of: The end of Trackstar's last sync of its orders.
    """

    connection_id: str
    name: str | None
    integration: str | None
    health: HealthState
    data_as_of: datetime | None


def connect(stack: Stack, connection_id: str, *, access_token: SecretStr, name: str | None) -> Connected:
    """Check the shop at the API and store its token.

    Raises:
        ConnectError: There is no API key yet, the API refuses the shop, or the token is another shop's.
    """
    if not access_token.get_secret_value():
        raise ConnectError("no access token: type it at the prompt or give it on standard input")
    api_key = _stored_api_key(stack)
    _require_a_token_of_its_own(stack, connection_id, access_token)
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
        raise ConnectError(f"{error.name} is missing, Trackstar's API key; this puts it: {command}") from None


def _require_a_token_of_its_own(stack: Stack, connection_id: str, access_token: SecretStr) -> None:
    # The API knows a shop by its token alone: with another's, that one's orders would be alerted under this name.
    for other, token in access_tokens(stack).items():
        if other != connection_id and token == access_token:
            raise ConnectError(f"this is the access token of {other}: take the one of {connection_id}")


def _remedy(stack: Stack, flaw: Flaw) -> str:
    return {
        Flaw.API_KEY: "put your organisation's with connect-trackstar",
        Flaw.CONNECTION: "see Connections in its dashboard for the id",
        Flaw.ACCESS_TOKEN: "take it from the connection in Trackstar's dashboard",
        Flaw.API: f"check {stack.parameters.trackstar_base_url}",
        Flaw.ORDERS: "look at the connection in Trackstar's dashboard",
    }[flaw]


class TrackstarConnected(BaseModel):
    """An API key that Trackstar accepts and that is stored.

    Attributes:
        parameter: Where it is.
    """

    parameter: str


def connect_trackstar(stack: Stack, api_key: SecretStr) -> TrackstarConnected:
    """Check the organisation's API key at the API and store it.

    Raises:
        ConnectError: The API does not answer or refuses the key.
    """
    if not api_key.get_secret_value():
        raise ConnectError("no API key: type it at the prompt or give it on standard input")
    try:
        check_api_key(stack.parameters.trackstar_base_url, api_key)
    except UnusableShopError as error:
        raise ConnectError(f"{error}; nothing was stored") from None
    name = f"{stack.parameters.parameter_prefix}/trackstar/api-key"
    put_secret(stack, name, api_key)
    return TrackstarConnected(parameter=name)


def disconnect(stack: Stack, connection_id: str) -> None:
    """Delete a shop's parameters; its rows stay.

    Raises:
        ConnectError: There is no such shop.
    """
    if not delete_shop(stack, connection_id):
        raise ConnectError(f"no shop {connection_id} is connected; this lists them: {stack.commands.own('shops')}")
