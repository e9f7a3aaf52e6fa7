"""The deadlines of an order, and which of them are still ahead (rule 19).

    armed ── its moment comes ── passed (told, or recorded in silence) ── the next one is armed
      └── the ship-by moves, the status changes: armed anew, and what was told may be over

Pure functions: nothing here knows what time it is. Who judges says up to which moment the shop's data reach.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import NamedTuple, TypeGuard
from zoneinfo import ZoneInfo

from orderwatch.alerts.kinds import KIND_AT_RISK, KIND_LATE, KIND_STUCK
from orderwatch.deadlines.calendar import end_of_business_days, ship_deadline
from orderwatch.shop_settings import DEFAULT_WORKING_DAYS, WEEKDAYS, ShopSettings, Weekday, time_zone

OPEN_STATUSES = frozenset({"open", "confirmed", "processing", "partially_fulfilled", "backordered", "exception"})
"""Statuses in which something is still to be shipped. `other`, and what the vendor invents, have no deadline."""
FINAL_STATUSES = frozenset({"fulfilled", "cancelled"})
"""Statuses in which nothing is left to do: events, never states to wait in."""
PROBLEM_KINDS = frozenset({KIND_LATE, KIND_STUCK})
"""Deadlines whose order waits for a person once they have passed, and whose end is told."""
_EARLIEST_YEAR = 2000
"""A ship-by before it is what a shop's software writes where it has none (year 1, 1970)."""


class Deadline(NamedTuple):
    """A moment and what is told when it has passed."""

    at: datetime
    kind: str


@dataclass(frozen=True, slots=True)
class DeadlineRules:
    """When an order of one shop is at risk, late or stuck.

    Attributes:
        zone: Where its days end.
        working_days: Days of the week that count, Monday being 0.
        holidays: Days that do not.
        late_warning_hours: How long before the ship-by an order is at risk; 0: never.
        stuck_days: Business days in one status after which an order without a ship-by is stuck; 0: never.
    """

    zone: ZoneInfo
    working_days: frozenset[int] = frozenset(range(5))
    holidays: frozenset[date] = frozenset()
    late_warning_hours: int = 24
    stuck_days: int = 0

    @classmethod
    def of(cls, settings: ShopSettings, *, zone: ZoneInfo, late_warning_hours: int, stuck_days: int) -> "DeadlineRules":
        """The rules of a shop; the arguments are the stack's, for what the shop does not set."""
        days: frozenset[Weekday] = settings.working_days or DEFAULT_WORKING_DAYS
        warning, stuck = settings.late_warning_hours, settings.stuck_days
        return cls(
            zone=time_zone(settings.time_zone) if settings.time_zone else zone,
            working_days=frozenset(WEEKDAYS.index(day) for day in days),
            holidays=settings.holidays or frozenset(),
            late_warning_hours=late_warning_hours if warning is None else warning,
            stuck_days=stuck_days if stuck is None else stuck,
        )

    @property
    def fingerprint(self) -> str:
        """Equal for rules that give the same deadlines; the business days count only where they are used."""
        business = (sorted(self.working_days), sorted(self.holidays)) if self.stuck_days else ()
        parts = (self.zone.key, self.late_warning_hours, self.stuck_days, business)
        return hashlib.sha256(repr(parts).encode()).hexdigest()[:16]

    def deadlines(self, *, status: str, ship_by: datetime | None, since: datetime) -> tuple[Deadline, ...]:
        """Every deadline of an order, in order.

        Args:
            status: What it is in.
            ship_by: As the shop says; None, or before 2000: it does not.
            since: When it came into this status.
        """
        if status not in OPEN_STATUSES:
            return ()
        try:
            return self._shipping(ship_by) if has_ship_by(ship_by) else self._moving(since)
        except OverflowError:  # in the year 9999: it never comes
            return ()

    def past_shipping(self, status: str, ship_by: datetime | None, *, by: datetime) -> str | None:
        """The kind of the latest deadline of an order's ship-by that had passed by a moment."""
        if not has_ship_by(ship_by):
            return None
        found = self.deadlines(status=status, ship_by=ship_by, since=by)
        return next((each.kind for each in reversed(found) if each.at <= by), None)

    def _shipping(self, ship_by: datetime) -> tuple[Deadline, ...]:
        late = Deadline(ship_deadline(ship_by, self.zone), KIND_LATE)
        if not self.late_warning_hours:
            return (late,)
        return (Deadline(late.at - timedelta(hours=self.late_warning_hours), KIND_AT_RISK), late)

    def _moving(self, since: datetime) -> tuple[Deadline, ...]:
        if not self.stuck_days:
            return ()
        at = end_of_business_days(
            since, self.stuck_days, zone=self.zone, working_days=self.working_days, holidays=self.holidays
        )
        return (Deadline(at, KIND_STUCK),) if at else ()


