"""What should have been told, worked out from the record of what was visible and from nothing of the product."""

from collections import Counter
from collections.abc import Iterable
from typing import Any

from orderwatch_local.shop import Visible

WATCHED_STATUSES = frozenset({"exception", "backordered", "cancelled"})

type Told = tuple[str, str, str]
"""Connection, order, kind."""


def expected_alerts(
    visible: Iterable[Visible], *, baseline: int, watched: frozenset[str] = WATCHED_STATUSES
) -> Counter[Told]:
    """The alerts about orders that a day asks for.

    Args:
        visible: Every visible change, in the order in which they became visible.
        baseline: How many of them, from the first, were there before the watch.
        watched: The watched statuses.
    """
    expected: Counter[Told] = Counter()
    told: dict[tuple[str, str], bool] = {}
    for number, change in enumerate(visible):
        subject = (change.connection_id, change.order_id)
        if number < baseline:
            continue
        if change.status in watched:
            expected[(*subject, f"order.{change.status}")] += 1
            told[subject] = True
        elif told.pop(subject, False):
            expected[(*subject, "order.recovered")] += 1
    return expected


def told_in(bodies: Iterable[dict[str, Any]]) -> Counter[Told]:
    """What the messages told of orders; the orders of a digest each count."""
    told: Counter[Told] = Counter()
    for body in bodies:
        if digest := body.get("digest"):
            assert len(digest["orders"]) + digest["more_orders"] == digest["count"]
            told.update((body["connection_id"], order["id"], digest["of_kind"]) for order in digest["orders"])
        elif order := body.get("order"):
            told[(body["connection_id"], order["id"], body["kind"])] += 1
    return told
