"""The orders of a connection: the query, the records and the pages of `GET /cart/orders`."""

import re
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from functools import cached_property
from typing import Annotated, Any, NamedTuple, Self

from pydantic import (
    AfterValidator,
    AliasPath,
    ConfigDict,
    FailFast,
    Field,
    Strict,
    StringConstraints,
    ValidationError,
)
from pydantic_core import from_json

from orderwatch.model import Model, flaws_in_words
from orderwatch.privacy import EMAIL, mask_contacts
from orderwatch.sanitize import REPLACEMENT, one_line
from orderwatch.statuses import DOCUMENTED_STATUSES, MAX_STATUS_LENGTH, normalize_status
from orderwatch.trackstar.fields import (
    Currency,
    Date,
    Envelope,
    FreeText,
    Label,
    NoneIfMalformed,
    Number,
    Objects,
    RecordId,
    ShipBy,
    Text,
    Unless,
    UnreadableValues,
    Url,
    only_objects,
    order_number,
    parse_json,
    unreadable_fields,
)
from orderwatch.trackstar.shipments import ProductLine, Shipment, ShippedUnits, ShippingGroup, shipped_units

PAGE_SIZE = 1000
"""Records per page: the vendor's maximum."""
ROOMY = 4 * 2**20
"""Bytes of a page's body up to which the next page may have twice as many records; a quarter of `http.MAX_BODY`."""
MAX_ID_LENGTH = 256
"""Maximum characters of an order's id, which must fit into a DynamoDB key (2,048 bytes) with the connection's id."""
MAX_TOKEN_LENGTH = 4096
"""Maximum characters of a page token, which must fit into a URL and the connection's row."""
MAX_COUNT = 10**9
"""A `total_count` above this is ignored."""
MAX_IDS = 100
"""Maximum values of one `in` filter (the vendor's limit)."""
MAX_IDS_LENGTH = 4000
"""Maximum characters of all ids of one request, which a server must accept in a URL."""


_UNDAMAGED = f"^[^{REPLACEMENT}]*$"
"""With damaged characters it is unknown which order a record is of, or which status it has."""
_MEMBER = rb'"\w+"\s*:\s*(?:null|true|false|[-\d.eE+]+|"(?:[^"\\]|\\.)*")'
_MEMBERS = rb"(?:\s*" + _MEMBER + rb"\s*,)*?"
_PAGE_START = re.compile(
    rb"""\s* \{ (?P<members> %b) \s* "data" \s* : \s* \[ \s* \{ (?: %b \s* "id" \s* : \s* "(?P<id> [^"\\]*)" )?"""
    % (_MEMBERS, _MEMBERS),
    re.VERBOSE,
)
_PAGE_END = re.compile(rb"\](?P<members>(?:\s*,\s*" + _MEMBER + rb")*)\s*\}\s*$")
"""What precedes and follows the record of a page, and its id if only simple values precede it."""


class DateField(StrEnum):
    """The date that the incremental filter uses (rule 5)."""

    TRACKSTAR_UPDATED = "trackstar_updated_date"
    SHOP_UPDATED = "updated_date"


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderQuery:
    """The filters of a list of orders, which every page repeats.

    Attributes:
        after: The lower bound, inclusive; None: no bound.
        until: The upper bound, inclusive; used only with a lower bound.
        date_field: The date that the bounds apply to.
        statuses: Only orders in one of these statuses; empty: all orders.
    """

    after: datetime | None = None
    until: datetime
    date_field: DateField = DateField.TRACKSTAR_UPDATED
    statuses: tuple[str, ...] = ()

    def filters(self) -> dict[str, str]:
        """The query's parameters."""
        filters: dict[str, str] = {}
        if self.after:
            filters[f"{self.date_field}[gte]"] = _filter_date(self.after)
            filters[f"{self.date_field}[lte]"] = _filter_date(self.until)
        if self.statuses:
            filters["status[in]"] = ",".join(self.statuses)
        return filters


def _filter_date(moment: datetime) -> str:
    """Format a date for a filter: UTC in whole seconds, rounded down so that `gte` skips nothing."""
    return (moment.astimezone(UTC) - timedelta(microseconds=moment.microsecond)).strftime("%Y-%m-%dT%H:%M:%SZ")


class VersionClock(StrEnum):
    """The clock of a version. Only versions of the same clock can be compared."""

    TRACKSTAR = "trackstar"
    SHOP = "shop"
    OBSERVED = "observed"


