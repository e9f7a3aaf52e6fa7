"""Orders as Trackstar lists them, trimmed to what an alert needs and free of personal data.

Only what is named here is ever taken out of a record: addresses, names and contact data have no field and so
cannot be stored, logged or sent. Everything but the id and the status may be missing or malformed without
costing the order (docs/trackstar.md#orders: most fields can be null, integrations differ).
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from functools import cache
from typing import Annotated, Any, NamedTuple, Self

from pydantic import (
    BeforeValidator,
    ConfigDict,
    FailFast,
    PrivateAttr,
    StringConstraints,
    TypeAdapter,
    ValidationError,
)
from pydantic_core import from_json

from orderwatch.model import Model, describe_flaws
from orderwatch.trackstar.fields import Currency, Date, FreeText, NoneIfMalformed, Number, OrderNumber, Text, Url

MAX_ID_LENGTH = 256
"""Characters of an order's id: with the connection's it must fit a DynamoDB key (2,048 bytes)."""


class VersionClock(StrEnum):
    """Which clock stamped a version: only versions of one clock can be compared."""

    TRACKSTAR = "trackstar"
    SHOP = "shop"
    OBSERVED = "observed"


class Version(NamedTuple):
    """When the status that an order shows was set, and by whose clock."""

    at: datetime
    clock: VersionClock

    def is_older_than(self, other: "Version") -> bool:
        """True only where both come from the same clock: what cannot be compared is never called old."""
        return self.clock == other.clock and self.at < other.at


class LineItem(Model):
    """One line of an order: what was bought."""

    model_config = ConfigDict(coerce_numbers_to_str=True)

    product_id: Text = None
    product_sku: Text = None
    parent_product_id: Text = None
    quantity: Number = None
    unit_price: Number = None


def _only_objects(value: Any) -> Any:
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []


class OrderDetails(Model):
    """What an alert says of an order beyond its status."""

    created_date: Date = None
    trackstar_created_date: Date = None
    latest_ship_date: Date = None
    invoice_currency_code: Currency = None
    total_price: Number = None
    total_tax: Number = None
    total_discount: Number = None
    total_shipping: Number = None
    external_system_url: Url = None
    line_items: Annotated[tuple[LineItem, ...], BeforeValidator(_only_objects)] = ()

    @property
    def first_seen_by_trackstar(self) -> datetime | None:
        """When Trackstar had the order first, as far as it says (rule 8)."""
        return self.trackstar_created_date or self.created_date


class Order(Model):
    """One order of one connection as of Trackstar's last sync, as far as a poll decides by it.

    Raises:
        ValidationError: From the constructors, when the id or the status is missing or not a text: such a record
            cannot be watched (rule 9: it is quarantined).
    """

    model_config = ConfigDict(coerce_numbers_to_str=True)

    id: Annotated[str, StringConstraints(min_length=1, max_length=MAX_ID_LENGTH)]
    status: Annotated[str, StringConstraints(min_length=1, max_length=128)]
    order_number: OrderNumber = None
    raw_status: FreeText = None
    updated_date: Date = None
    trackstar_updated_date: Date = None
    _record: Mapping[str, Any] = PrivateAttr(default_factory=dict)

    @classmethod
    def of(cls, record: Mapping[str, Any]) -> Self:
        """The order that a record shows."""
        return cls.model_validate(record).shown_by(record)

    def shown_by(self, record: Mapping[str, Any]) -> Self:
        """Keep the record that the order was read from, for `details`."""
        self._record = record
        return self

    @property
    def details(self) -> OrderDetails:
        """What else the record says, read when it is asked for: few orders of a page are ever alerted."""
        return OrderDetails.model_validate(self._record)

    @property
    def number(self) -> str:
        """What a person calls the order: its number, else its id."""
        return self.order_number or self.id

    def version(self, observed_at: datetime) -> Version:
        """The version of this copy: the vendor's date, else the shop's, else the moment we saw it.

        That moment also stands for a date after it: compared with such a date, every true one would be stale.
        """
        if self.trackstar_updated_date:
            version = Version(self.trackstar_updated_date, VersionClock.TRACKSTAR)
        elif self.updated_date:
            version = Version(self.updated_date, VersionClock.SHOP)
        else:
            return Version(observed_at, VersionClock.OBSERVED)
        return version if version.at <= observed_at else Version(observed_at, VersionClock.OBSERVED)


@dataclass(frozen=True, slots=True)
class Quarantined:
    """A record that cannot be watched (rule 9).

    Attributes:
        order_id: Its id where it has a usable one.
        reason: Which fields are wrong and how, without their values: those may be personal.
    """

    order_id: str | None
    reason: str

    @property
    def key(self) -> str:
        """What it is known by: its id, else what is wrong with it."""
        return self.order_id or f"without id ({self.reason})"


class _Envelope(Model):
    data: list[Any]
    next_token: str | None = None
    total_count: Annotated[int | None, NoneIfMalformed()] = None


@dataclass(frozen=True, slots=True)
class OrderPage:
    """One page of `GET /cart/orders`.

    Attributes:
        orders: The records that can be watched, in the page's order.
        quarantined: The records that cannot.
        next_token: Of the next page; None: this is the last one.
        total_count: How many orders the whole list is said to have.
    """

    orders: list[Order]
    quarantined: list[Quarantined]
    next_token: str | None
    total_count: int | None

    @classmethod
    def read(cls, body: bytes) -> Self:
        """Read a page from the body of an answer.

        Raises:
            ValueError: It is no JSON, or no page.
        """
        envelope = _Envelope.model_validate(_parsed(body))
        orders, quarantined = _read_records(envelope.data)
        return cls(orders, quarantined, envelope.next_token, envelope.total_count)


def _parsed(body: bytes) -> Any:
    try:
        return from_json(body)
    except ValueError:  # a lone surrogate in one record must not cost the page (rule 9)
        return json.loads(body, parse_float=Decimal)


@cache
def _all_good() -> TypeAdapter[list[Order]]:
    return TypeAdapter(Annotated[list[Order], FailFast()])


def _read_records(records: list[Any]) -> tuple[list[Order], list[Quarantined]]:
    try:  # nearly every page: one call of the compiled validator for all of its records
        orders = _all_good().validate_python(records)
    except ValidationError:
        each = [_read_record(record) for record in records]
        return [one for one in each if isinstance(one, Order)], [one for one in each if isinstance(one, Quarantined)]
    return [order.shown_by(record) for order, record in zip(orders, records, strict=True)], []


def _read_record(record: Any) -> Order | Quarantined:
    try:
        return Order.of(record)
    except ValidationError as error:
        order_id = record.get("id") if isinstance(record, dict) else None
        usable_id = order_id if isinstance(order_id, str) and 0 < len(order_id) <= MAX_ID_LENGTH else None
        return Quarantined(order_id=usable_id, reason=describe_flaws(error))
