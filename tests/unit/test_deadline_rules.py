"""Poll after poll against a simulated shop: the alerts of orders that do not move (rule 19)."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from orderwatch.deadlines.rules import DeadlineRules
from orderwatch.polling.metrics import Outcome
from orderwatch.reading.policy import Policy
from tests.support.clocks import NOON
from tests.support.polls import WATCHED
from tests.support.world import TICK, World, order_kinds

SECOND, HOUR, DAY = timedelta(seconds=1), timedelta(hours=1), timedelta(days=1)
RULES = DeadlineRules(zone=ZoneInfo("UTC"))
POLICY = replace(WATCHED, deadlines=RULES)


def stamp(moment: datetime) -> str:
    return f"{moment.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}"


class Watched(World):
    """Simulated shops whose polls also watch deadlines."""

    def __init__(self, policy: Policy = POLICY) -> None:
        super().__init__(policy=policy)

    def place_due(self, *order_ids: str, after: timedelta, status: str = "open") -> None:
        """New orders that have to ship so long after now."""
        self.place(*order_ids, status=status, latest_ship_date=stamp(self.vendor_clock.now() + after))

    def later(self, by: timedelta = TICK, **options: Any) -> list[tuple[str, str]]:
        """Let time pass, sync and poll; the order and kind of each alert about an order."""
        return order_kinds(self.next_poll(after=by, sync=True, **options))


@pytest.fixture
def world() -> Watched:
    """A shop that is watched, with an order that has to ship in an hour."""
    world = Watched().started("known")
    world.place_due("1", after=HOUR)
    assert world.later(timedelta(0)) == []
    assert world.later(SECOND) == [("1", "order.at_risk")]
    return world


def requested_ids(world: World) -> list[int]:
    return [len(query["ids[in]"].split(",")) for query in world.queries() if "ids[in]" in query]


def test_an_unshipped_order_is_at_risk_once_and_then_late_once() -> None:
    world = Watched().started("known")
    world.place_due("1", after=30 * HOUR)
    assert world.later() == world.later(6 * HOUR - TICK - SECOND) == []
    assert requested_ids(world) == []
    assert world.later(SECOND) == [("1", "order.at_risk")]
    assert world.later(DAY - SECOND) == []
    assert world.later(SECOND) == [("1", "order.late")]
    assert world.later() == world.later(DAY) == []
    assert requested_ids(world) == [1, 1]


def test_with_deadline_alerts_off_nothing_is_alerted_or_read() -> None:
    world = Watched(WATCHED).started("known")
    world.place_due("1", after=HOUR)
    assert world.later() == world.later(DAY) == []
    assert requested_ids(world) == []
    assert world.stored("1").deadline_state.due is None


def test_an_order_without_a_ship_by_gets_stuck_until_it_moves() -> None:
    world = Watched(replace(WATCHED, deadlines=replace(RULES, stuck_days=2))).started()
    world.place("1")  # on Monday at noon
    assert world.later() == world.later(2 * DAY) == []
    assert world.later(12 * HOUR) == [("1", "order.stuck")]
    world.move("1", "processing")
    assert world.later() == [("1", "order.recovered")]
    assert world.later(5 * DAY) == [("1", "order.stuck")]


# By what can be seen, not by the clock


def test_a_deadline_passes_with_the_watermark_not_the_clock(world: Watched) -> None:
    assert order_kinds(world.next_poll(after=2 * HOUR)) == [], "the last sync was two hours ago"
    assert world.later() == [("1", "order.late")]


def test_an_order_shipped_before_the_next_sync_is_never_late(world: Watched) -> None:
    world.place_due("2", after=HOUR)
    world.later()
    world.shop.move("1", "fulfilled")
    world.shop.move("2", "cancelled")
    assert world.later(2 * HOUR) == [("2", "order.cancelled")]
    assert world.stored("1").deadline_state.due is world.stored("2").deadline_state.due is None


def test_an_order_shipped_after_its_window_is_read_again(world: Watched) -> None:
    world.pass_time(2 * HOUR)
    world.shop.sync()

    def ship() -> None:
        world.trackstar.intercept = None
        world.vendor_clock.advance(SECOND)
        world.move("1", "fulfilled")

    world.before_page(2, ship)  # the first page is the window's, the second that of the order's id
    world.poll()
    assert order_kinds(world.new_alerts()) == []
    assert world.stored("1").status == "fulfilled"


def test_a_broken_record_stays_due_until_it_can_be_read(world: Watched) -> None:
    world.shop.garble("1", {"status": None})
    assert world.later(2 * HOUR) == []
    world.shop.heal("1")
    assert world.later() == [("1", "order.late")]


# Changes of the order


def test_a_moved_ship_by_resolves_lateness_until_it_passes(world: Watched) -> None:
    assert world.later(2 * HOUR) == [("1", "order.late")]
    world.shop.edit("1", {"latest_ship_date": "2026-01-08T15:00:00Z"})
    assert world.later() == [("1", "order.recovered")]
    assert world.later(2 * DAY + HOUR) == [("1", "order.at_risk")]
    assert world.later(DAY) == [("1", "order.late")]


def test_a_late_order_that_ships_has_a_recovery_alert(world: Watched) -> None:
    assert world.later(2 * HOUR) == [("1", "order.late")]
    world.move("1", "fulfilled")
    assert world.later() == [("1", "order.recovered")]
    world.move("1", "open")
    assert world.later(DAY) == [], "opened again: the same deadline is not alerted twice"
    world.move("1", "fulfilled")
    assert world.later() == [], "its end is not alerted twice either"


# Deadlines that passed before the watch began


def test_the_baseline_counts_late_orders_and_alerts_none() -> None:
    world = Watched()
    world.place("1", "2", latest_ship_date=stamp(NOON - DAY))
    world.place("3", latest_ship_date=stamp(NOON + HOUR))
    world.poll()
    [alert] = world.new_alerts()
    assert alert.detail == (
        "Now watching 3 orders, none in a watched status. 2 are already overdue; they won't be alerted one by one. "
        "1 is due within 24 h; it is alerted if late."
    )
    world.move("1", "other")
    assert world.later() == []
    world.move("1", "processing")
    assert world.later() == []
    world.shop.edit("2", {"latest_ship_date": stamp(NOON - 2 * DAY)})
    assert world.later() == []
    assert world.later(2 * HOUR) == [("3", "order.late")]
    assert world.stored("1").needs_attention, "it is late and needs attention"


def test_an_upgrade_records_deadlines_and_sends_one_message() -> None:
    world = Watched(WATCHED)
    world.place("1", latest_ship_date=stamp(NOON - DAY))
    world.place("3", latest_ship_date=stamp(NOON + 40 * HOUR))
    world.place("4", status="fulfilled", latest_ship_date=stamp(NOON - DAY))
    world.started()
    world.policy = POLICY
    [alert] = world.next_poll(sync=True)
    assert (alert.kind, (alert.detail or "")[:45]) == ("watch.started", "Now watching the deadlines of 2 open orders. ")
    assert world.later() == []
    assert world.later(40 * HOUR) == [("3", "order.late")]


# Many at once, and little time


def test_many_late_orders_are_read_a_hundred_at_a_time(world: Watched) -> None:
    world.place_due(*map(str, range(2, 252)), after=HOUR)
    world.later()
    del world.trackstar.requests[:]
    world.pass_time(2 * HOUR)
    world.shop.sync()
    time = iter([True, True, True, False])
    summary = world.poll(has_time=lambda: next(time))
    assert (summary.outcome, summary.remaining, summary.written) == (Outcome.UNFINISHED, 51, 200)
    assert len(order_kinds(world.new_alerts())) == 200
    assert len(world.later()) == 51
    assert requested_ids(world) == [100, 100, 51]


def test_orders_that_trackstar_no_longer_has_are_never_late(world: Watched) -> None:
    world.place_due(*map(str, range(2, 152)), after=HOUR)
    world.later()
    for order_id in ("1", "2", "150"):
        world.shop.delete(order_id)
    assert len(world.later(2 * HOUR)) == 148
    gone = [world.stored(order_id) for order_id in ("1", "2", "150")]
    assert {(row.deadline_state.due, row.needs_attention) for row in gone} == {(None, False)}
    requested = world.queries("/cart/orders/1")
    world.later()
    assert world.queries("/cart/orders/1") == requested != [], "requested by its id, and not again"
