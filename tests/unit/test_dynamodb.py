"""Transactions and batch reads when DynamoDB is busy, and how a page is split into transactions."""

from collections.abc import Callable
from copy import replace
from datetime import timedelta
from itertools import chain
from typing import Any, cast

import pytest
from botocore.exceptions import ClientError

from orderwatch import clock
from orderwatch.aws.dynamodb import Transactions, Unit, batch_get, chunked, patient
from orderwatch.errors import PollSupersededError, ThrottledError
from orderwatch.polling.detect import OrderWrite
from orderwatch.records import ConnectionState
from tests.support.alerts import alert_of, first_sight
from tests.support.clocks import NOON, FakeClock
from tests.support.cloud import Tables
from tests.support.memory_dynamodb import MemoryDynamoDB, TransactionCancelledError

CONFLICT = "TransactionConflict"
NEW = ConnectionState(connection_id="conn_a")


class Busy(MemoryDynamoDB):
    """The first transactions are cancelled for these reasons, and a batch read processes a few keys only.

    Attributes:
        reasons: The reason of each cancellation, one a transaction.
        keys_a_read: How many keys a batch read processes.
        sizes: The actions of every transaction, and the keys of every batch read.
        tables: The tables that every transaction wrote to.
    """

    def __init__(self, *reasons: str, keys_a_read: int = 100) -> None:
        super().__init__()
        self.reasons = list(reasons)
        self.keys_a_read = keys_a_read
        self.sizes: list[int] = []
        self.tables: list[list[str]] = []
        self.create_table(TableName="T", KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}])

    def transact_write_items(self, **request: Any) -> dict[str, Any]:
        actions = request["TransactItems"]
        self.sizes.append(len(actions))
        self.tables.append([action["Put"]["TableName"].split("-")[0] for action in actions if "Put" in action])
        if self.reasons:
            codes = [{"Code": self.reasons.pop(0)}, *({"Code": "None"} for _ in actions[1:])]
            error = {"Error": {"Code": "Cancelled", "Message": ""}, "CancellationReasons": codes}
            raise TransactionCancelledError(cast("Any", error), "TransactWriteItems")
        return super().transact_write_items(**request)

    def batch_get_item(self, **request: Any) -> dict[str, Any]:
        [(name, asked)] = request["RequestItems"].items()
        self.sizes.append(len(asked["Keys"]))
        now, later = asked["Keys"][: self.keys_a_read], asked["Keys"][self.keys_a_read :]
        answer = super().batch_get_item(RequestItems={name: {**asked, "Keys": now}})
        return answer | {"UnprocessedKeys": {name: {**asked, "Keys": later}} if later else {}}


@pytest.fixture
def fake_clock(monkeypatch: pytest.MonkeyPatch) -> FakeClock:
    """A clock that records every sleep; jitter is at its maximum."""
    monkeypatch.setattr("random.uniform", lambda low, high: low + high)
    fake_clock = FakeClock()
    clock.use(fake_clock)
    return fake_clock


def put(key: str, text: str = "x") -> dict[str, Any]:
    item = {"id": {"S": key}, "text": {"S": text}}
    return {"Put": {"TableName": "T", "Item": item, "ConditionExpression": "attribute_not_exists(id)"}}


def rows(client: MemoryDynamoDB) -> set[str]:
    return {
        str(item["id"]["S"]) for page in client.get_paginator("scan").paginate(TableName="T") for item in page["Items"]
    }


@pytest.mark.parametrize("reason", [CONFLICT, "ThrottlingError", "ProvisionedThroughputExceeded"])
def test_a_conflicting_transaction_is_tried_eight_times(fake_clock: FakeClock, reason: str) -> None:
    client = Busy(*[reason] * 7)
    assert Transactions(client.as_client()).write([Unit("a", (put("1"),))]) == []
    assert fake_clock.slept == [0.05, 0.1, 0.2, 0.4, 0.8, 1.6, 3.2]
    assert rows(client) == {"1"}


@pytest.mark.parametrize(("reasons", "attempts"), [([CONFLICT] * 8, 8), (["ItemCollectionSizeLimitExceeded"], 1)])
def test_a_transaction_that_stays_cancelled_fails(fake_clock: FakeClock, reasons: list[str], attempts: int) -> None:
    client = Busy(*reasons)
    with pytest.raises(ClientError):
        Transactions(client.as_client()).write([Unit("a", (put("1"),))])
    assert len(client.sizes) == attempts
    assert rows(client) == set()


