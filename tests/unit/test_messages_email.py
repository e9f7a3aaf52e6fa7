from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest

from orderwatch.alerts.alert import Enrichment
from orderwatch.alerts.parts import AlertLineItem, Digest, DigestedOrder
from orderwatch.rendering import email
from orderwatch_local.preview.samples import NOW, SAMPLES, order_alert


def test_the_subject_has_status_order_shop_and_value() -> None:
    subject = email.subject(SAMPLES["order.exception"])
    assert subject == "[exception] Due in 20 h: Order #1042 at Nordic Outdoor, 129.90 EUR"


def test_a_number_that_brings_its_own_hash_gets_no_second_one() -> None:
    assert "Order #JP-20931 at" in email.subject(SAMPLES["order.backordered"])


def test_a_number_without_ascii_letters_shows_the_order_id() -> None:
    assert "Order #gid-5501042 at" in email.subject(order_alert("order.exception", number="第七"))


def test_a_long_subject_cuts_the_shop_name_and_keeps_the_value() -> None:
    alert = order_alert("order.exception", number="9" * 160)
    alert = alert.model_copy(update={"connection": alert.connection.model_copy(update={"name": "Shop " * 30})})
    subject = email.subject(alert)
    assert len(subject) == email.MAX_SUBJECT
    assert subject.startswith("[exception] Order #99999")
    assert subject.endswith("..., 129.90 EUR")


def test_the_first_three_lines_have_reason_time_step_and_link() -> None:
    assert email.body(SAMPLES["order.exception"]).splitlines()[:4] == [
        "Address verification failed. Ship by Thu 5 Mar 10:00 CET (in 20 h). 129.90 EUR.",
        "Do: correct the address in the shop, then release the order.",
        "https://admin.example.com/nordic-outdoor/orders/5501042",
        "",
    ]


def test_the_reason_is_shown_once() -> None:
    assert email.body(SAMPLES["order.exception"]).count("Address verification failed") == 1


def test_a_backorder_names_the_short_product_in_its_subject() -> None:
    line = AlertLineItem(sku="LAMP-1", quantity=Decimal(3), on_hand=Decimal(1))
    assert email.subject(order_alert("order.backordered", line_items=(line,))) == (
        "[backordered] Order #1042 at Nordic Outdoor, LAMP-1 short 2, 129.90 EUR"
    )
    long = order_alert("order.backordered", line_items=(line,), number="9" * 160)
    assert email.subject(long).endswith(" at Nordic Out..., LAMP-1 short 2, 129.90 EUR")


@pytest.mark.parametrize(
    ("previous", "shown"),
    [
        ({"previous_status_since": NOW - timedelta(hours=3, minutes=20)}, "before: processing, for 3 h 20 min"),
        ({"previous_status_since": NOW + timedelta(hours=1)}, "before: processing"),
        ({"previous_status_since": None}, "before: processing"),
        ({"previous_status": None}, "first seen in this status"),
    ],
    ids=["known", "dates that contradict", "unknown since", "never seen"],
)
def test_the_previous_status_shows_how_long_it_lasted(previous: dict[str, Any], shown: str) -> None:
    lines = email.body(order_alert("order.exception", **previous)).splitlines()
    assert f"Status: exception; {shown}" in lines


def test_a_shortfall_is_shown_with_the_ordered_quantity() -> None:
    line = AlertLineItem(sku="A", quantity=Decimal(3), on_hand=Decimal(1))
    body = email.body(order_alert("order.backordered", line_items=(line,)))
    assert "\n3 x A; ordered 3, on hand 1: short 2\n" in body


def test_negative_stock_counts_as_zero() -> None:
    line = AlertLineItem(sku="A", quantity=Decimal(3), on_hand=Decimal(-2))
    assert "on hand -2: short 3\n" in email.body(order_alert("order.backordered", line_items=(line,)))


def test_twenty_lines_are_listed_and_the_rest_is_counted() -> None:
    lines = tuple(AlertLineItem(sku=f"S-{number}") for number in range(100))
    body = email.body(order_alert("order.cancelled", line_items=lines, more_line_items=200))
    assert body.count(" x S-") == 20
    assert "\n+280 more lines\n" in body


def test_a_long_digest_is_cut_between_orders() -> None:
    orders = tuple(
        DigestedOrder(alert_id=str(n), id=str(n), number=f"N{n}", url=f"https://a.example/{'x' * 1500}")
        for n in range(100)
    )
    digest = Digest(of_kind="order.cancelled", status="cancelled", count=130, orders=orders, more_orders=30)
    body = email.body(SAMPLES["order.digest"].model_copy(update={"digest": digest}))
    shown = body.count("\n- #N")
    assert 0 < shown < 100
    assert f"\n+{130 - shown} more orders\n" in body
    assert len(body.encode()) <= email.MAX_BYTES


def test_missing_details_are_named() -> None:
    gap = "product details of SKU-1: not in Trackstar's copy"
    alert = order_alert("order.exception", enrichment=Enrichment(complete=False, missing=(gap,)))
    assert f"\nNot known:\n- {gap}\n" in email.body(alert)


def test_only_web_addresses_are_shown_as_links() -> None:
    assert "javascript" not in email.body(order_alert("order.exception", url="javascript:alert(1)"))


def test_an_alert_about_a_shop_says_what_to_do() -> None:
    assert "\nDo: reconnect the shop in Trackstar; " in email.body(SAMPLES["connection.blocked"])
