import json
import sys
from collections.abc import Mapping
from decimal import Decimal

import pytest

from orderwatch.alerts.alert import Alert
from orderwatch.alerts.parts import AlertLineItem
from orderwatch.rendering import email, fallback, sns
from orderwatch.rendering.fallback import render_or_plain
from orderwatch.rendering.sns import render
from orderwatch_local.preview.samples import SAMPLES, order_alert
from tests.unit.golden.samples import SHAPES


def _values(attributes: Mapping[str, sns.Attribute]) -> dict[str, str]:
    return {name: attribute.value for name, attribute in attributes.items()}


@pytest.mark.parametrize(
    ("kind", "attributes"),
    [
        (
            "order.exception",
            {
                "kind": "order.exception",
                "severity": "critical",
                "connection_id": "conn-7f3a",
                "status": "exception",
                "previous_status": "processing",
                "currency": "EUR",
                "total_price": "129.9",
                "urgency": "soon",
            },
        ),
        (
            "order.other",
            {
                "kind": "order.other",
                "severity": "warning",
                "connection_id": "conn-7f3a",
                "status": "other",
                "urgency": "none",
            },
        ),
        (
            "order.digest",
            {
                "kind": "order.digest",
                "severity": "warning",
                "connection_id": "conn-7f3a",
                "status": "backordered",
                "urgency": "overdue",
                "late_hours": "20",
            },
        ),
    ],
    ids=["an order", "unknown values", "several currencies"],
)
def test_an_alert_has_the_attributes_that_are_known(kind: str, attributes: dict[str, str]) -> None:
    found = render(SAMPLES[kind]).attributes
    assert _values(found) == attributes
    assert all((each.type == "Number") is (name in {"total_price", "late_hours"}) for name, each in found.items())


@pytest.mark.parametrize("kind", SAMPLES)
def test_every_attribute_is_a_field_of_the_json(kind: str) -> None:
    message = render(SAMPLES[kind])
    body = json.loads(message.bodies["sqs"])
    subject = body["order"] or body["digest"] or {}
    fields = {**body, **subject}
    if body["digest"]:
        fields["currency"] = next(iter(subject["value_by_currency"]))
    for name, attribute in message.attributes.items():
        if attribute.type == "Number":
            assert float(attribute.value) == float(fields[name])
        elif attribute.type == "String.Array":
            assert json.loads(attribute.value) == [body["kind"], *(each["kind"] for each in body["merged"])]
        else:
            assert attribute.value == fields[name]


@pytest.mark.parametrize(
    ("price", "compared"),
    [
        ("129.90", "129.9"),
        ("1200", "1200"),
        ("0.123456789", "0.12346"),
        ("16000000000", "999999999"),
        ("-16000000000", "-999999999"),
        ("1e400", "999999999"),
        ("1e-400", "0"),
    ],
)
def test_the_price_is_a_number_that_sns_can_compare(price: str, compared: str) -> None:
    alert = order_alert("order.exception", total_price=Decimal(price))
    assert render(alert).attributes["total_price"] == sns.Attribute("Number", compared)


def test_every_attribute_is_also_in_the_json() -> None:
    message = render(SAMPLES["order.backordered"])
    body = json.loads(message.bodies["sqs"])
    for name, attribute in message.attributes.items():
        known = body.get(name, body["order"].get(name))
        assert attribute.value in {str(known), f"{known:.0f}" if isinstance(known, float) else known}


@pytest.mark.parametrize("kind", SHAPES)
def test_each_protocol_gets_its_text(kind: str) -> None:
    bodies = json.loads(render(SAMPLES[kind]).message)
    assert bodies["email"] == bodies["default"] == email.body(SAMPLES[kind])
    assert bodies["sqs"] == bodies["lambda"] == bodies["firehose"]
    assert json.loads(bodies["sqs"])["schema"] == "orderwatch.alert.v1"
    assert json.loads(bodies["https"])["source"] == "custom"


def test_the_largest_alert_fits_and_counts_lines_left_out() -> None:
    line = AlertLineItem(
        sku='"' * 160,
        name="\\" * 160,
        quantity=Decimal(1),
        on_hand_by_warehouse={f'"{n}"': Decimal(n) for n in range(50)},
        image_url=f"https://cdn.example.com/{'x' * 2000}",
        url=f"https://cdn.example.com/{'y' * 2000}",
    )
    warehouses = {f"{n}{'w' * 150}": "x" * 80 for n in range(50)}
    alert = order_alert("order.exception", line_items=(line,) * 100, more_line_items=900, warehouses=warehouses)
    message = render(alert)
    order = json.loads(message.bodies["sqs"])["order"]
    assert message.size <= sns.MAX_BYTES
    assert len(order["line_items"]) >= 8
    assert len(order["line_items"]) + order["more_line_items"] == 1000


def _raise(_alert: Alert) -> str:
    raise ZeroDivisionError


@pytest.mark.parametrize("kind", SHAPES)
@pytest.mark.parametrize("renderer", ["email.body", "sms.body", "amazon_q.body", "json_body"])
def test_a_bug_in_a_renderer_gives_the_fallback_and_the_error(
    kind: str, renderer: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    alert = SAMPLES[kind]
    assert render_or_plain(alert) == (render(alert), None)
    monkeypatch.setattr(f"orderwatch.rendering.sns.{renderer}", _raise)
    message, error = render_or_plain(alert)
    assert isinstance(error, (ZeroDivisionError, TypeError))
    assert alert.alert_id in message.bodies["email"]
    assert json.loads(message.bodies["sqs"])["alert_id"] == alert.alert_id
    assert message.attributes["kind"].value == alert.kind


def test_the_fallback_leaves_out_lists_that_are_too_large() -> None:
    line = AlertLineItem(image_url=f"https://cdn.example.com/{'x' * 2000}")
    message = fallback.plain(order_alert("order.exception", line_items=(line,) * 100))
    alert = Alert.model_validate_json(message.bodies["sqs"])
    assert message.size <= sns.MAX_BYTES
    assert alert.order is not None
    assert (alert.order.line_items, alert.order.more_line_items) == ((), 100)


def test_the_fallback_works_if_serialization_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Alert, "model_dump", _raise)
    monkeypatch.setattr(sys.modules["orderwatch.rendering.fallback"], "attributes_of", _raise)
    message = fallback.plain(SAMPLES["order.exception"])
    assert json.loads(message.bodies["sqs"])["alert_id"] == SAMPLES["order.exception"].alert_id
    assert message.attributes["status"] == sns.Attribute("String", "exception")
