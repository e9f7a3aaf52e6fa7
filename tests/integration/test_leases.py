"""A sender releases its leases: errors of SNS and DynamoDB between lease and mark."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

import pytest
from botocore.exceptions import ClientError, ConnectionClosedError, EndpointConnectionError, ReadTimeoutError
from botocore.parsers import ResponseParserError

from orderwatch import clock as process_clock
from orderwatch.alerts.alert import Alert, AlertKey
from orderwatch.aws.alert_table import LEASE_DURATION
from orderwatch.publishing.leases import Leases
from orderwatch.publishing.publish import PublishMetrics
from orderwatch.records import ConnectionState
from tests.support.alerts import SEEN_AT, first_sight
from tests.support.clocks import ManualClock
from tests.support.cloud import Tables
from tests.support.crashing import Killed
from tests.support.memory_dynamodb import MemoryDynamoDB
from tests.support.recording_sns import RecordingSns
from tests.support.sending import send

URL = "https://sns.invalid"


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
    """Three alerts of one connection, and a sender."""

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
        ResponseParserError("a response that is not XML"),
        KeyError("MessageId"),
    ],
    ids=lambda error: type(error).__name__,
)
def test_alerts_of_a_failed_send_can_be_sent_again_at_once(desk: Desk, error: Exception) -> None:
    desk.sns.breaks = [error]
    summary = desk.publish()
    assert (summary.sent, summary.unsent_keys) == (0, desk.keys)
    assert desk.publish().sent == 3


def test_a_lease_whose_response_was_lost_is_kept(desk: Desk) -> None:
    desk.dynamodb.repeats = True
    assert desk.publish().sent == 3
    assert len(desk.sns.sent_ids()) == 3


@pytest.mark.parametrize("is_written", [False, True])
def test_a_failed_lease_is_released(desk: Desk, is_written: bool) -> None:
    desk.dynamodb.fails, desk.dynamodb.is_written = ("SET leased_until", desk.keys[1].alert_id), is_written
    with pytest.raises(ClientError):
        desk.publish()
    desk.dynamodb.fails = None
    assert desk.publish().sent == 3


def test_a_failed_release_delays_only_its_own_alert(desk: Desk) -> None:
    desk.sns.is_down = True
    desk.dynamodb.fails = ("REMOVE leased_until", desk.keys[0].alert_id)
    assert desk.publish().unsent_keys == desk.keys

    desk.sns.is_down, desk.dynamodb.fails = False, None
    assert desk.publish().sent == 2
    desk.clock.advance(LEASE_DURATION)
    assert desk.publish().sent == 1


def test_a_failed_mark_is_reported_and_affects_only_its_own_alert(desk: Desk) -> None:
    desk.dynamodb.fails = ("SET #state", desk.keys[0].alert_id)
    summary = desk.publish()
    assert (summary.sent, summary.unsent_keys) == (2, desk.keys[:1])

    desk.dynamodb.fails = None
    assert desk.publish().unsent_keys == desk.keys[:1]
    desk.clock.advance(LEASE_DURATION)
    assert desk.publish().sent == 1


def test_a_bug_leaves_no_lease_behind(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    def explode(*arguments: object, **options: object) -> None:
        raise RuntimeError("a bug")

    with monkeypatch.context() as patch:
        patch.setattr("orderwatch.publishing.publish.group", explode)
        with pytest.raises(RuntimeError):
            desk.publish()
    assert desk.publish().sent == 3


def test_only_the_owner_releases_a_lease(desk: Desk) -> None:
    key = desk.keys[0]
    assert desk.tables.alerts.acquire(key, owner="one")
    desk.tables.alerts.release(key, owner="another")
    assert not desk.tables.alerts.acquire(key, owner="another")
    desk.tables.alerts.release(key, owner="one")
    assert desk.tables.alerts.acquire(key, owner="another")


class Ledger:
    """An outbox where another sender has leases; records what is released."""

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
        """Succeeds."""

    def put(self, alert: Alert) -> bool:
        raise NotImplementedError

    def alerts_since(self, connection_id: str, moment: datetime) -> list[Alert]:
        raise NotImplementedError


ONE, OTHER = AlertKey("conn_a", "1"), AlertKey("conn_a", "2")


def test_a_sender_releases_only_its_own_leases() -> None:
    ledger = Ledger(OTHER)
    with Leases(ledger) as leases:
        assert [leases.acquire(ONE), leases.acquire(OTHER)] == [True, False]
    assert ledger.released == [ONE]


def test_a_marked_alert_is_not_released() -> None:
    ledger = Ledger()
    with Leases(ledger) as leases:
        leases.acquire(ONE)
        leases.mark_sent(ONE, message_id="m1")
    assert ledger.released == []


def test_a_process_that_is_being_ended_makes_no_requests() -> None:
    def die(leases: Leases) -> None:
        leases.acquire(ONE)
        raise Killed

    ledger = Ledger()
    with pytest.raises(Killed), Leases(ledger) as leases:
        die(leases)
    assert ledger.released == []


def test_every_batch_has_its_own_owner() -> None:
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
