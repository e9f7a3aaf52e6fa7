"""Escapes for chats: a shop's words neither mention, link nor format there, and readers see them as they are."""

import re
from collections.abc import Callable
from itertools import accumulate

_GUARD = "\u034f"
"""The combining grapheme joiner is invisible, and a character between two of them is no markup."""
_START = "\u00ad"
"""The soft hyphen is invisible, and a line that starts with it is no quote or list."""
_ENTITIES = {"&": "&amp;", "<": "&lt;", ">": "&gt;"}
_MARKUP = (
    r"(?:[*~`\uff0a\uff5e\uff40]"  # bold, struck through, code; Slack also takes the full-width forms
    r"|(?<![A-Za-z0-9])[_\uff3f]|[_\uff3f](?![A-Za-z0-9])){1,20}"  # italic; inside a word it is only a character
    r"|:(?=[^\s:]+:|//)"  # emoji, URLs
    r"|\](?=\()"  # Markdown's links
)
_ARN = r"arn:aws[a-z-]*:[a-z]+:[a-z0-9-]*:\d{12}:[A-Za-z0-9_-]*[A-Za-z0-9]"  # in our own commands, which people copy
_PIECE = re.compile(rf"{_ARN}|(?P<markup>{_MARKUP})|.", re.DOTALL)
_BLOCK = re.compile(r"\s*(?:[>\uff1e].|[-+*#]+(?:\s|$)|\d{1,9}[.)](?:\s|$))")


def for_plain_text(plain: str, *, limit: int) -> str:
    """Escape a text for a place without markup, in at most `limit` characters."""
    return _joined([_ENTITIES.get(character, character) for character in plain], limit)


def for_slack(plain: str, *, limit: int) -> str:
    """Escape a text for Slack's markup, in at most `limit` characters.

    Slack has no escape for its formatting characters. The fallback text of a date that it cannot show stays as it is
    (yhatt/jsx-slack, issue 124); a quote at the start of a line needs an invisible character before it.
    """
    return _escaped(plain, lambda markup: f"<!date^0^{{_}}|{markup}>", limit)


def for_amazon_q(plain: str, *, limit: int) -> str:
    """Escape a text for Amazon Q, which passes Slack's markup on, in at most `limit` characters.

    An invisible character is used, since a date would be unreadable outside Slack. It is this one (yhatt/jsx-slack,
    pull request 190), because Slack formats words between zero-width spaces (its "exact mode").
    """
    return _escaped(plain, lambda markup: "".join([_GUARD, *(f"{character}{_GUARD}" for character in markup)]), limit)


def _escaped(plain: str, inert: Callable[[str], str], limit: int) -> str:
    pieces = [
        inert(found[0]) if found["markup"] else _ENTITIES.get(found[0], found[0]) for found in _PIECE.finditer(plain)
    ]
    return _joined([*([_START] if _BLOCK.match(plain) else []), *pieces], limit)


def _joined(pieces: list[str], limit: int) -> str:
    """The pieces in at most `limit` characters; three dots mark a cut, which is never inside a piece."""
    if sum(map(len, pieces)) <= limit:
        return "".join(pieces)
    kept = sum(used <= limit - 3 for used in accumulate(map(len, pieces)))
    return f"{''.join(pieces[:kept]).rstrip(' _')}..."
