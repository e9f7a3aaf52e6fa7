"""The summary in every channel: decisions first, within every limit for any number of shops."""

import json
import re

import pytest

from orderwatch.alerts.alert import Alert
from orderwatch.alerts.summary import DailySummary, Figures, SummaryProduct
from orderwatch.rendering import amazon_q, content, email, fallback, next_steps, slack, sms, summaries
from orderwatch.rendering.sns import MAX_BYTES, render
from orderwatch.summary.build import summarize
from tests.support.alerts import plain_spaces
from tests.support.summaries import (
    AT,
    AT_RISK,
    HOUR,
    MemoryStore,
    blocked,
    extract,
    healthy,
    late_for,
    request,
    row,
    shop,
)


def made(store: MemoryStore, names: list[str]) -> Alert:
    shops = [shop(name, f"Shop {name}") for name in names]
    return summarize(shops, store=store, products=None, request=request()).alert


def many(shops: int, orders: int) -> Alert:
    names = [f"conn-{number:03}" for number in range(shops)]
    kept = extract(("LAMP", 1)).model_copy(update={"url": "https://shop.example/admin/orders/1042"})
    rows = {
        name: {f"{name}-{each}": row("backordered", kept=kept, ship_by=AT + each * HOUR) for each in range(orders)}
        for name in names
    }
    return made(MemoryStore(rows, {name: healthy(name) for name in names}), names)


def daily_of(alert: Alert) -> DailySummary:
    assert alert.summary
    return alert.summary


@pytest.mark.parametrize(("shops", "orders"), [(1, 50), (20, 12), (120, 1)])
def test_a_summary_fits_every_channel(shops: int, orders: int) -> None:
    alert = many(shops, orders)
    message = render(alert)
    assert message.size <= MAX_BYTES
    assert len(sms.body(alert)) <= sms.MAX_CHARACTERS
    assert len(email.body(alert).encode()) <= email.MAX_BYTES
    assert len(amazon_q.notification(alert)["content"]["description"]) <= amazon_q.MAX_DESCRIPTION
    assert len(slack.blocks(alert).blocks) <= slack.MAX_BLOCKS
    sent = DailySummary.model_validate(json.loads(message.bodies["sqs"])["summary"])
    assert sent.total.needs_attention == shops * orders
    assert len(sent.shops) + sent.more_shops == shops
    assert all(len(each.orders) + each.more_orders == orders for each in sent.shops)


@pytest.mark.parametrize("shops", [3, 60])
def test_the_e_mail_names_or_counts_every_shop_and_every_order(shops: int) -> None:
    said = email.body(many(shops, 13))
    listed = re.findall(r"^Shop conn-", said, re.MULTILINE)
    more = [int(each.replace(",", "")) for each in re.findall(r"^\+([\d,]+) more shops?", said, re.MULTILINE)]
    assert len(listed) + sum(more) == shops
    orders = re.findall(r"^- #", said, re.MULTILINE)
    cut = [int(each) for each in re.findall(r"^\+(\d+) more orders", said, re.MULTILINE)]
    assert len(orders) + sum(cut) == 13 * len(listed)


def test_a_summary_without_a_backlog_is_one_line() -> None:
    alert = made(MemoryStore({}, {"a": healthy(), "b": healthy("b")}), ["a", "b"])
    assert email.subject(alert) == "[summary] No order needs attention in 2 shops"
    assert email.body(alert).splitlines()[:2] == [
        "No order needs attention in 2 shops.",
        "No action needed.",
    ]
    assert sms.body(alert) == "No order needs attention in 2 shops"
    assert slack.blocks(alert).blocks
    assert render(alert)


def test_a_blocked_shop_is_never_shown_as_quiet() -> None:
    alert = made(MemoryStore({}, {"a": blocked(), "b": healthy("b")}), ["a", "b"])
    assert email.subject(alert) == "[summary] No visible order needs attention. 1 shop not visible"
    said = plain_spaces(email.body(alert))
    assert "Shop a: not visible since Thu 5 Mar 03:00 CET (blocked); last known: no order needs attention" in said
    assert "No order needs attention in 1 other shop" in said
    assert "not visible" in sms.body(alert)
    assert "shops not visible: 1" in fallback.plain(alert).bodies["email"]


@pytest.mark.parametrize(
    ("figures", "hidden", "shops", "text"),
    [
        (
            Figures(needs_attention=17, late=2, at_risk=2),
            1,
            4,
            "17 orders need attention, 2 of them late. 2 at risk. 1 shop not visible",
        ),
        (Figures(needs_attention=17), 0, 4, "17 orders need attention"),
        (Figures(needs_attention=2, late=2), 0, 1, "2 orders need attention, all of them late"),
        (Figures(needs_attention=1, late=1), 0, 1, "1 order needs attention, and is late"),
        (
            Figures(needs_attention=1234, late=1),
            2,
            9,
            "1,234 orders need attention, 1 of them late. 2 shops not visible",
        ),
        (Figures(at_risk=3), 0, 1, "No order needs attention. 3 at risk"),
        (Figures(), 1, 1, "No visible order needs attention. 1 shop not visible"),
    ],
)
def test_a_headline_counts_no_order_twice(figures: Figures, hidden: int, shops: int, text: str) -> None:
    daily = daily_of(many(1, 1)).model_copy(
        update={"total": figures, "shops_not_visible": hidden, "watched_shops": shops}
    )
    assert summaries.headline(daily) == text


