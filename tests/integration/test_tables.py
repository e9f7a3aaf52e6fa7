"""Contract of the table adapters: against memory, moto, and the DynamoDB at AWS_ENDPOINT_URL_DYNAMODB."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import boto3
import pytest

from orderwatch import clock as process_clock
from orderwatch.alerts.alert import Alert, AlertKey, connection_alert
from orderwatch.alerts.kinds import KIND_STALE
from orderwatch.alerts.parts import AlertConnection
from orderwatch.aws.alert_table import KEPT_AFTER_SENT, LEASE_DURATION
from orderwatch.errors import PollSupersededError
from orderwatch.polling.detect import Observation, OrderWrite, detect
from orderwatch.reading.cursor import Cursor
from orderwatch.reading.window import BacklogCount, Progress, WindowKind, baseline_window
from orderwatch.records import ConnectionState, StoredOrder, Syncs
from orderwatch.trackstar.orders import Order, Version, VersionClock
from tests.integration.conftest import OTHER_DYNAMODB
from tests.support.alerts import first_sight
from tests.support.clocks import ManualClock
from tests.support.cloud import Tables, create_tables
from tests.support.memory_dynamodb import MemoryDynamoDB
from tests.support.polls import WATCHED

NOON = datetime(2026, 1, 5, 12, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
SHOP = AlertConnection(id="conn_a")
UNKNOWN = AlertKey("conn_a", "unknown")
OBSERVED = Observation(
    connection=SHOP,
    observed_at=NOON + 60 * MINUTE,
    window=WindowKind.INCREMENTAL,
    watch_started_at=None,
    data_as_of=None,
)
COUNTERPARTS = ["memory", "moto", *(["endpoint"] if OTHER_DYNAMODB else [])]


@pytest.fixture
def clock() -> ManualClock:
    manual_clock = ManualClock(NOON)
    process_clock.use(manual_clock)
    return manual_clock


@pytest.fixture(params=COUNTERPARTS)
def tables(request: pytest.FixtureRequest, aws: None, clock: ManualClock) -> Iterator[Tables]:
    if request.param == "memory":
        client = MemoryDynamoDB().as_client()
    else:
        client = boto3.client("dynamodb", endpoint_url=OTHER_DYNAMODB if request.param == "endpoint" else None)
    yield from create_tables(client)


def order(order_id: str, status: str = "exception", *, minute: int = 0, raw_status: str | None = None) -> Order:
    changed = NOON + minute * MINUTE
    return Order(id=order_id, status=status, raw_status=raw_status, trackstar_updated_date=changed)


def seen(order: Order, stored: StoredOrder | None = None) -> OrderWrite:
    write = detect(order, stored, observation=OBSERVED, policy=WATCHED)
    assert isinstance(write, OrderWrite)
    return write


def first(order_id: str, status: str = "exception") -> OrderWrite:
    return seen(order(order_id, status))


def commit(
    tables: Tables, *writes: OrderWrite, state: ConnectionState | None = None, alerts: tuple[Alert, ...] = ()
) -> list[OrderWrite]:
    state = state or tables.store.load(SHOP.id)
    return tables.store.commit(state, writes=writes, alerts=alerts)


def read(tables: Tables, order_id: str) -> StoredOrder | None:
    return tables.orders.read(SHOP.id, [order_id]).get(order_id)


def connection_alerts_of(minute: int = 0) -> Alert:
    return connection_alert(KIND_STALE, connection=SHOP, since=NOON + minute * MINUTE, detail="No sync.")


def put(tables: Tables, *order_ids: str) -> list[AlertKey]:
    """Alerts in the outbox, by their keys."""
    writes = [first(order_id) for order_id in order_ids]
    commit(tables, *writes)
    return [write.alert.key for write in writes if write.alert]


# Orders


def test_a_row_is_read_as_it_was_written(tables: Tables) -> None:
    write = seen(order("1", "other", raw_status="on hold ü"))
    assert commit(tables, write) == []
    assert read(tables, "1") == write.stored
    watched = seen(order("2"))
    commit(tables, watched)
    assert read(tables, "2") == watched.stored
    assert watched.stored.needs_attention
    assert watched.stored.status_alert_id


def test_of_two_writes_on_the_same_row_the_later_one_loses(tables: Tables) -> None:
    commit(tables, first("1", "open"))
    stored = read(tables, "1")
    faster, slower = seen(order("1", "cancelled", minute=2), stored), seen(order("1", "exception", minute=1), stored)

    assert commit(tables, faster) == []
    assert commit(tables, slower) == [slower]

    assert read(tables, "1") == faster.stored
    assert tables.alert_ids() == [faster.alert.alert_id if faster.alert else None]


@pytest.mark.parametrize(
    "change",
    [
        {"version": Version(NOON + MINUTE, VersionClock.TRACKSTAR)},
        {"version": Version(NOON, VersionClock.SHOP)},
        {"status": "processing"},
    ],
    ids=["another version", "the same moment by another clock", "another status of the same version"],
)
def test_a_write_loses_where_the_row_has(tables: Tables, change: dict[str, object]) -> None:
    commit(tables, first("1", "open"))
    stored = read(tables, "1")
    assert stored
    write = seen(order("1", "cancelled", minute=5), replace(stored, **change))  # type: ignore[arg-type]
    assert commit(tables, write) == [write]
    assert read(tables, "1") == stored
    assert tables.alert_ids() == []


def test_a_new_row_loses_where_one_exists(tables: Tables) -> None:
    commit(tables, first("1", "open"))
    assert [write.order_id for write in commit(tables, first("1", "cancelled"))] == ["1"]


def test_the_same_order_id_in_two_shops_is_two_rows(tables: Tables) -> None:
    commit(tables, first("1", "open"))
    commit(tables, first("1", "fulfilled"), state=ConnectionState(connection_id="conn_b"))
    assert {shop: tables.orders.read(shop, ["1"])["1"].status for shop in ("conn_a", "conn_b")} == {
        "conn_a": "open",
        "conn_b": "fulfilled",
    }


def test_over_a_hundred_rows_are_read_in_several_requests(tables: Tables) -> None:
    ids = [str(number) for number in range(205)]
    commit(tables, *(first(order_id, "open") for order_id in ids[:203]))
    assert sorted(tables.orders.read(SHOP.id, ids), key=int) == ids[:203]
    assert tables.orders.read(SHOP.id, []) == {}


def attention(tables: Tables) -> list[str]:
    pages = tables.client.get_paginator("query").paginate(
        TableName=tables.names["OrderTable"],
        IndexName="attention",
        KeyConditionExpression="connection_id = :shop",
        ExpressionAttributeValues={":shop": {"S": SHOP.id}},
    )
    return [str(item["order_key"]["S"]) for page in pages for item in page["Items"]]


def test_the_attention_index_lists_open_problems_oldest_first(tables: Tables) -> None:
    commit(tables, seen(order("late", minute=3)), seen(order("early", minute=1)), first("calm", "open"))
    assert attention(tables) == ["conn_a#early", "conn_a#late"]
    commit(tables, seen(order("early", "processing", minute=4), read(tables, "early")))
    assert attention(tables) == ["conn_a#late"]
    ended = seen(order("late", "cancelled", minute=5), read(tables, "late"))
    assert ended.alert
    commit(tables, ended)
    assert attention(tables) == []


# A transition and its alert are one write


def test_an_existing_alert_is_kept_and_the_order_written(tables: Tables) -> None:
    write = first("1")
    assert write.alert
    commit(tables, write)
    tables.alerts.mark_sent(write.alert.key, message_id="m1")
    back = replace(seen(order("1", "open", minute=1), write.stored), alert=None)
    commit(tables, back)
    again = replace(write, expected=back.stored)

    assert commit(tables, again) == []

    assert read(tables, "1") == again.stored
    assert tables.alert_ids() == [write.alert.alert_id]
    assert list(tables.alerts.unsent([write.alert.key])) == []


def test_the_alert_of_a_lost_write_is_not_written(tables: Tables) -> None:
    commit(tables, first("1", "open"))
    lost = first("1", "cancelled")
    assert commit(tables, lost) == [lost]
    assert tables.alert_ids() == []


def test_lost_writes_are_returned_and_the_state_is_not_written(tables: Tables) -> None:
    commit(tables, first("1", "open"), first("2", "open"))
    state = tables.store.load(SHOP.id)
    lost, fine, new = first("1"), seen(order("2", minute=1), read(tables, "2")), first("3")

    assert commit(tables, lost, fine, new, alerts=(connection_alerts_of(),)) == [lost]

    assert tables.store.load(SHOP.id) == state
    assert read(tables, "2") == fine.stored
    assert read(tables, "3") == new.stored
    assert sorted(tables.alert_ids()) == sorted(write.alert.alert_id for write in (fine, new) if write.alert)


def test_a_lost_write_in_an_early_transaction_stops_the_state(tables: Tables) -> None:
    commit(tables, first("0", "open"))
    before = tables.store.load(SHOP.id)
    writes = [first(str(number), "processing") for number in range(150)]
    assert [write.order_id for write in commit(tables, *writes)] == ["0"]
    assert tables.store.load(SHOP.id) == before
    assert len(tables.rows("OrderTable")) == 150


@pytest.mark.parametrize(("quiet", "loud"), [(99, 0), (100, 0), (0, 49), (0, 50), (99, 51)])
def test_any_number_of_writes_is_committed_with_alerts_and_state(tables: Tables, quiet: int, loud: int) -> None:
    writes = [first(f"q{number}", "open") for number in range(quiet)] + [first(f"l{number}") for number in range(loud)]
    assert commit(tables, *writes) == []
    assert len(tables.rows("OrderTable")) == quiet + loud
    assert len(tables.rows("AlertTable")) == loud
    assert tables.store.load(SHOP.id).revision == 1


def test_a_commit_without_writes_changes_only_the_state(tables: Tables) -> None:
    assert commit(tables) == []
    assert tables.store.load(SHOP.id).revision == 1
    assert tables.rows("OrderTable") == tables.rows("AlertTable") == []


# Connections


def test_an_unknown_connection_starts_with_a_new_state(tables: Tables) -> None:
    assert tables.store.load("conn_new") == ConnectionState(connection_id="conn_new")


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
        syncs=Syncs(frequency=timedelta(minutes=90)),
    )
    commit(tables, state=state)
    assert tables.store.load(SHOP.id) == state.committed()


@pytest.mark.parametrize("quiet", [True, False], ids=["an empty commit", "one with writes"])
def test_a_poll_whose_state_was_overtaken_gets_an_error(tables: Tables, quiet: bool) -> None:
    state = tables.store.load(SHOP.id)
    commit(tables, state=state)
    with pytest.raises(PollSupersededError):
        commit(tables, *([] if quiet else [first("1")]), state=state)
    assert tables.store.load(SHOP.id).revision == 1
    assert tables.rows("OrderTable") == []


def test_an_existing_connection_alert_does_not_stop_the_state(tables: Tables) -> None:
    commit(tables, alerts=(connection_alerts_of(),))
    commit(tables, alerts=(connection_alerts_of(), connection_alerts_of(1)))
    assert tables.store.load(SHOP.id).revision == 2
    assert len(tables.alert_ids()) == 2


# The outbox


def test_an_alert_is_read_as_it_was_written(tables: Tables) -> None:
    write = first("1")
    commit(tables, write)
    assert list(tables.alerts.unsent(tables.alert_keys())) == [write.alert]
    assert list(tables.alerts.unsent([UNKNOWN])) == []


def test_an_alert_is_leased_to_one_sender_at_a_time(tables: Tables) -> None:
    [key] = put(tables, "1")
    assert tables.alerts.acquire(key, owner="one")
    assert not tables.alerts.acquire(key, owner="another")
    tables.alerts.release(key, owner="one")
    assert tables.alerts.acquire(key, owner="another")


def test_a_lease_expires_after_its_duration(tables: Tables, clock: ManualClock) -> None:
    [key] = put(tables, "1")
    tables.alerts.acquire(key, owner="one")
    clock.advance(LEASE_DURATION - timedelta(seconds=1))
    assert not tables.alerts.acquire(key, owner="another")
    clock.advance(timedelta(seconds=1))
    assert tables.alerts.acquire(key, owner="another")


def test_a_sent_alert_is_not_pending_not_leased_and_expires(tables: Tables, clock: ManualClock) -> None:
    [key] = put(tables, "1")
    tables.alerts.acquire(key, owner="one")
    tables.alerts.mark_sent(key, message_id="m1")
    tables.alerts.release(key, owner="one")

    clock.advance(timedelta(days=1))
    assert list(tables.alerts.unsent([key])) == []
    assert not tables.alerts.acquire(key, owner="one")
    assert list(tables.alerts.pending_since_before(clock.now())) == []
    [row] = tables.rows("AlertTable")
    assert row["state"] == {"S": "sent"}
    assert row["message_id"] == {"S": "m1"}
    assert row["attempts"] == {"N": "1"}
    assert row["expires_at"] == {"N": str(int((NOON + KEPT_AFTER_SENT).timestamp()))}


def test_a_pending_alert_never_expires(tables: Tables) -> None:
    put(tables, "1")
    assert "expires_at" not in tables.rows("AlertTable")[0]


def test_a_missing_alert_can_be_neither_leased_nor_marked(tables: Tables) -> None:
    assert not tables.alerts.acquire(UNKNOWN, owner="one")
    tables.alerts.mark_sent(UNKNOWN, message_id="m1")
    tables.alerts.release(UNKNOWN, owner="one")
    assert tables.rows("AlertTable") == []


def test_alerts_pending_for_long_are_listed_oldest_first(tables: Tables, clock: ManualClock) -> None:
    made = []
    for minute in range(3):
        made += put(tables, f"order {minute}")
        clock.advance(MINUTE)
    assert list(tables.alerts.pending_since_before(NOON + 2 * MINUTE)) == made[:2]
    assert list(tables.alerts.pending_since_before(NOON)) == []


def test_a_long_list_of_pending_alerts_is_complete(tables: Tables, clock: ManualClock) -> None:
    made = put(tables, *(f"order {number}" for number in range(130)))
    assert sorted(tables.alerts.pending_since_before(clock.now() + MINUTE)) == sorted(made)


def test_over_a_hundred_alerts_are_read_in_several_requests(tables: Tables) -> None:
    made = put(tables, *(f"order {number}" for number in range(130)))
    assert [alert.key for alert in tables.alerts.unsent(made)] == made


def test_alerts_are_returned_in_the_requested_order(tables: Tables) -> None:
    made = put(tables, *(f"order {number}" for number in range(5)))
    for keys in (made, made[::-1], sorted(made)):
        assert [alert.key for alert in tables.alerts.unsent(keys)] == keys


def test_the_same_alert_id_of_two_connections_is_two_alerts(tables: Tables) -> None:
    alert = connection_alerts_of()
    twin = alert.model_copy(update={"connection_id": "conn_b"})
    commit(tables, alerts=(alert, twin))
    tables.alerts.mark_sent(alert.key, message_id="m1")
    assert list(tables.alerts.unsent([alert.key, twin.key])) == [twin]


def test_an_overtaken_poll_writes_nothing(tables: Tables) -> None:
    overtaken = ConnectionState(connection_id="conn_a")
    tables.store.commit(overtaken, writes=[], alerts=[])
    writes = [first_sight(f"o{number}") for number in range(150)]
    with pytest.raises(PollSupersededError):
        tables.store.commit(overtaken, writes=writes, alerts=[])
    assert tables.rows("OrderTable") == []
    assert tables.alert_ids() == []
