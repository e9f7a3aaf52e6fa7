"""Checks summaries (rule 20): recomputes them from the tables and from what is visible of the shops.

It asks nothing of the product but the format in which a row stores the backlog, which is text. It checks

- **every summary**: its id belongs to one row; every waiting order is counted once by reason and once by age; the
  backlog of the summary before, plus what is new, minus what is cleared, is the backlog; the total is the sum of its
  shops;
- **one whose tables did not change meanwhile**: each figure of each shop is that of the rows, and a shop is reported
  as not visible if and only if its row is blocked, refused, stale, failing or in its baseline;
- **one of the calm**: the backlog is what is visible as waiting, with lateness by the oracle's own calendar.

Excused: an order whose row differs from what is visible (the other oracles check that), and one whose deadline lies
between the last sync end that a poll knew and the moment at which the watch began.
"""

import base64
import json
import zlib
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import ROUND_HALF_UP, Decimal
from statistics import median
from typing import Any

from tests.simulation.cloud import CONNECTIONS, ORDERS, Row
from tests.simulation.deadline_calendar import OPEN, PROBLEM_KINDS, ShownOrder, deadlines_of
from tests.simulation.deadline_oracle import DeadlineOracle, PollFacts, shows
from tests.simulation.facts import Violation, moment
from tests.simulation.stock import Stock

WATCHED_AND_OPEN = frozenset({"exception", "backordered"})
NOT_VISIBLE = frozenset({"blocked", "unauthorized", "stale", "poll_failing"})
DAY = timedelta(days=1)
AGES = {"under_1_day": DAY, "from_1_to_3_days": 3 * DAY, "from_3_to_7_days": 7 * DAY}
STALLED_AFTER = timedelta(minutes=30)

type Backlog = dict[str, dict[str, int]]


