"""The cache of products: what is read from the source, for how long it is kept, and what is dropped first."""

from collections.abc import Callable, Sequence
from datetime import timedelta

import pytest

from orderwatch import clock as process_clock
from orderwatch.errors import UnavailableError
from orderwatch.publishing.enrich import ProductCache
from orderwatch.trackstar.products import Product
from tests.support.clocks import NOON, FakeClock


class Source:
    """Has every product but those that begin with `gone`; records which it was asked for."""

    def __init__(self) -> None:
        self.asked: list[list[str]] = []
        self.is_down = False

    def products(
        self, connection_id: str, product_ids: Sequence[str], *, seconds_left: Callable[[], float]
    ) -> dict[str, Product]:
        self.asked.append(list(product_ids))
        if self.is_down:
            raise UnavailableError("timeout")
        return {each: Product(id=each, name=connection_id) for each in product_ids if not each.startswith("gone")}


def find(cache: ProductCache, *product_ids: str, connection_id: str = "a") -> dict[str, Product]:
    return cache.products(connection_id, product_ids, seconds_left=lambda: 60.0)


@pytest.fixture
def clock() -> FakeClock:
    fake_clock = FakeClock(NOON)
    process_clock.use(fake_clock)
    return fake_clock


@pytest.fixture
def source() -> Source:
    return Source()


@pytest.fixture
def cache(source: Source, clock: FakeClock) -> ProductCache:
    return ProductCache(source)


@pytest.mark.parametrize(
    ("calls", "asked"),
    [
        ([["1", "2"], ["2", "1"], ["1"]], [["1", "2"]]),
        ([["1"], ["1", "2"], ["1", "2"]], [["1"], ["2"]]),
        ([["gone"], ["gone"]], [["gone"]]),
    ],
    ids=["cached", "one more", "missing"],
)
def test_each_product_is_read_from_the_source_once(
    cache: ProductCache, source: Source, calls: list[list[str]], asked: list[list[str]]
) -> None:
    for product_ids in calls:
        assert set(find(cache, *product_ids)) == set(product_ids) - {"gone"}
    assert source.asked == asked


def test_an_error_is_not_cached(cache: ProductCache, source: Source) -> None:
    source.is_down = True
    with pytest.raises(UnavailableError):
        find(cache, "1")
    source.is_down = False
    assert set(find(cache, "1")) == {"1"}


def test_products_are_cached_only_if_all_of_them_are(cache: ProductCache, source: Source) -> None:
    find(cache, "1", "gone")
    assert cache.cached("a", []) == {}
    assert set(cache.cached("a", ["1", "gone", "1"]) or ()) == {"1"}
    assert cache.cached("a", ["1", "2"]) is None
    assert cache.cached("b", ["1"]) is None, "that is the product of another connection"
    assert source.asked == [["1", "gone"]]


@pytest.mark.parametrize(("seconds", "asked"), [(299, 1), (300, 2)])
def test_a_product_is_cached_for_five_minutes(
    cache: ProductCache, clock: FakeClock, source: Source, seconds: int, asked: int
) -> None:
    find(cache, "1")
    clock.advance(timedelta(seconds=seconds))
    find(cache, "1")
    assert len(source.asked) == asked


def test_the_least_recently_used_product_is_dropped_first(clock: FakeClock, source: Source) -> None:
    cache = ProductCache(source, max_products=2)
    assert set(find(cache, "1", "2", "3")) == {"1", "2", "3"}, "more products than the cache keeps"
    find(cache, "2")
    find(cache, "4")
    find(cache, "2", "4")
    assert source.asked == [["1", "2", "3"], ["4"]]
    find(cache, "3")
    assert source.asked[-1] == ["3"]


def test_a_product_that_expired_is_read_again_and_dropped_last(clock: FakeClock, source: Source) -> None:
    cache = ProductCache(source, max_products=2)
    find(cache, "1", "2")
    clock.advance(timedelta(seconds=300))
    find(cache, "1")
    find(cache, "3")
    find(cache, "1", "3")
    assert source.asked == [["1", "2"], ["1"], ["3"]]


def test_2000_products_are_cached(cache: ProductCache, source: Source) -> None:
    ids = [str(number) for number in range(1, 2001)]
    find(cache, *ids)
    find(cache, *ids)
    assert len(source.asked) == 1
    find(cache, "one more")
    assert cache.cached("a", ["2"]) is not None
    assert cache.cached("a", ["1"]) is None
