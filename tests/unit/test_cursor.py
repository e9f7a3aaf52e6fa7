"""The reading position: which window comes next, and where a page moves it (rules 4 to 7)."""

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from orderwatch.deadlines.rules import DeadlineRules
from orderwatch.errors import InvalidRequestError, NotFoundError, ResponseTooLargeError, TrackstarError
from orderwatch.reading.cursor import AfterPage, Cursor, DeadlineWatch, Now, ReadContext
from orderwatch.reading.policy import Policy
from orderwatch.reading.window import Progress, Window, WindowKind
from orderwatch.trackstar.orders import DateField, Order, OrderPage
from tests.support.clocks import NOON

SECOND, MINUTE, HOUR, DAY = timedelta(seconds=1), timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)
NOW = NOON + 5 * MINUTE
POLICY = Policy(statuses={"exception", "backordered", "cancelled"})
RULES = DeadlineRules(zone=ZoneInfo("UTC"))
WITH_DEADLINES = replace(POLICY, deadlines=RULES)
TRACKSTAR, SHOP = DateField.TRACKSTAR_UPDATED, DateField.SHOP_UPDATED
BASELINE, INCREMENTAL, SWEEP, DEADLINES, *_ = WindowKind
READ = Cursor(
    position=NOON,
    read_until=NOON,
    last_read_started_at=NOON,
    has_orders=True,
    has_vendor_dates=True,
    watch_started_at=NOON,
    baseline_completed_at=NOON,
    last_sweep_at=NOON,
)


def context(vendor: datetime = NOW, *, ours: datetime = NOW, policy: Policy = POLICY, **options: bool) -> ReadContext:
    return ReadContext(Now(vendor, ours), policy, HOUR, NOON - MINUTE, **options)


def reading(cursor: Cursor, kind: WindowKind = INCREMENTAL, **progress: Any) -> Cursor:
    """The cursor with an open window, whose bounds do not matter."""
    window = progress.pop("window", Window(kind=kind, until=NOW))
    return replace(cursor, progress=Progress(window=window, began_at=NOON + MINUTE, **progress))


def after(
    cursor: Cursor,
    *orders: Order,
    token: str | None = None,
    total: int | None = None,
    context: ReadContext = context(),  # noqa: B008 - frozen
) -> AfterPage:
    return cursor.after(OrderPage(list(orders), [], token, total), {each.id: each for each in orders}, context)


def order(order_id: str = "1", **fields: Any) -> Order:
    return Order.of({"id": order_id, "status": "open", **fields})


DATED, UNDATED = order(trackstar_updated_date=NOON), order("2")


# The next window


@pytest.mark.parametrize(
    ("cursor", "policy", "kind", "begins", "field", "why"),
    [
        (Cursor(), POLICY, BASELINE, None, TRACKSTAR, "nothing was read"),
        (Cursor(), replace(POLICY, baseline_days=30), BASELINE, NOW - 30 * DAY, TRACKSTAR, "a capped baseline"),
        (replace(READ, position=None), POLICY, BASELINE, None, TRACKSTAR, "no position"),
        (replace(READ, last_read_started_at=None), POLICY, BASELINE, None, TRACKSTAR, "its age is unknown"),
        (replace(READ, has_orders=False), POLICY, INCREMENTAL, None, TRACKSTAR, "which dates it has is unknown"),
        (READ, POLICY, INCREMENTAL, NOON - 10 * MINUTE, TRACKSTAR, "from the position on"),
        (replace(READ, read_until=None), POLICY, INCREMENTAL, NOON - 10 * MINUTE, TRACKSTAR, "a row before it"),
        (replace(READ, read_until=NOON - HOUR), POLICY, INCREMENTAL, NOON - 70 * MINUTE, TRACKSTAR, "clock set back"),
        (replace(READ, fell_back_at=NOON - HOUR), POLICY, INCREMENTAL, NOON - 70 * MINUTE, TRACKSTAR, "fell back"),
        (replace(READ, fell_back_at=NOON + HOUR), POLICY, INCREMENTAL, NOON - 10 * MINUTE, TRACKSTAR, "later"),
        (
            replace(READ, date_field=SHOP, fell_back_at=NOON - 9 * HOUR),
            POLICY,
            INCREMENTAL,
            NOON - 2 * HOUR,
            SHOP,
            "on the shop's date: two syncs",
        ),
    ],
)
def test_the_next_window(
    cursor: Cursor, policy: Policy, kind: WindowKind, begins: datetime | None, *, field: DateField, why: str
) -> None:
    progress = cursor.begin(context(policy=policy)).progress
    assert progress
    assert progress.window == Window(kind=kind, after=begins, until=NOW, date_field=field), why
    assert (progress.began_at, progress.last_sync_end) == (NOW, NOON - MINUTE)


