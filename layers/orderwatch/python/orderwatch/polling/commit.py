"""Writing what a page showed: decide, write, and decide again what another poll wrote meanwhile."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import datetime
from typing import Protocol

from orderwatch.alerts.alert import Alert
from orderwatch.errors import PollSupersededError
from orderwatch.observability import logger
from orderwatch.polling.cursor import ConnectionState, WindowKind
from orderwatch.polling.detect import Observation, OrderWrite, Reason, decide
from orderwatch.polling.metrics import PollMetrics
from orderwatch.polling.policy import Policy
from orderwatch.records import StoredOrder
from orderwatch.trackstar.orders import Order

MAX_CONFLICT_ROUNDS = 5
"""How often orders that another poll wrote meanwhile are read and decided again before this poll gives way."""


class Store(Protocol):
    """What a poll needs of the tables."""

    def load(self, connection_id: str) -> ConnectionState:
        """The connection's row, a new one where there is none."""

    def stored_orders(self, connection_id: str, order_ids: Collection[str]) -> Mapping[str, StoredOrder]:
        """The rows of these orders, those that there are."""

    def due_orders(self, connection_id: str, until: datetime) -> list[str]:
        """The ids of the orders whose deadline is the moment or before it, the earliest first."""

    def commit(
        self, state: ConnectionState, *, writes: Sequence[OrderWrite], alerts: Sequence[Alert]
    ) -> list[OrderWrite]:
        """Write the orders, then the state and its alerts with the last of them.

        Returns:
            The writes whose row was not as expected. Where there are any, the state is not written.

        Raises:
            PollSupersededError: The connection's row is not the one that was loaded.
        """


def commit(
    store: Store,
    state: ConnectionState,
    observation: Observation,
    *,
    alerts: Sequence[Alert],
    policy: Policy,
    summary: PollMetrics,
) -> ConnectionState:
    """Write what the page showed, with the reading position behind it.

    Args:
        store: The tables.
        state: The position behind the page.
        observation: What the page showed.
        alerts: What is to be alerted about the connection itself.
        policy: What is watched.
        summary: Counts what is written.

    Returns:
        The state as it is stored now.

    Raises:
        PollSupersededError: Another poll of the connection is at work.
    """
    undecided = list(observation.orders.values())
    for _ in range(MAX_CONFLICT_ROUNDS):
        writes = _decide(store, undecided, observation, policy, summary)
        lost = store.commit(state, writes=writes, alerts=alerts)
        summary.count_writes(writes, lost, by_sweep=observation.window is WindowKind.SWEEP)
        undecided = [observation.orders[write.order_id] for write in lost]
        log_alerts(alert for write in writes if write not in lost for alert in write.alerts)
        if not lost:
            log_alerts(alerts)
            return state.model_copy(update={"revision": state.revision + 1})
    raise PollSupersededError(f"orders of connection {state.connection_id} keep moving under this poll")


def _decide(
    store: Store, orders: Sequence[Order], observation: Observation, policy: Policy, summary: PollMetrics
) -> list[OrderWrite]:
    """Decide on the rows as they are now, and count what is dropped as stale."""
    stored = store.stored_orders(observation.connection.id, [order.id for order in orders])
    decisions = [decide(order, stored.get(order.id), observation=observation, policy=policy) for order in orders]
    summary.stale += sum(1 for each in decisions if each is Reason.STALE)
    return [each for each in decisions if isinstance(each, OrderWrite)]


def log_alerts(alerts: Iterable[Alert]) -> None:
    """Log which alerts were written: by their ids they are followed through the other functions."""
    if alert_ids := [alert.alert_id for alert in alerts]:
        logger.info("alerts written", extra={"alert_ids": alert_ids})
