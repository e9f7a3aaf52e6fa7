"""dispatch_polls and poll_orders as Lambda calls them: their handlers, with tables, queue and parameters in memory."""

import json
from collections.abc import Collection
from dataclasses import dataclass, field
from datetime import timedelta
from functools import partial
from types import SimpleNamespace
from typing import Any

import pytest
from botocore.exceptions import ClientError
from pydantic import SecretStr

import functions.dispatch_polls.app
import functions.poll_orders.app
from orderwatch.aws.parameters import ConnectionParameters, Credentials
from orderwatch.errors import NotConnectedError, PollsNotRequestedError, UnavailableError
from orderwatch.records import HealthState
from orderwatch.shop_settings import ShopSettings
from orderwatch.trackstar.client import Trackstar
from orderwatch_local.simulator import Request, Response, Shop, ShopTransport
from orderwatch_local.simulator.script import API_KEY
from tests.support.clocks import NOON
from tests.support.lambda_context import lambda_context, sqs_event
from tests.support.permissions import environment_of
from tests.support.world import MINUTE, World, kinds


@dataclass
class Parameters:
    """The Parameter Store of a world: every shop has a token."""

    world: World
    settings: ShopSettings = field(default_factory=ShopSettings)
    settings_flaw: str | None = None
    key: str = API_KEY
    cached_key: str = ""
    cached_token: str = ""
    forgotten: int = 0
    is_throttled: bool = False
    listings: list[timedelta] = field(default_factory=list)

    def connection_page(self, page_token: str | None) -> tuple[list[str], str | None]:
        self.listings.append(self.world.our_clock.now() - NOON)
        if self.is_throttled:
            raise ClientError({"Error": {"Code": "ThrottlingException", "Message": "x"}}, "DescribeParameters")
        return list(self.world.shops), None

    def connected(self, connection_ids: Collection[str]) -> list[str]:
        return [each for each in connection_ids if each in self.world.shops]

    def api_key(self) -> SecretStr:
        return SecretStr(self.cached_key or self.key)

    def credentials(self, connection_id: str) -> Credentials:
        return Credentials(self.api_key(), self.connection(connection_id).access_token)

    def rotated(self, connection_id: str, used: Credentials) -> Credentials | None:
        self.forget(connection_id)
        current = self.credentials(connection_id)
        return current if current != used else None

    def connection(self, connection_id: str) -> ConnectionParameters:
        if connection_id not in self.world.shops:
            raise NotConnectedError(f"/orderwatch/connections/{connection_id}/access-token")
        token = SecretStr(self.cached_token or self.world.shops[connection_id].access_token)
        return ConnectionParameters(token, "Alpine", self.settings, self.settings_flaw)

    def forget(self, connection_id: str | None = None) -> None:
        self.forgotten += 1
        self.cached_key = self.cached_token = ""


@dataclass
class Queue:
    """PollQueue: the polls that were requested, without those that it refuses."""

    requested: list[str] = field(default_factory=list)
    refuses: Collection[str] = ()
    restarts: list[bool] = field(default_factory=list)

    def request_polls(self, connection_ids: Collection[str], *, restart: bool = False) -> dict[str, str]:
        self.restarts += [restart]
        accepted = [each for each in connection_ids if each not in self.refuses]
        self.requested += accepted
        return {each: f"poll-of-{each}" for each in accepted}

    def request_poll(self, connection_id: str) -> str:
        return self.request_polls([connection_id])[connection_id]


