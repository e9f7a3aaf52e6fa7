"""Poll after poll against a simulated shop: each rule of reading, and faults that could break it."""

from collections.abc import Callable, Collection, Mapping
from datetime import timedelta
from typing import Any

import pytest

from orderwatch.alerts.alert import Alert
from orderwatch.alerts.parts import AlertConnection
from orderwatch.errors import PollSupersededError, UnavailableError
from orderwatch.polling.detect import Observation, OrderWrite, detect
from orderwatch.polling.metrics import Outcome, PollMetrics
from orderwatch.reading.policy import Policy
from orderwatch.reading.window import OVERLAP, WindowKind
from orderwatch.records import HealthState, StoredOrder
from orderwatch.trackstar.orders import DateField, Order
from orderwatch_local.simulator import Request, Response, Shop, TrackstarDates, invalid_credentials
from tests.support.polls import WATCHED, poll
from tests.support.world import MINUTE, NOON, TICK, World, kinds

HOUR = timedelta(hours=1)
DAY = timedelta(days=1)


@pytest.fixture
def world() -> World:
    return World()


@pytest.fixture
def pages_of_two(monkeypatch: pytest.MonkeyPatch) -> None:
    """The vendor's pages hold a thousand; here two make a page."""
    monkeypatch.setattr("orderwatch.trackstar.client.PAGE_SIZE", 2)


def started(world: World) -> World:
    """The baseline is done and its alert written."""
    world.poll()
    assert kinds(world.new_alerts()) == ["watch.started"]
    return world


def order_changes(alerts: list[Alert]) -> list[tuple[str, str, str | None]]:
    return [(alert.order.id, alert.kind, alert.order.previous_status) for alert in alerts if alert.order]


# The baseline (rule 8)


@pytest.mark.usefixtures("pages_of_two")
def test_the_baseline_records_every_order_and_sends_one_message(world: World) -> None:
    world.place("1", "2", "3")
    world.place("4", "5", status="exception")
    world.place("6", status="cancelled")
    summary = world.poll()
    [alert] = world.new_alerts()
    assert alert.kind == "watch.started"
    assert alert.detail == "Watching 6 orders for backordered, cancelled, exception; 2 in exception now."
    assert alert.backlog
    assert ({each.id for each in alert.backlog.orders}, alert.backlog.more_orders) == ({"4", "5"}, 0)
    assert (summary.outcome, summary.pages, summary.written, summary.alerts) == (Outcome.FINISHED, 3, 6, 0)
    assert world.state().cursor.position == NOON


def test_the_baseline_of_an_empty_shop_says_so(world: World) -> None:
    world.poll()
    assert [alert.detail for alert in world.new_alerts()] == [
        "Watching 0 orders for backordered, cancelled, exception; none needs attention now."
    ]


def test_the_watch_starts_once(world: World) -> None:
    started(world)
    assert world.next_poll() == []
    assert world.next_poll() == []


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


def test_a_new_order_in_a_watched_status_is_alerted(world: World) -> None:
    started(world).place("new", status="backordered")
    assert order_changes(world.next_poll()) == [("new", "order.backordered", None)]


def test_a_capped_baseline_records_older_orders_without_an_alert() -> None:
    world = World()
    policy = Policy(statuses=WATCHED.statuses, baseline_days=30)
    world.place("old")
    world.pass_time(40 * DAY)
    world.place("recent")
    world.poll(policy=policy)
    assert [alert.detail for alert in world.new_alerts()] == [
        "Watching 1 orders for backordered, cancelled, exception; none needs attention now."
    ]

    world.move("old", "exception")
    world.move("recent", "exception")
    changes = order_changes(world.next_poll(policy=policy))
    assert changes == [("recent", "order.exception", "open")]
    assert world.stored("old").status == "exception"
    world.pass_time()
    world.place("younger", status="exception")
    assert order_changes(world.next_poll(policy=policy)) == [("younger", "order.exception", None)]


# Windows and pages (rules 4 to 7)


@pytest.mark.usefixtures("pages_of_two")
def test_both_bounds_and_every_filter_go_with_every_page(world: World) -> None:
    world.place("known")
    started(world)
    world.pass_time(HOUR)
    world.place("1", "2", "3", "4", "5")
    world.pass_time()
    del world.trackstar.requests[:]
    world.poll()
    queries = world.queries()
    assert len(queries) == 3
    filters = {
        "limit": "2",
        "trackstar_updated_date[gte]": "2026-01-05T11:50:00Z",
        "trackstar_updated_date[lte]": "2026-01-05T13:05:00Z",
    }
    assert [{k: v for k, v in query.items() if k != "page_token"} for query in queries] == [filters] * 3
    assert ["page_token" in query for query in queries] == [False, True, True]


