from orderwatch.publishing.messages import sms
from orderwatch_local.samples import SAMPLES, order_alert


def test_the_link_is_left_out_where_it_does_not_fit_whole() -> None:
    with_link = sms.body(order_alert("order.exception", url="https://a.example/1"))
    without = sms.body(order_alert("order.exception", url=f"https://a.example/{'1' * 140}"))
    assert with_link.endswith(" https://a.example/1")
    assert without == "Order #1042 is in exception at Nordic Outdoor, 129.90 EUR"


def test_the_orders_number_is_there_however_long_the_rest_is() -> None:
    message = sms.body(order_alert("order.exception", status="s" * 160, number="X-1042", raw_status="r" * 160))
    assert message.startswith("Order #X-1042 is sss")
    assert len(message) <= sms.MAX_CHARACTERS


def test_a_recovery_tells_the_status_now() -> None:
    assert "recovered at Nordic Outdoor, 129.90 EUR: now processing" in sms.body(SAMPLES["order.recovered"])
