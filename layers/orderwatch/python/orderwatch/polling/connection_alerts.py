"""What a page says about the connection itself: its row, and the alerts about it."""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import replace
from datetime import datetime
from functools import partial

from orderwatch.alerts.alert import Alert, connection_alert
from orderwatch.alerts.kinds import (
    KIND_BLOCKED,
    KIND_CONNECTION_RECOVERED,
    KIND_POLL_FAILING,
    KIND_QUARANTINED,
    KIND_REFUSED_SETTINGS,
    KIND_REFUSED_SYNC,
    KIND_STALE,
    KIND_UNAUTHORIZED,
    KIND_UNKNOWN_STATUS,
    KIND_WATCH_STARTED,
    Recipients,
    status_phrase,
)
from orderwatch.alerts.parts import AlertConnection, Backlog
from orderwatch.clock import duration
from orderwatch.deadlines.alerts import describe_past
from orderwatch.deadlines.rules import DeadlineRules
from orderwatch.observability import logger
from orderwatch.polling.detect import Observation
from orderwatch.reading.cursor import ReadContext
from orderwatch.reading.policy import Policy
from orderwatch.reading.window import Progress, WindowKind
from orderwatch.records import ConnectionState, Health, HealthState
from orderwatch.sanitize import one_line
from orderwatch.trackstar.orders import OrderPage, Quarantined

MAX_REASON = 200
"""Characters of the vendor's own words in an alert."""
MAX_NAMED = 20
"""Orders that an alert about quarantined orders names."""
MAX_QUARANTINED = 200
"""Quarantined orders that a connection's row holds; further ones are logged and counted only."""
MAX_OTHER_STATUSES = 50
"""Undocumented statuses that a connection's row holds."""
DOCUMENTED_STATUSES = frozenset(
    {
        "open",
        "confirmed",
        "processing",
        "partially_fulfilled",
        "fulfilled",
        "backordered",
        "exception",
        "cancelled",
        "other",
    }
)
"""Trackstar's statuses (docs/trackstar.md). It may add others, and a shop may have some of its own."""
_ALERT_KINDS = {
    HealthState.STALE: KIND_STALE,
    HealthState.BLOCKED: KIND_BLOCKED,
    HealthState.UNAUTHORIZED: KIND_UNAUTHORIZED,
    HealthState.POLL_FAILING: KIND_POLL_FAILING,
}


def after_page(
    state: ConnectionState, page: OrderPage, observed: Observation, context: ReadContext
) -> tuple[ConnectionState, list[Alert]]:
    """Move the cursor behind a page, and record what the page shows about the connection.

    Returns:
        The state behind the page, and the alerts about quarantined orders, unknown statuses and the start of the watch.

    Raises:
        PagingError: The page tokens led nowhere in every attempt.
    """
    state = _with_statuses(state, observed)
    state, alerts = _with_quarantined(state, page, observed)
    deadlines_before = state.cursor.deadlines.rules
    cursor, finished = state.cursor.after(page, observed.orders, context)
    state = replace(state, cursor=cursor)
    if finished is None:
        return state, alerts
    state, unknown = report_unknown_statuses(state, policy=context.policy, now=context.now.vendor)
    started = _started(finished, observed, context, first_deadlines=deadlines_before is None)
    return state, [*alerts, *unknown, *started]


def health_alerts(
    before: Health | None, after: Health, *, connection: AlertConnection, data_as_of: datetime | None = None
) -> list[Alert]:
    """The alerts about a change of health: the start of an unhealthy state, or its end.

    The shop's owner and the operators get one each, with the next step that they can take themselves.
    """
    if before and before.state is after.state:
        return []
    if after.is_unhealthy:
        kind, detail, about = _ALERT_KINDS[after.state], after.detail, after.state
    elif before and before.is_unhealthy and after.state is HealthState.HEALTHY:
        kind, about = KIND_CONNECTION_RECOVERED, before.state
        detail = f"It was {before.state} for {duration(after.since - before.since)}."
    else:
        return []
    alert = partial(
        connection_alert, kind, connection=connection, since=after.since, detail=detail, data_as_of=data_as_of
    )
    for_operators = alert(recipients=Recipients.OPERATORS)
    return [for_operators] if about is HealthState.POLL_FAILING else [alert(), for_operators]


