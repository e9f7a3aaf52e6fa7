"""The pace of a webhook or a topic, shared by senders that know nothing of each other, on tables of the template."""

import itertools
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import pytest
from botocore.exceptions import ClientError, ReadTimeoutError
from hypothesis import given
from hypothesis import strategies as st

from orderwatch import clock
from orderwatch.aws.rate_limit import (
    LONGEST_HOLD,
    MILLISECOND,
    SLACK_LIMIT,
    TOPIC_LIMIT,
    Limit,
    RateLimitUnknownError,
    SharedRateLimiter,
)
from orderwatch.aws.sns import LEFT_ALONE, AlertTopic
from orderwatch.rendering.sns import SnsMessage
from tests.support.clocks import FakeClock, running_on
from tests.support.cloud import Tables
from tests.support.memory_dynamodb import MemoryDynamoDB
from tests.support.recording_sns import ARN, RecordingSns

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

TABLE = "pace"


def table() -> MemoryDynamoDB:
    dynamodb = MemoryDynamoDB()
    dynamodb.create_table(TableName=TABLE, KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}])
    return dynamodb


class PaceOn(SharedRateLimiter):
    """The pace of a sender with a clock of its own."""

    def __init__(self, dynamodb: "DynamoDBClient", needs_attention: FakeClock, limit: Limit) -> None:
        super().__init__(dynamodb, TABLE, "row", limit)
        self._waits = needs_attention

    def wait(self, within: float, count: int = 1) -> bool:
        with running_on(self._waits):
            return super().wait(within, count)

    def hold(self, seconds: float) -> None:
        with running_on(self._waits):
            super().hold(seconds)


def pace_of(dynamodb: "DynamoDBClient", needs_attention: FakeClock, limit: Limit = SLACK_LIMIT) -> SharedRateLimiter:
    return PaceOn(dynamodb, needs_attention, limit)


def message() -> SnsMessage:
    return SnsMessage(subject="s", bodies={"default": "x", "sqs": '{"alert_id": "1"}'}, attributes={})


def most_in_a_second(moments: Sequence[float]) -> int:
    return max(sum(1 for other in moments if 0 <= other - start < 1 - MILLISECOND) for start in moments)


def least_distance(moments: list[float]) -> float:
    in_order = sorted(moments)
    return min(later - earlier for earlier, later in itertools.pairwise(in_order))


# Slack: one a second


def test_the_first_message_and_one_after_a_pause_go_at_once() -> None:
    needs_attention = FakeClock()
    rate_limiter = pace_of(table().as_client(), needs_attention)
    assert rate_limiter.wait(10)
    needs_attention.seconds += 1
    assert rate_limiter.wait(10)
    assert needs_attention.slept == []


@given(turns=st.lists(st.tuples(st.integers(0, 2), st.floats(0, 3)), min_size=2, max_size=40))
def test_functions_that_share_a_pace_are_never_less_than_a_second_apart(turns: list[tuple[int, float]]) -> None:
    dynamodb = table().as_client()
    clocks = [FakeClock() for _ in range(3)]
    paces = [pace_of(dynamodb, needs_attention) for needs_attention in clocks]
    sent: list[float] = []
    at = clocks[0].seconds
    for who, later in turns:
        at += later / 4
        clocks[who].seconds = max(clocks[who].seconds, at)
        assert paces[who].wait(10_000)
        sent.append(clocks[who].seconds)
    assert least_distance(sent) >= 1 - MILLISECOND


def test_who_loses_the_race_for_a_moment_gets_the_next() -> None:
    dynamodb, early, late = table(), FakeClock(), FakeClock()
    first = pace_of(dynamodb.as_client(), early)

    class Overtaken:
        """A client in whose reads and writes another function gets in between, once."""

        def __init__(self) -> None:
            self.between: Callable[[], Any] | None = lambda: first.wait(10)

        def __getattr__(self, name: str) -> Any:
            if name == "update_item" and self.between:
                between, self.between = self.between, None
                between()
            return getattr(dynamodb, name)

    assert pace_of(Overtaken(), late).wait(10)  # type: ignore[arg-type]
    assert early.slept == []
    assert late.slept == [pytest.approx(1.0)]


def test_a_moment_that_is_too_far_away_is_left_to_others() -> None:
    dynamodb, needs_attention = table().as_client(), FakeClock()
    rate_limiter = pace_of(dynamodb, needs_attention)
    assert rate_limiter.wait(10)
    for _ in range(5):
        assert not rate_limiter.wait(0.5)
    assert rate_limiter.wait(1)
    assert needs_attention.slept == [pytest.approx(1.0)]


@pytest.mark.parametrize(("asked", "held"), [(20, 20), (10**9, LONGEST_HOLD)])
def test_nobody_posts_while_slack_wants_to_be_left_alone_but_not_for_ever(asked: float, held: float) -> None:
    dynamodb, one, other = table().as_client(), FakeClock(), FakeClock()
    pace_of(dynamodb, one).hold(asked)
    assert not pace_of(dynamodb, other).wait(held - 1)
    assert pace_of(dynamodb, other).wait(held)
    assert other.slept == [pytest.approx(held, abs=0.001)]


