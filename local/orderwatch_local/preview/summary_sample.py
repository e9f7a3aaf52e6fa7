"""A daily summary of four shops, for the preview and the golden files."""

from collections.abc import Collection, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal

from orderwatch.alerts.alert import Alert
from orderwatch.alerts.kinds import KIND_AT_RISK, KIND_LATE
from orderwatch.alerts.summary import DailySummary, Figures
from orderwatch.deadlines.rules import NO_DEADLINE, Deadline, DeadlineState
from orderwatch.ownership import Ownership
from orderwatch.reading.cursor import Cursor
from orderwatch.records import ConnectionState, Extract, ExtractLine, Health, HealthState, StoredOrder, Syncs
from orderwatch.summary.build import Shop, SummaryRequest, summarize
from orderwatch.summary.changes import PreviousSummary
from orderwatch.summary.figures import SummaryRow
from orderwatch.trackstar.orders import Version, VersionClock
from orderwatch.trackstar.products import Product, ProductLookup

AT = datetime(2026, 3, 5, 7, tzinfo=UTC)
"""Eight o'clock in Berlin."""
_WATCHED = frozenset({"exception", "backordered", "cancelled"})
_DAY = timedelta(days=1)
_HOUR = timedelta(hours=1)
_ADMIN = "https://admin.example.com"
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
    shop: str = "nordic-outdoor",
    ownership: Ownership | None = None,
) -> StoredOrder:
    due = AT + ship_by if ship_by is not None else None
    deadline_state = NO_DEADLINE
    if due and ship_by is not None and ship_by < _DAY:
        late, warned = Deadline(due, KIND_LATE), Deadline(due - _DAY, KIND_AT_RISK)
        deadline_state = DeadlineState(passed=late) if due <= AT else DeadlineState(due=late, passed=warned)
    kept = Extract(
        url=f"{_ADMIN}/{shop}/orders/{number}",
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
        ownership=ownership,
    )


_NORDIC = {
    "1042": _row(1042, "exception", 5 * _HOUR, raw="Address verification failed", ship_by=4 * _HOUR, total="129.90"),
    "1038": _row(1038, "processing", 2 * _DAY, ship_by=-14 * _HOUR, total="310.00"),
    "1017": _row(
        1017,
        "exception",
        3 * _DAY,
        raw="Payment declined",
        ship_by=-2 * _DAY,
        total="74.50",
        ownership=Ownership("Ana", AT - 2 * _DAY),
    ),
    "1044": _row(1044, "open", 6 * _HOUR, ship_by=20 * _HOUR),
    **{str(number): _row(number, "fulfilled", 3 * _HOUR) for number in range(1001, 1006)},
}
_BEANS = {
    str(number): _row(
        number, "backordered", timedelta(hours=9 * (number - 2200)), ship_by=(number - 2200) * _DAY,
        total="42.00", lines={"KENYA-1KG": 2} if number % 3 else {"KENYA-1KG": 1, "FILTER-02": 1}, shop="bean-street",
    )
    for number in range(2201, 2214)
}  # fmt: skip
_BEANS["2198"] = _row(
    2198, "backordered", 2 * _DAY, ship_by=9 * _DAY, total="19.00", lines={"MUG-1": 1}, shop="bean-street"
)
_ATELIER = {
    "77": _row(77, "exception", 30 * _HOUR, raw="Address verification failed", total="18.00", shop="atelier-nord")
}
_ROWS: dict[str, dict[str, StoredOrder]] = {"conn-2b8e": _ATELIER, "conn-7f3a": _NORDIC, "conn-9c41": _BEANS}
_INVENTORY = {"KENYA-1KG": 6, "MUG-1": 40}
_STOCK = {"conn-9c41": {sku: Product(id=sku, inventory=Decimal(count)) for sku, count in _INVENTORY.items()}}
_CLEARED = {str(number): AT - (34 + 9 * (number - 1003)) * _HOUR for number in range(1001, 1006)}
"""When the orders that were cleared since the day before had begun to need attention."""


def _snapshot() -> dict[str, dict[str, datetime]]:
    """The orders that needed attention the day before: those that still do, and those that were cleared since."""
    rows = {
        shop: {key: SummaryRow(key, row, _WATCHED, AT) for key, row in orders.items() if row.needs_attention}
        for shop, orders in _ROWS.items()
    }
    still = {
        shop: {key: order.since for key, order in orders.items() if order.since <= AT - _DAY}
        for shop, orders in rows.items()
    }
    return {**still, "conn-7f3a": still["conn-7f3a"] | _CLEARED}


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
        snapshot = _snapshot()
        total = Figures(needs_attention=sum(map(len, snapshot.values())))
        before = DailySummary(day=(AT - _DAY).date(), at=AT - _DAY, watched_shops=4, shops_not_visible=0, total=total)
        return [PreviousSummary(before, snapshot)] if since < before.at else []


class _Stock:
    def look_up(self, connection_id: str, product_ids: Sequence[str]) -> ProductLookup:
        known = _STOCK.get(connection_id, {})
        return ProductLookup({each: known[each] for each in product_ids if each in known})


def _state(connection_id: str) -> ConnectionState:
    is_blocked = connection_id == "conn-2b8e"
    blocked_at = AT - 6 * _HOUR
    return ConnectionState(
        connection_id=connection_id,
        cursor=Cursor(baseline_completed_at=AT - 90 * _DAY, last_success_at=AT - timedelta(minutes=2)),
        syncs=Syncs(last_end=blocked_at if is_blocked else AT - timedelta(minutes=25)),
        health=Health(state=HealthState.BLOCKED if is_blocked else HealthState.HEALTHY, since=blocked_at),
    )


def _request(at: datetime) -> SummaryRequest:
    return SummaryRequest(
        stack="orderwatch",
        day=at.date(),
        at=at,
        time_zone="Europe/Berlin",
        watched=_WATCHED,
        stalled_after=timedelta(minutes=30),
    )


def summary_sample() -> Alert:
    """The alert of the summary."""
    shops = [Shop(each, name, time_zone="Europe/Berlin", late_warning_hours=24) for each, name in _SHOPS.items()]
    return summarize(shops, store=_Tables(), products=_Stock(), request=_request(AT)).alert
