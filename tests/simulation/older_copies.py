"""Checks that an older-dated copy of an order that three polls in a row show is believed (rule 3).

`Oracle` checks the other half: that nothing else lets a stored version go back.

A poll counts if it ended normally. The copies that it was served must all have one status, another one than the row,
and be dated before the row by the same clock. Excused: whatever a poll showed that did not end normally, since it is
unknown whether it was written.
"""

from dataclasses import dataclass, field
from datetime import datetime

from tests.simulation.deadline_oracle import Copy, PollFacts
from tests.simulation.facts import Subject, Violation, moment
from tests.simulation.visible import Known

READINGS = 3


@dataclass(frozen=True)
class _Streak:
    """Polls in a row that showed an older copy.

    Attributes:
        status: Of the copy.
        version: Of the row.
        readings: Number of polls.
        latest: When the latest of them was requested.
    """

    status: str
    version: str
    readings: int
    latest: int


@dataclass
class OlderCopyOracle:
    """Counts the polls that show an older copy, and checks that the third one believes it.

    Args:
        known: Our tables, and what is visible.
    """

    known: Known
    _streaks: dict[Subject, _Streak] = field(default_factory=dict)

    def ended(self, facts: PollFacts, *, is_finished: bool) -> None:
        """A poll ended; `is_finished`: normally."""
        for order_id, copies in facts.shown.items():
            subject = (facts.connection_id, order_id)
            streak = self._streaks.pop(subject, None)
            status = self._older_status(subject, copies)
            if status is None or not is_finished or facts.is_spoilt:
                continue
            row_version = (self.known.order(subject) or {})["version"]
            if streak and (streak.status, streak.version) == (status, row_version):
                is_new = facts.requested_at > streak.latest
                latest = max(facts.requested_at, streak.latest)
                streak = _Streak(status, row_version, streak.readings + is_new, latest)
            else:
                streak = _Streak(status, row_version, 1, facts.requested_at)
            if streak.readings >= READINGS:
                raise Violation(f"{subject}: {READINGS} polls in a row showed an older copy as {status}, not believed")
            self._streaks[subject] = streak

    def _older_status(self, subject: Subject, copies: set[Copy]) -> str | None:
        """The status of an order's copies where they differ from its row and are all older by the same clock."""
        row = self.known.order(subject)
        [status, *others] = {status for status, _, _ in copies}
        if row is None or others or status == row["status"]:
            return None
        stored = datetime.fromisoformat(row["version"])
        is_older = all(
            version and clock == row["version_clock"] and moment(version) < stored for _, version, clock in copies
        )
        return status if is_older else None
