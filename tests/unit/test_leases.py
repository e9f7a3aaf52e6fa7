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
LEASE = 190
"""Seconds."""


class Faulty(MemoryDynamoDB):
    """DynamoDB whose updates can fail.

    Attributes:
        repeats: Whether each response is lost, and the SDK sends the update again.
        fails: A part of the update expression, and the alert, of the updates that fail; None: no update fails.
        is_written: Whether an update that fails is written nevertheless.
    """

    def __init__(self) -> None:
        super().__init__()
        self.repeats = False
        self.fails: tuple[str, AlertKey] | None = None
        self.is_written = False

    def update_item(self, **request: Any) -> dict[str, Any]:
        if self._fails(request):
            if self.is_written:
                super().update_item(**request)
            raise ClientError({"Error": {"Code": "InternalServerError", "Message": "down"}}, "UpdateItem")
        if self.repeats:
            super().update_item(**request)
        return super().update_item(**request)

    def _fails(self, request: dict[str, Any]) -> bool:
        if self.fails is None:
            return False
        part, key = self.fails
        return part in request["UpdateExpression"] and request["Key"]["alert_id"]["S"] == key.alert_id


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
    desk.tables.alerts.acquire(keys[0], owner="another")
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


def test_a_failed_release_delays_only_its_own_alert(desk: Desk, dynamodb: Faulty, keys: list[AlertKey]) -> None:
    desk.sns.is_down, dynamodb.fails = True, ("REMOVE leased_until", keys[0])
    assert desk.publish(keys).unsent_keys == keys
    desk.sns.is_down, dynamodb.fails = False, None
    assert desk.publish(keys).sent == 2
    assert desk.publish_later(keys, seconds=LEASE).sent == 1


def test_a_failed_mark_is_reported_and_affects_only_its_own_alert(
    desk: Desk, dynamodb: Faulty, keys: list[AlertKey]
) -> None:
    dynamodb.fails = ("SET #state", keys[0])
    summary = desk.publish(keys)
    assert (summary.sent, summary.unsent_keys) == (2, keys[:1])
    dynamodb.fails = None
    assert desk.publish(keys).unsent_keys == keys[:1]
    assert desk.publish_later(keys, seconds=LEASE).sent == 1


def test_a_bug_leaves_no_lease_behind(desk: Desk, keys: list[AlertKey], monkeypatch: pytest.MonkeyPatch) -> None:
    def explode(*arguments: object, **options: object) -> None:
        raise RuntimeError("a bug")

    with monkeypatch.context() as patch:
        patch.setattr("orderwatch.publishing.publish.messages_of", explode)
        with pytest.raises(RuntimeError):
            desk.publish(keys)
    assert desk.publish(keys).sent == 3


ONE, OTHER, THIRD = (AlertKey("conn_a", number) for number in "123")


def released(journal: Journal) -> list[AlertKey | int]:
    return [key for call, key in journal.calls if call == "release"]


def test_a_sender_releases_only_leases_that_it_still_holds() -> None:
    journal = Journal(foreign=[OTHER])
    with Leases(journal) as leases:
        assert [leases.acquire(key) for key in (ONE, OTHER, THIRD)] == [True, False, True]
        assert leases.mark_sent(THIRD, message_id="m1")
    assert released(journal) == [ONE]
    with Leases(journal) as leases:
        leases.acquire(ONE)
        leases.release(ONE)
    assert released(journal) == [ONE, ONE]
    assert len(journal.owners) == 2, "every batch has its own owner"


def test_a_process_that_is_being_ended_makes_no_requests() -> None:
    def die(leases: Leases) -> None:
        leases.acquire(ONE)
        raise Killed

    journal = Journal()
    with pytest.raises(Killed), Leases(journal) as leases:
        die(leases)
    assert journal.calls == [("lease", ONE)]
