"""Trackstar's products, with the fields that an alert shows."""

from collections.abc import Mapping
from decimal import Decimal
from typing import Annotated, NamedTuple

from pydantic import ConfigDict, StringConstraints

from orderwatch.model import Model
from orderwatch.trackstar.fields import Envelope, Name, NoneIfMalformed, Number, Text, Url


class Product(Model):
    """One product of one connection. Every field but the id can be missing."""

    model_config = ConfigDict(coerce_numbers_to_str=True)

    id: Annotated[str, StringConstraints(min_length=1)]
    name: Name = None
    sku: Text = None
    parent_product_id: Text = None
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

    data: list[Annotated[Product | None, NoneIfMalformed()]]
    next_token: str | None = None
    total_count: Annotated[int | None, NoneIfMalformed()] = None

    @property
    def products(self) -> list[Product]:
        """The valid products in the page's order; invalid records are skipped."""
        return [product for product in self.data if product is not None]


class ProductEnvelope(Envelope):
    """The response to `GET /cart/products/{product_id}`."""

    data: Annotated[Product | None, NoneIfMalformed()]
    """The product; None if its record is invalid."""
