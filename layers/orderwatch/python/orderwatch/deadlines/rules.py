"""When an order is at risk, late or stuck, and which of its deadlines is next (rule 19).

    scheduled ── its time passes ── expired (alerted or suppressed) ── the next one is scheduled
        └── the ship-by or the status changes: scheduled again; an alerted problem may be resolved

An order that needs attention has a next reminder too (rule 24). It goes the way of a deadline.

Pure functions without a clock: the caller passes the watermark up to which the shop's data are complete.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from functools import cached_property, lru_cache
from typing import NamedTuple, Self
from zoneinfo import ZoneInfo

from orderwatch.alerts.kinds import KIND_AT_RISK, KIND_LATE, KIND_STUCK
from orderwatch.deadlines.calendar import after_business_hours, business_time, end_of_business_days, ship_deadline
from orderwatch.ownership import Ownership
from orderwatch.shop_settings import DEFAULT_WORKING_DAYS, WEEKDAYS, ShopSettings, Weekday, time_zone
from orderwatch.statuses import OPEN_STATUSES

PROBLEM_KINDS = frozenset({KIND_LATE, KIND_STUCK})
"""Deadlines that are a problem from when they pass until it is resolved."""
TAKEN_FOR = timedelta(days=3)
"""How long an order can be taken before its owner is reminded."""


class Deadline(NamedTuple):
    """A moment, and the kind of the alert after it."""

    at: datetime
    kind: str


@dataclass(frozen=True)
class DeadlineRules:
    """When an order of one shop is at risk, late or stuck.

    Attributes:
        zone: The time zone in which its days end.
        working_days: Business days of the week; Monday is 0.
        holidays: Days that are not business days.
        late_warning_hours: How long before the ship-by an order is at risk; 0: never.
        stuck_days: Business days in one status after which an order without a ship-by is stuck; 0: never.
        reminder_hours: Business hours after which an order that still needs attention is alerted again; 0: never.
        max_reminders: Maximum reminders since an order was alerted, or somebody last took, snoozed or released it.
    """

    zone: ZoneInfo
    working_days: frozenset[int] = frozenset(range(5))
    holidays: frozenset[date] = frozenset()
    late_warning_hours: int = 24
    stuck_days: int = 0
    reminder_hours: int = 0
    max_reminders: int = 3

    @classmethod
    def of(
        cls,
        settings: ShopSettings,
        *,
        zone: ZoneInfo,
        late_warning_hours: int,
        stuck_days: int,
        reminder_hours: int = 0,
        max_reminders: int = 3,
    ) -> "DeadlineRules":
        """The rules of a shop. The other arguments are the stack's values, for what the shop does not set."""
        days: frozenset[Weekday] = settings.working_days or DEFAULT_WORKING_DAYS
        warning, stuck, reminder = settings.late_warning_hours, settings.stuck_days, settings.reminder_hours
        return cls(
            zone=time_zone(settings.time_zone) if settings.time_zone else zone,
            working_days=frozenset(WEEKDAYS.index(day) for day in days),
            holidays=settings.holidays or frozenset(),
            late_warning_hours=late_warning_hours if warning is None else warning,
            stuck_days=stuck_days if stuck is None else stuck,
            reminder_hours=reminder_hours if reminder is None else reminder,
            max_reminders=max_reminders,
        )

    @cached_property
    def fingerprint(self) -> str:
        """Equal for rules that give the same deadlines. It contains business days and reminders only if they are used.

        The maximum of reminders is not part of it: a change needs no new recording.
        """
        uses_business_days = self.stuck_days or self.reminder_hours
        business = (sorted(self.working_days), sorted(self.holidays)) if uses_business_days else ()
        reminders = (self.reminder_hours,) if self.reminder_hours else ()
        parts = (self.zone.key, self.late_warning_hours, self.stuck_days, business, *reminders)
        return hashlib.sha256(repr(parts).encode()).hexdigest()[:16]

    @cached_property
    def _late_warning(self) -> timedelta:
        return timedelta(hours=self.late_warning_hours)

    def deadlines(self, *, status: str, ship_by: datetime | None, since: datetime) -> tuple[Deadline, ...]:
        """Every deadline of an order, earliest first; `since` is when its status began."""
        if status not in OPEN_STATUSES:
            return ()
        try:
            return _shipping(ship_by, self.zone, self._late_warning) if ship_by else self._moving(since)
        except OverflowError:  # in the year 9999
            return ()

    def past_shipping(self, status: str, ship_by: datetime | None, *, by: datetime) -> str | None:
        """The kind of the latest deadline of an order's ship-by that had passed by that time."""
        if ship_by is None or ship_by - by > self._late_warning:
            return None  # a ship-by passes at its time or at the end of its day, never earlier
        found = self.deadlines(status=status, ship_by=ship_by, since=by)
        return next((each.kind for each in reversed(found) if each.at <= by), None)

    def _moving(self, since: datetime) -> tuple[Deadline, ...]:
        if not self.stuck_days:
            return ()
        at = end_of_business_days(
            since, self.stuck_days, zone=self.zone, working_days=self.working_days, holidays=self.holidays
        )
        return (Deadline(at, KIND_STUCK),) if at else ()

    def next_reminder(self, ownership: Ownership | None, *, after: datetime) -> datetime | None:
        """When an order is reminded about next; None: never.

        The end of a snooze is always a reminder: somebody asked for it.

        Args:
            ownership: Who works on it.
            after: When it was alerted, taken, released or last reminded about.
        """
        if ownership and ownership.snoozed_until:
            return ownership.snoozed_until
        if not self.reminder_hours:
            return None
        try:
            if ownership and ownership.owner:
                return after + TAKEN_FOR
            return after_business_hours(
                after, self.reminder_hours, zone=self.zone, working_days=self.working_days, holidays=self.holidays
            )
        except OverflowError:  # in the year 9999
            return None

    def business_time(self, since: datetime, until: datetime) -> timedelta:
        """The business hours between two times."""
        return business_time(since, until, zone=self.zone, working_days=self.working_days, holidays=self.holidays)


