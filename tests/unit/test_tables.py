"""Contract of the table adapters: here in memory, and in `tests/integration/test_tables.py` on moto."""

from collections import Counter
from collections.abc import Mapping
from copy import replace
from datetime import timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from orderwatch import clock as process_clock
from orderwatch.alerts.alert import Alert, AlertKey, connection_alert
from orderwatch.alerts.kinds import KIND_STALE
from orderwatch.alerts.parts import AlertConnection
from orderwatch.alerts.summary import ALL_SHOPS
from orderwatch.aws.connection_table import Listing
from orderwatch.aws.dynamodb import put_action
from orderwatch.deadlines.rules import Deadline, DeadlineRules, DeadlineState
from orderwatch.errors import PollSupersededError
from orderwatch.ownership import Ownership
from orderwatch.polling.detect import Observation, OrderWrite, Reason, detect
from orderwatch.reading.cursor import Cursor
from orderwatch.reading.window import BacklogCount, Progress, WindowKind, baseline_window
from orderwatch.records import ConnectionState, OlderCopy, StoredOrder, Syncs
from orderwatch.trackstar.orders import Order, Version, VersionClock
from tests.support.clocks import NOON, FakeClock
from tests.support.cloud import Tables
from tests.support.polls import WATCHED

SECOND, MINUTE, DAY = timedelta(seconds=1), timedelta(minutes=1), timedelta(days=1)
SHOP = AlertConnection(id="conn_a")
UNKNOWN = AlertKey("conn_a", "unknown")
OBSERVED = Observation(
    connection=SHOP,
    observed_at=NOON + 60 * MINUTE,
    window=WindowKind.INCREMENTAL,
    watch_started_at=None,
    data_as_of=None,
)
BARE = StoredOrder(
    status="open",
    raw_status=None,
    version=Version(NOON, VersionClock.TRACKSTAR),
    status_since=NOON,
    order_number="#1",
    needs_attention=False,
)
DUE, LATER = Deadline(NOON + DAY, "order.late"), Deadline(NOON + 2 * DAY, "order.stuck")
ANA = Ownership("Ana", NOON)
FULL = StoredOrder(
    status="exception",
    raw_status="on hold ü",
    version=Version(NOON + MINUTE, VersionClock.SHOP),
    status_since=NOON - DAY,
    order_number="#2",
    needs_attention=True,
    changes=3,
    status_alert_id="alert-1",
    ship_by=NOON + DAY,
    deadline_state=DeadlineState(LATER, DUE, "alert-2", reminder_at=NOON + 3 * MINUTE, reminders=2),
    deadline_rules="ffd11f46a509ab89",
    extract='{"currency":"EUR"}',
    older_copy=OlderCopy("open", 2, NOON),
    restocked_at=NOON,
    ownership=Ownership("Ana", NOON, snoozed_until=NOON + MINUTE, note="asked the supplier"),
)
REMINDED = replace(FULL, deadline_state=DeadlineState(due=DUE, reminder_at=NOON + 3 * DAY), ownership=ANA)


@pytest.fixture(autouse=True)
def clock() -> FakeClock:
    fake_clock = FakeClock(NOON)
    process_clock.use(fake_clock)
    return fake_clock


def seen(order_id: str, status: str = "exception", *, minute: int = 0, stored: StoredOrder | None = None) -> OrderWrite:
    """The write of an order that is observed in this status."""
    order = Order(id=order_id, status=status, trackstar_updated_date=NOON + minute * MINUTE)
    write = detect(order, stored, observation=OBSERVED, policy=WATCHED)
    assert isinstance(write, OrderWrite)
    return write


def row_of(stored: StoredOrder, order_id: str = "1", *, expected: StoredOrder | None = None) -> OrderWrite:
    return OrderWrite(order_id, expected, stored, alert=None, reason=Reason.STATUS_CHANGED)


def commit(
    tables: Tables, *writes: OrderWrite, state: ConnectionState | None = None, alerts: tuple[Alert, ...] = ()
) -> list[OrderWrite]:
    return tables.store.commit(state or tables.store.load(SHOP.id), writes=writes, alerts=alerts)


