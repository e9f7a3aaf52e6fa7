"""The orders of a summary: why each of them is in it, and the figures of a shop."""

from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cached_property

from orderwatch.alerts.kinds import KIND_AT_RISK, KIND_LATE
from orderwatch.alerts.parts import by_urgency, sum_by_currency
from orderwatch.alerts.summary import BacklogAges, Changes, Figures, NotVisible, ShopSummary, SummaryOrder, urgency_rank
from orderwatch.ownership import Ownership
from orderwatch.records import Extract, StoredOrder
from orderwatch.sanitize import one_line
from orderwatch.statuses import FINAL_STATUSES, OPEN_STATUSES

MAX_ORDERS = 10
"""Maximum number of orders that are listed for a shop."""
MAX_REASONS = 5
"""Maximum number of reasons in the shop's own words."""
MAX_REASON = 80
_DAY = timedelta(days=1)


@dataclass(frozen=True)
class SummaryRow:
    """An order that needs attention or is at risk.

    Attributes:
        id: Trackstar's id of the order.
        row: Its row.
        watched: The statuses that raise an alert.
        at: When the summary is made, by our clock: it decides whether a snooze has ended.
    """

    id: str
    row: StoredOrder
    watched: Collection[str]
    at: datetime

    @cached_property
    def extract(self) -> Extract:
        """The part of the order's record that the row keeps."""
        return Extract.from_json(self.row.extract) if self.row.extract else Extract()

    @property
    def needs_attention(self) -> bool:
        """Whether the order needs attention; otherwise it is only at risk."""
        return self.row.needs_attention

    @property
    def is_late(self) -> bool:
        """Whether the order is open and its ship-by has passed."""
        return self._passed_kind == KIND_LATE

    @property
    def is_at_risk(self) -> bool:
        """Whether the order is open and its ship-by is near.

        An order that Trackstar has deleted keeps the warning that passed but has no next deadline.
        """
        return self._passed_kind == KIND_AT_RISK and self.row.deadline_state.due is not None

    @property
    def reason(self) -> str:
        """Why the order is in the summary: a watched status, else `late` or `stuck`, else `at_risk`."""
        if self._is_listed_for_its_status:
            return self.row.status
        return (self._passed_kind or KIND_AT_RISK).removeprefix("order.")

    @property
    def since(self) -> datetime:
        """When the reason began: the status, or the deadline that passed."""
        passed = self.row.deadline_state.passed
        return self.row.status_since if self._is_listed_for_its_status or passed is None else passed.at

    def age(self, as_of: datetime) -> timedelta:
        """How long the reason has lasted in data of this time: the one age of an order, in every list."""
        return max(as_of - self.since, timedelta())

    @cached_property
    def ownership(self) -> Ownership:
        """Who works on the order, without a snooze that has ended; empty if nobody does."""
        known = self.row.ownership if self.needs_attention else None
        return (known and known.awake(self.at)) or Ownership()

    @property
    def is_snoozed(self) -> bool:
        """Whether the order is snoozed, taken or not."""
        return self.ownership.snoozed_until is not None

    @property
    def is_taken(self) -> bool:
        """Whether somebody has taken the order and not snoozed it."""
        return self.ownership.owner is not None and not self.is_snoozed

    @property
    def urgency(self) -> tuple[int, tuple[datetime, object], str]:
        """Sort key: orders that need attention, then taken ones, at risk, snoozed; each by ship-by and value."""
        is_at_risk = not self.needs_attention
        rank = urgency_rank(is_taken=self.is_taken, is_at_risk=is_at_risk, is_snoozed=self.is_snoozed)
        return rank, by_urgency(self.row.ship_by, self.extract.total_price), self.id

    @property
    def _passed_kind(self) -> str | None:
        """The kind of the deadline that passed last; None if the order is not open."""
        passed = self.row.deadline_state.passed
        return passed.kind if passed and self.row.status in OPEN_STATUSES else None

    @property
    def _is_listed_for_its_status(self) -> bool:
        is_watched = self.row.status in self.watched and self.row.status not in FINAL_STATUSES
        return self.needs_attention and (is_watched or self._passed_kind in {None, KIND_AT_RISK})

    def to_summary_order(self) -> SummaryOrder:
        """The order as the summary lists it."""
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
            owner=self.ownership.owner,
            taken_at=self.ownership.taken_at,
            snoozed_until=self.ownership.snoozed_until,
            note=self.ownership.note,
        )


