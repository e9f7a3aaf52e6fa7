"""A parser of the parts of Slack's markup that the messages use: styles, links, dates and escapes.

As in Slack, a date replaces its whole token; only a token without a date shows its fallback text.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, tzinfo
from enum import StrEnum
from functools import partial

_MARKUP = re.compile(
    r"<(?P<url>https?://[^|>\s]+)\|(?P<link>[^>]*)>"
    r"|(?<![\w*])\*(?P<bold>[^\s*](?:[^*\n]*[^\s*])?)\*(?![\w*])"
    r"|(?<![\w_])_(?P<italic>[^\s_](?:[^_\n]*[^\s_])?)_(?![\w_])"
    r"|(?<![\w~])~(?P<strike>[^\s~](?:[^~\n]*[^\s~])?)~(?![\w~])"
    r"|(?<![\w`])`(?P<code>[^`\n]+)`(?![\w`])"
)
_DATE_FORMAT = "{date_short_pretty}, {time}"
_NO_MARKUP = re.compile(
    r"<!date\^(?P<at>\d+)\^(?P<format>[^|>]*)\|(?P<fallback>[^>]*)>|\u034f(?P<guarded>(?:[^\u034f]\u034f)+)"
)
_INVISIBLE = re.compile("[\u00ad\u034f]")
_ORDINALS = {1: "1st", 2: "2nd", 3: "3rd", 21: "21st", 22: "22nd", 23: "23rd", 31: "31st"}
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


def text_spans(text: Mapping[str, str], zone: tzinfo = UTC) -> Iterator[Span]:
    """Parse a text object of Block Kit, for a reader in this time zone."""
    yield from spans(text["text"], zone) if text["type"] == "mrkdwn" else [Span(_unescaped(text["text"]))]


def spans(markup: str, zone: tzinfo = UTC) -> Iterator[Span]:
    """Parse a text of Slack's markup, for a reader in this time zone."""
    text, end = _NO_MARKUP.sub(partial(_moved, zone), markup), 0
    for match in _MARKUP.finditer(text):
        if match.start() > end:
            yield Span(_unescaped(text[end : match.start()]))
        style = Style(match.lastgroup or "")
        yield Span(_unescaped(match[style]), style, _unescaped(match["url"] or ""))
        end = match.end()
    if end < len(text):
        yield Span(_unescaped(text[end:]))


def _moved(zone: tzinfo, match: re.Match[str]) -> str:
    shown = match["fallback"] or match["guarded"] or ""
    if match["format"] == _DATE_FORMAT:
        shown = _date(datetime.fromtimestamp(int(match["at"]), zone))
    return "".join(chr(ord(each) % _PRIVATE + _PRIVATE) for each in shown)


def _date(at: datetime) -> str:
    """A date of this year as Slack shows it in English: `Feb 28th, 1:32 PM`."""
    day = _ORDINALS.get(at.day, f"{at.day}th")
    return f"{at:%b} {day}, {at.hour % 12 or 12}:{at:%M %p}"


def _unescaped(text: str) -> str:
    moved_back = "".join(chr(ord(each) - _PRIVATE) if ord(each) >= _PRIVATE else each for each in text)
    shown = _INVISIBLE.sub("", moved_back)
    return shown.replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&")
