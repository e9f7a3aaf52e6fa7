"""The content of an alert, in the same words in every channel. Each channel decides on layout and length."""

from datetime import datetime
from typing import NamedTuple

from orderwatch.alerts import kinds
from orderwatch.alerts.alert import Alert
from orderwatch.alerts.kinds import KIND_RECOVERED, SAME_STATUS_KINDS, TOPIC_KINDS
from orderwatch.alerts.parts import MAX_TEXT, AlertOrder, Digest
from orderwatch.alerts.summary import ALL_SHOPS
from orderwatch.clock import duration
from orderwatch.rendering import formatting, lists, shipping, summaries

MAX_DETAIL = 2000
"""Maximum characters of an alert's detail in a message."""
MAX_MISSING = 200
"""Maximum characters of one missing detail."""

_CONNECTION_HEADLINES = {
    kinds.KIND_BLOCKED: "{shop}: Trackstar can no longer sync the orders",
    kinds.KIND_UNAUTHORIZED: "{shop}: the orders cannot be read",
    kinds.KIND_STALE: "{shop}: the order data is out of date",
    kinds.KIND_CONNECTION_RECOVERED: "{shop}: the orders are visible again",
    kinds.KIND_NO_SUBSCRIBERS: "{shop}: messages are not delivered",
    kinds.KIND_RESUBSCRIBED: "{shop}: messages are delivered again",
    kinds.KIND_WATCH_STARTED: "{shop}: alerts are on",
    kinds.KIND_QUARANTINED: "{shop}: some orders cannot be watched",
    kinds.KIND_UNREADABLE: "{shop}: some values cannot be read",
    kinds.KIND_POLL_FAILING: "{shop}: the orders cannot be read",
    kinds.KIND_UNKNOWN_STATUS: "{shop}: a status may be misspelt",
    kinds.KIND_NEW_STATUS: "{shop}: the shop has statuses of its own",
    kinds.KIND_PRODUCTS_BLOCKED: "{shop}: Trackstar can no longer sync the products",
    kinds.KIND_REFUSED_SETTINGS: "{shop}: the shop's settings are invalid",
    kinds.KIND_REFUSED_SYNC: "{shop}: Trackstar refuses to sync on request",
}
_CONDITIONS = {kinds.KIND_LATE: "late", kinds.KIND_AT_RISK: "at risk of being late", kinds.KIND_STUCK: "stuck"}
_TAGS = {
    kinds.KIND_RECOVERED: "recovered",
    kinds.KIND_LATE: "late",
    kinds.KIND_AT_RISK: "at risk",
    kinds.KIND_STUCK: "stuck",
    kinds.KIND_RESTOCKED: "in stock",
    kinds.KIND_REMINDER: "reminder",
    kinds.KIND_BLOCKED: "shop blocked",
    kinds.KIND_UNAUTHORIZED: "access refused",
    kinds.KIND_STALE: "shop data stale",
    kinds.KIND_CONNECTION_RECOVERED: "shop recovered",
    kinds.KIND_NO_SUBSCRIBERS: "no subscribers",
    kinds.KIND_RESUBSCRIBED: "resubscribed",
    kinds.KIND_WATCH_STARTED: "watch started",
    kinds.KIND_QUARANTINED: "quarantined",
    kinds.KIND_UNREADABLE: "values unreadable",
    kinds.KIND_POLL_FAILING: "polls fail",
    kinds.KIND_UNKNOWN_STATUS: "check AlertStatuses",
    kinds.KIND_NEW_STATUS: "new status",
    kinds.KIND_PRODUCTS_BLOCKED: "products blocked",
    kinds.KIND_REFUSED_SETTINGS: "check settings",
    kinds.KIND_REFUSED_SYNC: "sync refused",
    kinds.KIND_SUMMARY: "summary",
}

_AMOUNTS = {
    "total_tax": "tax",
    "total_shipping": "shipping",
    "total_discount": "discount",
    "quantity": "quantity",
    "unit_price": "unit price",
}
"""The amounts that can be unreadable, beside the total and its currency."""


class Decision(NamedTuple):
    """What a person needs to decide what to do, without full stops.

    Attributes:
        reason: The reason in the shop's own words, or the headline.
        explanation: For example a shortfall, or the shipments of a cancelled order.
    """

    reason: str
    explanation: str | None
    due: formatting.Due | None
    value: str | None


class Fact(NamedTuple):
    """A label and its value, each one line of plain text."""

    label: str
    value: str
    at: datetime | None = None
    """The moment, if the value is one: Slack shows it in the reader's own time zone."""


