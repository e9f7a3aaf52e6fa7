"""What happens in a simulated run's shops: orders come, move, break and are deleted, and Trackstar crawls them."""

import random
from collections import Counter
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from orderwatch_local.simulator import Shop, TrackstarDates
from orderwatch_local.simulator.filters import ListQuery
from orderwatch_local.simulator.mirror import Resource
from tests.simulation.cloud import CONNECTIONS
from tests.simulation.plan import STATUSES, ShopPlan
from tests.simulation.spellings import FAR_DATES, MEANING, NO_DATES, UNREADABLE_DATES, ZERO_DATES, Fields

if TYPE_CHECKING:
    from tests.simulation.run import SimulatedRun

DELETED = 0.15
"""The share of edits that delete an order."""
MISDATED = (NO_DATES, ("2027-06-02T10:00:00Z",), ZERO_DATES, FAR_DATES, UNREADABLE_DATES)
"""No date, one in the future, dates that mean none, and what cannot be read (rule 21)."""
WRONG_CLOCKS = 0.5
"""The share of shops whose clock goes back, of those that date their orders themselves."""
WRONG_CREATIONS = 0.2
"""The share of orders whose `created_date` means none."""
AT_THE_BOUND = 0.3
"""The share of late syncs whose dates lie exactly on the lower bound of the next window."""
OVERLAP = timedelta(minutes=10)
"""How far a window reaches back (rule 5)."""
VENDOR_JUMPS = (-7200.0, -1800.0, -120.0, -3.0, 3.0, 120.0, 1800.0, 7200.0)


