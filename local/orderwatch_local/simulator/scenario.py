"""The scenario of one shop's day: the steps that can happen, and the plan of them, hour by hour."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from orderwatch_local.simulator.records import Record, invalid_credentials, seeded, stamp
from orderwatch_local.simulator.seeded_data import Catalogue, OrderBook, seeded_catalogue, shipment
from orderwatch_local.simulator.shop import Shop


@dataclass(frozen=True, slots=True)
class Place:
    """A customer orders."""

    connection_id: str
    at: datetime
    order: Record

    def play(self, shop: Shop) -> None:
        """Makes it happen, at the shop's present time."""
        shop.place(self.order)


@dataclass(frozen=True, slots=True)
class Move:
    """An order takes another status.

    Attributes:
        previous_status: The status it had.
        changes: Other fields that change with it.
    """

    connection_id: str
    at: datetime
    order_id: str
    previous_status: str
    status: str
    raw_status: str | None = None
    changes: Mapping[str, object] = field(default_factory=dict)

    def play(self, shop: Shop) -> None:
        """Makes it happen, at the shop's present time."""
        shop.move(self.order_id, self.status, self.raw_status, changes=self.changes)


@dataclass(frozen=True, slots=True)
class Restock:
    """A product's stock is counted again.

    Attributes:
        on_hand: Units by warehouse id.
    """

    connection_id: str
    at: datetime
    product_id: str
    on_hand: Mapping[str, int]

    def play(self, shop: Shop) -> None:
        """Makes it happen, at the shop's present time."""
        shop.restock(self.product_id, self.on_hand)


@dataclass(frozen=True, slots=True)
class Block:
    """The shop refuses the credentials that Trackstar has: nothing is synced any longer."""

    connection_id: str
    at: datetime

    def play(self, shop: Shop) -> None:
        """Makes it happen, at the shop's present time."""
        shop.errors = [invalid_credentials()]


@dataclass(frozen=True, slots=True)
class Restore:
    """Somebody gives Trackstar new credentials."""

    connection_id: str
    at: datetime

    def play(self, shop: Shop) -> None:
        """Makes it happen, at the shop's present time."""
        shop.errors = []


type Step = Place | Move | Restock | Block | Restore


@dataclass(frozen=True, slots=True)
class Hour:
    """One hour of a script.

    Attributes:
        number: From 0.
        starts_at, ends_at: Its bounds; the syncs are due at its end.
        steps: In the order of their time, all shops together.
    """

    number: int
    starts_at: datetime
    ends_at: datetime
    steps: tuple[Step, ...]


HOURS_A_DAY = 24
STORM_SIZE = 15
"""Orders: so many that they become a digest even where the stream hands them over in two pieces."""
STORM_HOUR = 14
STORM_RECOVERIES = 2
BLOCKED_HOURS = range(2, 5)
"""The hours of a blockage: it begins in the first and ends in the last, whose sync is the next that succeeds."""
LIFECYCLE = ("open", "confirmed", "processing", "partially_fulfilled", "fulfilled")

_NEXT = {
    "open": ("confirmed",),
    "confirmed": ("processing",),
    "processing": ("fulfilled", "fulfilled", "fulfilled", "partially_fulfilled"),
    "partially_fulfilled": ("fulfilled",),
}
_RAW = {
    "exception": ("address_verification_failed", "payment_review", "fraud_hold", "label_error"),
    "backordered": ("awaiting_stock", "on_backorder"),
    "cancelled": ("cancelled_by_customer", "refunded"),
    "other": ("pre_order_hold", "wholesale_review"),
}
# Of the orders that a shop has before its day begins, by status, for a history of so many; the rest is fulfilled.
_HISTORY_SIZE = 215
_HISTORY = {
    "open": 15,
    "confirmed": 15,
    "processing": 20,
    "partially_fulfilled": 5,
    "exception": 3,
    "backordered": 4,
    "cancelled": 8,
    "other": 2,
}
_HISTORY_DAYS = 30
_SHARE_THAT_ADVANCES = 0.3
_TROUBLE_HOURS = range(1, 20)
_HOT_HOURS = range(STORM_HOUR - 3, STORM_HOUR)

type Errand = Callable[[datetime], Iterator[Step]]


