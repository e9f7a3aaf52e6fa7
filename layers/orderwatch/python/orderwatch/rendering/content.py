"""What is said of an alert, in the same words in every channel; the channels decide how it looks and how much fits."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from decimal import Decimal
from typing import NamedTuple

from orderwatch.alerts import kinds
from orderwatch.alerts.alert import Alert
from orderwatch.alerts.kinds import (
    DEADLINE_KINDS,
    KIND_AT_RISK,
    KIND_BLOCKED,
    KIND_CONNECTION_RECOVERED,
    KIND_LATE,
    KIND_NO_SUBSCRIBERS,
    KIND_POLL_FAILING,
    KIND_QUARANTINED,
    KIND_RECOVERED,
    KIND_REFUSED_SETTINGS,
    KIND_REFUSED_SYNC,
    KIND_RESUBSCRIBED,
    KIND_STALE,
    KIND_STUCK,
    KIND_SUMMARY,
    KIND_UNAUTHORIZED,
    KIND_UNKNOWN_STATUS,
    KIND_WATCH_STARTED,
    TOPIC_KINDS,
)
from orderwatch.alerts.parts import MAX_TEXT, AlertConnection, AlertOrder, BacklogOrder, Digest, DigestedOrder
from orderwatch.alerts.summary import SummaryOrder
from orderwatch.rendering import formatting, lists, products

MAX_DETAIL = 2000
"""Characters of an alert's detail that a message shows."""
MAX_CURRENCIES = 5

_CONNECTION_HEADLINES = {
    KIND_BLOCKED: "{shop}: Trackstar can no longer sync the orders",
    KIND_UNAUTHORIZED: "{shop}: Trackstar refused the API key or access token",
    KIND_STALE: "{shop}: the order data is out of date",
    KIND_CONNECTION_RECOVERED: "{shop}: the orders are visible again",
    KIND_NO_SUBSCRIBERS: "{shop}: its messages do not arrive",
    KIND_RESUBSCRIBED: "{shop}: its messages arrive again",
    KIND_WATCH_STARTED: "{shop}: the orders are watched from now on",
    KIND_QUARANTINED: "{shop}: orders that cannot be watched",
    KIND_POLL_FAILING: "{shop}: the orders cannot be read",
    KIND_UNKNOWN_STATUS: "{shop}: a status that may be misspelt",
    KIND_REFUSED_SETTINGS: "{shop}: its own settings cannot be read",
    KIND_REFUSED_SYNC: "{shop}: Trackstar does not sync it when asked",
}
_DEADLINES = {KIND_LATE: "late", KIND_AT_RISK: "at risk of being late", KIND_STUCK: "stuck"}
_TAGS = {
    KIND_RECOVERED: "recovered",
    KIND_LATE: "late",
    KIND_AT_RISK: "at risk",
    KIND_STUCK: "stuck",
    KIND_BLOCKED: "shop blocked",
    KIND_UNAUTHORIZED: "shop unauthorized",
    KIND_STALE: "shop data stale",
    KIND_CONNECTION_RECOVERED: "shop recovered",
    KIND_NO_SUBSCRIBERS: "topic unheard",
    KIND_RESUBSCRIBED: "topic heard",
    KIND_WATCH_STARTED: "watch started",
    KIND_QUARANTINED: "quarantined",
    KIND_POLL_FAILING: "shop unread",
    KIND_UNKNOWN_STATUS: "check AlertStatuses",
    KIND_REFUSED_SETTINGS: "check settings",
    KIND_REFUSED_SYNC: "sync refused",
    KIND_SUMMARY: "summary",
}


class Decision(NamedTuple):
    """What decides what to do: why, by when, how much; each without its full stop.

    Attributes:
        why: The shop's reason, else the fact.
        merged: What explains it: what is short, what has shipped already.
        due: When it must ship.
        worth: What is at stake, in money.
    """

    why: str
    merged: str | None
    due: formatting.Due | None
    worth: str | None