class Version(NamedTuple):
    """The date of an order's record, and its clock."""

    at: datetime
    clock: VersionClock

    def is_older_than(self, other: "Version") -> bool:
        """Whether this version is older; False if the clocks differ."""
        return self.clock == other.clock and self.at < other.at


class LineItem(ProductLine):
    """One line of an order."""

    parent_product_id: RecordId = None
    unit_price: Number = None


_AnyList = Annotated[list[Any] | None, NoneIfMalformed()]


class OrderDetails(Model):
    """The fields of an order's record that only alerts show."""

    created_date: Date = None
    trackstar_created_date: Date = None
    invoice_currency_code: Currency = None
    total_price: Number = None
    total_tax: Number = None
    total_discount: Number = None
    total_shipping: Number = None
    external_system_url: Url = None
    requested_shipping_method: Label = None
    shipping_method_name: Label = None
    carrier_name: Label = None
    line_items: Objects[LineItem] = ()
    given_shipments: _AnyList = Field(None, validation_alias="shipments")
    given_shipping_groups: _AnyList = Field(None, validation_alias="shipping_groups")
    __slots__ = ("_record",)  # a private attribute of pydantic would cost as much as the whole record

    @classmethod
    def of(cls, record: Mapping[str, Any]) -> Self:
        """Read the details of a record, which they remember for `unreadable_amounts`."""
        read = cls.model_validate(record)
        object.__setattr__(read, "_record", record)
        return read

    @cached_property
    def left(self) -> tuple[Shipment, ...] | None:
        """The shipments that have left; None: the record has no list of shipments.

        They are parsed at first use, since most details are read for a date or a total.
        """
        if self.given_shipments is None:
            return None
        shipments = map(Shipment.model_validate, only_objects(self.given_shipments))
        return tuple(each for each in shipments if not each.is_called_off)

    @property
    def shipping_groups(self) -> tuple[ShippingGroup, ...]:
        """The parts of the order that ship together, if the record has any."""
        return tuple(map(ShippingGroup.model_validate, only_objects(self.given_shipping_groups)))

    @cached_property
    def shipped_units(self) -> ShippedUnits:
        """The units of each line that have left; None for each line if the record has no list of shipments."""
        if self.left is None:
            return ShippedUnits([None] * len(self.line_items), 0)
        return shipped_units(self.line_items, self.left)

    @property
    def first_seen_by_trackstar(self) -> datetime | None:
        """When Trackstar first had the order; None if the record has no such date (rule 8)."""
        return self.trackstar_created_date or self.created_date

    @property
    def unreadable_amounts(self) -> tuple[str, ...]:
        """The amounts that were given and cannot be read, by the names that an alert has for them."""
        totals = {name: name for name in ("total_price", "total_tax", "total_discount", "total_shipping")}
        of_order = totals | {"invoice_currency_code": "currency"}
        record: Mapping[str, Any] = getattr(self, "_record", {})
        lines = zip(self.line_items, only_objects(record.get("line_items")), strict=False)
        of_lines = {name for line, given in lines for name in unreadable_fields(line, given)}
        unreadable = unreadable_fields(self, record)
        found = [shown for name, shown in of_order.items() if name in unreadable]
        return (*found, *(name for name in ("quantity", "unit_price") if name in of_lines))


class _Records:
    """The records of a page, parsed at first use, since most pages have no order that is alerted."""

    def __init__(self, body: bytes) -> None:
        self._body = body

    def __getitem__(self, index: int) -> Any:
        return self._all[index]

    @cached_property
    def _all(self) -> list[Any]:
        return list(from_json(self._body)["data"])


def _shop_word(text: str) -> str:
    return one_line(mask_contacts(text), MAX_STATUS_LENGTH)


def _shop_status(text: str) -> str:
    return normalize_status(mask_contacts(text)).replace(EMAIL.replace("-", "_"), EMAIL)


_StatusText = Annotated[
    str, StringConstraints(strip_whitespace=True, min_length=1, max_length=MAX_STATUS_LENGTH, pattern=_UNDAMAGED)
]
_Status = Annotated[_StatusText, Unless(DOCUMENTED_STATUSES, _shop_status)]
_Word = Annotated[Annotated[_StatusText, Unless(DOCUMENTED_STATUSES, _shop_word)] | None, NoneIfMalformed()]


