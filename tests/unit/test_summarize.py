"""Rule 20: a summary of all shops, and what it compares with the one before."""

from copy import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest

from orderwatch.alerts.kinds import KIND_AT_RISK, KIND_LATE, Severity
from orderwatch.alerts.summary import Changes, DailySummary, NotVisible, Week
from orderwatch.deadlines.rules import Deadline, DeadlineState
from orderwatch.reading.cursor import Cursor
from orderwatch.records import ConnectionState, Health, HealthState, Syncs
from orderwatch.summary import build, changes
from orderwatch.summary.build import PreparedSummary, as_of, not_visible, summarize
from orderwatch.summary.changes import decode, encode, hours_to_clear
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

MINUTE, SECOND = timedelta(minutes=1), timedelta(seconds=1)


def made(
    store: MemoryStore, *names: str, at: datetime = AT, request_id: str = "", shelf: Shelf | None = None
) -> PreparedSummary:
    shops = [shop(name) for name in names or ("a",)]
    return summarize(shops, store=store, products=shelf, request=request(at=at, request_id=request_id))


def daily_of(summary: PreparedSummary) -> DailySummary:
    assert summary.alert.summary
    return summary.alert.summary


def sent(store: MemoryStore, *names: str, at: datetime = AT) -> DailySummary:
    summary = made(store, *names, at=at)
    assert store.put(summary)
    return daily_of(summary)


# All shops


def test_shops_to_report_come_first_and_quiet_ones_are_counted() -> None:
    rows = {
        "calm": {},
        "risk": {"1": row("open", needs_attention=False, deadline_state=AT_RISK)},
        "late": {"1": row("open", deadline_state=late_for(HOUR)), "2": row("fulfilled", needs_attention=False)},
        "many": {str(number): row() for number in range(3)},
        "gone": {},
    }
    known = {name: healthy(name) for name in rows} | {"gone": blocked("gone")}
    daily = daily_of(made(MemoryStore(rows, known), *rows))
    assert [each.connection_id for each in daily.shops] == ["gone", "late", "many", "risk"]
    assert (daily.watched_shops, daily.quiet_shops, daily.shops_not_visible) == (5, 1, 1)
    assert (daily.total.needs_attention, daily.total.at_risk) == (4, 1)


def test_a_blocked_shop_shows_its_last_known_figures() -> None:
    store = MemoryStore({"a": {"1": row()}}, {"a": blocked()})
    daily = daily_of(made(store, "a", "never read"))
    states = {each.connection_id: each.not_visible for each in daily.shops}
    assert states == {
        "a": NotVisible(state="blocked", since=AT - 5 * HOUR),
        "never read": NotVisible(state="initial_sync"),
    }
    assert daily.total.needs_attention == 1


@pytest.mark.parametrize(
    ("store", "severity"),
    [
        (MemoryStore({}, {"a": healthy()}), Severity.INFO),
        (MemoryStore({"a": {"1": row()}}, {"a": healthy()}), Severity.WARNING),
        (MemoryStore({}, {"a": blocked()}), Severity.WARNING),
    ],
    ids=["quiet", "backlog", "not visible"],
)
def test_a_summary_with_anything_to_report_is_a_warning(store: MemoryStore, severity: Severity) -> None:
    summary = made(store)
    assert (summary.alert.severity, daily_of(summary).is_quiet) == (severity, severity is Severity.INFO)


READ = healthy().cursor


