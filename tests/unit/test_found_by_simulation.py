"""Bugs that the simulation found, each with a minimal test."""

from datetime import timedelta

import pytest

from orderwatch_local.simulator import TrackstarDates
from tests.support.world import MINUTE, World

HOUR = timedelta(hours=1)


@pytest.fixture
def world() -> World:
    return World()


def test_an_order_in_two_polls_of_a_window_is_counted_once(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("orderwatch.trackstar.client.PAGE_SIZE", 2)
    for order_id in ("1", "2", "3", "4"):
        world.place(order_id)
        world.pass_time(MINUTE)
    turns = iter((True, False))
    world.poll(has_time=lambda: next(turns))
    assert world.state().cursor.progress is not None

    # It leaves the page that was read, so "3" moves up to that page and is missed.
    world.move("1", "confirmed")
    world.poll()

    assert world.stored("3").status == "open"


@pytest.mark.parametrize("dates", [TrackstarDates.NULL, TrackstarDates.ABSENT])
def test_an_empty_shop_without_vendor_dates_is_watched(world: World, dates: TrackstarDates) -> None:
    world.shop.quirks.trackstar_dates = dates
    world.poll()
    world.new_alerts()
    world.pass_time()
    world.place("1", status="exception")

    assert [alert.kind for alert in world.next_poll()] == ["order.exception"]


def test_orders_dated_by_a_slow_vendor_clock_are_read_later(world: World) -> None:
    world.place("1")
    world.poll()
    world.new_alerts()
    world.vendor_clock.advance(-HOUR)
    assert world.next_poll() == []
    world.place("2", status="exception")
    world.vendor_clock.advance(HOUR)

    assert [alert.kind for alert in world.next_poll()] == ["order.exception"]


def test_a_record_quarantined_twice_in_a_window_is_counted_once(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("orderwatch.trackstar.client.PAGE_SIZE", 2)
    world.place("1")
    world.shop.garble("1", {"status": None})
    world.shop.sync()
    for order_id in ("2", "3"):
        world.pass_time(MINUTE)
        world.place(order_id)
    world.pass_time(MINUTE)
    world.before_page(2, lambda: world.move("1", "confirmed"))
    world.poll()

    assert world.stored("3").status == "open"
