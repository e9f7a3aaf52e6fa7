"""What counts as a transition: pure rules over what is stored and what is observed.

An order whose observed status differs from its stored one has moved; it is alerted when the new status is watched,
whatever the old one was. Nothing here reads or writes: an `OrderWrite` says what to write and why.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum
from typing import Self

from orderwatch.alerts import (
    FINAL_STATUSES,
    KIND_RECOVERED,
    MAX_LINE_ITEMS,
    MAX_TEXT,
    Alert,
    AlertConnection,
    AlertLineItem,
    AlertOrder,
    alert_id,
    severity_of,
)
from orderwatch.polling.state import ConnectionState
from orderwatch.polling.windows import WindowKind
from orderwatch.trackstar.orders import LineItem, Order, OrderPage, Version, VersionClock


@dataclass(frozen=True, slots=True)
class StoredOrder:
    """The last seen status of an order: its row in OrderTable.

    Attributes:
        status: As Trackstar named it.
        raw_status: The shop's own word for it.
        version: The version that showed this status last; never goes back (rule 3).
        status_since: The version that showed this status first.
        order_number: What a person knows the order by.
        waits: Whether the order waited for a person when it was stored: in a watched status that is not final.
        changes: How many statuses of the order we saw one after the other, up to this one.
        alerted_by: The id of the alert about this status; None where there was none (a baseline, an unwatched status).
    """

    status: str
    raw_status: str | None
    version: Version
    status_since: datetime
    order_number: str
    waits: bool
    changes: int = 1
    alerted_by: str | None = None


class Reason(StrEnum):
    """Why an observed order is written and alerted, or not."""

    FIRST_SEEN = "first seen"
    BASELINE = "recorded by the baseline"
    BEFORE_WATCH = "older than the watch"
    STATUS_CHANGED = "status changed"
    SAME_STATUS = "new version of the same status"
    UNCHANGED = "unchanged"
    STALE = "stale version"


SILENT = frozenset({Reason.BASELINE, Reason.BEFORE_WATCH})
END_OF_TIME = datetime.max.replace(tzinfo=UTC)
UNWRITTEN = frozenset({Reason.UNCHANGED, Reason.STALE})


@dataclass(frozen=True, slots=True)
class Policy:
    """What the user wants to be alerted about.

    Attributes:
        statuses: The watched statuses.
        notify_recovered: Whether leaving a watched status is alerted.
        baseline_days: Days of history that a baseline reads; 0 reads all.
    """

    statuses: Collection[str]
    notify_recovered: bool = True
    baseline_days: int = 0

    def watches(self, status: str) -> bool:
        """Whether a transition into the status is alerted."""
        return status in self.statuses

    def waits(self, status: str) -> bool:
        """Whether an order in the status waits for a person: it is watched, and its order can still be helped."""
        return self.watches(status) and status not in FINAL_STATUSES


@dataclass(frozen=True, slots=True)
class Observation:
    """What one page showed, and in which circumstances it was read.

    Attributes:
        connection: The connection that was read.
        observed_at: The vendor's clock when the page was read.
        window: Why it was read: a baseline records in silence (rule 8).
        watch_started_at: The vendor's clock when the baseline began, None before there was one.
        data_as_of: The end of the vendor's last sync of the connection's orders.
        orders: The newest record of each order of the page, by its id.
    """

    connection: AlertConnection
    observed_at: datetime
    window: WindowKind
    watch_started_at: datetime | None
    data_as_of: datetime | None
    orders: Mapping[str, Order] = field(default_factory=dict)

    @classmethod
    def of(
        cls, page: OrderPage, state: ConnectionState, window: WindowKind, connection: AlertConnection, *, now: datetime
    ) -> Self:
        """What a page of a window showed by now, the vendor's clock."""
        return cls(
            connection=connection,
            observed_at=now,
            window=window,
            watch_started_at=state.watch_started_at,
            data_as_of=state.data_as_of,
            orders=newest_of_each(page),
        )