def has_ship_by(ship_by: datetime | None) -> TypeGuard[datetime]:
    """Whether the shop says when the order is to ship."""
    return ship_by is not None and ship_by.year >= _EARLIEST_YEAR


class DeadlineState(NamedTuple):
    """How an order stands to its deadlines: part of its row.

    Attributes:
        due: The next deadline; None: none is ahead.
        passed: The latest that passed while the order was open; kept while the order is not open, so that the same
            deadline is never told again.
        deadline_alert_id: The id of the alert about it; None: recorded in silence, or told to be over.
    """

    due: Deadline | None = None
    passed: Deadline | None = None
    deadline_alert_id: str | None = None

    @property
    def is_alerted_problem(self) -> bool:
        """Whether somebody was told that the order is late or stuck, and not yet that it no longer is."""
        return self.deadline_alert_id is not None and self.passed is not None and self.passed.kind in PROBLEM_KINDS


NO_DEADLINE = DeadlineState()
"""That of an order that was never seen, or has no deadline."""


class Suppression(NamedTuple):
    """What is recorded and not told, as it had passed when the watch of deadlines began.

    Attributes:
        until: When that was.
        is_recording: Whether the order is recorded for that watch just now: then a warning whose moment has come is
            silent too. Later, a warning of that time is told if its order is not late by then.
    """

    until: datetime
    is_recording: bool

    def covers(self, ahead: Sequence[Deadline]) -> bool:
        """Whether the first of the deadlines ahead is recorded and not told."""
        deadline_change = ahead[0] if self.is_recording else ahead[-1]
        return deadline_change.at <= self.until


def schedule(
    before: DeadlineState, deadlines: Sequence[Deadline], *, is_open: bool, suppression: Suppression | None
) -> DeadlineState:
    """How an order stands after it was seen, before any deadline is told.

    Args:
        before: How it stood.
        deadlines: All that it has now, in order.
        is_open: Whether its status is open.
        suppression: What is recorded and not told, unless it was armed before; None: nothing.
    """
    if not is_open:
        return DeadlineState(passed=before.passed)
    ahead, passed, deadline_alert_id = list(deadlines), None, None
    if before.passed and before.passed in deadlines:
        passed, deadline_alert_id = before.passed, before.deadline_alert_id
        ahead = ahead[ahead.index(before.passed) + 1 :]
    while ahead and suppression and ahead[0] != before.due and suppression.covers(ahead):
        passed, deadline_alert_id = ahead.pop(0), None
    return DeadlineState(due=ahead[0] if ahead else None, passed=passed, deadline_alert_id=deadline_alert_id)


def expire(deadline_state: DeadlineState, deadlines: Sequence[Deadline], *, watermark: datetime) -> DeadlineState:
    """How an order stands once the deadlines up to a moment have passed: only the last of them is told.

    Args:
        deadline_state: How it stands, armed with these deadlines.
        deadlines: All that it has, in order.
        watermark: Up to when the shop's data reach.
    """
    if deadline_state.due is None or deadline_state.due.at > watermark:
        return deadline_state
    ahead = list(deadlines[deadlines.index(deadline_state.due) :])
    passed = ahead.pop(0)
    while ahead and ahead[0].at <= watermark:
        passed = ahead.pop(0)
    return DeadlineState(due=ahead[0] if ahead else None, passed=passed)


class DeadlineChange(NamedTuple):
    """What the deadlines of an order that was seen come to.

    Attributes:
        deadline_state: How it stands now.
        passed: The deadline to tell of, None where none passed.
        over: The deadline that was told and no longer holds, as the order is shipped or its ship-by moved.
    """

    deadline_state: DeadlineState = NO_DEADLINE
    passed: Deadline | None = None
    over: Deadline | None = None


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
    """Judge an order that was seen.

    Args:
        before: How it stood.
        rules: Its shop's; None: no deadline is watched.
        status: What it is in now.
        ship_by: As the shop says now.
        since: When it came into the status.
        suppression: What is recorded and not told, unless it was armed before; None: nothing.
        watermark: Up to when the shop's data reach, where deadlines are to be told; None: they are only armed.
    """
    if rules is None:
        return DeadlineChange(DeadlineState(passed=before.passed))
    deadlines = rules.deadlines(status=status, ship_by=ship_by, since=since)
    armed = schedule(before, deadlines, is_open=status in OPEN_STATUSES, suppression=suppression)
    over = before.passed if before.is_alerted_problem and not armed.is_alerted_problem else None
    after = expire(armed, deadlines, watermark=watermark) if watermark else armed
    return DeadlineChange(after, passed=after.passed if after is not armed else None, over=over)


def alerted(deadline_state: DeadlineState, alert_id: str) -> DeadlineState:
    """The same, with the alert that told of the deadline that passed."""
    return deadline_state._replace(deadline_alert_id=alert_id)
