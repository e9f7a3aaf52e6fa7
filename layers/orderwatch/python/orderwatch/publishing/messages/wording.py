"""What is said of an alert, in the same words in every channel; the channels decide how it looks and how much fits."""

from collections.abc import Mapping
from datetime import datetime, time, timedelta
from decimal import Decimal
from typing import NamedTuple

from orderwatch import alerts
from orderwatch.alerts import (
    DEADLINE_KINDS,
    KIND_AT_RISK,
    KIND_BLOCKED,
    KIND_CONNECTION_RECOVERED,
    KIND_DOUBTED_STATUS,
    KIND_HEARD,
    KIND_LATE,
    KIND_QUARANTINED,
    KIND_RECOVERED,
    KIND_STALE,
    KIND_STUCK,
    KIND_UNAUTHORIZED,
    KIND_UNHEARD,
    KIND_UNREAD,
    KIND_UNREADABLE_SETTINGS,
    KIND_WATCH_STARTED,
    MAX_TEXT,
    TOPIC_KINDS,
    Alert,
    AlertConnection,
    AlertOrder,
    Digest,
    DigestedOrder,
)
from orderwatch.publishing.messages import text

MAX_DETAIL = 2000
"""Characters of an alert's detail that a message shows."""
MAX_GAP = 200
MAX_CURRENCIES = 5

_CONNECTION_HEADLINES = {
    KIND_BLOCKED: "{shop}: Trackstar can no longer sync the orders",
    KIND_UNAUTHORIZED: "{shop}: Trackstar refused the API key or access token",
    KIND_STALE: "{shop}: the order data is out of date",
    KIND_CONNECTION_RECOVERED: "{shop}: the orders are visible again",
    KIND_UNHEARD: "{shop}: its messages do not arrive",
    KIND_HEARD: "{shop}: its messages arrive again",
    KIND_WATCH_STARTED: "{shop}: the orders are watched from now on",
    KIND_QUARANTINED: "{shop}: orders that cannot be watched",
    KIND_UNREAD: "{shop}: the orders cannot be read",
    KIND_DOUBTED_STATUS: "{shop}: a status that may be misspelt",
    KIND_UNREADABLE_SETTINGS: "{shop}: its settings cannot be read",
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
    KIND_UNHEARD: "topic unheard",
    KIND_HEARD: "topic heard",
    KIND_WATCH_STARTED: "watch started",
    KIND_QUARANTINED: "quarantined",
    KIND_UNREAD: "shop unread",
    KIND_DOUBTED_STATUS: "check AlertStatuses",
    KIND_UNREADABLE_SETTINGS: "shop settings",
}
_NEXT_STEPS = {
    "order.exception": "Open the order and settle what the shop names as the reason.",
    "order.backordered": "Restock, or offer the customer a substitute, a wait or a refund.",
    "order.cancelled": "Stop picking and shipping if the warehouse already has the order.",
    KIND_LATE: "Ship it today, or tell the customer when it will be.",
    KIND_AT_RISK: "See to it that it ships in time.",
    KIND_STUCK: "Open the order and see what holds it up.",
    KIND_RECOVERED: "Nothing: it is told so that nobody works on it any longer.",
    KIND_BLOCKED: "Renew the shop's credentials in Trackstar; until then its orders are not seen.",
    KIND_UNAUTHORIZED: "Store a valid API key and access token for this shop.",
    KIND_STALE: "Look at the shop's sync in Trackstar; until it runs, its orders are seen late.",
    KIND_CONNECTION_RECOVERED: "Nothing: orders are watched as before.",
    KIND_UNHEARD: "Subscribe to the topic anew and confirm it; until then its messages are lost.",
    KIND_HEARD: "Nothing: messages arrive as before.",
    KIND_WATCH_STARTED: "Nothing: changes from now on are alerted.",
    KIND_QUARANTINED: "Ask Trackstar's support about these records.",
    KIND_UNREAD: "Read the log of poll_orders: it says why the polls of this shop fail.",
    KIND_DOUBTED_STATUS: "Correct AlertStatuses and deploy again, or leave it if a shop uses this status.",
    KIND_UNREADABLE_SETTINGS: "Put the shop's settings again; until then the stack's apply.",
}


