import json
from decimal import Decimal
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from orderwatch.alerts.parts import AlertLineItem
from orderwatch.rendering import amazon_q
from orderwatch.rendering.formatting import MAX_LINK
from orderwatch_local.preview.samples import SAMPLES, order_alert

SCHEMA = Path(__file__).parents[2] / "docs/amazon-q-notification.schema.json"
CUSTOM_NOTIFICATION: dict[str, Any] = json.loads(SCHEMA.read_text(encoding="utf-8"))


def test_the_schema_has_the_bounds_of_the_renderer() -> None:
    jsonschema.Draft202012Validator.check_schema(CUSTOM_NOTIFICATION)
    content, metadata = (CUSTOM_NOTIFICATION["properties"][part]["properties"] for part in ("content", "metadata"))
    assert content["title"]["maxLength"] == amazon_q.MAX_TITLE
    assert content["description"]["maxLength"] == amazon_q.MAX_DESCRIPTION
    assert content["nextSteps"]["items"]["maxLength"] == amazon_q.MAX_STEP
    assert content["keywords"]["items"]["maxLength"] == amazon_q.MAX_KEYWORD
    assert metadata["threadId"]["maxLength"] == amazon_q.MAX_THREAD_ID
    assert metadata["summary"]["maxLength"] == amazon_q.MAX_SUMMARY
    assert metadata["relatedResources"]["items"]["maxLength"] == MAX_LINK


@pytest.mark.parametrize(
    "broken",
    [
        {"version": "2.0"},
        {"source": "ours"},
        {"content": {"title": "without a description"}},
        {"content": {"description": "text", "textType": "html"}},
        {"extra": 1},
    ],
    ids=str,
)
def test_the_schema_refuses_what_amazon_q_would_not_show(broken: dict[str, Any]) -> None:
    whole = amazon_q.notification(SAMPLES["order.exception"])
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(whole | broken, CUSTOM_NOTIFICATION)


@pytest.mark.parametrize("kind", SAMPLES)
def test_the_notification_has_the_documented_shape(kind: str) -> None:
    jsonschema.validate(json.loads(amazon_q.body(SAMPLES[kind])), CUSTOM_NOTIFICATION)


def test_alerts_about_one_order_share_a_thread() -> None:
    threads = [
        amazon_q.notification(alert)["metadata"]["threadId"]
        for alert in (
            SAMPLES["order.exception"],
            SAMPLES["order.recovered"],
            SAMPLES["order.exception"].model_copy(update={"connection_id": "other"}),
        )
    ]
    assert threads == ["conn-7f3a#gid-5501042", "conn-7f3a#gid-5501042", "other#gid-5501042"]


def test_a_problem_of_a_shop_and_its_end_share_a_thread() -> None:
    kinds = ("connection.blocked", "connection.recovered")
    assert len({amazon_q.notification(SAMPLES[kind])["metadata"]["threadId"] for kind in kinds}) == 1


def test_a_long_thread_id_is_replaced_by_a_stable_one() -> None:
    threads = {
        amazon_q.notification(order_alert(kind, id="x" * 250))["metadata"]["threadId"]
        for kind in ("order.exception", "order.cancelled")
    }
    assert len(threads) == 1
    assert len(threads.pop()) <= amazon_q.MAX_THREAD_ID


def test_a_shop_cannot_mention_a_channel() -> None:
    body = amazon_q.body(order_alert("order.exception", raw_status="<!channel> & <@U1>"))
    assert "&lt;!channel&gt; &amp; &lt;@U1&gt;" in body
    assert "<!" not in body


def test_an_escape_is_never_cut_in_two() -> None:
    assert amazon_q.escape("ab&", limit=7) == "ab&amp;"
    assert amazon_q.escape("ab&c", limit=7) == "ab..."


def test_lines_beyond_the_room_are_counted_exactly() -> None:
    lines = tuple(AlertLineItem(sku="&" * 160, name="<" * 160, quantity=Decimal(1)) for _ in range(100))
    description = amazon_q.notification(order_alert("order.exception", line_items=lines))["content"]["description"]
    shown = description.count("- 1 x ")
    assert f"\n+{100 - shown} more lines\n" in description
    assert len(description) <= amazon_q.MAX_DESCRIPTION
