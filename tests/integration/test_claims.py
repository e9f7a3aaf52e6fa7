"""What a sender holds, it lets go of: errors of SNS and DynamoDB between claim and mark."""

from collections.abc import Sequence
from typing import Any

import pytest
from botocore.exceptions import ClientError, ConnectionClosedError, EndpointConnectionError, ReadTimeoutError
from botocore.parsers import ResponseParserError

from orderwatch import clock as process_clock
from orderwatch.alerts.alert import Alert, AlertKey
from orderwatch.aws.tables import LEASE_DURATION
from orderwatch.polling.cursor import ConnectionState
from orderwatch.publishing.leases import Leases
from orderwatch.publishing.publish import PublishMetrics
from tests.support.alerts import SEEN_AT, first_sight
from tests.support.clocks import ManualClock
from tests.support.cloud import Tables
from tests.support.crashing import Killed
from tests.support.memory_dynamodb import MemoryDynamoDB
from tests.support.recording_sns import RecordingSns
from tests.support.sending import send

URL = "https://sns.invalid"


class Faulty(MemoryDynamoDB):
    """DynamoDB whose updates go wrong when they are told to.

    Attributes:
        repeats: Whether each answer is lost and the SDK sends its update again.
        fails: A part of the update's expression, and the alert, of those updates that fail; None fails none.
        is_written: Whether an update that fails was written all the same.
    """

    def __init__(self) -> None:
        super().__init__()
        self.repeats = False
        self.fails: tuple[str, str] | None = None
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
        part, alert_id = self.fails
        return part in request["UpdateExpression"] and request["Key"]["alert_id"]["S"] == alert_id


class Desk:
    """Three alerts of one connection, and a sender of them."""

    def __init__(self) -> None:
        self.clock = ManualClock(SEEN_AT)
        process_clock.use(self.clock)
        self.dynamodb, self.sns = Faulty(), RecordingSns()
        self.tables = Tables.over(self.dynamodb)
        writes = [first_sight(str(number)) for number in range(3)]
        self.tables.store.commit(ConnectionState(connection_id="conn_a"), writes=writes, alerts=[])
        self.keys = [write.alert.key for write in writes if write.alert]

    def publish(self, keys: Sequence[AlertKey] | None = None) -> PublishMetrics:
        return send(keys or self.keys, outbox=self.tables.alerts, topic=self.sns.topic)


@pytest.fixture
def desk() -> Desk:
    return Desk()


@pytest.mark.parametrize(
    "error",
    [
        ClientError({"Error": {"Code": "InternalError", "Message": "down"}}, "PublishBatch"),
        ConnectionClosedError(endpoint_url=URL),
        EndpointConnectionError(endpoint_url=URL),
        ReadTimeoutError(endpoint_url=URL),
        ResponseParserError("an answer that is no XML"),
        KeyError("MessageId"),
    ],
    ids=lambda error: type(error).__name__,
)
def test_whatever_goes_wrong_at_the_send_the_alerts_can_be_sent_again_at_once(desk: Desk, error: Exception) -> None:
    desk.sns.breaks = [error]
    summary = desk.publish()
    assert (summary.sent, summary.unsent_keys) == (0, desk.keys)
    assert desk.publish().sent == 3


def test_a_claim_whose_answer_was_lost_is_still_this_senders_own(desk: Desk) -> None:
    desk.dynamodb.repeats = True
    assert desk.publish().sent == 3
    assert len(desk.sns.sent_ids()) == 3


@pytest.mark.parametrize("is_written", [False, True])
def test_a_claim_that_fails_leaves_none_behind(desk: Desk, is_written: bool) -> None:
    desk.dynamodb.fails, desk.dynamodb.is_written = ("SET leased_until", desk.keys[1].alert_id), is_written
    with pytest.raises(ClientError):
        desk.publish()
    desk.dynamodb.fails = None
    assert desk.publish().sent == 3


def test_a_release_that_fails_holds_up_its_own_alert_only(desk: Desk) -> None:
    desk.sns.is_down = True
    desk.dynamodb.fails = ("REMOVE leased_until", desk.keys[0].alert_id)
    assert desk.publish().unsent_keys == desk.keys

    desk.sns.is_down, desk.dynamodb.fails = False, None
    assert desk.publish().sent == 2
    desk.clock.advance(LEASE_DURATION)
    assert desk.publish().sent == 1


def test_a_mark_that_fails_keeps_no_other_alert_from_being_marked_and_is_reported(desk: Desk) -> None:
    desk.dynamodb.fails = ("SET #state", desk.keys[0].alert_id)
    summary = desk.publish()
    assert (summary.sent, summary.unsent_keys) == (2, desk.keys[:1])

    desk.dynamodb.fails = None
    assert desk.publish().unsent_keys == desk.keys[:1]
    desk.clock.advance(LEASE_DURATION)
    assert desk.publish().sent == 1


def test_an_error_of_our_own_leaves_no_claim_behind(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    def explode(*arguments: object, **options: object) -> None:
        raise RuntimeError("a bug")

    with monkeypatch.context() as patch:
        patch.setattr("orderwatch.publishing.publish.group", explode)
        with pytest.raises(RuntimeError):
            desk.publish()
    assert desk.publish().sent == 3


def test_only_its_owner_releases_a_claim(desk: Desk) -> None:
    key = desk.keys[0]
    assert desk.tables.alerts.acquire(key, owner="one")
    desk.tables.alerts.release(key, owner="another")
    assert not desk.tables.alerts.acquire(key, owner="another")
    desk.tables.alerts.release(key, owner="one")
    assert desk.tables.alerts.acquire(key, owner="another")


class Ledger:
    """An outbox whose claims another sender holds, that notes what is released."""

    def __init__(self, *foreign: AlertKey) -> None:
        self.foreign = foreign
        self.released: list[AlertKey] = []

    def unsent(self, keys: object) -> list[Alert]:
        return []

    def acquire(self, key: AlertKey, *, owner: str) -> bool:
        return key not in self.foreign

    def release(self, key: AlertKey, *, owner: str) -> None:
        self.released.append(key)

    def mark_sent(self, key: AlertKey, *, message_id: str) -> None:
        """It is marked."""


ONE, OTHER = AlertKey("conn_a", "1"), AlertKey("conn_a", "2")


def test_at_its_end_a_sender_releases_what_it_holds_and_nothing_else() -> None:
    ledger = Ledger(OTHER)
    with Leases(ledger) as leases:
        assert [leases.acquire(ONE), leases.acquire(OTHER)] == [True, False]
    assert ledger.released == [ONE]


def test_what_was_marked_is_not_released() -> None:
    ledger = Ledger()
    with Leases(ledger) as leases:
        leases.acquire(ONE)
        leases.mark_sent(ONE, message_id="m1")
    assert ledger.released == []


def test_a_process_that_is_ended_makes_no_more_requests() -> None:
    def die(leases: Leases) -> None:
        leases.acquire(ONE)
        raise Killed

    ledger = Ledger()
    with pytest.raises(Killed), Leases(ledger) as leases:
        die(leases)
    assert ledger.released == []


def test_no_two_batches_have_the_same_owner() -> None:
    owners = set()

    class Noting(Ledger):
        def acquire(self, key: AlertKey, *, owner: str) -> bool:
            owners.add(owner)
            return True

    for _ in range(2):
        with Leases(Noting()) as leases:
            leases.acquire(ONE)
            leases.acquire(OTHER)
    assert len(owners) == 2
