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


def test_every_variant_has_a_parent_that_names_itself() -> None:
    by_id = {product["id"]: product for product in catalogue().products}
    assert all(is_parent(by_id[product["parent_product_id"]]) for product in by_id.values())


def test_only_variants_have_price_and_stock() -> None:
    for product in catalogue().products:
        assert (product["price"] is None) == (product["inventory"] is None) == is_parent(product)


def test_the_catalogue_has_kits_nulls_and_unicode() -> None:
    products = catalogue().products
    assert any(product["is_kit"] for product in products)
    assert any(not product["active"] for product in products)
    assert any(product["gtin"] is None for product in products)
    assert any(not product["name"].isascii() for product in products)


def test_discontinued_products_and_parents_are_not_ordered() -> None:
    for_sale = {product["id"] for product in catalogue().for_sale()}
    ordered = {line["product_id"] for order in orders(300) for line in order["line_items"]}
    assert ordered - {None} <= for_sale


@pytest.mark.parametrize("currency", ["USD", "EUR", "JPY"])
def test_the_totals_of_an_order_add_up_from_its_lines(currency: str) -> None:
    for order in orders(100, currency=currency):
        lines = order["line_items"]
        gross = sum(line["quantity"] * line["unit_price"] for line in lines)
        assert order["total_discount"] == pytest.approx(sum(line["discount"] for line in lines))
        assert order["total_tax"] == pytest.approx(sum(line["tax"] for line in lines))
        assert order["total_price"] == pytest.approx(
            gross - order["total_discount"] + order["total_tax"] + order["total_shipping"]
        )


def test_amounts_in_yen_have_no_decimals() -> None:
    for order in orders(50, currency="JPY"):
        assert isinstance(order["total_price"], int)


def test_orders_have_increasing_numbers_and_allowed_nulls() -> None:
    written = orders(100)
    assert [order["order_number"] for order in written[:2]] == ["#1001", "#1002"]
    assert any(order["latest_ship_date"] is None for order in written)
    assert any(order["bill_to_address"] is None for order in written)
    assert {line["product_sku"] for order in written for line in order["line_items"]} >= {None, ""}


def test_an_order_can_be_given_a_product() -> None:
    book = OrderBook(1, catalogue=catalogue(), country="US", host="shop.example")
    product = catalogue().for_sale()[0]
    for order in [book.write(NOON, product=product) for _ in range(50)]:
        ids = [line["product_id"] for line in order["line_items"]]
        assert ids[0] == product["id"]
        assert ids.count(product["id"]) == 1
