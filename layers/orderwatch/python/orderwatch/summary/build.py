"""The main path of a summary: read the rows, count, compare, look up stock, make the alert.

The alert's row also stores a snapshot of the backlog, so that the next summary can compare with it. The figures come
from the tables only. For a shop that is not visible they are the last known ones, and the summary says so (rule 20).
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Protocol

from orderwatch.alerts.alert import Alert, Enrichment, alert_id
from orderwatch.alerts.kinds import KIND_SUMMARY, Severity
from orderwatch.alerts.parts import AlertConnection
from orderwatch.alerts.summary import ALL_SHOPS, DailySummary, NotVisible, ShopSummary
from orderwatch.records import ConnectionState, HealthState, StoredOrder
from orderwatch.summary.changes import (
    WEEK,
    OrdersSince,
    PreviousSummary,
    cleared_ids,
    encode,
    hours_to_clear,
    shop_changes,
    total_changes,
    week_changes,
)
from orderwatch.summary.figures import SummaryRow, shop_summary, total, worst_first
from orderwatch.summary.stock import StockSource, add_products

LOOK_BACK = timedelta(days=15)
"""How far back earlier summaries are read: two weeks, and the summary that the first of them compares with."""
MARGIN = timedelta(days=1)
"""Added to the warning time: Trackstar's clock, not ours, decided which orders are at risk."""
MAX_BYTES = 180_000
"""Maximum size of the alert in its row, beside the snapshot: DynamoDB takes 400 KB."""
MONDAY = 0


class Store(Protocol):
    """The tables that a summary reads."""

    def states(self, connection_ids: Collection[str]) -> Mapping[str, ConnectionState]:
        """The rows of these connections; those without a row are left out."""

    def needing_attention(self, connection_id: str) -> Mapping[str, StoredOrder]:
        """The orders that need attention, by id."""

    def due(self, connection_id: str, until: datetime) -> Mapping[str, StoredOrder]:
        """The orders whose next deadline is at or before a moment, by id."""

    def stored_orders(self, connection_id: str, order_ids: Collection[str]) -> Mapping[str, StoredOrder]:
        """The rows of these orders; those without a row are left out."""

    def previous_summaries(self, since: datetime) -> list[PreviousSummary]:
        """The summaries that were written after a moment, the newest first."""


@dataclass(frozen=True, slots=True)
class Shop:
    """A watched shop; an order is at risk `late_warning_hours` before its ship-by."""

    connection_id: str
    name: str | None
    time_zone: str
    late_warning_hours: int


@dataclass(frozen=True, slots=True)
class SummaryRequest:
    """When and for which stack a summary is made.

    Attributes:
        stack: Name of the stack; part of the alert's id.
        day: Date in the stack's time zone; part of the alert's id, so that a repeated schedule event sends no second
            summary.
        at: Our clock.
        time_zone: IANA name of the stack's time zone.
        watched: The statuses that raise an alert.
        stalled_after: A shop is not visible if no poll succeeded for longer than this.
        request_id: Makes the alert's id unique if a person requested the summary; empty for a scheduled one.
    """

    stack: str
    day: date
    at: datetime
    time_zone: str
    watched: Collection[str]
    stalled_after: timedelta
    request_id: str = ""


@dataclass(frozen=True, slots=True)
class PreparedSummary:
    """A summary that is not written yet."""

    alert: Alert
    snapshot: str | None
    """The encoded snapshot for the next summary; None if it is too long to store."""


@dataclass(frozen=True, slots=True)
class _ShopRows:
    """The rows of one shop.

    Attributes:
        orders: Those that need attention or are at risk.
        backlog: Those that need attention.
        before: Those that needed attention in the previous summary; None if there is no snapshot.
        hours: Hours that it took to clear each order that was cleared since then.
    """

    shop: Shop
    state: ConnectionState
    orders: Sequence[SummaryRow]
    backlog: OrdersSince
    before: OrdersSince | None
    hours: Sequence[Decimal]


def summarize(
    shops: Sequence[Shop], *, store: Store, products: StockSource | None, request: SummaryRequest
) -> PreparedSummary:
    """Make the summary of these shops, without writing it.

    Args:
        shops: All watched shops.
        store: The tables.
        products: Where stock is looked up; None: it is left out.
        request: The stack and the time.
    """
    previous = store.previous_summaries(request.at - LOOK_BACK)
    read = _read(shops, previous[0] if previous else None, store, request)
    summary = _figures(read, previous, request)
    orders = {each.shop.connection_id: each.orders for each in read}
    with_products, missing = add_products(summary.shops, orders, products)
    summary = summary.with_shops(tuple(with_products), more=0)
    snapshot = encode({each.shop.connection_id: each.backlog for each in read})
    return PreparedSummary(_alert(summary, missing, read, request), snapshot)