def read(tables: Tables, order_id: str) -> StoredOrder | None:
    return tables.orders.read(SHOP.id, [order_id]).get(order_id)


def stale_alert(minute: int = 0) -> Alert:
    return connection_alert(KIND_STALE, connection=SHOP, since=NOON + minute * MINUTE, detail="No sync.")


def put(tables: Tables, *order_ids: str) -> list[AlertKey]:
    """Alerts in the outbox, by their keys."""
    writes = [seen(order_id) for order_id in order_ids]
    commit(tables, *writes)
    return [write.alert.key for write in writes if write.alert]


def put_row(tables: Tables, table: str, row: Mapping[str, Any], *, key: str) -> None:
    """A row as no adapter writes it."""
    action: Any = put_action(tables.names[table], row, condition=f"attribute_not_exists({key})", values={})
    tables.client.transact_write_items(TransactItems=[action])


# Orders


@pytest.mark.parametrize(
    "stored",
    [BARE, FULL, REMINDED, replace(REMINDED, deadline_state=DeadlineState(reminder_at=NOON))],
    ids=["with few attributes", "with all attributes", "with a reminder after a deadline", "with only a reminder"],
)
def test_an_order_is_read_as_it_was_written(tables: Tables, stored: StoredOrder) -> None:
    assert commit(tables, row_of(stored)) == []
    assert read(tables, "1") == stored


@pytest.mark.parametrize(
    ("stored", "change"),
    [
        (BARE, {"version": Version(NOON + MINUTE, VersionClock.TRACKSTAR)}),
        (BARE, {"version": Version(NOON, VersionClock.SHOP)}),
        (BARE, {"status": "processing"}),
        (BARE, {"changes": 2}),
        (BARE, {"deadline_state": DeadlineState(due=DUE)}),
        (FULL, {"deadline_state": DeadlineState(due=DUE)}),
        (FULL, {"deadline_state": DeadlineState()}),
        (FULL, {"deadline_state": FULL.deadline_state._replace(reminder_at=NOON)}),
        (BARE, {"ownership": ANA}),
        (FULL, {"ownership": ANA}),
        (FULL, {"ownership": None}),
    ],
    ids=[
        *("version", "clock", "status", "changes", "a deadline", "another deadline", "no deadline"),
        *("another reminder", "an owner", "another owner", "no owner"),
    ],
)
def test_a_write_loses_if_the_row_has_changed(tables: Tables, stored: StoredOrder, change: dict[str, Any]) -> None:
    commit(tables, row_of(stored))
    write = row_of(replace(BARE, status="fulfilled"), expected=replace(stored, **change))
    assert commit(tables, write) == [write]
    assert read(tables, "1") == stored
    assert commit(tables, replace(write, expected=stored)) == []
    assert read(tables, "1") == write.stored


RULES = DeadlineRules(ZoneInfo("UTC"), reminder_hours=24)


@pytest.mark.parametrize("rules", [RULES, replace(RULES, reminder_hours=0), None])
@pytest.mark.parametrize("after", [ANA, FULL.ownership, None], ids=["taken", "snoozed", "released"])
@pytest.mark.parametrize("before", [FULL, REMINDED, replace(BARE, needs_attention=True)])
def test_ownership_and_the_next_reminder_are_one_write(
    tables: Tables, before: StoredOrder, after: Ownership | None, rules: DeadlineRules | None
) -> None:
    commit(tables, row_of(before))
    owned = before.with_ownership(after, rules, at=NOON)
    assert tables.orders.set_ownership(SHOP.id, "1", owned, expected=before)
    assert read(tables, "1") == owned
    assert tables.orders.needing_attention(SHOP.id) == {"1": owned}
    due_at = owned.deadline_state.due_at
    assert tables.orders.due(SHOP.id, NOON + 9 * DAY) == (["1"] if due_at else [])


