"""A scripted day of several shops: the history before it, every hour's steps, and the record of what could be seen."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from orderwatch_local.simulator.api import Trackstar
from orderwatch_local.simulator.clock import VirtualClock
from orderwatch_local.simulator.mirror import Resource
from orderwatch_local.simulator.scenario import HOURS_A_DAY, Hour, ShopDay, ShopFacts, Step
from orderwatch_local.simulator.shop import Shop, Visible

API_KEY = "key-of-the-simulated-organisation"
DAY = datetime(2026, 3, 10, tzinfo=UTC)
SHOP_NAMES = {"conn_alpine": "Alpine Outdoor", "conn_lumiere": "Maison Lumière", "conn_sora": "Sora Stationery"}
"""What people call the shops, by connection."""

THREE_SHOPS = (
    ShopFacts(
        connection_id="conn_alpine",
        integration_name="shopify",
        currency="USD",
        country="US",
        host="alpine.example",
        first_number=731,
        orders_before=320,
        placed_an_hour=(6, 9),
        troubles=("exception>cancelled", "exception>processing", "backordered>processing", "backordered", "cancelled"),
        storm=True,
        stalled=(timedelta(hours=39, minutes=30), *(timedelta(hours=20),) * 7),
    ),
    ShopFacts(
        connection_id="conn_lumiere",
        integration_name="woocommerce",
        currency="EUR",
        country="FR",
        host="lumiere.example",
        first_number=4001,
        orders_before=190,
        placed_an_hour=(4, 6),
        troubles=("exception>cancelled", "exception>processing", "backordered>processing", "cancelled", "other"),
        born_in_trouble=True,
        stalled=(timedelta(hours=9), timedelta()),
    ),
    ShopFacts(
        connection_id="conn_sora",
        integration_name="bigcommerce",
        currency="JPY",
        country="JP",
        host="sora.example",
        first_number=7001,
        orders_before=135,
        placed_an_hour=(2, 4),
        troubles=("exception>cancelled", "exception", "backordered>processing", "backordered", "cancelled", "other"),
        blocked=True,
        stalled=(timedelta(), timedelta(days=1)),
    ),
)


@dataclass(frozen=True, slots=True)
class Sync:
    """One crawl of Trackstar's: when it was, and the shops that it could read."""

    at: datetime
    shops: frozenset[str]


class Script:
    """A day that plays the same for the same plan: `begin`, then `apply` and `sync` for each of `hours`.

    Args:
        days: One plan a shop.
        begins_at: The day's first moment.
        clock: Tells the time of the shops and of the API; without it one that stands still between the steps.

    Attributes:
        clock: The same.
        shops: In the order of the plans.
        hours: The 24 hours of the day.
        syncs: The crawls up to now, the one that the day begins with first.
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
        """Lets the history happen and Trackstar copy it; call it once.

        Args:
            api_key: The organisation's key.
            monotonic: The seconds by which the API's rate limit counts.
        """
        for place in self._history:
            self._play(place)
        self.clock.set(self._begins_at)
        self.sync()
        return Trackstar(api_key, self.shops, self.clock, monotonic=monotonic)

    def apply(self, hour: Hour) -> None:
        """Lets an hour happen in the shops; the API shows nothing of it until `sync`."""
        for step in hour.steps:
            self._play(step)
        self.clock.set(hour.ends_at)

    def sync(self) -> None:
        """Trackstar crawls every shop, now."""
        for shop in self.shops:
            shop.sync()
        seen = frozenset(shop.connection_id for shop in self.shops if not shop.is_blocked(Resource.ORDERS))
        self.syncs.append(Sync(self.clock.now(), seen))

    @property
    def truth(self) -> list[Visible]:
        """Every visible change of a status, of all shops, by the time at which it could first be seen."""
        return sorted((seen for shop in self.shops for seen in shop.truth), key=lambda seen: seen.visible_monotonic)

    @property
    def truth_of_the_day(self) -> list[Visible]:
        """The same without what could be seen when the day began."""
        return [seen for seen in self.truth if seen.visible_at > self._begins_at]

    def _play(self, step: Step) -> None:
        self.clock.set(step.at)
        step.play(self._by_id[step.connection_id])


def day_of_three_shops(seed: int, *, begins_at: datetime = DAY, clock: VirtualClock | None = None) -> Script:
    """About 1,000 orders in three shops of different integrations and currencies, 30 to 45 troubles among them.

    No shop has more than four troubles of one kind in an hour, but for one storm: fifteen orders of one shop are
    backordered at once. One shop is blocked for some hours of the night, and seen again. Some orders lie: their ship-by
    passes in the day, of seven of one shop at once.

    Args:
        seed: Which day.
        begins_at: Its first moment.
        clock: As for `Script`.
    """
    return Script([ShopDay(seed, facts, begins_at) for facts in THREE_SHOPS], begins_at, clock=clock)


def _shop(day: ShopDay, clock: VirtualClock) -> Shop:
    facts = day.facts
    return Shop(
        facts.connection_id,
        access_token=f"token-of-{facts.connection_id}",
        clock=clock,
        integration_name=facts.integration_name,
        products=day.catalogue.products,
    )


def _hour(number: int, days: Sequence[ShopDay], begins_at: datetime) -> Hour:
    starts_at = begins_at + timedelta(hours=number)
    steps = sorted((step for day in days for step in day.hour(number)), key=lambda step: step.at)
    return Hour(number, starts_at, starts_at + timedelta(hours=1), tuple(steps))
