"""One summary of all shops, read from top to bottom: read the rows, count, compare, look up stock, write one alert.

The alert's row remembers what waited, so that the next summary can tell what changed; both are one write. Nothing here
waits for a shop: its figures are those of its rows, and where it cannot be seen the summary says so (rule 20).
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Protocol

from orderwatch.alerts.alert import Alert, Enrichment, alert_id
from orderwatch.alerts.kinds import KIND_SUMMARY, Severity
from orderwatch.alerts.parts import AlertConnection
from orderwatch.alerts.summary import ALL_SHOPS, DailySummary, ShopSummary, Unseen, longest
from orderwatch.publishing.enrich import ProductDetails
from orderwatch.records import ConnectionState, HealthState, StoredOrder
from orderwatch.summary.changes import (
    PreviousSummary,
    changes,
    cleared_ids,
    encode,
    hours_to_clear,
    total_changes,
    weeks,
)
from orderwatch.summary.figures import SummaryRow, shop_figures, total, worst_first
from orderwatch.summary.stock import stocked_shops

LOOKED_BACK = timedelta(days=15)
"""How far back summaries are read: two weeks and the one that they begin with."""
MARGIN = timedelta(days=1)
"""Beyond the warning: what is recorded in silence as at risk was judged by the vendor's clock, not by ours."""
MAX_BYTES = 180_000
"""Of the alert in its row, beside what it remembers: DynamoDB takes 400 KB."""
MONDAY = 0


class Store(Protocol):
    """What a summary reads of the tables."""

    def states(self, connection_ids: Collection[str]) -> Mapping[str, ConnectionState]:
        """The rows of these connections, those that there are."""

    def needing_attention(self, connection_id: str) -> Mapping[str, StoredOrder]:
        """The orders that wait for a person, by id."""

    def due(self, connection_id: str, until: datetime) -> Mapping[str, StoredOrder]:
        """The orders whose next deadline is the moment or before it, by id."""

    def stored_orders(self, connection_id: str, order_ids: Collection[str]) -> Mapping[str, StoredOrder]:
        """The rows of these orders, those that there are."""

    def past(self, since: datetime) -> list[PreviousSummary]:
        """The summaries that were written since then, the newest first."""


class Ledger(Protocol):
    """Where a summary is written."""

    def put(self, alert: Alert, memory: str | None) -> bool:
        """Write the alert with what it remembers; False where a row has its key already."""


@dataclass(frozen=True, slots=True)
class Shop:
    """A shop that is watched.

    Attributes:
        connection_id: Which.
        name: What the operator calls it.
        time_zone: Where its days end, by its IANA name.
        late_warning_hours: How long before its ship-by an order is at risk.
    """

    connection_id: str
    name: str | None
    time_zone: str
    late_warning_hours: int


def as_of(state: ConnectionState, at: datetime) -> datetime:
    """Up to when a shop's data reach: nothing is told of it by a clock that runs ahead of them (rule 19).

    Args:
        state: Its row.
        at: Our clock, for a shop that was never read.
    """
    return state.syncs.last_end or state.cursor.read_until or at


def unseen(state: ConnectionState, *, at: datetime, suppression: timedelta) -> Unseen | None:
    """Why a shop cannot be seen as it is at a moment, and since when; None where it can.

    Args:
        state: Its row.
        at: The moment, by our clock.
        suppression: How long no poll may have come to its end.
    """
    if state.health and state.health.is_unhealthy:
        is_stale = state.health.state is HealthState.STALE
        since = state.syncs.last_end if is_stale and state.syncs.last_end else state.health.since
        return Unseen(state=state.health.state, since=since)
    if state.cursor.baseline_completed_at is None:
        return Unseen(state=HealthState.INITIAL_SYNC, since=state.cursor.watch_started_at)
    if state.cursor.last_success_at is None or at - state.cursor.last_success_at > suppression:
        return Unseen(state=HealthState.POLL_FAILING, since=state.cursor.last_success_at)
    return None


@dataclass(frozen=True, slots=True)
class SummaryRequest:
    """When and for whom a summary is made.

    Attributes:
        stack: The stack's name: part of the alert's id.
        day: In the stack's time zone; the other part, so that a repeated tick sends no second one.
        at: Our clock.
        time_zone: The stack's, by its IANA name.
        watched: The statuses that raise an alert.
        suppression: How long no poll of a shop may have come to its end before it counts as out of sight.
        request: What makes the id of a summary that was asked for by hand another one; empty for the schedule's.
    """

    stack: str
    day: date
    at: datetime
    time_zone: str
    watched: Collection[str]
    suppression: timedelta
    request: str = ""


@dataclass(frozen=True, slots=True)
class Summary:
    """A summary that was made.

    Attributes:
        alert: What is sent.
        memory: What the next one compares with.
    """

    alert: Alert
    memory: str | None


