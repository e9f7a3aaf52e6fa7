"""Rule 19: the watermark of a shop whose sync times Trackstar does not report."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from orderwatch.alerts.parts import AlertConnection
from orderwatch.polling.health import probe_connection
from orderwatch.records import ConnectionState, Health, HealthState
from orderwatch.trackstar.connections import TrackstarConnection
from orderwatch.trackstar.orders import FoundOrders, OrderPage, OrderQuery

NOON = datetime(2026, 1, 5, 12, tzinfo=UTC)
SHOP = AlertConnection(id="conn_a")


@dataclass
class SaysNothing:
    """Trackstar, which knows the connection and reports no sync."""

    def now(self) -> datetime:
        return NOON

    def connection(self) -> TrackstarConnection:
        return TrackstarConnection.model_validate({"connection_id": "conn_a", "sync_schedules": []})

    def order_page(self, query: OrderQuery, *, page_token: str | None) -> OrderPage:
        raise AssertionError

    def orders(self, order_ids: Sequence[str]) -> FoundOrders:
        raise AssertionError

    def start_sync(self) -> None:
        raise AssertionError


def test_failed_polls_do_not_hold_back_the_watermark() -> None:
    unread = Health(state=HealthState.POLL_FAILING, since=NOON - timedelta(hours=1))
    state = ConnectionState(connection_id="conn_a", health=unread)
    fresh = probe_connection(SaysNothing(), ConnectionState(connection_id="conn_a"), SHOP)
    assert fresh.watermark == NOON - 2 * fresh.state.syncs.frequency
    assert probe_connection(SaysNothing(), state, SHOP).watermark == fresh.watermark
