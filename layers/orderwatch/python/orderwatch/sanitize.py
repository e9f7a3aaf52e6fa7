"""What all data models have in common."""

import re

# What can move a cursor, clear a terminal, break a line (C0, DEL, C1, separators) or show a text backwards (bidi).
_BREAKS = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]+")
_DIRECTIONS = re.compile(r"[\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]+")
_SURROGATES = re.compile(r"[\ud800-\udfff]")


def one_line(text: str, limit: int) -> str:
    """Make a text of the vendor's fit for an error, a log, a row or a terminal (rule 18).

    Control characters and line breaks become a space, text-direction characters are dropped, and half characters
    (lone surrogates), which neither UTF-8 nor DynamoDB takes, become U+FFFD.

    Args:
        text: Any text.
        limit: The most characters; what is longer is cut.
    """
    line = _BREAKS.sub(" ", _DIRECTIONS.sub("", text)).strip()
    return _SURROGATES.sub("\ufffd", line[:limit])