@pytest.mark.parametrize(
    "actual",
    [
        replace(FULL, needs_attention=False),
        replace(FULL, status="backordered"),
        replace(FULL, changes=5),
        replace(FULL, ownership=ANA),
        replace(FULL, ownership=None),
        replace(FULL, deadline_state=DeadlineState(due=DUE)),
        None,
    ],
    ids=["recovered", "another status", "and back", "another owner", "released", "another deadline", "no row"],
)
def test_ownership_of_an_order_that_has_changed_is_not_written(tables: Tables, actual: StoredOrder | None) -> None:
    if actual:
        commit(tables, row_of(actual))
    owned = FULL.with_ownership(ANA, RULES, at=NOON)
    assert not tables.orders.set_ownership(SHOP.id, "1", owned, expected=FULL)
    assert read(tables, "1") == actual


def test_a_newer_version_of_the_same_status_can_be_taken(tables: Tables) -> None:
    newer = replace(FULL, version=Version(NOON + 2 * MINUTE, VersionClock.SHOP))
    commit(tables, row_of(newer))
    assert tables.orders.set_ownership(SHOP.id, "1", FULL.with_ownership(ANA, RULES, at=NOON), expected=FULL)
    assert read(tables, "1") == newer.with_ownership(ANA, RULES, at=NOON)


def test_a_new_row_loses_if_one_exists(tables: Tables) -> None:
    commit(tables, row_of(BARE))
    assert commit(tables, row_of(FULL)) == [row_of(FULL)]


def test_the_same_order_id_in_two_shops_is_two_rows(tables: Tables) -> None:
    commit(tables, row_of(BARE))
    commit(tables, row_of(FULL), state=ConnectionState(connection_id="conn_b"))
    assert [tables.orders.read(shop, ["1"])["1"] for shop in ("conn_a", "conn_b")] == [BARE, FULL]


def test_the_attention_index_lists_open_problems_oldest_first(tables: Tables) -> None:
    late, early = seen("late", minute=3), seen("early", minute=1)
    due = row_of(replace(BARE, deadline_state=DeadlineState(due=DUE)), "due")
    commit(tables, late, early, row_of(BARE, "calm"), due)
    commit(tables, seen("1"), state=ConnectionState(connection_id="conn_b"))
    found = tables.orders.needing_attention(SHOP.id)
    assert list(found.items()) == [("early", early.stored), ("late", late.stored)]
    assert tables.store.needing_attention(SHOP.id) == found
    assert tables.orders.count_needing_attention(SHOP.id) == 2

    commit(tables, seen("early", "processing", minute=4, stored=early.stored))
    commit(tables, seen("late", "cancelled", minute=5, stored=late.stored))
    assert tables.orders.needing_attention(SHOP.id) == {}
    assert tables.orders.count_needing_attention(SHOP.id) == 0


def test_the_due_index_lists_deadlines_until_a_moment(tables: Tables) -> None:
    rows = {
        name: replace(BARE, deadline_state=DeadlineState(due=Deadline(NOON + minutes * MINUTE, "order.late")))
        for name, minutes in (("third", 3), ("first", 1), ("second", 2))
    }
    commit(tables, *(row_of(stored, name) for name, stored in rows.items()), row_of(BARE, "calm"))
    assert tables.orders.due(SHOP.id, NOON + 2 * MINUTE) == ["first", "second"]
    assert tables.orders.due_rows(SHOP.id, NOON + 2 * MINUTE) == {name: rows[name] for name in ("first", "second")}
    assert tables.orders.due("conn_b", NOON + DAY) == []


# A transition and its alert are one write


def test_an_existing_alert_is_kept_and_the_order_written(tables: Tables) -> None:
    write = seen("1")
    assert write.alert
    commit(tables, write)
    tables.alerts.mark_sent({write.alert.key: "m1"})
    back = replace(seen("1", "open", minute=1, stored=write.stored), alert=None)
    commit(tables, back)
    again = replace(write, expected=back.stored)
    assert commit(tables, again) == []
    assert read(tables, "1") == again.stored
    assert tables.alert_ids() == [write.alert.alert_id]
    assert tables.alerts.unsent([write.alert.key]) == []


