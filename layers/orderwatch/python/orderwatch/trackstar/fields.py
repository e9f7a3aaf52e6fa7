"""The fields of the vendor's records: lenient, since most of them can be null and integrations differ.

A value that does not validate becomes `None`; the rest of its record is kept.
"""

from datetime import UTC, datetime
from decimal import Decimal
from typing import Annotated, Any

from pydantic import AfterValidator, Field, GetCoreSchemaHandler, StringConstraints
from pydantic_core import core_schema

from orderwatch.trackstar.privacy import mask_contacts, mask_number, strip_private

MAX_TEXT_LENGTH = 2048
"""Most characters of a text, so that every record fits its row (400 KB)."""


class NoneIfMalformed:
    """Annotation: a value that does not validate becomes `None`, without leaving the compiled validator."""

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> core_schema.CoreSchema:
        """Give the field's schema a default that also serves for errors (called by pydantic)."""
        return core_schema.with_default_schema(handler(source), default=None, on_error="default")


def _in_utc(value: datetime) -> datetime:
    return value.astimezone(UTC) if value.utcoffset() else value.replace(tzinfo=UTC)


_TextNotBlank = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=MAX_TEXT_LENGTH)]
_WebAddress = Annotated[str, StringConstraints(max_length=MAX_TEXT_LENGTH, pattern=r"^https?://[^\s<>\"]+$")]
_FiniteNumber = Annotated[Decimal, Field(max_digits=30, allow_inf_nan=False)]
_CurrencyCode = Annotated[str, StringConstraints(pattern=r"^[A-Za-z]{3}$", to_upper=True)]

Text = Annotated[_TextNotBlank | None, NoneIfMalformed()]
FreeText = Annotated[Annotated[_TextNotBlank, AfterValidator(mask_contacts)] | None, NoneIfMalformed()]
"""What a person may have typed: contact data in it is masked (rule 13)."""
OrderNumber = Annotated[Annotated[_TextNotBlank, AfterValidator(mask_number)] | None, NoneIfMalformed()]
Url = Annotated[Annotated[_WebAddress, AfterValidator(strip_private)] | None, NoneIfMalformed()]
Number = Annotated[_FiniteNumber | None, NoneIfMalformed()]
Currency = Annotated[_CurrencyCode | None, NoneIfMalformed()]
Date = Annotated[Annotated[datetime, AfterValidator(_in_utc)] | None, NoneIfMalformed()]
