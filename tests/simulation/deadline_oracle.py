"""What must hold of deadlines (rule 19), judged by a calendar of its own that is walked minute by minute.

Nothing of the product is asked. The judge knows what can be seen of every order, what the API told each poll of the
shop's last sync, and which orders each poll asked for by their ids. It judges

- **every alert about a deadline**: the order was read anew by this poll and was open, with a ship-by (or a status)
  whose deadline, by the calendar, is the one told; that deadline lies within what the API told of the shop's last
  sync; it was not past when the watch began; it was never told before; and its row is written with it, in the same
  transaction;
- **every row**: no order that is not open has a deadline ahead, and a deadline ahead is one of the calendar's;
- **every poll that came to its end**: each open order that did not change meanwhile, and whose deadline had passed by
  the last sync that the API told this poll of, was told.

Excused is an order whose row is not what can be seen: whether it should be is the other judge's business. So is one
whose version went back with the vendor's clock (rule 3) or lies in its future, where nothing tells which of two records
is the newer, and every first sight where the baseline is capped.
"""

import json
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from functools import cache
from typing import Any
from zoneinfo import ZoneInfo

from tests.simulation.cloud import ALERTS, ORDERS, Change, Row
from tests.simulation.deadline_plan import Calendar

OPEN = frozenset({"open", "confirmed", "processing", "partially_fulfilled", "backordered", "exception"})
KINDS = frozenset({"order.at_risk", "order.late", "order.stuck"})
PROBLEM_KINDS = frozenset({"order.late", "order.stuck"})
DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
MINUTE = timedelta(minutes=1)
MOST_MINUTES = 40 * 24 * 60

type Subject = tuple[str, str]
type Deadline = tuple[datetime, str]
"""Moment and kind."""


# The calendar, minute by minute


@cache
def day_is_over(day: date, zone: str) -> datetime:
    """The first minute at which the date in the zone lies behind the day."""
    at = datetime(day.year, day.month, day.day, tzinfo=UTC) - timedelta(hours=16)
    for _ in range(60 * 60):
        if at.astimezone(ZoneInfo(zone)).date() > day:
            return at
        at += MINUTE
    raise AssertionError(f"{day} never ends in {zone}")


@cache
def business_days_are_over(since: datetime, calendar: Calendar) -> datetime:
    """The first minute at which as many whole business days have passed as make an order stuck."""
    zone = ZoneInfo(calendar.zone)
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
    if ship_by is None or ship_by.year < 2000:
        return [(business_days_are_over(since, calendar), "order.stuck")] if calendar.stuck_days else []
    is_day = (ship_by.hour, ship_by.minute, ship_by.second) == (0, 0, 0)
    late = day_is_over(ship_by.date(), calendar.zone) if is_day else ship_by
    warning = late - timedelta(hours=calendar.late_warning_hours)
    return [*([(warning, "order.at_risk")] if calendar.late_warning_hours else []), (late, "order.late")]


@dataclass(frozen=True)
class Seen:
    """What can be seen of an order.

    Attributes:
        status: None where the record cannot be watched.
        ship_by: As the shop writes it.
        version: Trackstar's date of change, else the shop's.
        changed: The shop's count of changes when it became so.
    """

    status: str | None
    ship_by: datetime | None
    version: str | None
    changed: int


@dataclass
class Looked:
    """What one poll was told.

    Attributes:
        connection_id: Of which shop.
        date: The vendor's clock in its latest answer.
        watermark: Up to when the data reach, by the API's own words; None: it was not told.
        began: The shop's count of changes when it was told.
        read_anew: Orders that were asked for by their ids, as they could be seen then.
        is_spoilt: Whether it lost a transaction, was refused, or did not come to its end.
    """

    connection_id: str = ""
    date: datetime | None = None
    watermark: datetime | None = None
    began: int = 0
    read_anew: dict[str, Seen] = field(default_factory=dict)
    is_spoilt: bool = False


