"""The tables as a poll uses them. A transition and its alert are one write."""

from collections.abc import Collection, Iterable, Sequence
from datetime import datetime
from typing import TYPE_CHECKING

from orderwatch import clock
from orderwatch.alerts.alert import Alert
from orderwatch.aws.alert_table import AlertTable
from orderwatch.aws.connection_table import ConnectionTable
from orderwatch.aws.dynamodb import MAX_ACTIONS, Transactions, Unit, chunked
from orderwatch.aws.order_table import OrderTable
from orderwatch.errors import PollSupersededError
from orderwatch.polling.detect import OrderWrite
from orderwatch.quiet_hours import QuietHours, deliver_after
from orderwatch.records import ConnectionState, StoredOrder

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient


class PollStore:
    """What a poll reads and writes.

    Args:
        client: Writes the transactions.
        orders: OrderTable.
        connections: ConnectionTable.
        alerts: AlertTable.
        quiet_hours: The quiet hours of the shop that is polled; None: no alert waits.
    """

    def __init__(
        self,
        client: "DynamoDBClient",
        *,
        orders: OrderTable,
        connections: ConnectionTable,
        alerts: AlertTable,
        quiet_hours: QuietHours | None = None,
    ) -> None:
        self._transactions = Transactions(client)
        self._orders = orders
        self._connections = connections
        self._alerts = alerts
        self._quiet_hours = quiet_hours

    def load(self, connection_id: str) -> ConnectionState:
        """The connection's row; a new one if there is none."""
        return self._connections.load(connection_id)

    def stored_orders(self, connection_id: str, order_ids: Collection[str]) -> dict[str, StoredOrder]:
        """The existing rows of these orders, by id."""
        return self._orders.read(connection_id, order_ids)

    def due_orders(self, connection_id: str, until: datetime) -> list[str]:
        """The ids of the orders that are due at or before `until`, earliest first."""
        return self._orders.due(connection_id, until)

    def needing_attention(self, connection_id: str) -> dict[str, StoredOrder]:
        """The orders that need attention, by id."""
        return self._orders.needing_attention(connection_id)

    def commit(
        self, state: ConnectionState, *, writes: Sequence[OrderWrite], alerts: Sequence[Alert]
    ) -> list[OrderWrite]:
        """Write the orders, each with its alerts, then the state and its alerts with the last of them.

        The state is written only if every order was, so that the cursor never passes an unwritten order (rule 4).

        Returns:
            The writes whose row was not as expected. If there are any, the state is not written.

        Raises:
            PollSupersededError: The connection's row is not the one that was loaded. Nothing was written since.
        """
        of_state = tuple(self._alerts.put_action(alert) for alert in alerts)
        guard: Unit[OrderWrite | None] = Unit(None, (self._connections.unchanged_action(state),))
        closing: Unit[OrderWrite | None] = Unit(None, (self._connections.save_action(state), *of_state))
        units = [self._unit(state.connection_id, write) for write in writes]
        alerted_first = sorted(units, key=lambda unit: len(unit.actions) == 1)
        *chunks, last = [*chunked(alerted_first, spare=1), []]
        if chunks and sum(len(unit.actions) for unit in chunks[-1]) + len(closing.actions) <= MAX_ACTIONS:
            last = chunks.pop()
        lost = [write for chunk in chunks for write in self._write(chunk, guard)]
        if not lost:
            lost = _writes(self._transact([*last, closing]))
            last = _without(last, lost) if lost else []
        return lost + self._write(last, guard)

    def _unit(self, connection_id: str, write: OrderWrite) -> Unit[OrderWrite | None]:
        action, alerts = self._orders.write_action(connection_id, write), write.alerts
        if not alerts:
            return Unit(write, (action,))
        held_until = deliver_after(alerts, write.expected, self._quiet_hours, now=clock.now())
        return Unit(write, (action, *(self._alerts.put_action(alert, deliver_after=held_until) for alert in alerts)))

    def _write(self, units: list[Unit[OrderWrite | None]], guard: Unit[OrderWrite | None]) -> list[OrderWrite]:
        """Write the units; return those whose row was not as expected."""
        all_lost: list[OrderWrite] = []
        while units and (lost := _writes(self._transact([guard, *units]))):
            all_lost += lost
            units = _without(units, lost)
        return all_lost

    def _transact(self, units: list[Unit[OrderWrite | None]]) -> list[Unit[OrderWrite | None]]:
        """Write one transaction, unless another poll has written the connection's row."""
        lost = self._transactions.write(units)
        if any(unit.subject is None for unit in lost):
            raise PollSupersededError("another poll has written the connection's row")
        return lost


def _writes(units: Iterable[Unit[OrderWrite | None]]) -> list[OrderWrite]:
    return [unit.subject for unit in units if unit.subject]


def _without(units: Iterable[Unit[OrderWrite | None]], lost: Iterable[OrderWrite]) -> list[Unit[OrderWrite | None]]:
    lost_ids = {write.order_id for write in lost}
    return [unit for unit in units if unit.subject and unit.subject.order_id not in lost_ids]
