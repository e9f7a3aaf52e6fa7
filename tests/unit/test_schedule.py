"""Which shops a tick polls: those that may have changed, and those not read for a while."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from orderwatch.polling.schedule import PollReason, connections_to_poll, poll_reason
from orderwatch.reading.cursor import Cursor, Now
from orderwatch.reading.window import Progress, Window, WindowKind
from orderwatch.records import ConnectionState, Health, HealthState, Syncs
from orderwatch.trackstar.connections import TrackstarConnection

NOON = datetime(2026, 1, 5, 12, tzinfo=UTC)
NOW = Now(vendor=NOON, ours=NOON + timedelta(seconds=90))
MINUTE = timedelta(minutes=1)
GAP = 15 * MINUTE
SYNCED = NOON - 40 * MINUTE
WINDOW = Progress(window=Window(kind=WindowKind.INCREMENTAL, until=NOON), began_at=NOON)


def row(**changes: Any) -> ConnectionState:
    """A shop that was read two minutes ago, after its last sync."""
    read_at, health = NOW.ours - 2 * MINUTE, Health(since=NOON)
    cursor = Cursor(position=NOON, last_read_started_at=read_at, last_sync_end_read=SYNCED)
    in_cursor = {name: value for name, value in changes.items() if hasattr(cursor, name)}
    in_syncs = {name: value for name, value in changes.items() if hasattr(Syncs(), name)}
    rest = {name: value for name, value in changes.items() if name not in {*in_cursor, *in_syncs}}
    state = ConnectionState(
        connection_id="conn_a", cursor=replace(cursor, **in_cursor), syncs=Syncs(**in_syncs), health=health
    )
    return replace(state, **rest)


def listed(*, synced: datetime | None = SYNCED, in_progress: bool = False, **fields: Any) -> TrackstarConnection:
    text = f"{synced:%Y-%m-%dT%H:%M:%SZ}" if synced else None
    schedule = {
        "function_name": "get_orders",
        "latest_sync": text,
        "sync_frequency": 3600,
        "in_progress": in_progress,
    }
    return TrackstarConnection.model_validate({"connection_id": "conn_a", "sync_schedules": [schedule], **fields})


BLOCKED = [{"error_type": "invalid_credentials", "resource": None, "message": "x"}]
IN_TROUBLE = Health(state=HealthState.BLOCKED, since=NOON)


@pytest.mark.parametrize(
    ("known", "listed", "why"),
    [
        (row(), listed(), None),
        (None, listed(), PollReason.FIRST),
        (row(last_read_started_at=None), listed(), PollReason.FIRST),
        (row(progress=WINDOW), listed(), PollReason.UNFINISHED),
        (row(), listed(synced=SYNCED + MINUTE), PollReason.SYNCED),
        (row(), listed(synced=SYNCED - MINUTE), PollReason.SYNCED),
        (row(), listed(in_progress=True), PollReason.SYNCING),
        (row(), listed(synced=None), PollReason.NO_SYNC_TIME),
        (row(last_sync_end_read=None), listed(), PollReason.SYNCED),
        (row(), listed(errors=BLOCKED), PollReason.STATE),
        (row(health=IN_TROUBLE), listed(errors=BLOCKED), None),
        (row(health=IN_TROUBLE), listed(), PollReason.STATE),
        (row(health=None), listed(), PollReason.STATE),
        (row(), None, PollReason.STATE),
        (row(health=IN_TROUBLE), None, None),
        (row(last_sync_end_read=NOON - timedelta(hours=3)), listed(synced=NOON - timedelta(hours=3)), PollReason.STATE),
        (row(last_read_started_at=NOW.ours - GAP), listed(), PollReason.GAP),
        (row(last_read_started_at=NOW.ours - GAP + MINUTE), listed(), None),
        (row(last_read_started_at=NOW.ours + MINUTE), listed(), PollReason.GAP),
    ],
    ids=[
        "nothing moved",
        "no row",
        "no baseline yet",
        "a window is unfinished",
        "a later sync",
        "an earlier sync",
        "a sync is in progress",
        "no sync time",
        "a first sync time",
        "newly blocked",
        "blocked as before",
        "no longer blocked",
        "health unknown",
        "gone from the list",
        "gone as before",
        "grown stale",
        "not read for the maximum gap",
        "read within it",
        "read in the future, by a clock that was set back",
    ],
)
def test_the_reason_for_a_poll(
    known: ConnectionState | None, listed: TrackstarConnection | None, why: PollReason | None
) -> None:
    assert poll_reason(known, listed, now=NOW, max_gap=GAP) is why


@pytest.mark.parametrize(
    ("known", "synced", "why"),
    [
        (row(), SYNCED, PollReason.TO_SYNC),
        (row(last_sync_end_read=NOON - 4 * MINUTE), NOON - 4 * MINUTE, None),
        (row(requested_at=NOW.ours - 4 * MINUTE), SYNCED, None),
        (row(requested_at=NOW.ours - 5 * MINUTE), SYNCED, PollReason.TO_SYNC),
        (row(refused_at=NOW.ours - timedelta(hours=23)), SYNCED, None),
        (row(refused_at=NOW.ours - timedelta(hours=24)), SYNCED, PollReason.TO_SYNC),
    ],
    ids=["old", "fresh", "just asked", "asked a while ago", "refused today", "refused yesterday"],
)
def test_a_shop_is_polled_for_a_sync_once_in_the_interval(
    known: ConnectionState, synced: datetime, why: PollReason | None
) -> None:
    assert poll_reason(known, listed(synced=synced), now=NOW, max_gap=GAP, sync_every=5 * MINUTE) is why


def test_without_the_list_shops_are_polled_every_five_minutes() -> None:
    rows = {"conn_a": row(), "conn_b": row(last_read_started_at=NOW.ours - 5 * MINUTE)}
    shops = ["conn_a", "conn_b", "conn_c"]
    found = connections_to_poll(shops, rows, None, now=NOW, max_gap=GAP, sync_every=None)
    assert found == {"conn_b": PollReason.GAP, "conn_c": PollReason.FIRST}
