"""The scenario of one shop's day: which orders are placed, move, get problems and recover, hour by hour."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from orderwatch_local.simulator.records import Record, invalid_credentials, seeded, stamp
from orderwatch_local.simulator.seeded_data import (
    Catalogue,
    OrderBook,
    awaited_product,
    seeded_catalogue,
    shipped,
    units_left,
)
from orderwatch_local.simulator.shop import Shop

HOURS_A_DAY = 24
STORM_SIZE = 15
"""Orders; enough for digests even if the stream delivers them in two batches."""
STORM_HOUR = 14
STORM_RECOVERIES = 2
STORM_RESTOCK = {"wh-east": 12, "wh-west": 2}
"""The stock that arrives; enough for a digest, and not for all orders."""
IN_STOCK = "in_stock"
"""In a list of statuses: the order's products are in stock again, and its status stays."""
PART_HOUR = 6
"""In this hour, a part of the first stalled order leaves: before its ship-by, and when no shop is blocked."""
BLOCKED_HOURS = range(2, 5)
"""The shop is blocked in the first of these hours and restored in the last, whose sync succeeds again."""
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
# A history of this size has these orders by status; the rest is fulfilled.
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
_HISTORY_DAYS = 28
_OLDEST_DAYS = {
    "open": 1,
    "confirmed": 2,
    "processing": 3,
    "partially_fulfilled": 4,
    "exception": 4,
    "backordered": 5,
    "other": 5,
}
"""Maximum age of an order of the history in these statuses: older orders are done."""
_ADVANCING_SHARE = 0.3
_PROBLEM_HOURS = range(1, 20)
_STORM_ORDER_HOURS = range(STORM_HOUR - 3, STORM_HOUR)

type Event = Callable[[datetime], Iterator[Step]]
"""Makes the steps of a planned event, in the hour that starts at this moment."""


@dataclass(frozen=True, slots=True)
class Place:
    """A customer places an order."""

    connection_id: str
    at: datetime
    order: Record

    def play(self, shop: Shop) -> None:
        """Play the step, at the shop's present time."""
        shop.place(self.order)


@dataclass(frozen=True, slots=True)
class Move:
    """An order moves to another status.

    Attributes:
        previous_status: The status before.
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
        """Play the step, at the shop's present time."""
        shop.move(self.order_id, self.status, self.raw_status, changes=self.changes)


@dataclass(frozen=True, slots=True)
class Restock:
    """The stock of a product changes.

    Attributes:
        on_hand: Units by warehouse id.
    """

    connection_id: str
    at: datetime
    product_id: str
    on_hand: Mapping[str, int]

    def play(self, shop: Shop) -> None:
        """Play the step, at the shop's present time."""
        shop.restock(self.product_id, self.on_hand)


@dataclass(frozen=True, slots=True)
class Block:
    """The shop starts to refuse Trackstar's credentials, so that syncs copy nothing."""

    connection_id: str
    at: datetime

    def play(self, shop: Shop) -> None:
        """Play the step, at the shop's present time."""
        shop.errors = [invalid_credentials()]


@dataclass(frozen=True, slots=True)
class Restore:
    """Trackstar gets new credentials."""

    connection_id: str
    at: datetime

    def play(self, shop: Shop) -> None:
        """Play the step, at the shop's present time."""
        shop.errors = []


type Step = Place | Move | Restock | Block | Restore


@dataclass(frozen=True, slots=True)
class Hour:
    """One hour of a script.

    Attributes:
        number: From 0.
        starts_at, ends_at: Its bounds; the syncs are due at its end.
        steps: In order of time, of all shops.
    """

    number: int
    starts_at: datetime
    ends_at: datetime
    steps: tuple[Step, ...]


@dataclass(frozen=True, slots=True)
class ShopProfile:
    """The properties of a scripted shop.

    Attributes:
        host: A reserved host name.
        first_number: The first order's number; no order number occurs in two shops of a script.
        orders_before: Orders that exist when the day begins.
        placed_an_hour: Minimum and maximum of new orders an hour.
        problems: The problems of the day, each of one order: its statuses, joined by `>`, each some hours after the
            one before. `in_stock` is no status: the order's products are in stock again.
        starts_in_exception: Whether one order is in `exception` when it is first visible.
        storm: Whether one product runs out of stock for fifteen orders at once.
        has_ship_bys: Whether its orders have a ship-by.
        stalled: The ship-bys, as times after the day began, of orders that stay in their status.
        blocked: Whether the shop refuses Trackstar's credentials for some hours of the night.
    """

    connection_id: str
    integration_name: str
    currency: str
    country: str
    host: str
    first_number: int
    orders_before: int
    placed_an_hour: tuple[int, int]
    problems: tuple[str, ...]
    starts_in_exception: bool = False
    storm: bool = False
    has_ship_bys: bool = True
    stalled: tuple[timedelta, ...] = ()
    blocked: bool = False


