"""The alerts about a connection, and what a page of orders shows about its connection."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from functools import partial

from orderwatch.alerts.alert import Alert, connection_alert
from orderwatch.alerts.kinds import (
    KIND_BLOCKED,
    KIND_CONNECTION_RECOVERED,
    KIND_NEW_STATUS,
    KIND_POLL_FAILING,
    KIND_PRODUCTS_BLOCKED,
    KIND_QUARANTINED,
    KIND_REFUSED_SETTINGS,
    KIND_REFUSED_SYNC,
    KIND_STALE,
    KIND_UNAUTHORIZED,
    KIND_UNKNOWN_STATUS,
    KIND_UNREADABLE,
    KIND_WATCH_STARTED,
    Recipients,
    status_phrase,
)
from orderwatch.alerts.parts import AlertConnection
from orderwatch.alerts.summary import ALL_SHOPS
from orderwatch.clock import duration
from orderwatch.deadlines.alerts import describe_past
from orderwatch.deadlines.rules import DeadlineRules
from orderwatch.observability import logger
from orderwatch.polling.detect import Observation
from orderwatch.reading.cursor import AfterPage, ReadContext
from orderwatch.reading.window import Progress, WindowKind
from orderwatch.records import ConnectionState, Health, HealthState, Secret
from orderwatch.rendering.formatting import plural
from orderwatch.sanitize import one_line
from orderwatch.statuses import DOCUMENTED_STATUSES
from orderwatch.trackstar.fields import UnreadableValues
from orderwatch.trackstar.orders import MAX_ID_LENGTH, OrderPage

MAX_REASON = 200
"""Characters of the vendor's message in an alert."""
MAX_NAMED = 20
"""Order ids in an alert about quarantined orders."""
MAX_QUARANTINED = 200
"""Quarantined orders in a connection's row; further ones are logged and counted only."""
MAX_OTHER_STATUSES = 50
"""Undocumented statuses in a connection's row."""
_ALERT_KINDS = {
    HealthState.STALE: KIND_STALE,
    HealthState.BLOCKED: KIND_BLOCKED,
    HealthState.UNAUTHORIZED: KIND_UNAUTHORIZED,
    HealthState.POLL_FAILING: KIND_POLL_FAILING,
}
_PROBLEMS = {
    HealthState.STALE: "The data was out of date",
    HealthState.BLOCKED: "It was blocked",
    HealthState.UNAUTHORIZED: "Trackstar refused access",
    HealthState.POLL_FAILING: "It could not be read",
}
_STEPS_FOR_OPERATORS = {
    Secret.API_KEY: "Store a valid API key, run: orderwatch connect-trackstar",
    Secret.ACCESS_TOKEN: "Store a valid access token, run: orderwatch connect {id}",
}
"""The command that replaces a refused secret; without one, the step of the kind names both."""
_SETTINGS_OPTIONS = {
    "time_zone": "--time-zone ZONE",
    "working_days": "--working-days DAYS",
    "holidays": "--holidays-of PLACE",
    "late_warning_hours": "--late-warning-hours HOURS",
    "stuck_days": "--stuck-days DAYS",
    "reminder_hours": "--reminder-hours HOURS",
}
"""The option of `orderwatch settings` that sets a key again."""


def page_alerts(
    state: ConnectionState, page: OrderPage, observed: Observation, after: AfterPage, context: ReadContext
) -> tuple[ConnectionState, list[Alert]]:
    """The alerts about the connection that a page causes: quarantined orders, unknown statuses, the start of the watch.

    Args:
        state: The state before the page.
        page: The page.
        observed: What it showed.
        after: The cursor after the page, and the window that the page finished.
        context: The circumstances of the reading.

    Returns:
        The state that records them, with the cursor as it was, and the alerts.
    """
    watched_deadlines, finished = state.cursor.deadlines.rules is not None, after.finished
    state, alerts = _with_quarantined(_with_statuses(state, observed), page, observed)
    now = observed.observed_at
    state, unreadable = with_unreadable(state, page.unreadable, connection=observed.connection, now=now)
    alerts += unreadable
    if finished is None:
        return state, alerts
    state, unknown = _with_unknown_statuses(state, context)
    state, new = _with_new_statuses(state, observed, context)
    alerts += [*unknown, *new]
    kind, rules = finished.window.kind, context.policy.deadlines
    if kind is WindowKind.BASELINE:
        alerts.append(_watch_started(finished, observed, context))
    elif kind is WindowKind.DEADLINES and rules and (finished.backlog.overdue or not watched_deadlines):
        alerts.append(_deadlines_started(finished, observed, context, rules))
    return state, alerts


