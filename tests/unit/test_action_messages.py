"""Which messages have the link that takes or snoozes an order, and that no log has it."""

import json
from collections import Counter
from datetime import timedelta
from types import SimpleNamespace
from typing import Any

import pytest
from pydantic import SecretStr

from functions.handle_action import app
from orderwatch.action_links import ActionLinks, OrderKey, sign
from orderwatch.aws.parameters import Parameters
from orderwatch.observability import logger
from orderwatch.publishing.publish import STOP_BEFORE, publish
from orderwatch.rendering.email import MAX_BYTES, body
from orderwatch.rendering.slack import blocks
from orderwatch.rendering.sns import MACHINE_PROTOCOLS, render
from tests.support.alerts import alert_of
from tests.support.clocks import NOON, FakeClock, running_on
from tests.support.lambda_context import lambda_context
from tests.support.memory_ssm import MemorySsm
from tests.support.sending import Desk

URL = "https://abc.lambda-url.us-east-1.on.aws/"
KEY = SecretStr("k" * 43)
LINK = f"{URL}{sign(OrderKey('conn_a', 'order-1'), KEY, at=NOON)}"


@pytest.fixture
def logged(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """Every log line, with what it has beside its text."""
    lines: list[Any] = []
    for level in ("info", "warning", "error"):
        monkeypatch.setattr(logger, level, lambda text, **more: lines.append((text, more)))
    return lines


def test_only_people_who_read_e_mail_get_the_link_from_sns() -> None:
    message = render(alert_of("order-1"), action_url=LINK)
    assert message.bodies["email"].count(f"\nTake or snooze: {LINK}\n") == 1
    for protocol in ("default", "sms", "https", *MACHINE_PROTOCOLS):
        assert LINK not in message.bodies[protocol]
        assert message.bodies[protocol] == render(alert_of("order-1")).bodies[protocol], protocol


def test_slack_has_a_second_button() -> None:
    record = {"external_system_url": "https://admin.example/orders/1"}
    [actions] = [
        each for each in blocks(alert_of("order-1", record=record), action_url=LINK).blocks if "elements" in each
    ][:1]
    shown = [(each["text"]["text"], each["url"]) for each in actions["elements"]]
    assert shown == [("Open the order", record["external_system_url"]), ("Take or snooze", LINK)]
    assert LINK not in json.dumps(blocks(alert_of("order-1", record=record)).blocks)


def test_a_long_message_keeps_the_link_within_its_limit() -> None:
    alert = alert_of("order-1", product_ids=tuple(f"p{number}" for number in range(900)))
    text = body(alert, action_url=LINK)
    assert LINK in text
    assert len(text.encode()) <= MAX_BYTES


@pytest.mark.parametrize(("key", "threshold", "has_link"), [(KEY, 5, True), (None, 5, False), (KEY, 1, False)])
def test_e_mails_have_links_with_a_key_and_digests_have_none(
    logged: list[Any], key: SecretStr | None, threshold: int, has_link: bool
) -> None:
    desk = Desk()
    keys = desk.put(2)
    publish(
        keys,
        outbox=desk.tables.alerts,
        topic=desk.sns.topic,
        operators=desk.sns.topic,
        details=None,
        digest_threshold=threshold,
        seconds_left=lambda: STOP_BEFORE,
        links=ActionLinks(URL, lambda: key),
    )
    assert (URL in str(desk.sns.batches)) is has_link
    assert len(logged) > 0
    assert URL not in str(logged)


@pytest.fixture
def environment(monkeypatch: pytest.MonkeyPatch) -> None:
    variables = {"PARAMETER_PREFIX": "/orderwatch", "TIME_ZONE": "UTC", "DEADLINE_ALERTS": "true"}
    for name, value in {**variables, "REMINDER_HOURS": "0", "ORDER_TABLE_NAME": "orders"}.items():
        monkeypatch.setenv(name, value)


def request_of(token: str, method: str) -> dict[str, Any]:
    return {"rawPath": f"/{token}", "requestContext": {"http": {"method": method}}, "body": "name=Ana"}


@pytest.mark.usefixtures("environment")
@pytest.mark.parametrize("has_key", [True, False])
def test_a_flood_of_requests_is_one_request_to_aws(
    monkeypatch: pytest.MonkeyPatch, logged: list[Any], has_key: bool
) -> None:
    """10,000 in a minute: each of the five reserved functions answers a fifth of them."""
    ssm = MemorySsm({"/orderwatch/action-links/key": KEY.get_secret_value()} if has_key else {})
    adapters = SimpleNamespace(parameters=Parameters(ssm.as_client(), "/orderwatch"), orders=None)
    monkeypatch.setattr(app, "_adapters", lambda settings: adapters)
    time, statuses = FakeClock(NOON), Counter[int]()
    with running_on(time):
        for number in range(2_000):
            time.advance(timedelta(seconds=60) / 2_001)
            token = f"{number}{LINK.rpartition('/')[2]}"
            answer = app.handler(request_of(token, "POST" if number % 2 else "GET"), lambda_context())
            statuses[answer["statusCode"]] += 1
    assert statuses == {404: 2_000}
    assert ssm.requests == ["get_parameter"]


@pytest.mark.usefixtures("environment")
def test_the_log_of_the_page_has_neither_the_link_nor_the_form(
    monkeypatch: pytest.MonkeyPatch, logged: list[Any]
) -> None:
    adapters = SimpleNamespace(parameters=SimpleNamespace(action_key=lambda: None), orders=None)
    monkeypatch.setattr(app, "_adapters", lambda settings: adapters)
    answer = app.handler(request_of(LINK.rpartition("/")[2], "POST"), lambda_context())
    assert (answer["statusCode"], answer["headers"]["Cache-Control"]) == (404, "no-store")
    [entry] = logged
    assert entry == ("request answered", {"extra": {"method": "POST", "status": 404}})
