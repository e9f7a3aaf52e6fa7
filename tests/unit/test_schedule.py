"""Which shops a tick polls: those that may have changed, and those not read for a while (rule 1)."""

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest

from orderwatch.polling.schedule import PollReason, connections_to_poll, poll_reason
from orderwatch.reading.cursor import Cursor, Now
from orderwatch.reading.window import Progress, Window, WindowKind
from orderwatch.records import ConnectionState, Health, HealthState, Syncs
from orderwatch.trackstar.connections import TrackstarConnection
from tests.support.clocks import NOON

NOW = Now(vendor=NOON, ours=NOON + timedelta(seconds=90))
SECOND, MINUTE, DAY = timedelta(seconds=1), timedelta(minutes=1), timedelta(days=1)
GAP = 15 * MINUTE
SYNCED = NOON - 40 * MINUTE
WINDOW = Progress(window=Window(kind=WindowKind.INCREMENTAL, until=NOON), began_at=NOON)


def row(*, health: Health | None = Health(since=NOON), syncs: Syncs = Syncs(), **cursor: Any) -> ConnectionState:  # noqa: B008 - frozen
    """A shop that was read two minutes ago, after its last sync."""
    read = Cursor(position=NOON, last_read_started_at=NOW.ours - 2 * MINUTE, last_sync_end_read=SYNCED)
    return ConnectionState(connection_id="conn_a", cursor=replace(read, **cursor), syncs=syncs, health=health)


def listed(synced: datetime | None = SYNCED, *, in_progress: bool = False, **fields: Any) -> TrackstarConnection:
    schedule = {"function_name": "get_orders", "latest_sync": synced, "sync_frequency": 3600}
    schedules = [schedule | {"in_progress": in_progress}]
    return TrackstarConnection.model_validate({"connection_id": "conn_a", "sync_schedules": schedules, **fields})


BLOCKED = [{"error_type": "invalid_credentials", "resource": None, "message": "x"}]
IN_TROUBLE = Health(state=HealthState.BLOCKED, since=NOON)
SUSPECTED = Health(since=NOON, suspected=HealthState.UNAUTHORIZED)
LONG_AGO = NOON - timedelta(hours=3)


@pytest.mark.parametrize(
    ("known", "listed", "reason", "why"),
    [
        (row(), listed(), None, "nothing moved"),
        (None, listed(), PollReason.FIRST, "no row"),
        (row(last_read_started_at=None), listed(), PollReason.FIRST, "no baseline yet"),
        (row(progress=WINDOW), listed(), PollReason.UNFINISHED, "a window is unfinished"),
        (row(), listed(SYNCED + MINUTE), PollReason.SYNCED, "a later sync"),
        (row(), listed(SYNCED - MINUTE), PollReason.SYNCED, "an earlier sync"),
        (row(), listed(in_progress=True), PollReason.SYNCING, "a sync is in progress"),
        (row(), listed(None), PollReason.NO_SYNC_TIME, "no sync time"),
        (row(last_sync_end_read=None), listed(), PollReason.SYNCED, "a first sync time"),
        (row(), listed(errors=BLOCKED), PollReason.STATE, "newly blocked"),
        (row(health=IN_TROUBLE), listed(errors=BLOCKED), None, "blocked as before"),
        (row(health=IN_TROUBLE), listed(), PollReason.STATE, "no longer blocked"),
        (row(health=None), listed(), PollReason.STATE, "health unknown"),
        (row(health=SUSPECTED), listed(), PollReason.STATE, "refused in the last poll"),
        (row(), None, PollReason.STATE, "gone from the list"),
        (row(health=IN_TROUBLE), None, None, "gone as before"),
        (row(last_sync_end_read=LONG_AGO), listed(LONG_AGO), PollReason.STATE, "grown stale"),
        (row(last_read_started_at=NOW.ours - GAP), listed(), PollReason.GAP, "not read for the maximum gap"),
        (row(last_read_started_at=NOW.ours - GAP + SECOND), listed(), None, "read within it"),
        (row(last_read_started_at=NOW.ours), listed(), None, "read right now"),
        (
            row(last_read_started_at=NOW.ours + SECOND),
            listed(),
            PollReason.GAP,
            "read in the future, by a clock that was set back",
        ),
    ],
)
def test_the_reason_for_a_poll(
    known: ConnectionState | None, listed: TrackstarConnection | None, reason: PollReason | None, why: str
) -> None:
    assert poll_reason(known, listed, now=NOW, max_gap=GAP) is reason, why


@pytest.mark.parametrize(
    ("synced", "syncs", "why"),
    [
        (NOON - 5 * MINUTE, Syncs(), PollReason.TO_SYNC),
        (NOON - 5 * MINUTE + SECOND, Syncs(), None),
        (SYNCED, Syncs(requested_at=NOW.ours - 5 * MINUTE), PollReason.TO_SYNC),
        (SYNCED, Syncs(requested_at=NOW.ours - 5 * MINUTE + SECOND), None),
        (SYNCED, Syncs(refused_at=NOW.ours - DAY), PollReason.TO_SYNC),
        (SYNCED, Syncs(refused_at=NOW.ours - DAY + SECOND), None),
    ],
)
def test_a_shop_is_polled_for_a_sync_once_in_the_interval(
    synced: datetime, syncs: Syncs, why: PollReason | None
) -> None:
    known = row(last_sync_end_read=synced, syncs=syncs)
    assert poll_reason(known, listed(synced), now=NOW, max_gap=GAP, sync_every=5 * MINUTE) is why


@pytest.mark.parametrize(
    ("max_gap", "age", "is_polled"),
    [
        (GAP, 5 * MINUTE, True),
        (GAP, 5 * MINUTE - SECOND, False),
        (3 * MINUTE, 3 * MINUTE, True),
        (3 * MINUTE, 3 * MINUTE - SECOND, False),
    ],
)
def test_without_the_list_shops_are_polled_every_five_minutes(
    max_gap: timedelta, age: timedelta, is_polled: bool
) -> None:
    rows = {"conn_a": row(last_read_started_at=NOW.ours - age)}
    found = connections_to_poll(["conn_a", "conn_b"], rows, None, now=NOW, max_gap=max_gap, sync_every=None)
    assert found == {**({"conn_a": PollReason.GAP} if is_polled else {}), "conn_b": PollReason.FIRST}


def test_a_suspected_shop_is_polled_at_once_without_the_list() -> None:
    found = connections_to_poll(
        ["conn_a"], {"conn_a": row(health=SUSPECTED)}, None, now=NOW, max_gap=GAP, sync_every=None
    )
    assert found == {"conn_a": PollReason.STATE}


def test_each_shop_is_polled_for_its_own_reason() -> None:
    rows = {"conn_a": row(), "conn_b": row(), "conn_c": row(), "conn_d": row()}
    known = {"conn_a": listed(), "conn_b": listed(SYNCED + MINUTE), "conn_d": listed()}
    found = connections_to_poll([*rows, "conn_e"], rows, known, now=NOW, max_gap=GAP, sync_every=DAY)
    assert found == {"conn_b": PollReason.SYNCED, "conn_c": PollReason.STATE, "conn_e": PollReason.FIRST}
