"""The next step for a recipient: the shop's staff and the operators of orderwatch get different ones."""

import re

from orderwatch.alerts import kinds
from orderwatch.alerts.alert import Alert
from orderwatch.alerts.kinds import KIND_RECOVERED, KIND_WATCH_STARTED, Recipients, Urgency
from orderwatch.alerts.parts import MAX_TEXT, AlertOrder, Digest
from orderwatch.alerts.summary import DailySummary
from orderwatch.rendering import formatting, lists, shipping, summaries
from orderwatch.rendering.content import main_kind
from orderwatch.sanitize import folded_words

MAX_STEP = 350
"""Maximum characters: a cautious limit, because Amazon Q documents none."""
_NO_ACTION = "No action needed."
_RESTOCK = "Restock, or offer the customer a substitute, a later date or a refund."
_STEPS = {
    "order.exception": "Open the order and resolve the reason that the shop gives.",
    kinds.KIND_BACKORDERED: _RESTOCK,
    "order.cancelled": "Stop picking and shipping if the warehouse already has the order.",
    kinds.KIND_LATE: "Ship it today, or give the customer a new date.",
    kinds.KIND_AT_RISK: "Make sure it ships in time.",
    kinds.KIND_STUCK: "Find out what is holding it up.",
    kinds.KIND_RESTOCKED: "Ship it: everything that is still to ship is in stock.",
    KIND_RECOVERED: "No action needed. The problem is resolved.",
    kinds.KIND_BLOCKED: "Reconnect the shop in Trackstar; until then check its orders in the shop itself.",
    kinds.KIND_UNAUTHORIZED: "Check the orders in the shop itself until the operators of orderwatch, who are notified, "
    "have solved it.",
    kinds.KIND_STALE: "Check the shop's connection in Trackstar; until it syncs again, alerts are late.",
    kinds.KIND_NO_SUBSCRIBERS: "Subscribe to the topic again and confirm it; until then its messages are lost.",
    KIND_WATCH_STARTED: "Start with the orders below. From now on, each change is alerted.",
    kinds.KIND_QUARANTINED: "Ask Trackstar's support about these records.",
    kinds.KIND_UNREADABLE: "Ask Trackstar's support about these values.",
    kinds.KIND_UNKNOWN_STATUS: "Correct AlertStatuses and deploy again, or leave it if a shop uses this status.",
    kinds.KIND_NEW_STATUS: "If one of them is a problem, add it to AlertStatuses and deploy again.",
    kinds.KIND_PRODUCTS_BLOCKED: "Have the shop grant Trackstar access to its products; until then check stock in the "
    "shop itself.",
    kinds.KIND_REFUSED_SYNC: "Ask Trackstar's support which syncs they allow, or deploy again with SyncMinutes=0.",
}
_COMMANDS = {
    kinds.KIND_BLOCKED: "Have the shop reconnected in Trackstar, then run: orderwatch poll {id} "
    "(if it is gone for good: orderwatch disconnect {id})",
    kinds.KIND_UNAUTHORIZED: "Store a valid API key and access token, run: orderwatch connect-trackstar, then: "
    "orderwatch connect {id}",
    kinds.KIND_STALE: "Check the shop's connection in Trackstar, then run: orderwatch poll {id}",
    kinds.KIND_POLL_FAILING: "Find the cause, run: orderwatch logs poll-orders --shop {id}",
    kinds.KIND_REFUSED_SETTINGS: "Delete them, run: orderwatch settings {id} --remove",
}
"""Steps for operators: the command that solves the problem."""
_NOTHING = {
    kinds.KIND_CONNECTION_RECOVERED: "No action needed. Orders are watched again.",
    kinds.KIND_RESUBSCRIBED: "No action needed. Messages are delivered again.",
}
_UNLESS_SETTLED = (
    r"(?! (?:(?:has|have|is|was|been|check|review|validation|verification) )*(?:accepted|approved|authori[sz]ed"
    r"|captured|cleared|complete|completed|confirmed|corrected|ok|passed|received|settled|successful|validated|verified)\b)"
)
_STEP_BY_REASON = {
    r"(?:out of|not in|no|insufficient) (?:stock|inventory)|sold out|oversold|back ?ordered": _RESTOCK,
    rf"(?<!no )(?<!not )(?<!low )(?<!low risk of )(?:fraud|fraudulent){_UNLESS_SETTLED}|high risk": (
        "Review the order in the shop, then release or cancel it."
    ),
    r"disputed?|chargeback|pay ?pal reversed": (
        "Answer the dispute at the payment provider; ship only when it is settled."
    ),
    r"pay ?pal cancel+ed reversal": "The payment is yours again: release the order.",
    rf"(?<!mail )(?<!ip )address(?! label){_UNLESS_SETTLED}": (
        "Correct the address in the shop, then release the order."
    ),
    r"payment (?:review|processing)": "Wait for the payment provider's decision; ship only when the order is paid.",
    rf"payment{_UNLESS_SETTLED}|unpaid|pending pay ?pal|insufficient funds"
    r"|(?:card|transaction)(?: \w+)? (?:declined|expired|refused|rejected|failed)"
    r"|^(?:wc )?(?:declined|failed|incomplete)$": "Settle the payment, then release the order.",
    r"(?:unknown|no|missing) delivery date": "Find out the delivery date, then release the order.",
    r"awaiting returns?(?: items)?": "Wait for the returned items, then release the order.",
    r"post purchase": (
        "Wait until the customer has answered the offer after the purchase; the shop then releases the order."
    ),
    r"(?:verification|review) required|manual (?:verification|review)": (
        "Check the order by hand in the shop, then release or cancel it."
    ),
    r"(?:awaiting|ready for) pickup": "Remind the customer to collect the order.",
    r"awaiting (?:shipment|fulfillment)": "Ship it: the shop waits for the shipment.",
    r"(?<!not )refunded": "Stop shipping what was refunded.",
    r"unfulfillable": "Ship it from elsewhere, or cancel it: Amazon cannot fulfill the order.",
    r"invoice unconfirmed": "Send the invoice to the customer and confirm it to the shop.",
    r"pending availability": "Wait for the release date: the customer ordered in advance.",
    r"^(?:wc )?(?:on hold|hold|holded)$": (
        "Find out in the shop why the order is on hold, then release it. It may be an unconfirmed payment."
    ),
}
"""Steps for a shop's reason: whole words of the folded reason, the first match counts. The words are those of

- Shopify: shopify.dev/docs/api/admin-graphql/latest/enums/FulfillmentHoldReason
- WooCommerce: woocommerce.com/document/managing-orders/order-statuses
- BigCommerce: developer.bigcommerce.com/api-reference/7e41c00dafd04-get-a-single-order-status-by-id
- Magento: experienceleague.adobe.com/en/docs/commerce-admin/stores-sales/order-management/orders/order-status
- Amazon: developer-docs.amazon.com/sp-api/docs/orders-api-v0-reference (OrderStatus)
- Etsy: developers.etsy.com/documentation/reference (ShopReceipt, status)
"""
_BY_REASON = [(re.compile(rf"\b(?:{words})\b"), step) for words, step in _STEP_BY_REASON.items()]
_NEEDS_SHIPPING = {kinds.KIND_BACKORDERED, *kinds.DEADLINE_KINDS}
_BY_STATUS = _STEPS.keys() - {"order.exception"}
"""Kinds whose own step counts, whatever the reason."""
_ANY_ORDER = "Open the order and check whether it needs you."
_KIT = "Check the stock of the kit's parts: restock them, or offer the customer a substitute, a later date or a refund."
_SHIPPED = "Recall what has shipped, or wait for its return; stop the rest."
_ALL_LEFT = "Everything has left: find out why the order is still open in the shop."
_OF_MANY = {
    "order.exception": "Open the orders and resolve the reasons that the shop gives.",
    kinds.KIND_BACKORDERED: "Restock, or offer the customers a substitute, a later date or a refund.",
    "order.cancelled": "Stop picking and shipping those that the warehouse already has.",
    kinds.KIND_LATE: "Ship them today, or give the customers new dates.",
    kinds.KIND_AT_RISK: "Make sure they ship in time.",
    kinds.KIND_STUCK: "Find out what is holding them up.",
    kinds.KIND_RESTOCKED: "Ship them: everything that is still to ship is in stock.",
    kinds.KIND_REMINDER: "Resolve them, or have somebody take them.",
    KIND_RECOVERED: "No action needed. The problems are resolved.",
}
"""Steps for a digest, by the kind of its orders."""


