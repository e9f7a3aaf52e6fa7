"""A scripted day of several shops: the history before it, the steps of every hour, and the visible changes."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import groupby

from orderwatch_local.simulator.api import Trackstar
from orderwatch_local.simulator.clock import VirtualClock
from orderwatch_local.simulator.mirror import Resource
from orderwatch_local.simulator.records import Record
from orderwatch_local.simulator.scenario import HOURS_A_DAY, Hour, ShopDay, ShopProfile, Step
from orderwatch_local.simulator.shop import Shop, VisibleChange

API_KEY = "key-of-the-simulated-organisation"
DAY = datetime(2026, 3, 10, tzinfo=UTC)
SHOP_NAMES = {"conn_alpine": "Alpine Outdoor", "conn_lumiere": "Maison Lumière", "conn_sora": "Sora Stationery"}
"""The names of the shops, by connection."""

THREE_SHOPS = (
    ShopProfile(
        connection_id="conn_alpine",
        integration_name="shopify",
        currency="USD",
        country="US",
        host="alpine.example",
        first_number=731,
        orders_before=320,
        placed_an_hour=(6, 9),
        problems=("exception>cancelled", "exception>processing", "backordered>processing", "backordered", "cancelled"),
        storm=True,
        stalled=(timedelta(hours=39, minutes=30), *(timedelta(hours=20),) * 7),
    ),
    ShopProfile(
        connection_id="conn_lumiere",
        integration_name="woocommerce",
        currency="EUR",
        country="FR",
        host="lumiere.example",
        first_number=4001,
        orders_before=190,
        placed_an_hour=(4, 6),
        problems=(
            "exception>cancelled",
            "exception>processing",
            "backordered>processing",
            "partially_fulfilled>cancelled",
            "other",
        ),
        starts_in_exception=True,
        stalled=(timedelta(hours=9), timedelta()),
    ),
    ShopProfile(
        connection_id="conn_sora",
        integration_name="bigcommerce",
        currency="JPY",
        country="JP",
        host="sora.example",
        first_number=7001,
        orders_before=135,
        placed_an_hour=(2, 4),
        problems=(
            "exception>cancelled",
            "exception",
            "backordered>processing",
            "partially_fulfilled>backordered>in_stock",
            "cancelled",
            "other",
        ),
        blocked=True,
        stalled=(timedelta(), timedelta(days=1)),
    ),
)


@dataclass(frozen=True, slots=True)
class Sync:
    """A crawl by Trackstar.

    Attributes:
        at: When it ended.
        backordered: The backordered orders of each shop that it could read.
        stock: The stock of each of these shops, by product id.
    """

    at: datetime
    backordered: Mapping[str, Sequence[Record]]
    stock: Mapping[str, Mapping[str, int | None]]

    @property
    def shops(self) -> Collection[str]:
        """The shops that it could read."""
        return self.stock.keys()


class Script:
    """A reproducible day: call `begin`, then `apply` and `sync` for each of `hours`.

    Args:
        days: The plans, one a shop.
        begins_at: The day's first moment.
        clock: The clock of the shops and of the API; by default, it only changes by the steps.

    Attributes:
        clock: The clock.
        shops: In the order of the plans.
        hours: The 24 hours of the day.
        syncs: The crawls up to now; the first is at the beginning of the day.
    """

    def __init__(self, days: Sequence[ShopDay], begins_at: datetime, *, clock: VirtualClock | None = None) -> None:
        self._begins_at = begins_at
        self._history = sorted((place for day in days for place in day.history()), key=lambda place: place.at)
        self.clock = clock or VirtualClock(begins_at)
        self.clock.set(self._history[0].at)
        self.shops = [_shop(day, self.clock) for day in days]
        self._by_id = {shop.connection_id: shop for shop in self.shops}
        self.hours = tuple(_hour(number, days, begins_at) for number in range(HOURS_A_DAY))
        self.syncs: list[Sync] = []

    def begin(self, *, api_key: str = API_KEY, monotonic: Callable[[], float] = time.monotonic) -> Trackstar:
        """Play the history, let Trackstar sync it hour by hour, and return the API. Call it once.

        Args:
            api_key: The organisation's key.
            monotonic: The clock of the API's rate limit, in seconds.
        """
        for hour, placed in groupby(self._history, key=lambda place: place.at.replace(minute=0, second=0)):
            for place in placed:
                self._play(place)
            self.clock.set(min(hour + timedelta(hours=1), self._begins_at))
            for shop in self.shops:
                shop.sync()
        self.clock.set(self._begins_at)
        self.sync()
        return Trackstar(api_key, self.shops, self.clock, monotonic=monotonic)

    def apply(self, hour: Hour) -> None:
        """Play an hour in the shops; the API shows it after the next `sync`."""
        for step in hour.steps:
            self._play(step)
        self.clock.set(hour.ends_at)

    def sync(self) -> None:
        """Let Trackstar crawl every shop now."""
        for shop in self.shops:
            shop.sync()
        readable = [shop for shop in self.shops if not shop.is_blocked(Resource.ORDERS)]
        backordered = {shop.connection_id: shop.orders("backordered") for shop in readable}
        stock = {shop.connection_id: shop.stock() for shop in readable}
        self.syncs.append(Sync(self.clock.now(), backordered, stock))

    def synced_at(self, connection_id: str) -> datetime:
        """Return the last crawl that could read the shop."""
        return max(sync.at for sync in self.syncs if connection_id in sync.shops)

    @property
    def visible_changes(self) -> list[VisibleChange]:
        """The visible changes of all shops, in the order in which they became visible."""
        changes = (change for shop in self.shops for change in shop.visible_changes)
        return sorted(changes, key=lambda change: change.visible_monotonic)

    @property
    def changes_of_day(self) -> list[VisibleChange]:
        """The visible changes since the day began."""
        return [change for change in self.visible_changes if change.visible_at > self._begins_at]

    def _play(self, step: Step) -> None:
        self.clock.set(step.at)
        step.play(self._by_id[step.connection_id])


def day_of_three_shops(seed: int, *, begins_at: datetime = DAY, clock: VirtualClock | None = None) -> Script:
    """Return a day of about 1,000 orders in three shops of different integrations and currencies.

    There are 30 to 45 problems, no more than four of one kind in an hour of a shop. In addition, there is one storm:
    fifteen orders of one shop are backordered at once; four hours later there is stock for about half of them. One shop
    is blocked for some hours of the night. The ship-bys of some orders pass, of seven in one shop at once; a part of
    one order of each shop has left before. One order is cancelled after a parcel left.

    Args:
        seed: The seed of the day.
        begins_at: Its first moment.
        clock: As for `Script`.
    """
    return Script([ShopDay(seed, profile, begins_at) for profile in THREE_SHOPS], begins_at, clock=clock)


def _shop(day: ShopDay, clock: VirtualClock) -> Shop:
    profile = day.profile
    return Shop(
        profile.connection_id,
        access_token=f"token-of-{profile.connection_id}",
        clock=clock,
        integration_name=profile.integration_name,
        products=day.catalogue.products,
    )


def _hour(number: int, days: Sequence[ShopDay], begins_at: datetime) -> Hour:
    starts_at = begins_at + timedelta(hours=number)
    steps = sorted((step for day in days for step in day.hour(number)), key=lambda step: step.at)
    return Hour(number, starts_at, starts_at + timedelta(hours=1), tuple(steps))