class Order(Model):
    """One order as of Trackstar's last sync, with the fields on which a poll decides.

    Raises:
        ValidationError: The id or the status is missing or invalid. Such a record is quarantined (rule 9).
    """

    model_config = ConfigDict(coerce_numbers_to_str=True)

    id: Annotated[str, StringConstraints(min_length=1, max_length=MAX_ID_LENGTH, pattern=_UNDAMAGED)]
    status: _Status
    given_number: Text = Field(None, validation_alias=AliasPath("order_number"))
    given_status: _Word = Field(None, validation_alias=AliasPath("status"))
    given_raw_status: FreeText = Field(None, validation_alias=AliasPath("raw_status"))
    updated_date: Date = None
    trackstar_updated_date: Date = None
    latest_ship_date: ShipBy = None
    __slots__ = ("_found_in",)  # a private attribute of pydantic would run Python code for each order of a page

    @classmethod
    def of(cls, record: Mapping[str, Any], unreadable: UnreadableValues | None = None) -> Self:
        """Read an order from its record; `unreadable` collects its unreadable values."""
        return cls.model_validate(record, context=unreadable).found_in([record], 0)

    def found_in(self, records: _Records | Sequence[Any], index: int) -> Self:
        """Remember the order's record, for `details`."""
        object.__setattr__(self, "_found_in", (records, index))
        return self

    @cached_property
    def details(self) -> OrderDetails:
        """The fields that only alerts show, parsed at first use, since few orders of a page are alerted."""
        records, index = getattr(self, "_found_in", ([{}], 0))
        return OrderDetails.of(records[index])

    @property
    def raw_status(self) -> str | None:
        """The shop's own word for the status: its raw status, else its spelling of the status, if that differs."""
        return self.given_raw_status or (self.given_status if self.given_status != self.status else None)

    @property
    def order_number(self) -> str | None:
        """The number that the shop gave it, without contact data. Few orders of a page are written or shown."""
        return order_number(self.given_number) if self.given_number else None

    @property
    def number(self) -> str:
        """The number that people use for the order; its id if it has none."""
        return self.order_number or self.id

    @property
    def quarantine_key(self) -> str | None:
        """The id under which the order would be quarantined."""
        return _usable_id(self.id)

    def is_older_than(self, other: "Order") -> bool:
        """Whether another copy of the order, on the same page, is newer by the first date that differs.

        If no date tells them apart, the one without Trackstar's date is older.
        """
        if self.trackstar_updated_date and other.trackstar_updated_date:
            return self.trackstar_updated_date < other.trackstar_updated_date
        if self.updated_date and other.updated_date and self.updated_date != other.updated_date:
            return self.updated_date < other.updated_date
        return other.trackstar_updated_date is not None

    def is_of(self, version: Version) -> bool:
        """Whether the record has the date of this version, or no date at all."""
        if self.trackstar_updated_date:
            return version == (self.trackstar_updated_date, VersionClock.TRACKSTAR)
        return self.updated_date is None or version == (self.updated_date, VersionClock.SHOP)

    def version(self, observed_at: datetime) -> Version:
        """The version of this record: dated by Trackstar, else by the shop, else by `observed_at`.

        `observed_at` also replaces a date in the future, since every later version would be older than such a date.
        """
        at, by = self.trackstar_updated_date, VersionClock.TRACKSTAR
        if at is None:
            at, by = self.updated_date, VersionClock.SHOP
        if at is None or at > observed_at:
            at, by = observed_at, VersionClock.OBSERVED
        return Version(at, by)


@dataclass(frozen=True, slots=True)
class Quarantined:
    """A record that cannot be watched (rule 9).

    Attributes:
        order_id: The record's id, safe to store and show (`one_line`); None if it has no valid id.
        reason: The invalid fields and why they are invalid, without their values, which can be personal.
    """

    order_id: str | None
    reason: str

    @property
    def key(self) -> str:
        """The key in the quarantine: the record's id, else the reason."""
        return self.order_id or f"without id ({self.reason})"


def _read_record(record: Any, unreadable: UnreadableValues | None = None) -> Order | Quarantined:
    try:
        return Order.of(record, unreadable)
    except ValidationError as error:
        order_id = _usable_id(record.get("id") if isinstance(record, dict) else None)
        return Quarantined(order_id, flaws_in_words(error, whole="record"))


def _usable_id(order_id: object) -> str | None:
    if not isinstance(order_id, str) or len(order_id) > MAX_ID_LENGTH:
        return None
    return one_line(order_id, MAX_ID_LENGTH) or None


class _OrderEnvelope(Envelope):
    data: dict[str, Any]


