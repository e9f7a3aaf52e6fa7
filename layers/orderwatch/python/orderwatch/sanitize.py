"""Make texts from shops and from the vendor safe to store, log and show (rule 18)."""

import re
from html import unescape
from html.entities import html5

REPLACEMENT = "\ufffd"
"""U+FFFD, in place of what cannot be decoded or sent."""

# These can move a cursor, clear a terminal or break a line (C0, DEL, C1, separators).
_BREAKS = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]+")
HIDDEN = (
    r"[\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069"  # change the direction of the text
    r"\u00ad\u034f\u115f\u1160\u17b4\u17b5\u180e\u200b\u2060-\u2065\u206a-\u206f\u2800\u3164\ufeff\uffa0\ufff0-\ufffb"
    r"\U0001bca0-\U0001bca3\U0001d173-\U0001d17a\U000e0000-\U000e00ff\U000e01f0-\U000e0fff]"
    # Joiners belong to emoji and to some scripts, but beside ASCII they only hide something.
    r"|[\u200c\u200d](?:(?<![^\s\x00-\x7f].)|(?=[\s\x00-\x7f]|$))"
)
"""A regular expression for one character that is invisible or changes the direction of the text."""
_HIDDEN = re.compile(HIDDEN)
# Neither UTF-8 nor DynamoDB accepts lone surrogates; SNS and SQS refuse the two noncharacters.
_SURROGATES = re.compile(r"[\ud800-\udfff]")
_REFUSED = re.compile(r"[\ud800-\udfff\ufffe\uffff]")
# Only whole entities: `Black&copper` has none, although browsers would read a copyright sign.
_ENTITY = re.compile(r"&(?:#[0-9]{1,7}|#[xX][0-9a-fA-F]{1,6}|[a-zA-Z][a-zA-Z0-9]{1,31});")


def one_line(text: str, limit: int) -> str:
    """Make a text safe for an error, a log, a row or a terminal.

    Control characters and line breaks become a space. Invisible and text-direction characters are removed. Characters
    that AWS refuses become U+FFFD. Characters beyond the limit are cut.
    """
    if text.isascii() and text.isprintable():  # nearly every text
        return text.strip()[:limit]
    line = _BREAKS.sub(" ", _HIDDEN.sub("", text)).strip()
    return _REFUSED.sub(REPLACEMENT, line[:limit])


def replace_surrogates(text: str) -> str:
    """Replace lone surrogates with U+FFFD."""
    return _SURROGATES.sub(REPLACEMENT, text)


def folded_words(text: str) -> str:
    """The words of a code or a sentence: `PendingAvailability` and `pending_availability` are alike."""
    spaced = re.sub(r"(?<=[a-z])(?=[A-Z])", " ", text)
    return re.sub(r"[\W_]+", " ", spaced).strip().casefold()


def unescape_html(text: str) -> str:
    """Replace HTML entities by their characters, once: `&amp;lt;` becomes `&lt;`."""
    return _ENTITY.sub(_character, text) if "&" in text else text


def _character(match: re.Match[str]) -> str:
    return unescape(match[0]) if match[0][1] == "#" or match[0][1:] in html5 else match[0]
