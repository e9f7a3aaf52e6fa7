"""The rate limiter of a webhook or a topic, shared by independent senders, on the tables of the template (rule 17)."""

import itertools
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import pytest
from botocore.exceptions import ClientError, ReadTimeoutError
from hypothesis import given
from hypothesis import strategies as st

from orderwatch import clock
from orderwatch.aws.rate_limit import (
    MAX_HOLD,
    MILLISECOND,
    RETRY_ROW_AFTER,
    SLACK_LIMIT,
    TOPIC_LIMIT,
    Limit,
    RateLimiter,
    Row,
)
from orderwatch.aws.sns import AlertTopic
from orderwatch.rendering.sns import SnsMessage
from tests.support.clocks import FakeClock, running_on
from tests.support.cloud import Tables
from tests.support.memory_dynamodb import MemoryDynamoDB
from tests.support.recording_sns import ARN, RecordingSns

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

TABLE = "pace"
UNAVAILABLE = ClientError({"Error": {"Code": "ProvisionedThroughputExceededException", "Message": "x"}}, "UpdateItem")


def table() -> MemoryDynamoDB:
    dynamodb = MemoryDynamoDB()
    dynamodb.create_table(TableName=TABLE, KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}])
    return dynamodb


class Sender(RateLimiter):
    """The rate limiter of a sender with its own clock."""

    def __init__(self, dynamodb: "DynamoDBClient", fake_clock: FakeClock, limit: Limit = SLACK_LIMIT) -> None:
        super().__init__(limit, Row(dynamodb, TABLE, "row"))
        self._clock = fake_clock

    def acquire(self, count: int = 1, *, within: float = 10_000.0) -> int:
        with running_on(self._clock):
            return super().acquire(count, within=within)

    def hold(self, seconds: float) -> None:
        with running_on(self._clock):
            super().hold(seconds)


def message() -> SnsMessage:
    return SnsMessage(subject="s", bodies={"default": "x", "sqs": '{"alert_id": "1"}'}, attributes={})


def most_in_a_second(times: Sequence[float]) -> int:
    return max(sum(1 for other in times if 0 <= other - start < 1 - MILLISECOND) for start in times)


# Slack: one message a second


def test_the_first_message_and_one_after_a_pause_need_no_wait() -> None:
    fake_clock = FakeClock()
    sender = Sender(table().as_client(), fake_clock)
    assert sender.acquire()
    fake_clock.seconds += 1
    assert sender.acquire()
    assert fake_clock.slept == []


@given(turns=st.lists(st.tuples(st.integers(0, 2), st.floats(0, 3)), min_size=2, max_size=40))
def test_messages_of_all_senders_are_a_second_apart(turns: list[tuple[int, float]]) -> None:
    dynamodb = table().as_client()
    clocks = [FakeClock() for _ in range(3)]
    senders = [Sender(dynamodb, fake_clock) for fake_clock in clocks]
    sent: list[float] = []
    at = clocks[0].seconds
    for who, later in turns:
        at += later / 4
        clocks[who].seconds = max(clocks[who].seconds, at)
        assert senders[who].acquire()
        sent.append(clocks[who].seconds)
    assert min(later - earlier for earlier, later in itertools.pairwise(sorted(sent))) >= 1 - MILLISECOND


def test_a_sender_that_loses_the_race_gets_the_next_second() -> None:
    dynamodb, early, late = table(), FakeClock(), FakeClock()
    first = Sender(dynamodb.as_client(), early)

    class Overtaken:
        """A client before whose first write another sender writes."""

        def __init__(self) -> None:
            self.between: Callable[[], Any] | None = first.acquire

        def __getattr__(self, name: str) -> Any:
            if name == "update_item" and self.between:
                between, self.between = self.between, None
                between()
            return getattr(dynamodb, name)

    overtaken: Any = Overtaken()
    assert Sender(overtaken, late).acquire()
    assert early.slept == []
    assert late.slept == [pytest.approx(1.0)]


def test_a_wait_that_is_too_long_reserves_nothing() -> None:
    fake_clock = FakeClock()
    sender = Sender(table().as_client(), fake_clock)
    assert sender.acquire()
    for _ in range(5):
        assert not sender.acquire(within=0.5)
    assert sender.acquire(within=1)
    assert fake_clock.slept == [pytest.approx(1.0)]


@pytest.mark.parametrize(("asked", "held"), [(20, 20), (10**9, MAX_HOLD)])
def test_a_hold_stops_all_senders_but_not_forever(asked: float, held: float) -> None:
    dynamodb, one, other = table().as_client(), FakeClock(), FakeClock()
    Sender(dynamodb, one).hold(asked)
    assert not Sender(dynamodb, other).acquire(within=held - 1)
    assert Sender(dynamodb, other).acquire(within=held)
    assert other.slept == [pytest.approx(held, abs=0.001)]


def test_a_shorter_hold_does_not_end_a_longer_one() -> None:
    sender = Sender(table().as_client(), FakeClock())
    sender.hold(60)
    sender.hold(5)
    assert not sender.acquire(within=59)


def test_a_hold_works_without_the_row_too() -> None:
    fake_clock = FakeClock()
    counting = Counting(table())
    counting.error = UNAVAILABLE
    sender = Sender(counting.as_client(), fake_clock)
    sender.hold(20)
    assert not sender.acquire(within=19)
    assert sender.acquire(within=20)


# Topics: five messages a second, in batches


