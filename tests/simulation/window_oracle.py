"""Checks which orders a completed window missed (rules 4, 5 and 6), and whether that is excused."""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from tests.simulation.cloud import ORDERS, Row
from tests.simulation.facts import Subject, Violation
from tests.simulation.visible import BEFORE_ALL, Reading, VisibleOrder, VisibleShop

MAX_ATTEMPTS = 3
LEAST_OVERLAP = timedelta(minutes=10)


@dataclass
class WindowOracle:
    """Checks windows at their end.

    Args:
        row: A row of our tables.
        baseline_days: The cap of the baseline.
        copies: What is visible, by connection.
    """

    row: Callable[..., Row | None]
    baseline_days: int
    copies: dict[str, VisibleShop]
    _jumps_before: dict[str, int] = field(default_factory=dict)
    _excused: dict[Subject, str | None] = field(default_factory=dict)

    def ended(self, connection_id: str, reading: Reading) -> None:
        """A window was read to its end: every order that it had to show is stored as it is visible."""
        copy = self.copies[connection_id]
        is_short = len(reading.order_ids) < reading.expected_count
        if is_short and reading.attempts < MAX_ATTEMPTS:
            raise Violation(
                f"{connection_id}: {len(reading.order_ids)} of {reading.expected_count} orders read, not read again"
            )
        jumped = reading.jumps - self._jumps_before.get(connection_id, 0)
        has_drifted = copy.changes > reading.began and (is_short or self._has_exchange(copy, reading))
        is_excusing = has_drifted or (jumped > 1 and not reading.is_sweep)
        self._jumps_before[connection_id] = reading.jumps
        self._excuse_the_undated(connection_id, reading)
        for order_id in self._unlike(connection_id, reading):
            subject, sight = (connection_id, order_id), copy.orders[order_id]
            if is_excusing:
                self._excused[subject] = sight.version
            else:
                row = self.row(ORDERS, f"{connection_id}#{order_id}")
                raise Violation(f"a window ended: {subject} is visible as {sight}, stored as {row}")

    def _excuse_the_undated(self, connection_id: str, reading: Reading) -> None:
        """Excuse orders without the date that the window is on, or with one in the future."""
        copy = self.copies[connection_id]
        for order_id, sight in copy.orders.items():
            date = reading.date_of(sight)
            is_dated = date and copy.has_passed(date)
            if reading.until and not is_dated and self._lies_outside(connection_id, sight, reading):
                self._excused[connection_id, order_id] = sight.version

    def _has_exchange(self, copy: VisibleShop, reading: Reading) -> bool:
        """Whether orders can have left and entered the list while it was read, so that its length proves nothing."""
        if copy.deleted > reading.began:
            return True
        during = [sight for sight in copy.past if sight.since > reading.began]
        if reading.is_sweep or not reading.until:
            return bool(during)
        return any(reading.date_of(sight) <= reading.until for sight in during)

    def _unlike(self, connection_id: str, reading: Reading) -> list[str]:
        """The orders that the window had to show, whose rows differ from what is visible."""
        copy = self.copies[connection_id]
        return [
            order_id
            for order_id, sight in copy.orders.items()
            if reading.had_to_show(sight)
            and not self._is_excused((connection_id, order_id), sight, reading)
            and not self._is_stored(connection_id, order_id, sight)
        ]

    def _is_stored(self, connection_id: str, order_id: str, sight: VisibleOrder) -> bool:
        row = self.row(ORDERS, f"{connection_id}#{order_id}")
        return row is not None and row["status"] == sight.status

    def _is_excused(self, subject: Subject, sight: VisibleOrder, reading: Reading) -> bool:
        if sight.status is None or not sight.version or sight.version < sight.newest:
            return True
        if reading.is_sweep:
            return sight.status not in reading.statuses
        if self._excused.get(subject) == sight.version:
            return True
        if self.baseline_days and self.row(ORDERS, "#".join(subject)) is None:
            return True
        if reading.until and self._lies_outside(subject[0], sight, reading):
            return True
        return self._is_for_the_next(sight, reading) or (reading.is_by_shop_date and self.was_late(subject[0], sight))

    @staticmethod
    def _is_for_the_next(sight: VisibleOrder, reading: Reading) -> bool:
        """Whether it changed after the baseline was opened: the next window has to show it."""
        is_baseline = reading.opened_at is not None and not reading.until
        return is_baseline and datetime.fromisoformat(sight.version or "") > (reading.opened_at or BEFORE_ALL)

    def _lies_outside(self, connection_id: str, sight: VisibleOrder, reading: Reading) -> bool:
        """Whether no window on this date can show it: it lies after the end, or has no such date where others have."""
        date = reading.date_of(sight)
        if not date:
            return reading.is_by_shop_date or self.copies[connection_id].has_shown_vendor_dates
        return date > (reading.until or "")

    def was_late(self, connection_id: str, sight: VisibleOrder) -> bool:
        """Whether it became visible later than the fallback's overlap reaches."""
        frequency = timedelta(seconds=self.copies[connection_id].said_frequency)
        changed_at = datetime.fromisoformat(sight.shop_date or "").astimezone(UTC)
        return sight.seen_at - changed_at > max(LEAST_OVERLAP, 2 * frequency)

    def may_be_missed(self, connection_id: str, order_id: str, sight: VisibleOrder) -> bool:
        """Whether an order in an unwatched status may differ after the calm."""
        is_late = self.was_late(connection_id, sight)
        return is_late or self._excused.get((connection_id, order_id)) == sight.version or self.baseline_days > 0