class Functions:
    """Both functions over a world whose shop was read after its last sync.

    Attributes:
        latest: The alerts that the latest poll wrote.
    """

    def __init__(self, patch: pytest.MonkeyPatch) -> None:
        self.world = World()
        self.parameters, self.queue, self._patch = Parameters(self.world), Queue(), patch
        client = self.world.tables.client
        clients = SimpleNamespace(ssm=lambda **_: None, sqs=lambda: None, dynamodb=lambda: client, LIST_TRIES=1)
        for app in (functions.dispatch_polls.app, functions.poll_orders.app):
            patch.setattr(app, "clients", clients)
            patch.setattr(app, "Parameters", lambda *_: self.parameters)
            patch.setattr(app, "PollQueue", lambda *_: self.queue)
            patch.setattr(app, "Trackstar", partial(Trackstar, transport=ShopTransport(self.world.trackstar)))
        for function in ("DispatchPollsFunction", "PollOrdersFunction"):
            self.set(**environment_of(function))
        names = self.world.tables.names
        self.set(**{f"{name.removesuffix('Table').upper()}_TABLE_NAME": names[name] for name in names})
        self.world.place("1")
        self.poll()
        self.world.trackstar.requests.clear()

    def set(self, **variables: str) -> None:
        """Change the environment of the functions."""
        for name, value in variables.items():
            self._patch.setenv(name, value)

    def tick(self, after: timedelta = timedelta(0), **event: Any) -> list[str]:
        """Let time pass and run dispatch_polls; the shops whose polls it requested."""
        self.world.pass_time(after)
        answer = functions.dispatch_polls.app.handler(event, lambda_context())
        asked: list[str] = answer["connection_ids"]
        assert answer["poll_ids"] == {each: f"poll-of-{each}" for each in asked}
        return asked

    def add_shop(self, connection_id: str) -> None:
        """Store a token, as one `aws ssm put-parameter` does."""
        self.world.shops[connection_id] = Shop(connection_id, access_token="b", clock=self.world.vendor_clock)

    def disconnect(self, connection_id: str) -> None:
        self.world.tables.connections.unwatch(connection_id)

    def watched(self) -> list[str]:
        return list(self.world.tables.connections.registry().watched)

    def poll(self, *, seconds_left: float = 120.0, receive_count: int = 1) -> list[str]:
        """Let time pass and run poll_orders; the kinds of the alerts that it wrote."""
        self.world.pass_time(MINUTE)
        event = sqs_event(json.dumps({"connection_id": "conn_a"}))
        sent_at = int(self.world.our_clock.now().timestamp() * 1000)
        received = {"SentTimestamp": str(sent_at), "ApproximateReceiveCount": str(receive_count)}
        event["Records"][0]["attributes"] |= received
        answer = functions.poll_orders.app.handler(event, lambda_context(seconds_left=seconds_left))
        assert answer == {"batchItemFailures": []}
        self.latest = self.world.new_alerts()
        return kinds(self.latest)


@pytest.fixture
def running(monkeypatch: pytest.MonkeyPatch) -> Functions:
    return Functions(monkeypatch)


def refuse(_: Request) -> Response:
    return Response(503)


# dispatch_polls


def test_a_shop_is_polled_after_each_sync_and_every_15_minutes(running: Functions) -> None:
    assert running.tick() == []
    running.world.pass_time(MINUTE)
    running.world.shop.sync()
    assert running.tick() == running.queue.requested == ["conn_a"]
    running.poll()
    assert running.tick(14 * MINUTE) == []
    assert running.tick(MINUTE) == ["conn_a"]


def test_a_sync_that_ends_while_a_poll_reads_is_read_by_the_next_one(running: Functions) -> None:
    def sync() -> None:
        running.world.vendor_clock.advance(MINUTE)
        running.world.shop.sync()

    running.world.before_page(1, sync)
    running.poll()
    assert running.tick() == ["conn_a"]


def test_a_poll_that_an_operator_requests_is_always_queued(running: Functions) -> None:
    assert running.tick(connection_ids=["conn_a"]) == running.queue.requested == ["conn_a"]
    assert running.world.trackstar.requests == []
    running.tick(connection_ids=["conn_a"], restart=True)
    assert running.queue.restarts == [False, True]


@pytest.mark.parametrize("key", [API_KEY, "wrong"], ids=["Trackstar is down", "the API key is refused"])
def test_every_shop_is_polled_if_trackstar_cannot_be_listed(running: Functions, key: str) -> None:
    running.parameters.key = key
    running.world.trackstar.intercept = refuse if key == API_KEY else None
    assert running.tick() == [], "it was read just now"
    assert running.tick(5 * MINUTE) == ["conn_a"]
    assert running.parameters.forgotten == 2, "a rotated key is used at the next tick"


def test_a_broken_row_stops_no_other_shop(running: Functions) -> None:
    running.add_shop("conn_b")
    names, row = running.world.tables.names, {"connection_id": {"S": "conn_a"}, "cursor": {"S": "yesterday"}}
    put: Any = {"Put": {"TableName": names["ConnectionTable"], "Item": row, "ConditionExpression": "revision <= :max"}}
    put["Put"]["ExpressionAttributeValues"] = {":max": {"N": "9"}}
    running.world.tables.client.transact_write_items(TransactItems=[put])
    assert running.tick() == ["conn_a", "conn_b"]


def test_the_parameter_store_is_listed_every_15_minutes(running: Functions) -> None:
    for _ in range(46):
        running.tick(MINUTE)
    first, *later = running.parameters.listings
    assert [each - first for each in later] == [15 * MINUTE, 30 * MINUTE, 45 * MINUTE]


def test_a_throttled_parameter_store_stops_no_poll(running: Functions) -> None:
    running.parameters.is_throttled = True
    for _ in range(45):
        running.world.shop.sync()
        assert running.tick(MINUTE) == ["conn_a"]
    first, *later = running.parameters.listings
    assert [each - first for each in later] == [minutes * MINUTE for minutes in (1, 3, 7, 15, 30)]


