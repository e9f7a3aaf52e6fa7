"""Whether a shop can be seen: what cannot be is said, never counted as nothing (rule 20)."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from orderwatch.alerts.daily import Unseen
from orderwatch.polling.health import HealthState
from orderwatch.polling.state import ConnectionState


@dataclass(frozen=True, slots=True)
class Shop:
    """A shop that is watched.

    Attributes:
        connection_id: Which.
        name: What the operator calls it.
        time_zone: Where its days end, by its IANA name.
        late_warning_hours: How long before its ship-by an order is at risk.
    """

    connection_id: str
    name: str | None
    time_zone: str
    late_warning_hours: int


def as_of(state: ConnectionState, at: datetime) -> datetime:
    """Up to when a shop's data reach: nothing is told of it by a clock that runs ahead of them (rule 19).

    Args:
        state: Its row.
        at: Our clock, for a shop that was never read.
    """
    return state.data_as_of or state.read_until or at


def unseen(state: ConnectionState, *, at: datetime, silence: timedelta) -> Unseen | None:
    """Why a shop cannot be seen as it is at a moment, and since when; None where it can.

    Args:
        state: Its row.
        at: The moment, by our clock.
        silence: How long no poll may have come to its end.
    """
    if state.health and state.health.is_trouble:
        is_stale = state.health.state is HealthState.STALE
        since = state.data_as_of if is_stale and state.data_as_of else state.health.since
        return Unseen(state=state.health.state, since=since)
    if state.baseline_completed_at is None:
        return Unseen(state=HealthState.WAITING, since=state.watch_started_at)
    if state.last_success_at is None or at - state.last_success_at > silence:
        return Unseen(state=HealthState.UNREAD, since=state.last_success_at)
    return None