@lru_cache(maxsize=1024)  # many orders share a day
def _shipping(ship_by: datetime, zone: ZoneInfo, warning: timedelta) -> tuple[Deadline, ...]:
    late = Deadline(ship_deadline(ship_by, zone), KIND_LATE)
    return (Deadline(late.at - warning, KIND_AT_RISK), late) if warning else (late,)


class DeadlineState(NamedTuple):
    """The deadlines of an order: part of its row.

    Attributes:
        due: The next deadline, if any.
        passed: The latest deadline that passed while the order was open. It stays while the order is not open, so that
            the same deadline is never alerted again.
        deadline_alert_id: The id of the alert about `passed`; None: it was suppressed, or is resolved.
        reminder_at: The next reminder, if any. Only an order that needs attention has one (rule 24).
        reminders: Number of reminders since it was alerted, or somebody last took, snoozed or released it.
    """

    due: Deadline | None = None
    passed: Deadline | None = None
    deadline_alert_id: str | None = None
    reminder_at: datetime | None = None
    reminders: int = 0

    @property
    def due_at(self) -> datetime | None:
        """When the order is evaluated next: at its next deadline or reminder, whichever is earlier."""
        if self.due is None or self.reminder_at is None:
            return self.due.at if self.due else self.reminder_at
        return min(self.due.at, self.reminder_at)

    @property
    def is_alerted_problem(self) -> bool:
        """Whether the order was alerted as late or stuck and that is not resolved."""
        return self.deadline_alert_id is not None and self.passed is not None and self.passed.kind in PROBLEM_KINDS

    def with_alert(self, alert_id: str) -> Self:
        """The same state with the alert about the deadline that passed."""
        return self._replace(deadline_alert_id=alert_id)


NO_DEADLINE = DeadlineState()
"""The state of an order that was never seen or has no deadline."""


class Suppression(NamedTuple):
    """Deadlines that are recorded but not alerted, because they passed before the watch of deadlines began.

    Attributes:
        until: When the watch began.
        is_recording: Whether the order is being recorded for that watch. If so, a warning that has passed is suppressed
            too. If not, it is alerted, unless the order was late when the watch began.
    """

    until: datetime
    is_recording: bool

    def covers(self, ahead: Sequence[Deadline]) -> bool:
        """Whether the first of these deadlines is suppressed."""
        decisive = ahead[0] if self.is_recording else ahead[-1]
        return decisive.at <= self.until


def schedule(
    before: DeadlineState, deadlines: Sequence[Deadline], *, is_open: bool, suppression: Suppression | None
) -> DeadlineState:
    """The state of an observed order before any deadline expires.

    Args:
        before: Its state up to now.
        deadlines: All its deadlines, earliest first.
        is_open: Whether its status is open.
        suppression: The deadlines that are not alerted unless they were already scheduled; None: alert all.
    """
    if not is_open:
        return DeadlineState(passed=before.passed) if before.passed else NO_DEADLINE
    ahead, passed, deadline_alert_id = deadlines, None, None
    if before.passed and before.passed in deadlines:
        passed, deadline_alert_id = before.passed, before.deadline_alert_id
        ahead = deadlines[deadlines.index(before.passed) + 1 :]
    while ahead and suppression and ahead[0] != before.due and suppression.covers(ahead):
        passed, deadline_alert_id, ahead = ahead[0], None, ahead[1:]
    return DeadlineState(ahead[0] if ahead else None, passed, deadline_alert_id)