@dataclass
class DeadlineOracle:
    """Judges deadlines.

    Args:
        calendar: A shop's.
        row: A row of our tables.
        notify_recovered: Whether it is told that an order is late no longer.
        is_capped: Whether the baseline is: what is seen first may be old.
        violation: What is raised.

    Attributes:
        alerted: Every deadline that was told.
        deadline_change: How many orders were found to be told when they had to be.
    """

    calendar: Callable[[str], Calendar | None]
    row: Callable[..., Row | None]
    notify_recovered: bool
    is_capped: bool
    violation: type[BaseException]
    copies: defaultdict[str, dict[str, Seen]] = field(default_factory=lambda: defaultdict(dict))
    changes: Counter[str] = field(default_factory=Counter)
    alerted: dict[tuple[str, str, Deadline], str] = field(default_factory=dict)
    deadline_change: Counter[str] = field(default_factory=Counter)
    watching_since: dict[str, datetime] = field(default_factory=dict)
    _ship_bys: defaultdict[Subject, set[datetime | None]] = field(default_factory=lambda: defaultdict(set))
    _watched_from: dict[str, datetime] = field(default_factory=dict)
    _at_baseline: dict[str, dict[str, str | None]] = field(default_factory=dict)
    _gone: set[Subject] = field(default_factory=set)
    _ever_closed: set[Subject] = field(default_factory=set)
    _troubles: dict[Subject, Deadline] = field(default_factory=dict)
    _ever_known: dict[str, datetime] = field(default_factory=dict)

    # What can be seen

    def show(self, connection_id: str, records: Iterable[dict[str, Any]]) -> None:
        """Take what can be seen after a sync."""
        shown = {str(record.get("order_number")): record for record in records}
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

    # What a poll is told

    def served(self, connection_id: str, records: Iterable[dict[str, Any]]) -> None:
        """Records were shown to a poll: a copy that another one supersedes may hold a ship-by of its own."""
        for record in records:
            ship_by = _date_or_none(record.get("latest_ship_date"))
            self._ship_bys[connection_id, str(record.get("order_number"))].add(ship_by)

    def connection_alerts_of(self, looked: Looked, answer: Any) -> None:
        """`GET /connections/{id}` was answered."""
        record = _connection_in(answer)
        schedule = next(each for each in record["sync_schedules"] if each["function_name"] == "get_orders")
        now = looked.date or datetime.max.replace(tzinfo=UTC)
        end = schedule["last_crawl_end"]
        if end:
            self._ever_known[looked.connection_id] = max(
                _moment(end), self._ever_known.get(looked.connection_id, _moment(end))
            )
            looked.watermark = min(_moment(end), now)
        elif not (record["errors"] or looked.connection_id in self._ever_known):
            looked.watermark = now - 2 * timedelta(seconds=schedule["sync_frequency"])
        looked.began = self.changes[looked.connection_id]
        if (record.get("historical_sync_completed") or {}).get("get_orders") is not False:
            self.may_begin(looked)

    def may_begin(self, looked: Looked) -> None:
        """From here on a poll may open the window with which the watch begins, and come to no page of it.

        Where the vendor's clock is set back, what lay behind it lies ahead of it again.
        """
        if looked.date:
            key = looked.connection_id
            self._watched_from[key] = min(looked.date, self._watched_from.get(key, looked.date))

    def read_anew(self, looked: Looked, records: Iterable[dict[str, Any]]) -> None:
        """A page of orders that were asked for by their ids was answered; later pages show other orders."""
        copy = self.copies[looked.connection_id]
        shown = {str(record.get("order_number")) for record in records}
        looked.read_anew |= {order_id: copy[order_id] for order_id in shown if order_id in copy}

    def baseline_asked(self, connection_id: str) -> None:
        """The first page of a baseline is asked for."""
        copy = self.copies[connection_id]
        self._at_baseline[connection_id] = {order_id: seen.version for order_id, seen in copy.items()}

    def baseline_ended(self, connection_id: str, opened_at: datetime) -> None:
        """The watch began when its window was opened."""
        self.watching_since[connection_id] = opened_at

    # What is written

    def wrote(self, changes: list[Change], looked: Looked) -> None:
        """A transaction was committed."""
        rows = {change.after["order_key"]: change.after for change in changes if change.table == ORDERS}
        for row in rows.values():
            self._judge_row(row, looked)
        for alert in (change.after for change in changes if change.table == ALERTS):
            if alert["kind"] in KINDS:
                key = f"{alert['connection_id']}#{alert['order_id']}"
                self._judge_alert(alert, rows.get(key), looked)
        for row in rows.values():
            self._settle(_subject(row), row)

    def _judge_row(self, row: Row, looked: Looked) -> None:
        subject, due = _subject(row), _deadline(row, "due")
        self._judge_end(subject, row, looked)
        if _ship_by(row) not in self._ship_bys[subject]:
            raise self.violation(f"{subject} is stored with the ship-by {_ship_by(row)}, which was never served")
        if due and due not in self._deadlines(row):
            raise self.violation(f"{subject}, {row['status']}, waits for {due}, not for {self._deadlines(row)}")

    def _judge_end(self, subject: Subject, row: Row, looked: Looked) -> None:
        """Only an order that Trackstar does not have loses its deadline: until it is seen again, it cannot be late."""
        deadlines = self._deadlines(row)
        if not deadlines or "due_at" in row or _deadline(row, "passed") == deadlines[-1]:
            self._gone.discard(subject)
            return
        if subject[1] in looked.read_anew:
            raise self.violation(f"{subject} was read anew and is due no longer: {row}")
        self._gone.add(subject)

    def _judge_alert(self, alert: Row, row: Row | None, looked: Looked) -> None:
        subject = (alert["connection_id"], alert["order_id"])
        deadline = (_moment(json.loads(alert["alert"])["order"]["due_at"]), alert["kind"])
        if row is None or _deadline(row, "passed") != deadline or row.get("deadline_alert_id") != alert["alert_id"]:
            raise self.violation(f"{subject} was told {deadline} without its row: {row}")
        seen = looked.read_anew.get(subject[1])
        if seen is None:
            raise self.violation(f"{subject} was told {deadline} and not read anew")
        is_known = looked.date is not None and seen.version is not None and _moment(seen.version) <= looked.date
        if is_known and deadline not in deadlines_of(self.calendar(subject[0]), seen.status, seen.ship_by, _since(row)):
            raise self.violation(f"{subject} was told {deadline}, though it could be seen as {seen}")
        watermark = looked.watermark or self._ever_known.get(subject[0]) or _two_syncs_before(looked.date)
        if watermark is None or deadline[0] > watermark:
            raise self.violation(f"{subject} was told {deadline} by data that end at {watermark}")
        self._judge_silence(subject, deadline)
        if (*subject, deadline) in self.alerted:
            raise self.violation(f"{subject} was told {deadline} twice")
        self.alerted[*subject, deadline] = alert["alert_id"]
        if deadline[1] in PROBLEM_KINDS:
            self._troubles[subject] = deadline

    def _judge_silence(self, subject: Subject, deadline: Deadline) -> None:
        since = self._watched_from.get(subject[0]) if subject[0] in self.watching_since else None
        if since and deadline[0] > since:
            return
        never_changed = len(self._ship_bys[subject]) == 1 and subject not in self._ever_closed
        is_old = self._lies_since_baseline(subject) and never_changed and not self.is_capped
        if since is None or deadline[1] in PROBLEM_KINDS or is_old:
            raise self.violation(f"{subject} was told {deadline}, which was past when the watch began at {since}")

    def _lies_since_baseline(self, subject: Subject) -> bool:
        """Whether nothing of the order changed since the baseline was asked for: it cannot have slid past it."""
        before, seen = self._at_baseline[subject[0]], self.copies[subject[0]].get(subject[1])
        return seen is not None and subject[1] in before and before[subject[1]] == seen.version

    # What is over

    def ends_trouble(self, row: Row) -> bool:
        """Whether a row ends what was told of its order: that it is late, or stuck."""
        trouble = self._troubles.get(_subject(row))
        return (
            trouble is not None and trouble not in self._deadlines(row) and self.calendar(_subject(row)[0]) is not None
        )

    def _settle(self, subject: Subject, row: Row) -> None:
        """What was told and is over; a deadline that comes back after its end is not told twice, but ends again."""
        passed = _deadline(row, "passed")
        if passed and passed[1] in PROBLEM_KINDS and "deadline_alert_id" in row:
            self._troubles[subject] = passed
        if self.ends_trouble(row):
            del self._troubles[subject]

    # The end of a poll

    def finished(self, looked: Looked) -> None:
        """A poll came to its end: whatever had passed by what it was told of the shop was told."""
        since = self.watching_since.get(looked.connection_id)
        if looked.is_spoilt or looked.watermark is None or since is None or self.is_capped:
            return
        for order_id, seen in self.copies[looked.connection_id].items():
            row = self.row(ORDERS, f"{looked.connection_id}#{order_id}")
            is_gone = (looked.connection_id, order_id) in self._gone
            if seen.changed <= looked.began and row and shows(row, seen) and not is_gone:
                self._judge_order((looked.connection_id, order_id), row, looked.watermark, since)

    def _judge_order(self, subject: Subject, row: Row, watermark: datetime, since: datetime) -> None:
        passed = [each for each in self._deadlines(row) if since < each[0] <= watermark]
        if not passed:
            return
        self.deadline_change[passed[-1][1]] += 1
        if (*subject, passed[-1]) not in self.alerted:
            raise self.violation(f"{subject} passed {passed[-1]} and was not told; data until {watermark}, row {row}")

    def _deadlines(self, row: Row) -> list[Deadline]:
        return deadlines_of(self.calendar(_subject(row)[0]), row["status"], _ship_by(row), _since(row))


