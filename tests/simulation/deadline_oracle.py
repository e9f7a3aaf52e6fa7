"""Checks deadlines (rule 19) by a calendar of its own that is walked minute by minute.

It asks nothing of the product. It knows what is visible of every order, the last sync end that the API reported to
each poll, and which orders each poll read again by id. It checks

- **every deadline alert**: this poll read the order again; the order was open, with a ship-by (or a status) whose
  deadline by the calendar is the alerted one; that deadline is not after the last sync end that the API reported; it
  was not past when the watch began; it was never alerted before; and its row is written in the same transaction;
- **every row**: an order that is not open has no deadline ahead, and a deadline ahead is one of the calendar's;
- **every poll that ended normally**: each open order that did not change meanwhile, and whose deadline had passed by
  the reported last sync end, was alerted.

Excused: an order whose row differs from what is visible (the other oracle checks that); one whose version went back
with the vendor's clock (rule 3) or lies in its future, where it is unknown which of two records is newer; and every
first sight where the baseline is capped.
"""

import json
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from tests.simulation.cloud import ALERTS, ORDERS, Change, Row
from tests.simulation.deadline_calendar import DEADLINE_KINDS, OPEN, PROBLEM_KINDS, Deadline, ShownOrder, deadlines_of
from tests.simulation.deadline_plan import Calendar
from tests.simulation.facts import Subject, Violation, key_of, moment, status_of, subject_of, version_of


@dataclass
class PollFacts:
    """What the API reported to one poll.

    Attributes:
        connection_id: Of which shop.
        date: The vendor's clock in its latest answer.
        watermark: The last sync end by the API's report; None: it reported none.
        began: The shop's count of changes at that report.
        read_again: Orders that were asked for by their ids, as they could be seen then.
        is_spoilt: Whether it lost a transaction, was refused, or did not come to its end.
    """

    connection_id: str = ""
    date: datetime | None = None
    watermark: datetime | None = None
    began: int = 0
    read_again: dict[str, ShownOrder] = field(default_factory=dict)
    is_spoilt: bool = False


