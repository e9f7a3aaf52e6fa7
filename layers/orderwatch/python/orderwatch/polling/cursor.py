"""Which orders a poll asks for, and how far it has come: the rules of the cursor, as pure functions.

The cursor passes only what has been read and written (rule 4). All bounds are by the vendor's clock, taken at the
start of a reading; ours serves only to tell how long ago that was (rule 5).
"""

import base64
import hashlib
from array import array
from collections.abc import Collection
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Annotated, NamedTuple, Protocol, Self

from pydantic import Field, PlainSerializer, PlainValidator

from orderwatch import clock
from orderwatch.alerts.parts import BacklogOrder
from orderwatch.deadlines.rules import FINAL_STATUSES, OPEN_STATUSES
from orderwatch.model import Model
from orderwatch.polling.policy import Policy
from orderwatch.records import Health, HealthState
from orderwatch.trackstar.connections import DEFAULT_SYNC_FREQUENCY
from orderwatch.trackstar.orders import DateField, OrderQuery

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
MAX_PAGES_WITHOUT_NEW_ORDERS = 5
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


MAX_SAVED = 10_000
"""Orders of a window that the next poll still knows to be read: 80 KB of the connection's row."""
_FINGERPRINT_BYTES = 6
_FIRST_SLOTS = 4096


class SeenOrders:
    """The orders read."""

    def __init__(self) -> None:
        self._slots = array("Q", bytes(8 * _FIRST_SLOTS))
        self._count = 0

    @classmethod
    def from_json(cls, saved: str) -> Self:
        """Those that another poll saved."""
        seen, known = cls(), base64.b64decode(saved)
        for at in range(0, len(known), _FINGERPRINT_BYTES):
            seen._insert(int.from_bytes(known[at : at + _FINGERPRINT_BYTES]))
        return seen

    def __eq__(self, other: object) -> bool:
        return isinstance(other, SeenOrders) and set(self._slots) == set(other._slots)

    __hash__ = None  # type: ignore[assignment] # it grows

    def __len__(self) -> int:
        return self._count

    def add(self, order_id: str) -> bool:
        """Remember an order; True where it was not known."""
        return self._insert(_fingerprint(order_id))

    def to_json(self) -> str:
        """All of them for the next poll, or none where they are too many for the row."""
        if self._count > MAX_SAVED:
            return ""
        known = (fingerprint.to_bytes(_FINGERPRINT_BYTES) for fingerprint in self._slots if fingerprint)
        return base64.b64encode(b"".join(known)).decode("ascii")

    def _insert(self, fingerprint: int) -> bool:
        slots = self._slots
        at = fingerprint % len(slots)
        while known := slots[at]:
            if known == fingerprint:
                return False
            at = (at + 1) % len(slots)
        slots[at] = fingerprint
        self._count += 1
        if 2 * self._count > len(slots):
            self._grow()
        return True

    def _grow(self) -> None:
        before = self._slots
        self._slots = array("Q", bytes(2 * before.itemsize * len(before)))
        self._count = 0
        for fingerprint in before:
            if fingerprint:
                self._insert(fingerprint)


def _fingerprint(order_id: str) -> int:
    """The same in every process; never 0, which marks an empty slot."""
    digest = hashlib.blake2b(order_id.encode("utf-8", "surrogatepass"), digest_size=_FINGERPRINT_BYTES)
    return int.from_bytes(digest.digest()) or 1


class Progress(Model):
    """How far a window was read (rule 7).

    Attributes:
        window: What is read.
        began_at: Our clock when it began.
        synced_at: The end of the last sync that Trackstar had told of when the window was opened.
        page_token: The next page; None: the first.
        read_count: Distinct orders read up to here.
        expected_count: The largest `total_count` seen.
        attention: Orders read that wait for a person, by status.
        waiting: Of a baseline, the most urgent orders that wait already.
        past: Orders read whose deadline had passed when the window began, by the kind of the latest (rule 19).
        deadline_rules: The fingerprint of the rules for deadlines when it began.
        attempt: How often the window was begun.
        pages_without_new_orders: Pages in a row, of one poll, that showed no order that was not read before.
        seen: The orders read; `reading.advance` adds to it in place, as a copy a page would be quadratic.
    """

    window: Window
    began_at: datetime
    synced_at: datetime | None = None
    page_token: str | None = None
    read_count: int = 0
    expected_count: int = 0
    attention: dict[str, int] = Field(default_factory=dict)
    waiting: tuple[BacklogOrder, ...] = ()
    past: dict[str, int] = Field(default_factory=dict)
    deadline_rules: str | None = None
    attempt: int = 1
    pages_without_new_orders: int = 0
    seen: Annotated[
        SeenOrders,
        PlainValidator(SeenOrders.from_json),
        PlainSerializer(lambda seen: seen.to_json()),
    ] = Field(default_factory=SeenOrders)

    @property
    def left(self) -> int:
        """How many orders of the window are still to be read, as far as was promised."""
        return max(self.expected_count - self.read_count, 0)

    def is_short(self) -> bool:
        """Whether fewer orders were read than promised, and beginning again is worth it (rule 6)."""
        return self.read_count < self.expected_count and self.attempt < MAX_ATTEMPTS

    def leads_nowhere(self, next_token: str) -> bool:
        """Whether the next page is this one again, or the last pages showed nothing new."""
        return next_token == self.page_token or self.pages_without_new_orders >= MAX_PAGES_WITHOUT_NEW_ORDERS

    def restarted(self) -> "Progress":
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


