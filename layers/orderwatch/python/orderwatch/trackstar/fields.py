"""The fields of the vendor's records, and how a response body becomes Python values.

Most fields can be null, and integrations differ. An invalid field becomes None, and its record is kept.
"""

import json
import re
from collections import Counter
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal
from operator import methodcaller
from typing import Annotated, Any, Self

from pydantic import (
    AfterValidator,
    BeforeValidator,
    Field,
    GetCoreSchemaHandler,
    ModelWrapValidatorHandler,
    StringConstraints,
    model_validator,
)
from pydantic_core import core_schema, from_json

from orderwatch.model import Model
from orderwatch.privacy import EMAIL, PHONE, mask_contacts, strip_private
from orderwatch.sanitize import one_line, replace_surrogates, unescape_html
from orderwatch.trackstar.numbers import read_number
from orderwatch.trackstar.values import (
    EARLIEST,
    SURELY_PLAUSIBLE_UNTIL,
    day_or_moment,
    in_utc,
    is_plausible,
    read_date,
)

MAX_TEXT_LENGTH = 2048
"""Maximum characters of a text, so that every record fits into a DynamoDB row (400 KB)."""
MAX_SKU_LENGTH = 160
"""Maximum characters of a SKU; a longer one is cut."""
_NO_VALUE = {"none", "null", "nil", "undefined", "nan", "na"}
"""What programs write in place of a value that is missing; letter case and punctuation vary."""
_TELLING = "[2-9bcghjkmpqrstvwxyzBCGHJKMPQRSTVWXYZ]"
"""A character that no placeholder has."""
_WORDS = "[A-Za-z _.-]*"
"""Characters without contact data and HTML entities."""


class NoneIfMalformed:
    """Annotation: an invalid value becomes None, inside the compiled validator."""

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> core_schema.CoreSchema:
        """Add a default to the field's schema that also applies to errors (pydantic calls this)."""
        return core_schema.with_default_schema(handler(source), default=None, on_error="default")


class Unless:
    """Annotation: apply a function to a validated text, unless it is one that the function would not change.

    Python code runs only for the others. `AfterValidator` would call it for each of the thousand orders of a page.

    Args:
        plain: A pattern, or all texts, that the function would not change.
        convert: The function; it raises a ValueError if the text is invalid.
    """

    def __init__(self, plain: str | Collection[str], convert: Callable[[str], str]) -> None:
        self._convert = convert
        if isinstance(plain, str):
            self._plain: core_schema.CoreSchema = core_schema.str_schema(pattern=plain)
        else:
            self._plain = core_schema.literal_schema(sorted(plain))

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> core_schema.CoreSchema:
        """Let a validated text that is plain pass, and convert another one (pydantic calls this)."""
        other = core_schema.no_info_plain_validator_function(self._convert)
        return core_schema.chain_schema(
            [handler(source), core_schema.union_schema([self._plain, other], mode="left_to_right")]
        )


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


@dataclass(frozen=True, slots=True)
class _PlainUtc:
    """Annotation: a date in UTC whose year is plausible beyond doubt is read by compiled code; nearly all are."""

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> core_schema.CoreSchema:
        """Try the compiled schema first (pydantic calls this)."""
        plain = core_schema.datetime_schema(tz_constraint=0, ge=EARLIEST, lt=SURELY_PLAUSIBLE_UNTIL)
        # With Python's own UTC, two dates compare forty times as fast as with pydantic's.
        in_utc = core_schema.no_info_after_validator_function(methodcaller("replace", tzinfo=UTC), plain)
        return core_schema.union_schema([in_utc, handler(source)], mode="left_to_right")


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


def only_objects(value: object) -> list[dict[str, Any]]:
    """The objects of a list; none of what is not a list."""
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []


def _unescaped(text: str) -> str:
    if "&" not in text:
        return text
    if plain := unescape_html(text).strip():
        return plain
    raise ValueError("blank")


def _reason(text: str) -> str:
    return mask_contacts(_unescaped(text))


def is_placeholder(text: str) -> bool:
    """Whether the text stands for a missing id (rule 22): blanks, dashes, zeros, -1, or a word such as `None`."""
    if re.fullmatch(r"-1(\.0+)?", text):
        return True
    letters = re.sub(r"[\W_]", "", text)
    return not letters.strip("0") or letters.casefold() in _NO_VALUE


def _no_placeholder(text: str) -> str:
    if is_placeholder(text):
        raise ValueError("placeholder")
    return text


def _reason_or_placeholder(text: str) -> str:
    return _reason(_no_placeholder(text))


def _sku(text: str) -> str:
    return one_line(text, MAX_SKU_LENGTH)


