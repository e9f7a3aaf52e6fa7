"""Transactions and batch reads when DynamoDB is busy, and the order in which a page is written."""

from dataclasses import replace
from typing import Any, cast

import pytest
from botocore.exceptions import ClientError

from orderwatch import clock
from orderwatch.aws.dynamodb import MAX_BYTES, MAX_TRIES, Transactions, Unit, batch_get, chunked
from orderwatch.records import ConnectionState
from tests.support.alerts import first_sight
from tests.support.clocks import FakeClock
from tests.support.cloud import Tables
from tests.support.memory_dynamodb import MemoryDynamoDB, TransactionCancelledError


class Busy(MemoryDynamoDB):
    """The first transactions fail with these reasons, and batch reads are incomplete.

    Attributes:
        reasons: The reason of each cancellation, one a transaction.
        sizes: Actions of every transaction that was tried.
        kinds: The tables that every transaction wrote to.
    """

    def __init__(self, *reasons: str) -> None:
        super().__init__()
        self.reasons = list(reasons)
        self.sizes: list[int] = []
        self.kinds: list[list[str]] = []

    def transact_write_items(self, **request: Any) -> dict[str, Any]:
        actions = request["TransactItems"]
        self.sizes.append(len(actions))
        self.kinds.append([action["Put"]["TableName"].split("-")[0] for action in actions if "Put" in action])
        if self.reasons:
            codes = [{"Code": self.reasons.pop(0)}, *({"Code": "None"} for _ in actions[1:])]
            raise TransactionCancelledError(
                cast("Any", {"Error": {"Code": "Cancelled", "Message": ""}, "CancellationReasons": codes}), "Transact"
            )
        return super().transact_write_items(**request)

    def batch_get_item(self, **request: Any) -> dict[str, Any]:
        [(name, asked)] = request["RequestItems"].items()
        now, later = asked["Keys"][:7], asked["Keys"][7:]
        answer = super().batch_get_item(RequestItems={name: {**asked, "Keys": now}})
        return answer | {"UnprocessedKeys": {name: {**asked, "Keys": later}} if later else {}}


def put(key: str, text: str = "x") -> dict[str, Any]:
    item = {"id": {"S": key}, "text": {"S": text}}
    return {"Put": {"TableName": "T", "Item": item, "ConditionExpression": "attribute_not_exists(id)"}}


def busy(*reasons: str) -> Busy:
    client = Busy(*reasons)
    client.create_table(TableName="T", KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}])
    return client


@pytest.mark.parametrize("reason", ["TransactionConflict", "ThrottlingError", "ProvisionedThroughputExceeded"])
def test_a_conflicting_transaction_is_retried_with_backoff(reason: str) -> None:
    client, fake_clock = busy(*[reason] * (MAX_TRIES - 1)), FakeClock()
    clock.use(fake_clock)
    assert Transactions(client.as_client()).write([Unit("a", (put("1"),))]) == []
    assert len(fake_clock.slept) == MAX_TRIES - 1
    assert all(0 <= wait <= 0.05 * 2**attempt for attempt, wait in enumerate(fake_clock.slept))


def test_a_transaction_fails_after_the_last_attempt() -> None:
    client = busy(*["TransactionConflict"] * MAX_TRIES)
    with pytest.raises(ClientError):
        Transactions(client.as_client()).write([Unit("a", (put("1"),))])
    assert len(client.sizes) == MAX_TRIES


def test_a_transaction_that_cannot_succeed_is_not_retried() -> None:
    client = busy("ItemCollectionSizeLimitExceeded")
    with pytest.raises(ClientError):
        Transactions(client.as_client()).write([Unit("a", (put("1"),))])
    assert len(client.sizes) == 1


def test_unprocessed_keys_are_requested_again() -> None:
    client = busy()
    for number in range(30):
        client.transact_write_items(TransactItems=[put(str(number))])
    rows = batch_get(client.as_client(), "T", ({"id": str(number)} for number in range(30)))
    assert {row["id"] for row in rows} == {str(number) for number in range(30)}


@pytest.mark.parametrize("character", ["x", "見"])
def test_no_transaction_exceeds_the_limit_of_dynamodb(character: str) -> None:
    text = character * (300_000 // len(character.encode()))
    units = [Unit(number, (put(str(number), text),)) for number in range(25)]
    chunks = list(chunked(units))
    assert [unit for chunk in chunks for unit in chunk] == units
    assert all(len(chunk) * len(text.encode()) <= MAX_BYTES for chunk in chunks)
    assert len(chunks) == 3


@pytest.mark.parametrize(
    ("sizes", "chunks"),
    [
        ([60, 40], [2]),
        ([60, 41], [1, 1]),
        ([99, 1, 1], [2, 1]),
        ([60, 50, 50], [1, 2]),
        ([60, 50, 51], [1, 1, 1]),
        ([101, 1], [1, 1]),
        ([100], [1]),
    ],
)
def test_a_transaction_is_filled_up_to_the_limit(
    monkeypatch: pytest.MonkeyPatch, sizes: list[int], chunks: list[int]
) -> None:
    monkeypatch.setattr("orderwatch.aws.dynamodb.MAX_BYTES", 100)
    units = [Unit(size, (put("", "x" * size),)) for size in sizes]
    assert [len(chunk) for chunk in chunked(units)] == chunks


def test_all_strings_of_a_unit_count_by_their_bytes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("orderwatch.aws.dynamodb.MAX_BYTES", 20)
    unit = Unit("a", (put("key", "見"), put("12", "xx")))  # 3 + 3 and 2 + 2 bytes
    assert [len(chunk) for chunk in chunked([unit, unit])] == [2]
    monkeypatch.setattr("orderwatch.aws.dynamodb.MAX_BYTES", 19)
    assert [len(chunk) for chunk in chunked([unit, unit])] == [1, 1]


@pytest.mark.parametrize(
    ("quiet", "loud", "requests"),
    [(0, 0, 1), (10, 2, 1), (99, 0, 1), (100, 0, 2), (0, 49, 1), (0, 50, 2), (90, 10, 2), (1000, 0, 11), (0, 1000, 21)],
)
def test_a_page_takes_few_transactions_with_the_state_last(quiet: int, loud: int, requests: int) -> None:
    client = Busy()
    tables = Tables.over(client)
    writes = [first_sight(f"l{number}") for number in range(loud)]
    writes += [replace(first_sight(f"q{number}"), alert=None) for number in range(quiet)]

    tables.store.commit(ConnectionState(connection_id="conn_a"), writes=writes, alerts=[])

    assert len(client.sizes) == requests
    assert [kinds.count("ConnectionTable") for kinds in client.kinds] == [0] * (requests - 1) + [1]
    assert all(_pairs_are_whole(kinds) for kinds in client.kinds)


def _pairs_are_whole(kinds: list[str]) -> bool:
    """Every alert directly follows its order."""
    return all(
        before == "OrderTable" for before, kind in zip(["", *kinds], kinds, strict=False) if kind == "AlertTable"
    )