def test_windows_overlap_and_the_boundary_is_not_alerted_twice(
    world: World,
) -> None:
    started(world)
    world.pass_time()
    world.place("boundary", status="exception")
    world.poll()
    assert kinds(world.new_alerts()) == ["order.exception"]
    boundary = world.state().cursor.position
    assert boundary == NOON + TICK

    world.pass_time()
    summary = world.poll()

    assert world.queries()[-1]["trackstar_updated_date[gte]"] == f"{boundary - OVERLAP:%Y-%m-%dT%H:%M:%SZ}"
    assert (summary.orders, summary.written, world.new_alerts()) == (1, 0, [])


def test_a_change_in_the_second_of_the_boundary_is_alerted(world: World) -> None:
    started(world).pass_time()
    world.poll()
    world.place("late", status="exception")  # after the poll, in the second that was its upper bound
    world.pass_time(OVERLAP)
    world.poll()
    assert kinds(world.new_alerts()) == ["order.exception"]


def test_a_change_that_trackstar_copies_hours_later_is_alerted(world: World) -> None:
    started(world)
    world.shop.place({"id": "late", "status": "exception"})
    for _ in range(12):
        assert world.next_poll() == []
    world.shop.sync()
    assert order_changes(world.next_poll()) == [("late", "order.exception", None)]


def test_a_refused_filter_falls_back_to_the_shops_date(
    world: World,
) -> None:
    world.place("known")
    started(world)
    world.shop.quirks.refused_filters = {"trackstar_updated_date"}
    cursor = world.state().cursor.position
    assert cursor
    world.place("1", status="exception")
    assert kinds(world.next_poll()) == ["order.exception"]
    assert world.queries()[-1]["updated_date[gte]"] == f"{cursor - 2 * HOUR:%Y-%m-%dT%H:%M:%SZ}"
    assert world.state().cursor.date_field is DateField.SHOP_UPDATED

    del world.trackstar.requests[:]
    world.next_poll()
    assert [sorted(query) for query in world.queries()] == [["limit", "updated_date[gte]", "updated_date[lte]"]]


def test_a_shop_that_refuses_the_filter_has_late_alerts(world: World) -> None:
    world.shop.quirks.refused_filters = {"trackstar_updated_date"}
    started(world)
    world.shop.place({"id": "late", "status": "exception"})
    for _ in range(11):
        assert world.next_poll() == []
    world.shop.sync()
    assert order_changes(world.next_poll()) == [("late", "order.exception", None)]


def test_a_baseline_of_some_days_falls_back_too(world: World) -> None:
    world.shop.quirks.refused_filters = {"trackstar_updated_date"}
    world.place("1", status="exception")
    world.poll(policy=Policy(statuses=WATCHED.statuses, baseline_days=7))
    assert [alert.detail for alert in world.new_alerts()] == [
        "Watching 1 orders for backordered, cancelled, exception; 1 in exception now."
    ]


def test_any_other_refusal_is_an_error_and_keeps_the_cursor(world: World) -> None:
    world.place("known")
    started(world)
    world.shop.quirks.refused_filters = {"trackstar_updated_date", "updated_date"}
    before = world.state()
    world.pass_time()
    with pytest.raises(Exception, match="422"):
        world.poll()
    assert world.state() == before


@pytest.mark.usefixtures("pages_of_two")
def test_an_expired_page_token_restarts_the_window(world: World) -> None:
    started(world)
    world.place("1", "2", "3", status="exception")
    world.pass_time()
    budget = iter([True])
    first = world.poll(has_time=lambda: next(budget, False))
    assert (first.outcome, first.pages) == (Outcome.UNFINISHED, 1)

    world.pass_time(2 * HOUR)
    second = world.poll()

    assert (second.outcome, second.pages) == (Outcome.FINISHED, 2)
    assert sorted(order_changes(world.new_alerts())) == [(order_id, "order.exception", None) for order_id in "123"]


