"""Which backordered orders the stock on hand covers. Each unit covers one order (rule 23). Pure functions."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from typing import NamedTuple

from orderwatch.alerts.parts import ProductKey, product_key, shared_ids
from orderwatch.records import Extract, ExtractLine, StoredOrder
from orderwatch.statuses import BACKORDERED
from orderwatch.trackstar.products import Product

_NO_SHIP_BY = datetime.max.replace(tzinfo=UTC)


class Need(NamedTuple):
    """A backordered order, and what is still to ship."""

    order_id: str
    row: StoredOrder
    extract: Extract

    @property
    def is_known(self) -> bool:
        """Whether something is still to ship, and every line of it names its product and its quantity."""
        lines = self.extract.lines
        known = (line.product_id and line.quantity and line.quantity > 0 for line in lines)
        return bool(lines) and not self.extract.more_lines and all(known)

    @property
    def priority(self) -> tuple[bool, datetime, datetime, str]:
        """Sort key: orders that were alerted keep their units; then the earliest ship-by, then the oldest backorder."""
        row = self.row
        return row.restocked_at is None, row.ship_by or _NO_SHIP_BY, row.status_since, self.order_id


def needs_of(rows: Mapping[str, StoredOrder]) -> list[Need]:
    """The backordered orders among these rows, the first to get stock first."""
    backordered = ((order_id, row) for order_id, row in rows.items() if row.status == BACKORDERED and row.extract)
    needs = (Need(order_id, row, Extract.from_json(row.extract or "")) for order_id, row in backordered)
    return sorted(needs, key=lambda need: need.priority)


def product_ids(needs: Iterable[Need], *, limit: int) -> list[str]:
    """At most `limit` products of the orders that stock can cover, those of the first orders first."""
    lines = (line for need in needs if need.is_known for line in need.extract.lines)
    return list(dict.fromkeys(line.product_id for line in lines if line.product_id))[:limit]


def allocate(needs: Sequence[Need], products: Mapping[str, Product]) -> list[str]:
    """The ids of the orders that the stock covers, in the order in which they get it.

    An order gets its units only if every line that is still to ship is known and covered by what is left; otherwise it
    takes none, and a later order may get them. A product without stock of its own covers nothing: a parent, a kit
    without a number above zero, and one that order lines with other SKUs name.

    Args:
        needs: All backordered orders of a shop.
        products: The records of products, by id.
    """
    shared = shared_ids(line_key(line, products) for need in needs for line in need.extract.lines)
    left = {each.id: each.inventory for each in products.values() if each.inventory is not None}
    covered = []
    for need in sorted(needs, key=lambda need: need.priority):
        units = _units(need, products, shared)
        if units and all(count <= left[product_id] for product_id, count in units.items()):
            left |= {product_id: left[product_id] - count for product_id, count in units.items()}
            covered.append(need.order_id)
    return covered


def line_key(line: ExtractLine, products: Mapping[str, Product]) -> ProductKey | None:
    """The line's product; its record can complete a line that has no SKU."""
    product = products.get(line.product_id or "")
    return product_key(line.product_id, line.sku or (product.sku if product else None))


def _units(need: Need, products: Mapping[str, Product], shared: Collection[str]) -> dict[str, Decimal] | None:
    """The units of each product that are still to ship; None if the quantity or the stock of a line is unknown."""
    units: dict[str, Decimal] = {}
    for line in need.extract.lines if need.is_known else ():
        product, sku = products.get(line.product_id or ""), (line_key(line, products) or ("", None))[1]
        if product is None or product.inventory is None:
            return None
        if not product.has_stock_of_line(sku, is_shared=product.id in shared):
            return None
        units[product.id] = units.get(product.id, Decimal(0)) + (line.quantity or 0)
    return units
