"""Checks summaries (rule 20): recomputes them from the tables and from what is visible of the shops.

It asks nothing of the product but the format in which a row stores the backlog, which is text. It checks

- **every summary**: its id belongs to one row; every waiting order is counted once by reason and once by age; the
  backlog of the summary before, plus what is new, minus what is cleared, is the backlog; the total is the sum of its
  shops;
- **one whose tables did not change meanwhile**: each figure of each shop is that of the rows, and a shop is reported
  as not visible if and only if its row is blocked, refused, stale, failing or in its baseline;
- **one of the calm**: the backlog is what is visible as waiting, with lateness by the oracle's own calendar.

Excused: an order whose row differs from what is visible (the other oracles check that), one whose deadline lies
between the last sync end that a poll knew and the moment at which the watch began, and one that Trackstar did not show
for a while and then as before.
"""

import base64
import json
import zlib
from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import ROUND_HALF_UP, Decimal
from statistics import median
from typing import Any

from tests.simulation.cloud import Row
from tests.simulation.content_oracle import ContentOracle
from tests.simulation.deadline_calendar import OPEN, PROBLEM_KINDS, deadlines_of
from tests.simulation.deadline_oracle import DeadlineOracle, PollFacts
from tests.simulation.facts import Violation, expect, moment
from tests.simulation.visible import BEFORE_ALL, Known, VisibleOrder

WATCHED_AND_OPEN = frozenset({"exception", "backordered"})
NOT_VISIBLE = frozenset({"blocked", "unauthorized", "stale", "poll_failing"})
DAY = timedelta(days=1)
AGES = {"under_1_day": DAY, "from_1_to_3_days": 3 * DAY, "from_3_to_7_days": 7 * DAY}
STALLED_AFTER = timedelta(minutes=30)
ENOUGH = 5
"""Cleared orders from which on their median is shown."""

type Backlog = dict[str, dict[str, int]]


