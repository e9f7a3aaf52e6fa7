import json
from datetime import UTC, datetime
from typing import Any

import pytest

from orderwatch.alerts.alert import Alert
from orderwatch.alerts.parts import Digest, DigestedOrder
from orderwatch.rendering import slack
from orderwatch_local.preview.samples import SAMPLES, order_alert
from tests.support.alerts import plain_spaces


def assert_within_limits(message: slack.SlackMessage) -> None:
    """Slack's limits, also those that its library does not check."""
    assert 0 < len(message.text) <= slack.MAX_TEXT
    assert len(message.blocks) <= slack.MAX_BLOCKS
    assert _texts(message.blocks) <= slack.MAX_CHARACTERS
    for block in message.blocks:
        assert len(block.get("text", {}).get("text", "x")) in range(1, slack.MAX_SECTION + 1)
        assert len(block.get("fields", [])) <= slack.MAX_FIELDS
        assert len(block.get("elements", [])) <= slack.MAX_FIELDS
        for part in block.get("fields", []) + (block["elements"] if block["type"] == "context" else []):
            assert len(part["text"]) in range(1, slack.MAX_FIELD + 1)
        assert block["type"] != "header" or len(block["text"]["text"]) <= slack.MAX_HEADER


def _texts(part: Any) -> int:
    if isinstance(part, dict):
        return sum(len(v) if k == "text" and isinstance(v, str) else _texts(v) for k, v in part.items())
    return sum(map(_texts, part)) if isinstance(part, list) else 0


@pytest.mark.parametrize(
    ("kind", "mark"),
    [
        ("order.exception", "🔴"),
        ("order.backordered", "🟠"),
        ("watch.started", "🔵"),
        ("order.recovered", "🟢"),
        ("connection.recovered", "🟢"),
        ("connection.blocked", "🔴"),
    ],
)
def test_the_header_has_a_mark_for_severity_or_recovery(kind: str, mark: str) -> None:
    assert slack.blocks(SAMPLES[kind]).blocks[0]["text"]["text"].startswith(f"{mark} ")


@pytest.mark.parametrize("year", [1, 1969, 9999])
def test_a_date_that_slack_cannot_show_stays_text(year: int) -> None:
    message = slack.blocks(order_alert("order.exception", created_at=datetime(year, 5, 1, 12, tzinfo=UTC)))
    assert f" 1 May {year} 1" in plain_spaces(json.dumps(message.blocks[3]))
    assert "*Placed*\\n<!date" not in json.dumps(message.blocks[3])


def test_the_picture_can_be_left_out() -> None:
    message = slack.blocks(SAMPLES["order.exception"], with_image=False)
    assert "tent-2p.jpg" not in json.dumps(message.blocks)
    assert "TENT-2P" in json.dumps(message.blocks)


def test_without_a_link_there_is_no_button() -> None:
    assert "actions" not in {block["type"] for block in slack.blocks(SAMPLES["order.other"]).blocks}


def _digest(number: str, *, link: int) -> Alert:
    orders = tuple(
        DigestedOrder(alert_id=str(n), id=str(n), number=f"{number}{n:03}", url=f"https://a.example/{'x' * link}")
        for n in range(100)
    )
    digest = Digest(of_kind="order.cancelled", status="cancelled", count=100, orders=orders)
    return SAMPLES["order.digest"].model_copy(update={"digest": digest})


def test_a_long_digest_drops_links_before_orders() -> None:
    text = json.dumps(slack.blocks(_digest("N", link=400)).blocks)
    assert all(f"#N{n:03}" in text for n in range(100))
    assert "<https" not in text


def test_orders_that_do_not_fit_are_counted() -> None:
    message = slack.blocks(_digest("&" * 150, link=200))
    assert_within_limits(message)
    shown = json.dumps(message.blocks, ensure_ascii=False).count("• #")
    assert 0 < shown < 100
    assert f"+{100 - shown} more orders" in json.dumps(message.blocks)
