"""Which shops a tick asks to poll: those where something may have moved, and any that was not read for a while.

What Trackstar says of its syncs only ever saves a poll, for a bounded time: a mark may be early, late, missing or never
move again, and orders may change outside a sync. So a shop whose last reading is `max_gap` old is polled whatever its
mark says, and that is the bound of rule 1. A deadline needs no reason of its own: it is judged by the end of the last
sync (rule 19), so it can only become due with another mark.
"""

from collections.abc import Mapping
from datetime import datetime, timedelta
from enum import StrEnum

from orderwatch.polling.cursor import ConnectionState, Now
from orderwatch.polling.health import assess, unknown_to_trackstar
from orderwatch.trackstar.connections import TrackstarConnection

UNSEEN_GAP = timedelta(minutes=5)
"""How old a shop's last reading may be where Trackstar's list of connections cannot be read."""


class PollReason(StrEnum):
    """Why a shop is polled."""

    FIRST = "never read"
    UNFINISHED = "unfinished"
    GAP = "not read for long"
    STATE = "its state differs"
    SYNCING = "a sync is in progress"
    SYNCED = "synced since"
    NO_SYNC_TIME = "no mark of a sync"
    TO_SYNC = "to be synced"


def poll_reason(
    row: ConnectionState | None,
    listed: TrackstarConnection | None,
    *,
    now: Now,
    max_gap: timedelta,
    sync_every: timedelta | None = None,
) -> PollReason | None:
    """Why a connection is to be polled now; None where nothing can have moved.

    Args:
        row: What the last poll wrote; None before the first.
        listed: What Trackstar's list says of it; None where it is not in the list.
        now: The two clocks.
        max_gap: How old its last reading may be, by our clock.
        sync_every: How old its last sync may be before Trackstar is asked for another; None: it is never asked.
    """
    if why := _reason_if_not_read(row, now=now.ours, max_gap=max_gap):
        return why
    seen = assess(listed, now=now.vendor) if listed else unknown_to_trackstar(now=now.vendor)
    if row is None or row.health is None or seen.state is not row.health.state:
        return PollReason.STATE
    return _reason_by_sync(row, listed, now=now, sync_every=sync_every) if listed else None


def poll_reason_without_list(row: ConnectionState | None, *, now: datetime, max_gap: timedelta) -> PollReason | None:
    """Why a connection is to be polled now where the list cannot be read: as without it, every few minutes."""
    return _reason_if_not_read(row, now=now, max_gap=min(max_gap, UNSEEN_GAP))


def _reason_if_not_read(row: ConnectionState | None, *, now: datetime, max_gap: timedelta) -> PollReason | None:
    if row is None or row.last_read_started_at is None:
        return PollReason.FIRST
    if row.progress:
        return PollReason.UNFINISHED
    return PollReason.GAP if _is_old(row.last_read_started_at, now, max_gap) else None


def _is_old(read_at: datetime, now: datetime, max_gap: timedelta) -> bool:
    # A moment of the future is one of a clock that was set back: how long ago it was, nobody knows.
    return not timedelta(0) <= now - read_at < max_gap


def _reason_by_sync(
    row: ConnectionState, listed: TrackstarConnection, *, now: Now, sync_every: timedelta | None
) -> PollReason | None:
    schedule = listed.orders_schedule
    if schedule.in_progress:
        return PollReason.SYNCING
    if schedule.synced_at is None:
        return PollReason.NO_SYNC_TIME
    if schedule.synced_at != row.last_sync_end_read:
        return PollReason.SYNCED
    return PollReason.TO_SYNC if sync_every and may_ask_for_sync(row, schedule.synced_at, now, sync_every) else None


REFUSED_FOR = timedelta(days=1)
"""How long a shop is not asked to sync again after Trackstar refused it."""


def may_ask_for_sync(row: ConnectionState, synced_at: datetime, now: Now, sync_every: timedelta) -> bool:
    """Whether the last sync is old enough to ask for another, and none was asked for, or refused, too short ago."""
    if now.vendor - synced_at < sync_every:
        return False
    if row.sync_refused_at and now.ours - row.sync_refused_at < REFUSED_FOR:
        return False
    return row.sync_asked_at is None or now.ours - row.sync_asked_at >= sync_every


def connections_to_poll(
    connection_ids: list[str],
    rows: Mapping[str, ConnectionState],
    listed: Mapping[str, TrackstarConnection] | None,
    *,
    now: Now,
    max_gap: timedelta,
    sync_every: timedelta | None,
) -> dict[str, PollReason]:
    """The connections that are to be polled now, and why; `listed` is None where the list cannot be read."""
    found: dict[str, PollReason] = {}
    for each in connection_ids:
        row = rows.get(each)
        if listed is None:
            why = poll_reason_without_list(row, now=now.ours, max_gap=max_gap)
        else:
            why = poll_reason(row, listed.get(each), now=now, max_gap=max_gap, sync_every=sync_every)
        if why:
            found[each] = why
    return found
