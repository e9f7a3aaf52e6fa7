"""Odd dates, versions and page tokens, and how the cursor handles them."""

import json
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import pytest

from orderwatch.errors import PagingError
from orderwatch.reading.window import MAX_ATTEMPTS, OVERLAP
from orderwatch.trackstar.orders import DateField
from orderwatch_local.simulator import Paging, Request, Response, TrackstarDates
from tests.support.world import TICK, World, kinds

HOUR = timedelta(hours=1)
DAY = timedelta(days=1)


@pytest.fixture
def world() -> World:
    """A shop of one known order, watched."""
    world = World()
    world.place("known")
    world.poll()
    world.new_alerts()
    return world


def lists(world: World, answer: Callable[[Request], Response | None]) -> None:
    """Return this response to every list of orders."""
    world.trackstar.intercept = lambda request: answer(request) if request.path == "/cart/orders" else None


def page(*orders: dict[str, Any], next_token: str | None = None) -> Response:
    body = {"data": orders, "next_token": next_token, "total_count": len(orders)}
    return Response(200, body=json.dumps(body).encode())


def filters(world: World) -> list[str]:
    """The names of the filters of the latest list of orders."""
    return sorted(name for name in world.queries()[-1] if "[" in name)


BY_VENDOR = ["trackstar_updated_date[gte]", "trackstar_updated_date[lte]"]
BY_SHOP = ["updated_date[gte]", "updated_date[lte]"]


# Dates (rule 5)


def test_one_order_without_the_vendors_date_changes_nothing(world: World) -> None:
    answers = iter([page({"id": "undated", "status": "open", "updated_date": "2026-01-05T12:00:00Z"})])
    lists(world, lambda _: next(answers, None))
    world.next_poll()
    world.trackstar.intercept = None
    world.shop.place({"id": "late", "status": "exception"})  # synced five hours after its change
    for _ in range(60):
        world.next_poll()
    world.shop.sync()
    assert "order.exception" in kinds(world.next_poll())
    assert filters(world) == BY_VENDOR


def test_without_any_vendor_date_the_shops_date_is_used() -> None:
    world = World()
    world.shop.quirks.trackstar_dates = TrackstarDates.NULL
    world.place("1")
    world.poll()
    world.next_poll()
    assert filters(world) == BY_SHOP


def test_the_vendors_date_is_used_again_once_an_order_has_one() -> None:
    world = World()
    world.shop.quirks.trackstar_dates = TrackstarDates.NULL
    world.place("1")
    world.poll()
    began = world.state().cursor.position
    assert began
    for _ in range(30):
        world.next_poll()
    world.shop.quirks.trackstar_dates = TrackstarDates.PRESENT
    world.move("1", "processing")
    world.next_poll()
    assert world.state().cursor.date_field is DateField.TRACKSTAR_UPDATED

    world.next_poll()
    assert filters(world) == BY_VENDOR
    assert world.queries()[-1]["trackstar_updated_date[gte]"] == f"{began - OVERLAP:%Y-%m-%dT%H:%M:%SZ}"
    world.next_poll()
    assert world.queries()[-1]["trackstar_updated_date[gte]"] > f"{began:%Y-%m-%dT%H:%M:%SZ}", "and only once"


def test_a_refused_filter_is_tried_again_once_a_day(world: World) -> None:
    world.shop.quirks.refused_filters = {"trackstar_updated_date"}
    world.next_poll()
    fell_back = world.state().cursor.position
    assert fell_back
    world.next_poll()
    assert filters(world) == BY_SHOP
    world.shop.quirks.refused_filters = set()
    world.shop.place({"id": "late", "status": "exception"})
    world.pass_time(DAY)
    world.shop.sync()
    world.poll()
    world.new_alerts()

    assert kinds(world.next_poll()) in ([], ["order.exception"])
    assert filters(world) == BY_VENDOR
    assert world.stored("late").status == "exception"


# Versions (rule 3)


@pytest.mark.parametrize("field", ["trackstar_updated_date", "updated_date"])
def test_a_date_in_the_future_suppresses_no_order(field: str) -> None:
    world = World()
    if field == "updated_date":
        world.shop.quirks.trackstar_dates = TrackstarDates.NULL
    world.place("1")
    world.shop.garble("1", {field: "2031-01-01T00:00:00Z"})
    world.shop.sync()
    world.poll()
    world.new_alerts()
    assert world.stored("1").version.at <= world.vendor_clock.now()

    world.shop.heal("1")
    world.pass_time()
    world.move("1", "exception")
    assert kinds(world.next_poll()) == ["order.exception"]