def use(tables: Tables, has_time: Callable[[], bool]) -> list[object]:
    """Every kind of request that a poll makes."""
    patiently = tables.through(patient(tables.client, has_time))
    patiently.store.commit(patiently.store.load("conn_a"), writes=[first_sight("1")], alerts=[])
    return [patiently.store.stored_orders("conn_a", ["1"]), patiently.store.due_orders("conn_a", NOON)]


REQUESTS = ("get_item", "transact_write_items", "batch_get_item", "query")


class ThrottledOnce(MemoryDynamoDB):
    """Throttles one kind of request for a minute, as soon as it comes."""

    def __init__(self, operation: str) -> None:
        super().__init__()
        self.operation = operation

    def __getattribute__(self, name: str) -> Any:
        if name != "operation" and name == self.operation:
            self.operation, self.throttled_until = "", clock.monotonic() + 60
        return super().__getattribute__(name)


@pytest.mark.parametrize("operation", REQUESTS)
def test_a_throttled_request_is_repeated_as_long_as_there_is_time(fake_clock: FakeClock, operation: str) -> None:
    tables, began = Tables.over(ThrottledOnce(operation)), fake_clock.seconds
    assert len(use(tables, lambda: True)) == 2
    assert 60 <= fake_clock.seconds - began < 64
    assert max(fake_clock.slept) == 3.2


@pytest.mark.parametrize("operation", REQUESTS)
def test_a_request_that_stays_throttled_ends_with_the_time(fake_clock: FakeClock, operation: str) -> None:
    tables, began = Tables.over(ThrottledOnce(operation)), fake_clock.seconds
    with pytest.raises(ThrottledError):
        use(tables, lambda: fake_clock.seconds - began < 20)
    assert 20 <= fake_clock.seconds - began < 23.2


def test_unprocessed_keys_are_not_read_after_the_time(fake_clock: FakeClock) -> None:
    client, began = Busy(keys_a_read=1), fake_clock.seconds
    keys = ({"id": str(number)} for number in range(100))
    with pytest.raises(ThrottledError):
        list(batch_get(patient(client.as_client(), lambda: fake_clock.seconds - began < 20), "T", keys))
    assert 20 <= fake_clock.seconds - began < 23.2


def test_another_refusal_is_not_repeated(fake_clock: FakeClock) -> None:
    client = patient(Busy().as_client(), lambda: True)
    with pytest.raises(ClientError, match="1 to 100 different keys"):
        client.batch_get_item(RequestItems={"T": {"Keys": [], "ConsistentRead": True}})
    assert fake_clock.slept == []


def test_a_lost_unit_stops_all_and_a_lost_option_only_itself(fake_clock: FakeClock) -> None:
    client = Busy()
    transactions = Transactions(client.as_client())
    transactions.write([Unit("known", (put("1"), put("2")))])
    lost, fine = Unit("lost", (put("1"), put("3"))), Unit("fine", (put("4"), put("2"), put("5")))
    assert transactions.write([fine, lost]) == [lost]
    assert rows(client) == {"1", "2"}
    assert transactions.write([fine]) == []
    assert rows(client) == {"1", "2", "4", "5"}
    assert sum(fake_clock.slept) == 0.0, "a failed condition is no reason to wait"


def test_unprocessed_keys_are_read_later_and_later(fake_clock: FakeClock) -> None:
    client = Busy(keys_a_read=10)
    client.transact_write_items(TransactItems=[put(str(number)) for number in range(95)])
    client.sizes.clear()
    found = batch_get(client.as_client(), "T", ({"id": str(number)} for number in range(210)))
    assert {row["id"] for row in found} == {str(number) for number in range(95)}
    assert client.sizes == [*range(100, 0, -10), *range(100, 0, -10), 10], "100 keys a request"
    once = [0.05, 0.1, 0.2, 0.4, 0.8, 1.6, 3.2, 3.2, 3.2]
    assert fake_clock.slept == pytest.approx(once * 2)


