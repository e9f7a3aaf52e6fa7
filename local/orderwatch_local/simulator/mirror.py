"""One resource of a shop: the records of the merchant's store, and Trackstar's copy as of the last crawl."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from copy import deepcopy
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from orderwatch_local.simulator.filters import ORDER_GRAMMAR, PRODUCT_GRAMMAR, Grammar, ListQuery
from orderwatch_local.simulator.records import Record, stamp

_TRACKSTAR_DATES = ("trackstar_created_date", "trackstar_updated_date")
_FIRST_DATE = "2000"
"""What sorts before it is no date of a crawl: `0000-00-00`, `1970-01-01`, `03/05/2026`."""


class Resource(StrEnum):
    """A resource of a cart connection."""

    ORDERS = "orders"
    PRODUCTS = "products"

    @property
    def function(self) -> str:
        """The name of its sync function."""
        return f"get_{self}"

    @property
    def grammar(self) -> Grammar:
        """The filters of its list."""
        return ORDER_GRAMMAR if self is Resource.ORDERS else PRODUCT_GRAMMAR


class TrackstarDates(StrEnum):
    """The values of the `trackstar_*` fields of a connection."""

    PRESENT = "present"
    NULL = "null"
    ABSENT = "absent"


@dataclass(frozen=True, slots=True)
class Garbling:
    """The damage that a bad integration does to a record when it is copied.

    Attributes:
        fields: Values that replace those of the record.
        missing: Fields that are left out.
    """

    fields: Mapping[str, object] = field(default_factory=dict)
    missing: frozenset[str] = frozenset()

    def applied_to(self, record: Record) -> Record:
        """Return the damaged record."""
        kept = {name: value for name, value in record.items() if name not in self.missing}
        return kept | deepcopy(dict(self.fields))


class Mirror:
    """The store's records and their copy. Not thread-safe: its shop holds the lock."""

    def __init__(self) -> None:
        self.store: dict[str, Record] = {}
        self.garblings: dict[str, Garbling] = {}
        self._changed: dict[str, None] = {}
        self._removed: set[str] = set()
        self._first_crawled: dict[str, str] = {}
        self._copy: dict[str, Record] = {}
        self._superseded: dict[str, Record] = {}
        self._sorted: list[Record] | None = None

    def put(self, record: Record) -> None:
        """Write a record of the store; the next crawl copies it."""
        self.store[record["id"]] = record
        self._removed.discard(record["id"])
        self.mark_changed(record["id"])

    def remove(self, record_id: str) -> None:
        """Delete a record of the store; the next crawl removes it from the copy."""
        del self.store[record_id]
        self._changed.pop(record_id, None)
        self._removed.add(record_id)

    def mark_changed(self, record_id: str) -> None:
        """Make the next crawl copy the record again."""
        self._changed[record_id] = None

    def crawl(self, now: datetime, dates: TrackstarDates) -> list[str]:
        """Copy and stamp the records that changed since the last crawl, and return their ids."""
        crawled = list(self._changed)
        for record_id in crawled:
            before, after = self._copy.get(record_id), self._as_crawled(record_id, stamp(now), dates)
            self._superseded.pop(record_id, None)
            if before and _is_earlier(before, after, now):
                self._superseded[record_id] = before
            self._copy[record_id] = after
        for record_id in self._removed:
            self._copy.pop(record_id, None)
            self._superseded.pop(record_id, None)
        self._changed.clear()
        self._removed.clear()
        self._sorted = None
        return crawled

    def copy_of(self, record_id: str) -> Record | None:
        """Return the copy of a record, which may be damaged."""
        return self._copy.get(record_id)

    def ids(self) -> Iterable[str]:
        """Return the ids of all copied records."""
        return self._copy.keys()

    def find(self, record_id: str) -> Record | None:
        """Return the record that the API finds by this id."""
        record = self._copy.get(record_id)
        return record if record is not None and record.get("id") == record_id else None

    def select(self, query: ListQuery) -> list[Record]:
        """Return the records that match a query, by `trackstar_updated_date`.

        In this order pages drift: a record that changes between two pages moves to the end.
        """
        if query.ids is not None:
            return [record for record_id in query.ids if (record := self.find(record_id))]
        if self._sorted is None:
            self._sorted = sorted(self._copy.values(), key=_place)
        return [record for record in self._sorted if query.matches(record)]

    def with_superseded(self, records: Iterable[Record]) -> Iterator[Record]:
        """Yield each record with its version of one crawl before, alternating which of the two comes first."""
        for turn, record in enumerate(records):
            before = self._superseded.get(str(record.get("id")))
            both = [before, record] if before else [record]
            yield from both if turn % 2 else reversed(both)

    def _as_crawled(self, record_id: str, now: str, dates: TrackstarDates) -> Record:
        created = self._first_crawled.setdefault(record_id, now)
        record = deepcopy(self.store[record_id])
        if dates is not TrackstarDates.ABSENT:
            values = (created, now) if dates is TrackstarDates.PRESENT else (None, None)
            record |= dict(zip(_TRACKSTAR_DATES, values, strict=True))
        return self.garblings.get(record_id, Garbling()).applied_to(record)


def _is_earlier(before: Record, after: Record, now: datetime) -> bool:
    """Whether Trackstar's dates show which of two copies is older; a damaged date or one in the future does not."""
    first, second = (record.get("trackstar_updated_date") for record in (before, after))
    return isinstance(first, str) and isinstance(second, str) and _FIRST_DATE <= first < second <= stamp(now)


def _place(record: Record) -> tuple[str, str]:
    return str(record.get("trackstar_updated_date") or ""), str(record.get("id"))
