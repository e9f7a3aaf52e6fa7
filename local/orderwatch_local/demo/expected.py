"""The alerts and the summary that a simulated day must produce, computed from the visible changes alone.

The rules are few, so that a reader can check them against docs/alerts.md:

- A change into a watched status is alerted. A change out of one is alerted if the problem was.
- A status that an order had before the watch began is not alerted.
- At each sync of a shop, its status changes come first. Then an order that is still open is alerted once when its
  ship-by, or the moment 24 hours before it, has passed since the watch began. An order that was alerted as late has
  recovered when it is no longer open.
- Then the shop's stock is given to its backordered orders: to those that have units already, by earliest ship-by, then
  by age. An order gets units only if there are enough of every product that it still has to ship; it is alerted once in
  a backorder. What is covered when the watch begins is not alerted.
- In a shop with reminders, an order that needs attention (in exception or backordered, or open and late) is alerted
  again after that number of hours, at most three times in one status. They are counted from when that began, or from
  its last reminder or alert about a deadline. An order that was taken has none until its status changes.
- An order needs attention in the summary if it is in exception or backordered, or if it is open and its ship-by had
  passed at the last sync that could read its shop. Otherwise it is at risk if it is open and its ship-by is within 24
  hours after that sync.
"""

from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from orderwatch_local.simulator import Block, Hour, Restore, Script, Sync, VisibleChange

WATCHED_STATUSES = frozenset({"exception", "backordered", "cancelled"})
OPEN_STATUSES = frozenset({"open", "confirmed", "processing", "partially_fulfilled", "backordered", "exception"})
WARNING = timedelta(hours=24)
MAX_REMINDERS = 3
_ATTENTION_STATUSES = frozenset({"exception", "backordered"})
_NO_ALERTS = frozenset({"watch.started", "summary.daily"})

type AlertKey = tuple[str, str, str]
"""Connection, order (empty if the alert is about the connection), kind."""
type OrderKey = tuple[str, str]
"""Connection, order."""


def expected_status_alerts(
    changes: Iterable[VisibleChange], *, watched: Collection[str] = WATCHED_STATUSES
) -> list[tuple[AlertKey, VisibleChange]]:
    """Return the alerts about statuses that must be delivered, each with its change.

    Args:
        changes: Every visible change since the watch began, in the order in which they became visible.
        watched: The watched statuses.
    """
    expected: list[tuple[AlertKey, VisibleChange]] = []
    alerted: set[OrderKey] = set()
    for change in changes:
        order = (change.connection_id, change.order_id)
        if change.status in watched:
            expected.append(((*order, f"order.{change.status}"), change))
            alerted.add(order)
        elif order in alerted:
            expected.append(((*order, "order.recovered"), change))
            alerted.discard(order)
    return expected


def expected_connection_alerts(hours: Iterable[Hour]) -> Counter[AlertKey]:
    """Return the alerts about connections that must be delivered: that a shop is blocked, and that it has recovered."""
    kinds = {Block: "connection.blocked", Restore: "connection.recovered"}
    steps = [step for hour in hours for step in hour.steps if type(step) in kinds]
    return Counter((step.connection_id, "", kinds[type(step)]) for step in steps)


def expected_order_alerts(
    script: Script,
    zones: Mapping[str, str],
    *,
    reminder_hours: Mapping[str, int] | None = None,
    taken_at: Mapping[OrderKey, datetime] | None = None,
) -> Counter[AlertKey]:
    """Return every alert about an order that must be delivered, deadlines and reminders included.

    Args:
        script: The day, played to its end.
        zones: The time zone of each shop; UTC if it has none.
        reminder_hours: The hours between two reminders in each shop that has them; the day is a business day.
        taken_at: When somebody took an order.
    """
    (first, *syncs), changes = script.syncs, script.changes_of_day
    orders = _Orders(first.at, _late_times(script, zones), _Reminders(reminder_hours or {}, taken_at or {}))
    stock = _Stock()
    for connection_id in first.shops:
        stock.newly_covered(connection_id, first)
    for each in script.visible_changes:
        if each.visible_at <= first.at:
            orders.record((each.connection_id, each.order_id), each.status)
    for sync in syncs:
        for change in changes:
            if change.visible_at == sync.at:
                orders.change(change)
                stock.change(change)
        for connection_id in sync.shops:
            orders.pass_deadlines(connection_id, sync.at)
            orders.expected.update((*order, "order.restocked") for order in stock.newly_covered(connection_id, sync))
    return orders.expected


