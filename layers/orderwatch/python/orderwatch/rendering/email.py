"""The e-mail: plain text, as SNS sends no HTML. Its first lines say why, by when, what to do and where.

Mail programs wrap lines and use proportional fonts, so this module neither wraps lines nor aligns columns.
"""

from collections.abc import Sequence
from itertools import accumulate

from orderwatch.alerts.alert import Alert
from orderwatch.alerts.kinds import KIND_BACKORDERED, KIND_RECOVERED
from orderwatch.alerts.parts import AlertOrder, Digest
from orderwatch.alerts.summary import DailySummary
from orderwatch.rendering import content, formatting, lists, next_steps, shipping, summaries

MAX_SUBJECT = 99
"""SNS takes fewer than 100 ASCII characters, without line breaks."""
MAX_BYTES = 32_000
"""Maximum size of the body in UTF-8: a message of 256 KB contains it twice (`email` and `default`)."""
MAX_LINES = 20
MAX_MISSING = 10

_MAX_TAG = 24
_MAX_NUMBER = 34
_MAX_WARNING = 34
_MAX_VALUE = 24
_MAX_SHORT = 24
_MIN_SHOP = 8

type Block = list[str]
"""Lines that stay together: one entry of a list, or a paragraph."""


def subject(alert: Alert) -> str:
    """Urgency, order, shop, shortfall and value in printable ASCII of at most `MAX_SUBJECT` characters."""
    head = f"[{formatting.clip(formatting.ascii_fold(content.tag(alert), fallback='alert'), _MAX_TAG)}]"
    shop = formatting.shop_name_in_ascii(alert.connection)
    what = _what(alert)
    if alert.summary:
        value = formatting.ascii_fold(content.value(alert) or "", fallback="")
        text = f"{head} {formatting.ascii_fold(content.headline(alert))}"
        return formatting.clip(f"{text}. {value}" if value else text, MAX_SUBJECT)
    if what is None:
        return formatting.clip(f"{head} {shop}", MAX_SUBJECT)
    begin = f"{head} {what} at "
    room = MAX_SUBJECT - len(begin) - min(len(shop), _MIN_SHOP)
    tail = ""
    for addition in _tail(alert):  # the most important first; an addition that does not fit is left out
        tail += addition if len(tail) + len(addition) <= room else ""
    return f"{begin}{formatting.clip(shop, MAX_SUBJECT - len(begin) - len(tail))}{tail}"


def _what(alert: Alert) -> str | None:
    if alert.digest:
        what = formatting.plural(alert.digest.count, "order")
    elif alert.order:
        what = f"Order {formatting.order_number_in_ascii(alert.order, limit=_MAX_NUMBER)}"
    else:
        return None
    warning = formatting.clip(content.warning(alert) or "", _MAX_WARNING)
    return f"{formatting.upper_first(warning)}: {what}" if warning else what


def _tail(alert: Alert) -> list[str]:
    order = alert.order
    if order and alert.kind == KIND_RECOVERED:
        return [f", now {formatting.clip(formatting.ascii_fold(formatting.status_phrase(order.status)), _MAX_VALUE)}"]
    short = lists.largest_shortfall(order) if order and alert.kind == KIND_BACKORDERED else None
    additions = [(short, _MAX_SHORT), (content.value(alert), _MAX_VALUE)]
    folded = [(formatting.ascii_fold(each or "", fallback=""), limit) for each, limit in additions]
    return [f", {formatting.clip(each, limit)}" for each, limit in folded if each]


def body(alert: Alert, *, action_url: str | None = None) -> str:
    """The whole message: decision, next step and links; then facts and lists; then what is missing and how old it is.

    At most `MAX_BYTES` bytes: lists are cut between entries and end with the exact number of entries left out.

    Args:
        alert: Any alert.
        action_url: The link that takes or snoozes the order, if any.
    """
    action = formatting.link(action_url)
    opening = [
        [
            " ".join(content.sentences(alert)),
            *filter(None, [content.detail(alert)]),
            _step(next_steps.next_step(alert)),
            *filter(None, [shipping.progress(alert), formatting.link(content.url(alert))]),
            *([f"Take or snooze: {action}"] if action else []),
        ],
        *_parcels(alert),
        _facts(alert),
    ]
    footer = [content.freshness(alert), f"{alert.kind}, {alert.severity}", f"Alert {alert.alert_id}"]
    closing = [*_missing(alert), footer]
    paragraphs = [*opening, *_list(alert, MAX_BYTES - _size([*opening, *closing])), *closing]
    text = "\n\n".join("\n".join(each) for each in paragraphs) + "\n"
    whole = formatting.keep_together(text)
    return whole if len(whole.encode()) <= MAX_BYTES else text


