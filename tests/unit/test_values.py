"""Dates as shops write them: which are read, which mean none, and which are reported (rule 21)."""

from datetime import UTC, datetime, timedelta

import pytest

from orderwatch import clock
from orderwatch.trackstar.fields import UnreadableValues
from orderwatch.trackstar.orders import Order
from orderwatch.trackstar.values import read_date
from tests.support.clocks import FakeClock

AT_TEN = datetime(2026, 3, 5, 10, tzinfo=UTC)
DAY = datetime(2026, 3, 5, tzinfo=UTC)


@pytest.fixture(autouse=True)
def today() -> None:
    clock.use(FakeClock(AT_TEN))


READABLE: dict[object, datetime] = {
    "2026-03-05T10:00:00Z": AT_TEN,
    "2026-03-05t10:00:00z": AT_TEN,
    " 2026-03-05T10:00:00Z ": AT_TEN,
    "2026-03-05 10:00:00 +0000": AT_TEN,
    "2026-03-05 10:00:00 UTC": AT_TEN,
    "2026-03-05 10:00 GMT": AT_TEN,
    "2026-03-05T11:00:00+01": AT_TEN,
    "2026-03-05T11:00:00.000 +01:00": AT_TEN,
    "2026-03-05T05:00:00-0500": AT_TEN,
    "20260305T100000Z": AT_TEN,
    "2026/03/05 10:00": AT_TEN,
    "2026.3.5 10:00": AT_TEN,
    "Thu, 05 Mar 2026 10:00:00 GMT": AT_TEN,
    "5 Mar 2026 11:00 +0100": AT_TEN,
    "Thu, 05 Mar 2026 05:00:00 EST": AT_TEN,
    "1772704800": AT_TEN,
    1772704800: AT_TEN,
    "1772704800000": AT_TEN,
    1772704800000: AT_TEN,
    "2026-03-05": DAY,
    "20260305": DAY,
    20260305: DAY,
    "2026-W10-4": DAY,
    "2026-03-05T24:00:00Z": DAY.replace(hour=23, minute=59, second=59),
    "2026-03-05 24:00": DAY.replace(hour=23, minute=59, second=59),
}
NO_DATE = [
    None, "", "  ", 0, "0", "-1", -1, "null", "None", "N/A", "0000-00-00", "0000-00-00 00:00:00",
    "0001-01-01", "0001-01-01T00:00:00Z", "0001-01-01T00:00:00+05:00", "1899-12-30T00:00:00Z", "1970-01-01",
    "1999-12-31T23:59:59Z", "2028-03-04T10:00:01Z", "2099-12-31", "9999-12-31T23:59:59-05:00", 4102444800,
]  # fmt: skip
UNREADABLE = [
    "tomorrow", "03/05/2026", "05.03.2026", "5-3-2026", "2026-03", "2026", "2026-13-05", "2026-02-30", "20261305",
    "20260305100000", "202603051000", "260305", "177270480", "2026-03-05T10:00:00 Europe/Berlin", "2026-064",
    "March 5, 2026", "inf", True, [], {"date": "2026-03-05"},
]  # fmt: skip


def ship_by_of(value: object) -> tuple[datetime | None, dict[str, int]]:
    """A record's ship-by, and its unreadable values by field."""
    found = UnreadableValues()
    order = Order.of({"id": "1", "status": "open", "latest_ship_date": value}, found)
    assert set(found.first_ids.values()) <= {"1"}
    return order.latest_ship_date, dict(found.counts)


@pytest.mark.parametrize(("value", "date"), READABLE.items(), ids=repr)
def test_a_date_with_one_meaning_is_read(value: object, date: datetime) -> None:
    assert ship_by_of(value) == (date, {})


@pytest.mark.parametrize("value", NO_DATE, ids=repr)
def test_a_date_that_stands_for_none_is_none(value: object) -> None:
    assert ship_by_of(value) == (None, {})


@pytest.mark.parametrize("value", UNREADABLE, ids=repr)
def test_a_value_that_cannot_be_read_is_counted(value: object) -> None:
    assert ship_by_of(value) == (None, {"latest_ship_date": 1})


def test_a_date_is_at_most_two_years_ahead() -> None:
    farthest = AT_TEN + timedelta(days=730)
    assert read_date(farthest.isoformat()) == farthest
    assert read_date((farthest + timedelta(seconds=1)).isoformat()) is None
