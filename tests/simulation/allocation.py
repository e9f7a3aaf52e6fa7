"""Which backordered orders the stock covers, recomputed apart from the product (rule 23), and what a poll saw of it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from tests.simulation.cloud import Row
from tests.simulation.facts import date_of, moment, moment_in
from tests.simulation.outstanding import BACKORDERED, Units, needed_units
from tests.simulation.stock import stock_of

NEVER = datetime.max.replace(tzinfo=UTC)


@dataclass
class Look:
    """What one poll learned about stock.

    Attributes:
        known_end: The end of the products' sync by the row that it loaded; None: it never looked.
        reported_end: The same by the API's report.
        rows: The rows that need attention when it asked for them; None: it did not.
        counts: The stock of each product that was served to it.
        has_asked: Whether it asked for products.
        is_failed: Whether a request of it failed after that, or the table did.
    """

    known_end: datetime | None = None
    reported_end: datetime | None = None
    rows: Mapping[str, Row] | None = None
    counts: dict[str, Units] = field(default_factory=dict)
    has_asked: bool = False
    is_failed: bool = False

    @property
    def covered(self) -> list[str]:
        """The orders that the stock covers."""
        return covered_orders(self.rows or {}, self.counts)


def products_end_of(connection: Mapping[str, Any]) -> datetime | None:
    """Up to when the API's copy of a connection's products is complete: a crawl may miss what changes meanwhile."""
    schedules = (each for each in connection["sync_schedules"] if each["function_name"] == "get_products")
    schedule: dict[str, Any] = next(schedules, {})
    start, end = date_of(schedule, "last_crawl_start"), date_of(schedule, "last_crawl_end")
    return moment(min(filter(None, (start, end)))) if end else None


def covered_orders(rows: Mapping[str, Row], counts: Mapping[str, Units]) -> list[str]:
    """The backordered orders among these rows that the stock covers.

    Orders that were alerted before come first, then those with the earliest ship-by, then the oldest.
    """
    left = {product: count or 0 for product, count in counts.items()}
    found = []
    for order_id in sorted((key for key, row in rows.items() if row["status"] == BACKORDERED), key=_rank(rows)):
        after = dict(left)
        is_known = bool(needed_units(rows[order_id]))
        for product, sku, units in needed_units(rows[order_id]):
            if units is None or stock_of((product, sku), counts) is None:
                is_known = False
                break
            after[str(product)] -= units
        if is_known and all(each >= 0 for product, each in after.items() if each != left[product]):
            left = after
            found.append(order_id)
    return found


def _rank(rows: Mapping[str, Row]) -> Any:
    def rank(order_id: str) -> tuple[bool, datetime, datetime, str]:
        row = rows[order_id]
        return "restocked_at" not in row, moment_in(row, "ship_by") or NEVER, moment(row["since"]), order_id

    return rank
