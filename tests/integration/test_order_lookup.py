"""Orders requested by their ids from the simulated vendor: the list, the single path, and each result."""

import pytest

from orderwatch.errors import UnavailableError
from orderwatch.trackstar.orders import MAX_IDS_LENGTH
from orderwatch_local.simulator import Paging, Request, Response
from tests.support.world import World


def world_with(*order_ids: str) -> World:
    world = World()
    world.place(*order_ids)
    return world


def paths(world: World) -> list[str]:
    return [each.path.removeprefix("/cart") for each in world.trackstar.requests]


def test_orders_are_found_in_one_request_as_they_are_now() -> None:
    world = world_with("1", "2", "3")
    world.move("2", "fulfilled")
    found = world.client().orders(["1", "2"])
    assert {order.id: order.status for order in found.orders} == {"1": "open", "2": "fulfilled"}
    assert list(found.gone) == []
    assert paths(world) == ["/orders"]


def test_an_order_missing_from_the_list_is_requested_by_its_id() -> None:
    world = world_with("1")
    found = world.client().orders(["1", "gone"])
    assert ([order.id for order in found.orders], list(found.gone)) == (["1"], ["gone"])
    assert paths(world) == ["/orders", "/orders/gone"]


def test_orders_are_requested_one_by_one_if_the_list_is_refused() -> None:
    world = world_with("1", "2")
    world.shop.quirks.refused_filters = {"ids"}
    found = world.client().orders(["1", "2"])
    assert [order.id for order in found.orders] == ["1", "2"]
    assert paths(world) == ["/orders", "/orders/1", "/orders/2"]


def test_an_id_with_a_comma_is_one_id() -> None:
    world = world_with("a,b", "a", "c/d")
    found = world.client().orders(["a,b", "a", "c/d"])
    assert sorted(order.id for order in found.orders) == ["a", "a,b", "c/d"]
    assert [query["ids[in]"] for query in world.queries()] == ["a,c/d"]


def test_long_ids_are_spread_over_requests_that_stay_short() -> None:
    ids = [f"{number:03}-{'x' * 200}" for number in range(50)]
    world = world_with(*ids)
    assert len(world.client().orders(ids).orders) == 50
    asked = [query["ids[in]"] for query in world.queries()]
    assert len(asked) == 3
    assert max(map(len, asked)) <= MAX_IDS_LENGTH


def test_a_list_by_ids_that_comes_in_pages_is_read_to_its_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("orderwatch.trackstar.client.PAGE_SIZE", 2)
    ids = [str(number) for number in range(5)]
    world = world_with(*ids)
    assert sorted(order.id for order in world.client().orders(ids).orders) == ids
    assert paths(world) == ["/orders"] * 3


def test_page_tokens_that_fail_cost_the_list_and_not_the_orders(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("orderwatch.trackstar.client.PAGE_SIZE", 2)
    ids = [str(number) for number in range(4)]
    world = world_with(*ids)
    world.shop.quirks.paging = Paging.STUCK
    found = world.client().orders(ids)
    assert {order.id for order in found.orders} == set(ids)
    assert list(found.gone) == []


@pytest.mark.parametrize("record", ['{"id": "1"}', '{"id": "1", "status": null}', '{"id": "1", "status": ["open"]}'])
def test_an_order_with_a_broken_record_is_neither_found_nor_gone(record: str) -> None:
    world = world_with("1")

    def answer(request: Request) -> Response:
        page = f'{{"data": [{record}], "next_token": null, "total_count": 1}}'
        single = f'{{"data": {record}}}'
        return Response(200, body=(single if request.path.endswith("/1") else page).encode())

    world.trackstar.intercept = answer
    found = world.client().orders(["1"])
    assert (list(found.orders), list(found.gone)) == ([], [])


def test_an_order_with_one_broken_record_of_two_is_not_found() -> None:
    world = world_with("1")
    old, new = '{"id": "1", "status": "open"}', '{"id": "1", "status": null}'

    def answer(request: Request) -> Response:
        page = f'{{"data": [{old}, {new}], "next_token": null, "total_count": 1}}'
        return Response(200, body=(f'{{"data": {new}}}' if request.path.endswith("/1") else page).encode())

    world.trackstar.intercept = answer
    found = world.client().orders(["1"])
    assert (list(found.orders), list(found.gone)) == ([], [])


@pytest.mark.parametrize("body", [b"<html>", b"[]", b'{"data": []}', b'{"error": "x"}'])
def test_a_response_without_an_order_is_a_fault(body: bytes) -> None:
    world = world_with("1")
    world.trackstar.intercept = lambda request: Response(200, body=body) if request.path.endswith("/x") else None
    with pytest.raises(UnavailableError):
        world.client().orders(["1", "x"])


def test_single_requests_stop_when_the_time_is_up() -> None:
    world = world_with("1,")
    with pytest.raises(UnavailableError, match="no time"):
        world.client(seconds_left=lambda: 0.0).orders(["1,"])
