"""Checks that an older-dated copy of an order that three polls in a row show is believed (rule 3).

`Oracle` checks the other half: that nothing else lets a stored version go back.

A poll counts if it ended normally. The copies that it was served must all have one status and one ship-by, not both
those of the row, and be dated before the row by the same clock. Excused: whatever a poll showed that did not end
normally, since it is unknown whether it was written; and a poll that was requested before one that showed the order
earlier, since a reading that was slow is no later reading.
"""

from dataclasses import dataclass, field
from datetime import datetime

from tests.simulation.deadline_oracle import Copy, PollFacts
from tests.simulation.facts import Subject, Violation, moment, moment_in
from tests.simulation.visible import Known

READINGS = 3

type State = tuple[str | None, datetime | None]
"""A status and a ship-by."""


@dataclass(frozen=True)
class _Streak:
    """Polls in a row that showed an older copy.

    Attributes:
        state: Of the copy.
        version: Of the row.
        readings: Number of polls, each requested after the one before.
    """

    state: State
    version: str
    readings: int


@dataclass
class OlderCopyOracle:
    """Counts the polls that show an older copy, and checks that the third one believes it.

    Args:
        known: Our tables, and what is visible.
    """

    known: Known
    _streaks: dict[Subject, _Streak] = field(default_factory=dict)
    _latest: dict[Subject, int] = field(default_factory=dict)  # when the latest poll that showed an order was requested

    def ended(self, facts: PollFacts) -> None:
        """A poll ended."""
        for order_id, copies in facts.shown.items():
            subject = (facts.connection_id, order_id)
            before, latest = self._streaks.pop(subject, None), self._latest.get(subject, -1)
            self._latest[subject] = max(facts.requested_at, latest)
            state, row = self._older_state(subject, copies), self.known.order(subject)
            if state is None or row is None or not facts.is_finished or facts.is_spoilt:
                continue
            readings = before.readings if before and (before.state, before.version) == (state, row["version"]) else 0
            streak = _Streak(state, row["version"], readings + (facts.requested_at > latest))
            if streak.readings >= READINGS:
                raise Violation(f"{subject}: {READINGS} polls in a row showed an older copy as {state}, not believed")
            self._streaks[subject] = streak

    def _older_state(self, subject: Subject, copies: set[Copy]) -> State | None:
        """What the copies of an order show where it is not what its row shows, and they are older by the same clock."""
        row = self.known.order(subject)
        [state, *others] = {(copy.status, copy.ship_by) for copy in copies}
        if row is None or others or state[0] is None or state == (row["status"], moment_in(row, "ship_by")):
            return None
        is_older = all(
            copy.version and copy.clock == row["version_clock"] and moment(copy.version) < moment(row["version"])
            for copy in copies
        )
        return state if is_older else None
