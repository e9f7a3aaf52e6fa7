"""What the API would show of a shop now, and one walk of the product over it."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from tests.simulation.facts import key_of, status_of, version_of

BEFORE_ALL = datetime.min.replace(tzinfo=UTC)


@dataclass
class VisibleOrder:
    """What is visible of an order now.

    Attributes:
        status: None where the record cannot be watched.
        version: Trackstar's date of change, else the shop's.
        shop_date: The shop's date of change.
        since: The shop's count of changes when it became so.
        seen_at: The vendor's clock then.
        newest: The newest version that could ever be seen and did not lie in the vendor's future.
        vendor_date: Trackstar's date of change, where the record has one.
    """

    status: str | None
    version: str | None
    shop_date: str | None
    since: int
    seen_at: datetime
    newest: str
    vendor_date: str | None


@dataclass
class VisibleShop:
    """What the API would show of a shop now.

    Attributes:
        changes: How often anything of it changed.
        deleted: The count of changes when an order was deleted last.
        said_frequency: Seconds between syncs, as the connection reports them.
        past: Every visible state of every order, oldest first.
        latest: The latest that the vendor's clock ever was.
    """

    said_frequency: int
    changes: int = 0
    deleted: int = 0
    orders: dict[str, VisibleOrder] = field(default_factory=dict)
    past: list[VisibleOrder] = field(default_factory=list)
    latest: datetime = BEFORE_ALL

    @property
    def has_shown_vendor_dates(self) -> bool:
        """Whether any order ever had Trackstar's date of change."""
        return any(sight.vendor_date for sight in self.past)

    def show(self, records: Iterable[dict[str, Any]], now: datetime) -> None:
        """Take what is visible after a sync."""
        self.latest = max(self.latest, now)
        shown = {key_of(record): record for record in records}
        fresh = {key: record for key, record in shown.items() if self._is_new(key, record)}
        gone = set(self.orders) - set(shown)
        self.changes += bool(fresh or gone)
        if gone:
            self.deleted = self.changes
        for key in gone:
            del self.orders[key]
        for key, record in fresh.items():
            version, known = version_of(record), self.orders.get(key)
            before = (known.newest, known.version) if known else ()
            newest = max((each for each in (*before, version) if each and self.has_passed(each)), default="")
            vendor_date, shop_date = record.get("trackstar_updated_date"), record.get("updated_date")
            sight = VisibleOrder(status_of(record), version, shop_date, self.changes, now, newest, vendor_date)
            self.orders[key] = sight
            self.past.append(sight)

    def has_passed(self, version: str) -> bool:
        """Whether the vendor's clock has ever been there."""
        return datetime.fromisoformat(version) <= self.latest

    def _is_new(self, key: str, record: dict[str, Any]) -> bool:
        known = self.orders.get(key)
        shown = (
            status_of(record),
            version_of(record),
            record.get("updated_date"),
            record.get("trackstar_updated_date"),
        )
        return known is None or (known.status, known.version, known.shop_date, known.vendor_date) != shown


@dataclass
class Reading:
    """One walk over the pages of a window, up to the last page that the API served.

    Attributes:
        filters: What was asked for on the first page.
        opened: The shop's count of changes when the window was opened.
        began: The shop's count of changes at its first page; later than `opened` where the window is read again.
        jumps: How often the vendor's clock had jumped when the window was opened.
        attempts: How often the same window was begun.
        order_ids: The ids of the orders that were served.
        expected_count: The largest `total_count`.
        is_whole: Whether the last page was served.
        pages_without_new_orders: Pages in a row, of one poll, that showed no order that was not served before.
        shows_vendor_dates: Whether any order of it had Trackstar's date of change.
        opened_at: The vendor's clock in the answer before the window was opened.
    """

    filters: dict[str, str]
    opened: int
    began: int
    jumps: int
    attempts: int = 1
    order_ids: set[str] = field(default_factory=set)
    expected_count: int = 0
    is_whole: bool = False
    pages_without_new_orders: int = 0
    shows_vendor_dates: bool = False
    opened_at: datetime | None = None

    @property
    def is_sweep(self) -> bool:
        """Whether it reads certain statuses: the watched, the final or the open ones."""
        return bool(self.statuses)

    @property
    def statuses(self) -> frozenset[str]:
        """The statuses that it reads; empty: all."""
        return frozenset(filter(None, self.filters.get("status[in]", "").split(",")))

    @property
    def until(self) -> str | None:
        """The upper bound."""
        return self._bound("[lte]")

    def _bound(self, operator: str) -> str | None:
        return next((value for name, value in self.filters.items() if name.endswith(operator)), None)

    def date_of(self, sight: VisibleOrder) -> str:
        """The date that the bounds are on."""
        return (sight.shop_date if self.is_by_shop_date else sight.vendor_date) or ""

    def had_to_show(self, sight: VisibleOrder) -> bool:
        """Whether this walk had to show the order: it was visible before the walk, and in its bounds or older."""
        if self.is_sweep and self.until and not (self._bound("[gte]") or "") <= self.date_of(sight) <= self.until:
            return False
        if sight.since <= self.opened or self.until is None:
            return sight.since <= self.began
        return sight.since <= self.began and self.date_of(sight) >= (self._bound("[gte]") or "")

    @property
    def is_by_shop_date(self) -> bool:
        return any(name.startswith("updated_date") for name in self.filters)
