"""Every renderer produces a valid message for its channel from any shop data."""

import json
import re
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

import jsonschema
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from orderwatch.alerts.alert import Alert, Enrichment, MergedAlert
from orderwatch.alerts.kinds import Severity
from orderwatch.alerts.parts import (
    AlertConnection,
    AlertLineItem,
    AlertOrder,
    Backlog,
    BacklogOrder,
    Digest,
    DigestedOrder,
    DigestedProduct,
    DigestedReason,
)
from orderwatch.publishing.group import MAX_ORDERS, MAX_PRODUCTS, group
from orderwatch.rendering import amazon_q, email, fallback, formatting, lists, slack, sms, sns
from orderwatch.rendering.sns import render
from orderwatch_local.preview.samples import order_alert
from orderwatch_local.preview.schema import alert_schema
from tests.support.any_summary import summaries
from tests.unit.test_messages_chat import CUSTOM_NOTIFICATION
from tests.unit.test_messages_slack import assert_within_limits

EXAMPLES = 50
SCHEMA = jsonschema.Draft202012Validator(json.loads(alert_schema()))
NOTIFICATION = jsonschema.Draft202012Validator(CUSTOM_NOTIFICATION)
NASTY = st.sampled_from(
    [
        "\u202e",
        "\u2066",
        "\u0000",
        "\n",
        "\r\n",
        "\u2028",
        "\uffff",
        "👩‍👩‍👧",
        "ﷺ",
        "e\u0301\u0301",
        "赤",
        "שלום",
        "<!here>",
        "&",
        "#",
        "|",
    ]
)
LINE = st.lists(st.one_of(st.text(max_size=40), NASTY), max_size=8).map("".join)
NAME = LINE.filter(bool)
URL = st.one_of(
    st.none(), LINE, LINE.map(lambda path: f"https://shop.example/{path}"), st.just("https://a.example/&" + "&" * 2000)
)
AMOUNT = st.one_of(st.none(), st.decimals(allow_nan=False, allow_infinity=False), st.integers(0, 10**6).map(Decimal))
DATE = st.one_of(st.none(), st.datetimes(timezones=st.just(UTC)), st.datetimes())
CURRENCY = st.one_of(st.none(), st.sampled_from(["EUR", "JPY", "KWD"]), LINE)

LINES = st.builds(
    AlertLineItem,
    sku=st.one_of(st.none(), LINE),
    name=st.one_of(st.none(), LINE),
    quantity=AMOUNT,
    unit_price=AMOUNT,
    on_hand=AMOUNT,
    on_hand_by_warehouse=st.dictionaries(LINE, AMOUNT.filter(lambda amount: amount is not None), max_size=6),
    image_url=URL,
    url=URL,
    product_id=st.one_of(st.none(), LINE),
    is_kit=st.one_of(st.none(), st.booleans()),
    active=st.one_of(st.none(), st.booleans()),
)
ORDERS = st.builds(
    AlertOrder,
    id=NAME,
    number=LINE,
    url=URL,
    status=NAME,
    previous_status=st.one_of(st.none(), LINE),
    previous_status_since=DATE,
    status_since=DATE,
    raw_status=st.one_of(st.none(), LINE),
    created_at=DATE,
    updated_at=DATE,
    seen_at=st.datetimes(timezones=st.just(UTC)),
    currency=CURRENCY,
    total_price=AMOUNT,
    total_tax=AMOUNT,
    total_discount=AMOUNT,
    total_shipping=AMOUNT,
    ship_by=DATE,
    due_at=DATE,
    shipments=st.one_of(st.none(), st.integers(0, 10**6)),
    line_items=st.lists(LINES, max_size=4).map(tuple),
    more_line_items=st.integers(0, 10**6),
)
DIGESTED = st.builds(
    DigestedOrder,
    alert_id=NAME,
    id=NAME,
    number=LINE,
    url=URL,
    previous_status=LINE,
    raw_status=st.one_of(st.none(), LINE),
    currency=CURRENCY,
    total_price=AMOUNT,
    ship_by=DATE,
)
BACKLOGS_ORDERS = st.builds(
    BacklogOrder,
    id=NAME,
    number=LINE,
    url=URL,
    status=NAME,
    raw_status=st.one_of(st.none(), LINE),
    currency=CURRENCY,
    total_price=AMOUNT,
    ship_by=DATE,
)
BACKLOGS = st.builds(
    Backlog,
    seen_at=st.datetimes(timezones=st.just(UTC)),
    by_status=st.dictionaries(NAME, st.integers(0, 10**6), max_size=4),
    orders=st.lists(BACKLOGS_ORDERS, max_size=12).map(tuple),
    more_orders=st.integers(0, 10**6),
)
REASONS = st.builds(DigestedReason, raw_status=st.one_of(st.none(), LINE), orders=st.integers(1, 10**6))
PRODUCTS = st.builds(
    DigestedProduct,
    sku=st.one_of(st.none(), LINE),
    name=st.one_of(st.none(), LINE),
    product_id=st.one_of(st.none(), LINE),
    orders=st.integers(1, 10**6),
    ordered=AMOUNT,
    on_hand=AMOUNT,
    short=AMOUNT,
)
DIGESTS = st.lists(DIGESTED, min_size=1, max_size=4).flatmap(
    lambda orders: st.builds(
        Digest,
        of_kind=st.sampled_from(["order.exception", "order.backordered", "order.recovered", "order.late", "order.x"]),
        status=NAME,
        count=st.integers(len(orders), 10**6),
        value_by_currency=st.dictionaries(LINE, AMOUNT.filter(lambda amount: amount is not None), max_size=8),
        seen_at=DATE,
        reasons=st.lists(REASONS, max_size=12).map(tuple),
        overdue=st.integers(0, 10**6),
        due_soon=st.integers(0, 10**6),
        orders=st.just(tuple(orders)),
        products=st.lists(PRODUCTS, max_size=MAX_PRODUCTS).map(tuple),
        more_products=st.integers(0, 10**6),
    )
)
CONNECTIONS = st.builds(
    AlertConnection,
    id=NAME,
    name=st.one_of(st.none(), LINE),
    integration=st.one_of(st.none(), LINE),
    time_zone=st.one_of(LINE, st.sampled_from(["UTC", "Europe/Berlin", "Asia/Kathmandu", "Europe", "../etc/passwd"])),
)
ALSO = st.builds(MergedAlert, kind=st.sampled_from(["order.at_risk", "order.late", "order.stuck"]), alert_id=NAME)
KINDS = st.sampled_from(
    [
        "order.exception",
        "order.backordered",
        "order.cancelled",
        "order.recovered",
        "order.at_risk",
        "order.late",
        "order.stuck",
        "order.digest",
        "connection.blocked",
        "watch.started",
        "summary.daily",
        "connection.new",
    ]
)
SUBJECTS = st.one_of(
    st.fixed_dictionaries({"order": ORDERS}),
    st.fixed_dictionaries({"digest": DIGESTS}),
    st.fixed_dictionaries({"backlog": BACKLOGS}),
    st.fixed_dictionaries({"summary": summaries(LINE, URL, AMOUNT)}),
    st.just({"detail": None}),
)


