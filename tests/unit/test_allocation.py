"""Rule 23: which backordered orders the stock covers."""

from collections.abc import Mapping
from copy import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from orderwatch.allocation import Need, allocate, needs_of, product_ids
from orderwatch.records import Extract, ExtractLine, StoredOrder
from orderwatch.trackstar.orders import Version, VersionClock
from orderwatch.trackstar.products import Product

NOON = datetime(2026, 1, 5, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)

type Line = tuple[Any, ...]
"""The product id, the quantity and the SKU of a line; the last two can be left out."""


def row(
    *lines: Line,
    more: int = 0,
    ship_by: int | None = None,
    age: int = 1,
    alerted: bool = False,
    status: str = "backordered",
) -> StoredOrder:
    """The row of an order; ship-by and age in hours."""
    extract = Extract(lines=tuple(map(line, lines)), more_lines=more)
    return StoredOrder(
        status=status,
        raw_status=None,
        version=Version(NOON, VersionClock.TRACKSTAR),
        status_since=NOON - age * HOUR,
        order_number="#1",
        needs_attention=True,
        ship_by=NOON + ship_by * HOUR if ship_by is not None else None,
        extract=extract.to_json(),
        restocked_at=NOON if alerted else None,
    )


def line(parts: Line) -> ExtractLine:
    product_id, quantity, sku = (*parts, None, None)[:3] if len(parts) > 1 else (*parts, 1, None)
    return ExtractLine(product_id=product_id, quantity=None if quantity is None else Decimal(quantity), sku=sku)


def stock(**on_hand: Any) -> dict[str, Product]:
    """The products by id, with their stock or with other fields."""
    fields = {key: each if isinstance(each, Mapping) else {"inventory": each} for key, each in on_hand.items()}
    return {key: Product.model_validate({"id": key, **each}) for key, each in fields.items()}


def covered(rows: Mapping[str, StoredOrder], **on_hand: Any) -> list[str]:
    return allocate(needs_of(rows), stock(**on_hand))


TWO = row(("P", 2))


@pytest.mark.parametrize(
    ("rows", "on_hand", "expected"),
    [
        ({"a": TWO, "b": TWO, "c": TWO}, 4, ["a", "b"]),
        ({"b": TWO, "a": TWO}, 2, ["a"]),
        ({"a": TWO, "b": row(("P", 2), ship_by=5), "c": row(("P", 2), ship_by=4)}, 4, ["c", "b"]),
        ({"a": row(("P", 2), age=1), "b": row(("P", 2), age=9)}, 2, ["b"]),
        ({"a": row(("P", 2), ship_by=5, age=1), "b": row(("P", 2), age=9)}, 2, ["a"]),
        ({"a": row(("P", 3), ship_by=1), "b": TWO}, 2, ["b"]),
        ({"a": row(("P", 2), ship_by=1), "b": row(("P", 2), alerted=True)}, 2, ["b"]),
        ({"a": row(("P", 2), ship_by=1), "b": row(("P", 2), alerted=True)}, 4, ["b", "a"]),
        ({"a": row(("P", 2), ship_by=1), "b": row(("P", 3), alerted=True)}, 2, ["a"]),
        ({"a": row(("P", 2), status="exception"), "b": TWO}, 2, ["b"]),
        ({"a": TWO}, -2, []),
    ],
    ids=[
        "each unit once",
        "then by id",
        "earliest ship-by first, none last",
        "then the oldest",
        "ship-by before age",
        "an order that is not covered takes nothing",
        "an alerted order keeps its units",
        "an alerted order and the next",
        "an alerted order that is no longer covered",
        "backordered orders only",
        "negative stock",
    ],
)
def test_each_unit_covers_one_order(rows: Mapping[str, StoredOrder], on_hand: int, expected: list[str]) -> None:
    assert covered(rows, P=on_hand) == expected


@pytest.mark.parametrize(
    ("needed", "on_hand", "is_covered"),
    [
        (row(("P", 2), ("Q", 1)), {"P": 2, "Q": 1}, True),
        (row(("P", 2), ("Q", 1)), {"P": 2, "Q": 0}, False),
        (row(("P", 2), ("P", 2)), {"P": 3}, False),
        (row(("P", 2), ("P", 2)), {"P": 4}, True),
        (row(("P", "0.5"), ("P", "0.25")), {"P": "0.75"}, True),
        (row(("P", "0.5"), ("P", "0.25")), {"P": "0.7"}, False),
        (row(("P", 0)), {"P": 1}, False),
        (row(("P", -1)), {"P": 1}, False),
        (row(), {"P": 1}, False),
        (row(("P", 1), more=1), {"P": 9}, False),
        (row(("P", None)), {"P": 9}, False),
        (row(("P", 1), (None, 1, "S")), {"P": 9}, False),
        (row(("P", 1)), {}, False),
        (row(("P", 1)), {"P": None}, False),
        (row(("P", 1)), {"P": {"inventory": 9, "parent_product_id": "P"}}, False),
        (row(("P", 1)), {"P": {"inventory": 9, "parent_product_id": "Q"}}, True),
        (row(("P", 1)), {"P": {"inventory": 9, "is_kit": True}}, True),
        (row(("P", 1)), {"P": {"inventory": 0, "is_kit": True}}, False),
        (row(("P", 1, "S")), {"P": {"inventory": 9, "sku": "s"}}, True),
        (row(("P", 1, "S")), {"P": {"inventory": 9, "sku": "T"}}, False),
        (row(("P", 1, "S"), ("P", 1, "T")), {"P": {"inventory": 9, "sku": "S"}}, False),
    ],
    ids=[
        "two products",
        "one of two products",
        "two lines of one product",
        "both lines",
        "fractions",
        "fractions short",
        "nothing to ship",
        "a negative quantity",
        "no lines",
        "lines that the row does not keep",
        "unknown quantity",
        "a line without a product",
        "unknown product",
        "unknown stock",
        "a parent",
        "a variant",
        "a kit with a number of its own",
        "a kit whose parts decide",
        "SKU in another letter case",
        "another SKU",
        "an id with several SKUs",
    ],
)
def test_every_line_must_be_known_and_covered(
    needed: StoredOrder, on_hand: Mapping[str, Any], is_covered: bool
) -> None:
    assert covered({"a": needed}, **on_hand) == ["a"] * is_covered


def test_an_id_with_several_skus_has_stock_for_its_own_sku_only() -> None:
    rows = {"a": row(("P", 1, "S")), "b": row(("P", 1, "T")), "c": row(("P", 1))}
    assert covered(rows, P={"inventory": 9, "sku": "S"}) == ["a", "c"], "the record completes a line without a SKU"


def test_products_of_the_first_orders_are_asked_for_first() -> None:
    rows = {
        "a": row(("P",), ("Q",)),
        "b": row(("R",), ("P",), ship_by=1),
        "c": row(("S",), (None, 1, "no id"), ship_by=0),
        "d": replace(TWO, extract=None),
    }
    needs = needs_of(rows)
    assert [each.order_id for each in needs] == ["c", "b", "a"]
    assert product_ids(needs, limit=9) == ["R", "P", "Q"], "no product can cover an order with an unknown line"
    assert product_ids(needs, limit=2) == ["R", "P"]


def test_the_order_of_the_needs_does_not_matter() -> None:
    needs = needs_of({"a": TWO, "b": row(("P", 2), ship_by=1), "c": row(("P", 1), ship_by=2)})
    assert allocate(needs, stock(P=3)) == allocate(list(reversed(needs)), stock(P=3)) == ["b", "c"]
    assert isinstance(needs[0], Need)
