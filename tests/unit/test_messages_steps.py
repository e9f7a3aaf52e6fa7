"""Next steps, and explanations of a status that seems to contradict other data."""

from typing import Any

import pytest

from orderwatch.alerts.kinds import Recipients
from orderwatch.alerts.parts import AlertLineItem
from orderwatch.rendering import content, next_steps
from orderwatch_local.preview.samples import NOW, SAMPLES, order_alert
from tests.support.alerts import parcels


def _line(sku: str = "LAMP-1", quantity: int | None = 3, on_hand: int | None = 3) -> AlertLineItem:
    return AlertLineItem.model_validate({"sku": sku, "quantity": quantity, "on_hand": on_hand})


ADDRESS, PAYMENT, FRAUD = "Correct the address", "Settle the payment", "Review the order"
RESTOCK, PROVIDER, DISPUTE = "Restock, or offer", "Wait for the payment", "Answer the dispute"
ON_HOLD, GENERAL = "Find out in the shop why", "Open the order and resolve the reason"


@pytest.mark.parametrize(
    ("reason", "step"),
    [
        # Shopify
        ("AWAITING_PAYMENT", PAYMENT),
        ("HIGH_RISK_OF_FRAUD", FRAUD),
        ("INCORRECT_ADDRESS", ADDRESS),
        ("INVENTORY_OUT_OF_STOCK", RESTOCK),
        ("UNKNOWN_DELIVERY_DATE", "Find out the delivery date"),
        ("AWAITING_RETURN_ITEMS", "Wait for the returned items"),
        ("ONLINE_STORE_POST_PURCHASE_CROSS_SELL", "Wait until the customer"),
        ("OTHER", GENERAL),
        ("on_hold: incorrect-address", ADDRESS),
        # WooCommerce
        ("on-hold", ON_HOLD),
        ("wc-on-hold", ON_HOLD),
        ("failed", PAYMENT),
        ("Pending payment", PAYMENT),
        # BigCommerce
        ("Manual Verification Required", "Check the order by hand"),
        ("Disputed", DISPUTE),
        ("Declined", PAYMENT),
        ("Incomplete", PAYMENT),
        ("Awaiting Payment", PAYMENT),
        ("Awaiting Pickup", "Remind the customer"),
        ("Awaiting Shipment", "Ship it"),
        ("Partially Refunded", "Stop shipping what was refunded"),
        # Magento
        ("payment_review", PROVIDER),
        ("fraud", FRAUD),
        ("Suspected Fraud", FRAUD),
        ("holded", ON_HOLD),
        ("pending_payment", PAYMENT),
        ("pending_paypal", PAYMENT),
        ("paypal_reversed", DISPUTE),
        ("paypal_canceled_reversal", "The payment is yours again"),
        # Amazon
        ("Unfulfillable", "Ship it from elsewhere"),
        ("InvoiceUnconfirmed", "Send the invoice"),
        ("PendingAvailability", "Wait for the release"),
        # Etsy
        ("payment processing", PROVIDER),
        ("Fully Refunded", "Stop shipping what was refunded"),
        # a person's words
        ("Address verification failed", ADDRESS),
        ("Shipping address is incomplete", ADDRESS),
        ("PAYMENT_DECLINED: card expired", PAYMENT),
        ("Credit-card refused", PAYMENT),
        ("unpaid", PAYMENT),
        ("Held: high fraud risk", FRAUD),
        ("chargeback", DISPUTE),
        ("Sold out", RESTOCK),
        # words that only look alike, and what is settled
        ("Cardigan out of stock", RESTOCK),
        ("Gift card out of stock", RESTOCK),
        ("Cardboard box damaged", GENERAL),
        ("Addressed to the wrong depot", GENERAL),
        ("Redressed", GENERAL),
        ("Brisk demand", GENERAL),
        ("Failed to print the label", GENERAL),
        ("Repayments module: error 12", GENERAL),
        ("Low risk of fraud", GENERAL),
        ("No fraud found", GENERAL),
        ("Payment received", GENERAL),
        ("Payment has been captured", GENERAL),
        ("Payment not received", PAYMENT),
        ("Address not verified", ADDRESS),
        ("fraud_check_passed", GENERAL),
        ("Address verified, label missing", GENERAL),
        ("Hazmat", GENERAL),
        (None, GENERAL),
    ],
)
def test_a_shops_reason_leads_to_a_step(reason: str | None, step: str) -> None:
    assert next_steps.next_step(order_alert("order.exception", raw_status=reason)).startswith(step)


