"""Poll after poll against a simulated shop: each rule of reading, and faults that could break it."""

import json
from collections.abc import Callable, Collection, Mapping
from contextlib import nullcontext
from dataclasses import replace
from datetime import timedelta
from itertools import pairwise
from typing import Any

import pytest

from orderwatch.alerts.alert import Alert
from orderwatch.alerts.kinds import Recipients
from orderwatch.alerts.parts import AlertConnection
from orderwatch.alerts.summary import ALL_SHOPS
from orderwatch.errors import NoProgressError, PagingError, PollSupersededError, UnavailableError
from orderwatch.polling.detect import Observation, OrderWrite, detect
from orderwatch.polling.metrics import Outcome, PollMetrics
from orderwatch.polling.poll import alert_poll_failing
from orderwatch.reading.policy import Policy
from orderwatch.reading.window import WindowKind
from orderwatch.records import HealthState, StoredOrder
from orderwatch.rendering import next_steps
from orderwatch.trackstar.orders import Order
from orderwatch_local.simulator import Request, Response, Shop, TrackstarDates, invalid_credentials, json_response
from tests.support.clocks import NOON
from tests.support.polls import WATCHED, poll
from tests.support.world import MINUTE, TICK, World, kinds, order_kinds

HOUR, DAY = timedelta(hours=1), timedelta(days=1)


@pytest.fixture
def world() -> World:
    return World()


@pytest.fixture
def pages_of_two(monkeypatch: pytest.MonkeyPatch) -> None:
    """The vendor's pages hold a thousand; here two make a page."""
    monkeypatch.setattr("orderwatch.trackstar.client.PAGE_SIZE", 2)


def time_for(pages: int) -> Callable[[], bool]:
    """The time of a poll, which ends after this many pages."""
    left = iter([True] * pages)
    return lambda: next(left, False)


def order_changes(alerts: list[Alert]) -> list[tuple[str, str, str | None]]:
    return [(alert.order.id, alert.kind, alert.order.previous_status) for alert in alerts if alert.order]


def details(alerts: list[Alert]) -> list[str | None]:
    return [alert.detail for alert in alerts]


# The baseline (rule 8)


@pytest.mark.usefixtures("pages_of_two")
def test_the_baseline_records_every_order_and_sends_one_message(world: World) -> None:
    world.place("1", "2", "3")
    world.place("4", "5", status="exception")
    world.place("6", status="cancelled")
    summary = world.poll()
    [alert] = world.new_alerts()
    assert alert.kind == "watch.started"
    assert alert.detail == "Now watching 6 orders (2 in exception)."
    assert alert.backlog
    assert ({each.id for each in alert.backlog.orders}, alert.backlog.more_orders) == ({"4", "5"}, 0)
    assert (summary.outcome, summary.pages, summary.remaining) == (Outcome.FINISHED, 3, 0)
    assert (summary.written, summary.alerts) == (6, 0)
    assert world.state().cursor.position == NOON


@pytest.mark.usefixtures("pages_of_two")
def test_a_change_during_the_baseline_is_a_transition(world: World) -> None:
    world.place("1", "2")
    world.pass_time(HOUR)
    world.place("3", "4")
    world.pass_time(HOUR)

    def change() -> None:
        world.vendor_clock.advance(MINUTE)
        world.move("1", "exception")

    world.before_page(2, change)
    world.poll()
    world.trackstar.intercept = None
    alerts = world.new_alerts() + world.next_poll()
    assert kinds(alerts).count("watch.started") == 1
    assert order_changes(alerts) == [("1", "order.exception", "open")]


def test_a_capped_baseline_records_older_orders_without_an_alert() -> None:
    world = World(policy=replace(WATCHED, baseline_days=30))
    world.place("old")
    world.pass_time(40 * DAY)
    world.place("recent")
    world.poll()
    text = "Now watching 1 order, none in a watched status."
    assert details(world.new_alerts()) == [text]

    world.move("old", "exception")
    world.move("recent", "exception")
    world.pass_time()
    assert world.poll().suppressed == 1
    assert order_changes(world.new_alerts()) == [("recent", "order.exception", "open")]
    assert world.stored("old").status == "exception"
    world.pass_time()
    world.place("younger", status="exception")
    assert order_changes(world.next_poll()) == [("younger", "order.exception", None)]


