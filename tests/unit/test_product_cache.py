from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import pytest

from orderwatch.errors import UnavailableError
from orderwatch.publishing.product_cache import KEPT_FOR, ProductCache
from orderwatch.trackstar.products import Product
from orderwatch_local.shop import VirtualClock


class Source:
    """Has every product but those that begin with `gone`; says which were asked for."""

    def __init__(self) -> None:
        self.asked: list[list[str]] = []
        self.is_down = False

    def products(self, product_ids: Sequence[str]) -> dict[str, Product]:
        self.asked.append(list(product_ids))
        if self.is_down:
            raise UnavailableError("timeout")
        return {each: Product(id=each) for each in product_ids if not each.startswith("gone")}


@pytest.fixture
def clock() -> VirtualClock:
    return VirtualClock(datetime(2026, 1, 5, 12, tzinfo=UTC))


@pytest.fixture
def source() -> Source:
    return Source()


def test_a_warm_batch_asks_nothing(clock: VirtualClock, source: Source) -> None:
    cache = ProductCache(now=clock.now)
    for _ in range(2):
        assert set(cache.of_shop("a", lambda: source).products(["1", "2"])) == {"1", "2"}
    assert source.asked == [["1", "2"]]


def test_a_warm_batch_does_not_even_reach_for_the_source(clock: VirtualClock, source: Source) -> None:
    cache = ProductCache(now=clock.now)
    cache.of_shop("a", lambda: source).products(["1"])

    def unreachable() -> Source:
        raise AssertionError("the token was asked for")

    assert set(cache.of_shop("a", unreachable).products(["1"])) == {"1"}


def test_only_what_is_not_known_is_asked_for(clock: VirtualClock, source: Source) -> None:
    products = ProductCache(now=clock.now).of_shop("a", lambda: source)
    products.products(["1"])
    assert set(products.products(["1", "2"])) == {"1", "2"}
    assert source.asked == [["1"], ["2"]]


def test_a_product_of_one_shop_is_not_taken_for_that_of_another(clock: VirtualClock, source: Source) -> None:
    cache = ProductCache(now=clock.now)
    cache.of_shop("a", lambda: source).products(["1"])
    cache.of_shop("b", lambda: source).products(["1"])
    assert source.asked == [["1"], ["1"]]


def test_that_a_product_is_gone_is_remembered_too(clock: VirtualClock, source: Source) -> None:
    products = ProductCache(now=clock.now).of_shop("a", lambda: source)
    assert [products.products(["gone"]) for _ in range(2)] == [{}, {}]
    assert source.asked == [["gone"]]


def test_a_fault_is_not_remembered(clock: VirtualClock, source: Source) -> None:
    products = ProductCache(now=clock.now).of_shop("a", lambda: source)
    source.is_down = True
    with pytest.raises(UnavailableError):
        products.products(["1"])
    source.is_down = False
    assert set(products.products(["1"])) == {"1"}


@pytest.mark.parametrize(("after", "asked"), [(KEPT_FOR - timedelta(seconds=1), 1), (KEPT_FOR, 2)])
def test_a_product_is_believed_for_one_poll_interval(
    clock: VirtualClock, source: Source, after: timedelta, asked: int
) -> None:
    products = ProductCache(now=clock.now).of_shop("a", lambda: source)
    products.products(["1"])
    clock.advance(after)
    products.products(["1"])
    assert len(source.asked) == asked


def test_the_product_that_was_used_longest_ago_goes_first(clock: VirtualClock, source: Source) -> None:
    cache = ProductCache(max_products=2, now=clock.now)
    products = cache.of_shop("a", lambda: source)
    products.products(["1", "2"])
    products.products(["1"])
    products.products(["3"])
    assert set(cache.find("a", ["1", "2", "3"])) == {"1", "3"}


def test_more_products_than_it_keeps_are_all_given(clock: VirtualClock, source: Source) -> None:
    cache = ProductCache(max_products=2, now=clock.now)
    assert set(cache.of_shop("a", lambda: source).products(["1", "2", "3"])) == {"1", "2", "3"}
    assert len(cache.find("a", ["1", "2", "3"])) == 2
