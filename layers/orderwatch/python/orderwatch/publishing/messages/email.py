"""The e-mail: SNS sends plain text, so columns and words are all there is. Made to be read on a phone."""

from collections.abc import Sequence

from orderwatch.alerts import KIND_RECOVERED, Alert, AlertLineItem, AlertOrder, Digest, DigestedProduct
from orderwatch.publishing.messages import products, text, wording

WIDTH = 72
MAX_SUBJECT = 99
"""SNS wants fewer than 100 characters of ASCII, without line breaks."""
MAX_BYTES = 32_000
"""Of the body, in UTF-8: it is sent twice (`email` and `default`) within one message of 256 KB."""
MAX_LINES = 20
MAX_GAPS = 10

_MAX_TAG = 24
_MAX_NUMBER = 34
_MAX_VALUE = 24
_MAX_CODE = 30

type Entry = list[str]
"""The lines that stay together when a list is cut."""


def subject(alert: Alert) -> str:
    """What, which order, where, how much: printable ASCII of at most `MAX_SUBJECT` characters."""
    head = f"[{text.clip(text.ascii_fold(wording.tag(alert), fallback='alert'), _MAX_TAG)}]"
    shop = text.ascii_fold(wording.shop(alert.connection), fallback=text.ascii_fold(alert.connection.id))
    what = _what(alert)
    if what is None:
        return text.clip(f"{head} {shop}", MAX_SUBJECT)
    tail = _tail(alert)
    room = MAX_SUBJECT - len(f"{head} {what} at {tail}")
    return f"{head} {what} at {text.clip(shop, room)}{tail}"


def _what(alert: Alert) -> str | None:
    if alert.digest:
        return text.plural(alert.digest.count, "order")
    return f"Order {wording.number_in_ascii(alert.order, limit=_MAX_NUMBER)}" if alert.order else None


def _tail(alert: Alert) -> str:
    if alert.order and alert.kind == KIND_RECOVERED:
        return f", now {text.clip(text.ascii_fold(alert.order.status), _MAX_VALUE)}"
    worth = text.ascii_fold(wording.value(alert) or "", fallback="")
    return f", {text.clip(worth, _MAX_VALUE)}" if worth else ""


def body(alert: Alert) -> str:
    """The whole message: the fact, what is known of it, the lines, the link, what is missing, how fresh it is.

    At most `WIDTH` columns but for links, which are never broken, and at most `MAX_BYTES` bytes: lists are cut
    between their entries and end in the exact number of what is left out.
    """
    opening = [text.wrap(_fact(alert), width=WIDTH), *_detail(alert), _facts(alert)]
    closing = [*_link(alert), *_missing(alert), _footer(alert)]
    spent = sum(len("\n".join(block).encode()) + 2 for block in [*opening, *closing])
    return "\n\n".join("\n".join(block) for block in [*opening, *_list(alert, MAX_BYTES - spent), *closing]) + "\n"


def _fact(alert: Alert) -> str:
    return wording.headline(alert, with_shop=True) if alert.digest else wording.headline_with_reason(alert)


def _detail(alert: Alert) -> list[list[str]]:
    detail = wording.detail(alert)
    return [text.wrap(detail, width=WIDTH)] if detail else []


def _facts(alert: Alert) -> list[str]:
    facts = wording.facts(alert)
    column = max(len(fact.label) for fact in facts) + 2
    lines = [text.wrap(fact.value, width=WIDTH, first=fact.label.ljust(column), rest=" " * column) for fact in facts]
    return [line for each in lines for line in each]


def _list(alert: Alert, room: int) -> list[list[str]]:
    if alert.digest:
        blocks = _products(alert.digest)
        spent = sum(len("\n".join(block).encode()) + 2 for block in blocks)
        return [*blocks, _orders(alert.digest, room - spent)]
    return (
        [_lines(alert.order, room)] if alert.order and (alert.order.line_items or alert.order.more_line_items) else []
    )


def _products(digest: Digest) -> list[list[str]]:
    """The few products that most of the orders wait for."""
    entries = [
        text.wrap(_with_shortfall(products.digested_product(each), each), width=WIDTH, first="- ", rest="  ")
        for each in products.listed(digest)
    ]
    more = wording.more(digest.more_products, "product", "products")
    return [_block("Most affected", entries, more)] if entries else []


def _with_shortfall(said: str, product: DigestedProduct) -> str:
    short = products.digested_shortfall(product)
    return f"{said}: {short}" if short else said


def _orders(digest: Digest, room: int) -> list[str]:
    entries = [
        [*text.wrap(wording.digested_order(order), width=WIDTH, first="- ", rest="  "), *_indented_link(order.url)]
        for order in digest.orders
    ]
    shown = _fitting(entries, room)
    return _block("Orders", entries[:shown], wording.more(digest.count - shown, "order", "orders"))


def _indented_link(url: str | None) -> list[str]:
    address = text.link(url)
    return [f"  {address}"] if address else []


def _lines(order: AlertOrder, room: int) -> list[str]:
    listed = order.line_items[:MAX_LINES]
    counts = [products.line_quantity(line) for line in listed]
    codes = [text.fit(products.product_code(line), _MAX_CODE) for line in listed]
    count_column = min(max(map(len, counts), default=0), 10)
    code_column = max(map(text.display_width, codes), default=0)
    entries = [
        [
            *_head(line, first=f"{count:>{count_column}} x {text.pad(code, code_column)}", order=order),
            *_described(line, indent=" " * (count_column + 3), order=order),
        ]
        for line, count, code in zip(listed, counts, codes, strict=True)
    ]
    shown = _fitting(entries, room)
    left_out = len(order.line_items) - shown + order.more_line_items
    return _block("Lines", entries[:shown], wording.more(left_out, "line", "lines"))


def _head(line: AlertLineItem, *, first: str, order: AlertOrder) -> Entry:
    price = products.unit_price(line, order.currency)
    return text.wrap(price or "no price", width=WIDTH, first=f"{first}  ", rest=" " * 4)


def _described(line: AlertLineItem, *, indent: str, order: AlertOrder) -> Entry:
    name, stock = products.described_product(line), products.stock(line, order)
    known = f"{stock.known}: {stock.short}" if stock and stock.short else stock and stock.known
    said = [each for each in (name, known) if each]
    return [part for each in said for part in text.wrap(each, width=WIDTH, first=indent, rest=indent)]


def _fitting(entries: Sequence[Entry], room: int) -> int:
    """How many of the entries fit, with the heading and the line that counts the rest."""
    used = 64
    for index, entry in enumerate(entries):
        used += sum(len(line.encode()) + 1 for line in entry)
        if used > room:
            return index
    return len(entries)


def _block(heading: str, entries: Sequence[Entry], more: list[str]) -> list[str]:
    return [heading, *(line for entry in entries for line in entry), *more]


def _link(alert: Alert) -> list[list[str]]:
    address = text.link(alert.order.url) if alert.order else None
    return [["Open the order:", address]] if address else []


def _missing(alert: Alert) -> list[list[str]]:
    gaps = wording.missing(alert)
    if not gaps:
        return []
    wrapped = [text.wrap(gap, width=WIDTH, first="- ", rest="  ") for gap in gaps[:MAX_GAPS]]
    more = wording.more(len(gaps) - MAX_GAPS, "gap", "gaps")
    return [["Not known", *(line for each in wrapped for line in each), *more]]


def _footer(alert: Alert) -> list[str]:
    identity = [wording.freshness(alert), f"{alert.kind}, {alert.severity}", f"Alert {alert.alert_id}"]
    return [line for each in identity for line in text.wrap(each, width=WIDTH)]
