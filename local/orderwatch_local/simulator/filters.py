"""The query of a list, parsed as strictly as the vendor documents it: anything undocumented gets 422."""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from orderwatch_local.simulator.exchange import RefusedError
from orderwatch_local.simulator.records import Record

MAX_LIMIT = 1000
MAX_VALUES = 100
DATE_FIELDS = ("created_date", "updated_date", "trackstar_created_date", "trackstar_updated_date")

type Grammar = Mapping[str, frozenset[str]]
"""The operators of each field that a list can be filtered by."""

ORDER_GRAMMAR: Grammar = {
    "ids": frozenset({"in"}),
    "status": frozenset({"eq", "neq", "in", "nin"}),
    **dict.fromkeys(DATE_FIELDS, frozenset({"eq", "neq", "gt", "gte", "lt", "lte"})),
}
PRODUCT_GRAMMAR: Grammar = {"ids": frozenset({"in"})}
CONNECTION_GRAMMAR: Grammar = {}
WAREHOUSE_GRAMMAR: Grammar = {}

_PARAMETER = re.compile(r"([a-z_]+)(?:\[([a-z]+)\])?", re.ASCII)
_FILTER_DATE = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", re.ASCII)
_LIMIT = re.compile(r"\d{1,4}", re.ASCII)
_COMPARE: dict[str, Callable[[Any, Any], bool]] = {
    "eq": operator.eq,
    "neq": operator.ne,
    "gt": operator.gt,
    "gte": operator.ge,
    "lt": operator.lt,
    "lte": operator.le,
    "in": lambda value, values: value in values,
    "nin": lambda value, values: value not in values,
}


@dataclass(frozen=True, slots=True)
class Condition:
    """A filter on a field. A null or missing value never matches, whatever the operator."""

    field: str
    operator: str
    operand: str | frozenset[str]

    def holds(self, record: Record) -> bool:
        """Whether the record matches."""
        value = record.get(self.field)
        return isinstance(value, str) and _COMPARE[self.operator](value, self.operand)


@dataclass(frozen=True, slots=True)
class ListQuery:
    """The parsed query of a list.

    Attributes:
        limit: Records a page, 1 to 1000.
        page_token: As sent, not validated.
        ids: If given, the list has only these records, and no other filter applies.
        conditions: The filters; a record must match all of them.
    """

    limit: int = MAX_LIMIT
    page_token: str | None = None
    ids: tuple[str, ...] | None = None
    conditions: tuple[Condition, ...] = ()

    def matches(self, record: Record) -> bool:
        """Whether the record matches every condition."""
        return all(condition.holds(record) for condition in self.conditions)


def read_list_query(
    query: Collection[tuple[str, str]], grammar: Grammar, *, refused: Collection[str] = ()
) -> ListQuery:
    """Parse the query of a list.

    Args:
        query: Decoded pairs.
        grammar: The filters of this list.
        refused: Documented fields that this connection does not filter by.

    Raises:
        RefusedError: 422 naming the parameter, for anything undocumented, malformed, repeated or over 100 values.
    """
    given = dict(query)
    if len(given) < len(query):
        names = [name for name, _ in query]
        raise _invalid(next(name for name in names if names.count(name) > 1), "is repeated")
    limit = _limit(given.pop("limit", str(MAX_LIMIT)))
    token = given.pop("page_token", None)
    conditions = [_condition(name, value, grammar, refused) for name, value in given.items()]
    ids = next((c.operand for c in conditions if c.field == "ids"), None)
    if ids is not None:
        return ListQuery(limit, token, ids=tuple(sorted(ids)))
    return ListQuery(limit, token, conditions=tuple(conditions))


def _invalid(name: str, why: str) -> RefusedError:
    return RefusedError(422, f"Invalid parameter {name}: {why}")


def _limit(text: str) -> int:
    if not _LIMIT.fullmatch(text) or not 1 <= int(text) <= MAX_LIMIT:
        raise _invalid("limit", f"must be an integer from 1 to {MAX_LIMIT}")
    return int(text)


def _condition(name: str, value: str, grammar: Grammar, refused: Collection[str]) -> Condition:
    match = _PARAMETER.fullmatch(name)
    field, operation = (match[1], match[2] or "eq") if match else (name, "eq")
    if field not in grammar:
        raise _invalid(name, "unknown")
    if field in refused:
        raise _invalid(name, "not supported for this connection")
    if operation not in grammar[field]:
        raise _invalid(name, f"{field} has no operator {operation}")
    return Condition(field, operation, _operand(name, field, operation, value))


def _operand(name: str, field: str, operation: str, value: str) -> str | frozenset[str]:
    if not value:
        raise _invalid(name, "is empty")
    if operation in {"in", "nin"}:
        return _values(name, value)
    if field in DATE_FIELDS and not _is_date(value):
        raise _invalid(name, "must be a UTC date as YYYY-MM-DDTHH:MM:SSZ")
    return value


def _values(name: str, text: str) -> frozenset[str]:
    values = text.split(",")
    if len(values) > MAX_VALUES:
        raise _invalid(name, f"has {len(values)} values, at most {MAX_VALUES} are allowed")
    if not all(values):
        raise _invalid(name, "has an empty value")
    return frozenset(values)


def _is_date(text: str) -> bool:
    if not _FILTER_DATE.fullmatch(text):
        return False
    try:
        datetime.fromisoformat(text)
    except ValueError:
        return False
    return True