# Windows and pages (rules 4 to 7)


@pytest.mark.usefixtures("pages_of_two")
def test_both_bounds_and_every_filter_go_with_every_page(world: World) -> None:
    world.started("known").pass_time(HOUR)
    world.place("1", "2", "3", "4", "5")
    world.pass_time()
    del world.trackstar.requests[:]
    world.poll()
    queries = world.queries()
    filters = {
        "limit": "2",
        "trackstar_updated_date[gte]": "2026-01-05T11:50:00Z",
        "trackstar_updated_date[lte]": "2026-01-05T13:05:00Z",
    }
    assert [{k: v for k, v in query.items() if k != "page_token"} for query in queries] == [filters] * 3
    assert ["page_token" in query for query in queries] == [False, True, True]


def test_a_refused_filter_falls_back_to_the_shops_date_for_a_day(world: World) -> None:
    world.started("known").shop.quirks.refused_filters = {"trackstar_updated_date"}
    world.place("1", status="exception")
    assert kinds(world.next_poll()) == ["order.exception"]
    assert world.queries()[-1]["updated_date[gte]"] == "2026-01-05T10:00:00Z", "two syncs before the position"
    world.shop.quirks.refused_filters = set()
    world.next_poll()
    assert sorted(world.queries()[-1]) == ["limit", "updated_date[gte]", "updated_date[lte]"]

    world.shop.place({"id": "late", "status": "exception"})
    assert "order.exception" in kinds(world.next_poll(after=DAY, sync=True))
    world.next_poll()
    assert world.queries()[-1]["trackstar_updated_date[gte]"] == "2026-01-05T11:50:00Z", "where it fell back"


@pytest.mark.parametrize("status", [422, 503])
def test_an_unreadable_page_keeps_the_cursor(world: World, status: int) -> None:
    world.started("known").place("1", status="exception")
    world.pass_time()
    before = world.state()
    world.on_orders(lambda _: Response(status, body=b'{"error": "no"}'))
    with pytest.raises(Exception, match=str(status)):
        world.poll()
    assert world.state() == before
    world.trackstar.intercept = None
    assert kinds(world.next_poll()) == ["order.exception"]


@pytest.mark.usefixtures("pages_of_two")
def test_a_poll_out_of_time_is_continued_at_its_next_page(world: World) -> None:
    world.place("1", "2", "3", "4", "5")
    first = world.poll(has_time=time_for(2))
    assert (first.outcome, first.remaining, world.new_alerts()) == (Outcome.UNFINISHED, 1, [])
    progress = world.state().cursor.progress
    assert progress
    assert (progress.window.kind, progress.read_count) == (WindowKind.BASELINE, 4)

    world.pass_time()
    summary = world.poll()

    assert (summary.outcome, summary.pages, summary.orders) == (Outcome.FINISHED, 1, 1)
    text = "Now watching 5 orders, none in a watched status."
    assert details(world.new_alerts()) == [text]
    assert world.state().cursor.position == NOON  # changes since the first page belong to the next window


@pytest.mark.usefixtures("pages_of_two")
def test_an_expired_page_token_restarts_the_window(world: World) -> None:
    world.started().place("1", "2", "3", status="exception")
    world.pass_time()
    world.poll(has_time=time_for(1))
    world.pass_time(2 * HOUR)
    world.shop.errors = [invalid_credentials()]
    assert world.poll(has_time=time_for(1)).outcome is Outcome.UNFINISHED, "the time was for the expired token"
    progress = world.state().cursor.progress
    assert progress
    assert (progress.page_token, progress.attempt) == (None, 2)
    assert kinds(world.new_alerts()) == ["order.exception", "order.exception", "connection.blocked"]

    summary = world.poll()
    assert (summary.outcome, summary.pages) == (Outcome.FINISHED, 2)
    assert order_kinds(world.new_alerts()) == [("3", "order.exception")]