def test_a_new_shop_is_polled_within_15_minutes(running: Functions) -> None:
    running.tick()
    running.add_shop("conn_b")
    asked = [running.tick(MINUTE) for _ in range(15)]
    assert asked[:14] == [[]] * 14
    assert asked[14] == ["conn_a", "conn_b"], "one is due after 15 minutes, the other is new"


def test_the_first_shop_of_a_stack_is_polled_within_a_minute(running: Functions) -> None:
    running.world.shops.clear()
    running.disconnect("conn_a")
    assert [running.tick(MINUTE) for _ in range(3)] == [[], [], []]
    running.add_shop("conn_b")
    assert running.tick(MINUTE) == ["conn_b"]


def test_a_new_shop_that_an_operator_polls_is_watched(running: Functions) -> None:
    running.tick()
    running.add_shop("conn_b")
    running.tick(connection_ids=["conn_b", "conn_without_token"])
    assert running.watched() == ["conn_a", "conn_b"]


def test_a_disconnected_shop_is_polled_no_more_and_continues_later(running: Functions) -> None:
    cursor = running.world.state().cursor
    running.tick()
    running.disconnect("conn_a")
    running.world.shop.sync()
    assert running.tick(14 * MINUTE) == []
    running.world.tables.connections.watch("conn_a")
    assert running.tick() == ["conn_a"]
    assert running.world.state().cursor == cursor


