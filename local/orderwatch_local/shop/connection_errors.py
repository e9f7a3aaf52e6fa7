"""What a connection shows in `errors[]`, in the shapes that the vendor documents."""

from datetime import datetime

from orderwatch_local.shop.records import Record, stamp


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
