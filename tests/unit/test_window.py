"""Windows: their bounds, the progress of a reading, the orders that were read, and the backlog among them."""

import sys
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orderwatch.deadlines.rules import DeadlineRules
from orderwatch.reading.policy import Policy
from orderwatch.reading.window import (
    BacklogCount,
    Progress,
    ReadIds,
    Window,
    WindowKind,
    baseline_window,
    incremental_window,
)
from orderwatch.trackstar.orders import DateField, Order, OrderPage, Quarantined
from tests.support.clocks import NOON

SECOND, MINUTE, HOUR, DAY = timedelta(seconds=1), timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)
POLICY = Policy(statuses={"exception", "backordered", "cancelled"})
WITH_DEADLINES = replace(POLICY, deadlines=DeadlineRules(zone=ZoneInfo("UTC")))
BASELINE = baseline_window(vendor_now=NOON, days=0)


# Bounds (rule 5)


@pytest.mark.parametrize(("days", "after"), [(0, None), (1, NOON - DAY), (7, NOON - 7 * DAY)])
def test_a_baseline_reads_everything_or_its_days(days: int, after: datetime | None) -> None:
    assert baseline_window(vendor_now=NOON, days=days) == Window(kind=WindowKind.BASELINE, after=after, until=NOON)


def incremental(
    *,
    age: timedelta = 5 * MINUTE,
    now: datetime = NOON + 5 * MINUTE,
    field: DateField = DateField.TRACKSTAR_UPDATED,
    frequency: timedelta = HOUR,
) -> Window:
    return incremental_window(start=NOON, age=age, vendor_now=now, date_field=field, sync_frequency=frequency)


SHOP_DATE = DateField.SHOP_UPDATED


@pytest.mark.parametrize(
    ("window", "after", "why"),
    [
        (incremental(), NOON - 10 * MINUTE, "the overlap before the cursor"),
        (incremental(age=HOUR, now=NOON + HOUR), NOON - 10 * MINUTE, "an outage makes the window longer, not later"),
        (incremental(now=NOON - HOUR), NOON - HOUR - 15 * MINUTE, "the vendor's clock went back: so does the window"),
        (incremental(now=NOON + 24 * HOUR), NOON - 10 * MINUTE, "it jumped ahead: nothing is skipped"),
        (incremental(age=-HOUR, now=NOON - HOUR), NOON - HOUR - 10 * MINUTE, "our own clock went back too"),
        (incremental(field=SHOP_DATE), NOON - 2 * HOUR, "the shop's date lies up to a sync behind: two"),
        (incremental(field=SHOP_DATE, frequency=4 * MINUTE), NOON - 10 * MINUTE, "a quick sync: the usual overlap"),
    ],
)
def test_where_a_window_begins(window: Window, after: datetime, why: str) -> None:
    assert window.after == after, why


def test_a_window_ends_with_the_vendors_clock() -> None:
    window = incremental(now=NOON + 7 * MINUTE, field=SHOP_DATE)
    assert (window.kind, window.until, window.date_field) == (WindowKind.INCREMENTAL, NOON + 7 * MINUTE, SHOP_DATE)


@given(now=st.timedeltas(-timedelta(days=30), timedelta(days=30)), age=st.timedeltas(timedelta(0), timedelta(days=30)))
def test_a_window_overlaps_the_last_one_whatever_the_clocks_do(now: timedelta, age: timedelta) -> None:
    window = incremental(now=NOON + now, age=age)
    assert window.after
    assert window.after <= min(NOON, window.until - age) - 10 * MINUTE


# Progress (rules 6 and 7)


def progress(**fields: Any) -> Progress:
    return Progress(window=BASELINE, began_at=NOON, **fields)


def order(order_id: str, status: str = "open", **fields: Any) -> Order:
    return Order.of({"id": order_id, "status": status, **fields})


def page(*orders: Order, bad: tuple[str | None, ...] = (), total: int | None = None) -> OrderPage:
    return OrderPage(list(orders), [Quarantined(each, "status is missing") for each in bad], None, total)


def counting(before: Progress, *orders: Order, bad: tuple[str | None, ...] = (), total: int | None = None) -> Progress:
    return before.counting(page(*orders, bad=bad, total=total), {each.id: each for each in orders}, WITH_DEADLINES)


def test_each_order_of_a_window_is_counted_once() -> None:
    assert (progress().read_count, progress().expected_count) == (0, 0)
    first = counting(progress(), order("1"), order("2"), total=9)
    assert (first.read_count, first.expected_count, first.remaining) == (2, 9, 7)
    second = counting(first, order("2"), order("3"), bad=("4", None), total=7)
    assert (second.read_count, second.expected_count) == (5, 9), "a record without an id counts each time"
    third = counting(second, bad=("4",))
    assert (third.read_count, third.expected_count, third.remaining) == (5, 9, 4)
    assert replace(third, expected_count=3).remaining == 0, "some are new"


def test_pages_without_a_new_order_are_counted_in_a_row() -> None:
    after, counts = progress(), []
    for orders, bad in (("", ()), ("1", ()), ("1", ()), ("1", ()), ("2", ()), ("2", ()), ("2", ("3",)), ("", ())):
        after = counting(after, *map(order, orders), bad=bad)
        counts.append(after.pages_without_new_orders)
    assert counts == [1, 0, 1, 2, 0, 1, 0, 1]


