"""The summary in every channel: decisions first, within every limit for any number of shops."""

import json
import re

import pytest

from orderwatch.alerts.alert import Alert
from orderwatch.alerts.summary import DailySummary
from orderwatch.rendering import amazon_q, content, email, fallback, next_steps, slack, sms
from orderwatch.rendering.sns import MAX_BYTES, render
from orderwatch.summary.build import summarize
from tests.support.alerts import plain_spaces
from tests.support.summaries import AT, AT_RISK, HOUR, MemoryStore, blocked, extract, healthy, request, row, shop


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
    assert email.subject(alert) == "[summary] No visible order needs attention, 1 shop not visible"
    said = plain_spaces(email.body(alert))
    assert "Shop a: not visible since Thu 5 Mar 03:00 CET (blocked); last known: no order needs attention" in said
    assert "No order needs attention in 1 other shop" in said
    assert "not visible" in sms.body(alert)
    assert "shops not visible: 1" in fallback.plain(alert).bodies["email"]


def test_an_order_at_risk_does_not_need_attention() -> None:
    rows = {"1": row("open", needs_attention=False, deadline_state=AT_RISK)}
    alert = made(MemoryStore({"a": rows}, {"a": healthy()}), ["a"])
    assert content.headline(alert) == "No order needs attention, 1 at risk"
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