@given(turns=st.lists(st.tuples(st.integers(0, 7), st.integers(1, 9), st.floats(0, 0.4)), min_size=2, max_size=40))
def test_all_senders_together_send_five_messages_a_second(turns: list[tuple[int, int, float]]) -> None:
    dynamodb = table().as_client()
    clocks = [FakeClock() for _ in range(8)]
    senders = [Sender(dynamodb, fake_clock, TOPIC_LIMIT) for fake_clock in clocks]
    sent: list[float] = []
    at = clocks[0].seconds
    for who, count, later in turns:
        at += later
        clocks[who].seconds = max(clocks[who].seconds, at)
        granted = senders[who].acquire(count)
        assert granted == min(count, 5)
        sent += [clocks[who].seconds] * granted
    assert most_in_a_second(sent) <= 5


def test_five_messages_of_five_senders_need_no_wait() -> None:
    dynamodb, fake_clock = table().as_client(), FakeClock()
    for _ in range(5):
        assert Sender(dynamodb, fake_clock, TOPIC_LIMIT).acquire(within=0)
    assert not Sender(dynamodb, fake_clock, TOPIC_LIMIT).acquire(within=0.5)


class Counting:
    """Counts the requests to the table, and can make them fail."""

    def __init__(self, dynamodb: MemoryDynamoDB) -> None:
        self.dynamodb = dynamodb
        self.requests = 0
        self.error: Exception | None = None

    def __getattr__(self, name: str) -> Any:
        return getattr(self.dynamodb, name)

    def update_item(self, **request: Any) -> Any:
        self.requests += 1
        if self.error:
            raise self.error
        return self.dynamodb.update_item(**request)

    def as_client(self) -> Any:
        return self


def topic_of(counting: Counting, fake_clock: FakeClock) -> tuple[AlertTopic, RecordingSns]:
    sns = RecordingSns()
    clock.use(fake_clock)
    return AlertTopic(sns.as_client(), ARN, rate_limiter=Sender(counting.as_client(), fake_clock, TOPIC_LIMIT)), sns


def test_a_storm_of_one_sender_costs_one_request_a_batch() -> None:
    counting, fake_clock = Counting(table()), FakeClock()
    topic, sns = topic_of(counting, fake_clock)
    topic.publish([message() for _ in range(50)])
    assert counting.requests == len(sns.batches) == 10
    assert sum(fake_clock.slept) == pytest.approx(9.0, abs=0.02)


@pytest.mark.parametrize("error", [UNAVAILABLE, ReadTimeoutError(endpoint_url="https://dynamodb.invalid")])
def test_without_the_row_a_sender_sends_two_messages_a_second(error: Exception) -> None:
    counting, fake_clock = Counting(table()), FakeClock()
    topic, sns = topic_of(counting, fake_clock)
    counting.error = error
    assert all(topic.publish([message() for _ in range(10)]))
    assert [len(batch) for batch in sns.batches] == [2, 2, 1, 2, 2, 1]
    assert counting.requests == 1
    assert sum(fake_clock.slept) == pytest.approx(5.0, abs=0.01)
    fake_clock.seconds += RETRY_ROW_AFTER
    counting.error = None
    topic.publish([message()])
    assert counting.requests == 2


def test_five_senders_without_the_row_stay_within_the_limit_of_sns() -> None:
    assert 5 * TOPIC_LIMIT.local_messages <= 10


@pytest.mark.parametrize("limit", [TOPIC_LIMIT, SLACK_LIMIT])
def test_a_row_with_wrong_times_stops_no_channel(limit: Limit) -> None:
    dynamodb, fake_clock, future = table(), FakeClock(), FakeClock()
    future.seconds += 1_000_000
    assert Sender(dynamodb.as_client(), future, limit).acquire(5)
    sender = Sender(dynamodb.as_client(), fake_clock, limit)
    assert sender.acquire() == 1
    assert fake_clock.slept == []


def test_a_clock_that_was_set_back_stops_no_process() -> None:
    fake_clock = FakeClock()
    clock.use(fake_clock)
    limiter = RateLimiter(TOPIC_LIMIT)
    limiter.acquire(5)
    fake_clock.seconds -= 3600
    assert limiter.acquire(5) == 5
    assert fake_clock.slept == []


def test_a_row_that_is_too_busy_is_left_for_the_local_limit() -> None:
    dynamodb, fake_clock = table(), FakeClock()
    rival = Sender(dynamodb.as_client(), FakeClock())

    class Losing(Counting):
        def update_item(self, **request: Any) -> Any:
            assert rival.acquire()
            return super().update_item(**request)

    losing = Losing(dynamodb)
    sender = Sender(losing.as_client(), fake_clock)
    assert sender.acquire()
    requests = losing.requests
    assert sender.acquire()
    assert losing.requests == requests


def test_a_deleted_row_is_written_again() -> None:
    dynamodb, fake_clock = table(), FakeClock()
    sender = Sender(dynamodb.as_client(), fake_clock)
    assert sender.acquire(within=0)
    dynamodb.create_table(TableName=TABLE, KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}])
    assert sender.acquire(within=1)


def test_two_senders_share_the_table_of_the_template(tables: Tables) -> None:
    fake_clock = FakeClock()
    clock.use(fake_clock)
    limiters = [RateLimiter(TOPIC_LIMIT, Row(tables.client, tables.names["PaceTable"], ARN)) for _ in range(2)]
    assert [limiter.acquire(5) for limiter in (*limiters, *limiters)] == [5] * 4
    assert sum(fake_clock.slept) == pytest.approx(3.0)
