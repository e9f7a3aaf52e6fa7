"""The fields of the vendor's records, and how a response body becomes Python values.

Most fields can be null, and integrations differ. An invalid field becomes None, and its record is kept.
"""

import json
from datetime import UTC, datetime
from decimal import Decimal
from typing import Annotated, Any

from pydantic import AfterValidator, BeforeValidator, Field, GetCoreSchemaHandler, StringConstraints
from pydantic_core import core_schema, from_json

from orderwatch.sanitize import replace_surrogates
from orderwatch.trackstar.privacy import mask_contacts, mask_number, strip_private

MAX_TEXT_LENGTH = 2048
"""Maximum characters of a text, so that every record fits into a DynamoDB row (400 KB)."""


class NoneIfMalformed:
    """Annotation: an invalid value becomes None, inside the compiled validator."""

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> core_schema.CoreSchema:
        """Add a default to the field's schema that also applies to errors (pydantic calls this)."""
        return core_schema.with_default_schema(handler(source), default=None, on_error="default")


def _in_utc(value: datetime) -> datetime:
    return value.astimezone(UTC) if value.utcoffset() else value.replace(tzinfo=UTC)


def _only_objects(value: Any) -> Any:
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []


_TextNotBlank = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=MAX_TEXT_LENGTH)]
_WebAddress = Annotated[str, StringConstraints(max_length=MAX_TEXT_LENGTH, pattern=r"^https?://[^\s<>\"]+$")]
_FiniteNumber = Annotated[Decimal, Field(max_digits=30, allow_inf_nan=False)]
_CurrencyCode = Annotated[str, StringConstraints(pattern=r"^[A-Za-z]{3}$", to_upper=True)]

Text = Annotated[_TextNotBlank | None, NoneIfMalformed()]
FreeText = Annotated[Annotated[_TextNotBlank, AfterValidator(mask_contacts)] | None, NoneIfMalformed()]
"""A text that a person may have typed: contact data in it is masked (rule 13)."""
OrderNumber = Annotated[Annotated[_TextNotBlank, AfterValidator(mask_number)] | None, NoneIfMalformed()]
Url = Annotated[Annotated[_WebAddress, AfterValidator(strip_private)] | None, NoneIfMalformed()]
Number = Annotated[_FiniteNumber | None, NoneIfMalformed()]
Currency = Annotated[_CurrencyCode | None, NoneIfMalformed()]
Date = Annotated[Annotated[datetime, AfterValidator(_in_utc)] | None, NoneIfMalformed()]
type Objects[T] = Annotated[tuple[T, ...], BeforeValidator(_only_objects)]
"""A list of objects. Items that are not objects are skipped; a value that is not a list counts as an empty list."""


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