def delivered_alerts(message: Mapping[str, Any]) -> Counter[AlertKey]:
    """Return the alerts in one delivered message (`orderwatch.alert.v1`); each order of a digest counts.

    The start of a watch is no alert, and a summary is compared separately.
    """
    if digest := message.get("digest"):
        return Counter((message["connection_id"], order["id"], digest["of_kind"]) for order in digest["orders"])
    if order := message.get("order"):
        kinds = [message["kind"], *(each["kind"] for each in message.get("merged", ()))]
        return Counter((message["connection_id"], order["id"], kind) for kind in kinds)
    return Counter() if message["kind"] in _NO_ALERTS else Counter([(message["connection_id"], "", message["kind"])])


@dataclass
class _Orders:
    """The orders as they were visible, and the alerts that this asks for."""

    began_at: datetime
    late_at: Mapping[OrderKey, datetime]
    reminders: "_Reminders"
    status: dict[OrderKey, str] = field(default_factory=dict)
    alerted: set[OrderKey] = field(default_factory=set)
    late: set[OrderKey] = field(default_factory=set)
    passed: Counter[OrderKey] = field(default_factory=Counter)
    expected: Counter[AlertKey] = field(default_factory=Counter)

    def record(self, order: OrderKey, status: str) -> None:
        """The status of an order when the watch began, or before."""
        self.status[order] = status
        self.reminders.restart(order, self.began_at, needs_attention=self._needs_attention(order, self.began_at))

    def change(self, change: VisibleChange) -> None:
        """Move an order into another status."""
        order = (change.connection_id, change.order_id)
        self.status[order] = change.status
        was_late = order in self.late and change.status not in OPEN_STATUSES
        if change.status in WATCHED_STATUSES:
            self.expected[*order, f"order.{change.status}"] += 1
        elif order in self.alerted or was_late:
            self.expected[*order, "order.recovered"] += 1
        self.alerted.discard(order)
        if change.status in WATCHED_STATUSES:
            self.alerted.add(order)
        if was_late:
            self.late.discard(order)
        at = change.visible_at
        self.reminders.restart(order, at, needs_attention=self._needs_attention(order, at))

    def _needs_attention(self, order: OrderKey, at: datetime) -> bool:
        is_late = order in self.late_at and self.late_at[order] <= at and self.status[order] in OPEN_STATUSES
        return is_late or self.status[order] in _ATTENTION_STATUSES

    def pass_deadlines(self, connection_id: str, until: datetime) -> None:
        """Pass the deadlines of a shop that was synced at this moment, then its reminders."""
        for order, late_at in self.late_at.items():
            if order[0] == connection_id and self.status.get(order) in OPEN_STATUSES:
                self._pass(order, late_at, until)
        self.expected.update((*order, "order.reminder") for order in self.reminders.due(connection_id, until))

    def _pass(self, order: OrderKey, late_at: datetime, until: datetime) -> None:
        steps = [(late_at - WARNING, "order.at_risk"), (late_at, "order.late")]
        new = [kind for at, kind in steps[self.passed[order] :] if self.began_at < at <= until]
        self.passed[order] = sum(at <= until for at, _ in steps)
        if new:
            self.expected[*order, new[-1]] += 1
            self.late |= {order} if new[-1] == "order.late" else set()
            self.reminders.postpone(order, until, needs_attention=self._needs_attention(order, until))


@dataclass
class _Reminders:
    """When each order that needs attention is reminded about next."""

    hours: Mapping[str, int]
    taken_at: Mapping[OrderKey, datetime]
    next_at: dict[OrderKey, datetime] = field(default_factory=dict)
    began_at: dict[OrderKey, datetime] = field(default_factory=dict)
    sent: Counter[OrderKey] = field(default_factory=Counter)

    def restart(self, order: OrderKey, at: datetime, *, needs_attention: bool) -> None:
        """Begin to count in a new status."""
        self.sent[order], self.began_at[order] = 0, at
        self.next_at.pop(order, None)
        self.postpone(order, at, needs_attention=needs_attention)

    def postpone(self, order: OrderKey, at: datetime, *, needs_attention: bool) -> None:
        """Count the hours from this moment."""
        hours = self.hours.get(order[0])
        if hours and needs_attention and self.sent[order] < MAX_REMINDERS:
            self.next_at[order] = at + timedelta(hours=hours)

    def due(self, connection_id: str, until: datetime) -> list[OrderKey]:
        """Return the orders of a shop to remind about at this sync."""
        passed = [order for order, at in self.next_at.items() if order[0] == connection_id and at <= until]
        found = [order for order in passed if not self._is_taken(order, until)]
        for order in found:
            self.sent[order] += 1
            del self.next_at[order]
            self.postpone(order, until, needs_attention=True)
        return found

    def _is_taken(self, order: OrderKey, until: datetime) -> bool:
        at = self.taken_at.get(order)
        return at is not None and self.began_at[order] <= at <= until


