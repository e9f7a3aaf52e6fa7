"""The topics: batches within the limits of SNS, the ids of messages, and the list of subscriptions."""

from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any, cast

import pytest

from orderwatch.aws.sns import AlertTopic, Subscriptions
from orderwatch.publishing.subscription_monitor import Subscription
from orderwatch.rendering.sns import Attribute, SnsMessage
from tests.support.recording_sns import ARN, RecordingSns

MAX_BYTES = 256 * 1024


def message(size: int = 100, *, alert_id: str = "1") -> SnsMessage:
    """A message that counts as this many bytes."""
    made = SnsMessage("s", {"default": "", "sqs": f'{{"alert_id": "{alert_id}"}}'}, {"k": Attribute("String", "v")})
    return SnsMessage(made.subject, {**made.bodies, "default": "x" * (size - made.size)}, made.attributes)


def test_a_message_has_its_subject_bodies_and_attributes() -> None:
    sns, sent = RecordingSns(), message()
    sns.topic.publish([sent])
    assert sns.batches == [
        [
            {
                "Id": "0",
                "Subject": "s",
                "Message": sent.message,
                "MessageStructure": "json",
                "MessageAttributes": {"k": {"DataType": "String", "StringValue": "v"}},
            }
        ]
    ]


@pytest.mark.parametrize(
    ("sizes", "batches"),
    [
        ([100] * 5, [5]),
        ([100] * 12, [5, 5, 2]),
        ([MAX_BYTES - 100, 100], [2]),
        ([MAX_BYTES - 100, 101], [1, 1]),
        ([MAX_BYTES, MAX_BYTES - 100, 100], [1, 2]),
        ([MAX_BYTES, MAX_BYTES - 100, 101], [1, 1, 1]),
        ([MAX_BYTES + 1, 100], [1, 1]),
        ([], []),
    ],
    ids=str,
)
def test_a_request_has_at_most_five_messages_and_256_kb(sizes: list[int], batches: list[int]) -> None:
    sns = RecordingSns()
    assert len(sns.topic.publish([message(size) for size in sizes])) == len(sizes)
    assert [len(batch) for batch in sns.batches] == batches


class Backwards(RecordingSns):
    """Lists what it accepted in the opposite order."""

    def publish_batch(self, **request: Any) -> dict[str, Any]:
        answer = super().publish_batch(**request)
        return {**answer, "Successful": answer["Successful"][::-1]}


def test_ids_are_in_the_order_of_the_messages() -> None:
    sns = Backwards()
    sns.refuses = lambda body: body["alert_id"] == "2"
    topic = AlertTopic(sns.as_client(), ARN)
    accepted = topic.publish([message(alert_id=str(number)) for number in range(7)])
    assert accepted == ["message-1", "message-2", None, "message-3", "message-4", "message-5", "message-6"]


def test_a_failed_request_affects_only_its_own_messages() -> None:
    sns = RecordingSns()
    sns.breaks = [ConnectionError()]
    assert sns.topic.publish([message() for _ in range(7)]) == [None] * 5 + ["message-1", "message-2"]


class Listing:
    """SNS with one topic, which lists one subscription a page."""

    exceptions = SimpleNamespace(NotFoundException=KeyError)
    listed = (
        ("PendingConfirmation", "email", "me@example.com"),
        ("Deleted", "email", "me@example.com"),
        (f"{ARN}:1", "email", "me@example.com"),
        (f"{ARN}:2", "sqs", "arn:aws:sqs:us-east-1:123456789012:slack"),
    )

    def get_paginator(self, operation: str) -> Any:
        return {"list_subscriptions_by_topic": self}[operation]

    def paginate(self, **request: str) -> Iterator[dict[str, Any]]:
        names = ("SubscriptionArn", "Protocol", "Endpoint")
        for each in {ARN: self.listed}[request["TopicArn"]]:
            yield {"Subscriptions": [dict(zip(names, each, strict=True))]}


@pytest.mark.parametrize(
    ("arn", "found"),
    [
        (
            ARN,
            [
                Subscription("email", is_confirmed=False),
                Subscription("email", is_confirmed=True),
                Subscription("sqs", is_confirmed=True, queue="slack"),
            ],
        ),
        ("arn:of:a:deleted:topic", []),
    ],
)
def test_subscriptions_are_listed_without_deleted_ones(arn: str, found: list[Subscription]) -> None:
    assert Subscriptions(cast("Any", Listing())).of(arn) == found