@pytest.mark.parametrize(
    ("sizes", "chunks"),
    [
        ([2_000_000, 1_000_000], [2]),
        ([2_000_000, 1_000_001], [1, 1]),
        ([2_999_999, 1, 1], [2, 1]),
        ([2_000_000, 1_500_000, 1_500_000], [1, 2]),
        ([2_000_000, 1_500_000, 1_500_001], [1, 1, 1]),
        ([3_000_001, 1], [1, 1]),
        ([3_000_000], [1]),
        ([1] * 100, [100]),
        ([1] * 101, [100, 1]),
        ([1] * 201, [100, 100, 1]),
        ([], []),
    ],
    ids=str,
)
def test_a_transaction_has_at_most_100_actions_and_3_mb(sizes: list[int], chunks: list[int]) -> None:
    units = [Unit(size, (put("", "x" * size),)) for size in sizes]
    found = list(chunked(units))
    assert [len(chunk) for chunk in found] == chunks
    assert list(chain.from_iterable(found)) == units


def test_all_strings_of_a_unit_count_by_their_bytes(monkeypatch: pytest.MonkeyPatch) -> None:
    unit = Unit("a", (put("key", "見"), put("12", "xx")))  # 3 + 3 and 2 + 2 bytes
    monkeypatch.setattr("orderwatch.aws.dynamodb.MAX_BYTES", 20)
    assert [len(chunk) for chunk in chunked([unit, unit])] == [2]
    monkeypatch.setattr("orderwatch.aws.dynamodb.MAX_BYTES", 19)
    assert [len(chunk) for chunk in chunked([unit, unit])] == [1, 1]


# Pages of orders that need several transactions


def page_of(quiet: int, loud: int = 0) -> list[OrderWrite]:
    """New orders: first some without an alert, then some with one."""
    writes = [replace(first_sight(f"q{number}"), alert=None) for number in range(quiet)]
    return writes + [first_sight(f"l{number}") for number in range(loud)]


@pytest.mark.parametrize(
    ("quiet", "loud", "of_state", "requests"),
    [
        (0, 0, 0, 1),
        (10, 2, 0, 1),
        (99, 0, 0, 1),
        (99, 0, 1, 2),
        (100, 0, 2, 2),
        (0, 49, 0, 1),
        (0, 50, 0, 2),
        (90, 10, 0, 2),
        (300, 0, 0, 4),
        (0, 150, 0, 4),
    ],
)
def test_a_page_takes_few_transactions_with_the_state_last(quiet: int, loud: int, of_state: int, requests: int) -> None:
    client = Busy()
    tables = Tables.over(client)
    alerts = [alert_of("any").model_copy(update={"alert_id": f"of the state {number}"}) for number in range(of_state)]
    assert tables.store.commit(NEW, writes=page_of(quiet, loud), alerts=alerts) == []
    assert len(client.sizes) == requests
    state = ["ConnectionTable"] + ["AlertTable"] * of_state
    in_order = list(chain.from_iterable(client.tables))
    assert in_order == ["OrderTable", "AlertTable"] * loud + ["OrderTable"] * quiet + state
    assert client.tables[-1][-len(state) :] == state
    assert tables.store.load("conn_a") == NEW.committed()


def test_lost_writes_in_early_transactions_stop_the_state(tables: Tables) -> None:
    known = page_of(150)
    tables.store.commit(NEW, writes=[known[0], known[1], known[149]], alerts=[])
    before = tables.store.load("conn_a")
    lost = tables.store.commit(before, writes=known, alerts=[])
    assert [write.order_id for write in lost] == ["q0", "q1", "q149"]
    assert tables.store.load("conn_a") == before
    assert len(tables.rows("OrderTable")) == 150


def test_an_overtaken_poll_writes_no_page(tables: Tables) -> None:
    tables.store.commit(NEW, writes=[], alerts=[])
    with pytest.raises(PollSupersededError):
        tables.store.commit(NEW, writes=page_of(50, 60), alerts=[])
    assert tables.rows("OrderTable") == tables.rows("AlertTable") == []


def test_more_than_one_request_of_rows_is_read(tables: Tables) -> None:
    writes = page_of(0, 130)
    tables.store.commit(NEW, writes=writes, alerts=[])
    ids, keys = {write.order_id for write in writes}, {write.alert.key for write in writes if write.alert}
    later = clock.now() + timedelta(minutes=1)
    assert tables.orders.read("conn_a", ids).keys() == tables.orders.needing_attention("conn_a").keys() == ids
    assert tables.orders.count_needing_attention("conn_a") == len(ids)
    assert tables.connections.load_all([*ids, "conn_a"]).keys() == {"conn_a"}
    assert set(tables.alerts.pending_since_before(later)) == keys
    assert {alert.key for alert in tables.alerts.unsent(keys)} == keys
    assert {row.key for row in tables.alerts.recent(["conn_a"])} == keys