def test_an_open_window_is_continued_at_its_page() -> None:
    cursor = reading(READ, page_token="t", pages_without_new_orders=4)
    assert cursor.begin(context()) == reading(READ, page_token="t")


@pytest.mark.parametrize(
    ("started_at", "has_read"), [(None, False), (NOON - SECOND, False), (NOON, True), (NOON + SECOND, True)]
)
def test_a_reading_that_started_after_the_request_counts(started_at: datetime | None, has_read: bool) -> None:
    assert Cursor(last_read_started_at=started_at).has_read_since(NOON) is has_read


# Refused requests


def refusal(parameter: str) -> InvalidRequestError:
    return InvalidRequestError("GET /cart/orders: 422", detail=f"Invalid parameter {parameter}")


@pytest.mark.parametrize(
    "error",
    [
        refusal("page_token"),
        refusal("cursor"),
        InvalidRequestError("GET /cart/orders: 422", detail="page_token, not trackstar_updated_date"),
        NotFoundError("GET /cart/orders: 404", status=404),
        *[TrackstarError(f"GET /cart/orders: {status}", status=status) for status in (400, 410, 413, 418, 499)],
    ],
    ids=str,
)
def test_a_page_token_refused_in_any_words_restarts_the_window(error: TrackstarError) -> None:
    cursor = reading(READ, page_token="t", read_count=3, page_size=500)
    assert cursor.recover(error, context()) == reading(READ, attempt=2, page_size=500)
    with pytest.raises(type(error)):
        reading(READ).recover(error, context())


def test_a_page_that_is_too_large_is_requested_with_half_of_the_orders() -> None:
    too_large = ResponseTooLargeError("GET /cart/orders: too large")
    for size, next_size in ((1000, 500), (3, 1)):
        smaller = reading(READ, page_token="t", page_size=size).recover(too_large, context())
        assert smaller == reading(READ, page_token="t", page_size=next_size)
    with pytest.raises(ResponseTooLargeError):
        reading(READ, page_token="t", page_size=1).recover(too_large, context())


@pytest.mark.parametrize(
    ("page_size", "body", "next_size"),
    [(250, 4 * 2**20, 500), (250, 4 * 2**20 + 1, 250), (600, 1, 1000)],
)
def test_pages_grow_again_if_their_bodies_are_small(page_size: int, body: int, next_size: int) -> None:
    page = OrderPage([DATED], [], "next", None, size=body)
    progress = reading(READ, page_size=page_size).after(page, {DATED.id: DATED}, context()).cursor.progress
    assert progress
    assert progress.page_size == next_size


@pytest.mark.parametrize(("position", "fell_back_at"), [(NOON, NOON - HOUR), (NOON - 2 * HOUR, NOON - 2 * HOUR)])
def test_a_refused_filter_falls_back_to_the_shops_date(position: datetime, fell_back_at: datetime) -> None:
    read = replace(READ, position=position, read_until=NOON - HOUR)
    cursor = reading(read).recover(refusal("trackstar_updated_date"), context())
    assert (cursor.date_field, cursor.is_filter_refused, cursor.fell_back_at) == (SHOP, True, fell_back_at)
    assert cursor.progress
    window = Window(kind=INCREMENTAL, after=fell_back_at - 2 * HOUR, until=NOW, date_field=SHOP)
    assert cursor.progress.window == window


def test_a_capped_baseline_falls_back_within_its_window() -> None:
    window = Window(kind=BASELINE, after=NOON - 7 * DAY, until=NOON)
    cursor = reading(Cursor(), window=window).recover(refusal("trackstar_updated_date"), context())
    assert cursor.progress
    assert cursor.progress.window == replace(window, date_field=SHOP)
    assert (cursor.is_filter_refused, cursor.fell_back_at) == (True, None)


