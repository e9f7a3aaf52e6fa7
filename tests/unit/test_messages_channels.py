"""What every channel shows, and what none of them shows."""

import json
from decimal import Decimal

import pytest

from orderwatch.alerts.alert import Alert, Enrichment
from orderwatch.alerts.parts import AlertLineItem
from orderwatch.rendering import amazon_q, email, formatting, next_steps, slack, sms, sns
from orderwatch_local.preview.samples import SAMPLES, order_alert
from tests.support.alerts import plain_spaces

CHAT = ("slack", "slack text", "amazon_q")


def shown(alert: Alert) -> dict[str, str]:
    """The texts that people read, by channel."""
    texts = {
        "email": f"{email.subject(alert)}\n{email.body(alert)}",
        "sms": sms.body(alert),
        "slack": json.dumps(slack.blocks(alert).blocks, ensure_ascii=False),
        "slack text": slack.plain(alert).text,
        "amazon_q": json.dumps(amazon_q.notification(alert)["content"], ensure_ascii=False),
    }
    return {channel: plain_spaces(text) for channel, text in texts.items()}


@pytest.mark.parametrize("kind", SAMPLES)
def test_every_channel_shows_the_next_step(kind: str) -> None:
    alert = SAMPLES[kind]
    step = next_steps.next_step(alert)
    do, bold_do = ("Do: ", "*Do:* ") if next_steps.is_action(step) else ("", "")
    said = step[:1].lower() + step[1:] if do else step
    assert f"\n{do}{said}\n" in plain_spaces(email.body(alert))
    sections = [plain_spaces(block["text"]["text"]) for block in slack.blocks(alert).blocks[1:3] if "text" in block]
    assert any(f"{bold_do}{said}" in text.splitlines() for text in sections)
    assert amazon_q.notification(alert)["content"]["nextSteps"][0] == step
    assert sns.with_texts(alert).next_step == step


def test_every_channel_shows_that_an_order_is_overdue() -> None:
    alert = SAMPLES["order.backordered"]
    assert {channel for channel, text in shown(alert).items() if "11 d overdue" in text} == set(shown(alert))
    assert formatting.late_hours(alert) == 11 * 24 + 13


def test_every_channel_counts_the_lines_that_it_leaves_out() -> None:
    lines = tuple(AlertLineItem(sku="<" * 160, name="&" * 160, quantity=Decimal(1)) for _ in range(100))
    gaps = Enrichment(complete=False, missing=tuple("&" * 300 for _ in range(30)))
    alert = order_alert("order.exception", line_items=lines, more_line_items=7, enrichment=gaps)
    for channel, text in shown(alert).items():
        if channel in {"email", "slack", "amazon_q"}:
            listed = text.count("1 × ")
            assert 0 < listed <= 20, channel
            assert f"+{107 - listed} more items" in text, channel


@pytest.mark.parametrize("url", ["javascript:alert(1)", "https://a b"])
def test_no_channel_shows_an_unsafe_link(url: str) -> None:
    assert [channel for channel, text in shown(order_alert("order.exception", url=url)).items() if url in text] == []


def test_a_shop_cannot_mention_a_channel_or_end_a_link() -> None:
    url = "https://a.example/|x&y"
    texts = shown(order_alert("order.exception", number="<!channel>", url=url, raw_status="& <@U1>"))
    for channel in CHAT:
        text = texts[channel].replace("<!date^", "")
        assert "&lt;!channel&gt;" in text
        assert "&amp; &lt;@U1&gt;" in text
        assert "<!" not in text
        assert "<@" not in text
    assert "<https://a.example/%7Cx&amp;y|Open the order>" in texts["slack text"]


@pytest.mark.parametrize(("kind", "status"), [("order.cancelled", "cancelled"), ("order.recovered", "processing")])
def test_stock_is_shown_only_where_it_matters(kind: str, status: str) -> None:
    lamp = AlertLineItem(sku="LAMP-1", quantity=Decimal(3), on_hand=Decimal(1))
    texts = shown(order_alert(kind, status=status, previous_status="backordered", line_items=(lamp,)))
    assert [channel for channel, text in texts.items() if "2 short" in text or "in stock" in text] == []


def test_a_date_without_a_time_is_shown_as_a_date() -> None:
    texts = shown(order_alert("order.exception", ship_by="2026-03-06T00:00:00Z"))
    assert all("Ship by Fri 6 Mar (in 2 d)." in texts[channel] for channel in ("email", *CHAT))


@pytest.mark.parametrize("status", ["fulfilled", "cancelled"])
def test_a_final_order_shows_no_ship_by(status: str) -> None:
    texts = shown(order_alert("order.recovered", status=status, ship_by="2026-03-06T09:00:00Z"))
    assert [channel for channel, text in texts.items() if "hip by" in text] == []
