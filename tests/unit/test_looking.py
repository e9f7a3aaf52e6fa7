"""Which shops a tick polls: where something may have moved, and whatever was not read for a while."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from orderwatch.polling.following import Now
from orderwatch.polling.health import Health, HealthState
from orderwatch.polling.looking import Why, wanted, why_poll
from orderwatch.polling.state import ConnectionState
from orderwatch.polling.windows import Progress, Window, WindowKind
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
    state = ConnectionState(connection_id="conn_a", cursor=NOON, cursor_set_at=read_at, read_sync=SYNCED, health=health)
    return state.model_copy(update=changes)


def listed(*, synced: datetime | None = SYNCED, in_progress: bool = False, **fields: Any) -> TrackstarConnection:
    told = f"{synced:%Y-%m-%dT%H:%M:%SZ}" if synced else None
    schedule = {"function_name": "get_orders", "latest_sync": told, "sync_frequency": 3600, "in_progress": in_progress}
    return TrackstarConnection.model_validate({"connection_id": "conn_a", "sync_schedules": [schedule], **fields})


BLOCKED = [{"error_type": "invalid_credentials", "resource": None, "message": "x"}]
IN_TROUBLE = Health(state=HealthState.BLOCKED, since=NOON)


@pytest.mark.parametrize(
    ("known", "told", "why"),
    [
        (row(), listed(), None),
        (None, listed(), Why.FIRST),
        (row(cursor=None, cursor_set_at=None), listed(), Why.FIRST),
        (row(progress=WINDOW), listed(), Why.UNFINISHED),
        (row(), listed(synced=SYNCED + MINUTE), Why.SYNCED),
        (row(), listed(synced=SYNCED - MINUTE), Why.SYNCED),
        (row(), listed(in_progress=True), Why.SYNCING),
        (row(), listed(synced=None), Why.NO_MARK),
        (row(read_sync=None), listed(), Why.SYNCED),
        (row(), listed(errors=BLOCKED), Why.STATE),
        (row(health=IN_TROUBLE), listed(errors=BLOCKED), None),
        (row(health=IN_TROUBLE), listed(), Why.STATE),
        (row(health=None), listed(), Why.STATE),
        (row(), None, Why.STATE),
        (row(health=IN_TROUBLE), None, None),
        (row(read_sync=NOON - timedelta(hours=3)), listed(synced=NOON - timedelta(hours=3)), Why.STATE),
        (row(cursor_set_at=NOW.ours - GAP), listed(), Why.GAP),
        (row(cursor_set_at=NOW.ours - GAP + MINUTE), listed(), None),
        (row(cursor_set_at=NOW.ours + MINUTE), listed(), Why.GAP),
    ],
    ids=[
        "nothing moved",
        "no row",
        "no baseline yet",
        "a window is unfinished",
        "a later mark",
        "an earlier mark",
        "a sync is in progress",
        "no mark is told",
        "a mark where none was read",
        "newly blocked",
        "blocked as before",
        "blocked no longer",
        "health unknown",
        "gone from the list",
        "gone as before",
        "grown stale",
        "not read for as long as may be",
        "read within it",
        "read in the future, by a clock that was set back",
    ],
)
def test_why_a_shop_is_polled(known: ConnectionState | None, told: TrackstarConnection | None, why: Why | None) -> None:
    assert why_poll(known, told, now=NOW, max_gap=GAP) is why


@pytest.mark.parametrize(
    ("known", "synced", "why"),
    [
        (row(), SYNCED, Why.TO_SYNC),
        (row(read_sync=NOON - 4 * MINUTE), NOON - 4 * MINUTE, None),
        (row(sync_asked_at=NOW.ours - 4 * MINUTE), SYNCED, None),
        (row(sync_asked_at=NOW.ours - 5 * MINUTE), SYNCED, Why.TO_SYNC),
        (row(sync_refused_at=NOW.ours - timedelta(hours=23)), SYNCED, None),
        (row(sync_refused_at=NOW.ours - timedelta(hours=24)), SYNCED, Why.TO_SYNC),
    ],
    ids=["old", "fresh", "just asked", "asked a while ago", "refused today", "refused yesterday"],
)
def test_a_shop_is_polled_to_ask_for_a_sync_once_in_that_time(
    known: ConnectionState, synced: datetime, why: Why | None
) -> None:
    assert why_poll(known, listed(synced=synced), now=NOW, max_gap=GAP, sync_every=5 * MINUTE) is why


def test_without_the_list_every_shop_is_polled_that_was_not_read_within_five_minutes() -> None:
    rows = {"conn_a": row(), "conn_b": row(cursor_set_at=NOW.ours - 5 * MINUTE)}
    shops = ["conn_a", "conn_b", "conn_c"]
    found = wanted(shops, rows, None, now=NOW, max_gap=GAP, sync_every=None)
    assert found == {"conn_b": Why.GAP, "conn_c": Why.FIRST}
