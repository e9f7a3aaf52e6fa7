"""Watched statuses that may be misspelt: none of Trackstar's, and none that an order ever had."""

from collections.abc import Collection
from datetime import datetime

from orderwatch.alerts.alert import Alert
from orderwatch.polling.notices import doubted_status
from orderwatch.polling.state import ConnectionState
from orderwatch.polling.transitions import Observation, Policy

DOCUMENTED = frozenset(
    {
        "open",
        "confirmed",
        "processing",
        "partially_fulfilled",
        "fulfilled",
        "backordered",
        "exception",
        "cancelled",
        "other",
    }
)
"""Trackstar's statuses (docs/trackstar.md); it may add others, and a shop may have some of its own."""
MAX_REMEMBERED = 50
"""Other statuses of a connection that are remembered."""


def doubtful(watched: Collection[str], seen: Collection[str]) -> list[str]:
    """The watched statuses that neither Trackstar documents nor an order ever had."""
    return sorted(set(watched) - DOCUMENTED - set(seen))


def learn(state: ConnectionState, observed: Observation) -> ConnectionState:
    """Remember which statuses beyond the documented ones the connection's orders have."""
    other = {order.status for order in observed.orders.values()} - DOCUMENTED - set(state.other_statuses)
    if not other or len(state.other_statuses) >= MAX_REMEMBERED:
        return state
    return state.model_copy(update={"other_statuses": (*state.other_statuses, *sorted(other))[:MAX_REMEMBERED]})


def doubt(state: ConnectionState, *, policy: Policy, now: datetime) -> tuple[ConnectionState, list[Alert]]:
    """What the operators are to be asked about, once: statuses that are watched and may not exist."""
    fresh = [each for each in doubtful(policy.statuses, state.other_statuses) if each not in state.doubted_statuses]
    if not fresh:
        return state, []
    state = state.model_copy(update={"doubted_statuses": (*state.doubted_statuses, *fresh)})
    return state, [doubted_status(status, now=now) for status in fresh]
