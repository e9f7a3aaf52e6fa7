"""Slack: the alert as Block Kit. Only this module imports Slack's library, so only the Slack function loads it.

The library checks the length of headers, sections, field lists and buttons. This module checks the number of blocks and
the length of a field, of the text and of all texts together (limits: Slack's Block Kit reference).
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
from orderwatch.alerts.parts import AlertLineItem, Digest
from orderwatch.alerts.summary import DailySummary
from orderwatch.rendering import content, formatting, lists, next_steps, shipping, summaries
from orderwatch.rendering.amazon_q import link
from orderwatch.rendering.markup import for_plain_text
from orderwatch.rendering.markup import for_slack as escape

MAX_BLOCKS = 50
MAX_HEADER = 150
MAX_FIELDS = 10
MAX_FIELD = 2000
MAX_SECTION = 3000
MAX_TEXT = 3000
"""Slack accepts 40,000 characters; a notification shows far fewer."""
MAX_ALT_TEXT = 200
MAX_CHARACTERS = 9_000
"""Maximum characters of all blocks together. Slack refuses longer messages as `msg_blocks_too_long`, at an
undocumented limit: it accepted 9,597 and refused 11,341 (slackapi/bolt-js, issue 2867)."""
MAX_LINES = 20

_MAX_TITLE = 500
_MAX_FACT = 400
_MAX_ENTRY = 500
_MAX_NAME = 200
_MAX_CONTEXT = 1_000
_MAX_SHOPS = 40
"""Maximum number of sections for shops, within `MAX_BLOCKS` together with the other blocks."""
_ROOM_FOR_MORE = 40
_ROOM_FOR_PARCELS = 80
"""For the heading of the parcels, and the number of those left out."""
_RECOVERED = {KIND_RECOVERED, KIND_CONNECTION_RECOVERED, KIND_RESUBSCRIBED}
_MARKS = {Severity.CRITICAL: "\U0001f534", Severity.WARNING: "\U0001f7e0", Severity.INFO: "\U0001f535"}
"""Red, orange and blue circles in the header: the colour bar of an attachment is legacy (Slack's reference,
"Secondary message attachments")."""
_RECOVERED_MARK = "\U0001f7e2"
_DATE = "{date_short_pretty}, {time}"
"""The format in which Slack shows a date, in each reader's own time zone."""
_LAST_SECOND = 2**31


@dataclass(frozen=True, slots=True)
class SlackMessage:
    """The message for the webhook.

    Attributes:
        text: The text for notifications and for clients without blocks, at most `MAX_TEXT` characters.
        blocks: At most `MAX_BLOCKS` blocks; empty in the plain message.
    """

    text: str
    blocks: list[dict[str, Any]]


def blocks(alert: Alert, *, with_image: bool = True, action_url: str | None = None) -> SlackMessage:
    """The alert as Slack shows it.

    Args:
        alert: Any alert.
        with_image: Whether to show the first product's picture. Slack refuses a whole message if it cannot fetch the
            picture; the message can then be sent without it.
        action_url: The link that takes or snoozes the order, if any.

    Raises:
        SlackObjectFormationError: A limit that the library checks is exceeded; send the plain message instead.
    """
    detail = content.detail(alert)
    details = [SectionBlock(text=_plain_text(detail, limit=MAX_SECTION))] if detail else []
    head = [_header(alert), *details, _decision(alert), *_parcels(alert), *_buttons(alert, action_url), _fields(alert)]
    foot = [_context(alert)]
    room = MAX_CHARACTERS - _characters([*head, *foot])
    made = [*head, *_list(alert, room, with_image=with_image), *foot]
    return SlackMessage(text=_title(alert), blocks=[block.to_dict() for block in made])


def _characters(made: Sequence[Block]) -> int:
    """The length of every text in these blocks."""
    return sum(map(_length, (block.to_dict() for block in made)))


def _length(part: Any) -> int:
    if isinstance(part, dict):
        own = len(part["text"]) if isinstance(part.get("text"), str) else 0
        return own + sum(_length(each) for each in part.values())
    return sum(map(_length, part)) if isinstance(part, list) else 0


def plain(alert: Alert) -> SlackMessage:
    """The alert as plain text, for when its blocks cannot be made or are refused."""
    address = link(content.url(alert), "Open the order", limit=formatting.MAX_LINK)
    return SlackMessage(text=f"{_title(alert)}\n{address}".rstrip(), blocks=[])


def _title(alert: Alert) -> str:
    return escape(content.title(alert), limit=_MAX_TITLE)


