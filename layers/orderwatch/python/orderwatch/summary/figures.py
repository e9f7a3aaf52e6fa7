"""The orders that a summary tells of, and why each of them is one."""

from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from functools import cached_property
from typing import Any

from orderwatch.alerts.kinds import KIND_AT_RISK, KIND_LATE
from orderwatch.alerts.parts import by_urgency
from orderwatch.alerts.summary import BacklogAges, Figures, ShopSummary, SummaryOrder
from orderwatch.deadlines.rules import FINAL_STATUSES, OPEN_STATUSES, has_ship_by
from orderwatch.records import Extract, StoredOrder
from orderwatch.sanitize import one_line

AT_RISK = "at_risk"


@dataclass(frozen=True)
class SummaryRow:
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
        return Extract.from_json(self.row.extract) if self.row.extract else Extract()

    @property
    def needs_attention(self) -> bool:
        """Whether it waits for a person."""
        return self.row.needs_attention

    @property
    def is_late(self) -> bool:
        """Whether it is open and its ship-by has passed."""
        return self._passed == KIND_LATE

    @property
    def is_at_risk(self) -> bool:
        """Whether it is open and has to ship soon; what Trackstar no longer has keeps its warning but no deadline."""
        return self._passed == KIND_AT_RISK and self.row.deadline_state.due is not None

    @property
    def reason(self) -> str:
        """Why it is told of: a watched status, else `late` or `stuck`, else `at_risk`."""
        if self._waits_for_its_status:
            return self.row.status
        return (self._passed or KIND_AT_RISK).removeprefix("order.")

    @property
    def since(self) -> datetime:
        """When it came into what it waits in: its status, or the deadline that passed."""
        passed = self.row.deadline_state.passed
        return self.row.status_since if self._waits_for_its_status or passed is None else passed.at

    def age(self, at: datetime) -> timedelta:
        """How long it has waited by then."""
        return max(at - self.since, timedelta())

    @property
    def urgency(self) -> tuple[bool, tuple[datetime, object], str]:
        """A sort key: what waits before what is merely at risk, then by ship-by and value."""
        ship_by = self.row.ship_by if has_ship_by(self.row.ship_by) else None
        return not self.needs_attention, by_urgency(ship_by, self.extract.total_price), self.id

    @property
    def _passed(self) -> str | None:
        """The kind of the deadline that passed last, of an open order."""
        passed = self.row.deadline_state.passed
        return passed.kind if passed and self.row.status in OPEN_STATUSES else None

    @property
    def _waits_for_its_status(self) -> bool:
        is_watched = self.row.status in self.watched and self.row.status not in FINAL_STATUSES
        return self.needs_attention and (is_watched or self._passed in {None, KIND_AT_RISK})

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


MAX_ORDERS = 10
"""Orders of a shop that are listed: what one person can begin a morning with."""
MAX_REASONS = 5
"""The shop's own words that are named."""
MAX_REASON = 80
_DAY = timedelta(days=1)


def shop_figures(orders: Sequence[SummaryRow], *, at: datetime) -> dict[str, Any]:
    """The fields of a `ShopSummary` that count or list orders.

    Args:
        orders: Those that wait or are at risk, each once.
        at: Up to when ages count.
    """
    urgent = sorted(orders, key=lambda order: order.urgency)
    return {
        **_counted([order for order in orders if order.needs_attention], at),
        "at_risk": sum(order.is_at_risk for order in orders),
        "orders": tuple(order.listed() for order in urgent[:MAX_ORDERS]),
        "more_orders": max(len(urgent) - MAX_ORDERS, 0),
    }


def _counted(waiting: Sequence[SummaryRow], at: datetime) -> dict[str, Any]:
    values, without = _values(waiting)
    return {
        "waiting": len(waiting),
        "by_reason": dict(Counter(order.reason for order in waiting).most_common()),
        "raw_reasons": _raw_reasons(waiting),
        "ages": _ages(order.age(at) for order in waiting),
        "late": sum(order.is_late for order in waiting),
        "value_by_currency": values,
        "without_value": without,
    }


def _raw_reasons(waiting: Iterable[SummaryRow]) -> dict[str, int]:
    said = (one_line(order.row.raw_status or "", MAX_REASON) for order in waiting)
    return dict(Counter(filter(None, said)).most_common(MAX_REASONS))


def _ages(ages: Iterable[timedelta]) -> BacklogAges:
    bounds = {"under_1_day": _DAY, "from_1_to_3_days": 3 * _DAY, "from_3_to_7_days": 7 * _DAY}
    counts = Counter(next((name for name, end in bounds.items() if age < end), "over_7_days") for age in ages)
    return BacklogAges(**counts)


def _values(waiting: Iterable[SummaryRow]) -> tuple[dict[str, Decimal], int]:
    """The sums by currency, never across them, and how many orders are in none."""
    sums: dict[str, Decimal] = {}
    without = 0
    for order in waiting:
        currency, total = order.extract.currency, order.extract.total_price
        if currency and total is not None:
            sums[currency] = sums.get(currency, Decimal(0)) + total
        else:
            without += 1
    return dict(sorted(sums.items())), without


def total(shops: Iterable[Figures]) -> Figures:
    """The sum of the figures of shops."""
    every = list(shops)
    by_reason, ages = Counter[str](), Counter[str]()
    values: dict[str, Decimal] = {}
    for shop in every:
        by_reason.update(shop.by_reason)
        ages.update(shop.ages.model_dump())
        for currency, amount in shop.value_by_currency.items():
            values[currency] = values.get(currency, Decimal(0)) + amount
    return Figures(
        waiting=sum(shop.waiting for shop in every),
        by_reason=dict(by_reason.most_common()),
        ages=BacklogAges(**ages),
        late=sum(shop.late for shop in every),
        at_risk=sum(shop.at_risk for shop in every),
        value_by_currency=dict(sorted(values.items())),
        without_value=sum(shop.without_value for shop in every),
    )


def worst_first(shop: ShopSummary) -> tuple[bool, int, int, int, str]:
    """A sort key: what cannot be seen, then what is late, then what waits."""
    return shop.unseen is None, -shop.late, -shop.waiting, -shop.at_risk, shop.connection_id
