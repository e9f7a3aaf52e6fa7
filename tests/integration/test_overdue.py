"""Deadlines in the tables: due rows, rows that need attention, and one write per deadline."""

from collections.abc import Iterator
from copy import replace
from datetime import datetime, timedelta

import boto3
import pytest

from orderwatch.alerts.alert import Alert
from orderwatch.alerts.kinds import KIND_AT_RISK, KIND_LATE, severity_of
from orderwatch.alerts.parts import AlertConnection
from orderwatch.deadlines.rules import Deadline, DeadlineState
from orderwatch.polling.detect import OrderWrite, Reason
from orderwatch.reading.cursor import Cursor, DeadlineWatch
from orderwatch.records import ConnectionState, Extract, StoredOrder
from orderwatch.trackstar.orders import OrderDetails, Version, VersionClock
from tests.integration.conftest import OTHER_DYNAMODB
from tests.support.clocks import NOON
from tests.support.cloud import Tables, create_tables
from tests.support.memory_dynamodb import MemoryDynamoDB

HOUR = timedelta(hours=1)
SHOP = AlertConnection(id="conn_a")
LATE = Deadline(NOON, KIND_LATE)
OPEN = StoredOrder(
    status="open",
    raw_status=None,
    version=Version(NOON - HOUR, VersionClock.TRACKSTAR),
    status_since=NOON - HOUR,
    order_number="#1",
    needs_attention=False,
    ship_by=NOON,
    deadline_state=DeadlineState(due=LATE),
)
PASSED = replace(OPEN, needs_attention=True, deadline_state=DeadlineState(passed=LATE, deadline_alert_id="late-1"))


@pytest.fixture(params=["memory", "moto", *(["endpoint"] if OTHER_DYNAMODB else [])])
def tables(request: pytest.FixtureRequest, aws: None) -> Iterator[Tables]:
    if request.param == "memory":
        client = MemoryDynamoDB().as_client()
    else:
        client = boto3.client("dynamodb", endpoint_url=OTHER_DYNAMODB if request.param == "endpoint" else None)
    yield from create_tables(client)


def due(at: datetime) -> StoredOrder:
    return replace(OPEN, deadline_state=DeadlineState(due=Deadline(at, KIND_LATE)))


def write(order_id: str, stored: StoredOrder, *, expected: StoredOrder | None = None, alert_id: str = "") -> OrderWrite:
    severity = severity_of(KIND_LATE)
    alert = Alert(alert_id=alert_id, kind=KIND_LATE, severity=severity, connection_id=SHOP.id, connection=SHOP)
    late = alert if alert_id else None
    return OrderWrite(order_id, expected, stored, alert=None, reason=Reason.STATE, deadline_alert=late)


def commit(tables: Tables, *writes: OrderWrite, connection_id: str = SHOP.id) -> list[OrderWrite]:
    return tables.store.commit(tables.store.load(connection_id), writes=writes, alerts=())


def read(tables: Tables, order_id: str) -> StoredOrder:
    return tables.store.stored_orders(SHOP.id, [order_id])[order_id]


def test_a_row_keeps_its_deadlines_and_its_extract(tables: Tables) -> None:
    extract = Extract.of(OrderDetails(invoice_currency_code="EUR", external_system_url="https://admin.example/1"))
    warned = DeadlineState(LATE, Deadline(NOON - 24 * HOUR, KIND_AT_RISK), "alert-1")
    row = replace(OPEN, deadline_state=warned, extract=extract.to_json())
    commit(tables, write("1", row))
    assert read(tables, "1") == row
    assert Extract.from_json(read(tables, "1").extract or "") == extract


def test_overdue_orders_are_listed_earliest_first(tables: Tables) -> None:
    commit(
        tables,
        write("now", OPEN),
        write("later", due(NOON + timedelta(seconds=1))),
        write("long ago", due(NOON - 48 * HOUR)),
        write("just before", due(NOON - timedelta(microseconds=1))),
        write("passed", PASSED),
    )
    commit(tables, write("another shop's", OPEN), connection_id="conn_b")
    assert tables.store.due_orders(SHOP.id, NOON) == ["long ago", "just before", "now"]
    assert tables.store.due_orders("conn_b", NOON) == ["another shop's"]
    assert tables.store.due_orders("conn_c", NOON) == []
    assert list(tables.summaries.needing_attention(SHOP.id)) == ["passed"]


def test_a_deadline_and_its_alert_are_one_write_made_once(tables: Tables) -> None:
    commit(tables, write("1", OPEN))
    assert commit(tables, write("1", PASSED, expected=OPEN, alert_id="late-1")) == []
    assert (read(tables, "1"), tables.alert_ids()) == (PASSED, ["late-1"])

    again = write("1", PASSED, expected=OPEN, alert_id="another")
    assert commit(tables, again) == [again], "the row is no longer due"
    assert tables.alert_ids() == ["late-1"]


def test_a_deadline_is_not_written_if_the_ship_by_moved(tables: Tables) -> None:
    moved = due(NOON + HOUR)
    commit(tables, write("1", moved))
    late = write("1", PASSED, expected=OPEN, alert_id="late-1")
    assert commit(tables, late) == [late]
    assert (read(tables, "1"), tables.alert_ids()) == (moved, [])


def test_a_connection_stores_the_rules_of_its_deadlines(tables: Tables) -> None:
    cursor = Cursor(deadlines=DeadlineWatch("abc", NOON))
    state = ConnectionState(connection_id=SHOP.id, cursor=cursor, settings_flaw="x")
    tables.store.commit(state, writes=(), alerts=())
    assert tables.store.load(SHOP.id) == state.committed()