class Fact(NamedTuple):
    """A label and its value, each one line of plain text."""

    label: str
    value: str


def shop(connection: AlertConnection) -> str:
    """What a person calls the shop."""
    return text.clip(text.clean(connection.label) or text.clean(connection.id) or "unnamed shop", MAX_TEXT)


def number(order: AlertOrder | DigestedOrder) -> str:
    """The order's number as people write it: `#1042`; its id where the number has no visible character."""
    shown = text.clip_middle(text.clean(order.number) or text.clean(order.id) or "?", MAX_TEXT)
    return shown if shown.startswith("#") else f"#{shown}"


def number_in_ascii(order: AlertOrder, *, limit: int) -> str:
    """The order's number in ASCII within `limit` characters, with its id where the number loses letters by that."""
    shown = text.clean(order.number).removeprefix("#")
    folded = text.ascii_fold(shown, fallback="")
    if not folded or not text.survives_folding(shown):
        order_id = text.ascii_fold(order.id)
        folded = f"{folded} ({order_id})" if folded else order_id
    return f"#{text.clip_middle(folded, limit - 1)}"


def status_phrase(status: str) -> str:
    """A status within a sentence: `in exception`, `backordered`, `on hold`."""
    return text.clean(alerts.status_phrase(status))


def told_kind(alert: Alert) -> str:
    """The kind of what is told: that of its orders where it is a digest."""
    return alert.digest.of_kind if alert.digest else alert.kind


def tag(alert: Alert) -> str:
    """The alert in one or two words, such as `exception` or `shop blocked`."""
    kind = told_kind(alert)
    if kind in _TAGS:
        return _TAGS[kind]
    subject = alert.digest or alert.order
    return text.clean(subject.status if subject else kind).replace("_", " ") or "alert"


def headline(alert: Alert, *, with_shop: bool = False) -> str:
    """The fact in one sentence.

    Args:
        alert: Any alert.
        with_shop: Whether the sentence names the shop; those about a connection always do.
    """
    place = f" at {shop(alert.connection)}" if with_shop else ""
    if alert.digest:
        return f"{_digest_headline(alert.digest)}{place}"
    if alert.order:
        return f"{_order_headline(alert, alert.order)}{place}"
    sentence = _CONNECTION_HEADLINES.get(alert.kind)
    return sentence.format(shop=shop(alert.connection)) if sentence else f"{shop(alert.connection)}: {tag(alert)}"


def _digest_headline(digest: Digest) -> str:
    orders = text.plural(digest.count, "order")
    if digest.of_kind == KIND_RECOVERED:
        return f"{orders} recovered"
    return f"{orders} {'is' if digest.count == 1 else 'are'} {condition(digest.of_kind, digest.status)}"


def conditions(alert: Alert, order: AlertOrder) -> str:
    """All that the alert says the order is in: `in exception and late`."""
    also = [condition(each.kind, order.status) for each in alert.also]
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
    raw = text.clean(order.raw_status or "")
    return raw if raw and raw.casefold().replace(" ", "_") != order.status.casefold() else None


def headline_with_reason(alert: Alert) -> str:
    """The fact and, where the shop names one, its reason."""
    is_told = alert.kind not in {KIND_RECOVERED, *DEADLINE_KINDS}
    why = reason(alert.order) if alert.order and is_told else None
    return f"{headline(alert)}: {why}" if why else headline(alert)


def detail(alert: Alert) -> str | None:
    """What happened and what to do, of an alert about a connection or a deadline."""
    return text.clip(text.clean(alert.detail or ""), MAX_DETAIL) or None


def next_step(alert: Alert) -> str:
    """What a person can do about it."""
    return _NEXT_STEPS.get(told_kind(alert), "Open the order and see whether it needs you.")


def value(alert: Alert) -> str | None:
    """What is at stake, in money."""
    if alert.digest:
        return amounts(alert.digest.value_by_currency)
    if alert.order and alert.order.total_price is not None:
        return text.money(alert.order.total_price, alert.order.currency)
    return None