def _parcels(alert: Alert) -> list[Block]:
    parcels = shipping.parcels(alert)
    lines = [line for each in parcels for line in (f"- {each.text}", *([f"  {each.url}"] if each.url else []))]
    return [["Parcels that have left:", *lines, *shipping.more_parcels(alert, len(parcels))]] if parcels else []


def _step(step: str) -> str:
    return f"Do: {formatting.lower_first(step)}" if next_steps.is_action(step) else step


def _size(blocks: Sequence[Block]) -> int:
    """The bytes of these paragraphs, with the empty line after each."""
    return sum(len("\n".join(block).encode()) + 2 for block in blocks)


def _facts(alert: Alert) -> Block:
    reasons = lists.digest_reasons(alert)
    return [
        *([f"Reasons: {reasons}"] if reasons else []),
        *(f"{each.label}: {each.value}" for each in content.facts_of(alert)),
    ]


def _list(alert: Alert, room: int) -> list[Block]:
    if alert.summary:
        summary = alert.summary.longest(lambda shown: _size(_shops(alert, shown)) <= room)
        return _shops(alert, summary)
    if alert.order:
        has_lines = alert.order.line_items or alert.order.more_line_items
        return [_order_lines(alert, alert.order, room)] if has_lines else []
    products = _products(alert.digest) if alert.digest else []
    return [*products, *([_orders(alert, room - _size(products))] if lists.total(alert) else [])]


def _shops(alert: Alert, summary: DailySummary) -> list[Block]:
    closing = summaries.closing(summary)
    return [*map(_shop, summaries.blocks(alert, summary)), *([closing] if closing else [])]


def _shop(shop: summaries.ShopBlock) -> Block:
    orders = [line for entry in shop.orders for line in _entry(entry)]
    products = (
        ["Products blocking orders:", *(f"- {each}" for each in shop.products), *shop.more_products]
        if shop.products
        else []
    )
    return [f"{shop.name}: {shop.state}", *shop.facts, *orders, *shop.more_orders, *products]


def _products(digest: Digest) -> list[Block]:
    found = map(lists.digest_product, lists.digest_products(digest))
    entries = [f"- {each.what}: {', '.join(filter(None, [each.short, each.stock]))}" for each in found]
    more = formatting.more(digest.more_products, "product", "products")
    return [[f"{lists.products_heading(digest)}:", *entries, *more]] if entries else []


def _orders(alert: Alert, room: int) -> Block:
    return _cut_list(
        f"{lists.heading(alert)}:",
        [_entry(each) for each in lists.entries(alert)],
        total=lists.total(alert),
        nouns=("order", "orders"),
        room=room,
    )


def _entry(order: lists.Entry) -> Block:
    heading = [f"{order.heading}:"] if order.heading else []
    address = formatting.link(order.url)
    return [*heading, f"- {order.line}", *([f"  {address}"] if address else [])]


def _order_lines(alert: Alert, order: AlertOrder, room: int) -> Block:
    return _cut_list(
        "Items:",
        [[_order_line(item)] for item in lists.items(alert, MAX_LINES)],
        total=len(order.line_items) + order.more_line_items,
        nouns=("item", "items"),
        room=room,
    )


def _order_line(item: lists.Item) -> str:
    return f"{item.what} – {', '.join(filter(None, [item.notes, item.short]))}" if item.notes else item.what


def _cut_list(heading: str, entries: Sequence[Block], *, total: int, nouns: tuple[str, str], room: int) -> Block:
    """The heading, as many whole entries as fit into `room` bytes, and the number of those left out."""
    sizes = (sum(len(line.encode()) + 1 for line in entry) for entry in entries)
    shown = sum(used <= room - 80 for used in accumulate(sizes))  # 80 for the heading and the number
    return [heading, *(line for entry in entries[:shown] for line in entry), *formatting.more(total - shown, *nouns)]


def _missing(alert: Alert) -> list[Block]:
    missing = content.missing(alert)
    if not missing:
        return []
    more = formatting.more(len(missing) - MAX_MISSING, "detail", "details")
    return [["Not known:", *(f"- {each}" for each in missing[:MAX_MISSING]), *more]]