@pytest.mark.parametrize(
    ("products", "listed", "facts"),
    [
        (
            [SummaryProduct(sku="KENYA-1KG", orders=13, only_blocker=9, outstanding=22, on_hand=6, short=16)],
            ["KENYA-1KG: 16 short, 13 orders (9 need nothing else)"],
            [],
        ),
        (
            [SummaryProduct(sku="A", orders=1, only_blocker=1, outstanding=1, on_hand=0, short=1)],
            ["A: 1 short, 1 order (1 needs nothing else)"],
            [],
        ),
        (
            [SummaryProduct(sku="A", orders=13, only_blocker=9, outstanding=22, on_hand=16, short=6, can_ship=9)],
            ["A: 6 short, 9 of its 13 orders could ship now (9 need nothing else)"],
            [],
        ),
        (
            [SummaryProduct(sku=str(count), orders=count, is_kit=True, on_hand=9, can_ship=count) for count in (1, 2)],
            [
                "1: a kit, 9 in stock, 1 order that could ship now",
                "2: a kit, 9 in stock, all 2 orders could ship now",
            ],
            [],
        ),
        ([SummaryProduct(sku="A", orders=4, outstanding=4)], [], ["Stock unknown: A (4 orders), +3 more products"]),
        (
            [SummaryProduct(sku="SET", orders=2, is_kit=True), SummaryProduct(sku="A", orders=1)],
            ["SET: a kit whose parts decide, 2 orders"],
            ["Stock unknown: A (1 order)"],
        ),
        ([SummaryProduct(sku="A", orders=2, on_hand=5)], ["A: 5 on hand, units to ship unknown, 2 orders"], []),
    ],
    ids=["short", "one", "some can ship", "all can ship", "unknown", "kit", "unknown quantity"],
)
def test_products_say_how_many_are_short_and_for_how_many_orders(
    products: list[SummaryProduct], listed: list[str], facts: list[str]
) -> None:
    alert = many(1, 1)
    [shop] = daily_of(alert).shops
    changed = shop.with_products(tuple(products), more=3 * (not listed), in_stock=0)
    [block] = summaries.blocks(alert, daily_of(alert).with_shops((changed,), more=0))
    assert block.products == listed
    assert [each for each in block.facts if "tock" in each] == facts


@pytest.mark.parametrize(
    ("count", "text"),
    [
        (17, "17 backorders have everything in stock: ask the warehouse"),
        (1, "1 backorder has everything in stock: ask the warehouse"),
    ],
)
def test_backorders_that_are_in_stock_go_to_the_warehouse(count: int, text: str) -> None:
    alert = many(1, 1)
    [shop] = daily_of(alert).shops
    daily = daily_of(alert).with_shops((shop.with_products((), more=0, in_stock=count),), more=0)
    assert summaries.blocks(alert, daily)[0].facts[-1] == text


def test_an_order_that_is_only_late_is_not_called_late_twice() -> None:
    rows = {
        "1": row("processing", deadline_state=late_for(HOUR), ship_by=AT - HOUR),
        "2": row(deadline_state=late_for(HOUR)),
    }
    said = plain_spaces(email.body(made(MemoryStore({"a": rows}, {"a": healthy()}), ["a"])))
    assert "2 need attention (1 late, no other problem, 1 in exception), all of them late" in said
    assert "(1 h overdue), still processing, 10.00 EUR" in said


def test_reasons_of_a_shop_are_words_and_the_same_words_count_once() -> None:
    said = ["awaiting_stock", "Awaiting stock", "awaiting_stock", "label_error", "fraud_hold", "fraud_hold"]
    rows = {str(number): row(raw=each) for number, each in enumerate(said)}
    alert = made(MemoryStore({"a": rows}, {"a": healthy()}), ["a"])
    [block] = summaries.blocks(alert, daily_of(alert))
    [reasons] = [each for each in block.facts if each.startswith("Reasons: ")]
    assert "Awaiting stock (3)" in reasons
    assert "_" not in reasons


def test_a_message_lists_five_orders_of_a_shop_and_the_json_ten() -> None:
    alert = many(1, 12)
    [shop], [block] = daily_of(alert).shops, summaries.blocks(alert, daily_of(alert))
    assert (len(shop.orders), len(block.orders), block.more_orders) == (10, 5, ["+7 more orders"])


def test_an_order_at_risk_does_not_need_attention() -> None:
    rows = {"1": row("open", needs_attention=False, deadline_state=AT_RISK)}
    alert = made(MemoryStore({"a": rows}, {"a": healthy()}), ["a"])
    assert content.headline(alert) == "No order needs attention. 1 at risk"
    assert next_steps.next_step(alert) == "Begin with #1042 at Shop a: at risk."


@pytest.mark.parametrize(
    ("keep", "listed", "why"),
    [
        (6, [10, 10, 10], "everything"),
        (5, [10, 10, 0], "the lists of the last shop"),
        (4, [10, 0, 0], "of the last two"),
        (3, [10, 0], "then the last shop"),
        (2, [10], "the worst shop keeps its lists as long as possible"),
        (1, [0], "its figures alone"),
        (0, [], "the totals alone"),
    ],
)
def test_a_shortened_summary_keeps_the_worst_shops(keep: int, listed: list[int], why: str) -> None:
    daily = daily_of(many(3, 12)).shortened(keep, detailed=1)
    assert [len(each.orders) for each in daily.shops] == listed, why
    assert all(len(each.orders) + each.more_orders == 12 for each in daily.shops)
    assert daily.more_shops == 3 - len(listed)
