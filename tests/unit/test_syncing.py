"""Sync requests to Trackstar: between its scheduled syncs, once per interval, without affecting polls."""

from datetime import timedelta
from typing import Any

import pytest

from orderwatch.alerts.alert import Alert
from orderwatch.alerts.kinds import Recipients
from orderwatch.alerts.parts import AlertConnection
from orderwatch.errors import PollSupersededError
from orderwatch.polling.sync import request_sync
from orderwatch_local.simulator import Request, Response
from tests.support.world import MINUTE, World

EVERY, SECOND, DAY = 5 * MINUTE, timedelta(seconds=1), timedelta(days=1)


@pytest.fixture
def world() -> World:
    """A shop that was synced and read just now."""
    return World().started("1")


def poll_and_ask(world: World, *, after: timedelta = EVERY) -> list[Alert]:
    """A poll, then the sync request, as in poll_orders; the alerts of both."""
    world.pass_time(after)
    shop, store = AlertConnection(id="conn_a"), world.tables.store
    request_sync(shop, vendor=world.client(), store=store, metrics=world.poll(), sync_every=EVERY)
    return world.new_alerts()


def asked(world: World) -> list[int]:
    """The answer to each request for a sync."""
    return [each.status for each in world.trackstar.requests if each.method == "POST"]


def refuse_syncs(world: World, status: int) -> None:
    def answer(request: Request) -> Response | None:
        return Response(status, (), b'{"error": "no"}') if request.method == "POST" else None

    world.trackstar.intercept = answer


def test_an_old_sync_is_renewed_and_the_next_poll_alerts(world: World) -> None:
    world.shop.move("1", "exception")
    assert poll_and_ask(world, after=EVERY - SECOND) == []
    assert asked(world) == []
    assert poll_and_ask(world, after=SECOND) == []
    assert asked(world) == [200]
    assert [alert.kind for alert in poll_and_ask(world, after=MINUTE)] == ["order.exception"]


def test_no_second_sync_is_requested_within_the_interval(world: World) -> None:
    refuse_syncs(world, 202)
    for after, count in ((EVERY, 1), (EVERY - SECOND, 1), (SECOND, 2)):
        poll_and_ask(world, after=after)
        assert len(asked(world)) == count


@pytest.mark.parametrize("quirk", [{"is_syncing": True}, {"reports_syncs": False}])
def test_no_sync_is_requested_during_one_or_without_its_time(world: World, quirk: dict[str, bool]) -> None:
    for name, value in quirk.items():
        setattr(world.shop.quirks, name, value)
    poll_and_ask(world)
    assert asked(world) == []


@pytest.mark.parametrize("status", [403, 422, 501])
def test_a_refused_sync_is_alerted_once_and_not_repeated_for_a_day(
    world: World, status: int, caplog: pytest.LogCaptureFixture
) -> None:
    refuse_syncs(world, status)
    [notice] = poll_and_ask(world)
    assert [vars(each)["alert_ids"] for each in caplog.records if each.message == "alerts written"] == [
        [notice.alert_id]
    ]
    assert (notice.kind, notice.recipients) == ("sync.refused", Recipients.OPERATORS)
    assert str(status) in (notice.detail or "")
    world.shop.sync()
    assert poll_and_ask(world) == []
    assert asked(world) == [status]
    world.pass_time(DAY)
    world.shop.sync()
    assert "sync.refused" not in [alert.kind for alert in poll_and_ask(world)]
    assert asked(world) == [status, status]


def test_a_failed_sync_request_is_repeated_by_a_later_poll(world: World) -> None:
    refuse_syncs(world, 503)
    assert poll_and_ask(world) == []
    world.trackstar.intercept = None
    poll_and_ask(world)
    assert asked(world) == [503, 200]


class KilledError(BaseException):
    """The process was killed."""


def test_a_process_killed_at_the_request_does_not_repeat_it(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    def kill(_: object) -> None:
        raise KilledError

    with monkeypatch.context() as patch:
        patch.setattr("orderwatch.trackstar.client.ConnectionClient.start_sync", kill)
        with pytest.raises(KilledError):
            poll_and_ask(world)
    poll_and_ask(world, after=EVERY - SECOND)
    assert asked(world) == []


def test_an_overtaken_poll_requests_no_sync_and_fails_nothing(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    def overtaken(*_: object, **__: Any) -> None:
        raise PollSupersededError

    world.pass_time(EVERY)
    metrics = world.poll()
    store = world.tables.store
    monkeypatch.setattr(store, "commit", overtaken)
    request_sync(AlertConnection(id="conn_a"), vendor=world.client(), store=store, metrics=metrics, sync_every=EVERY)
    assert asked(world) == []
