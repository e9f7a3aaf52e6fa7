"""What a day of the simulated shops should have been told, worked out from what was visible and nothing of the product.

One rule a line, so that a reader can check it against the documentation: a change into a watched status is told; a
change out of one is told if the problem was; what was there before the watch is told by nobody.
"""

from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from typing import Any

from orderwatch_local.shop import Block, Hour, Restore, Visible

WATCHED_STATUSES = frozenset({"exception", "backordered", "cancelled"})

type Told = tuple[str, str, str]
"""Connection, order (empty where it is about the connection itself), kind."""


def expected_alerts(
    visible: Iterable[Visible], *, watched: Collection[str] = WATCHED_STATUSES
) -> list[tuple[Told, Visible]]:
    """The alerts about orders that these changes ask for, each with its change.

    Args:
        visible: Every visible change since the watch began, in the order in which they became visible.
        watched: The watched statuses.
    """
    expected: list[tuple[Told, Visible]] = []
    told: set[tuple[str, str]] = set()
    for change in visible:
        subject = (change.connection_id, change.order_id)
        if change.status in watched:
            expected.append(((*subject, f"order.{change.status}"), change))
            told.add(subject)
        elif subject in told:
            expected.append(((*subject, "order.recovered"), change))
            told.discard(subject)
    return expected


def expected_connection_alerts(hours: Iterable[Hour]) -> Counter[Told]:
    """The alerts about connections that the hours' steps ask for: that a shop is blocked, and that it is no longer."""
    kinds = {Block: "connection.blocked", Restore: "connection.recovered"}
    steps = [step for hour in hours for step in hour.steps if type(step) in kinds]
    return Counter((step.connection_id, "", kinds[type(step)]) for step in steps)


def alerted_by(alert: Mapping[str, Any]) -> Counter[Told]:
    """What one delivered alert (`orderwatch.alert.v1`) tells; each order of a digest counts.

    That a watch has begun is no alert.
    """
    if digest := alert.get("digest"):
        return Counter((alert["connection_id"], order["id"], digest["of_kind"]) for order in digest["orders"])
    if order := alert.get("order"):
        return Counter({(alert["connection_id"], order["id"], alert["kind"]): 1})
    return Counter({(alert["connection_id"], "", alert["kind"]): 1} if alert["kind"] != "watch.started" else {})
