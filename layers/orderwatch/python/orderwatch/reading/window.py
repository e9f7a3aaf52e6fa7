"""A window: a range of orders that is read to its end, the progress of the reading, and the backlog that it counts."""

import base64
from array import array
from collections import Counter, deque
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from decimal import Decimal
from enum import StrEnum
from hashlib import blake2b
from heapq import nsmallest
from itertools import batched, compress
from typing import Annotated, Self

from pydantic import PlainSerializer, PlainValidator

from orderwatch.alerts.parts import Backlog, BacklogOrder, by_urgency
from orderwatch.reading.policy import Policy
from orderwatch.trackstar.orders import PAGE_SIZE, ROOMY, DateField, Order, OrderPage, OrderQuery

OVERLAP = timedelta(minutes=10)
"""How far a window overlaps the last one, to read orders that arrived late at the boundary."""
MAX_ATTEMPTS = 3
"""How often a window is read. If it still has fewer orders than expected, the sweep finds the rest; if its page tokens
are still refused or repeat, the poll fails (rule 7)."""
MAX_PAGES_WITHOUT_NEW_ORDERS = 5
"""Consecutive pages without a new order after which the page tokens count as a loop."""
MAX_LISTED = 10
"""Orders that `watch.started` lists, most urgent first."""
MAX_SAVED_IDS = 10_000
"""Ids that a window saves for the next poll, in 80 KB of the connection's row."""
_FINGERPRINT_BYTES = 6
_FIRST_SLOTS = 4096


class WindowKind(StrEnum):
    """Why orders are read. `DUE` and `RESTOCKED` have no window: these orders are read by their ids."""

    BASELINE = "baseline"
    INCREMENTAL = "incremental"
    SWEEP = "sweep"
    DEADLINES = "deadlines"
    DUE = "due"
    RESTOCKED = "restocked"


@dataclass(frozen=True, slots=True, kw_only=True)
class Window(OrderQuery):
    """A range of orders that is read to its end, with the same filters on every page.

    Attributes:
        kind: Why it is read. `until` is the vendor's clock when the window was opened.
    """

    kind: WindowKind


class ReadIds:
    """The orders that a window has read, so that each is counted once (rule 6), in 16 to 32 bytes each.

    A hash table of fingerprints with open addressing: a `set` of a million ids takes 62 MiB, this takes 16. It is the
    only mutable part of a cursor: it grows in place, since a copy for each page would take quadratic time.
    """

    def __init__(self) -> None:
        self._slots = array("Q", bytes(8 * _FIRST_SLOTS))
        self._count = 0

    @classmethod
    def from_text(cls, text: str) -> Self:
        """Decode the result of `to_text`."""
        ids, known = cls(), base64.b64decode(text)
        parts = batched(known, _FINGERPRINT_BYTES, strict=False)
        deque(ids._inserted(map(int.from_bytes, parts)), maxlen=0)
        return ids

    def to_text(self) -> str:
        """Encode for the connection's row; empty if there are more than `MAX_SAVED_IDS`."""
        if self._count > MAX_SAVED_IDS:
            return ""
        known = (fingerprint.to_bytes(_FINGERPRINT_BYTES) for fingerprint in self._slots if fingerprint)
        return base64.b64encode(b"".join(known)).decode("ascii")

    def __eq__(self, other: object) -> bool:
        return isinstance(other, ReadIds) and set(self._slots) == set(other._slots)

    __hash__ = None  # type: ignore[assignment] # it is mutable

    def __len__(self) -> int:
        return self._count

    def add(self, order_ids: Iterable[str]) -> list[bool]:
        """Add orders; whether each of them is new."""
        return list(self._inserted(map(_fingerprint, order_ids)))

    def _inserted(self, fingerprints: Iterable[int]) -> Iterator[bool]:
        """Insert each fingerprint when the iterator comes to it; whether it is new."""
        slots, size = self._slots, len(self._slots)
        for fingerprint in fingerprints:
            at = fingerprint % size
            while (known := slots[at]) and known != fingerprint:
                at = (at + 1) % size
            if not known:
                slots[at] = fingerprint
                self._count += 1
            if 2 * self._count > size:
                self._grow()
                slots, size = self._slots, len(self._slots)
            yield not known

    def _grow(self) -> None:
        before = self._slots
        self._slots = array("Q", bytes(2 * before.itemsize * len(before)))
        self._count = 0
        deque(self._inserted(filter(None, before)), maxlen=0)


