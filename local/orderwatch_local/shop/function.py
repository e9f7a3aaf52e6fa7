"""The simulated shop as a Lambda function with a URL of its own (`local/smoke.yaml`).

What has happened so far is one item of a table: the moments of the day's rounds. Everything else follows from them, so
that each of Lambda's sandboxes, whenever it starts, shows the same shop.
"""

import base64
import os
from collections.abc import Iterable
from datetime import datetime
from functools import cache, lru_cache
from typing import TYPE_CHECKING, Any

import boto3

from orderwatch_local.shop.api import Trackstar
from orderwatch_local.shop.exchange import Request, Response
from orderwatch_local.shop.short_day import ShortDay

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

_DAY = "day"


def save_moments(dynamodb: "DynamoDBClient", table: str, moments: Iterable[datetime]) -> None:
    """Let every sandbox show the shop as of the last moment: that of a round, or the first, at which the day begins."""
    item = {"id": {"S": _DAY}, "moments": {"S": " ".join(moment.isoformat() for moment in moments)}}
    dynamodb.put_item(TableName=table, Item=item)


def load_moments(dynamodb: "DynamoDBClient", table: str) -> tuple[datetime, ...]:
    """The moments that were saved last.

    Raises:
        KeyError: None were: the day has not begun.
    """
    item = dynamodb.get_item(TableName=table, Key={"id": {"S": _DAY}}, ConsistentRead=True)["Item"]
    return tuple(map(datetime.fromisoformat, item["moments"]["S"].split()))


def handler(event: dict[str, Any], _context: object) -> dict[str, Any]:
    """Answer one request to the function's URL."""
    moments = load_moments(_dynamodb(), os.environ["DAY_TABLE_NAME"])
    return _result(_vendor(moments).handle(_request(event)))


@cache
def _dynamodb() -> "DynamoDBClient":
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
    # The URL's own server writes the Date, by the real clock, as ours would.
    headers = {name: value for name, value in response.headers if name != "Date"}
    return {"statusCode": response.status, "headers": headers, "body": response.body.decode()}
