"""Checks which orders a completed window missed (rules 4, 5 and 6), and whether that is excused."""

from dataclasses import dataclass, field
from datetime import datetime, timedelta

from tests.simulation.facts import Subject, Violation, moment
from tests.simulation.visible import BEFORE_ALL, Known, Reading, VisibleOrder, VisibleShop

MAX_ATTEMPTS = 3
LEAST_OVERLAP = timedelta(minutes=10)


@dataclass
class WindowOracle:
    """Checks windows at their end.

    Args:
        known: Our tables, and what is visible.
        baseline_days: The cap of the baseline.
    """

    known: Known
    baseline_days: int
    _jumps_before: dict[str, int] = field(default_factory=dict)
    _excused: dict[Subject, str | None] = field(default_factory=dict)

    def ended(self, connection_id: str, reading: Reading) -> None:
        """A window was read to its end: every order that it had to show is stored as it is visible."""
        shop, read = self.known.shops[connection_id], len(reading.order_ids)
        is_short = read < reading.expected_count
        if is_short and reading.attempts < MAX_ATTEMPTS:
            raise Violation(f"{connection_id}: {read} of {reading.expected_count} orders read, not read again")
        jumped = reading.jumps - self._jumps_before.get(connection_id, 0)
        has_drifted = shop.changes > reading.began and (is_short or _has_exchange(shop, reading))
        is_excusing = has_drifted or (jumped > 1 and not reading.is_sweep)
        self._jumps_before[connection_id] = reading.jumps
        for order_id, sight in shop.orders.items():
            subject = (connection_id, order_id)
            self._excuse_if_undated(subject, sight, reading)
            if not reading.had_to_show(sight) or self._is_excused(subject, sight, reading):
                continue
            row = self.known.order(subject)
            if row is not None and row["status"] == sight.status:
                continue
            if not is_excusing:
                raise Violation(f"a window ended: {subject} is visible as {sight}, stored as {row}")
            self._excused[subject] = sight.version

    def _excuse_if_undated(self, subject: Subject, sight: VisibleOrder, reading: Reading) -> None:
        """Excuse an order without the date that the window is on, or with one in the future."""
        date = reading.date_of(sight)
        is_dated = date and self.known.shops[subject[0]].has_passed(date)
        if reading.until and not is_dated and self._lies_outside(subject[0], sight, reading):
            self._excused[subject] = sight.version

    def _is_excused(self, subject: Subject, sight: VisibleOrder, reading: Reading) -> bool:
        if not sight.is_comparable:
            return True
        if reading.is_sweep:
            return sight.status not in reading.statuses
        if self._excused.get(subject) == sight.version:
            return True
        if self.baseline_days and self.known.order(subject) is None:
            return True
        if reading.until and self._lies_outside(subject[0], sight, reading):
            return True
        return _is_for_the_next(sight, reading) or (reading.is_by_shop_date and self._was_late(subject[0], sight))

    def _lies_outside(self, connection_id: str, sight: VisibleOrder, reading: Reading) -> bool:
        """Whether no window on this date can show it: it lies after the end, or has no such date where others have."""
        date = reading.date_of(sight)
        if not date:
            return reading.is_by_shop_date or self.known.shops[connection_id].has_shown_vendor_dates
        return date > reading.until

    def _was_late(self, connection_id: str, sight: VisibleOrder) -> bool:
        """Whether it became visible later than the fallback's overlap reaches."""
        frequency = timedelta(seconds=self.known.shops[connection_id].said_frequency)
        return sight.seen_at - moment(sight.shop_date or "") > max(LEAST_OVERLAP, 2 * frequency)

    def may_be_missed(self, subject: Subject, sight: VisibleOrder) -> bool:
        """Whether an order in an unwatched status may differ after the calm."""
        is_late = self._was_late(subject[0], sight)
        return is_late or self._excused.get(subject) == sight.version or self.baseline_days > 0


def _has_exchange(shop: VisibleShop, reading: Reading) -> bool:
    """Whether orders can have left and entered the list while it was read, so that its length proves nothing."""
    if shop.deleted > reading.began:
        return True
    during = [sight for sight in shop.ever_seen if sight.since > reading.began]
    if reading.is_sweep or not reading.until:
        return bool(during)
    return any(reading.date_of(sight) <= reading.until for sight in during)


def _is_for_the_next(sight: VisibleOrder, reading: Reading) -> bool:
    """Whether it changed after the baseline was opened: the next window has to show it."""
    is_baseline = reading.opened_at is not None and not reading.until
    return is_baseline and datetime.fromisoformat(sight.version or "") > (reading.opened_at or BEFORE_ALL)
