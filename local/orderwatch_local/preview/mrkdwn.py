"""A parser of the parts of Slack's markup that the messages use: bold, italic, links, dates and escapes.

A date is shown by its fallback text.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum

_MARKUP = re.compile(
    r"<(?P<url>https?://[^|>\s]+)\|(?P<label>[^>]*)>"
    r"|<!date\^\d+\^[^|>]*\|(?P<date>[^>]*)>"
    r"|(?<![\w*])\*(?P<bold>[^\s*](?:[^*\n]*[^\s*])?)\*(?![\w*])"
    r"|(?<![\w_])_(?P<italic>[^\s_](?:[^_\n]*[^\s_])?)_(?![\w_])"
)


class Style(StrEnum):
    """The style of a span."""

    PLAIN = "plain"
    BOLD = "bold"
    ITALIC = "italic"
    LINK = "link"


@dataclass(frozen=True, slots=True)
class Span:
    """A text of one style, without Slack's escapes.

    Attributes:
        text: The visible text.
        style: Its style.
        url: The target of a link.
    """

    text: str
    style: Style = Style.PLAIN
    url: str = ""


def spans(markup: str) -> Iterator[Span]:
    """Parse a text of Slack's markup."""
    end = 0
    for match in _MARKUP.finditer(markup):
        if match.start() > end:
            yield Span(_unescaped(markup[end : match.start()]))
        yield _span(match)
        end = match.end()
    if end < len(markup):
        yield Span(_unescaped(markup[end:]))


def _span(match: re.Match[str]) -> Span:
    if match["url"]:
        return Span(_unescaped(match["label"]), Style.LINK, _unescaped(match["url"]))
    if match["date"]:
        return Span(_unescaped(match["date"]))
    if match["bold"]:
        return Span(_unescaped(match["bold"]), Style.BOLD)
    return Span(_unescaped(match["italic"]), Style.ITALIC)


def _unescaped(text: str) -> str:
    return text.replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&")
