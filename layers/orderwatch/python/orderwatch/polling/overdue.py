"""Alert what did not happen in time (rule 19): orders whose deadline has passed are read again and evaluated.

A deadline is alerted only if the order was read by its id after the end of the shop's last sync was known. So an order
that is visibly shipped or cancelled is never late, whatever an older page showed.
"""

from collections.abc import Callable, Collection
from dataclasses import replace
from datetime import datetime
from itertools import batched

from orderwatch.observability import logger
from orderwatch.polling.commit import Store, commit
from orderwatch.polling.detect import Observation, OrderWrite, Reason, newest_of_each, suppression_for
from orderwatch.polling.health import Probe
from orderwatch.polling.metrics import PollMetrics
from orderwatch.reading.cursor import Vendor
from orderwatch.reading.policy import Policy
from orderwatch.reading.window import WindowKind
from orderwatch.records import ConnectionState
from orderwatch.trackstar.orders import FoundOrders

BATCH = 100
"""Orders that are read and committed together: the most ids that one request of Trackstar's takes."""


def notify_overdue(
    vendor: Vendor,
    store: Store,
    state: ConnectionState,
    probe: Probe,
    *,
    policy: Policy,
    has_time: Callable[[], bool],
    metrics: PollMetrics,
) -> int:
    """Alert the deadlines that passed up to the watermark.

    Args:
        vendor: Reads the orders again.
        store: The tables.
        state: The connection's row as it is stored.
        probe: Trackstar's record of the connection, with the watermark.
        policy: What is watched.
        has_time: Called before each request; what remains stays due.
        metrics: Counts what is written.

    Returns:
        The number of orders that remain.

    Raises:
        TrackstarError: The orders cannot be read now; they stay due.
        PollSupersededError: Another poll of the connection is running.
    """
    if policy.deadlines is None or state.cursor.deadlines.rules != policy.deadline_rules or probe.watermark is None:
        return 0
    due = store.due_orders(state.connection_id, probe.watermark)
    for done, order_ids in enumerate(batched(due, BATCH, strict=False)):
        if not has_time():
            return len(due) - done * BATCH
        found = vendor.orders(order_ids)
        observed = _observation(found, state, probe, policy, now=vendor.now())
        state = commit(store, state, observed, alerts=[], policy=policy, metrics=metrics)
        state = _clear_deadlines(store, state, found.gone)
    return 0


def _observation(
    found: FoundOrders, state: ConnectionState, probe: Probe, policy: Policy, *, now: datetime
) -> Observation:
    return Observation(
        connection=probe.connection,
        observed_at=now,
        window=WindowKind.DUE,
        watch_started_at=state.cursor.watch_started_at,
        data_as_of=state.syncs.last_end,
        suppression=suppression_for(state, policy, now=now),
        watermark=probe.watermark,
        orders=newest_of_each(found.orders),
    )


def _clear_deadlines(store: Store, state: ConnectionState, gone: Collection[str]) -> ConnectionState:
    """Remove the deadlines of orders that Trackstar no longer has: they are neither late nor on time."""
    if not gone:
        return state
    logger.warning("orders with a deadline are no longer in Trackstar's copy", extra={"order_ids": sorted(gone)})
    rows = store.stored_orders(state.connection_id, gone)
    writes = [
        OrderWrite(
            order_id,
            expected=row,
            stored=replace(row, deadline_state=row.deadline_state._replace(due=None)),
            alert=None,
            reason=Reason.GONE,
        )
        for order_id, row in rows.items()
    ]
    lost = store.commit(state, writes=writes, alerts=[])  # another poll wrote them: they are not due, or due again
    return state if lost else state.committed()
