"""A short day of one shop, at moments of the real clock: what `make smoke` plays."""

from __future__ import annotations

import itertools
from datetime import datetime, timedelta

from orderwatch_local.shop.api import Trackstar
from orderwatch_local.shop.clock import SystemClock
from orderwatch_local.shop.lives import ShopDay, ShopFacts
from orderwatch_local.shop.script import Script

SEED = 1
SHOP = ShopFacts(
    connection_id="conn_smoke",
    integration_name="shopify",
    currency="USD",
    country="US",
    host="smoke.example",
    first_number=1001,
    orders_before=60,
    placed_an_hour=(1, 2),
    troubles=("exception>cancelled", "exception>processing", "backordered>processing", "cancelled"),
    storm=True,
    blocked=True,
    has_ship_bys=False,  # they would pass by the real clock, some between two rounds and some before the watch begins
)
HOURS_A_ROUND = 3
ROUNDS = 24 // HOURS_A_ROUND


class ShortDay:
    """A day in eight rounds of three hours, each of which becomes visible at a moment that the caller names.

    Seed and moments decide everything, so that whoever plays the same moments sees the same shop.

    Args:
        begins_at: The moment of the last sync before the first round; all orders before it are a day older.

    Attributes:
        script: The day, and the record of what could be seen.
    """

    def __init__(self, begins_at: datetime) -> None:
        yesterday = begins_at - timedelta(days=1)
        self.script = Script([ShopDay(SEED, SHOP, yesterday)], yesterday)
        self.script.begin()
        self._rounds = itertools.batched(self.script.hours, HOURS_A_ROUND, strict=True)
        self._sync(begins_at)

    def play(self, moment: datetime) -> None:
        """The next round, as Trackstar copies it at a moment after the last one.

        Raises:
            StopIteration: The day is over.
        """
        for hour in next(self._rounds):
            self.script.apply(hour)
        self._sync(moment)

    def serve(self, *, api_key: str, access_token: str) -> Trackstar:
        """The vendor's API over the shop, by the real clock, as are its moments."""
        [shop] = self.script.shops
        shop.access_token = access_token
        return Trackstar(api_key, [shop], SystemClock())

    def _sync(self, moment: datetime) -> None:
        self.script.clock.set(moment)
        self.script.sync()
