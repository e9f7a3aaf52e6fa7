"""The alert about a backordered order whose stock is back, and what a look at the stock found (rule 23)."""

from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal
from typing import NamedTuple

from orderwatch.alerts.alert import Alert, alert_id
from orderwatch.alerts.kinds import KIND_RESTOCKED, severity_of
from orderwatch.alerts.parts import AlertConnection, AlertOrder, product_key
from orderwatch.records import Extract
from orderwatch.statuses import BACKORDERED
from orderwatch.trackstar.orders import Order


class Restock(NamedTuple):
    """The orders that the stock covers, according to one sync of the products.

    Attributes:
        synced_until: Up to when Trackstar's copy of the products is complete, by its clock.
        extracts: What each of the covered orders still has to ship, by order id.
        on_hand: The stock by product id.
        is_baseline: Whether the orders are recorded without an alert.
    """

    synced_until: datetime
    extracts: Mapping[str, Extract]
    on_hand: Mapping[str, Decimal]
    is_baseline: bool = False

    def covers(self, order: Order, *, at: datetime) -> bool:
        """Whether the stock covers the order as it is now.

        Args:
            order: The order, read again by its id.
            at: The date of its version. Products that are older than the order prove nothing.
        """
        known, now = self.extracts.get(order.id), Extract.of(order.details)
        is_same = known is not None and (now.lines, now.more_lines) == (known.lines, known.more_lines)
        return is_same and order.status == BACKORDERED and (self.is_baseline or at <= self.synced_until)


def restock_alert(
    restock: Restock, *, order: AlertOrder, changes: int, connection: AlertConnection, data_as_of: datetime | None
) -> Alert:
    """The alert about an order that the stock covers. It shows the stock of the look, not a cached one.

    Args:
        restock: What the look found.
        order: The order.
        changes: Number of consecutive statuses seen. With the date of the status, it identifies the backorder: one
            backorder is alerted once (rule 23).
        connection: The shop.
        data_as_of: The end of Trackstar's last sync of the orders.
    """
    needed = {product_key(line.product_id, line.sku): line.product_id for line in restock.extracts[order.id].lines}
    lines = tuple(
        line.replace(on_hand=restock.on_hand[product_id]) if (product_id := needed.get(line.product_key)) else line
        for line in order.line_items
    )
    since = order.status_since.isoformat() if order.status_since else ""
    return Alert(
        alert_id=alert_id(connection.id, order.id, "restocked", since, str(changes)),
        kind=KIND_RESTOCKED,
        severity=severity_of(KIND_RESTOCKED),
        connection_id=connection.id,
        connection=connection,
        order=order.replace(line_items=lines),
        data_as_of=data_as_of,
    )
