"""Which orders to ask for: the filters of `GET /cart/orders`."""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from functools import cached_property
from typing import Annotated, Any, NamedTuple, Self

from pydantic import (
    AfterValidator,
    BeforeValidator,
    ConfigDict,
    FailFast,
    Field,
    Strict,
    StringConstraints,
    ValidationError,
)
from pydantic_core import from_json

from orderwatch.model import Model, describe_flaws
from orderwatch.sanitize import one_line
from orderwatch.trackstar.fields import Currency, Date, FreeText, NoneIfMalformed, Number, OrderNumber, Text, Url
from orderwatch.trackstar.lenient_json import DAMAGED, id_in, read_value
from orderwatch.trackstar.page_parts import split


class DateField(StrEnum):
    """The date that the incremental filter runs on (rule 5)."""

    TRACKSTAR_UPDATED = "trackstar_updated_date"
    SHOP_UPDATED = "updated_date"


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderQuery:
    """The filters of a reading: the same on every page, since the vendor's page token does not remember them.

    Attributes:
        after: Lower bound, inclusive; None reads from the beginning.
        until: Upper bound, inclusive; counts only with a lower one.
        date_field: What the bounds are on.
        statuses: Only these statuses; empty: all.
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
    """UTC in whole seconds, the only form that the filters take; rounded down, so that `gte` loses nothing."""
    return (moment.astimezone(UTC) - timedelta(microseconds=moment.microsecond)).strftime("%Y-%m-%dT%H:%M:%SZ")


MAX_ID_LENGTH = 256
"""Characters of an order's id: with the connection's it must fit a DynamoDB key (2,048 bytes)."""
MAX_TOKEN_LENGTH = 4096
"""Characters of a page token: it is saved in the connection's row, and it must fit a URL."""
MAX_COUNT = 10**9
"""The largest `total_count` that is believed."""
_BYTE_ORDER_MARK = b"\xef\xbb\xbf"


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


def _length(value: Any) -> Any:
    return len(value) if isinstance(value, list) else None


class OrderDetails(Model):
    """What an alert says of an order beyond its status."""

    created_date: Date = None
    trackstar_created_date: Date = None
    invoice_currency_code: Currency = None
    total_price: Number = None
    total_tax: Number = None
    total_discount: Number = None
    total_shipping: Number = None
    external_system_url: Url = None
    line_items: Annotated[tuple[LineItem, ...], BeforeValidator(_only_objects)] = ()
    shipments: Annotated[int | None, BeforeValidator(_length)] = None
    """How many the record lists; None: it has no list."""

    @property
    def first_seen_by_trackstar(self) -> datetime | None:
        """When Trackstar had the order first, as far as it says (rule 8)."""
        return self.trackstar_created_date or self.created_date


