"""Telling what did not happen in time (rule 19): the orders whose deadline has come are read anew, and judged by that.

A deadline is told only of an order that was asked for by its id after the last sync of the shop was known: whatever an
older page showed, an order that can be seen as shipped or cancelled is never late.
"""

from collections.abc import Callable, Collection, Sequence
from dataclasses import replace
from datetime import datetime
from itertools import batched
from typing import Protocol

from orderwatch.observability import logger
from orderwatch.polling.commit import Store, commit
from orderwatch.polling.cursor import ConnectionState, WindowKind
from orderwatch.polling.detect import Observation, OrderWrite, Reason, newest_of_each, suppression_for
from orderwatch.polling.health import ConnectionCheck
from orderwatch.polling.metrics import PollMetrics
from orderwatch.polling.policy import Policy
from orderwatch.records import StoredOrder
from orderwatch.trackstar.orders import FoundOrders

ORDERS_AT_ONCE = 100
"""Orders that are asked for, and committed, together: the most that one request of Trackstar's names."""


class OrderSource(Protocol):
    """What telling deadlines needs of Trackstar."""

    def now(self) -> datetime:
        """The vendor's clock at its latest answer."""

    def orders(self, order_ids: Sequence[str]) -> FoundOrders:
        """These orders as they are in Trackstar's copy now, at most `ORDERS_AT_ONCE`.

        Raises:
            TrackstarError: They cannot be read now; they stay due.
        """


def notify_overdue(
    vendor: OrderSource,
    store: Store,
    state: ConnectionState,
    check: ConnectionCheck,
    *,
    policy: Policy,
    has_time: Callable[[], bool],
    summary: PollMetrics,
) -> int:
    """Tell the deadlines that have come by what can be seen of the shop.

    Args:
        vendor: Where the orders are read anew.
        store: The tables.
        state: The connection's row as it is stored.
        check: What Trackstar says of the connection: up to when its data reach.
        policy: What is watched.
        has_time: Asked before each request; what is left stays due.
        summary: Counts what is written.

    Returns:
        How many orders are left.

    Raises:
        TrackstarError: They cannot be read now; they stay due.
        PollSupersededError: Another poll of the connection is at work.
    """
    if policy.deadlines is None or state.deadline_rules != policy.deadline_rules or check.watermark is None:
        return 0
    due = store.due_orders(state.connection_id, check.watermark)
    for done, order_ids in enumerate(batched(due, ORDERS_AT_ONCE, strict=False)):
        if not has_time():
            return len(due) - done * ORDERS_AT_ONCE
        found = vendor.orders(order_ids)
        observed = _observation(found, state, check, policy, now=vendor.now())
        state = commit(store, state, observed, alerts=[], policy=policy, summary=summary)
        state = _forget(store, state, found.gone)
    return 0


def _observation(
    found: FoundOrders, state: ConnectionState, check: ConnectionCheck, policy: Policy, *, now: datetime
) -> Observation:
    return Observation(
        connection=check.connection,
        observed_at=now,
        window=WindowKind.DUE,
        watch_started_at=state.watch_started_at,
        data_as_of=state.data_as_of,
        suppression=suppression_for(state, policy, now=now),
        watermark=check.watermark,
        orders=newest_of_each(found.orders),
    )


def _forget(store: Store, state: ConnectionState, gone: Collection[str]) -> ConnectionState:
    """Take their deadlines from orders that Trackstar no longer has: nobody can say that they are late."""
    if not gone:
        return state
    logger.warning("orders with a deadline are no longer in trackstar's copy", extra={"order_ids": sorted(gone)})
    rows = store.stored_orders(state.connection_id, gone)
    writes = [_without_deadline(order_id, row) for order_id, row in rows.items()]
    lost = store.commit(state, writes=writes, alerts=[])  # to another poll: due no longer, or again
    return state if lost else state.model_copy(update={"revision": state.revision + 1})


def _without_deadline(order_id: str, row: StoredOrder) -> OrderWrite:
    after = replace(row, deadline_state=row.deadline_state._replace(due=None))
    return OrderWrite(order_id, expected=row, stored=after, alert=None, reason=Reason.GONE)