def shop(connection: AlertConnection) -> str:
    """What a person calls the shop."""
    return formatting.clip(
        formatting.clean(connection.label) or formatting.clean(connection.id) or "unnamed shop", MAX_TEXT
    )


def number(order: AlertOrder | DigestedOrder | BacklogOrder | SummaryOrder) -> str:
    """The order's number as people write it: `#1042`; its id where the number has no visible character."""
    shown = formatting.clip_middle(formatting.clean(order.number) or formatting.clean(order.id) or "?", MAX_TEXT)
    return shown if shown.startswith("#") else f"#{shown}"


def url(alert: Alert) -> str | None:
    """Where to open the one order that matters: the alert's, or that with which a summary begins."""
    found = lists.first(alert.daily) if alert.daily else None
    return found[1].url if found else alert.order.url if alert.order else None


def number_in_ascii(order: AlertOrder, *, limit: int) -> str:
    """The order's number in ASCII within `limit` characters, with its id where the number loses letters by that."""
    shown = formatting.clean(order.number).removeprefix("#")
    folded = formatting.ascii_fold(shown, fallback="")
    if not folded or not formatting.survives_folding(shown):
        order_id = formatting.ascii_fold(order.id)
        folded = f"{folded} ({order_id})" if folded else order_id
    return f"#{formatting.clip_middle(folded, limit - 1)}"


def status_phrase(status: str) -> str:
    """A status within a sentence: `in exception`, `backordered`, `on hold`."""
    return formatting.clean(kinds.status_phrase(status))


def main_kind(alert: Alert) -> str:
    """The kind of what is told: that of its orders where it is a digest."""
    return alert.digest.of_kind if alert.digest else alert.kind


def tag(alert: Alert) -> str:
    """The alert in one or two words, such as `exception` or `shop blocked`."""
    kind = main_kind(alert)
    if kind in _TAGS:
        return _TAGS[kind]
    subject = alert.digest or alert.order
    return formatting.clean(subject.status if subject else kind).replace("_", " ") or "alert"


def headline(alert: Alert, *, with_shop: bool = False) -> str:
    """The fact in one sentence.

    Args:
        alert: Any alert.
        with_shop: Whether the sentence names the shop; those about a connection always do.
    """
    place = f" at {shop(alert.connection)}" if with_shop else ""
    if alert.daily:
        return lists.headline(alert.daily)
    if alert.digest:
        return f"{_digest_headline(alert.digest)}{place}"
    if alert.order:
        return f"{_order_headline(alert, alert.order)}{place}"
    sentence = _CONNECTION_HEADLINES.get(alert.kind)
    return sentence.format(shop=shop(alert.connection)) if sentence else f"{shop(alert.connection)}: {tag(alert)}"


def urgent_headline(alert: Alert) -> str:
    """The fact, the shop, and what makes it urgent: what is short, what is due within a day or overdue."""
    short = products.shortest(alert.order) if alert.order and alert.kind == products.BACKORDERED else None
    pressing = ", ".join(filter(None, [short, warning(alert)]))
    return f"{headline(alert, with_shop=True)}{f': {pressing}' if pressing else ''}"


def warning(alert: Alert) -> str | None:
    """`due in 20 h`, `11 d overdue`, of a digest `3 overdue, 2 due within a day`; None where nothing presses."""
    if alert.digest:
        late, soon = alert.digest.overdue, alert.digest.due_soon
        counted = [f"{late:,} overdue"] * bool(late) + [f"{soon:,} due within a day"] * bool(soon)
        return ", ".join(counted) or None
    due = formatting.order_due(alert)
    return due.warning if due else None


def _digest_headline(digest: Digest) -> str:
    orders = formatting.plural(digest.count, "order")
    if digest.of_kind == KIND_RECOVERED:
        return f"{orders} recovered"
    return f"{orders} {'is' if digest.count == 1 else 'are'} {condition(digest.of_kind, digest.status)}"