def test_a_poll_without_time_for_a_page_opens_its_window(world: World) -> None:
    world.started("1").pass_time()
    summary = world.poll(has_time=time_for(0))
    assert (summary.outcome, summary.pages, summary.remaining) == (Outcome.UNFINISHED, 0, 0)
    assert world.state().cursor.progress


def test_a_poll_that_gets_no_further_fails(world: World) -> None:
    world.started("1").pass_time()
    world.poll(has_time=time_for(0))
    with pytest.raises(NoProgressError, match="no further than 0 orders"):
        world.poll(has_time=time_for(0))
    assert world.poll().outcome is Outcome.FINISHED


REFUSALS = [(422, "Invalid cursor"), (400, "Bad request"), (404, "Not found"), (410, "Gone")]


def refuse_tokens(world: World, status: int, error: str) -> None:
    refusal = Response(status, body=json.dumps({"error": error, "origin": "trackstar"}).encode())
    world.on_orders(lambda request: refusal if "page_token" in dict(request.query) else None)


@pytest.mark.usefixtures("pages_of_two")
@pytest.mark.parametrize(("status", "error"), REFUSALS)
def test_a_list_whose_page_tokens_are_all_refused_fails_the_poll(world: World, status: int, error: str) -> None:
    world.place("1", "2", "3")
    refuse_tokens(world, status, error)
    for attempts in (3, 1):  # a later poll tries once more
        before = len(world.queries())
        with pytest.raises(PagingError, match="refused or repeat in 3 attempts"):
            world.poll()
        assert len(world.queries()) - before == 2 * attempts
        world.pass_time()
    world.trackstar.intercept = None
    assert world.poll().outcome is Outcome.FINISHED
    assert world.stored("3").status == "open"


@pytest.mark.usefixtures("pages_of_two")
@pytest.mark.parametrize(("status", "error"), REFUSALS)
def test_a_saved_page_token_that_is_refused_costs_one_restart(world: World, status: int, error: str) -> None:
    world.started().place("1", "2", "3", status="exception")
    world.pass_time()
    world.poll(has_time=time_for(1))
    refusal = Response(status, body=json.dumps({"error": error}).encode())
    refusals = iter([refusal])
    world.on_orders(lambda request: next(refusals, None) if "page_token" in dict(request.query) else None)
    assert world.poll().outcome is Outcome.FINISHED
    assert sorted(order_kinds(world.new_alerts())) == [(each, "order.exception") for each in "123"]


@pytest.mark.usefixtures("pages_of_two")
def test_a_poll_restarted_by_hand_begins_at_the_first_page(world: World) -> None:
    world.started("1", "2", "3").pass_time()
    world.poll(has_time=time_for(1))
    assert world.poll(restart=True).pages == 2