def _header(alert: Alert) -> Block:
    mark = _RECOVERED_MARK if content.main_kind(alert) in _RECOVERED else _MARKS[alert.severity]
    return HeaderBlock(text=_plain_text(f"{mark} {content.urgent_headline(alert)}", limit=MAX_HEADER))


def _decision(alert: Alert) -> Block:
    """Reason, ship-by and value, as far as the header does not show them; and the next step."""
    decision = content.decision(alert)
    is_in_header = decision.reason in {content.headline(alert), content.headline(alert, with_shop=True)}
    parts = [] if is_in_header else [f"*{_sentence(decision.reason)}*"]
    has_more = decision.explanation and decision.explanation != content.warning(alert)  # which is in the header
    parts += [_sentence(decision.explanation)] if decision.explanation and has_more else []
    if decision.due:
        date = decision.due.date
        shown = date if decision.due.is_day else _date(decision.due.ship_by, date)
        parts.append(f"Ship by {shown} ({decision.due.relative}).")
    parts += [_sentence(decision.value)] if decision.value else []
    progress = shipping.progress(alert)
    lines = [" ".join(parts), _step(next_steps.next_step(alert)), escape(progress or "", limit=_MAX_ENTRY)]
    return _section("\n".join(filter(None, lines)))


def _parcels(alert: Alert) -> list[Block]:
    packs, shown = _packed([_parcel(each) for each in shipping.parcels(alert)], MAX_SECTION - _ROOM_FOR_PARCELS)
    lines = [line for pack in packs for line in pack]
    more = shipping.more_parcels(alert, shown)
    return [_section("\n".join(["*Parcels that have left*", *lines, *more]))] if lines else []


def _parcel(parcel: shipping.Parcel) -> str:
    address = link(parcel.url, "track it", limit=_MAX_ENTRY)
    return f"• {escape(parcel.text, limit=_MAX_FACT)}{f', {address}' if address else ''}"


def _step(step: str) -> str:
    if not next_steps.is_action(step):
        return escape(step, limit=_MAX_ENTRY)
    return f"*Do:* {escape(formatting.lower_first(step), limit=_MAX_ENTRY)}"


def _sentence(text: str) -> str:
    return escape(formatting.sentence(text), limit=_MAX_FACT)


def _date(at: datetime, shown: str) -> str:
    """The moment in each reader's own time zone; `shown` where Slack cannot do that."""
    aware = at if at.tzinfo else at.replace(tzinfo=UTC)
    seconds = int(aware.timestamp())
    return f"<!date^{seconds}^{_DATE}|{shown}>" if 0 < seconds < _LAST_SECOND else shown


def _fields(alert: Alert) -> Block:
    reasons = lists.digest_reasons(alert)
    first = [_mrkdwn(f"*Reasons*\n{escape(reasons, limit=MAX_FIELD - 20)}")] if reasons else []
    values = [(fact, escape(fact.value, limit=_MAX_FACT)) for fact in content.facts_of(alert)]
    fields = [_mrkdwn(f"*{fact.label}*\n{_date(fact.at, value) if fact.at else value}") for fact, value in values]
    return SectionBlock(fields=[*first, *fields][:MAX_FIELDS])


def _list(alert: Alert, room: int, *, with_image: bool) -> list[Block]:
    if alert.summary:
        return _shops(alert, alert.summary, room)
    if alert.order is None:
        products = _products(alert.digest) if alert.digest else []
        return [*products, *_orders(alert, room - _characters(products))]
    lines = lists.sorted_lines(alert.order)
    entries = [_order_line(item) for item in lists.items(alert, MAX_LINES)]
    total = len(lines) + alert.order.more_line_items
    return _sections(entries, total, ("item", "items"), room=room, image=_image(lines) if with_image else None)


def _shops(alert: Alert, summary: DailySummary, room: int) -> list[Block]:
    """As many shops as fit, the worst first, with as many of their orders as fit."""

    def fits(shown: DailySummary) -> bool:
        texts = _shop_texts(alert, shown)
        is_short = all(len(each) <= MAX_SECTION for each in texts) and sum(map(len, texts)) <= room
        return is_short and len(texts) <= _MAX_SHOPS

    return [_section(each) for each in _shop_texts(alert, summary.longest(fits))]


def _shop_texts(alert: Alert, summary: DailySummary) -> list[str]:
    closing = [escape(each, limit=_MAX_FACT) for each in summaries.closing(summary)]
    return [*map(_shop, summaries.blocks(alert, summary)), *(["\n".join(closing)] if closing else [])]