def _two_syncs_before(moment: datetime | None) -> datetime | None:
    """What is known of a shop of which the API never said anything, and its answer now makes no sense."""
    return moment - 2 * timedelta(hours=1) if moment else None


def shows(row: Row, seen: Seen) -> bool:
    """Whether a row is what can be seen of its order."""
    if seen.status is None or seen.version is None or (row["status"], _ship_by(row)) != (seen.status, seen.ship_by):
        return False
    return _moment(seen.version) >= _moment(row["version"])


def _seen(record: dict[str, Any], changed: int) -> Seen:
    version = record.get("trackstar_updated_date") or record.get("updated_date")
    fields = [record.get(name) for name in ("id", "status")]
    can_be_watched = all(isinstance(each, str | int) and each != "" for each in fields)
    return Seen(
        status=str(fields[1]) if can_be_watched else None,
        ship_by=_date_or_none(record.get("latest_ship_date")),
        version=str(version) if version else None,
        changed=changed,
    )


def _date_or_none(value: Any) -> datetime | None:
    try:
        return _moment(value) if isinstance(value, str) else None
    except ValueError:
        return None


def _moment(text: str) -> datetime:
    return datetime.fromisoformat(text).astimezone(UTC)


def _subject(row: Row) -> Subject:
    connection_id, _, order_id = row["order_key"].partition("#")
    return connection_id, order_id


def _deadline(row: Row, name: str) -> Deadline | None:
    return (_moment(row[f"{name}_at"]), row[f"{name}_kind"]) if f"{name}_at" in row else None


def _ship_by(row: Row) -> datetime | None:
    return _moment(row["ship_by"]) if "ship_by" in row else None


def _since(row: Row) -> datetime:
    return _moment(row["since"])


def _connection_in(answer: Any) -> dict[str, Any]:
    """In whichever of the documented envelopes."""
    record = answer.get("data", answer) if isinstance(answer, dict) else answer
    found: dict[str, Any] = record[0] if isinstance(record, list) else record
    return found