@st.composite
def alerts(draw: st.DrawFn) -> Alert:
    """Any alert that the model takes, sensible or not."""
    connection = draw(CONNECTIONS)
    subject: dict[str, object] = dict(draw(SUBJECTS))
    if draw(st.booleans()):
        subject["detail"] = draw(st.one_of(LINE, st.just("word " * 2000)))
        subject["merged"] = draw(st.lists(ALSO, max_size=2).map(tuple))
        subject["next_step"] = draw(st.one_of(LINE, st.just("word " * 2000)))
    missing = draw(st.lists(LINE, max_size=30).map(tuple))
    return Alert(
        alert_id="5b1f0c9a7d3e4862b0a94c17e6f2d835",
        kind=draw(KINDS),
        severity=draw(st.sampled_from(Severity)),
        connection_id=connection.id,
        connection=connection,
        enrichment=Enrichment(complete=not missing, missing=missing),
        data_as_of=draw(DATE),
        **subject,
    )


def assert_valid_subject(subject: str) -> None:
    assert 0 < len(subject) < 100
    assert subject.isascii()
    assert subject.isprintable()
    assert not subject[0].isspace()


@settings(max_examples=EXAMPLES, suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much])
@given(alert=alerts())
def test_every_renderer_keeps_its_limits_for_any_alert(alert: Alert) -> None:
    message = render(alert)
    assert_valid_subject(message.subject)
    assert message.size <= sns.MAX_BYTES
    assert all(attribute.value.strip() for attribute in message.attributes.values())
    assert len(message.bodies["sms"]) <= sms.MAX_CHARACTERS
    assert message.bodies["sms"].isascii()
    assert message.bodies["sms"].isprintable()
    NOTIFICATION.validate(json.loads(message.bodies["https"]))
    assert json.loads(message.bodies["sqs"])["alert_id"] == alert.alert_id
    assert_within_limits(slack.blocks(alert))
    assert not set("\ufffe\uffff") & set(message.message)


@settings(max_examples=EXAMPLES, suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much])
@given(alert=alerts())
def test_every_e_mail_is_readable_text(alert: Alert) -> None:
    body = email.body(alert)
    assert len(body.encode()) <= email.MAX_BYTES
    assert not set(body) & set("\u202e\u2066\x00\r\u2028")


@settings(max_examples=EXAMPLES, suppress_health_check=[HealthCheck.too_slow])
@given(alert=alerts())
def test_the_fallback_works_for_any_alert(alert: Alert) -> None:
    message = fallback.plain(alert)
    assert_valid_subject(message.subject)
    assert message.size <= sns.MAX_BYTES
    assert len(message.bodies["sms"]) <= sms.MAX_CHARACTERS
    assert message.bodies["sms"].isascii()
    NOTIFICATION.validate(json.loads(message.bodies["https"]))
    assert_within_limits(slack.plain(alert))
    assert_within_limits(slack.blocks(alert, with_image=False))


