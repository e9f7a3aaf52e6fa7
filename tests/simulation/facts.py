"""What the oracles share: the violation they raise, and how they read a record of the API and a row."""

import re
from datetime import UTC, datetime
from typing import Any

from tests.simulation.cloud import Row
from tests.simulation.large_orders import is_oversized
from tests.simulation.spellings import MEANING, UNREADABLE, UNREADABLE_DATES

_DATE = re.compile(r"20[0-2]\d-\d\d-\d\dT\d\d:\d\d:\d\dZ")

type Subject = tuple[str, str]
"""Connection and order."""


class Violation(BaseException):
    """A rule does not hold; a BaseException, since nothing of the product may catch it.

    Attributes:
        trace: What had happened up to there.
    """

    trace: tuple[str, ...] = ()


def expect(what: str, reported: object, expected: object) -> None:
    """Compare what a message reports with what it must report."""
    if reported != expected:
        raise Violation(f"{what}: reported {reported}, expected {expected}")


def key_of(record: dict[str, Any]) -> str:
    """The number by which the oracles know an order: its id may be garbled."""
    return str(record.get("order_number"))


def date_of(record: dict[str, Any], name: str) -> str | None:
    """A date as the record has it, where it is one (rule 21): runs take place in 2026."""
    date = record.get(name)
    return date if isinstance(date, str) and _DATE.fullmatch(date) else None


def version_of(record: dict[str, Any]) -> str | None:
    """Trackstar's date of change, else the shop's."""
    return date_of(record, "trackstar_updated_date") or date_of(record, "updated_date")


def created_of(record: dict[str, Any]) -> str | None:
    """When Trackstar first had it, else when the shop created it."""
    return date_of(record, "trackstar_created_date") or date_of(record, "created_date")


def status_of(record: dict[str, Any]) -> str | None:
    """Its status where it can be read: an id and a status, which may be numbers, in the documented spelling."""
    fields = [record.get(name) for name in ("id", "status")]
    if is_oversized(record) or not all(isinstance(each, str | int) and each != "" for each in fields):
        return None
    return str(fields[1]).strip().lower().replace("-", "_").replace(" ", "_").replace("canceled", "cancelled")


def ship_by_of(record: dict[str, Any]) -> datetime | None:
    """Its ship-by as the shop means it, whatever the spelling; None where it has none or it cannot be read."""
    meaning = record[MEANING]
    return moment(meaning) if meaning not in {None, UNREADABLE} else None


def unreadable_in(record: dict[str, Any]) -> set[str]:
    """The dates of a record that were given and cannot be read (rule 21)."""
    dates = {name for name in ("updated_date", "trackstar_updated_date") if record.get(name) in UNREADABLE_DATES}
    return dates | ({"latest_ship_date"} if record[MEANING] == UNREADABLE else set())


def moment(text: str) -> datetime:
    """A stored or shown date, in UTC."""
    return datetime.fromisoformat(text).astimezone(UTC)


def moment_in(row: Row, name: str) -> datetime | None:
    """A date of a row, in UTC; None where it has none."""
    return moment(row[name]) if name in row else None


def subject_of(row: Row) -> Subject:
    """The connection and the order of a row of OrderTable."""
    connection_id, _, order_id = row["order_key"].partition("#")
    return connection_id, order_id