class _Records:
    """The records of a page, parsed when the first of them is asked for: most pages show nothing that is alerted."""

    def __init__(self, body: bytes) -> None:
        self._body = body

    def __getitem__(self, place: int) -> Any:
        return self._all[place]

    @cached_property
    def _all(self) -> list[Any]:
        return list(from_json(self._body)["data"])


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
    latest_ship_date: Date = None
    __slots__ = ("_found_in",)  # no private attribute: pydantic would run Python code for each order of a page

    @classmethod
    def of(cls, record: Mapping[str, Any]) -> Self:
        """The order that a record shows."""
        return cls.model_validate(record).found_in([record], 0)

    def found_in(self, records: _Records | Sequence[Any], place: int) -> Self:
        """Remember where the order's record is, for `details`."""
        object.__setattr__(self, "_found_in", (records, place))
        return self

    @property
    def details(self) -> OrderDetails:
        """What else the record says, read when it is asked for: few orders of a page are ever alerted."""
        records, place = getattr(self, "_found_in", ([{}], 0))
        return OrderDetails.model_validate(records[place])

    @property
    def number(self) -> str:
        """What a person calls the order: its number, else its id."""
        return self.order_number or self.id

    @property
    def quarantine_key(self) -> str | None:
        """What it would be quarantined by."""
        return _usable_id(self.id)

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
        order_id: Its id where it has a usable one, fit to be stored and shown (`one_line`).
        reason: Which fields are wrong and how, without their values: those may be personal.
    """

    order_id: str | None
    reason: str

    @property
    def key(self) -> str:
        """What it is known by: its id, else what is wrong with it."""
        return self.order_id or f"without id ({self.reason})"


def _whole(token: str) -> str:
    if DAMAGED in token or not token.isprintable():
        raise ValueError("damaged")
    return token


class _Envelope(Model):
    data: list[Any]
    next_token: Annotated[str, StringConstraints(max_length=MAX_TOKEN_LENGTH), AfterValidator(_whole)] | None = None
    total_count: Annotated[
        Annotated[int, Strict(), Field(ge=0, le=MAX_COUNT)] | None,
        NoneIfMalformed(),
    ] = None


class _SoundPage(_Envelope):
    data: Annotated[list[Order], FailFast()]


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
        """Read a page from the body of an answer; a record that is broken costs only itself (rule 18).

        Raises:
            ValidationError: It is no page, or its `next_token` cannot be followed.
            ValueError: It is cut off, or no JSON outside of its records.
        """
        try:  # nearly every page: no record is looked at by Python code
            page = _SoundPage.model_validate_json(body)
        except ValidationError:
            return cls._read_each(body)
        records = _Records(body)
        orders = [order.found_in(records, place) for place, order in enumerate(page.data)]
        return cls(orders, [], page.next_token, page.total_count)

    @classmethod
    def _read_each(cls, body: bytes) -> Self:
        try:
            page = from_json(body)
        except ValueError:
            return cls._read_in_parts(body.removeprefix(_BYTE_ORDER_MARK))
        envelope = _Envelope.model_validate(page)
        orders, quarantined = _sorted_out([_read_record(record) for record in envelope.data])
        return cls(orders, quarantined, envelope.next_token, envelope.total_count)

    @classmethod
    def _read_in_parts(cls, body: bytes) -> Self:
        parts = split(body)
        envelope = _Envelope.model_validate(parts.envelope)
        orders, quarantined = _sorted_out([*map(_read_text, parts.records), *map(_unreadable, parts.broken)])
        return cls(orders, quarantined, envelope.next_token, envelope.total_count)


def _sorted_out(records: list[Order | Quarantined]) -> tuple[list[Order], list[Quarantined]]:
    orders = [one for one in records if isinstance(one, Order)]
    return orders, [one for one in records if isinstance(one, Quarantined)]


def _read_record(record: Any) -> Order | Quarantined:
    try:
        return Order.of(record)
    except ValidationError as error:
        return Quarantined(_usable_id(record.get("id") if isinstance(record, dict) else None), describe_flaws(error))


def _usable_id(order_id: object) -> str | None:
    if not isinstance(order_id, str) or len(order_id) > MAX_ID_LENGTH:
        return None
    return one_line(order_id, MAX_ID_LENGTH) or None


def _read_text(text: bytes) -> Order | Quarantined:
    """Read one record of a page that has a broken one."""
    try:
        return _read_record(from_json(text))
    except ValueError:
        return _read_damaged(text)


def _read_damaged(text: bytes) -> Order | Quarantined:
    try:
        read = _read_record(read_value(text))
    except ValueError:
        return _unreadable(text)
    if isinstance(read, Order) and DAMAGED in read.id + read.status:  # which order it is, or how it is, is unknown
        return Quarantined(_usable_id(read.id), "id or status: string_unicode")
    return read


def _unreadable(text: bytes) -> Quarantined:
    return Quarantined(_usable_id(id_in(text)), "record: json_invalid")


MAX_IDS = 100
"""Values of one `in` filter."""
MAX_IDS_LENGTH = 4000
"""Characters of all ids of one request: with them a URL stays within what servers take."""


@dataclass(frozen=True, slots=True)
class FoundOrders:
    """What Trackstar has of orders that were asked for by their ids.

    Attributes:
        orders: Those that it has and that can be read; one may be there twice.
        gone: The ids of those that it no longer has.
    """

    orders: Sequence[Order]
    gone: Collection[str] = ()


def in_lists(order_ids: Iterable[str]) -> Iterator[list[str]]:
    """The ids in lists that one request can name; ids with a comma cannot be listed and are left out."""
    listed: list[str] = []
    for order_id in order_ids:
        if "," in order_id:
            continue
        if len(listed) == MAX_IDS or sum(map(len, listed)) + len(listed) + len(order_id) > MAX_IDS_LENGTH:
            yield listed
            listed = []
        listed.append(order_id)
    if listed:
        yield listed
