"""Rule 20: what a summary counts, order by order, and which products hold orders up."""

from collections.abc import Mapping
from copy import replace
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest

from orderwatch.alerts.kinds import KIND_STUCK
from orderwatch.alerts.summary import BacklogAges, NotVisible, ShopSummary
from orderwatch.deadlines.rules import Deadline, DeadlineState
from orderwatch.ownership import Ownership
from orderwatch.records import Extract, ExtractLine, StoredOrder
from orderwatch.summary.figures import SummaryRow, shop_summary, total, worst_first
from orderwatch.summary.stock import add_products, backordered, blocking_products, product_ids
from orderwatch.trackstar.products import Product
from tests.support.summaries import AT, AT_RISK, DAY, HOUR, WATCHED, Shelf, extract, late_for, needs, row

SECOND = timedelta(seconds=1)
DELETED = DeadlineState(passed=AT_RISK.passed)
"""The deadlines of an order that Trackstar has deleted: none is next."""
STUCK = DeadlineState(passed=Deadline(AT - HOUR, KIND_STUCK))


def rows_of(rows: Mapping[str, StoredOrder]) -> list[SummaryRow]:
    return [SummaryRow(key, each, WATCHED, AT) for key, each in rows.items()]


def shop_of(rows: Mapping[str, StoredOrder], *, connection_id: str = "a") -> ShopSummary:
    return shop_summary(rows_of(rows), connection_id=connection_id, as_of=AT)


# An order


@pytest.mark.parametrize(
    ("stored", "reason", "since", "why"),
    [
        (row("exception"), "exception", HOUR, "a watched status"),
        (row("exception", since=5 * HOUR, deadline_state=late_for(HOUR)), "exception", 5 * HOUR, "it says more"),
        (row("processing", since=9 * DAY, deadline_state=late_for(HOUR)), "late", HOUR, "since its ship-by"),
        (row("open", since=DAY, deadline_state=STUCK), "stuck", HOUR, "it has not moved"),
        (row("on_hold", since=DAY), "on_hold", DAY, "watched when it was written, not now"),
        (row("processing", needs_attention=False, deadline_state=AT_RISK), "at_risk", 2 * HOUR, "since the warning"),
        (row("backordered", since=DAY, deadline_state=AT_RISK), "backordered", DAY, "the status says more"),
    ],
)
def test_why_an_order_is_listed_and_since_when(stored: StoredOrder, reason: str, since: timedelta, why: str) -> None:
    [order] = rows_of({"1": stored})
    assert (order.reason, AT - order.since) == (reason, since), why


@pytest.mark.parametrize(
    ("status", "deadlines", "is_late", "is_at_risk"),
    [
        ("open", late_for(HOUR), True, False),
        ("open", AT_RISK, False, True),
        ("open", DELETED, False, False),
        ("fulfilled", late_for(HOUR), False, False),
        ("fulfilled", AT_RISK, False, False),
    ],
)
def test_only_open_orders_are_late_or_at_risk(
    status: str, deadlines: DeadlineState, is_late: bool, is_at_risk: bool
) -> None:
    [order] = rows_of({"1": row(status, deadline_state=deadlines)})
    assert (order.is_late, order.is_at_risk) == (is_late, is_at_risk)


# A shop


def test_a_shop_counts_each_order_once_by_reason() -> None:
    shop = shop_of(
        {
            "1": row(),
            "2": row("backordered"),
            "3": row("backordered", deadline_state=late_for(HOUR)),
            "4": row("open", deadline_state=late_for(2 * DAY)),
            "5": row("open", needs_attention=False, deadline_state=AT_RISK),
            "6": row(deadline_state=AT_RISK),
        }
    )
    assert shop.by_reason == {"exception": 2, "backordered": 2, "late": 1}
    assert (shop.needs_attention, shop.late, shop.at_risk, shop.more_orders) == (5, 2, 1, 0)
    assert shop.needs_attention + shop.at_risk == len(shop.orders), "no order is counted twice"


