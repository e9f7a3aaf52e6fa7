"""Checks who has an order and when it is reminded about (rule 24), by what people did and the shop's calendar.

It asks nothing of the product. It follows each order that needs attention: who had it last, when its next reminder is
owed, and how many it got. It checks

- **every row that a poll writes**: its owner and its snooze are those of the last act, until the order leaves its
  status or needs no attention; its next reminder is the one that is owed, and there is none after the last, for a shop
  without reminders, or for an order that needs no attention;
- **every reminder**: its order was read again in this poll and visible in the status of its row; it was owed by the
  last sync end that the API reported; it is not one more than the maximum; and its row is in the same transaction;
- **every row that a person changes**: that is what was asked for, by a request that may act, of an order that needs
  attention and is as the page showed it; nothing else of the row changes;
- **every poll that ended normally**: each owed reminder of an order that did not change meanwhile was alerted;
- **every alert about an order**: it names who has the order, or had it until its status ended.

Excused: an order whose row differs from what is visible, as for deadlines. The poll's own time is not known exactly
while the shop's history is recorded: any moment since the watch may have begun counts.
"""

import json
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

from orderwatch.shop_settings import time_zone
from tests.simulation.cloud import ALERTS, ORDERS, Change, Row
from tests.simulation.deadline_calendar import DAYS, DEADLINE_KINDS, OPEN, PROBLEM_KINDS, day_is_over
from tests.simulation.deadline_oracle import DeadlineOracle, PollFacts
from tests.simulation.deadline_plan import Calendar
from tests.simulation.facts import Subject, Violation, expect, moment, moment_in, subject_of
from tests.simulation.visible import Known

REMINDER = "order.reminder"
UNHEALTHY = frozenset({"exception", "backordered"})
TAKEN_FOR = timedelta(days=3)
DAY = timedelta(days=1)
OF_PEOPLE = frozenset({"ownership", "due_at", "deadline_at", "reminder_at", "reminders"})
"""The attributes of a row that a person may change."""


@dataclass(frozen=True)
class Act:
    """What a person asks for.

    Attributes:
        kind: `take`, `snooze`, `release`, or `look`, which may change nothing.
        subject: The order.
        began: Our clock when the request began.
        who: The name of who takes it.
        until: The end of the snooze.
        shown: The number of the order's status and its owner on the page that is used; None: by no page.
    """

    kind: str
    subject: Subject
    began: datetime
    who: str | None = None
    until: datetime | None = None
    shown: "tuple[int, Owner] | None" = None


class Owner(NamedTuple):
    """Who has an order, and until when it is snoozed."""

    name: str | None = None
    until: datetime | None = None

    @classmethod
    def of(cls, row: Row) -> "Owner":
        """As a row has it."""
        found = row.get("ownership", {})
        return cls(found.get("owner"), moment_in(found, "snoozed_until"))

    def after(self, act: Act) -> "Owner":
        """After somebody acted."""
        results = {"take": Owner(act.who), "snooze": Owner(self.name, act.until), "release": Owner()}
        return results[act.kind]


@dataclass(frozen=True)
class Owed:
    """What is owed for an order that needs attention.

    Attributes:
        changes: The number of its status.
        owner: Who has it.
        at: Its next reminder.
        count: Reminders since it was alerted or somebody acted.
        since: Seconds on the axis since when this is owed.
    """

    changes: int
    owner: Owner
    at: datetime | None
    count: int
    since: float


class Span(NamedTuple):
    """The moments between which something happened."""

    first: datetime
    last: datetime


