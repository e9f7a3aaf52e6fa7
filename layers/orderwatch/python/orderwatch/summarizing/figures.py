"""The figures of one shop and of all: counted over every order, whatever is listed. Pure functions."""

from collections import Counter
from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from orderwatch.alerts.daily import Figures, ShopSummary, WaitingAges
from orderwatch.model import one_line
from orderwatch.summarizing.orders import SummedOrder

MAX_ORDERS = 10
"""Orders of a shop that are listed: what one person can begin a morning with."""
MAX_REASONS = 5
"""The shop's own words that are named."""
MAX_REASON = 80
_DAY = timedelta(days=1)


def shop_figures(orders: Sequence[SummedOrder], *, at: datetime) -> dict[str, Any]:
    """The fields of a `ShopSummary` that count or list orders.

    Args:
        orders: Those that wait or are at risk, each once.
        at: Up to when ages count.
    """
    urgent = sorted(orders, key=lambda order: order.urgency)
    return {
        **_counted([order for order in orders if order.waits], at),
        "at_risk": sum(order.is_at_risk for order in orders),
        "orders": tuple(order.listed() for order in urgent[:MAX_ORDERS]),
        "more_orders": max(len(urgent) - MAX_ORDERS, 0),
    }


def _counted(waiting: Sequence[SummedOrder], at: datetime) -> dict[str, Any]:
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


def _raw_reasons(waiting: Iterable[SummedOrder]) -> dict[str, int]:
    said = (one_line(order.row.raw_status or "", MAX_REASON) for order in waiting)
    return dict(Counter(filter(None, said)).most_common(MAX_REASONS))


def _ages(ages: Iterable[timedelta]) -> WaitingAges:
    bounds = {"under_1_day": _DAY, "from_1_to_3_days": 3 * _DAY, "from_3_to_7_days": 7 * _DAY}
    counts = Counter(next((name for name, end in bounds.items() if age < end), "over_7_days") for age in ages)
    return WaitingAges(**counts)


def _values(waiting: Iterable[SummedOrder]) -> tuple[dict[str, Decimal], int]:
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
        ages=WaitingAges(**ages),
        late=sum(shop.late for shop in every),
        at_risk=sum(shop.at_risk for shop in every),
        value_by_currency=dict(sorted(values.items())),
        without_value=sum(shop.without_value for shop in every),
    )


def worst_first(shop: ShopSummary) -> tuple[bool, int, int, int, str]:
    """A sort key: what cannot be seen, then what is late, then what waits."""
    return shop.unseen is None, -shop.late, -shop.waiting, -shop.at_risk, shop.connection_id