ON_SHOP_DATE = Window(kind=SWEEP, after=NOON - DAY, until=NOW, date_field=SHOP)


@pytest.mark.parametrize(
    ("cursor", "parameter"),
    [
        (reading(READ), "page_token"),
        (READ, "page_token"),
        (READ, "trackstar_updated_date"),
        (reading(READ, window=ON_SHOP_DATE), "trackstar_updated_date"),
        (reading(READ), "limit"),
    ],
    ids=["the first page has no token", "no window", "no window with a filter", "another filter", "something else"],
)
def test_any_other_refusal_is_an_error(cursor: Cursor, parameter: str) -> None:
    with pytest.raises(InvalidRequestError):
        cursor.recover(refusal(parameter), context())


# After a page


def test_the_next_page_follows_even_an_empty_one() -> None:
    for orders in ([DATED], []):
        moved = after(reading(READ, page_token="a", pages_without_new_orders=3), *orders, token="b", total=5)
        assert (moved.cursor.position, moved.finished) == (NOON, None)
        progress = moved.cursor.progress
        assert progress
        assert (progress.page_token, progress.read_count, progress.attempt) == ("b", len(orders), 1)


@pytest.mark.parametrize("attempt", [1, 2, 3])
def test_a_loop_of_page_tokens_restarts_the_window(attempt: int) -> None:
    moved = after(reading(READ, page_token="a", attempt=attempt), DATED, token="a")
    assert moved == AfterPage(reading(READ, attempt=attempt + 1))
    moved = after(reading(READ, page_token="a", pages_without_new_orders=4, attempt=attempt), token="b")
    assert moved == AfterPage(reading(READ, attempt=attempt + 1))


def test_after_three_attempts_another_poll_has_one_more() -> None:
    cursor = reading(READ, attempt=4)
    assert cursor.progress
    assert cursor.progress.is_exhausted
    assert cursor.begin(context()) == reading(READ, attempt=3)


def test_a_short_window_is_read_three_times() -> None:
    for attempt in (1, 2):
        moved = after(reading(READ, attempt=attempt), DATED, total=2)
        assert moved == AfterPage(reading(READ, attempt=attempt + 1))
    assert after(reading(READ, attempt=3), DATED, total=2).cursor.position == NOW


def test_without_an_open_window_there_is_no_page() -> None:
    with pytest.raises(AssertionError):
        after(READ)


@pytest.mark.parametrize(
    ("kind", "orders", "options", "is_finished"),
    [
        (BASELINE, [], {"is_probed": False}, False),
        (BASELINE, [], {}, True),
        (BASELINE, [DATED], {"is_probed": False}, True),
        (INCREMENTAL, [], {"is_probed": False}, True),
    ],
)
def test_an_empty_baseline_counts_only_after_the_first_sync(
    kind: WindowKind, orders: list[Order], options: dict[str, Any], is_finished: bool
) -> None:
    before = reading(Cursor() if kind is BASELINE else READ, kind)
    moved = after(before, *orders, context=context(**options))
    assert moved.cursor.progress is None
    assert (moved.finished is not None) is (moved.cursor.position == NOW) is is_finished


def test_a_finished_baseline_starts_the_watch() -> None:
    before = reading(Cursor(), BASELINE, last_sync_end=NOON - HOUR, deadline_rules="rules")
    moved = after(before, DATED, context=context(NOON + HOUR, ours=NOON + 2 * HOUR))
    assert moved.cursor == Cursor(
        position=NOW,
        read_until=NOW,
        last_read_started_at=NOON + MINUTE,
        last_sync_end_read=NOON - HOUR,
        last_success_at=NOON + 2 * HOUR,
        has_orders=True,
        has_vendor_dates=True,
        watch_started_at=NOW,
        baseline_completed_at=NOON + HOUR,
        deadlines=DeadlineWatch("rules", NOW),
        last_sweep_at=NOW,
    )
    assert moved.finished
    assert moved.finished.read_count == 1