@pytest.mark.usefixtures("pages_of_two")
def test_an_expired_token_at_the_timeout_is_reported(world: World) -> None:
    started(world)
    world.place("1", "2", "3")
    world.pass_time()
    budget = iter([True])
    world.poll(has_time=lambda: next(budget, False))
    world.pass_time(2 * HOUR)
    world.shop.errors = [invalid_credentials()]

    budget = iter([True])  # for the page whose token has expired
    assert world.poll(has_time=lambda: next(budget, False)).outcome is Outcome.UNFINISHED

    assert kinds(world.new_alerts()) == ["connection.blocked"]
    progress = world.state().cursor.progress
    assert progress
    assert (progress.page_token, progress.attempt) == (None, 2)


@pytest.mark.usefixtures("pages_of_two")
def test_a_window_with_fewer_orders_than_expected_is_read_again(world: World) -> None:
    started(world)
    for order_id in "abcd":
        world.place(order_id, status="exception")
        world.pass_time(MINUTE)

    # `a` moves past the window's end, so `c` moves up to the page that was already read.
    def drift() -> None:
        world.vendor_clock.advance(HOUR)
        world.move("a", "cancelled")

    world.before_page(2, drift)
    summary = world.poll()
    assert summary.pages > 2
    assert {order_id for order_id, _, _ in order_changes(world.new_alerts())} == {"a", "b", "c", "d"}


@pytest.mark.usefixtures("pages_of_two")
def test_a_short_window_is_accepted_after_three_readings(world: World) -> None:
    started(world)
    world.place("1")
    body = b'{"data": [], "next_token": null, "total_count": 7}'
    world.trackstar.intercept = lambda request: Response(200, body=body) if request.path == "/cart/orders" else None
    world.pass_time()
    summary = world.poll()
    assert (summary.outcome, summary.pages) == (Outcome.FINISHED, 3)


@pytest.mark.usefixtures("pages_of_two")
def test_an_empty_page_with_a_token_goes_on(world: World) -> None:
    started(world)
    world.place("1", "2", "3", status="exception")
    bodies = iter([Response(200, body=b'{"data": [], "next_token": "t", "total_count": 0}')])

    def intercept(request: Request) -> Response | None:
        return next(bodies, None) if request.path == "/cart/orders" else None

    world.trackstar.intercept = intercept
    world.pass_time()
    world.poll()
    assert len(world.new_alerts()) == 3


@pytest.mark.usefixtures("pages_of_two")
def test_a_poll_out_of_time_is_continued_at_its_next_page(world: World) -> None:
    world.place("1", "2", "3", "4", "5")
    budget = iter([True, True])
    assert world.poll(has_time=lambda: next(budget, False)).outcome is Outcome.UNFINISHED
    assert world.new_alerts() == []
    progress = world.state().cursor.progress
    assert progress
    assert (progress.window.kind, progress.read_count) == (WindowKind.BASELINE, 4)

    world.pass_time()
    summary = world.poll()

    assert (summary.outcome, summary.pages, summary.orders) == (Outcome.FINISHED, 1, 1)
    assert [alert.detail for alert in world.new_alerts()] == [
        "Watching 5 orders for backordered, cancelled, exception; none needs attention now."
    ]
    assert world.state().cursor.position == NOON  # changes since the first page belong to the next window


def test_a_failed_page_keeps_the_cursor(world: World) -> None:
    started(world)
    world.place("1", status="exception")
    world.pass_time()
    before = world.state()
    world.trackstar.intercept = lambda request: Response(503) if request.path == "/cart/orders" else None
    with pytest.raises(UnavailableError):
        world.poll()
    assert world.state() == before
    world.trackstar.intercept = None
    assert kinds(world.next_poll()) == ["order.exception"]


def test_the_daily_sweep_finds_and_counts_missed_orders(world: World) -> None:
    world.place("known")
    started(world)
    world.shop.quirks.trackstar_dates = TrackstarDates.NULL  # no window matches an order without a date
    world.place("hidden", status="exception")
    assert world.next_poll() == []
    world.pass_time(DAY)
    summary = world.poll()
    assert order_changes(world.new_alerts()) == [("hidden", "order.exception", None)]
    assert summary.found_by_sweep == 1
    waiting, final = world.queries()[-2:]
    assert waiting["status[in]"] == "backordered,exception"
    assert "updated_date[gte]" not in waiting
    assert final["status[in]"] == "cancelled"
    assert final["updated_date[gte]"] == "2025-12-29T12:00:00Z", "a week before the last one"