def url(alert: Alert) -> str | None:
    """The page of the alert's order; for a summary, of its most urgent order."""
    found = summaries.first_order(alert.summary) if alert.summary else None
    return found[1].url if found else alert.order.url if alert.order else None


def main_kind(alert: Alert) -> str:
    """The kind of the alert; for a digest, that of its orders."""
    return alert.digest.of_kind if alert.digest else alert.kind


def tag(alert: Alert) -> str:
    """The alert in one or two words, such as `exception` or `shop blocked`."""
    kind = main_kind(alert)
    if kind in _TAGS:
        return _TAGS[kind]
    subject = alert.digest or alert.order
    return formatting.status_name(subject.status if subject else kind) or "alert"


def headline(alert: Alert, *, with_shop: bool = False) -> str:
    """What happened, in one sentence without a full stop.

    Args:
        alert: Any alert.
        with_shop: Whether to name the shop; an alert about a connection always names it.
    """
    shop = formatting.shop_name(alert.connection)
    place = f" at {shop}" if with_shop else ""
    if alert.summary:
        return summaries.headline(alert.summary)
    if alert.digest:
        return ": ".join([f"{_digest_headline(alert.digest)}{place}", *lists.restocked_products(alert.digest)])
    if alert.order:
        return f"{_order_headline(alert, alert.order)}{place}"
    sentence = _CONNECTION_HEADLINES.get(alert.kind)
    return sentence.format(shop=shop) if sentence else f"{shop}: {tag(alert)}"


def urgent_headline(alert: Alert) -> str:
    """The headline with the shop and with what makes the alert urgent: a shortfall, a ship-by."""
    short = lists.largest_shortfall(alert.order) if alert.order and alert.kind == kinds.KIND_BACKORDERED else None
    urgent = ", ".join(filter(None, [short, warning(alert)]))
    separator = ", " if main_kind(alert) == kinds.KIND_RESTOCKED else ": "
    return separator.join(filter(None, [headline(alert, with_shop=True), urgent]))


def warning(alert: Alert) -> str | None:
    """`due in 20 h`, `11 d overdue`, for a digest `3 overdue, 2 due within a day`; None if nothing is urgent."""
    if alert.digest:
        late, soon = alert.digest.overdue, alert.digest.due_soon
        counts = [f"{late:,} overdue"] * bool(late) + [f"{soon:,} due within a day"] * bool(soon)
        return ", ".join(counts) or None
    due = formatting.order_due(alert)
    return due.warning if due else None


def _digest_headline(digest: Digest) -> str:
    orders = formatting.plural(digest.count, "order")
    if digest.of_kind == kinds.KIND_REMINDER:
        return f"{orders} still {'needs' if digest.count == 1 else 'need'} attention"
    if digest.of_kind == KIND_RECOVERED:
        return f"{orders} recovered"
    if digest.of_kind == kinds.KIND_RESTOCKED:
        return f"{formatting.plural(digest.count, 'backordered order')} can ship now"
    return f"{orders} {'is' if digest.count == 1 else 'are'} {condition(digest.of_kind, digest.status)}"


def condition(kind: str, status: str) -> str:
    """The condition of an order as part of a sentence: a deadline's kind, else the status."""
    return _CONDITIONS.get(kind) or formatting.status_phrase(status)


def can_ship(alert: Alert, order: AlertOrder) -> str:
    """`can ship now`, or `is late and can ship now`, of an order whose stock is back."""
    merged = [f"is {condition(each.kind, order.status)}" for each in alert.merged]
    return " and ".join([*merged, "can ship now"])


def _order_headline(alert: Alert, order: AlertOrder) -> str:
    number = formatting.order_number(order)
    if alert.kind == kinds.KIND_RESTOCKED:
        return f"Backordered order {number} {can_ship(alert, order)}"
    if alert.kind == kinds.KIND_REMINDER:
        return f"Order {number} still needs attention"
    if alert.kind != KIND_RECOVERED:
        merged = [condition(each.kind, order.status) for each in alert.merged]
        return f"Order {number} is {' and '.join([condition(alert.kind, order.status), *merged])}"
    if alert.merged and order.previous_status:  # its recipients did not know
        was, now = formatting.status_phrase(order.previous_status), formatting.status_phrase(order.status)
        return f"Order {number} was {was} and is now {now}"
    before = f"is no longer {formatting.status_phrase(order.previous_status)}" if order.previous_status else "recovered"
    return f"Order {number} {before}: now {formatting.status_phrase(order.status)}"


