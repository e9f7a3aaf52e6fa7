"""The alert `orderwatch.alert.v1`: what it holds, and how one about a connection is made.

This model is the public contract for machines. Its JSON Schema is `docs/alert.schema.json`; a test compares the two.
"""

import hashlib
from collections.abc import Iterable
from datetime import UTC, datetime
from decimal import Decimal
from enum import StrEnum
from typing import Annotated, Literal, NamedTuple

from pydantic import AfterValidator, ConfigDict, Field, PlainSerializer, computed_field

from orderwatch.model import Model, one_line

MAX_LINE_ITEMS = 100
"""Most lines of an alert: with texts of at most `MAX_TEXT` it stays far below the row's 400 KB."""
MAX_TEXT = 160

KIND_RECOVERED = "order.recovered"
KIND_DIGEST = "order.digest"
KIND_AT_RISK = "order.at_risk"
KIND_LATE = "order.late"
KIND_STUCK = "order.stuck"
DEADLINE_KINDS = frozenset({KIND_AT_RISK, KIND_LATE, KIND_STUCK})
"""Kinds that tell of an order that did not move: what it is in has not changed."""
KIND_BLOCKED = "connection.blocked"
KIND_UNAUTHORIZED = "connection.unauthorized"
KIND_STALE = "connection.stale"
KIND_CONNECTION_RECOVERED = "connection.recovered"
KIND_UNHEARD = "connection.unheard"
KIND_HEARD = "connection.heard"
TOPIC_KINDS = frozenset({KIND_UNHEARD, KIND_HEARD})
"""Kinds whose connection is a topic, not a shop: that between orderwatch and the people who should hear of it."""
ALERT_TOPIC = "AlertTopic"
OPS_TOPIC = "OpsTopic"
KIND_WATCH_STARTED = "watch.started"
KIND_QUARANTINED = "orders.quarantined"
KIND_UNREAD = "connection.unread"
KIND_DOUBTED_STATUS = "statuses.doubted"
KIND_REFUSED_SETTINGS = "settings.refused"
OPERATORS_KINDS = frozenset({KIND_QUARANTINED, KIND_UNREAD, KIND_DOUBTED_STATUS, KIND_REFUSED_SETTINGS})
"""Kinds that go to OpsTopic: only those who run orderwatch can act on them."""


class Audience(StrEnum):
    """Whom an alert is for: `everybody` gets it through AlertTopic, `operators` through OpsTopic."""

    EVERYBODY = "everybody"
    OPERATORS = "operators"


class Severity(StrEnum):
    """How much it matters: `critical` needs a person now, `warning` today, `info` nobody."""

    CRITICAL = "critical"
    WARNING = "warning"
    INFO = "info"


class Urgency(StrEnum):
    """What an open order's ship-by says: `overdue` it has passed, `soon` it is due within a day, `none` neither."""

    NONE = "none"
    SOON = "soon"
    OVERDUE = "overdue"


_SEVERITIES = {
    "order.exception": Severity.CRITICAL,
    KIND_LATE: Severity.CRITICAL,
    KIND_BLOCKED: Severity.CRITICAL,
    KIND_UNAUTHORIZED: Severity.CRITICAL,
    KIND_UNHEARD: Severity.CRITICAL,
    KIND_HEARD: Severity.INFO,
    KIND_UNREAD: Severity.CRITICAL,
    KIND_RECOVERED: Severity.INFO,
    KIND_CONNECTION_RECOVERED: Severity.INFO,
    KIND_WATCH_STARTED: Severity.INFO,
}


def severity_of(kind: str) -> Severity:
    """The severity of a kind; one that is not known is a warning."""
    return _SEVERITIES.get(kind, Severity.WARNING)


_STATUS_PHRASES = {"exception": "in exception", "other": "in a custom status"}


def status_phrase(status: str) -> str:
    """A status within a sentence: `in exception`, `backordered`, `on hold`."""
    return _STATUS_PHRASES.get(status, status.replace("_", " "))


Number = Annotated[Decimal, PlainSerializer(float, return_type=float, when_used="json")]
"""A JSON number, so that a filter policy can compare it."""
Line = Annotated[str, AfterValidator(lambda text: one_line(text, MAX_TEXT))]
"""One line of text of at most `MAX_TEXT` characters: longer or broken ones are cut and joined, not refused."""


class _Model(Model):
    # What is sent holds every field, so the schema may require them.
    model_config = ConfigDict(json_schema_serialization_defaults_required=True)


class AlertConnection(_Model):
    """The shop it is about; for `connection.unheard` and `connection.heard` the topic."""

    id: str
    name: Line | None = Field(None, description="The name that the operator gave the shop, if any.")
    integration: Line | None = Field(None, description="Trackstar's name of the integration, such as `shopify`.")
    time_zone: Line = Field("UTC", description="IANA name: people are told dates in it; the JSON's own are in UTC.")

    @property
    def label(self) -> str:
        """What a person calls the shop: its name, else its id."""
        return self.name or self.id


class AlertLineItem(_Model):
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


class AlertOrder(_Model):
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


class DigestedOrder(_Model):
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


class DigestedReason(_Model):
    """How many orders of a digest have one `raw_status`."""

    raw_status: Line | None
    orders: int = Field(ge=1)


class WaitingOrder(_Model):
    """An order that was in a watched status already when the watch began."""

    id: str
    number: Line
    url: str | None = None
    status: Line
    raw_status: Line | None = None
    currency: str | None = None
    total_price: Number | None = None
    ship_by: datetime | None = None