def _fingerprint(order_id: str) -> int:
    digest = blake2b(order_id.encode("utf-8", "surrogatepass"), digest_size=_FINGERPRINT_BYTES).digest()
    return int.from_bytes(digest) or 1  # 0 marks an empty slot


@dataclass(frozen=True, slots=True)
class BacklogCount:
    """The orders of a window that the alert about the start of a watch counts and lists.

    Attributes:
        by_status: Number of orders that need attention, by status.
        most_urgent: The most urgent of them, at most `MAX_LISTED`; only in a baseline.
        overdue: Number of orders by the kind of the latest deadline that passed before the window began (rule 19).
    """

    by_status: Mapping[str, int] = field(default_factory=dict)
    most_urgent: tuple[BacklogOrder, ...] = ()
    overdue: Mapping[str, int] = field(default_factory=dict)

    def with_orders(self, new: Iterable[Order], policy: Policy, *, overdue_by: datetime) -> Self:
        """Count new orders; `overdue_by` is when the watch of deadlines begins."""
        by_status, overdue = Counter(self.by_status), Counter(self.overdue)
        for order in new:
            if policy.needs_attention(order.status):
                by_status[order.status] += 1
            if kind := policy.past_shipping(order.status, order.latest_ship_date, by=overdue_by):
                overdue[kind] += 1
        return type(self)(dict(by_status), self.most_urgent, dict(overdue))

    def listing(self, shown: Mapping[str, Order], policy: Policy) -> Self:
        """List the most urgent orders after one more page; a newer record of an order replaces the listed one."""
        listed: list[BacklogOrder | Order] = [order for order in self.most_urgent if order.id not in shown]
        listed += [order for order in shown.values() if policy.needs_attention(order.status)]
        urgent = nsmallest(MAX_LISTED, listed, key=_urgency)
        most_urgent = tuple(_listed(order) if isinstance(order, Order) else order for order in urgent)
        return type(self)(self.by_status, most_urgent, self.overdue)

    def backlog(self, *, now: datetime) -> Backlog | None:
        """The backlog as the alert shows it; None if no order needs attention. `now` is the vendor's clock."""
        if not self.by_status:
            return None
        # An order that changed while the window was read can be counted and no longer need attention.
        more = max(sum(self.by_status.values()) - len(self.most_urgent), 0)
        return Backlog(seen_at=now, by_status=dict(self.by_status), orders=self.most_urgent, more_orders=more)


def _urgency(order: BacklogOrder | Order) -> tuple[datetime, Decimal]:
    if isinstance(order, Order):
        return by_urgency(order.latest_ship_date, order.details.total_price)
    return by_urgency(order.ship_by, order.total_price)


