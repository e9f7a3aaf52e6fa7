"""Checks deadlines (rule 19) by a calendar of its own that is walked minute by minute.

It asks nothing of the product. It knows what is visible of every order, the last sync end that the API reported to
each poll, and which orders each poll read again by id. It checks

- **every deadline alert**: this poll read the order again; the order was open, with a ship-by (or a status) whose
  deadline by the calendar is the alerted one; that deadline is not after the last sync end that the API reported; it
  was not past when the watch began; it was never alerted before; and its row is written in the same transaction;
- **every row**: an order that is not open has no deadline ahead, and a deadline ahead is one of the calendar's;
- **every report of values that cannot be read** (rule 21): once for each field, and only of one that was served;
- **every poll that ended normally**: it reported the values that cannot be read, and each open order that did not
  change meanwhile, and whose deadline had passed by the reported last sync end, was alerted.

Excused: an order whose row differs from what is visible (the other oracle checks that); one that moved past the pages
of orders that were read by their ids, where they showed an older copy only; one whose version went back
with the vendor's clock (rule 3) or lies in its future, where it is unknown which of two records is newer; and every
first sight where the baseline is capped.
"""

import json
import re
from collections import defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple, Self

from orderwatch_local.simulator.records import blocks
from tests.simulation.allocation import Look, products_end_of
from tests.simulation.cloud import ALERTS, ORDERS, Change, Row
from tests.simulation.deadline_calendar import DEADLINE_KINDS, OPEN, PROBLEM_KINDS, Deadline, deadlines_of
from tests.simulation.deadline_plan import Calendar
from tests.simulation.facts import (
    Subject,
    Violation,
    date_of,
    expect,
    key_of,
    moment,
    moment_in,
    ship_by_of,
    status_of,
    subject_of,
    unreadable_in,
    version_of,
)
from tests.simulation.visible import Known, VisibleOrder

_REPORTED = re.compile(r"\b(\w+_date) \(\d")
"""A field in the words of a report."""


class Copy(NamedTuple):
    """What a record shows of its order."""

    status: str | None
    ship_by: datetime | None
    version: str | None
    clock: str

    @classmethod
    def of(cls, record: dict[str, Any]) -> Self:
        """What this record shows."""
        clock = "trackstar" if date_of(record, "trackstar_updated_date") else "shop"
        return cls(status_of(record), ship_by_of(record), version_of(record), clock)


@dataclass
class PollFacts:
    """What the API reported to one poll.

    Attributes:
        connection_id: Of which shop.
        date: The vendor's clock in its latest answer.
        watermark: The last sync end by the API's report; None: it reported none.
        began: The shop's count of changes at that report.
        requested_at: When it was requested, by our clock, in milliseconds; the same for its retries.
        started: Seconds on the axis when it began.
        shown: Every copy of each order that was served to it.
        unreadable: The fields with a value that cannot be read, in orders of the lists that were served to it.
        read_again: Orders that were asked for by their ids, as they could be seen then.
        versions_by_id: The versions of each of these that were served.
        look: What it learned about stock.
        is_spoilt: Whether it lost a transaction, was refused, or did not come to its end.
        is_finished: Whether it ended normally.
    """

    connection_id: str = ""
    date: datetime | None = None
    watermark: datetime | None = None
    began: int = 0
    requested_at: int = 0
    started: float = 0.0
    shown: defaultdict[str, set[Copy]] = field(default_factory=lambda: defaultdict(set))
    unreadable: set[str] = field(default_factory=set)
    read_again: dict[str, VisibleOrder] = field(default_factory=dict)
    versions_by_id: defaultdict[str, set[str | None]] = field(default_factory=lambda: defaultdict(set))
    look: Look = field(default_factory=Look)
    is_spoilt: bool = False
    is_finished: bool = False

    def not_served(self, order_id: str) -> None:
        """A request for an order by its id had no answer that shows it."""
        self.versions_by_id[order_id] |= set()

    def missed(self, order_id: str, seen: VisibleOrder) -> bool:
        """Whether it asked for an order by its id and was not served what is visible: it moved, or a request failed."""
        return order_id in self.versions_by_id and seen.version not in self.versions_by_id[order_id]


