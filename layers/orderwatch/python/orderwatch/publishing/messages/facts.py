"""What is known of an alert's subject beside what decides: labelled facts, what is missing, how fresh it all is."""

from datetime import datetime, timedelta
from typing import NamedTuple

from orderwatch.alerts.alert import Alert
from orderwatch.alerts.kinds import DEADLINE_KINDS, KIND_DOUBTED_STATUS, KIND_RECOVERED, TOPIC_KINDS
from orderwatch.alerts.parts import MAX_TEXT, AlertOrder
from orderwatch.publishing.messages import overview, text, times, wording

MAX_GAP = 200


class Fact(NamedTuple):
    """A label and its value, each one line of plain text.

    Attributes:
        at: The moment that the value tells, where it is one: a channel may show it in its reader's own time zone.
    """

    label: str
    value: str
    at: datetime | None = None


def facts_of(alert: Alert) -> list[Fact]:
    """What is known of the subject beside the decision and the lines, the most telling first."""
    if alert.daily:
        said = overview.facts(alert.daily, times.zone_of(alert.connection))
        return [Fact(name, value) for name, value in said.items() if value]
    integration = text.clean(alert.connection.integration or "")
    place = Fact("Shop", wording.shop(alert.connection) + (f" ({integration})" if integration else ""))
    if alert.order:
        order = alert.order
        return [
            Fact("Order", wording.number(order)),
            place,
            _status_fact(alert, order),
            *_money_facts(order),
            *_time_facts(alert, order),
        ]
    if alert.digest:
        return [place]
    if alert.kind in TOPIC_KINDS:
        return [Fact("Topic", wording.shop(alert.connection))]
    if alert.kind == KIND_DOUBTED_STATUS:
        return [Fact("Parameter", wording.shop(alert.connection))]
    return [place, Fact("Connection", text.clip(text.clean(alert.connection.id), MAX_TEXT))]


def _status_fact(alert: Alert, order: AlertOrder) -> Fact:
    if alert.kind not in DEADLINE_KINDS and (alert.kind != KIND_RECOVERED or order.previous_status):
        return Fact("Status", f"{text.clean(order.status)}; {_before(order)}")
    since = order.status_since
    shown = times.moment(since, times.zone_of(alert.connection), beside=order.seen_at) if since else None
    return Fact("Status", f"{text.clean(order.status)}{f', since {shown}' if shown else ''}", since)


def _before(order: AlertOrder) -> str:
    if not order.previous_status:
        return "first seen in this status"
    lasted = time_in_previous_status(order)
    before = f"before: {text.clean(order.previous_status)}"
    return f"{before}, for {text.duration(lasted)}" if lasted is not None else before


def time_in_previous_status(order: AlertOrder) -> timedelta | None:
    """How long the order was in its previous status; None where a date is missing or the dates contradict."""
    since, until = order.previous_status_since, order.updated_at
    if since is None or until is None or (since.tzinfo is None) != (until.tzinfo is None) or until < since:
        return None
    return until - since


def _money_facts(order: AlertOrder) -> list[Fact]:
    if order.total_price is None:
        return [Fact("Total", "not given by the shop")]
    parts = {"tax": order.total_tax, "shipping": order.total_shipping, "discount": order.total_discount}
    named = [f"{name} {text.money(amount, order.currency)}" for name, amount in parts.items() if amount]
    unknown = [] if order.currency else [Fact("Currency", "not given by the shop")]
    return [*unknown, *([Fact("Of which", ", ".join(named))] if named else [])]


def _time_facts(alert: Alert, order: AlertOrder) -> list[Fact]:
    zone, seen = times.zone_of(alert.connection), order.seen_at
    moments = {"Placed": order.created_at, "Changed": order.updated_at}
    return [Fact(label, times.moment(at, zone, beside=seen), at) for label, at in moments.items() if at]


def missing(alert: Alert) -> list[str]:
    """What the alert could not tell, and why."""
    return [text.clip(text.clean(gap), MAX_GAP) for gap in alert.enrichment.missing]


def freshness(alert: Alert) -> str:
    """How fresh the knowledge is."""
    if alert.daily:
        shown = times.moment(alert.daily.at, times.zone_of(alert.connection), beside=alert.daily.at)
        return f"As of {shown}; of each shop what Trackstar's last sync of it showed."
    if alert.kind in TOPIC_KINDS:
        return "Subscriptions are looked at every 15 minutes."
    if alert.kind == KIND_DOUBTED_STATUS:
        return "This is said once for each status."
    if alert.data_as_of:
        shown = times.moment(alert.data_as_of, times.zone_of(alert.connection), beside=times.seen_at(alert))
        return f"Data as of {shown}, Trackstar's last sync of this shop."
    return "It is not known when Trackstar last synced this shop."
