import json
import subprocess
import sys
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest

from orderwatch.alerts.alert import Enrichment
from orderwatch.alerts.parts import AlertLineItem, Digest, DigestedOrder
from orderwatch.rendering import slack
from orderwatch_local.preview.samples import SAMPLES, order_alert


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


def _of_type(message: slack.SlackMessage, block_type: str) -> list[dict[str, Any]]:
    return [block for block in message.blocks if block["type"] == block_type]


@pytest.mark.parametrize("kind", SAMPLES)
def test_every_kind_is_within_slacks_limits(kind: str) -> None:
    assert_within_limits(slack.blocks(SAMPLES[kind]))
    assert_within_limits(slack.plain(SAMPLES[kind]))


def test_a_shortfall_stands_out_in_bold() -> None:
    sections = json.dumps(slack.blocks(SAMPLES["order.backordered"]).blocks, ensure_ascii=False)
    assert ": *short 1*" in sections


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


def test_the_decision_comes_first_and_then_the_button() -> None:
    header, decision, actions, *_ = slack.blocks(SAMPLES["order.exception"]).blocks
    assert header["text"]["text"] == "🔴 Order #1042 is in exception at Nordic Outdoor: due in 20 h"
    assert decision["text"]["text"] == (
        "*Address verification failed.* Ship by "
        "<!date^1772701200^{date_short_pretty}, {time}|Thu 5 Mar 10:00 CET> (in 20 h). 129.90 EUR.\n"
        "*Do:* correct the address in the shop, then release the order."
    )
    assert actions["type"] == "actions"


@pytest.mark.parametrize("year", [1, 1969, 9999])
def test_a_date_that_slack_cannot_show_stays_text(year: int) -> None:
    message = slack.blocks(order_alert("order.exception", created_at=datetime(year, 5, 1, 12, tzinfo=UTC)))
    assert f" 1 May {year} 1" in json.dumps(message.blocks[3])
    assert "*Placed*\\n<!date" not in json.dumps(message.blocks[3])


def test_the_first_products_picture_stands_beside_the_lines() -> None:
    (lines,) = [
        block for block in _of_type(slack.blocks(SAMPLES["order.exception"]), "section") if "accessory" in block
    ]
    assert lines["accessory"]["image_url"] == "https://cdn.example.com/tent-2p.jpg"


def test_the_picture_can_be_left_out() -> None:
    message = slack.blocks(SAMPLES["order.exception"], with_image=False)
    assert "tent-2p.jpg" not in json.dumps(message.blocks)
    assert "TENT-2P" in json.dumps(message.blocks)


def test_the_button_opens_the_order() -> None:
    (actions,) = _of_type(slack.blocks(SAMPLES["order.exception"]), "actions")
    assert actions["elements"][0]["url"] == "https://admin.example.com/nordic-outdoor/orders/5501042"


def test_without_a_link_there_is_no_button() -> None:
    assert _of_type(slack.blocks(SAMPLES["order.cancelled"]), "actions") == []


def test_a_shop_cannot_mention_a_channel_or_end_a_link() -> None:
    alert = order_alert("order.exception", number="<!channel>", url="https://a.example/|x&y", raw_status="<@U1>")
    plain = slack.plain(alert).text
    assert "<!" not in plain + json.dumps(slack.blocks(alert).blocks).replace("<!date^", "")
    assert "<@" not in plain
    assert "<https://a.example/%7Cx&amp;y|Open the order>" in plain


def test_a_long_digest_drops_links_before_orders() -> None:
    orders = tuple(
        DigestedOrder(alert_id=str(n), id=str(n), number=f"N{n:03}", url=f"https://a.example/{'x' * 400}")
        for n in range(100)
    )
    digest = Digest(of_kind="order.cancelled", status="cancelled", count=100, orders=orders)
    message = slack.blocks(SAMPLES["order.digest"].model_copy(update={"digest": digest}))
    assert_within_limits(message)
    text = json.dumps(message.blocks)
    assert all(f"#N{n:03}" in text for n in range(100))
    assert "|open>" not in text


def test_a_digest_lists_the_most_affected_products() -> None:
    blocks = _of_type(slack.blocks(SAMPLES["order.digest"]), "section")[2:]
    sections = [block["text"]["text"] for block in blocks]
    assert sections[0].startswith("*Most affected*\n• LAMP-1, Trail lamp: in 12 orders")
    assert "on hand 2: *short 10*" in sections[0]


def test_orders_that_do_not_fit_are_counted() -> None:
    orders = tuple(
        DigestedOrder(alert_id=str(n), id=str(n), number="&" * 160, url=f"https://a.example/{'x' * 200}")
        for n in range(100)
    )
    digest = Digest(of_kind="order.cancelled", status="cancelled", count=100, orders=orders)
    message = slack.blocks(SAMPLES["order.digest"].model_copy(update={"digest": digest}))
    assert_within_limits(message)
    shown = json.dumps(message.blocks, ensure_ascii=False).count("• #")
    assert 0 < shown < 100
    assert f"+{100 - shown} more orders" in json.dumps(message.blocks)


def test_long_lines_and_gaps_stay_within_the_limits() -> None:
    lines = tuple(AlertLineItem(sku="<" * 160, name="&" * 160, quantity=Decimal(1)) for _ in range(100))
    gaps = tuple("&" * 300 for _ in range(30))
    alert = order_alert(
        "order.exception", number="&" * 160, line_items=lines, enrichment=Enrichment(complete=False, missing=gaps)
    )
    message = slack.blocks(alert)
    assert_within_limits(message)
    shown = json.dumps(message.blocks, ensure_ascii=False).count("• 1 x")
    assert 0 < shown < 20
    assert f"+{100 - shown} more lines" in json.dumps(message.blocks)


def test_the_other_channels_do_not_import_slack_sdk() -> None:
    check = "import sys, orderwatch.rendering.fallback; sys.exit('slack_sdk' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", check], check=False).returncode == 0
