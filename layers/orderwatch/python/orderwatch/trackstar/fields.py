"""The fields of the vendor's records, and how a response body becomes Python values.

Most fields can be null, and integrations differ. An invalid field becomes None, and its record is kept.
"""

import json
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import Annotated, Any

from pydantic import AfterValidator, BeforeValidator, Field, GetCoreSchemaHandler, StringConstraints
from pydantic_core import core_schema, from_json

from orderwatch.model import Model
from orderwatch.sanitize import replace_surrogates, unescape_html
from orderwatch.trackstar.privacy import mask_contacts, mask_number, strip_private
from orderwatch.trackstar.values import day_or_moment, in_utc, is_plausible, read_date

MAX_TEXT_LENGTH = 2048
"""Maximum characters of a text, so that every record fits into a DynamoDB row (400 KB)."""


class NoneIfMalformed:
    """Annotation: an invalid value becomes None, inside the compiled validator."""

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> core_schema.CoreSchema:
        """Add a default to the field's schema that also applies to errors (pydantic calls this)."""
        return core_schema.with_default_schema(handler(source), default=None, on_error="default")


@dataclass(slots=True)
class UnreadableValues:
    """The values that were given and cannot be read (rule 21): how many by field, and the first record of each field.

    Pass one as the context of a validation to collect them.
    """

    counts: Counter[str] = field(default_factory=Counter)
    first_ids: dict[str, str | None] = field(default_factory=dict)

    def add(self, name: str, record_id: str | None) -> None:
        """Count a value of this field, in the record with this id."""
        self.counts[name] += 1
        self.first_ids.setdefault(name, record_id)


@dataclass(frozen=True, slots=True)
class Otherwise:
    """Annotation: a value that the compiled validator refuses is read by `read`, and is None if that fails too."""

    read: Callable[[object], Any]

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> core_schema.CoreSchema:
        """Try the compiled schema, then `read` (pydantic calls this)."""
        otherwise = core_schema.with_info_plain_validator_function(self._read)
        return core_schema.union_schema([handler(source), otherwise], mode="left_to_right")

    def _read(self, value: object, info: core_schema.ValidationInfo) -> Any:
        try:
            return self.read(value)
        except ValueError:
            if isinstance(info.context, UnreadableValues):
                info.context.add(str(info.field_name), info.data.get("id"))
            return None


def _date(in_utc: Callable[[datetime], datetime]) -> tuple[AfterValidator, Otherwise]:
    """The validators of a date: for those that pydantic reads, and for those that it refuses."""

    def plausible(date: datetime) -> datetime:
        try:
            date = in_utc(date)
        except OverflowError:  # in year 1 or 9999
            raise ValueError("implausible") from None
        if not is_plausible(date):
            raise ValueError("implausible")
        return date

    def read(value: object) -> datetime | None:
        date = read_date(value)
        return in_utc(date) if date else None

    return AfterValidator(plausible), Otherwise(read)


def _only_objects(value: Any) -> Any:
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []


def _unescaped(value: Any) -> Any:
    return unescape_html(value) if isinstance(value, str) else value


_TextNotBlank = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=MAX_TEXT_LENGTH)]
_UnescapedText = Annotated[_TextNotBlank, BeforeValidator(_unescaped)]
_WebAddress = Annotated[str, StringConstraints(max_length=MAX_TEXT_LENGTH, pattern=r"^https?://[^\s<>\"]+$")]
_FiniteNumber = Annotated[Decimal, Field(max_digits=30, allow_inf_nan=False)]
_CurrencyCode = Annotated[str, StringConstraints(pattern=r"^[A-Za-z]{3}$", to_upper=True)]

Text = Annotated[_TextNotBlank | None, NoneIfMalformed()]
Name = Annotated[_UnescapedText | None, NoneIfMalformed()]
"""A text that a shop may have prepared for a web page: its HTML entities are unescaped once."""
FreeText = Annotated[Annotated[_UnescapedText, AfterValidator(mask_contacts)] | None, NoneIfMalformed()]
"""A name that a person may have typed: contact data in it is masked (rule 13)."""
OrderNumber = Annotated[Annotated[_UnescapedText, AfterValidator(mask_number)] | None, NoneIfMalformed()]
Url = Annotated[Annotated[_WebAddress, AfterValidator(strip_private)] | None, NoneIfMalformed()]
Number = Annotated[_FiniteNumber | None, NoneIfMalformed()]
Currency = Annotated[_CurrencyCode | None, NoneIfMalformed()]
_plausible, _otherwise_read = _date(in_utc)
Date = Annotated[Annotated[datetime, _plausible] | None, _otherwise_read]
"""A date in UTC (rule 21)."""
_plausible_day, _otherwise_day = _date(day_or_moment)
ShipBy = Annotated[Annotated[datetime, _plausible_day] | None, _otherwise_day]
"""A date in UTC. Midnight means the day, also if the shop gives it with an offset."""
type Objects[T] = Annotated[tuple[T, ...], BeforeValidator(_only_objects)]
"""A list of objects. Items that are not objects are skipped; a value that is not a list counts as an empty list."""


def _none_if_empty(value: Any) -> Any:
    return value or None


class Envelope(Model):
    """A response body. If it reports an error, the request failed, whatever its status (rule 18)."""

    error: Annotated[None, BeforeValidator(_none_if_empty)] = None
    errors: Annotated[None, BeforeValidator(_none_if_empty)] = None


def parse_json(body: bytes) -> Any:
    """Parse the body of a response, including one that is slightly damaged (rule 18).

    A body that pydantic's parser refuses is parsed again less strictly: bytes that are not UTF-8 and lone surrogates
    become U+FFFD, control characters in strings are kept, a byte order mark is skipped, and an integer that is too long
    for Python stays a string, which then fails the limits of its field.

    Raises:
        ValueError: The body is not JSON, or it is nested too deeply. The text of the error quotes nothing of the body.
    """
    try:
        return from_json(body)
    except ValueError:
        pass
    try:
        text = body.decode("utf-8-sig", "replace")
        return _without_surrogates(json.loads(text, strict=False, parse_int=_int_or_text))
    except RecursionError:
        raise ValueError("the body is nested too deeply") from None
    except ValueError as error:
        raise ValueError(f"the body is not JSON: {error}") from None


def _int_or_text(digits: str) -> int | str:
    try:
        return int(digits)
    except ValueError:
        return digits


def _without_surrogates(value: Any) -> Any:
    if isinstance(value, str):
        return replace_surrogates(value)
    if isinstance(value, list):
        return [_without_surrogates(item) for item in value]
    if isinstance(value, dict):
        return {replace_surrogates(key): _without_surrogates(item) for key, item in value.items()}
    return value
