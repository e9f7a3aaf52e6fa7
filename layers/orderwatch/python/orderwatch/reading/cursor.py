"""The reading position of a connection: which orders to read next, and what has been read.

    begin ── page ── after ── page ── after ... ── the window is finished, and the position moves past it
               └── recover: a refused page token, a refused filter, a page that is too large

    baseline, incremental ── deadlines (if those of open orders are not recorded) ── sweep (daily) ── final sweep

`Cursor` is a value: every method returns the next one. The position moves past a window only after every page of it was
read and written (rule 4). All bounds are by the vendor's clock; ours only measures durations (rule 5).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import NamedTuple, Protocol, Self

from orderwatch import clock
from orderwatch.errors import InvalidRequestError, ResponseTooLargeError, TrackstarError
from orderwatch.observability import logger
from orderwatch.reading.policy import Policy
from orderwatch.reading.window import Progress, Window, WindowKind, baseline_window, incremental_window
from orderwatch.statuses import FINAL_STATUSES, OPEN_STATUSES
from orderwatch.trackstar.connections import TrackstarConnection
from orderwatch.trackstar.orders import DateField, FoundOrders, Order, OrderPage, OrderQuery
from orderwatch.trackstar.products import Product

SWEEP_INTERVAL = timedelta(days=1)
"""How often all orders in a watched status are read, without a bound on their dates (rule 6)."""
FINAL_SWEEP = timedelta(days=7)
"""How far the sweep of final statuses reaches back before the previous sweep."""


class Vendor(Protocol):
    """Trackstar's API for one connection. Every method raises a `TrackstarError` for an undocumented response."""

    def now(self) -> datetime:
        """The vendor's clock: the time of its latest response."""

    def connection(self) -> TrackstarConnection:
        """Trackstar's record of the connection."""

    def order_page(self, query: OrderQuery, *, page_token: str | None, size: int) -> OrderPage:
        """One page of the query, of at most `size` orders; `ResponseTooLargeError` if fewer would fit."""

    def orders(self, order_ids: Sequence[str]) -> FoundOrders:
        """The current records of these orders, at most 100."""

    def products(self, product_ids: Sequence[str]) -> Mapping[str, Product]:
        """The products that exist, by id, of at most 100."""

    def start_sync(self) -> None:
        """Request a sync of the shop's orders; `UnavailableError` if a later request may succeed."""


class Now(NamedTuple):
    """Both clocks at one moment."""

    vendor: datetime
    ours: datetime

    @classmethod
    def of(cls, vendor: Vendor) -> Self:
        """Read both clocks."""
        return cls(vendor.now(), clock.now())


@dataclass(frozen=True, slots=True)
class ReadContext:
    """The circumstances of a reading.

    Attributes:
        now: Both clocks.
        policy: What is watched.
        sync_frequency: How often Trackstar pulls the shop's orders.
        last_sync_end: When the last sync ended; None if unknown.
        is_probed: Whether the probe of the connection was successful.
    """

    now: Now
    policy: Policy
    sync_frequency: timedelta
    last_sync_end: datetime | None
    is_probed: bool = True


@dataclass(frozen=True, slots=True)
class DeadlineWatch:
    """The rules by which the deadlines of all open orders are recorded.

    Attributes:
        rules: The fingerprint of the rules; None: deadlines are not recorded.
        since: The vendor's clock when they were recorded. Deadlines before it are not alerted (rule 19).
    """

    rules: str | None = None
    since: datetime | None = None