@settings(max_examples=EXAMPLES, suppress_health_check=[HealthCheck.too_slow])
@given(order=ORDERS)
def test_the_order_number_is_in_every_message(order: AlertOrder) -> None:
    connection = AlertConnection(id="c")
    alert = Alert(
        alert_id="a",
        kind="order.exception",
        severity=Severity.CRITICAL,
        connection_id="c",
        connection=connection,
        order=order,
    )
    number = formatting.order_number(order)
    assert "".join(number.split()) in "".join(email.body(alert).split())
    assert formatting.order_number_in_ascii(order, limit=34) in email.subject(alert)
    assert formatting.order_number_in_ascii(order, limit=40) in sms.body(alert)
    assert amazon_q.escape(number, limit=10_000)[:30] in amazon_q.notification(alert)["content"]["title"]
    assert amazon_q.escape(number, limit=10_000)[:30] in slack.blocks(alert).text


@settings(max_examples=EXAMPLES, suppress_health_check=[HealthCheck.too_slow])
@given(alert=alerts())
def test_the_json_matches_the_schema_and_can_be_parsed(alert: Alert) -> None:
    body = sns.json_body(alert)
    SCHEMA.validate(json.loads(body))
    assert Alert.model_validate_json(body).alert_id == alert.alert_id


REASON_WORDS = st.one_of(st.none(), LINE, st.sampled_from(["Address", "Fraud", "exception", "Exception"]))
STORMS = st.lists(st.tuples(REASON_WORDS, DATE, AMOUNT, URL), min_size=2, max_size=12)


def _digest_of(storm: list[tuple[str | None, datetime | None, Decimal | None, str | None]], *, repeated: int) -> Alert:
    """A digest as publishing makes it, with these orders repeated."""
    alerts = [
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
        for n, (reason, ship_by, price, url) in enumerate(storm * repeated)
    ]
    return group(alerts[:MAX_ORDERS], threshold=1)[0].alert


def _sections(message: slack.SlackMessage) -> str:
    return "\n".join(block["text"]["text"] for block in message.blocks if "text" in block)


def _named_under_reasons(lines: list[str], bullet: str, headings: set[str]) -> dict[str, str | None]:
    """The reason under which each order is named, by its number."""
    above: str | None = None
    named: dict[str, str | None] = {}
    for line in lines:
        above = line if line in headings else above
        if found := re.match(rf"{bullet}#(N\d\d\d)\b", line):
            named[found[1]] = above
    return named


@settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(storm=STORMS, repeated=st.sampled_from([1, 9]))
def test_a_digest_lists_or_counts_every_reason_exactly(
    storm: list[tuple[str | None, datetime | None, Decimal | None, str | None]], repeated: int
) -> None:
    alert = _digest_of(storm, repeated=repeated)
    digest = alert.digest
    assert digest
    assert sum(each.orders for each in digest.reasons) == digest.count == len(digest.orders)
    shown = [entry.heading for entry in lists.entries(alert) if entry.heading]
    channels = [
        ("- ", email.body(alert), {f"{each}:" for each in shown}),
        ("• ", _sections(slack.blocks(alert)), {f"*{amazon_q.escape(each, limit=300)}*" for each in shown}),
        (
            "- ",
            amazon_q.notification(alert)["content"]["description"],
            {f"*{amazon_q.escape(each, limit=200)}:*" for each in shown},
        ),
    ]
    for bullet, said, headings in channels:
        lines = said.split("\n")
        named = _named_under_reasons(lines, bullet, headings)
        left_out = digest.count - len(named)
        assert left_out == 0 or any(line.startswith(f"+{left_out} more order") for line in lines)
        assert not shown or all(named.values())
    if shown:
        counted = lists.digest_reasons(alert)
        assert counted
        assert sum(int(each.replace(",", "")) for each in re.findall(r"\(([\d,]+)\)(?=, |$)", counted)) >= digest.count
        assert sum(int(re.findall(r"\(([\d,]+) orders?\)$", each)[-1]) for each in shown) == digest.count


def test_every_renderer_is_tested_here() -> None:
    package = Path(str(fallback.__file__)).parent
    words = {"__init__", "content", "lists", "summaries", "next_steps", "formatting"}
    renderers = {path.stem for path in package.glob("*.py")} - words
    assert renderers == {"amazon_q", "email", "fallback", "slack", "sms", "sns"}


@pytest.mark.parametrize("zone", ["UTC", "Pacific/Kiritimati", "America/Los_Angeles"])
@pytest.mark.parametrize("day", [datetime.min.replace(tzinfo=UTC), datetime.max.replace(tzinfo=UTC)])
def test_the_first_and_last_possible_dates_can_be_shown(day: datetime, zone: str) -> None:
    alert = order_alert("order.exception", ship_by=day, created_at=day)
    connection = alert.connection.model_copy(update={"time_zone": zone})
    body = email.body(alert.model_copy(update={"connection": connection}))
    assert "Placed: " in body
    assert ("Ship by" in body) == (day.year > 2000), "a ship-by before 2000 means that there is none"