@dataclass
class DeadlineOracle:
    """Checks deadlines.

    Args:
        calendar: A shop's.
        row: A row of our tables.
        notify_recovered: Whether recoveries are alerted.
        is_capped: Whether the baseline is: what is seen first may be old.

    Attributes:
        alerted: Every deadline that was alerted.
        checked: How many orders were found alerted when they had to be, by kind.
    """

    calendar: Callable[[str], Calendar | None]
    row: Callable[..., Row | None]
    notify_recovered: bool
    is_capped: bool
    copies: defaultdict[str, dict[str, ShownOrder]] = field(default_factory=lambda: defaultdict(dict))
    changes: Counter[str] = field(default_factory=Counter)
    alerted: dict[tuple[str, str, Deadline], str] = field(default_factory=dict)
    checked: Counter[str] = field(default_factory=Counter)
    watching_since: dict[str, datetime] = field(default_factory=dict)
    _ship_bys: defaultdict[Subject, set[datetime | None]] = field(default_factory=lambda: defaultdict(set))
    _watched_from: dict[str, datetime] = field(default_factory=dict)
    _at_baseline: dict[str, dict[str, str | None]] = field(default_factory=dict)
    _gone: set[Subject] = field(default_factory=set)
    _ever_closed: set[Subject] = field(default_factory=set)
    _problems: dict[Subject, Deadline] = field(default_factory=dict)
    _ever_known: dict[str, datetime] = field(default_factory=dict)

    # What can be seen

    def show(self, connection_id: str, records: Iterable[dict[str, Any]]) -> None:
        """Take what is visible after a sync."""
        shown = {key_of(record): record for record in records}
        copy = self.copies[connection_id]
        for key, record in shown.items():
            seen = _seen(record, self.changes[connection_id] + 1)
            known = copy.get(key)
            self._ship_bys[connection_id, key].add(seen.ship_by)
            if seen.status not in OPEN:
                self._ever_closed.add((connection_id, key))
            if known is None or (known.status, known.ship_by, known.version) != (
                seen.status,
                seen.ship_by,
                seen.version,
            ):
                copy[key] = seen
        for key in set(copy) - set(shown):
            del copy[key]
        self.changes[connection_id] += 1

    # What a poll reads

    def served(self, connection_id: str, records: Iterable[dict[str, Any]]) -> None:
        """Records were served to a poll: a superseded copy may have another ship-by."""
        for record in records:
            ship_by = _date_or_none(record.get("latest_ship_date"))
            self._ship_bys[connection_id, key_of(record)].add(ship_by)

    def connection_answered(self, facts: PollFacts, answer: Any) -> None:
        """`GET /connections/{id}` was answered."""
        record = _connection_in(answer)
        schedule = next(each for each in record["sync_schedules"] if each["function_name"] == "get_orders")
        now = facts.date or datetime.max.replace(tzinfo=UTC)
        end = schedule["last_crawl_end"]
        if end:
            self._ever_known[facts.connection_id] = max(
                moment(end), self._ever_known.get(facts.connection_id, moment(end))
            )
            facts.watermark = min(moment(end), now)
        elif not (record["errors"] or facts.connection_id in self._ever_known):
            facts.watermark = now - 2 * timedelta(seconds=schedule["sync_frequency"])
        facts.began = self.changes[facts.connection_id]
        if (record.get("historical_sync_completed") or {}).get("get_orders") is not False:
            self.may_begin(facts)

    def may_begin(self, facts: PollFacts) -> None:
        """From now on a poll may open the window that begins the watch, and die before its first page.

        The earliest moment counts: the vendor's clock may be set back.
        """
        if facts.date:
            key = facts.connection_id
            self._watched_from[key] = min(facts.date, self._watched_from.get(key, facts.date))

    def read_again(self, facts: PollFacts, records: Iterable[dict[str, Any]]) -> None:
        """A page of orders was served by their ids; later pages show other orders."""
        copy = self.copies[facts.connection_id]
        shown = {key_of(record) for record in records}
        facts.read_again |= {order_id: copy[order_id] for order_id in shown if order_id in copy}

    def baseline_asked(self, connection_id: str) -> None:
        """The first page of a baseline is requested."""
        copy = self.copies[connection_id]
        self._at_baseline[connection_id] = {order_id: seen.version for order_id, seen in copy.items()}

    def baseline_ended(self, connection_id: str, opened_at: datetime) -> None:
        """The watch began when its window was opened."""
        self.watching_since[connection_id] = opened_at

    # What is written

    def wrote(self, changes: list[Change], facts: PollFacts) -> None:
        """A transaction was committed."""
        rows = {change.after["order_key"]: change.after for change in changes if change.table == ORDERS}
        for row in rows.values():
            self._check_row(row, facts)
        for alert in (change.after for change in changes if change.table == ALERTS):
            if alert["kind"] in DEADLINE_KINDS:
                key = f"{alert['connection_id']}#{alert['order_id']}"
                self._check_alert(alert, rows.get(key), facts)
        for row in rows.values():
            self._settle(subject_of(row), row)

    def _check_row(self, row: Row, facts: PollFacts) -> None:
        subject, due = subject_of(row), _deadline(row, "due")
        self._check_end(subject, row, facts)
        if _ship_by(row) not in self._ship_bys[subject]:
            raise Violation(f"{subject} is stored with the ship-by {_ship_by(row)}, which was never served")
        if due and due not in self._deadlines(row):
            raise Violation(f"{subject}, {row['status']}, has the deadline {due}, not one of {self._deadlines(row)}")

    def _check_end(self, subject: Subject, row: Row, facts: PollFacts) -> None:
        """Only an order that Trackstar no longer has loses its deadline: until it returns, it cannot be late."""
        deadlines = self._deadlines(row)
        if not deadlines or "due_at" in row or _deadline(row, "passed") == deadlines[-1]:
            self._gone.discard(subject)
            return
        if subject[1] in facts.read_again:
            raise Violation(f"{subject} was read again and has no deadline any more: {row}")
        self._gone.add(subject)

    def _check_alert(self, alert: Row, row: Row | None, facts: PollFacts) -> None:
        subject = (alert["connection_id"], alert["order_id"])
        deadline = (moment(json.loads(alert["alert"])["order"]["due_at"]), alert["kind"])
        if row is None or _deadline(row, "passed") != deadline or row.get("deadline_alert_id") != alert["alert_id"]:
            raise Violation(f"{subject} was alerted {deadline} without its row: {row}")
        seen = facts.read_again.get(subject[1])
        if seen is None:
            raise Violation(f"{subject} was alerted {deadline} and not read again")
        is_known = facts.date is not None and seen.version is not None and moment(seen.version) <= facts.date
        if is_known and deadline not in deadlines_of(self.calendar(subject[0]), seen.status, seen.ship_by, _since(row)):
            raise Violation(f"{subject} was alerted {deadline}, though it could be seen as {seen}")
        watermark = facts.watermark or self._ever_known.get(subject[0]) or _two_syncs_before(facts.date)
        if watermark is None or deadline[0] > watermark:
            raise Violation(f"{subject} was alerted {deadline} with data up to {watermark}")
        self._check_suppressed(subject, deadline)
        if (*subject, deadline) in self.alerted:
            raise Violation(f"{subject} was alerted {deadline} twice")
        self.alerted[*subject, deadline] = alert["alert_id"]
        if deadline[1] in PROBLEM_KINDS:
            self._problems[subject] = deadline

    def _check_suppressed(self, subject: Subject, deadline: Deadline) -> None:
        since = self._watched_from.get(subject[0]) if subject[0] in self.watching_since else None
        if since and deadline[0] > since:
            return
        never_changed = len(self._ship_bys[subject]) == 1 and subject not in self._ever_closed
        is_old = self._lies_since_baseline(subject) and never_changed and not self.is_capped
        if since is None or deadline[1] in PROBLEM_KINDS or is_old:
            raise Violation(f"{subject} was alerted {deadline}, which was past when the watch began at {since}")

    def _lies_since_baseline(self, subject: Subject) -> bool:
        """Whether the order did not change since the baseline was asked for, so that the baseline showed it."""
        before, seen = self._at_baseline[subject[0]], self.copies[subject[0]].get(subject[1])
        return seen is not None and subject[1] in before and before[subject[1]] == seen.version

    # Resolved deadlines

    def ends_problem(self, row: Row) -> bool:
        """Whether a row ends an alerted problem of its order: that it is late, or stuck."""
        problem = self._problems.get(subject_of(row))
        return (
            problem is not None
            and problem not in self._deadlines(row)
            and self.calendar(subject_of(row)[0]) is not None
        )

    def _settle(self, subject: Subject, row: Row) -> None:
        """Track alerted problems; a deadline that returns after its end is not alerted twice, but ends again."""
        passed = _deadline(row, "passed")
        if passed and passed[1] in PROBLEM_KINDS and "deadline_alert_id" in row:
            self._problems[subject] = passed
        if self.ends_problem(row):
            del self._problems[subject]

    # The end of a poll

    def finished(self, facts: PollFacts) -> None:
        """A poll ended normally: every deadline that passed by the reported last sync end was alerted."""
        since = self.watching_since.get(facts.connection_id)
        if facts.is_spoilt or facts.watermark is None or since is None or self.is_capped:
            return
        for order_id, seen in self.copies[facts.connection_id].items():
            row = self.row(ORDERS, f"{facts.connection_id}#{order_id}")
            is_gone = (facts.connection_id, order_id) in self._gone
            if seen.changed <= facts.began and row and shows(row, seen) and not is_gone:
                self._check_order((facts.connection_id, order_id), row, facts.watermark, since)

    def _check_order(self, subject: Subject, row: Row, watermark: datetime, since: datetime) -> None:
        passed = [each for each in self._deadlines(row) if since < each[0] <= watermark]
        if not passed:
            return
        self.checked[passed[-1][1]] += 1
        if (*subject, passed[-1]) not in self.alerted:
            raise Violation(f"{subject} passed {passed[-1]} and was not alerted; data until {watermark}, row {row}")

    def _deadlines(self, row: Row) -> list[Deadline]:
        return deadlines_of(self.calendar(subject_of(row)[0]), row["status"], _ship_by(row), _since(row))


