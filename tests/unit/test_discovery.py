"""New connections in the Parameter Store: when it is listed, by which tick, and where a listing continues."""

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import timedelta

import pytest
from botocore.exceptions import ClientError, ReadTimeoutError

from orderwatch import clock
from orderwatch.aws.discovery import Discovery
from orderwatch.aws.parameters import Parameters
from tests.support.clocks import FakeClock
from tests.support.cloud import Tables
from tests.support.memory_ssm import MemorySsm

MINUTE = timedelta(minutes=1)
THROTTLED = ClientError({"Error": {"Code": "ThrottlingException", "Message": "x"}}, "DescribeParameters")
REFUSED = ClientError({"Error": {"Code": "InvalidNextToken", "Message": "x"}}, "DescribeParameters")
DENIED = ClientError({"Error": {"Code": "AccessDeniedException", "Message": "x"}}, "DescribeParameters")


@dataclass
class Registry:
    """The registry, and a Parameter Store that shows one parameter a page.

    Attributes:
        pages: How many pages a tick has time for.
    """

    clock: FakeClock = field(default_factory=FakeClock)
    ssm: MemorySsm = field(default_factory=lambda: MemorySsm({}))
    tables: Tables = field(default_factory=Tables.in_memory)
    pages: int = 100

    def __post_init__(self) -> None:
        clock.use(self.clock)
        self.discovery = Discovery(self.tables.connections, Parameters(self.ssm.as_client(), "/orderwatch"))

    def add(self, *connection_ids: str) -> None:
        self.ssm.values |= {f"/orderwatch/connections/{each}/access-token": "token" for each in connection_ids}

    def watched(self) -> list[str]:
        return list(self.tables.connections.registry().watched)

    def tick(self, after: timedelta = timedelta()) -> list[str]:
        """Let time pass and look for new connections."""
        self.clock.advance(after)
        pages = iter(range(self.pages))
        has_time: Callable[[], bool] = lambda: next(pages, None) is not None  # noqa: E731
        return self.discovery.find_new(self.tables.connections.registry(), has_time=has_time)


@pytest.fixture
def running() -> Registry:
    return Registry()


def test_connections_of_an_earlier_release_are_watched(running: Registry) -> None:
    running.tables.connections.watch("conn_a")
    assert running.tick() == []
    running.add("conn_a", "conn_b")
    assert running.tick(15 * MINUTE) == ["conn_b"]
    assert running.watched() == ["conn_a", "conn_b"]


def test_a_listing_removes_no_connection(running: Registry) -> None:
    # A new parameter can be missing from a listing for a moment; a poll knows better.
    running.tables.connections.watch("conn_a")
    running.tick()
    assert running.watched() == ["conn_a"]


def test_a_connection_that_has_its_token_back_is_found(running: Registry) -> None:
    running.add("conn_a")
    assert running.tick() == ["conn_a"]
    running.tables.connections.unwatch("conn_a")
    assert running.watched() == []
    assert running.tick(15 * MINUTE) == ["conn_a"]


def test_one_of_several_ticks_lists(running: Registry) -> None:
    running.add("conn_a")
    registry = running.tables.connections.registry()
    found = [running.discovery.find_new(registry, has_time=lambda: True) for _ in range(3)]
    assert found == [["conn_a"], [], []]


@pytest.mark.parametrize("error", [THROTTLED, ReadTimeoutError(endpoint_url="https://ssm.invalid")])
def test_a_listing_continues_where_it_was_stopped(running: Registry, error: Exception) -> None:
    running.add("conn_a", "conn_b", "conn_c")
    running.pages = 2
    assert running.tick() == ["conn_a"], "the first page is empty"
    running.ssm.error = error
    assert running.tick(MINUTE) == []
    running.ssm.error = None
    assert running.tick(MINUTE) == ["conn_b", "conn_c"]
    requests = len(running.ssm.requests)
    assert running.tick(14 * MINUTE) == []
    assert len(running.ssm.requests) == requests, "the listing has ended"


@pytest.mark.parametrize("error", [REFUSED, DENIED])
def test_a_listing_whose_position_may_be_lost_begins_again(running: Registry, error: Exception) -> None:
    running.add("conn_b", "conn_c")
    running.pages = 2
    running.tick()
    running.add("conn_a")  # on the page that was read
    running.ssm.error = error
    running.tick(MINUTE)
    running.ssm.error, running.pages = None, 100
    assert running.tick(MINUTE) == ["conn_a", "conn_c"]


def test_failures_lead_to_longer_pauses_of_at_most_15_minutes(running: Registry) -> None:
    running.ssm.error = THROTTLED
    listed = []
    for minute in range(50):
        before = len(running.ssm.requests)
        running.tick(MINUTE)
        listed += [minute] * (len(running.ssm.requests) - before)
    assert listed == [0, 1, 3, 7, 15, 30, 45]


def test_a_tick_that_dies_while_it_lists_is_followed_by_a_pause(running: Registry) -> None:
    running.ssm.error = RuntimeError("killed")
    for after, requests in ((0, 1), (0.5, 1), (0.5, 2), (1, 2), (1, 3)):
        with suppress(RuntimeError):
            running.tick(after * MINUTE)
        assert len(running.ssm.requests) == requests


def test_a_clock_that_was_set_back_stops_no_listing(running: Registry) -> None:
    running.add("conn_a")
    running.tick()
    running.add("conn_b")
    assert running.tick(-timedelta(days=1)) == ["conn_b"]


def test_a_connection_that_is_looked_up_is_watched_at_once(running: Registry) -> None:
    running.add("conn_a", "conn_b")
    running.tables.connections.watch("conn_a")
    registry = running.tables.connections.registry()
    running.discovery.find(["conn_a"], registry)
    assert running.ssm.requests == [], "it is watched already"
    running.discovery.find(["conn_a", "conn_b", "unknown"], registry)
    assert running.watched() == ["conn_a", "conn_b"]


def test_a_lookup_that_is_throttled_stops_no_poll(running: Registry) -> None:
    running.add("conn_a")
    running.ssm.error = THROTTLED
    running.discovery.find(["conn_a"], running.tables.connections.registry())
    assert running.watched() == []