def conditions(alert: Alert, order: AlertOrder) -> str:
    """All that the alert says the order is in: `in exception and late`."""
    also = [condition(each.kind, order.status) for each in alert.merged]
    return " and ".join([condition(alert.kind, order.status), *also])


def condition(kind: str, status: str) -> str:
    """What an order is in: a deadline's alert tells that, whatever its status."""
    return _DEADLINES.get(kind) or status_phrase(status)


def _order_headline(alert: Alert, order: AlertOrder) -> str:
    if alert.kind == KIND_RECOVERED:
        return f"Order {number(order)} {recovery(order)}"
    return f"Order {number(order)} is {conditions(alert, order)}"


def recovery(order: AlertOrder) -> str:
    """What became of an order that recovered: `is no longer in exception: now processing`."""
    before = f"is no longer {status_phrase(order.previous_status)}" if order.previous_status else "recovered"
    return f"{before}: now {status_phrase(order.status)}"


def reason(order: AlertOrder) -> str | None:
    """The shop's own word for the status, where it says more than the status does."""
    return reason_beyond(order.raw_status, order.status)


def reason_beyond(raw_status: str | None, status: str) -> str | None:
    """The shop's own word, where it says more than the status does."""
    raw = formatting.clean(raw_status or "")
    return raw if raw and raw.casefold().replace(" ", "_") != status.casefold() else None


def decision(alert: Alert) -> Decision:
    """What decides what to do; the reason stands here and nowhere else in a message."""
    order = alert.order
    if alert.daily:
        return Decision(headline(alert), lists.places(alert.daily), None, value(alert))
    if order is None:
        return Decision(headline(alert, with_shop=bool(alert.digest)), warning(alert), None, value(alert))
    return Decision(_why(alert, order), explanation(alert), formatting.order_due(alert), value(alert))


def _why(alert: Alert, order: AlertOrder) -> str:
    if alert.kind == KIND_RECOVERED:
        return short_detail(alert) or headline(alert)
    why = reason(order)
    if alert.kind not in DEADLINE_KINDS:
        return why or headline(alert)
    still = f"still {status_phrase(order.status)}"
    return formatting.upper_first(short_detail(alert) or (f"{still}: {why}" if why else still))


def explanation(alert: Alert) -> str | None:
    """What explains the status: which product is short, whether a cancelled order has shipped, that it is stuck too."""
    order = alert.order
    if order is None:
        return None
    if alert.merged and alert.detail:
        return short_detail(alert)
    if alert.kind == products.BACKORDERED:
        return products.shortest(order)
    if order.status != "cancelled" or order.shipments is None:
        return None
    return (
        f"{formatting.plural(order.shipments, 'shipment')} listed already"
        if order.shipments
        else "No shipment is listed"
    )


def sentences(alert: Alert) -> list[str]:
    """The decision as whole sentences of plain text."""
    said = decision(alert)
    due = f"Ship by {said.due.said}" if said.due else None
    return [formatting.sentence(each) for each in (said.why, said.merged, due, said.worth) if each]


def summary(alert: Alert) -> str:
    """The whole alert in one line: the fact with its shop, then why, by when and how much."""
    said = sentences(alert)
    if alert.order is None:
        return " ".join([*(said or []), *filter(None, [detail(alert)])])
    fact = headline(alert, with_shop=True)
    return " ".join(
        [formatting.sentence(fact), *(said if said[0] != formatting.sentence(headline(alert)) else said[1:])]
    )


def detail(alert: Alert) -> str | None:
    """What happened, of an alert about a connection; an order's is part of the decision."""
    return short_detail(alert) if is_connection_alert(alert) else None


def short_detail(alert: Alert) -> str | None:
    """The alert's detail, as much of it as a message shows."""
    return formatting.clip(formatting.clean(alert.detail or ""), MAX_DETAIL) or None


def value(alert: Alert) -> str | None:
    """What is at stake, in money."""
    if alert.daily:
        return amounts(alert.daily.total.value_by_currency)
    if alert.digest:
        return amounts(alert.digest.value_by_currency)
    if alert.order and alert.order.total_price is not None:
        return formatting.money(alert.order.total_price, alert.order.currency)
    return None


