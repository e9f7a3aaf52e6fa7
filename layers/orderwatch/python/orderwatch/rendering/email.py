"""The e-mail: plain text, as SNS sends no other. Its first three lines say why, by when, what to do and where.

Mail programs break lines themselves and use proportional fonts: nothing is wrapped here and nothing set in columns.
"""

from collections.abc import Sequence

from orderwatch.alerts.alert import Alert
from orderwatch.alerts.kinds import KIND_RECOVERED
from orderwatch.alerts.parts import AlertLineItem, AlertOrder, Digest, DigestedProduct
from orderwatch.alerts.summary import DailySummary, longest
from orderwatch.rendering import content, formatting, lists, next_steps, products

MAX_SUBJECT = 99
"""SNS wants fewer than 100 characters of ASCII, without line breaks."""
MAX_BYTES = 32_000
"""Of the body, in UTF-8: it is sent twice (`email` and `default`) within one message of 256 KB."""
MAX_LINES = 20
MAX_GAPS = 10

_MAX_TAG = 24
_MAX_NUMBER = 34
_MAX_WARNING = 34
_MAX_VALUE = 24
_MAX_SHORT = 24
_MIN_SHOP = 8

type Entry = list[str]
"""The lines that stay together when a list is cut."""


def subject(alert: Alert) -> str:
    """How urgent, which order, where, what is short, how much: printable ASCII of at most `MAX_SUBJECT` characters."""
    head = f"[{formatting.clip(formatting.ascii_fold(content.tag(alert), fallback='alert'), _MAX_TAG)}]"
    shop = formatting.ascii_fold(content.shop(alert.connection), fallback=formatting.ascii_fold(alert.connection.id))
    what = _what(alert)
    if alert.daily:
        worth = formatting.ascii_fold(content.value(alert) or "", fallback="")
        said = f"{head} {formatting.ascii_fold(content.headline(alert))}"
        return formatting.clip(f"{said}, {worth}" if worth else said, MAX_SUBJECT)
    if what is None:
        return formatting.clip(f"{head} {shop}", MAX_SUBJECT)
    begun = f"{head} {what} at "
    room = MAX_SUBJECT - len(begun) - min(len(shop), _MIN_SHOP)
    tail = ""
    for addition in _tail(alert):  # the most telling first; what does not fit is left out whole
        tail += addition if len(tail) + len(addition) <= room else ""
    return f"{begun}{formatting.clip(shop, MAX_SUBJECT - len(begun) - len(tail))}{tail}"


def _what(alert: Alert) -> str | None:
    if alert.digest:
        what = formatting.plural(alert.digest.count, "order")
    elif alert.order:
        what = f"Order {content.number_in_ascii(alert.order, limit=_MAX_NUMBER)}"
    else:
        return None
    warning = formatting.clip(content.warning(alert) or "", _MAX_WARNING)
    return f"{warning[:1].upper()}{warning[1:]}: {what}" if warning else what


def _tail(alert: Alert) -> list[str]:
    order = alert.order
    if order and alert.kind == KIND_RECOVERED:
        return [f", now {formatting.clip(formatting.ascii_fold(order.status), _MAX_VALUE)}"]
    short = products.shortest(order) if order and alert.kind == products.BACKORDERED else None
    said = [(short, _MAX_SHORT), (content.value(alert), _MAX_VALUE)]
    folded = [(formatting.ascii_fold(each or "", fallback=""), limit) for each, limit in said]
    return [f", {formatting.clip(each, limit)}" for each, limit in folded if each]


def body(alert: Alert) -> str:
    """The whole message: the decision, the step, the link; then the list, what is known besides, how fresh it is.

    At most `MAX_BYTES` bytes: lists are cut between their entries and end in the exact number of what is left out.
    """
    opening = [
        [*_decision(alert), f"Do: {formatting.lower_first(next_steps.next_step(alert))}", *_link(alert)],
        _facts(alert),
    ]
    closing = [*_missing(alert), _footer(alert)]
    spent = sum(len("\n".join(block).encode()) + 2 for block in [*opening, *closing])
    return "\n\n".join("\n".join(block) for block in [*opening, *_list(alert, MAX_BYTES - spent), *closing]) + "\n"


def _decision(alert: Alert) -> list[str]:
    detail = content.detail(alert)
    return [" ".join(content.sentences(alert)), *([detail] if detail else [])]


def _link(alert: Alert) -> list[str]:
    address = formatting.link(content.url(alert))
    return [address] if address else []


