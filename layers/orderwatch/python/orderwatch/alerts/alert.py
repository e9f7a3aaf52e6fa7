"""The alert itself, and how to make one about a connection."""

import hashlib
from collections.abc import Iterable
from datetime import datetime
from decimal import Decimal
from typing import Literal, NamedTuple, Self, TypedDict, Unpack

from pydantic import ConfigDict, Field, computed_field

from orderwatch.alerts.kinds import OPERATORS_KINDS, Recipients, Severity, Urgency, severity_of
from orderwatch.alerts.parts import AlertConnection, AlertOrder, AlertPart, Backlog, Digest, Number
from orderwatch.alerts.summary import DailySummary


class Enrichment(AlertPart):
    """Whether all product details could be added."""

    complete: bool = True
    missing: tuple[str, ...] = Field((), description="What is missing and why, one entry for each missing detail.")


class MergedAlert(AlertPart):
    """Another alert about the same order that was merged into this message."""

    kind: str
    alert_id: str


class AlertKey(NamedTuple):
    """The key of an alert's row. All alerts of a connection share one partition and one stream shard (rule 17)."""

    connection_id: str
    alert_id: str


class AlertChanges(TypedDict, total=False):
    """The fields of an `Alert` that change after it was made."""

    kind: str
    severity: Severity
    recipients: Recipients
    order: AlertOrder | None
    digest: Digest | None
    backlog: Backlog | None
    summary: DailySummary | None
    title: str
    next_step: str
    urgency: Urgency
    late_hours: Decimal | None
    detail: str | None
    merged: tuple[MergedAlert, ...]
    enrichment: Enrichment


class Alert(AlertPart):
    """One alert: what happened to which order or shop, and how recent the data is."""

    schema_: Literal["orderwatch.alert.v1"] = Field("orderwatch.alert.v1", alias="schema")
    alert_id: str = Field(description="The same transition always has the same id; use it to drop duplicates.")
    kind: str = Field(
        description="`order.<status>`, `order.at_risk`, `order.late`, `order.stuck`, `order.restocked`, "
        "`order.reminder`, `order.recovered`, `order.digest`, `connection.*`, `topic.*`, `watch.started`, "
        "`orders.quarantined`, `orders.unreadable_values`, `products.blocked`, `status.new`, `status.unknown`, "
        "`settings.refused`, `sync.refused`, `summary.daily`."
    )
    severity: Severity
    recipients: Recipients = Field(
        Recipients.EVERYBODY, description="`everybody` receives it through AlertTopic, `operators` through OpsTopic."
    )
    connection_id: str
    connection: AlertConnection
    order: AlertOrder | None = None
    digest: Digest | None = None
    backlog: Backlog | None = Field(
        None, description="For `watch.started`: the orders that already needed attention when watching began."
    )
    summary: DailySummary | None = Field(None, description="For `summary.daily`: the figures of all shops.")
    title: str | None = Field(None, description="The alert in one line of text. Set when the alert is sent.")
    next_step: str | None = Field(None, description="What the recipient can do. Set when the alert is sent.")
    urgency: Urgency = Field(
        Urgency.NONE, description="How close the ship-by of an open order is. Set when the alert is sent."
    )
    late_hours: Number | None = Field(
        None, description="Whole hours since the ship-by passed; for a digest the maximum; null: not overdue."
    )
    detail: str | None = Field(
        None, description="What happened, in words; for alerts about a connection or a deadline."
    )
    merged: tuple[MergedAlert, ...] = Field(
        (), description="Alerts about the same order that were merged into this message."
    )
    enrichment: Enrichment = Field(default_factory=Enrichment)
    data_as_of: datetime | None = Field(None, description="End of Trackstar's last sync of this shop's orders.")

    model_config = ConfigDict(validate_by_name=True, validate_by_alias=True, serialize_by_alias=True)

    @computed_field(  # type: ignore[prop-decorator]
        description="SKUs of the listed order lines or digest products, each once, for filter policies."
    )
    @property
    def skus(self) -> tuple[str, ...]:
        """The SKUs that the alert lists, each once."""
        listed = self.order.line_items if self.order else self.digest.products if self.digest else ()
        return tuple(dict.fromkeys(each.sku for each in listed if each.sku))

    @property
    def key(self) -> AlertKey:
        """The key of its row."""
        return AlertKey(self.connection_id, self.alert_id)

    def replace(self, **changes: Unpack[AlertChanges]) -> Self:
        """The alert with other values in these fields."""
        return self.model_copy(update={**changes})


def by_connection[T: (Alert, AlertKey)](alerts: Iterable[T]) -> dict[str, list[T]]:
    """The alerts, or their keys, of each connection, in order of appearance."""
    found: dict[str, list[T]] = {}
    for alert in alerts:
        found.setdefault(alert.connection_id, []).append(alert)
    return found


def alert_id(*parts: str) -> str:
    """An id of 32 hexadecimal digits; the same parts always give the same id (rule 2)."""
    return hashlib.sha256("\x1f".join(parts).encode("utf-8", "surrogatepass")).hexdigest()[:32]


def connection_alert(
    kind: str,
    *,
    connection: AlertConnection,
    since: datetime,
    detail: str,
    data_as_of: datetime | None = None,
    subject: Iterable[str] = (),
    recipients: Recipients | None = None,
    backlog: Backlog | None = None,
    id_parts: Iterable[str] | None = None,
) -> Alert:
    """Make an alert about a connection.

    Args:
        kind: For example `connection.blocked` or `watch.started`.
        connection: The shop.
        since: When the state began, by Trackstar's clock; part of the alert's id.
        detail: What happened, in words.
        data_as_of: The end of Trackstar's last sync.
        subject: More parts of the alert's id, for alerts with the same kind and time.
        recipients: Who receives it; None: the default of the kind.
        backlog: For `watch.started`: the orders that need attention already.
        id_parts: What the alert's id is made of, instead of connection, kind, time and subject.
    """
    default = Recipients.OPERATORS if kind in OPERATORS_KINDS else Recipients.EVERYBODY
    copy_for = [recipients] if recipients and recipients is not default else []
    return Alert(
        alert_id=alert_id(*(id_parts or (connection.id, kind, since.isoformat(), *subject, *copy_for))),
        kind=kind,
        severity=severity_of(kind),
        recipients=recipients or default,
        connection_id=connection.id,
        connection=connection,
        backlog=backlog,
        detail=detail,
        data_as_of=data_as_of,
    )