def _two_syncs_before(moment: datetime | None) -> datetime | None:
    """The watermark of a shop whose sync end was never reported and is now invalid."""
    return moment - 2 * timedelta(hours=1) if moment else None


def shows(row: Row, seen: ShownOrder) -> bool:
    """Whether a row equals what is visible of its order."""
    if seen.status is None or seen.version is None or (row["status"], _ship_by(row)) != (seen.status, seen.ship_by):
        return False
    return moment(seen.version) >= moment(row["version"])


def _seen(record: dict[str, Any], changed: int) -> ShownOrder:
    return ShownOrder(
        status=status_of(record),
        ship_by=_date_or_none(record.get("latest_ship_date")),
        version=version_of(record),
        changed=changed,
    )


def _date_or_none(value: Any) -> datetime | None:
    try:
        return moment(value) if isinstance(value, str) else None
    except ValueError:
        return None


def _deadline(row: Row, name: str) -> Deadline | None:
    return (moment(row[f"{name}_at"]), row[f"{name}_kind"]) if f"{name}_at" in row else None


def _ship_by(row: Row) -> datetime | None:
    return moment(row["ship_by"]) if "ship_by" in row else None


def _since(row: Row) -> datetime:
    return moment(row["since"])


def _connection_in(answer: Any) -> dict[str, Any]:
    """The connection, in any of the documented envelopes."""
    record = answer.get("data", answer) if isinstance(answer, dict) else answer
    found: dict[str, Any] = record[0] if isinstance(record, list) else record
    return found
