"""Rule 20: what a summary counts, order by order."""

from collections.abc import Mapping
from datetime import timedelta
from decimal import Decimal

import pytest

from orderwatch.alerts.summary import BacklogAges, ShopSummary, SummaryProduct
from orderwatch.deadlines.rules import NO_DEADLINE, DeadlineState
from orderwatch.records import ExtractLine, StoredOrder
from orderwatch.summary.figures import SummaryRow, shop_summary, total
from orderwatch.summary.stock import MAX_LOOKED_UP, backordered, blocking_products, product_ids
from orderwatch.trackstar.products import Product
from tests.support.summaries import AT, AT_RISK, DAY, HOUR, WATCHED, extract, late_for, row


def rows_of(rows: Mapping[str, StoredOrder]) -> list[SummaryRow]:
    return [SummaryRow(key, each, WATCHED) for key, each in rows.items()]


def shop_of(rows: Mapping[str, StoredOrder]) -> ShopSummary:
    return shop_summary(rows_of(rows), connection_id="a", as_of=AT)


@pytest.mark.parametrize(
    ("stored", "reason", "since", "why"),
    [
        (row("exception", since=HOUR), "exception", HOUR, "a watched status"),
        (
            row("exception", since=5 * HOUR, deadline_state=late_for(HOUR)),
            "exception",
            5 * HOUR,
            "the status says more",
        ),
        (
            row("processing", since=9 * DAY, deadline_state=late_for(HOUR)),
            "late",
            HOUR,
            "it needs attention since its ship-by passed",
        ),
        (row("on_hold", since=DAY), "on_hold", DAY, "watched when it was written, not now"),
        (
            row("processing", since=DAY, needs_attention=False, deadline_state=AT_RISK),
            "at_risk",
            2 * HOUR,
            "since the warning",
        ),
        (
            row("backordered", since=DAY, deadline_state=AT_RISK),
            "backordered",
            DAY,
            "it needs attention and is at risk",
        ),
    ],
)
def test_why_an_order_is_listed_and_since_when(stored: StoredOrder, reason: str, since: timedelta, why: str) -> None:
    [order] = rows_of({"1": stored})
    assert (order.reason, AT - order.since) == (reason, since), why


def test_an_order_counts_once_by_reason_and_once_by_age() -> None:
    shop = shop_of(
        {
            "1": row(since=HOUR),
            "2": row("backordered", since=DAY),
            "3": row("backordered", since=3 * DAY, deadline_state=late_for(HOUR)),
            "4": row(since=7 * DAY, raw="Address"),
            "5": row("open", since=40 * DAY, deadline_state=late_for(2 * DAY)),
            "6": row("open", needs_attention=False, deadline_state=AT_RISK),
        }
    )
    assert shop.by_reason == {"exception": 2, "backordered": 2, "late": 1}
    assert shop.ages == BacklogAges(under_1_day=1, from_1_to_3_days=2, from_3_to_7_days=1, over_7_days=1)
    assert (shop.needs_attention, shop.late, shop.at_risk) == (5, 2, 1)
    assert shop.raw_reasons == {"Address": 1}


def test_value_is_added_up_by_currency() -> None:
    rows = [extract(total="10.50"), extract(total="5"), extract(total="7", currency="USD"), extract(total=None)]
    shop = shop_of({str(number): row(kept=each) for number, each in enumerate([*rows, extract(currency=None)])})
    assert shop.value_by_currency == {"EUR": Decimal("15.50"), "USD": Decimal(7)}
    assert shop.without_value == 2


def test_the_ten_most_urgent_orders_are_listed() -> None:
    rows = {f"{number:02}": row(ship_by=AT + number * HOUR) for number in range(14)}
    rows["never"] = row(kept=extract(total="9000"))
    rows["risk"] = row("open", needs_attention=False, deadline_state=AT_RISK, ship_by=AT - DAY)
    shop = shop_of(rows)
    assert [order.id for order in shop.orders] == [f"{number:02}" for number in range(10)]
    assert shop.more_orders == 6, "four with a ship-by, one without, and one that is at risk"