@pytest.mark.parametrize(
    ("age", "ages"),
    [
        (-HOUR, BacklogAges(under_1_day=1)),
        (DAY - SECOND, BacklogAges(under_1_day=1)),
        (DAY, BacklogAges(from_1_to_3_days=1)),
        (3 * DAY - SECOND, BacklogAges(from_1_to_3_days=1)),
        (3 * DAY, BacklogAges(from_3_to_7_days=1)),
        (7 * DAY - SECOND, BacklogAges(from_3_to_7_days=1)),
        (7 * DAY, BacklogAges(over_7_days=1)),
    ],
)
def test_an_order_counts_once_by_age(age: timedelta, ages: BacklogAges) -> None:
    assert shop_of({"1": row(since=age)}).ages == ages


def test_value_is_added_up_by_currency() -> None:
    rows = [extract(total="10.50"), extract(total="5"), extract(total="7", currency="USD"), extract(total=None)]
    shop = shop_of({str(number): row(kept=each) for number, each in enumerate([*rows, extract(currency=None)])})
    assert shop.value_by_currency == {"EUR": Decimal("15.50"), "USD": Decimal(7)}
    assert shop.without_value == 2


def test_the_five_most_frequent_reasons_of_the_shop_are_listed() -> None:
    said = [None, "once", *["twice"] * 2, *["x" * 90] * 3, *["b"] * 4, *["c"] * 5, *["d"] * 6]
    shop = shop_of({str(number): row(raw=raw) for number, raw in enumerate(said)})
    assert list(shop.raw_reasons.items()) == [("d", 6), ("c", 5), ("b", 4), ("x" * 80, 3), ("twice", 2)]


def test_the_ten_most_urgent_orders_are_listed() -> None:
    rows = {f"{number}": row(ship_by=AT + number * HOUR) for number in range(8, 0, -1)}
    rows["no date"] = row(kept=extract(total="9000"))
    rows["no date either"] = row(kept=extract(total="8000"))
    rows["risk"] = row("open", needs_attention=False, deadline_state=AT_RISK, ship_by=AT - DAY)
    shop = shop_of(rows)
    assert [order.id for order in shop.orders] == [*"12345678", "no date", "no date either"]
    assert shop.more_orders == 1


def owned(owner: str | None, *, snoozed_for: timedelta | None = None, **options: Any) -> StoredOrder:
    until = None if snoozed_for is None else AT + snoozed_for
    return replace(row(**options), ownership=Ownership(owner, AT - DAY if owner else None, until))


def test_orders_are_counted_by_who_works_on_them() -> None:
    rows = {
        "free": row(ship_by=AT + 5 * HOUR),
        "hers": owned("Ana", ship_by=AT - DAY),
        "hers too": owned("Ana", snoozed_for=-HOUR, ship_by=AT),
        "his": owned("Ben"),
        "snoozed": owned(None, snoozed_for=HOUR, ship_by=AT - DAY),
        "hers, snoozed": owned("Ana", snoozed_for=HOUR),
        "awake": owned(None, snoozed_for=timedelta(), ship_by=AT + 6 * HOUR),
        "risk": row("open", needs_attention=False, deadline_state=AT_RISK, ship_by=AT),
    }
    shop = shop_of(rows)
    figures = (shop.needs_attention, shop.taken, shop.snoozed, shop.unowned, shop.by_owner)
    assert figures == (7, 3, 2, 2, {"Ana": 2, "Ben": 1})
    assert [order.id for order in shop.orders] == [
        *("free", "awake", "hers", "hers too", "his", "risk", "snoozed", "hers, snoozed")
    ], "first what nobody works on"
    hers, awake = shop.orders[2], shop.orders[1]
    assert (hers.owner, hers.taken_at, awake.snoozed_until) == ("Ana", AT - DAY, None)
    every = total([shop, shop_of({"1": owned("Ben"), "2": row()})])
    assert (every.taken, every.snoozed, every.unowned, every.by_owner) == (4, 2, 3, {"Ana": 2, "Ben": 2})


def test_the_total_is_the_sum_of_the_shops() -> None:
    one = shop_of({"1": row(), "2": row("open", deadline_state=late_for(HOUR)), "3": row(kept=extract(total=None))})
    two = shop_of(
        {
            "1": row("exception", since=9 * DAY, kept=extract(currency="USD")),
            "2": row("open", needs_attention=False, deadline_state=AT_RISK),
        }
    )
    every = total([one, two])
    assert (every.needs_attention, every.late, every.at_risk, every.without_value) == (4, 1, 1, 1)
    assert every.by_reason == {"exception": 3, "late": 1}
    assert every.value_by_currency == {"EUR": Decimal(20), "USD": Decimal(10)}
    assert every.ages == BacklogAges(under_1_day=3, over_7_days=1)


