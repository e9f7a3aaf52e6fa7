"""Checks what alerts, digests and summaries report of orders and stock (rule 22), by its own matching and sums.

It knows the records that the API served. It checks

- **every row and every alert about an order**: units ordered, shipped and outstanding of each line are those of a
  record that was served with this status and this date, and so are the shipments that have left and the warehouses;
- **every message**: each count of stock was visible shortly before, and is not left out where products can be read;
  each total of a digest is that of its alerts; and what is short is outstanding and not in stock;
- **every summary whose tables did not change meanwhile**: the units and orders of each product are those of the rows.
"""

import json
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from tests.simulation.allocation import covered_orders
from tests.simulation.cloud import ALERTS, ORDERS, Change, Row
from tests.simulation.facts import Subject, Violation, expect, moment, status_of, subject_of, version_of
from tests.simulation.outstanding import BACKORDERED, Contents, Units, as_units, needed_units
from tests.simulation.stock import KIT, Key, Stock
from tests.simulation.visible import Known

type Version = tuple[str, datetime | None]
"""The status and the date of a record."""


@dataclass
class ContentOracle:
    """Checks what is reported of the contents of orders.

    Args:
        known: Our tables, and what is visible.
        stock: What the API has shown of the shops' stock.
        seconds: The time.
    """

    known: Known
    stock: Stock
    seconds: Callable[[], float]
    _written_at: dict[str, float] = field(default_factory=dict)
    _served: defaultdict[Subject, defaultdict[Version, list[Contents]]] = field(
        default_factory=lambda: defaultdict(lambda: defaultdict(list))
    )

    def served(self, connection_id: str, records: Iterable[Mapping[str, Any]]) -> None:
        """Orders were served to a poll."""
        for record in map(dict, records):
            if status := status_of(record):
                version = version_of(record)
                key, contents = (status, moment(version) if version else None), Contents.of(record)
                of_version = self._served[connection_id, str(record["id"])][key]
                if contents not in of_version:
                    of_version.append(contents)

    def _candidates(self, subject: Subject, status: str, version: str) -> list[Contents]:
        """What an order may contain: its date is not that of the record where that one has none, or a wrong one."""
        of_order = self._served[subject]
        of_status = [each for (served, _), contents in of_order.items() if served == status for each in contents]
        is_dated = (self.known.order(subject) or {}).get("version_clock") != "observed"
        return (of_order.get((status, moment(version))) if is_dated else None) or of_status

    # What is written

    def wrote(self, changes: Iterable[Change]) -> None:
        """A transaction was committed."""
        for change in changes:
            if change.table == ALERTS:
                self._written_at[change.after["alert_id"]] = self.seconds()
            if change.table == ORDERS and "extract" in change.after:
                self._check_row(change.after)
            if change.table == ALERTS and change.after.get("order_id"):
                self._check_alert(change.after)

    def _check_row(self, row: Row) -> None:
        candidates = self._candidates(subject_of(row), row["status"], row["version"])
        found = needed_units(row)
        if found not in [each.outstanding for each in candidates]:
            raise Violation(f"the row of {subject_of(row)} has {found} outstanding, none of {candidates}")

    def _check_alert(self, row: Row) -> None:
        order: dict[str, Any] = json.loads(row["alert"])["order"]
        subject = (row["connection_id"], row["order_id"])
        candidates = self._candidates(subject, order["status"], order["updated_at"])
        lines = tuple(_reported(line) for line in order.get("line_items", ()))
        if lines not in [tuple(_expected(line) for line in each.lines) for each in candidates]:
            raise Violation(f"the lines of {subject} are {lines}, none of {candidates}")
        listed = order.get("shipments")
        count = None if listed is None else len(listed) + order.get("more_shipments", 0)
        shipments = (count, order.get("unknown_shipments", 0))
        if shipments not in [(each.shipments, each.unknown) for each in candidates]:
            raise Violation(f"the shipments of {subject}: {shipments}, none of {candidates}")
        warehouses = [line.get("warehouse") for line in order.get("line_items", ())]
        if warehouses not in [list(each.warehouses) for each in candidates]:
            raise Violation(f"the warehouses of {subject}: {warehouses}, none of {candidates}")

    # What is sent

    def took(self, body: Mapping[str, Any], alert_ids: Iterable[str]) -> None:
        """SNS accepted a message; stock that is back, and of held alerts, is as it was when they were written."""
        shop = body["connection_id"]
        rows = [self.known.tables.row(ALERTS, shop, each) or {} for each in alert_ids]
        older = [each for each in rows if "deliver_after" in each or each.get("kind") == "order.restocked"]
        since = min((self._written_at[each["alert_id"]] for each in older), default=self.seconds())
        is_whole = body["enrichment"]["complete"] and shop not in self.stock.late_shops
        if body.get("order"):
            self._check_sent_lines(body)
            for line in body["order"]["line_items"]:
                self._check_count(shop, line, since, is_whole=is_whole)
        digest = body.get("digest") or {}
        if digest:
            self._check_digest(shop, digest)
        for product in digest.get("products", ()):
            self._check_product(shop, product, since)

    def _check_sent_lines(self, body: Mapping[str, Any]) -> None:
        """What is outstanding is sent as it was written."""
        order = body["order"]
        written = self._written(body["connection_id"], body["alert_id"]).get("line_items", ())
        reported = [_reported(line) for line in order["line_items"]]
        expect(f"the lines of {order['id']} as sent", reported, [_reported(line) for line in written])

    def _written(self, connection_id: str, alert_id: str) -> dict[str, Any]:
        row = self.known.tables.row(ALERTS, connection_id, alert_id) or {}
        order: dict[str, Any] = json.loads(row["alert"])["order"]
        return order

    def _check_product(self, shop: str, product: Mapping[str, Any], since: float) -> None:
        self._check_count(shop, product, since, is_whole=False)
        on_hand, outstanding = as_units(product.get("on_hand")), as_units(product.get("outstanding"))
        is_known = product.get("product_id") != KIT and on_hand is not None and outstanding is not None
        short = max((outstanding or 0) - max(on_hand or 0, 0), 0) if is_known else 0
        expect(f"what is short of {_key(product)}", as_units(product.get("short")), short or None)

    def _check_count(self, shop: str, line: Mapping[str, Any], since: float, *, is_whole: bool) -> None:
        visible, reported = self.stock.counts(shop, _key(line), since), as_units(line.get("on_hand"))
        if reported is None and not (is_whole and None not in visible):
            return
        if reported not in visible:
            raise Violation(f"{shop}: the stock of {_key(line)} is {reported}, visible was {visible}")

    def _check_digest(self, shop: str, digest: Mapping[str, Any]) -> None:
        written = {each["id"]: self._written(shop, each["alert_id"]) for each in digest["orders"]}
        if len(written) < len(digest["orders"]):
            return  # two alerts of one order: it is unknown which one the totals are of
        for each in digest["orders"]:
            lines = [_reported(line) for line in written[each["id"]].get("line_items", ())]
            units = [outstanding for *_, outstanding in lines]
            total = sum(filter(None, units)) if units and None not in units else None
            expect(f"what is outstanding of {each['id']} in a digest", as_units(each["outstanding"]), total)
        orders = [_by_product(order.get("line_items", ())) for order in written.values()]
        for product in digest["products"]:
            key = _key(product)
            units = [quantity for order in orders for quantity in order.get(key, ())]
            expect(f"the orders with {key}", product["orders"], sum(key in order for order in orders))
            expect(f"the units of {key}", as_units(product.get("outstanding")), _sum(units))

    # The summary

    def check_stock(self, connection_id: str, products: Iterable[Mapping[str, Any]]) -> None:
        """The stock of the products of a shop in a summary."""
        for product in products:
            self._check_product(connection_id, product, self.seconds())

    def check_backorders(self, connection_id: str, products: Iterable[Mapping[str, Any]]) -> None:
        """The products of a shop in a summary, whose tables have not changed since it was begun."""
        rows = self.known.orders(connection_id)
        waiting = {key: row for key, row in rows.items() if row["status"] == BACKORDERED and "status_since" in row}
        lines = [needed_units(row) for row in waiting.values()]
        states = self.stock.states(connection_id, self.seconds())
        covered = [covered_orders(waiting, counts) for counts in states]
        for product in products:
            key = _key(product)
            of_product = [[units for *each, units in order if tuple(each) == key] for order in lines]
            expect(f"the orders that wait for {key}", product["orders"], sum(map(bool, of_product)))
            units = [each for order in of_product for each in order]
            expect(f"the units that wait of {key}", as_units(product.get("outstanding")), _sum(units))
            can_ship = {sum(_has(waiting[each], key) for each in orders) for orders in covered}
            if product.get("can_ship") not in (can_ship if product.get("on_hand") is not None else {None}):
                raise Violation(f"{product.get('can_ship')} orders with {key} can ship, not {can_ship}: {states}")


def _has(row: Row, key: Key) -> bool:
    return any((product_id, sku) == key for product_id, sku, _ in needed_units(row))


def _expected(line: Any) -> tuple[object, ...]:
    return (line.product_id, line.sku, line.ordered, line.shipped, line.outstanding)


def _reported(line: Mapping[str, Any]) -> tuple[Any, ...]:
    units = (as_units(line.get(name)) for name in ("quantity", "shipped", "outstanding"))
    return (*_key(line), *units)


def _by_product(lines: Collection[Mapping[str, Any]]) -> dict[Key, list[Units]]:
    """The units that are still to ship of each product of an order, a number for each line."""
    found: dict[Key, list[Units]] = {}
    for line in lines:
        outstanding = as_units(line.get("outstanding"))
        if outstanding != 0:
            found.setdefault(_key(line), []).append(outstanding)
    return found


def _key(line: Mapping[str, Any]) -> Key:
    return line.get("product_id"), line.get("sku")


def _sum(units: Sequence[Units]) -> Units:
    known = [each for each in units if each is not None]
    return sum(known, start=known[0] * 0) if known else None