def test_what_is_dropped_as_stale_is_counted(world: World) -> None:
    world.pass_time()
    world.move("known", "processing")
    world.next_poll()
    old = {"id": "known", "status": "exception", "trackstar_updated_date": "2026-01-05T12:00:00Z"}
    lists(world, lambda _: page(old))
    world.pass_time()
    assert world.poll().stale == 1
    assert world.new_alerts() == []


def test_an_older_copy_is_stale_behind_a_clock_set_back(world: World) -> None:
    world.pass_time()
    world.move("known", "processing")
    world.next_poll()
    old = {"id": "known", "status": "exception", "trackstar_updated_date": "2026-01-05T12:01:00Z"}
    lists(world, lambda _: page(old))
    world.pass_time()
    world.vendor_clock.advance(-HOUR)
    assert world.poll().stale == 1
    assert world.new_alerts() == []


# Identity (rule 2)


def test_a_repeated_problem_is_alerted_again_whatever_its_dates() -> None:
    world = World()
    world.shop.quirks.trackstar_dates = TrackstarDates.NULL
    world.place("1")
    world.poll()
    world.new_alerts()
    alerts = []
    for status in ("exception", "processing", "exception"):
        world.shop.move("1", status)
        world.shop.garble("1", {"updated_date": "2026-01-05T12:00:00Z"})
        world.shop.sync()
        alerts += world.next_poll()
    assert kinds(alerts) == ["order.exception", "order.recovered", "order.exception"]
    assert len({alert.alert_id for alert in alerts}) == 3


# Page tokens


def test_a_page_that_points_to_itself_is_retried_and_then_fails(world: World) -> None:
    asked: list[Request] = []

    def answer(request: Request) -> Response:
        asked.append(request)
        return page({"id": "1", "status": "exception"}, next_token="t")

    lists(world, answer)
    world.pass_time()
    with pytest.raises(PagingError, match="page token"):
        world.poll()
    assert len(asked) == 2 * MAX_ATTEMPTS
    assert kinds(world.new_alerts()) == ["order.exception"], "what was read is not lost"

    world.trackstar.intercept = None
    world.next_poll()
    assert world.state().cursor.progress is None, "the next poll succeeds after the vendor recovers"


def test_a_loop_of_page_tokens_fails(world: World) -> None:
    asked: list[Request] = []

    def answer(request: Request) -> Response:
        asked.append(request)
        circle = {"": "a", "a": "b", "b": "a"}
        token = dict(request.query).get("page_token", "")
        return page({"id": token or "first", "status": "open"}, next_token=circle[token])

    lists(world, answer)
    world.pass_time()
    with pytest.raises(PagingError):
        world.poll()
    assert len(asked) < 50


@pytest.mark.parametrize("paging", [Paging.STUCK, Paging.LOOP])
def test_a_shop_recovers_when_its_page_tokens_work_again(
    world: World, paging: Paging, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("orderwatch.trackstar.client.PAGE_SIZE", 2)
    ids = [str(number) for number in range(7)]
    world.place(*ids, status="exception")
    world.shop.quirks.paging = paging
    world.pass_time()
    for _ in range(2):
        with pytest.raises(PagingError):
            world.poll()
    world.shop.quirks.paging = Paging.FORWARD
    world.pass_time()
    world.poll()
    assert world.state().cursor.progress is None
    assert {alert.order.id for alert in world.new_alerts() if alert.order} == set(ids)


def test_a_page_that_brings_nothing_new_is_followed(world: World) -> None:
    def answer(request: Request) -> Response:
        token = dict(request.query).get("page_token", "")
        if not token:
            return page({"id": "1", "status": "exception"}, next_token="a")
        if token == "a":
            return page({"id": "1", "status": "exception"}, next_token="b")
        return page({"id": "2", "status": "exception"})

    lists(world, answer)
    assert kinds(world.next_poll()) == ["order.exception", "order.exception"]


@pytest.mark.parametrize("ahead", [timedelta(), 2 * TICK], ids=["past", "ahead of the vendor's clock"])
def test_of_two_copies_on_a_page_the_newest_counts(world: World, ahead: timedelta) -> None:
    moments: list[datetime] = [world.vendor_clock.now() + TICK + ahead, world.vendor_clock.now()]
    for first, second in ((0, 1), (1, 0)):
        records = [
            {"id": "twice", "status": status, "trackstar_updated_date": f"{moments[at]:%Y-%m-%dT%H:%M:%SZ}"}
            for status, at in (("exception", first), ("open", second))
        ]
        fresh = World()
        fresh.place("known")
        fresh.poll()
        fresh.new_alerts()
        lists(fresh, lambda _, records=records: page(*records))  # type: ignore[misc]
        fresh.next_poll()
        assert fresh.stored("twice").status == ("exception" if first == 0 else "open")
