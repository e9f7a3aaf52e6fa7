"""A tick of dispatch_polls against a simulated Trackstar: which polls it asks for, and in how many requests."""

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import boto3
import pytest

from orderwatch_local.simulator import Request, Response, Shop
from tests.support.account import Account, account, order
from tests.support.permissions import environment_of

MINUTE = timedelta(minutes=1)


@pytest.fixture
def running() -> Iterator[Account]:
    """A shop that was read after its last sync."""
    with account() as running:
        running.shop.place(order("1"))
        running.shop.sync()
        running.poll()
        running.trackstar.requests.clear()
        yield running


def tick(running: Account, event: dict[str, Any] | None = None) -> list[str]:
    asked: list[str] = running.invoke("DispatchPollsFunction", event or {})["connection_ids"]
    return asked


def test_a_shop_read_since_its_last_sync_is_polled_after_the_next(running: Account) -> None:
    assert tick(running) == []
    running.vendor_clock.advance(MINUTE)
    running.shop.sync()
    assert tick(running) == ["conn_a"]
    running.poll()
    assert tick(running) == []


def test_a_shop_whose_sync_time_never_moves_is_polled_every_15_min(running: Account) -> None:
    running.clock.seconds += 14 * 60
    assert tick(running) == []
    running.clock.seconds += 60
    assert tick(running) == ["conn_a"]


def test_a_sync_that_ends_while_a_poll_reads_is_read_by_the_next_one(running: Account) -> None:
    running.vendor_clock.advance(MINUTE)
    running.shop.sync()

    def intercept(request: Request) -> Response | None:
        if request.path == "/cart/orders":
            running.vendor_clock.advance(MINUTE)
            running.shop.sync()
        return None

    running.trackstar.intercept = intercept
    running.poll()
    running.trackstar.intercept = None
    assert tick(running) == ["conn_a"]


def test_a_poll_that_an_operator_requests_is_always_queued(running: Account) -> None:
    assert tick(running, {"connection_ids": ["conn_a"]}) == ["conn_a"]
    assert running.trackstar.requests == []


def test_every_shop_is_polled_if_trackstar_cannot_be_listed(running: Account) -> None:
    running.trackstar.intercept = lambda request: Response(503, (), b"")
    assert tick(running) == [], "it was read just now"
    running.clock.seconds += 5 * 60
    assert tick(running) == ["conn_a"]


def test_a_refused_api_key_stops_no_poll(running: Account) -> None:
    put_parameter("trackstar/api-key", "wrong")
    running.clock.seconds += 6 * 60
    assert tick(running) == ["conn_a"]


def test_a_broken_row_stops_no_other_shop(running: Account) -> None:
    put_parameter("connections/conn_b/access-token", "token-b")
    key = {"connection_id": {"S": "conn_a"}}
    running.dynamodb.put_item(TableName="ConnectionTable", Item=key | {"cursor": {"S": "yesterday"}})
    assert tick(running) == ["conn_a", "conn_b"]


def test_a_hundred_shops_are_checked_in_two_requests(running: Account) -> None:
    for number in range(99):
        name = f"conn_{number:02}"
        running.trackstar.connect(Shop(name, access_token=f"token-{number}", clock=running.vendor_clock))
        put_parameter(f"connections/{name}/access-token", f"token-{number}")
    assert len(tick(running)) == 99, "those that were never read"
    assert [exchange.path for exchange in running.trackstar.requests] == ["/connections"]


def test_a_tick_queues_a_poll_for_the_sync_and_one_to_read_it(
    running: Account, monkeypatch: pytest.MonkeyPatch
) -> None:
    changed = {"SYNC_MINUTES": "5"}
    monkeypatch.setattr("tests.support.account.environment_of", lambda function: environment_of(function) | changed)
    running.shop.place(order("2", status="exception"))
    running.vendor_clock.advance(4 * MINUTE)
    assert tick(running) == []
    running.vendor_clock.advance(MINUTE)
    assert tick(running) == ["conn_a"]
    before = len(running.pending())
    running.poll()
    assert [each.path for each in running.trackstar.requests if each.method == "POST"] == ["/connections/sync"]
    assert len(running.pending()) == before, "the data of the sync is not visible yet"
    assert tick(running) == ["conn_a"]
    running.poll()
    assert len(running.pending()) == before + 1


def put_parameter(name: str, value: str) -> None:
    ssm = boto3.Session().client("ssm")
    ssm.put_parameter(Name=f"/orderwatch/{name}", Value=value, Type="SecureString", Overwrite=True)