def test_lost_writes_are_returned_and_the_state_is_not_written(tables: Tables) -> None:
    commit(tables, seen("1", "open"), seen("2", "open"))
    state = tables.store.load(SHOP.id)
    lost, fine, new = seen("1"), seen("2", minute=1, stored=read(tables, "2")), seen("3")
    assert commit(tables, lost, fine, new, alerts=(stale_alert(),)) == [lost]
    assert tables.store.load(SHOP.id) == state
    assert [read(tables, order_id) for order_id in "23"] == [fine.stored, new.stored]
    assert sorted(tables.alert_ids()) == sorted(write.alert.alert_id for write in (fine, new) if write.alert)


# Connections


def test_a_state_is_read_as_it_was_written_one_revision_on(tables: Tables) -> None:
    progress = Progress(
        window=baseline_window(vendor_now=NOON, days=0),
        began_at=NOON,
        page_token="t",
        backlog=BacklogCount({"exception": 2}),
    )
    state = ConnectionState(
        connection_id=SHOP.id,
        cursor=Cursor(position=NOON, last_read_started_at=NOON, progress=progress),
        syncs=Syncs(frequency=timedelta(minutes=90.5), products_end=NOON),
    )
    assert tables.store.load(SHOP.id) == ConnectionState(connection_id=SHOP.id)
    commit(tables, state=state)
    assert tables.store.load(SHOP.id) == state.committed()
    assert "NULL" not in str(tables.rows("ConnectionTable")), "unknown values take no space"


def test_an_invalid_state_fails_alone(tables: Tables) -> None:
    put_row(tables, "ConnectionTable", {"connection_id": "conn_b", "cursor": "yesterday"}, key="connection_id")
    commit(tables)
    assert tables.connections.load_all(["conn_a", "conn_b", "conn_c"]) == {"conn_a": tables.store.load("conn_a")}
    with pytest.raises(ValueError, match="cursor"):
        tables.store.load("conn_b")
    assert tables.connections.connection_ids() == ["conn_a", "conn_b"]


def test_the_registry_has_the_connections_that_are_watched(tables: Tables, clock: FakeClock) -> None:
    put_row(tables, "ConnectionTable", {"connection_id": "conn_x", "cursor": "yesterday"}, key="connection_id")
    commit(tables, state=ConnectionState(connection_id=ALL_SHOPS))
    for connection_id in ("conn_c", "conn_a", "conn_b"):
        tables.connections.watch(connection_id)
    tables.connections.unwatch("conn_b")
    tables.connections.unwatch("conn_never_watched")
    listing = Listing(NOON, failures=2, page_token="t")
    assert tables.connections.save_listing(listing, after=Listing())
    found = tables.connections.registry()
    assert (found.watched, found.listing) == (("conn_a", "conn_c", "conn_x"), listing)
    assert found.states.keys() == {"conn_a", "conn_b", "conn_c"}
    assert found.states["conn_b"].disconnected_at == NOON
    assert tables.connections.connection_ids() == ["conn_a", "conn_b", "conn_c", "conn_x"]


def test_a_connection_continues_from_its_cursor_after_a_reconnection(tables: Tables) -> None:
    state = ConnectionState(connection_id=SHOP.id, cursor=Cursor(position=NOON))
    commit(tables, state=state)
    tables.connections.watch(SHOP.id)
    assert tables.store.load(SHOP.id) == state.committed(), "it is watched already"
    tables.connections.unwatch(SHOP.id)
    with pytest.raises(PollSupersededError):
        commit(tables, state=state.committed())
    tables.connections.watch(SHOP.id)
    assert tables.store.load(SHOP.id) == replace(state, revision=3)


def test_only_one_of_two_writers_saves_the_listing(tables: Tables) -> None:
    first, second = Listing(NOON), Listing(NOON + MINUTE, failures=1)
    assert [tables.connections.save_listing(each, after=Listing()) for each in (first, second)] == [True, False]
    assert [tables.connections.save_listing(each, after=first) for each in (second, first)] == [True, False]
    assert tables.connections.registry().listing == second