def test_large_pages_shrink_and_one_large_order_is_quarantined(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("orderwatch.trackstar.http.MAX_BODY", 5_000)
    monkeypatch.setattr("orderwatch.reading.window.ROOMY", 2_000)
    world.place(*"12345678", additional_fields={"note": "x" * 1_000})
    world.place("large", additional_fields={"note": "x" * 10_000})
    world.place("m", "n", "o", "p", "q")
    summary = world.poll()
    assert (summary.outcome, summary.orders, summary.quarantined) == (Outcome.FINISHED, 13, 1)
    [quarantined, started] = world.new_alerts()
    assert quarantined.detail
    assert "large (record is too large)" in quarantined.detail
    assert started.detail
    assert started.detail.startswith("Now watching 14 orders")
    limits = [int(query["limit"]) for query in world.queries()]
    assert limits[:3] == [1000, 500, 250]
    assert any(one == 1 < two for one, two in pairwise(limits)), "pages grow again"


class KilledError(BaseException):
    """The process was killed."""


@pytest.mark.usefixtures("pages_of_two")
@pytest.mark.parametrize("page", [1, 2, 3])
def test_a_poll_killed_on_a_page_loses_only_that_page(world: World, page: int) -> None:
    world.started(*"12345").our_clock.advance(MINUTE)  # changes keep their place, since the vendor's clock stops
    for order_id in "12345":
        world.move(order_id, "exception")

    def kill() -> None:
        raise KilledError

    world.before_page(page, kill)
    with pytest.raises(KilledError):
        world.poll()
    world.trackstar.intercept = None
    assert len(world.new_alerts()) == 2 * (page - 1), "every page before it is written, with its alerts"
    progress = world.state().cursor.progress
    assert (progress.read_count if progress else 0) == 2 * (page - 1)

    rest = world.poll()

    assert rest.pages == 3 - (page - 1), "the next poll continues at the lost page"
    assert len(world.new_alerts()) == 5 - 2 * (page - 1)


@pytest.mark.usefixtures("pages_of_two")
def test_a_window_with_fewer_orders_than_expected_is_read_again(world: World) -> None:
    world.started()
    for order_id in "abcd":
        world.place(order_id, status="exception")
        world.pass_time(MINUTE)

    # `a` moves past the window's end, so `c` moves up to the page that was already read.
    def drift() -> None:
        world.vendor_clock.advance(HOUR)
        world.move("a", "cancelled")

    world.before_page(2, drift)
    assert world.poll().pages > 2
    assert {order_id for order_id, _ in order_kinds(world.new_alerts())} == {"a", "b", "c", "d"}


@pytest.mark.parametrize("status", ["exception", "cancelled"])
def test_the_daily_sweep_finds_and_counts_missed_orders(world: World, status: str) -> None:
    world.started("known").shop.quirks.trackstar_dates = TrackstarDates.NULL  # no window matches it without a date
    world.place("hidden", status=status)
    assert world.next_poll() == []
    world.pass_time(DAY)
    summary = world.poll()
    assert order_changes(world.new_alerts()) == [("hidden", f"order.{status}", None)]
    assert (summary.found_by_sweep, summary.alerts, summary.transitions) == (1, 1, {f"order.{status}": 1})
    waiting, final = world.queries()[-2:]
    assert (waiting["status[in]"], final["status[in]"]) == ("backordered,exception", "cancelled")
    assert "updated_date[gte]" not in waiting
    assert final["updated_date[gte]"] == "2025-12-29T12:00:00Z", "a week before the last one"
    assert world.next_poll() == []


# Ticks (rule 14)


def test_a_poll_message_older_than_the_last_reading_is_skipped(world: World) -> None:
    requested_at = world.our_clock.now()
    world.pass_time()
    world.started()
    asked = len(world.trackstar.requests)
    summary = world.poll(requested_at=requested_at)
    assert (summary.outcome, summary.remaining, summary.is_syncing) == (Outcome.ALREADY_READ, 0, False)
    assert world.poll(requested_at=requested_at + TICK).outcome is Outcome.ALREADY_READ
    assert len(world.trackstar.requests) == asked
    assert world.poll(requested_at=requested_at + 2 * TICK).outcome is Outcome.FINISHED


@pytest.mark.usefixtures("pages_of_two")
def test_an_old_poll_message_continues_an_unfinished_poll(world: World) -> None:
    world.started("1", "2", "3").pass_time()
    world.poll(has_time=time_for(1))
    assert world.poll(requested_at=NOON - HOUR).outcome is Outcome.FINISHED


def test_an_overtaken_poll_ends_without_loss_or_duplicates(world: World) -> None:
    world.started().place("1", status="exception")
    world.pass_time()
    overtaken: list[PollMetrics] = []

    def once() -> None:
        world.trackstar.intercept = None
        overtaken.append(world.poll())

    world.before_page(1, once)
    with pytest.raises(PollSupersededError):
        world.poll()
    assert len(overtaken) == 1
    assert kinds(world.new_alerts()) == ["order.exception"]
    assert world.next_poll() == []


class Overtaken:
    """The real store; another poll changes an order between each of the first reads and its write."""

    def __init__(self, world: World, moves: list[Order]) -> None:
        self._world, self._moves, self._store = world, moves, world.tables.store
        self.load, self.commit, self.due_orders = self._store.load, self._store.commit, self._store.due_orders
        self.needing_attention = self._store.needing_attention

    def stored_orders(self, connection_id: str, order_ids: Collection[str]) -> Mapping[str, StoredOrder]:
        rows = self._store.stored_orders(connection_id, order_ids)
        if self._moves:
            observed = Observation(AlertConnection(id="conn_a"), NOON + DAY, WindowKind.BASELINE, None, None)
            move = detect(self._moves.pop(0), rows["1"], observation=observed, policy=Policy(statuses=()))
            assert isinstance(move, OrderWrite)
            action: Any = self._world.tables.orders.write_action(connection_id, move)
            self._world.tables.client.transact_write_items(TransactItems=[action])
        return rows


def theirs(world: World, status: str, minutes: int) -> Order:
    return Order(id="1", status=status, trackstar_updated_date=world.vendor_clock.now() + minutes * MINUTE)


@pytest.mark.parametrize(
    ("status", "minutes", "expected", "stale"),
    [
        ("cancelled", 1, [], 1),  # theirs is newer: ours is stale
        ("processing", -1, [("1", "order.exception", "processing")], 0),  # ours is newer: alerts from theirs
    ],
)
def test_an_order_that_another_poll_wrote_is_decided_again(
    world: World, status: str, minutes: int, expected: list[tuple[str, str, str | None]], stale: int
) -> None:
    world.started("1", "2").pass_time()
    world.move("1", "exception")
    world.move("2", "exception")
    summary = poll(world.client(), Overtaken(world, [theirs(world, status, minutes)]), "conn_a")
    assert (summary.conflicts, summary.stale, summary.written) == (1, stale, 2)
    assert sorted(order_changes(world.new_alerts())) == sorted([*expected, ("2", "order.exception", "open")])


@pytest.mark.parametrize(("times", "is_given_up"), [(4, False), (5, True)])
def test_a_poll_that_loses_an_order_five_times_gives_up(world: World, times: int, is_given_up: bool) -> None:
    world.started("1", "2").pass_time()
    world.move("1", "exception")
    moves = [theirs(world, f"status {number}", number - 4) for number in range(times)]
    if is_given_up:
        with pytest.raises(PollSupersededError, match="keeps changing"):
            poll(world.client(), Overtaken(world, moves), "conn_a")
    else:
        assert poll(world.client(), Overtaken(world, moves), "conn_a").conflicts == 4


# Changes of an order


def test_every_problem_and_its_end_are_alerted_whatever_the_dates(world: World) -> None:
    world.shop.quirks.trackstar_dates = TrackstarDates.NULL
    world.started("1")
    alerts = []
    for status in ("exception", "cancelled", "cancelled", "processing", "fulfilled", "exception"):
        world.shop.move("1", status)
        world.shop.garble("1", {"updated_date": "2026-01-05T12:00:00Z"})
        alerts += world.next_poll(sync=True)
    assert order_changes(alerts) == [
        ("1", "order.exception", "open"),
        ("1", "order.cancelled", "exception"),
        ("1", "order.recovered", "cancelled"),
        ("1", "order.exception", "fulfilled"),
    ]
    assert len({alert.alert_id for alert in alerts}) == 4


def test_a_malformed_record_is_quarantined_alone(world: World) -> None:
    world.started("1", "2", "3").shop.garble("2", {"status": None, "order_number": "Jane Doe"})
    for order_id in "123":
        world.shop.move(order_id, "exception")
    world.shop.sync()
    world.pass_time()
    summary = world.poll()
    assert (summary.quarantined, summary.orders, summary.outcome) == (1, 2, Outcome.FINISHED)
    alerts = world.new_alerts()
    assert [order_id for order_id, _ in order_kinds(alerts)] == ["1", "3"]
    assert kinds(alerts).count("orders.quarantined") == 1
    assert world.stored("2").status == "open"

    world.shop.heal("2")
    assert order_kinds(world.next_poll(sync=True)) == [("2", "order.exception")]


def test_a_ship_by_that_cannot_be_read_is_reported_once(world: World) -> None:
    world.started("1", "2").place("3", latest_ship_date="0001-01-01T00:00:00Z")
    for order_id in "12":
        world.shop.move(order_id, "processing")
        world.shop.garble(order_id, {"latest_ship_date": "03/05/2026"})
    world.shop.sync()
    world.pass_time()
    assert world.poll().unreadable == 2
    [alert] = world.new_alerts()
    assert (alert.kind, alert.recipients) == ("orders.unreadable_values", Recipients.OPERATORS)
    assert alert.detail
    assert "latest_ship_date (2, first in " in alert.detail
    assert world.next_poll(sync=True) == []


# The connection (rule 10)


@pytest.mark.parametrize(
    "wrong",
    [{"access_token": "wrong"}, {"api_key": "wrong"}, {"access_token": "t\u00f8ken"}, {}],
    ids=["token", "API key", "a token unfit for a header", "disabled"],
)
def test_a_refused_secret_is_alerted_once_and_so_is_its_end(world: World, wrong: dict[str, Any]) -> None:
    world.started("1")
    before = world.state().cursor.position, world.tables.rows("OrderTable")
    world.move("1", "exception")
    world.shop.quirks.disabled = not wrong

    assert world.next_poll(**wrong) == [], "once, it may be a proxy"
    assert kinds(world.next_poll(**wrong)) == ["connection.unauthorized"]
    assert world.next_poll(**wrong) == []
    world.pass_time()
    assert world.poll(**wrong).outcome is Outcome.UNAUTHORIZED
    assert (world.state().cursor.position, world.tables.rows("OrderTable")) == before

    world.shop.quirks.disabled = False
    assert kinds(world.next_poll()) == ["order.exception"]
    assert kinds(world.next_poll()) == ["connection.recovered"]
    assert world.next_poll() == []


def test_a_block_is_alerted_by_a_poll_that_is_refused_too(world: World) -> None:
    world.started("1").shop.errors = [invalid_credentials()]
    world.shop.quirks.disabled = True
    assert [kinds(world.next_poll()) for _ in range(2)] == [["connection.blocked"], ["connection.unauthorized"]]


def about(alerts: list[Alert]) -> list[tuple[str, str]]:
    """The connection and the kind of each alert to everybody."""
    return [(each.connection_id, each.kind) for each in alerts if each.recipients is Recipients.EVERYBODY]


@pytest.mark.parametrize(
    ("key", "token", "connection_id", "step"),
    [
        (401, 401, ALL_SHOPS, "orderwatch connect-trackstar"),
        (200, 401, "conn_a", "access token, run: orderwatch connect conn_a"),
        (404, 401, "conn_a", "access token, run: orderwatch connect conn_a"),
        (500, 401, "conn_a", "connect-trackstar, then: orderwatch connect conn_a"),
        (403, 401, "conn_a", "connect-trackstar, then: orderwatch connect conn_a"),
        (200, 403, "conn_a", "connect-trackstar, then: orderwatch connect conn_a"),
    ],
    ids=["key", "token", "unknown connection", "Trackstar is down", "no reads by key", "no reads of orders"],
)
def test_a_refusal_names_the_secret_that_was_refused(
    world: World, key: int, token: int, connection_id: str, step: str
) -> None:
    world.started("1")
    answers = {"/connections/conn_a": key, "/cart/orders": token}

    def answer(request: Request) -> Response | None:
        status = answers[request.path]
        return None if status == 200 else json_response({"error": "no"}, status=status)

    world.trackstar.intercept = answer
    alerts = world.next_poll() + world.next_poll() + world.next_poll()
    assert about(alerts) == [(connection_id, "connection.unauthorized")]
    [for_operators] = [each for each in alerts if each.recipients is Recipients.OPERATORS]
    assert next_steps.next_step(for_operators).endswith(step)


def test_a_refused_key_is_one_alert_for_all_shops_and_so_is_its_end() -> None:
    world = World("conn_a", "conn_b", "conn_c")
    shops = list(world.shops.values())
    for shop in shops:
        world.poll(shop)
    world.new_alerts()

    def round_of_polls(**secrets: Any) -> list[tuple[str, str]]:
        return about([alert for shop in shops for alert in world.next_poll(shop, **secrets)])

    for _ in range(2):
        assert round_of_polls(api_key="wrong") == [], "once, it may be a proxy"
        assert round_of_polls(api_key="wrong") == [(ALL_SHOPS, "connection.unauthorized")]
        assert round_of_polls(api_key="wrong") == []
        states = [health.state for shop in shops if (health := world.state(shop).health)]
        assert states == [HealthState.UNAUTHORIZED] * 3
        assert round_of_polls() == []
        assert round_of_polls() == [(ALL_SHOPS, "connection.recovered")]
        assert round_of_polls() == []


@pytest.mark.parametrize(
    ("first", "second"),
    [({"api_key": "wrong"}, {"access_token": "wrong"}), ({"access_token": "wrong"}, {"api_key": "wrong"})],
    ids=["the key, then the token", "the token, then the key"],
)
def test_a_second_secret_that_is_refused_is_alerted_too(
    world: World, first: dict[str, Any], second: dict[str, Any]
) -> None:
    world.started("1")
    names = {"api_key": ALL_SHOPS, "access_token": "conn_a"}
    (first_id,), (second_id,) = [[names[each] for each in secrets] for secrets in (first, second)]
    assert about(world.next_poll(**first) + world.next_poll(**first)) == [(first_id, "connection.unauthorized")]
    ended = [(ALL_SHOPS, "connection.recovered")] if first_id == ALL_SHOPS else []
    alerts = about(world.next_poll(**second) + world.next_poll(**second))
    assert sorted(alerts) == sorted([*ended, (second_id, "connection.unauthorized")])
    assert about(world.next_poll() + world.next_poll()) == [(second_id, "connection.recovered")]


def test_a_key_that_was_accepted_meanwhile_is_alerted_again() -> None:
    world = World("conn_a", "conn_b")
    first, second = world.shops.values()
    for shop in (first, second):
        world.poll(shop)
    world.new_alerts()
    refused = [world.next_poll(first, api_key="wrong") for _ in range(2)]
    assert about(refused[1]) == [(ALL_SHOPS, "connection.unauthorized")]
    assert world.next_poll(second) == [], "accepted: the first shop is not polled again until the key is refused again"
    refused = [world.next_poll(second, api_key="wrong") for _ in range(2)]
    assert about(refused[1]) == [(ALL_SHOPS, "connection.unauthorized")]


def test_a_shop_that_is_refused_a_day_later_is_alerted(world: World) -> None:
    world.started("1")
    late = Shop("conn_b", access_token="token-of-conn_b", clock=world.vendor_clock)
    world.trackstar.connect(late)
    for _ in range(2):
        world.next_poll(api_key="wrong")
    world.pass_time(timedelta(days=1))
    alerts = [world.next_poll(late, api_key="wrong") for _ in range(2)]
    assert about(alerts[1]) == [(ALL_SHOPS, "connection.unauthorized")]


@pytest.mark.parametrize("path", ["/cart/orders", "/connections/conn_a"])
@pytest.mark.parametrize("status", [401, 403, 404])
def test_a_page_of_a_proxy_is_no_refusal(world: World, path: str, status: int) -> None:
    world.started("1").move("1", "exception")
    page, before = Response(status, body=b"<html>Forbidden</html>"), world.state()
    world.trackstar.intercept = lambda request: page if request.path == path else None
    for _ in range(3):
        world.pass_time()
        with nullcontext() if path != "/cart/orders" else pytest.raises(UnavailableError):
            world.poll()
    assert world.state().health == before.health
    assert kinds(world.new_alerts()) == ["order.exception"] * (path != "/cart/orders")


@pytest.mark.parametrize(
    ("path", "status", "kind"),
    [
        ("/cart/orders", 401, "connection.unauthorized"),
        ("/cart/orders", 403, "connection.unauthorized"),
        ("/connections/conn_a", 404, "connection.blocked"),
    ],
)
def test_a_refusal_is_alerted_at_the_second_poll(world: World, path: str, status: int, kind: str) -> None:
    world.started("1")
    refusal, refused = json_response({"error": "no"}, status=status), [True, False, True, True]
    alerts = []
    for is_refused in refused:
        world.trackstar.intercept = lambda request, now=is_refused: refusal if now and request.path == path else None
        alerts.append(kinds(world.next_poll()))
    assert alerts == [[], [], [], [kind]]


def test_a_removed_shop_is_alerted_at_the_second_poll(world: World) -> None:
    world.started("1").trackstar.disconnect("conn_a")
    assert [kinds(world.next_poll()) for _ in range(3)] == [[], ["connection.unauthorized"], []]


def test_a_blocked_shop_is_alerted_once_and_so_is_its_end(world: World) -> None:
    world.started()
    alerts = []
    for errors in ([invalid_credentials()], [], [invalid_credentials()], [], []):
        world.shop.errors = errors
        alerts.append(kinds(world.next_poll()))
    assert alerts == [["connection.blocked"], [], [], [], ["connection.recovered"]]


def test_a_failed_health_check_does_not_stop_reading(world: World) -> None:
    world.started().place("1", status="exception")
    world.trackstar.intercept = lambda request: Response(500) if "/connections/" in request.path else None
    assert kinds(world.next_poll()) == ["order.exception"]


@pytest.mark.parametrize("is_blocked", [False, True])
def test_the_baseline_waits_for_the_initial_sync(world: World, is_blocked: bool) -> None:
    shop = Shop("conn_a", access_token="token-of-conn_a", clock=world.vendor_clock, historical_sync_completed=False)
    world.shops["conn_a"] = shop
    world.trackstar.connect(shop)
    world.place("1", status="exception")
    shop.errors = [invalid_credentials()] if is_blocked else []
    for _ in range(2):
        world.pass_time()
        summary = world.poll()
        assert (summary.outcome, summary.remaining) == (Outcome.INITIAL_SYNC, 0)
    assert world.state().revision == 1, "the second poll found nothing to write"
    assert kinds(world.new_alerts()) == ["connection.blocked"] * is_blocked
    health = world.state().health
    assert health
    assert (health.state is HealthState.BLOCKED, world.queries()) == (is_blocked, [])

    shop.errors = []
    shop.complete_historical_sync()
    alerts = world.next_poll() + world.next_poll()
    assert kinds(alerts) == ["watch.started", *["connection.recovered"] * is_blocked]
    assert alerts[0].detail == "Now watching 1 order (1 in exception)."


# Polls that fail for a while (rule 7)


def alerts_of_failing(world: World) -> list[str]:
    """The kinds of the alerts that a message causes which is delivered again."""
    alert_poll_failing(AlertConnection(id="conn_a"), store=world.tables.store, stalled_after=timedelta(minutes=30))
    return kinds(world.new_alerts())


def test_polls_that_fail_for_half_an_hour_are_alerted_once(world: World) -> None:
    world.started("1").on_orders(lambda _: Response(503))
    world.pass_time()
    with pytest.raises(UnavailableError):
        world.poll()
    world.our_clock.set(NOON + timedelta(minutes=30, microseconds=-1))
    assert alerts_of_failing(world) == []
    world.our_clock.set(NOON + timedelta(minutes=30))
    assert [alerts_of_failing(world), alerts_of_failing(world)] == [["connection.poll_failing"], []]
    with pytest.raises(UnavailableError):
        world.poll()
    assert alerts_of_failing(world) == []
    world.trackstar.intercept = None
    assert kinds(world.next_poll() + world.next_poll() + world.next_poll()) == ["connection.recovered"]


@pytest.mark.usefixtures("pages_of_two")
def test_a_baseline_that_fails_is_alerted_from_its_beginning_on(world: World) -> None:
    world.our_clock.advance(HOUR)
    assert alerts_of_failing(world) == [], "nothing is known to have begun"
    world.place("1", "2", "3")
    world.poll(has_time=time_for(1))
    world.our_clock.advance(timedelta(minutes=29))
    assert alerts_of_failing(world) == []
    world.our_clock.advance(MINUTE)
    assert alerts_of_failing(world) == ["connection.poll_failing"]