@dataclass
class DeadlineOracle:
    """Checks deadlines.

    Args:
        known: Our tables, and what is visible.
        calendar: A shop's.
        is_capped: Whether the baseline is: what is seen first may be old.

    Attributes:
        watching_since: When the watch of each connection began.
    """

    known: Known
    calendar: Callable[[str], Calendar | None]
    is_capped: bool
    watching_since: dict[str, datetime] = field(default_factory=dict)
    _alerted: set[tuple[Subject, Deadline]] = field(default_factory=set)
    _served_ship_bys: defaultdict[Subject, set[datetime | None]] = field(default_factory=lambda: defaultdict(set))
    _watched_from: dict[str, datetime] = field(default_factory=dict)
    _begun_by: dict[str, datetime] = field(default_factory=dict)
    _at_baseline: dict[str, dict[str, str | None]] = field(default_factory=dict)
    _gone: set[Subject] = field(default_factory=set)
    _problems: dict[Subject, Deadline] = field(default_factory=dict)
    _ever_known: dict[str, datetime] = field(default_factory=dict)
    _unreadable: defaultdict[str, set[str]] = field(default_factory=lambda: defaultdict(set))
    _reported: defaultdict[str, set[str]] = field(default_factory=lambda: defaultdict(set))

    # What a poll reads

    def served(self, facts: PollFacts, records: Iterable[dict[str, Any]]) -> None:
        """A page of a list was served to a poll: a superseded copy may have another ship-by."""
        for record in records:
            self._served_ship_bys[facts.connection_id, key_of(record)].add(ship_by_of(record))
            facts.unreadable |= unreadable_in(record) if status_of(record) else set()
            self._unreadable[facts.connection_id] |= unreadable_in(record)
            facts.shown[key_of(record)].add(Copy.of(record))

    def connection_answered(self, facts: PollFacts, answer: Any) -> None:
        """`GET /connections/{id}` was answered."""
        record = _connection_in(answer)
        schedule = next(each for each in record["sync_schedules"] if each["function_name"] == "get_orders")
        now, key = facts.date or datetime.max.replace(tzinfo=UTC), facts.connection_id
        if last_end := date_of(schedule, "last_crawl_end"):
            end = moment(last_end)
            self._ever_known[key] = max(end, self._ever_known.get(key, end))
            facts.watermark = min(end, now)
        elif not (key in self._ever_known or any(blocks(each, "get_orders") for each in record["errors"])):
            facts.watermark = now - 2 * timedelta(seconds=schedule["sync_frequency"])
        facts.began = self.known.shops[key].changes
        if (record.get("historical_sync_completed") or {}).get("get_orders") is not False:
            facts.look.reported_end = products_end_of(record)
            self.may_begin(facts)

    def may_begin(self, facts: PollFacts) -> None:
        """From now on a poll may open the window that begins the watch, and die before its first page.

        The earliest moment counts: the vendor's clock may be set back.
        """
        if facts.date:
            known = self._watched_from.get(facts.connection_id, facts.date)
            self._watched_from[facts.connection_id] = min(facts.date, known)
            latest = self._begun_by.get(facts.connection_id, facts.date)
            self._begun_by[facts.connection_id] = max(facts.date, latest)

    def read_again(self, facts: PollFacts, records: Iterable[dict[str, Any]]) -> None:
        """A page of orders was served by their ids; later pages show other orders."""
        visible, records = self.known.shops[facts.connection_id].orders, list(records)
        for record in records:
            facts.shown[key_of(record)].add(Copy.of(record))
            facts.versions_by_id[key_of(record)].add(version_of(record))
        facts.read_again |= {key: visible[key] for key in map(key_of, records) if key in visible}

    def baseline_asked(self, connection_id: str) -> None:
        """The first page of a baseline is requested."""
        visible = self.known.shops[connection_id].orders
        self._at_baseline[connection_id] = {order_id: sight.version for order_id, sight in visible.items()}

    def baseline_ended(self, connection_id: str, opened_at: datetime) -> None:
        """The watch began when its window was opened."""
        self.watching_since[connection_id] = opened_at

    # What is written

    def wrote(self, changes: list[Change], facts: PollFacts) -> None:
        """A transaction was committed."""
        rows = {subject_of(change.after): change.after for change in changes if change.table == ORDERS}
        for subject, row in rows.items():
            self._check_row(subject, row, facts)
        for alert in (change.after for change in changes if change.table == ALERTS):
            if alert["kind"] in DEADLINE_KINDS:
                subject = (alert["connection_id"], alert["order_id"])
                self._check_alert(subject, alert, rows.get(subject), facts)
            if alert["kind"] == "orders.unreadable_values":
                self._check_report(facts.connection_id, json.loads(alert["alert"]))
        for subject, row in rows.items():
            self._note_problem(subject, row)

    def _check_row(self, subject: Subject, row: Row, facts: PollFacts) -> None:
        ship_by, due, deadlines = moment_in(row, "ship_by"), _next(row), self._deadlines(row)
        if ship_by not in self._ship_bys(subject):
            raise Violation(f"{subject} is stored with the ship-by {ship_by}, which was never served")
        if due and due not in deadlines:
            raise Violation(f"{subject}, {row['status']}, has the deadline {due}, not one of {deadlines}")
        is_late = bool(deadlines) and _deadline(row, "passed") == deadlines[-1] and "status_since" in row
        if not deadlines or due or is_late:
            self._gone.discard(subject)
            return
        # Only an order that Trackstar no longer has loses its deadline, or its place in the backlog, until it returns.
        if subject[1] in facts.read_again:
            raise Violation(f"{subject} was read again and has no deadline any more: {row}")
        self._gone.add(subject)

    def _check_alert(self, subject: Subject, alert: Row, row: Row | None, facts: PollFacts) -> None:
        deadline = (moment(json.loads(alert["alert"])["order"]["due_at"]), alert["kind"])
        if row is None or _deadline(row, "passed") != deadline or row.get("deadline_alert_id") != alert["alert_id"]:
            raise Violation(f"{subject} was alerted {deadline} without its row: {row}")
        seen = facts.read_again.get(subject[1])
        if seen is None:
            raise Violation(f"{subject} was alerted {deadline} and not read again")
        is_known = facts.date is not None and seen.version is not None and moment(seen.version) <= facts.date
        calendar = self.calendar(subject[0])
        if is_known and deadline not in deadlines_of(calendar, seen.status, seen.ship_by, moment(row["since"])):
            raise Violation(f"{subject} was alerted {deadline}, though it could be seen as {seen}")
        watermark = self.watermark(facts)
        if watermark is None or deadline[0] > watermark:
            raise Violation(f"{subject} was alerted {deadline} with data up to {watermark}")
        if self._was_past(subject, deadline):
            since = self._watched_from.get(subject[0])
            raise Violation(f"{subject} was alerted {deadline}, which was past when the watch began at {since}")
        if (subject, deadline) in self._alerted:
            raise Violation(f"{subject} was alerted {deadline} twice")
        self._alerted.add((subject, deadline))
        if deadline[1] in PROBLEM_KINDS:
            self._problems[subject] = deadline

    def watermark(self, facts: PollFacts) -> datetime | None:
        """Up to when the data of a poll are complete, at most."""
        return facts.watermark or self._ever_known.get(facts.connection_id) or _two_syncs_before(facts.date)

    def is_gone(self, subject: Subject) -> bool:
        """Whether an order lost its deadline because Trackstar did not show it, and was not written again."""
        return subject in self._gone

    def watch_begins(self, connection_id: str) -> list[datetime]:
        """The earliest and the latest moment at which the watch of a connection may have begun."""
        return [each[connection_id] for each in (self._watched_from, self._begun_by) if connection_id in each]

    def _was_past(self, subject: Subject, deadline: Deadline) -> bool:
        """Whether the deadline was past when the watch began, and nothing allows its alert nevertheless."""
        since = self._watched_from.get(subject[0]) if subject[0] in self.watching_since else None
        if since is None or deadline[0] > since:
            return since is None
        history = self.known.shops[subject[0]].past[subject[1]]
        never_changed = len(self._ship_bys(subject)) == 1 and all(sight.status in OPEN for sight in history)
        is_old = self._lies_since_baseline(subject) and never_changed and not self.is_capped
        return deadline[1] in PROBLEM_KINDS or is_old

    def _lies_since_baseline(self, subject: Subject) -> bool:
        """Whether the order did not change since the baseline was asked for, so that the baseline showed it."""
        before, seen = self._at_baseline[subject[0]], self.known.shops[subject[0]].orders.get(subject[1])
        return seen is not None and subject[1] in before and before[subject[1]] == seen.version

    def _ship_bys(self, subject: Subject) -> set[datetime | None]:
        """Every ship-by of the order that was visible or served."""
        visible = {sight.ship_by for sight in self.known.shops[subject[0]].past[subject[1]]}
        return visible | self._served_ship_bys[subject]

    # Values that cannot be read

    def _check_report(self, connection_id: str, alert: dict[str, Any]) -> None:
        """The operators are told once of each field, and only of one that was served."""
        names = set(_REPORTED.findall(alert["detail"]))
        expect("who is told of unreadable values", alert["recipients"], "operators")
        if not names or names - self._unreadable[connection_id] or names & self._reported[connection_id]:
            served, before = self._unreadable[connection_id], self._reported[connection_id]
            raise Violation(f"{connection_id}: {names} reported as unreadable, served {served}, reported {before}")
        self._reported[connection_id] |= names

    # Resolved deadlines

    def ends_problem(self, row: Row) -> bool:
        """Whether a row ends an alerted problem of its order: that it is late, or stuck."""
        subject = subject_of(row)
        problem, is_watched = self._problems.get(subject), self.calendar(subject[0]) is not None
        return problem is not None and is_watched and problem not in self._deadlines(row)

    def _note_problem(self, subject: Subject, row: Row) -> None:
        """Track alerted problems; a deadline that returns after its end is not alerted twice, but ends again."""
        passed = _deadline(row, "passed")
        if passed and passed[1] in PROBLEM_KINDS and "deadline_alert_id" in row:
            self._problems[subject] = passed
        if self.ends_problem(row):
            del self._problems[subject]

    # The end of a poll

    def finished(self, facts: PollFacts) -> None:
        """A poll ended normally.

        Every value that cannot be read is reported, and every deadline that passed by the reported last sync end.
        """
        silent = facts.unreadable - self._reported[facts.connection_id]
        if silent and not facts.is_spoilt:
            raise Violation(f"{facts.connection_id}: {silent} cannot be read, which is not reported")
        since = self.watching_since.get(facts.connection_id)
        if facts.is_spoilt or facts.watermark is None or since is None or self.is_capped:
            return
        for order_id, seen in self.known.shops[facts.connection_id].orders.items():
            subject = (facts.connection_id, order_id)
            row = self.known.order(subject)
            if seen.since > facts.began or row is None or not seen.is_shown_by(row) or subject in self._gone:
                continue
            # A restocked order is read again after the deadlines: what that shows is due at the next poll.
            if facts.missed(order_id, seen) or order_id in facts.look.covered:
                continue
            passed = [each for each in self._deadlines(row) if since < each[0] <= facts.watermark]
            if passed and (subject, passed[-1]) not in self._alerted:
                until = facts.watermark
                raise Violation(f"{subject} passed {passed[-1]} and was not alerted; data until {until}, row {row}")

    def _deadlines(self, row: Row) -> list[Deadline]:
        calendar = self.calendar(subject_of(row)[0])
        return deadlines_of(calendar, row["status"], moment_in(row, "ship_by"), moment(row["since"]))


def _two_syncs_before(moment: datetime | None) -> datetime | None:
    """The watermark of a shop whose sync end was never reported and is now invalid."""
    return moment - 2 * timedelta(hours=1) if moment else None


def _next(row: Row) -> Deadline | None:
    """The next deadline: `due_at` may be that of a reminder, which is earlier."""
    at = row.get("deadline_at", row.get("due_at"))
    return (moment(at), row["due_kind"]) if at and "due_kind" in row else None


def _deadline(row: Row, name: str) -> Deadline | None:
    return (moment(row[f"{name}_at"]), row[f"{name}_kind"]) if f"{name}_at" in row else None


def _connection_in(answer: Any) -> dict[str, Any]:
    """The connection, in any of the documented envelopes."""
    record = answer.get("data", answer) if isinstance(answer, dict) else answer
    found: dict[str, Any] = record[0] if isinstance(record, list) else record
    return found