@dataclass
class _Stock:
    """The backordered orders that have units of the stock, and when the status of each order was seen to change.

    The status of an order that was never seen in another one is as old as the shop's own date says.
    """

    covered: set[OrderKey] = field(default_factory=set)
    since: dict[OrderKey, datetime] = field(default_factory=dict)

    def change(self, change: VisibleChange) -> None:
        """Begin or end a backorder."""
        order = (change.connection_id, change.order_id)
        self.covered.discard(order)
        if change.previous_status is not None:
            self.since[order] = change.visible_at

    def newly_covered(self, connection_id: str, sync: Sync) -> list[OrderKey]:
        """Return the orders of a shop that this sync covers, and that were not covered before in this backorder."""
        left, found = dict(sync.stock[connection_id]), list[OrderKey]()
        for order in sorted(sync.backordered[connection_id], key=lambda each: self._turn(connection_id, each)):
            units, key = _units_to_ship(order), (connection_id, str(order["id"]))
            if all((left.get(product) or 0) >= count for product, count in units.items()):
                left |= {product: (left[product] or 0) - count for product, count in units.items()}
                found += [key] if key not in self.covered else []
        self.covered |= {*found}
        return found

    def _turn(self, connection_id: str, order: Mapping[str, Any]) -> tuple[bool, str, datetime, str]:
        key = (connection_id, str(order["id"]))
        since = self.since.get(key) or datetime.fromisoformat(order["updated_date"])
        return key not in self.covered, order["latest_ship_date"] or "9999", since, key[1]


def _units_to_ship(order: Mapping[str, Any]) -> Counter[str]:
    """The units of each product that have not left; a line without a product has the product "", without stock."""
    units = Counter({str(line["product_id"] or ""): int(line["quantity"]) for line in order["line_items"]})
    for sent in (line for shipment in order["shipments"] for line in shipment["line_items"]):
        units[sent["product_id"] or ""] -= sent["quantity"]
    return +units


@dataclass
class ShopFigures:
    """The figures of one shop in a summary; money in hundredths."""

    waiting: int = 0
    late: int = 0
    at_risk: int = 0
    by_reason: Counter[str] = field(default_factory=Counter)
    value_by_currency: Counter[str] = field(default_factory=Counter)

    def count(self, order: Mapping[str, Any], status: str, late_at: datetime | None, synced_at: datetime) -> None:
        """Count one order as it was visible at a sync."""
        is_open = status in OPEN_STATUSES
        is_late = is_open and late_at is not None and late_at <= synced_at
        if not is_late and status not in _ATTENTION_STATUSES:
            self.at_risk += is_open and late_at is not None and synced_at < late_at <= synced_at + WARNING
            return
        self.waiting += 1
        self.late += is_late
        self.by_reason[status if status in _ATTENTION_STATUSES else "late"] += 1
        self.value_by_currency[order["invoice_currency_code"]] += round(order["total_price"] * 100)


def expected_summary(script: Script, zones: Mapping[str, str]) -> dict[str, ShopFigures]:
    """Return the figures at the end of the day of every shop with orders that need attention or are at risk."""
    statuses = {(each.connection_id, each.order_id): each.status for each in script.visible_changes}
    late_at = _late_times(script, zones)
    found: dict[str, ShopFigures] = {}
    for shop in script.shops:
        figures = ShopFigures()
        synced_at = script.synced_at(shop.connection_id)
        for order in shop.orders():
            key = (shop.connection_id, str(order["id"]))
            if key in statuses:
                figures.count(order, statuses[key], late_at.get(key), synced_at)
        found[shop.connection_id] = figures
    return {key: figures for key, figures in found.items() if figures.waiting or figures.at_risk}


def delivered_figures(daily: Mapping[str, Any]) -> dict[str, ShopFigures]:
    """Return the same figures of a delivered summary."""
    return {
        shop["connection_id"]: ShopFigures(
            waiting=shop["needs_attention"],
            late=shop["late"],
            at_risk=shop["at_risk"],
            by_reason=Counter(shop["by_reason"]),
            value_by_currency=Counter(
                {currency: round(amount * 100) for currency, amount in shop["value_by_currency"].items()}
            ),
        )
        for shop in daily["shops"]
    }


def _late_times(script: Script, zones: Mapping[str, str]) -> dict[OrderKey, datetime]:
    """When each order with a ship-by becomes late; a ship-by at midnight UTC is a date of the shop's time zone."""
    times: dict[OrderKey, datetime] = {}
    for shop in script.shops:
        zone = ZoneInfo(zones.get(shop.connection_id, "UTC"))
        for order in (order for order in shop.orders() if order.get("latest_ship_date")):
            moment = datetime.fromisoformat(order["latest_ship_date"])
            if moment.time() == time():
                moment = datetime.combine(moment.date() + timedelta(days=1), time(), zone).astimezone(UTC)
            times[shop.connection_id, str(order["id"])] = moment
    return times