def quarantine_alert(reasons: Mapping[str, str], *, connection: AlertConnection, now: datetime) -> Alert:
    """The alert about orders whose records cannot be read (rule 9).

    Args:
        reasons: Why, by order id; not empty.
        connection: The connection of the orders.
        now: The vendor's clock.
    """
    named = [f"{order_id} ({reason})" for order_id, reason in list(reasons.items())[:MAX_NAMED]]
    more = f" and {len(reasons) - MAX_NAMED} more" if len(reasons) > MAX_NAMED else ""
    detail = (
        f"{len(reasons):,} order{'s' if len(reasons) > 1 else ''} cannot be watched because the records are malformed: "
        f"{', '.join(named)}{more}. All other orders are watched."
    )
    return connection_alert(KIND_QUARANTINED, connection=connection, since=now, detail=detail, subject=sorted(reasons))


def refused_settings(flaw: str, *, connection: AlertConnection, now: datetime) -> Alert:
    """The alert about a shop's own settings that cannot be read."""
    detail = f"The shop's own settings cannot be read ({flaw}). The stack's settings apply until they are corrected."
    return connection_alert(KIND_REFUSED_SETTINGS, connection=connection, since=now, detail=detail)


def refused_sync(reason: str, *, connection: AlertConnection, now: datetime) -> Alert:
    """The alert about a sync that was requested and that Trackstar refused."""
    detail = (
        f"Trackstar refused to sync the shop now ({one_line(reason, MAX_REASON)}). orderwatch keeps watching it by "
        "Trackstar's own syncs and requests a sync once a day."
    )
    return connection_alert(KIND_REFUSED_SYNC, connection=connection, since=now, detail=detail)


def unknown_status_alert(status: str, *, now: datetime) -> Alert:
    """The alert about a watched status that may be misspelt; it has the same id for all connections."""
    detail = (
        f"AlertStatuses contains {status}, which Trackstar does not document and no order of the shop that was just "
        "read has had. If it is misspelt, it never raises an alert."
    )
    return connection_alert(
        KIND_UNKNOWN_STATUS,
        connection=AlertConnection(id="AlertStatuses"),
        since=now,
        detail=detail,
        id_parts=[KIND_UNKNOWN_STATUS, status],
    )


def watch_started(
    progress: Progress,
    *,
    connection: AlertConnection,
    statuses: Collection[str],
    rules: DeadlineRules | None,
    backlog: Backlog | None,
    data_as_of: datetime | None,
) -> Alert:
    """The one alert that a baseline ends with (rule 8), with the deadlines that had passed already (rule 19).

    Args:
        progress: The finished baseline.
        connection: The shop.
        statuses: The watched statuses.
        rules: The shop's deadline rules; None: deadlines are not watched.
        backlog: The orders that need attention already.
        data_as_of: The end of the last sync.
    """
    by_status = sorted(backlog.by_status.items()) if backlog else []
    counts = [f"{count:,} {status_phrase(status)}" for status, count in by_status]
    attention = f"{', '.join(counts)} now" if counts else "none needs attention now"
    past = describe_past(progress.backlog.overdue, rules) if rules else ""
    return connection_alert(
        KIND_WATCH_STARTED,
        connection=connection,
        since=progress.window.until,
        detail=f"Watching {progress.read_count:,} orders for {', '.join(sorted(statuses))}; {attention}."
        + (f" {past}: only deadlines that pass from now on are alerted." if past else ""),
        data_as_of=data_as_of,
        backlog=backlog,
    )


