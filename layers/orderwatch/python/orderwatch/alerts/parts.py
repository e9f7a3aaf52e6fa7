"""The parts of an alert: the shop, the order with its lines, the digest, the backlog."""

from collections import Counter
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from decimal import Decimal
from typing import Annotated, Self, TypedDict, Unpack

from pydantic import AfterValidator, ConfigDict, Field, PlainSerializer, computed_field

from orderwatch.model import Model
from orderwatch.sanitize import one_line

MAX_LINE_ITEMS = 100
"""Maximum number of order lines in an alert. Together with `MAX_TEXT` it keeps the row far below DynamoDB's 400 KB."""
MAX_TEXT = 160
MAX_NOTE = 200
"""Maximum characters of a note about an order."""
MAX_SHIPMENTS = 20
"""Maximum number of shipments in an alert."""
MAX_URL = 500
"""Maximum characters of a shipment's link in an alert. A longer one is left out."""
Number = Annotated[Decimal, PlainSerializer(lambda number: float(number or 0), return_type=float, when_used="json")]
"""A decimal that is serialized as a JSON number, so that a filter policy can compare it. Zero has no sign."""
type ProductKey = tuple[str | None, str | None]
"""The id and the SKU of a product; at least one of them is known."""
Line = Annotated[str, AfterValidator(lambda text: one_line(text, MAX_TEXT))]
"""One line of at most `MAX_TEXT` characters. Longer text is cut, line breaks become spaces, no text is refused."""
Note = Annotated[str, AfterValidator(lambda text: one_line(text, MAX_NOTE))]
"""A `Line` of at most `MAX_NOTE` characters."""


def product_key(product_id: str | None, sku: str | None) -> ProductKey | None:
    """What two order lines share if they are about one product: the id *and* the SKU (rule 22).

    Variants can share their parent's id, and two products can share a SKU. None if the line names no product.
    """
    key = (product_id or None, (sku or "").strip() or None)
    return key if any(key) else None


def shared_ids(keys: Iterable[ProductKey | None]) -> set[str]:
    """The product ids that occur with more than one SKU."""
    counts = Counter(key[0] for key in set(keys) if key and key[0])
    return {product_id for product_id, count in counts.items() if count > 1}


class AlertPart(Model):
    """Base class of every part of the contract."""

    # Every field is always sent, so the schema requires all of them.
    model_config = ConfigDict(json_schema_serialization_defaults_required=True)


class AlertConnection(AlertPart):
    """The shop that the alert is about; the topic for `topic.no_subscribers` and `topic.resubscribed`."""

    id: str
    name: Line | None = Field(None, description="Name that the operator gave the shop, if any.")
    integration: Line | None = Field(None, description="Trackstar's name of the integration, such as `shopify`.")
    time_zone: Line = Field("UTC", description="IANA name, for dates in messages to people; the JSON is in UTC.")

    @property
    def label(self) -> str:
        """The name of the shop; its id if it has no name."""
        return self.name or self.id

    def of_integration(self, integration: str | None) -> Self:
        """The same connection, with Trackstar's name of its integration."""
        return type(self)(id=self.id, name=self.name, integration=integration, time_zone=self.time_zone)


class LineItemChanges(TypedDict, total=False):
    """The fields of an `AlertLineItem` that its product's record gives."""

    sku: str | None
    name: str | None
    on_hand: Decimal | None
    on_hand_by_warehouse: Mapping[str, Decimal]
    image_url: str | None
    url: str | None
    is_kit: bool | None
    active: bool | None


