"""Every renderer produces a valid message for its channel, whatever the shop wrote."""

import json
import re
from datetime import UTC, datetime
from decimal import Decimal

import jsonschema
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from orderwatch.alerts.alert import Alert
from orderwatch.alerts.parts import AlertOrder
from orderwatch.publishing.group import group
from orderwatch.rendering import amazon_q, email, fallback, formatting, lists, slack, sms, sns
from orderwatch.rendering.markup import for_amazon_q, for_slack
from orderwatch.rendering.sns import SnsMessage, render
from orderwatch_local.preview.samples import order_alert
from orderwatch_local.preview.schema import alert_schema
from tests.support.any_alert import AMOUNT, DATE, LINE, URL, alerts, built
from tests.unit.test_messages_chat import CUSTOM_NOTIFICATION
from tests.unit.test_messages_markup import read
from tests.unit.test_messages_slack import assert_within_limits

SCHEMA = jsonschema.Draft202012Validator(json.loads(alert_schema()))
NOTIFICATION = jsonschema.Draft202012Validator(CUSTOM_NOTIFICATION)


def assert_deliverable(message: SnsMessage) -> None:
    """The limits of SNS and of each protocol."""
    assert re.fullmatch(r"[!-~][ -~]{0,98}", message.subject)
    assert message.size <= sns.MAX_BYTES
    assert all(attribute.value.strip() for attribute in message.attributes.values())
    assert re.fullmatch(r"[ -~]{1,140}", message.bodies["sms"])
    NOTIFICATION.validate(json.loads(message.bodies["https"]))
    assert not set("\ufffe\uffff") & set(message.message)


@settings(suppress_health_check=list(HealthCheck))
@given(alert=alerts())
@example(alert=order_alert("order.exception", url=f"https://a.example/{'&' * 700}"))
def test_every_renderer_and_the_fallback_keep_their_limits(alert: Alert) -> None:
    message = render(alert)
    assert_deliverable(message)
    assert_deliverable(fallback.plain(alert))
    for chat in (slack.blocks(alert), slack.blocks(alert, with_image=False), slack.plain(alert)):
        assert_within_limits(chat)
    assert len(message.bodies["email"].encode()) <= email.MAX_BYTES
    assert not set(message.bodies["email"]) & set("\u202e\u2066\x00\r\u2028")
    body = message.bodies["sqs"]
    SCHEMA.validate(json.loads(body))
    assert Alert.model_validate_json(body).alert_id == alert.alert_id


@given(order=built(AlertOrder))
def test_the_order_number_is_in_every_message(order: AlertOrder) -> None:
    alert = order_alert("order.exception").replace(order=order)
    number = formatting.order_number(order)
    assert "".join(number.split()) in "".join(email.body(alert).split())
    assert formatting.order_number_in_ascii(order, limit=34) in email.subject(alert)
    assert formatting.order_number_in_ascii(order, limit=40) in sms.body(alert)
    assert number[:10] in read(amazon_q.notification(alert)["content"]["title"])
    assert number[:10] in read(slack.blocks(alert).text)


type StormOrder = tuple[str | None, datetime | None, Decimal | None, str | None]
"""The reason, ship-by, value and link of an order."""
REASONS = st.one_of(st.none(), LINE, st.sampled_from(["Address", "Fraud", "exception", "Exception"]))
STORMS = st.lists(st.tuples(REASONS, DATE, AMOUNT, URL), min_size=2, max_size=11)


def _digest_of(storm: list[StormOrder]) -> Alert:
    """The digest of these orders, as publishing makes it."""
    numbered = [
        order_alert(
            "order.exception",
            alert_id=str(n),
            id=str(n),
            number=f"N{n:03}",
            raw_status=reason,
            ship_by=ship_by,
            total_price=price,
            url=url,
        )
        for n, (reason, ship_by, price, url) in enumerate(storm)
    ]
    return group(numbered, threshold=1)[0].alert


def _named_under_reasons(lines: list[str], bullet: str, headings: set[str]) -> dict[str, str | None]:
    """The reason under which each order is named, by its number."""
    above: str | None = None
    named: dict[str, str | None] = {}
    for line in lines:
        above = line if line in headings else above
        if found := re.match(rf"{bullet}(?:<[^|>]*\|)?#(N\d\d\d)\b", line):
            named[found[1]] = above
    return named


@given(storm=STORMS, repeated=st.sampled_from([1, 9]))
def test_a_digest_lists_or_counts_every_reason_exactly(storm: list[StormOrder], repeated: int) -> None:
    alert = _digest_of(storm * repeated)
    digest = alert.digest
    assert digest
    assert sum(each.orders for each in digest.reasons) == digest.count == len(digest.orders)
    shown = [entry.heading for entry in lists.entries(alert) if entry.heading]
    sections = "\n".join(block["text"]["text"] for block in slack.blocks(alert).blocks if "text" in block)
    description = amazon_q.notification(alert)["content"]["description"]
    for bullet, said, headings in (
        ("- ", email.body(alert), {f"{each}:" for each in shown}),
        ("• ", sections, {f"*{for_slack(each, limit=400)}*" for each in shown}),
        ("- ", description, {f"*{for_amazon_q(each, limit=200)}:*" for each in shown}),
    ):
        lines = said.split("\n")
        named = _named_under_reasons(lines, bullet, headings)
        left_out = digest.count - len(named)
        assert left_out == 0 or any(line.startswith(f"+{left_out} more order") for line in lines)
        assert not shown or all(named.values())
    if shown:
        counted = re.findall(r"\(([\d,]+)\)(?=, |$)", lists.digest_reasons(alert) or "")
        assert sum(int(each.replace(",", "")) for each in counted) >= digest.count
        assert sum(int(re.findall(r"\(([\d,]+) orders?\)$", each)[-1]) for each in shown) == digest.count


@pytest.mark.parametrize("zone", ["UTC", "Pacific/Kiritimati", "America/Los_Angeles"])
@pytest.mark.parametrize("day", [datetime.min.replace(tzinfo=UTC), datetime.max.replace(tzinfo=UTC)])
def test_the_first_and_last_possible_dates_can_be_shown(day: datetime, zone: str) -> None:
    alert = order_alert("order.exception", ship_by=day, created_at=day)
    connection = alert.connection.model_copy(update={"time_zone": zone})
    body = email.body(alert.model_copy(update={"connection": connection}))
    assert "Placed: " in body
    assert "Ship by" in body
