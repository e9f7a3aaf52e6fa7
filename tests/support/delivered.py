"""The expected order alerts of a day, and those in its messages."""

from collections import Counter
from collections.abc import Iterable
from typing import Any

from orderwatch_local.demo.expected import AlertKey, delivered_alerts, expected_status_alerts
from orderwatch_local.simulator import VisibleChange


def expected_alerts_of(visible: Iterable[VisibleChange]) -> Counter[AlertKey]:
    """The alerts that these changes require, counted; pass only changes after the baseline."""
    return Counter(alert for alert, _ in expected_status_alerts(visible))


def order_alerts_in(bodies: Iterable[dict[str, Any]]) -> Counter[AlertKey]:
    """The alerts about orders in these messages; each order of a digest counts, and the digest must name all."""
    counted: Counter[AlertKey] = Counter()
    for body in bodies:
        if digest := body.get("digest"):
            assert len(digest["orders"]) + digest["more_orders"] == digest["count"]
        counted.update(delivered_alerts(body) if digest or body.get("order") else {})
    return counted
