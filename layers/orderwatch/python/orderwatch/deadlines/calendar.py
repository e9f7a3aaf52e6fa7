"""The ends of days and business days in the time zone of a shop, with daylight saving time."""

from collections.abc import Collection, Iterator
from datetime import UTC, date, datetime, time, timedelta, tzinfo

_DAY = timedelta(days=1)
_MIDNIGHT = time()
_LONGEST_SEARCH = 3660
"""Days after which the search for business days ends (ten years)."""


def end_of_day(day: date, zone: tzinfo) -> datetime:
    """The end of the day in the zone, in UTC: the next midnight.

    If clocks go forward at midnight, this is the moment of the change. If midnight occurs twice, it is the first one.

    Raises:
        OverflowError: It is later than the latest date.
    """
    return datetime.combine(day + _DAY, time(), zone).astimezone(UTC)


def ship_deadline(ship_by: datetime, zone: tzinfo) -> datetime:
    """When a ship-by passes, in UTC. A date without a time passes at the end of that day in the zone.

    Raises:
        OverflowError: It is later than the latest date.
    """
    day = date_only(ship_by, zone)
    return end_of_day(day, zone) if day else ship_by.astimezone(UTC)


def date_only(ship_by: datetime, zone: tzinfo) -> date | None:
    """The day of a ship-by without a time; None if it has one.

    Trackstar shows a date without a time as midnight UTC, or as the shop's own midnight.

    Raises:
        OverflowError: It is the first or the last possible day.
    """
    if (in_utc := ship_by.astimezone(UTC)).time() == _MIDNIGHT:
        return in_utc.date()
    local = ship_by.astimezone(zone)
    return local.date() if local.time() == _MIDNIGHT else None


def end_of_business_days(
    since: datetime, days: int, *, zone: tzinfo, working_days: Collection[int], holidays: Collection[date]
) -> datetime | None:
    """When a number of whole business days has passed, in UTC; None if the calendar has too few.

    Args:
        since: A moment in the day before the first whole one.
        days: Number of business days, at least 1.
        zone: The time zone of the days.
        working_days: Business days of the week; Monday is 0.
        holidays: Days that are not business days.

    Raises:
        OverflowError: It is later than the latest date.
    """
    day, left = since.astimezone(zone).date(), days
    for _ in range(_LONGEST_SEARCH):
        day += _DAY
        left -= day.weekday() in working_days and day not in holidays
        if left == 0:
            return end_of_day(day, zone)
    return None


def after_business_hours(
    since: datetime, hours: int, *, zone: tzinfo, working_days: Collection[int], holidays: Collection[date]
) -> datetime | None:
    """When a number of business hours has passed, in UTC; None if the calendar has too few.

    Every hour of a business day is a business hour: 23 or 25 where clocks change.

    Args:
        since: When they begin.
        hours: Number of hours, at least 1.
        zone: The time zone of the days.
        working_days: Business days of the week; Monday is 0.
        holidays: Days that are not business days.

    Raises:
        OverflowError: It is later than the latest date.
    """
    left = timedelta(hours=hours)
    for begin, end in _business_days(since, zone, working_days, holidays):
        if end - begin >= left:
            return begin + left
        left -= end - begin
    return None


def business_time(
    since: datetime, until: datetime, *, zone: tzinfo, working_days: Collection[int], holidays: Collection[date]
) -> timedelta:
    """The business hours between two times, counted as in `after_business_hours`.

    Raises:
        OverflowError: The times are later than the latest date.
    """
    total = timedelta()
    for begin, end in _business_days(since, zone, working_days, holidays):
        if begin >= until:
            break
        total += min(end, until) - begin
    return total


def _business_days(
    since: datetime, zone: tzinfo, working_days: Collection[int], holidays: Collection[date]
) -> Iterator[tuple[datetime, datetime]]:
    """The begin and the end of each business day, in UTC; the first one begins at `since` if that is in it."""
    begin, day = since.astimezone(UTC), since.astimezone(zone).date()
    for _ in range(_LONGEST_SEARCH):
        end = end_of_day(day, zone)
        if day.weekday() in working_days and day not in holidays and begin < end:
            yield begin, end
        begin, day = max(begin, end), day + _DAY