class ConnectionState(Model):
    """A connection's row: what survives from poll to poll.

    Attributes:
        connection_id: Which connection.
        revision: Grows with every write; a write is conditional on the one that was read.
        integration: Trackstar's name of the integration.
        cursor: By the vendor's clock, up to when everything was read and written (rule 4); None before the baseline.
        read_until: The vendor's clock when the reading that set the cursor began: before the cursor where the vendor's
            clock went back, since a cursor never does.
        last_read_started_at: Our clock when the reading that set the cursor began.
        last_sync_end_read: The end of the last sync that Trackstar had told of when that reading began.
        sync_asked_at: Our clock when Trackstar was last asked to sync the shop.
        sync_refused_at: Our clock when it last refused to.
        watch_started_at: The vendor's clock when the baseline began.
        baseline_completed_at: The vendor's clock when it ended.
        date_field: What the incremental filter runs on.
        has_orders: Whether an order was ever read: before that, `date_field` is a guess.
        has_vendor_dates: Whether any order ever showed Trackstar's date of change.
        is_filter_refused: Whether Trackstar answered 422 to the filter on its own date; tried again after each sweep.
        fell_back_at: Where the cursor was when the shop's date came into use: a window on Trackstar's date reaches back
            to it, once.
        sync_frequency: How often Trackstar pulls its orders.
        data_as_of: The end of the last of these syncs.
        health: Whether its orders can be seen.
        last_success_at: Our clock when a window was last read to its end.
        last_sweep_at: The vendor's clock when the last sweep began.
        other_statuses: Statuses beyond Trackstar's documented ones that orders of the connection have had.
        reported_statuses: Watched statuses that the operators were asked about.
        deadline_rules: The fingerprint of the rules by which the deadlines of all open orders were recorded, if any.
        deadlines_since: The vendor's clock when that reading began: what had passed by then is not alerted (rule 19).
        settings_flaw: Why the shop's own settings cannot be read; the operators were notified of it.
        quarantined: Why an order cannot be watched, by its id; the operators were notified of each (rule 9).
        progress: The window that is being read, None between windows.
    """

    connection_id: str
    revision: int = 0
    integration: str | None = None
    cursor: datetime | None = None
    read_until: datetime | None = None
    last_read_started_at: datetime | None = None
    last_sync_end_read: datetime | None = None
    sync_asked_at: datetime | None = None
    sync_refused_at: datetime | None = None
    watch_started_at: datetime | None = None
    baseline_completed_at: datetime | None = None
    date_field: DateField = DateField.TRACKSTAR_UPDATED
    has_orders: bool = False
    has_vendor_dates: bool = False
    is_filter_refused: bool = False
    fell_back_at: datetime | None = None
    sync_frequency: timedelta = DEFAULT_SYNC_FREQUENCY
    data_as_of: datetime | None = None
    health: Health | None = None
    last_success_at: datetime | None = None
    last_sweep_at: datetime | None = None
    other_statuses: tuple[str, ...] = ()
    reported_statuses: tuple[str, ...] = ()
    deadline_rules: str | None = None
    deadlines_since: datetime | None = None
    settings_flaw: str | None = None
    quarantined: dict[str, str] = Field(default_factory=dict)
    progress: Progress | None = None

    @property
    def is_poll_failing(self) -> bool:
        """Whether no reading came to its end since the operators were notified that none does."""
        if self.health is None or self.health.state is not HealthState.POLL_FAILING:
            return False
        return self.last_success_at is None or self.last_success_at < self.health.since

    def has_read_since(self, moment: datetime) -> bool:
        """Whether a whole reading that began after the moment is done (both by our clock)."""
        return self.last_read_started_at is not None and self.last_read_started_at >= moment


