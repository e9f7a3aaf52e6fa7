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


def test_the_schema_is_valid() -> None:
    jsonschema.Draft202012Validator.check_schema(json.loads(alert_schema()))


@pytest.mark.parametrize("kind", SAMPLES)
def test_the_json_can_be_parsed_into_the_same_alert(kind: str) -> None:
    sample = sns.with_texts(SAMPLES[kind])
    assert Alert.model_validate_json(sns.json_body(sample)) == sample


@pytest.mark.parametrize("limit", [5_000, 50_000, sns.MAX_JSON_BYTES])
def test_a_large_alert_loses_no_more_lines_than_needed(limit: int) -> None:
    body = sns.json_body(_with_lines(100, more=7), limit=limit)
    order = json.loads(body)["order"]
    line = len(_with_lines(2).model_dump_json()) - len(_with_lines(1).model_dump_json())
    assert limit - line < len(body.encode()) <= limit
    assert len(order["line_items"]) + order["more_line_items"] == 107


@pytest.mark.parametrize(("kind", "listed"), [("order.digest", "digest"), ("watch.started", "backlog")])
def test_a_large_list_counts_the_orders_left_out(kind: str, listed: str) -> None:
    body = sns.json_body(SAMPLES[kind], limit=2_200)
    cut, whole = json.loads(body)[listed], json.loads(sns.json_body(SAMPLES[kind]))[listed]
    assert len(body) <= 2_200
    assert 0 < len(cut["orders"]) < len(whole["orders"])
    assert len(cut["orders"]) + cut["more_orders"] == len(whole["orders"]) + whole["more_orders"]


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
