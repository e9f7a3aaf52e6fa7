"""Numbers of the vendor's records: read where their meaning is certain, else "cannot be read"."""

import json
import re
from decimal import Decimal
from typing import Any

import pytest

from orderwatch.alerts.parts import AlertLineItem
from orderwatch.publishing.enrich import enrich
from orderwatch.rendering import content, sns
from orderwatch.trackstar.orders import Order
from orderwatch.trackstar.products import Product
from orderwatch_local.preview.samples import order_alert
from tests.support.alerts import alert_of


def total_of(value: object) -> Decimal | None:
    return Order.of({"id": "1", "status": "open", "total_price": value}).details.total_price


@pytest.mark.parametrize(
    ("written", "number"),
    [
        ("1,299.00", "1299.00"),
        ("1.299,00", "1299.00"),
        ("12,345,678.9", "12345678.9"),
        ("12.345.678,9", "12345678.9"),
        ("1.299,000", "1299.000"),
        ("1,299,000", "1299000"),
        ("1.299.000", "1299000"),
        ("1,29,900.50", "129900.50"),
        ("12,34,56,789", "123456789"),
        ("1 299", "1299"),
        ("1 299,00", "1299.00"),
        ("1\u00a0299,00", "1299.00"),
        ("1\u202f299,00", "1299.00"),
        ("1'299.00", "1299.00"),
        ("1\u2019299.00", "1299.00"),
        ("\u0661\u066c\u0662\u0669\u0669\u066b\u0660\u0660", "1299.00"),
        ("\uff11\uff0c\uff12\uff19\uff19\uff0e\uff10\uff10", "1299.00"),
        ("89,90", "89.90"),
        ("89,9", "89.9"),
        ("0,125", "0.125"),
        ("1299,000", "1299.000"),
        ("1,2999", "1.2999"),
        (" 12 ", "12"),
        ("+5", "5"),
        ("+1,299.00", "1299.00"),
        ("-1.299,50", "-1299.50"),
        ("\u221289,90", "-89.90"),
        ("\u200f89,90\u200e", "89.90"),
        ("1.299", "1.299"),
        (1.299, "1.299"),
    ],
)
def test_a_number_with_one_meaning_is_read(written: object, number: str) -> None:
    assert total_of(written) == Decimal(number)


@pytest.mark.parametrize(
    "written",
    [
        "1,299",
        "123,456",
        "-1,299",
        "0,123.45",
        "1,29.00",
        "1,2,3",
        "1.29.900",
        "1,299.00.00",
        "1.299,00,00",
        "1,299.",
        "1 29",
        "1 299 00",
        "12 x 3",
        "2 pcs",
        "1.5k",
        "10%",
        "1-2",
        "5-",
        "--5",
        "(5.00)",
        "12/3",
        "half",
        "5\u00b2",
        "\u20ac89,90",
        "$89.90",
        "EUR 89.90",
        "Infinity",
        "1" * 31,
        "1," + "000," * 9 + "000.00",
        "1,000" * 5000,
        True,
        ["12"],
        {"amount": 12},
    ],
)
def test_a_number_with_a_doubtful_meaning_is_not_read(written: object) -> None:
    assert total_of(written) is None


# What a message says


@pytest.mark.parametrize(
    ("record", "shown"),
    [
        ({}, ["Total: not given by the shop"]),
        ({"total_price": None}, ["Total: not given by the shop"]),
        ({"total_price": " "}, ["Total: not given by the shop"]),
        ({"total_price": "N/A"}, ["Total: not given by the shop"]),
        ({"total_price": []}, ["Total: not given by the shop"]),
        ({"total_price": "1,299"}, ["Total: cannot be read"]),
        ({"total_price": "free"}, ["Total: cannot be read"]),
        ({"total_price": {"amount": 1}}, ["Total: cannot be read"]),
        ({"total_price": 9}, ["Currency: not given by the shop"]),
        ({"total_price": 9, "invoice_currency_code": "Euro"}, ["Currency: cannot be read"]),
        ({"total_price": 9, "invoice_currency_code": " eur "}, []),
        ({"total_price": 9, "invoice_currency_code": "EUR", "total_tax": "1,299"}, ["Cannot be read: tax"]),
        (
            {"total_price": "x", "total_shipping": "1,299", "line_items": [{"quantity": "2 pcs", "unit_price": "x"}]},
            ["Total: cannot be read", "Cannot be read: shipping, quantity, unit price"],
        ),
    ],
)
def test_a_message_tells_what_was_not_given_from_what_cannot_be_read(record: dict[str, Any], shown: list[str]) -> None:
    facts = content.facts_of(alert_of("1", record=record))
    money = [f"{fact.label}: {fact.value}" for fact in facts]
    assert [each for each in money if "given by" in each or "annot be read" in each] == shown


def test_the_json_names_what_cannot_be_read() -> None:
    lines = [{"quantity": 1}, {"quantity": "2 pcs"}]
    alert = alert_of("1", record={"total_price": "1,299", "line_items": lines, "created_date": "soon", "tags": "1,0"})
    assert json.loads(sns.json_body(alert))["order"]["unreadable"] == ["total_price", "quantity"]


@pytest.mark.parametrize(
    ("inventory", "gap"),
    [(None, "not provided by the shop"), ("", "not provided by the shop"), ("many", "cannot be read")],
)
def test_stock_that_cannot_be_read_is_not_called_missing(inventory: object, gap: str) -> None:
    product = Product.model_validate({"id": "7", "inventory": inventory})
    [alert] = enrich([order_alert("order.backordered", line_items=(AlertLineItem(product_id="7"),))], {"7": product})
    assert alert.enrichment.missing == (f"stock of 7: {gap}",)


# No zero has a sign


@pytest.mark.parametrize("zero", ["-0", "-0.00", "-0.0E-40", "-0E+40", "-0,00", -0.0])
def test_no_zero_has_a_sign(zero: object) -> None:
    lines = [{"product_id": "1", "quantity": each, "unit_price": zero} for each in (zero, 2)]
    money = dict.fromkeys(("total_price", "total_tax", "total_discount", "total_shipping"), zero)
    alert = alert_of("1", status="backordered", record=money | {"invoice_currency_code": "EUR", "line_items": lines})
    product = {"id": "1", "inventory": zero, "inventory_by_warehouse_id": {"a": zero, "b": zero}}
    [stocked] = enrich([alert], {"1": Product.model_validate(product)})
    message = sns.render(stocked)
    assert "\n0 × 1, 0.00\u00a0EUR each\n" in message.bodies["email"]
    assert "2 × 1, 0.00\u00a0EUR each – 0 in stock (a 0, b 0), 2 short" in message.bodies["email"]
    assert message.attributes["total_price"].value == "0"
    assert [body for body in message.bodies.values() if re.search(r"-0(\.0+)?(?![\d])", body)] == []