def test_a_reason_changes_no_step_that_the_status_decides() -> None:
    for kind in ("order.backordered", "order.cancelled", "order.late", "order.at_risk"):
        steps = {next_steps.next_step(order_alert(kind, raw_status=raw)) for raw in (None, "AWAITING_PAYMENT")}
        assert len(steps) == 1
    assert next_steps.next_step(order_alert("order.on_hold", raw_status="AWAITING_PAYMENT")).startswith(PAYMENT)


@pytest.mark.parametrize(
    ("lines", "more", "is_covered", "why"),
    [
        ((_line(), _line("B", 1, 9)), 0, True, "enough of each"),
        ((_line(), _line("B", 1, 0)), 0, False, "one is short"),
        ((_line(quantity=2), _line(quantity=2)), 0, False, "two lines share one stock"),
        ((_line(), _line("B", 1, None)), 0, False, "the stock of one is not known"),
        ((_line(quantity=None),), 0, False, "how many is not known"),
        ((_line(),), 1, False, "a line is not listed"),
        ((), 0, False, "no line is known"),
    ],
)
def test_a_backorder_with_enough_stock_asks_the_warehouse(
    lines: tuple[AlertLineItem, ...], more: int, is_covered: bool, why: str
) -> None:
    step = next_steps.next_step(order_alert("order.backordered", line_items=lines, more_line_items=more))
    assert step.startswith("Everything is in stock: ask the warehouse") is is_covered, why


@pytest.mark.parametrize(
    ("shipments", "explanation", "step"),
    [
        (None, None, "Stop picking"),
        (0, "Nothing has shipped", "Stop picking."),
        (1, "1 parcel has left already", "Recall it or await its return; hold the rest."),
        (3, "3 parcels have left already", "Recall them or await their return; hold the rest."),
    ],
)
def test_a_cancellation_shows_its_shipments(shipments: int | None, explanation: str | None, step: str) -> None:
    alert = order_alert("order.cancelled", shipments=parcels(shipments))
    assert content.explanation(alert) == explanation
    assert next_steps.next_step(alert).startswith(step)


def test_a_cancellation_after_a_part_had_shipped_does_not_say_that_nothing_has() -> None:
    alert = order_alert("order.cancelled", previous_status="partially_fulfilled", shipments=())
    assert content.explanation(alert) == "It was partly shipped, but no parcel that left is listed"
    assert next_steps.next_step(alert) == "Find out what has left, and stop picking the rest."


def test_a_recovered_order_that_is_due_is_still_urgent() -> None:
    fields: dict[str, Any] = {"status": "processing", "previous_status": "exception"}
    assert next_steps.next_step(order_alert("order.recovered", ship_by=NOW, **fields)).startswith("Ship it first")
    assert next_steps.next_step(order_alert("order.recovered", **fields)).startswith("No action needed.")


def test_operators_get_a_step_of_their_own() -> None:
    alert = SAMPLES["connection.blocked"]
    for_operators = alert.model_copy(update={"recipients": Recipients.OPERATORS})
    assert "orderwatch poll conn-7f3a" in next_steps.next_step(for_operators)
    assert "orderwatch" not in next_steps.next_step(alert)


def test_the_next_step_of_the_alert_itself_wins() -> None:
    alert = SAMPLES["connection.blocked"].model_copy(update={"next_step": "Run:\nthis"})
    assert next_steps.next_step(alert) == "Run: this"