@dataclass(slots=True)
class _Read:
    """What was read of one shop."""

    shop: Shop
    state: ConnectionState
    orders: Sequence[SummaryRow]
    waited: Mapping[str, datetime] | None
    hours: list[Decimal] = field(default_factory=list)

    @property
    def waiting(self) -> dict[str, datetime]:
        return {order.id: order.since for order in self.orders if order.needs_attention}


def summarize(
    shops: Sequence[Shop], *, store: Store, products: ProductDetails | None, occasion: SummaryRequest
) -> Summary:
    """Make the summary of these shops; it is not written yet.

    Args:
        shops: All that are watched.
        store: The tables.
        products: Where stock is looked up; None: it is left out.
        occasion: When, and for whom.
    """
    past = store.past(occasion.at - LOOKED_BACK)
    read = _read(shops, past[0] if past else None, store, occasion)
    daily = _figures(read, past, occasion)
    orders = {each.shop.connection_id: each.orders for each in read}
    stocked, gaps = stocked_shops(daily.shops, orders, products)
    daily = daily.model_copy(update={"shops": tuple(stocked)})
    memory = encode({each.shop.connection_id: each.waiting for each in read})
    return Summary(_alert(daily, gaps, read, occasion), memory)


def _read(shops: Sequence[Shop], before: PreviousSummary | None, store: Store, occasion: SummaryRequest) -> list[_Read]:
    states = store.states([shop.connection_id for shop in shops])
    read = []
    for shop in shops:
        key = shop.connection_id
        state = states.get(key) or ConnectionState(connection_id=key)
        until = max(as_of(state, occasion.at), occasion.at) + timedelta(hours=shop.late_warning_hours) + MARGIN
        rows = {**store.due(key, until), **store.needing_attention(key)}
        found = (SummaryRow(order_id, row, occasion.watched) for order_id, row in rows.items())
        orders = [order for order in found if order.needs_attention or order.is_at_risk]
        waited = before.waited.get(key, {}) if before and before.waited is not None else None
        each = _Read(shop, state, orders, waited)
        if waited and (gone := cleared_ids(waited, each.waiting)):
            each.hours = hours_to_clear(waited, store.stored_orders(key, gone))
        read.append(each)
    return read


def _figures(read: Sequence[_Read], past: Sequence[PreviousSummary], occasion: SummaryRequest) -> DailySummary:
    since = past[0].daily.at if past else None
    every = [_shop(each, since, occasion) for each in read]
    alerted = sorted((each for each in every if each.unseen or each.orders), key=worst_first)
    hours = [hours for each in read for hours in each.hours]
    changed = [each.changes for each in every if each.changes]
    daily = DailySummary(
        day=occasion.day,
        at=occasion.at,
        watched_shops=len(every),
        unseen_shops=sum(each.unseen is not None for each in every),
        total=total(every),
        changes=total_changes(since, changed, hours) if since and past[0].waited is not None else None,
        shops=tuple(alerted),
    )
    if occasion.day.weekday() != MONDAY:
        return daily
    week, before = weeks(daily, past)
    return daily.model_copy(update={"week": week, "week_before": before})


def _shop(read: _Read, since: datetime | None, occasion: SummaryRequest) -> ShopSummary:
    watermark = as_of(read.state, occasion.at)
    changed = None
    if since and read.waited is not None:
        changed = changes(since, waited=read.waited, waiting=read.waiting, hours=read.hours)
    return ShopSummary(
        connection_id=read.shop.connection_id,
        name=read.shop.name,
        time_zone=read.shop.time_zone,
        unseen=unseen(read.state, at=occasion.at, suppression=occasion.suppression),
        as_of=watermark,
        changes=changed,
        **shop_figures(read.orders, at=watermark),
    )


def _alert(daily: DailySummary, gaps: Sequence[str], read: Sequence[_Read], occasion: SummaryRequest) -> Alert:
    day = occasion.day.isoformat()
    known = [each.state.syncs.last_end for each in read if each.state.syncs.last_end]
    alert = Alert(
        alert_id=alert_id(KIND_SUMMARY, occasion.stack, day, *filter(None, [occasion.request])),
        kind=KIND_SUMMARY,
        severity=Severity.INFO if daily.is_quiet else Severity.WARNING,
        connection_id=ALL_SHOPS,
        connection=AlertConnection(id=ALL_SHOPS, name="All shops", time_zone=occasion.time_zone),
        enrichment=Enrichment(complete=not gaps, missing=tuple(gaps)),
        data_as_of=min(known, default=None),
    )
    return alert.model_copy(update={"daily": longest(daily, lambda each: _size(alert, each) <= MAX_BYTES)})


def _size(alert: Alert, daily: DailySummary) -> int:
    return len(alert.model_copy(update={"daily": daily}).model_dump_json(exclude_none=True).encode())


def write(summary: Summary, ledger: Ledger) -> bool:
    """Write the alert, from where it is sent like any other; False where the day has its summary already."""
    return ledger.put(summary.alert, summary.memory)
