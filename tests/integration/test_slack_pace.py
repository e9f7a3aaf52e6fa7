"""The webhook's pace, shared by functions that know nothing of each other, on a table of the template."""

import itertools
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orderwatch.aws.slack_pace import LONGEST_HOLD, SlackPace
from tests.support.memory_dynamodb import MemoryDynamoDB
from tests.support.waits import Waits

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

TABLE = "slack-deliveries"


def table() -> MemoryDynamoDB:
    dynamodb = MemoryDynamoDB()
    dynamodb.create_table(TableName=TABLE, KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}])
    return dynamodb


def pace_of(dynamodb: "DynamoDBClient", waits: Waits) -> SlackPace:
    return SlackPace(dynamodb, TABLE, now=waits.now, sleep=waits.sleep)


def least_distance(moments: list[float]) -> float:
    in_order = sorted(moments)
    return min(later - earlier for earlier, later in itertools.pairwise(in_order))


def test_the_first_message_and_one_after_a_pause_go_at_once() -> None:
    waits = Waits()
    pace = pace_of(table().as_client(), waits)
    assert pace.wait(10)
    waits.seconds += 1
    assert pace.wait(10)
    assert waits.slept == []


@given(turns=st.lists(st.tuples(st.integers(0, 2), st.floats(0, 3)), min_size=2, max_size=40))
def test_functions_that_share_a_pace_are_never_less_than_a_second_apart(turns: list[tuple[int, float]]) -> None:
    dynamodb = table().as_client()
    clocks = [Waits() for _ in range(3)]
    paces = [pace_of(dynamodb, waits) for waits in clocks]
    sent: list[float] = []
    at = clocks[0].seconds
    for who, later in turns:
        at += later / 4
        clocks[who].seconds = max(clocks[who].seconds, at)
        assert paces[who].wait(10_000)
        sent.append(clocks[who].seconds)
    assert least_distance(sent) >= 0.998  # moments are whole milliseconds


def test_who_loses_the_race_for_a_moment_gets_the_next() -> None:
    dynamodb, early, late = table(), Waits(), Waits()
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
    assert (early.slept, late.slept) == ([], [1.0])


def test_a_moment_that_is_too_far_away_is_left_to_others() -> None:
    dynamodb, waits = table().as_client(), Waits()
    pace = pace_of(dynamodb, waits)
    assert pace.wait(10)
    for _ in range(5):
        assert not pace.wait(0.5)
    assert pace.wait(1)
    assert waits.slept == [1.0]


@pytest.mark.parametrize(("asked", "held"), [(20, 20), (10**9, LONGEST_HOLD)])
def test_nobody_posts_while_slack_wants_to_be_left_alone_but_not_for_ever(asked: float, held: float) -> None:
    dynamodb, one, other = table().as_client(), Waits(), Waits()
    pace_of(dynamodb, one).hold(asked)
    assert not pace_of(dynamodb, other).wait(held - 1)
    assert pace_of(dynamodb, other).wait(held)
    assert other.slept == [held]


def test_a_shorter_hold_does_not_end_a_longer_one() -> None:
    waits = Waits()
    pace = pace_of(table().as_client(), waits)
    pace.hold(60)
    pace.hold(5)
    assert not pace.wait(59)