@dataclass
class SummaryOracle:
    """Checks summaries.

    Args:
        row: A row of our tables.
        rows: All rows of one.
        deadlines: What can be seen of the shops, and up to when.
        stock: What is on hand in them.
        shops: The connections that are watched.

    Attributes:
        checked: How many summaries were checked, by how much of them could be.
        touched: Writes of orders and connections up to now.
    """

    row: Callable[..., Row | None]
    rows: Callable[[str], list[Row]]
    deadlines: DeadlineOracle
    stock: Stock
    shops: tuple[str, ...]
    checked: Counter[str] = field(default_factory=Counter)
    touched: int = 0
    _began: int = 0
    _known: dict[str, datetime] = field(default_factory=dict)
    _before: tuple[Row, Backlog] | None = None
    _ids: set[str] = field(default_factory=set)

    def begins(self) -> None:
        """send_summary begins."""
        self._began = self.touched

    def finished(self, facts: PollFacts) -> None:
        """A poll ended."""
        if facts.watermark and not facts.is_spoilt:
            self._known[facts.connection_id] = facts.watermark

    def wrote(self, row: Row, *, now: datetime, is_calm: bool) -> None:
        """A summary was written."""
        if row["alert_id"] in self._ids:
            raise Violation(f"the summary {row['alert_id']} was written twice")
        self._ids.add(row["alert_id"])
        alert, waited = json.loads(row["alert"]), _stored_backlog(row)
        daily = alert["summary"]
        reported = {shop["connection_id"]: shop for shop in daily["shops"]}
        for connection_id in self.shops:
            self._check_counts(connection_id, reported.get(connection_id, {}), waited[connection_id])
        self._check_total(daily, reported)
        self._check_changes(daily, waited)
        self.checked["written"] += 1
        if self.touched == self._began:
            self.checked["undisturbed"] += 1
            for connection_id in self.shops:
                self._check_rows(connection_id, reported.get(connection_id), waited[connection_id], now)
                self._check_stock(connection_id, reported.get(connection_id), alert["enrichment"]["missing"])
        if is_calm:
            self.checked["calm"] += 1
            for connection_id in self.shops:
                self._check_sight(connection_id, set(waited[connection_id]))
        self._before = (row, waited)

    def _expect(self, what: str, reported: object, expected: object) -> None:
        if reported != expected:
            raise Violation(f"the summary reports {what} as {reported}, not as {expected}")

    # The figures themselves, and compared with the previous summary

    def _check_counts(self, connection_id: str, shop: Mapping[str, Any], waited: Mapping[str, int]) -> None:
        waiting = shop.get("needs_attention", 0)
        self._expect(f"the backlog of {connection_id}", waiting, len(waited))
        self._expect(f"the reasons of {connection_id}", sum(shop.get("by_reason", {}).values()), waiting)
        self._expect(f"the ages of {connection_id}", sum(shop.get("ages", {}).values()), waiting)

    def _check_total(self, daily: Mapping[str, Any], reported: Mapping[str, Any]) -> None:
        total = daily["total"]
        for name in ("needs_attention", "late", "at_risk", "without_value"):
            self._expect(f"the total of {name}", total[name], sum(shop[name] for shop in reported.values()))
        amounts = Counter[str]()
        for shop in reported.values():
            amounts.update(shop["value_by_currency"])
        self._expect("the total value", total["value_by_currency"], dict(amounts))
        self._expect("the number of shops", daily["watched_shops"], len(self.shops))

    def _check_changes(self, daily: Mapping[str, Any], waited: Backlog) -> None:
        changes = daily.get("changes")
        if self._before is None:
            return self._expect("the first changes", changes, None)
        if changes is None:
            raise Violation("the summary has no changes, and there is a summary before")
        before = {(shop, order) for shop, orders in self._before[1].items() for order in orders}
        now = {(shop, order) for shop, orders in waited.items() for order in orders}
        expected = [len(before), len(now - before), len(before - now)]
        self._expect("the changes", [changes[name] for name in ("previous", "new", "cleared")], expected)
        self._expect("the backlog", daily["total"]["needs_attention"], expected[0] + expected[1] - expected[2])
        return None

    # Against the tables

    def _check_rows(self, connection_id: str, shop: Row | None, waited: Mapping[str, int], now: datetime) -> None:
        state = self.row(CONNECTIONS, connection_id) or {}
        self._expect(
            f"{connection_id} as not visible", bool(shop and shop.get("not_visible")), _is_not_visible(state, now)
        )
        rows = self._rows_of(connection_id)
        waiting = {order_id: row for order_id, row in rows.items() if "status_since" in row}
        self._expect(f"the backlog of {connection_id}", set(waited), set(waiting))
        as_of = moment(
            state.get("syncs", {}).get("last_end") or state.get("cursor", {}).get("read_until") or now.isoformat()
        )
        at_risk = sum(_is(row, "order.at_risk") and "due_at" in row for row in rows.values())
        if shop is None:
            self._expect(f"{connection_id} without any figure", bool(waiting or at_risk), False)
            return
        self._expect(f"at risk in {connection_id}", shop["at_risk"], at_risk)
        self._expect(f"late in {connection_id}", shop["late"], sum(_is(row, "order.late") for row in waiting.values()))
        self._expect(f"reasons of {connection_id}", shop["by_reason"], dict(Counter(map(_reason, waiting.values()))))
        self._expect(
            f"ages of {connection_id}", _counted(shop["ages"]), Counter(_age(row, as_of) for row in waiting.values())
        )
        worth = (shop["value_by_currency"], shop["without_value"])
        self._expect(f"value in {connection_id}", worth, _values(waiting.values()))
        self._check_median(connection_id, shop, rows, waiting)

    def _rows_of(self, connection_id: str) -> dict[str, Row]:
        prefix = f"{connection_id}#"
        keyed = ((row["order_key"], row) for row in self.rows(ORDERS))
        return {key.removeprefix(prefix): row for key, row in keyed if key.startswith(prefix)}

    def _check_stock(self, connection_id: str, shop: Row | None, gaps: Iterable[str]) -> None:
        if shop is not None:
            waiting = [row for row in self._rows_of(connection_id).values() if "status_since" in row]
            self.stock.check(connection_id, shop, waiting, gaps)

    def _check_median(self, connection_id: str, shop: Row, rows: Mapping[str, Row], waiting: Mapping[str, Row]) -> None:
        if self._before is None:
            return
        before = self._before[1][connection_id]
        gone = [(since, rows[order_id]) for order_id, since in before.items() if order_id not in waiting]
        hours = [
            (moment(row["since"]) - datetime.fromtimestamp(since, UTC)) / timedelta(hours=1) for since, row in gone
        ]
        took = [Decimal(each) for each in hours if each > 0]
        middle = median(took).quantize(Decimal("0.1"), rounding=ROUND_HALF_UP) if took else None
        reported = shop["changes"].get("median_hours_to_clear")
        self._expect(f"the median of {connection_id}", reported, float(middle) if middle is not None else None)

    # Against what is visible

    def _check_sight(self, connection_id: str, reported: set[str]) -> None:
        must, may = set[str](), set[str]()
        for order_id, seen in self.deadlines.copies[connection_id].items():
            row = self.row(ORDERS, f"{connection_id}#{order_id}")
            if row is None or not shows(row, seen):
                may.add(order_id)
            elif (needs_attention := self._is_waiting(connection_id, row, seen)) is not False:
                (must if needs_attention else may).add(order_id)
        gone = {order_id for order_id in reported if order_id not in self.deadlines.copies[connection_id]}
        if missing := must - reported:
            raise Violation(f"the summary misses {sorted(missing)} of {connection_id}")
        if strangers := reported - must - may - gone:
            raise Violation(f"the summary lists {sorted(strangers)} of {connection_id}, which do not wait")

    def _is_waiting(self, connection_id: str, row: Row, seen: ShownOrder) -> bool | None:
        """Whether an order needs attention; None if that is unknown."""
        if seen.status in WATCHED_AND_OPEN:
            return True
        calendar = self.deadlines.calendar(connection_id)
        due = [
            at
            for at, kind in deadlines_of(calendar, seen.status, seen.ship_by, moment(row["since"]))
            if kind in PROBLEM_KINDS
        ]
        known = self._known.get(connection_id)
        latest = max(filter(None, [known, self.deadlines.watching_since.get(connection_id), moment(row["version"])]))
        if not due or due[0] > latest + DAY:
            return False
        return True if known and due[0] <= known - DAY else None


def _stored_backlog(row: Row) -> Backlog:
    found: Backlog = json.loads(zlib.decompress(base64.b85decode(row["snapshot"])))
    return found


def _is_not_visible(state: Row, now: datetime) -> bool:
    cursor = state.get("cursor", {})
    if (state.get("health") or {}).get("state") in NOT_VISIBLE or not cursor.get("baseline_completed_at"):
        return True
    return not cursor.get("last_success_at") or now - moment(cursor["last_success_at"]) > STALLED_AFTER


def _is(row: Row, kind: str) -> bool:
    return row["status"] in OPEN and row.get("passed_kind") == kind


def _reason(row: Row) -> str:
    passed = str(row.get("passed_kind", "")) if row["status"] in OPEN else ""
    return str(row["status"]) if row["status"] in WATCHED_AND_OPEN else passed.removeprefix("order.")


def _age(row: Row, as_of: datetime) -> str:
    since = row["since"] if row["status"] in WATCHED_AND_OPEN else row["passed_at"]
    return next((name for name, end in AGES.items() if as_of - moment(since) < end), "over_7_days")


def _counted(ages: Mapping[str, int]) -> Counter[str]:
    return +Counter(ages)


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