@dataclass
class ReminderOracle:
    """Checks owners and reminders.

    Args:
        known: Our tables, and what is visible.
        deadlines: When the watch of each shop began, and its calendar.
        hours: The business hours after which an order of a shop is reminded about.
        maximum: Of the reminders in a row.
        seconds: The time.
        now: Our clock.

    Attributes:
        touched: How often the row of each order was written.
        acts: How many acts were accepted, by kind.
        sent: How many reminders were alerted.
    """

    known: Known
    deadlines: DeadlineOracle
    hours: Callable[[str], int]
    maximum: int
    seconds: Callable[[], float]
    now: Callable[[], datetime]
    touched: Counter[Subject] = field(default_factory=Counter)
    acts: Counter[str] = field(default_factory=Counter)
    sent: int = 0
    _owed: dict[Subject, Owed] = field(default_factory=dict)

    def owner(self, subject: Subject) -> Owner | None:
        """Who has an order that needs attention."""
        state = self.state(subject)
        return state[1] if state else None

    def state(self, subject: Subject) -> tuple[int, Owner] | None:
        """The number of the status of an order that needs attention, and who has it."""
        owed = self._owed.get(subject)
        return (owed.changes, owed.owner) if owed else None

    # What a poll writes

    def wrote(self, changes: Iterable[Change], facts: PollFacts) -> None:
        """A transaction is committed; call it before the other oracles learn of it."""
        changes = list(changes)
        about: defaultdict[Subject, list[Row]] = defaultdict(list)
        for row in (change.after for change in changes if change.table == ALERTS):
            if row.get("order_id"):
                about[row["connection_id"], row["order_id"]].append(row)
        for change in changes:
            if change.table == ORDERS:
                self._wrote(change, about.pop(subject_of(change.after), []), facts)
        if reminded := [subject for subject, rows in about.items() if REMINDER in {row["kind"] for row in rows}]:
            raise Violation(f"reminded about without their rows: {reminded}")

    def _wrote(self, change: Change, alerts: list[Row], facts: PollFacts) -> None:
        row, subject = change.after, subject_of(change.after)
        self.touched[subject] += 1
        before = self._owed.pop(subject, None)
        had = before.owner if before else Owner()
        is_same = change.before is not None and change.before["changes"] == row["changes"]
        owed = before if is_same else None
        self._check_named(subject, alerts, had.name if is_same or row["status"] not in UNHEALTHY else None)
        reminder = next((json.loads(each["alert"]) for each in alerts if each["kind"] == REMINDER), None)
        if not _needs_attention(row):
            left = {"ownership", "reminder_at"} & row.keys()
            if left or reminder:
                how = "reminded about" if reminder else "stored"
                raise Violation(f"{subject} needs no attention and is {how} with {sorted(left)}: {row}")
            return
        after = self._check_owner(subject, row, owed.owner if owed else Owner(), facts)
        is_due = bool(DEADLINE_KINDS & {each["kind"] for each in alerts}) or _has_expired(change)
        found = self._check_reminder(subject, row, owed, after, facts, reminder=reminder, is_due=is_due)
        is_kept = owed is not None and owed.at == found.at
        self._owed[subject] = replace(found, since=owed.since) if owed and is_kept else found

    @staticmethod
    def _check_named(subject: Subject, alerts: list[Row], name: str | None) -> None:
        for each in alerts:
            shown = json.loads(each["alert"])["order"].get("owner")
            expect(f"who has {subject} by {each['kind']}", shown, name)

    def _check_owner(self, subject: Subject, row: Row, owner: Owner, facts: PollFacts) -> Owner:
        """The owner by the row: as before, or without a snooze that has ended."""
        found, watermark = Owner.of(row), self.deadlines.watermark(facts)
        is_over = owner.until is not None and watermark is not None and owner.until <= watermark
        if found != owner and not (is_over and found == Owner(owner.name)):
            raise Violation(f"{subject} is stored with {found}, after {owner}: {row}")
        return found

    def _check_reminder(
        self,
        subject: Subject,
        row: Row,
        owed: Owed | None,
        owner: Owner,
        facts: PollFacts,
        *,
        reminder: Row | None,
        is_due: bool,
    ) -> Owed:
        """Check the reminder of a row that needs attention, and what is owed after it."""
        is_recording = subject[0] not in self.deadlines.watching_since
        known = None if is_recording else owed
        count, base = known.count if known else 0, self._base(facts, is_recording=is_recording)
        if reminder:
            self._check_alert(subject, row, known, facts, moment(reminder["order"]["due_at"]))
            count += 1
        at = moment_in(row, "reminder_at")
        if known and known.at and not (reminder or is_due):
            allowed: Span | None = Span(known.at, known.at)
        else:
            allowed = self._next(subject[0], owner, base, count)
        if (at is None) != (allowed is None) or (at and allowed and not allowed.first <= at <= allowed.last):
            raise Violation(f"{subject} is to be reminded about at {at}, expected {allowed}, reminded {count}: {row}")
        expect(f"the reminders of {subject}", int(row.get("reminders", 0)), count)
        if at and not moment(row["due_at"]) <= at:
            raise Violation(f"{subject} is not due at its reminder: {row}")
        return Owed(row["changes"], owner, at, count, self.seconds())

    def _base(self, facts: PollFacts, *, is_recording: bool) -> Span:
        """When a poll saw an order: its latest answer; where the clock was set back, the last sync end or the begin."""
        seen, watermark = facts.date or self.now(), self.deadlines.watermark(facts)
        begins = self.deadlines.watch_begins(facts.connection_id) if is_recording else []
        return Span(min([seen, *begins]), max([seen, watermark or seen, *begins]))

    def _check_alert(self, subject: Subject, row: Row, owed: Owed | None, facts: PollFacts, at: datetime) -> None:
        self.sent += 1
        watermark, seen = self.deadlines.watermark(facts), facts.read_again.get(subject[1])
        if owed is None or owed.at != at:
            raise Violation(f"{subject} was reminded about for {at}, owed was {owed}")
        if watermark is None or at > watermark:
            raise Violation(f"{subject} was reminded about for {at} with data up to {watermark}")
        if owed.owner.until is None and owed.count >= self.maximum:
            raise Violation(f"{subject} was reminded about {owed.count} times, and once more")
        if seen is None:
            raise Violation(f"{subject} was reminded about and not read again")
        is_known = facts.date is not None and seen.version is not None and moment(seen.version) <= facts.date
        if is_known and not facts.missed(subject[1], seen) and seen.status != row["status"]:
            raise Violation(f"{subject} was reminded about as {row['status']}, though it could be seen as {seen}")

    def _next(self, connection_id: str, owner: Owner, base: Span, count: int) -> Span | None:
        """The next reminder of an order after something happened to it."""
        calendar, hours = self.deadlines.calendar(connection_id), self.hours(connection_id)
        if calendar is None:
            return None
        if owner.until:
            return Span(owner.until, owner.until)
        if not hours or count >= self.maximum:
            return None
        if owner.name:
            return Span(base.first + TAKEN_FOR, base.last + TAKEN_FOR)
        return Span(*(after_business_hours(at, hours, calendar) for at in base))

    # What people do

    def acted(self, change: Change, act: Act | None) -> None:
        """A person's request changed the row of an order."""
        row, subject = change.after, subject_of(change.after)
        self.touched[subject] += 1
        owed = self._owed.get(subject)
        if act is None or act.kind == "look" or act.subject != subject:
            raise Violation(f"{subject} was changed by {act}: {row}")
        if owed is None:
            raise Violation(f"{subject} needs no attention and was changed by {act}: {row}")
        if act.shown and act.shown != self.state(subject):
            raise Violation(f"{subject} was changed by {act}, and is {self.state(subject)}")
        owner = owed.owner.after(act)
        expect(f"{subject} after {act}", Owner.of(row), owner)
        kept = [{name: each[name] for name in each.keys() - OF_PEOPLE} for each in (change.before or {}, row)]
        expect(f"what {act} must not change of {subject}", *kept)
        at, allowed = moment_in(row, "reminder_at"), self._next(subject[0], owner, Span(act.began, self.now()), 0)
        if (at is None) != (allowed is None) or (at and allowed and not allowed.first <= at <= allowed.last):
            raise Violation(f"{subject} is to be reminded about at {at} after {act}, expected {allowed}: {row}")
        self.acts[act.kind] += 1
        self._owed[subject] = Owed(row["changes"], owner, at, 0, self.seconds())

    # The end

    def finished(self, facts: PollFacts) -> None:
        """A poll ended normally: no reminder is owed that was due before it began."""
        watermark = facts.watermark
        if facts.is_spoilt or watermark is None or facts.connection_id not in self.deadlines.watching_since:
            return
        for subject, owed in self._owed.items():
            if subject[0] != facts.connection_id or not owed.at or owed.at > watermark or owed.since >= facts.started:
                continue
            seen, row = self.known.shops[subject[0]].orders.get(subject[1]), self.known.order(subject) or {}
            is_known = seen is not None and seen.since <= facts.began and seen.is_shown_by(row)
            if seen and is_known and not facts.missed(subject[1], seen):
                raise Violation(f"{subject} was not reminded about at {owed.at}; data until {watermark}, row {row}")

    def check_end(self) -> None:
        """Who has an order is what the last one said who acted, and nobody has one that needs no attention."""
        for connection_id in self.known.shops:
            for order_id, row in self.known.orders(connection_id).items():
                expect(f"who has {order_id}", Owner.of(row), self.owner((connection_id, order_id)) or Owner())