class ShopDay:
    """The plan of one shop's day: call `history` first, then `hour` for 0 to 23.

    Between two successful syncs, an order is placed or moves at most once, so that each of its statuses is visible.

    Args:
        seed: The seed of the random choices.
        profile: The shop.
        begins_at: The day's first moment.
    """

    def __init__(self, seed: int, profile: ShopProfile, begins_at: datetime) -> None:
        self.profile = profile
        self.catalogue: Catalogue = seeded_catalogue(seed, currency=profile.currency, host=profile.host)
        self._rng = seeded("day", seed, profile.connection_id)
        self._book = OrderBook(
            seed,
            catalogue=self.catalogue,
            country=profile.country,
            host=profile.host,
            first_number=profile.first_number,
        )
        self._begins_at = begins_at
        self._orders: dict[str, Record] = {}
        self._status: dict[str, str] = {}
        self._touched: set[str] = set()
        self._storm_product = self._rng.choice(self.catalogue.for_sale())
        self._awaiting_storm: list[str] = []
        self._stalled: set[str] = set()
        self._planned: defaultdict[int, list[Event]] = defaultdict(list)
        self._plan_problems()

    def history(self) -> list[Place]:
        """Return the orders that were placed before the day, in their status at its beginning."""
        size = self.profile.orders_before
        counts = {status: round(count * size / _HISTORY_SIZE) for status, count in _HISTORY.items()}
        statuses = [status for status, count in counts.items() for _ in range(count)]
        statuses += ["fulfilled"] * (size - len(statuses))
        moments = sorted((self._placed_before(status), status) for status in statuses)
        placed = [self._place(at, status=status) for at, status in moments]
        self._stall(placed)
        return placed

    def _placed_before(self, status: str) -> datetime:
        """When an order of the history was placed, which is in this status when the day begins."""
        minutes = self._rng.randrange(60, _OLDEST_DAYS.get(status, _HISTORY_DAYS) * HOURS_A_DAY * 60)
        return self._begins_at - timedelta(minutes=minutes)

    def _stall(self, placed: list[Place]) -> None:
        """Keep the latest orders in progress in their status, with a ship-by that passes."""
        underway = [each.order for each in reversed(placed) if each.order["status"] in {"confirmed", "processing"}]
        underway.sort(key=_is_divisible, reverse=True)
        for order, after in zip(underway, self.profile.stalled, strict=False):
            order["latest_ship_date"] = stamp(self._begins_at + after)
            self._stalled.add(order["id"])
        if self.profile.stalled:
            first = underway[0]["id"]
            self._planned[PART_HOUR].append(
                lambda starts_at: iter([self._move(first, "partially_fulfilled", starts_at)])
            )

    def hour(self, number: int) -> list[Step]:
        """Return the steps of an hour of the day, unsorted."""
        starts_at = self._begins_at + timedelta(hours=number)
        if not (self.profile.blocked and number in BLOCKED_HOURS[1:]):
            self._touched.clear()
        steps = [step for event in self._planned.pop(number, []) for step in event(starts_at)]
        steps += self._advances(starts_at)
        steps += self._placements(number, starts_at)
        return steps

    def _plan_problems(self) -> None:
        free_hours = [hour for hour in _PROBLEM_HOURS if hour != STORM_HOUR and not self._is_before_restore(hour)]
        hours = self._rng.sample(free_hours, len(self.profile.problems) + 1)
        for hour, problem in zip(hours, self.profile.problems, strict=False):
            self._planned[hour].append(self._problem(hour, problem.split(">")))
        if self.profile.starts_in_exception:
            self._planned[hours[-1]].append(self._starts_in_exception)
        if self.profile.storm:
            self._planned[STORM_HOUR].append(self._storm)
            self._planned[STORM_HOUR + 4].append(self._storm_passes)
        if self.profile.blocked:
            self._planned[BLOCKED_HOURS[0]].append(lambda starts_at: iter([Block(*self._here(starts_at))]))
            self._planned[BLOCKED_HOURS[-1]].append(lambda starts_at: iter([Restore(*self._here(starts_at))]))

    def _is_before_restore(self, hour: int) -> bool:
        """Whether a change in the hour may be visible late or never, because the shop is or will be blocked."""
        return self.profile.blocked and hour < BLOCKED_HOURS.stop

    def _here(self, starts_at: datetime) -> tuple[str, datetime]:
        return self.profile.connection_id, self._moment(starts_at)

    def _problem(self, hour: int, statuses: Sequence[str], order_id: str | None = None) -> Event:
        """Return an event that moves an order, by default any that can move, and plans its next statuses."""
        status, *later_statuses = statuses

        def event(starts_at: datetime) -> Iterator[Step]:
            moved = order_id or self._pick_movable(is_divisible=status == "partially_fulfilled")
            if status in {"backordered", IN_STOCK}:
                units = 5 if status == IN_STOCK else 0
                yield self._count(str(awaited_product(self._orders[moved])), {"wh-east": units}, starts_at)
            if status != IN_STOCK:
                yield self._move(moved, status, starts_at)
            if later_statuses:
                self._stalled.add(moved)
                later = hour + self._rng.randint(2, 4)
                self._planned[later].append(self._problem(later, later_statuses, moved))

        return event

    def _starts_in_exception(self, starts_at: datetime) -> Iterator[Step]:
        yield self._place(self._moment(starts_at), status="exception")

    def _storm(self, starts_at: datetime) -> Iterator[Step]:
        yield self._count(self._storm_product["id"], {"wh-east": 0, "wh-west": 0}, starts_at)
        for order_id in self._awaiting_storm:
            yield self._move(order_id, "backordered", starts_at)

    def _storm_passes(self, starts_at: datetime) -> Iterator[Step]:
        yield self._count(self._storm_product["id"], STORM_RESTOCK, starts_at)
        for order_id in self._awaiting_storm[:STORM_RECOVERIES]:
            yield self._move(order_id, "processing", starts_at)

    def _advances(self, starts_at: datetime) -> Iterator[Step]:
        for order_id in self._movable():
            if self._rng.random() < _ADVANCING_SHARE:
                status = self._rng.choice(_NEXT[self._status[order_id]])
                if status == "partially_fulfilled" and not _is_divisible(self._orders[order_id]):
                    status = "fulfilled"
                yield self._move(order_id, status, starts_at)

    def _placements(self, number: int, starts_at: datetime) -> Iterator[Step]:
        for _ in range(self._rng.randint(*self.profile.placed_an_hour)):
            yield self._place(self._moment(starts_at))
        if self.profile.storm and number in _STORM_ORDER_HOURS:
            for _ in range(STORM_SIZE // len(_STORM_ORDER_HOURS)):
                placed = self._place(self._moment(starts_at), product=self._storm_product)
                self._awaiting_storm.append(placed.order["id"])
                yield placed

    def _movable(self) -> list[str]:
        """The orders in progress that did not move since the last sync, do not await the storm and are not stalled."""
        resting = self._touched | self._stalled
        return [
            order_id
            for order_id, status in self._status.items()
            if status in _NEXT and order_id not in resting and not self._awaits_storm(order_id, status)
        ]

    def _awaits_storm(self, order_id: str, status: str) -> bool:
        return order_id in self._awaiting_storm and status == "open"

    def _pick_movable(self, *, is_divisible: bool = False) -> str:
        movable = [o for o in self._movable() if self._status[o] != "partially_fulfilled"]
        return self._rng.choice([o for o in movable if not is_divisible or _is_divisible(self._orders[o])])

    def _place(self, at: datetime, *, status: str = "open", product: Record | None = None) -> Place:
        order = self._book.write(at, status=status, product=product)
        order["raw_status"] = self._raw(status)
        if not self.profile.has_ship_bys:
            order["latest_ship_date"] = None
        order |= _parcels(order, status)
        order_id = order["id"]
        self._orders[order_id] = order
        self._status[order_id] = status
        self._touched.add(order_id)
        return Place(self.profile.connection_id, at, order)

    def _move(self, order_id: str, status: str, starts_at: datetime) -> Move:
        previous, self._status[order_id] = self._status[order_id], status
        self._touched.add(order_id)
        changes = _parcels(self._orders[order_id], status)
        self._orders[order_id] = self._orders[order_id] | changes
        moment = self._moment(starts_at)
        return Move(self.profile.connection_id, moment, order_id, previous, status, self._raw(status), changes)

    def _count(self, product_id: str, on_hand: Mapping[str, int], starts_at: datetime) -> Restock:
        return Restock(self.profile.connection_id, self._moment(starts_at), product_id, on_hand)

    def _raw(self, status: str) -> str | None:
        return self._rng.choice(_RAW[status]) if status in _RAW else None

    def _moment(self, starts_at: datetime) -> datetime:
        return starts_at + timedelta(seconds=self._rng.randrange(60, 3540))


def _is_divisible(order: Record) -> bool:
    """Whether a part of the order can leave, and the rest names its products."""
    return sum(units_left(order)) > 1 and all(line["product_id"] for line in order["line_items"])


def _parcels(order: Record, status: str) -> Record:
    """The fields that change with the status: half of the units leave if it is fulfilled in part."""
    if status == "fulfilled":
        return shipped(order)
    return shipped(order, sum(units_left(order)) // 2) if status == "partially_fulfilled" else {}