def amounts(by_currency: Mapping[str, Decimal]) -> str | None:
    """Sums in several currencies, at most `MAX_CURRENCIES` of them named."""
    shown = [formatting.money(amount, currency) for currency, amount in sorted(by_currency.items())[:MAX_CURRENCIES]]
    return ", ".join(shown + formatting.more(len(by_currency) - len(shown), "currency", "currencies")) or None


def is_connection_alert(alert: Alert) -> bool:
    """Whether it tells of a shop (or of a topic) rather than of orders that changed."""
    return alert.order is None and alert.digest is None


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
        said = lists.facts(alert.daily, formatting.zone_of(alert.connection))
        return [Fact(name, value) for name, value in said.items() if value]
    integration = formatting.clean(alert.connection.integration or "")
    place = Fact("Shop", shop(alert.connection) + (f" ({integration})" if integration else ""))
    if alert.order:
        order = alert.order
        return [
            Fact("Order", number(order)),
            place,
            _status_fact(alert, order),
            *_money_facts(order),
            *_time_facts(alert, order),
        ]
    if alert.digest:
        return [place]
    if alert.kind in TOPIC_KINDS:
        return [Fact("Topic", shop(alert.connection))]
    if alert.kind == KIND_UNKNOWN_STATUS:
        return [Fact("Parameter", shop(alert.connection))]
    return [place, Fact("Connection", formatting.clip(formatting.clean(alert.connection.id), MAX_TEXT))]


def _status_fact(alert: Alert, order: AlertOrder) -> Fact:
    if alert.kind not in DEADLINE_KINDS and (alert.kind != KIND_RECOVERED or order.previous_status):
        return Fact("Status", f"{formatting.clean(order.status)}; {_before(order)}")
    since = order.status_since
    shown = formatting.moment(since, formatting.zone_of(alert.connection), beside=order.seen_at) if since else None
    return Fact("Status", f"{formatting.clean(order.status)}{f', since {shown}' if shown else ''}", since)


def _before(order: AlertOrder) -> str:
    if not order.previous_status:
        return "first seen in this status"
    lasted = time_in_previous_status(order)
    before = f"before: {formatting.clean(order.previous_status)}"
    return f"{before}, for {formatting.duration(lasted)}" if lasted is not None else before


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
    named = [f"{name} {formatting.money(amount, order.currency)}" for name, amount in parts.items() if amount]
    unknown = [] if order.currency else [Fact("Currency", "not given by the shop")]
    return [*unknown, *([Fact("Of which", ", ".join(named))] if named else [])]


def _time_facts(alert: Alert, order: AlertOrder) -> list[Fact]:
    zone, seen = formatting.zone_of(alert.connection), order.seen_at
    moments = {"Placed": order.created_at, "Changed": order.updated_at}
    return [Fact(label, formatting.moment(at, zone, beside=seen), at) for label, at in moments.items() if at]


def missing(alert: Alert) -> list[str]:
    """What the alert could not tell, and why."""
    return [formatting.clip(formatting.clean(gap), MAX_GAP) for gap in alert.enrichment.missing]


def freshness(alert: Alert) -> str:
    """How fresh the knowledge is."""
    if alert.daily:
        shown = formatting.moment(alert.daily.at, formatting.zone_of(alert.connection), beside=alert.daily.at)
        return f"As of {shown}; of each shop what Trackstar's last sync of it showed."
    if alert.kind in TOPIC_KINDS:
        return "Subscriptions are looked at every 15 minutes."
    if alert.kind == KIND_UNKNOWN_STATUS:
        return "This is said once for each status."
    if alert.data_as_of:
        shown = formatting.moment(
            alert.data_as_of, formatting.zone_of(alert.connection), beside=formatting.seen_at(alert)
        )
        return f"Data as of {shown}, Trackstar's last sync of this shop."
    return "It is not known when Trackstar last synced this shop."