def expire(state: DeadlineState, deadlines: Sequence[Deadline], *, watermark: datetime) -> DeadlineState:
    """The state of an order after the deadlines up to the watermark have passed. Only the last of them is alerted.

    Args:
        state: Its state, scheduled with these deadlines.
        deadlines: All its deadlines, earliest first.
        watermark: The time up to which the shop's data are complete.
    """
    if state.due is None or state.due.at > watermark:
        return state
    ahead = list(deadlines[deadlines.index(state.due) :])
    passed = ahead.pop(0)
    while ahead and ahead[0].at <= watermark:
        passed = ahead.pop(0)
    return DeadlineState(due=ahead[0] if ahead else None, passed=passed)


class Reminder(NamedTuple):
    """A reminder whose time passed, and its number, from 1."""

    at: datetime
    number: int


class DeadlineChange(NamedTuple):
    """The result of evaluating the deadlines of an order.

    Attributes:
        state: The new state.
        expired: The deadline to alert, if one passed.
        resolved: The alerted deadline that no longer applies, because the order shipped or its ship-by changed.
        reminder: The reminder to alert, if one is due.
    """

    state: DeadlineState = NO_DEADLINE
    expired: Deadline | None = None
    resolved: Deadline | None = None
    reminder: Reminder | None = None

    def with_reminder(self, *, next_at: datetime | None, count: int, sent: Reminder | None = None) -> Self:
        """The same with the next reminder, the number of reminders, and the reminder to alert."""
        if (next_at, count, sent) == (self.state.reminder_at, self.state.reminders, self.reminder):
            return self
        return self._replace(state=self.state._replace(reminder_at=next_at, reminders=count), reminder=sent)


def evaluate(
    before: DeadlineState,
    rules: DeadlineRules | None,
    *,
    status: str,
    ship_by: datetime | None,
    since: datetime,
    suppression: Suppression | None = None,
    watermark: datetime | None = None,
) -> DeadlineChange:
    """Evaluate the deadlines of an observed order.

    Args:
        before: Its state up to now.
        rules: The rules of its shop; None: deadlines are not watched.
        status: Its status.
        ship_by: Its ship-by.
        since: When the status began.
        suppression: The deadlines that are not alerted unless they were already scheduled; None: alert all.
        watermark: The time up to which the shop's data are complete; None: deadlines are scheduled but do not expire.
    """
    if rules is None:
        return DeadlineChange(DeadlineState(passed=before.passed))
    deadlines = rules.deadlines(status=status, ship_by=ship_by, since=since)
    scheduled = schedule(before, deadlines, is_open=status in OPEN_STATUSES, suppression=suppression)
    resolved = before.passed if before.is_alerted_problem and not scheduled.is_alerted_problem else None
    after = expire(scheduled, deadlines, watermark=watermark) if watermark else scheduled
    return DeadlineChange(after, after.passed if after is not scheduled else None, resolved)


def remind(
    change: DeadlineChange,
    before: DeadlineState,
    rules: DeadlineRules,
    *,
    ownership: Ownership | None,
    now: datetime,
    watermark: datetime | None = None,
) -> DeadlineChange:
    """Evaluate the reminders of an observed order that needs attention (rule 24).

    An alert about a deadline takes the place of a reminder: the next one is counted from it.

    Args:
        change: What became of its deadlines.
        before: Its state up to now; `NO_DEADLINE` if it begins to need attention, or is recorded for a new watch.
        rules: The rules of its shop.
        ownership: Who works on it.
        now: When it was observed, by the vendor's clock, which may have been set back.
        watermark: The time up to which the shop's data are complete; None: no reminder is due.
    """
    count, now = before.reminders, max(now, watermark or now)
    is_snoozed = ownership is not None and ownership.snoozed_until is not None
    if not is_snoozed and (not rules.reminder_hours or count >= rules.max_reminders):
        return change.with_reminder(next_at=None, count=count)
    at = before.reminder_at or rules.next_reminder(ownership, after=now)
    is_due = at is not None and watermark is not None and at <= watermark
    if at is None or watermark is None or not (is_due or change.expired):
        return change.with_reminder(next_at=at, count=count)
    sent = None if change.expired else Reminder(at, count + 1)
    count = sent.number if sent else count
    after = rules.next_reminder(ownership.awake(watermark) if ownership else None, after=now)
    return change.with_reminder(next_at=after if count < rules.max_reminders else None, count=count, sent=sent)
