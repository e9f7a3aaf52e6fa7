"""The alert itself, and how one about a connection is made."""

import hashlib
from collections.abc import Iterable
from datetime import datetime
from typing import Literal, NamedTuple, Self, TypedDict, Unpack

from pydantic import ConfigDict, Field, computed_field

from orderwatch.alerts.kinds import OPERATORS_KINDS, Recipients, Severity, Urgency, severity_of
from orderwatch.alerts.parts import AlertConnection, AlertOrder, AlertPart, Backlog, Digest, Number
from orderwatch.alerts.summary import DailySummary


class Enrichment(AlertPart):
    """Whether the product details are all there."""

    complete: bool = True
    missing: tuple[str, ...] = Field((), description="What is missing and why, one entry a gap.")


class MergedAlert(AlertPart):
    """Another alert about the same order that the same message tells."""

    kind: str
    alert_id: str


class AlertKey(NamedTuple):
    """What names an alert's row: all alerts of a connection lie together, in one shard of the stream (rule 17)."""

    connection_id: str
    alert_id: str


class AlertChanges(TypedDict, total=False):
    """The fields that `Alert.replaced` takes."""

    order: AlertOrder | None
    severity: Severity
    detail: str | None
    merged: tuple[MergedAlert, ...]
    enrichment: Enrichment


class Alert(AlertPart):
    """One alert: what happened, to what, and how fresh the knowledge is."""

    schema_: Literal["orderwatch.alert.v1"] = Field("orderwatch.alert.v1", alias="schema")
    alert_id: str = Field(description="The same transition always has the same id: drop a repeat by it.")
    kind: str = Field(
        description="`order.<status>`, `order.at_risk`, `order.late`, `order.stuck`, `order.recovered`, "
        "`order.digest`, `connection.*`, `watch.started`, `orders.quarantined`, `status.unknown`, "
        "`settings.refused`, `sync.refused`, `summary.daily`."
    )
    severity: Severity
    recipients: Recipients = Field(
        Recipients.EVERYBODY, description="`operators`: those who run orderwatch, through OpsTopic; else AlertTopic."
    )
    connection_id: str
    connection: AlertConnection
    order: AlertOrder | None = None
    digest: Digest | None = None
    waiting: Backlog | None = Field(None, description="Of `watch.started`: what waits already.")
    daily: DailySummary | None = Field(None, description="Of `summary.daily`: its figures.")
    summary: str | None = Field(None, description="The alert in one line, as people read it; set in what is sent.")
    next_step: str | None = Field(None, description="What its reader can do about it; set in what is sent.")
    urgency: Urgency = Field(Urgency.NONE, description="Of an open order's ship-by; set in what is sent.")
    late_hours: Number | None = Field(
        None, description="Whole hours since the ship-by passed; of a digest the most; null: not overdue."
    )
    detail: str | None = Field(None, description="What happened, in words; alerts about a connection or a deadline.")
    merged: tuple[MergedAlert, ...] = Field(
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

    def replaced(self, **changes: Unpack[AlertChanges]) -> Self:
        """A copy with other values in these fields, as `dataclasses.replace`."""
        return self.model_copy(update=changes)


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
    recipients: Recipients | None = None,
    next_step: str | None = None,
    backlog: Backlog | None = None,
    id_parts: Iterable[str] | None = None,
) -> Alert:
    """Make an alert about a connection itself.

    Args:
        kind: `connection.*` or `watch.started`.
        connection: The shop, or the topic.
        since: When the state began, by the vendor's clock (a topic's: by ours); part of the alert's id.
        detail: What happened, in words.
        data_as_of: The end of the vendor's last sync.
        subject: What else makes it different from others of its kind and time; part of the alert's id.
        recipients: Whom it is for; None: as the kind says.
        next_step: What its reader can do; None: as the kind and the recipients say.
        backlog: Of `watch.started`: the orders that need attention already.
        id_parts: What the alert's id is made of instead of connection, kind, time and subject.
    """
    usual = Recipients.OPERATORS if kind in OPERATORS_KINDS else Recipients.EVERYBODY
    copy = [recipients] if recipients and recipients is not usual else []
    return Alert(
        alert_id=alert_id(*(id_parts or (connection.id, kind, since.isoformat(), *subject, *copy))),
        kind=kind,
        severity=severity_of(kind),
        recipients=recipients or usual,
        connection_id=connection.id,
        connection=connection,
        next_step=next_step,
        waiting=backlog,
        detail=detail,
        data_as_of=data_as_of,
    )
