"""What a day of the simulated shops owes about orders, deadlines included, worked out from what was visible alone.

The rules are few, so that a reader can check them against docs/alerts.md. At each sync of a shop, its changes come
first; then every order that is still open, and whose ship-by (or the hour a day before it) has passed since the watch
began, is told, once. What was told late and is no longer open has recovered.
"""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, time, timedelta
from zoneinfo import ZoneInfo

from orderwatch_local.shop import Script, Visible
from orderwatch_local.truth import WATCHED_STATUSES, AlertKey

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
