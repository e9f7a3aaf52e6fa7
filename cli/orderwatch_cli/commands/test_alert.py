"""`orderwatch test-alert`: publishes one alert marked TEST to AlertTopic."""

import uuid
from decimal import Decimal
from typing import Annotated

import typer
from pydantic import BaseModel

from orderwatch import clock
from orderwatch.alerts.alert import Alert, alert_id
from orderwatch.alerts.kinds import severity_of
from orderwatch.alerts.parts import AlertConnection, AlertLineItem, AlertOrder
from orderwatch.aws.sns import AlertTopic
from orderwatch.errors import OrderwatchError
from orderwatch.rendering.sns import render
from orderwatch.statuses import normalize_status
from orderwatch_cli import output
from orderwatch_cli.arguments import Endpoint, Json, StackName, stack_at
from orderwatch_cli.filters import known_status, resolve_shop
from orderwatch_cli.stack import STACK_NAME, Stack
from orderwatch_cli.subscriptions import Subscription, subscriptions_of

TEST_CONNECTION = "orderwatch-test"
MARK = "TEST"
NEXT_STEP = "No action needed. This is a test of the alert channels."


class TestAlertError(OrderwatchError):
    """SNS did not accept the test alert."""

    __test__ = False


class SentTestAlert(BaseModel):
    """A test alert that SNS accepted.

    Attributes:
        alert_id: Its ID, which every channel shows.
        message_id: SNS's ID of the message.
        subject: Subject of the e-mail.
        subscriptions: Every subscription of AlertTopic.
    """

    alert_id: str
    message_id: str
    subject: str
    subscriptions: list[Subscription]


def send_test_alert(
    status: Annotated[str, typer.Option(metavar="STATUS", help="Status of the test order.")] = "exception",
    shop: Annotated[
        str | None, typer.Option(metavar="SHOP", help="Connection ID or name of the test order's shop (default: none).")
    ] = None,
    value: Annotated[float, typer.Option(min=0, metavar="AMOUNT", help="Total of the test order in US dollars.")] = 1.0,
    stack_name: StackName = STACK_NAME,
    endpoint_url: Endpoint = None,
    *,
    json: Json = False,
) -> None:
    """Send a test alert.

    Sends one alert marked TEST to AlertTopic, which says that nothing is to be done, and lists the subscriptions of the
    topic. To test a filter policy, choose the status, the shop and the value; the status decides the severity.
    """
    with stack_at(stack_name, endpoint_url) as stack:
        status = known_status(stack, status)
        connection_id = resolve_shop(stack, shop) if shop else TEST_CONNECTION
        sent = publish_test_alert(stack, status=status, connection_id=connection_id, total_price=Decimal(str(value)))
        subscribe = stack.commands.own("subscribe EMAIL")
    if json:
        output.document(sent)
        return
    output.line(f"sent: {sent.subject} (alert {sent.alert_id})")
    rows = [(each.protocol, each.endpoint, each.state, each.filter_text) for each in sent.subscriptions]
    empty = f"AlertTopic has no subscriptions; subscribe an address with: {subscribe}"
    output.table(("channel", "address", "state", "filter policy"), rows, empty=empty, flexible=("filter policy",))
    if not all(each.is_pending for each in sent.subscriptions):
        output.line(f"Look for {MARK} in each channel. A filter policy may keep the alert out.")


def publish_test_alert(stack: Stack, *, status: str, connection_id: str, total_price: Decimal) -> SentTestAlert:
    """Publish one alert that is marked as a test.

    Args:
        stack: The stack.
        status: Status of the test order.
        connection_id: Connection ID of the test order.
        total_price: Total of the test order in US dollars.

    Raises:
        TestAlertError: SNS did not accept it.
    """
    topic_arn = stack.outputs.alert_topic_arn
    alert = make_test_alert(status=status, connection_id=connection_id, total_price=total_price)
    message = render(alert)
    subscriptions = subscriptions_of(stack.aws, topic_arn)
    [message_id] = AlertTopic(stack.aws.sns, topic_arn).publish([message])
    if message_id is None:
        raise TestAlertError(f"SNS did not accept the message: check that you have sns:Publish on {topic_arn}")
    return SentTestAlert(
        alert_id=alert.alert_id, message_id=message_id, subject=message.subject, subscriptions=subscriptions
    )


def make_test_alert(*, status: str, connection_id: str, total_price: Decimal) -> Alert:
    """Build an alert that is marked as a test, with an ID of its own."""
    status = normalize_status(status)
    kind, now = f"order.{status}", clock.now()
    line = AlertLineItem(
        sku=MARK,
        name="Test of the alert channels",
        quantity=Decimal(1),
        unit_price=total_price,
        on_hand=Decimal(1),
    )
    return Alert(
        alert_id=alert_id(MARK, uuid.uuid4().hex),
        kind=kind,
        severity=severity_of(kind),
        connection_id=connection_id,
        connection=AlertConnection(id=connection_id, name=f"{MARK} of orderwatch"),
        order=AlertOrder(
            id=MARK,
            number=MARK,
            status=status,
            raw_status="This is a test; the order does not exist",
            seen_at=now,
            updated_at=now,
            currency="USD",
            total_price=total_price,
            line_items=(line,),
        ),
        next_step=NEXT_STEP,
        data_as_of=now,
    )
