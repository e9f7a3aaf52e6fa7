"""Alert missed deadlines (rule 19) and send reminders (rule 24): read the orders again that are due, and evaluate them.

A deadline or a reminder is alerted only after the order was read by its id, and only up to the end of the shop's last
sync. So an order that Trackstar shows as shipped or cancelled is never alerted as late or reminded about, even if an
older page showed it as open.
"""

from collections.abc import Callable
from datetime import datetime
from itertools import batched

from orderwatch.polling.commit import Store, clear_gone, commit
from orderwatch.polling.detect import Observation
from orderwatch.polling.health import Probe
from orderwatch.polling.metrics import PollMetrics
from orderwatch.reading.cursor import Vendor
from orderwatch.reading.policy import Policy
from orderwatch.reading.window import WindowKind
from orderwatch.records import ConnectionState

BATCH = 100
"""Orders that are read and written together: Trackstar's maximum of ids in one request."""


def notify_overdue(
    vendor: Vendor,
    store: Store,
    state: ConnectionState,
    probe: Probe,
    *,
    policy: Policy,
    has_time: Callable[[], bool],
    reading: datetime,
    metrics: PollMetrics,
) -> tuple[ConnectionState, int]:
    """Alert the deadlines and reminders that are due at the watermark of the probe.

    Args:
        vendor: Trackstar.
        store: The tables.
        state: The stored state of the connection.
        probe: The result of the probe.
        policy: What is watched.
        has_time: Called before each batch; False leaves the other orders to the next poll.
        reading: When the poll was requested.
        metrics: Counts the writes.

    Returns:
        The stored state, and the number of orders that remain.

    Raises:
        TrackstarError: The orders cannot be read now; they stay due.
        PollSupersededError: Another poll of the connection is running.
    """
    if policy.deadlines is None or state.cursor.deadlines.rules != policy.deadline_rules or probe.watermark is None:
        return state, 0
    due = store.due_orders(state.connection_id, probe.watermark)
    for done, order_ids in enumerate(batched(due, BATCH, strict=False)):
        if not has_time():
            return state, len(due) - done * BATCH
        found = vendor.orders(order_ids)
        observed = Observation.by_id(
            found.orders,
            state,
            probe.connection,
            window=WindowKind.DUE,
            now=vendor.now(),
            policy=policy,
            reading=reading,
            watermark=probe.watermark,
        )
        state = commit(store, state, observed, alerts=[], policy=policy, metrics=metrics)
        state = clear_gone(store, state, found.gone)
    return state, 0
