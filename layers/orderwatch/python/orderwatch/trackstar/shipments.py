"""The shipments and shipping groups of an order, and how many units of each order line have left (rule 22)."""

import re
from collections.abc import Iterable, Iterator, Sequence
from decimal import Decimal
from typing import NamedTuple

from pydantic import ConfigDict

from orderwatch.model import Model
from orderwatch.sanitize import folded_words
from orderwatch.trackstar.fields import FreeText, Label, Number, Objects, RecordId, Sku, Url

_NOT_SENT = re.compile(
    r"\b(?<!not )(?<!never )(?<!non )(?<!yet )(?<!be )(?<!pending )(?<!partial )(?<!partially )"
    r"(voided|cancelled|canceled|returned|return to (sender|shipper|origin)"
    r"|(void|cancel|cancellation)(?! (pending|request|requested|rejected|denied|declined|refused|failed)))\b"
)
"""A shipment that was voided, cancelled or returned; not one for which this is only asked, or in part true."""
_SENT = {"shipped", "fulfilled", "delivered"}
"""The status of a shipping group that will ship nothing any more, beside those of `_NOT_SENT`."""


class ProductLine(Model):
    """A line of an order, of a shipment or of a shipping group."""

    model_config = ConfigDict(coerce_numbers_to_str=True)

    line_item_id: RecordId = None
    product_id: RecordId = None
    product_sku: Sku = None
    quantity: Number = None

    @property
    def folded_sku(self) -> str | None:
        """The SKU without letter case, since systems that pass an order on change it."""
        return self.product_sku.casefold() if self.product_sku else None


class _Parcel(Model):
    """What shipments and shipping groups have in common."""

    model_config = ConfigDict(coerce_numbers_to_str=True)

    status: FreeText = None
    raw_status: FreeText = None
    warehouse_id: RecordId = None
    line_items: Objects[ProductLine] = ()

    @property
    def is_called_off(self) -> bool:
        """Whether either status says that it was voided, cancelled or returned."""
        return any(_NOT_SENT.search(folded_words(status)) for status in (self.status, self.raw_status) if status)


class Shipment(_Parcel):
    """A part of an order that has left, unless it was called off."""

    carrier: Label = None
    tracking_number: Label = None
    tracking_url: Url = None


class ShippingGroup(_Parcel):
    """A part of an order that ships together from one warehouse."""

    @property
    def will_ship(self) -> bool:
        """Whether it was neither shipped nor called off."""
        return not self.is_called_off and folded_words(self.status or "") not in _SENT


class ShippedUnits(NamedTuple):
    """What has left of an order.

    Attributes:
        by_line: The units that have left, for each order line; at most what was ordered. None: unknown.
        unknown: Number of shipments of which no line could be counted.
    """

    by_line: Sequence[Decimal | None]
    unknown: int


def shipped_units(lines: Sequence[ProductLine], shipments: Sequence[Shipment]) -> ShippedUnits:
    """Count the units of each order line that have left.

    Several shipments add up. A shipped line fills the order lines that it is about in their order, never beyond what
    was ordered; the rest is ignored. A shipped line without a positive quantity is not counted.

    Args:
        lines: The order's lines.
        shipments: Shipments that have left.
    """
    by_line = [Decimal(0) for _ in lines]
    counted: set[int] = set()
    shipped = [
        (number, each) for number, shipment in enumerate(shipments) for each in shipment.line_items if _units(each)
    ]
    for position, found in _matches(lines, [each for _, each in shipped]):
        number, line = shipped[position]
        _fill(by_line, lines, found, _units(line))
        counted.add(number)
    return ShippedUnits(by_line, len(shipments) - len(counted))


def warehouses_of_lines(lines: Sequence[ProductLine], groups: Sequence[ShippingGroup]) -> list[str | None]:
    """The warehouse that will ship each order line; None if no group says so, or if several would."""
    named = [(group.warehouse_id, each) for group in groups if group.will_ship for each in group.line_items]
    of_lines: list[set[str | None]] = [set() for _ in lines]
    for position, found in _matches(lines, [each for _, each in named]):
        for index in found:
            of_lines[index].add(named[position][0])
    return [next(iter(each)) if len(each) == 1 else None for each in of_lines]


def _units(line: ProductLine) -> Decimal:
    return max(line.quantity or Decimal(0), Decimal(0))


def _fill(by_line: list[Decimal], lines: Sequence[ProductLine], found: Iterable[int], units: Decimal) -> None:
    """Add the units to these lines in their order; a line whose quantity is unknown takes all that is left."""
    for index in found:
        ordered = lines[index].quantity
        taken = units if ordered is None else min(units, max(ordered - by_line[index], Decimal(0)))
        by_line[index] += taken
        units -= taken


def _matches(lines: Sequence[ProductLine], others: Sequence[ProductLine]) -> Iterator[tuple[int, Sequence[int]]]:
    """The position of each other line that is about order lines, and their positions.

    Each criterion is tried for all lines before the next one, so that a weak match never takes what a strong one
    claims. The first criterion that finds an order line counts.
    """
    if not lines or not others:
        return
    index, rest = _LineIndex(lines), list(enumerate(others))
    for find in (index.by_line_id, index.by_product, index.by_sku):
        found = [(position, line, find(line)) for position, line in rest]
        yield from ((position, positions) for position, _, positions in found if positions)
        rest = [(position, line) for position, line, positions in found if not positions]


class _LineIndex:
    """The positions of an order's lines by what other lines can have in common with them."""

    def __init__(self, lines: Sequence[ProductLine]) -> None:
        self._line_ids = _positions(line.line_item_id for line in lines)
        self._skus = _positions(line.folded_sku for line in lines)
        self._products: dict[str | None, dict[str | None, list[int]]] = {}
        for position, line in enumerate(lines):
            if line.product_id:
                self._products.setdefault(line.product_id, {}).setdefault(line.folded_sku, []).append(position)

    def by_line_id(self, line: ProductLine) -> Sequence[int]:
        """The order lines with the same line id."""
        return self._line_ids.get(line.line_item_id, ())

    def by_product(self, line: ProductLine) -> Sequence[int]:
        """The order lines with the same product id and SKU.

        The id is enough if one side has no SKU, and all order lines with this id are one product.
        """
        by_sku, sku = self._products.get(line.product_id, {}), line.folded_sku
        if len(by_sku) == 1 and (sku is None or None in by_sku):
            return next(iter(by_sku.values()))
        return by_sku.get(sku, ()) if sku else ()

    def by_sku(self, line: ProductLine) -> Sequence[int]:
        """The order lines with the same SKU."""
        return self._skus.get(line.folded_sku, ())


def _positions(keys: Iterable[str | None]) -> dict[str | None, list[int]]:
    """The positions of each key; None is no key."""
    found: dict[str | None, list[int]] = {}
    for position, key in enumerate(keys):
        if key:
            found.setdefault(key, []).append(position)
    return found