def amounts(by_currency: Mapping[str, Decimal]) -> str | None:
    """Sums in several currencies, at most `MAX_CURRENCIES` of them named."""
    shown = [text.money(amount, currency) for currency, amount in sorted(by_currency.items())[:MAX_CURRENCIES]]
    return ", ".join(shown + more(len(by_currency) - len(shown), "currency", "currencies")) or None


def facts(alert: Alert) -> list[Fact]:
    """What is known of the subject besides its lines, the most telling first."""
    integration = text.clean(alert.connection.integration or "")
    place = Fact("Shop", shop(alert.connection) + (f" ({integration})" if integration else ""))
    if alert.order:
        return [*_status_facts(alert, alert.order), *_money_facts(alert.order), place, *_time_facts(alert.order)]
    if alert.kind in TOPIC_KINDS:
        return [Fact("Topic", shop(alert.connection))]
    if alert.kind == KIND_DOUBTED_STATUS:
        return [Fact("Parameter", shop(alert.connection))]
    at_stake = value(alert)
    if at_stake:
        return [Fact("Value", at_stake), place]
    return [place, Fact("Connection", text.clip(text.clean(alert.connection.id), MAX_TEXT))]


def _status_facts(alert: Alert, order: AlertOrder) -> list[Fact]:
    why = reason(order)
    now = Fact("Status", text.clean(order.status) + (f' (the shop says "{why}")' if why else ""))
    is_unchanged = alert.kind in DEADLINE_KINDS or (alert.kind == KIND_RECOVERED and not order.previous_status)
    return [now] if is_unchanged else [now, Fact("Before", _before(order))]


def _before(order: AlertOrder) -> str:
    if not order.previous_status:
        return "first seen in this status"
    lasted = time_in_previous_status(order)
    before = text.clean(order.previous_status)
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
    total = text.money(order.total_price, order.currency)
    unknown = "" if order.currency else " (currency not given by the shop)"
    return [Fact("Total", total + unknown), *([Fact("Of which", ", ".join(named))] if named else [])]


def _time_facts(order: AlertOrder) -> list[Fact]:
    ship_by = [Fact("Ship by", _ship_by(order.ship_by))] if order.ship_by else []
    times = {"Placed": order.created_at, "Changed": order.updated_at}
    return [*ship_by, *(Fact(label, text.moment(at)) for label, at in times.items() if at)]


def _ship_by(at: datetime) -> str:
    """Midnight UTC is a mere date (rule 19): it has passed at the end of that day in the shop's zone."""
    return f"{at:%Y-%m-%d}, end of the day" if at.time() == time() else text.moment(at)


def more(count: int, one: str, many: str) -> list[str]:
    """`["+5 more lines"]`, or nothing where nothing is left out."""
    return [f"+{count:,} more {one if count == 1 else many}"] if count > 0 else []


def digested_order(order: DigestedOrder) -> str:
    """One order of a digest: its number and value."""
    worth = text.money(order.total_price, order.currency) if order.total_price is not None else "no total"
    before = text.clean(order.previous_status or "")
    return f"{number(order)}, {worth}{f', was {before}' if before else ''}"


def missing(alert: Alert) -> list[str]:
    """What the alert could not tell, and why."""
    return [text.clip(text.clean(gap), MAX_GAP) for gap in alert.enrichment.missing]


def freshness(alert: Alert) -> str:
    """How fresh the knowledge is."""
    if alert.kind in TOPIC_KINDS:
        return "Subscriptions are looked at every 15 minutes."
    if alert.kind == KIND_DOUBTED_STATUS:
        return "This is said once for each status."
    if alert.data_as_of:
        return f"Data as of {text.moment(alert.data_as_of)}, Trackstar's last sync of this shop."
    return "It is not known when Trackstar last synced this shop."


def is_connection_alert(alert: Alert) -> bool:
    """Whether it tells of a shop (or of a topic) rather than of orders."""
    return alert.order is None and alert.digest is None
