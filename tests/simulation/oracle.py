"""Checks the rules from outside: by what the API served, what was committed and what SNS accepted.

It asks nothing of the product. It checks

- **every transaction** (rules 1 to 4 and 8). A written row has a status and a version that the API served for this
  order of this shop; no version goes back; an order whose status changed has its alert in the same transaction, of
  the kind that the change requires; no other alert about an order is written; a first sight by the baseline has no
  alert; a recovery is alerted only after a problem was. A transition that is tried again keeps its alert id.
- **every transaction that ends a window** (rules 4, 5 and 6). The reading served as many distinct orders as
  `total_count`, or was begun three times. Every order that did not change since the reading began has its visible
  status in our table. This compares all orders of the shop, not only those of the window, so the next window at the
  latest finds a cursor that has ever passed an order that was not read.
- **every list that is asked for** (rules 5 and 7). No reading follows pages without a new order for long, no poll
  begins a window more than three times, and none uses the shop's date where Trackstar's was seen and never refused.
- **every message** (rule 2). It is about an alert in the table. The number of its copies is at most one, plus the
  senders that ended between its send and its mark.
- **an unreported change in the calm** (rule 1). A change that no sync time reports is in the table within `MAX_GAP`
  and a tick, whatever was reported before. With right sync times it is there after the next tick.
- **the end**, after the calm. No alert is pending, every alert in the table was delivered, the table shows what is
  visible, and every poll of the calm succeeded.

Excused, each for a named reason: an order that cannot be read (no id or status, or too large); one whose version went
back with the vendor's clock, until it is newer again (rule 3), or lies in the vendor's future; one that moved past us
in three readings of a window, or in exchange for another order that entered the window meanwhile; one without the date
that the window filters on, where others have it; one that was dated between two jumps of the vendor's clock of which no
window saw the first; where the filter is the shop's date (rule 5), one that became visible later than the fallback's
overlap; where the baseline is capped, one older than it. A sweep (rule 6) ends every excuse but the first two for
watched statuses.
"""

import json
from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from tests.simulation.cloud import ALERTS, CONNECTIONS, ORDERS, Change, Row
from tests.simulation.deadline_calendar import DEADLINE_KINDS
from tests.simulation.deadline_oracle import DeadlineOracle, PollFacts
from tests.simulation.facts import Subject, Violation, created_of, date_of, moment, status_of, subject_of, version_of
from tests.simulation.plan import WATCHED
from tests.simulation.reminder_oracle import REMINDER
from tests.simulation.restock_oracle import RESTOCKED
from tests.simulation.visible import Known, Reading
from tests.simulation.window_oracle import MAX_ATTEMPTS, WindowOracle
from tests.support.recording_sns import alert_ids_in

MAX_PAGES_WITHOUT_NEW_ORDERS = 10
"""More than drift can cause here, fewer than a loop of page tokens has."""


@dataclass
class _Showing:
    """The copies of an order that a poll was served: status and version."""

    facts: PollFacts
    copies: set[tuple[str, datetime | None]] = field(default_factory=set)


