"""JSON as it really comes: where its parts begin and end, and how a value with damaged texts or numbers is still read.

Nothing here recurses: brackets may be nested as deep as a body is long. What is too much for the parser is an error.
"""

import re
from collections.abc import Iterator
from typing import Any

from pydantic_core import from_json

DAMAGED = "\ufffd"
"""Stands for a character that could not be read (U+FFFD, the replacement character)."""

WHOLE_STRING = rb'"[^"\\]*+(?:\\.[^"\\]*+)*+"'
_SCALAR = rb"(?:-?[0-9]++(?:\.[0-9]++)?(?:[eE][-+]?[0-9]++)?|true|false|null|NaN|-?Infinity)(?=[\s,\]}]|\Z)"
_TOKEN = re.compile(
    WHOLE_STRING + rb"|[{}\[\]:,]|" + _SCALAR + rb'|(?P<garbage>"|[^\s"{}\[\]:,]++)',
    re.DOTALL,
)
# The same from right to left, over bytes in reverse: a quote before an odd number of backslashes is no end.
_MIRRORED_TOKEN = re.compile(
    rb'"[^"]*+(?:"(?=\\(?:\\\\)*+(?!\\))[^"]*+)*+"|[{}\[\]:,]|[^\s"{}\[\]:,]++|(?P<garbage>")', re.DOTALL
)
_TOP_LEVEL_ID = re.compile(rb'"id"\s*+:\s*+(' + WHOLE_STRING + rb"|-?[0-9]{1,64}(?=[\s,}]))", re.DOTALL)

_OBJECT, _ARRAY = ord("{"), ord("[")
_CLOSED_BY = {ord("}"): _OBJECT, ord("]"): _ARRAY}
_COMMA, _COLON, _QUOTE = ord(","), ord(":"), ord('"')

# What a token may begin with. A comma before a closing bracket is let pass; other bytes are those of a scalar.
_VALUE, _KEY, _ELEMENT, _AFTER_KEY, _AFTER_VALUE = range(5)
_SCALARS = b'"-0123456789tfnNI'
_MAY_BEGIN = {
    _VALUE: _SCALARS + b"{[",
    _ELEMENT: _SCALARS + b"{[]",
    _KEY: b'"}',
    _AFTER_KEY: b":",
    _AFTER_VALUE: b",}]",
}


class UnsoundError(ValueError):
    """The brackets, quotes or commas make no JSON.

    Args:
        what: What is wrong.
        at: How far the text was looked at.
    """

    def __init__(self, what: str, at: int) -> None:
        super().__init__(what)
        self.at = at


def end_of_value(text: bytes, begin: int) -> int:
    """Where the value ends that begins there; texts may hold any bytes.

    Raises:
        UnsoundError: It is no JSON value, or does not end.
    """
    open_brackets = bytearray()
    expected, at = _VALUE, begin
    for token in _TOKEN.finditer(text, begin):
        at = token.start()
        kind = text[at]
        if token.lastgroup or kind not in _MAY_BEGIN[expected]:
            break
        if kind in b"{[":
            open_brackets.append(kind)
            expected = _KEY if kind == _OBJECT else _ELEMENT
            continue
        if kind in _CLOSED_BY and open_brackets.pop() != _CLOSED_BY[kind]:
            break
        if not open_brackets:
            return token.end()
        expected = _next_expected(kind, expected, open_brackets[-1])
    raise UnsoundError("a value that is no JSON or does not end", at)


def _next_expected(kind: int, expected: int, innermost: int) -> int:
    if kind == _COMMA:
        return _KEY if innermost == _OBJECT else _ELEMENT
    if kind == _COLON:
        return _VALUE
    return _AFTER_KEY if expected == _KEY and kind == _QUOTE else _AFTER_VALUE


def objects_from_the_end(text: bytes) -> Iterator[tuple[int, int]]:
    """Begin and end of each object in a list of objects whose end is the text's, the last one first.

    Only brackets and quotes are looked at. It ends where no further object stands after a comma.
    """
    size, begin = len(text), 0
    open_brackets = bytearray()
    found: tuple[int, int] | None = None
    for token in _MIRRORED_TOKEN.finditer(text[::-1]):
        kind = token.group()[0]
        if not open_brackets and (token.lastgroup or kind not in (b"," if found else b"}")):
            return
        if kind in b"}]":
            begin = begin if open_brackets else token.start()
            open_brackets.append(_CLOSED_BY[kind])
        elif kind in b"{[":
            if open_brackets.pop() != kind:
                return
            found = None if open_brackets else (size - token.end(), size - begin)
        elif found:
            yield found
            found = None


def id_in(text: bytes) -> str | None:
    """The member `id` of an object that may be broken further on, damaged characters replaced; None: there is none."""
    depth = 0
    for token in _TOKEN.finditer(text):
        if token.lastgroup:
            return None
        if depth == 1 and (found := _TOP_LEVEL_ID.match(text, token.start())):
            return str(read_value(found.group(1)))
        kind = text[token.start()]
        depth += (kind in b"{[") - (kind in b"}]")
    return None


# Numbers beyond the 4,300 digits that Python reads; commas before a closing bracket; strings.
_MENDABLE = re.compile(WHOLE_STRING + rb"|(?P<comma>,)(?=\s*+[\]}])|(?P<number>-?[0-9]{4300,}+[-+.eE0-9]*+)", re.DOTALL)
_IN_STRING = re.compile(
    rb"(?P<sound>\\u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}|\\u(?![dD][89a-fA-F])[0-9a-fA-F]{4}"
    rb'|\\["\\/bfnrt])|(?P<damaged>\\u[dD][89a-fA-F][0-9a-fA-F]{2}|\\.)|(?P<control>[\x00-\x1f])',
    re.DOTALL,
)


def read_value(text: bytes) -> Any:
    """Parse a value; where the parser refuses it, with what is damaged replaced.

    Control characters in strings are kept. `DAMAGED` stands for bytes that are no UTF-8, lone surrogates and unknown
    escapes, null for integers of more than 4,299 digits. Commas before a closing bracket are dropped. The last of two
    members of one name counts. NaN and the infinities are read as floats.

    Raises:
        ValueError: It is no JSON for other reasons, or nested deeper than the parser's 200 levels.
    """
    try:
        return from_json(text)
    except ValueError:
        return from_json(_MENDABLE.sub(_mended, text.decode("utf-8", "replace").encode()))


def _mended(match: re.Match[bytes]) -> bytes:
    if match.lastgroup == "comma":
        return b""
    if match.lastgroup == "number":
        return b"null"
    return _IN_STRING.sub(_mended_character, match.group())


def _mended_character(match: re.Match[bytes]) -> bytes:
    if match.lastgroup == "control":
        return b"\\u%04x" % match.group()[0]
    return match.group() if match.lastgroup == "sound" else b"\\ufffd"
