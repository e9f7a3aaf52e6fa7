"""Where days end, and which of them count: in the zone of the shop, daylight saving included."""

from collections.abc import Collection
from datetime import UTC, date, datetime, time, timedelta, tzinfo

_DAY = timedelta(days=1)
_LONGEST_SEARCH = 3660
"""Days after which a calendar that never works is given up (ten years)."""


def end_of_day(day: date, zone: tzinfo) -> datetime:
    """The moment at which the day is over in the zone, in UTC: the next midnight, or what stands for it there.

    Where clocks go forward at midnight it is the moment of that; where they go back to it, the first of the two.

    Raises:
        OverflowError: It lies beyond what a date can hold.
    """
    return datetime.combine(day + _DAY, time(), zone).astimezone(UTC)


def ship_deadline(ship_by: datetime, zone: tzinfo) -> datetime:
    """The moment at which a ship-by has passed, in UTC.

    Midnight UTC stands for a mere date: it has passed at the end of that day in the zone.

    Raises:
        OverflowError: It lies beyond what a date can hold.
    """
    in_utc = ship_by.astimezone(UTC)
    return end_of_day(in_utc.date(), zone) if is_date_only(ship_by) else in_utc


def is_date_only(ship_by: datetime) -> bool:
    """Whether a ship-by tells a day and no time."""
    return ship_by.astimezone(UTC).time() == time()


def end_of_business_days(
    since: datetime, days: int, *, zone: tzinfo, working_days: Collection[int], holidays: Collection[date]
) -> datetime | None:
    """The moment at which so many whole business days have passed, in UTC; None where that never comes.

    The day on which it began is not whole, so it does not count.

    Args:
        since: When it began.
        days: How many, from 1.
        zone: Whose days.
        working_days: Days of the week that count, Monday being 0.
        holidays: Days that do not.

    Raises:
        OverflowError: It lies beyond what a date can hold.
    """
    day, left = since.astimezone(zone).date(), days
    for _ in range(_LONGEST_SEARCH):
        day += _DAY
        left -= day.weekday() in working_days and day not in holidays
        if left == 0:
            return end_of_day(day, zone)
    return None
