"""Write what a page showed. Orders that another poll wrote at the same time are detected again."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import datetime
from typing import Protocol

from orderwatch.alerts.alert import Alert
from orderwatch.errors import PollSupersededError
from orderwatch.observability import logger
from orderwatch.polling.detect import Observation, OrderWrite, Reason, detect
from orderwatch.polling.metrics import PollMetrics
from orderwatch.reading.policy import Policy
from orderwatch.reading.window import WindowKind
from orderwatch.records import ConnectionState, StoredOrder
from orderwatch.trackstar.orders import Order

MAX_CONFLICT_ROUNDS = 5
"""How often orders that another poll wrote are detected again before this poll gives up."""


class Store(Protocol):
    """The tables of a poll."""

    def load(self, connection_id: str) -> ConnectionState:
        """The connection's row; a new one if there is none."""

    def stored_orders(self, connection_id: str, order_ids: Collection[str]) -> Mapping[str, StoredOrder]:
        """The existing rows of these orders, by id."""

    def due_orders(self, connection_id: str, until: datetime) -> list[str]:
        """The ids of the orders that are due at or before `until`, earliest first."""

    def needing_attention(self, connection_id: str) -> Mapping[str, StoredOrder]:
        """The orders that need attention, by id, without those that were written a moment ago."""

    def commit(
        self, state: ConnectionState, *, writes: Sequence[OrderWrite], alerts: Sequence[Alert]
    ) -> list[OrderWrite]:
        """Write the orders, then the state and its alerts with the last of them.

        Returns:
            The writes whose row was not as expected. If there are any, the state is not written.

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
    metrics: PollMetrics,
) -> ConnectionState:
    """Write what the page showed, with the cursor after it.

    Args:
        store: The tables.
        state: The connection's state after the page.
        observation: What the page showed.
        alerts: The alerts about the connection itself.
        policy: What is watched.
        metrics: Counts the writes.

    Returns:
        The stored state.

    Raises:
        PollSupersededError: Another poll of the connection is running.
    """
    pending = list(observation.orders.values())
    for _ in range(MAX_CONFLICT_ROUNDS):
        writes = _detect(store, pending, observation, policy, metrics)
        lost = store.commit(state, writes=writes, alerts=alerts)
        lost_ids = {write.order_id for write in lost}
        pending = [observation.orders[write.order_id] for write in lost]
        written = [write for write in writes if write.order_id not in lost_ids]
        made = [alert for write in written for alert in write.alerts]
        metrics.count_writes(written, made, conflicts=len(lost), by_sweep=observation.window is WindowKind.SWEEP)
        log_alerts(made)
        if not lost:
            log_alerts(alerts)
            return state.committed()
    raise PollSupersededError(f"another poll keeps changing orders of connection {state.connection_id}")


def _detect(
    store: Store, orders: Sequence[Order], observation: Observation, policy: Policy, metrics: PollMetrics
) -> list[OrderWrite]:
    """Compare the orders with their current rows, and count stale ones."""
    stored = store.stored_orders(observation.connection.id, [order.id for order in orders])
    results = [detect(order, stored.get(order.id), observation=observation, policy=policy) for order in orders]
    writes = [each for each in results if isinstance(each, OrderWrite)]
    metrics.stale += results.count(Reason.STALE) + sum(write.reason is Reason.OLDER_COPY for write in writes)
    return writes


def clear_gone(store: Store, state: ConnectionState, gone: Collection[str]) -> ConnectionState:
    """Note that Trackstar no longer has these orders: they have no next deadline and need no attention.

    Nothing shows whether they are late, and nobody can act on them. An order that returns is stored as before.
    """
    if not gone:
        return state
    extra = {"order_ids": sorted(gone)}
    logger.warning("orders are gone from Trackstar; they are not due and need no attention", extra=extra)
    writes = [
        OrderWrite(order_id, expected=row, stored=row.without_attention(), alert=None, reason=Reason.GONE)
        for order_id, row in store.stored_orders(state.connection_id, gone).items()
    ]
    lost = store.commit(state, writes=writes, alerts=[])  # another poll wrote them: it scheduled them again
    return state if lost else state.committed()


def log_alerts(alerts: Iterable[Alert]) -> None:
    """Log the ids of written alerts. The functions that send them log the same ids."""
    if alert_ids := [alert.alert_id for alert in alerts]:
        logger.info("alerts written", extra={"alert_ids": alert_ids})