class AlertLineItem(AlertPart):
    """A line of the order, with details of its product where they are known."""

    sku: Line | None = None
    name: Line | None = None
    quantity: Number | None = Field(None, description="Units ordered; null: unknown.")
    shipped: Number | None = Field(
        None, description="Units that have left, at most those ordered; null: the shop lists no shipments."
    )
    warehouse: str | None = Field(None, description="Id of the warehouse that will ship the line; null: unknown.")
    unit_price: Number | None = None
    on_hand: Number | None = Field(None, description="Stock of the product in all warehouses, as of `data_as_of`.")
    on_hand_by_warehouse: dict[str, Number] = Field(default_factory=dict)
    image_url: str | None = None
    url: str | None = Field(None, description="Page of the product in the shop's admin.")
    product_id: str | None = None
    is_kit: bool | None = Field(
        None, description="Whether the product is a bundle of others, whose stock decides. A kit is never short."
    )
    active: bool | None = Field(None, description="false: the shop no longer sells the product.")

    @computed_field(  # type: ignore[prop-decorator]
        description="Units still to ship: `quantity` less `shipped`; null: the quantity is unknown."
    )
    @property
    def outstanding(self) -> Number | None:
        """Units still to ship; None if the quantity is unknown."""
        return outstanding_units(self.quantity, self.shipped)

    @property
    def is_outstanding(self) -> bool:
        """Whether something of the line is still to ship, or may be."""
        return self.outstanding != 0

    def replace(self, **changes: Unpack[LineItemChanges]) -> Self:
        """The line with other values in these fields, validated: they are the shop's texts."""
        return type(self).model_validate({**dict(self), **changes})

    @property
    def product_key(self) -> ProductKey | None:
        """What lines of one product have in common."""
        return product_key(self.product_id, self.sku)


class AlertShipment(AlertPart):
    """A shipment that has left: it was not voided, cancelled or returned."""

    carrier: Line | None = None
    tracking_number: Line | None = None
    tracking_url: str | None = None
    status: Line | None = Field(None, description="In the shop's own words.")
    warehouse: str | None = Field(None, description="Id of the warehouse that it left; null: unknown.")


class OrderChanges(TypedDict, total=False):
    """The fields of an `AlertOrder` that change after it was made."""

    status: str
    status_since: datetime | None
    raw_status: str | None
    previous_status: str | None
    previous_status_since: datetime | None
    updated_at: datetime | None
    due_at: datetime | None
    line_items: tuple[AlertLineItem, ...]
    more_line_items: int
    warehouses: dict[str, str]
    owner: str | None
    taken_at: datetime | None
    snoozed_until: datetime | None
    note: str | None


