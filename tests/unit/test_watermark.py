"""Rule 19: the watermark of a shop whose sync times Trackstar does not report."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from orderwatch.alerts.parts import AlertConnection
from orderwatch.polling.cursor import ConnectionState
from orderwatch.polling.health import check_connection
from orderwatch.records import Health, HealthState
from orderwatch.trackstar.connections import TrackstarConnection

NOON = datetime(2026, 1, 5, 12, tzinfo=UTC)
SHOP = AlertConnection(id="conn_a")


@dataclass
class SaysNothing:
    """Trackstar, which knows the connection and reports no sync."""

    def now(self) -> datetime:
        return NOON

    def connection(self) -> TrackstarConnection:
        return TrackstarConnection.model_validate({"connection_id": "conn_a", "sync_schedules": []})


def test_failed_polls_do_not_hold_back_the_watermark() -> None:
    unread = Health(state=HealthState.POLL_FAILING, since=NOON - timedelta(hours=1))
    state = ConnectionState(connection_id="conn_a", health=unread)
    fresh = check_connection(SaysNothing(), ConnectionState(connection_id="conn_a"), SHOP)
    assert fresh.watermark == NOON - 2 * fresh.state.sync_frequency
    assert check_connection(SaysNothing(), state, SHOP).watermark == fresh.watermark