def _facts(alert: Alert) -> list[str]:
    reasons = lists.digest_reasons(alert)
    return [
        *([f"Reasons: {reasons}"] if reasons else []),
        *(f"{each.label}: {each.value}" for each in content.facts_of(alert)),
    ]


def _list(alert: Alert, room: int) -> list[list[str]]:
    if alert.daily:
        return _fitting_shops(alert, alert.daily, room)
    if alert.order:
        listed = alert.order.line_items or alert.order.more_line_items
        return [_lines(alert, alert.order, room)] if listed else []
    blocks = _products(alert.digest) if alert.digest else []
    spent = sum(len("\n".join(block).encode()) + 2 for block in blocks)
    return [*blocks, *([_orders(alert, room - spent)] if lists.total(alert) else [])]


def _fitting_shops(alert: Alert, daily: DailySummary, room: int) -> list[list[str]]:
    """As many shops as there is room for, the worst first, with their orders as far as those fit."""

    def fits(shown: DailySummary) -> bool:
        return sum(len("\n".join(block).encode()) + 2 for block in _shops(alert, shown)) <= room

    return _shops(alert, longest(daily, fits))


def _shops(alert: Alert, daily: DailySummary) -> list[list[str]]:
    closing = lists.closing(daily)
    return [*(_shop(each) for each in lists.blocks(alert, daily)), *([closing] if closing else [])]


def _shop(block: lists.ShopBlock) -> list[str]:
    orders = [line for entry in block.orders for line in _entry(entry)]
    held = ["Held up by:", *(f"- {each}" for each in block.products), *block.more_products] if block.products else []
    return [f"{block.name}: {block.state}", *block.facts, *orders, *block.more_orders, *held]


def _products(digest: Digest) -> list[list[str]]:
    """The few products that most of the orders wait for."""
    entries = [[f"- {_with_shortfall(products.digested_product(each), each)}"] for each in products.listed(digest)]
    more = formatting.more(digest.more_products, "product", "products")
    return [_block("Most affected:", entries, more)] if entries else []


def _with_shortfall(said: str, product: DigestedProduct) -> str:
    short = products.digested_shortfall(product)
    return f"{said}: {short}" if short else said


def _orders(alert: Alert, room: int) -> list[str]:
    entries = [_entry(each) for each in lists.entries(alert)]
    shown = _fitting(entries, room)
    more = formatting.more(lists.total(alert) - shown, "order", "orders")
    return _block(f"{lists.heading(alert)}:", entries[:shown], more)


def _entry(order: lists.Entry) -> Entry:
    heading = [f"{order.heading}:"] if order.heading else []
    address = formatting.link(order.url)
    return [*heading, f"- {order.line}", *([f"  {address}"] if address else [])]


def _lines(alert: Alert, order: AlertOrder, room: int) -> list[str]:
    entries = [[_line(line, order, with_stock=products.shows_stock(alert))] for line in order.line_items[:MAX_LINES]]
    shown = _fitting(entries, room)
    left_out = len(order.line_items) - shown + order.more_line_items
    return _block("Lines:", entries[:shown], formatting.more(left_out, "line", "lines"))


def _line(line: AlertLineItem, order: AlertOrder, *, with_stock: bool) -> str:
    price = products.unit_price(line, order.currency)
    said = [f"{products.line_quantity(line)} x {products.product_code(line)}{f', {price}' if price else ''}"]
    stock = products.stock(line, order) if with_stock else None
    known = f"{stock.known}: {stock.short}" if stock and stock.short else stock and stock.known
    return "; ".join([*said, *filter(None, [products.described_product(line), known])])


def _fitting(entries: Sequence[Entry], room: int) -> int:
    """How many of the entries fit, with the heading and the line that counts the rest."""
    used = 80
    for index, entry in enumerate(entries):
        used += sum(len(line.encode()) + 1 for line in entry)
        if used > room:
            return index
    return len(entries)


def _block(heading: str, entries: Sequence[Entry], more: list[str]) -> list[str]:
    return [heading, *(line for entry in entries for line in entry), *more]


def _missing(alert: Alert) -> list[list[str]]:
    gaps = content.missing(alert)
    if not gaps:
        return []
    more = formatting.more(len(gaps) - MAX_GAPS, "gap", "gaps")
    return [["Not known:", *(f"- {gap}" for gap in gaps[:MAX_GAPS]), *more]]


def _footer(alert: Alert) -> list[str]:
    return [content.freshness(alert), f"{alert.kind}, {alert.severity}", f"Alert {alert.alert_id}"]
