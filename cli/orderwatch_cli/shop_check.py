"""Checks a key, a token and a connection ID with Trackstar's API before they are stored."""

import time
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum

import httpx
from pydantic import SecretStr

from orderwatch.errors import ForbiddenError, NotFoundError, OrderwatchError, TrackstarError, UnauthorizedError
from orderwatch.reading.window import Window, WindowKind
from orderwatch.trackstar.client import ConnectionClient, Trackstar
from orderwatch.trackstar.connections import TrackstarConnection
from orderwatch.trackstar.http import has_vendor_error, is_sendable
from orderwatch.trackstar.network import new_client, proxy_variables

SHOP_CHECK_TIMEOUT = 30.0
"""Seconds for all requests that check one shop."""
_RESPONSE_TIMEOUT = 15.0


class Flaw(StrEnum):
    """What the problem is about."""

    API_KEY = "API key"
    CONNECTION = "connection"
    ACCESS_TOKEN = "access token"  # noqa: S105 - a name, not a secret
    API = "API"
    ORDERS = "orders"


class UnusableShopError(OrderwatchError):
    """A shop cannot be watched.

    Args:
        flaw: What the problem is about; the caller adds the remedy.
        what: The problem in words.
    """

    def __init__(self, flaw: Flaw, what: str) -> None:
        super().__init__(what)
        self.flaw = flaw


@dataclass(frozen=True)
class CheckedShop:
    """A shop that can be watched.

    Attributes:
        connection: Trackstar's answer.
        vendor_now: Trackstar's clock at that time.
    """

    connection: TrackstarConnection
    vendor_now: datetime


def check_shop(trackstar: Trackstar, connection_id: str, *, api_key: SecretStr, access_token: SecretStr) -> CheckedShop:
    """Read the connection and one page of its orders.

    Raises:
        UnusableShopError: The key, the token, the connection ID or the API does not work.
    """
    if not is_sendable(access_token):
        raise UnusableShopError(Flaw.ACCESS_TOKEN, f"the access token of {connection_id} is not valid")
    deadline = time.monotonic() + SHOP_CHECK_TIMEOUT
    shop = trackstar.client_of(
        connection_id,
        api_key=api_key,
        access_token=access_token,
        seconds_left=lambda: deadline - time.monotonic(),
    )
    connection = _connection(shop, connection_id)
    vendor_now = shop.now()
    _read_orders(shop, connection_id)
    return CheckedShop(connection, vendor_now)


def check_api_key(base_url: str, api_key: SecretStr) -> str | None:
    """Request one connection.

    Returns:
        Trackstar's `Date` header.

    Raises:
        UnusableShopError: The key or the API does not work.
        SettingsError: A proxy or certificate of the environment cannot be used.
    """
    if not is_sendable(api_key):
        raise UnusableShopError(Flaw.API_KEY, "the API key is empty or contains characters that cannot be sent")
    headers = {"x-trackstar-api-key": api_key.get_secret_value().strip()}
    try:
        with new_client(headers=headers, timeout=_RESPONSE_TIMEOUT) as client:
            answer = client.get(f"{base_url}/connections", params={"limit": "1"})
    except (httpx.HTTPError, httpx.InvalidURL, UnicodeEncodeError) as error:
        raise UnusableShopError(
            Flaw.API, f"{base_url} does not respond ({type(error).__name__}){proxy_hint()}"
        ) from None
    is_refused = answer.status_code in {httpx.codes.UNAUTHORIZED, httpx.codes.FORBIDDEN}
    if is_refused and has_vendor_error(answer.content):
        raise UnusableShopError(Flaw.API_KEY, "Trackstar rejects the API key")
    if answer.status_code != httpx.codes.OK:
        raise UnusableShopError(Flaw.API, f"{base_url} returned {answer.status_code} for GET /connections")
    date: str | None = answer.headers.get("date")
    return date


def proxy_hint() -> str:
    """What to check after a failed connection if the environment sets a proxy; empty if it sets none."""
    names = proxy_variables()
    return f"; check the proxy in {names}" if names else ""


def _connection(shop: ConnectionClient, connection_id: str) -> TrackstarConnection:
    try:
        return shop.connection()
    except UnauthorizedError:
        raise UnusableShopError(Flaw.API_KEY, "the API key is not valid") from None
    except NotFoundError:
        raise UnusableShopError(Flaw.CONNECTION, f"Trackstar has no connection {connection_id}") from None
    except TrackstarError as error:
        raise UnusableShopError(Flaw.API, f"Trackstar does not respond: {error}{proxy_hint()}") from None


def _read_orders(shop: ConnectionClient, connection_id: str) -> None:
    window = Window(kind=WindowKind.SWEEP, until=datetime.now(UTC), statuses=("exception",))
    try:
        shop.order_page(window, page_token=None)
    except (UnauthorizedError, ForbiddenError):
        raise UnusableShopError(Flaw.ACCESS_TOKEN, f"the access token of {connection_id} is not valid") from None
    except TrackstarError as error:
        raise UnusableShopError(Flaw.ORDERS, f"orders of {connection_id} cannot be read: {error}") from None