def test_a_poll_of_a_shop_without_a_token_ends_its_watch(
    running: Functions, capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    [shop] = running.world.shops.values()
    running.world.shops.clear()
    assert running.poll() == []
    assert running.watched() == []
    assert "PollsFailed" not in capsys.readouterr().out
    assert vars(caplog.records[-1])["outcome"] == "not connected"
    running.world.shops["conn_a"] = shop
    running.tick(connection_ids=["conn_a"])
    assert running.watched() == ["conn_a"]


def test_a_disconnection_stops_the_poll_that_is_running(running: Functions) -> None:
    running.world.place("2", status="exception")
    running.world.before_page(1, lambda: running.disconnect("conn_a"))
    assert running.poll() == []
    assert running.watched() == []


def test_polls_that_the_queue_refuses_fail_the_tick(running: Functions) -> None:
    running.queue.refuses = ["conn_b"]
    with pytest.raises(PollsNotRequestedError, match="conn_b"):
        running.tick(connection_ids=["conn_a", "conn_b"])
    assert running.queue.requested == ["conn_a"]


# poll_orders


def test_an_unfinished_poll_requests_the_next_one(running: Functions) -> None:
    running.poll(seconds_left=30.0)
    assert running.queue.requested == ["conn_a"]
    running.poll(seconds_left=31.0)
    assert running.queue.requested == ["conn_a"]


def throttle(running: Functions, seconds: float) -> None:
    tables: Any = running.world.tables.client
    tables.throttled_until = running.world.our_clock.monotonic() + MINUTE.total_seconds() + seconds


def test_a_poll_waits_for_a_throttled_table(running: Functions) -> None:
    running.world.place("2", status="exception")
    throttle(running, 60)
    assert running.poll() == ["order.exception"]
    assert running.queue.requested == []


def test_a_poll_that_stays_throttled_is_continued_and_not_failed(
    running: Functions, capsys: pytest.CaptureFixture[str]
) -> None:
    running.world.place("2", status="exception")
    throttle(running, 1000)
    capsys.readouterr()
    for polls in range(1, 5):
        began = running.world.our_clock.monotonic()
        assert running.poll() == []
        assert 109 <= running.world.our_clock.monotonic() - began - 60 < 114, "ten seconds are left"
        assert running.queue.requested == ["conn_a"] * polls
    assert "PollsFailed" not in capsys.readouterr().out
    throttle(running, -60)
    assert running.poll() == ["order.exception"]


def test_a_failed_poll_is_alerted_once_it_has_failed_for_long(running: Functions) -> None:
    running.world.on_orders(refuse)
    running.world.pass_time(30 * MINUTE)
    for receive_count in (1, 2):
        with pytest.raises(UnavailableError):
            running.poll(receive_count=receive_count)
        assert kinds(running.world.new_alerts()) == ["connection.poll_failing"] * (receive_count - 1)


def test_an_overtaken_poll_is_no_failure(running: Functions) -> None:
    def overtake() -> None:
        running.world.trackstar.intercept = None
        running.poll()

    running.world.before_page(1, overtake)
    assert running.poll() == []


def test_a_refused_token_is_read_again(running: Functions, caplog: pytest.LogCaptureFixture) -> None:
    running.parameters.key = "wrong"
    assert running.poll() == []
    caplog.clear()
    assert running.poll() == ["connection.unauthorized"]
    assert running.parameters.forgotten == 2
    logged = [vars(each)["alert_ids"] for each in caplog.records if each.message == "alerts written"]
    assert list(map(sorted, logged)) == [sorted(alert.alert_id for alert in running.latest)]


@pytest.mark.parametrize("cached", ["cached_key", "cached_token"])
def test_a_rotated_secret_is_used_at_once_and_alerts_nobody(running: Functions, cached: str) -> None:
    for order_id in ("2", "3"):  # of two processes, one after the other
        setattr(running.parameters, cached, "from before the rotation")
        running.world.place(order_id, status="exception")
        assert running.poll() == ["order.exception"]
        health = running.world.state().health
        assert health
        assert (health.state, health.suspected) == (HealthState.HEALTHY, None)


@pytest.mark.parametrize(
    ("settings", "flaw", "zone"),
    [
        (ShopSettings(), None, "UTC"),
        (ShopSettings(time_zone="Asia/Tokyo"), None, "Asia/Tokyo"),
        (ShopSettings(), "time_zone: no time zone", "UTC"),
    ],
    ids=["none", "its own", "invalid"],
)
def test_an_alert_has_the_shops_name_and_time_zone_else_the_stacks(
    running: Functions, settings: ShopSettings, flaw: str | None, zone: str
) -> None:
    running.parameters.settings, running.parameters.settings_flaw = settings, flaw
    running.world.place("2", status="exception")
    running.world.pass_time(MINUTE)
    running.poll()
    alerts = {alert.kind: alert for alert in running.world.tables.all_alerts()}
    connection = alerts["order.exception"].connection
    assert (connection.time_zone, connection.name) == (zone, "Alpine")
    assert ("settings.refused" in alerts) is (flaw is not None)


def test_a_poll_requests_the_sync_that_the_next_one_reads(running: Functions) -> None:
    running.set(SYNC_MINUTES="5")
    running.world.shop.place({"id": "2", "status": "exception", "line_items": []})
    assert running.tick(3 * MINUTE) == []
    assert running.tick(MINUTE) == ["conn_a"]
    assert running.poll() == [], "the data of the sync is not visible yet"
    assert [each.path for each in running.world.trackstar.requests if each.method == "POST"] == ["/connections/sync"]
    assert running.tick() == ["conn_a"]
    assert running.poll() == ["order.exception"]


def test_a_poll_logs_its_counts_and_sends_those_with_alarms(
    running: Functions, capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    running.world.place("2", status="exception")
    running.world.place("3", status="cancelled")
    running.world.shop.garble("1", {"status": None})
    running.world.shop.sync()
    capsys.readouterr()
    caplog.clear()
    running.poll()
    logged = [vars(record) for record in caplog.records]
    [ended] = [record for record in logged if record["message"] == "poll ended"]
    assert {name: value for name, value in ended.items() if name[0].isupper()} == {
        "PollsFinished": 1,
        "OrdersQuarantined": 1,
        "ValuesUnreadable": 0,
        "FoundBySweep": 0,
        "PagesRead": 1,
        "OrdersRead": 2,
        "OrdersStale": 0,
        "OrdersSuppressed": 0,
        "OrdersWritten": 2,
        "AlertsWritten": 2,
        "OrdersRemaining": 0,
        "OrdersInConflict": 0,
        "SyncAge": 60.0,
    }
    assert ended["outcome"] == "finished"
    metrics = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert {name: each[name] for each in metrics for name in each if name[0].isupper()} == {
        "PollsFinished": [1.0],
        "OrdersQuarantined": [1.0],
        "Transitions": [1.0],
    }
    assert {each["kind"] for each in metrics if "Transitions" in each} == {"order.exception", "order.cancelled"}
    written = {alert_id for record in logged for alert_id in record.get("alert_ids", ())}
    assert written == {alert.alert_id for alert in running.latest}


def test_an_alert_in_quiet_hours_waits_unless_it_is_critical(running: Functions) -> None:
    running.parameters.settings = ShopSettings(quiet_hours="20:00-22:00", time_zone="Asia/Tokyo")  # 11:00 to 13:00 UTC
    running.world.place("2")
    running.world.move("1", "backordered")
    running.world.move("2", "exception")
    assert sorted(running.poll()) == ["order.backordered", "order.exception"]
    rows = running.world.tables.rows("AlertTable")
    held = {row["kind"]["S"]: row["deliver_after"]["S"] for row in rows if "deliver_after" in row}
    assert held == {"order.backordered": (NOON + 60 * MINUTE).isoformat()}
