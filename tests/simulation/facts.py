"""What the oracles share: the violation they raise, and how they read a record of the API and a row."""

from datetime import UTC, datetime
from typing import Any

from tests.simulation.cloud import Row

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
    return date if isinstance(date, str) and "2000" <= date[:4] <= "2027" else None


def version_of(record: dict[str, Any]) -> str | None:
    """Trackstar's date of change, else the shop's."""
    return date_of(record, "trackstar_updated_date") or date_of(record, "updated_date")


def status_of(record: dict[str, Any]) -> str | None:
    """Its status where it can be watched: an id and a status, which may be numbers, in the documented spelling."""
    fields = [record.get(name) for name in ("id", "status")]
    if not all(isinstance(each, str | int) and each != "" for each in fields):
        return None
    return str(fields[1]).strip().lower().replace("-", "_").replace(" ", "_").replace("canceled", "cancelled")


def ship_by_of(record: dict[str, Any]) -> datetime | None:
    """Its ship-by where that is a date."""
    ship_by = date_of(record, "latest_ship_date")
    return moment(ship_by) if ship_by else None


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
