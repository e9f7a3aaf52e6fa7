"""Next steps, and explanations of a status that seems to contradict other data."""

from typing import Any

import pytest

from orderwatch.alerts.kinds import Recipients
from orderwatch.alerts.parts import AlertLineItem
from orderwatch.rendering import content, next_steps
from orderwatch_local.preview.samples import NOW, SAMPLES, order_alert


def _line(sku: str = "LAMP-1", quantity: int | None = 3, on_hand: int | None = 3) -> AlertLineItem:
    return AlertLineItem.model_validate({"sku": sku, "quantity": quantity, "on_hand": on_hand})


@pytest.mark.parametrize(
    ("reason", "step"),
    [
        ("Address verification failed", "Correct the address"),
        ("PAYMENT_DECLINED: card expired", "Settle the payment"),
        ("Held: high fraud risk", "Review the order"),
        ("Hazmat", "Open the order and resolve the reason"),
        ("Redressed", "Open the order and resolve the reason"),
        (None, "Open the order and resolve the reason"),
    ],
)
def test_a_common_reason_has_a_step_of_its_own(reason: str | None, step: str) -> None:
    assert next_steps.next_step(order_alert("order.exception", raw_status=reason)).startswith(step)


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
    assert step.startswith("Stock covers every line: ask the warehouse") is is_covered, why


@pytest.mark.parametrize(
    ("shipments", "explanation", "step"),
    [
        (None, None, "Stop picking"),
        (0, "No shipment is listed", "Stop picking"),
        (1, "1 shipment listed already", "Recall what has shipped"),
        (3, "3 shipments listed already", "Recall what has shipped"),
    ],
)
def test_a_cancellation_shows_its_shipments(shipments: int | None, explanation: str | None, step: str) -> None:
    alert = order_alert("order.cancelled", shipments=shipments)
    assert content.explanation(alert) == explanation
    assert next_steps.next_step(alert).startswith(step)


def test_a_recovered_order_that_is_due_is_still_urgent() -> None:
    fields: dict[str, Any] = {"status": "processing", "previous_status": "exception"}
    assert next_steps.next_step(order_alert("order.recovered", ship_by=NOW, **fields)).startswith("Ship it first")
    assert next_steps.next_step(order_alert("order.recovered", **fields)).startswith("Nothing")


def test_operators_get_a_step_of_their_own() -> None:
    alert = SAMPLES["connection.blocked"]
    for_operators = alert.model_copy(update={"recipients": Recipients.OPERATORS})
    assert "orderwatch poll conn-7f3a" in next_steps.next_step(for_operators)
    assert "orderwatch" not in next_steps.next_step(alert)


def test_the_next_step_of_the_alert_itself_wins() -> None:
    alert = SAMPLES["connection.blocked"].model_copy(update={"next_step": "Run:\nthis"})
    assert next_steps.next_step(alert) == "Run: this"
