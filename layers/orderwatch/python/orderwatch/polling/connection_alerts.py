"""The alerts that a poll raises about the connection itself, in words."""

from collections.abc import Collection, Iterable, Mapping
from datetime import datetime
from functools import partial

from orderwatch.alerts.alert import Alert, alert_id, connection_alert
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
from orderwatch.alerts.parts import AlertConnection, Backlog, BacklogOrder, by_urgency
from orderwatch.clock import duration
from orderwatch.deadlines.alerts import describe_past
from orderwatch.deadlines.rules import DeadlineRules
from orderwatch.polling.cursor import MAX_WAITING, ConnectionState, Progress
from orderwatch.polling.detect import Observation
from orderwatch.polling.policy import Policy
from orderwatch.records import Health, HealthState
from orderwatch.sanitize import one_line
from orderwatch.trackstar.orders import Order

MAX_REASON = 200
"""Characters of the vendor's own words in a notice."""
MAX_NAMED = 20
"""Orders that a notice of quarantine names."""
_ALERT_KINDS = {
    HealthState.STALE: KIND_STALE,
    HealthState.BLOCKED: KIND_BLOCKED,
    HealthState.UNAUTHORIZED: KIND_UNAUTHORIZED,
    HealthState.POLL_FAILING: KIND_POLL_FAILING,
}


def health_alerts(
    before: Health | None, after: Health, *, connection: AlertConnection, data_as_of: datetime | None = None
) -> list[Alert]:
    """The alerts that a change of state asks for: trouble, or the end of trouble that was alerted.

    The shop's owner and the operators get one each, with a next step of their own: the one can mend the shop, the other
    its parameters.
    """
    if before and before.state is after.state:
        return []
    if after.is_unhealthy:
        kind, detail, what = _ALERT_KINDS[after.state], after.detail, after.state
    elif before and before.is_unhealthy and after.state is HealthState.HEALTHY:
        kind, what = KIND_CONNECTION_RECOVERED, before.state
        detail = f"It was {before.state} for {duration(after.since - before.since)}."
    else:
        return []
    about = partial(
        connection_alert, kind, connection=connection, since=after.since, detail=detail, data_as_of=data_as_of
    )
    for_operators = about(recipients=Recipients.OPERATORS)
    return [for_operators] if what is HealthState.POLL_FAILING else [about(), for_operators]


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
        f"{', '.join(named)}{more}. The other orders are watched."
    )
    return connection_alert(KIND_QUARANTINED, connection=connection, since=now, detail=detail, subject=sorted(reasons))


def refused_settings(flaw: str, *, connection: AlertConnection, now: datetime) -> Alert:
    """The operators' notice of a shop's own settings that cannot be read."""
    detail = f"The shop's own settings cannot be read ({flaw}): until they can, those of the stack apply."
    return connection_alert(KIND_REFUSED_SETTINGS, connection=connection, since=now, detail=detail)


def refused_sync(reason: str, *, connection: AlertConnection, now: datetime) -> Alert:
    """The operators' notice that Trackstar does not sync a shop when it is asked to."""
    detail = (
        f"Trackstar refused to sync the shop now ({one_line(reason, MAX_REASON)}). It is watched as before, by "
        "Trackstar's own syncs, and asked again once a day."
    )
    return connection_alert(KIND_REFUSED_SYNC, connection=connection, since=now, detail=detail)


def unknown_status_alert(status: str, *, now: datetime) -> Alert:
    """The operators' notice of a watched status that may be misspelt: the same for all connections, so told once."""
    detail = (
        f"AlertStatuses names {status}, which Trackstar does not document, and no order of the shop that was just "
        "read ever had it: if it is misspelt, nothing is alerted."
    )
    parameter = AlertConnection(id="AlertStatuses")
    notice = connection_alert(KIND_UNKNOWN_STATUS, connection=parameter, since=now, detail=detail)
    return notice.model_copy(update={"alert_id": alert_id(KIND_UNKNOWN_STATUS, status)})


