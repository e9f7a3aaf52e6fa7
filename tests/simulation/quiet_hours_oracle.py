"""Checks which alerts wait for the end of quiet hours, by clocks that are walked minute by minute.

It asks nothing of the product. It checks

- **every alert**: it waits until the end of the shop's quiet hours at the moment when it was written, if it is about an
  order, no alert that is written with it is critical, and it is no change of status after a critical alert;
- **every message**: none of its alerts still had to wait;
- **every run of redrive_alerts in the calm**: it sends all whose quiet hours are over.

That a held alert is sent once is what `Oracle` checks of every alert.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime

from tests.simulation.cloud import ALERTS, ORDERS, Change, Row
from tests.simulation.deadline_calendar import DEADLINE_KINDS
from tests.simulation.facts import Subject, Violation, expect, moment, moment_in, subject_of
from tests.simulation.people_plan import QuietTime
from tests.simulation.visible import Known

CRITICAL_KINDS = frozenset({"order.exception", "order.late"})
SAME_STATUS_KINDS = DEADLINE_KINDS | {"order.restocked", "order.reminder"}


@dataclass
class QuietHoursOracle:
    """Checks quiet hours.

    Args:
        known: Our tables.
        quiet_time: A shop's.
        now: Our clock.
    """

    known: Known
    quiet_time: Callable[[str], QuietTime | None]
    now: Callable[[], datetime]

    def wrote(self, changes: Iterable[Change]) -> None:
        """A transaction was committed."""
        changes = list(changes)
        before = {subject_of(change.after): change.before for change in changes if change.table == ORDERS}
        alerts = [change.after for change in changes if change.table == ALERTS]
        for row in alerts:
            if not row.get("order_id"):
                expect(f"until when {row['kind']} waits", row.get("deliver_after"), None)
                continue
            subject: Subject = (row["connection_id"], row["order_id"])
            kinds = {each["kind"] for each in alerts if (each["connection_id"], each.get("order_id")) == subject}
            written_at = moment(row["created_at"])
            waits = self._waits_until(subject[0], kinds, before.get(subject), written_at)
            expect(f"until when {row['kind']} of {subject} waits, written {written_at}", _end(row), waits)

    def _waits_until(
        self, connection_id: str, kinds: set[str], before: Row | None, written_at: datetime
    ) -> datetime | None:
        quiet = self.quiet_time(connection_id)
        is_after_critical = bool(kinds - SAME_STATUS_KINDS) and _was_critical(before or {})
        if quiet is None or kinds & CRITICAL_KINDS or is_after_critical:
            return None
        return quiet.end_at(written_at)

    def took(self, connection_id: str, alert_ids: Iterable[str]) -> None:
        """SNS accepted a message."""
        for alert_id in alert_ids:
            end = _end(self.known.tables.row(ALERTS, connection_id, alert_id) or {})
            if end and self.now() < end:
                raise Violation(f"{alert_id} is sent in quiet hours: it waits until {end}, and it is {self.now()}")

    def released(self, began: datetime) -> None:
        """In the calm, redrive_alerts ended and left nothing: no alert waits whose quiet hours were over before it."""
        rows = self.known.tables.all_rows(ALERTS)
        if late := [row["alert_id"] for row in rows if row["state"] != "sent" and (end := _end(row)) and end <= began]:
            raise Violation(f"quiet hours are over, and still pending: {late}")


def _end(row: Row) -> datetime | None:
    return moment_in(row, "deliver_after")


def _was_critical(row: Row) -> bool:
    """Whether a critical alert about an order was written that applies to it still."""
    is_exception = row.get("status") == "exception" and "status_alert_id" in row
    return is_exception or (row.get("passed_kind") == "order.late" and "deadline_alert_id" in row)
