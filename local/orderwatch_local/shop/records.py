"""What every record of the simulated vendor has in common: JSON objects, dates as text, amounts, seeded chance."""

from datetime import UTC, datetime
from random import Random
from typing import Any

type Record = dict[str, Any]
"""One JSON object as the API serves it."""

ZERO_DECIMAL_CURRENCIES = frozenset({"JPY", "KRW", "VND"})


def stamp(moment: datetime) -> str:
    """A moment as the vendor writes it: UTC, whole seconds, cut not rounded.

    The text sorts as the moments do, so filters compare texts.
    """
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def amount(minor_units: int, currency: str) -> int | float:
    """An amount in the currency's own unit, from its smallest one (cents; whole yen)."""
    return minor_units if currency in ZERO_DECIMAL_CURRENCIES else round(minor_units / 100, 2)


def seeded(*parts: object) -> Random:
    """A source of chance that depends on nothing but these parts."""
    return Random(":".join(map(str, parts)))  # noqa: S311 - simulated data, the same for every run of a seed