def decision(alert: Alert) -> Decision:
    """What a person needs to decide. No other part of a message repeats the reason."""
    order = alert.order
    if alert.summary:
        return Decision(headline(alert), None, None, value(alert))
    if order is None:
        shipped = lists.shipped_already(alert.digest) if alert.digest else None
        return Decision(headline(alert, with_shop=bool(alert.digest)), shipped or warning(alert), None, value(alert))
    return Decision(_reason(alert, order), explanation(alert), formatting.order_due(alert), value(alert))


def _reason(alert: Alert, order: AlertOrder) -> str:
    if alert.kind == KIND_RECOVERED:
        return short_detail(alert) or headline(alert)
    if alert.kind == kinds.KIND_RESTOCKED:  # the shop's own reason can be that it lacks the stock
        return headline(alert)
    reason = formatting.reason(order.raw_status, order.status, with_code=True)
    if alert.kind not in SAME_STATUS_KINDS:
        return formatting.upper_first(reason) if reason else headline(alert)
    still = f"still {formatting.status_phrase(order.status)}"
    return formatting.upper_first(short_detail(alert) or (f"{still}: {reason}" if reason else still))


def explanation(alert: Alert) -> str | None:
    """What explains the status: the short product or a kit, shipments of a cancelled order, the merged alert."""
    order = alert.order
    if order is None:
        return None
    if alert.merged and alert.detail and alert.kind != KIND_RECOVERED:
        return short_detail(alert)
    if alert.kind == KIND_RECOVERED and order.owner:
        return f"Taken by {formatting.clean(order.owner)}"
    if alert.kind == kinds.KIND_REMINDER:
        return lists.largest_shortfall(order) or formatting.reason(order.raw_status, order.status, with_code=True)
    if alert.kind == kinds.KIND_BACKORDERED:
        return lists.largest_shortfall(order) or lists.awaited_kit(order)
    return shipping.cancelled_shipments(order) if order.status == "cancelled" else None


def sentences(alert: Alert) -> list[str]:
    """The decision as whole sentences of plain text."""
    parts = decision(alert)
    due = f"Ship by {parts.due.text}" if parts.due else None
    return [formatting.sentence(each) for each in (parts.reason, parts.explanation, due, parts.value) if each]


def title(alert: Alert) -> str:
    """The whole alert in one line: the headline with the shop, then reason, explanation, ship-by and value."""
    parts = sentences(alert)
    if alert.order is None:
        return " ".join([*parts, *filter(None, [detail(alert)])])
    if parts[0] == formatting.sentence(headline(alert)):
        parts = parts[1:]
    return " ".join([formatting.sentence(headline(alert, with_shop=True)), *parts])


def detail(alert: Alert) -> str | None:
    """The detail of an alert about a connection; that of an order is part of the decision."""
    return short_detail(alert) if is_connection_alert(alert) else None


def short_detail(alert: Alert) -> str | None:
    """The alert's detail in at most `MAX_DETAIL` characters."""
    return formatting.clip(formatting.clean(alert.detail or ""), MAX_DETAIL) or None


def value(alert: Alert) -> str | None:
    """The value of the alert's orders."""
    if alert.summary:
        return formatting.amounts(alert.summary.total.value_by_currency)
    if alert.digest:
        return formatting.amounts(alert.digest.value_by_currency)
    if alert.order and alert.order.total_price is not None:
        return formatting.money(alert.order.total_price, alert.order.currency)
    return None


def is_connection_alert(alert: Alert) -> bool:
    """Whether the alert is about a shop or a topic, not about orders that changed."""
    return alert.order is None and alert.digest is None


def facts_of(alert: Alert) -> list[Fact]:
    """The facts beside the decision and the lists, the most important first."""
    if alert.summary:
        facts = summaries.facts(alert.summary, formatting.zone_of(alert.connection))
        return [Fact(label, text) for label, text in facts.items() if text]
    name, integration = formatting.shop_name(alert.connection), formatting.clean(alert.connection.integration or "")
    shop = Fact("Shop", name + (f" ({integration})" if integration else ""))
    if alert.order:
        order = alert.order
        number = Fact("Order", formatting.order_number(order))
        zone, moments = formatting.zone_of(alert.connection), {"Placed": order.created_at, "Updated": order.updated_at}
        times = [
            Fact(label, formatting.moment(at, zone, beside=order.seen_at), at) for label, at in moments.items() if at
        ]
        state = [_status_fact(alert, order), *_ownership_facts(alert, order)]
        return [number, shop, *state, *_money_facts(order), *_shipping_fact(order), *times]
    if alert.digest:
        return [shop]
    if alert.kind in TOPIC_KINDS:
        return [Fact("Topic", name)]
    if alert.kind == kinds.KIND_UNKNOWN_STATUS:
        return [Fact("Parameter", name)]
    is_one = alert.connection_id != ALL_SHOPS
    connection = Fact("Connection", formatting.clip(formatting.clean(alert.connection.id), MAX_TEXT))
    return [shop, connection] if is_one else [shop]


