"""What is outstanding of an order, recomputed from its record unit by unit, apart from the product (rule 22).

Shipped units are handed out one after the other, in steps of a quarter: first those of shipped lines that name a line
of the order, then those that name its product, then those that name its SKU.
"""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, NamedTuple

from tests.simulation.cloud import Row

BACKORDERED = "backordered"
STEP = Fraction(1, 4)
"""Every quantity of a run is a multiple of it."""
NO_IDS = frozenset({"", "0", "-1", "none", "null"})
CALLED_OFF = ("voided", "cancelled", "canceled", "return")
"""A status with one of these words says that a shipment has not left."""

type Units = Fraction | None
type Names = Mapping[str, str]
"""What a line names: its own id, the id and the SKU of its product."""


class Line(NamedTuple):
    """A line of an order; None: the quantity is unknown, or the record has no list of shipments."""

    product_id: str | None
    sku: str | None
    ordered: Units
    shipped: Units

    @property
    def outstanding(self) -> Units:
        return None if self.ordered is None else self.ordered - (self.shipped or 0)


@dataclass(frozen=True)
class Contents:
    """What a record shows of what was ordered and of what has left.

    Attributes:
        lines: The lines of the order.
        shipments: How many shipments have left; None: the record has no list of them.
        unknown: How many of these show none of the order's lines.
        warehouses: The one that will ship each line; None where no shipping group says so, or several do.
    """

    lines: tuple[Line, ...]
    shipments: int | None
    unknown: int
    warehouses: tuple[str | None, ...]

    @classmethod
    def of(cls, record: Mapping[str, Any]) -> "Contents":
        """What this record shows."""
        ordered = _objects(record.get("line_items"))
        given = record.get("shipments")
        if not isinstance(given, list):
            lines = [Line(*_product(line), _units(line), None) for line in ordered]
            return cls(tuple(lines), None, 0, _warehouses(record, ordered))
        left = [each for each in _objects(given) if not _is_called_off(each)]
        shipped, known = _handed_out(ordered, left)
        pairs = zip(ordered, shipped, strict=True)
        lines = [Line(*_product(line), _units(line), units) for line, units in pairs]
        return cls(tuple(lines), len(left), len(left) - len(known), _warehouses(record, ordered))

    @property
    def outstanding(self) -> tuple[tuple[str | None, str | None, Units], ...]:
        """The lines that are still to ship: product, SKU, units."""
        return tuple((each.product_id, each.sku, each.outstanding) for each in self.lines if each.outstanding != 0)


def as_units(value: object) -> Units:
    """A quantity as JSON has it."""
    return None if value is None else Fraction(str(value))


def needed_units(row: Row) -> tuple[tuple[str | None, str | None, Units], ...]:
    """What is still to ship by an order's row: product, SKU, units."""
    lines = json.loads(row.get("extract", "{}")).get("lines", ())
    return tuple((line.get("product_id"), line.get("sku"), as_units(line.get("quantity"))) for line in lines)


def _handed_out(ordered: list[dict[str, Any]], shipments: list[dict[str, Any]]) -> tuple[list[Fraction], set[int]]:
    """The shipped units of each line, and the shipments of which any line could be counted."""
    shipped, known = [Fraction(0) for _ in ordered], set[int]()
    lines = [(number, each) for number, sent in enumerate(shipments) for each in _objects(sent.get("line_items"))]
    counted = [(number, each) for number, each in lines if (_units(each) or 0) > 0]
    ranked = [(*_targets(each, ordered), number, _units(each) or Fraction(0)) for number, each in counted]
    for _, targets, number, units in sorted(ranked, key=lambda each: each[0]):
        if targets:
            known.add(number)
            _hand_out(units, targets, ordered, shipped)
    return shipped, known


def _warehouses(record: Mapping[str, Any], ordered: list[dict[str, Any]]) -> tuple[str | None, ...]:
    """The warehouse that will ship each line; no group of a run has shipped."""
    found: list[set[str | None]] = [set() for _ in ordered]
    for group in _objects(record.get("shipping_groups")):
        for line in _objects(group.get("line_items")):
            for target in _targets(line, ordered)[1]:
                found[target].add(group.get("warehouse_id"))
    return tuple(next(iter(each)) if len(each) == 1 else None for each in found)


def _hand_out(units: Fraction, targets: list[int], ordered: list[dict[str, Any]], shipped: list[Fraction]) -> None:
    while units > 0:
        quantities = ((target, _units(ordered[target])) for target in targets)
        free = (target for target, quantity in quantities if quantity is None or shipped[target] < quantity)
        target = next(free, None)
        if target is None:
            return
        shipped[target] += STEP
        units -= STEP


def _targets(line: dict[str, Any], ordered: list[dict[str, Any]]) -> tuple[int, list[int]]:
    """The lines of the order that a line is about, and the rank of the criterion that shows it: the strongest is 0."""
    named = [_names(each) for each in ordered]
    for rank, is_about in enumerate((_is_same_line, _is_same_product, _is_same_sku)):
        if found := [number for number, each in enumerate(named) if is_about(_names(line), each, named)]:
            return rank, found
    return rank, []


def _is_same_line(line: Names, other: Names, _: list[Names]) -> bool:
    return bool(line["line"]) and line["line"] == other["line"]


def _is_same_product(line: Names, other: Names, all_lines: list[Names]) -> bool:
    if not line["product"] or line["product"] != other["product"]:
        return False
    skus = {each["sku"] for each in all_lines if each["product"] == line["product"]}
    has_one_product = len(skus) == 1
    return line["sku"] == other["sku"] != "" or (has_one_product and "" in {line["sku"], other["sku"]})


def _is_same_sku(line: Names, other: Names, _: list[Names]) -> bool:
    return bool(line["sku"]) and line["sku"] == other["sku"]


def _names(line: Mapping[str, Any]) -> Names:
    product_id, sku = _product(line)
    return {"line": _text(line.get("line_item_id")) or "", "product": product_id or "", "sku": (sku or "").lower()}


def _product(line: Mapping[str, Any]) -> tuple[str | None, str | None]:
    return _text(line.get("product_id")), _text(line.get("product_sku"))


def _text(value: object) -> str | None:
    text = "" if value is None else str(value).strip()
    return None if text.lower() in NO_IDS else text


def _units(line: Mapping[str, Any]) -> Units:
    """The quantity, where it is a number or says one."""
    value = line.get("quantity")
    try:
        return None if isinstance(value, bool) else as_units(value)
    except ValueError:
        return None


def _is_called_off(shipment: Mapping[str, Any]) -> bool:
    said = [str(shipment.get(name) or "").lower() for name in ("status", "raw_status")]
    return any(word in text for text in said for word in CALLED_OFF)


def _objects(value: object) -> list[dict[str, Any]]:
    return [each for each in value if isinstance(each, dict)] if isinstance(value, Iterable) else []
