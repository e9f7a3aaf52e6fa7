"""The simulated shop: a strict Trackstar API over invented merchants, with a record of every visible change."""

from orderwatch_local.simulator.api import ACCESS_TOKEN_HEADER, API_KEY_HEADER, Envelope, LoggedRequest, Trackstar
from orderwatch_local.simulator.clock import Clock, LiveClock, SystemClock, VirtualClock
from orderwatch_local.simulator.exchange import RefusedError, Request, Response, json_response
from orderwatch_local.simulator.limits import Paging, Spelling
from orderwatch_local.simulator.mirror import Resource, TrackstarDates
from orderwatch_local.simulator.records import Record, endpoint_error, invalid_credentials, missing_permission, stamp
from orderwatch_local.simulator.scenario import Block, Hour, Move, Place, Restock, Restore, Step
from orderwatch_local.simulator.script import Script, Sync, day_of_three_shops
from orderwatch_local.simulator.server import ShopServer, ShopTransport, serve
from orderwatch_local.simulator.shop import Quirks, Shop, VisibleChange

__all__ = [
    "ACCESS_TOKEN_HEADER",
    "API_KEY_HEADER",
    "Block",
    "Clock",
    "Envelope",
    "Hour",
    "LiveClock",
    "LoggedRequest",
    "Move",
    "Paging",
    "Place",
    "Quirks",
    "Record",
    "RefusedError",
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
    "Sync",
    "SystemClock",
    "Trackstar",
    "TrackstarDates",
    "VirtualClock",
    "VisibleChange",
    "day_of_three_shops",
    "endpoint_error",
    "invalid_credentials",
    "json_response",
    "missing_permission",
    "serve",
    "stamp",
]
