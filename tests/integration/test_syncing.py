"""Sync requests to Trackstar: between its scheduled syncs, once per interval, without affecting polls."""

from collections.abc import Callable
from datetime import timedelta

import pytest

from orderwatch.alerts.alert import Alert
from orderwatch.alerts.kinds import Recipients
from orderwatch.alerts.parts import AlertConnection
from orderwatch.polling.sync import request_sync
from orderwatch_local.simulator import Request, Response
from tests.support.world import MINUTE, World

EVERY = 5 * MINUTE
SHOP = AlertConnection(id="conn_a")
DAY = timedelta(days=1)


@pytest.fixture
def world() -> World:
    """A shop that was synced and read just now."""
    world = World()
    world.place("1")
    world.poll()
    world.new_alerts()
    return world


def poll_and_ask(world: World, *, after: timedelta) -> list[Alert]:
    """A poll, then the sync request, as in poll_orders; the alerts of both."""
    world.pass_time(after)
    request_sync(SHOP, vendor=world.client(), store=world.tables.store, metrics=world.poll(), sync_every=EVERY)
    return world.new_alerts()


def asked(world: World) -> list[int]:
    """The answer to each request for a sync."""
    return [
        each.status for each in world.trackstar.requests if (each.method, each.path) == ("POST", "/connections/sync")
    ]


def refusing(status: int) -> Callable[[Request], Response | None]:
    return lambda request: Response(status, (), b'{"error": "no"}') if request.method == "POST" else None


def test_an_old_sync_is_renewed_and_the_next_poll_alerts(
    world: World,
) -> None:
    world.shop.move("1", "exception")
    assert poll_and_ask(world, after=4 * MINUTE) == []
    assert asked(world) == []
    assert poll_and_ask(world, after=MINUTE) == []
    assert asked(world) == [200]
    assert [alert.kind for alert in poll_and_ask(world, after=MINUTE)] == ["order.exception"]


def test_no_second_sync_is_requested_within_the_interval(world: World) -> None:
    world.trackstar.intercept = refusing(202)
    for _ in range(6):
        poll_and_ask(world, after=2 * MINUTE)
    assert len(asked(world)) == 2


def test_no_sync_is_requested_while_one_is_in_progress(world: World) -> None:
    world.shop.quirks.is_syncing = True
    poll_and_ask(world, after=EVERY)
    assert asked(world) == []


@pytest.mark.parametrize("status", [401, 403, 404, 422, 501])
def test_a_refused_sync_is_alerted_once_and_not_repeated_for_a_day(world: World, status: int) -> None:
    world.trackstar.intercept = refusing(status)
    [notice] = poll_and_ask(world, after=EVERY)
    assert (notice.kind, notice.recipients) == ("sync.refused", Recipients.OPERATORS)
    assert str(status) in (notice.detail or "")
    world.shop.sync()
    assert poll_and_ask(world, after=EVERY) == []
    assert asked(world) == [status]
    world.pass_time(DAY)
    world.shop.sync()
    assert "sync.refused" not in [alert.kind for alert in poll_and_ask(world, after=EVERY)]
    assert asked(world) == [status, status]


@pytest.mark.parametrize("status", [429, 500, 503])
def test_a_failed_sync_request_is_repeated_by_a_later_poll(world: World, status: int) -> None:
    world.trackstar.intercept = refusing(status)
    assert poll_and_ask(world, after=EVERY) == []
    assert asked(world) == [status]
    world.trackstar.intercept = None
    poll_and_ask(world, after=EVERY)
    assert asked(world) == [status, 200]


def test_a_shop_without_sync_times_is_not_asked_to_sync(world: World) -> None:
    world.shop.quirks.reports_syncs = False
    poll_and_ask(world, after=EVERY)
    assert asked(world) == []
