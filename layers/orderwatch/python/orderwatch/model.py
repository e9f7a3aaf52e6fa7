"""The base class of the data models."""

from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationError

_PHRASES = {
    "missing": "is missing",
    "extra_forbidden": "is unknown",
    "greater_than_equal": "must be at least {ge}",
    "less_than_equal": "must be at most {le}",
    "too_short": "has fewer than {min_length} entries",
    "too_long": "has more than {max_length} entries",
    "string_too_short": "is empty",
    "string_too_long": "has more than {max_length} characters",
    "string_pattern_mismatch": "is malformed",
    "enum": "must be one of {expected}",
    "literal_error": "must be {expected}",
    "json_invalid": "is no JSON",
    "value_error": "{error}",
}
"""What is wrong with a value, by Pydantic's type of the error."""
_NOUNS = {
    "int": "a whole number",
    "float": "a number",
    "decimal": "a number",
    "datetime": "a time such as 2026-03-02T10:00Z",
    "timezone": "a time with a zone",
    "date": "a date such as 2026-12-24",
    "bool": "true or false",
    "string": "a text",
    "list": "a list",
    "tuple": "a list",
    "set": "a list",
    "frozen": "a list",
    "dict": "an object",
    "model": "an object",
}
"""What a value must be, by the first word of Pydantic's type of the error."""


class Model(BaseModel):
    """A frozen model. Its validator is built at first use, so that a cold start builds only those that it needs."""

    model_config = ConfigDict(frozen=True, defer_build=True)


def describe_flaws(error: ValidationError) -> str:
    """Describe which fields are invalid and why, without their values: values can be personal (rule 13)."""
    flaws = error.errors(include_url=False, include_context=False, include_input=False)
    return ", ".join(f"{'.'.join(map(str, flaw['loc'])) or 'record'}: {flaw['type']}" for flaw in flaws)


def in_words(flaw: Mapping[str, Any]) -> str:
    """Describe one of Pydantic's errors in plain words, without the value."""
    kind = flaw["type"]
    if phrase := _PHRASES.get(kind):
        return phrase.format_map(flaw.get("ctx", {}))
    noun = _NOUNS.get(kind.partition("_")[0])
    return f"must be {noun}" if noun else "is not valid"


def flaws_in_words(error: ValidationError, *, whole: str = "document") -> str:
    """Describe for people which fields are invalid and why, without their values (rule 13).

    Args:
        error: The error.
        whole: What to call the whole value.
    """
    flaws = error.errors(include_url=False, include_input=False)
    return "; ".join(_sentence(flaw, ".".join(map(str, flaw["loc"])) or whole) for flaw in flaws)


def _sentence(flaw: Mapping[str, Any], field: str) -> str:
    colon = ":" if flaw["type"] == "value_error" else ""  # our own message, which need not begin with a verb
    return f"{field}{colon} {in_words(flaw)}"