@pytest.mark.parametrize("count", [0, 1], ids=["without writes", "with one write"])
def test_a_poll_whose_state_was_overtaken_writes_nothing(tables: Tables, count: int) -> None:
    state = tables.store.load(SHOP.id)
    commit(tables, state=state)
    with pytest.raises(PollSupersededError):
        commit(tables, *(seen(str(number)) for number in range(count)), state=state)
    assert tables.store.load(SHOP.id).revision == 1
    assert tables.rows("OrderTable") == tables.rows("AlertTable") == []


# The outbox


def test_unsent_alerts_are_returned_in_the_order_of_their_keys(tables: Tables) -> None:
    made = put(tables, "0", "1", "2")
    for keys in (made, made[::-1]):
        assert [alert.key for alert in tables.alerts.unsent([*keys, UNKNOWN])] == keys
    assert tables.alerts.unsent(made[:1]) == [seen("0").alert]


def test_an_alert_is_put_once_with_its_snapshot(tables: Tables) -> None:
    assert tables.alerts.put(stale_alert(), snapshot="{}")
    assert not tables.alerts.put(stale_alert())
    assert tables.alerts.written_since(SHOP.id, NOON) == [(stale_alert(), "{}")]


def test_a_lease_has_one_owner_for_310_seconds(tables: Tables, clock: FakeClock) -> None:
    keys = set(put(tables, "1", "2"))
    assert tables.alerts.acquire(keys, owner="one") == keys
    assert tables.alerts.acquire(keys, owner="one") == keys, "the response of the first request may have been lost"
    clock.advance(309 * SECOND)
    assert tables.alerts.acquire(keys, owner="another") == set()
    clock.advance(SECOND)
    assert tables.alerts.acquire(keys, owner="another") == keys


def test_alerts_that_cannot_be_leased_do_not_stop_the_others(tables: Tables) -> None:
    leased, sent, *free = keys = put(tables, *map(str, range(6)))
    tables.alerts.acquire([leased], owner="another")
    tables.alerts.mark_sent({sent: "m1"})
    assert tables.alerts.acquire([*keys, UNKNOWN], owner="one") == set(free)
    assert [row.attempts for row in tables.alerts.rows(free)] == [1, 1, 1, 1]
    tables.alerts.release(keys, owner="one")
    assert tables.alerts.acquire(keys, owner="third") == set(free)


def test_only_the_owner_releases_a_lease(tables: Tables) -> None:
    keys = put(tables, "1")
    tables.alerts.acquire(keys, owner="one")
    tables.alerts.release(keys, owner="another")
    assert not tables.alerts.acquire(keys, owner="another")
    tables.alerts.release(keys, owner="one")
    assert tables.alerts.acquire(keys, owner="another")


def test_a_sent_alert_is_not_pending_not_leased_and_expires(tables: Tables, clock: FakeClock) -> None:
    [key] = put(tables, "1")
    assert "expires_at" not in tables.rows("AlertTable")[0]
    tables.alerts.acquire([key], owner="one")
    clock.advance(MINUTE)
    tables.alerts.mark_sent({key: "m1"})
    tables.alerts.release([key], owner="one")
    assert tables.alerts.unsent([key]) == []
    assert not tables.alerts.acquire([key], owner="one")
    assert list(tables.alerts.pending_since_before(clock.now())) == []

    [row] = tables.alerts.rows([key])
    assert (row.state, row.message_id, row.attempts, row.sent_at) == ("sent", "m1", 1, NOON + MINUTE)
    [stored] = tables.rows("AlertTable")
    assert stored["expires_at"] == {"N": str(int((NOON + MINUTE + 90 * DAY).timestamp()))}
    assert stored.keys().isdisjoint({"pending", "leased_until", "lease_owner"})


def test_a_missing_alert_can_be_neither_leased_nor_marked(tables: Tables) -> None:
    assert not tables.alerts.acquire([UNKNOWN], owner="one")
    tables.alerts.mark_sent({UNKNOWN: "m1"})
    tables.alerts.release([UNKNOWN], owner="one")
    assert tables.rows("AlertTable") == []


