"""The tables as a summary uses them."""

from collections.abc import Collection
from datetime import datetime

from orderwatch.alerts.summary import ALL_SHOPS
from orderwatch.aws.alert_table import AlertTable
from orderwatch.aws.connection_table import ConnectionTable
from orderwatch.aws.order_table import OrderTable
from orderwatch.records import ConnectionState, StoredOrder
from orderwatch.summary.build import PreparedSummary
from orderwatch.summary.changes import PreviousSummary, decode


class SummaryStore:
    """What a summary reads and writes."""

    def __init__(self, *, orders: OrderTable, connections: ConnectionTable, alerts: AlertTable) -> None:
        self._orders = orders
        self._connections = connections
        self._alerts = alerts

    def states(self, connection_ids: Collection[str]) -> dict[str, ConnectionState]:
        """The existing rows of these connections."""
        return self._connections.load_all(connection_ids)

    def needing_attention(self, connection_id: str) -> dict[str, StoredOrder]:
        """The orders that need attention, by id."""
        return self._orders.needing_attention(connection_id)

    def due(self, connection_id: str, until: datetime) -> dict[str, StoredOrder]:
        """The orders that are due at or before `until`, by id."""
        return self._orders.due_rows(connection_id, until)

    def stored_orders(self, connection_id: str, order_ids: Collection[str]) -> dict[str, StoredOrder]:
        """The existing rows of these orders, by id."""
        return self._orders.read(connection_id, order_ids)

    def previous_summaries(self, since: datetime) -> list[PreviousSummary]:
        """The summaries that were written since that time, newest first."""
        return [
            PreviousSummary(alert.summary, decode(snapshot) if snapshot else None)
            for alert, snapshot in self._alerts.written_since(ALL_SHOPS, since)
            if alert.summary
        ]

    def put(self, prepared: PreparedSummary) -> bool:
        """Write the alert with its snapshot; False if a row has its key already. It is sent like any other alert."""
        return self._alerts.put(prepared.alert, snapshot=prepared.snapshot)
