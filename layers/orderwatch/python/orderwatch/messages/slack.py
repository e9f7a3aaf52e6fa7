"""Slack: the alert as Block Kit. Only this module knows Slack's library, so only the Slack function loads it.

The library refuses over-long headers, sections, field lists and buttons; the number of blocks, the length of a field
and that of the text it lets through, so these are held here (limits: Slack's Block Kit reference).
"""

from collections.abc import Sequence
from dataclasses import dataclass
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

from orderwatch.alerts import Alert, AlertLineItem, DigestedOrder
from orderwatch.messages import text, wording
from orderwatch.messages.chat import escape

MAX_BLOCKS = 50
MAX_HEADER = 150
MAX_FIELDS = 10
MAX_FIELD = 2000
MAX_SECTION = 3000
MAX_TEXT = 3000
"""Slack takes 40,000 characters; what is shown in a notification is far shorter."""
MAX_ALT_TEXT = 200
MAX_LINES = 20

_MAX_SUMMARY = 500
_MAX_FACT = 500
_MAX_NAME = 200
_MAX_SECTIONS = 40


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
    parts = [_header(alert), *_detail(alert), _fields(alert), *_list(alert, with_image=with_image), *_button(alert)]
    made = [*parts, _context(alert)][:MAX_BLOCKS]
    return SlackMessage(text=_summary(alert), blocks=[block.to_dict() for block in made])


def plain(alert: Alert) -> SlackMessage:
    """The alert as mere text, for when its blocks cannot be made or are refused."""
    link = _link(alert.order.url, "Open the order") if alert.order else ""
    return SlackMessage(text=f"{_summary(alert)}\n{link}".rstrip(), blocks=[])


def _summary(alert: Alert) -> str:
    worth = wording.value(alert)
    why = wording.reason(alert.order) if alert.order else wording.detail(alert)
    said = wording.headline(alert, with_shop=True) + (f", {worth}" if worth else "") + (f": {why}" if why else "")
    return escape(said, limit=_MAX_SUMMARY)


def _header(alert: Alert) -> Block:
    said = escape(wording.headline(alert, with_shop=True), limit=MAX_HEADER)
    return HeaderBlock(text=PlainTextObject(text=said, emoji=False))


def _detail(alert: Alert) -> list[Block]:
    detail = wording.detail(alert)
    return [_section(escape(detail, limit=MAX_SECTION))] if detail else []


def _fields(alert: Alert) -> Block:
    fields = [
        _mrkdwn(f"*{fact.label}*\n{escape(fact.value, limit=_MAX_FACT)}") for fact in wording.facts(alert)[:MAX_FIELDS]
    ]
    return SectionBlock(fields=fields)


def _list(alert: Alert, *, with_image: bool) -> list[Block]:
    if alert.digest:
        entries, total = [_digested(order) for order in alert.digest.orders], alert.digest.count
        return _sections(entries, total, ("order", "orders"))
    if alert.order is None:
        return []
    lines = alert.order.line_items
    entries = [_line(line, alert.order.currency) for line in lines[:MAX_LINES]]
    total = len(lines) + alert.order.more_line_items
    return _sections(entries, total, ("line", "lines"), image=_image(lines) if with_image else None)


def _digested(order: DigestedOrder) -> str:
    said = escape(wording.digested_order(order), limit=_MAX_FACT)
    link = _link(order.url, "open")
    return f"• {said}{f' ({link})' if link else ''}"


def _line(line: AlertLineItem, currency: str | None) -> str:
    name, price, stock = wording.product_name(line), wording.unit_price(line, currency), wording.stock(line)
    code = escape(wording.product_code(line), limit=_MAX_NAME)
    said = f"• {wording.line_quantity(line)} x {code}{f', {price}' if price else ''}"
    if name:
        said += f"\n   {escape(name, limit=_MAX_NAME)}"
    if stock:
        said += f"\n   {escape(stock.known, limit=_MAX_FACT)}{f': *{stock.short}*' if stock.short else ''}"
    return said


def _sections(
    entries: Sequence[str], total: int, nouns: tuple[str, str], *, image: ImageElement | None = None
) -> list[Block]:
    """The list in as many sections as it takes, cut between entries; the first one beside the picture."""
    packed, shown = _packed(entries)
    texts = ["\n".join(each) for each in packed] + wording.more(total - shown, *nouns)
    return [_section(said, accessory=image if index == 0 else None) for index, said in enumerate(texts)]


def _packed(entries: Sequence[str]) -> tuple[list[list[str]], int]:
    packs: list[list[str]] = []
    room = 0
    for index, entry in enumerate(entries):
        if len(entry) + 1 > room:
            if len(packs) == _MAX_SECTIONS:
                return packs, index
            packs.append([])
            room = MAX_SECTION
        packs[-1].append(entry)
        room -= len(entry) + 1
    return packs, len(entries)


def _image(lines: Sequence[AlertLineItem]) -> ImageElement | None:
    address = text.link(lines[0].image_url) if lines else None
    if address is None:
        return None
    name = wording.product_name(lines[0]) or wording.product_code(lines[0])
    return ImageElement(image_url=address, alt_text=text.clip(name, MAX_ALT_TEXT))


def _button(alert: Alert) -> list[Block]:
    address = text.link(alert.order.url) if alert.order else None
    if address is None:
        return []
    label = PlainTextObject(text="Open the order", emoji=False)
    return [ActionsBlock(elements=[ButtonElement(text=label, url=address, action_id="open-order")])]


def _context(alert: Alert) -> Block:
    gaps = [f"Not known: {'; '.join(wording.missing(alert))}"] if alert.enrichment.missing else []
    said = [*gaps, wording.freshness(alert), f"{alert.severity}, alert {alert.alert_id}"]
    return ContextBlock(elements=[_mrkdwn(escape(each, limit=MAX_FIELD)) for each in said])


def _section(said: str, *, accessory: ImageElement | None = None) -> Block:
    return SectionBlock(text=_mrkdwn(said), accessory=accessory)


def _mrkdwn(said: str) -> MarkdownTextObject:
    # verbatim: product names are no channel names, mentions or addresses.
    return MarkdownTextObject(text=said, verbatim=True)


def _link(url: str | None, label: str) -> str:
    """The address as Slack writes links; nothing where there is none or where its escapes make it too long."""
    address = (text.link(url) or "").replace("&", "&amp;").replace("|", "%7C")
    return f"<{address}|{label}>" if 0 < len(address) <= text.MAX_LINK else ""
