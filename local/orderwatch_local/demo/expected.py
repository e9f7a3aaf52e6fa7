"""The alerts and the summary that a simulated day must produce, computed from the visible changes alone.

The rules are few, so that a reader can check them against docs/alerts.md:

- A change into a watched status is alerted. A change out of one is alerted if the problem was.
- A status that an order had before the watch began is not alerted.
- At each sync of a shop, its status changes come first. Then an order that is still open is alerted once when its
  ship-by, or the moment 24 hours before it, has passed since the watch began. An order that was alerted as late has
  recovered when it is no longer open.
- An order needs attention in the summary if it is in exception or backordered, or if it is open and its ship-by had
  passed by the last sync that could read its shop. It is at risk if it is open and its ship-by is less than 24 hours
  after that sync.
"""

from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from orderwatch_local.simulator import Block, Hour, Restore, Script, Visible

WATCHED_STATUSES = frozenset({"exception", "backordered", "cancelled"})

type AlertKey = tuple[str, str, str]
"""Connection, order (empty where it is about the connection itself), kind."""


def expected_alerts(
    visible: Iterable[Visible], *, watched: Collection[str] = WATCHED_STATUSES
) -> list[tuple[AlertKey, Visible]]:
    """The alerts about orders that these changes ask for, each with its change.

    Args:
        visible: Every visible change since the watch began, in the order in which they became visible.
        watched: The watched statuses.
    """
    expected: list[tuple[AlertKey, Visible]] = []
    alerted: set[tuple[str, str]] = set()
    for change in visible:
        subject = (change.connection_id, change.order_id)
        if change.status in watched:
            expected.append(((*subject, f"order.{change.status}"), change))
            alerted.add(subject)
        elif subject in alerted:
            expected.append(((*subject, "order.recovered"), change))
            alerted.discard(subject)
    return expected


def expected_connection_alerts(hours: Iterable[Hour]) -> Counter[AlertKey]:
    """The alerts about connections that the hours' steps ask for: that a shop is blocked, and that it is no longer."""
    kinds = {Block: "connection.blocked", Restore: "connection.recovered"}
    steps = [step for hour in hours for step in hour.steps if type(step) in kinds]
    return Counter((step.connection_id, "", kinds[type(step)]) for step in steps)


def alerts_in(message: Mapping[str, Any]) -> Counter[AlertKey]:
    """The alerts in one delivered message (`orderwatch.alert.v1`); each order of a digest counts.

    That a watch has begun is no alert; what a summary says is judged by itself.
    """
    if digest := message.get("digest"):
        return Counter((message["connection_id"], order["id"], digest["of_kind"]) for order in digest["orders"])
    if order := message.get("order"):
        kinds = [message["kind"], *(each["kind"] for each in message.get("merged", ()))]
        return Counter((message["connection_id"], order["id"], kind) for kind in kinds)
    no_alerts = {"watch.started", "summary.daily"}
    return Counter({(message["connection_id"], "", message["kind"]): 1} if message["kind"] not in no_alerts else {})


OPEN_STATUSES = frozenset({"open", "confirmed", "processing", "partially_fulfilled", "backordered", "exception"})
WARNING = timedelta(hours=24)

type Subject = tuple[str, str]


@dataclass
class _Day:
    """The orders as they could be seen, and what was told of them."""

    began_at: datetime
    late_at: Mapping[Subject, datetime]
    status: dict[Subject, str] = field(default_factory=dict)
    in_trouble: set[Subject] = field(default_factory=set)
    late: set[Subject] = field(default_factory=set)
    passed: Counter[Subject] = field(default_factory=Counter)
    owed: Counter[AlertKey] = field(default_factory=Counter)

    def change(self, change: Visible) -> None:
        """An order came into another status."""
        subject = (change.connection_id, change.order_id)
        self.status[subject] = change.status
        was_late = subject in self.late and change.status not in OPEN_STATUSES
        if change.status in WATCHED_STATUSES:
            self.owed[*subject, f"order.{change.status}"] += 1
        elif subject in self.in_trouble or was_late:
            self.owed[*subject, "order.recovered"] += 1
        self.in_trouble.discard(subject)
        if change.status in WATCHED_STATUSES:
            self.in_trouble.add(subject)
        if was_late:
            self.late.discard(subject)

    def pass_deadlines(self, connection_id: str, until: datetime) -> None:
        """The shop was synced: what has passed by then is known."""
        for subject, late_at in self.late_at.items():
            if subject[0] == connection_id and self.status.get(subject) in OPEN_STATUSES:
                self._pass(subject, late_at, until)

    def _pass(self, subject: Subject, late_at: datetime, until: datetime) -> None:
        steps = [(late_at - WARNING, "order.at_risk"), (late_at, "order.late")]
        come = [kind for at, kind in steps if at <= until]
        news = [kind for at, kind in steps[self.passed[subject] :] if self.began_at < at <= until]
        self.passed[subject] = len(come)
        if news:
            self.owed[*subject, news[-1]] += 1
            self.late |= {subject} if news[-1] == "order.late" else set()


