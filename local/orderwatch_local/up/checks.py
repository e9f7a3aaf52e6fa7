"""What `orderwatch up` asks before it starts anything, so that what is wrong is said at once."""

import difflib
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations

import httpx
from pydantic import SecretStr

from orderwatch.polling.connection_alerts import DOCUMENTED, unknown_statuses
from orderwatch.trackstar.connections import TrackstarConnection
from orderwatch_cli.shop_check import Api, Flaw, UnusableShopError, check_shop
from orderwatch_local.cloud.watch import WatchedShop

_SECONDS = 10.0


@dataclass(frozen=True)
class Request:
    """What to watch.

    Attributes:
        trackstar_url: Where the API is.
        api_key: The organisation's key.
        shops: The connections.
        schedule: How often to poll, as EventBridge Scheduler writes it.
        statuses: The watched statuses, separated by commas.
        every: Seconds between two polls beside the schedule's; None: the schedule's alone.
        port: The local cloud's port; 0 takes a free one.
        for_sam: Whether the functions run by `sam local invoke` alone.
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
    """Ask the API for every shop.

    Raises:
        UnusableShopError: A key, token, connection or URL is wrong.
    """
    _require_a_token_each(request.shops)
    with Api(request.trackstar_url) as trackstar:
        return [_check_one(request, shop, trackstar) for shop in request.shops]


def doubts(statuses: str) -> list[str]:
    """What is to be said of watched statuses that Trackstar does not have; a shop may have some of its own."""
    watched = [part.strip() for part in statuses.split(",") if part.strip()]
    return [f"no status {each} is documented by Trackstar{_guess(each)}" for each in unknown_statuses(watched, ())]


def token_variable(connection_id: str) -> str:
    """The environment variable that holds one connection's access token."""
    return f"TRACKSTAR_ACCESS_TOKEN_{connection_id}"


def _guess(status: str) -> str:
    close = difflib.get_close_matches(status, sorted(DOCUMENTED), n=1)
    if close:
        return f": did you mean {close[0]}?"
    return ": nothing is alerted on it unless a shop uses it"


def _require_a_token_each(shops: Sequence[WatchedShop]) -> None:
    # The API knows a shop by its token alone: the same orders would be alerted under two names.
    for one, other in combinations(shops, 2):
        if one.access_token == other.access_token:
            variables = " and ".join(token_variable(each.connection_id) for each in (one, other))
            raise UnusableShopError(
                Flaw.ACCESS_TOKEN,
                f"{one.connection_id} and {other.connection_id} have the same access token, but each connection has "
                f"its own: set {variables}",
            )


def _check_one(request: Request, shop: WatchedShop, trackstar: Api) -> TrackstarConnection:
    connection_id = shop.connection_id
    try:
        checked = check_shop(trackstar, connection_id, api_key=request.api_key, access_token=shop.access_token)
        _require_its_own_token(request, shop)
    except UnusableShopError as error:
        remedy = {
            Flaw.API_KEY: "set TRACKSTAR_API_KEY to your organisation's key",
            Flaw.CONNECTION: "see Connections in its dashboard for the id",
            Flaw.ACCESS_TOKEN: f"set {token_variable(connection_id)}",
            Flaw.API: f"check --trackstar-url {request.trackstar_url}",
            Flaw.ORDERS: "look at the connection in Trackstar's dashboard",
        }[error.flaw]
        raise UnusableShopError(error.flaw, f"{error}: {remedy}") from None
    return checked.connection


def _require_its_own_token(request: Request, shop: WatchedShop) -> None:
    """Refuse a token that is another connection's, where the API tells: it does in its answer to a request for a sync.

    Raises:
        UnusableShopError: It is another's.
    """
    headers = {
        "x-trackstar-api-key": request.api_key.get_secret_value().strip(),
        "x-trackstar-access-token": shop.access_token.get_secret_value().strip(),
    }
    with httpx.Client(base_url=request.trackstar_url, headers=headers, timeout=_SECONDS) as client:
        owner = _owner(client)
        if owner and owner != shop.connection_id and _is_known(client, owner):
            what = f"the access token of {shop.connection_id} is that of {owner}"
            raise UnusableShopError(Flaw.ACCESS_TOKEN, what)


def _owner(client: httpx.Client) -> str | None:
    """The connection of a token; None where the API does not tell."""
    try:
        answer = client.post("/connections/sync", json={"functions_to_sync": ["get_orders"]})
        body = answer.json() if answer.status_code == httpx.codes.OK else None
    except (httpx.HTTPError, ValueError):
        return None
    owner = body.get("id") if isinstance(body, dict) else None
    return owner if isinstance(owner, str) and owner.isascii() and owner.isprintable() and "/" not in owner else None


def _is_known(client: httpx.Client, connection_id: str) -> bool:
    # An answer that names something else than a connection proves nothing.
    try:
        return client.get(f"/connections/{connection_id}").status_code == httpx.codes.OK
    except (httpx.HTTPError, httpx.InvalidURL):
        return False
