"""What the oracles know: our tables, what the API would show of the shops, and one walk of the product over them."""

from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from tests.simulation.cloud import CONNECTIONS, ORDERS, ObservedTables, Row
from tests.simulation.facts import Subject, date_of, key_of, moment, moment_in, ship_by_of, status_of, version_of

BEFORE_ALL = datetime.min.replace(tzinfo=UTC)


@dataclass(frozen=True)
class VisibleOrder:
    """What is visible of an order.

    Attributes:
        status: None where the record cannot be watched.
        version: Trackstar's date of change, else the shop's.
        shop_date: The shop's date of change.
        vendor_date: Trackstar's date of change, where the record has one.
        ship_by: As the shop writes it, where that is a date.
        since: The shop's count of changes when it became so.
        seen_at: The vendor's clock then.
        newest: The newest version that could ever be seen and did not lie in the vendor's future.
    """

    status: str | None
    version: str | None
    shop_date: str | None
    vendor_date: str | None
    ship_by: datetime | None
    since: int = 0
    seen_at: datetime = BEFORE_ALL
    newest: str = ""

    @property
    def is_comparable(self) -> bool:
        """Whether it can be watched, and its version did not go back with the vendor's clock (rule 3)."""
        return self.status is not None and bool(self.version) and (self.version or "") >= self.newest

    def is_shown_by(self, row: Row) -> bool:
        """Whether a row equals what is visible of its order."""
        if self.status is None or self.version is None:
            return False
        is_same = (row["status"], moment_in(row, "ship_by")) == (self.status, self.ship_by)
        return is_same and moment(self.version) >= moment(row["version"])


@dataclass
class VisibleShop:
    """What the API would show of a shop.

    Attributes:
        said_frequency: Seconds between syncs, as the connection reports them.
        changes: How often anything of it changed.
        deleted: The count of changes when an order was deleted last.
        orders: What is visible now.
        past: Every visible state of each order, oldest first.
        latest: The latest that the vendor's clock ever was.
    """

    said_frequency: int
    changes: int = 0
    deleted: int = 0
    orders: dict[str, VisibleOrder] = field(default_factory=dict)
    past: defaultdict[str, list[VisibleOrder]] = field(default_factory=lambda: defaultdict(list))
    latest: datetime = BEFORE_ALL

    @property
    def ever_seen(self) -> Iterator[VisibleOrder]:
        """Every visible state of every order."""
        return (sight for sights in self.past.values() for sight in sights)

    @property
    def has_shown_vendor_dates(self) -> bool:
        """Whether any order ever had Trackstar's date of change."""
        return any(sight.vendor_date for sight in self.ever_seen)

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
            known = self.orders.get(key)
            versions = (known.newest, known.version, version_of(record)) if known else (version_of(record),)
            newest = max((each for each in versions if each and self.has_passed(each)), default="")
            self.orders[key] = VisibleOrder(*_shown(record), since=self.changes, seen_at=now, newest=newest)
            self.past[key].append(self.orders[key])

    def has_passed(self, version: str) -> bool:
        """Whether the vendor's clock has ever been there."""
        return datetime.fromisoformat(version) <= self.latest

    def _is_new(self, key: str, record: dict[str, Any]) -> bool:
        known = self.orders.get(key)
        return known is None or _shown(record) != (
            known.status,
            known.version,
            known.shop_date,
            known.vendor_date,
            known.ship_by,
        )


def _shown(record: dict[str, Any]) -> tuple[str | None, str | None, str | None, str | None, datetime | None]:
    dates = date_of(record, "updated_date"), date_of(record, "trackstar_updated_date")
    return (status_of(record), version_of(record), *dates, ship_by_of(record))


@dataclass(frozen=True)
class Known:
    """Our tables, and what is visible of each shop."""

    tables: ObservedTables
    shops: dict[str, VisibleShop]

    def connection(self, connection_id: str) -> Row:
        """The row of a connection; empty where there is none."""
        return self.tables.row(CONNECTIONS, connection_id) or {}

    def order(self, subject: Subject) -> Row | None:
        """The row of an order."""
        return self.tables.row(ORDERS, "#".join(subject))

    def orders(self, connection_id: str) -> dict[str, Row]:
        """The rows of a shop's orders, by id."""
        prefix = f"{connection_id}#"
        rows = {row["order_key"]: row for row in self.tables.all_rows(ORDERS)}
        return {key.removeprefix(prefix): row for key, row in rows.items() if key.startswith(prefix)}


@dataclass
class Reading:
    """One walk over the pages of a window, up to the last page that the API served.

    Attributes:
        filters: What was asked for on the first page.
        opened: The shop's count of changes when the window was opened.
        began: The shop's count of changes at its first page; later than `opened` where the window is read again.
        jumps: How often the vendor's clock had jumped when the window was opened.
        opened_at: The vendor's clock in the answer before the window was opened.
        attempts: How often the same window was begun.
        begins: How often one poll began it.
        pages: Pages that were served of this attempt.
        order_ids: The ids of the orders that were served.
        expected_count: The largest `total_count`.
        is_whole: Whether the last page was served.
        pages_without_new_orders: Pages in a row, of one poll, that showed no order that was not served before.
        shows_vendor_dates: Whether any order of it had Trackstar's date of change.
    """

    filters: dict[str, str]
    opened: int
    began: int
    jumps: int
    opened_at: datetime | None
    attempts: int = 1
    begins: int = 1
    pages: int = 0
    order_ids: set[str] = field(default_factory=set)
    expected_count: int = 0
    is_whole: bool = False
    pages_without_new_orders: int = 0
    shows_vendor_dates: bool = False

    @property
    def statuses(self) -> frozenset[str]:
        """The statuses that it reads; empty: all."""
        return frozenset(filter(None, self.filters.get("status[in]", "").split(",")))

    @property
    def is_sweep(self) -> bool:
        """Whether it reads certain statuses: the watched, the final or the open ones."""
        return bool(self.statuses)

    @property
    def is_by_shop_date(self) -> bool:
        """Whether its bounds are on the shop's date."""
        return any(name.startswith("updated_date") for name in self.filters)

    @property
    def after(self) -> str:
        """The lower bound; empty where it has none."""
        return self._bound("[gte]")

    @property
    def until(self) -> str:
        """The upper bound; empty where it has none."""
        return self._bound("[lte]")

    def _bound(self, operator: str) -> str:
        return next((value for name, value in self.filters.items() if name.endswith(operator)), "")

    def date_of(self, sight: VisibleOrder) -> str:
        """The date that the bounds are on."""
        return (sight.shop_date if self.is_by_shop_date else sight.vendor_date) or ""

    def had_to_show(self, sight: VisibleOrder) -> bool:
        """Whether this walk had to show the order: it was visible before the walk, and in its bounds or older."""
        if self.is_sweep and self.until and not self.after <= self.date_of(sight) <= self.until:
            return False
        was_there = sight.since <= self.opened or not self.until or self.date_of(sight) >= self.after
        return was_there and sight.since <= self.began
