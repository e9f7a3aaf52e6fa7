"""Poll after poll against a simulated shop: what is told of orders that do not move, and what never is (rule 19)."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from orderwatch.alerts.alert import Alert
from orderwatch.deadlines.rules import DeadlineRules
from orderwatch.polling.metrics import Outcome
from orderwatch.polling.policy import Policy
from orderwatch_local.simulator import invalid_credentials
from tests.support.polls import WATCHED
from tests.support.world import NOON, TICK, World, kinds

HOUR, DAY = timedelta(hours=1), timedelta(days=1)
RULES = DeadlineRules(zone=ZoneInfo("UTC"), late_warning_hours=24, stuck_days=0)
POLICY = replace(WATCHED, deadlines=RULES)
QUIET = replace(WATCHED, deadlines=replace(RULES, late_warning_hours=0))


class Watched(World):
    """A world whose polls watch deadlines too."""

    policy = POLICY

    def place_due(self, *order_ids: str, after: timedelta, status: str = "open") -> None:
        """New orders that have to ship so long after now."""
        self.place(*order_ids, status=status, latest_ship_date=stamp(self.vendor_clock.now() + after))

    def tell(self, by: timedelta = TICK, *, policy: Policy | None = None) -> list[tuple[str, str]]:
        """Time passes, the shop is synced and polled; order and kind of what is told of orders."""
        return alerted(self.tell_all(by, policy=policy))

    def tell_all(self, by: timedelta = TICK, *, policy: Policy | None = None) -> list[Alert]:
        """The same, as the alerts themselves."""
        self.pass_time(by)
        self.shop.sync()
        self.poll(policy=policy or self.policy)
        return self.alerted()

    def start(self, *, policy: Policy | None = None) -> list[Alert]:
        """The baseline."""
        self.poll(policy=policy or self.policy)
        return self.alerted()


def stamp(moment: datetime) -> str:
    return f"{moment.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}"


def alerted(alerts: list[Alert]) -> list[tuple[str, str]]:
    return [(alert.order.id, alert.kind) for alert in alerts if alert.order]


@pytest.fixture
def world() -> Watched:
    world = Watched()
    world.place("known", status="fulfilled")
    assert kinds(world.start()) == ["watch.started"]
    return world


# What is told


def test_an_order_that_does_not_move_is_at_risk_and_then_late_each_once(world: Watched) -> None:
    world.place_due("1", after=30 * HOUR)
    assert world.tell() == []
    assert world.tell(5 * HOUR) == []
    assert world.tell(HOUR) == [("1", "order.at_risk")]
    assert world.tell(23 * HOUR) == []
    assert world.tell(HOUR) == [("1", "order.late")]
    assert world.tell() == world.tell(DAY) == []


def test_an_order_that_is_late_tells_its_deadline_in_the_day_of_its_shop(world: Watched) -> None:
    berlin = replace(WATCHED, deadlines=replace(RULES, zone=ZoneInfo("Europe/Berlin")))
    world.tell(policy=berlin)
    world.place("1", latest_ship_date="2026-01-06T00:00:00Z")
    assert world.tell(10 * HOUR, policy=berlin) == []
    assert world.tell(HOUR, policy=berlin) == [("1", "order.at_risk")]
    assert world.tell(23 * HOUR, policy=berlin) == []
    [late] = world.tell_all(HOUR, policy=berlin)
    assert late.kind == "order.late"
    assert late.order is not None
    assert late.order.due_at == datetime(2026, 1, 6, 23, tzinfo=UTC)
    assert (late.order.previous_status, late.data_as_of) == (None, world.state().data_as_of)


def test_an_order_that_comes_into_the_world_late_is_told_late_and_not_at_risk(world: Watched) -> None:
    world.tell(DAY)
    world.place("1", latest_ship_date=stamp(world.vendor_clock.now() - HOUR))
    assert world.tell() == [("1", "order.late")]


def test_without_a_warning_an_order_is_still_late(world: Watched) -> None:
    world.tell(policy=QUIET)
    world.place_due("1", after=HOUR)
    assert world.tell(policy=QUIET) == []
    assert world.tell(HOUR, policy=QUIET) == [("1", "order.late")]


def test_with_deadline_alerts_off_nothing_is_told_and_nothing_asked(world: Watched) -> None:
    world.place_due("1", after=HOUR)
    assert world.tell(policy=WATCHED) == world.tell(DAY, policy=WATCHED) == []
    assert not any("ids[in]" in query for query in world.queries())
    assert world.stored("1").deadline_state.due is None


def test_an_order_without_a_ship_by_is_stuck_after_its_business_days_and_no_longer_when_it_moves() -> None:
    world, stuck = Watched(), replace(WATCHED, deadlines=replace(RULES, stuck_days=2))
    world.start(policy=stuck)
    world.place("1")  # on Monday at noon
    assert world.tell(policy=stuck) == []
    assert world.tell(2 * DAY, policy=stuck) == []
    assert world.tell(12 * HOUR, policy=stuck) == [("1", "order.stuck")]
    world.move("1", "processing")
    assert world.tell(policy=stuck) == [("1", "order.recovered")]
    assert world.tell(5 * DAY, policy=stuck) == [("1", "order.stuck")]


# By what can be seen, not by the clock


def test_a_deadline_passes_with_the_sync_that_shows_it_and_not_with_the_clock(world: Watched) -> None:
    world.place_due("1", after=HOUR)
    assert world.tell() == [("1", "order.at_risk")]
    world.pass_time(2 * HOUR)
    world.poll(policy=POLICY)  # the shop was synced two hours ago
    assert alerted(world.alerted()) == []
    assert world.tell() == [("1", "order.late")]


def test_an_order_that_ships_before_the_sync_that_passes_its_deadline_is_never_late(world: Watched) -> None:
    world.place_due("1", "2", after=HOUR)
    world.tell()
    world.shop.move("1", "fulfilled")
    world.shop.move("2", "cancelled")
    assert world.tell(2 * HOUR) == [("2", "order.cancelled")]
    assert world.stored("1").deadline_state.due is None
    assert world.stored("2").deadline_state.due is None


def test_an_order_that_ships_after_its_window_was_read_is_asked_for_again_and_not_late(world: Watched) -> None:
    world.place_due("1", after=HOUR)
    world.tell()
    world.pass_time(2 * HOUR)
    world.shop.sync()

    def ship() -> None:
        world.trackstar.intercept = None
        world.vendor_clock.advance(timedelta(seconds=1))
        world.move("1", "fulfilled")

    world.before_page(2, ship)  # the first page is the window's, the second that of the order's id
    world.poll(policy=POLICY)
    assert alerted(world.alerted()) == []
    assert world.stored("1").status == "fulfilled"


def test_where_trackstar_never_tells_when_it_synced_a_deadline_passes_two_syncs_later() -> None:
    quiet = Watched()
    quiet.shop.quirks.reports_syncs = False
    quiet.start(policy=QUIET)
    quiet.place_due("1", after=HOUR)
    assert quiet.tell(2 * HOUR, policy=QUIET) == [], "it has passed, and may have shipped unseen"
    assert quiet.tell(HOUR, policy=QUIET) == [("1", "order.late")]


def test_an_answer_that_does_not_tell_of_a_sync_makes_nothing_known_that_was_not(world: Watched) -> None:
    world.place_due("1", after=HOUR)
    world.tell()
    world.shop.quirks.reports_syncs = False
    world.pass_time(9 * HOUR)
    world.poll(policy=POLICY)
    assert alerted(world.alerted()) == [], "it was synced last before the deadline"
    world.shop.quirks.reports_syncs = True
    assert world.tell() == [("1", "order.late")]


def test_while_a_shop_is_blocked_no_deadline_of_it_passes(world: Watched) -> None:
    world.place_due("1", after=HOUR)
    world.tell()
    world.shop.errors = [invalid_credentials()]
    assert world.tell(5 * HOUR) == []
    world.shop.errors = []
    assert world.tell() == [("1", "order.late")]


def test_where_the_connection_cannot_be_asked_for_deadlines_pass_up_to_what_was_last_known(world: Watched) -> None:
    world.place_due("1", after=HOUR)
    world.tell()
    world.trackstar.disconnect("conn_a")
    world.trackstar.connect(world.shop)
    assert world.tell(2 * HOUR) == [("1", "order.late")]


# A ship-by that changes


def test_a_ship_by_that_moves_before_it_passes_is_armed_anew(world: Watched) -> None:
    world.place_due("1", after=30 * HOUR)
    world.tell()
    world.shop.edit("1", {"latest_ship_date": stamp(world.vendor_clock.now() + 60 * HOUR)})
    assert world.tell(10 * HOUR) == world.tell(20 * HOUR) == []
    assert world.tell(10 * HOUR) == [("1", "order.at_risk")]


def test_a_late_order_whose_ship_by_moves_is_told_no_longer_late_and_late_again_at_the_new_one(world: Watched) -> None:
    world.place_due("1", after=HOUR)
    assert world.tell(2 * HOUR) == [("1", "order.late")]
    world.shop.edit("1", {"latest_ship_date": "2026-01-08T15:00:00Z"})
    [over] = world.tell_all()
    assert (over.kind, over.detail) == (
        "order.recovered",
        "It is no longer late: it has a new ship-by.",
    )
    assert world.tell(2 * DAY + HOUR) == [("1", "order.at_risk")]
    assert world.tell(DAY) == [("1", "order.late")]


def test_a_ship_by_that_moves_there_and_back_is_not_told_again(world: Watched) -> None:
    world.place_due("1", after=HOUR)
    first = stamp(world.vendor_clock.now() + HOUR)
    assert world.tell(2 * HOUR) == [("1", "order.late")]
    for _ in range(2):
        world.shop.edit("1", {"latest_ship_date": "2026-01-09T15:00:00Z"})
        world.tell()
        world.shop.edit("1", {"latest_ship_date": first})
        assert world.tell() == []


@pytest.mark.parametrize(
    ("ship_by", "detail"),
    [
        (None, "It is no longer late: it has no ship-by any more."),
        ("2099-12-31T00:00:00Z", "It is no longer late: it has a new ship-by."),
    ],
)
def test_a_late_order_that_loses_its_ship_by_is_late_no_longer(
    world: Watched, ship_by: str | None, detail: str
) -> None:
    world.place_due("1", after=HOUR)
    assert world.tell(2 * HOUR) == [("1", "order.late")]
    world.shop.edit("1", {"latest_ship_date": ship_by})
    [over] = world.tell_all()
    assert (over.kind, over.detail) == ("order.recovered", detail)
    assert world.tell(30 * DAY) == []


def test_who_wants_no_recoveries_is_not_told_that_an_order_is_late_no_longer(world: Watched) -> None:
    silent = replace(POLICY, notify_recovered=False)
    world.place_due("1", after=HOUR)
    assert world.tell(2 * HOUR, policy=silent) == [("1", "order.late")]
    world.shop.edit("1", {"latest_ship_date": None})
    assert world.tell(policy=silent) == []


@pytest.mark.parametrize("ship_by", ["2099-12-31T00:00:00Z", "9999-12-31T00:00:00Z", None, "never", 7, ""])
def test_a_ship_by_that_is_far_away_or_makes_no_sense_tells_nothing(world: Watched, ship_by: object) -> None:
    world.place("1", latest_ship_date=ship_by)
    assert world.tell() == world.tell(30 * DAY) == []


# What becomes of the order


def test_a_partly_fulfilled_order_is_late_like_any_open_one(world: Watched) -> None:
    world.place_due("1", after=HOUR)
    world.tell()
    world.move("1", "partially_fulfilled")
    assert world.tell(2 * HOUR) == [("1", "order.late")]


def test_a_late_order_that_ships_is_told_to_have_recovered(world: Watched) -> None:
    world.place_due("1", after=HOUR)
    assert world.tell(2 * HOUR) == [("1", "order.late")]
    world.move("1", "fulfilled")
    [over] = world.tell_all()
    assert (over.kind, over.detail) == ("order.recovered", "It was late and is now fulfilled.")
    world.move("1", "open")
    assert world.tell(DAY) == [], "opened again: the same deadline is not told twice"
    world.move("1", "fulfilled")
    assert world.tell() == [], "nor is its end"


def test_an_order_that_recovers_and_becomes_late_in_the_same_poll_is_told_both(world: Watched) -> None:
    world.place_due("1", after=2 * HOUR, status="exception")
    assert sorted(world.tell()) == [("1", "order.at_risk"), ("1", "order.exception")]
    world.move("1", "processing")
    assert sorted(world.tell(3 * HOUR)) == [("1", "order.late"), ("1", "order.recovered")]


def test_an_order_that_goes_into_exception_and_becomes_late_in_the_same_poll_is_told_both(world: Watched) -> None:
    world.place_due("1", after=HOUR)
    world.tell()
    world.move("1", "exception")
    assert sorted(world.tell(2 * HOUR)) == [("1", "order.exception"), ("1", "order.late")]
    world.move("1", "processing")
    assert world.tell() == [("1", "order.recovered")], "from exception; it is still late"
    assert world.stored("1").needs_attention


@pytest.mark.parametrize("status", ["other", "on_hold"])
def test_an_order_in_a_status_of_the_shops_own_has_no_deadline_until_it_is_open_again(
    world: Watched, status: str
) -> None:
    world.place_due("1", after=HOUR)
    world.tell()
    world.move("1", status)
    assert world.tell(2 * HOUR) == []
    world.move("1", "processing")
    assert world.tell() == [("1", "order.late")]


def test_an_order_that_trackstar_no_longer_has_is_never_late(world: Watched) -> None:
    world.place_due("1", after=HOUR)
    world.tell()
    world.shop.delete("1")
    assert world.tell(2 * HOUR) == []
    assert world.stored("1").deadline_state.due is None
    assert world.queries("/cart/orders/1") != [], "it was asked for by itself"
    asked = len(world.queries("/cart/orders/1"))
    world.tell()
    assert len(world.queries("/cart/orders/1")) == asked, "and not again"


def test_an_order_whose_record_is_broken_stays_due_until_it_can_be_read(world: Watched) -> None:
    world.place_due("1", after=HOUR)
    world.tell()
    world.shop.garble("1", {"status": None})
    assert world.tell(2 * HOUR) == []
    world.shop.heal("1")
    assert world.tell() == [("1", "order.late")]


# What had passed when the watch began


def test_the_baseline_says_in_one_line_how_many_are_late_already_and_tells_none_of_them() -> None:
    world = Watched()
    world.place("1", "2", latest_ship_date=stamp(NOON - DAY))
    world.place("3", latest_ship_date=stamp(NOON + HOUR))
    world.place("4", status="fulfilled", latest_ship_date=stamp(NOON - DAY))
    [started] = world.start()
    assert started.detail == (
        "Watching 4 orders for backordered, cancelled, exception; none needs attention now. "
        "2 orders are already past their ship-by and 1 has to ship within 24 hours: "
        "only what passes from now on is alerted."
    )
    assert world.tell() == []
    assert world.tell(2 * HOUR) == [("3", "order.late")]
    assert world.stored("1").needs_attention, "it is late, and waits for a person"


def test_what_had_passed_when_the_watch_began_is_not_told_after_a_detour_either() -> None:
    world = Watched()
    world.place("1", latest_ship_date=stamp(NOON - DAY))
    world.start()
    world.move("1", "other")
    world.tell()
    world.move("1", "processing")
    assert world.tell() == []
    world.shop.edit("1", {"latest_ship_date": stamp(NOON - 2 * DAY)})
    assert world.tell() == []


def test_the_first_poll_after_an_upgrade_records_the_deadlines_of_open_orders_and_says_one_line() -> None:
    world = Watched()
    world.place("1", "2", latest_ship_date=stamp(NOON - DAY))
    world.place("3", latest_ship_date=stamp(NOON + 40 * HOUR))
    world.place("4", status="fulfilled", latest_ship_date=stamp(NOON - DAY))
    world.start(policy=WATCHED)
    assert world.stored("3").deadline_state.due is None
    [line] = world.tell_all()
    assert line.kind == "watch.started"
    assert line.detail == (
        "The deadlines of 3 open orders are watched. 2 orders are already past their ship-by: "
        "only what passes from now on is alerted."
    )
    assert world.queries()[-1]["status[in]"] == "backordered,confirmed,exception,open,partially_fulfilled,processing"
    assert world.tell() == []
    assert world.tell(40 * HOUR) == [("3", "order.late")]


def test_a_change_of_the_settings_is_reckoned_anew_and_floods_nobody(world: Watched) -> None:
    patient = replace(WATCHED, deadlines=replace(RULES, late_warning_hours=4))
    world.tell_all(policy=patient)
    world.place_due("1", "2", after=10 * HOUR)
    assert world.tell(policy=patient) == []
    [line] = world.tell_all()
    assert line.detail is not None
    assert "2 have to ship within 24 hours: only what passes from now on is alerted" in line.detail
    assert world.tell() == []
    assert world.tell(10 * HOUR) == [("1", "order.late"), ("2", "order.late")]


def test_a_zone_further_west_gives_an_order_more_time(world: Watched) -> None:
    world.place("1", latest_ship_date="2026-01-05T00:00:00Z")
    world.tell()
    west = replace(WATCHED, deadlines=replace(RULES, zone=ZoneInfo("America/Los_Angeles")))
    world.tell(policy=west)
    assert world.tell(12 * HOUR, policy=west) == [], "there it is the 5th until 08:00 UTC"
    assert world.tell(8 * HOUR, policy=west) == [("1", "order.late")]


# Many at once, little time, another poll


def test_many_late_orders_are_read_a_hundred_at_a_time(world: Watched) -> None:
    world.place_due(*map(str, range(250)), after=HOUR)
    world.tell()
    del world.trackstar.requests[:]
    assert len(world.tell(2 * HOUR)) == 250
    asked = [query["ids[in]"].split(",") for query in world.queries() if "ids[in]" in query]
    assert [len(ids) for ids in asked] == [100, 100, 50]


def test_deadlines_that_are_left_when_the_time_is_up_are_told_by_the_next_poll(world: Watched) -> None:
    world.place_due(*map(str, range(150)), after=HOUR)
    world.tell()
    world.pass_time(2 * HOUR)
    world.shop.sync()
    has_time = iter([True, True, False])
    summary = world.poll(policy=POLICY, has_time=lambda: next(has_time))
    assert (summary.outcome, summary.left) == (Outcome.UNFINISHED, 50)
    assert len(alerted(world.alerted())) == 100
    assert len(world.tell()) == 50


def test_a_poll_without_due_orders_asks_the_shop_for_none_by_id(world: Watched) -> None:
    world.place_due("1", after=40 * HOUR)
    world.tell()
    assert not any("ids[in]" in query for query in world.queries())