def shop_summary(
    orders: Sequence[SummaryRow],
    *,
    connection_id: str,
    as_of: datetime,
    name: str | None = None,
    time_zone: str = "UTC",
    not_visible: NotVisible | None = None,
    changes: Changes | None = None,
) -> ShopSummary:
    """Count and list the orders of a shop that need attention or are at risk; their ages end at `as_of`."""
    backlog = [order for order in orders if order.needs_attention]
    urgent = sorted(orders, key=lambda order: order.urgency)
    raw_reasons = (one_line(order.row.raw_status or "", MAX_REASON) for order in backlog)
    totals = [(order.extract.currency, order.extract.total_price) for order in backlog]
    return ShopSummary(
        connection_id=connection_id,
        name=name,
        time_zone=time_zone,
        not_visible=not_visible,
        as_of=as_of,
        changes=changes,
        needs_attention=len(backlog),
        by_reason=dict(Counter(order.reason for order in backlog).most_common()),
        raw_reasons=dict(Counter(filter(None, raw_reasons)).most_common(MAX_REASONS)),
        ages=_ages(order.age(as_of) for order in backlog),
        late=sum(order.is_late for order in backlog),
        at_risk=sum(order.is_at_risk and not order.needs_attention for order in orders),
        value_by_currency=dict(sorted(sum_by_currency(totals).items())),
        without_value=sum(not currency or price is None for currency, price in totals),
        taken=sum(order.is_taken for order in backlog),
        snoozed=sum(order.is_snoozed for order in backlog),
        by_owner=dict(Counter(order.ownership.owner or "" for order in backlog if order.is_taken).most_common()),
        orders=tuple(order.to_summary_order() for order in urgent[:MAX_ORDERS]),
        more_orders=max(len(urgent) - MAX_ORDERS, 0),
    )


def _ages(ages: Iterable[timedelta]) -> BacklogAges:
    bounds = {"under_1_day": _DAY, "from_1_to_3_days": 3 * _DAY, "from_3_to_7_days": 7 * _DAY}
    counts = Counter(next((name for name, end in bounds.items() if age < end), "over_7_days") for age in ages)
    return BacklogAges(**counts)


def total(shops: Iterable[Figures]) -> Figures:
    """The figures of several shops, added up."""
    every = list(shops)
    by_reason, ages, by_owner = Counter[str](), Counter[str](), Counter[str]()
    for shop in every:
        by_reason.update(shop.by_reason)
        ages.update(shop.ages.model_dump())
        by_owner.update(shop.by_owner)
    values = sum_by_currency(each for shop in every for each in shop.value_by_currency.items())
    return Figures(
        needs_attention=sum(shop.needs_attention for shop in every),
        by_reason=dict(by_reason.most_common()),
        ages=BacklogAges(**ages),
        late=sum(shop.late for shop in every),
        at_risk=sum(shop.at_risk for shop in every),
        value_by_currency=dict(sorted(values.items())),
        without_value=sum(shop.without_value for shop in every),
        taken=sum(shop.taken for shop in every),
        snoozed=sum(shop.snoozed for shop in every),
        by_owner=dict(by_owner.most_common()),
    )


def worst_first(shop: ShopSummary) -> tuple[bool, int, int, int, str]:
    """Sort key: shops that are not visible first, then by late orders, by backlog, by orders at risk."""
    return shop.not_visible is None, -shop.late, -shop.needs_attention, -shop.at_risk, shop.connection_id
