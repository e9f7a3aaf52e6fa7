"""What must hold of a summary (rule 20), recomputed from the tables and from what can be seen of the shops.

Nothing of the product is asked but for how a row remembers what waited, which is text. The judge checks of

- **every summary**: its id is of one row; every waiting order is counted once by reason and once by age; what waited in
  the summary before, and what is new, less what is cleared, is what waits; the total is the sum of its shops;
- **one that was read from tables that stood still meanwhile**: each figure of each shop is that of the rows, and a shop
  is told as out of sight if and only if its row says that it is blocked, refused, stale, unread or in its baseline;
- **one of a calm world**: what waits is what can be seen to wait, its lateness judged by a calendar of its own.

Excused is an order whose row is not what can be seen, which is the other judges' business, and one whose deadline lies
between what a poll was told of the last sync and the moment at which the watch began.
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
OUT_OF_SIGHT = frozenset({"blocked", "unauthorized", "stale", "poll_failing"})
DAY = timedelta(days=1)
AGES = {"under_1_day": DAY, "from_1_to_3_days": 3 * DAY, "from_3_to_7_days": 7 * DAY}
SILENCE = timedelta(minutes=30)

type Waited = dict[str, dict[str, int]]


@dataclass
class SummaryOracle:
    """Judges summaries.

    Args:
        row: A row of our tables.
        rows: All rows of one.
        deadlines: What can be seen of the shops, and up to when.
        stock: What is on hand in them.
        shops: The connections that are watched.

    Attributes:
        deadline_change: How many summaries were judged, and how far.
        touched: Writes of orders and connections up to now.
    """

    row: Callable[..., Row | None]
    rows: Callable[[str], list[Row]]
    deadlines: DeadlineOracle
    stock: Stock
    shops: tuple[str, ...]
    deadline_change: Counter[str] = field(default_factory=Counter)
    touched: int = 0
    _began: int = 0
    _known: dict[str, datetime] = field(default_factory=dict)
    _before: tuple[Row, Waited] | None = None
    _ids: set[str] = field(default_factory=set)

    def begins(self) -> None:
        """A function begins to sum up."""
        self._began = self.touched

    def finished(self, facts: PollFacts) -> None:
        """A poll came to its end."""
        if facts.watermark and not facts.is_spoilt:
            self._known[facts.connection_id] = facts.watermark

    def wrote(self, row: Row, *, now: datetime, is_calm: bool) -> None:
        """A summary was written."""
        if row["alert_id"] in self._ids:
            raise Violation(f"the summary {row['alert_id']} was written twice")
        self._ids.add(row["alert_id"])
        alert, waited = json.loads(row["alert"]), _remembered(row)
        daily = alert["daily"]
        alerted = {shop["connection_id"]: shop for shop in daily["shops"]}
        for connection_id in self.shops:
            self._judge_counts(connection_id, alerted.get(connection_id, {}), waited[connection_id])
        self._judge_total(daily, alerted)
        self._judge_changes(daily, waited)
        self.deadline_change["written"] += 1
        if self.touched == self._began:
            self.deadline_change["undisturbed"] += 1
            for connection_id in self.shops:
                self._judge_rows(connection_id, alerted.get(connection_id), waited[connection_id], now)
                self._judge_stock(connection_id, alerted.get(connection_id), alert["enrichment"]["missing"])
        if is_calm:
            self.deadline_change["calm"] += 1
            for connection_id in self.shops:
                self._judge_sight(connection_id, set(waited[connection_id]))
        self._before = (row, waited)

    def _wrong(self, what: str, alerted: object, expected: object) -> None:
        if alerted != expected:
            raise Violation(f"the summary tells {what} as {alerted}, not as {expected}")

    # By itself, and beside the one before

    def _judge_counts(self, connection_id: str, shop: Mapping[str, Any], waited: Mapping[str, int]) -> None:
        waiting = shop.get("waiting", 0)
        self._wrong(f"what waits in {connection_id}", waiting, len(waited))
        self._wrong(f"the reasons of {connection_id}", sum(shop.get("by_reason", {}).values()), waiting)
        self._wrong(f"the ages of {connection_id}", sum(shop.get("ages", {}).values()), waiting)

    def _judge_total(self, daily: Mapping[str, Any], alerted: Mapping[str, Any]) -> None:
        total = daily["total"]
        for name in ("waiting", "late", "at_risk", "without_value"):
            self._wrong(f"the total of {name}", total[name], sum(shop[name] for shop in alerted.values()))
        amounts = Counter[str]()
        for shop in alerted.values():
            amounts.update(shop["value_by_currency"])
        self._wrong("the total value", total["value_by_currency"], dict(amounts))
        self._wrong("the number of shops", daily["watched_shops"], len(self.shops))

    def _judge_changes(self, daily: Mapping[str, Any], waited: Waited) -> None:
        changes = daily.get("changes")
        if self._before is None:
            return self._wrong("the first changes", changes, None)
        if changes is None:
            raise Violation("the summary compares itself with none, and there is one before")
        before = {(shop, order) for shop, orders in self._before[1].items() for order in orders}
        now = {(shop, order) for shop, orders in waited.items() for order in orders}
        expected = [len(before), len(now - before), len(before - now)]
        self._wrong("the changes", [changes[name] for name in ("waited", "new", "cleared")], expected)
        self._wrong("what waits", daily["total"]["waiting"], expected[0] + expected[1] - expected[2])
        return None

    # By the tables

    def _judge_rows(self, connection_id: str, shop: Row | None, waited: Mapping[str, int], now: datetime) -> None:
        state = self.row(CONNECTIONS, connection_id) or {}
        self._wrong(f"{connection_id} as out of sight", bool(shop and shop.get("unseen")), _is_out_of_sight(state, now))
        rows = self._rows_of(connection_id)
        waiting = {order_id: row for order_id, row in rows.items() if "status_since" in row}
        self._wrong(f"what waits in {connection_id}", set(waited), set(waiting))
        as_of = moment(state.get("data_as_of") or state.get("read_until") or now.isoformat())
        at_risk = sum(_is(row, "order.at_risk") and "due_at" in row for row in rows.values())
        if shop is None:
            self._wrong(f"{connection_id} with nothing to tell of", bool(waiting or at_risk), False)
            return
        self._wrong(f"at risk in {connection_id}", shop["at_risk"], at_risk)
        self._wrong(f"late in {connection_id}", shop["late"], sum(_is(row, "order.late") for row in waiting.values()))
        self._wrong(f"reasons of {connection_id}", shop["by_reason"], dict(Counter(map(_reason, waiting.values()))))
        self._wrong(
            f"ages of {connection_id}", _counted(shop["ages"]), Counter(_age(row, as_of) for row in waiting.values())
        )
        worth = (shop["value_by_currency"], shop["without_value"])
        self._wrong(f"value in {connection_id}", worth, _values(waiting.values()))
        self._judge_median(connection_id, shop, rows, waiting)

    def _rows_of(self, connection_id: str) -> dict[str, Row]:
        prefix = f"{connection_id}#"
        keyed = ((row["order_key"], row) for row in self.rows(ORDERS))
        return {key.removeprefix(prefix): row for key, row in keyed if key.startswith(prefix)}

    def _judge_stock(self, connection_id: str, shop: Row | None, gaps: Iterable[str]) -> None:
        if shop is not None:
            waiting = [row for row in self._rows_of(connection_id).values() if "status_since" in row]
            self.stock.evaluate(connection_id, shop, waiting, gaps)

    def _judge_median(self, connection_id: str, shop: Row, rows: Mapping[str, Row], waiting: Mapping[str, Row]) -> None:
        if self._before is None:
            return
        before = self._before[1][connection_id]
        gone = [(since, rows[order_id]) for order_id, since in before.items() if order_id not in waiting]
        hours = [
            (moment(row["since"]) - datetime.fromtimestamp(since, UTC)) / timedelta(hours=1) for since, row in gone
        ]
        took = [Decimal(each) for each in hours if each > 0]
        middle = median(took).quantize(Decimal("0.1"), rounding=ROUND_HALF_UP) if took else None
        alerted = shop["changes"].get("median_hours_to_clear")
        self._wrong(f"the median of {connection_id}", alerted, float(middle) if middle is not None else None)

    # By what can be seen

    def _judge_sight(self, connection_id: str, alerted: set[str]) -> None:
        must, may = set[str](), set[str]()
        for order_id, seen in self.deadlines.copies[connection_id].items():
            row = self.row(ORDERS, f"{connection_id}#{order_id}")
            if row is None or not shows(row, seen):
                may.add(order_id)
            elif (needs_attention := self._waits(connection_id, row, seen)) is not False:
                (must if needs_attention else may).add(order_id)
        gone = {order_id for order_id in alerted if order_id not in self.deadlines.copies[connection_id]}
        if missing := must - alerted:
            raise Violation(f"the summary misses {sorted(missing)} of {connection_id}")
        if strangers := alerted - must - may - gone:
            raise Violation(f"the summary tells {sorted(strangers)} of {connection_id}, which do not wait")

    def _waits(self, connection_id: str, row: Row, seen: ShownOrder) -> bool | None:
        """Whether an order waits; None where nobody can tell."""
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


def _remembered(row: Row) -> Waited:
    found: Waited = json.loads(zlib.decompress(base64.b85decode(row["memory"])))
    return found


def _is_out_of_sight(state: Row, now: datetime) -> bool:
    if (state.get("health") or {}).get("state") in OUT_OF_SIGHT or not state.get("baseline_completed_at"):
        return True
    return not state.get("last_success_at") or now - moment(state["last_success_at"]) > SILENCE


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