def test_a_restarted_window_begins_at_its_first_page() -> None:
    begun = {"last_sync_end": NOON, "deadline_rules": "rules"}
    read = counting(progress(**begun, page_token="t", expected_count=9), order("1", "exception"))
    assert (read.read_count, read.backlog.by_status) == (1, {"exception": 1})
    assert read.restarted() == progress(**begun, attempt=2)
    assert read.restarted().restarted().attempt == 3


# The orders that were read


def seen(*order_ids: str) -> ReadIds:
    orders = ReadIds()
    orders.add(order_ids)
    return orders


@given(st.lists(st.text(max_size=4)))
def test_an_order_is_new_once_and_only_once(order_ids: list[str]) -> None:
    orders, known = ReadIds(), set[str]()
    for order_id in order_ids:
        assert orders.add([order_id, order_id]) == [order_id not in known, False]
        known.add(order_id)
    assert len(orders) == len(known)
    assert orders == ReadIds.from_text(orders.to_text())


def test_read_orders_stay_exact_and_small_while_they_grow() -> None:
    orders = seen(*map(str, range(50_000)))
    assert len(orders) == 50_000
    assert not any(orders.add(map(str, range(50_000))))
    assert orders.add(["one more"]) == [True]
    assert sys.getsizeof(orders._slots) <= 32 * len(orders)


def test_the_next_poll_knows_what_was_saved() -> None:
    restored = ReadIds.from_text(seen("1", "2", "\ud800").to_text())
    assert restored.add(("1", "2", "\ud800", "3")) == [False, False, False, True]
    assert seen("1") != seen("2")
    assert seen("1") != {"1"}


def test_read_orders_that_do_not_fit_the_row_are_not_saved() -> None:
    orders = seen(*map(str, range(10_000)))
    assert len(orders.to_text()) == 80_000
    orders.add(["one more"])
    assert orders.to_text() == ""
    assert len(ReadIds.from_text("")) == 0


# The backlog


@pytest.mark.parametrize(
    ("kind", "overdue"),
    [
        (WindowKind.BASELINE, {"order.late": 2, "order.at_risk": 1}),
        (WindowKind.DEADLINES, {"order.late": 2, "order.at_risk": 1}),
        (WindowKind.INCREMENTAL, {}),
    ],
)
def test_deadlines_past_when_their_watch_begins_are_counted(kind: WindowKind, overdue: dict[str, int]) -> None:
    ship_by = {"1": -DAY, "2": timedelta(0), "3": DAY, "4": DAY + SECOND}
    orders = [order(each, latest_ship_date=NOON + after) for each, after in ship_by.items()]
    before = Progress(window=Window(kind=kind, until=NOON), began_at=NOON)
    done = order("5", "fulfilled", latest_ship_date=NOON - DAY)
    assert counting(before, *orders, order("6"), done).backlog.overdue == overdue


def test_the_ten_most_urgent_orders_are_listed() -> None:
    late = [order(str(day), "exception", latest_ship_date=NOON + day * DAY) for day in range(12)]
    orders = [order("dear", "exception", total_price=9), *reversed(late), order("cheap", "exception", total_price=1)]
    counted = BacklogCount()
    for part in (orders[:5], orders[5:]):
        counted = counted.with_orders(part, POLICY, overdue_by=NOON).listing({each.id: each for each in part}, POLICY)
    backlog = counted.backlog(now=NOON)
    assert backlog
    assert [each.id for each in backlog.orders] == [str(day) for day in range(10)]
    assert (backlog.seen_at, backlog.more_orders, backlog.by_status) == (NOON, 4, {"exception": 14})


def test_a_newer_record_replaces_a_listed_order() -> None:
    def listing(counted: BacklogCount, *orders: Order) -> BacklogCount:
        return counted.listing({each.id: each for each in orders}, POLICY)

    counted = listing(BacklogCount({"exception": 2}), order("1", "exception"), order("2", "exception"))
    counted = listing(counted, order("1", "backordered"), order("3"))
    assert {each.id: each.status for each in counted.most_urgent} == {"1": "backordered", "2": "exception"}
    after = listing(BacklogCount({"exception": 1}), order("1", "exception"))
    after = listing(after, order("1", "fulfilled"), order("2", "exception"), order("3", "exception"))
    backlog = after.backlog(now=NOON)
    assert backlog
    assert ([each.id for each in backlog.orders], backlog.more_orders) == (["2", "3"], 0), "never less than none"


@pytest.mark.parametrize(
    ("kind", "is_counted", "listed"),
    [
        (WindowKind.BASELINE, True, ["1", "2", "3"]),
        (WindowKind.DEADLINES, True, []),
        (WindowKind.SWEEP, False, []),
        (WindowKind.INCREMENTAL, False, []),
    ],
)
def test_only_windows_whose_alerts_show_a_backlog_count_it(
    kind: WindowKind, *, is_counted: bool, listed: list[str]
) -> None:
    orders = [order("1", "exception"), order("2", "exception"), order("3", "backordered"), order("4", "cancelled")]
    before = Progress(window=Window(kind=kind, until=NOON), began_at=NOON)
    backlog = before.counting(page(*orders), {each.id: each for each in orders}, POLICY).backlog
    assert backlog.by_status == ({"exception": 2, "backordered": 1} if is_counted else {})
    assert [each.id for each in backlog.most_urgent] == listed
    assert backlog.overdue == {}


def test_nothing_that_needs_attention_is_no_backlog() -> None:
    assert BacklogCount().backlog(now=NOON) is None