def test_a_shorter_hold_does_not_end_a_longer_one() -> None:
    needs_attention = FakeClock()
    rate_limiter = pace_of(table().as_client(), needs_attention)
    rate_limiter.hold(60)
    rate_limiter.hold(5)
    assert not rate_limiter.wait(59)


# The topic: ten a second, in batches


@given(turns=st.lists(st.tuples(st.integers(0, 7), st.integers(1, 10), st.floats(0, 0.4)), min_size=2, max_size=40))
def test_no_second_holds_more_than_ten_messages_however_many_senders_there_are(
    turns: list[tuple[int, int, float]],
) -> None:
    dynamodb = table().as_client()
    clocks = [FakeClock() for _ in range(8)]
    paces = [pace_of(dynamodb, needs_attention, TOPIC_LIMIT) for needs_attention in clocks]
    sent: list[float] = []
    at = clocks[0].seconds
    for who, count, later in turns:
        at += later
        clocks[who].seconds = max(clocks[who].seconds, at)
        assert paces[who].wait(10_000, count)
        sent += [clocks[who].seconds] * count
    assert most_in_a_second(sent) <= 10


def test_ten_messages_of_ten_senders_go_at_once() -> None:
    dynamodb, needs_attention = table().as_client(), FakeClock()
    for _ in range(10):
        assert pace_of(dynamodb, needs_attention, TOPIC_LIMIT).wait(0)
    assert not pace_of(dynamodb, needs_attention, TOPIC_LIMIT).wait(0.5)


class Counting:
    """Requests to the table, and what is wrong with it."""

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


def topic_of(counting: Counting, needs_attention: FakeClock) -> tuple[AlertTopic, RecordingSns]:
    sns = RecordingSns()
    clock.use(needs_attention)
    rate_limiter = pace_of(counting, needs_attention, TOPIC_LIMIT)  # type: ignore[arg-type]
    return AlertTopic(sns.as_client(), ARN, rate_limiter=rate_limiter), sns


def test_a_storm_of_one_sender_costs_one_request_a_batch() -> None:
    counting, needs_attention = Counting(table()), FakeClock()
    topic, sns = topic_of(counting, needs_attention)
    topic.publish([message() for _ in range(100)])
    assert counting.requests == len(sns.batches) == 10
    assert sum(needs_attention.slept) == pytest.approx(9.0, abs=0.02)


@pytest.mark.parametrize(
    "error",
    [
        ClientError({"Error": {"Code": "ProvisionedThroughputExceededException", "Message": "x"}}, "UpdateItem"),
        ReadTimeoutError(endpoint_url="https://dynamodb.invalid"),
    ],
)
def test_where_the_shared_pace_fails_alerts_go_out_at_the_senders_own_and_it_is_left_alone(error: Exception) -> None:
    counting, needs_attention = Counting(table()), FakeClock()
    topic, _ = topic_of(counting, needs_attention)
    counting.error = error
    assert all(topic.publish([message() for _ in range(30)]))
    assert counting.requests == 1
    assert sum(needs_attention.slept) == pytest.approx(2.0, abs=0.01)
    needs_attention.seconds += LEFT_ALONE
    counting.error = None
    topic.publish([message()])
    assert counting.requests == 2


def test_an_absurd_row_silences_no_topic() -> None:
    dynamodb, needs_attention = table(), FakeClock()
    future = FakeClock()
    future.seconds += 1_000_000
    assert pace_of(dynamodb.as_client(), future, TOPIC_LIMIT).wait(0, 10)
    topic, _ = topic_of(Counting(dynamodb), needs_attention)
    assert all(topic.publish([message()]))
    assert needs_attention.slept == []


def test_a_row_that_others_keep_winning_is_given_up() -> None:
    dynamodb, needs_attention = table(), FakeClock()
    rival = pace_of(dynamodb.as_client(), FakeClock())

    class Losing(Counting):
        def update_item(self, **request: Any) -> Any:
            assert rival.wait(10_000)
            return super().update_item(**request)

    with pytest.raises(RateLimitUnknownError):
        pace_of(Losing(dynamodb), needs_attention).wait(10_000)  # type: ignore[arg-type]


def test_a_row_that_is_gone_is_begun_again() -> None:
    dynamodb, needs_attention = table(), FakeClock()
    rate_limiter = pace_of(dynamodb.as_client(), needs_attention)
    assert rate_limiter.wait(0)
    dynamodb.create_table(TableName=TABLE, KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}])
    assert rate_limiter.wait(1)


def test_two_senders_share_the_templates_table(tables: Tables) -> None:
    needs_attention = FakeClock()
    clock.use(needs_attention)
    paces = [SharedRateLimiter(tables.client, tables.names["PaceTable"], ARN, TOPIC_LIMIT) for _ in range(2)]
    assert [rate_limiter.wait(10, 10) for rate_limiter in (*paces, *paces)] == [True] * 4
    assert sum(needs_attention.slept) == pytest.approx(3.0)
