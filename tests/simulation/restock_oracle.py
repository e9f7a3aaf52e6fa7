"""Checks that stock that is back is alerted (rule 23): by its own allocation of what the API served.

It asks nothing of the product but the rows of the orders, whose units `ContentOracle` checks. It checks

- **every `order.restocked`**: its order is backordered by a record that this poll read again; it was not alerted before
  in this backorder; the stock that the API served to this poll covers it, each unit for one order; its record is not
  newer than the products; these are newer than at the poll's last look; and its row is written in the same transaction;
- **every row**: only the first look of a connection records covered orders without an alert, and no row forgets it
  before its order changes its status;
- **every poll that ended normally**: it asked for products only if they were synced since the last look, and then each
  covered order that did not change meanwhile was alerted;
- **the end**, after the calm: every order that the stock covers was alerted or recorded. A deleted one takes no
  units unless it was alerted.

Excused: a poll with a failed request, or too little time, which looks again; an order that was deleted.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from tests.simulation.allocation import NEVER, covered_orders, products_end_of
from tests.simulation.cloud import ALERTS, ORDERS, Change, Row
from tests.simulation.deadline_oracle import PollFacts
from tests.simulation.facts import Subject, Violation, moment, moment_in, subject_of
from tests.simulation.outstanding import BACKORDERED, Units
from tests.simulation.visible import Known

RESTOCKED = "order.restocked"
RECORDED = "restocked_at"


@dataclass
class RestockOracle:
    """Checks the alerts about stock.

    Args:
        known: Our tables, and what is visible.
        is_on: Whether the run has `RestockAlerts=true`.

    Attributes:
        alerted: How many orders were alerted.
    """

    known: Known
    is_on: bool
    alerted: int = 0
    _done: set[Subject] = field(default_factory=set)

    def wrote(self, changes: Iterable[Change], facts: PollFacts) -> None:
        """A transaction was committed."""
        changes = list(changes)
        alerts = [change.after for change in changes if change.table == ALERTS and change.after["kind"] == RESTOCKED]
        about = {(row["connection_id"], row["order_id"]): row for row in alerts}
        for change in changes:
            if change.table == ORDERS:
                alert = about.pop(subject_of(change.after), None)
                self._check_row(change, facts, is_alerted=alert is not None)
        if about:
            raise Violation(f"alerted as restocked without their rows: {sorted(about)}")

    def _check_row(self, change: Change, facts: PollFacts, *, is_alerted: bool) -> None:
        subject, row = subject_of(change.after), change.after
        if change.before and change.before["status"] != row["status"]:
            self._done.discard(subject)
        if is_alerted:
            self._check_alert(subject, row, facts)
            self.alerted += 1
        if RECORDED not in row:
            if subject in self._done:
                raise Violation(f"{subject} was alerted as restocked, which its row forgets: {row}")
            return
        if row["status"] != BACKORDERED or not self.is_on:
            raise Violation(f"{subject} is stored as restocked: {row}")
        is_new = subject not in self._done
        if is_new and not is_alerted and facts.look.known_end is not None:
            raise Violation(f"{subject} is stored as restocked without an alert: {row}")
        if is_new and subject[1] not in facts.look.covered:
            raise Violation(f"{subject} is stored as restocked, and {facts.look} covers {facts.look.covered}")
        self._done.add(subject)

    def _check_alert(self, subject: Subject, row: Row, facts: PollFacts) -> None:
        look = facts.look
        if subject in self._done:
            raise Violation(f"{subject} was alerted as restocked twice in one backorder")
        if RECORDED not in row:
            raise Violation(f"{subject} was alerted as restocked, which is not stored: {row}")
        if look.known_end is None or look.reported_end in {None, look.known_end}:
            raise Violation(
                f"{subject} was alerted as restocked without a sync of products since the last look: {look}"
            )
        seen = facts.read_again.get(subject[1])
        if seen is None or seen.status != BACKORDERED:
            raise Violation(f"{subject} was alerted as restocked, and read again as {seen}")
        if moment(row["version"]) > (look.reported_end or NEVER):
            raise Violation(f"{subject} was alerted as restocked by products that are older than it: {look}, {row}")
        if subject[1] not in look.covered:
            raise Violation(f"{subject} was alerted as restocked, and the stock covers {look.covered}: {look}")

    def finished(self, facts: PollFacts, *, is_out_of_time: bool) -> None:
        """A poll ended normally."""
        look, key = facts.look, facts.connection_id
        if facts.is_spoilt or is_out_of_time or look.reported_end is None:
            return
        is_news = look.reported_end != look.known_end
        if not (is_news and self.is_on):
            if look.has_asked:
                raise Violation(f"{key}: products were asked for without news: {look}")
            return
        if look.is_failed:
            return
        if look.rows is None or _looked_until(self.known.connection(key)) is None:
            raise Violation(f"{key}: products were synced until {look.reported_end}, and nobody looked: {look}")
        for order_id in look.covered:
            before, row = look.rows[order_id], self.known.order((key, order_id)) or {}
            seen = self.known.shops[key].orders.get(order_id)
            is_same = seen is not None and seen.since <= facts.began and seen.is_shown_by(row)
            is_old_enough = moment(before["version"]) <= min(look.reported_end, facts.date or look.reported_end)
            if is_same and is_old_enough and row["version"] == before["version"] and RECORDED not in row:
                raise Violation(f"{key} {order_id} can ship and was not alerted: {look}")

    def check_end(self, connection: Mapping[str, Any], counts: Mapping[str, Units]) -> None:
        """After the calm: what the API shows of a connection and of its products."""
        key, reported = connection["connection_id"], products_end_of(connection)
        until = _looked_until(self.known.connection(key))
        if not self.is_on or reported is None:
            return
        if until is None or until < reported:
            raise Violation(f"after the calm, {key} was looked at until {until}, its products are from {reported}")
        orders = self.known.shops[key].orders
        rows = {each: row for each, row in self.known.orders(key).items() if each in orders or RECORDED in row}
        for order_id in covered_orders(rows, counts):
            row, seen = rows[order_id], orders.get(order_id)
            is_visible = seen is not None and seen.is_shown_by(row)
            if is_visible and moment(row["version"]) <= until and RECORDED not in row:
                raise Violation(f"after the calm, {key} {order_id} can ship and was not alerted: {row}")


def _looked_until(connection: Row) -> datetime | None:
    return moment_in(connection.get("syncs", {}), "products_end")
