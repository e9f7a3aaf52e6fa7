"""Quiet hours of a shop: which alerts wait, and until when. Pure functions without a clock.

An alert that waits gets the end of the quiet hours in its row when it is written, as an absolute moment. Later changes
of the settings or of the time zone do not move it.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Self
from zoneinfo import ZoneInfo

from orderwatch.alerts.alert import Alert
from orderwatch.alerts.kinds import SAME_STATUS_KINDS, Severity, severity_of
from orderwatch.records import StoredOrder
from orderwatch.shop_settings import DEFAULT_WORKING_DAYS, WEEKDAYS, ShopSettings, read_quiet_hours, time_zone

_DAY = timedelta(days=1)
_EVERY_DAY = frozenset(range(7))


@dataclass(frozen=True, slots=True)
class QuietHours:
    """The quiet hours of one shop. They belong to the day on which they begin.

    Attributes:
        start: When they begin, by the wall clock of the zone.
        end: When they end; on the next day if it is earlier than the start.
        zone: The time zone of the shop.
        days: Days of the week on which they begin; Monday is 0.
        holidays: Dates on which they do not begin.
    """

    start: time
    end: time
    zone: ZoneInfo
    days: frozenset[int] = _EVERY_DAY
    holidays: frozenset[date] = frozenset()

    @classmethod
    def of(cls, settings: ShopSettings, *, zone: ZoneInfo) -> Self | None:
        """The quiet hours of a shop, None if it has none; `zone` is the stack's, for a shop that does not set one."""
        if settings.quiet_hours is None:
            return None
        start, end, on_working_days = read_quiet_hours(settings.quiet_hours)
        zone = time_zone(settings.time_zone) if settings.time_zone else zone
        if not on_working_days:
            return cls(start, end, zone)
        days = frozenset(WEEKDAYS.index(day) for day in settings.working_days or DEFAULT_WORKING_DAYS)
        return cls(start, end, zone, days, settings.holidays or frozenset())

    def end_of(self, moment: datetime) -> datetime | None:
        """The end, in UTC, of the quiet hours at this moment; None if there are none.

        They include the moment when they begin, and not the one when they end. Of a time that occurs twice because
        clocks go back, the first counts. A time that clocks skip counts as if they had not gone forward yet.
        """
        today = moment.astimezone(self.zone).date()
        begun = [self._window(day) for day in (today - _DAY, today) if self._begins_on(day)]
        return max((end for start, end in begun if start <= moment < end), default=None)

    def _begins_on(self, day: date) -> bool:
        return day.weekday() in self.days and day not in self.holidays

    def _window(self, day: date) -> tuple[datetime, datetime]:
        last_day = day if self.start < self.end else day + _DAY
        start, end = datetime.combine(day, self.start, self.zone), datetime.combine(last_day, self.end, self.zone)
        return start.astimezone(UTC), end.astimezone(UTC)


def deliver_after(
    alerts: Sequence[Alert], before: StoredOrder | None, quiet_hours: QuietHours | None, *, now: datetime
) -> datetime | None:
    """Until when the alerts wait that are written together about one order, in UTC; None: they are sent at once.

    A critical alert never waits. What is written with it, and the change of status that follows it, do not wait either:
    else people would read them in the wrong order.

    Args:
        alerts: The alerts.
        before: The row of the order before them.
        quiet_hours: Those of the shop; None: it has none.
        now: Our clock when the alerts are written.
    """
    if quiet_hours is None or any(alert.severity is Severity.CRITICAL for alert in alerts):
        return None
    is_change = any(alert.kind not in SAME_STATUS_KINDS for alert in alerts)
    return None if is_change and before and _is_alerted_critical(before) else quiet_hours.end_of(now)


def _is_alerted_critical(order: StoredOrder) -> bool:
    """Whether a critical alert about the order was written and applies to it still."""
    status, passed = order.status_alert_id and f"order.{order.status}", order.deadline_state.passed
    kinds = [status, passed.kind if passed and order.deadline_state.is_alerted_problem else None]
    return any(severity_of(kind) is Severity.CRITICAL for kind in kinds if kind)
