"""What all data models have in common."""

import re

# Characters that can move a cursor, clear a terminal or break a line (C0, DEL, C1, separators).
_BREAKS = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]+")
# Invisible characters, and those that can show a text backwards (bidi).
_HIDDEN = re.compile(r"[\u00ad\u061c\u200b\u200e\u200f\u202a-\u202e\u2060\u2066-\u2069\ufeff\ufff9-\ufffb]+")
# Neither UTF-8 nor DynamoDB takes half characters (lone surrogates); SNS and SQS refuse the two noncharacters.
_REFUSED = re.compile(r"[\ud800-\udfff\ufffe\uffff]")


def one_line(text: str, limit: int) -> str:
    """Make a text of the vendor's fit for an error, a log, a row or a terminal (rule 18).

    Control characters and line breaks become a space, invisible and text-direction characters are dropped, and
    characters that AWS refuses become U+FFFD.

    Args:
        text: Any text.
        limit: The most characters; what is longer is cut.
    """
    line = _BREAKS.sub(" ", _HIDDEN.sub("", text)).strip()
    return _REFUSED.sub("\ufffd", line[:limit])
