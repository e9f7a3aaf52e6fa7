"""Whether a connection's orders can be seen: the rules of its health, as pure functions (rule 10).

Silence is never taken for health: orders of a shop whose credentials are blocked simply stop changing, so a reader that
reads only orders sees nothing wrong. `assess` turns what Trackstar says of a connection into a state.
"""

from datetime import datetime
from enum import StrEnum

from orderwatch.model import Model
from orderwatch.trackstar.connections import TrackstarConnection


class HealthState(StrEnum):
    """Whether the connection's orders can be seen."""

    HEALTHY = "healthy"
    WAITING = "waiting"
    STALE = "stale"
    BLOCKED = "blocked"
    UNAUTHORIZED = "unauthorized"
    UNREAD = "unread"


GOOD_CHECKS = 2
"""Checks in a row that must find a trouble gone before its end is alerted."""
_TROUBLES = [HealthState.STALE, HealthState.UNREAD, HealthState.BLOCKED, HealthState.UNAUTHORIZED]
"""From the least to the worst."""


class Health(Model):
    """The state of a connection, and since when.

    Attributes:
        state: How it is.
        since: When it began, by the vendor's clock.
        detail: What happened, in words.
        good_checks: How many checks in a row have found the trouble gone.
    """

    state: HealthState = HealthState.HEALTHY
    since: datetime
    detail: str = ""
    good_checks: int = 0

    @property
    def is_trouble(self) -> bool:
        """Whether this state is alerted, and so its end too."""
        return self.state in _TROUBLES


def health_after(before: Health | None, seen: Health) -> Health:
    """The state after a check: trouble is believed at once, its end only after `GOOD_CHECKS` checks in a row.

    A connection that comes and goes is thus alerted once, not at every turn; and while it is in trouble, only a worse
    trouble is.

    Args:
        before: The state up to now.
        seen: What this check found.
    """
    if before is None or not before.is_trouble:
        return before if before and before.state is seen.state else seen
    if seen.is_trouble:
        worse = _TROUBLES.index(seen.state) > _TROUBLES.index(before.state)
        return seen if worse else before.model_copy(update={"good_checks": 0})
    good_checks = before.good_checks + (seen.state is HealthState.HEALTHY)
    return seen if good_checks >= GOOD_CHECKS else before.model_copy(update={"good_checks": good_checks})


def assess(connection: TrackstarConnection, *, now: datetime) -> Health:
    """The state of a connection by what Trackstar says of it.

    Args:
        connection: Trackstar's record.
        now: The vendor's clock, the one by which its syncs are dated.
    """
    if any(error.blocks_orders for error in connection.errors):
        detail = "Trackstar's access to the shop was refused or lacks a permission: no change is visible."
        return Health(state=HealthState.BLOCKED, since=now, detail=detail)
    if connection.awaits_historical_sync:
        detail = "Trackstar has not finished its first sync of this shop's orders: nothing can be read yet."
        return Health(state=HealthState.WAITING, since=now, detail=detail)
    synced_at = connection.orders_schedule.synced_at
    if synced_at and now - synced_at > 2 * connection.sync_frequency:
        detail = (
            "Trackstar's last sync of this shop's orders is older than twice its sync frequency: changes since then "
            "are not visible."
        )
        return Health(state=HealthState.STALE, since=now, detail=detail)
    return Health(since=now)


def unknown_to_trackstar(*, now: datetime) -> Health:
    """The state of a connection that Trackstar no longer has."""
    detail = "Trackstar no longer knows this connection."
    return Health(state=HealthState.BLOCKED, since=now, detail=detail)


def refused_by_trackstar(*, now: datetime) -> Health:
    """The state of a connection whose API key or access token is refused."""
    detail = "No order of the shop can be read; what changes meanwhile is alerted once it can."
    return Health(state=HealthState.UNAUTHORIZED, since=now, detail=detail)


def unread_since(moment: datetime, *, now: datetime) -> Health:
    """The state of a connection whose polls begin and do not come to their end (both by our clock)."""
    detail = (
        f"No poll of this shop has come to its end since {moment:%Y-%m-%d %H:%M} UTC: what changed since then is not "
        "alerted."
    )
    return Health(state=HealthState.UNREAD, since=now, detail=detail)
