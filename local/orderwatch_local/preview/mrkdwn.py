"""A parser of the parts of Slack's markup that the messages use: styles, links, dates and escapes.

A date is shown by its fallback text, which is no markup itself.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum

_MARKUP = re.compile(
    r"<(?P<url>https?://[^|>\s]+)\|(?P<link>[^>]*)>"
    r"|(?<![\w*])\*(?P<bold>[^\s*](?:[^*\n]*[^\s*])?)\*(?![\w*])"
    r"|(?<![\w_])_(?P<italic>[^\s_](?:[^_\n]*[^\s_])?)_(?![\w_])"
    r"|(?<![\w~])~(?P<strike>[^\s~](?:[^~\n]*[^\s~])?)~(?![\w~])"
    r"|(?<![\w`])`(?P<code>[^`\n]+)`(?![\w`])"
)
_NO_MARKUP = re.compile(r"<!date\^\d+\^[^|>]*\|(?P<date>[^>]*)>|\u034f(?P<guarded>(?:[^\u034f]\u034f)+)")
_INVISIBLE = re.compile("[\u00ad\u034f]")
_PRIVATE = 0xF0000
"""Characters that are no markup are moved by this number, into a private area of Unicode, while markup is parsed."""


class Style(StrEnum):
    """The style of a span."""

    PLAIN = "plain"
    BOLD = "bold"
    ITALIC = "italic"
    STRIKE = "strike"
    CODE = "code"
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


def text_spans(text: Mapping[str, str]) -> Iterator[Span]:
    """Parse a text object of Block Kit."""
    yield from spans(text["text"]) if text["type"] == "mrkdwn" else [Span(_unescaped(text["text"]))]


def spans(markup: str) -> Iterator[Span]:
    """Parse a text of Slack's markup."""
    text, end = _NO_MARKUP.sub(_moved, markup), 0
    for match in _MARKUP.finditer(text):
        if match.start() > end:
            yield Span(_unescaped(text[end : match.start()]))
        style = Style(match.lastgroup or "")
        yield Span(_unescaped(match[style]), style, _unescaped(match["url"] or ""))
        end = match.end()
    if end < len(text):
        yield Span(_unescaped(text[end:]))


def _moved(match: re.Match[str]) -> str:
    return "".join(chr(ord(each) % _PRIVATE + _PRIVATE) for each in match["date"] or match["guarded"] or "")


def _unescaped(text: str) -> str:
    moved_back = "".join(chr(ord(each) - _PRIVATE) if ord(each) >= _PRIVATE else each for each in text)
    shown = _INVISIBLE.sub("", moved_back)
    return shown.replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&")
