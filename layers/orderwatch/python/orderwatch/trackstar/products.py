"""Products as Trackstar lists them, trimmed to what an alert shows."""

from decimal import Decimal
from typing import Annotated

from pydantic import ConfigDict, StringConstraints

from orderwatch.model import Model
from orderwatch.trackstar.fields import NoneIfMalformed, Number, Text, Url


class Product(Model):
    """One product of one connection, trimmed to what an alert shows; everything but the id may be missing."""

    model_config = ConfigDict(coerce_numbers_to_str=True)

    id: Annotated[str, StringConstraints(min_length=1)]
    name: Text = None
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
        """Whether it stands for its variants and has no stock of its own (docs/trackstar.md#products)."""
        return self.parent_product_id == self.id

    @property
    def on_hand_by_warehouse(self) -> dict[str, Decimal]:
        """The counts that are known, by warehouse."""
        counts = (self.inventory_by_warehouse_id or {}).items()
        return {warehouse: count for warehouse, count in counts if count is not None}


class ProductPage(Model):
    """One page of `GET /cart/products`; records that are no product are skipped."""

    data: list[Annotated[Product | None, NoneIfMalformed()]]
    next_token: str | None = None
    total_count: Annotated[int | None, NoneIfMalformed()] = None

    @property
    def products(self) -> list[Product]:
        """The usable records, in the page's order."""
        return [product for product in self.data if product is not None]


class ProductEnvelope(Model):
    """`GET /cart/products/{product_id}`; None where the record is no product."""

    data: Annotated[Product | None, NoneIfMalformed()]