def as_of(state: ConnectionState, at: datetime) -> datetime:
    """The time of a shop's data: ages never use a clock that is ahead of the data (rule 19).

    A shop that was never read has no such time; `at`, by our clock, replaces it.
    """
    return state.syncs.last_end or state.cursor.read_until or at


def not_visible(state: ConnectionState, *, at: datetime, stalled_after: timedelta) -> NotVisible | None:
    """Why the orders of a shop cannot be read at `at` (our clock), and since when; None if they can."""
    if state.health and state.health.is_unhealthy:
        is_stale = state.health.state is HealthState.STALE
        since = state.syncs.last_end if is_stale and state.syncs.last_end else state.health.since
        return NotVisible(state=state.health.state, since=since)
    if state.cursor.baseline_completed_at is None:
        return NotVisible(state=HealthState.INITIAL_SYNC, since=state.cursor.watch_started_at)
    if state.cursor.last_success_at is None or at - state.cursor.last_success_at > stalled_after:
        return NotVisible(state=HealthState.POLL_FAILING, since=state.cursor.last_success_at)
    return None


def _read(
    shops: Sequence[Shop], previous: PreviousSummary | None, store: Store, request: SummaryRequest
) -> list[_ShopRows]:
    states = store.states([shop.connection_id for shop in shops])
    snapshot = previous.snapshot if previous else None
    read = []
    for shop in shops:
        key = shop.connection_id
        state = states.get(key) or ConnectionState(connection_id=key)
        until = max(as_of(state, request.at), request.at) + timedelta(hours=shop.late_warning_hours) + MARGIN
        rows = {**store.due(key, until), **store.needing_attention(key)}
        found = (SummaryRow(order_id, row, request.watched, request.at) for order_id, row in rows.items())
        orders = [order for order in found if order.needs_attention or order.is_at_risk]
        backlog = {order.id: order.since for order in orders if order.needs_attention}
        before = snapshot.get(key, {}) if snapshot is not None else None
        cleared = cleared_ids(before, backlog) if before else []
        gone = store.stored_orders(key, cleared) if cleared else {}
        hours = hours_to_clear(before or {}, gone, watched_since=state.cursor.watch_started_at)
        read.append(_ShopRows(shop, state, orders, backlog, before, hours))
    return read


def _figures(read: Sequence[_ShopRows], previous: Sequence[PreviousSummary], request: SummaryRequest) -> DailySummary:
    since = previous[0].summary.at if previous and previous[0].snapshot is not None else None
    every = [_shop(each, since, request) for each in read]
    hours = [hours for each in read for hours in each.hours]
    changes = total_changes(since, [each.changes for each in every if each.changes], hours) if since else None
    listed = sorted((each for each in every if each.not_visible or each.orders), key=worst_first)
    summary = DailySummary(
        day=request.day,
        at=request.at,
        watched_shops=len(every),
        shops_not_visible=sum(each.not_visible is not None for each in every),
        total=total(every),
        changes=changes,
        shops=tuple(listed),
    )
    if request.day.weekday() != MONDAY:
        return summary
    summaries = [summary, *(each.summary for each in previous)]
    return summary.with_weeks(week_changes(summary.day, summaries), week_changes(summary.day - WEEK, summaries))


def _shop(read: _ShopRows, since: datetime | None, request: SummaryRequest) -> ShopSummary:
    changes = None
    if since and read.before is not None:
        changes = shop_changes(since, before=read.before, now=read.backlog, hours=read.hours)
    return shop_summary(
        read.orders,
        connection_id=read.shop.connection_id,
        as_of=as_of(read.state, request.at),
        name=read.shop.name,
        time_zone=read.shop.time_zone,
        not_visible=not_visible(read.state, at=request.at, stalled_after=request.stalled_after),
        changes=changes,
    )


def _alert(summary: DailySummary, missing: Sequence[str], read: Sequence[_ShopRows], request: SummaryRequest) -> Alert:
    day = request.day.isoformat()
    known = [each.state.syncs.last_end for each in read if each.state.syncs.last_end]
    alert = Alert(
        alert_id=alert_id(KIND_SUMMARY, request.stack, day, *filter(None, [request.request_id])),
        kind=KIND_SUMMARY,
        severity=Severity.INFO if summary.is_quiet else Severity.WARNING,
        connection_id=ALL_SHOPS,
        connection=AlertConnection(id=ALL_SHOPS, name="All shops", time_zone=request.time_zone),
        enrichment=Enrichment(complete=not missing, missing=tuple(missing)),
        data_as_of=min(known, default=None),
    )

    def fits(shown: DailySummary) -> bool:
        return len(alert.replace(summary=shown).model_dump_json(exclude_none=True).encode()) <= MAX_BYTES

    return alert.replace(summary=summary.longest(fits))
