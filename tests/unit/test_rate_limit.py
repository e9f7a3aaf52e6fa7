"""The rate limiter of a webhook or a topic, shared by independent senders (rule 17)."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import pytest
from botocore.exceptions import ClientError, ReadTimeoutError
from hypothesis import given
from hypothesis import strategies as st

from orderwatch import clock
from orderwatch.aws.dynamodb import from_item
from orderwatch.aws.rate_limit import MILLISECOND, SLACK_LIMIT, TOPIC_LIMIT, Limit, RateLimiter, Row
from orderwatch.aws.sns import AlertTopic
from orderwatch.rendering.sns import SnsMessage
from tests.support.clocks import FakeClock, running_on
from tests.support.memory_dynamodb import MemoryDynamoDB
from tests.support.recording_sns import ARN, RecordingSns

TABLE = "pace"
UNAVAILABLE = ClientError({"Error": {"Code": "ProvisionedThroughputExceededException", "Message": "x"}}, "UpdateItem")
MESSAGE = SnsMessage(subject="s", bodies={"default": "x", "sqs": '{"alert_id": "1"}'}, attributes={})
MINUTE = 60.0


class Pace(MemoryDynamoDB):
    """The table of the rows.

    Attributes:
        requests: Number of requests.
        error: What requests end with; None: they succeed.
        before_write: What happens just before each write, for example the write of another sender.
    """

    def __init__(self) -> None:
        super().__init__()
        self.requests = 0
        self.error: Exception | None = None
        self.before_write: Callable[[], object] = lambda: None
        self.clear()

    def clear(self) -> None:
        self.create_table(TableName=TABLE, KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}])

    def update_item(self, **request: Any) -> dict[str, Any]:
        self.requests += 1
        self.before_write()
        if self.error:
            raise self.error
        return super().update_item(**request)

    def overtake(self) -> None:
        """Write the row as another sender."""
        super().update_item(
            TableName=TABLE,
            Key={"id": {"S": "row"}},
            UpdateExpression="ADD revision :one",
            ConditionExpression="attribute_not_exists(nothing)",
            ExpressionAttributeValues={":one": {"N": "1"}},
        )

    def row(self) -> dict[str, Any]:
        [item] = self.get_paginator("scan").paginate(TableName=TABLE).__next__()["Items"]
        return from_item(item)


@dataclass
class Sender:
    """A sender with its own clock.

    Attributes:
        pace: The table of the row that all senders share.
    """

    pace: Pace
    limit: Limit = SLACK_LIMIT
    clock: FakeClock = field(default_factory=FakeClock)

    def __post_init__(self) -> None:
        self.limiter = RateLimiter(self.limit, Row(self.pace.as_client(), TABLE, "row"))

    def acquire(self, count: int = 1, *, within: float = 10_000.0, after: float = 0.0) -> int:
        """Ask some seconds after the last call."""
        self.clock.seconds += after
        with running_on(self.clock):
            return self.limiter.acquire(count, within=within)

    def hold(self, seconds: float) -> None:
        with running_on(self.clock):
            self.limiter.hold(seconds)


@pytest.fixture
def pace() -> Pace:
    return Pace()


@pytest.fixture
def sender(pace: Pace) -> Sender:
    """A sender to Slack."""
    return Sender(pace)


# Slack: one message a second


def test_a_message_waits_for_the_rest_of_a_second(sender: Sender) -> None:
    assert [sender.acquire(after=seconds) for seconds in (0, 1, 0, 0.75, 2)] == [1] * 5
    assert sender.clock.slept == [1.0, 0.25]


def test_a_sender_that_loses_the_race_gets_the_next_second(pace: Pace, sender: Sender) -> None:
    rivals = iter([Sender(pace)])
    pace.before_write = lambda: [rival.acquire() for rival in rivals]
    assert sender.acquire()
    assert sender.clock.slept == [1.0]
    assert pace.requests == 3, "one of the rival, and two of the sender"
    assert sender.acquire()
    assert pace.requests == 4, "the sender still uses the row"


def test_a_wait_that_is_too_long_reserves_nothing(pace: Pace, sender: Sender) -> None:
    assert sender.acquire()
    assert [sender.acquire(within=0.999) for _ in range(5)] == [0] * 5
    assert pace.requests == 1
    assert sender.acquire(within=1) == 1
    assert sender.clock.slept == [1.0]


# A hold, for Slack's `Retry-After`


@pytest.mark.parametrize("error", [None, UNAVAILABLE], ids=["with the row", "without the row"])
@pytest.mark.parametrize(("asked", "held"), [(20, 20.0), (299, 299.0), (301, 300.0), (10**9, 300.0)])
def test_a_hold_stops_all_senders_for_at_most_five_minutes(
    pace: Pace, sender: Sender, error: Exception | None, asked: float, held: float
) -> None:
    pace.error = error
    sender.hold(asked)
    other = sender if error else Sender(pace)
    assert not other.acquire(within=held - 0.001)
    assert other.acquire(within=held)
    assert other.clock.slept == [held]


def test_a_shorter_hold_does_not_end_a_longer_one(pace: Pace, sender: Sender) -> None:
    for seconds in (60, 5, 60):
        sender.hold(seconds)
    assert pace.requests == 1
    assert not sender.acquire(within=59)


def test_a_hold_of_a_topic_stops_all_five_messages(pace: Pace) -> None:
    sender = Sender(pace, TOPIC_LIMIT)
    sender.hold(20)
    assert sender.acquire(5) == 5
    assert sender.clock.slept == [20.0]


# Topics: five messages a second, in batches


def test_a_message_waits_for_the_oldest_of_the_last_five(pace: Pace) -> None:
    sender = Sender(pace, TOPIC_LIMIT)
    for after in (0, 0.125, 0.125, 0.125, 0.125):
        assert sender.acquire(after=after, within=0) == 1
    assert sender.acquire(2) == 2
    assert sender.clock.slept == [0.625]
    assert len(pace.row()["sent_times"]) == 5


TURNS = st.lists(st.tuples(st.integers(0, 7), st.integers(1, 9), st.floats(0, 0.5)), min_size=2, max_size=40)
"""Which sender sends how many messages, how many seconds after the turn before."""


def sent_by_all(limit: Limit, turns: list[tuple[int, int, float]]) -> list[float]:
    """When each message of eight senders is sent, if they share a row."""
    pace = Pace()
    senders = [Sender(pace, limit) for _ in range(8)]
    sent: list[float] = []
    at = senders[0].clock.seconds
    for who, count, later in turns:
        at += later
        senders[who].clock.seconds = max(senders[who].clock.seconds, at)
        granted = senders[who].acquire(count)
        assert granted == min(count, limit.messages)
        sent += [senders[who].clock.seconds] * granted
    return sent


def most_within(seconds: float, sent: list[float]) -> int:
    return max(sum(1 for other in sent if 0 <= other - start < seconds - MILLISECOND) for start in sent)


@pytest.mark.parametrize("limit", [SLACK_LIMIT, TOPIC_LIMIT], ids=["Slack", "topic"])
@given(turns=TURNS)
def test_all_senders_together_stay_within_the_limit(limit: Limit, turns: list[tuple[int, int, float]]) -> None:
    assert most_within(1, sent_by_all(limit, turns)) <= limit.messages


@given(turns=TURNS)
def test_no_mailbox_gets_more_than_ten_messages_a_second(turns: list[tuple[int, int, float]]) -> None:
    # SNS delivers after 0.1 to 1 s: what arrives in one second was sent within 1.9.
    assert most_within(1.9, sent_by_all(TOPIC_LIMIT, turns)) <= 10


@pytest.fixture
def topic(pace: Pace) -> tuple[AlertTopic, RecordingSns, FakeClock]:
    sender, sns = Sender(pace, TOPIC_LIMIT), RecordingSns()
    clock.use(sender.clock)
    return AlertTopic(sns.as_client(), ARN, rate_limiter=sender.limiter), sns, sender.clock


def test_a_storm_of_one_sender_costs_one_request_a_batch(
    pace: Pace, topic: tuple[AlertTopic, RecordingSns, FakeClock]
) -> None:
    alerts, sns, fake_clock = topic
    alerts.publish([MESSAGE] * 50)
    assert pace.requests == len(sns.batches) == 10
    assert fake_clock.slept == [1.0] * 9


# Without the row


@pytest.mark.parametrize("error", [UNAVAILABLE, ReadTimeoutError(endpoint_url="https://dynamodb.invalid")])
def test_without_the_row_a_sender_sends_two_messages_a_second(
    pace: Pace, topic: tuple[AlertTopic, RecordingSns, FakeClock], error: Exception
) -> None:
    alerts, sns, fake_clock = topic
    pace.error = error
    assert all(alerts.publish([MESSAGE] * 10))
    assert [len(batch) for batch in sns.batches] == [2, 2, 1, 2, 2, 1]
    assert fake_clock.slept == [1.0] * 5
    assert pace.requests == 1
    for seconds, requests in ((MINUTE - 6, 1), (1, 2)):
        fake_clock.seconds += seconds
        alerts.publish([MESSAGE])
        assert pace.requests == requests, "the row is tried again after a minute"


def test_a_limiter_without_a_row_limits_its_own_process() -> None:
    fake_clock, limiter = FakeClock(), RateLimiter(TOPIC_LIMIT)
    with running_on(fake_clock):
        assert [limiter.acquire(count) for count in (5, 9, 1)] == [5, 5, 1]
        assert fake_clock.slept == [1.0, 1.0]
        fake_clock.seconds -= 3600
        assert limiter.acquire(5) == 5, "a clock that was set back stops no process"
    assert fake_clock.slept == [1.0, 1.0]


def test_five_senders_without_the_row_stay_within_the_limit_of_sns() -> None:
    assert 5 * TOPIC_LIMIT.local_messages <= 10


@pytest.mark.parametrize(
    ("limit", "ahead", "slept"),
    [
        (TOPIC_LIMIT, 59, [60.0]),
        (TOPIC_LIMIT, 60, []),
        (SLACK_LIMIT, 599, [600.0]),
        (SLACK_LIMIT, 600, []),
    ],
)
def test_a_row_with_wrong_times_stops_no_channel(pace: Pace, limit: Limit, ahead: int, slept: list[float]) -> None:
    future = Sender(pace, limit)
    assert future.acquire(5, after=ahead)
    sender = Sender(pace, limit)
    assert sender.acquire() == 1
    assert sender.clock.slept == slept


def test_wrong_times_are_dropped_and_the_others_kept(pace: Pace) -> None:
    sender = Sender(pace, TOPIC_LIMIT)
    assert sender.acquire(2) == 2
    assert Sender(pace, TOPIC_LIMIT).acquire(3, after=1000) == 3
    assert sender.acquire(5) == 2, "the local limit"
    assert sender.clock.slept == [1.0]


@pytest.mark.parametrize("ask", [lambda sender: sender.acquire(), lambda sender: sender.hold(20)], ids=["send", "hold"])
def test_a_row_that_loses_ten_races_is_left_for_a_minute(
    pace: Pace, sender: Sender, ask: Callable[[Sender], object]
) -> None:
    pace.before_write = pace.overtake
    ask(sender)
    assert pace.requests == 10
    ask(sender)
    assert pace.requests == 10


def test_a_deleted_row_is_written_again(pace: Pace, sender: Sender) -> None:
    assert sender.acquire()
    pace.clear()
    assert sender.acquire(within=1)
    assert pace.row()["revision"] == 1
