"""Amazon Q Developer in chat applications: a custom notification, shown in Slack or Microsoft Teams.

The fields are those of its administrator guide ("Custom notifications"). The guide gives no maximum lengths. The limits
here are cautious and stay within one section of a Slack message.
"""

import json
from collections.abc import Sequence
from itertools import accumulate
from typing import Any

from orderwatch.alerts.alert import Alert, alert_id
from orderwatch.alerts.parts import Digest
from orderwatch.alerts.summary import DailySummary
from orderwatch.rendering import content, formatting, lists, next_steps, shipping, summaries
from orderwatch.rendering.markup import for_amazon_q as escape

MAX_TITLE = 250
MAX_DESCRIPTION = 3000
MAX_STEP = 350
MAX_SUMMARY = 250
MAX_KEYWORD = 75
MAX_THREAD_ID = 64
MAX_CONTEXT = 250
MAX_LIST = 10

_MAX_FACT = 200
_MAX_DECISION = 600
_MAX_ENTRY = 400
_ROOM_FOR_MORE = 40


def body(alert: Alert) -> str:
    """The notification as compact JSON."""
    return formatting.without_noncharacters(json.dumps(notification(alert), ensure_ascii=False, separators=(",", ":")))


def notification(alert: Alert) -> dict[str, Any]:
    """The notification; alerts about one order share a thread."""
    step = escape(next_steps.next_step(alert), limit=MAX_STEP)
    address = link(alert.order.url if alert.order else None, "Open the order", limit=MAX_STEP // 2)
    keywords = [content.tag(alert), str(alert.severity), formatting.shop_name(alert.connection)]
    return {
        "version": "1.0",
        "source": "custom",
        "id": alert.alert_id,
        "content": {
            "textType": "client-markdown",
            "title": escape(content.urgent_headline(alert), limit=MAX_TITLE),
            "description": _description(alert),
            "nextSteps": [step, *filter(None, [address])],
            "keywords": [escape(word, limit=MAX_KEYWORD) for word in dict.fromkeys(keywords)],
        },
        "metadata": {
            "threadId": _thread_id(alert),
            "summary": escape(content.title(alert), limit=MAX_SUMMARY),
            "eventType": formatting.clip(alert.kind, MAX_KEYWORD),
            "relatedResources": _resources(alert),
            "additionalContext": _context(alert),
        },
    }


def link(url: str | None, label: str, *, limit: int) -> str:
    """The URL in Slack's notation for links; empty if there is none or if it is longer than `limit` once escaped."""
    address = (formatting.link(url) or "").replace("&", "&amp;").replace("|", "%7C")
    return f"<{address}|{label}>" if 0 < len(address) <= limit else ""


def _description(alert: Alert) -> str:
    detail, progress = content.detail(alert), shipping.progress(alert)
    reasons = lists.digest_reasons(alert)
    facts = [*([content.Fact("Reasons", reasons)] if reasons else []), *content.facts_of(alert)]
    head = [
        f"*{escape(' '.join(content.sentences(alert)), limit=_MAX_DECISION)}*",
        *([escape(detail, limit=MAX_DESCRIPTION // 2)] if detail else []),
        *([escape(progress, limit=_MAX_ENTRY)] if progress else []),
    ]
    more = [
        *(f"*{fact.label}:* {escape(fact.value, limit=_MAX_FACT)}" for fact in facts[:MAX_LIST]),
        *(_products(alert.digest) if alert.digest else []),
    ]
    missing = escape("; ".join(content.missing(alert)), limit=_MAX_ENTRY)
    foot = [*([f"Not known: {missing}"] if alert.enrichment.missing else []), f"_{content.freshness(alert)}_"]
    room = MAX_DESCRIPTION - _length(head) - _length(foot) - _ROOM_FOR_MORE
    parcels = _parcels(alert, room // 2)
    fitting = [*parcels, *_fitting(more, room - _length(parcels))]
    text = "\n".join([*head, *fitting, *_list(alert, room - _length(fitting)), *foot])
    return formatting.keep_together(text)


def _parcels(alert: Alert, room: int) -> list[str]:
    entries = [_parcel(each) for each in shipping.parcels(alert)]
    shown = _fitting(entries, room)
    return ["*Parcels that have left:*", *shown, *shipping.more_parcels(alert, len(shown))] if entries else []


def _parcel(parcel: shipping.Parcel) -> str:
    address = link(parcel.url, "track it", limit=MAX_STEP // 2)
    return f"- {escape(parcel.text, limit=_MAX_FACT)}{f', {address}' if address else ''}"


def _fitting(lines: Sequence[str], room: int) -> Sequence[str]:
    """The first lines, as many as fit into this number of characters."""
    return lines[: sum(used <= room for used in accumulate(len(line) + 1 for line in lines))]


def _list(alert: Alert, room: int) -> list[str]:
    if alert.summary:
        summary = alert.summary.longest(lambda shown: _length(_shops(alert, shown)) <= room, detailed=1)
        return _shops(alert, summary)
    entries, total = _entries(alert)
    shown = _fitting(entries, room)
    nouns = ("item", "items") if alert.order else ("order", "orders")
    return [*shown, *formatting.more(total - len(shown), *nouns)]


def _shops(alert: Alert, summary: DailySummary) -> list[str]:
    lines = [line for shop in summaries.blocks(alert, summary) for line in _shop(shop)]
    return [*lines, *(escape(each, limit=_MAX_FACT) for each in summaries.closing(summary))]


def _shop(shop: summaries.ShopBlock) -> list[str]:
    head = f"*{escape(shop.name, limit=_MAX_FACT)}*: {escape(shop.state, limit=_MAX_FACT)}"
    facts = [escape(each, limit=_MAX_ENTRY) for each in shop.facts]
    products = [f"- {escape(each, limit=_MAX_FACT)}" for each in shop.products]
    held_up = ["*Products blocking orders:*", *products, *shop.more_products] if products else []
    return [head, *facts, *map(_listed, shop.orders), *shop.more_orders, *held_up]


def _entries(alert: Alert) -> tuple[list[str], int]:
    """The entries of the list, and the number of all entries."""
    if alert.order is None:
        return [_listed(each) for each in lists.entries(alert)], lists.total(alert)
    shown = [_order_line(item) for item in lists.items(alert, MAX_LIST)]
    return shown, len(alert.order.line_items) + alert.order.more_line_items


def _listed(order: lists.Entry) -> str:
    heading = f"*{escape(order.heading, limit=_MAX_FACT)}:*\n" if order.heading else ""
    number, notes = escape(order.number, limit=_MAX_FACT), escape(order.details, limit=_MAX_ENTRY)
    address = link(order.url, number, limit=MAX_STEP // 2)
    return f"{heading}- {address or number}{f': {notes}' if notes else ''}"


def _products(digest: Digest) -> list[str]:
    found = map(lists.digest_product, lists.digest_products(digest))
    lines = [
        f"- {escape(each.what, limit=_MAX_FACT)}: {f'*{each.short}*, ' if each.short else ''}"
        f"{escape(each.stock or '', limit=_MAX_FACT)}"
        for each in found
    ]
    more = formatting.more(digest.more_products, "product", "products")
    return [f"*{lists.products_heading(digest)}:*", *lines, *more, "*Orders:*"] if lines else []


def _order_line(item: lists.Item) -> str:
    short = f", *{item.short}*" if item.short else ""
    notes = f" – {escape(item.notes, limit=_MAX_ENTRY // 2)}{short}" if item.notes else ""
    return f"- {escape(item.what, limit=_MAX_ENTRY)}{notes}"


def _length(lines: Sequence[str]) -> int:
    return sum(len(line) + 1 for line in lines)


def _thread_id(alert: Alert) -> str:
    thread = alert.connection_id
    if alert.order:
        thread = f"{alert.connection_id}#{alert.order.id}"
    elif alert.digest:
        thread = f"{alert.connection_id}#{alert.digest.of_kind}"
    return thread if len(thread) <= MAX_THREAD_ID else alert_id(thread)


def _resources(alert: Alert) -> list[str]:
    if alert.digest:
        return [escape(formatting.order_number(order), limit=MAX_CONTEXT) for order in alert.digest.orders[:MAX_LIST]]
    address = formatting.link(content.url(alert))
    return [address] if address else []


def _context(alert: Alert) -> dict[str, str]:
    context = {"alert_id": alert.alert_id, "connection_id": alert.connection_id, "severity": str(alert.severity)}
    order = alert.order
    if order:
        context |= {"order_id": order.id, "order_number": order.number, "status": order.status}
        context |= {"previous_status": order.previous_status} if order.previous_status else {}
    value = content.value(alert)
    context |= {"value": value} if value else {}
    return {key: formatting.clip(formatting.clean(text), MAX_CONTEXT) for key, text in context.items()}
