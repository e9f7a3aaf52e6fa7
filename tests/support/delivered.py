"""The alerts about orders: those that a day should bring, and those that its messages carry."""

from collections import Counter
from collections.abc import Iterable
from typing import Any

from orderwatch_local.demo.expected import AlertKey, delivered_alerts, expected_status_alerts
from orderwatch_local.simulator import VisibleChange


def due_for(visible: Iterable[VisibleChange]) -> Counter[AlertKey]:
    """The alerts that these changes ask for, each counted; leave out what was visible before the watch."""
    return Counter(alert for alert, _ in expected_status_alerts(visible))


def order_alerts_in(bodies: Iterable[dict[str, Any]]) -> Counter[AlertKey]:
    """The alerts about orders in these messages; the orders of a digest each count, and it must name all of them."""
    counted: Counter[AlertKey] = Counter()
    for body in bodies:
        if digest := body.get("digest"):
            assert len(digest["orders"]) + digest["more_orders"] == digest["count"]
        counted.update(delivered_alerts(body) if digest or body.get("order") else {})
    return counted