def test_the_total_is_the_sum_of_the_shops() -> None:
    one = shop_of({"1": row(), "2": row("open", deadline_state=late_for(HOUR))})
    two = shop_of({"1": row("backordered", since=9 * DAY, kept=extract(currency="USD"))})
    every = total([one, two])
    assert (every.needs_attention, every.late) == (3, 1)
    assert every.by_reason == {"exception": 1, "late": 1, "backordered": 1}
    assert every.value_by_currency == {"EUR": Decimal(20), "USD": Decimal(10)}
    assert every.ages == BacklogAges(under_1_day=2, over_7_days=1)


ORDERS = {
    "1": row("backordered", kept=extract(("LAMP", 2))),
    "2": row("backordered", kept=extract(("LAMP", 3), ("TENT", 1))),
    "3": row("backordered", kept=extract(("TENT", 1), more=4)),
    "4": row("backordered", kept=extract(("LAMP", 1), ("LAMP", 1))),
    "5": row("exception", kept=extract(("SOCK", 9))),
    "6": row("backordered", needs_attention=False, deadline_state=NO_DEADLINE, kept=extract(("LAMP", 99))),
}


def held_up(stock: Mapping[str, int]) -> list[SummaryProduct]:
    products = {f"id-{sku}": Product(id=f"id-{sku}", inventory=Decimal(count)) for sku, count in stock.items()}
    return blocking_products(backordered(rows_of(ORDERS)), products)


def test_the_products_in_most_orders_come_first() -> None:
    lamp, tent = held_up({"LAMP": 4})
    assert lamp == SummaryProduct(
        sku="LAMP",
        product_id="id-LAMP",
        orders=3,
        only_blocker=2,
        ordered=Decimal(7),
        on_hand=Decimal(4),
        short=Decimal(3),
    )
    assert tent == SummaryProduct(sku="TENT", product_id="id-TENT", orders=2, only_blocker=0, ordered=Decimal(2))


def test_a_product_with_enough_stock_holds_up_nothing() -> None:
    [lamp] = held_up({"LAMP": 4, "TENT": 2})
    assert (lamp.sku, lamp.orders, lamp.only_blocker) == ("LAMP", 3, 3)
    assert held_up({"LAMP": 7, "TENT": 2}) == []


def test_unknown_stock_holds_up_orders() -> None:
    assert [(each.sku, each.orders, each.only_blocker, each.short) for each in held_up({})] == [
        ("LAMP", 3, 2, None),
        ("TENT", 2, 0, None),
    ]


def test_a_parent_has_no_stock_of_its_own() -> None:
    waiting = [extract(("LAMP", 2))]
    parent = Product(id="id-LAMP", parent_product_id="id-LAMP", inventory=Decimal(4))
    [lamp] = blocking_products(waiting, {"id-LAMP": parent})
    assert (lamp.on_hand, lamp.short) == (None, None)


def test_products_in_most_orders_are_looked_up_first() -> None:
    crowd = [
        extract(*((f"SKU-{each}", 1) for each in range(60))),
        extract(*((f"SKU-{each}", 1) for each in range(50, 120))),
    ]
    asked = product_ids(crowd)
    assert len(asked) == MAX_LOOKED_UP
    assert asked == [f"id-SKU-{each}" for each in (*range(50, 60), *range(50), *range(60, 100))]


def test_tied_products_keep_the_order_of_the_orders() -> None:
    ids = [f"p{each}" for each in range(12)]
    nameless = [
        extract().model_copy(update={"lines": [ExtractLine(product_id=each, quantity=Decimal(1))]}) for each in ids
    ]
    assert [each.product_id for each in blocking_products(nameless, {})] == ids


def test_a_deleted_order_is_not_at_risk() -> None:
    [order] = rows_of({"1": row("exception", deadline_state=DeadlineState(passed=AT_RISK.passed))})
    assert not order.is_at_risk


def test_a_final_order_is_not_at_risk() -> None:
    [order] = rows_of(
        {"1": row("fulfilled", needs_attention=False, deadline_state=DeadlineState(passed=AT_RISK.passed))}
    )
    assert not order.is_at_risk
