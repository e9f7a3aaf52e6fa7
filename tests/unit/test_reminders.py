"""Poll after poll against a simulated shop: orders that are taken, snoozed and reminded about (rule 24)."""

from dataclasses import replace
from datetime import timedelta
from zoneinfo import ZoneInfo

import pytest

from orderwatch.alerts.alert import Alert
from orderwatch.deadlines.rules import DeadlineRules
from orderwatch.ownership import Ownership, snoozed, taken
from tests.support.clocks import NOON
from tests.support.polls import WATCHED
from tests.support.world import TICK, World, order_kinds

HOUR, DAY = timedelta(hours=1), timedelta(days=1)
RULES = DeadlineRules(ZoneInfo("UTC"), reminder_hours=24, max_reminders=2)
POLICY = replace(WATCHED, deadlines=RULES)
START = NOON + TICK
"""When the fixture's order was alerted: a Monday at noon."""
REMINDED = [("1", "order.reminder")]


class Watched(World):
    """A simulated shop; orders can be taken, snoozed and released."""

    def __init__(self, hours: int = 24) -> None:
        super().__init__(policy=replace(POLICY, deadlines=replace(RULES, reminder_hours=hours)))

    def later(self, by: timedelta = TICK) -> list[Alert]:
        """Let time pass, sync and poll; the alerts about orders."""
        return [alert for alert in self.next_poll(after=by, sync=True) if alert.order]

    def own(self, ownership: Ownership | None, order_id: str = "1") -> bool:
        """Write who works on an order."""
        row, rules = self.stored(order_id), self.policy.deadlines
        owned = row.with_ownership(ownership, rules, at=self.our_clock.now())
        return self.tables.orders.set_ownership(self.shop.connection_id, order_id, owned, expected=row)

    def take(self, owner: str = "Ana") -> bool:
        return self.own(taken(self.stored("1").ownership, owner, at=self.our_clock.now()))

    def snooze(self, hours: int) -> bool:
        now = self.our_clock.now()
        return self.own(snoozed(self.stored("1").ownership, until=now + hours * HOUR, at=now))


@pytest.fixture
def world() -> Watched:
    """A shop that is watched, with an order that was alerted as backordered."""
    return backordered(Watched())


def backordered(world: Watched) -> Watched:
    world.started("known")
    world.place("1", status="backordered")
    assert order_kinds(world.later()) == [("1", "order.backordered")]
    return world


def requested_ids(world: World) -> int:
    return sum("ids[in]" in query for query in world.queries())


def test_an_order_is_reminded_about_until_the_maximum(world: Watched) -> None:
    assert world.later(DAY - TICK) == []
    [first] = world.later()
    assert (first.kind, first.detail) == (
        "order.reminder",
        "Reminder 1 of 2: backordered for 1 business day, nobody has taken it.",
    )
    assert world.later(DAY - TICK) == []
    assert [alert.detail for alert in world.later()] == [
        "Reminder 2 of 2: backordered for 2 business days, nobody has taken it."
    ]
    assert world.later(5 * DAY) == world.later(5 * DAY) == []
    assert requested_ids(world) == 2, "read again by its id, for each reminder"


def test_with_reminders_off_an_order_has_no_due_date_and_no_write() -> None:
    world = backordered(Watched(hours=0))
    row = world.tables.rows("OrderTable")
    assert world.later(5 * DAY) == []
    assert world.tables.rows("OrderTable") == row
    assert not [name for each in row for name in each if name.startswith(("due", "remind", "ownership"))]
    assert requested_ids(world) == 0


def test_an_order_that_leaves_the_problem_has_no_reminder(world: Watched) -> None:
    world.move("1", "processing")
    assert order_kinds(world.later()) == [("1", "order.recovered")]
    assert world.stored("1").deadline_state.due_at is None
    world.move("1", "exception")
    assert order_kinds(world.later(DAY)) == [("1", "order.exception")]
    assert world.later(DAY - TICK) == [], "a new problem begins a new count"
    assert order_kinds(world.later()) == REMINDED


def test_an_order_shipped_before_its_reminder_is_never_reminded_about(world: Watched) -> None:
    world.shop.move("1", "fulfilled")
    assert order_kinds(world.later(DAY)) == [("1", "order.recovered")]
    assert world.later(5 * DAY) == []


def test_a_reminder_is_due_at_the_watermark_not_the_clock(world: Watched) -> None:
    assert order_kinds(world.next_poll(after=2 * DAY)) == [], "the last sync was two days ago"
    assert order_kinds(world.later()) == REMINDED, "one, although two were missed"
    assert world.later(DAY - TICK) == []