def test_the_sweep_finds_undated_cancelled_orders(world: World) -> None:
    world.place("known")
    started(world)
    world.shop.quirks.trackstar_dates = TrackstarDates.NULL
    world.place("hidden", status="cancelled")
    assert world.next_poll() == []
    world.pass_time(DAY)
    assert order_changes(world.next_poll()) == [("hidden", "order.cancelled", None)]


@pytest.mark.parametrize(
    ("watched", "asked"),
    [({"exception"}, ["exception"]), ({"cancelled", "fulfilled"}, ["cancelled,fulfilled"])],
)
def test_a_sweep_asks_for_no_status_that_is_not_watched(watched: set[str], asked: list[str], world: World) -> None:
    policy = Policy(statuses=frozenset(watched))
    world.poll(policy=policy)
    world.pass_time(DAY)
    world.poll(policy=policy)
    assert [query["status[in]"] for query in world.queries() if "status[in]" in query] == asked


# Ticks (rule 14)


def test_a_poll_message_older_than_the_last_reading_is_skipped(world: World) -> None:
    requested_at = world.our_clock.now()
    world.pass_time()
    started(world)
    asked = len(world.trackstar.requests)
    assert world.poll(requested_at=requested_at).outcome is Outcome.ALREADY_READ
    assert len(world.trackstar.requests) == asked


def test_an_overtaken_poll_ends_without_loss_or_duplicates(world: World) -> None:
    started(world)
    world.place("1", status="exception")
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
    """The real store; another poll changes an order between a read and its write."""

    def __init__(self, world: World, move: Callable[[StoredOrder], OrderWrite]) -> None:
        self._world, self._move, self._store = world, move, world.tables.store
        self.load, self.commit, self.due_orders = self._store.load, self._store.commit, self._store.due_orders
        self._done = False

    def stored_orders(self, connection_id: str, order_ids: Collection[str]) -> Mapping[str, StoredOrder]:
        rows = self._store.stored_orders(connection_id, order_ids)
        if not self._done:
            self._done = True
            action: Any = self._world.tables.orders.write_action(connection_id, self._move(rows["1"]))
            self._world.tables.client.transact_write_items(TransactItems=[action])
        return rows


@pytest.mark.parametrize(
    ("status", "minutes", "expected"),
    [
        ("cancelled", 1, []),  # theirs is newer: ours is stale
        (
            "processing",
            -1,
            [("1", "order.exception", "processing")],
        ),  # ours is newer: alerts from the status that they stored
    ],
)
def test_an_order_that_another_poll_wrote_is_decided_again(
    world: World, status: str, minutes: int, expected: list[tuple[str, str, str | None]]
) -> None:
    started(world).place("1", "2")
    world.next_poll()
    world.pass_time()
    world.move("1", "exception")
    world.move("2", "exception")
    theirs = Order(id="1", status=status, trackstar_updated_date=world.vendor_clock.now() + minutes * MINUTE)
    observation = Observation(
        connection=AlertConnection(id="conn_a"),
        observed_at=world.vendor_clock.now() + HOUR,
        window=WindowKind.BASELINE,
        watch_started_at=None,
        data_as_of=None,
    )

    def overtake(row: StoredOrder) -> OrderWrite:
        write = detect(theirs, row, observation=observation, policy=Policy(statuses=()))
        assert isinstance(write, OrderWrite)
        return write

    summary = poll(world.client(), Overtaken(world, overtake), "conn_a")
    assert summary.conflicts == 1
    assert sorted(order_changes(world.new_alerts())) == sorted([*expected, ("2", "order.exception", "open")])


# Changes of an order


def test_every_problem_is_alerted_and_its_end_once(world: World) -> None:
    world.place("1")
    started(world)
    steps = ["exception", "cancelled", "cancelled", "processing", "fulfilled", "exception"]
    alerts = []
    for status in steps:
        world.move("1", status)
        alerts += [(kind, previous) for _, kind, previous in order_changes(world.next_poll())]
    assert alerts == [
        ("order.exception", "open"),
        ("order.cancelled", "exception"),
        ("order.recovered", "cancelled"),
        ("order.exception", "fulfilled"),
    ]


def test_a_status_between_two_polls_is_not_seen(world: World) -> None:
    world.place("1")
    started(world)
    world.move("1", "exception")
    world.move("1", "processing")
    assert world.next_poll() == []


