"""The deadlines of an order by a calendar that is walked minute by minute, apart from the product's."""

from datetime import UTC, date, datetime, timedelta
from functools import cache

from orderwatch.shop_settings import time_zone
from tests.simulation.deadline_plan import Calendar

OPEN = frozenset({"open", "confirmed", "processing", "partially_fulfilled", "backordered", "exception"})
DEADLINE_KINDS = frozenset({"order.at_risk", "order.late", "order.stuck"})
PROBLEM_KINDS = frozenset({"order.late", "order.stuck"})
DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
MINUTE = timedelta(minutes=1)
MOST_MINUTES = 40 * 24 * 60

type Deadline = tuple[datetime, str]
"""Moment and kind."""


@cache
def day_is_over(day: date, zone: str) -> datetime:
    """The first minute at which the date in the zone lies behind the day."""
    at = datetime(day.year, day.month, day.day, tzinfo=UTC) - timedelta(hours=16)
    for _ in range(60 * 60):
        if at.astimezone(time_zone(zone)).date() > day:
            return at
        at += MINUTE
    raise AssertionError(f"{day} never ends in {zone}")


@cache
def business_days_are_over(since: datetime, calendar: Calendar) -> datetime:
    """The first minute at which as many whole business days have passed as make an order stuck."""
    zone = time_zone(calendar.zone)
    at = since.replace(second=0, microsecond=0)
    today = first = at.astimezone(zone).date()
    passed = 0
    for _ in range(MOST_MINUTES):
        at += MINUTE
        if (now := at.astimezone(zone).date()) == today:
            continue
        is_business = DAYS[today.weekday()] in calendar.working_days and str(today) not in calendar.holidays
        passed += today > first and is_business
        if passed == calendar.stuck_days:
            return at
        today = now
    raise AssertionError(f"no {calendar.stuck_days} business days from {since}")


def deadlines_of(
    calendar: Calendar | None, status: str | None, ship_by: datetime | None, since: datetime
) -> list[Deadline]:
    """Every deadline that an order has."""
    if calendar is None or status not in OPEN:
        return []
    if ship_by is None:
        return [(business_days_are_over(since, calendar), "order.stuck")] if calendar.stuck_days else []
    local = ship_by.astimezone(time_zone(calendar.zone))
    day = next((each.date() for each in (ship_by, local) if (each.hour, each.minute, each.second) == (0, 0, 0)), None)
    late = day_is_over(day, calendar.zone) if day else ship_by
    warning = late - timedelta(hours=calendar.late_warning_hours)
    return [*([(warning, "order.at_risk")] if calendar.late_warning_hours else []), (late, "order.late")]