@pytest.mark.parametrize(
    ("cursor", "health", "last_end", "expected"),
    [
        (READ, None, AT, None),
        (replace(READ, last_success_at=AT - 30 * MINUTE), None, AT, None),
        (
            replace(READ, last_success_at=AT - 30 * MINUTE - SECOND),
            HealthState.HEALTHY,
            AT,
            NotVisible(state="poll_failing", since=AT - 30 * MINUTE - SECOND),
        ),
        (replace(READ, last_success_at=None), None, AT, NotVisible(state="poll_failing")),
        (READ, HealthState.BLOCKED, AT, NotVisible(state="blocked", since=AT - HOUR)),
        (READ, HealthState.STALE, AT - 3 * HOUR, NotVisible(state="stale", since=AT - 3 * HOUR)),
        (READ, HealthState.STALE, None, NotVisible(state="stale", since=AT - HOUR)),
        (Cursor(), None, None, NotVisible(state="initial_sync")),
        (Cursor(watch_started_at=AT - HOUR), None, AT, NotVisible(state="initial_sync", since=AT - HOUR)),
    ],
    ids=[
        "read",
        "30 minutes ago",
        "longer ago",
        "no poll was completed",
        "blocked",
        "stale since the last sync",
        "stale, never synced",
        "never read",
        "its first reading has not ended",
    ],
)
def test_whether_a_shop_is_visible(
    cursor: Cursor, health: HealthState | None, last_end: datetime | None, expected: NotVisible | None
) -> None:
    state = ConnectionState(
        connection_id="a",
        cursor=cursor,
        health=Health(since=AT - HOUR, state=health) if health else None,
        syncs=Syncs(last_end=last_end),
    )
    assert not_visible(state, at=AT, stalled_after=30 * MINUTE) == expected


@pytest.mark.parametrize(
    ("last_end", "read_until", "expected"),
    [(AT - DAY, AT - HOUR, AT - DAY), (None, AT - HOUR, AT - HOUR), (None, None, AT)],
    ids=["last sync", "last reading", "never read"],
)
def test_the_time_of_a_shops_data(last_end: datetime | None, read_until: datetime | None, expected: datetime) -> None:
    cursor = Cursor(read_until=read_until)
    assert as_of(ConnectionState(connection_id="a", cursor=cursor, syncs=Syncs(last_end=last_end)), AT) == expected


def test_ages_count_up_to_the_last_sync_of_the_shop() -> None:
    store = MemoryStore({"a": {"1": row(since=23 * HOUR)}}, {"a": healthy()})
    [summed] = daily_of(made(store, at=AT + 9 * DAY)).shops
    assert (summed.as_of, summed.ages.under_1_day, summed.ages.over_7_days) == (AT, 1, 0)


@pytest.mark.parametrize(
    ("last_end", "due", "is_listed"),
    [
        (AT, AT + 2 * DAY, True),
        (AT, AT + 2 * DAY + SECOND, False),
        (AT - 3 * DAY, AT + 2 * DAY, True),
        (AT + HOUR, AT + 2 * DAY + HOUR, True),
    ],
    ids=["a day beside the warning time", "later", "old data", "the vendor's clock is ahead"],
)
def test_orders_at_risk_are_read_up_to_the_warning_time(last_end: datetime, due: datetime, is_listed: bool) -> None:
    risk = DeadlineState(due=Deadline(due, KIND_LATE), passed=Deadline(AT - HOUR, KIND_AT_RISK))
    rows = {"1": row("open", needs_attention=False, deadline_state=risk)}
    store = MemoryStore({"a": rows}, {"a": replace(healthy(), syncs=Syncs(last_end=last_end))})
    assert daily_of(made(store)).total.at_risk == int(is_listed)


def test_a_summary_is_as_fresh_as_its_oldest_shop() -> None:
    unknown = replace(healthy("c"), syncs=Syncs())
    old = replace(healthy("b"), syncs=Syncs(last_end=AT - HOUR))
    store = MemoryStore({}, {"a": healthy(), "b": old, "c": unknown})
    assert made(store, "a", "b", "c").alert.data_as_of == AT - HOUR
    assert made(store, "c").alert.data_as_of is None