@dataclass
class SummaryOracle:
    """Checks summaries.

    Args:
        known: Our tables, and what is visible.
        deadlines: When the watch of each shop began, and its calendar.
        contents: Checks the products of a summary.

    Attributes:
        checked: How many summaries were checked, by how much of them could be.
        touched: Writes of orders and connections up to now.
    """

    known: Known
    deadlines: DeadlineOracle
    contents: ContentOracle
    checked: Counter[str] = field(default_factory=Counter)
    touched: int = 0
    _began: int = 0
    _began_at: datetime = BEFORE_ALL
    _watermarks: dict[str, datetime] = field(default_factory=dict)
    _before: Backlog | None = None
    _ids: set[str] = field(default_factory=set)

    def begins(self, now: datetime) -> None:
        """send_summary begins, at this time by our clock."""
        self._began, self._began_at = self.touched, now

    def finished(self, facts: PollFacts) -> None:
        """A poll ended."""
        if facts.watermark and not facts.is_spoilt:
            self._watermarks[facts.connection_id] = facts.watermark

    def wrote(self, row: Row, *, now: datetime, is_calm: bool) -> None:
        """A summary was written."""
        if row["alert_id"] in self._ids:
            raise Violation(f"the summary {row['alert_id']} was written twice")
        self._ids.add(row["alert_id"])
        daily, waited = json.loads(row["alert"])["summary"], _stored_backlog(row)
        reported = {shop["connection_id"]: shop for shop in daily["shops"]}
        self._check_total(daily, reported)
        self._check_changes(daily, waited)
        self.checked["written"] += 1
        self.checked["calm"] += is_calm
        for connection_id in self.known.shops:
            shop = reported.get(connection_id, {})
            _check_counts(connection_id, shop, waited[connection_id])
            self.contents.check_stock(connection_id, shop.get("products", ()))
            if self.touched == self._began:
                self._check_rows(connection_id, shop, waited[connection_id], now)
            if is_calm:
                self._check_sight(connection_id, set(waited[connection_id]))
        self._before = waited

    # The figures themselves, and compared with the previous summary

    def _check_total(self, daily: Mapping[str, Any], reported: Mapping[str, Any]) -> None:
        total = daily["total"]
        for name in ("needs_attention", "late", "at_risk", "without_value", "taken", "snoozed"):
            expect(f"the total of {name}", total[name], sum(shop[name] for shop in reported.values()))
        amounts, owners = Counter[str](), Counter[str]()
        for shop in reported.values():
            amounts.update(shop["value_by_currency"])
            owners.update(shop["by_owner"])
        expect("who has how many", total["by_owner"], dict(owners))
        expect("the total value", total["value_by_currency"], dict(amounts))
        expect("the number of shops", daily["watched_shops"], len(self.known.shops))

    def _check_changes(self, daily: Mapping[str, Any], waited: Backlog) -> None:
        if self._before is None:
            expect("the first changes", daily.get("changes"), None)
            return
        changes = daily.get("changes") or {}
        before, now = _orders_in(self._before), _orders_in(waited)
        previous, new, cleared = len(before), len(now - before), len(before - now)
        found = [changes.get(name) for name in ("previous", "new", "cleared")]
        expect("the changes", found, [previous, new, cleared])
        expect("the backlog", daily["total"]["needs_attention"], previous + new - cleared)

    # Against the tables

    def _check_rows(self, connection_id: str, shop: Row, waited: Collection[str], now: datetime) -> None:
        """Check the figures of a shop, which is empty where the summary does not list it."""
        self.checked["undisturbed"] += 1
        state, rows = self.known.connection(connection_id), self.known.orders(connection_id)
        expect(f"{connection_id} as not visible", bool(shop.get("not_visible")), _is_not_visible(state, now))
        waiting = {order_id: row for order_id, row in rows.items() if "status_since" in row}
        expect(f"the backlog of {connection_id}", set(waited), set(waiting))
        others = [row for row in rows.values() if "status_since" not in row]
        at_risk = sum(_is(row, "order.at_risk") and "due_kind" in row for row in others)
        expect(f"at risk in {connection_id}", shop.get("at_risk", 0), at_risk)
        if not shop:
            expect(f"{connection_id} without any figure", bool(waiting), False)
            return
        read_until = state.get("syncs", {}).get("last_end") or state.get("cursor", {}).get("read_until")
        as_of, backlog = moment(read_until or now.isoformat()), waiting.values()
        ages = Counter(_age(row, as_of) for row in backlog)
        expect(f"late in {connection_id}", shop["late"], sum(_is(row, "order.late") for row in backlog))
        expect(f"reasons of {connection_id}", shop["by_reason"], dict(Counter(map(_reason, backlog))))
        expect(f"ages of {connection_id}", +Counter(shop["ages"]), ages)
        expect(f"value in {connection_id}", (shop["value_by_currency"], shop["without_value"]), _values(backlog))
        found = (shop["taken"], shop["snoozed"], shop["by_owner"])
        expected = [_owners(backlog, at) for at in (self._began_at, now)]
        if found not in expected:
            raise Violation(f"who has the orders of {connection_id}: reported {found}, expected {expected[0]}")
        self._check_median(connection_id, shop, rows, waiting)
        self.contents.check_backorders(connection_id, shop.get("products", ()))

    def _check_median(self, connection_id: str, shop: Row, rows: Mapping[str, Row], waiting: Collection[str]) -> None:
        if self._before is None:
            return
        gone = [each for each in self._before[connection_id].items() if each[0] not in waiting]
        began = self.known.connection(connection_id).get("cursor", {}).get("watch_started_at")
        watched = [(order_id, at) for order_id, at in gone if not began or at >= moment(began).timestamp()]
        spans = [moment(rows[order_id]["since"]) - datetime.fromtimestamp(since, UTC) for order_id, since in watched]
        took = [Decimal(span / timedelta(hours=1)) for span in spans if span > timedelta()]
        middle = float(median(took).quantize(Decimal("0.1"), rounding=ROUND_HALF_UP)) if len(took) >= ENOUGH else None
        expect(f"the median of {connection_id}", shop["changes"].get("median_hours_to_clear"), middle)

    # Against what is visible

    def _check_sight(self, connection_id: str, reported: set[str]) -> None:
        must, may = set[str](), set[str]()
        orders = self.known.shops[connection_id].orders
        for order_id, seen in orders.items():
            row = self.known.order((connection_id, order_id))
            is_known = (
                row is not None and seen.is_shown_by(row) and not self.deadlines.is_gone((connection_id, order_id))
            )
            is_waiting = self._is_waiting(connection_id, row, seen) if row and is_known else None
            must |= {order_id} if is_waiting else set()
            may |= {order_id} if is_waiting is None else set()
        if missing := must - reported:
            raise Violation(f"the summary misses {sorted(missing)} of {connection_id}")
        if strangers := (reported & set(orders)) - must - may:
            raise Violation(f"the summary lists {sorted(strangers)} of {connection_id}, which do not wait")

    def _is_waiting(self, connection_id: str, row: Row, seen: VisibleOrder) -> bool | None:
        """Whether an order needs attention; None if that is unknown."""
        if seen.status in WATCHED_AND_OPEN:
            return True
        deadlines = deadlines_of(
            self.deadlines.calendar(connection_id), seen.status, seen.ship_by, moment(row["since"])
        )
        due = next((at for at, kind in deadlines if kind in PROBLEM_KINDS), None)
        known, began = self._watermarks.get(connection_id), self.deadlines.watching_since.get(connection_id)
        if due is None or due > max(filter(None, [known, began, moment(row["version"])])) + DAY:
            return False
        return True if known and due <= known - DAY else None


