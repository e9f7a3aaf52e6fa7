"""Which subscriptions a message should reach, held against two readings of SNS's rules: a table and moto's matcher."""

import json
from decimal import Decimal
from typing import Any

import pytest
from moto.sns.utils import FilterPolicyMatcher

from orderwatch.alerts.alert import Alert
from orderwatch.rendering.sns import SnsMessage, render
from orderwatch_cli.filter_policies import UnknownOperatorError, accepts
from orderwatch_cli.subscriptions import Subscription
from orderwatch_cli.trial import recipient
from tests.support.alerts import alert_of


def alert() -> Alert:
    """order.exception at conn_a, 129.90 EUR, two lines with SKUs."""
    made = alert_of("o1", product_ids=("p1", "p2"))
    assert made.order
    priced = made.order.model_copy(update={"total_price": Decimal("129.90"), "currency": "EUR"})
    return made.model_copy(update={"order": priced})


@pytest.fixture
def message() -> SnsMessage:
    return render(alert())


@pytest.mark.parametrize(
    ("policy", "accepted"),
    [
        ({}, True),
        ({"connection_id": ["conn_a"]}, True),
        ({"connection_id": ["conn_b"]}, False),
        ({"kind": ["order.cancelled", "order.exception"]}, True),
        ({"kind": ["order.exception"], "connection_id": ["conn_b"]}, False),
        ({"kind": [{"anything-but": ["order.recovered"]}]}, True),
        ({"kind": [{"anything-but": ["order.recovered", "order.exception"]}]}, False),
        ({"kind": [{"anything-but": {"prefix": "order."}}]}, False),
        ({"kind": [{"prefix": "order."}]}, True),
        ({"kind": [{"prefix": "connection."}]}, False),
        ({"kind": [{"suffix": ".exception"}]}, True),
        ({"currency": [{"equals-ignore-case": "eur"}]}, True),
        ({"total_price": [{"numeric": [">", 500]}]}, False),
        ({"total_price": [{"numeric": [">=", 100, "<", 129.91]}]}, True),
        ({"total_price": [{"numeric": ["=", 129.9]}]}, True),
        ({"previous_status": [{"exists": False}]}, True),
        ({"previous_status": [{"exists": True}]}, False),
        ({"status": [{"exists": True}]}, True),
        ({"no_such_attribute": ["x"]}, False),
        ({"$or": [{"connection_id": ["conn_b"]}, {"kind": ["order.exception"]}]}, True),
        ({"$or": [{"connection_id": ["conn_b"]}, {"kind": ["order.cancelled"]}]}, False),
    ],
    ids=json.dumps,
)
def test_a_policy_on_attributes_lets_through_what_sns_would(
    message: SnsMessage, policy: dict[str, Any], accepted: bool
) -> None:
    assert accepts(policy, message, protocol="sqs", scope="MessageAttributes") is accepted
    assert by_moto(policy, message) is accepted


def by_moto(policy: dict[str, Any], message: SnsMessage) -> bool:
    attributes = {name: {"Type": kind, "Value": value} for name, (kind, value) in message.attributes.items()}
    return not policy or bool(FilterPolicyMatcher(policy, "MessageAttributes").matches(attributes, message.message))


@pytest.mark.parametrize(
    ("policy", "accepted"),
    [
        ({"order": {"line_items": {"sku": ["sku-p2"]}}}, True),
        ({"order": {"line_items": {"sku": ["sku-p3"]}}}, False),
        ({"order": {"total_price": [{"numeric": [">", 100]}], "currency": ["EUR"]}}, True),
        ({"order": {"status": ["cancelled"]}}, False),
        ({"digest": {"count": [{"numeric": [">", 5]}]}}, False),
        ({"connection": {"name": [{"exists": False}]}}, True),
    ],
    ids=json.dumps,
)
def test_a_policy_on_the_body_is_held_against_the_machines_json(
    message: SnsMessage, policy: dict[str, Any], accepted: bool
) -> None:
    assert accepts(policy, message, protocol="sqs", scope="MessageBody") is accepted
    assert accepts(policy, message, protocol="lambda", scope="MessageBody") is accepted


def test_a_policy_on_the_body_keeps_every_text_for_people_out(message: SnsMessage) -> None:
    policy = {"order": {"status": ["exception"]}}
    assert not accepts(policy, message, protocol="email", scope="MessageBody")
    assert not accepts(policy, message, protocol="http", scope="MessageBody")


@pytest.mark.parametrize(
    "policy",
    [{"kind": [{"cidr": "10.0.0.0/24"}]}, {"kind": "order.exception"}, {"kind": [{"prefix": "o", "suffix": "n"}]}],
    ids=json.dumps,
)
def test_an_operator_that_is_not_known_is_not_guessed(message: SnsMessage, policy: dict[str, Any]) -> None:
    with pytest.raises(UnknownOperatorError):
        accepts(policy, message, protocol="sqs", scope="MessageAttributes")


@pytest.mark.parametrize(
    ("subscription", "should_receive", "reason"),
    [
        (Subscription("email", "a@b.example"), True, "takes everything"),
        (Subscription("email", "a@b.example", is_pending=True), False, "not confirmed yet"),
        (Subscription("sqs", "q", filter_policy={"status": ["exception"]}), True, "lets it through"),
        (Subscription("sqs", "q", filter_policy={"status": ["cancelled"]}), False, "keeps it out"),
        (Subscription("sqs", "q", filter_policy={"status": [{"cidr": "::/0"}]}), None, "uses cidr, which is not known"),
    ],
)
def test_each_subscription_is_told_whether_and_why(
    message: SnsMessage, subscription: Subscription, should_receive: bool | None, reason: str
) -> None:
    alerted = recipient(subscription, message)
    assert alerted.should_receive is should_receive
    assert reason in alerted.reason
