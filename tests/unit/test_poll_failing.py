"""Unnoticed failures: polls that never end normally, and watched statuses that no order ever has."""

from datetime import timedelta

import pytest

from orderwatch.alerts.parts import AlertConnection
from orderwatch.errors import UnavailableError
from orderwatch.polling.poll import alert_poll_failing
from orderwatch.reading.policy import Policy
from orderwatch_local.simulator import Request, Response
from tests.support.polls import WATCHED
from tests.support.world import World, kinds

STALLED_AFTER = timedelta(minutes=30)


@pytest.fixture
def world() -> World:
    world = World()
    world.place("1")
    world.poll()
    world.new_alerts()
    return world


def refuse(request: Request) -> Response | None:
    return Response(503) if request.path == "/cart/orders" else None


def failed_poll(world: World) -> list[str]:
    """Let time pass and a poll fail; the kinds of its alerts."""
    world.pass_time()
    with pytest.raises(UnavailableError):
        world.poll()
    alert_poll_failing(AlertConnection(id="conn_a"), store=world.tables.store, stalled_after=STALLED_AFTER)
    return kinds(world.new_alerts())


def test_half_an_hour_of_failing_polls_is_alerted_once(world: World) -> None:
    world.trackstar.intercept = refuse
    kinds_found = [kind for _ in range(20) for kind in failed_poll(world)]
    assert kinds_found == ["connection.poll_failing"]


def test_the_end_is_alerted_once_a_poll_ends_normally(world: World) -> None:
    world.trackstar.intercept = refuse
    for _ in range(8):
        failed_poll(world)
    world.trackstar.intercept = None
    assert kinds(world.next_poll() + world.next_poll() + world.next_poll()) == ["connection.recovered"]
    assert world.next_poll() == []


def test_a_pause_of_all_polls_is_no_fault_of_the_connection(world: World) -> None:
    world.pass_time(timedelta(hours=1))
    assert "connection.poll_failing" not in kinds(world.next_poll())


def test_the_start_of_the_watch_names_what_is_watched() -> None:
    world = World()
    world.place("1", status="exception")
    world.poll()
    assert [alert.detail for alert in world.new_alerts()] == [
        "Watching 1 orders for backordered, cancelled, exception; 1 in exception now."
    ]


def test_a_misspelt_status_is_alerted_once() -> None:
    world = World("conn_a", "conn_b")
    policy = Policy(statuses={"exceptoin", "cancelled"})
    alerts = []
    for _ in range(3):
        for shop in world.shops.values():
            alerts += [alert for alert in world.next_poll(shop, policy=policy) if alert.kind == "status.unknown"]
    assert [alert.connection_id for alert in alerts] == ["AlertStatuses"]
    assert alerts[0].detail is not None
    assert "AlertStatuses contains exceptoin" in alerts[0].detail


def test_a_status_that_a_shop_uses_is_not_reported_as_unknown() -> None:
    world = World()
    world.place("1", status="on_hold")
    policy = Policy(statuses={*WATCHED.statuses, "on_hold"})
    assert kinds(world.next_poll(policy=policy) + world.next_poll(policy=policy)) == ["watch.started"]