def _has_expired(change: Change) -> bool:
    """Whether a deadline passed; it has no new alert if the ship-by went away and came back."""
    before, after = (each.get("deadline_alert_id") for each in (change.before or {}, change.after))
    return after is not None and after != before


def _needs_attention(row: Row) -> bool:
    """Whether an order needs attention by its row: Trackstar may no longer have it."""
    is_late = row["status"] in OPEN and row.get("passed_kind") in PROBLEM_KINDS
    needs = is_late or row["status"] in UNHEALTHY
    if "status_since" in row and not needs:
        raise Violation(f"the row of an order needs no attention and is in the backlog: {row}")
    return "status_since" in row


def after_business_hours(since: datetime, hours: int, calendar: Calendar) -> datetime:
    """When this number of hours of business days has passed."""
    left = timedelta(hours=hours)
    day, at = since.astimezone(time_zone(calendar.zone)).date(), since.astimezone(UTC)
    for _ in range(400):
        end = day_is_over(day, calendar.zone)
        if DAYS[day.weekday()] in calendar.working_days and str(day) not in calendar.holidays:
            if end - at >= left:
                return at + left
            left -= max(end - at, timedelta())
        day, at = day + DAY, max(at, end)
    raise AssertionError(f"no {hours} business hours from {since}")