def _listed(order: Order) -> BacklogOrder:
    details = order.details
    return BacklogOrder(
        id=order.id,
        number=order.number,
        url=details.external_system_url,
        status=order.status,
        raw_status=order.raw_status,
        currency=details.invoice_currency_code,
        total_price=details.total_price,
        ship_by=order.latest_ship_date,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """How far a window has been read (rule 7).

    Attributes:
        window: The window.
        began_at: When it was opened, by our clock.
        last_sync_end: The end of the last sync when it was opened, if known.
        page_token: The next page; None: the first.
        read_count: Number of distinct orders read.
        expected_count: The largest `total_count` seen.
        backlog: The backlog in these orders; only of a baseline, and of a window that begins the watch of deadlines.
        deadline_rules: The fingerprint of the deadline rules when it was opened.
        attempt: Number of this attempt, from 1. One above `MAX_ATTEMPTS`: no attempt reached the end of the list.
        pages_without_new_orders: Consecutive pages of one poll without a new order.
        page_size: Maximum orders of the next page.
        read_ids: The orders read; grows in place.
    """

    window: Window
    began_at: datetime
    last_sync_end: datetime | None = None
    page_token: str | None = None
    read_count: int = 0
    expected_count: int = 0
    backlog: BacklogCount = field(default_factory=BacklogCount)
    deadline_rules: str | None = None
    attempt: int = 1
    pages_without_new_orders: int = 0
    page_size: int = PAGE_SIZE
    read_ids: Annotated[ReadIds, PlainValidator(ReadIds.from_text), PlainSerializer(ReadIds.to_text)] = field(
        default_factory=ReadIds
    )

    @property
    def remaining(self) -> int:
        """Number of expected orders that are not read yet."""
        return max(self.expected_count - self.read_count, 0)

    def is_short(self) -> bool:
        """Whether fewer orders were read than expected, and another attempt is left (rule 6)."""
        return self.read_count < self.expected_count and self.attempt < MAX_ATTEMPTS

    def is_loop(self, next_token: str) -> bool:
        """Whether the next page is this page, or the last pages had no new order."""
        return next_token == self.page_token or self.pages_without_new_orders >= MAX_PAGES_WITHOUT_NEW_ORDERS

    def is_beyond(self, other: "Progress") -> bool:
        """Whether more was read, or tried, than with the other progress."""
        if self.window != other.window:
            return True
        return (self.attempt, self.read_count, -self.page_size) > (other.attempt, other.read_count, -other.page_size)

    @property
    def is_exhausted(self) -> bool:
        """Whether the list has no end that can be reached."""
        return self.attempt > MAX_ATTEMPTS

    def restarted(self) -> Self:
        """The next attempt, from the first page."""
        return type(self)(
            window=self.window,
            began_at=self.began_at,
            last_sync_end=self.last_sync_end,
            deadline_rules=self.deadline_rules,
            attempt=self.attempt + 1,
            page_size=self.page_size,
        )

    def continued(self) -> Self:
        """The progress at the beginning of another poll: one more attempt, if none is left; tokens may have changed."""
        return replace(self, attempt=min(self.attempt, MAX_ATTEMPTS), pages_without_new_orders=0)

    def with_smaller_pages(self) -> Self:
        """The same page with half of the orders."""
        return replace(self, page_size=max(self.page_size // 2, 1))

    def counting(self, page: OrderPage, orders: Mapping[str, Order], policy: Policy) -> Self:
        """Count the new orders of a page, since an order that changes during the reading can appear twice.

        Args:
            page: The page.
            orders: The newest record of each of its orders, by id.
            policy: What is watched.
        """
        new = list(compress(orders.values(), self.read_ids.add(orders)))
        bad_ids = [each.order_id for each in page.quarantined if each.order_id is not None]
        bad = len(page.quarantined) - len(bad_ids) + sum(self.read_ids.add(bad_ids))
        backlog = self.backlog
        if self.window.kind in {WindowKind.BASELINE, WindowKind.DEADLINES}:  # only the alerts about their ends show it
            backlog = backlog.with_orders(new, policy, overdue_by=self.window.until)
        if self.window.kind is WindowKind.BASELINE:
            backlog = backlog.listing(orders, policy)
        return replace(
            self,
            read_count=self.read_count + len(new) + bad,
            expected_count=max(self.expected_count, page.total_count or 0),
            pages_without_new_orders=0 if new or bad else self.pages_without_new_orders + 1,
            page_size=min(2 * self.page_size, PAGE_SIZE) if page.size <= ROOMY else self.page_size,
            backlog=backlog,
        )


def baseline_window(*, vendor_now: datetime, days: int) -> Window:
    """The whole history, or the last `days` if above 0 (rule 8)."""
    after = vendor_now - timedelta(days=days) if days else None
    return Window(kind=WindowKind.BASELINE, after=after, until=vendor_now)


def incremental_window(
    *,
    start: datetime,
    age: timedelta,
    vendor_now: datetime,
    date_field: DateField,
    sync_frequency: timedelta,
) -> Window:
    """What changed since the position, with an overlap.

    Args:
        start: Up to when everything was read.
        age: How long ago that reading began, by our clock. It replaces `start` if the vendor's clock was set back.
        vendor_now: The vendor's clock.
        date_field: The date that the filter uses. A change can become visible a whole sync after the shop's own date,
            so the overlap on that date is at least two syncs (rule 5).
        sync_frequency: How often Trackstar pulls the shop's orders.
    """
    overlap = OVERLAP if date_field is DateField.TRACKSTAR_UPDATED else max(OVERLAP, 2 * sync_frequency)
    after = min(start, vendor_now - max(age, timedelta(0))) - overlap
    return Window(kind=WindowKind.INCREMENTAL, after=after, until=vendor_now, date_field=date_field)
