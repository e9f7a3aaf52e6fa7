"""What counts as a transition: pure rules over what is stored and what is observed.

An order whose observed status differs from its stored one has moved; it is alerted when the new status is watched,
whatever the old one was. Nothing here reads or writes: an `OrderWrite` says what to write and why.
"""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum
from typing import Self

from orderwatch.alerts.alert import Alert
from orderwatch.alerts.parts import AlertConnection
from orderwatch.deadlines.rules import (
    FINAL_STATUSES,
    NO_DEADLINE,
    OPEN_STATUSES,
    TROUBLES,
    DeadlineRules,
    Silence,
    Standing,
)
from orderwatch.polling.state import ConnectionState
from orderwatch.polling.windows import Window, WindowKind
from orderwatch.trackstar.orders import Order, OrderPage, Version, VersionClock


@dataclass(frozen=True, slots=True)
class StoredOrder:
    """The last seen status of an order: its row in OrderTable.

    Attributes:
        status: As Trackstar named it.
        raw_status: The shop's own word for it.
        version: The version that showed this status last; never goes back (rule 3).
        status_since: The version that showed this status first.
        order_number: What a person knows the order by.
        waits: Whether the order waited for a person when it was stored (`Policy.waits`).
        changes: How many statuses of the order we saw one after the other, up to this one.
        alerted_by: The id of the alert about this status; None where there was none (a baseline, an unwatched status).
        ship_by: When the shop is to ship it, as it said last.
        standing: How it stands to its deadlines.
        extract: What a summary says of it (`Extract.saved`); None where it neither waits nor is at risk.
    """

    status: str
    raw_status: str | None
    version: Version
    status_since: datetime
    order_number: str
    waits: bool
    changes: int = 1
    alerted_by: str | None = None
    ship_by: datetime | None = None
    standing: Standing = NO_DEADLINE
    extract: str | None = None


class Reason(StrEnum):
    """Why an observed order is written and alerted, or not."""

    FIRST_SEEN = "first seen"
    BASELINE = "recorded by the baseline"
    BEFORE_WATCH = "older than the watch"
    STATUS_CHANGED = "status changed"
    SAME_STATUS = "new version of the same status"
    DEADLINE = "a deadline of the same version"
    GONE = "no longer in Trackstar's copy"
    UNCHANGED = "unchanged"
    STALE = "stale version"


