"""Rule 22: which lines are one product, which product record belongs to a line, and what a kit's stock says."""

from collections.abc import Iterable
from decimal import Decimal
from typing import Any

import pytest

from orderwatch.alerts.alert import Alert
from orderwatch.alerts.parts import AlertLineItem, Digest, ListedProduct
from orderwatch.allocation import Need
from orderwatch.publishing.enrich import enrich, product_ids_of
from orderwatch.publishing.group import group
from orderwatch.records import Extract
from orderwatch.rendering import lists, next_steps, sns
from orderwatch.rendering.content import explanation
from orderwatch.summary.stock import blocking_products, product_ids
from orderwatch.trackstar.orders import Order
from orderwatch.trackstar.products import Product, ProductPage
from tests.support.alerts import alert_of
from tests.support.summaries import needs

type Record = dict[str, Any]


def line(product_id: object, sku: object = None, quantity: object = 1, **fields: object) -> Record:
    return {"product_id": product_id, "product_sku": sku, "quantity": quantity} | fields


def product(product_id: object, **fields: object) -> Record:
    return {"id": product_id, "inventory": 9} | fields


def products_of(*records: Record) -> dict[str, Product]:
    return {each.id: each for each in ProductPage.model_validate({"data": records}).products}


def alerts_of(*orders: list[Record], products: tuple[Record, ...] = ()) -> list[Alert]:
    """Alerts about backordered orders with these lines, with the details of these products."""
    alerts = [
        alert_of(str(number), status="backordered", record={"line_items": lines})
        for number, lines in enumerate(orders, start=1)
    ]
    return enrich(alerts, products_of(*products))


def alert_with(*lines: Record, products: tuple[Record, ...] = ()) -> Alert:
    [alert] = alerts_of(list(lines), products=products)
    return alert


def lines_of(alert: Alert) -> tuple[AlertLineItem, ...]:
    assert alert.order
    return alert.order.line_items


def digest_of(*orders: list[Record], products: tuple[Record, ...] = ()) -> Digest:
    [only] = group(alerts_of(*orders, products=products), threshold=1)
    assert only.alert.digest
    return only.alert.digest


def needs_of(*orders: list[Record]) -> list[Need]:
    records = [Order.of({"id": "1", "status": "backordered", "line_items": lines}) for lines in orders]
    return needs(*(Extract.of(each.details) for each in records))


def figures(products: Iterable[ListedProduct]) -> list[tuple[object, ...]]:
    return [(each.sku, each.orders, each.outstanding, each.short) for each in products]


# Ids and SKUs


@pytest.mark.parametrize(
    "placeholder",
    [
        *(0, -1, 0.0, -1.0, "0", "-1", "00", "0.0", "-1.0", "-0", "", " ", "-", "--", "?", "\u200b"),
        *("None", "none", "NULL", "null", " nil ", "Undefined", "N/A", "n.a.", "NaN", "<nil>", "(null)", "#N/A"),
        *("00000000-0000-0000-0000-000000000000", None, [], {}, True),
    ],
)
def test_a_placeholder_is_no_id_and_no_sku(placeholder: object) -> None:
    alert = alert_with(line(placeholder, placeholder, parent_product_id=placeholder), line("7", "A"))
    assert [(each.product_id, each.sku) for each in lines_of(alert)] == [(None, None), ("7", "A")]
    assert product_ids_of([alert]) == product_ids(needs_of([line(placeholder), line("7")])) == ["7"]
    assert list(products_of(product(placeholder), product("7", parent_product_id=placeholder))) == ["7"]


@pytest.mark.parametrize("known", ["10", 10, "-10", "-11", "0a", "N-1", "Nonesuch", "null-1", "第七", "a,b"])
def test_what_only_resembles_a_placeholder_is_an_id(known: object) -> None:
    assert lines_of(alert_with(line(known, known)))[0].product_id == str(known)


def test_a_row_that_was_stored_with_a_placeholder_has_no_id() -> None:
    kept = Extract.from_json('{"lines": [{"sku": "A", "product_id": "0"}, {"sku": "None", "product_id": "7"}]}')
    assert [(each.product_id, each.sku) for each in kept.lines] == [(None, "A"), ("7", None)]