def test_the_same_order_id_in_two_shops_is_two_orders() -> None:
    world = World("conn_a", "conn_b")
    a, b = world.shops.values()
    for shop in (a, b):
        world.place("1", shop=shop)
        world.poll(shop)
    world.new_alerts()
    world.move("1", "exception", shop=a)
    world.move("1", "exception", shop=b)
    alerts = world.next_poll(a) + world.next_poll(b)
    assert [(alert.connection_id, alert.kind) for alert in alerts] == [
        ("conn_a", "order.exception"),
        ("conn_b", "order.exception"),
    ]
    assert len({alert.alert_id for alert in alerts}) == 2


def test_a_malformed_record_is_quarantined_alone(
    world: World,
) -> None:
    world.place("1", "2", "3")
    started(world)
    world.shop.garble("2", {"status": None, "order_number": "Jane Doe"})
    for order_id in "123":
        world.shop.move(order_id, "exception")
    world.shop.sync()
    world.pass_time()
    summary = world.poll()
    assert (summary.quarantined, summary.outcome) == (1, Outcome.FINISHED)
    assert [order_id for order_id, _, _ in order_changes(world.new_alerts())] == ["1", "3"]
    assert world.stored("2").status == "open"

    world.shop.heal("2")
    world.shop.sync()
    assert order_changes(world.next_poll()) == [("2", "order.exception", "open")]


def test_a_new_status_is_stored_and_not_alerted(world: World) -> None:
    world.place("1")
    started(world)
    world.move("1", "teleported")
    assert world.next_poll() == []
    assert world.stored("1").status == "teleported"


def test_a_new_status_is_alerted_where_it_is_watched(world: World) -> None:
    world.place("1")
    started(world)
    world.move("1", "teleported")
    assert kinds(world.next_poll(policy=Policy(statuses={"teleported"}))) == ["order.teleported"]


def test_a_changed_raw_status_alone_is_stored_and_not_alerted(world: World) -> None:
    world.place("1", status="other", raw_status="on hold")
    started(world)
    world.move("1", "other", raw_status="on fire")
    policy = Policy(statuses={"other"})
    assert world.next_poll(policy=policy) == []
    assert world.stored("1").raw_status == "on fire"


# The vendor's clock (rule 5)


def test_nothing_is_skipped_when_the_vendors_clock_jumps_ahead(world: World) -> None:
    world.place("1", "2", "3")
    started(world)
    world.vendor_clock.advance(DAY)
    world.move("1", "exception")
    alerts = world.next_poll()
    world.vendor_clock.advance(-DAY)
    world.pass_time()
    world.move("2", "exception")
    alerts += world.next_poll()
    world.pass_time(HOUR)
    world.move("3", "exception")
    alerts += world.next_poll()
    assert [order_id for order_id, _, _ in order_changes(alerts)] == ["1", "2", "3"]


def test_nothing_is_skipped_when_the_vendors_clock_falls_back(world: World) -> None:
    world.place("1", "2", "3")
    started(world)
    world.vendor_clock.advance(-HOUR)
    world.shop.place({"id": "new", "status": "exception"})
    world.shop.sync()
    alerts = world.next_poll()
    for number in range(15):
        if number == 7:
            world.place("newer", status="exception")
        alerts += world.next_poll()
    assert [order_id for order_id, _, _ in order_changes(alerts)] == ["new", "newer"]


def test_the_cursor_never_moves_back(world: World) -> None:
    started(world)
    before = world.state().cursor.position
    world.vendor_clock.advance(-HOUR)
    world.next_poll()
    assert world.state().cursor.position == before


# The connection (rule 10)


def cursor_and_rows(world: World) -> tuple[object, object]:
    return world.state().cursor.position, world.tables.rows("OrderTable")


def health_of(world: World) -> HealthState:
    health = world.state().health
    assert health
    return health.state


@pytest.mark.parametrize("wrong", [{"access_token": "wrong"}, {"api_key": "wrong"}], ids=["token", "API key"])
def test_a_refused_secret_is_alerted_once_and_so_is_its_end(world: World, wrong: dict[str, Any]) -> None:
    world.place("1")
    started(world)
    before = cursor_and_rows(world)
    world.move("1", "exception")

    assert kinds(world.next_poll(**wrong)) == ["connection.unauthorized"]
    assert world.next_poll(**wrong) == []
    world.pass_time()
    assert world.poll(**wrong).outcome is Outcome.UNAUTHORIZED
    assert cursor_and_rows(world) == before

    assert kinds(world.next_poll()) == ["order.exception"]
    assert kinds(world.next_poll()) == ["connection.recovered"]
    assert world.next_poll() == []