def deadlines_started(
    progress: Progress, connection: AlertConnection, *, rules: DeadlineRules, data_as_of: datetime | None
) -> Alert:
    """The one alert of a shop that was watched before when its deadlines are first watched, or their rules change."""
    past = describe_past(progress.backlog.overdue, rules) or "None has passed"
    return connection_alert(
        KIND_WATCH_STARTED,
        connection=connection,
        since=progress.window.until,
        detail=f"Now watching the deadlines of {progress.read_count:,} open orders. {past}: only deadlines that pass "
        "from now on are alerted.",
        data_as_of=data_as_of,
        subject=["deadlines"],
    )


def _started(finished: Progress, observed: Observation, context: ReadContext, *, first_deadlines: bool) -> list[Alert]:
    """The alert that a finished baseline, or a first recording of deadlines, ends with."""
    rules, kind = context.policy.deadlines, finished.window.kind
    if kind is WindowKind.BASELINE:
        return [
            watch_started(
                finished,
                connection=observed.connection,
                statuses=context.policy.statuses,
                rules=rules,
                backlog=finished.backlog.backlog(now=observed.observed_at),
                data_as_of=context.last_sync_end,
            )
        ]
    is_news = first_deadlines or finished.backlog.overdue
    if kind is WindowKind.DEADLINES and rules and is_news:
        return [deadlines_started(finished, observed.connection, rules=rules, data_as_of=context.last_sync_end)]
    return []


def unknown_statuses(watched: Collection[str], seen: Collection[str]) -> list[str]:
    """The watched statuses that Trackstar does not document and no order has had."""
    return sorted(set(watched) - DOCUMENTED_STATUSES - set(seen))


def _with_statuses(state: ConnectionState, observed: Observation) -> ConnectionState:
    """Record undocumented statuses of the connection's orders."""
    other = {order.status for order in observed.orders.values()} - DOCUMENTED_STATUSES - set(state.other_statuses)
    if not other or len(state.other_statuses) >= MAX_OTHER_STATUSES:
        return state
    return replace(state, other_statuses=(*state.other_statuses, *sorted(other))[:MAX_OTHER_STATUSES])


def report_unknown_statuses(
    state: ConnectionState, *, policy: Policy, now: datetime
) -> tuple[ConnectionState, list[Alert]]:
    """Report watched statuses that may not exist to the operators, each once."""
    unknown = unknown_statuses(policy.statuses, state.other_statuses)
    new = [status for status in unknown if status not in state.reported_statuses]
    if not new:
        return state, []
    state = replace(state, reported_statuses=(*state.reported_statuses, *new))
    return state, [unknown_status_alert(status, now=now) for status in new]


def _with_quarantined(
    state: ConnectionState, page: OrderPage, observed: Observation
) -> tuple[ConnectionState, list[Alert]]:
    """Record which orders cannot be read; the operators are notified of new ones (rule 9)."""
    known = _still_quarantined(state.quarantined, observed)
    new = _new_reasons(page.quarantined, known)
    for order_id, reason in new.items():
        logger.warning("order quarantined", extra={"order_id": order_id, "reason": reason})
    named = dict(list(new.items())[: max(MAX_QUARANTINED - len(known), 0)])
    alerts = (
        [quarantine_alert(named, connection=observed.connection, now=observed.observed_at)] if named else list[Alert]()
    )
    return replace(state, quarantined=known | named), alerts


def _still_quarantined(quarantined: Mapping[str, str], observed: Observation) -> dict[str, str]:
    readable = {order.quarantine_key for order in observed.orders.values()} if quarantined else set()
    return {order_id: reason for order_id, reason in quarantined.items() if order_id not in readable}


def _new_reasons(quarantined: Iterable[Quarantined], known: Mapping[str, str]) -> dict[str, str]:
    return {each.key: each.reason for each in quarantined if known.get(each.key) != each.reason}
