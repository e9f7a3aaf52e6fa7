"""The alerts that a poll raises about the connection itself, in words."""

from collections.abc import Mapping
from datetime import datetime

from orderwatch.alerts import (
    KIND_BLOCKED,
    KIND_CONNECTION_RECOVERED,
    KIND_QUARANTINED,
    KIND_STALE,
    KIND_UNAUTHORIZED,
    KIND_WATCH_STARTED,
    Alert,
    AlertConnection,
    connection_alert,
    status_phrase,
)
from orderwatch.polling.health import Health, HealthState
from orderwatch.polling.windows import Progress

MAX_NAMED = 20
"""Orders that a notice of quarantine names."""
_ALERT_KINDS = {
    HealthState.STALE: KIND_STALE,
    HealthState.BLOCKED: KIND_BLOCKED,
    HealthState.UNAUTHORIZED: KIND_UNAUTHORIZED,
}


def health_alert(
    before: Health | None, after: Health, *, connection: AlertConnection, data_as_of: datetime | None = None
) -> Alert | None:
    """The alert that a change of state asks for: trouble, or the end of trouble that was alerted."""
    if before and before.state is after.state:
        return None
    if after.is_trouble:
        kind, detail = _ALERT_KINDS[after.state], after.detail
    elif before and before.is_trouble and after.state is HealthState.HEALTHY:
        kind = KIND_CONNECTION_RECOVERED
        detail = f"The shop can be seen again; it was {before.state} since {before.since:%Y-%m-%d %H:%M} UTC."
    else:
        return None
    return connection_alert(kind, connection=connection, since=after.since, detail=detail, data_as_of=data_as_of)


def quarantine_notice(reasons: Mapping[str, str], *, connection: AlertConnection, now: datetime) -> Alert | None:
    """The operators' notice of orders that cannot be watched; None where there are none.

    Args:
        reasons: Why, by order id.
        connection: Theirs.
        now: The vendor's clock.
    """
    if not reasons:
        return None
    named = [f"{order_id} ({reason})" for order_id, reason in list(reasons.items())[:MAX_NAMED]]
    more = f" and {len(reasons) - MAX_NAMED} more" if len(reasons) > MAX_NAMED else ""
    detail = (
        f"{len(reasons):,} order{'s' if len(reasons) > 1 else ''} cannot be watched, their records are malformed: "
        f"{', '.join(named)}{more}. The other orders are watched; ask Trackstar's support about these."
    )
    return connection_alert(KIND_QUARANTINED, connection=connection, since=now, detail=detail, subject=sorted(reasons))


def watch_started(progress: Progress, *, connection: AlertConnection, data_as_of: datetime | None) -> Alert:
    """The one summary that a baseline ends with (rule 8)."""
    now_in = [f"{count:,} {status_phrase(status)}" for status, count in sorted(progress.attention.items())]
    standing = f"{', '.join(now_in)} now" if now_in else "none needs attention now"
    return connection_alert(
        KIND_WATCH_STARTED,
        connection=connection,
        since=progress.window.until,
        detail=f"Watching {progress.distinct:,} orders; {standing}.",
        data_as_of=data_as_of,
    )
