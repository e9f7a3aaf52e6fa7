"""The saved progress of an unfinished window survives writing and reading, money included."""

from collections.abc import Iterator
from datetime import UTC, datetime
from decimal import Decimal

import boto3
import pytest

from orderwatch.alerts.parts import BacklogOrder
from orderwatch.reading.cursor import Cursor
from orderwatch.reading.window import BacklogCount, Progress, Window, WindowKind
from orderwatch.records import ConnectionState
from orderwatch.trackstar.orders import DateField
from tests.support.cloud import Tables, create_tables
from tests.support.memory_dynamodb import MemoryDynamoDB

NOON = datetime(2026, 1, 5, 12, tzinfo=UTC)


@pytest.fixture(params=["memory", "moto"])
def tables(request: pytest.FixtureRequest, aws: None) -> Iterator[Tables]:
    client = MemoryDynamoDB().as_client() if request.param == "memory" else boto3.client("dynamodb")
    yield from create_tables(client)


@pytest.mark.parametrize("total", ["129.90", "0.1", "12345678.99", "1500"])
def test_a_baseline_with_priced_orders_is_saved_between_pages(tables: Tables, total: str) -> None:
    order = BacklogOrder(id="1", number="#1", status="exception", currency="EUR", total_price=Decimal(total))
    window = Window(kind=WindowKind.BASELINE, after=None, until=NOON, date_field=DateField.TRACKSTAR_UPDATED)
    progress = Progress(window=window, began_at=NOON, page_token="page-2", backlog=BacklogCount(most_urgent=(order,)))
    tables.store.commit(ConnectionState(connection_id="a", cursor=Cursor(progress=progress)), writes=(), alerts=())
    loaded = tables.store.load("a").cursor.progress
    assert loaded
    assert loaded.backlog.most_urgent == (order,)