_TextNotBlank = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=MAX_TEXT_LENGTH)]
_WebAddress = Annotated[str, StringConstraints(max_length=MAX_TEXT_LENGTH, pattern=r"^https?://[^\s<>\"]+$")]
_PlainNumber = Annotated[Decimal, Field(max_digits=30, allow_inf_nan=False)]
_WrittenNumber = Annotated[_PlainNumber, BeforeValidator(read_number)]
# Left to right: only what is no plain number runs Python code.
_AnyNumber = Annotated[_PlainNumber | _WrittenNumber, Field(union_mode="left_to_right")]
_CurrencyCode = Annotated[str, StringConstraints(strip_whitespace=True, pattern=r"^[A-Za-z]{3}$", to_upper=True)]

Text = Annotated[_TextNotBlank | None, NoneIfMalformed()]
Name = Annotated[Annotated[_TextNotBlank, AfterValidator(_unescaped)] | None, NoneIfMalformed()]
"""A text that a shop may have prepared for a web page: its HTML entities are unescaped once."""
FreeText = Annotated[Annotated[_TextNotBlank, Unless(f"^{_WORDS}$", _reason)] | None, NoneIfMalformed()]
"""A name that a person may have typed: contact data in it is masked (rule 13)."""
Label = Annotated[
    Annotated[_TextNotBlank, Unless(f"^{_WORDS}{_TELLING}{_WORDS}$", _reason_or_placeholder)] | None, NoneIfMalformed()
]
"""A short free text, such as a shipping method: contact data in it is masked, and a placeholder is no text."""
Url = Annotated[Annotated[_WebAddress, AfterValidator(strip_private)] | None, NoneIfMalformed()]
Id = Annotated[_TextNotBlank, Unless(_TELLING, _no_placeholder)]
RecordId = Annotated[Id | None, NoneIfMalformed()]
"""The id of a product. A placeholder is no id (rule 22)."""
Sku = Annotated[Annotated[Id, Unless(f"^[!-~]{{1,{MAX_SKU_LENGTH}}}$", _sku)] | None, NoneIfMalformed()]
"""A SKU as the shop writes it, on one line. A placeholder is no SKU (rule 22)."""
Number = Annotated[_AnyNumber | None, NoneIfMalformed()]
Currency = Annotated[_CurrencyCode | None, NoneIfMalformed()]
_plausible, _otherwise_read = _date(in_utc)
Date = Annotated[Annotated[datetime, _plausible] | None, _otherwise_read, _PlainUtc()]
"""A date in UTC (rule 21)."""
_plausible_day, _otherwise_day = _date(day_or_moment)
ShipBy = Annotated[Annotated[datetime, _plausible_day] | None, _otherwise_day, _PlainUtc()]
"""A date in UTC. Midnight means the day, also if the shop gives it with an offset."""
type Objects[T] = Annotated[tuple[T, ...], BeforeValidator(only_objects)]
"""A list of objects. Items that are not objects are skipped; a value that is not a list counts as an empty list."""


def order_number(given: str) -> str | None:
    """The number of an order without HTML entities and contact data; None if it has nothing else."""
    try:
        number = _reason(given)
    except ValueError:
        return None
    return None if number in (EMAIL, PHONE) else number


def _none_if_empty(value: Any) -> Any:
    return value or None


class Envelope(Model):
    """A response body. If it reports an error, the request failed, whatever its status (rule 18)."""

    error: Annotated[None, BeforeValidator(_none_if_empty)] = None
    errors: Annotated[None, BeforeValidator(_none_if_empty)] = None


class Record(Model):
    """A record that tells a value that was not given from one that cannot be read."""

    __slots__ = ("_unreadable",)  # a private attribute of pydantic would cost as much as the whole record

    @property
    def unreadable(self) -> frozenset[str]:
        """The fields whose value was given and cannot be read."""
        return getattr(self, "_unreadable", frozenset())

    @model_validator(mode="wrap")
    @classmethod
    def _find_unreadable(cls, record: Any, handler: ModelWrapValidatorHandler[Self]) -> Self:
        read = handler(record)
        if isinstance(record, dict):
            object.__setattr__(read, "_unreadable", unreadable_fields(read, record))
        return read


def unreadable_fields(read: Model, record: Mapping[str, Any]) -> frozenset[str]:
    """The fields that a record gives a value that cannot be read.

    Args:
        read: What was read of the record.
        record: The record.
    """
    empty = [name for name in type(read).model_fields if getattr(read, name) is None and record.get(name)]
    return frozenset(name for name in empty if _is_given(record[name]))


def _is_given(value: Any) -> bool:
    return not (isinstance(value, str) and is_placeholder(value))


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
