"""The queues: one message a connection, in requests of ten, and what SQS refuses."""

import json
from collections.abc import Collection
from types import SimpleNamespace
from typing import Any, cast

import pytest
from botocore.exceptions import ClientError

import functions.dispatch_polls.app as dispatch_polls
from orderwatch.aws.connection_table import Registry
from orderwatch.aws.poll_queue import PollQueue
from orderwatch.aws.slack_queue import SlackQueue
from orderwatch.errors import PollsNotRequestedError
from orderwatch.rendering import sns
from tests.support.alerts import alert_of
from tests.support.lambda_context import lambda_context


class MemorySqs:
    """SQS that takes messages, but none of the refused connections, and no request with a failing connection."""

    def __init__(self, *, refused: Collection[str] = (), failing: Collection[str] = ()) -> None:
        self.refused, self.failing = refused, failing
        self.taken: list[dict[str, Any]] = []
        self.batches: list[int] = []

    def send_message_batch(self, **request: Any) -> dict[str, Any]:
        entries = request["Entries"]
        self.batches.append(len(entries))
        if any(entry["MessageGroupId"] in self.failing for entry in entries):
            raise ClientError({"Error": {"Code": "InternalFailure", "Message": "down"}}, "SendMessageBatch")
        failed = [entry for entry in entries if entry["MessageGroupId"] in self.refused]
        taken = [entry for entry in entries if entry not in failed]
        self.taken += taken
        return {
            "Successful": [{"Id": each["Id"], "MessageId": f"poll of {each['MessageGroupId']}"} for each in taken],
            "Failed": [{"Id": each["Id"], "Code": "InternalError", "SenderFault": False} for each in failed],
        }

    def send_message(self, **message: str) -> None:
        self.taken.append(message)

    @property
    def queue(self) -> PollQueue:
        """Our adapter on it."""
        return PollQueue(cast("Any", self), "url")

    def connections(self) -> list[str]:
        """The connections of the messages, in order."""
        return [json.loads(entry["MessageBody"])["connection_id"] for entry in self.taken]


def shops(count: int) -> list[str]:
    return [f"conn_{number:02}" for number in range(count)]


@pytest.mark.parametrize(("count", "batches"), [(0, []), (1, [1]), (10, [10]), (11, [10, 1]), (25, [10, 10, 5])])
def test_ten_polls_need_one_request(count: int, batches: list[int]) -> None:
    sqs = MemorySqs()
    requested = sqs.queue.request_polls([*shops(count), *shops(count)])
    assert sqs.batches == batches
    assert requested == {name: f"poll of {name}" for name in shops(count)}
    assert sqs.connections() == [entry["MessageGroupId"] for entry in sqs.taken] == shops(count)
    assert len({entry["MessageDeduplicationId"] for entry in sqs.taken}) == count


@pytest.mark.parametrize(
    ("sqs", "missed"),
    [
        (MemorySqs(refused={"conn_03", "conn_20"}), ["conn_03", "conn_20"]),
        (MemorySqs(failing={"conn_05"}), shops(10)),
    ],
    ids=["single messages", "a whole request"],
)
def test_a_refused_message_does_not_affect_other_connections(sqs: MemorySqs, missed: list[str]) -> None:
    requested = sqs.queue.request_polls(shops(25))
    assert list(requested) == sqs.connections() == [name for name in shops(25) if name not in missed]
    assert requested["conn_10"] == "poll of conn_10"


def test_a_restart_is_part_of_the_message() -> None:
    sqs = MemorySqs()
    sqs.queue.request_polls(["conn_a"])
    sqs.queue.request_polls(["conn_a"], restart=True)
    bodies = [json.loads(entry["MessageBody"]) for entry in sqs.taken]
    assert bodies == [{"connection_id": "conn_a"}, {"connection_id": "conn_a", "restart": True}]


def test_a_single_refused_poll_request_is_an_error() -> None:
    queue = MemorySqs(refused={"conn_a"}).queue
    assert queue.request_poll("conn_b") == "poll of conn_b"
    with pytest.raises(PollsNotRequestedError, match="conn_a"):
        queue.request_poll("conn_a")


def test_a_scheduled_run_fails_with_the_refused_connections(monkeypatch: pytest.MonkeyPatch) -> None:
    sqs = MemorySqs(refused={"conn_01"})
    connections, discovery = SimpleNamespace(registry=Registry), SimpleNamespace(find=lambda *_: None)
    adapters = SimpleNamespace(queue=sqs.queue, connections=connections, discovery=discovery)
    monkeypatch.setattr(dispatch_polls, "_adapters", lambda settings: adapters)
    monkeypatch.setattr(dispatch_polls, "read_settings", lambda model: None)
    with pytest.raises(PollsNotRequestedError) as caught:
        dispatch_polls.handler({"connection_ids": shops(3)}, lambda_context())
    assert caught.value.connection_ids == ["conn_01"]
    assert sqs.connections() == ["conn_00", "conn_02"]


def test_the_slack_queue_gets_what_a_topic_delivers() -> None:
    sqs, alert = MemorySqs(), alert_of("1")
    SlackQueue(cast("Any", sqs), "url").send(alert)
    assert sqs.taken == [{"QueueUrl": "url", "MessageBody": sns.json_body(alert)}]
