import json
from decimal import Decimal

import jsonschema
import pytest

from orderwatch.alerts.alert import Alert, AlertChanges
from orderwatch.alerts.parts import AlertLineItem, AlertOrder, AlertPart, Digest, DigestLists, OrderChanges
from orderwatch.alerts.summary import DailySummary, ShopLists, ShopSummary, SummaryChanges
from orderwatch.rendering import sns
from orderwatch_local.preview.samples import SAMPLES, order_alert
from orderwatch_local.preview.schema import alert_schema


def _with_lines(count: int, *, more: int = 0) -> Alert:
    line = AlertLineItem(sku="S", quantity=Decimal(1), image_url=f"https://cdn.example.com/{'x' * 2000}")
    return order_alert("order.exception", line_items=(line,) * count, more_line_items=more)


@pytest.mark.parametrize("kind", SAMPLES)
def test_the_json_matches_the_schema(kind: str) -> None:
    schema = json.loads(alert_schema())
    jsonschema.Draft202012Validator.check_schema(schema)
    validator = jsonschema.Draft202012Validator(schema, format_checker=jsonschema.FormatChecker())
    validator.validate(json.loads(sns.json_body(SAMPLES[kind])))


@pytest.mark.parametrize("kind", SAMPLES)
def test_the_json_can_be_parsed_into_the_same_alert(kind: str) -> None:
    sample = sns.with_texts(SAMPLES[kind])
    assert Alert.model_validate_json(sns.json_body(sample)) == sample


@pytest.mark.parametrize("limit", [5_000, 50_000, sns.MAX_JSON_BYTES])
def test_a_large_alert_loses_whole_lines_and_counts_them(limit: int) -> None:
    body = sns.json_body(_with_lines(100, more=7), limit=limit)
    order = json.loads(body)["order"]
    assert len(body.encode()) <= limit
    assert len(order["line_items"]) + order["more_line_items"] == 107


def test_no_more_lines_are_lost_than_needed() -> None:
    body = sns.json_body(_with_lines(100), limit=50_000)
    line = len(_with_lines(2).model_dump_json()) - len(_with_lines(1).model_dump_json())
    assert 50_000 - line < len(body) <= 50_000


def test_a_large_digest_counts_the_orders_left_out() -> None:
    body = sns.json_body(SAMPLES["order.digest"], limit=2_000)
    digest = json.loads(body)["digest"]
    assert len(body) <= 2_000
    assert 0 < len(digest["orders"]) < 12
    assert len(digest["orders"]) + digest["more_orders"] == digest["count"] == 12


def test_characters_that_queues_refuse_are_replaced() -> None:
    body = sns.json_body(order_alert("order.exception", number="10\ufffe42\uffff"))
    assert json.loads(body)["order"]["number"] == "10\ufffd42\ufffd"


@pytest.mark.parametrize(
    ("changes", "model"),
    [
        (AlertChanges, Alert),
        (OrderChanges, AlertOrder),
        (DigestLists, Digest),
        (ShopLists, ShopSummary),
        (SummaryChanges, DailySummary),
    ],
)
def test_a_copy_can_only_change_fields_of_the_model(changes: type, model: type[AlertPart]) -> None:
    assert changes.__annotations__.keys() <= model.model_fields.keys()


def test_nothing_personal_has_a_field() -> None:
    fields = " ".join([*Alert.model_fields, *AlertOrder.model_fields, *AlertLineItem.model_fields])
    assert not {word for word in ("address", "phone", "email", "customer", "company", "postal") if word in fields}
