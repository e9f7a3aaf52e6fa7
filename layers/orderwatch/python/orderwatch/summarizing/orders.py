"""The orders that a summary tells of, and why each of them is one."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cached_property

from orderwatch.alerts.daily import SummaryOrder
from orderwatch.alerts.kinds import KIND_AT_RISK, KIND_LATE
from orderwatch.alerts.parts import by_urgency
from orderwatch.deadlines.rules import FINAL_STATUSES, OPEN_STATUSES, is_told
from orderwatch.polling.snapshot import Extract
from orderwatch.polling.transitions import StoredOrder

AT_RISK = "at_risk"


@dataclass(frozen=True)
class SummedOrder:
    """An order that waits for a person, or is at risk: its row, and what it says.

    Attributes:
        id: The order.
        row: As the last poll left it.
        watched: The statuses that raise an alert.
    """

    id: str
    row: StoredOrder
    watched: Collection[str]

    @cached_property
    def extract(self) -> Extract:
        """What the row keeps of the record."""
        return Extract.restored(self.row.extract) if self.row.extract else Extract()

    @property
    def waits(self) -> bool:
        """Whether it waits for a person."""
        return self.row.waits

    @property
    def is_late(self) -> bool:
        """Whether it is open and its ship-by has passed."""
        return self._passed == KIND_LATE

    @property
    def is_at_risk(self) -> bool:
        """Whether it is open and has to ship soon; what Trackstar no longer has keeps its warning but no deadline."""
        return self._passed == KIND_AT_RISK and self.row.standing.due is not None

    @property
    def reason(self) -> str:
        """Why it is told of: a watched status, else `late` or `stuck`, else `at_risk`."""
        if self._waits_for_its_status:
            return self.row.status
        return (self._passed or KIND_AT_RISK).removeprefix("order.")

    @property
    def since(self) -> datetime:
        """When it came into what it waits in: its status, or the deadline that passed."""
        passed = self.row.standing.passed
        return self.row.status_since if self._waits_for_its_status or passed is None else passed.at

    def age(self, at: datetime) -> timedelta:
        """How long it has waited by then."""
        return max(at - self.since, timedelta())

    @property
    def urgency(self) -> tuple[bool, tuple[datetime, object], str]:
        """A sort key: what waits before what is merely at risk, then by ship-by and value."""
        ship_by = self.row.ship_by if is_told(self.row.ship_by) else None
        return not self.waits, by_urgency(ship_by, self.extract.total_price), self.id

    @property
    def _passed(self) -> str | None:
        """The kind of the deadline that passed last, of an open order."""
        passed = self.row.standing.passed
        return passed.kind if passed and self.row.status in OPEN_STATUSES else None

    @property
    def _waits_for_its_status(self) -> bool:
        is_watched = self.row.status in self.watched and self.row.status not in FINAL_STATUSES
        return self.waits and (is_watched or self._passed in {None, KIND_AT_RISK})

    def listed(self) -> SummaryOrder:
        """As a summary lists it."""
        return SummaryOrder(
            id=self.id,
            number=self.row.order_number,
            url=self.extract.url,
            status=self.row.status,
            raw_status=self.row.raw_status,
            reason=self.reason,
            is_late=self.is_late,
            since=self.since,
            ship_by=self.row.ship_by,
            currency=self.extract.currency,
            total_price=self.extract.total_price,
        )
