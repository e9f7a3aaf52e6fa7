"""The shop and the orders that an alert is about."""

from datetime import UTC, datetime
from decimal import Decimal
from typing import Annotated, Self, TypedDict, Unpack

from pydantic import AfterValidator, ConfigDict, Field, PlainSerializer

from orderwatch.model import Model
from orderwatch.sanitize import one_line

MAX_LINE_ITEMS = 100
"""Most lines of an alert: with texts of at most `MAX_TEXT` it stays far below the row's 400 KB."""
MAX_TEXT = 160
Number = Annotated[Decimal, PlainSerializer(float, return_type=float, when_used="json")]
"""A JSON number, so that a filter policy can compare it."""
Line = Annotated[str, AfterValidator(lambda text: one_line(text, MAX_TEXT))]
"""One line of text of at most `MAX_TEXT` characters: longer or broken ones are cut and joined, not refused."""


class AlertPart(Model):
    """A part of the contract."""

    # What is sent holds every field, so the schema may require them.
    model_config = ConfigDict(json_schema_serialization_defaults_required=True)


class AlertConnection(AlertPart):
    """The shop it is about; for `topic.no_subscribers` and `topic.resubscribed` the topic."""

    id: str
    name: Line | None = Field(None, description="The name that the operator gave the shop, if any.")
    integration: Line | None = Field(None, description="Trackstar's name of the integration, such as `shopify`.")
    time_zone: Line = Field("UTC", description="IANA name: people are told dates in it; the JSON's own are in UTC.")

    @property
    def label(self) -> str:
        """What a person calls the shop: its name, else its id."""
        return self.name or self.id

    def of_integration(self, integration: str | None) -> Self:
        """The same connection, with Trackstar's name of its integration."""
        return type(self)(id=self.id, name=self.name, integration=integration, time_zone=self.time_zone)


class AlertLineItem(AlertPart):
    """A line of the order, with what is known of its product."""

    sku: Line | None = None
    name: Line | None = None
    quantity: Number | None = None
    unit_price: Number | None = None
    on_hand: Number | None = Field(None, description="Stock of the product in all warehouses, as of `data_as_of`.")
    on_hand_by_warehouse: dict[str, Number] = Field(default_factory=dict)
    image_url: str | None = None
    url: str | None = Field(None, description="The product in the shop's own admin.")
    product_id: str | None = None
    is_kit: bool | None = Field(None, description="Whether the product is a bundle of others.")
    active: bool | None = Field(None, description="false: the shop no longer sells the product.")

    @property
    def product_key(self) -> str | None:
        """Equal for two lines of one product: the product's id, else the SKU."""
        return self.product_id or self.sku


class OrderChanges(TypedDict, total=False):
    """The fields that `AlertOrder.replaced` takes."""

    due_at: datetime | None
    line_items: tuple[AlertLineItem, ...]


class AlertOrder(AlertPart):
    """The order as it was when the transition was seen."""

    id: str
    number: Line = Field(description="The number that a person knows the order by; its id where it has none.")
    url: str | None = Field(None, description="The order in the shop's own admin.")
    status: Line
    previous_status: Line | None = Field(
        None, description="null: the order was never seen before, or its status has not changed."
    )
    previous_status_since: datetime | None = None
    status_since: datetime | None = Field(None, description="When the copy first showed this status.")
    raw_status: Line | None = Field(None, description="The shop's own word for the status.")
    created_at: datetime | None = Field(None, description="By the shop's clock.")
    updated_at: datetime | None = Field(None, description="When the copy changed that showed this status.")
    seen_at: datetime = Field(description="When orderwatch saw it, by the vendor's clock.")
    currency: str | None = Field(None, description="ISO 4217.")
    total_price: Number | None = None
    total_tax: Number | None = None
    total_discount: Number | None = None
    total_shipping: Number | None = None
    ship_by: datetime | None = Field(None, description="At midnight UTC it means the end of that day in the shop.")
    due_at: datetime | None = Field(
        None, description="The deadline that `order.at_risk`, `order.late` or `order.stuck` tells of has passed then."
    )
    shipments: int | None = Field(None, ge=0, description="Shipments that the shop lists; null: it does not say.")
    line_items: tuple[AlertLineItem, ...] = ()
    more_line_items: int = Field(0, ge=0, description="Lines of the order that are not listed here.")

    def lines_of(self, line: AlertLineItem) -> list[AlertLineItem]:
        """The lines that share this line's product, itself among them: together they draw on one stock."""
        key = line.product_key
        return [each for each in self.line_items if each.product_key == key] if key else [line]

    def shortfall(self, line: AlertLineItem) -> Decimal | None:
        """How many of the line's product this order wants beyond the stock on hand, over all of its lines.

        None where the stock or every quantity is unknown, or where there are enough.
        """
        quantities = [each.quantity for each in self.lines_of(line) if each.quantity is not None]
        return short_of(sum(quantities, Decimal(0)), line.on_hand) if quantities else None

    def replaced(self, **changes: Unpack[OrderChanges]) -> Self:
        """A copy with other values in these fields, as `dataclasses.replace`."""
        return self.model_copy(update=changes)


def short_of(ordered: Decimal, on_hand: Decimal | None) -> Decimal | None:
    """How many are missing; None where the stock is unknown or enough. A stock below zero counts as none."""
    if on_hand is None or ordered <= max(on_hand, Decimal(0)):
        return None
    return ordered - max(on_hand, Decimal(0))


def by_urgency(ship_by: datetime | None, total_price: Decimal | None) -> tuple[datetime, Decimal]:
    """A sort key: what must ship first comes first, then what is worth most."""
    latest = datetime.max.replace(tzinfo=UTC)
    by = latest if ship_by is None else ship_by if ship_by.tzinfo else ship_by.replace(tzinfo=UTC)
    return by, -(total_price or Decimal(0))


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


class BacklogOrder(AlertPart):
    """An order that was in a watched status already when the watch began."""

    id: str
    number: Line
    url: str | None = None
    status: Line
    raw_status: Line | None = None
    currency: str | None = None
    total_price: Number | None = None
    ship_by: datetime | None = None


class Backlog(AlertPart):
    """What waited for a person already when the watch of a shop began."""

    seen_at: datetime = Field(description="By the vendor's clock.")
    by_status: dict[str, int] = Field(description="All of these orders, counted.")
    orders: tuple[BacklogOrder, ...] = Field((), description="The most urgent ones: by ship-by, then by value.")
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
