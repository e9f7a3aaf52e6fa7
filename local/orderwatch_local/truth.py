"""The alerts that a day of the simulated shops should bring, worked out from what was visible alone.

The rules are few, so that a reader can check them against the documentation: a change into a watched status is alerted;
a change out of one is alerted if the problem was; what was there before the watch is not alerted.
"""

from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from typing import Any

from orderwatch_local.shop import Block, Hour, Restore, Visible

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
