"""Which orders a poll asks for, and how far it has come: the rules of the cursor, as pure functions.

The cursor passes only what has been read and written (rule 4). All bounds are by the vendor's clock, taken at the
start of a reading; ours serves only to tell how long ago that was (rule 5).
"""

from collections.abc import Collection
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Annotated

from pydantic import Field, PlainSerializer, PlainValidator

from orderwatch.alerts.many import WaitingOrder
from orderwatch.model import Model
from orderwatch.polling.seen_orders import SeenOrders
from orderwatch.trackstar.query import DateField, OrderQuery

OVERLAP = timedelta(minutes=10)
"""How far a window reaches back over the last one: what arrived late at a boundary is read again."""
SWEEP_INTERVAL = timedelta(days=1)
"""How often the watched statuses are read whatever their dates (rule 6)."""
FINAL_SWEEP = timedelta(days=7)
"""How far before the last one the sweep of final statuses reaches back."""
MAX_ATTEMPTS = 3
"""How often a window is begun when fewer orders turn up than were promised (the sweep finds what is left), or when its
page tokens lead nowhere (then the poll fails)."""
MAX_WAITING = 10
"""Orders that `watch.started` lists: a first task, not a backlog."""
MAX_BARREN_PAGES = 5
"""Pages in a row without a new order after which the page tokens are taken to go round in a circle."""


class WindowKind(StrEnum):
    """Why orders are read; `DUE` is no window: orders that are asked for by their ids."""

    BASELINE = "baseline"
    INCREMENTAL = "incremental"
    SWEEP = "sweep"
    DEADLINES = "deadlines"
    DUE = "due"


class Window(OrderQuery):
    """What one reading asks for: the same filters on every page.

    Attributes:
        kind: Why it is read; `until` is the vendor's clock when the reading began.
    """

    kind: WindowKind


class Progress(Model):
    """How far a window was read (rule 7).

    Attributes:
        window: What is read.
        began_at: Our clock when it began.
        synced_at: The end of the last sync that Trackstar had told of when the window was opened.
        page_token: The next page; None: the first.
        distinct: Distinct orders read up to here.
        promised: The largest `total_count` seen.
        attention: Orders read that wait for a person, by status.
        waiting: Of a baseline, the most urgent orders that wait already.
        past: Orders read whose deadline had passed when the window began, by the kind of the latest (rule 19).
        deadline_rules: The fingerprint of the rules for deadlines when it began.
        attempt: How often the window was begun.
        barren: Pages in a row, of one poll, that showed no order that was not read before.
        seen: The orders read; `reading.advance` adds to it in place, as a copy a page would be quadratic.
    """

    window: Window
    began_at: datetime
    synced_at: datetime | None = None
    page_token: str | None = None
    distinct: int = 0
    promised: int = 0
    attention: dict[str, int] = Field(default_factory=dict)
    waiting: tuple[WaitingOrder, ...] = ()
    past: dict[str, int] = Field(default_factory=dict)
    deadline_rules: str | None = None
    attempt: int = 1
    barren: int = 0
    seen: Annotated[
        SeenOrders,
        PlainValidator(SeenOrders.restored),
        PlainSerializer(lambda seen: seen.saved()),
    ] = Field(default_factory=SeenOrders)

    @property
    def left(self) -> int:
        """How many orders of the window are still to be read, as far as was promised."""
        return max(self.promised - self.distinct, 0)

    def is_short(self) -> bool:
        """Whether fewer orders were read than promised, and beginning again is worth it (rule 6)."""
        return self.distinct < self.promised and self.attempt < MAX_ATTEMPTS

    def leads_nowhere(self, next_token: str) -> bool:
        """Whether the next page is this one again, or the last pages showed nothing new."""
        return next_token == self.page_token or self.barren >= MAX_BARREN_PAGES

    def again(self) -> "Progress":
        """The same window from its first page."""
        return Progress(
            window=self.window,
            began_at=self.began_at,
            synced_at=self.synced_at,
            deadline_rules=self.deadline_rules,
            attempt=self.attempt + 1,
        )


def baseline_window(*, vendor_now: datetime, days: int) -> Window:
    """The whole history, or that of the last `days` where it is above 0 (rule 8)."""
    after = vendor_now - timedelta(days=days) if days else None
    return Window(kind=WindowKind.BASELINE, after=after, until=vendor_now)


def incremental_window(
    *,
    cursor: datetime,
    cursor_age: timedelta,
    vendor_now: datetime,
    date_field: DateField,
    sync_frequency: timedelta,
) -> Window:
    """What changed since the cursor, with an overlap.

    Args:
        cursor: Up to when everything was read.
        cursor_age: How long ago that reading began, by our clock: where the vendor's clock has jumped back since, the
            cursor lies too late, and this tells where it would lie.
        vendor_now: The vendor's clock.
        date_field: What the filter runs on. The shop's own dates may lie a whole sync before anyone could see the
            change, so the overlap on them is at least two syncs (rule 5).
        sync_frequency: How often Trackstar pulls the shop's orders.
    """
    overlap = OVERLAP if date_field is DateField.TRACKSTAR_UPDATED else max(OVERLAP, 2 * sync_frequency)
    after = min(cursor, vendor_now - max(cursor_age, timedelta(0))) - overlap
    return Window(kind=WindowKind.INCREMENTAL, after=after, until=vendor_now, date_field=date_field)


def undated_window(*, vendor_now: datetime) -> Window:
    """Everything: as long as no order was seen, nothing tells which of its dates a filter could run on (rule 5)."""
    return Window(kind=WindowKind.INCREMENTAL, until=vendor_now)


def sweep_window(*, vendor_now: datetime, statuses: Collection[str]) -> Window:
    """Every order that waits in one of these statuses, whenever it changed."""
    return Window(kind=WindowKind.SWEEP, until=vendor_now, statuses=tuple(sorted(statuses)))


def final_sweep_window(*, vendor_now: datetime, last_sweep_at: datetime | None, statuses: Collection[str]) -> Window:
    """Every order that came into one of these final statuses in the last days: a shop has more of them every day.

    It is bound by the shop's own date: an order that the other windows missed may have no other.

    Args:
        vendor_now: The vendor's clock.
        last_sweep_at: When the sweep before this one began.
        statuses: Which.
    """
    after = min(last_sweep_at or vendor_now, vendor_now) - FINAL_SWEEP
    field, finals = DateField.SHOP_UPDATED, tuple(sorted(statuses))
    return Window(kind=WindowKind.SWEEP, after=after, until=vendor_now, date_field=field, statuses=finals)


def deadlines_window(*, vendor_now: datetime, statuses: Collection[str]) -> Window:
    """Every open order, to record its deadline."""
    return Window(kind=WindowKind.DEADLINES, until=vendor_now, statuses=tuple(sorted(statuses)))