def test_missing_stock_is_named() -> None:
    store = MemoryStore({"a": {"1": row("backordered", kept=extract(("LAMP", 2)))}}, {"a": healthy()})
    known, unknown = made(store, shelf=Shelf({"id-LAMP": 1})), made(store, shelf=Shelf(gap="no answer"))
    assert (daily_of(known).shops[0].products[0].short, known.alert.enrichment.complete) == (Decimal(1), True)
    assert unknown.alert.enrichment.missing == ("stock at a: no answer",)
    assert not unknown.alert.enrichment.complete


def test_a_day_has_one_summary_beside_requested_ones() -> None:
    store = MemoryStore({}, {"a": healthy()})
    assert store.put(made(store))
    assert not store.put(made(store, at=AT + HOUR))
    assert store.put(made(store, at=AT + HOUR, request_id="by-hand"))
    assert store.put(made(store, at=AT + DAY))
    assert len(store.written) == 3


# Compared with the summary before


def test_previous_plus_new_minus_cleared_is_the_backlog() -> None:
    store = MemoryStore({"a": {"1": row(), "2": row(since=20 * HOUR), "3": row(since=HOUR)}}, {"a": healthy()})
    assert sent(store).changes is None, "there is no earlier summary"
    store.clear("a", "2", at=AT + 4 * HOUR)
    store.clear("a", "3", at=AT + 90 * MINUTE)
    store.rows["a"] |= {"4": row(), "5": row()}
    daily = sent(store, at=AT + DAY)
    assert daily.changes == Changes(since=AT, previous=3, new=2, cleared=2)
    assert daily.total.needs_attention == 3 + 2 - 2
    assert daily.shops[0].changes == daily.changes


def test_all_orders_of_a_new_shop_are_new() -> None:
    store = MemoryStore({"a": {"1": row()}, "b": {"1": row(), "2": row()}}, {"a": healthy(), "b": healthy("b")})
    sent(store, "a")
    changed = sent(store, "a", "b", at=AT + DAY).changes
    assert changed == Changes(since=AT, previous=1, new=2, cleared=0)


@pytest.mark.parametrize(
    ("status_since", "watched_since", "hours"),
    [
        (AT + 3 * HOUR, None, [Decimal(3)]),
        (AT + 3 * HOUR, AT, [Decimal(3)]),
        (AT + 3 * HOUR, AT + SECOND, []),
        (AT, None, []),
        (AT - DAY, None, []),
    ],
    ids=["shipped", "watched from then on", "it began before the watch", "no longer watched", "its ship-by was moved"],
)
def test_how_long_a_cleared_order_took_if_that_was_watched(
    status_since: datetime, watched_since: datetime | None, hours: list[Decimal]
) -> None:
    gone = {"1": replace(row(), status_since=status_since)}
    assert hours_to_clear({"1": AT}, gone, watched_since=watched_since) == hours


@pytest.mark.parametrize(("cleared", "median"), [(4, None), (5, Decimal(3)), (6, Decimal("3.5"))])
def test_a_median_is_of_at_least_five_orders(cleared: int, median: Decimal | None) -> None:
    rows = {str(number): row(since=timedelta()) for number in range(1, cleared + 1)}
    store = MemoryStore({"a": rows}, {"a": healthy()})
    sent(store)
    for number in range(1, cleared + 1):
        store.clear("a", str(number), at=AT + number * HOUR)
    changes = sent(store, at=AT + DAY).changes
    assert changes == Changes(since=AT, previous=cleared, new=0, cleared=cleared, median_hours_to_clear=median)


def test_a_median_is_only_of_what_was_watched() -> None:
    rows = {str(number): row(since=9 * DAY) for number in range(5)}
    watched = replace(healthy(), cursor=replace(READ, watch_started_at=AT - DAY))
    store = MemoryStore({"a": rows}, {"a": watched})
    sent(store)
    for number in range(5):
        store.clear("a", str(number), at=AT + HOUR)
    changes = sent(store, at=AT + DAY).changes
    assert changes
    assert (changes.cleared, changes.median_hours_to_clear) == (5, None)


