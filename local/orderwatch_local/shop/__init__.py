"""The simulated shop: a strict Trackstar API over made-up merchants, with a record of what could be seen when."""

from orderwatch_local.shop.api import ACCESS_TOKEN_HEADER, API_KEY_HEADER, Envelope, Exchange, Trackstar
from orderwatch_local.shop.clock import Clock, LiveClock, SystemClock, VirtualClock
from orderwatch_local.shop.connection_errors import endpoint_error, invalid_credentials, missing_permission
from orderwatch_local.shop.exchange import Request, Response, json_response
from orderwatch_local.shop.mirror import Resource, TrackstarDates
from orderwatch_local.shop.paging import Paging
from orderwatch_local.shop.rate import Spelling
from orderwatch_local.shop.records import Record, stamp
from orderwatch_local.shop.script import Script, day_of_three_shops
from orderwatch_local.shop.server import ShopServer, serve
from orderwatch_local.shop.shop import Quirks, Shop, Visible
from orderwatch_local.shop.steps import Block, Hour, Move, Place, Restock, Restore, Step
from orderwatch_local.shop.transport import ShopTransport

__all__ = [
    "ACCESS_TOKEN_HEADER",
    "API_KEY_HEADER",
    "Block",
    "Clock",
    "Envelope",
    "Exchange",
    "Hour",
    "LiveClock",
    "Move",
    "Paging",
    "Place",
    "Quirks",
    "Record",
    "Request",
    "Resource",
    "Response",
    "Restock",
    "Restore",
    "Script",
    "Shop",
    "ShopServer",
    "ShopTransport",
    "Spelling",
    "Step",
    "SystemClock",
    "Trackstar",
    "TrackstarDates",
    "VirtualClock",
    "Visible",
    "day_of_three_shops",
    "endpoint_error",
    "invalid_credentials",
    "json_response",
    "missing_permission",
    "serve",
    "stamp",
]