def test_a_token_unfit_for_a_header_counts_as_refused(world: World, capsys: pytest.CaptureFixture[str]) -> None:
    world.place("1")
    started(world)
    assert kinds(world.next_poll(access_token="t\u00f8ken")) == ["connection.unauthorized"]
    assert world.next_poll(access_token="t\u00f8ken") == []
    assert "t\u00f8ken" not in capsys.readouterr().out


def test_a_disabled_connection_is_alerted_like_a_refused_token(world: World) -> None:
    started(world)
    world.shop.quirks.disabled = True
    assert kinds(world.next_poll()) == ["connection.unauthorized"]


def test_a_wrong_first_token_is_alerted_and_the_baseline_follows(world: World) -> None:
    world.place("1", status="exception")
    assert kinds(world.next_poll(access_token="wrong")) == ["connection.unauthorized"]
    assert world.tables.rows("OrderTable") == []
    assert kinds(world.next_poll() + world.next_poll()) == ["watch.started", "connection.recovered"]


def test_blocked_credentials_and_their_end_are_alerted_once(world: World) -> None:
    started(world)
    world.shop.errors = [invalid_credentials()]
    assert kinds(world.next_poll()) == ["connection.blocked"]
    assert world.next_poll() == []
    assert health_of(world) is HealthState.BLOCKED
    world.shop.errors = []
    assert world.next_poll() == [], "one healthy probe does not resolve it"
    assert kinds(world.next_poll()) == ["connection.recovered"]
    assert world.next_poll() == []


def test_a_connection_that_comes_and_goes_is_alerted_once(world: World) -> None:
    started(world)
    alerts = []
    for errors in [[invalid_credentials()], []] * 4:
        world.shop.errors = errors
        alerts += world.next_poll()
    assert kinds(alerts) == ["connection.blocked"]


def test_a_shop_that_stopped_syncing_is_alerted(world: World) -> None:
    started(world)
    world.shop.sync()
    world.pass_time(2 * HOUR)
    assert kinds(world.next_poll()) == ["connection.stale"]
    world.shop.sync()
    assert kinds(world.next_poll() + world.next_poll()) == ["connection.recovered"]


def test_a_failed_health_check_does_not_stop_reading(world: World) -> None:
    started(world).place("1", status="exception")
    world.trackstar.intercept = lambda request: Response(500) if "/connections/" in request.path else None
    assert kinds(world.next_poll()) == ["order.exception"]


@pytest.fixture
def waiting() -> World:
    world = World()
    shop = Shop("conn_a", access_token="token-of-conn_a", clock=world.vendor_clock, historical_sync_completed=False)
    world.shops["conn_a"] = shop
    world.trackstar.connect(shop)
    return world


def test_the_baseline_waits_for_the_historical_sync(waiting: World) -> None:
    waiting.place("1", "2", status="exception")
    for _ in range(2):
        waiting.pass_time()
        assert waiting.poll().outcome is Outcome.INITIAL_SYNC
    assert waiting.new_alerts() == []
    assert waiting.queries() == []
    waiting.shop.complete_historical_sync()
    [alert] = waiting.next_poll()
    assert (alert.kind, alert.detail) == (
        "watch.started",
        "Watching 2 orders for backordered, cancelled, exception; 2 in exception now.",
    )


def test_blocked_credentials_before_the_first_sync_are_alerted(
    waiting: World,
) -> None:
    waiting.place("1", status="exception")
    waiting.shop.errors = [invalid_credentials()]
    waiting.pass_time()
    assert waiting.poll().outcome is Outcome.INITIAL_SYNC
    assert kinds(waiting.new_alerts()) == ["connection.blocked"]
    waiting.shop.errors = []
    waiting.shop.complete_historical_sync()
    assert kinds(waiting.next_poll() + waiting.next_poll()) == ["watch.started", "connection.recovered"]


def test_a_problem_is_resolved_even_after_a_new_first_sync(
    waiting: World,
) -> None:
    waiting.shop.errors = [invalid_credentials()]
    assert "connection.blocked" in kinds(waiting.next_poll())
    waiting.shop.errors = []
    waiting.next_poll()
    waiting.shop.complete_historical_sync()
    assert "connection.recovered" in kinds(waiting.next_poll() + waiting.next_poll())