def test_a_taken_order_reminds_its_owner_every_three_days(world: Watched) -> None:
    assert world.later(HOUR) == []
    assert world.take()
    assert world.later(3 * DAY - TICK) == []
    [alert] = world.later()
    assert alert.detail == "Reminder 1 of 2: taken by Ana 3 d ago, still backordered."
    assert alert.order
    assert (alert.order.owner, alert.order.taken_at) == ("Ana", START + HOUR)
    assert order_kinds(world.later(3 * DAY)) == REMINDED
    assert world.later(5 * DAY) == []


def test_a_snooze_that_ends_is_a_reminder(world: Watched) -> None:
    assert world.take()
    assert world.snooze(hours=30)
    assert world.later(30 * HOUR - TICK) == []
    [alert] = world.later()
    assert (
        alert.detail
        == "Reminder 1 of 2: the snooze has ended, still backordered for 1 business day, taken by Ana 30 h ago."
    )
    assert world.stored("1").ownership == Ownership("Ana", START)
    assert world.later(3 * DAY - TICK) == []
    assert order_kinds(world.later()) == REMINDED


def test_a_snooze_reminds_even_where_reminders_are_off() -> None:
    world = backordered(Watched(hours=0))
    assert world.snooze(hours=4)
    [alert] = world.later(4 * HOUR)
    assert (alert.detail or "").startswith("Reminder: the snooze has ended, still backordered for ")
    assert world.stored("1").ownership is None
    assert world.later(5 * DAY) == []


def test_a_released_order_is_counted_anew(world: Watched) -> None:
    assert order_kinds(world.later(DAY)) == order_kinds(world.later(DAY)) == REMINDED
    assert world.take()
    assert world.own(None)
    assert world.later(DAY - TICK) == []
    [alert] = world.later()
    assert alert.detail == "Reminder 1 of 2: backordered for 3 business days, nobody has taken it."


def test_an_owner_stays_with_a_new_version_and_leaves_with_the_problem(world: Watched) -> None:
    assert world.take()
    world.shop.edit("1", {"total_price": 9})
    assert world.later() == []
    assert world.stored("1").ownership == Ownership("Ana", START)
    world.move("1", "processing")
    [recovered] = world.later()
    assert recovered.order
    assert (recovered.kind, recovered.order.owner) == ("order.recovered", "Ana")
    assert world.stored("1").ownership is None


def test_a_new_problem_begins_without_an_owner(world: Watched) -> None:
    assert world.take()
    world.move("1", "exception")
    [alert] = world.later()
    assert alert.order
    assert (alert.kind, alert.order.owner, world.stored("1").ownership) == ("order.exception", None, None)
    world.take()
    world.move("1", "cancelled")
    [alert] = world.later()
    assert alert.order
    assert (alert.kind, alert.order.owner) == ("order.cancelled", "Ana"), "who had it should know"


def test_an_order_taken_while_a_poll_writes_it_stays_taken(world: Watched) -> None:
    world.pass_time(DAY)
    world.shop.sync()
    world.before_page(2, world.take)  # the page of its id: the reminder is due, and no longer when it is written
    world.poll()
    assert world.new_alerts() == []
    assert world.stored("1").ownership == Ownership("Ana", START + DAY)


def test_an_order_that_is_late_too_gets_one_message() -> None:
    world = Watched().started("known")
    world.place("1", status="backordered", latest_ship_date="2026-01-06T12:00:00Z")
    assert order_kinds(world.later()) == [("1", "order.backordered"), ("1", "order.at_risk")]
    assert order_kinds(world.later(DAY)) == [("1", "order.late")]
    assert world.later(DAY - TICK) == []
    [alert] = world.later()
    assert alert.detail == "Reminder 1 of 2: backordered for 2 business days, nobody has taken it."


def test_old_problems_are_counted_from_the_start_of_the_watch() -> None:
    world = Watched()
    world.place("1", status="exception")
    world.pass_time(9 * DAY)
    world.started()
    assert world.later(DAY - TICK) == []
    assert order_kinds(world.later()) == REMINDED


@pytest.mark.parametrize("hours", [0, 48])
def test_other_reminder_hours_are_counted_from_when_they_were_set(hours: int) -> None:
    world = backordered(Watched(hours=hours))
    assert world.later(DAY) == []
    world.policy = POLICY
    assert world.later() == world.later(DAY - TICK) == []
    assert order_kinds(world.later()) == REMINDED


def test_reminders_end_when_they_are_turned_off(world: Watched) -> None:
    world.policy = replace(POLICY, deadlines=replace(RULES, reminder_hours=0))
    assert world.later() == world.later(5 * DAY) == []
    assert world.stored("1").deadline_state.due_at is None


def test_a_deleted_order_is_not_reminded_about(world: Watched) -> None:
    world.shop.delete("1")
    assert world.later(2 * DAY) == []
    assert world.stored("1").deadline_state.due_at is None