def test_shops_are_sorted_by_what_is_worst() -> None:
    def figures(name: str, late: int = 0, needs_attention: int = 0, at_risk: int = 0) -> ShopSummary:
        return ShopSummary(
            connection_id=name, as_of=AT, late=late, needs_attention=needs_attention, at_risk=at_risk,
            not_visible=NotVisible(state="blocked") if name == "hidden" else None,
        )  # fmt: skip

    worst = [
        figures("hidden"),
        figures("late", 2, 2),
        figures("backlog", 1, 9),
        figures("less backlog", 1, 8),
        figures("risk", 0, 1, 3),
        figures("risk too", 0, 1, 3),
        figures("quiet", 0, 1, 2),
    ]
    shops = worst[::-1]
    assert sorted(shops, key=worst_first) == worst


# The products that hold orders up


LAMP, TENT = "LAMP", "TENT"
ORDERS = {
    "1": row("backordered", kept=extract((LAMP, 2))),
    "2": row("backordered", kept=extract((LAMP, 3), (TENT, 1))),
    "3": row("backordered", kept=extract((TENT, 1), more=4)),
    "4": row("backordered", kept=extract((LAMP, 1), (LAMP, 1))),
    "5": row("exception", kept=extract(("SOCK", 9))),
    "6": row("backordered", needs_attention=False, kept=extract((LAMP, 99))),
}


def products_of(stock: Mapping[str, int]) -> dict[str, Product]:
    return {f"id-{sku}": Product(id=f"id-{sku}", inventory=Decimal(count)) for sku, count in stock.items()}


def of_lines(*lines: ExtractLine) -> Extract:
    return Extract(lines=lines)


@pytest.mark.parametrize(
    ("stock", "blockers"),
    [
        ({LAMP: 4}, [(LAMP, 3, 2, 7, 4, 3), (TENT, 2, 0, 2, None, None)]),
        ({LAMP: 4, TENT: 2}, [(LAMP, 3, 3, 7, 4, 3)]),
        ({LAMP: 7, TENT: 1}, [(TENT, 2, 1, 2, 1, 1)]),
        ({LAMP: 7, TENT: 2}, []),
        ({LAMP: -1, TENT: 2}, [(LAMP, 3, 3, 7, -1, 7)]),
        ({}, [(LAMP, 3, 2, 7, None, None), (TENT, 2, 0, 2, None, None)]),
    ],
)
def test_products_whose_stock_is_short_or_unknown_hold_orders_up(
    stock: Mapping[str, int], blockers: list[tuple[object, ...]]
) -> None:
    found = blocking_products(backordered(rows_of(ORDERS)), products_of(stock)).products
    assert [(p.sku, p.orders, p.only_blocker, p.outstanding, p.on_hand, p.short) for p in found] == blockers


@pytest.mark.parametrize(
    ("stock", "in_stock"),
    [({}, 0), ({LAMP: 7}, 2), ({LAMP: 7, TENT: 1}, 2), ({LAMP: 7, TENT: 2}, 3), ({LAMP: 6, TENT: 2}, 0)],
    ids=["unknown", "one of two known", "one short", "all", "lamps short"],
)
def test_backorders_that_stock_covers_are_counted(stock: Mapping[str, int], in_stock: int) -> None:
    """Order 3 has lines that are not stored, and the exception is no backorder."""
    orders = {**ORDERS, "7": row("backordered", kept=Extract())}
    assert blocking_products(backordered(rows_of(orders)), products_of(stock)).in_stock == in_stock


@pytest.mark.parametrize(
    ("stock", "can_ship"),
    [({}, [None, None]), ({LAMP: 3}, [1, None]), ({LAMP: 3, TENT: 0}, [1, 0]), ({LAMP: 6, TENT: 1}, [2, 1])],
    ids=["stock unknown", "lamps for one order", "no tents", "a tent"],
)
def test_orders_that_could_ship_now_are_counted_for_each_blocker(
    stock: Mapping[str, int], can_ship: list[int | None]
) -> None:
    orders = {
        "1": row("backordered", since=3 * HOUR, kept=extract((LAMP, 3))),
        "2": row("backordered", since=2 * HOUR, kept=extract((LAMP, 3), (TENT, 1))),
        "3": row("backordered", since=HOUR, kept=extract((LAMP, 1), (TENT, 1))),
    }
    found = blocking_products(backordered(rows_of(orders)), products_of(stock)).products
    assert {each.sku: each.can_ship for each in found} == dict(zip((LAMP, TENT), can_ship, strict=True))


