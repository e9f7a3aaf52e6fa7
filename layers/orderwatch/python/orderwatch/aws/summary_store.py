"""The three tables as a summary sees them: read by their indexes, and one row written."""

from collections.abc import Collection, Iterator
from datetime import datetime
from typing import TYPE_CHECKING

from orderwatch.alerts.alert import Alert
from orderwatch.alerts.daily import ALL_SHOPS
from orderwatch.aws.alert_table import AlertTable
from orderwatch.aws.connection_table import ConnectionTable
from orderwatch.aws.dynamodb import Transactions, Unit
from orderwatch.aws.order_table import OrderTable
from orderwatch.polling.state import ConnectionState
from orderwatch.polling.transitions import StoredOrder
from orderwatch.summarizing.changes import Past, recalled

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient


class SummaryStore:
    """What a summary reads and writes.

    Args:
        client: DynamoDB.
        orders: OrderTable.
        connections: ConnectionTable.
        alerts: AlertTable.
    """

    def __init__(
        self, client: "DynamoDBClient", *, orders: OrderTable, connections: ConnectionTable, alerts: AlertTable
    ) -> None:
        self._transactions = Transactions(client)
        self._orders = orders
        self._connections = connections
        self._alerts = alerts

    def states(self, connection_ids: Collection[str]) -> dict[str, ConnectionState]:
        """The rows of these connections, those that there are."""
        return self._connections.load_all(connection_ids)

    def waiting(self, connection_id: str) -> dict[str, StoredOrder]:
        """The orders that wait for a person, by id."""
        return self._orders.waiting(connection_id)

    def due(self, connection_id: str, until: datetime) -> dict[str, StoredOrder]:
        """The orders whose next deadline is the moment or before it, by id."""
        return self._orders.due_rows(connection_id, until)

    def stored_orders(self, connection_id: str, order_ids: Collection[str]) -> dict[str, StoredOrder]:
        """The rows of these orders, those that there are."""
        return self._orders.read(connection_id, order_ids)

    def past(self, since: datetime) -> list[Past]:
        """The summaries that were written since then, the newest first."""
        return list(self._past(since))

    def _past(self, since: datetime) -> Iterator[Past]:
        for alert, memory in self._alerts.written_since(ALL_SHOPS, since):
            if alert.daily:
                yield Past(alert.daily, recalled(memory) if memory else None)

    def put(self, alert: Alert, memory: str | None) -> bool:
        """Write the alert with what it remembers; False where a row has its key already."""
        return not self._transactions.write([Unit(alert, (self._alerts.put_action(alert, memory=memory),))])