@pytest.mark.parametrize(("position", "expected"), [(NOON, NOW), (NOON + HOUR, NOON + HOUR)])
def test_a_finished_window_moves_the_position_and_never_back(position: datetime, expected: datetime) -> None:
    cursor = after(reading(replace(READ, position=position), last_sync_end=NOON), DATED, total=1).cursor
    assert cursor == replace(
        READ,
        position=expected,
        read_until=NOW,
        last_read_started_at=NOON + MINUTE,
        last_sync_end_read=NOON,
        last_success_at=NOW,
    )


# What follows a window


def follows(cursor: Cursor, now: datetime = NOW, policy: Policy = POLICY) -> Window | None:
    """The window that follows an incremental one."""
    progress = after(reading(cursor), context=context(now, policy=policy)).cursor.progress
    return progress.window if progress else None


@pytest.mark.parametrize(
    ("last_sweep_at", "is_due"), [(None, True), (NOW - DAY, True), (NOW - DAY + SECOND, False), (NOW + DAY, False)]
)
def test_a_sweep_follows_once_a_day(last_sweep_at: datetime | None, is_due: bool) -> None:
    sweep = Window(kind=SWEEP, until=NOW, statuses=("backordered", "exception"))
    assert follows(replace(READ, last_sweep_at=last_sweep_at)) == (sweep if is_due else None)


def swept(last_sweep_at: datetime | None, statuses: set[str], window: Window | None = None) -> Cursor:
    window = window or Window(kind=SWEEP, until=NOW, statuses=("exception",))
    cursor = reading(replace(READ, last_sweep_at=last_sweep_at), window=window)
    return after(cursor, context=context(policy=Policy(statuses))).cursor


@pytest.mark.parametrize(
    ("last_sweep_at", "begins"),
    [(NOON, NOON - 7 * DAY), (None, NOW - 7 * DAY), (NOW + DAY, NOW - 7 * DAY)],
    ids=["a week before the last sweep", "never swept", "the vendor's clock was set back"],
)
def test_a_second_sweep_reads_a_week_of_final_statuses(last_sweep_at: datetime | None, begins: datetime) -> None:
    progress = swept(last_sweep_at, {"exception", "cancelled", "fulfilled"}).progress
    assert progress
    final = Window(kind=SWEEP, after=begins, until=NOW, date_field=SHOP, statuses=("cancelled", "fulfilled"))
    assert progress.window == final


def test_a_sweep_ends_where_no_final_status_is_watched() -> None:
    assert swept(NOON, {"exception"}) == replace(READ, last_sweep_at=NOW, last_success_at=NOW)


def test_a_sweep_of_final_statuses_ends_the_sweep() -> None:
    cursor = swept(NOON, {"exception", "cancelled"}, window=ON_SHOP_DATE)
    assert (cursor.last_sweep_at, cursor.progress, cursor.position) == (NOW, None, NOON)


def test_where_only_final_statuses_are_watched_one_sweep_is_enough() -> None:
    window = follows(replace(READ, last_sweep_at=NOON - DAY), policy=Policy({"cancelled"}))
    assert window
    assert (window.statuses, window.after) == (("cancelled",), NOON - 8 * DAY)


def test_a_refused_filter_is_tried_again_after_a_sweep() -> None:
    refused = replace(READ, date_field=SHOP, is_filter_refused=True)
    cursor = after(reading(refused, window=ON_SHOP_DATE)).cursor
    assert (cursor.date_field, cursor.is_filter_refused) == (TRACKSTAR, False)


@pytest.mark.parametrize(
    ("rules", "policy", "is_read", "recorded"),
    [
        (None, WITH_DEADLINES, True, None),
        ("other rules", WITH_DEADLINES, True, "other rules"),
        (RULES.fingerprint, WITH_DEADLINES, False, RULES.fingerprint),
        ("rules", POLICY, False, None),
        (None, POLICY, False, None),
    ],
    ids=["first watched", "changed", "recorded", "no longer watched", "never watched"],
)
def test_open_orders_are_read_if_their_deadlines_are_not_recorded(
    rules: str | None, policy: Policy, is_read: bool, recorded: str | None
) -> None:
    cursor = after(reading(replace(READ, deadlines=DeadlineWatch(rules, NOON))), context=context(policy=policy)).cursor
    assert cursor.deadlines == DeadlineWatch(recorded, NOON)
    if not is_read:
        assert cursor.progress is None
        return
    assert cursor.progress
    statuses = ("backordered", "confirmed", "exception", "open", "partially_fulfilled", "processing")
    assert cursor.progress.window == Window(kind=DEADLINES, until=NOW, statuses=statuses)
    assert cursor.progress.deadline_rules == RULES.fingerprint


