"""`orderwatch redrive`: sends overdue alerts, or moves dead letters back into their queue.

Dead letters are moved one by one: SQS's own move task refuses messages that SNS put into a dead-letter queue, and no
emulator has it. If a move stops between send and delete, the copy is dropped by the consumer.
"""

import uuid
from typing import TYPE_CHECKING, Annotated, Any

import typer
from pydantic import BaseModel

from orderwatch import clock
from orderwatch.aws.alert_table import AlertTable
from orderwatch.errors import OrderwatchError
from orderwatch.rendering.formatting import plural
from orderwatch_cli import output
from orderwatch_cli.arguments import Endpoint, Json, StackName, stack_at
from orderwatch_cli.stack import DEAD_LETTER_SOURCES, STACK_NAME, Function, Stack

if TYPE_CHECKING:
    from mypy_boto3_sqs.type_defs import MessageTypeDef

_ALTERNATIVES = {
    "StreamFailureQueue": ("it only names records of the stream; send what is still pending with", "redrive"),
    "ScheduleDeadLetterQueue": ("an old scheduled event is useless; do its work with", "poll"),
}
SLACK_QUEUES = frozenset({"SlackQueue", "SlackDeadLetterQueue"})
"""Queues that a stack has only if it posts to Slack."""
VISIBILITY_TIMEOUT = 60
"""Seconds for which a message is hidden while it is moved."""


class DeadLetterError(OrderwatchError):
    """These dead letters cannot be moved; the message says why and what to do instead."""


class Redriven(BaseModel):
    """The result of redrive_alerts.

    Attributes:
        sent: Alerts that were sent.
        unsent: Alerts that could not be sent.
        still_pending: Alerts that are pending now, including those younger than ten minutes.
        held: Alerts that wait for the end of their shop's quiet hours.
    """

    sent: int
    unsent: int
    still_pending: int
    held: int


class Moved(BaseModel):
    """Dead letters that were moved.

    Attributes:
        source: The template's name of the dead-letter queue.
        target: The template's name of the queue that received them.
        messages: Number of messages.
    """

    source: str
    target: str
    messages: int


def redrive(
    dead_letters: Annotated[
        str | None,
        typer.Option("--dead-letters", metavar="QUEUE", help="Dead-letter queue whose messages are moved back."),
    ] = None,
    stack_name: StackName = STACK_NAME,
    endpoint_url: Endpoint = None,
    *,
    json: Json = False,
) -> None:
    """Send overdue alerts.

    Sends the alerts that have been pending for ten minutes, and those whose quiet hours have ended. With --dead-letters
    it moves the messages of SlackDeadLetterQueue or PollDeadLetterQueue back into their queue instead.
    """
    with stack_at(stack_name, endpoint_url) as stack:
        result = redrive_dead_letters(stack, dead_letters) if dead_letters else redrive_alerts(stack)
    if json:
        output.document(result)
    elif isinstance(result, Moved):
        output.line(f"moved {plural(result.messages, 'message')} from {result.source} to {result.target}")
    else:
        output.line(
            f"sent {plural(result.sent, 'alert')}; {result.unsent} failed; {result.still_pending} still pending"
        )
        if result.still_pending:
            output.line("The stream sends alerts that are younger than ten minutes.")
        if result.held:
            output.line(f"{plural(result.held, 'alert')} held until the end of their shop's quiet hours.")


def redrive_alerts(stack: Stack) -> Redriven:
    """Send every alert that has been pending for ten minutes or whose quiet hours have ended.

    The stream sends younger ones.

    Raises:
        InvocationError: redrive_alerts failed.
    """
    answer = stack.invoke(Function.REDRIVE_ALERTS, {})
    table = AlertTable(stack.aws.dynamodb, stack.outputs.alert_table_name)
    now = clock.now()
    held = [end > now for end in table.held().values()]
    pending = len(table.pending_since_before(now)) + held.count(False)
    return Redriven(**answer, still_pending=pending, held=held.count(True))


def redrive_dead_letters(stack: Stack, name: str) -> Moved:
    """Move the messages that are now in a dead-letter queue back into their queue.

    Args:
        stack: The stack.
        name: The template's name of the dead-letter queue.

    Raises:
        DeadLetterError: The queue does not exist, or its messages cannot be moved back.
    """
    source, target = _queues(stack, name)
    answer = stack.aws.sqs.get_queue_attributes(QueueUrl=source, AttributeNames=["ApproximateNumberOfMessages"])
    count, moved = int(answer["Attributes"]["ApproximateNumberOfMessages"]), 0
    # Bounded by the count at the start: messages that fail again in the meantime stay.
    while moved < count and (messages := _receive(stack, source)):
        for message in messages:
            _move(stack, message, source=source, target=target)
        moved += len(messages)
    return Moved(source=name, target=DEAD_LETTER_SOURCES[name], messages=moved)


def _queues(stack: Stack, name: str) -> tuple[str, str]:
    if name in _ALTERNATIVES:
        reason, command = _ALTERNATIVES[name]
        raise DeadLetterError(f"messages of {name} cannot be moved back: {reason}: {stack.commands.own(command)}")
    if name in SLACK_QUEUES and name not in stack.resources:
        raise DeadLetterError(f"Slack is off: this stack has no {name}; deploy it with SlackEnabled=true")
    existing = sorted(DEAD_LETTER_SOURCES.keys() & stack.resources.keys())
    if name not in existing:
        raise DeadLetterError(f"this stack has no {name}: use one of {', '.join(existing)}")
    return stack.resources[name].id, stack.resources[DEAD_LETTER_SOURCES[name]].id


def _receive(stack: Stack, url: str) -> "list[MessageTypeDef]":
    answer = stack.aws.sqs.receive_message(
        QueueUrl=url,
        MaxNumberOfMessages=10,
        VisibilityTimeout=VISIBILITY_TIMEOUT,
        WaitTimeSeconds=1,
        MessageSystemAttributeNames=["MessageGroupId"],
        MessageAttributeNames=["All"],
    )
    return answer.get("Messages", [])


def _move(stack: Stack, message: "MessageTypeDef", *, source: str, target: str) -> None:
    options: dict[str, Any] = {}
    if group := message.get("Attributes", {}).get("MessageGroupId"):
        # A new deduplication ID: with the old one, the queue drops a message that it got within five minutes.
        options = {"MessageGroupId": group, "MessageDeduplicationId": uuid.uuid4().hex}
    attributes: Any = message.get("MessageAttributes", {})
    stack.aws.sqs.send_message(QueueUrl=target, MessageBody=message["Body"], MessageAttributes=attributes, **options)
    stack.aws.sqs.delete_message(QueueUrl=source, ReceiptHandle=message["ReceiptHandle"])
