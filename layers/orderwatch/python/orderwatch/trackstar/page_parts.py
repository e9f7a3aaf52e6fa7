"""A page of a list whose JSON is broken somewhere, in its parts: one broken record must not cost the others (rule 18).

Sound records are read from the front up to the first broken one, and from the back up to the last broken one. Between
the two, a record counts only if it has the same keys as a sound one: a nested object must never pass for a record.
"""

import re
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, NamedTuple

from orderwatch.trackstar.lenient_json import (
    WHOLE_STRING,
    UnsoundError,
    end_of_value,
    objects_from_the_end,
    read_value,
)

_SPACE = re.compile(rb"\s*+")
_KEY = re.compile(rb"\s*+(" + WHOLE_STRING + rb")\s*+:\s*+", re.DOTALL)
# The list's end must be followed by the envelope's own keys: a body that was cut off never looks like a whole page.
_TAIL = re.compile(
    rb'\]\s*+,\s*+"(?:next_token|total_count)"\s*+:\s*+(?:' + WHOLE_STRING + rb'|[^\s",:{}\[\]]++)'
    rb'(?:\s*+,\s*+"\w{1,64}+"\s*+:\s*+(?:' + WHOLE_STRING + rb'|[^\s",:{}\[\]]++))*+\s*+\}\s*+\Z',
    re.DOTALL,
)
_MAX_TAIL = 2**17
_NEXT_OBJECT = re.compile(rb"\}\s*+,?\s*+(?=\{)")
_BETWEEN_RECORDS = b", \t\r\n"
_NEIGHBOURS = 20
"""Sound records on each side of the broken ones whose keys tell what a record looks like."""
_MAX_EFFORT = 8
"""How often each byte between broken records is looked at, on average, before the rest is given up."""


@dataclass(frozen=True, slots=True)
class PageParts:
    """A page in its parts.

    Attributes:
        records: The JSON text of each record that begins and ends where it should.
        broken: What is left between them: each holds one broken record, or several that follow each other.
        envelope: The rest of the page, its list empty.
    """

    records: list[bytes]
    broken: list[bytes]
    envelope: Any


class _Span(NamedTuple):
    begin: int
    end: int


def split(body: bytes) -> PageParts:
    """Find the records of `{"data": [...], ...}`.

    Raises:
        ValueError: It is no page: cut off, no JSON outside of the records, or without a list `data`.
    """
    begin = _begin_of_list(body)
    first, stopped = _records_from_the_front(body, begin + 1)
    seems_to_end = body[stopped : stopped + 1] == b"]"
    if seems_to_end:
        with suppress(ValueError):
            return PageParts([body[slice(*span)] for span in first], [], _envelope(body, begin, stopped))
    end = _end_of_list(body, begin)
    if stopped > end:  # a bracket too many: the broken record swallowed those behind it
        first = [span for span in first if span.end <= end]
        stopped = _end_of(first, begin)
    last = _records_from_the_end(body, stopped, end)
    if seems_to_end:
        first = _trusted(body, first, last)
        stopped = _end_of(first, begin)
    gap = _Span(stopped, last[0].begin if last else end)
    between = _recognized(body, gap, _shapes(body, [*first[-_NEIGHBOURS:], *last[:_NEIGHBOURS]]))
    records = [body[slice(*span)] for span in [*first, *between, *last]]
    return PageParts(records, list(_rest(body, gap, between)), _envelope(body, begin, end))


def _begin_of_list(body: bytes) -> int:
    at = _skip_space(body, 0)
    separator = b"{"
    while body[at : at + 1] == separator and (key := _KEY.match(body, at + 1)):
        if key.group(1) == b'"data"' and body[key.end() : key.end() + 1] == b"[":
            return key.end()
        at = _skip_space(body, end_of_value(body, key.end()))
        separator = b","
    raise UnsoundError("no list of records", at)


def _end_of(first: list[_Span], begin: int) -> int:
    return first[-1].end if first else begin + 1


def _envelope(body: bytes, begin: int, end: int) -> Any:
    return read_value(body[: begin + 1] + body[end:])


def _skip_space(body: bytes, at: int) -> int:
    match = _SPACE.match(body, at)
    return match.end() if match else at


def _records_from_the_front(body: bytes, at: int) -> tuple[list[_Span], int]:
    """The records up to the first broken one, and where that one begins or the list ends."""
    spans: list[_Span] = []
    begin = _skip_space(body, at)
    while body[begin : begin + 1] != b"]":
        try:
            end = end_of_value(body, begin)
        except UnsoundError:
            break
        after = _skip_space(body, end)
        follows = body[after : after + 1]
        if follows not in (b",", b"]"):
            break
        spans.append(_Span(begin, end))
        begin = _skip_space(body, after + 1) if follows == b"," else after
    return spans, begin


def _end_of_list(body: bytes, after: int) -> int:
    tail = _TAIL.search(body, max(after, len(body) - _MAX_TAIL))
    if tail is None:
        raise UnsoundError("no end of the list", after)
    return tail.start()


def _records_from_the_end(body: bytes, begin: int, end: int) -> list[_Span]:
    spans: list[_Span] = []
    for first, last in objects_from_the_end(body[begin:end].rstrip(_BETWEEN_RECORDS)):
        span = _Span(begin + first, begin + last)
        if not _is_sound(body, span):
            break
        spans.append(span)
    return spans[::-1]


def _is_sound(body: bytes, span: _Span) -> bool:
    try:
        return end_of_value(body, span.begin) == span.end
    except UnsoundError:
        return False


def _trusted(body: bytes, first: list[_Span], last: list[_Span]) -> list[_Span]:
    """The first records without the broken one: it ended early, and a list within it passed for the page's."""
    shapes = _shapes(body, [*first[:1], *last[:_NEIGHBOURS]])
    size = len(first)
    while size and _keys_of(body[slice(*first[size - 1])]) not in shapes:
        size -= 1
    return first[:size]


def _shapes(body: bytes, spans: Iterable[_Span]) -> set[frozenset[str]]:
    return {keys for span in spans if (keys := _keys_of(body[slice(*span)]))}


def _keys_of(record: bytes) -> frozenset[str]:
    try:
        value = read_value(record)
    except ValueError:
        return frozenset()
    return frozenset(value) if isinstance(value, dict) else frozenset()


def _recognized(body: bytes, gap: _Span, shapes: set[frozenset[str]]) -> list[_Span]:
    """The records between broken ones, told by their keys."""
    spans: list[_Span] = []
    at, effort = gap.begin, 0
    while effort <= _MAX_EFFORT * (gap.end - gap.begin) and (match := _NEXT_OBJECT.search(body, at, gap.end)):
        at = match.end()
        try:
            end = end_of_value(body, at)
        except UnsoundError as error:
            effort += error.at - at
            continue
        effort += end - at
        if end <= gap.end and _keys_of(body[at:end]) in shapes:
            spans.append(_Span(at, end))
            at = end - 1  # its last bracket may stand before the next record
    return spans


def _rest(body: bytes, gap: _Span, found: Iterable[_Span]) -> Iterator[bytes]:
    at = gap.begin
    for span in [*found, _Span(gap.end, gap.end)]:
        if rest := body[at : span.begin].strip(_BETWEEN_RECORDS):
            yield rest
        at = span.end
