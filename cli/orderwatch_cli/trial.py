"""`orderwatch test-alert`: one clearly marked alert through the real topic, and who should get it."""

import uuid
from decimal import Decimal

from pydantic import BaseModel

from orderwatch import clock
from orderwatch.alerts.alert import Alert, alert_id
from orderwatch.alerts.kinds import severity_of
from orderwatch.alerts.parts import AlertConnection, AlertLineItem, AlertOrder
from orderwatch.aws.sns import AlertTopic
from orderwatch.errors import OrderwatchError
from orderwatch.rendering.sns import SnsMessage, render
from orderwatch_cli.filter_policies import UnknownOperatorError, accepts
from orderwatch_cli.stack import Stack
from orderwatch_cli.subscriptions import Subscription, subscriptions_of

TEST_CONNECTION = "orderwatch-test"
MARK = "TEST"


class TestAlertError(OrderwatchError):
    """The test alert was not taken by SNS."""

    __test__ = False


class Recipient(BaseModel):
    """A subscription, and whether the test alert should reach it.

    Attributes:
        protocol: Such as `email`.
        endpoint: Where to, as far as it may be shown.
        should_receive: None where its filter policy uses an operator that is not known here.
        reason: Why.
    """

    protocol: str
    endpoint: str
    should_receive: bool | None
    reason: str


class Sent(BaseModel):
    """A test alert that SNS took.

    Attributes:
        alert_id: Its id, which every channel shows.
        message_id: SNS's id of the message.
        subject: Of the e-mail.
        recipients: Every subscription.
    """

    alert_id: str
    message_id: str
    subject: str
    recipients: list[Recipient]


def send_test_alert(stack: Stack, *, status: str, connection_id: str, total_price: Decimal) -> Sent:
    """Publish one alert that says that it is a test.

    Args:
        stack: Where.
        status: The watched status of its order, for filter policies.
        connection_id: The connection that it names, for filter policies.
        total_price: The value of its order in US dollars, for filter policies.

    Raises:
        TestAlertError: SNS did not take it.
    """
    alert = make_test_alert(status=status, connection_id=connection_id, total_price=total_price)
    message = render(alert)
    recipients = [recipient(each, message) for each in subscriptions_of(stack.aws, stack.outputs.alert_topic_arn)]
    [message_id] = AlertTopic(stack.aws.sns, stack.outputs.alert_topic_arn).publish([message])
    if message_id is None:
        raise TestAlertError(f"SNS did not take the message: may you sns:Publish to {stack.outputs.alert_topic_arn}?")
    return Sent(alert_id=alert.alert_id, message_id=message_id, subject=message.subject, recipients=recipients)


def recipient(subscription: Subscription, message: SnsMessage) -> Recipient:
    """Whether the message should reach the subscription, and why."""
    should_receive, reason = _verdict(subscription, message)
    return Recipient(
        protocol=subscription.protocol,
        endpoint=subscription.endpoint,
        should_receive=should_receive,
        reason=reason,
    )


def _verdict(subscription: Subscription, message: SnsMessage) -> tuple[bool | None, str]:
    if subscription.is_pending:
        return False, "not confirmed yet"
    policy, scope = subscription.filter_policy, subscription.filter_scope
    if not policy:
        return True, "takes everything"
    try:
        accepted = accepts(policy, message, protocol=subscription.protocol, scope=scope)
    except UnknownOperatorError as error:
        return None, f"its filter policy uses {error}, which is not known here"
    return accepted, f"its filter policy {'lets it through' if accepted else 'keeps it out'}"


def make_test_alert(*, status: str, connection_id: str, total_price: Decimal) -> Alert:
    """An alert that says of itself that it is a test; each has an id of its own."""
    kind, now = f"order.{status}", clock.now()
    line = AlertLineItem(
        sku=MARK,
        name="Test of the alert channels, nothing to do",
        quantity=Decimal(1),
        unit_price=total_price,
        on_hand=Decimal(1),
    )
    return Alert(
        alert_id=alert_id(MARK, uuid.uuid4().hex),
        kind=kind,
        severity=severity_of(kind),
        connection_id=connection_id,
        connection=AlertConnection(id=connection_id, name=f"{MARK} of orderwatch", integration="none"),
        order=AlertOrder(
            id=MARK,
            number=MARK,
            status=status,
            raw_status="This is a test, there is no such order",
            seen_at=now,
            updated_at=now,
            currency="USD",
            total_price=total_price,
            line_items=(line,),
        ),
        data_as_of=now,
    )