def _check_counts(connection_id: str, shop: Mapping[str, Any], waited: Collection[str]) -> None:
    waiting = shop.get("needs_attention", 0)
    expect(f"the backlog of {connection_id}", waiting, len(waited))
    for name in ("by_reason", "ages"):
        expect(f"{name} of {connection_id}", sum(shop.get(name, {}).values()), waiting)


def _stored_backlog(row: Row) -> Backlog:
    found: Backlog = json.loads(zlib.decompress(base64.b85decode(row["snapshot"])))
    return found


def _orders_in(backlog: Backlog) -> set[tuple[str, str]]:
    return {(shop, order_id) for shop, orders in backlog.items() for order_id in orders}


def _is_not_visible(state: Row, now: datetime) -> bool:
    cursor = state.get("cursor", {})
    if (state.get("health") or {}).get("state") in NOT_VISIBLE or not cursor.get("baseline_completed_at"):
        return True
    return not cursor.get("last_success_at") or now - moment(cursor["last_success_at"]) > STALLED_AFTER


def _is(row: Row, kind: str) -> bool:
    return row["status"] in OPEN and row.get("passed_kind") == kind


def _owners(rows: Iterable[Row], now: datetime) -> tuple[int, int, dict[str, int]]:
    """How many orders are taken, how many are snoozed, and how many each owner has of the first."""
    found = [row["ownership"] for row in rows if "ownership" in row]
    snoozed = [each for each in found if "snoozed_until" in each and now < moment(each["snoozed_until"])]
    owners = Counter(each["owner"] for each in found if "owner" in each and each not in snoozed)
    return owners.total(), len(snoozed), dict(owners)


def _reason(row: Row) -> str:
    passed = str(row.get("passed_kind", "")) if row["status"] in OPEN else ""
    return str(row["status"]) if row["status"] in WATCHED_AND_OPEN else passed.removeprefix("order.")


def _age(row: Row, as_of: datetime) -> str:
    since = row["since"] if row["status"] in WATCHED_AND_OPEN else row["passed_at"]
    return next((name for name, end in AGES.items() if as_of - moment(since) < end), "over_7_days")


def _values(rows: Iterable[Row]) -> tuple[dict[str, float], int]:
    sums: dict[str, Decimal] = {}
    without = 0
    for row in rows:
        kept = json.loads(row.get("extract", "{}"))
        if "currency" in kept and "total_price" in kept:
            sums[kept["currency"]] = sums.get(kept["currency"], Decimal(0)) + Decimal(kept["total_price"])
        else:
            without += 1
    return {currency: float(amount) for currency, amount in sums.items()}, without