@dataclass(frozen=True, slots=True)
class ShopFacts:
    """What tells one scripted shop from another.

    Attributes:
        host: A reserved name.
        first_number: The first order's number; no two shops of a script have one in common.
        orders_before: Orders that it has when the day begins.
        placed_an_hour: Least and most new orders in an hour of the day.
        troubles: Orders that run into trouble in the day, by what happens to them.
        born_in_trouble: Whether one order is already in `exception` when first seen.
        storm: Whether the stock of one product runs out for fifteen orders at once.
        has_ship_bys: Whether its orders say when they are to ship.
        stalled: How long after the day began the ship-bys of orders pass that nobody works on.
        blocked: Whether Trackstar's credentials are refused for some hours of the night.
    """

    connection_id: str
    integration_name: str
    currency: str
    country: str
    host: str
    first_number: int
    orders_before: int
    placed_an_hour: tuple[int, int]
    troubles: tuple[str, ...]
    born_in_trouble: bool = False
    storm: bool = False
    has_ship_bys: bool = True
    stalled: tuple[timedelta, ...] = ()
    blocked: bool = False


class ShopDay:
    """The plan of one shop's day; `history` first, then `hour` for 0 to 23.

    Between two syncs that succeed an order is placed or moves at most once, so that each of its statuses can be seen.

    Args:
        seed: The source of chance.
        facts: The shop.
        begins_at: The day's first moment.
    """

    def __init__(self, seed: int, facts: ShopFacts, begins_at: datetime) -> None:
        self.facts = facts
        self.catalogue: Catalogue = seeded_catalogue(seed, currency=facts.currency, host=facts.host)
        self._rng = seeded("day", seed, facts.connection_id)
        self._book = OrderBook(
            seed,
            catalogue=self.catalogue,
            country=facts.country,
            host=facts.host,
            first_number=facts.first_number,
        )
        self._begins_at = begins_at
        self._orders: dict[str, Record] = {}
        self._status: dict[str, str] = {}
        self._touched: set[str] = set()
        self._hot = self._rng.choice(self.catalogue.for_sale())
        self._awaiting_storm: list[str] = []
        self._stalled: set[str] = set()
        self._agenda: defaultdict[int, list[Errand]] = defaultdict(list)
        self._plan_troubles()

    def history(self) -> list[Place]:
        """The orders from before the day, in the status that they have when it begins."""
        size = self.facts.orders_before
        counts = {status: round(count * size / _HISTORY_SIZE) for status, count in _HISTORY.items()}
        statuses = [status for status, count in counts.items() for _ in range(count)]
        statuses += ["fulfilled"] * (size - len(statuses))
        self._rng.shuffle(statuses)
        minutes = sorted(self._rng.sample(range(60, _HISTORY_DAYS * HOURS_A_DAY * 60), len(statuses)), reverse=True)
        moments = [self._begins_at - timedelta(minutes=before) for before in minutes]
        placed = [self._place(at, status=status) for at, status in zip(moments, statuses, strict=True)]
        self._stall(placed)
        return placed

    def _stall(self, placed: list[Place]) -> None:
        """Let the latest orders that are being worked on lie, and their ship-by pass."""
        underway = [each.order for each in reversed(placed) if each.order["status"] in {"confirmed", "processing"}]
        for order, after in zip(underway, self.facts.stalled, strict=False):
            order["latest_ship_date"] = stamp(self._begins_at + after)
            self._stalled.add(order["id"])

    def hour(self, number: int) -> list[Step]:
        """What happens in an hour of the day, not yet in the order of time."""
        starts_at = self._begins_at + timedelta(hours=number)
        if not (self.facts.blocked and number in BLOCKED_HOURS[1:]):
            self._touched.clear()
        steps = [step for errand in self._agenda.pop(number, []) for step in errand(starts_at)]
        steps += self._advances(starts_at)
        steps += self._placements(number, starts_at)
        return steps

    def _plan_troubles(self) -> None:
        free_hours = [hour for hour in _TROUBLE_HOURS if hour != STORM_HOUR and not self._is_early(hour)]
        hours = self._rng.sample(free_hours, len(self.facts.troubles) + 1)
        for hour, trouble in zip(hours, self.facts.troubles, strict=False):
            self._agenda[hour].append(self._trouble(hour, trouble))
        if self.facts.born_in_trouble:
            self._agenda[hours[-1]].append(self._born_in_trouble)
        if self.facts.storm:
            self._agenda[STORM_HOUR].append(self._storm)
            self._agenda[STORM_HOUR + 4].append(self._storm_passes)
        if self.facts.blocked:
            self._agenda[BLOCKED_HOURS[0]].append(lambda starts_at: iter([Block(*self._here(starts_at))]))
            self._agenda[BLOCKED_HOURS[-1]].append(lambda starts_at: iter([Restore(*self._here(starts_at))]))

    def _is_early(self, hour: int) -> bool:
        """Whether what happens in the hour would be seen late, or only its end: the shop is blocked soon or still."""
        return self.facts.blocked and hour < BLOCKED_HOURS.stop

    def _here(self, starts_at: datetime) -> tuple[str, datetime]:
        return self.facts.connection_id, self._moment(starts_at)

    def _trouble(self, hour: int, trouble: str) -> Errand:
        """An errand that brings an order into trouble; `exception>cancelled` also plans where it goes from there."""
        first, _, then = trouble.partition(">")

        def errand(starts_at: datetime) -> Iterator[Step]:
            order_id = self._pick_untroubled()
            if first == "backordered":
                yield self._count(self._orders[order_id]["line_items"][0]["product_id"], {"wh-east": 0}, starts_at)
            yield self._move(order_id, first, starts_at)
            if then:
                later = hour + self._rng.randint(2, 4)
                self._agenda[later].append(lambda starts_at: iter([self._move(order_id, then, starts_at)]))

        return errand

    def _born_in_trouble(self, starts_at: datetime) -> Iterator[Step]:
        yield self._place(self._moment(starts_at), status="exception")

    def _storm(self, starts_at: datetime) -> Iterator[Step]:
        yield self._count(self._hot["id"], {"wh-east": 0, "wh-west": 1}, starts_at)
        for order_id in self._awaiting_storm:
            yield self._move(order_id, "backordered", starts_at)

    def _storm_passes(self, starts_at: datetime) -> Iterator[Step]:
        yield self._count(self._hot["id"], {"wh-east": 40, "wh-west": 1}, starts_at)
        for order_id in self._awaiting_storm[:STORM_RECOVERIES]:
            yield self._move(order_id, "processing", starts_at)

    def _advances(self, starts_at: datetime) -> Iterator[Step]:
        for order_id in self._untroubled():
            if self._rng.random() < _SHARE_THAT_ADVANCES:
                yield self._move(order_id, self._rng.choice(_NEXT[self._status[order_id]]), starts_at)

    def _placements(self, number: int, starts_at: datetime) -> Iterator[Step]:
        for _ in range(self._rng.randint(*self.facts.placed_an_hour)):
            yield self._place(self._moment(starts_at))
        if self.facts.storm and number in _HOT_HOURS:
            for _ in range(STORM_SIZE // len(_HOT_HOURS)):
                hot = self._place(self._moment(starts_at), product=self._hot)
                self._awaiting_storm.append(hot.order["id"])
                yield hot

    def _untroubled(self) -> list[str]:
        """The orders on their way that have not moved in this hour, do not wait for the storm and do not lie."""
        resting = self._touched | self._stalled
        return [
            order_id
            for order_id, status in self._status.items()
            if status in _NEXT and order_id not in resting and not self._awaits_storm(order_id, status)
        ]

    def _awaits_storm(self, order_id: str, status: str) -> bool:
        return order_id in self._awaiting_storm and status == "open"

    def _pick_untroubled(self) -> str:
        return self._rng.choice([o for o in self._untroubled() if self._status[o] != "partially_fulfilled"])

    def _place(self, at: datetime, *, status: str = "open", product: Record | None = None) -> Place:
        order = self._book.write(at, status=status, product=product)
        order["raw_status"] = self._raw(status)
        if not self.facts.has_ship_bys:
            order["latest_ship_date"] = None
        order_id = order["id"]
        self._orders[order_id] = order
        self._status[order_id] = status
        self._touched.add(order_id)
        return Place(self.facts.connection_id, at, order)

    def _move(self, order_id: str, status: str, starts_at: datetime) -> Move:
        previous, self._status[order_id] = self._status[order_id], status
        self._touched.add(order_id)
        ships = status in {"partially_fulfilled", "fulfilled"}
        changes = {"shipments": [shipment(self._orders[order_id], "shipped")]} if ships else {}
        moment = self._moment(starts_at)
        return Move(self.facts.connection_id, moment, order_id, previous, status, self._raw(status), changes)

    def _count(self, product_id: str, on_hand: dict[str, int], starts_at: datetime) -> Restock:
        return Restock(self.facts.connection_id, self._moment(starts_at), product_id, on_hand)

    def _raw(self, status: str) -> str | None:
        return self._rng.choice(_RAW[status]) if status in _RAW else None

    def _moment(self, starts_at: datetime) -> datetime:
        return starts_at + timedelta(seconds=self._rng.randrange(60, 3540))
