"""The backlog of `watch.started`: the most urgent orders, and the number of all."""

from datetime import timedelta
from typing import Any

import pytest

from orderwatch.alerts.alert import Alert
from orderwatch.alerts.parts import Backlog
from orderwatch.reading.window import MAX_LISTED
from tests.support.world import World


@pytest.fixture
def world() -> World:
    return World()


def place(world: World, order_id: str, *, status: str = "exception", days: int | None = None, **record: Any) -> None:
    ship_by = world.vendor_clock.now() + timedelta(days=days) if days is not None else None
    latest = ship_by.strftime("%Y-%m-%dT%H:%M:%SZ") if ship_by else None
    world.place(order_id, status=status, latest_ship_date=latest, **record)


def started(world: World) -> Alert:
    world.poll()
    [alert] = [alert for alert in world.new_alerts() if alert.kind == "watch.started"]
    return alert


def waiting(world: World) -> Backlog:
    alert = started(world)
    assert alert.backlog
    return alert.backlog


def test_the_backlog_is_sorted_by_ship_by_and_then_value(world: World) -> None:
    place(world, "late", days=-3)
    place(world, "cheap", total_price=1)
    place(world, "dear", total_price=900)
    place(world, "soon", days=1)
    assert [order.id for order in waiting(world).orders] == ["late", "soon", "dear", "cheap"]


def test_ten_orders_are_listed_and_the_rest_counted_by_status(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("orderwatch.trackstar.client.PAGE_SIZE", 3)
    for number in range(14):
        place(world, f"{number:02}", status="exception" if number % 2 else "backordered", days=20 - number)
    backlog = waiting(world)
    assert [order.id for order in backlog.orders] == [f"{number:02}" for number in range(13, 3, -1)]
    assert len(backlog.orders) == MAX_LISTED
    assert (backlog.more_orders, backlog.by_status) == (4, {"exception": 7, "backordered": 7})


def test_resolved_orders_are_not_in_the_backlog(world: World) -> None:
    place(world, "gone", status="cancelled", days=-1)
    world.place("fine")
    assert started(world).backlog is None


def test_a_listed_order_is_identifiable_and_not_personal(world: World) -> None:
    place(
        world, "1", days=1, external_system_url="https://shop.example/1?token=secret", ship_to_address={"city": "Kiel"}
    )
    [order] = waiting(world).orders
    assert order.url == "https://shop.example/1"
    assert "Kiel" not in order.model_dump_json()