@pytest.mark.parametrize(("age", "is_compared"), [(15 * DAY - SECOND, True), (15 * DAY, False)])
def test_summaries_of_the_last_fifteen_days_are_compared(age: timedelta, is_compared: bool) -> None:
    store = MemoryStore({"a": {"1": row()}}, {"a": healthy()})
    sent(store, at=AT - age)
    assert (sent(store).changes is not None) is is_compared


def test_only_the_latest_summary_and_its_snapshot_are_compared() -> None:
    store = MemoryStore({"a": {"1": row()}}, {"a": healthy()})
    store.put(replace(made(store), snapshot=None))
    second, third = sent(store, at=AT + DAY), sent(store, at=AT + 2 * DAY)
    assert (second.changes, second.shops[0].changes) == (None, None), "the first snapshot was not stored"
    assert third.changes == Changes(since=AT + DAY, previous=1, new=0, cleared=0)


def test_mondays_compare_the_week_with_the_one_before() -> None:
    store = MemoryStore({"a": {}}, {"a": healthy()})
    friday = datetime(2026, 2, 13, 7, tzinfo=UTC)
    days = [day for number in range(18) if (day := friday + number * DAY).weekday() < 5]
    weeks = {}
    for number, day in enumerate(days):
        store.rows["a"][str(number)] = row()
        if number % 2:
            store.clear("a", str(number - 1), at=day)
        daily = sent(store, at=day)
        weeks[day.day] = daily.week, daily.week_before
    first, second = Week(new=5, cleared=2, needs_attention=4), Week(new=5, cleared=3, needs_attention=6)
    assert {day: found for day, found in weeks.items() if found != (None, None)} == {
        23: (first, None),
        2: (second, first),
    }, "the week up to 16 February has a summary without changes"


# The snapshot, and the space in the row


def test_a_snapshot_is_decoded_as_it_was() -> None:
    snapshot = {"a": {"1": AT, "2": AT - DAY}, "b": {}}
    assert decode(encode(snapshot) or "") == snapshot


def test_a_snapshot_that_is_too_long_is_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    snapshot = {"a": {"1": AT}}
    whole = encode(snapshot)
    assert whole
    monkeypatch.setattr(changes, "MAX_SNAPSHOT", len(whole))
    assert encode(snapshot) == whole
    monkeypatch.setattr(changes, "MAX_SNAPSHOT", len(whole) - 1)
    assert encode(snapshot) is None


def listed(summary: PreparedSummary) -> list[int]:
    return [len(each.orders) for each in daily_of(summary).shops]


def size(summary: PreparedSummary) -> int:
    return len(summary.alert.model_dump_json(exclude_none=True).encode())


def test_a_summary_that_is_too_large_loses_details_of_the_last_shops() -> None:
    names = [f"conn-{number:03}" for number in range(60)]
    long_link = extract(("LAMP", 1)).model_copy(update={"url": f"https://shop.example/{'x' * 400}"})
    rows = {name: {f"{name}-{each}": row(kept=long_link) for each in range(12)} for name in names}
    summary = made(MemoryStore(rows, {name: healthy(name) for name in names}), *names)
    daily = daily_of(summary)
    assert build.MAX_BYTES - 10_000 < size(summary) <= build.MAX_BYTES
    assert listed(summary) == sorted(listed(summary), reverse=True)
    assert set(listed(summary)) == {10, 0}
    assert daily.total.needs_attention == 60 * 12
    assert all(len(each.orders) + each.more_orders == 12 for each in daily.shops)
    assert len(decode(summary.snapshot or "")) == 60, "the snapshot has every shop"


def test_a_summary_of_exactly_the_maximum_is_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    store = MemoryStore({"a": {"1": row()}}, {"a": healthy()})
    whole = size(made(store))
    monkeypatch.setattr(build, "MAX_BYTES", whole)
    assert listed(made(store)) == [1]
    monkeypatch.setattr(build, "MAX_BYTES", whole - 1)
    assert listed(made(store)) == [0]
