"""Make texts from shops and from the vendor safe to store, log and show (rule 18)."""

import re

REPLACEMENT = "\ufffd"
"""U+FFFD, in place of what cannot be decoded or sent."""

# These can move a cursor, clear a terminal or break a line (C0, DEL, C1, separators).
_BREAKS = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]+")
# Invisible characters, and those that can reverse a text (bidi).
_HIDDEN = re.compile(r"[\u00ad\u061c\u200b\u200e\u200f\u202a-\u202e\u2060\u2066-\u2069\ufeff\ufff9-\ufffb]+")
# Neither UTF-8 nor DynamoDB accepts lone surrogates; SNS and SQS refuse the two noncharacters.
_SURROGATES = re.compile(r"[\ud800-\udfff]")
_REFUSED = re.compile(r"[\ud800-\udfff\ufffe\uffff]")


def one_line(text: str, limit: int) -> str:
    """Make a text safe for an error, a log, a row or a terminal.

    Control characters and line breaks become a space. Invisible and text-direction characters are removed. Characters
    that AWS refuses become U+FFFD. Characters beyond the limit are cut.
    """
    line = _BREAKS.sub(" ", _HIDDEN.sub("", text)).strip()
    return _REFUSED.sub(REPLACEMENT, line[:limit])


def replace_surrogates(text: str) -> str:
    """Replace lone surrogates with U+FFFD."""
    return _SURROGATES.sub(REPLACEMENT, text)