def test_a_parent_has_no_stock_of_its_own() -> None:
    parent = Product(id="id-LAMP", parent_product_id="id-LAMP", inventory=Decimal(4))
    [lamp] = blocking_products(needs(extract((LAMP, 2))), {"id-LAMP": parent}).products
    assert (lamp.on_hand, lamp.short) == (None, None)


def test_a_line_without_a_product_also_holds_up_its_order() -> None:
    lamp = ExtractLine(sku=LAMP, quantity=Decimal(1))
    [found] = blocking_products(needs(of_lines(lamp, ExtractLine(quantity=Decimal(1)))), {}).products
    assert (found.sku, found.product_id, found.orders, found.only_blocker) == (LAMP, None, 1, 0)


def test_a_product_can_name_the_sku_that_its_lines_lack() -> None:
    nameless = needs(of_lines(ExtractLine(product_id="p")))
    [found] = blocking_products(nameless, {"p": Product(id="p", sku="LAMP")}).products
    assert (found.sku, found.product_id, found.outstanding, found.short) == (LAMP, "p", None, None)


def test_blocking_products_are_sorted_by_orders_then_by_units() -> None:
    units: dict[str, Decimal | None] = {
        "Z": Decimal(0), "N": None, "P": Decimal("0.5"), "B": Decimal(1), "A": Decimal(1), "C": Decimal(2)
    }  # fmt: skip
    backlog = [of_lines(ExtractLine(sku=sku, quantity=count)) for sku, count in units.items()]
    assert [each.sku for each in blocking_products(needs(*backlog), {}).products] == ["C", "A", "B", "P", "N", "Z"]
    shared = of_lines(ExtractLine(sku="Z"), ExtractLine(sku="X", quantity=Decimal(9)))
    assert [each.sku for each in blocking_products(needs(*backlog, shared), {}).products] == [
        "Z",
        "C",
        "A",
        "B",
        "P",
        "N",
        "X",
    ]


def test_tied_products_without_a_sku_keep_their_order() -> None:
    nameless = [of_lines(ExtractLine(product_id=each)) for each in ("p2", "p1")]
    assert [each.product_id for each in blocking_products(needs(*nameless), {}).products] == ["p2", "p1"]


def test_the_hundred_products_in_most_orders_are_looked_up() -> None:
    crowd = [
        extract(*((f"SKU-{each}", 1) for each in range(60))),
        extract(*((f"SKU-{each}", 1) for each in range(50, 120))),
        of_lines(ExtractLine(sku="no id")),
    ]
    assert product_ids(needs(*crowd)) == [f"id-SKU-{each}" for each in (*range(50, 60), *range(50), *range(60, 100))]


def test_stock_is_looked_up_for_the_twenty_worst_shops_with_backorders() -> None:
    waiting = {"1": row("backordered", kept=extract((LAMP, 2)))}
    rows = {"quiet": {"1": row()}} | {f"{number}": waiting for number in range(22)}
    shops = [shop_of(each, connection_id=name) for name, each in rows.items()]
    shelf = Shelf({"id-LAMP": 1})
    complete, missing = add_products(shops, {name: rows_of(each) for name, each in rows.items()}, shelf)
    assert shelf.asked == [f"{number}" for number in range(20)]
    assert [each.products[0].short for each in complete[1:]] == [1] * 20 + [None] * 2
    assert (complete[0].products, missing) == ((), [])


def test_five_products_are_listed_and_the_rest_is_counted() -> None:
    rows = {"1": row("backordered", kept=extract(*((f"{number}", 1) for number in range(1, 8))))}
    shops, orders = [shop_of(rows)], {"a": rows_of(rows)}
    [shop], missing = add_products(shops, orders, Shelf(gap="Trackstar did not answer"))
    assert ([each.sku for each in shop.products], shop.more_products) == ([*"12345"], 2)
    assert missing == ["stock at a: Trackstar did not answer"]
    assert add_products(shops, orders, None) == ([shop], [])