SILENT = frozenset({Reason.BASELINE, Reason.BEFORE_WATCH})
END_OF_TIME = datetime.max.replace(tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Policy:
    """What the user wants to be alerted about.

    Attributes:
        statuses: The watched statuses.
        notify_recovered: Whether leaving a watched status is alerted.
        baseline_days: Days of history that a baseline reads; 0 reads all.
        deadlines: When an order of the shop is at risk, late or stuck; None: that is not watched.
    """

    statuses: Collection[str]
    notify_recovered: bool = True
    baseline_days: int = 0
    deadlines: DeadlineRules | None = None

    @property
    def deadline_rules(self) -> str | None:
        """The fingerprint of the rules for deadlines."""
        return self.deadlines.fingerprint if self.deadlines else None

    def watches(self, status: str) -> bool:
        """Whether a transition into the status is alerted."""
        return status in self.statuses

    def waits(self, status: str, standing: Standing = NO_DEADLINE) -> bool:
        """Whether an order waits for a person: in a watched status that is not final, or open and late or stuck."""
        is_late = status in OPEN_STATUSES and standing.passed is not None and standing.passed.kind in TROUBLES
        return is_late or (self.watches(status) and status not in FINAL_STATUSES)


@dataclass(frozen=True, slots=True)
class Observation:
    """What one page showed, and in which circumstances it was read.

    Attributes:
        connection: The connection that was read.
        observed_at: The vendor's clock when the page was read.
        window: Why it was read: a baseline records in silence (rule 8).
        watch_started_at: The vendor's clock when the baseline began, None before there was one.
        data_as_of: The end of the vendor's last sync of the connection's orders.
        silence: Deadlines that had passed when the watch of them began.
        known_until: Up to when the shop's data reach, where deadlines are told; None: they are only armed.
        orders: The newest record of each order of the page, by its id.
    """

    connection: AlertConnection
    observed_at: datetime
    window: WindowKind
    watch_started_at: datetime | None
    data_as_of: datetime | None
    silence: Silence | None = None
    known_until: datetime | None = None
    orders: Mapping[str, Order] = field(default_factory=dict)

    @classmethod
    def of(
        cls,
        page: OrderPage,
        state: ConnectionState,
        window: Window,
        connection: AlertConnection,
        *,
        now: datetime,
        policy: Policy,
    ) -> Self:
        """What a page of a window showed by now, the vendor's clock."""
        return cls(
            connection=connection,
            observed_at=now,
            window=window.kind,
            watch_started_at=state.watch_started_at,
            data_as_of=state.data_as_of,
            silence=silence_of(state, policy, now=window.until),
            orders=newest_of_each(page.orders),
        )


def silence_of(state: ConnectionState, policy: Policy, *, now: datetime) -> Silence:
    """What of a connection's deadlines is not told.

    Args:
        state: The connection's row.
        policy: What is watched.
        now: When the reading began, for deadlines that are not recorded yet.
    """
    if state.deadlines_since is None or state.deadline_rules != policy.deadline_rules:
        return Silence(now, is_recording=True)
    return Silence(state.deadlines_since, is_recording=False)


def newest_of_each(orders: Iterable[Order]) -> dict[str, Order]:
    """One record an order: a page may hold one twice, and only the one dated newest counts.

    The dates are taken as they stand, also where the vendor's clock was set back behind them.
    """
    newest: dict[str, Order] = {}
    for order in orders:
        known = newest.get(order.id)
        if known is None or not order.version(END_OF_TIME).is_older_than(known.version(END_OF_TIME)):
            newest[order.id] = order
    return newest


@dataclass(frozen=True, slots=True)
class OrderWrite:
    """One order's row to write, with the alert that stands or falls with it.

    Attributes:
        order_id: The order.
        expected: The row that was read and must still be there; None: there must be none.
        stored: The row to write.
        alert: The alert about its status to put beside it, None where there is nothing to alert about.
        reason: Why.
        deadline_alert: The alert about a deadline that passed.
    """

    order_id: str
    expected: StoredOrder | None
    stored: StoredOrder
    alert: Alert | None
    reason: Reason
    deadline_alert: Alert | None = None

    @property
    def alerts(self) -> tuple[Alert, ...]:
        """All that stands or falls with the row."""
        return tuple(alert for alert in (self.alert, self.deadline_alert) if alert)


def reason_for(order: Order, stored: StoredOrder | None, *, observation: Observation, policy: Policy) -> Reason:
    """What an observed order is to us, and so whether it is written and alerted."""
    if stored is None:
        return _reason_for_unknown(order, observation=observation, policy=policy)
    version = version_of(order, stored, observation)
    if version.is_older_than(stored.version):
        return Reason.STALE
    if order.status != stored.status:
        return Reason.STATUS_CHANGED
    same_version = version == stored.version or version.clock is VersionClock.OBSERVED
    return Reason.UNCHANGED if same_version and order.raw_status == stored.raw_status else Reason.SAME_STATUS


def version_of(order: Order, stored: StoredOrder | None, observation: Observation) -> Version:
    """Which version is observed: what was believed once is no future, also where the vendor's clock was set back."""
    past = observation.observed_at
    return order.version(max(past, stored.version.at) if stored else past)


def _reason_for_unknown(order: Order, *, observation: Observation, policy: Policy) -> Reason:
    if observation.window is WindowKind.BASELINE:
        return Reason.BASELINE
    if policy.baseline_days == 0 or observation.watch_started_at is None:
        return Reason.FIRST_SEEN
    had_since = order.details.first_seen_by_trackstar
    return Reason.BEFORE_WATCH if had_since and had_since <= observation.watch_started_at else Reason.FIRST_SEEN
