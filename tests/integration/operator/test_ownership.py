"""`orderwatch take`, `snooze`, `release`, and the owners in `orders`."""

from collections.abc import Iterator
from copy import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
import typer

from orderwatch.aws.order_table import OrderTable
from orderwatch.ownership import Ownership
from orderwatch.records import StoredOrder
from orderwatch_cli.commands.ownership import snooze_end
from orderwatch_cli.stack import TABLE
from tests.support.alerts import first_sight
from tests.support.clocks import NOON, FakeClock, running_on
from tests.support.operated import CONNECTION, TOKEN, Operated, moto_client

HOUR, DAY = timedelta(hours=1), timedelta(days=1)
BERLIN = ZoneInfo("Europe/Berlin")


@pytest.fixture(autouse=True)
def clock() -> Iterator[FakeClock]:
    fake_clock = FakeClock(NOON)
    with running_on(fake_clock):
        yield fake_clock


@pytest.fixture
def operated(operated: Operated, monkeypatch: pytest.MonkeyPatch) -> Operated:
    """Two shops with orders that need attention, and reminders after 24 business hours."""
    monkeypatch.setenv("LOGNAME", "kim")
    operated.create(TABLE)
    operated.connect(CONNECTION, TOKEN)
    operated.connect("conn_b", "token-b")
    operated.put("connections/conn_b/name", "Bazaar")
    operated.put("connections/conn_b/settings", '{"time_zone": "Europe/Berlin"}')
    operated.describe(ReminderHours="24")
    for number in ("1042", "1043"):
        operated.write(first_sight(f"id-{number}", record={"order_number": f"#{number}"}))
    operated.write(first_sight("id-b", status="backordered", record={"order_number": "1043"}), connection_id="conn_b")
    return operated


def stored(order_id: str, *, connection_id: str = CONNECTION) -> StoredOrder:
    return OrderTable(moto_client("dynamodb"), "OrderTable").read(connection_id, [order_id])[order_id]


def test_an_order_is_taken_taken_over_and_released(operated: Operated, clock: FakeClock) -> None:
    assert operated.run("take", "1042", "--note", "asked the supplier").out == (
        "#1042 at conn_a (in exception): taken by kim; next reminder Thu 8 Jan 12:00 UTC\n"
    )
    row = stored("id-1042")
    assert row.ownership == Ownership("kim", NOON, note="asked the supplier")
    assert row.deadline_state.reminder_at == NOON + 3 * DAY
    clock.advance(HOUR)
    assert "taken by Ana; kim had it; next" in operated.run("take", "#1042", "--by", "Ana").out
    [released] = operated.json("release", "id-1042")
    assert (released["owner"], released["note"], released["previous_owner"]) == (None, None, "Ana")
    assert released["next_reminder_at"] == "2026-01-06T13:00:00Z"
    assert stored("id-1042").ownership is None
    clock.advance(HOUR)
    assert "next reminder Tue 6 Jan 13:00 UTC" in operated.run("release", "1042").out, "nothing to release"


def test_several_orders_are_snoozed_in_the_time_zone_of_their_shop(operated: Operated) -> None:
    ran = operated.run("snooze", "1042", "id-b", "id-b", "--until", "Tue 9:00")
    assert ran.out == (
        "#1042 at conn_a (in exception): snoozed until Tue 6 Jan 09:00 UTC\n"
        "#1043 at Bazaar (backordered): snoozed until Tue 6 Jan 09:00 CET\n"
    )
    assert stored("id-b", connection_id="conn_b").deadline_state.reminder_at == datetime(2026, 1, 6, 8, tzinfo=UTC)
    [taken] = operated.json("snooze", "1042", "--for", "90m", "--by", "Ana")
    assert (taken["owner"], taken["snoozed_until"]) == ("Ana", "2026-01-05T13:30:00Z")


def test_without_reminders_the_command_says_so(operated: Operated) -> None:
    operated.describe()
    assert operated.run("take", "1042").out.endswith("taken by kim; no reminder: reminders are off\n")
    operated.describe(DeadlineAlerts="false", ReminderHours="24")
    assert operated.run("snooze", "1042", "--for", "4h").out.endswith("; no reminder: reminders are off\n")


def test_the_list_shows_owners_and_filters_by_them(operated: Operated, clock: FakeClock) -> None:
    operated.run("take", "1042", "--note", "asked the supplier")
    operated.run("snooze", "id-1043", "--for", "4h")
    by_number = {each["order_id"]: each for each in operated.json("orders")}
    mine, snoozed, free = (by_number[order_id] for order_id in ("id-1042", "id-1043", "id-b"))
    assert (mine["owner"], mine["note"], mine["taken_at"]) == ("kim", "asked the supplier", "2026-01-05T12:00:00Z")
    assert (snoozed["owner"], snoozed["snoozed_until"]) == (None, "2026-01-05T16:00:00Z")
    shown = operated.run("orders", "--utc").out
    assert "asked the supplier" in shown
    assert "snoozed until 2026-01-05 16:00 UTC" in shown
    for option, found in (("--mine", mine), ("--snoozed", snoozed), ("--unowned", free)):
        assert operated.json("orders", option) == [found]
    clock.advance(4 * HOUR)
    assert operated.run("orders", "--snoozed").out == "no snoozed order needs attention\n"
    assert len(operated.json("orders", "--unowned")) == 2, "its snooze has ended"