@dataclass
class Oracle:
    """Checks transactions, readings and messages.

    Args:
        known: Our tables, and what is visible.
        notify_recovered: Whether recoveries are alerted.
        baseline_days: The cap of the baseline.
        deadlines: Checks the alerts of orders that do not move.

    Attributes:
        unmarked: Sends of each alert whose sender ended before the mark.
        jumps: How often the vendor's clock has jumped.
        refusing: Connections that ever refused the filter on Trackstar's date.
    """

    known: Known
    notify_recovered: bool
    baseline_days: int
    deadlines: DeadlineOracle
    unmarked: Counter[str] = field(default_factory=Counter)
    jumps: int = 0
    refusing: set[str] = field(default_factory=set)
    _delivered: Counter[str] = field(default_factory=Counter)
    _readings: dict[str, Reading] = field(default_factory=dict)
    _served: defaultdict[Subject, set[tuple[str, datetime | None]]] = field(default_factory=lambda: defaultdict(set))
    _shown_by: defaultdict[Subject, list["_Showing"]] = field(default_factory=lambda: defaultdict(list))
    _created: defaultdict[Subject, set[str | None]] = field(default_factory=lambda: defaultdict(set))
    _alerted: set[Subject] = field(default_factory=set)
    _ids: dict[tuple[str, ...], str] = field(default_factory=dict)
    _moves: Counter[Subject] = field(default_factory=Counter)
    _dated: set[str] = field(default_factory=set)

    def __post_init__(self) -> None:
        self._windows = WindowOracle(self.known, self.baseline_days)

    # Reading

    def loaded(self, connection_id: str) -> Reading | None:
        """A poll loads the connection's row: the walk that it finds there, unfinished."""
        left = self._readings.get(connection_id)
        return replace(left, order_ids=set(left.order_ids), pages_without_new_orders=0, begins=0) if left else None

    def knows_vendor_dates(self, connection_id: str) -> bool:
        """Whether the row of the connection was written after its orders had shown Trackstar's date."""
        return connection_id in self._dated - self.refusing

    def has_progress(self, connection_id: str) -> bool:
        """Whether the row of the connection has a window that the next poll is to continue."""
        return bool(self.known.connection(connection_id).get("cursor", {}).get("progress"))

    def is_suspected(self, connection_id: str) -> bool:
        """Whether the row of the connection has a refusal that the next poll is to confirm."""
        return "suspected" in self.known.connection(connection_id).get("health", {})

    def asked(
        self,
        connection_id: str,
        query: dict[str, str],
        reading: Reading | None,
        date: datetime | None,
        *,
        knew_dates: bool = False,
    ) -> Reading:
        """A page is requested: a new walk, or the next page of one.

        Args:
            connection_id: Of which shop.
            query: With which filters.
            reading: The walk up to here.
            date: The vendor's clock, as it was answered last.
            knew_dates: Whether the row that the poll loaded knew of Trackstar's dates.
        """
        filters = {name: value for name, value in query.items() if name not in {"limit", "page_token"}}
        if "page_token" in query and reading:
            if reading.filters != filters:
                raise Violation(f"{connection_id}: the next page is asked for with {filters}, not {reading.filters}")
            return reading
        now = self.known.shops[connection_id].changes
        if reading and reading.filters == filters:
            is_again = reading.pages > 0  # without a page, the first one is only asked for once more
            attempts, begins = reading.attempts + is_again, reading.begins + is_again
            if begins > MAX_ATTEMPTS:
                raise Violation(f"{connection_id}: a poll begins a window more than {MAX_ATTEMPTS} times")
            return Reading(filters, reading.opened, now, reading.jumps, reading.opened_at, attempts, begins)
        opened = Reading(filters, now, now, self.jumps, date)
        if self.known.connection(connection_id).get("cursor", {}).get("position") is None:
            self.deadlines.baseline_asked(connection_id)
        if opened.is_by_shop_date and not opened.is_sweep and knew_dates and self.knows_vendor_dates(connection_id):
            raise Violation(f"{connection_id} is read by the shop's date, though its orders have Trackstar's")
        return opened

    def served(self, facts: PollFacts, reading: Reading, page: dict[str, Any]) -> None:
        """A page was served to a poll."""
        known = len(reading.order_ids)
        for record in page["data"]:
            usable = isinstance(record.get("id"), str)
            reading.shows_vendor_dates |= bool(status_of(record) and date_of(record, "trackstar_updated_date"))
            reading.order_ids.add(record["id"] if usable else f"nameless {len(reading.order_ids)}")
        self.showed(facts, page["data"])
        reading.pages += 1
        reading.expected_count = max(reading.expected_count, page["total_count"])
        reading.is_whole = page["next_token"] is None
        reading.pages_without_new_orders = 0 if len(reading.order_ids) > known else reading.pages_without_new_orders + 1
        if (pages := reading.pages_without_new_orders) > MAX_PAGES_WITHOUT_NEW_ORDERS:
            raise Violation(f"{facts.connection_id}: {pages} pages without a new order were followed")

    def showed(self, facts: PollFacts, records: Iterable[dict[str, Any]]) -> None:
        """Orders were served to a poll."""
        for record in records:
            status, version = status_of(record), version_of(record)
            if status:
                shown = datetime.fromisoformat(version) if version else None
                subject = (facts.connection_id, record["id"])
                self._served[subject].add((status, shown))
                self._created[subject].add(created_of(record))
                self._showing(subject, facts).copies.add((status, shown))

    def _showing(self, subject: Subject, facts: PollFacts) -> "_Showing":
        known = next((each for each in self._shown_by[subject] if each.facts is facts), None)
        if known is None:
            known = _Showing(facts)
            self._shown_by[subject].append(known)
        return known

    # Writing

    def tried(self, changes: list[Change]) -> None:
        """A transaction is about to be written; a repeated one has the same alert ids."""
        for row in (change.after for change in changes if change.table == ALERTS):
            if _is_about_status(row) and not _is_resolved(row):
                subject = (row["connection_id"], row["order_id"])
                version = str(datetime.fromisoformat(json.loads(row["alert"])["order"]["updated_at"]))
                transition = (*subject, row["status"], version, str(self._moves[subject]))
                if self._ids.setdefault(transition, row["alert_id"]) != row["alert_id"]:
                    raise Violation(f"the same transition has two alert ids: {transition}")

    def wrote(self, changes: list[Change], reading: Reading | None) -> None:
        """A transaction was committed."""
        alerts = [change.after for change in changes if change.table == ALERTS]
        about = {(row["connection_id"], row["order_id"]): row for row in alerts if _is_about_status(row)}
        states = {change.after["connection_id"]: change for change in changes if change.table == CONNECTIONS}
        for change in changes:
            if change.table == ORDERS:
                self._moved(change, about, states)
        if about:
            raise Violation(f"alerts without a move: {sorted(about)}")
        for connection_id, change in states.items():
            self._progressed(connection_id, change, reading)

    def _moved(self, change: Change, about: dict[Subject, Row], states: dict[str, Change]) -> None:
        subject, before, after = subject_of(change.after), change.before, change.after
        self._check_version(subject, before, after)
        alert = about.pop(subject, None)
        if before is None and self._may_be_old(subject):
            self._note(subject, after["status"], is_alerted=bool(alert))
            return
        expected, found = self._expected(subject, before, after, states), alert["kind"] if alert else None
        if found != expected:
            raise Violation(f"{subject} moved to {after['status']}: alerted {found}, expected {expected}")
        if not before or before["status"] != after["status"]:
            self._note(subject, after["status"], is_alerted=bool(expected))

    def _may_be_old(self, subject: Subject) -> bool:
        """Whether an order that is seen first may be older than the watch, where the baseline is capped (rule 8)."""
        started = self.known.connection(subject[0]).get("cursor", {}).get("watch_started_at")
        dates = [moment(date) for date in self._created[subject] if date]
        return self.baseline_days > 0 and any(not started or date <= moment(started) for date in dates)

    def _check_version(self, subject: Subject, before: Row | None, after: Row) -> None:
        version, served = datetime.fromisoformat(after["version"]), self._served[subject]
        if after["version_clock"] == "observed":  # its date lies in the future, or it has none
            served = {(status, version) for status, _ in served}
        if (after["status"], version) not in served:
            raise Violation(f"{subject} is stored as {after['status']} at {version}, which was never served")
        is_older = before and before["version_clock"] == after["version_clock"] and before["version"] > after["version"]
        if before and is_older and not self._is_shown_by_three_polls(subject, before, after["status"]):
            raise Violation(f"the version of {subject} goes back from {before['version']} to {after['version']}")

    def _is_shown_by_three_polls(self, subject: Subject, before: Row, status: str) -> bool:
        """Whether the last three polls that showed the order all showed an older copy in this status (rule 3).

        One that showed nothing of it does not count if it cannot be a reading: it may have ended before it wrote what
        it read, or it was requested before a poll that was read earlier.
        """
        stored, latest, readings = datetime.fromisoformat(before["version"]), -1, 0
        for poll in self._shown_by[subject]:
            if any(shown == status and version and version < stored for shown, version in poll.copies):
                readings += 1
            elif poll.facts.is_finished and poll.facts.requested_at > latest:
                readings = 0
            latest = max(latest, poll.facts.requested_at)
        return readings >= 3

    def _note(self, subject: Subject, status: str, *, is_alerted: bool) -> None:
        self._moves[subject] += 1
        self._alerted.discard(subject)
        if is_alerted and status in WATCHED:
            self._alerted.add(subject)

    def _expected(self, subject: Subject, before: Row | None, after: Row, states: dict[str, Change]) -> str | None:
        status, ends_problem = after["status"], self.deadlines.ends_problem(after)
        if before and before["status"] == status:
            return "order.recovered" if self.notify_recovered and ends_problem else None
        if status in WATCHED:
            return f"order.{status}" if before or self._is_watching(subject[0], states) else None
        return "order.recovered" if self.notify_recovered and (subject in self._alerted or ends_problem) else None

    def _is_watching(self, connection_id: str, states: dict[str, Change]) -> bool:
        """Whether the baseline was done before this transaction."""
        change = states.get(connection_id)
        state = change.before if change else self.known.connection(connection_id)
        return bool(state and state.get("cursor", {}).get("position"))

    def _progressed(self, connection_id: str, change: Change, reading: Reading | None) -> None:
        before, after = (change.before or {}).get("cursor", {}), change.after.get("cursor", {})
        if before.get("position", "") > after.get("position", ""):
            raise Violation(f"the cursor of {connection_id} goes back")
        progress = after.get("progress")
        moved_on = any(before.get(name) != after.get(name) for name in ("position", "last_read_started_at"))
        if moved_on and not (reading and reading.is_whole):
            raise Violation(f"the cursor of {connection_id} passes a window that was not read to its end")
        if reading:
            self._readings[connection_id] = replace(reading, order_ids=set(reading.order_ids))
            self._dated |= {connection_id} if reading.shows_vendor_dates else set()
        if reading and moved_on and "position" not in before and reading.opened_at:
            self.deadlines.baseline_ended(connection_id, reading.opened_at)
        if reading and reading.is_whole and (moved_on or (reading.is_sweep and not _is_at(progress, reading))):
            self._windows.ended(connection_id, reading)
            self._readings.pop(connection_id, None)
        elif progress is None:
            self._readings.pop(connection_id, None)

    # Sending, and the end

    def took(self, body: dict[str, Any]) -> list[str]:
        """SNS accepted a message; the ids of its alerts."""
        ids = alert_ids_in(body)
        for alert_id in ids:
            self._delivered[alert_id] += 1
            if self.known.tables.row(ALERTS, body["connection_id"], alert_id) is None:
                raise Violation(f"a message about an alert that is not in the table: {alert_id}")
            if self._delivered[alert_id] > 1 + self.unmarked[alert_id]:
                raise Violation(f"{self._delivered[alert_id]} copies of {alert_id}, {self.unmarked[alert_id]} deaths")
        return ids

    def check_alerts(self) -> None:
        """After the calm, every written alert was delivered."""
        rows = self.known.tables.all_rows(ALERTS)
        if pending := sorted(row["alert_id"] for row in rows if row["state"] != "sent"):
            raise Violation(f"still pending: {pending}")
        if undelivered := sorted(row["alert_id"] for row in rows if not self._delivered[row["alert_id"]]):
            raise Violation(f"never delivered: {undelivered}")

    def check_shop(self, connection_id: str) -> None:
        """After the calm, a shop is healthy, read to its end, and its rows show what is visible."""
        state = self.known.connection(connection_id)
        if not state["cursor"].get("position") or state["cursor"].get("progress"):
            raise Violation(f"{connection_id} was not read to its end: {state}")
        if state["health"]["state"] != "healthy":
            raise Violation(f"{connection_id} is not healthy after the calm: {state['health']}")
        for order_id, sight in self.known.shops[connection_id].orders.items():
            subject = (connection_id, order_id)
            if not sight.is_comparable:
                continue
            row = self.known.order(subject)
            must_match = sight.status in WATCHED or not self._windows.may_be_missed(subject, sight)
            if must_match and (row is None or row["status"] != sight.status):
                raise Violation(f"after the calm {subject} is visible as {sight}, stored as {row}")


def _is_about_status(row: Row) -> bool:
    """Whether an alert is about the status of an order."""
    return bool(row.get("order_id")) and row["kind"] not in {*DEADLINE_KINDS, RESTOCKED, REMINDER}


def _is_resolved(row: Row) -> bool:
    """Whether it resolves a deadline while the status stays."""
    return row["kind"] == "order.recovered" and row.get("previous_status") is None


def _is_at(progress: Row | None, reading: Reading) -> bool:
    """Whether the saved progress is of this walk's window."""
    window = progress["window"] if progress else {}
    return set(window.get("statuses", [])) == reading.statuses and bool(window.get("after")) == bool(reading.until)
