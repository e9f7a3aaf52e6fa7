"""Deadlines in the tables: due rows, rows that need attention, and one write per deadline."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import boto3
import pytest

from orderwatch.alerts.alert import Alert
from orderwatch.alerts.kinds import KIND_AT_RISK, KIND_LATE, severity_of
from orderwatch.alerts.parts import AlertConnection
from orderwatch.deadlines.rules import Deadline, DeadlineState
from orderwatch.polling.detect import OrderWrite, Reason
from orderwatch.reading.cursor import Cursor, DeadlineWatch
from orderwatch.reading.policy import Policy
from orderwatch.records import ConnectionState, Extract, StoredOrder
from orderwatch.trackstar.orders import OrderDetails, Version, VersionClock
from tests.integration.conftest import OTHER_DYNAMODB
from tests.support.cloud import Tables, create_tables
from tests.support.memory_dynamodb import MemoryDynamoDB

NOON = datetime(2026, 1, 5, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)
SHOP = AlertConnection(id="conn_a")
WATCHED = Policy(frozenset({"exception", "backordered", "on_hold", "cancelled", "fulfilled"}))
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
EXTRACT = Extract.of(
    OrderDetails.model_validate(
        {
            "external_system_url": "https://admin.example/1",
            "invoice_currency_code": "eur",
            "total_price": 12.5,
            "line_items": [{"product_sku": f"SKU-{each}", "quantity": each} for each in range(25)],
        }
    )
)


@pytest.fixture(params=["memory", "moto", *(["endpoint"] if OTHER_DYNAMODB else [])])
def tables(request: pytest.FixtureRequest, aws: None) -> Iterator[Tables]:
    if request.param == "memory":
        client = MemoryDynamoDB().as_client()
    else:
        client = boto3.client("dynamodb", endpoint_url=OTHER_DYNAMODB if request.param == "endpoint" else None)
    yield from create_tables(client)


def alert(alert_id: str = "late-1") -> Alert:
    severity = severity_of(KIND_LATE)
    return Alert(alert_id=alert_id, kind=KIND_LATE, severity=severity, connection_id=SHOP.id, connection=SHOP)


def commit(tables: Tables, *writes: OrderWrite, connection_id: str = SHOP.id) -> list[OrderWrite]:
    state = tables.store.load(connection_id)
    return tables.store.commit(state, writes=writes, alerts=())


def write(
    order_id: str, stored: StoredOrder, *, expected: StoredOrder | None = None, deadline_alert: Alert | None = None
) -> OrderWrite:
    return OrderWrite(order_id, expected, stored, alert=None, reason=Reason.DEADLINE, deadline_alert=deadline_alert)


def read(tables: Tables, order_id: str) -> StoredOrder:
    return tables.store.stored_orders(SHOP.id, [order_id])[order_id]


def indexed(tables: Tables, index: str) -> list[str]:
    pages = tables.client.get_paginator("query").paginate(
        TableName=tables.names["OrderTable"],
        IndexName=index,
        KeyConditionExpression="connection_id = :shop",
        ExpressionAttributeValues={":shop": {"S": SHOP.id}},
    )
    return [str(item["order_key"]["S"]) for page in pages for item in page["Items"]]


def test_a_row_keeps_its_deadlines_and_its_extract(tables: Tables) -> None:
    at_risk = Deadline(NOON - 24 * HOUR, KIND_AT_RISK)
    row = replace(OPEN, deadline_state=DeadlineState(LATE, at_risk, "alert-1"), extract=EXTRACT.to_json())
    commit(tables, write("1", row))
    assert read(tables, "1") == row
    kept = Extract.from_json(read(tables, "1").extract or "")
    assert kept == EXTRACT
    assert (len(kept.lines), kept.more_lines, kept.currency, kept.url) == (20, 5, "EUR", "https://admin.example/1")


def test_overdue_orders_are_listed_earliest_first(tables: Tables) -> None:
    def due(at: datetime) -> StoredOrder:
        return replace(OPEN, deadline_state=DeadlineState(due=Deadline(at, KIND_LATE)))

    commit(
        tables,
        write("now", due(NOON)),
        write("later", due(NOON + timedelta(seconds=1))),
        write("long ago", due(NOON - 48 * HOUR)),
        write("just before", due(NOON - timedelta(microseconds=1))),
        write("never", replace(OPEN, deadline_state=DeadlineState())),
    )
    commit(tables, write("another shop's", OPEN), connection_id="conn_b")
    assert tables.store.due_orders(SHOP.id, NOON) == ["long ago", "just before", "now"]
    assert tables.store.due_orders("conn_b", NOON) == ["another shop's"]
    assert tables.store.due_orders("conn_c", NOON) == []


def test_a_late_order_needs_attention_and_a_due_one_does_not(tables: Tables) -> None:
    late = DeadlineState(passed=LATE)
    row = replace(OPEN, needs_attention=WATCHED.needs_attention("open", late), deadline_state=late)
    commit(tables, write("due", OPEN), write("late", row))
    assert indexed(tables, "due") == ["conn_a#due"]
    assert indexed(tables, "attention") == ["conn_a#late"]


@pytest.mark.parametrize(
    ("status", "needs_attention"),
    [("exception", True), ("backordered", True), ("on_hold", True), ("cancelled", False), ("fulfilled", False)],
)
def test_an_order_in_a_final_status_needs_no_attention(tables: Tables, status: str, *, needs_attention: bool) -> None:
    commit(
        tables,
        write(
            "1",
            replace(
                OPEN, status=status, needs_attention=WATCHED.needs_attention(status), deadline_state=DeadlineState()
            ),
        ),
    )
    assert indexed(tables, "attention") == (["conn_a#1"] if needs_attention else [])


def test_a_deadline_and_its_alert_are_one_write_made_once(tables: Tables) -> None:
    commit(tables, write("1", OPEN))
    after = replace(OPEN, deadline_state=DeadlineState(passed=LATE, deadline_alert_id="late-1"))
    first = write("1", after, expected=OPEN, deadline_alert=alert())
    assert commit(tables, first) == []
    assert (read(tables, "1"), tables.alert_ids()) == (after, ["late-1"])

    again = write("1", after, expected=OPEN, deadline_alert=alert("another"))
    assert commit(tables, again) == [again], "the row is no longer due"
    assert tables.alert_ids() == ["late-1"]


def test_a_deadline_is_not_written_if_the_ship_by_moved(tables: Tables) -> None:
    commit(tables, write("1", OPEN))
    moved = replace(OPEN, deadline_state=DeadlineState(due=Deadline(NOON + HOUR, KIND_LATE)))
    commit(tables, write("1", moved, expected=OPEN))
    late = write("1", replace(OPEN, deadline_state=DeadlineState(passed=LATE)), expected=OPEN, deadline_alert=alert())
    assert commit(tables, late) == [late]
    assert (read(tables, "1"), tables.alert_ids()) == (moved, [])


def test_a_connection_stores_the_rules_of_its_deadlines(tables: Tables) -> None:
    state = ConnectionState(
        connection_id=SHOP.id, cursor=Cursor(deadlines=DeadlineWatch("abc", NOON)), settings_flaw="x"
    )
    tables.store.commit(state, writes=(), alerts=())
    assert tables.store.load(SHOP.id) == state.committed()