def test_alerts_pending_for_long_are_listed_oldest_first(tables: Tables, clock: FakeClock) -> None:
    made = []
    for minute in range(3):
        made += put(tables, str(minute))
        clock.advance(MINUTE)
    assert list(tables.alerts.pending_since_before(NOON + 2 * MINUTE)) == made[:2]
    assert list(tables.alerts.pending_since_before(NOON)) == []


def test_pending_alerts_spread_over_sixteen_partitions(tables: Tables) -> None:
    made = put(tables, *map(str, range(200)))
    sizes = Counter(row["pending"]["S"] for row in tables.rows("AlertTable"))
    assert (len(sizes), sizes.total()) == (16, 200)
    assert max(sizes.values()) <= 50, "one partition takes 1,000 writes a second"
    assert set(tables.alerts.pending_since_before(NOON + MINUTE)) == set(made)


def test_an_alert_of_another_release_affects_no_other(tables: Tables) -> None:
    row = {"state": "pending", "pending": "pending", "created_at": NOON.isoformat(), "attempts": 0, "kind": "new.kind"}
    put_row(tables, "AlertTable", {**UNKNOWN._asdict(), **row, "alert": "{}"}, key="alert_id")
    [key] = put(tables, "1")
    assert set(tables.alerts.pending_since_before(NOON + MINUTE)) == {UNKNOWN, key}
    assert [alert.key for alert in tables.alerts.unsent([UNKNOWN, key])] == [key]
    assert [alert.key for alert in tables.alerts.alerts_since(SHOP.id, NOON)] == [key]
    [unknown] = tables.alerts.rows([UNKNOWN])
    assert (unknown.kind, unknown.alert, unknown.order_id, unknown.sent_at) == ("new.kind", None, None, None)


@pytest.fixture
def written(tables: Tables, clock: FakeClock) -> list[AlertKey]:
    """Alerts of three connections, a minute apart; the third one was sent."""
    alerts = [
        stale_alert(minute).model_copy(update={"connection_id": connection_id})
        for minute, connection_id in enumerate(("conn_a", "conn_b", "conn_a", "conn_c"))
    ]
    for alert in alerts:
        tables.alerts.put(alert)
        clock.advance(MINUTE)
    keys = [alert.key for alert in alerts]
    tables.alerts.mark_sent({keys[2]: "m1"})
    return keys


def test_recent_alerts_of_connections_are_listed_newest_first(tables: Tables, written: list[AlertKey]) -> None:
    first, second, third, _ = written
    shops = ["conn_a", "conn_b"]
    assert [row.key for row in tables.alerts.recent(shops)] == [third, second, first]
    assert [row.key for row in tables.alerts.recent(shops, since=NOON + MINUTE)] == [third, second]
    assert [alert.key for alert in tables.alerts.alerts_since(SHOP.id, NOON)] == [third, first]
    assert [alert.key for alert in tables.alerts.alerts_since(SHOP.id, NOON + SECOND)] == [third]


def test_recent_pending_alerts_exclude_sent_ones(tables: Tables, written: list[AlertKey]) -> None:
    first, second, _, fourth = written
    assert [row.key for row in tables.alerts.recent_pending()] == [fourth, second, first]
    assert [row.key for row in tables.alerts.recent_pending(since=NOON + MINUTE)] == [fourth, second]


def test_the_row_of_an_alert_names_its_order(tables: Tables) -> None:
    commit(tables, seen("1", "open"))
    write = seen("1", minute=1, stored=read(tables, "1"))
    assert write.alert
    commit(tables, write)
    [row] = tables.alerts.rows([UNKNOWN, write.alert.key])
    assert (row.key, row.kind, row.alert) == (write.alert.key, "order.exception", write.alert)
    assert (row.order_id, row.status, row.previous_status) == ("1", "exception", "open")
    assert (row.state, row.created_at, row.attempts) == ("pending", NOON, 0)
    assert "null" not in str(tables.rows("AlertTable")), "unknown values take no space"