def health_alerts(
    before: Health | None, after: Health, *, connection: AlertConnection, data_as_of: datetime | None = None
) -> list[Alert]:
    """The alerts about a change of health: the start of an unhealthy state, or its end.

    Everybody and the operators get one each, with the next step that they can take. A refused API key is alerted for
    `ALL_SHOPS` (`polling.health.with_api_key`), not for each shop.
    """
    if before and before.is_same_problem(after):
        return []
    about_key = after.is_key_refused or (before and before.is_key_refused and not after.is_unhealthy)
    if about_key and connection.id != ALL_SHOPS:
        return []
    if after.is_unhealthy:
        kind, detail, about = _ALERT_KINDS[after.state], after.detail, after.state
    elif before and before.is_unhealthy and after.state is HealthState.HEALTHY:
        kind, about = KIND_CONNECTION_RECOVERED, before.state
        problem = "Trackstar refused the API key" if before.is_key_refused else _PROBLEMS[before.state]
        detail = f"{problem} for {duration(after.since - before.since)}."
    else:
        return []
    alert = partial(
        connection_alert, kind, connection=connection, since=after.since, detail=detail, data_as_of=data_as_of
    )
    for_operators = alert(recipients=Recipients.OPERATORS)
    if after.refused:
        for_operators = for_operators.replace(next_step=_STEPS_FOR_OPERATORS[after.refused].format(id=connection.id))
    return [for_operators] if about is HealthState.POLL_FAILING else [alert(), for_operators]


def quarantine_alert(reasons: Mapping[str, str], *, connection: AlertConnection, now: datetime) -> Alert:
    """The alert about orders whose records are malformed (rule 9); `reasons` says why, by order id."""
    named = [_with_reason(key, reason) for key, reason in list(reasons.items())[:MAX_NAMED]]
    more = f" and {len(reasons) - MAX_NAMED} more" if len(reasons) > MAX_NAMED else ""
    detail = (
        f"{plural(len(reasons), 'order')} cannot be watched because the records are malformed: "
        f"{', '.join(named)}{more}. All other orders are watched."
    )
    return connection_alert(KIND_QUARANTINED, connection=connection, since=now, detail=detail, subject=sorted(reasons))


def _with_reason(key: str, reason: str) -> str:
    # The key of a record without an id contains the reason.
    shown = f"({reason})"
    return key if key.endswith(shown) else f"{key} {shown}"


def unreadable_alert(
    values: UnreadableValues, names: Sequence[str], *, connection: AlertConnection, now: datetime
) -> Alert:
    """The alert about values that cannot be read (rule 21); `names` are the fields that are reported."""
    named = ", ".join(_unreadable_field(name, values) for name in names)
    detail = (
        f"Values were given and cannot be read: {named}. They count as missing: an order without a readable "
        "latest_ship_date is never late. Further ones are counted in the metric ValuesUnreadable."
    )
    return connection_alert(KIND_UNREADABLE, connection=connection, since=now, detail=detail, subject=names)


def _unreadable_field(name: str, values: UnreadableValues) -> str:
    first = values.first_ids[name]
    return f"{name} ({values.counts[name]:,}{f', first in {one_line(first, MAX_ID_LENGTH)}' if first else ''})"


def with_unreadable(
    state: ConnectionState, values: UnreadableValues, *, connection: AlertConnection, now: datetime
) -> tuple[ConnectionState, list[Alert]]:
    """Report the fields with a value that cannot be read to the operators, each field once (rule 21)."""
    new = sorted(values.counts.keys() - set(state.unreadable))
    if not new:
        return state, []
    logger.warning("values cannot be read", extra={"counts": values.counts})
    alert = unreadable_alert(values, new, connection=connection, now=now)
    return replace(state, unreadable=(*state.unreadable, *new)), [alert]


def products_blocked(*, connection: AlertConnection, now: datetime) -> Alert:
    """The alert about products that Trackstar cannot sync. Orders are not affected (rule 10)."""
    detail = (
        "Trackstar cannot sync the shop's products. Its orders are watched as before, but product names, pictures and "
        "stock in alerts can be missing or out of date."
    )
    return connection_alert(KIND_PRODUCTS_BLOCKED, connection=connection, since=now, detail=detail)


def refused_settings(flaw: str, *, connection: AlertConnection, now: datetime) -> Alert:
    """The alert about invalid settings of a shop."""
    detail = f"The shop's own settings cannot be read ({flaw}). The stack's settings apply until they are corrected."
    options = "".join(f" {option}" for key, option in _SETTINGS_OPTIONS.items() if f"{key}:" in flaw.split())
    what = "Set them again" if options else "Delete them"
    step = f"{what}, run: orderwatch settings {connection.id} --remove{options}"
    alert = connection_alert(KIND_REFUSED_SETTINGS, connection=connection, since=now, detail=detail)
    return alert.replace(next_step=step)


def refused_sync(reason: str, *, connection: AlertConnection, now: datetime) -> Alert:
    """The alert about a refused sync request."""
    detail = (
        f"Trackstar refused to sync the shop now ({one_line(reason, MAX_REASON)}). orderwatch keeps watching it by "
        "Trackstar's own syncs and requests a sync once a day."
    )
    return connection_alert(KIND_REFUSED_SYNC, connection=connection, since=now, detail=detail)