# Lines of one product


@pytest.mark.parametrize(
    ("first", "second", "are_one", "why"),
    [
        (line("7", "A"), line("7", "A"), True, "id and SKU agree"),
        (line(7, " A "), line("7", "A"), True, "a number and blanks around a SKU change nothing"),
        (line("7"), line("7"), True, "neither has a SKU"),
        (line(None, "A"), line(None, "A"), True, "neither has an id"),
        (line(0, "A"), line("None", "A"), True, "neither has an id, though they say so in different words"),
        (line("7", "A"), line("7", "B"), False, "variants that share their parent's id"),
        (line("0", "A"), line("0", "B"), False, "a placeholder is no id"),
        (line("7", "A"), line("8", "A"), False, "two products that share a SKU"),
        (line("7", "A"), line(None, "A"), False, "whether the second has this id is not known"),
        (line("7", "A"), line("7"), False, "whether the second has this SKU is not known"),
        (line("7", "A"), line("7", "a"), False, "SKUs are compared as the shop writes them"),
        (line(None, "None"), line("0", "n/a"), False, "nothing is known of either"),
        (line(None), line(None), False, "nothing is known of either"),
        (line("A-B"), line(None, "A-B"), False, "an id is no SKU"),
    ],
)
def test_lines_are_one_product_only_if_id_and_sku_agree(
    first: Record, second: Record, *, are_one: bool, why: str
) -> None:
    alert = alert_with(first, second)
    assert alert.order
    assert (len(alert.order.lines_of(lines_of(alert)[0])) == 2) is are_one, why
    assert bool(digest_of([first], [second]).products) is are_one, why
    blockers = blocking_products(needs_of([first], [second]), {}).products
    assert (max((each.orders for each in blockers), default=0) == 2) is are_one, why


def test_the_sku_of_a_products_record_completes_a_line() -> None:
    found, orders = product("7", sku="A", inventory=1), ([line("7", "A")], [line("7")])
    assert figures(digest_of(*orders, products=(found,)).products) == [("A", 2, 2, 1)]
    assert figures(blocking_products(needs_of(*orders), products_of(found)).products) == [("A", 2, 2, 1)]


def test_an_order_that_is_in_a_digest_twice_counts_once() -> None:
    [alert] = alerts_of([line("7", "A", 2)], products=(product("7", sku="A", inventory=1),))
    [only] = group([alert, alert], threshold=1)
    assert only.alert.digest
    assert figures(only.alert.digest.products) == [("A", 1, 2, 1)]


# A product's record and a line


PARENT = {"parent_product_id": "7"}
OTHER_SKU = "product details of A: the product that the order line names has another SKU, B"
SHARED = "stock of A: order lines with other SKUs name the same product"


@pytest.mark.parametrize(
    ("lines", "record", "name", "on_hand", "missing"),
    [
        ([line("7", "A")], product("7", sku="A"), "N", 9, None),
        ([line("7", "A")], product("7", sku=" A"), "N", 9, None),
        ([line("7", "A")], product("7", sku="a"), "N", 9, None),
        ([line("7", "A")], product("7", sku="null"), "N", 9, None),
        ([line("7", "A" * 200)], product("7", sku="A" * 200), "N", 9, None),
        ([line("7", "A")], product("7", sku="B"), None, None, OTHER_SKU),
        ([line("7", "A"), line("7", "B")], product("7", sku="A"), "N", 9, None),
        ([line("7", "A"), line("7", "B")], product("7", sku="a"), "N", None, SHARED),
        ([line("7", "A"), line("7", "B")], product("7"), "N", None, SHARED),
        ([line("7", "A"), line("7")], product("7"), "N", None, SHARED),
        (
            [line("7", "A"), line("7", "B")],
            product("7", sku="FAMILY", **PARENT),
            "N",
            None,
            "stock of A: the order line names a parent product, and only its variants have stock",
        ),
    ],
)
def test_a_line_gets_only_the_stock_that_is_its_own(
    lines: list[Record], record: Record, name: str | None, on_hand: int | None, missing: str | None
) -> None:
    alert = alert_with(*lines, products=(record | {"name": "N"},))
    first = lines_of(alert)[0]
    assert (first.name, first.on_hand) == (name, on_hand)
    assert [each for each in alert.enrichment.missing if "of A:" in each] == ([missing] if missing else [])
    many = needs_of([each | {"quantity": 99} for each in lines])
    assert {each.sku: each.on_hand for each in blocking_products(many, products_of(record)).products}[
        first.sku
    ] == on_hand