class AlertOrder(AlertPart):
    """The order at the moment when the transition was seen."""

    id: str
    number: Line = Field(description="Order number that people use; the order id if there is none.")
    url: str | None = Field(None, description="Page of the order in the shop's admin.")
    status: Line
    previous_status: Line | None = Field(
        None, description="null: the order was not known before, or its status has not changed."
    )
    previous_status_since: datetime | None = None
    status_since: datetime | None = Field(None, description="When Trackstar's copy first showed this status.")
    raw_status: Line | None = Field(None, description="Status or reason in the shop's own words.")
    created_at: datetime | None = Field(None, description="By the shop's clock.")
    updated_at: datetime | None = Field(None, description="When Trackstar's copy last changed.")
    seen_at: datetime = Field(description="When orderwatch read the order, by Trackstar's clock.")
    currency: str | None = Field(None, description="ISO 4217.")
    total_price: Number | None = None
    total_tax: Number | None = None
    total_discount: Number | None = None
    total_shipping: Number | None = None
    ship_by: datetime | None = Field(None, description="Midnight UTC means the end of that day in the shop's zone.")
    due_at: datetime | None = Field(
        None,
        description="The deadline that passed, for `order.at_risk`, `order.late`, `order.stuck` and `order.reminder`.",
    )
    unreadable: tuple[str, ...] = Field(
        (),
        description="Fields that the shop gave and that cannot be read: totals, `currency`, `quantity`, `unit_price`.",
    )
    shipping_method: Line | None = Field(None, description="Shipping method in the shop's own words.")
    carrier: Line | None = None
    shipments: tuple[AlertShipment, ...] | None = Field(
        None, description="Shipments that have left: not voided, cancelled or returned; null: unknown."
    )
    more_shipments: int = Field(0, ge=0, description="Number of such shipments that are not listed here.")
    unknown_shipments: int = Field(
        0, ge=0, description="Number of such shipments, listed or not, whose contents are unknown; no line counts them."
    )
    warehouses: dict[str, Line] = Field(
        default_factory=dict, description="Names of the warehouses of this order by id, as far as they are known."
    )
    line_items: tuple[AlertLineItem, ...] = ()
    more_line_items: int = Field(0, ge=0, description="Number of order lines that are not listed here.")
    owner: Line | None = Field(
        None, description="Who took the order; for an order that has left the problem, who had it; null: nobody."
    )
    taken_at: datetime | None = None
    snoozed_until: datetime | None = Field(None, description="No reminder before this time; null: not snoozed.")
    note: Note | None = Field(None, description="What its owner wrote about it.")

    def replace(self, **changes: Unpack[OrderChanges]) -> Self:
        """The order with other values in these fields."""
        return self.model_copy(update={**changes})

    def keeping(self, count: int) -> Self:
        """The order with its first `count` lines listed; `more_line_items` counts the others."""
        left_out = len(self.line_items[count:])
        return self.replace(line_items=self.line_items[:count], more_line_items=self.more_line_items + left_out)

    @property
    def shipment_count(self) -> int | None:
        """Number of shipments that have left; None if unknown."""
        return None if self.shipments is None else len(self.shipments) + self.more_shipments

    @property
    def items(self) -> Decimal | None:
        """Units ordered, over all lines; None if one of them is unknown."""
        return self._sum(line.quantity for line in self.line_items)

    @property
    def outstanding(self) -> Decimal | None:
        """Units still to ship, over all lines; None if one of them is unknown."""
        return self._sum(line.outstanding for line in self.line_items)

    @property
    def is_partly_shipped(self) -> bool:
        """Whether something has left, and something is still to ship, or may be."""
        has_begun = bool(self.unknown_shipments) or any(line.shipped for line in self.line_items)
        return has_begun and self.outstanding != 0

    @property
    def is_wholly_shipped(self) -> bool:
        """Whether every unit of every line has left."""
        return self.outstanding == 0 and any(line.shipped for line in self.line_items)

    def _sum(self, units: Iterable[Decimal | None]) -> Decimal | None:
        """The sum over all lines; None if there are none, or if one of them is unknown."""
        known = [each for each in units if each is not None]
        is_known = self.line_items and not self.more_line_items and len(known) == len(self.line_items)
        return sum(known, Decimal(0)) if is_known else None

    def lines_of(self, line: AlertLineItem) -> list[AlertLineItem]:
        """All lines with this line's product, including the line itself: they share one stock."""
        key = line.product_key
        return [each for each in self.line_items if each.product_key == key] if key else [line]

    def shortfall(self, line: AlertLineItem) -> Decimal | None:
        """Units of the line's product that are still to ship and exceed the stock on hand, over all lines of the order.

        None if the stock or every quantity is unknown, if the stock is sufficient, or if the product is a kit.
        """
        if line.is_kit:
            return None
        outstanding = [each.outstanding for each in self.lines_of(line) if each.outstanding is not None]
        return short_of(sum(outstanding, Decimal(0)), line.on_hand) if outstanding else None


def outstanding_units(ordered: Decimal | None, shipped: Decimal | None) -> Decimal | None:
    """Units still to ship; None if what was ordered is unknown."""
    return ordered - shipped if ordered is not None and shipped else ordered


def short_of(outstanding: Decimal, on_hand: Decimal | None) -> Decimal | None:
    """Units missing; None if the stock is unknown or sufficient. Negative stock counts as zero."""
    if on_hand is None or outstanding <= max(on_hand, Decimal(0)):
        return None
    return outstanding - max(on_hand, Decimal(0))


def by_urgency(ship_by: datetime | None, total_price: Decimal | None) -> tuple[datetime, Decimal]:
    """Sort key: earliest ship-by first, then highest value."""
    latest = datetime.max.replace(tzinfo=UTC)
    by = latest if ship_by is None else ship_by if ship_by.tzinfo else ship_by.replace(tzinfo=UTC)
    return by, -(total_price or Decimal(0))


def sum_by_currency(totals: Iterable[tuple[str | None, Decimal | None]]) -> dict[str, Decimal]:
    """The sum in each currency; a total that is unknown or has no currency is left out."""
    sums: dict[str, Decimal] = {}
    for currency, total in totals:
        if currency and total is not None:
            sums[currency] = sums.get(currency, Decimal(0)) + total
    return sums


class ListedOrder(AlertPart):
    """An order in a list."""

    id: str
    number: Line
    url: str | None = None
    raw_status: Line | None = Field(None, description="Status or reason in the shop's own words.")
    currency: str | None = None
    total_price: Number | None = None
    ship_by: datetime | None = None