class VendorClock(Protocol):
    """Where the vendor's clock is read."""

    def now(self) -> datetime:
        """The vendor's clock at its latest response."""


class Now(NamedTuple):
    """The two clocks at one moment."""

    vendor: datetime
    ours: datetime

    @classmethod
    def of(cls, vendor: "VendorClock") -> Self:
        """The vendor's clock at its latest answer, and ours."""
        return cls(vendor.now(), clock.now())


def open_window(state: ConnectionState, window: Window, now: Now, policy: Policy) -> ConnectionState:
    """Begin to read a window."""
    progress = Progress(
        window=window, began_at=now.ours, synced_at=state.data_as_of, deadline_rules=policy.deadline_rules
    )
    return state.model_copy(update={"progress": progress})


def complete(state: ConnectionState, progress: Progress, *, now: Now, policy: Policy) -> ConnectionState:
    """Every page of the window was read: the cursor passes it with this page's write (rule 4)."""
    window = progress.window
    state = state.model_copy(update={"progress": None, "last_success_at": now.ours})
    if window.kind is WindowKind.SWEEP:
        return _complete_sweep(state, window, now=now, policy=policy)
    if window.kind is WindowKind.DEADLINES:
        return _next_window_after(_with_deadlines(state, progress), now=now, policy=policy)
    cursor = max(state.cursor or window.until, window.until)
    done: dict[str, object] = {
        "cursor": cursor,
        "read_until": window.until,
        "last_read_started_at": progress.began_at,
        "last_sync_end_read": progress.synced_at,
    }
    if state.date_field is DateField.SHOP_UPDATED:
        done |= {"fell_back_at": state.fell_back_at or window.until}
    elif window.date_field is DateField.TRACKSTAR_UPDATED:
        done |= {"fell_back_at": None}
    if window.kind is WindowKind.BASELINE:
        done |= {"watch_started_at": window.until, "baseline_completed_at": now.vendor, "last_sweep_at": window.until}
        return _with_deadlines(state.model_copy(update=done), progress)
    return _next_window_after(state.model_copy(update=done), now=now, policy=policy)


def _with_deadlines(state: ConnectionState, progress: Progress) -> ConnectionState:
    """The deadline of every open order is recorded."""
    since = {"deadline_rules": progress.deadline_rules, "deadlines_since": progress.window.until}
    return state.model_copy(update=since)


def _next_window_after(state: ConnectionState, *, now: Now, policy: Policy) -> ConnectionState:
    """What is to be read behind what changed: open orders whose deadlines are not recorded, and the daily sweep."""
    if policy.deadlines is None:
        state = state.model_copy(update={"deadline_rules": None})
    elif state.deadline_rules != policy.deadline_rules:
        return open_window(state, deadlines_window(vendor_now=now.vendor, statuses=OPEN_STATUSES), now, policy)
    if state.last_sweep_at is None or now.vendor - state.last_sweep_at >= SWEEP_INTERVAL:
        return _sweep(state, now=now, policy=policy)
    return state


def _sweep(state: ConnectionState, *, now: Now, policy: Policy) -> ConnectionState:
    waiting = set(policy.statuses) - FINAL_STATUSES
    if not waiting:
        return _sweep_final(state, now=now, policy=policy)
    return open_window(state, sweep_window(vendor_now=now.vendor, statuses=waiting), now, policy)


def _sweep_final(state: ConnectionState, *, now: Now, policy: Policy) -> ConnectionState:
    statuses = FINAL_STATUSES & set(policy.statuses)
    window = final_sweep_window(vendor_now=now.vendor, last_sweep_at=state.last_sweep_at, statuses=statuses)
    return open_window(state, window, now, policy)


def _complete_sweep(state: ConnectionState, window: Window, *, now: Now, policy: Policy) -> ConnectionState:
    if window.after is None and FINAL_STATUSES & set(policy.statuses):
        return _sweep_final(state, now=now, policy=policy)
    done: dict[str, object] = {"last_sweep_at": window.until}
    if state.is_filter_refused:  # a refusal may have passed: try again, once between two sweeps
        done |= {"date_field": DateField.TRACKSTAR_UPDATED, "is_filter_refused": False}
    return state.model_copy(update=done)
