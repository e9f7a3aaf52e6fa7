"""The results of polls, as poll_orders logs them."""

import json
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from orderwatch.polling.metrics import Outcome
from orderwatch.sanitize import one_line

POLL_ENDED = "poll ended"
"""The message that poll_orders logs at the end of a poll."""
POLL_FAILED = "poll failed; the cursor stays"
"""The message that poll_orders logs when a poll raised an error."""
FAILED = "failed"
"""The outcome of a poll that raised an error."""
MAX_REASON = 300
"""Characters of a reason."""
_REASONS: dict[str, str] = {
    Outcome.UNAUTHORIZED: "Trackstar refuses the API key or the access token",
    Outcome.INITIAL_SYNC: "Trackstar has not finished its first sync of this shop",
    Outcome.NOT_CONNECTED: "the shop has no access token, so it is no longer watched",
}


@dataclass(frozen=True, slots=True)
class PollResult:
    """The result of one poll.

    Attributes:
        connection_id: The polled connection.
        at: When the poll ended, by the clock of the log.
        poll_id: The ID of the poll.
        outcome: How it ended: an `Outcome` or `FAILED`.
        orders: Orders that were read.
        moved: Orders that are new or changed their status.
        alerts: Alerts that were written.
        remaining: Orders that are left to the next poll.
        reason: Why the poll failed; None if it succeeded.
    """

    connection_id: str
    at: datetime
    poll_id: str = ""
    outcome: str = Outcome.FINISHED
    orders: int = 0
    moved: int = 0
    alerts: int = 0
    remaining: int = 0
    reason: str | None = None


def parse_result(message: str, *, at: datetime) -> PollResult | None:
    """Return the poll result in a log line; None if the line holds none."""
    entry = _json_entry(message)
    found = PollResult(str(entry.get("connection_id")), at, str(entry.get("poll_id", "")))
    if entry.get("message") == POLL_FAILED:
        return replace(found, outcome=FAILED, reason=_failure_reason(entry))
    if entry.get("message") != POLL_ENDED:
        return None
    outcome = str(entry.get("outcome", Outcome.FINISHED))
    return replace(
        found,
        outcome=outcome,
        orders=entry.get("OrdersRead", 0),
        moved=entry.get("OrdersWritten", 0),
        alerts=entry.get("AlertsWritten", 0),
        remaining=entry.get("OrdersRemaining", 0),
        reason=_REASONS.get(outcome),
    )


def _json_entry(message: str) -> dict[str, Any]:
    try:
        entry = json.loads(message)
    except ValueError:
        return {}
    return entry if isinstance(entry, dict) else {}


def _failure_reason(entry: dict[str, Any]) -> str:
    """The message of the exception, without its traceback and class name."""
    lines = str(entry.get("exception") or "").strip().splitlines() or ["the reason was not logged"]
    name = str(entry.get("exception_name") or "")
    _, is_named, message = lines[-1].partition(f"{name}: ")
    return one_line(message if is_named and name else lines[-1], MAX_REASON)
