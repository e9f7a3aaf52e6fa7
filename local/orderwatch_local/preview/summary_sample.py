"""A daily summary of four shops, for the preview and the golden files."""

from collections.abc import Collection, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal

from orderwatch.alerts.alert import Alert
from orderwatch.alerts.kinds import KIND_AT_RISK, KIND_LATE
from orderwatch.alerts.summary import DailySummary, Figures
from orderwatch.deadlines.rules import NO_DEADLINE, Deadline, DeadlineState
from orderwatch.reading.cursor import Cursor
from orderwatch.records import ConnectionState, Extract, ExtractLine, Health, HealthState, StoredOrder, Syncs
from orderwatch.summary.build import Shop, SummaryRequest, summarize
from orderwatch.summary.changes import PreviousSummary
from orderwatch.trackstar.orders import Version, VersionClock
from orderwatch.trackstar.products import Product, ProductLookup

AT = datetime(2026, 3, 5, 7, tzinfo=UTC)
"""Eight o'clock in Berlin."""
_DAY = timedelta(days=1)
_HOUR = timedelta(hours=1)
_ADMIN = "https://admin.example.com/nordic-outdoor/orders"
_SHOPS = {
    "conn-2b8e": "Atelier Nord",
    "conn-7f3a": "Nordic Outdoor",
    "conn-9c41": "Bean Street",
    "conn-d05f": "Paper & Pine",
}


def _row(
    number: int,
    status: str,
    since: timedelta,
    *,
    raw: str | None = None,
    ship_by: timedelta | None = None,
    total: str = "89.90",
    lines: Mapping[str, int] | None = None,
) -> StoredOrder:
    due = AT + ship_by if ship_by is not None else None
    deadline_state = NO_DEADLINE
    if due and ship_by is not None and ship_by < _DAY:
        late, warned = Deadline(due, KIND_LATE), Deadline(due - _DAY, KIND_AT_RISK)
        deadline_state = DeadlineState(passed=late) if due <= AT else DeadlineState(due=late, passed=warned)
    kept = Extract(
        url=f"{_ADMIN}/{number}",
        currency="EUR",
        total_price=Decimal(total),
        lines=tuple(
            ExtractLine(sku=sku, quantity=Decimal(count), product_id=sku) for sku, count in (lines or {}).items()
        ),
    )
    return StoredOrder(
        status=status,
        raw_status=raw,
        version=Version(AT - since, VersionClock.TRACKSTAR),
        status_since=AT - since,
        order_number=str(number),
        needs_attention=status in {"exception", "backordered"} or bool(due and due <= AT),
        ship_by=due,
        deadline_state=deadline_state,
        extract=kept.to_json(),
    )


_NORDIC = {
    "1042": _row(1042, "exception", 5 * _HOUR, raw="Address verification failed", ship_by=4 * _HOUR, total="129.90"),
    "1038": _row(1038, "processing", 2 * _DAY, ship_by=-14 * _HOUR, total="310.00"),
    "1017": _row(1017, "exception", 3 * _DAY, raw="Payment declined", ship_by=-2 * _DAY, total="74.50"),
    "1044": _row(1044, "open", 6 * _HOUR, ship_by=20 * _HOUR),
    "1009": _row(1009, "fulfilled", 3 * _HOUR),
    "1011": _row(1011, "fulfilled", 2 * _HOUR),
}
_BEANS = {
    str(number): _row(
        number, "backordered", timedelta(hours=9 * (number - 2200)), ship_by=(number - 2200) * _DAY,
        total="42.00", lines={"KENYA-1KG": 2} if number % 3 else {"KENYA-1KG": 1, "FILTER-02": 1},
    )
    for number in range(2201, 2214)
}  # fmt: skip
_ATELIER = {"77": _row(77, "exception", 30 * _HOUR, raw="Address verification failed", total="18.00")}
_ROWS: dict[str, dict[str, StoredOrder]] = {"conn-2b8e": _ATELIER, "conn-7f3a": _NORDIC, "conn-9c41": _BEANS}
_STOCK = {"conn-9c41": {"KENYA-1KG": Product(id="KENYA-1KG", inventory=Decimal(6))}}
_SNAPSHOT = {
    "conn-2b8e": {"77": AT - 30 * _HOUR},
    "conn-7f3a": {"1009": AT - 2 * _DAY, "1011": AT - _DAY, "1017": AT - 3 * _DAY},
    "conn-9c41": {"2213": AT - 5 * _DAY},
}
"""The orders that needed attention the day before."""


class _Tables:
    """The tables that morning."""

    def states(self, connection_ids: Collection[str]) -> dict[str, ConnectionState]:
        return {each: _state(each) for each in connection_ids}

    def needing_attention(self, connection_id: str) -> dict[str, StoredOrder]:
        return {key: row for key, row in _ROWS.get(connection_id, {}).items() if row.needs_attention}

    def due(self, connection_id: str, until: datetime) -> dict[str, StoredOrder]:
        rows = _ROWS.get(connection_id, {}).items()
        return {key: row for key, row in rows if row.deadline_state.due and row.deadline_state.due.at <= until}

    def stored_orders(self, connection_id: str, order_ids: Collection[str]) -> dict[str, StoredOrder]:
        return {each: _ROWS[connection_id][each] for each in order_ids}

    def previous_summaries(self, since: datetime) -> list[PreviousSummary]:
        """The summary of the day before."""
        before = DailySummary(
            day=(AT - _DAY).date(), at=AT - _DAY, watched_shops=4, shops_not_visible=0, total=Figures()
        )
        return [PreviousSummary(before, _SNAPSHOT)] if since < before.at else []


class _Stock:
    def look_up(self, connection_id: str, product_ids: Sequence[str]) -> ProductLookup:
        known = _STOCK.get(connection_id, {})
        return ProductLookup({each: known[each] for each in product_ids if each in known})


def _state(connection_id: str) -> ConnectionState:
    state = HealthState.BLOCKED if connection_id == "conn-2b8e" else HealthState.HEALTHY
    return ConnectionState(
        connection_id=connection_id,
        cursor=Cursor(baseline_completed_at=AT - 90 * _DAY, last_success_at=AT - timedelta(minutes=2)),
        syncs=Syncs(last_end=AT - timedelta(minutes=25)),
        health=Health(state=state, since=AT - 6 * _HOUR),
    )


def _request(at: datetime) -> SummaryRequest:
    return SummaryRequest(
        stack="orderwatch",
        day=at.date(),
        at=at,
        time_zone="Europe/Berlin",
        watched=frozenset({"exception", "backordered", "cancelled"}),
        stalled_after=timedelta(minutes=30),
    )


def summary_sample() -> Alert:
    """The alert of the summary."""
    shops = [Shop(each, name, time_zone="Europe/Berlin", late_warning_hours=24) for each, name in _SHOPS.items()]
    return summarize(shops, store=_Tables(), products=_Stock(), request=_request(AT)).alert
