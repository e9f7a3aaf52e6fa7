"""Rule 20: a summary of all shops, and what it compares with the one before."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest

from orderwatch.alerts.kinds import Severity
from orderwatch.alerts.summary import Changes, DailySummary, NotVisible
from orderwatch.deadlines.rules import DeadlineState
from orderwatch.reading.cursor import Cursor
from orderwatch.records import ConnectionState, Health, HealthState, Syncs
from orderwatch.summary.build import MAX_BYTES, PreparedSummary, not_visible, summarize
from orderwatch.summary.changes import MAX_SNAPSHOT, decode, encode
from orderwatch.summary.stock import MAX_SHOPS
from tests.support.summaries import (
    AT,
    AT_RISK,
    DAY,
    HOUR,
    MemoryStore,
    Shelf,
    blocked,
    extract,
    healthy,
    late_for,
    request,
    row,
    shop,
)

STALLED_AFTER = timedelta(minutes=30)


def made(
    store: MemoryStore, *names: str, at: datetime = AT, request_id: str = "", shelf: Shelf | None = None
) -> PreparedSummary:
    shops = [shop(name) for name in names or ("a",)]
    for name in names or ("a",):
        if name in store.known:
            known = store.known[name]
            cursor = replace(known.cursor, last_success_at=at)
            store.known[name] = replace(known, cursor=cursor, syncs=Syncs(last_end=at))
    return summarize(shops, store=store, products=shelf, request=request(at=at, request_id=request_id))


def daily_of(summary: PreparedSummary) -> DailySummary:
    assert summary.alert.summary
    return summary.alert.summary


def sent(store: MemoryStore, *names: str, at: datetime = AT) -> DailySummary:
    summary = made(store, *names, at=at)
    assert store.put(summary)
    return daily_of(summary)


def test_the_worst_shop_comes_first_and_quiet_shops_are_counted() -> None:
    rows = {
        "calm": {},
        "few": {"1": row()},
        "late": {"1": row("open", deadline_state=late_for(HOUR))},
        "many": {str(number): row() for number in range(3)},
        "gone": {},
    }
    known = {name: healthy(name) for name in rows} | {"gone": blocked("gone")}
    daily = daily_of(made(MemoryStore(rows, known), *rows))
    assert [each.connection_id for each in daily.shops] == ["gone", "late", "many", "few"]
    assert (daily.watched_shops, daily.quiet_shops, daily.shops_not_visible, daily.total.needs_attention) == (
        5,
        1,
        1,
        5,
    )


def test_a_blocked_shop_shows_its_last_known_figures() -> None:
    store = MemoryStore({"a": {"1": row()}}, {"a": blocked(), "b": blocked("b")})
    daily = daily_of(made(store, "a", "b"))
    assert [each.not_visible for each in daily.shops] == [NotVisible(state="blocked", since=AT - 5 * HOUR)] * 2
    assert daily.total.needs_attention == 1
    assert not daily.is_quiet
    assert made(store, "a", "b").alert.severity is Severity.WARNING


def test_a_summary_without_a_backlog_is_info() -> None:
    summary = made(MemoryStore({}, {"a": healthy()}))
    assert daily_of(summary).is_quiet
    assert summary.alert.severity is Severity.INFO


@pytest.mark.parametrize(
    ("state", "expected", "why"),
    [
        (healthy(), None, "read three minutes ago"),
        (blocked(), NotVisible(state="blocked", since=AT - 5 * HOUR), "Trackstar cannot see it"),
        (ConnectionState(connection_id="a"), NotVisible(state="initial_sync"), "it was never read"),
        (
            replace(healthy(), cursor=Cursor(watch_started_at=AT - HOUR)),
            NotVisible(state="initial_sync", since=AT - HOUR),
            "its first reading has not ended",
        ),
        (
            replace(healthy(), health=Health(state=HealthState.STALE, since=AT), syncs=Syncs(last_end=AT - 3 * HOUR)),
            NotVisible(state="stale", since=AT - 3 * HOUR),
            "nothing was synced since then",
        ),
        (
            replace(healthy(), cursor=replace(healthy().cursor, last_success_at=AT - timedelta(minutes=31))),
            NotVisible(state="poll_failing", since=AT - timedelta(minutes=31)),
            "no poll was completed",
        ),
    ],
)
def test_whether_a_shop_is_visible(state: ConnectionState, expected: NotVisible | None, why: str) -> None:
    assert not_visible(state, at=AT, stalled_after=STALLED_AFTER) == expected, why


def test_previous_plus_new_minus_cleared_is_the_backlog() -> None:
    store = MemoryStore({"a": {"1": row(), "2": row(since=20 * HOUR), "3": row(since=HOUR)}}, {"a": healthy()})
    assert sent(store).changes is None, "there is no earlier summary"
    store.clear("a", "2", at=AT + 4 * HOUR)
    store.clear("a", "3", at=AT + 2 * HOUR)
    store.rows["a"] |= {"4": row(), "5": row()}
    daily = sent(store, at=AT + DAY)
    assert daily.changes == Changes(since=AT, previous=3, new=2, cleared=2, median_hours_to_clear=Decimal("13.5"))
    assert daily.total.needs_attention == 3 + 2 - 2
    assert daily.shops[0].changes == daily.changes


def test_all_orders_of_a_new_shop_are_new() -> None:
    store = MemoryStore({"a": {"1": row()}, "b": {"1": row(), "2": row()}}, {"a": healthy(), "b": healthy("b")})
    sent(store, "a")
    changed = sent(store, "a", "b", at=AT + DAY).changes
    assert changed
    assert (changed.previous, changed.new, changed.cleared) == (1, 2, 0)


def test_a_moved_ship_by_clears_an_order_without_a_duration() -> None:
    store = MemoryStore({"a": {"1": row("open", since=9 * DAY, deadline_state=late_for(HOUR))}}, {"a": healthy()})
    sent(store)
    store.rows["a"]["1"] = row("open", since=9 * DAY, needs_attention=False)
    changed = sent(store, at=AT + DAY).changes
    assert changed
    assert (changed.cleared, changed.median_hours_to_clear) == (1, None)


def test_a_day_has_one_summary_beside_requested_ones() -> None:
    store = MemoryStore({"a": {"1": row()}}, {"a": healthy()})
    assert store.put(made(store))
    assert not store.put(made(store, at=AT + HOUR))
    assert store.put(made(store, at=AT + HOUR, request_id="by-hand"))
    assert len(store.written) == 2


def test_ages_count_up_to_the_last_sync_of_the_shop() -> None:
    risk, far = (
        row("open", needs_attention=False, deadline_state=AT_RISK),
        DeadlineState(AT_RISK.due, late_for(HOUR).passed),
    )
    store = MemoryStore(
        {"a": {"1": row(since=23 * HOUR), "2": risk, "3": row("open", deadline_state=far)}}, {"a": blocked()}
    )
    later = summarize([shop()], store=store, products=None, request=request(at=AT + 9 * DAY))
    [summed] = daily_of(later).shops
    assert (summed.as_of, summed.ages.under_1_day, summed.ages.over_7_days) == (AT, 2, 0)
    assert (summed.late, summed.at_risk) == (1, 1)


def test_mondays_compare_the_week_with_the_one_before() -> None:
    store = MemoryStore({"a": {}}, {"a": healthy()})
    friday = datetime(2026, 2, 13, 7, tzinfo=UTC)
    days = [friday + number * DAY for number in range(18) if (friday + number * DAY).weekday() < 5]
    for number, day in enumerate(days):
        store.rows["a"][str(number)] = row()
        if number % 2:
            store.clear("a", str(number - 1), at=day)
        daily = sent(store, at=day + number * timedelta(seconds=1))  # no tick is on the second
        assert (daily.week is not None) is (day.weekday() == 0 and number > 1)
    assert days[-1].weekday() == 0
    assert daily.week
    assert daily.week_before
    assert (daily.week.new, daily.week.cleared, daily.week.needs_attention) == (5, 3, 6)
    assert (daily.week_before.new, daily.week_before.cleared, daily.week_before.needs_attention) == (5, 2, 4)


def test_stock_is_looked_up_for_the_worst_shops_only() -> None:
    names = [f"{number:02}" for number in range(MAX_SHOPS + 3)]
    rows = {name: {"1": row("backordered", kept=extract(("LAMP", 2)))} for name in names}
    store, shelf = MemoryStore(rows, {name: healthy(name) for name in names}), Shelf({"id-LAMP": 1})
    daily = daily_of(made(store, *names, shelf=shelf))
    assert shelf.asked == names[:MAX_SHOPS]
    assert [each.products[0].short for each in daily.shops[:MAX_SHOPS]] == [1] * MAX_SHOPS
    assert daily.shops[-1].products[0].on_hand is None
    summary = made(store, "00", shelf=Shelf(gap="Trackstar did not answer"))
    assert summary.alert.enrichment.missing == ("stock at 00: Trackstar did not answer",)


def test_five_hundred_shops_fit_into_the_row() -> None:
    names = [f"conn-{number:03}" for number in range(500)]
    long_link = extract(("LAMP", 1)).model_copy(update={"url": f"https://shop.example/{'x' * 200}"})
    rows = {name: {f"{name}-{each}": row(kept=long_link) for each in range(20)} for name in names}
    summary = made(MemoryStore(rows, {name: healthy(name) for name in names}), *names)
    daily = daily_of(summary)
    assert len(summary.alert.model_dump_json(exclude_none=True).encode()) <= MAX_BYTES
    assert daily.total.needs_attention == 10_000
    assert len(daily.shops) + daily.more_shops == 500
    assert daily.shops[0].orders
    assert all(len(each.orders) + each.more_orders == 20 for each in daily.shops)
    assert summary.snapshot
    assert len(summary.snapshot) <= MAX_SNAPSHOT
    assert {name: len(orders) for name, orders in decode(summary.snapshot).items()} == dict.fromkeys(names, 20)


def test_without_a_snapshot_there_are_no_changes() -> None:
    crowd = {f"order-{number * 7919 % 1_000_003:x}-{number}": AT for number in range(60_000)}
    assert encode({"a": crowd}) is None
    store = MemoryStore({"a": {"1": row()}}, {"a": healthy()})
    first = made(store)
    store.put(replace(first, snapshot=None))
    assert sent(store, at=AT + DAY).changes is None


def test_old_data_still_shows_orders_at_risk() -> None:
    kept = {"1": row("processing", needs_attention=False, deadline_state=AT_RISK)}
    old = replace(healthy(), syncs=Syncs(last_end=AT - 3 * DAY))
    store = MemoryStore({"a": kept}, {"a": old})
    daily = summarize([shop()], store=store, products=None, request=request()).alert.summary
    assert daily is not None
    assert daily.total.at_risk == 1