class Waiting(_Model):
    """What waited for a person already when the watch of a shop began."""

    seen_at: datetime = Field(description="By the vendor's clock.")
    by_status: dict[str, int] = Field(description="All of these orders, counted.")
    orders: tuple[WaitingOrder, ...] = Field((), description="The most urgent ones: by ship-by, then by value.")
    more_orders: int = Field(0, ge=0, description="Those that are not listed here.")


class DigestedProduct(_Model):
    """A product that several orders of a digest wait for."""

    sku: Line | None = None
    name: Line | None = None
    product_id: str | None = None
    orders: int = Field(ge=1, description="Orders of the digest that have it.")
    ordered: Number | None = Field(None, description="Units of it in these orders, as far as it is known.")
    on_hand: Number | None = Field(None, description="Stock of it in all warehouses, as of `data_as_of`.")
    short: Number | None = Field(None, description="Units ordered beyond the stock; null: enough, or not known.")


class Digest(_Model):
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


class Enrichment(_Model):
    """Whether the product details are all there."""

    complete: bool = True
    missing: tuple[str, ...] = Field((), description="What is missing and why, one entry a gap.")


class AlsoTold(_Model):
    """Another alert about the same order that the same message tells."""

    kind: str
    alert_id: str


class AlertKey(NamedTuple):
    """What names an alert's row: all alerts of a connection lie together, in one shard of the stream (rule 17)."""

    connection_id: str
    alert_id: str


class Alert(_Model):
    """One alert: what happened, to what, and how fresh the knowledge is."""

    schema_: Literal["orderwatch.alert.v1"] = Field("orderwatch.alert.v1", alias="schema")
    alert_id: str = Field(description="The same transition always has the same id: drop a repeat by it.")
    kind: str = Field(
        description="`order.<status>`, `order.at_risk`, `order.late`, `order.stuck`, `order.recovered`, "
        "`order.digest`, `connection.*`, `watch.started`, `orders.quarantined`, `statuses.doubted`, "
        "`settings.refused`."
    )
    severity: Severity
    audience: Audience = Field(
        Audience.EVERYBODY, description="`operators`: those who run orderwatch, through OpsTopic; else AlertTopic."
    )
    connection_id: str
    connection: AlertConnection
    order: AlertOrder | None = None
    digest: Digest | None = None
    waiting: Waiting | None = Field(None, description="Of `watch.started`: what waits already.")
    summary: str | None = Field(None, description="The alert in one line, as people read it; set in what is sent.")
    next_step: str | None = Field(None, description="What its reader can do about it; set in what is sent.")
    urgency: Urgency = Field(Urgency.NONE, description="Of an open order's ship-by; set in what is sent.")
    late_hours: Number | None = Field(
        None, description="Whole hours since the ship-by passed; of a digest the most; null: not overdue."
    )
    detail: str | None = Field(None, description="What happened, in words; alerts about a connection or a deadline.")
    also: tuple[AlsoTold, ...] = Field(
        (), description="What else the message tells of the order, such as that it is late too; `detail` says it."
    )
    enrichment: Enrichment = Enrichment()
    data_as_of: datetime | None = Field(None, description="The end of the vendor's last sync of this shop's orders.")

    model_config = ConfigDict(validate_by_name=True, validate_by_alias=True, serialize_by_alias=True)

    @computed_field(  # type: ignore[prop-decorator]
        description="SKUs of the listed lines, or of a digest's listed products: an array to filter by."
    )
    @property
    def skus(self) -> tuple[str, ...]:
        """Each SKU that the alert names, once."""
        named = self.order.line_items if self.order else self.digest.products if self.digest else ()
        return tuple(dict.fromkeys(each.sku for each in named if each.sku))

    @property
    def key(self) -> AlertKey:
        """The key of its row."""
        return AlertKey(self.connection_id, self.alert_id)


def alert_id(*parts: str) -> str:
    """An id of 32 hexadecimal digits: the same parts give the same id (rule 2)."""
    return hashlib.sha256("\x1f".join(parts).encode("utf-8", "surrogatepass")).hexdigest()[:32]


def connection_alert(
    kind: str,
    *,
    connection: AlertConnection,
    since: datetime,
    detail: str,
    data_as_of: datetime | None = None,
    subject: Iterable[str] = (),
    audience: Audience | None = None,
    next_step: str | None = None,
) -> Alert:
    """Make an alert about a connection itself.

    Args:
        kind: `connection.*` or `watch.started`.
        connection: The shop, or the topic.
        since: When the state began, by the vendor's clock (a topic's: by ours); part of the alert's id.
        detail: What happened, in words.
        data_as_of: The end of the vendor's last sync.
        subject: What else makes it different from others of its kind and time; part of the alert's id.
        audience: Whom it is for; None: as the kind says.
        next_step: What its reader can do; None: as the kind and the audience say.
    """
    usual = Audience.OPERATORS if kind in OPERATORS_KINDS else Audience.EVERYBODY
    copy = [audience] if audience and audience is not usual else []
    return Alert(
        alert_id=alert_id(connection.id, kind, since.isoformat(), *subject, *copy),
        kind=kind,
        severity=severity_of(kind),
        audience=audience or usual,
        connection_id=connection.id,
        connection=connection,
        next_step=next_step,
        detail=detail,
        data_as_of=data_as_of,
    )