@pytest.mark.parametrize(
    ("typed", "message"),
    [
        (("take", "1043"), "2 orders match 1043; use an ID, or --shop: id-1043 (#1043 at conn_a, in exception), id-b "),
        (("take", "1044"), "no order 1044 needs attention; did you mean #1043 at conn_a, #1043 at Bazaar, #1042 at c"),
        (("take", "x"), "no order x needs attention; list them with: orderwatch orders"),
        (("take", "id-done"), "#id-done at conn_a is cancelled and needs no attention"),
        (("take", "1042", "--shop", "Bazaar"), "no order 1042 needs attention"),
        (("take", "1042", "nope"), "no order nope needs attention"),
        (("take", "1042", "--by", "kim@example.com"), "use a name, not an e-mail address"),
        (("snooze", "1042"), "give either --until or --for"),
        (("snooze", "1042", "--for", "4 hours"), "'4 hours' is no duration such as 90m, 4h or 2d"),
        (("snooze", "1042", "--until", "soon"), "'soon' is no time such as "),
        (("snooze", "1042", "--until", "2026-01-05"), "a snooze must end in the future"),
    ],
)
def test_what_cannot_be_done_is_an_error(operated: Operated, typed: tuple[str, ...], message: str) -> None:
    operated.write(first_sight("id-done", status="cancelled"))
    ran = operated.run(*typed)
    assert (ran.code in {1, 2}, ran.out) == (True, "")
    assert message in ran.err
    assert stored("id-1042").ownership is None


def changing(monkeypatch: pytest.MonkeyPatch, operated: Operated, *changes: dict[str, Any]) -> None:
    """Let a poll change the row of order 1042 before each write of the command."""
    pending, write = list(changes), OrderTable.set_ownership

    def set_ownership(self: OrderTable, connection_id: str, order_id: str, *rest: Any, **options: Any) -> bool:
        if pending:
            row = stored("id-1042")
            write_of = replace(first_sight("id-1042"), expected=row, stored=replace(row, **pending.pop(0)))
            operated.write(write_of)
        return write(self, connection_id, order_id, *rest, **options)

    monkeypatch.setattr(OrderTable, "set_ownership", set_ownership)


def test_an_order_that_left_the_problem_meanwhile_is_not_taken(
    operated: Operated, monkeypatch: pytest.MonkeyPatch
) -> None:
    changing(monkeypatch, operated, {"status": "processing", "changes": 2, "needs_attention": False})
    ran = operated.run("take", "1042", "id-1043")
    assert ran.code == 1
    assert ran.err == ("orderwatch: #1042 at conn_a changed meanwhile: it is processing and needs no attention\n")
    assert "#1043" in ran.out
    assert stored("id-1043").ownership, "the others are taken"


def test_an_order_that_somebody_took_meanwhile_says_so(operated: Operated, monkeypatch: pytest.MonkeyPatch) -> None:
    changing(monkeypatch, operated, {"ownership": Ownership("Ben", NOON)})
    assert "taken by kim; Ben had it" in operated.run("take", "1042").out


@pytest.mark.parametrize(
    ("text", "end"),
    [
        ("17:30", "2026-03-27T16:30"),
        ("9:00", "2026-03-28T08:00"),
        ("today 9:00", "2026-03-27T08:00"),
        ("tomorrow 9:00", "2026-03-28T08:00"),
        ("fri 11:00", "2026-04-03T09:00"),
        ("Friday 13:01", "2026-03-27T12:01"),
        ("Mon 9:00", "2026-03-30T07:00"),
        ("sun 2:30", "2026-03-29T01:30"),
        ("2026-03-30", "2026-03-29T22:00"),
        ("2026-03-30T09:00", "2026-03-30T07:00"),
        ("2026-03-30T09:00Z", "2026-03-30T09:00"),
    ],
)
def test_when_a_snooze_ends(text: str, end: str) -> None:
    friday = datetime(2026, 3, 27, 12, tzinfo=UTC)
    assert snooze_end(text, now=friday, zone=BERLIN) == datetime.fromisoformat(end).replace(tzinfo=UTC)


@pytest.mark.parametrize("text", ["", "25:00", "monday", "someday 9:00", "9", "Mon 9:00 am"])
def test_what_is_no_end_of_a_snooze(text: str) -> None:
    with pytest.raises(typer.BadParameter, match="is no time such as"):
        snooze_end(text, now=NOON, zone=BERLIN)
