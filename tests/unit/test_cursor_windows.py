"""The cursor's rules: bounds follow the vendor's clock and never skip unread orders."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orderwatch.reading.window import (
    MAX_ATTEMPTS,
    OVERLAP,
    BacklogCount,
    Progress,
    Window,
    WindowKind,
    baseline_window,
    incremental_window,
)
from orderwatch.trackstar.orders import DateField

NOON = datetime(2026, 1, 5, 12, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
HOUR = timedelta(hours=1)


def incremental(
    *,
    cursor: datetime = NOON,
    age: timedelta = 5 * MINUTE,
    now: datetime = NOON + 5 * MINUTE,
    field: DateField = DateField.TRACKSTAR_UPDATED,
    frequency: timedelta = HOUR,
) -> Window:
    return incremental_window(start=cursor, age=age, vendor_now=now, date_field=field, sync_frequency=frequency)


def test_a_baseline_reads_everything() -> None:
    window = baseline_window(vendor_now=NOON, days=0)
    assert (window.kind, window.after, window.until) == (WindowKind.BASELINE, None, NOON)


def test_a_baseline_of_some_days_reads_them() -> None:
    assert baseline_window(vendor_now=NOON, days=7).after == NOON - timedelta(days=7)


@pytest.mark.parametrize(
    ("window", "after", "why"),
    [
        (incremental(), NOON - 10 * MINUTE, "the overlap before the cursor"),
        (incremental(age=HOUR, now=NOON + HOUR), NOON - 10 * MINUTE, "an outage makes the window longer, not later"),
        (incremental(now=NOON - HOUR), NOON - HOUR - 15 * MINUTE, "the vendor's clock went back: so does the window"),
        (incremental(now=NOON + 24 * HOUR), NOON - 10 * MINUTE, "it jumped ahead: nothing is skipped"),
        (incremental(age=-HOUR), NOON - 10 * MINUTE, "our own clock went back"),
        (incremental(field=DateField.SHOP_UPDATED), NOON - 2 * HOUR, "the shop's date lies up to a sync behind: two"),
        (
            incremental(field=DateField.SHOP_UPDATED, frequency=MINUTE),
            NOON - 10 * MINUTE,
            "a quick sync: not less than the usual overlap",
        ),
    ],
)
def test_where_a_window_begins(window: Window, after: datetime, why: str) -> None:
    assert window.after == after, why


def test_a_window_ends_with_the_vendors_clock() -> None:
    assert incremental(now=NOON + 7 * MINUTE).until == NOON + 7 * MINUTE


@given(now=st.timedeltas(-timedelta(days=30), timedelta(days=30)), age=st.timedeltas(timedelta(0), timedelta(days=30)))
def test_a_window_overlaps_the_last_one_whatever_the_clocks_do(now: timedelta, age: timedelta) -> None:
    window = incremental(now=NOON + now, age=age)
    assert window.after
    assert window.after <= NOON - OVERLAP
    assert window.after <= window.until - age - OVERLAP


@pytest.mark.parametrize(
    ("read_count", "expected_count", "attempt", "short", "why"),
    [
        (10, 10, 1, False, "as many as expected"),
        (11, 10, 1, False, "more, because some are new"),
        (9, 10, 1, True, "one was missed"),
        (9, 10, MAX_ATTEMPTS - 1, True, "another attempt"),
        (9, 10, MAX_ATTEMPTS, False, "no attempt left: the sweep finds the rest"),
        (3, 0, 1, False, "no expected count"),
    ],
)
def test_when_a_window_is_read_again(read_count: int, expected_count: int, attempt: int, short: bool, why: str) -> None:
    progress = Progress(
        window=baseline_window(vendor_now=NOON, days=0),
        began_at=NOON,
        read_count=read_count,
        expected_count=expected_count,
        attempt=attempt,
    )
    assert progress.is_short() is short, why


def test_a_restarted_window_begins_at_its_first_page() -> None:
    window = baseline_window(vendor_now=NOON, days=0)
    progress = Progress(
        window=window,
        began_at=NOON,
        page_token="t",
        read_count=5,
        expected_count=9,
        backlog=BacklogCount({"exception": 1}),
    )
    assert progress.restarted() == Progress(window=window, began_at=NOON, attempt=2)
