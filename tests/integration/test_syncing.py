"""Asking Trackstar for a sync: sooner than its schedule, at most once in that time, and never at the cost of a poll."""

from collections.abc import Callable
from datetime import timedelta

import pytest

from orderwatch.alerts.alert import Alert
from orderwatch.alerts.kinds import Recipients
from orderwatch.alerts.parts import AlertConnection
from orderwatch.polling.sync import ask_for_sync
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
    world.alerted()
    return world


def poll_and_ask(world: World, *, after: timedelta) -> list[Alert]:
    """A poll, then the question, as poll_orders does; what they told."""
    world.pass_time(after)
    ask_for_sync(SHOP, vendor=world.client(), store=world.tables.store, summary=world.poll(), sync_every=EVERY)
    return world.alerted()


def asked(world: World) -> list[int]:
    """The answer to each request for a sync."""
    return [
        each.status for each in world.trackstar.requests if (each.method, each.path) == ("POST", "/connections/sync")
    ]


def refusing(status: int) -> Callable[[Request], Response | None]:
    return lambda request: Response(status, (), b'{"error": "no"}') if request.method == "POST" else None


def test_a_sync_is_asked_for_when_the_last_one_is_old_enough_and_what_it_shows_is_told_by_the_next_poll(
    world: World,
) -> None:
    world.shop.move("1", "exception")
    assert poll_and_ask(world, after=4 * MINUTE) == []
    assert asked(world) == []
    assert poll_and_ask(world, after=MINUTE) == []
    assert asked(world) == [200]
    assert [alert.kind for alert in poll_and_ask(world, after=MINUTE)] == ["order.exception"]


def test_no_second_sync_is_asked_for_within_that_time_though_the_first_one_shows_nothing(world: World) -> None:
    world.trackstar.intercept = refusing(202)
    for _ in range(6):
        poll_and_ask(world, after=2 * MINUTE)
    assert len(asked(world)) == 2


def test_a_sync_that_is_in_progress_is_not_asked_for_again(world: World) -> None:
    world.shop.quirks.is_syncing = True
    poll_and_ask(world, after=EVERY)
    assert asked(world) == []


@pytest.mark.parametrize("status", [401, 403, 404, 422, 501])
def test_a_refusal_ends_the_asking_for_a_day_and_the_operators_are_told_of_the_first(world: World, status: int) -> None:
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
def test_a_fault_is_tried_once_and_again_by_a_later_poll(world: World, status: int) -> None:
    world.trackstar.intercept = refusing(status)
    assert poll_and_ask(world, after=EVERY) == []
    assert asked(world) == [status]
    world.trackstar.intercept = None
    poll_and_ask(world, after=EVERY)
    assert asked(world) == [status, 200]


def test_a_shop_whose_syncs_are_not_told_is_not_asked_to_sync(world: World) -> None:
    world.shop.quirks.reports_syncs = False
    poll_and_ask(world, after=EVERY)
    assert asked(world) == []