def newest_of_each(page: OrderPage) -> dict[str, Order]:
    """One record an order: a page may hold one twice, and only the one dated newest counts.

    The dates are taken as they stand, also where the vendor's clock was set back behind them.
    """
    newest: dict[str, Order] = {}
    for order in page.orders:
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
        alert: The alert to put beside it, None where there is nothing to alert about.
        reason: Why.
    """

    order_id: str
    expected: StoredOrder | None
    stored: StoredOrder
    alert: Alert | None
    reason: Reason


def reason_for(order: Order, stored: StoredOrder | None, *, observation: Observation, policy: Policy) -> Reason:
    """What an observed order is to us, and so whether it is written and alerted."""
    if stored is None:
        return _reason_for_unknown(order, observation=observation, policy=policy)
    version = _version(order, stored, observation)
    if version.is_older_than(stored.version):
        return Reason.STALE
    if order.status != stored.status:
        return Reason.STATUS_CHANGED
    same_version = version == stored.version or version.clock is VersionClock.OBSERVED
    return Reason.UNCHANGED if same_version and order.raw_status == stored.raw_status else Reason.SAME_STATUS


def _reason_for_unknown(order: Order, *, observation: Observation, policy: Policy) -> Reason:
    if observation.window is WindowKind.BASELINE:
        return Reason.BASELINE
    if policy.baseline_days == 0 or observation.watch_started_at is None:
        return Reason.FIRST_SEEN
    had_since = order.details.first_seen_by_trackstar
    return Reason.BEFORE_WATCH if had_since and had_since <= observation.watch_started_at else Reason.FIRST_SEEN


def decide(
    order: Order, stored: StoredOrder | None, *, observation: Observation, policy: Policy
) -> OrderWrite | Reason:
    """The write that an observed order asks for, or why it asks for none."""
    reason = reason_for(order, stored, observation=observation, policy=policy)
    if reason in UNWRITTEN:
        return reason
    if stored and reason is Reason.SAME_STATUS:
        return _touch(order, stored, observation=observation, policy=policy)
    silent = reason in SILENT
    alert = None if silent else _alert_of(order, stored, observation=observation, policy=policy)
    version = _version(order, stored, observation)
    after = StoredOrder(
        status=order.status,
        raw_status=order.raw_status,
        version=version,
        status_since=version.at,
        order_number=order.number,
        waits=policy.waits(order.status),
        changes=_changes_after(stored),
        alerted_by=alert.alert_id if alert and policy.watches(order.status) else None,
    )
    return OrderWrite(order_id=order.id, expected=stored, stored=after, alert=alert, reason=reason)


def _version(order: Order, stored: StoredOrder | None, observation: Observation) -> Version:
    """What was believed once is no future, also where the vendor's clock was set back behind it."""
    past = observation.observed_at
    return order.version(max(past, stored.version.at) if stored else past)


def _changes_after(stored: StoredOrder | None) -> int:
    return stored.changes + 1 if stored else 1


def _touch(order: Order, stored: StoredOrder, *, observation: Observation, policy: Policy) -> OrderWrite:
    """A newer version of the same status: stored, so that no older page can overwrite it, and never alerted."""
    after = StoredOrder(
        status=stored.status,
        raw_status=order.raw_status,
        version=_version(order, stored, observation),
        status_since=stored.status_since,
        order_number=order.number,
        waits=policy.waits(order.status),
        changes=stored.changes,
        alerted_by=stored.alerted_by,
    )
    return OrderWrite(order_id=order.id, expected=stored, stored=after, alert=None, reason=Reason.SAME_STATUS)


def _alert_of(order: Order, stored: StoredOrder | None, *, observation: Observation, policy: Policy) -> Alert | None:
    """The alert that a transition asks for.

    Its id is made of connection, order, status, version and the number of statuses seen before: dates may stand still
    while the order goes into trouble again, and the same transition decided again has the same id (rule 2).
    """
    kind = _kind_of(order.status, stored, policy)
    if kind is None:
        return None
    version, connection = _version(order, stored, observation), observation.connection
    return Alert(
        alert_id=alert_id(connection.id, order.id, order.status, version.at.isoformat(), str(_changes_after(stored))),
        kind=kind,
        severity=severity_of(kind),
        connection_id=connection.id,
        connection=connection,
        order=_snapshot(order, stored, version=version, seen_at=observation.observed_at),
        data_as_of=observation.data_as_of,
    )


def _snapshot(order: Order, stored: StoredOrder | None, *, version: Version, seen_at: datetime) -> AlertOrder:
    details = order.details
    lines = details.line_items[:MAX_LINE_ITEMS]
    return AlertOrder(
        id=order.id,
        number=order.number,
        url=details.external_system_url,
        status=order.status,
        previous_status=stored.status if stored else None,
        previous_status_since=stored.status_since if stored else None,
        raw_status=order.raw_status,
        created_at=details.created_date,
        updated_at=version.at,
        seen_at=seen_at,
        currency=details.invoice_currency_code,
        total_price=details.total_price,
        total_tax=details.total_tax,
        total_discount=details.total_discount,
        total_shipping=details.total_shipping,
        ship_by=details.latest_ship_date,
        shipments=details.shipments,
        line_items=tuple(_line(item) for item in lines),
        more_line_items=len(details.line_items) - len(lines),
    )


def _line(item: LineItem) -> AlertLineItem:
    product_id = item.product_id if item.product_id and len(item.product_id) <= MAX_TEXT else None
    return AlertLineItem(
        sku=item.product_sku, quantity=item.quantity, unit_price=item.unit_price, product_id=product_id
    )


def _kind_of(status: str, stored: StoredOrder | None, policy: Policy) -> str | None:
    if policy.watches(status):
        return f"order.{status}"
    # Nobody heard of a problem that was never alerted (a baseline's, say): its end is no news.
    recovered = stored is not None and stored.alerted_by is not None and policy.notify_recovered
    return KIND_RECOVERED if recovered else None