def unknown_status_alert(status: str, *, now: datetime) -> Alert:
    """The alert about a watched status that may be misspelt. Its id is the same for all connections."""
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


def new_status_alert(
    statuses: Sequence[str], watched: Collection[str], *, connection: AlertConnection, now: datetime
) -> Alert:
    """The alert about statuses of a shop's orders that Trackstar does not document."""
    named = [f"{status} (watched)" if status in watched else status for status in statuses[:MAX_NAMED]]
    more = f" and {len(statuses) - MAX_NAMED} more" if len(statuses) > MAX_NAMED else ""
    detail = (
        f"Orders of this shop have {'statuses' if len(statuses) > 1 else 'a status'} that Trackstar does not document: "
        f"{', '.join(named)}{more}. Only statuses in AlertStatuses raise an alert."
    )
    return connection_alert(KIND_NEW_STATUS, connection=connection, since=now, detail=detail, subject=statuses)


def _watch_started(finished: Progress, observed: Observation, context: ReadContext) -> Alert:
    """The one alert at the end of a baseline (rule 8), with the deadlines that had already passed (rule 19)."""
    policy, backlog = context.policy, finished.backlog.backlog(now=observed.observed_at)
    by_status = sorted(backlog.by_status.items(), key=lambda each: -each[1]) if backlog else []
    counts = ", ".join(f"{count:,} {status_phrase(status)}" for status, count in by_status)
    past = describe_past(finished.backlog.overdue, policy.deadlines) if policy.deadlines else []
    watched = f"Now watching {plural(finished.read_count, 'order')}"
    return connection_alert(
        KIND_WATCH_STARTED,
        connection=observed.connection,
        since=finished.window.until,
        detail=" ".join([f"{watched}{f' ({counts})' if counts else ', none in a watched status'}.", *past]),
        data_as_of=context.last_sync_end,
        backlog=backlog,
    )


def _deadlines_started(finished: Progress, observed: Observation, context: ReadContext, rules: DeadlineRules) -> Alert:
    """The one alert when deadlines are first watched, or their rules change, in a shop that was watched before."""
    past = describe_past(finished.backlog.overdue, rules) or ["None has passed."]
    watched = f"Now watching the deadlines of {plural(finished.read_count, 'open order')}."
    return connection_alert(
        KIND_WATCH_STARTED,
        connection=observed.connection,
        since=finished.window.until,
        detail=" ".join([watched, *past]),
        data_as_of=context.last_sync_end,
        subject=["deadlines"],
    )


def unknown_statuses(watched: Collection[str], seen: Collection[str]) -> list[str]:
    """The watched statuses that Trackstar does not document and no order has had."""
    return sorted(set(watched) - DOCUMENTED_STATUSES - set(seen))


def _with_statuses(state: ConnectionState, observed: Observation) -> ConnectionState:
    """Record undocumented statuses of the connection's orders."""
    other = {order.status for order in observed.orders.values()} - DOCUMENTED_STATUSES - set(state.other_statuses)
    if not other or len(state.other_statuses) >= MAX_OTHER_STATUSES:
        return state
    return replace(state, other_statuses=(*state.other_statuses, *sorted(other))[:MAX_OTHER_STATUSES])


def _with_unknown_statuses(state: ConnectionState, context: ReadContext) -> tuple[ConnectionState, list[Alert]]:
    """Report watched statuses that may not exist to the operators, each once."""
    unknown = unknown_statuses(context.policy.statuses, state.other_statuses)
    new = [status for status in unknown if status not in state.reported_statuses]
    state = replace(state, reported_statuses=(*state.reported_statuses, *new))
    return state, [unknown_status_alert(status, now=context.now.vendor) for status in new]


def _with_new_statuses(
    state: ConnectionState, observed: Observation, context: ReadContext
) -> tuple[ConnectionState, list[Alert]]:
    """Report the shop's own statuses to the operators, each once, in one alert for each window (rule 9)."""
    new = state.other_statuses[state.reported_other_statuses :]
    if not new:
        return state, []
    alert = new_status_alert(new, context.policy.statuses, connection=observed.connection, now=context.now.vendor)
    return replace(state, reported_other_statuses=len(state.other_statuses)), [alert]


def _with_quarantined(
    state: ConnectionState, page: OrderPage, observed: Observation
) -> tuple[ConnectionState, list[Alert]]:
    """Record quarantined orders, and notify the operators of new ones (rule 9)."""
    readable = {order.quarantine_key for order in observed.orders.values()} if state.quarantined else set()
    known = {order_id: reason for order_id, reason in state.quarantined.items() if order_id not in readable}
    new = {each.key: each.reason for each in page.quarantined if known.get(each.key) != each.reason}
    for order_id, reason in new.items():
        logger.warning("order quarantined", extra={"order_id": order_id, "reason": reason})
    named = dict(list(new.items())[: max(MAX_QUARANTINED - len(known), 0)])
    state = replace(state, quarantined=known | named)
    return state, [quarantine_alert(named, connection=observed.connection, now=observed.observed_at)] if named else []
