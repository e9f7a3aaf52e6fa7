import json
from decimal import Decimal

import jsonschema
import pytest

from orderwatch.alerts import AlertLineItem
from orderwatch.messages import chat
from tests.unit.golden.samples import SAMPLES, order_alert

_LINE = {"type": "string", "minLength": 1}
CUSTOM_NOTIFICATION = {
    "type": "object",
    "required": ["version", "source", "content"],
    "additionalProperties": False,
    "properties": {
        "version": {"const": "1.0"},
        "source": {"const": "custom"},
        "id": _LINE,
        "content": {
            "type": "object",
            "required": ["description"],
            "additionalProperties": False,
            "properties": {
                "textType": {"const": "client-markdown"},
                "title": _LINE | {"maxLength": chat.MAX_TITLE},
                "description": _LINE | {"maxLength": chat.MAX_DESCRIPTION},
                "nextSteps": {"type": "array", "maxItems": 10, "items": _LINE | {"maxLength": chat.MAX_STEP}},
                "keywords": {"type": "array", "maxItems": 10, "items": _LINE | {"maxLength": chat.MAX_KEYWORD}},
            },
        },
        "metadata": {
            "type": "object",
            "additionalProperties": False,
            "properties": {
                "threadId": _LINE | {"maxLength": chat.MAX_THREAD_ID},
                "summary": _LINE | {"maxLength": chat.MAX_SUMMARY},
                "eventType": _LINE | {"maxLength": chat.MAX_KEYWORD},
                "relatedResources": {
                    "type": "array",
                    "maxItems": 10,
                    "items": _LINE | {"maxLength": chat.MAX_RESOURCE},
                },
                "additionalContext": {"type": "object", "additionalProperties": {"type": "string"}},
            },
        },
    },
}
"""The custom notification as Amazon Q Developer's administrator guide describes it, with our bounds."""


@pytest.mark.parametrize("kind", SAMPLES)
def test_the_notification_has_the_documented_shape(kind: str) -> None:
    jsonschema.validate(json.loads(chat.body(SAMPLES[kind])), CUSTOM_NOTIFICATION)


def test_alerts_about_one_order_share_a_thread_and_other_shops_do_not() -> None:
    threads = [
        chat.notification(alert)["metadata"]["threadId"]
        for alert in (
            SAMPLES["order.exception"],
            SAMPLES["order.recovered"],
            SAMPLES["order.exception"].model_copy(update={"connection_id": "other"}),
        )
    ]
    assert threads == ["conn-7f3a#gid-5501042", "conn-7f3a#gid-5501042", "other#gid-5501042"]


def test_trouble_of_a_shop_and_its_end_share_a_thread() -> None:
    kinds = ("connection.blocked", "connection.recovered")
    assert len({chat.notification(SAMPLES[kind])["metadata"]["threadId"] for kind in kinds}) == 1


def test_a_long_thread_id_is_replaced_by_one_that_stays_the_same() -> None:
    threads = {
        chat.notification(order_alert(kind, id="x" * 250))["metadata"]["threadId"]
        for kind in ("order.exception", "order.cancelled")
    }
    assert len(threads) == 1
    assert len(threads.pop()) <= chat.MAX_THREAD_ID


def test_a_shop_cannot_mention_a_channel() -> None:
    body = chat.body(order_alert("order.exception", raw_status="<!channel> & <@U1>"))
    assert "&lt;!channel&gt; &amp; &lt;@U1&gt;" in body
    assert "<!" not in body


def test_an_escape_is_never_cut_in_two() -> None:
    assert chat.escape("ab&", limit=7) == "ab&amp;"
    assert chat.escape("ab&c", limit=7) == "ab..."


def test_lines_beyond_the_room_are_counted_exactly() -> None:
    lines = tuple(AlertLineItem(sku="&" * 160, name="<" * 160, quantity=Decimal(1)) for _ in range(100))
    description = chat.notification(order_alert("order.exception", line_items=lines))["content"]["description"]
    shown = description.count("- 1 x ")
    assert f"\n+{100 - shown} more lines\n" in description
    assert len(description) <= chat.MAX_DESCRIPTION
