"""The simulated shop as a Lambda function with a URL (`local/smoke.yaml`), and the short day that it plays.

One table item holds the moments of the rounds that were played. The whole state follows from them, so that every
Lambda sandbox shows the same shop, whenever it starts.
"""

from __future__ import annotations

import base64
import itertools
import os
from collections.abc import Iterable
from datetime import datetime, timedelta
from functools import cache, lru_cache
from typing import TYPE_CHECKING, Any, Self
from urllib.parse import urlsplit

import boto3
import httpx

from orderwatch_local.simulator.api import Trackstar
from orderwatch_local.simulator.clock import SystemClock
from orderwatch_local.simulator.exchange import Request, Response
from orderwatch_local.simulator.scenario import ShopDay, ShopProfile
from orderwatch_local.simulator.script import Script

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient


SEED = 1
SHOP = ShopProfile(
    connection_id="conn_smoke",
    integration_name="shopify",
    currency="USD",
    country="US",
    host="smoke.example",
    first_number=1001,
    orders_before=60,
    placed_an_hour=(1, 2),
    problems=("exception>cancelled", "exception>processing", "backordered>processing", "cancelled"),
    storm=True,
    blocked=True,
    has_ship_bys=False,  # they would expire by the real clock, some between two rounds or before the watch begins
)
HOURS_A_ROUND = 3
ROUNDS = 24 // HOURS_A_ROUND

_DAY = "day"
_HOP_BY_HOP_HEADERS = frozenset({"host", "connection", "content-length", "transfer-encoding"})
_TIMEOUT_SECONDS = 30.0
"""The function's own time limit."""


class ShortDay:
    """A day in eight rounds of three hours; each round becomes visible at a moment that the caller chooses.

    The shop depends only on the seed and the moments: two processes that play the same moments show the same shop.

    Args:
        begins_at: The moment of the last sync before the first round.

    Attributes:
        script: The day, with its visible changes.
    """

    def __init__(self, begins_at: datetime) -> None:
        yesterday = begins_at - timedelta(days=1)
        self.script = Script([ShopDay(SEED, SHOP, yesterday)], yesterday)
        self.script.begin()
        self._rounds = itertools.batched(self.script.hours, HOURS_A_ROUND, strict=True)
        self._sync(begins_at)

    def play(self, moment: datetime) -> None:
        """Play the next round and let Trackstar sync it at a moment later than the last one.

        Raises:
            StopIteration: The day is over.
        """
        for hour in next(self._rounds):
            self.script.apply(hour)
        self._sync(moment)

    def serve(self, *, api_key: str, access_token: str) -> Trackstar:
        """Return the vendor's API over the shop, by the real clock."""
        [shop] = self.script.shops
        shop.access_token = access_token
        return Trackstar(api_key, [shop], SystemClock())

    def _sync(self, moment: datetime) -> None:
        self.script.clock.set(moment)
        self.script.sync()


def save_moments(dynamodb: DynamoDBClient, table: str, moments: Iterable[datetime]) -> None:
    """Save the moments, so that every sandbox shows the same shop. The first is the beginning of the day."""
    item = {"id": {"S": _DAY}, "moments": {"S": " ".join(moment.isoformat() for moment in moments)}}
    dynamodb.put_item(TableName=table, Item=item)


def load_moments(dynamodb: DynamoDBClient, table: str) -> tuple[datetime, ...]:
    """Return the saved moments.

    Raises:
        KeyError: The day has not begun.
    """
    item = dynamodb.get_item(TableName=table, Key={"id": {"S": _DAY}}, ConsistentRead=True)["Item"]
    return tuple(map(datetime.fromisoformat, item["moments"]["S"].split()))


def handler(event: dict[str, Any], _context: object) -> dict[str, Any]:
    """Answer a request to the function's URL."""
    moments = load_moments(_dynamodb(), os.environ["DAY_TABLE_NAME"])
    return _result(_vendor(moments).handle(_request(event)))


@cache
def _dynamodb() -> DynamoDBClient:
    return boto3.client("dynamodb")


@lru_cache(maxsize=1)
def _vendor(moments: tuple[datetime, ...]) -> Trackstar:
    begins_at, *rounds = moments
    day = ShortDay(begins_at)
    for moment in rounds:
        day.play(moment)
    return day.serve(api_key=os.environ["API_KEY"], access_token=os.environ["ACCESS_TOKEN"])


def _request(event: dict[str, Any]) -> Request:
    body = event.get("body", "")
    return Request.of(
        event["requestContext"]["http"]["method"],
        f"{event['rawPath']}?{event['rawQueryString']}",
        event["headers"].items(),
        base64.b64decode(body) if event["isBase64Encoded"] else body.encode(),
    )


def _result(response: Response) -> dict[str, Any]:
    # The function URL's server sets the Date header.
    headers = {name: value for name, value in response.headers if name != "Date"}
    return {"statusCode": response.status, "headers": headers, "body": response.body.decode()}


class FunctionUrlProxy:
    """Forwards requests to the function's URL on a local cloud; `simulator.serve` serves it on a loopback port.

    A client of the vendor cannot call the URL: it does not have the secret of the cloud's guard, and the emulator
    serves the URL below a path of its own. Leave the `with` block to close the connections.

    Args:
        endpoint_url: The local cloud's endpoint.
        secret: The secret of its guard.
        function_url: The URL in the stack's outputs.
    """

    def __init__(self, endpoint_url: str, secret: str, function_url: str) -> None:
        url_id = (urlsplit(function_url).hostname or "").partition(".")[0]
        self._base = f"{endpoint_url}/_aws/lambda-url/{url_id}"
        # Not through the user's proxy: both ends are on loopback.
        self._client = httpx.Client(headers={"X-Amz-Security-Token": secret}, timeout=_TIMEOUT_SECONDS, trust_env=False)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._client.close()

    def handle(self, request: Request) -> Response:
        """Return the function's response to a request."""
        response = self._client.request(
            request.method,
            f"{self._base}{request.path}",
            params=list(request.query),
            headers={name: value for name, value in request.headers.items() if name not in _HOP_BY_HOP_HEADERS},
            content=request.body,
        )
        headers = tuple((name, value) for name, value in response.headers.items() if name not in _HOP_BY_HOP_HEADERS)
        return Response(response.status_code, headers, response.content)
