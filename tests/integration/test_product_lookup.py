"""Product details from the simulated vendor: the list, the single path, and the cache of a warm process."""

import pytest

from orderwatch.errors import NotSupportedError, UnavailableError
from orderwatch.publishing.enrich import ProductCache
from orderwatch_local.simulator import Request, Resource, Response, Shop
from tests.support.sending import ProductsOf
from tests.support.world import World


def world_with(*product_ids: str) -> World:
    """Simulated shops of which the only one sells these products."""
    world = World()
    products = [{"id": each, "name": f"Product {each}", "sku": f"sku-{each}"} for each in product_ids]
    shop = Shop("conn_a", access_token="token-of-conn_a", clock=world.vendor_clock, products=products)
    world.shops["conn_a"] = shop
    world.trackstar.connect(shop)
    shop.sync()
    return world


def paths(world: World) -> list[str]:
    """The requested paths below /cart, oldest first."""
    return [each.path.removeprefix("/cart") for each in world.trackstar.requests]


def test_a_hundred_products_need_one_request() -> None:
    ids = [f"p{number}" for number in range(201)]
    world = world_with(*ids)
    assert set(world.client().products(ids)) == set(ids)
    asked = [query["ids[in]"].split(",") for query in world.queries("/cart/products")]
    assert [len(each) for each in asked] == [100, 100, 1]


def test_without_the_id_filter_products_are_requested_singly() -> None:
    world = world_with("1", "2")
    world.shop.quirks.refused_filters = {"ids"}
    found = world.client().products(["1", "gone", "2"])
    assert {each: product.name for each, product in found.items()} == {"1": "Product 1", "2": "Product 2"}
    assert paths(world) == ["/products", "/products/1", "/products/gone", "/products/2"]


def test_an_id_with_a_comma_is_one_id() -> None:
    world = world_with("a,b", "a", "c/d")
    found = world.client().products(["a,b", "a", "c/d"])
    assert {each: product.name for each, product in found.items()} == {
        "a,b": "Product a,b",
        "a": "Product a",
        "c/d": "Product c/d",
    }
    assert [query["ids[in]"] for query in world.queries("/cart/products")] == ["a,c/d"]


def test_single_requests_stop_when_the_time_is_up() -> None:
    world = world_with("1,", "2,", "3,")
    left = iter([9.0, 9.0, 0.0])
    with pytest.raises(UnavailableError, match="no time"):
        world.client(seconds_left=lambda: next(left)).products(["1,", "2,", "3,"])


@pytest.mark.parametrize("seconds", [0.0, -0.5])
def test_no_single_request_starts_without_time(seconds: float) -> None:
    world = world_with("1,")
    with pytest.raises(UnavailableError, match="no time"):
        world.client(seconds_left=lambda: seconds).products(["1,"])
    assert paths(world) == []


@pytest.mark.parametrize("seconds", [0.01, 1.0])
def test_a_single_request_starts_in_the_last_second(seconds: float) -> None:
    world = world_with("1,")
    assert set(world.client(seconds_left=lambda: seconds).products(["1,"])) == {"1,"}


def test_an_invalid_product_counts_as_missing() -> None:
    world = world_with("1,")

    def intercept(request: Request) -> Response:
        return Response(200, body=b'{"data": {"name": "without an id"}}')

    world.trackstar.intercept = intercept
    assert world.client().products(["1,"]) == {}


def test_an_integration_without_products_gets_one_request() -> None:
    world = world_with("1")
    world.shop.quirks.lacks = {Resource.PRODUCTS}
    with pytest.raises(NotSupportedError):
        world.client().products(["1", "2"])
    assert len(world.trackstar.requests) == 1


@pytest.mark.parametrize(
    ("batches", "requests", "reason"),
    [
        ([["1", "2"], ["2", "1"]], [1, 0], "a warm batch"),
        ([["1"], ["1", "2"]], [1, 1], "one more product"),
        ([["gone"], ["gone"]], [1, 0], "an unknown product"),
    ],
)
def test_a_warm_process_requests_no_product_twice(batches: list[list[str]], requests: list[int], reason: str) -> None:
    world = world_with("1", "2")
    cache = ProductCache(ProductsOf(lambda _: world.client()))
    asked = []
    for product_ids in batches:
        before = len(world.trackstar.requests)
        cache.products("conn_a", product_ids, seconds_left=lambda: 60.0)
        asked.append(len(world.trackstar.requests) - before)
    assert asked == requests, reason
