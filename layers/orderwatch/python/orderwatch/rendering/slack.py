"""Slack: the alert as Block Kit. Only this module knows Slack's library, so only the Slack function loads it.

The library refuses over-long headers, sections, field lists and buttons; the number of blocks, the length of a field,
that of the text and the sum of all texts it lets through, so these are held here (limits: Slack's Block Kit reference).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from slack_sdk.models.blocks import (
    ActionsBlock,
    Block,
    ButtonElement,
    ContextBlock,
    HeaderBlock,
    ImageElement,
    MarkdownTextObject,
    PlainTextObject,
    SectionBlock,
)

from orderwatch.alerts.alert import Alert
from orderwatch.alerts.kinds import KIND_CONNECTION_RECOVERED, KIND_RECOVERED, KIND_RESUBSCRIBED, Severity
from orderwatch.alerts.parts import AlertLineItem, AlertOrder, Digest, DigestedProduct
from orderwatch.alerts.summary import DailySummary, longest
from orderwatch.deadlines.calendar import is_date_only
from orderwatch.rendering import content, formatting, lists, next_steps, products
from orderwatch.rendering.amazon_q import escape

MAX_BLOCKS = 50
MAX_HEADER = 150
MAX_FIELDS = 10
MAX_FIELD = 2000
MAX_SECTION = 3000
MAX_TEXT = 3000
"""Slack takes 40,000 characters; what is shown in a notification is far shorter."""
MAX_ALT_TEXT = 200
MAX_CHARACTERS = 9_000
"""Of all blocks together. Slack refuses long messages as `msg_blocks_too_long` at a sum that it does not document:
9,597 were taken and 11,341 were not (slackapi/bolt-js, issue 2867)."""
MAX_LINES = 20

_MAX_SUMMARY = 500
_MAX_FACT = 300
_MAX_ENTRY = 500
_MAX_NAME = 200
_MAX_GAPS = 1_000
_MAX_SHOPS = 40
"""Sections for shops: beside the other blocks they stay within `MAX_BLOCKS`."""
_ROOM_FOR_MORE = 40
_RECOVERED = {KIND_RECOVERED, KIND_CONNECTION_RECOVERED, KIND_RESUBSCRIBED}
_MARKS = {Severity.CRITICAL: "\U0001f534", Severity.WARNING: "\U0001f7e0", Severity.INFO: "\U0001f535"}
"""Red, orange and blue: a mark in the header is what Block Kit keeps; the colour bar of an attachment is legacy, which
Slack may show less of (Slack's reference, "Secondary message attachments")."""
_MARK_OF_RECOVERY = "\U0001f7e2"
_DATE = "{date_short_pretty}, {time}"
"""How Slack shows a date, in each reader's own time zone."""
_LAST_SECOND = 2**31


@dataclass(frozen=True, slots=True)
class SlackMessage:
    """What the webhook is sent.

    Attributes:
        text: What notifications and clients without blocks show, at most `MAX_TEXT` characters.
        blocks: Block Kit, at most `MAX_BLOCKS`; empty in the plain message.
    """

    text: str
    blocks: list[dict[str, Any]]


def blocks(alert: Alert, *, with_image: bool = True) -> SlackMessage:
    """The alert as Slack shows it.

    Args:
        alert: Any alert.
        with_image: Whether to show the first product's picture: Slack refuses a whole message whose picture it
            cannot fetch, so one that was refused can be sent without.

    Raises:
        SlackObjectFormationError: If a limit is broken that the library checks; the plain message still goes.
    """
    head = [_header(alert), *_detail(alert), _decision(alert), *_button(alert), _fields(alert)]
    foot = [_context(alert)]
    room = MAX_CHARACTERS - _characters([*head, *foot])
    made = [*head, *_list(alert, room, with_image=with_image), *foot]
    return SlackMessage(text=_summary(alert), blocks=[block.to_dict() for block in made])


def _characters(made: Sequence[Block]) -> int:
    """The length of every text in these blocks."""
    return sum(map(_length, (block.to_dict() for block in made)))


def _length(part: Any) -> int:
    if isinstance(part, dict):
        own = len(part["text"]) if isinstance(part.get("text"), str) else 0
        return own + sum(_length(each) for each in part.values())
    return sum(map(_length, part)) if isinstance(part, list) else 0


def plain(alert: Alert) -> SlackMessage:
    """The alert as mere text, for when its blocks cannot be made or are refused."""
    link = _link(content.url(alert), "Open the order")
    return SlackMessage(text=f"{_summary(alert)}\n{link}".rstrip(), blocks=[])


def _summary(alert: Alert) -> str:
    return escape(content.summary(alert), limit=_MAX_SUMMARY)


def _header(alert: Alert) -> Block:
    mark = _MARK_OF_RECOVERY if content.main_kind(alert) in _RECOVERED else _MARKS[alert.severity]
    said = escape(content.urgent_headline(alert), limit=MAX_HEADER - len(mark) - 1)
    return HeaderBlock(text=PlainTextObject(text=f"{mark} {said}", emoji=False))


def _decision(alert: Alert) -> Block:
    """Why, by when, how much, as far as the header does not say so already; and what to do."""
    said = content.decision(alert)
    has_ship_by = said.why in {content.headline(alert), content.headline(alert, with_shop=True)}
    parts = [] if has_ship_by else [f"*{escape(formatting.sentence(said.why), limit=_MAX_FACT)}*"]
    parts += [escape(formatting.sentence(said.merged), limit=_MAX_FACT)] if said.merged and not alert.digest else []
    parts += [f"Ship by {_due(said.due)}."] if said.due else []
    parts += [escape(formatting.sentence(said.worth), limit=_MAX_FACT)] if said.worth else []
    step = f"*Do:* {escape(formatting.lower_first(next_steps.next_step(alert)), limit=_MAX_ENTRY)}"
    return _section("\n".join([*([" ".join(parts)] if parts else []), step]))


def _due(due: formatting.Due) -> str:
    shown = due.shown if is_date_only(due.ship_by) else _date(due.ship_by, due.shown)
    return f"{shown} ({due.relative})"


def _date(at: datetime, shown: str) -> str:
    """The moment as Slack shows it to each reader in his own time zone; `shown` where it cannot."""
    aware = at if at.tzinfo else at.replace(tzinfo=UTC)
    seconds = int(aware.timestamp())
    return f"<!date^{seconds}^{_DATE}|{shown}>" if 0 < seconds < _LAST_SECOND else shown


def _detail(alert: Alert) -> list[Block]:
    detail = content.detail(alert)
    return [_section(escape(detail, limit=MAX_SECTION))] if detail else []


def _fields(alert: Alert) -> Block:
    reasons = lists.digest_reasons(alert)
    first = [_mrkdwn(f"*Reasons*\n{escape(reasons, limit=MAX_FIELD - 20)}")] if reasons else []
    fields = [_mrkdwn(f"*{fact.label}*\n{_value(fact)}") for fact in content.facts_of(alert)]
    return SectionBlock(fields=[*first, *fields][:MAX_FIELDS])


def _value(fact: content.Fact) -> str:
    value = escape(fact.value, limit=_MAX_FACT)
    return _date(fact.at, value) if fact.at else value


def _list(alert: Alert, room: int, *, with_image: bool) -> list[Block]:
    if alert.daily:
        return _fitting_shops(alert, alert.daily, room)
    if alert.order is None:
        listed = _products(alert.digest) if alert.digest else []
        return [*listed, *_orders(alert, room - _characters(listed))]
    lines, with_stock = alert.order.line_items, products.shows_stock(alert)
    entries = [_line(line, alert.order, with_stock=with_stock) for line in lines[:MAX_LINES]]
    total = len(lines) + alert.order.more_line_items
    return _sections(entries, total, ("line", "lines"), room=room, image=_image(lines) if with_image else None)


def _fitting_shops(alert: Alert, daily: DailySummary, room: int) -> list[Block]:
    """As many shops as there is room for, the worst first, with their orders as far as those fit."""

    def fits(shown: DailySummary) -> bool:
        made = _shops(alert, shown)
        return (
            len(made) <= _MAX_SHOPS and all(len(each) <= MAX_SECTION for each in made) and sum(map(len, made)) <= room
        )

    return [_section(said) for said in _shops(alert, longest(daily, fits))]


def _shops(alert: Alert, daily: DailySummary) -> list[str]:
    closing = [escape(each, limit=_MAX_FACT) for each in lists.closing(daily)]
    return [*map(_shop, lists.blocks(alert, daily)), *(["\n".join(closing)] if closing else [])]


def _shop(block: lists.ShopBlock) -> str:
    head = f"*{escape(block.name, limit=_MAX_NAME)}*: {escape(block.state, limit=_MAX_FACT)}"
    facts = [escape(each, limit=_MAX_ENTRY) for each in block.facts]
    products_ = [f"• {escape(each, limit=_MAX_FACT)}" for each in block.products]
    held = ["*Held up by*", *products_, *block.more_products] if block.products else []
    return "\n".join([head, *facts, *map(_listed, block.orders), *block.more_orders, *held])


def _products(digest: Digest) -> list[Block]:
    entries = [_digested_product(each) for each in products.listed(digest)]
    more = formatting.more(digest.more_products, "product", "products")
    return [_section("\n".join(["*Most affected*", *entries, *more]))] if entries else []


def _digested_product(product: DigestedProduct) -> str:
    short = products.digested_shortfall(product)
    said = escape(products.digested_product(product), limit=_MAX_ENTRY)
    return f"• {said}{f': *{short}*' if short else ''}"


def _orders(alert: Alert, room: int) -> list[Block]:
    """The orders with their links; without, where that lets more of them be named."""
    orders = lists.entries(alert)
    linked = [_listed(order) for order in orders]
    fits = sum(len(entry) + 1 for entry in linked) <= room
    entries = linked if fits else [_listed(order, with_link=False) for order in orders]
    return _sections(entries, lists.total(alert), ("order", "orders"), room=room)


def _listed(order: lists.Entry, *, with_link: bool = True) -> str:
    heading = f"*{escape(order.heading, limit=_MAX_FACT)}*\n" if order.heading else ""
    link = _link(order.url, "open") if with_link else ""
    return f"{heading}• {escape(order.line, limit=_MAX_ENTRY)}{f' ({link})' if link else ''}"


def _line(line: AlertLineItem, order: AlertOrder, *, with_stock: bool) -> str:
    name, stock = products.described_product(line), products.stock(line, order) if with_stock else None
    price = products.unit_price(line, order.currency)
    code = escape(products.product_code(line), limit=_MAX_NAME)
    said = f"• {products.line_quantity(line)} x {code}{f', {price}' if price else ''}"
    if name:
        said += f"\n   {escape(name, limit=_MAX_NAME)}"
    if stock:
        said += f"\n   {escape(stock.known, limit=_MAX_ENTRY)}{f': *{stock.short}*' if stock.short else ''}"
    return said


def _sections(
    entries: Sequence[str], total: int, nouns: tuple[str, str], *, room: int, image: ImageElement | None = None
) -> list[Block]:
    """The list in as many sections as it takes, cut between entries; the first one beside the picture."""
    packed, shown = _packed(entries, room - _ROOM_FOR_MORE)
    texts = ["\n".join(each) for each in packed] + formatting.more(total - shown, *nouns)
    return [_section(said, accessory=image if index == 0 else None) for index, said in enumerate(texts)]


def _packed(entries: Sequence[str], room: int) -> tuple[list[list[str]], int]:
    """Entries by section, as many as there is room for in all, and how many these are."""
    packs: list[list[str]] = []
    left, left_in_section = room, 0
    for index, entry in enumerate(entries):
        size = len(entry) + 1
        if size > left:
            return packs, index
        if size > left_in_section:
            packs.append([])
            left_in_section = MAX_SECTION
        packs[-1].append(entry)
        left, left_in_section = left - size, left_in_section - size
    return packs, len(entries)


def _image(lines: Sequence[AlertLineItem]) -> ImageElement | None:
    address = formatting.link(lines[0].image_url) if lines else None
    if address is None:
        return None
    name = products.product_name(lines[0]) or products.product_code(lines[0])
    return ImageElement(image_url=address, alt_text=formatting.clip(name, MAX_ALT_TEXT))


def _button(alert: Alert) -> list[Block]:
    address = formatting.link(content.url(alert))
    if address is None:
        return []
    label = PlainTextObject(text="Open the order", emoji=False)
    return [ActionsBlock(elements=[ButtonElement(text=label, url=address, action_id="open-order")])]


def _context(alert: Alert) -> Block:
    gaps = [f"Not known: {'; '.join(content.missing(alert))}"] if alert.enrichment.missing else []
    said = [*gaps, content.freshness(alert), f"{alert.severity}, alert {alert.alert_id}"]
    return ContextBlock(elements=[_mrkdwn(escape(each, limit=_MAX_GAPS)) for each in said])


def _section(said: str, *, accessory: ImageElement | None = None) -> Block:
    return SectionBlock(text=_mrkdwn(said), accessory=accessory)


def _mrkdwn(said: str) -> MarkdownTextObject:
    # verbatim: product names are no channel names, mentions or addresses.
    return MarkdownTextObject(text=said, verbatim=True)


def _link(url: str | None, label: str) -> str:
    """The address as Slack writes links; nothing where there is none or where its escapes make it too long."""
    address = (formatting.link(url) or "").replace("&", "&amp;").replace("|", "%7C")
    return f"<{address}|{label}>" if 0 < len(address) <= formatting.MAX_LINK else ""