def next_step(alert: Alert) -> str:
    """What the recipient can do, in one or two sentences."""
    if alert.next_step:
        return formatting.clip(formatting.clean(alert.next_step), MAX_STEP) or _ANY_ORDER
    if alert.summary:
        return _summary_step(alert.summary)
    kind = main_kind(alert)
    if kind in _COMMANDS and (alert.recipients is Recipients.OPERATORS or kind not in _STEPS):
        return _COMMANDS[kind].format(id=formatting.clip(formatting.clean(alert.connection_id), MAX_TEXT))
    if kind == KIND_WATCH_STARTED and not alert.backlog:
        return "No action needed. From now on, each change is alerted."
    return _step_about_orders(kind, alert) or _NOTHING.get(kind) or _STEPS.get(kind) or _ANY_ORDER


def _step_about_orders(kind: str, alert: Alert) -> str | None:
    if alert.digest:
        return _digest_step(alert, alert.digest)
    return _order_step(kind, alert, alert.order) if alert.order else None


def is_action(step: str) -> bool:
    """Whether the step asks for something."""
    return not step.startswith(_NO_ACTION)


def _summary_step(summary: DailySummary) -> str:
    if found := summaries.first_order(summary):
        shop, order = found
        zone = formatting.zone_of(shop)
        due = formatting.due(order.ship_by, status=order.status, seen=shop.as_of, zone=zone)
        reasons = [summaries.reason_phrase(order.reason), *filter(None, [due.warning if due else None])]
        number = formatting.order_number(order)
        return f"Begin with {number} at {summaries.shop_label(shop)}: {', '.join(reasons)}."
    if summary.shops_not_visible:
        return "Have the shops reconnected that are not visible; until then check their orders in the shop itself."
    return "No action needed."


