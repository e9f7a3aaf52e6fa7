"""What all simulated records share: JSON objects, dates as text, amounts, seeded randomness, connection errors."""

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


def invalid_credentials(message: str = "The shop refused the stored credentials.") -> Record:
    """The documented error that blocks all syncing."""
    return {"error_type": "invalid_credentials", "resource": None, "message": message}


def missing_permission(resource: str, message: str = "The shop does not grant this.") -> Record:
    """The documented error about one resource; syncing goes on."""
    return {"error_type": "missing_permission", "resource": resource, "message": message}


def endpoint_error(endpoint: str, *, preventing_sync: bool, first_seen: datetime, last_seen: datetime) -> Record:
    """An error in the other documented shape; it blocks its endpoint's syncing where it says so."""
    return {
        "error_message": f"The shop answers {endpoint} with errors.",
        "affected_endpoints": [{"endpoint": endpoint, "preventing_sync": preventing_sync}],
        "first_seen": stamp(first_seen),
        "last_seen": stamp(last_seen),
    }


def blocks(error: Record, function: str) -> bool:
    """Whether an error keeps a sync function from running."""
    if error.get("error_type") == "invalid_credentials":
        return True
    affected = error.get("affected_endpoints") or []
    return any(item["preventing_sync"] and item["endpoint"] == function for item in affected)