@pytest.mark.parametrize(("last_sweep_at", "kind"), [(NOON, None), (NOON - DAY, SWEEP)])
def test_recorded_deadlines_move_no_position(last_sweep_at: datetime, kind: WindowKind | None) -> None:
    before = reading(replace(READ, last_sweep_at=last_sweep_at), DEADLINES, deadline_rules=RULES.fingerprint)
    cursor = after(before, DATED, context=context(policy=WITH_DEADLINES)).cursor
    assert cursor.deadlines == DeadlineWatch(RULES.fingerprint, NOW)
    assert (cursor.position, cursor.last_read_started_at, cursor.last_success_at) == (NOON, NOON, NOW)
    assert (cursor.progress.window.kind if cursor.progress else None) is kind


# The date of the filter (rule 5)

EMPTY = Cursor(position=NOON, read_until=NOON - HOUR, last_read_started_at=NOON)
ON_SHOP = replace(READ, date_field=SHOP, has_vendor_dates=False, fell_back_at=NOON - HOUR)


@pytest.mark.parametrize(
    ("cursor", "orders", "expected", "why"),
    [
        (EMPTY, [], EMPTY, "an empty page shows nothing"),
        (EMPTY, [DATED], replace(EMPTY, has_orders=True, has_vendor_dates=True), "orders have the date"),
        (EMPTY, [UNDATED, DATED], replace(EMPTY, has_orders=True, has_vendor_dates=True), "one of them has it"),
        (
            EMPTY,
            [UNDATED],
            replace(EMPTY, has_orders=True, date_field=SHOP, fell_back_at=NOON - HOUR),
            "no order ever had it",
        ),
        (READ, [UNDATED], READ, "others had it"),
        (ON_SHOP, [UNDATED], ON_SHOP, "still none"),
        (ON_SHOP, [DATED], replace(ON_SHOP, has_vendor_dates=True, date_field=TRACKSTAR), "the first that has it"),
        (
            replace(ON_SHOP, is_filter_refused=True),
            [DATED],
            replace(ON_SHOP, is_filter_refused=True, has_vendor_dates=True),
            "but its filter is refused",
        ),
    ],
)
def test_the_filter_uses_trackstars_date_if_any_order_has_it(
    cursor: Cursor, orders: list[Order], expected: Cursor, why: str
) -> None:
    moved = after(reading(cursor), *orders, token="next")
    assert replace(moved.cursor, progress=None) == expected, why


@pytest.mark.parametrize(
    ("window_field", "orders", "before", "expected", "why"),
    [
        (TRACKSTAR, [], NOON - HOUR, None, "a window on Trackstar's date has read since the fallback"),
        (SHOP, [DATED], NOON - HOUR, NOON - HOUR, "the next window on Trackstar's date begins there"),
    ],
)
def test_the_fallback_is_forgotten_once_trackstars_date_was_used(
    window_field: DateField, orders: list[Order], before: datetime, expected: datetime | None, why: str
) -> None:
    cursor = replace(ON_SHOP if window_field is SHOP else READ, fell_back_at=before)
    window = Window(kind=INCREMENTAL, until=NOW, date_field=window_field)
    assert after(reading(cursor, window=window), *orders).cursor.fell_back_at == expected, why


@pytest.mark.parametrize(("before", "expected"), [(NOON - HOUR, NOON - HOUR), (None, NOW)])
def test_windows_on_the_shops_date_keep_where_they_began(before: datetime | None, expected: datetime) -> None:
    window = Window(kind=INCREMENTAL, until=NOW, date_field=SHOP)
    cursor = reading(replace(ON_SHOP, fell_back_at=before), window=window)
    assert after(cursor, UNDATED).cursor.fell_back_at == expected