def _digest_step(alert: Alert, digest: Digest) -> str:
    if digest.of_kind == "order.cancelled" and digest.shipped is not None:
        return _SHIPPED if digest.shipped else "Stop picking them."
    if digest.of_kind == KIND_RECOVERED and formatting.urgency(alert) is not Urgency.NONE:
        return "Ship the urgent ones first: the problems are resolved, but a ship-by is near or has passed."
    return _OF_MANY.get(digest.of_kind, "Open the orders and check whether they need you.")


def _order_step(kind: str, alert: Alert, order: AlertOrder) -> str:
    if kind == kinds.KIND_REMINDER:  # the step of what it reminds about
        is_late = formatting.urgency(alert) is Urgency.OVERDUE
        kind = kinds.KIND_LATE if is_late else f"order.{order.status}"
    if kind == KIND_RECOVERED and formatting.urgency(alert) is not Urgency.NONE:
        return "Ship it first: the problem is resolved, but the ship-by is near or has passed."
    if found := _shipping_step(kind, alert, order):
        return found
    by_reason = _step_by_reason(order.raw_status or "") if kind not in _BY_STATUS else None
    return by_reason or _STEPS.get(kind, _ANY_ORDER)


def _shipping_step(kind: str, alert: Alert, order: AlertOrder) -> str | None:
    """The step that depends on what has left of the order and on stock; None if it depends on neither."""
    if kind == "order.cancelled":
        return _cancelled_step(order)
    if kind in _NEEDS_SHIPPING and order.is_wholly_shipped:
        return _ALL_LEFT
    if kind == kinds.KIND_AT_RISK:
        return _at_risk_step(alert, order)
    if kind == kinds.KIND_BACKORDERED:
        return _backorder_step(order)
    is_late = kind == kinds.KIND_LATE and order.is_partly_shipped
    return "Ship the rest today, or give the customer a new date." if is_late else None


def _cancelled_step(order: AlertOrder) -> str | None:
    """What to do about the parcels of a cancelled order, and about what has not left."""
    if shipping.has_left_untracked(order):
        return "Find out what has left, and stop picking the rest."
    count = order.shipment_count
    if not count:
        return None if count is None else "Stop picking."
    recall = "Recall it or await its return" if count == 1 else "Recall them or await their return"
    return f"{recall}." if order.is_wholly_shipped else f"{recall}; hold the rest."


def _backorder_step(order: AlertOrder) -> str | None:
    if lists.stock_covers_every_line(order):
        what = "The rest" if order.is_partly_shipped else "Everything"
        return f"{what} is in stock: ask the warehouse why the order is on backorder."
    return _KIT if lists.awaited_kit(order) else None


def _at_risk_step(alert: Alert, order: AlertOrder) -> str:
    """`Make sure it ships by Wed 11 Mar 15:30 CET.`, with what the stock says about it."""
    due, short = formatting.order_due(alert), lists.largest_shortfall(order)
    what = "the rest" if order.is_partly_shipped else "it"
    step = f"Make sure {what} ships {f'by {due.date}' if due else 'in time'}."
    if short:
        return f"{step} Not everything is in stock: {short}."
    covered = "It is in stock." if order.is_partly_shipped else "Everything is in stock."
    return f"{step} {covered}" if lists.stock_covers_every_line(order) else step


def _step_by_reason(raw_status: str) -> str | None:
    folded = folded_words(raw_status)
    return next((step for words, step in _BY_REASON if words.search(folded)), None)
