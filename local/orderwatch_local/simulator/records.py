"""What all simulated records share: JSON objects, dates as text, amounts, seeded randomness, connection errors."""

from datetime import UTC, datetime
from random import Random
from typing import Any

type Record = dict[str, Any]
"""One JSON object as the API serves it."""

ZERO_DECIMAL_CURRENCIES = frozenset({"JPY", "KRW", "VND"})


def stamp(moment: datetime) -> str:
    """Format a moment as the vendor does: UTC, truncated to whole seconds.

    The texts sort in the order of the moments, so filters compare texts.
    """
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def amount(minor_units: int, currency: str) -> int | float:
    """Return an amount in the currency's unit, from its smallest unit (cents; whole yen)."""
    return minor_units if currency in ZERO_DECIMAL_CURRENCIES else round(minor_units / 100, 2)


def seeded(*parts: object) -> Random:
    """Return a random generator that depends only on these parts."""
    return Random(":".join(map(str, parts)))  # noqa: S311 - reproducible simulated data


def invalid_credentials(message: str = "The shop refused the stored credentials.") -> Record:
    """The documented error that stops all syncs."""
    return {"error_type": "invalid_credentials", "resource": None, "message": message}


def missing_permission(resource: str, message: str = "The shop does not grant this.") -> Record:
    """The documented error about one resource; syncs continue."""
    return {"error_type": "missing_permission", "resource": resource, "message": message}


def endpoint_error(endpoint: str, *, preventing_sync: bool, first_seen: datetime, last_seen: datetime) -> Record:
    """An error in the other documented form; it stops the syncs of its endpoint if `preventing_sync` is true."""
    return {
        "error_message": f"The shop answers {endpoint} with errors.",
        "affected_endpoints": [{"endpoint": endpoint, "preventing_sync": preventing_sync}],
        "first_seen": stamp(first_seen),
        "last_seen": stamp(last_seen),
    }


def blocks(error: Record, function: str) -> bool:
    """Whether an error stops a sync function; its endpoint may be `get_orders`, `getOrders` or `/cart/orders`."""
    if error.get("error_type") == "invalid_credentials":
        return True
    resource = function.removeprefix("get_")
    affected = error.get("affected_endpoints") or []
    return any(item["preventing_sync"] and item["endpoint"].lower().endswith(resource) for item in affected)
