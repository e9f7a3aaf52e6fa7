"""Rows of orders and tables in memory, for the tests of the summary."""

from collections.abc import Collection, Mapping, Sequence
from copy import replace
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

from orderwatch.alerts.alert import AlertKey
from orderwatch.alerts.kinds import KIND_AT_RISK, KIND_LATE
from orderwatch.allocation import Need
from orderwatch.deadlines.rules import NO_DEADLINE, Deadline, DeadlineState
from orderwatch.reading.cursor import Cursor
from orderwatch.records import ConnectionState, Extract, ExtractLine, Health, HealthState, StoredOrder, Syncs
from orderwatch.summary.build import PreparedSummary, Shop, SummaryRequest
from orderwatch.summary.changes import PreviousSummary, decode
from orderwatch.trackstar.orders import Version, VersionClock
from orderwatch.trackstar.products import Product, ProductLookup

AT = datetime(2026, 3, 5, 7, tzinfo=UTC)
"""A Thursday, eight in the morning in Berlin."""
HOUR = timedelta(hours=1)
DAY = timedelta(days=1)
WATCHED = frozenset({"exception", "backordered", "cancelled"})


def extract(*lines: tuple[str, int], total: str | None = "10", currency: str | None = "EUR", more: int = 0) -> Extract:
    listed = tuple(ExtractLine(sku=sku, quantity=Decimal(count), product_id=f"id-{sku}") for sku, count in lines)
    return Extract(
        currency=currency, total_price=Decimal(total) if total else None, lines=listed, more_lines=more, url=None
    )


def row(
    status: str = "exception",
    *,
    since: timedelta = HOUR,
    raw: str | None = None,
    needs_attention: bool = True,
    deadline_state: DeadlineState = NO_DEADLINE,
    ship_by: datetime | None = None,
    kept: Extract | None = None,
) -> StoredOrder:
    at = AT - since
    return StoredOrder(
        status=status,
        raw_status=raw,
        version=Version(at, VersionClock.TRACKSTAR),
        status_since=at,
        order_number="1042",
        needs_attention=needs_attention,
        ship_by=ship_by,
        deadline_state=deadline_state,
        extract=(kept or extract()).to_json(),
    )


def needs(*extracts: Extract) -> list[Need]:
    """Backordered orders with these records."""
    return [Need(str(number), row("backordered", kept=each), each) for number, each in enumerate(extracts)]


def late_for(span: timedelta) -> DeadlineState:
    return DeadlineState(passed=Deadline(AT - span, KIND_LATE))


AT_RISK = DeadlineState(due=Deadline(AT + HOUR, KIND_LATE), passed=Deadline(AT - 2 * HOUR, KIND_AT_RISK))


def healthy(connection_id: str = "a") -> ConnectionState:
    return ConnectionState(
        connection_id=connection_id,
        cursor=Cursor(baseline_completed_at=AT - 30 * DAY, last_success_at=AT - timedelta(minutes=3)),
        syncs=Syncs(last_end=AT),
        health=Health(since=AT - 30 * DAY),
    )


def blocked(connection_id: str = "a", *, since: datetime = AT - 5 * HOUR) -> ConnectionState:
    health = Health(state=HealthState.BLOCKED, since=since)
    return replace(healthy(connection_id), health=health)


def shop(connection_id: str = "a", name: str | None = None) -> Shop:
    return Shop(connection_id, name, time_zone="Europe/Berlin", late_warning_hours=24)


def request(*, at: datetime = AT, day: date | None = None, request_id: str = "") -> SummaryRequest:
    return SummaryRequest(
        stack="orderwatch",
        day=day or at.date(),
        at=at,
        time_zone="Europe/Berlin",
        watched=WATCHED,
        stalled_after=timedelta(minutes=30),
        request_id=request_id,
    )


@dataclass
class MemoryStore:
    """The tables of a summary, in memory."""

    rows: dict[str, dict[str, StoredOrder]] = field(default_factory=dict)
    known: dict[str, ConnectionState] = field(default_factory=dict)
    written: dict[AlertKey, PreparedSummary] = field(default_factory=dict)

    def states(self, connection_ids: Collection[str]) -> Mapping[str, ConnectionState]:
        return {each: self.known[each] for each in connection_ids if each in self.known}

    def needing_attention(self, connection_id: str) -> Mapping[str, StoredOrder]:
        return {key: row for key, row in self.rows.get(connection_id, {}).items() if row.needs_attention}

    def due(self, connection_id: str, until: datetime) -> Mapping[str, StoredOrder]:
        rows = self.rows.get(connection_id, {}).items()
        return {key: row for key, row in rows if row.deadline_state.due and row.deadline_state.due.at <= until}

    def stored_orders(self, connection_id: str, order_ids: Collection[str]) -> Mapping[str, StoredOrder]:
        return {key: row for key, row in self.rows.get(connection_id, {}).items() if key in order_ids}

    def previous_summaries(self, since: datetime) -> list[PreviousSummary]:
        made = [(each.alert.summary, each.snapshot) for each in self.written.values() if each.alert.summary]
        newest_first = sorted(made, key=lambda each: each[0].at, reverse=True)
        return [
            PreviousSummary(summary, decode(snapshot) if snapshot else None)
            for summary, snapshot in newest_first
            if summary.at > since
        ]

    def put(self, prepared: PreparedSummary) -> bool:
        if prepared.alert.key in self.written:
            return False
        self.written[prepared.alert.key] = prepared
        return True

    def clear(self, connection_id: str, order_id: str, *, at: datetime) -> None:
        """An order is shipped."""
        before = self.rows[connection_id][order_id]
        after = replace(
            before, status="fulfilled", status_since=at, needs_attention=False, deadline_state=NO_DEADLINE, extract=None
        )
        self.rows[connection_id][order_id] = after


@dataclass
class Shelf:
    """Stock by product id, or why it is missing."""

    stock: Mapping[str, int] = field(default_factory=dict)
    gap: str | None = None
    asked: list[str] = field(default_factory=list)

    def look_up(self, connection_id: str, product_ids: Sequence[str]) -> ProductLookup:
        self.asked.append(connection_id)
        if self.gap:
            return ProductLookup({}, self.gap)
        return ProductLookup({each: Product(id=each, inventory=Decimal(self.stock[each])) for each in self.stock}, None)