class ShopActivity:
    """Changes the orders of the shops and lets Trackstar crawl them."""

    def __init__(self, run: "SimulatedRun") -> None:
        self._run, self._apart = run, random.Random(f"dates:{run.plan.seed}")
        self._placed: Counter[str] = Counter()

    def show(self, shop: Shop) -> None:
        records = shop.select(Resource.ORDERS, ListQuery())
        self._run.visible[shop.connection_id].show(records, self._run.vendor_clock.now())

    def place(self, shop: Shop, status: str) -> None:
        """A new order; all shops use the same numbers."""
        self._placed[shop.connection_id] += 1
        number, ship_by = (
            str(self._placed[shop.connection_id]),
            self._run.promises.ship_by(self._run.vendor_clock.now()),
        )
        price = {"total_price": 10 * int(number) + 0.25, "invoice_currency_code": ("EUR", "USD")[int(number) % 2]}
        order: dict[str, Any] = {"id": number, "order_number": number, "status": status, **price}
        lines = self._run.stock.lines()
        shop.place(
            order
            | {"line_items": lines}
            | self._run.shipments.of_new(lines)
            | ship_by
            | self._created()
            | self._run.large_orders.fields()
        )
        self._run.note(f"place {shop.connection_id} {number} {status}, to ship by {_brief(ship_by)}")

    def _created(self) -> Fields:
        is_wrong = self._apart.random() < WRONG_CREATIONS
        return {"created_date": self._apart.choice((*ZERO_DATES, *FAR_DATES))} if is_wrong else {}

    def change(self, shop: Shop) -> None:
        """Change one of a shop's orders."""
        ids = [record["id"] for record in shop.orders()]
        what = self._run.chance.choice(("place", "move", "move", "move", "touch", "there and back"))
        if what == "place" or not ids:
            self.place(shop, self._run.stock.status(self._run.chance.choice(STATUSES)))
            return
        order_id = self._run.chance.choice(ids)
        if self._run.promises.chance.random() < self._run.promises.edits:
            self._edit(shop, order_id)
            return
        status = self._next_status(shop, order_id, what)
        shop.move(order_id, status, changes=self._run.shipments.after(shop.order(order_id)))
        if self._run.happens(self._run.plan.garbled):
            self._garble(shop, order_id)
        elif self._run.happens(self._run.plan.misdated):
            self._misdate(shop, order_id)
        else:
            shop.heal(order_id)
        self._run.note(f"{what} {shop.connection_id} {order_id} {status}")

    def _edit(self, shop: Shop, order_id: str) -> None:
        """Change the ship-by of an order, or delete it."""
        if self._run.promises.chance.random() < DELETED:
            shop.delete(order_id)
            self._run.note(f"delete {shop.connection_id} {order_id}")
            return
        ship_by = self._run.promises.ship_by(self._run.vendor_clock.now())
        shop.edit(order_id, ship_by)
        self._run.note(f"edit {shop.connection_id} {order_id}, to ship by {_brief(ship_by)}")

    def _next_status(self, shop: Shop, order_id: str, what: str) -> str:
        before = str(shop.order(order_id)["status"])
        if what == "move":
            return self._run.stock.status(self._run.chance.choice(STATUSES))
        if what == "there and back":
            shop.move(order_id, self._run.chance.choice(STATUSES))
        return before

    def _garble(self, shop: Shop, order_id: str) -> None:
        field_name = self._run.chance.choice(("id", "status", "status", "line_items", "total_price"))
        values: list[Any] = [None, [], {}] if field_name == "id" else [None, [], {}, 7]
        shop.garble(order_id, {field_name: self._run.chance.choice(values)})
        self._run.note(f"garble {shop.connection_id} {order_id} {field_name}")

    def _misdate(self, shop: Shop, order_id: str) -> None:
        """Replace a date of change by one that is wrong; Trackstar's only where it dates orders at all."""
        names = ["updated_date"]
        if shop.quirks.trackstar_dates is TrackstarDates.PRESENT:
            names.append("trackstar_updated_date")
        field_name, dates = self._run.chance.choice(names), self._run.chance.choice(MISDATED)
        date = self._apart.choice(dates)
        shop.garble(order_id, {field_name: date})
        self._run.note(f"misdate {shop.connection_id} {order_id} {field_name} {date}")

    def sync(self, connection_id: str) -> None:
        """Trackstar crawls a shop; the dates it sets may be older than the moment from which they are visible."""
        shop = self._run.shops[connection_id]
        late = self._lateness(self._plan_of(connection_id))
        is_reported = self._run.sync_times.before_sync(shop)
        self._run.vendor_clock.offset -= late
        copied = shop.sync([Resource.ORDERS], is_reported=is_reported)
        self._run.vendor_clock.offset += late
        self.show(shop)
        unreported = "" if is_reported else ", not reported"
        self._run.note(f"sync {connection_id}: {copied}, late by {late:.0f}{unreported}")

    def _lateness(self, plan: ShopPlan) -> float:
        """Seconds by which a sync's dates are late: few enough that no version goes back or passes the overlap."""
        if self._run.is_calm or not plan.late_by:
            return 0.0
        late = self._run.chance.uniform(0, plan.late_by)
        cursor = (self._run.tables.row(CONNECTIONS, plan.connection_id) or {}).get("cursor", {}).get("position")
        if cursor and not self._run.running and self._run.chance.random() < AT_THE_BOUND:
            bound = datetime.fromisoformat(cursor) - OVERLAP
            late = max((self._run.vendor_clock.now() - bound).total_seconds(), 0.0)
        stamped = self._run.vendor_clock.now() - timedelta(seconds=late)
        last = max((sight.newest for sight in self._run.visible[plan.connection_id].orders.values()), default="")
        return late if f"{stamped:%Y-%m-%dT%H:%M:%SZ}" > last else 0.0

    def _plan_of(self, connection_id: str) -> ShopPlan:
        return next(each for each in self._run.plan.shops if each.connection_id == connection_id)

    def change_and_sync(self, shop: Shop) -> None:
        """A change and a sync within one second: statuses that flip under one version."""
        self.change(shop)
        self.sync(shop.connection_id)

    def flip(self, shop: Shop) -> None:
        """There and back within one second, synced each time: three statuses under one version."""
        if not shop.orders():
            return
        order_id = self._run.chance.choice(shop.orders())["id"]
        self._run.time.spend(-self._run.vendor_clock.now().timestamp() % 1.0)
        first, second = self._run.chance.choice(STATUSES), self._run.chance.choice(STATUSES)
        for status in (first, second, first):
            if order_id not in {record["id"] for record in shop.orders()}:
                return  # deleted while the poll below was under way
            shop.move(order_id, status)
            self._run.note(f"flip {shop.connection_id} {order_id} {status}")
            self.sync(shop.connection_id)
            self._run.event_sources.poll_again(shop)

    def any_shop(self) -> Shop:
        return self._run.chance.choice(list(self._run.shops.values()))

    def complete_first_sync(self, shop: Shop) -> None:
        shop.complete_historical_sync()
        self.show(shop)
        self._run.stock.show(self._run, shop)
        self._run.note(f"first sync of {shop.connection_id} is done")

    def jump_clock(self) -> None:
        by = self._run.chance.choice(VENDOR_JUMPS)
        self._run.vendor_clock.offset = max(min(self._run.vendor_clock.offset + by, 7200.0), -7200.0)
        self._run.oracle.jumps += 1
        self._run.note(f"the vendor's clock jumps to {self._run.vendor_clock.offset:+.0f}")

    def schedule_wrong_clock(self, plan: ShopPlan, active: float) -> None:
        """Let the clock of a shop go back at some time, and be corrected later or not at all (rule 3)."""
        if plan.dates is TrackstarDates.PRESENT or self._apart.random() >= WRONG_CLOCKS:
            return
        by = self._apart.choice((0.5 * plan.said_frequency, plan.said_frequency, 3600.0, 2 * 86400.0))
        starts = self._apart.uniform(0, 0.5 * active)
        self._run.time.after(starts, lambda: self._set_clock(plan.connection_id, -by))
        if self._apart.random() < 0.5:
            self._run.time.after(self._apart.uniform(starts, active), lambda: self._set_clock(plan.connection_id, 0.0))

    def _set_clock(self, connection_id: str, error: float) -> None:
        self._run.shops[connection_id].quirks.clock_error = error
        self._run.note(f"the clock of {connection_id} goes {'back' if error else 'right'} ({error:+.0f})")

    def place_open(self, shop: Shop) -> str:
        self.place(shop, "open")
        return str(shop.orders()[-1]["id"])


def _brief(ship_by: Fields) -> str:
    return f"{ship_by['latest_ship_date']!r}, which means {ship_by[MEANING]}"
