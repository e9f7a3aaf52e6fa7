"""Poll after poll against a simulated shop: the alerts of orders that do not move (rule 19)."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from orderwatch.alerts.alert import Alert
from orderwatch.deadlines.rules import DeadlineRules
from orderwatch.polling.metrics import Outcome
from orderwatch.reading.policy import Policy
from orderwatch_local.simulator import invalid_credentials
from tests.support.polls import WATCHED
from tests.support.world import NOON, TICK, World, kinds

HOUR, DAY = timedelta(hours=1), timedelta(days=1)
RULES = DeadlineRules(zone=ZoneInfo("UTC"), late_warning_hours=24, stuck_days=0)
POLICY = replace(WATCHED, deadlines=RULES)
QUIET = replace(WATCHED, deadlines=replace(RULES, late_warning_hours=0))


class Watched(World):
    """Simulated shops whose polls also watch deadlines."""

    policy = POLICY

    def place_due(self, *order_ids: str, after: timedelta, status: str = "open") -> None:
        """New orders that have to ship so long after now."""
        self.place(*order_ids, status=status, latest_ship_date=stamp(self.vendor_clock.now() + after))

    def poll_synced_kinds(self, by: timedelta = TICK, *, policy: Policy | None = None) -> list[tuple[str, str]]:
        """Let time pass, sync and poll; the order and kind of each alert about an order."""
        return order_kinds(self.poll_synced(by, policy=policy))

    def poll_synced(self, by: timedelta = TICK, *, policy: Policy | None = None) -> list[Alert]:
        """Let time pass, sync and poll; the alerts."""
        self.pass_time(by)
        self.shop.sync()
        self.poll(policy=policy or self.policy)
        return self.new_alerts()

    def start(self, *, policy: Policy | None = None) -> list[Alert]:
        """The baseline."""
        self.poll(policy=policy or self.policy)
        return self.new_alerts()


def stamp(moment: datetime) -> str:
    return f"{moment.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}"


def order_kinds(alerts: list[Alert]) -> list[tuple[str, str]]:
    return [(alert.order.id, alert.kind) for alert in alerts if alert.order]


@pytest.fixture
def world() -> Watched:
    world = Watched()
    world.place("known", status="fulfilled")
    assert kinds(world.start()) == ["watch.started"]
    return world


# What is alerted


def test_an_unshipped_order_is_at_risk_once_and_then_late_once(world: Watched) -> None:
    world.place_due("1", after=30 * HOUR)
    assert world.poll_synced_kinds() == []
    assert world.poll_synced_kinds(5 * HOUR) == []
    assert world.poll_synced_kinds(HOUR) == [("1", "order.at_risk")]
    assert world.poll_synced_kinds(23 * HOUR) == []
    assert world.poll_synced_kinds(HOUR) == [("1", "order.late")]
    assert world.poll_synced_kinds() == world.poll_synced_kinds(DAY) == []


def test_a_late_order_shows_its_deadline_in_the_shops_day(world: Watched) -> None:
    berlin = replace(WATCHED, deadlines=replace(RULES, zone=ZoneInfo("Europe/Berlin")))
    world.poll_synced_kinds(policy=berlin)
    world.place("1", latest_ship_date="2026-01-06T00:00:00Z")
    assert world.poll_synced_kinds(10 * HOUR, policy=berlin) == []
    assert world.poll_synced_kinds(HOUR, policy=berlin) == [("1", "order.at_risk")]
    assert world.poll_synced_kinds(23 * HOUR, policy=berlin) == []
    [late] = world.poll_synced(HOUR, policy=berlin)
    assert late.kind == "order.late"
    assert late.order is not None
    assert late.order.due_at == datetime(2026, 1, 6, 23, tzinfo=UTC)
    assert (late.order.previous_status, late.data_as_of) == (None, world.state().syncs.last_end)


def test_an_order_that_is_late_from_the_start_has_one_alert(world: Watched) -> None:
    world.poll_synced_kinds(DAY)
    world.place("1", latest_ship_date=stamp(world.vendor_clock.now() - HOUR))
    assert world.poll_synced_kinds() == [("1", "order.late")]


def test_without_a_warning_an_order_is_still_late(world: Watched) -> None:
    world.poll_synced_kinds(policy=QUIET)
    world.place_due("1", after=HOUR)
    assert world.poll_synced_kinds(policy=QUIET) == []
    assert world.poll_synced_kinds(HOUR, policy=QUIET) == [("1", "order.late")]


def test_with_deadline_alerts_off_nothing_is_alerted_or_read(world: Watched) -> None:
    world.place_due("1", after=HOUR)
    assert world.poll_synced_kinds(policy=WATCHED) == world.poll_synced_kinds(DAY, policy=WATCHED) == []
    assert not any("ids[in]" in query for query in world.queries())
    assert world.stored("1").deadline_state.due is None


def test_an_order_without_a_ship_by_gets_stuck_until_it_moves() -> None:
    world, stuck = Watched(), replace(WATCHED, deadlines=replace(RULES, stuck_days=2))
    world.start(policy=stuck)
    world.place("1")  # on Monday at noon
    assert world.poll_synced_kinds(policy=stuck) == []
    assert world.poll_synced_kinds(2 * DAY, policy=stuck) == []
    assert world.poll_synced_kinds(12 * HOUR, policy=stuck) == [("1", "order.stuck")]
    world.move("1", "processing")
    assert world.poll_synced_kinds(policy=stuck) == [("1", "order.recovered")]
    assert world.poll_synced_kinds(5 * DAY, policy=stuck) == [("1", "order.stuck")]


# By what can be seen, not by the clock


def test_a_deadline_passes_with_the_watermark_not_the_clock(world: Watched) -> None:
    world.place_due("1", after=HOUR)
    assert world.poll_synced_kinds() == [("1", "order.at_risk")]
    world.pass_time(2 * HOUR)
    world.poll(policy=POLICY)  # the last sync was two hours ago
    assert order_kinds(world.new_alerts()) == []
    assert world.poll_synced_kinds() == [("1", "order.late")]


def test_an_order_shipped_before_the_next_sync_is_never_late(world: Watched) -> None:
    world.place_due("1", "2", after=HOUR)
    world.poll_synced_kinds()
    world.shop.move("1", "fulfilled")
    world.shop.move("2", "cancelled")
    assert world.poll_synced_kinds(2 * HOUR) == [("2", "order.cancelled")]
    assert world.stored("1").deadline_state.due is None
    assert world.stored("2").deadline_state.due is None


def test_an_order_shipped_after_its_window_is_read_again(world: Watched) -> None:
    world.place_due("1", after=HOUR)
    world.poll_synced_kinds()
    world.pass_time(2 * HOUR)
    world.shop.sync()

    def ship() -> None:
        world.trackstar.intercept = None
        world.vendor_clock.advance(timedelta(seconds=1))
        world.move("1", "fulfilled")

    world.before_page(2, ship)  # the first page is the window's, the second that of the order's id
    world.poll(policy=POLICY)
    assert order_kinds(world.new_alerts()) == []
    assert world.stored("1").status == "fulfilled"


def test_without_sync_times_a_deadline_passes_two_syncs_later() -> None:
    quiet = Watched()
    quiet.shop.quirks.reports_syncs = False
    quiet.start(policy=QUIET)
    quiet.place_due("1", after=HOUR)
    assert quiet.poll_synced_kinds(2 * HOUR, policy=QUIET) == [], "it has passed, and may have shipped unseen"
    assert quiet.poll_synced_kinds(HOUR, policy=QUIET) == [("1", "order.late")]


def test_a_missing_sync_time_never_moves_the_watermark(world: Watched) -> None:
    world.place_due("1", after=HOUR)
    world.poll_synced_kinds()
    world.shop.quirks.reports_syncs = False
    world.pass_time(9 * HOUR)
    world.poll(policy=POLICY)
    assert order_kinds(world.new_alerts()) == [], "it was synced last before the deadline"
    world.shop.quirks.reports_syncs = True
    assert world.poll_synced_kinds() == [("1", "order.late")]


def test_while_a_shop_is_blocked_no_deadline_of_it_passes(world: Watched) -> None:
    world.place_due("1", after=HOUR)
    world.poll_synced_kinds()
    world.shop.errors = [invalid_credentials()]
    assert world.poll_synced_kinds(5 * HOUR) == []
    world.shop.errors = []
    assert world.poll_synced_kinds() == [("1", "order.late")]


def test_without_the_connection_the_last_watermark_counts(world: Watched) -> None:
    world.place_due("1", after=HOUR)
    world.poll_synced_kinds()
    world.trackstar.disconnect("conn_a")
    world.trackstar.connect(world.shop)
    assert world.poll_synced_kinds(2 * HOUR) == [("1", "order.late")]


# A ship-by that changes


def test_a_ship_by_that_moves_in_time_reschedules_the_deadline(world: Watched) -> None:
    world.place_due("1", after=30 * HOUR)
    world.poll_synced_kinds()
    world.shop.edit("1", {"latest_ship_date": stamp(world.vendor_clock.now() + 60 * HOUR)})
    assert world.poll_synced_kinds(10 * HOUR) == world.poll_synced_kinds(20 * HOUR) == []
    assert world.poll_synced_kinds(10 * HOUR) == [("1", "order.at_risk")]


def test_a_moved_ship_by_resolves_lateness_until_it_passes(world: Watched) -> None:
    world.place_due("1", after=HOUR)
    assert world.poll_synced_kinds(2 * HOUR) == [("1", "order.late")]
    world.shop.edit("1", {"latest_ship_date": "2026-01-08T15:00:00Z"})
    [over] = world.poll_synced()
    assert (over.kind, over.detail) == (
        "order.recovered",
        "It is no longer late: it has a new ship-by.",
    )
    assert world.poll_synced_kinds(2 * DAY + HOUR) == [("1", "order.at_risk")]
    assert world.poll_synced_kinds(DAY) == [("1", "order.late")]


def test_a_ship_by_that_moves_there_and_back_is_not_alerted_again(world: Watched) -> None:
    world.place_due("1", after=HOUR)
    first = stamp(world.vendor_clock.now() + HOUR)
    assert world.poll_synced_kinds(2 * HOUR) == [("1", "order.late")]
    for _ in range(2):
        world.shop.edit("1", {"latest_ship_date": "2026-01-09T15:00:00Z"})
        world.poll_synced_kinds()
        world.shop.edit("1", {"latest_ship_date": first})
        assert world.poll_synced_kinds() == []


@pytest.mark.parametrize(
    ("ship_by", "detail"),
    [
        (None, "It is no longer late: its ship-by was removed."),
        ("2099-12-31T00:00:00Z", "It is no longer late: it has a new ship-by."),
    ],
)
def test_removing_the_ship_by_resolves_lateness(world: Watched, ship_by: str | None, detail: str) -> None:
    world.place_due("1", after=HOUR)
    assert world.poll_synced_kinds(2 * HOUR) == [("1", "order.late")]
    world.shop.edit("1", {"latest_ship_date": ship_by})
    [over] = world.poll_synced()
    assert (over.kind, over.detail) == ("order.recovered", detail)
    assert world.poll_synced_kinds(30 * DAY) == []


def test_without_recoveries_a_resolved_deadline_is_not_alerted(world: Watched) -> None:
    without_recoveries = replace(POLICY, notify_recovered=False)
    world.place_due("1", after=HOUR)
    assert world.poll_synced_kinds(2 * HOUR, policy=without_recoveries) == [("1", "order.late")]
    world.shop.edit("1", {"latest_ship_date": None})
    assert world.poll_synced_kinds(policy=without_recoveries) == []


@pytest.mark.parametrize("ship_by", ["2099-12-31T00:00:00Z", "9999-12-31T00:00:00Z", None, "never", 7, ""])
def test_a_distant_or_nonsensical_ship_by_is_not_alerted(world: Watched, ship_by: object) -> None:
    world.place("1", latest_ship_date=ship_by)
    assert world.poll_synced_kinds() == world.poll_synced_kinds(30 * DAY) == []


# Later changes of the order


def test_a_partly_fulfilled_order_is_late_like_any_open_one(world: Watched) -> None:
    world.place_due("1", after=HOUR)
    world.poll_synced_kinds()
    world.move("1", "partially_fulfilled")
    assert world.poll_synced_kinds(2 * HOUR) == [("1", "order.late")]


def test_a_late_order_that_ships_has_a_recovery_alert(world: Watched) -> None:
    world.place_due("1", after=HOUR)
    assert world.poll_synced_kinds(2 * HOUR) == [("1", "order.late")]
    world.move("1", "fulfilled")
    [over] = world.poll_synced()
    assert (over.kind, over.detail) == ("order.recovered", "It was late and is now fulfilled.")
    world.move("1", "open")
    assert world.poll_synced_kinds(DAY) == [], "opened again: the same deadline is not alerted twice"
    world.move("1", "fulfilled")
    assert world.poll_synced_kinds() == [], "its end is not alerted twice either"


def test_recovering_and_late_in_one_poll_gives_both_alerts(world: Watched) -> None:
    world.place_due("1", after=2 * HOUR, status="exception")
    assert sorted(world.poll_synced_kinds()) == [("1", "order.at_risk"), ("1", "order.exception")]
    world.move("1", "processing")
    assert sorted(world.poll_synced_kinds(3 * HOUR)) == [("1", "order.late"), ("1", "order.recovered")]


def test_exception_and_late_in_one_poll_gives_both_alerts(world: Watched) -> None:
    world.place_due("1", after=HOUR)
    world.poll_synced_kinds()
    world.move("1", "exception")
    assert sorted(world.poll_synced_kinds(2 * HOUR)) == [("1", "order.exception"), ("1", "order.late")]
    world.move("1", "processing")
    assert world.poll_synced_kinds() == [("1", "order.recovered")], "from exception; it is still late"
    assert world.stored("1").needs_attention


@pytest.mark.parametrize("status", ["other", "on_hold"])
def test_a_custom_status_suspends_the_deadline(world: Watched, status: str) -> None:
    world.place_due("1", after=HOUR)
    world.poll_synced_kinds()
    world.move("1", status)
    assert world.poll_synced_kinds(2 * HOUR) == []
    world.move("1", "processing")
    assert world.poll_synced_kinds() == [("1", "order.late")]


def test_an_order_that_trackstar_no_longer_has_is_never_late(world: Watched) -> None:
    world.place_due("1", after=HOUR)
    world.poll_synced_kinds()
    world.shop.delete("1")
    assert world.poll_synced_kinds(2 * HOUR) == []
    assert world.stored("1").deadline_state.due is None
    assert world.queries("/cart/orders/1") != [], "it was requested by its id"
    asked = len(world.queries("/cart/orders/1"))
    world.poll_synced_kinds()
    assert len(world.queries("/cart/orders/1")) == asked, "and not again"


def test_a_broken_record_stays_due_until_it_can_be_read(world: Watched) -> None:
    world.place_due("1", after=HOUR)
    world.poll_synced_kinds()
    world.shop.garble("1", {"status": None})
    assert world.poll_synced_kinds(2 * HOUR) == []
    world.shop.heal("1")
    assert world.poll_synced_kinds() == [("1", "order.late")]


# Deadlines that passed before the watch began


def test_the_baseline_counts_late_orders_and_alerts_none() -> None:
    world = Watched()
    world.place("1", "2", latest_ship_date=stamp(NOON - DAY))
    world.place("3", latest_ship_date=stamp(NOON + HOUR))
    world.place("4", status="fulfilled", latest_ship_date=stamp(NOON - DAY))
    [started] = world.start()
    assert started.detail == (
        "Watching 4 orders for backordered, cancelled, exception; none needs attention now. "
        "2 orders are past their ship-by and 1 must ship within 24 hours: "
        "only deadlines that pass from now on are alerted."
    )
    assert world.poll_synced_kinds() == []
    assert world.poll_synced_kinds(2 * HOUR) == [("3", "order.late")]
    assert world.stored("1").needs_attention, "it is late and needs attention"


def test_deadlines_past_at_the_baseline_are_never_alerted() -> None:
    world = Watched()
    world.place("1", latest_ship_date=stamp(NOON - DAY))
    world.start()
    world.move("1", "other")
    world.poll_synced_kinds()
    world.move("1", "processing")
    assert world.poll_synced_kinds() == []
    world.shop.edit("1", {"latest_ship_date": stamp(NOON - 2 * DAY)})
    assert world.poll_synced_kinds() == []


def test_an_upgrade_records_deadlines_and_sends_one_message() -> None:
    world = Watched()
    world.place("1", "2", latest_ship_date=stamp(NOON - DAY))
    world.place("3", latest_ship_date=stamp(NOON + 40 * HOUR))
    world.place("4", status="fulfilled", latest_ship_date=stamp(NOON - DAY))
    world.start(policy=WATCHED)
    assert world.stored("3").deadline_state.due is None
    [line] = world.poll_synced()
    assert line.kind == "watch.started"
    assert line.detail == (
        "Now watching the deadlines of 3 open orders. 2 orders are past their ship-by: "
        "only deadlines that pass from now on are alerted."
    )
    assert world.queries()[-1]["status[in]"] == "backordered,confirmed,exception,open,partially_fulfilled,processing"
    assert world.poll_synced_kinds() == []
    assert world.poll_synced_kinds(40 * HOUR) == [("3", "order.late")]


def test_changed_settings_reschedule_deadlines_without_a_flood(world: Watched) -> None:
    patient = replace(WATCHED, deadlines=replace(RULES, late_warning_hours=4))
    world.poll_synced(policy=patient)
    world.place_due("1", "2", after=10 * HOUR)
    assert world.poll_synced_kinds(policy=patient) == []
    [line] = world.poll_synced()
    assert line.detail is not None
    assert "2 must ship within 24 hours: only deadlines that pass from now on are alerted" in line.detail
    assert world.poll_synced_kinds() == []
    assert world.poll_synced_kinds(10 * HOUR) == [("1", "order.late"), ("2", "order.late")]


def test_a_zone_further_west_gives_an_order_more_time(world: Watched) -> None:
    world.place("1", latest_ship_date="2026-01-05T00:00:00Z")
    world.poll_synced_kinds()
    west = replace(WATCHED, deadlines=replace(RULES, zone=ZoneInfo("America/Los_Angeles")))
    world.poll_synced_kinds(policy=west)
    assert world.poll_synced_kinds(12 * HOUR, policy=west) == [], "there it is the 5th until 08:00 UTC"
    assert world.poll_synced_kinds(8 * HOUR, policy=west) == [("1", "order.late")]


# Many at once, little time, another poll


def test_many_late_orders_are_read_a_hundred_at_a_time(world: Watched) -> None:
    world.place_due(*map(str, range(250)), after=HOUR)
    world.poll_synced_kinds()
    del world.trackstar.requests[:]
    assert len(world.poll_synced_kinds(2 * HOUR)) == 250
    asked = [query["ids[in]"].split(",") for query in world.queries() if "ids[in]" in query]
    assert [len(ids) for ids in asked] == [100, 100, 50]


def test_deadlines_left_at_the_timeout_are_alerted_by_the_next_poll(world: Watched) -> None:
    world.place_due(*map(str, range(150)), after=HOUR)
    world.poll_synced_kinds()
    world.pass_time(2 * HOUR)
    world.shop.sync()
    has_time = iter([True, True, False])
    summary = world.poll(policy=POLICY, has_time=lambda: next(has_time))
    assert (summary.outcome, summary.remaining) == (Outcome.UNFINISHED, 50)
    assert len(order_kinds(world.new_alerts())) == 100
    assert len(world.poll_synced_kinds()) == 50


def test_a_poll_without_due_orders_requests_no_ids(world: Watched) -> None:
    world.place_due("1", after=40 * HOUR)
    world.poll_synced_kinds()
    assert not any("ids[in]" in query for query in world.queries())
