"""A vendor that gives prepared replies, for tests of our client, and the client."""

from collections.abc import Callable

import httpx
from pydantic import SecretStr

from orderwatch.trackstar.client import ConnectionClient, Trackstar
from orderwatch.trackstar.orders import OrderQuery
from orderwatch_local.simulator import Request, Response, ShopTransport
from tests.support.clocks import NOON

EMPTY_PAGE = Response(200, body=b'{"data": []}')
EVERYTHING = OrderQuery(until=NOON)
SECRET = "very-secret"


class Replies:
    """Gives these replies in turn, then empty pages; keeps the requests."""

    def __init__(self, *replies: Response | Exception) -> None:
        self._replies = iter(replies)
        self.requests: list[Request] = []

    def handle(self, request: Request) -> Response:
        self.requests.append(request)
        reply = next(self._replies, EMPTY_PAGE)
        if isinstance(reply, Exception):
            raise reply
        return reply

    def client(self, *, seconds_left: Callable[[], float] = lambda: 60.0) -> ConnectionClient:
        """Our client, whose requests get the replies."""
        return client_over(ShopTransport(self), seconds_left=seconds_left)


def client_over(
    transport: httpx.BaseTransport,
    connection_id: str = "conn_a",
    *,
    url: str = "https://trackstar.invalid",
    access_token: str = SECRET,
    api_key: str = SECRET,
    seconds_left: Callable[[], float] = lambda: 60.0,
) -> ConnectionClient:
    """Our client of a connection over a transport."""
    return Trackstar(url, transport=transport).client_of(
        connection_id, api_key=SecretStr(api_key), access_token=SecretStr(access_token), seconds_left=seconds_left
    )


def read_page(client: ConnectionClient) -> list[str]:
    """Read a page of orders, as the simplest request; the ids of its orders."""
    return [order.id for order in client.order_page(EVERYTHING, page_token=None).orders]
