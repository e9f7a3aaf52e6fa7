"""`orderwatch redrive --dead-letters`: back into the queue that they fell out of.

Moved one by one instead of with SQS's own move task: that one cannot take what SNS put there (it has no source queue),
and no emulator has it. A move that is interrupted between send and delete leaves a repeat, which every consumer drops.
"""

import uuid
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel

from orderwatch.errors import OrderwatchError
from orderwatch_cli.stack import Stack

if TYPE_CHECKING:
    from mypy_boto3_sqs.type_defs import MessageTypeDef

SOURCES = {"PollDeadLetterQueue": "PollQueue", "SlackDeadLetterQueue": "SlackQueue"}
_NOTES = {
    "StreamFailureQueue": ("it only names records of the stream; this sends what is still pending", "redrive"),
    "ScheduleDeadLetterQueue": ("an old tick is worth nothing; this does its work", "poll"),
}
HELD_FOR = 60
"""Seconds for which a message that is being moved is hidden."""


class DeadLetterError(OrderwatchError):
    """These dead letters cannot be moved: says why and what to do instead."""


class Moved(BaseModel):
    """What was moved.

    Attributes:
        source: The dead-letter queue, as the template calls it.
        target: The queue that got them.
        messages: How many.
    """

    source: str
    target: str
    messages: int


def redrive_dead_letters(stack: Stack, name: str) -> Moved:
    """Move what is in a dead-letter queue now back to where it came from.

    Args:
        stack: Where.
        name: The dead-letter queue, as the template calls it.

    Raises:
        DeadLetterError: There is no such queue, or what it holds has no way back.
    """
    source, target = _queues(stack, name)
    waiting = _count(stack, source)
    moved = 0
    # Bounded by what there was: what fails again meanwhile is left where it is.
    while moved < waiting and (messages := _receive(stack, source)):
        for message in messages:
            _move(stack, message, source=source, target=target)
        moved += len(messages)
    return Moved(source=name, target=SOURCES[name], messages=moved)


def _queues(stack: Stack, name: str) -> tuple[str, str]:
    if name in _NOTES:
        why, words = _NOTES[name]
        raise DeadLetterError(f"{name} has no way back: {why}: {stack.commands.own(words)}")
    if name not in SOURCES or name not in stack.resources:
        raise DeadLetterError(f"this stack has no {name}: {' and '.join(sorted(SOURCES))} can be redriven")
    return stack.resources[name].id, stack.resources[SOURCES[name]].id


def _count(stack: Stack, url: str) -> int:
    answer = stack.aws.sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["ApproximateNumberOfMessages"])
    return int(answer["Attributes"]["ApproximateNumberOfMessages"])


def _receive(stack: Stack, url: str) -> "list[MessageTypeDef]":
    answer = stack.aws.sqs.receive_message(
        QueueUrl=url,
        MaxNumberOfMessages=10,
        VisibilityTimeout=HELD_FOR,
        WaitTimeSeconds=1,
        MessageSystemAttributeNames=["MessageGroupId"],
        MessageAttributeNames=["All"],
    )
    return answer.get("Messages", [])


def _move(stack: Stack, message: "MessageTypeDef", *, source: str, target: str) -> None:
    options: dict[str, Any] = {}
    if group := message.get("Attributes", {}).get("MessageGroupId"):
        # A repeat of it within five minutes is meant: an id of its own.
        options = {"MessageGroupId": group, "MessageDeduplicationId": uuid.uuid4().hex}
    attributes: Any = message.get("MessageAttributes", {})
    stack.aws.sqs.send_message(QueueUrl=target, MessageBody=message["Body"], MessageAttributes=attributes, **options)
    stack.aws.sqs.delete_message(QueueUrl=source, ReceiptHandle=message["ReceiptHandle"])
