"""The invented products and orders."""

from datetime import UTC, datetime

import pytest

from orderwatch_local.simulator.records import Record
from orderwatch_local.simulator.seeded_data import Catalogue, OrderBook, is_parent, seeded_catalogue

NOON = datetime(2026, 1, 5, 12, tzinfo=UTC)


def catalogue(*, seed: int = 1, currency: str = "USD") -> Catalogue:
    return seeded_catalogue(seed, currency=currency, host="shop.example")


def orders(count: int, *, currency: str = "USD") -> list[Record]:
    book = OrderBook(1, catalogue=catalogue(currency=currency), country="US", host="shop.example")
    return [book.write(NOON) for _ in range(count)]


def test_the_seed_determines_the_catalogue() -> None:
    assert catalogue(seed=1) == catalogue(seed=1)
    assert catalogue(seed=1) != catalogue(seed=2)


def test_the_catalogue_has_variants_kits_nulls_and_unicode() -> None:
    products = {product["id"]: product for product in catalogue().products}
    assert all(is_parent(products[each["parent_product_id"]]) for each in products.values())
    assert all((each["price"] is None) == (each["inventory"] is None) == is_parent(each) for each in products.values())
    assert any(each["is_kit"] for each in products.values())
    assert any(each["gtin"] is None for each in products.values())
    assert any(not each["name"].isascii() for each in products.values())


@pytest.mark.parametrize("currency", ["USD", "JPY"])
def test_the_totals_of_an_order_add_up_from_its_lines(currency: str) -> None:
    for order in orders(30, currency=currency):
        lines = order["line_items"]
        gross = sum(line["quantity"] * line["unit_price"] for line in lines)
        assert order["total_price"] == pytest.approx(
            gross - order["total_discount"] + order["total_tax"] + order["total_shipping"]
        )
        assert isinstance(order["total_price"], int) is (currency == "JPY"), "yen have no decimals"


def test_orders_have_increasing_numbers_and_allowed_nulls() -> None:
    written = orders(100)
    assert [order["order_number"] for order in written[:2]] == ["#1001", "#1002"]
    assert any(order["latest_ship_date"] is None for order in written)
    for_sale = {product["id"] for product in catalogue().for_sale()}
    assert {line["product_id"] for order in written for line in order["line_items"]} - {None} <= for_sale