def _shop(shop: summaries.ShopBlock) -> str:
    head = f"*{escape(shop.name, limit=_MAX_NAME)}*: {escape(shop.state, limit=_MAX_FACT)}"
    facts = [escape(each, limit=_MAX_ENTRY) for each in shop.facts]
    products = [f"• {escape(each, limit=_MAX_FACT)}" for each in shop.products]
    held_up = ["*Products blocking orders*", *products, *shop.more_products] if products else []
    return "\n".join([head, *facts, *map(_listed, shop.orders), *shop.more_orders, *held_up])


def _products(digest: Digest) -> list[Block]:
    entries = []
    for each in map(lists.digest_product, lists.digest_products(digest)):
        short = f"*{each.short}*, " if each.short else ""
        entries.append(f"• {escape(each.what, limit=_MAX_ENTRY)}: {short}{escape(each.stock or '', limit=_MAX_FACT)}")
    more = formatting.more(digest.more_products, "product", "products")
    heading = f"*{lists.products_heading(digest)}*"
    return [_section("\n".join([heading, *entries, *more]))] if entries else []


def _orders(alert: Alert, room: int) -> list[Block]:
    """The orders with their links; without links if they would not all fit otherwise."""
    orders = lists.entries(alert)
    linked = [_listed(order) for order in orders]
    fits = sum(len(entry) + 1 for entry in linked) <= room
    entries = linked if fits else [_listed(order, with_link=False) for order in orders]
    return _sections(entries, lists.total(alert), ("order", "orders"), room=room)


def _listed(order: lists.Entry, *, with_link: bool = True) -> str:
    heading = f"*{escape(order.heading, limit=_MAX_FACT)}*\n" if order.heading else ""
    number, notes = escape(order.number, limit=_MAX_NAME), escape(order.details, limit=_MAX_ENTRY)
    # An escaped number can contain a token, which no link can contain.
    address = link(order.url, number, limit=formatting.MAX_LINK) if with_link and "<" not in number else ""
    return f"{heading}• {address or number}{f': {notes}' if notes else ''}"


def _order_line(item: lists.Item) -> str:
    text = f"• {escape(item.what, limit=_MAX_ENTRY)}"
    if item.notes:
        text += f" – {escape(item.notes, limit=_MAX_ENTRY)}{f', *{item.short}*' if item.short else ''}"
    return text


def _sections(
    entries: Sequence[str], total: int, nouns: tuple[str, str], *, room: int, image: ImageElement | None = None
) -> list[Block]:
    """The list in as many sections as it needs, cut between entries; the picture is beside the first one."""
    packed, shown = _packed(entries, room - _ROOM_FOR_MORE)
    texts = ["\n".join(each) for each in packed] + formatting.more(total - shown, *nouns)
    return [_section(text, accessory=image if index == 0 else None) for index, text in enumerate(texts)]


def _packed(entries: Sequence[str], room: int) -> tuple[list[list[str]], int]:
    """The entries that fit, by section, and their number."""
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
    name = lists.product_name(lines[0]) or lists.product_code(lines[0])
    return ImageElement(image_url=address, alt_text=formatting.clip(name, MAX_ALT_TEXT))


def _buttons(alert: Alert, action_url: str | None) -> list[Block]:
    links = (("Open the order", "open-order", content.url(alert)), ("Take or snooze", "take-or-snooze", action_url))
    buttons = [
        ButtonElement(text=PlainTextObject(text=label, emoji=False), url=address, action_id=action_id)
        for label, action_id, url in links
        if (address := formatting.link(url))
    ]
    return [ActionsBlock(elements=buttons)] if buttons else []


def _context(alert: Alert) -> Block:
    missing = [f"Not known: {'; '.join(content.missing(alert))}"] if alert.enrichment.missing else []
    texts = [*missing, content.freshness(alert), f"{alert.severity}, alert {alert.alert_id}"]
    return ContextBlock(elements=[_plain_text(each, limit=_MAX_CONTEXT) for each in texts])


def _section(text: str, *, accessory: ImageElement | None = None) -> Block:
    return SectionBlock(text=_mrkdwn(text), accessory=accessory)


def _plain_text(text: str, *, limit: int) -> PlainTextObject:
    return PlainTextObject(text=formatting.keep_together(for_plain_text(text, limit=limit)), emoji=False)


def _mrkdwn(text: str) -> MarkdownTextObject:
    # verbatim: product names are no channel names, mentions or URLs.
    return MarkdownTextObject(text=formatting.keep_together(text), verbatim=True)
