"""Text from outside (the vendor, a shop, a person), made safe to show, to log and to store."""

import re

REPLACEMENT = "\ufffd"
"""The character that replaces what cannot be decoded (U+FFFD)."""

# These can move a cursor, clear a terminal or break a line (C0, DEL, C1, separators), or reverse a text (bidi).
_BREAKS = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]+")
_DIRECTIONS = re.compile(r"[\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]+")
_SURROGATES = re.compile(r"[\ud800-\udfff]")


def one_line(text: str, limit: int) -> str:
    """Make a text safe for an error, a log, a row or a terminal (rule 18).

    Control characters and line breaks become a space. Text-direction characters are removed. Lone surrogates are
    replaced.

    Args:
        text: Any text.
        limit: The maximum number of characters; the rest is cut.
    """
    line = _BREAKS.sub(" ", _DIRECTIONS.sub("", text)).strip()
    return replace_surrogates(line[:limit])


def replace_surrogates(text: str) -> str:
    """Replace lone surrogates with U+FFFD: neither UTF-8 nor DynamoDB accepts them."""
    return _SURROGATES.sub(REPLACEMENT, text)