def test_variants_that_share_their_parents_id_are_listed_apart() -> None:
    orders = [[line("7", sku)] for sku in ("RED", "RED", "BLUE", "BLUE", "GREEN")]
    found = product("7", sku="RED", inventory=1)
    red, blue, green = ("RED", 2, 2, 1), ("BLUE", 2, 2, None), ("GREEN", 1, 1, None)
    assert figures(digest_of(*orders, products=(found,)).products) == [red, blue]
    assert figures(blocking_products(needs_of(*orders), products_of(found)).products) == [blue, red, green]


# Kits


KIT = "kit: the stock of its parts decides"


@pytest.mark.parametrize(
    ("inventory", "known"),
    [(0, KIT), (None, KIT), (-2, KIT), ("?", KIT), (1, f"1 in stock, {KIT}"), (9, f"9 in stock, {KIT}")],
)
def test_the_stock_of_a_kits_parts_decides(inventory: object, known: str) -> None:
    record = product("7", sku="SET", is_kit=True, inventory=inventory, inventory_by_warehouse_id={"w": inventory})
    alert = alert_with(line("7", "SET", 2), products=(record,))
    assert alert.order
    [set_] = lines_of(alert)
    [item] = lists.items(alert, 9)
    assert (item.stock, item.short) == (known, None)
    assert (alert.order.shortfall(set_), lists.stock_covers_every_line(alert.order)) == (None, False)
    assert alert.enrichment.complete
    assert explanation(alert) == "SET is a kit: the stock of its parts decides"
    assert next_steps.next_step(alert).startswith("Check the stock of the kit's parts")
    bodies = sns.render(alert).bodies
    assert [name for name, body in bodies.items() if "short" in body] == []
    assert known in bodies["email"]


@pytest.mark.parametrize(("inventory", "known"), [(0, KIT), (None, KIT), (9, f"9 in stock, {KIT}")])
def test_a_kit_is_neither_short_nor_covered_in_a_list(inventory: object, known: str) -> None:
    record, orders = product("7", sku="SET", is_kit=True, inventory=inventory), ([line("7", "SET")], [line("7", "SET")])
    [in_digest] = digest_of(*orders, products=(record,)).products
    [in_summary] = blocking_products(needs_of(*orders), products_of(record)).products
    assert (in_digest.is_kit, in_digest.short, in_summary.is_kit, in_summary.short) == (True, None, True, None)
    assert (in_summary.orders, in_summary.only_blocker) == (2, 2)
    assert lists.digest_product(in_digest) == lists.Item("SET", f"in 2 orders (2 still to ship, {known})")


def test_what_is_short_beside_a_kit_is_named() -> None:
    records = (product("7", sku="SET", is_kit=True, inventory=0), product("8", sku="LAMP", inventory=1))
    alert = alert_with(line("7", "SET"), line("8", "LAMP", 3), products=records)
    assert explanation(alert) == "2 × LAMP short"
    assert next_steps.next_step(alert).startswith("Restock")


def test_whether_a_product_has_stock_of_its_own() -> None:
    kinds: list[Record] = [{}, {"inventory": 0}, PARENT, {"is_kit": True}, {"is_kit": True, "inventory": 0}]
    found = [Product.model_validate(product("7", **each)).has_stock for each in kinds]
    assert found == [True, True, False, True, False]
    assert Product(id="7", inventory=Decimal(1)).has_stock
