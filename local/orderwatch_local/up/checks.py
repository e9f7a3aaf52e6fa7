"""The checks that `orderwatch up` makes before it starts anything, so that mistakes are reported at once."""

import difflib
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations

import httpx
from pydantic import SecretStr

from orderwatch.polling.connection_alerts import unknown_statuses
from orderwatch.statuses import DOCUMENTED_STATUSES, normalize_status
from orderwatch.trackstar.client import Trackstar
from orderwatch.trackstar.connections import TrackstarConnection
from orderwatch_cli.shop_check import Flaw, UnusableShopError, check_shop
from orderwatch_local.cloud.watch import WatchedShop, token_variable

_TIMEOUT_SECONDS = 10.0


@dataclass(frozen=True)
class Request:
    """What to watch.

    Attributes:
        trackstar_url: The API's base URL.
        api_key: The organisation's key.
        shops: The connections.
        schedule: The polling schedule, in EventBridge Scheduler's notation.
        statuses: The watched statuses, separated by commas.
        every: Seconds between two polls in addition to the schedule; None: only the schedule polls.
        port: The local cloud's port; 0 takes a free one.
        for_sam: Whether functions run only when `sam local invoke` runs them.
    """

    trackstar_url: str
    api_key: SecretStr
    shops: Sequence[WatchedShop]
    schedule: str
    statuses: str
    every: float | None = None
    port: int = 0
    for_sam: bool = False


def check(request: Request) -> list[TrackstarConnection]:
    """Check every shop with the API and return the connections.

    Raises:
        UnusableShopError: A key, token, connection or URL is wrong.
    """
    _require_different_tokens(request.shops)
    with Trackstar(request.trackstar_url) as trackstar:
        return [_check_one(request, shop, trackstar) for shop in request.shops]


def unknown_status_warnings(statuses: str) -> list[str]:
    """Return a warning for each watched status that Trackstar does not document; a shop may have some of its own."""
    watched = [normalize_status(part) for part in statuses.split(",") if part.strip()]
    warnings = []
    for status in unknown_statuses(watched, ()):
        close = difflib.get_close_matches(status, sorted(DOCUMENTED_STATUSES), n=1)
        hint = f"did you mean {close[0]}?" if close else "there are no alerts on it unless a shop uses it"
        warnings.append(f"Trackstar documents no status {status}: {hint}")
    return warnings


def _require_different_tokens(shops: Sequence[WatchedShop]) -> None:
    # The API identifies a shop by its token only: the same orders would be alerted under two names.
    for one, other in combinations(shops, 2):
        if one.access_token == other.access_token:
            variables = " and ".join(token_variable(each.connection_id) for each in (one, other))
            raise UnusableShopError(
                Flaw.ACCESS_TOKEN,
                f"{one.connection_id} and {other.connection_id} have the same access token, but each connection has "
                f"its own: set {variables}",
            )


def _check_one(request: Request, shop: WatchedShop, trackstar: Trackstar) -> TrackstarConnection:
    connection_id = shop.connection_id
    try:
        checked = check_shop(trackstar, connection_id, api_key=request.api_key, access_token=shop.access_token)
        _require_own_token(request, shop)
    except UnusableShopError as error:
        remedy = {
            Flaw.API_KEY: "set TRACKSTAR_API_KEY to your organisation's key",
            Flaw.CONNECTION: "look up the id under Connections in Trackstar's dashboard",
            Flaw.ACCESS_TOKEN: f"set {token_variable(connection_id)}",
            Flaw.API: f"check --trackstar-url {request.trackstar_url}",
            Flaw.ORDERS: "look at the connection in Trackstar's dashboard",
        }[error.flaw]
        raise UnusableShopError(error.flaw, f"{error}: {remedy}") from None
    return checked.connection


def _require_own_token(request: Request, shop: WatchedShop) -> None:
    """Refuse the token of another connection, if the API's response to a sync request names the connection.

    Raises:
        UnusableShopError: The token belongs to another connection.
    """
    headers = {
        "x-trackstar-api-key": request.api_key.get_secret_value().strip(),
        "x-trackstar-access-token": shop.access_token.get_secret_value().strip(),
    }
    with httpx.Client(base_url=request.trackstar_url, headers=headers, timeout=_TIMEOUT_SECONDS) as client:
        owner = _owner(client)
        if owner and owner != shop.connection_id and _exists(client, owner):
            message = f"the access token of {shop.connection_id} belongs to {owner}"
            raise UnusableShopError(Flaw.ACCESS_TOKEN, message)


def _owner(client: httpx.Client) -> str | None:
    """The connection that a token belongs to; None if the API does not name it."""
    try:
        response = client.post("/connections/sync", json={"functions_to_sync": ["get_orders"]})
        body = response.json() if response.status_code == httpx.codes.OK else None
    except (httpx.HTTPError, ValueError):
        return None
    owner = body.get("id") if isinstance(body, dict) else None
    return owner if isinstance(owner, str) and owner.isascii() and owner.isprintable() and "/" not in owner else None


def _exists(client: httpx.Client, connection_id: str) -> bool:
    # A response may name something other than a connection, which proves nothing.
    try:
        return client.get(f"/connections/{connection_id}").status_code == httpx.codes.OK
    except (httpx.HTTPError, httpx.InvalidURL):
        return False
