"""What the operator's commands read from the tables, on moto."""

from datetime import timedelta
from typing import Any

from orderwatch import clock
from orderwatch.aws.dynamodb import to_item
from orderwatch.polling.detect import OrderWrite
from tests.support.alerts import alert_of, first_sight
from tests.support.clocks import set_back
from tests.support.cloud import Tables

HOUR = timedelta(hours=1)


def write_alert(tables: Tables, order_id: str, *, ago: timedelta, connection_id: str = "conn_a") -> None:
    with set_back(ago):
        action: Any = tables.alerts.put_action(alert_of(order_id, connection_id=connection_id))
        tables.client.transact_write_items(TransactItems=[action])


def write_order(tables: Tables, order: OrderWrite, *, connection_id: str = "conn_a") -> None:
    action: Any = tables.orders.write_action(connection_id, order)
    tables.client.transact_write_items(TransactItems=[action])


def test_recent_alerts_are_merged_by_time(tables: Tables) -> None:
    write_alert(tables, "o1", ago=3 * HOUR)
    write_alert(tables, "o2", ago=2 * HOUR, connection_id="conn_b")
    write_alert(tables, "o3", ago=HOUR)
    write_alert(tables, "o4", ago=HOUR, connection_id="conn_c")
    since = clock.now() - 2.5 * HOUR
    assert [row.order_id for row in tables.alerts.recent(["conn_a", "conn_b"])] == ["o3", "o2", "o1"]
    assert [row.order_id for row in tables.alerts.recent(["conn_a", "conn_b"], since=since)] == ["o3", "o2"]


def test_recent_pending_alerts_exclude_sent_ones(tables: Tables) -> None:
    write_alert(tables, "o1", ago=2 * HOUR)
    write_alert(tables, "o2", ago=HOUR, connection_id="conn_b")
    write_alert(tables, "o3", ago=HOUR)
    tables.alerts.mark_sent(alert_of("o3").key, message_id="message-1")
    rows = list(tables.alerts.recent_pending())
    assert [(row.order_id, row.state, row.sent_at) for row in rows] == [
        ("o2", "pending", None),
        ("o1", "pending", None),
    ]
    [sent] = tables.alerts.rows([alert_of("o3").key])
    assert (sent.state, sent.message_id, sent.sent_at is not None) == ("sent", "message-1", True)


def test_orders_that_need_attention_are_counted(tables: Tables) -> None:
    write_order(tables, first_sight("o1"))
    write_order(tables, first_sight("o2", status="cancelled"))
    write_order(tables, first_sight("o3", connection_id="conn_b"), connection_id="conn_b")
    assert tables.orders.count_needing_attention("conn_a") == 1
    assert tables.orders.count_needing_attention("conn_c") == 0


def test_connection_ids_are_those_of_shops(tables: Tables) -> None:
    for connection_id in ("conn_b", "conn_a"):
        tables.client.put_item(
            TableName=tables.names["ConnectionTable"], Item=to_item({"connection_id": connection_id})
        )
    assert tables.connections.connection_ids() == ["conn_a", "conn_b"]