def _status_fact(alert: Alert, order: AlertOrder) -> Fact:
    status = formatting.status_name(order.status)
    if alert.kind not in SAME_STATUS_KINDS and (alert.kind != KIND_RECOVERED or order.previous_status):
        return Fact("Status", f"{status} ({_previous_status(order)})")
    since = order.status_since
    shown = formatting.moment(since, formatting.zone_of(alert.connection), beside=order.seen_at) if since else None
    return Fact("Status", f"{status}{f' (since {shown})' if shown else ''}")


def _ownership_facts(alert: Alert, order: AlertOrder) -> list[Fact]:
    """`Taken by: Ana (since Wed 4 Mar 10:00 CET)`, until when it is snoozed, and the note."""
    zone, until = formatting.zone_of(alert.connection), order.snoozed_until
    since = formatting.moment(order.taken_at, zone, beside=order.seen_at) if order.taken_at else None
    owner, note = formatting.clean(order.owner or ""), formatting.clean(order.note or "")
    facts = [Fact("Taken by", f"{owner}{f' (since {since})' if since else ''}")] if owner else []
    facts += [Fact("Snoozed until", formatting.moment(until, zone, beside=order.seen_at), until)] if until else []
    return [*facts, *([Fact("Note", note)] if note else [])]


def _previous_status(order: AlertOrder) -> str:
    if not order.previous_status:
        return "first seen in this status"
    before = f"was {formatting.status_name(order.previous_status)}"
    since, until = order.previous_status_since, order.updated_at
    if since is None or until is None or (since.tzinfo is None) != (until.tzinfo is None) or until < since:
        return before  # the shop's dates can contradict each other
    return f"{before} for {duration(until - since)}"


def _money_facts(order: AlertOrder) -> list[Fact]:
    doubtful = [_AMOUNTS[name] for name in order.unreadable if name in _AMOUNTS]
    unreadable = [Fact("Cannot be read", ", ".join(doubtful))] if doubtful else []
    if order.total_price is None:
        return [Fact("Total", _why_unknown("total_price", order)), *unreadable]
    amounts = {"tax": order.total_tax, "shipping": order.total_shipping, "discount applied": order.total_discount}
    known = [
        f"{formatting.money(amount, order.currency, with_unit=False)} {name}"
        for name, amount in amounts.items()
        if amount
    ]
    is_included = bool(order.total_tax or order.total_shipping)
    parts = f" ({'incl. ' * is_included}{', '.join(known)})" if known else ""
    total = Fact("Total", f"{formatting.money(order.total_price, order.currency)}{parts}")
    unknown = [] if order.currency else [Fact("Currency", _why_unknown("currency", order))]
    return [total, *unknown, *unreadable]


def _shipping_fact(order: AlertOrder) -> list[Fact]:
    """`Express (Swift)`: the shipping method and the carrier, as far as the shop gives them."""
    method, carrier = formatting.clean(order.shipping_method or ""), formatting.clean(order.carrier or "")
    if method and carrier and carrier.casefold() not in method.casefold():
        method = f"{method} ({carrier})"
    return [Fact("Shipping", method or carrier)] if method or carrier else []


def _why_unknown(field: str, order: AlertOrder) -> str:
    return "cannot be read" if field in order.unreadable else "not given by the shop"


def missing(alert: Alert) -> list[str]:
    """The details that could not be added, and why."""
    return [formatting.clip(formatting.clean(each), MAX_MISSING) for each in alert.enrichment.missing]


def freshness(alert: Alert) -> str:
    """How recent the data is."""
    zone = formatting.zone_of(alert.connection)
    if alert.summary:
        shown = formatting.moment(alert.summary.at, zone, beside=alert.summary.at)
        return f"As of {shown}, with the data of Trackstar's last sync of each shop."
    if alert.kind in TOPIC_KINDS:
        return "Subscriptions are checked every 15 minutes."
    if alert.kind == kinds.KIND_UNKNOWN_STATUS:
        return "This alert is sent once for each status."
    if alert.connection_id == ALL_SHOPS:
        return "Trackstar is asked again at every poll."
    if alert.data_as_of:
        shown = formatting.moment(alert.data_as_of, zone, beside=formatting.seen_at(alert))
        return f"Last Trackstar sync: {shown}"
    return "Last Trackstar sync: unknown"
