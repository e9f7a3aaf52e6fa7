"""The saved progress of an unfinished window survives writing and reading, money included."""

from decimal import Decimal

import pytest

from orderwatch.alerts.parts import BacklogOrder
from orderwatch.reading.cursor import Cursor
from orderwatch.reading.window import BacklogCount, Progress, Window, WindowKind
from orderwatch.records import ConnectionState
from tests.support.clocks import NOON
from tests.support.cloud import Tables


@pytest.mark.parametrize("total", ["129.90", "0.1", "12345678.99", "1500"])
def test_a_baseline_with_priced_orders_is_saved_between_pages(total: str) -> None:
    tables = Tables.in_memory()
    order = BacklogOrder(id="1", number="#1", status="exception", currency="EUR", total_price=Decimal(total))
    window = Window(kind=WindowKind.BASELINE, until=NOON)
    progress = Progress(window=window, began_at=NOON, page_token="page-2", backlog=BacklogCount(most_urgent=(order,)))
    tables.store.commit(ConnectionState(connection_id="a", cursor=Cursor(progress=progress)), writes=(), alerts=())
    assert tables.store.load("a").cursor.progress == progress
