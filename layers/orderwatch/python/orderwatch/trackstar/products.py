"""Trackstar's products, with the fields that an alert shows."""

from collections.abc import Mapping
from decimal import Decimal
from typing import Annotated, NamedTuple, Self

from pydantic import ConfigDict, model_validator

from orderwatch.trackstar.fields import Envelope, Id, Name, NoneIfMalformed, Number, Record, RecordId, Sku, Url


class Product(Record):
    """One product of one connection. Every field but the id can be missing."""

    model_config = ConfigDict(coerce_numbers_to_str=True)

    id: Id
    name: Name = None
    sku: Sku = None
    parent_product_id: RecordId = None
    active: Annotated[bool | None, NoneIfMalformed()] = None
    is_kit: Annotated[bool | None, NoneIfMalformed()] = None
    image_url: Url = None
    external_system_url: Url = None
    inventory: Number = None
    inventory_by_warehouse_id: Annotated[dict[str, Number] | None, NoneIfMalformed()] = None

    @property
    def is_parent(self) -> bool:
        """Whether the product groups variants and has no stock of its own (docs/trackstar.md#products)."""
        return self.parent_product_id == self.id

    @property
    def has_stock(self) -> bool:
        """Whether `inventory` is a stock of its own: not for a parent, nor for a kit without a number above zero."""
        return not self.is_parent and not (self.is_kit and (self.inventory is None or self.inventory <= 0))

    def is_of_line(self, sku: str | None) -> bool:
        """Whether an order line with this product's id and this SKU can be about the product (rule 22).

        A parent's SKU says nothing about its variants. Letter case says nothing about a record that the id names.
        """
        return self.is_parent or not sku or not self.sku or sku.casefold() == self.sku.casefold()

    def has_stock_of_line(self, sku: str | None, *, is_shared: bool) -> bool:
        """Whether the product's stock is that of the order lines with its id and this SKU.

        Args:
            sku: The SKU of the lines.
            is_shared: Whether lines with other SKUs have the same product id.
        """
        return self.has_stock and (sku == self.sku if is_shared else self.is_of_line(sku))

    @property
    def on_hand_by_warehouse(self) -> dict[str, Decimal]:
        """The known counts by warehouse id."""
        counts = (self.inventory_by_warehouse_id or {}).items()
        return {warehouse: count for warehouse, count in counts if count is not None}


class ProductLookup(NamedTuple):
    """The products that were found, by id; or why none was looked up."""

    products: Mapping[str, Product]
    missing_reason: str | None = None


class ProductPage(Envelope):
    """One page of `GET /cart/products`."""

    data: list[Annotated[Product | None, NoneIfMalformed()]] | None
    next_token: str | None = None
    total_count: Annotated[int | None, NoneIfMalformed()] = None

    @model_validator(mode="after")
    def _check_list(self) -> Self:
        if self.data is None and self.total_count != 0:
            raise ValueError("null for a list that is not empty")
        return self

    @property
    def products(self) -> list[Product]:
        """The valid products in the page's order; invalid records are skipped."""
        return [product for product in self.data or [] if product is not None]


class ProductEnvelope(Envelope):
    """The response to `GET /cart/products/{product_id}`."""

    data: Annotated[Product | None, NoneIfMalformed()]
    """The product; None if its record is invalid."""
