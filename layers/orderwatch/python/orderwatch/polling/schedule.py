"""Which connections to poll: those where something may have changed, and those that were not read for a while.

Trackstar's sync timestamps can be early, late, missing or stuck, and orders can change outside a sync. So they save
polls only up to a limit: a connection is polled at the latest `max_gap` after its last reading, which bounds the delay
of rule 1. Deadlines need no reason of their own: they expire by the end of the last sync (rule 19), so only a new sync
can make one expire.
"""

from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from enum import StrEnum

from orderwatch.polling.health import assess, unknown_to_trackstar
from orderwatch.reading.cursor import Cursor, Now
from orderwatch.records import ConnectionState, Syncs
from orderwatch.trackstar.connections import TrackstarConnection

MAX_GAP_WITHOUT_LIST = timedelta(minutes=5)
"""Maximum age of a connection's last reading while Trackstar's list of connections cannot be read."""
REFUSED_FOR = timedelta(days=1)
"""Time after a refused sync request without another one."""


class PollReason(StrEnum):
    """Why a connection is polled."""

    FIRST = "never read"
    UNFINISHED = "last poll unfinished"
    GAP = "last reading too old"
    STATE = "health changed"
    SYNCING = "sync in progress"
    SYNCED = "synced since"
    NO_SYNC_TIME = "sync time unknown"
    TO_SYNC = "sync due"


def connections_to_poll(
    connection_ids: Iterable[str],
    rows: Mapping[str, ConnectionState],
    listed: Mapping[str, TrackstarConnection] | None,
    *,
    now: Now,
    max_gap: timedelta,
    sync_every: timedelta | None,
) -> dict[str, PollReason]:
    """The connections to poll now, each with the reason.

    Args:
        connection_ids: The watched connections.
        rows: Their existing rows.
        listed: Trackstar's list of connections. None if it cannot be read: then they are polled every few minutes.
        now: Both clocks.
        max_gap: Maximum age of a connection's last reading, by our clock.
        sync_every: Age of its last sync at which one is requested; None: syncs are not requested.
    """
    reasons: dict[str, PollReason] = {}
    for connection_id in connection_ids:
        row = rows.get(connection_id)
        if listed is None:
            reason = _reason_without_list(row, now=now.ours, max_gap=min(max_gap, MAX_GAP_WITHOUT_LIST))
        else:
            reason = poll_reason(row, listed.get(connection_id), now=now, max_gap=max_gap, sync_every=sync_every)
        if reason:
            reasons[connection_id] = reason
    return reasons


def poll_reason(
    row: ConnectionState | None,
    listed: TrackstarConnection | None,
    *,
    now: Now,
    max_gap: timedelta,
    sync_every: timedelta | None = None,
) -> PollReason | None:
    """Why a connection is polled now; None if nothing can have changed.

    The arguments are those of `connections_to_poll`, for one connection. `listed` is None if the list lacks it.
    """
    if reason := _reason_without_list(row, now=now.ours, max_gap=max_gap):
        return reason
    seen = assess(listed, now=now.vendor) if listed else unknown_to_trackstar(now=now.vendor)
    if row is None or row.health is None or seen.state is not row.health.state:
        return PollReason.STATE
    return _reason_by_sync(row, listed, now=now, sync_every=sync_every) if listed else None


def _reason_without_list(row: ConnectionState | None, *, now: datetime, max_gap: timedelta) -> PollReason | None:
    cursor = row.cursor if row else Cursor()
    if cursor.last_read_started_at is None:
        return PollReason.FIRST
    if cursor.progress:
        return PollReason.UNFINISHED
    if row and row.health and row.health.suspected:
        return PollReason.STATE
    # If the last reading is in the future, our clock was set back and the age is unknown.
    is_recent = timedelta(0) <= now - cursor.last_read_started_at < max_gap
    return None if is_recent else PollReason.GAP


def _reason_by_sync(
    row: ConnectionState, listed: TrackstarConnection, *, now: Now, sync_every: timedelta | None
) -> PollReason | None:
    schedule = listed.orders_schedule
    if schedule.in_progress:
        return PollReason.SYNCING
    if schedule.synced_at is None:
        return PollReason.NO_SYNC_TIME
    if schedule.synced_at != row.cursor.last_sync_end_read:
        return PollReason.SYNCED
    is_due = sync_every and may_request_sync(row.syncs, schedule.synced_at, now, sync_every)
    return PollReason.TO_SYNC if is_due else None


def may_request_sync(syncs: Syncs, synced_at: datetime, now: Now, sync_every: timedelta) -> bool:
    """Whether the last sync, and the last request or refusal of one, are old enough."""
    if now.vendor - synced_at < sync_every:
        return False
    if syncs.refused_at and now.ours - syncs.refused_at < REFUSED_FOR:
        return False
    return syncs.requested_at is None or now.ours - syncs.requested_at >= sync_every