class ListedProduct(AlertPart):
    """A product in a list, with the stock that the orders need."""

    sku: Line | None = None
    product_id: Line | None = None
    orders: int = Field(ge=1, description="Number of these orders that still wait for it.")
    outstanding: Number | None = Field(None, description="Units still to ship in these orders; null: unknown.")
    on_hand: Number | None = Field(None, description="Stock in all warehouses; null: unknown.")
    short: Number | None = Field(None, description="Units still to ship beyond the stock; null: sufficient or unknown.")
    is_kit: bool | None = Field(None, description="Whether it is a bundle, whose parts' stock decides.")


class DigestedOrder(ListedOrder):
    """An order of a digest."""

    alert_id: str
    merged: tuple[str, ...] = Field((), description="Ids of alerts about this order that were merged into this one.")
    status: Line | None = None
    previous_status: Line | None = None
    items: Number | None = Field(None, description="Units ordered, over all order lines; null: unknown.")
    outstanding: Number | None = Field(None, description="Units still to ship, over all order lines; null: unknown.")
    shipment_count: int | None = Field(None, ge=0, description="Number of shipments that have left; null: unknown.")
    owner: Line | None = Field(None, description="Who took the order, or had it before it recovered; null: nobody.")


class DigestedReason(AlertPart):
    """Number of orders of a digest that share one `raw_status`."""

    raw_status: Line | None
    orders: int = Field(ge=1)


class BacklogOrder(ListedOrder):
    """An order that already had a watched status when watching began."""

    status: Line


class Backlog(AlertPart):
    """The orders that already needed attention when watching of a shop began."""

    seen_at: datetime = Field(description="By Trackstar's clock.")
    by_status: dict[str, int] = Field(description="Number of these orders by status, listed or not.")
    orders: tuple[BacklogOrder, ...] = Field((), description="The most urgent ones, by ship-by and then by value.")
    more_orders: int = Field(0, ge=0, description="Number of these orders that are not listed here.")

    def keeping(self, count: int) -> Self:
        """The backlog with its first `count` orders listed; `more_orders` counts the others."""
        return type(self)(
            seen_at=self.seen_at,
            by_status=self.by_status,
            orders=self.orders[:count],
            more_orders=self.more_orders + len(self.orders[count:]),
        )


class DigestedProduct(ListedProduct):
    """A product that several orders of a digest contain, or that is short."""

    name: Line | None = None


class DigestLists(TypedDict, total=False):
    """The lists of a `Digest`, which are cut where there is too little space."""

    orders: tuple[DigestedOrder, ...]
    more_orders: int
    products: tuple[DigestedProduct, ...]
    more_products: int


class Digest(AlertPart):
    """Many transitions of the same kind and connection, in one message."""

    of_kind: str = Field(description="Kind of every alert in the digest, such as `order.backordered`.")
    status: Line
    count: int = Field(ge=1)
    value_by_currency: dict[str, Number] = Field(default_factory=dict)
    seen_at: datetime | None = Field(None, description="When the latest of them was seen, by Trackstar's clock.")
    reasons: tuple[DigestedReason, ...] = Field((), description="Every reason, the most frequent first.")
    overdue: int = Field(0, ge=0, description="Number of orders whose ship-by had passed.")
    due_soon: int = Field(0, ge=0, description="Number of orders whose ship-by was within 24 hours.")
    shipped: int | None = Field(
        None, ge=0, description="Number of orders with a shipment that has left; null: unknown for one of them."
    )
    orders: tuple[DigestedOrder, ...]
    more_orders: int = Field(0, ge=0, description="Number of orders of the digest that are not listed here.")
    products: tuple[DigestedProduct, ...] = Field(
        (), description="The most affected products, the worst first: several orders contain them, or they are short."
    )
    more_products: int = Field(0, ge=0, description="Number of such products that are not listed here.")

    def keeping(self, count: int) -> Self:
        """The digest with its first `count` orders listed; `more_orders` counts the others."""
        return self._with_lists(orders=self.orders[:count], more_orders=self.more_orders + len(self.orders[count:]))

    def without_lists(self) -> Self:
        """The digest without orders and products; `more_orders` and `more_products` count them."""
        more_products = self.more_products + len(self.products)
        return self._with_lists(orders=(), more_orders=self.count, products=(), more_products=more_products)

    def _with_lists(self, **lists: Unpack[DigestLists]) -> Self:
        return self.model_copy(update={**lists})