class AfterPage(NamedTuple):
    """The cursor after a page, and the window that the page finished, if any."""

    cursor: "Cursor"
    finished: Progress | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Cursor:
    """Which orders of a connection have been read, and which are read next.

    Attributes:
        position: The time up to which everything was read and written (rule 4), by the vendor's clock; None before the
            baseline. It never goes back.
        read_until: The vendor's clock when the last reading began; before the position if that clock was set back.
        last_read_started_at: Our clock when the last reading began.
        last_sync_end_read: The end of the last sync when that reading began, if known.
        last_success_at: Our clock when a window was last read to its end.
        date_field: The date that the incremental filter uses.
        has_orders: Whether any order was ever read. Until then, `date_field` is a guess.
        has_vendor_dates: Whether any order ever had Trackstar's date of change.
        is_filter_refused: Whether Trackstar refused the filter on its own date; tried again after each sweep.
        fell_back_at: The position at the fallback to the shop's date: the next window on Trackstar's date starts there.
        watch_started_at: The vendor's clock when the baseline began.
        baseline_completed_at: The vendor's clock when the baseline was finished.
        deadlines: The rules by which the deadlines of all open orders are recorded.
        last_sweep_at: The vendor's clock when the last sweep began.
        progress: The window that is being read; None between windows.
    """

    position: datetime | None = None
    read_until: datetime | None = None
    last_read_started_at: datetime | None = None
    last_sync_end_read: datetime | None = None
    last_success_at: datetime | None = None
    date_field: DateField = DateField.TRACKSTAR_UPDATED
    has_orders: bool = False
    has_vendor_dates: bool = False
    is_filter_refused: bool = False
    fell_back_at: datetime | None = None
    watch_started_at: datetime | None = None
    baseline_completed_at: datetime | None = None
    deadlines: DeadlineWatch = field(default_factory=DeadlineWatch)
    last_sweep_at: datetime | None = None
    progress: Progress | None = None

    def has_read_since(self, moment: datetime) -> bool:
        """Whether a reading that began at or after this time, by our clock, has finished."""
        return self.last_read_started_at is not None and self.last_read_started_at >= moment

    def begin(self, context: ReadContext) -> Self:
        """Continue the open window, or open the next one."""
        if self.progress is None:
            return self._open(self._next_window(context), context)
        logger.info("continuing a window", extra={"window": self.progress.window.kind})
        return replace(self, progress=self.progress.continued())

    def recover(self, error: TrackstarError, context: ReadContext) -> Self:
        """Ask for fewer orders, restart the window, or fall back from a refused date filter (rules 5 and 7).

        Raises:
            TrackstarError: The given error, if it is about anything else.
        """
        progress = self.progress
        if progress is None:
            raise error
        if isinstance(error, ResponseTooLargeError) and progress.page_size > 1:
            smaller = progress.with_smaller_pages()
            logger.warning("page is too large; asking for fewer orders", extra={"page_size": smaller.page_size})
            return replace(self, progress=smaller)
        if isinstance(error, InvalidRequestError) and self._is_about_date_filter(error, progress.window):
            cursor, window = replace(self._fall_back(), is_filter_refused=True), progress.window
            if window.kind is WindowKind.BASELINE:  # it stays the same window
                return cursor._open(replace(window, date_field=DateField.SHOP_UPDATED), context)
            return cursor._open(cursor._next_window(context), context)
        if progress.page_token and error.refuses_request:
            extra = {"attempt": progress.attempt, "request_id": error.request_id}
            logger.warning("page token refused; restarting the window", extra=extra)
            return replace(self, progress=progress.restarted())
        raise error

    def _is_about_date_filter(self, error: InvalidRequestError, window: Window) -> bool:
        uses_vendor_date = window.date_field is DateField.TRACKSTAR_UPDATED
        return uses_vendor_date and error.names(DateField.TRACKSTAR_UPDATED) and not error.names("page_token")

    def after(self, page: OrderPage, orders: Mapping[str, Order], context: ReadContext) -> AfterPage:
        """Move to the next page, back to the first one, or past the window.

        Args:
            page: The page that was read.
            orders: The newest record of each of its orders, by id.
            context: The circumstances of the reading.
        """
        if self.progress is None:
            raise AssertionError("no window is open")
        cursor = self._choose_date_field(orders)
        progress = self.progress.counting(page, orders, context.policy)
        if page.next_token and progress.is_loop(page.next_token):
            logger.warning("page tokens repeat; restarting the window", extra={"attempt": progress.attempt})
            return AfterPage(replace(cursor, progress=progress.restarted()))
        if page.next_token:
            logger.info("page read", extra={"read": progress.read_count, "expected": progress.expected_count})
            return AfterPage(replace(cursor, progress=replace(progress, page_token=page.next_token)))
        if progress.is_short():
            logger.warning(
                "fewer orders than expected; restarting the window",
                extra={"read": progress.read_count, "expected": progress.expected_count, "attempt": progress.attempt},
            )
            return AfterPage(replace(cursor, progress=progress.restarted()))
        if progress.window.kind is WindowKind.BASELINE and not (progress.read_count or context.is_probed):
            # Lists are empty until the initial sync has ended, and it is unknown whether it has: try again later.
            return AfterPage(replace(cursor, progress=None))
        return AfterPage(cursor._finish(progress, context), finished=progress)

    def _open(self, window: Window, context: ReadContext) -> Self:
        progress = Progress(
            window=window,
            began_at=context.now.ours,
            last_sync_end=context.last_sync_end,
            deadline_rules=context.policy.deadline_rules,
        )
        return replace(self, progress=progress)

    def _next_window(self, context: ReadContext) -> Window:
        now = context.now
        if self.position is None or self.last_read_started_at is None:
            return baseline_window(vendor_now=now.vendor, days=context.policy.baseline_days)
        if not self.has_orders:  # it is unknown which date a filter can use (rule 5): read everything
            return Window(kind=WindowKind.INCREMENTAL, until=now.vendor)
        start = min(self.position, self.read_until or self.position)
        if self.date_field is DateField.TRACKSTAR_UPDATED:
            start = min(start, self.fell_back_at or start)
        return incremental_window(
            start=start,
            age=now.ours - self.last_read_started_at,
            vendor_now=now.vendor,
            date_field=self.date_field,
            sync_frequency=context.sync_frequency,
        )

    def _finish(self, progress: Progress, context: ReadContext) -> Self:
        """Move past a window whose every page was read (rule 4), and open the window that follows it, if any."""
        window = progress.window
        cursor = replace(self, progress=None, last_success_at=context.now.ours)
        if window.kind is WindowKind.SWEEP:
            return cursor._finish_sweep(window, context)
        if window.kind is WindowKind.DEADLINES:
            return cursor._with_deadlines(progress)._follow_up(context)
        fell_back_at = self.fell_back_at
        if self.date_field is DateField.SHOP_UPDATED:
            fell_back_at = fell_back_at or window.until
        elif window.date_field is DateField.TRACKSTAR_UPDATED:
            fell_back_at = None
        cursor = replace(
            cursor,
            position=max(self.position or window.until, window.until),
            read_until=window.until,
            last_read_started_at=progress.began_at,
            last_sync_end_read=progress.last_sync_end,
            fell_back_at=fell_back_at,
        )
        if window.kind is WindowKind.INCREMENTAL:
            return cursor._follow_up(context)
        cursor = replace(
            cursor,
            watch_started_at=window.until,
            baseline_completed_at=context.now.vendor,
            last_sweep_at=window.until,
        )
        return cursor._with_deadlines(progress)

    def _with_deadlines(self, progress: Progress) -> Self:
        return replace(self, deadlines=DeadlineWatch(progress.deadline_rules, progress.window.until))

    def _follow_up(self, context: ReadContext) -> Self:
        """Open the next window, if any: open orders whose deadlines are not recorded, or the daily sweep."""
        policy, vendor_now = context.policy, context.now.vendor
        cursor = self
        if policy.deadlines is None:
            cursor = replace(self, deadlines=replace(self.deadlines, rules=None))
        elif self.deadlines.rules != policy.deadline_rules:
            statuses = tuple(sorted(OPEN_STATUSES))
            return self._open(Window(kind=WindowKind.DEADLINES, until=vendor_now, statuses=statuses), context)
        if cursor.last_sweep_at is None or vendor_now - cursor.last_sweep_at >= SWEEP_INTERVAL:
            return cursor._sweep(context)
        return cursor

    def _sweep(self, context: ReadContext) -> Self:
        """Read every order in a watched status, without a bound on its date."""
        statuses = tuple(sorted(set(context.policy.statuses) - FINAL_STATUSES))
        if not statuses:
            return self._sweep_final(context)
        window = Window(kind=WindowKind.SWEEP, until=context.now.vendor, statuses=statuses)
        return self._open(window, context)

    def _sweep_final(self, context: ReadContext) -> Self:
        """Read the orders that reached a final status in the last days only, since their number grows without end.

        The bound is on the shop's own date: an order that the other windows missed may not have Trackstar's.
        """
        vendor_now = context.now.vendor
        window = Window(
            kind=WindowKind.SWEEP,
            after=min(self.last_sweep_at or vendor_now, vendor_now) - FINAL_SWEEP,
            until=vendor_now,
            date_field=DateField.SHOP_UPDATED,
            statuses=tuple(sorted(FINAL_STATUSES & set(context.policy.statuses))),
        )
        return self._open(window, context)

    def _finish_sweep(self, window: Window, context: ReadContext) -> Self:
        if window.after is None and FINAL_STATUSES & set(context.policy.statuses):
            return self._sweep_final(context)
        cursor = replace(self, last_sweep_at=window.until)
        if not self.is_filter_refused:
            return cursor
        # Try the refused filter again, once after each sweep.
        return replace(cursor, date_field=DateField.TRACKSTAR_UPDATED, is_filter_refused=False)

    def _choose_date_field(self, orders: Mapping[str, Order]) -> Self:
        """Use Trackstar's date if any order ever had one, else the shop's (rule 5)."""
        if not orders:
            return self
        has_vendor_dates = self.has_vendor_dates or any(order.trackstar_updated_date for order in orders.values())
        cursor = replace(self, has_orders=True, has_vendor_dates=has_vendor_dates)
        if not has_vendor_dates:
            return cursor._fall_back()
        if self.date_field is DateField.SHOP_UPDATED and not self.is_filter_refused:
            logger.info("orders have trackstar_updated_date; using it from now on")
            return replace(cursor, date_field=DateField.TRACKSTAR_UPDATED)
        return cursor

    def _fall_back(self) -> Self:
        if self.date_field is DateField.SHOP_UPDATED:
            return self
        logger.warning("trackstar_updated_date is missing or refused; using updated_date")
        fell_back_at = self.fell_back_at or min(filter(None, (self.position, self.read_until)), default=None)
        return replace(self, date_field=DateField.SHOP_UPDATED, fell_back_at=fell_back_at)
