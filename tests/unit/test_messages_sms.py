from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orderwatch.alerts.alert import Alert
from orderwatch.alerts.parts import AlertLineItem
from orderwatch.rendering import sms
from orderwatch_local.preview.samples import SAMPLES, order_alert
from tests.support.alerts import parcels

LINK = "https://admin.example.com/nordic-outdoor/orders/5501042"
LAMP = AlertLineItem(sku="LAMP-1", quantity=Decimal(3), on_hand=Decimal(1))


@given(length=st.integers(19, 126), reason=st.sampled_from([None, "Address verification failed", "r" * 160]))
def test_the_link_stays_however_long_the_rest_is(length: int, reason: str | None) -> None:
    link = f"https://a.example/{'1' * (length - 18)}"
    message = sms.body(order_alert("order.exception", url=link, raw_status=reason))
    assert message.startswith("Order #1042 ")
    assert message.endswith(f" {link}")


def test_a_link_that_does_not_fit_is_left_out() -> None:
    message = sms.body(order_alert("order.exception", url=f"https://a.example/{'1' * 140}"))
    assert message == "Order #1042 is in exception at Nordic Outdoor, 129.90 EUR"


def test_value_and_shop_are_left_out_before_the_reason() -> None:
    assert sms.body(SAMPLES["order.exception"]) == (
        f"Order #1042 is in exception, due in 20 h: Address verification failed {LINK}"
    )
    without_link = sms.body(order_alert("order.exception", url=None, raw_status="Address verification failed"))
    assert without_link == "Order #1042 is in exception at Nordic Outdoor, 129.90 EUR: Address verification failed"


def test_a_reason_is_shortened_before_it_is_dropped() -> None:
    message = sms.body(order_alert("order.exception", url=LINK, raw_status="The carrier refused it twice. " * 5))
    assert message.startswith("Order #1042 is in exception: The carrier refused it twice.")
    assert message.endswith(f"... {LINK}")


@pytest.mark.parametrize(
    ("step", "shown"),
    [
        ("Set them again, run: orderwatch settings conn-7f3a", "Set them again, run: orderwatch settings conn-7f3a"),
        (f"Set them again, run: orderwatch settings {'x' * 80}", "Set them again."),
        (f"Reconnect it, then run: orderwatch poll {'x' * 80} (if it is gone: remove it)", "Reconnect it."),
    ],
)
def test_a_command_is_whole_or_left_out(step: str, shown: str) -> None:
    message = sms.body(SAMPLES["settings.refused"].replace(next_step=step))
    assert message == f"Nordic Outdoor: the shop's settings are invalid. {shown}"


def test_a_useless_piece_of_a_reason_is_left_out() -> None:
    assert "Begin" not in sms.body(SAMPLES["summary.daily"])


@pytest.mark.parametrize(
    ("message", "shown"),
    [
        (order_alert("order.backordered", line_items=(LAMP,)), ": 2 x LAMP-1 short "),
        (order_alert("order.cancelled", shipments=parcels(2)), ": 2 parcels have left already "),
        (SAMPLES["order.recovered"], "recovered at Nordic Outdoor, 129.90 EUR: now processing"),
        (SAMPLES["watch.started"], "alerts are on. Needs attention now: 10 in exception, 4 backordered"),
        (SAMPLES["connection.blocked"], "can no longer sync the orders. Reconnect the shop in Trackstar; "),
        (SAMPLES["connection.recovered"], "the orders are visible again. It was blocked for 4 h 22 min."),
    ],
)
def test_the_reason_explains_the_alert(message: Alert, shown: str) -> None:
    assert shown in sms.body(message)


def test_the_order_number_stays_however_long_the_rest_is() -> None:
    message = sms.body(order_alert("order.exception", status="s" * 160, number="X-1042", raw_status="r" * 160))
    assert message.startswith("Order #X-1042 is sss")
    assert len(message) <= sms.MAX_CHARACTERS
