"""A sender releases its leases: errors of SNS and DynamoDB between lease and mark."""

from typing import Any

import pytest
from botocore.exceptions import ClientError, ConnectionClosedError, EndpointConnectionError, ReadTimeoutError
from botocore.parsers import ResponseParserError

from orderwatch.alerts.alert import AlertKey
from orderwatch.publishing.leases import Leases
from tests.support.crashing import Killed
from tests.support.memory_dynamodb import MemoryDynamoDB
from tests.support.sending import Desk, Journal

URL = "https://sns.invalid"
LEASE = 310
"""Seconds."""


class Faulty(MemoryDynamoDB):
    """DynamoDB whose transactions of updates can fail.

    Attributes:
        repeats: Whether each response is lost, and the transaction is sent again.
        fails: A part of an update's expression, and its alert: the transactions with it fail. None: none fails.
        is_written: Whether a transaction that fails is written nevertheless.
    """

    def __init__(self) -> None:
        super().__init__()
        self.repeats = False
        self.fails: tuple[str, AlertKey] | None = None
        self.is_written = False

    def transact_write_items(self, **request: Any) -> dict[str, Any]:
        if self._fails(request):
            if self.is_written:
                super().transact_write_items(**request)
            raise ClientError({"Error": {"Code": "InternalServerError", "Message": "down"}}, "TransactWriteItems")
        if self.repeats:
            super().transact_write_items(**request)
        return super().transact_write_items(**request)

    def _fails(self, request: dict[str, Any]) -> bool:
        if self.fails is None:
            return False
        part, key = self.fails
        updates = [action["Update"] for action in request["TransactItems"] if "Update" in action]
        return any(
            part in each["UpdateExpression"] and each["Key"]["alert_id"]["S"] == key.alert_id for each in updates
        )


@pytest.fixture
def dynamodb() -> Faulty:
    return Faulty()


@pytest.fixture
def desk(dynamodb: Faulty) -> Desk:
    return Desk(dynamodb)


@pytest.fixture
def keys(desk: Desk) -> list[AlertKey]:
    return desk.put(3)


@pytest.mark.parametrize(
    "error",
    [
        ClientError({"Error": {"Code": "InternalError", "Message": "down"}}, "PublishBatch"),
        ConnectionClosedError(endpoint_url=URL),
        EndpointConnectionError(endpoint_url=URL),
        ReadTimeoutError(endpoint_url=URL),
        ResponseParserError("a response that is not XML"),
        KeyError("MessageId"),
    ],
    ids=lambda error: type(error).__name__,
)
def test_alerts_of_a_failed_send_can_be_sent_again_at_once(desk: Desk, keys: list[AlertKey], error: Exception) -> None:
    desk.sns.breaks = [error]
    summary = desk.publish(keys)
    assert (summary.sent, summary.messages, summary.unsent_keys) == (0, 0, keys)
    assert sorted(desk.pending()) == sorted(keys)
    assert desk.publish(keys).sent == 3


def test_a_leased_alert_is_unsent_until_the_lease_expires(desk: Desk, keys: list[AlertKey]) -> None:
    desk.tables.alerts.acquire(keys[:1], owner="another")
    assert desk.publish(keys).unsent_keys == keys[:1]
    assert desk.publish_later(keys, seconds=LEASE - 1).unsent_keys == keys[:1]
    assert desk.publish_later(keys, seconds=1).sent == 1


def test_a_lease_whose_response_was_lost_is_kept(desk: Desk, dynamodb: Faulty, keys: list[AlertKey]) -> None:
    dynamodb.repeats = True
    assert desk.publish(keys).sent == 3
    assert len(desk.sns.sent_ids()) == 3


@pytest.mark.parametrize("is_written", [False, True])
def test_a_failed_lease_is_released(desk: Desk, dynamodb: Faulty, keys: list[AlertKey], is_written: bool) -> None:
    dynamodb.fails, dynamodb.is_written = ("SET leased_until", keys[1]), is_written
    with pytest.raises(ClientError):
        desk.publish(keys)
    dynamodb.fails = None
    assert desk.publish(keys).sent == 3


def test_a_failed_release_delays_only_the_alerts_of_its_request(
    desk: Desk, dynamodb: Faulty, keys: list[AlertKey], pairs: None
) -> None:
    desk.sns.is_down, dynamodb.fails = True, ("REMOVE leased_until", keys[0])
    assert desk.publish(keys).unsent_keys == keys
    desk.sns.is_down, dynamodb.fails = False, None
    assert desk.publish(keys).unsent_keys == keys[:2]
    assert desk.publish_later(keys, seconds=LEASE).sent == 2


def test_a_failed_mark_is_reported_and_affects_only_the_alerts_of_its_request(
    desk: Desk, dynamodb: Faulty, keys: list[AlertKey], pairs: None
) -> None:
    dynamodb.fails = ("SET #state", keys[0])
    summary = desk.publish(keys)
    assert (summary.sent, summary.unsent_keys) == (1, keys[:2])
    dynamodb.fails = None
    assert desk.publish(keys).unsent_keys == keys[:2]
    assert desk.publish_later(keys, seconds=LEASE).sent == 2


@pytest.fixture
def pairs(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two alerts a request."""
    monkeypatch.setattr("orderwatch.publishing.leases.BATCH", 2)


def test_a_bug_leaves_no_lease_behind(desk: Desk, keys: list[AlertKey], monkeypatch: pytest.MonkeyPatch) -> None:
    def explode(*arguments: object, **options: object) -> None:
        raise RuntimeError("a bug")

    with monkeypatch.context() as patch:
        patch.setattr("orderwatch.publishing.publish.messages_of", explode)
        with pytest.raises(RuntimeError):
            desk.publish(keys)
    assert desk.publish(keys).sent == 3


ONE, OTHER, THIRD = (AlertKey("conn_a", number) for number in "123")


def test_a_sender_releases_only_leases_that_it_still_holds() -> None:
    journal = Journal(foreign=[OTHER])
    with Leases(journal) as leases:
        assert leases.acquire([ONE, OTHER, THIRD]) == [ONE, THIRD]
        assert leases.mark_sent({THIRD: "m1"}) == {THIRD}
        assert leases.held == [ONE]
    assert journal.calls[-1] == ("release", [ONE])
    with Leases(journal) as leases:
        leases.acquire([ONE])
        leases.release([ONE])
    assert journal.calls.count(("release", [ONE])) == 2
    assert len(journal.owners) == 2, "every batch has its own owner"


def test_a_process_that_is_being_ended_makes_no_requests() -> None:
    def die(leases: Leases) -> None:
        leases.acquire([ONE])
        raise Killed

    journal = Journal()
    with pytest.raises(Killed), Leases(journal) as leases:
        die(leases)
    assert journal.calls == [("lease", [ONE])]