def owed_about_orders(script: Script, zones: Mapping[str, str]) -> Counter[AlertKey]:
    """Every alert about an order that the day asks for.

    Args:
        script: The day, played to its end.
        zones: The time zone of each shop; UTC where it has none.
    """
    (began, *syncs), day = script.syncs, script.truth_of_the_day
    late_at = late_moments(script, zones)
    orders = _Day(began.at, late_at)
    orders.status = {(each.connection_id, each.order_id): each.status for each in script.truth if each not in day}
    for sync in syncs:
        for each in (change for change in day if change.visible_at == sync.at):
            orders.change(each)
        for connection_id in sync.shops:
            orders.pass_deadlines(connection_id, sync.at)
    return orders.owed


def late_moments(script: Script, zones: Mapping[str, str]) -> dict[Subject, datetime]:
    """When the ship-by of each order has passed, where it has one."""
    return {
        (shop.connection_id, str(order["id"])): _late_at(
            order["latest_ship_date"], zones.get(shop.connection_id, "UTC")
        )
        for shop in script.shops
        for order in shop.orders()
        if order.get("latest_ship_date")
    }


def _late_at(ship_by: str, zone: str) -> datetime:
    moment = datetime.fromisoformat(ship_by)
    if moment.time() != time():
        return moment
    return datetime.combine(moment.date() + timedelta(days=1), time(), ZoneInfo(zone)).astimezone(UTC)


_WAITING_STATUSES = frozenset({"exception", "backordered"})


@dataclass
class ShopTruth:
    """The figures of one shop."""

    waiting: int = 0
    late: int = 0
    at_risk: int = 0
    by_reason: Counter[str] = field(default_factory=Counter)
    value_by_currency: Counter[str] = field(default_factory=Counter)

    def count(self, order: Mapping[str, Any], status: str, late_at: datetime | None, synced_at: datetime) -> None:
        """Count one order as it could be seen at a sync."""
        is_open = status in OPEN_STATUSES
        is_late = is_open and late_at is not None and late_at <= synced_at
        self.at_risk += is_open and late_at is not None and synced_at < late_at <= synced_at + WARNING
        if not is_late and status not in _WAITING_STATUSES:
            return
        self.waiting += 1
        self.late += is_late
        self.by_reason[status if status in _WAITING_STATUSES else "late"] += 1
        self.value_by_currency[order["invoice_currency_code"]] += round(order["total_price"] * 100)


def summary_of(script: Script, zones: Mapping[str, str]) -> dict[str, ShopTruth]:
    """The figures of every shop where something waits or is at risk, at the end of the day; money in hundredths."""
    seen = {(each.connection_id, each.order_id): each.status for each in script.truth}
    late_at = late_moments(script, zones)
    found: dict[str, ShopTruth] = {}
    for shop in script.shops:
        truth = ShopTruth()
        synced_at = max(sync.at for sync in script.syncs if shop.connection_id in sync.shops)
        for order in shop.orders():
            subject = (shop.connection_id, str(order["id"]))
            if subject in seen:
                truth.count(order, seen[subject], late_at.get(subject), synced_at)
        found[shop.connection_id] = truth
    return {key: truth for key, truth in found.items() if truth.waiting or truth.at_risk}


def figures_in(daily: Mapping[str, Any]) -> dict[str, ShopTruth]:
    """The same figures as a delivered summary has them."""
    return {
        shop["connection_id"]: ShopTruth(
            waiting=shop["waiting"],
            late=shop["late"],
            at_risk=shop["at_risk"],
            by_reason=Counter(shop["by_reason"]),
            value_by_currency=Counter(
                {currency: round(amount * 100) for currency, amount in shop["value_by_currency"].items()}
            ),
        )
        for shop in daily["shops"]
    }