def watch_started(
    progress: Progress,
    *,
    connection: AlertConnection,
    statuses: Collection[str],
    rules: DeadlineRules | None,
    waiting: Backlog | None,
    data_as_of: datetime | None,
) -> Alert:
    """The one summary that a baseline ends with (rule 8), with the deadlines that had passed already (rule 19).

    Args:
        progress: Of the baseline.
        connection: The shop.
        statuses: The watched ones.
        rules: Of its deadlines; None: none is watched.
        waiting: What waits already.
        data_as_of: The end of the vendor's last sync.
    """
    by_status = sorted(waiting.by_status.items()) if waiting else []
    now_in = [f"{count:,} {status_phrase(status)}" for status, count in by_status]
    deadline_state = f"{', '.join(now_in)} now" if now_in else "none needs attention now"
    past = describe_past(progress.past, rules) if rules else ""
    alert = connection_alert(
        KIND_WATCH_STARTED,
        connection=connection,
        since=progress.window.until,
        detail=f"Watching {progress.read_count:,} orders for {', '.join(sorted(statuses))}; {deadline_state}."
        + (f" {past}: only what passes from now on is alerted." if past else ""),
        data_as_of=data_as_of,
    )
    return alert.replace(backlog=waiting)


def deadlines_started(
    progress: Progress, connection: AlertConnection, *, rules: DeadlineRules, data_as_of: datetime | None
) -> Alert:
    """The one line that a shop which was watched before gets when its deadlines are, or are reckoned anew (rule 19)."""
    past = describe_past(progress.past, rules) or "None has passed"
    return connection_alert(
        KIND_WATCH_STARTED,
        connection=connection,
        since=progress.window.until,
        detail=f"The deadlines of {progress.read_count:,} open orders are watched. {past}: only what passes from now on "
        "is alerted.",
        data_as_of=data_as_of,
        subject=["deadlines"],
    )


DOCUMENTED = frozenset(
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
"""Trackstar's statuses (docs/trackstar.md); it may add others, and a shop may have some of its own."""
MAX_REMEMBERED = 50
"""Other statuses of a connection that are remembered."""


def unknown_statuses(watched: Collection[str], seen: Collection[str]) -> list[str]:
    """The watched statuses that neither Trackstar documents nor an order ever had."""
    return sorted(set(watched) - DOCUMENTED - set(seen))


def remember_statuses(state: ConnectionState, observed: Observation) -> ConnectionState:
    """Remember which statuses beyond the documented ones the connection's orders have."""
    other = {order.status for order in observed.orders.values()} - DOCUMENTED - set(state.other_statuses)
    if not other or len(state.other_statuses) >= MAX_REMEMBERED:
        return state
    return state.model_copy(update={"other_statuses": (*state.other_statuses, *sorted(other))[:MAX_REMEMBERED]})


def report_unknown(state: ConnectionState, *, policy: Policy, now: datetime) -> tuple[ConnectionState, list[Alert]]:
    """What the operators are to be asked about, once: statuses that are watched and may not exist."""
    fresh = [
        each for each in unknown_statuses(policy.statuses, state.other_statuses) if each not in state.reported_statuses
    ]
    if not fresh:
        return state, []
    state = state.model_copy(update={"reported_statuses": (*state.reported_statuses, *fresh)})
    return state, [unknown_status_alert(status, now=now) for status in fresh]


def most_urgent(known: Iterable[BacklogOrder], observed: Observation, policy: Policy) -> tuple[BacklogOrder, ...]:
    """The most urgent orders after one more page: what it shows of an order replaces what was known of it."""
    shown = {order.id: order for order in known if order.id not in observed.orders}
    shown |= {order.id: _waiting(order) for order in observed.orders.values() if policy.needs_attention(order.status)}
    return tuple(sorted(shown.values(), key=lambda order: by_urgency(order.ship_by, order.total_price))[:MAX_WAITING])


def _waiting(order: Order) -> BacklogOrder:
    details = order.details
    return BacklogOrder(
        id=order.id,
        number=order.number,
        url=details.external_system_url,
        status=order.status,
        raw_status=order.raw_status,
        currency=details.invoice_currency_code,
        total_price=details.total_price,
        ship_by=order.latest_ship_date,
    )


def backlog_now(progress: Progress, *, now: datetime) -> Backlog | None:
    """What waits once the baseline is done; None where nothing does.

    Args:
        progress: Of the baseline.
        now: The vendor's clock.
    """
    by_status = dict(progress.attention)
    if not by_status:
        return None
    # An order that moved while the history was read may be counted and yet wait no longer.
    more = max(sum(by_status.values()) - len(progress.waiting), 0)
    return Backlog(seen_at=now, by_status=by_status, orders=progress.waiting, more_orders=more)
