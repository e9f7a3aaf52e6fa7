"""Orders as Trackstar lists them, trimmed to what an alert needs and free of personal data.

Only what is named here is ever read out of a record: addresses, names and contact data have no field and so
cannot be stored, logged or sent. Everything but the id and the status may be missing or malformed without
costing the order (docs/trackstar.md#orders: most fields can be null, integrations differ).

A page is read as far as a decision needs it, and only the orders that are told are read again in full: most orders of
most pages are not.
"""

import json
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from functools import cached_property
from typing import Annotated, Any, NamedTuple, Self

from pydantic import (
    BeforeValidator,
    ConfigDict,
    FailFast,
    Field,
    GetCoreSchemaHandler,
    GetPydanticSchema,
    PrivateAttr,
    StringConstraints,
    ValidationError,
)
from pydantic_core import core_schema, from_json

from orderwatch.model import Model, describe_flaws
from orderwatch.trackstar.fields import Currency, Date, NoneIfMalformed, Number, Text, Url

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


class SeenOrder(Model):
    """One order of one connection as of Trackstar's last sync, as far as a poll decides by it.

    Raises:
        ValidationError: From the constructors, when the id or the status is missing or not a text: such a record
            cannot be watched (rule 9: it is quarantined).
    """

    model_config = ConfigDict(coerce_numbers_to_str=True)

    id: Annotated[str, StringConstraints(min_length=1, max_length=MAX_ID_LENGTH)]
    status: Annotated[str, StringConstraints(min_length=1, max_length=128)]
    order_number: Text = None
    raw_status: Text = None
    updated_date: Date = None
    trackstar_updated_date: Date = None

    @property
    def number(self) -> str:
        """What a person calls the order: its number, else its id."""
        return self.order_number or self.id

    def version(self, observed_at: datetime) -> Version:
        """The version of this copy: the vendor's date, else the shop's, else the moment we saw it."""
        if self.trackstar_updated_date:
            return Version(self.trackstar_updated_date, VersionClock.TRACKSTAR)
        if self.updated_date:
            return Version(self.updated_date, VersionClock.SHOP)
        return Version(observed_at, VersionClock.OBSERVED)


class Order(SeenOrder):
    """An order in full: all that an alert tells of it."""

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


def _order_or_quarantined(value: Any, handler: Callable[[Any], SeenOrder]) -> SeenOrder | Quarantined:
    try:
        return handler(value)
    except ValidationError as error:
        raw_id = value.get("id") if isinstance(value, dict) else None
        usable_id = raw_id if isinstance(raw_id, str) and 0 < len(raw_id) <= MAX_ID_LENGTH else None
        return Quarantined(order_id=usable_id, reason=describe_flaws(error))


def _record_schema(_source: Any, handler: GetCoreSchemaHandler) -> core_schema.CoreSchema:
    return core_schema.no_info_wrap_validator_function(_order_or_quarantined, handler(SeenOrder))


_GoodRecords = Annotated[list[SeenOrder], FailFast()]
_AnyRecords = list[Annotated[SeenOrder | Quarantined, GetPydanticSchema(_record_schema)]]


class OrderPage(Model):
    """One page of `GET /cart/orders`."""

    # Nearly every page holds nothing to quarantine, and then no record is looked at by Python code.
    data: Annotated[_GoodRecords | _AnyRecords, Field(union_mode="left_to_right")]
    next_token: str | None = None
    total_count: Annotated[int | None, NoneIfMalformed()] = None
    _body: bytes = PrivateAttr(b"")

    def read_from(self, body: bytes) -> Self:
        """Tell the page what it was read from, for `in_full`."""
        self._body = body
        return self

    @cached_property
    def orders(self) -> list[SeenOrder]:
        """The records that can be watched, in the page's order."""
        return [record for record in self.data if isinstance(record, SeenOrder)]

    @cached_property
    def quarantined(self) -> list[Quarantined]:
        """The records that cannot."""
        return [record for record in self.data if isinstance(record, Quarantined)]

    def in_full(self, order: SeenOrder) -> Order:
        """The whole of one of the page's orders, as this very object shows it."""
        record = self._records[self._places[id(order)]]
        return Order.model_validate(record | {"id": order.id, "status": order.status})

    @cached_property
    def _places(self) -> dict[int, int]:
        return {id(record): place for place, record in enumerate(self.data)}

    @cached_property
    def _records(self) -> list[Any]:
        return list(_parsed(self._body)["data"])


def _parsed(body: bytes) -> Any:
    try:
        return from_json(body)
    except ValueError:  # a lone surrogate, which only this parser takes
        return json.loads(body, parse_float=Decimal)