def read_order(body: bytes) -> Order | None:
    """Read the response to `GET /cart/orders/{order_id}`.

    Returns:
        The order; None if its record cannot be watched.

    Raises:
        ValueError: The body is not JSON, or not an object in an envelope.
    """
    order = _read_record(_OrderEnvelope.model_validate(parse_json(body)).data)
    return order if isinstance(order, Order) else None


def _undamaged(token: str) -> str:
    if REPLACEMENT in token or not token.isprintable():
        raise ValueError("damaged")
    return token


class _Page(Envelope):
    data: list[Any] | None
    next_token: Annotated[str, StringConstraints(max_length=MAX_TOKEN_LENGTH), AfterValidator(_undamaged)] | None = None
    total_count: Annotated[Annotated[int, Strict(), Field(ge=0, le=MAX_COUNT)] | None, NoneIfMalformed()] = None


class _ValidPage(_Page):
    data: Annotated[list[Order], FailFast()]


@dataclass(frozen=True, slots=True)
class OrderPage:
    """One page of `GET /cart/orders`.

    Attributes:
        orders: The valid records, in the page's order.
        quarantined: The records that cannot be watched.
        next_token: The token of the next page; None: this is the last page.
        total_count: The size of the whole list as the vendor reports it; None if it is missing or implausible.
        unreadable: The values that were given and cannot be read (rule 21).
        size: Bytes of the body.
    """

    orders: list[Order]
    quarantined: list[Quarantined]
    next_token: str | None
    total_count: int | None
    unreadable: UnreadableValues = field(default_factory=UnreadableValues)
    size: int = 0

    @classmethod
    def read(cls, body: bytes) -> Self:
        """Read the response to `GET /cart/orders`. An invalid record does not affect the others (rule 18).

        Raises:
            ValidationError: The body is not a page, it reports an error, or its `next_token` is invalid.
            ValueError: The body is not JSON, or it is cut off.
        """
        unreadable = UnreadableValues()
        try:  # nearly every page is valid as a whole, which needs no Python code for each record
            page = _ValidPage.model_validate_json(body, context=unreadable)
        except ValidationError:
            return cls._read_each(_Page.model_validate(parse_json(body)), size=len(body))
        records = _Records(body)
        orders = [order.found_in(records, index) for index, order in enumerate(page.data)]
        return cls(orders, [], page.next_token, page.total_count, unreadable, len(body))

    @classmethod
    def of_ends(cls, head: bytes, tail: bytes) -> Self:
        """Read a page of one record that is too large to be read, from both ends of its body. It is quarantined.

        Raises:
            ValueError: Neither end contains the page's `next_token`.
        """
        start, end = _PAGE_START.match(head), _PAGE_END.search(tail)
        members = [b'"data": []', *(match["members"].strip(b", \t\r\n") for match in (start, end) if match)]
        page = _Page.model_validate_json(b"{%b}" % b", ".join(filter(None, members)))
        if "next_token" not in page.model_fields_set:
            raise ValueError("a record is too large to be read, and its page cannot be passed")
        order_id = _usable_id(start["id"].decode("utf-8", "replace")) if start and start["id"] else None
        return cls([], [Quarantined(order_id, "record is too large")], page.next_token, page.total_count)

    @classmethod
    def _read_each(cls, page: _Page, *, size: int) -> Self:
        if page.data is None and page.total_count != 0:
            raise ValueError("data: null")
        unreadable = UnreadableValues()
        read = [_read_record(record, unreadable) for record in page.data or []]
        orders = [each for each in read if isinstance(each, Order)]
        quarantined = [each for each in read if isinstance(each, Quarantined)]
        return cls(orders, quarantined, page.next_token, page.total_count, unreadable, size)


@dataclass(frozen=True, slots=True)
class FoundOrders:
    """The result of a lookup of orders by id.

    Attributes:
        orders: The orders that Trackstar has and that can be read; an order can appear twice.
        gone: The ids of the orders that Trackstar no longer has.
    """

    orders: Sequence[Order]
    gone: Collection[str] = ()


def id_batches(order_ids: Iterable[str]) -> Iterator[list[str]]:
    """Yield the ids in lists that fit into one request, without ids with a comma, which a list cannot contain."""
    batch: list[str] = []
    for order_id in order_ids:
        if "," in order_id:
            continue
        if len(batch) == MAX_IDS or sum(map(len, batch)) + len(batch) + len(order_id) > MAX_IDS_LENGTH:
            yield batch
            batch = []
        batch.append(order_id)
    if batch:
        yield batch
