"""What a person can do about an alert, in the words of the one who gets it: the shop's people, or its operators."""

import re

from orderwatch.alerts.alert import Alert
from orderwatch.alerts.kinds import (
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
    KIND_UNAUTHORIZED,
    KIND_UNKNOWN_STATUS,
    KIND_WATCH_STARTED,
    Recipients,
    Urgency,
)
from orderwatch.alerts.parts import MAX_TEXT, AlertOrder
from orderwatch.alerts.summary import DailySummary
from orderwatch.rendering import content, formatting, lists, products

_STEPS = {
    "order.exception": "Open the order and settle what the shop names as the reason.",
    "order.backordered": "Restock, or offer the customer a substitute, a wait or a refund.",
    "order.cancelled": "Stop picking and shipping if the warehouse already has the order.",
    KIND_LATE: "Ship it today, or tell the customer when it will be.",
    KIND_AT_RISK: "See to it that it ships in time.",
    KIND_STUCK: "Open the order and see what holds it up.",
    KIND_RECOVERED: "Nothing: the problem is gone, nobody needs to work on it any longer.",
    KIND_BLOCKED: "Reconnect the shop in Trackstar; until then look at its orders in the shop itself.",
    KIND_UNAUTHORIZED: "Nothing: those who run orderwatch are told. Until then look at the orders in the shop itself.",
    KIND_STALE: "Look at the shop's connection in Trackstar; until it syncs again, its orders are seen late.",
    KIND_NO_SUBSCRIBERS: "Subscribe to the topic anew and confirm it; until then its messages are lost.",
    KIND_WATCH_STARTED: "Settle what waits already, the most urgent first; changes from now on are alerted.",
    KIND_QUARANTINED: "Ask Trackstar's support about these records.",
    KIND_UNKNOWN_STATUS: "Correct AlertStatuses and deploy again, or leave it if a shop uses this status.",
    KIND_REFUSED_SYNC: "Ask Trackstar's support what they allow, or deploy again with SyncMinutes=0.",
}
_COMMANDS = {
    KIND_BLOCKED: "Have the shop reconnected in Trackstar, then run: orderwatch poll {id} "
    "(if it is gone for good: orderwatch disconnect {id})",
    KIND_UNAUTHORIZED: "Store a valid access token, run: orderwatch connect {id}",
    KIND_STALE: "Look at the shop's connection in Trackstar, then run: orderwatch poll {id}",
    KIND_POLL_FAILING: "Read the log of poll_orders, then run: orderwatch poll {id}",
    KIND_REFUSED_SETTINGS: "Put them again: orderwatch settings {id} --help",
}
"""Of the operators: the same trouble, by the command that mends it."""
_NOTHING = {
    KIND_CONNECTION_RECOVERED: "Nothing: orders are watched as before.",
    KIND_RESUBSCRIBED: "Nothing: messages arrive as before.",
}
_BY_REASON = [
    (re.compile(r"\baddress", re.IGNORECASE), "Correct the address in the shop, then release the order."),
    (re.compile(r"\b(payment|card|declined)", re.IGNORECASE), "Settle the payment, then release the order."),
    (re.compile(r"\b(fraud|risk)", re.IGNORECASE), "Review the order in the shop, then release or cancel it."),
]
"""What common words of a shop's reason ask for; any other reason is left to the reader."""
_BY_REASON_KINDS = {"order.exception", "order.other"}
_ANY_ORDER = "Open the order and see whether it needs you."
_STOCK_COVERS = "Stock covers every line: ask the warehouse why it waits."
_SHIPPED = "Call back what has shipped or await its return; stop the rest."
MAX_STEP = 350
"""Characters: what Amazon Q shows of a step, by our own cautious bound."""


def next_step(alert: Alert) -> str:
    """What its reader can do about it: one sentence or two."""
    if alert.next_step:
        return formatting.clip(formatting.clean(alert.next_step), MAX_STEP) or _ANY_ORDER
    if alert.daily:
        return _summary_step(alert.daily)
    kind = alert.digest.of_kind if alert.digest else alert.kind
    if kind in _COMMANDS and (alert.recipients is Recipients.OPERATORS or kind not in _STEPS):
        return _COMMANDS[kind].format(id=formatting.clip(formatting.clean(alert.connection_id), MAX_TEXT))
    if alert.order:
        return _order_step(kind, alert, alert.order)
    if kind == KIND_WATCH_STARTED and not alert.waiting:
        return "Nothing: changes from now on are alerted."
    return _NOTHING.get(kind) or _STEPS.get(kind) or _ANY_ORDER


def _summary_step(daily: DailySummary) -> str:
    found = lists.first(daily)
    if found:
        shop, order = found
        due = formatting.due(
            order.ship_by, status=order.status, seen=shop.as_of, zone=formatting.zone_named(shop.time_zone)
        )
        why = [lists.reason_phrase(order.reason), *filter(None, [due.warning if due else None])]
        return f"Begin with {content.number(order)} at {lists.shop_label(shop)}: {', '.join(why)}."
    if daily.unseen_shops:
        return "Have the shops reconnected that are not visible; until then look at their orders in the shop itself."
    return "Nothing: no order waits."


def _order_step(kind: str, alert: Alert, order: AlertOrder) -> str:
    if kind == "order.cancelled" and order.shipments:
        return _SHIPPED
    if kind == "order.backordered" and products.stock_covers_every_line(order):
        return _STOCK_COVERS
    if kind == KIND_RECOVERED and formatting.urgency(alert) is not Urgency.NONE:
        return "Ship it first: the problem is gone, the ship-by is not."
    why = order.raw_status or ""
    asked = (step for word, step in _BY_REASON if kind in _BY_REASON_KINDS and word.search(why))
    return next(asked, _STEPS.get(kind, _ANY_ORDER))
