"""Many orders in one alert: digests, and what waits already when a watch begins."""

from datetime import datetime

from pydantic import Field

from orderwatch.alerts.parts import AlertPart, Line, Number


class DigestedOrder(AlertPart):
    """One order of a digest."""

    alert_id: str
    id: str
    number: Line
    url: str | None = None
    previous_status: Line | None = None
    raw_status: Line | None = Field(None, description="The shop's own word for the status.")
    currency: str | None = None
    total_price: Number | None = None
    ship_by: datetime | None = None


class DigestedReason(AlertPart):
    """How many orders of a digest have one `raw_status`."""

    raw_status: Line | None
    orders: int = Field(ge=1)


class WaitingOrder(AlertPart):
    """An order that was in a watched status already when the watch began."""

    id: str
    number: Line
    url: str | None = None
    status: Line
    raw_status: Line | None = None
    currency: str | None = None
    total_price: Number | None = None
    ship_by: datetime | None = None


class Waiting(AlertPart):
    """What waited for a person already when the watch of a shop began."""

    seen_at: datetime = Field(description="By the vendor's clock.")
    by_status: dict[str, int] = Field(description="All of these orders, counted.")
    orders: tuple[WaitingOrder, ...] = Field((), description="The most urgent ones: by ship-by, then by value.")
    more_orders: int = Field(0, ge=0, description="Those that are not listed here.")


class DigestedProduct(AlertPart):
    """A product that several orders of a digest wait for."""

    sku: Line | None = None
    name: Line | None = None
    product_id: str | None = None
    orders: int = Field(ge=1, description="Orders of the digest that have it.")
    ordered: Number | None = Field(None, description="Units of it in these orders, as far as it is known.")
    on_hand: Number | None = Field(None, description="Stock of it in all warehouses, as of `data_as_of`.")
    short: Number | None = Field(None, description="Units ordered beyond the stock; null: enough, or not known.")


class Digest(AlertPart):
    """Many transitions of one kind of one connection, in one message."""

    of_kind: str = Field(description="The kind that every order of the digest has, such as `order.backordered`.")
    status: Line
    count: int = Field(ge=1)
    value_by_currency: dict[str, Number] = Field(default_factory=dict)
    seen_at: datetime | None = Field(None, description="When the last of them was seen, by the vendor's clock.")
    reasons: tuple[DigestedReason, ...] = Field((), description="Every reason with its orders, the commonest first.")
    overdue: int = Field(0, ge=0, description="Orders whose ship-by had passed.")
    due_soon: int = Field(0, ge=0, description="Orders whose ship-by was due within a day.")
    orders: tuple[DigestedOrder, ...]
    more_orders: int = Field(0, ge=0, description="Orders of the digest that are not listed here.")
    products: tuple[DigestedProduct, ...] = Field(
        (), description="The products most affected, the worst first: several orders have them, or they are short."
    )
    more_products: int = Field(0, ge=0, description="Products of these orders that are not listed here.")
