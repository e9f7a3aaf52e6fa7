"""What a page changes."""

from collections import Counter
from collections.abc import Iterable, Mapping

from orderwatch.alerts.alert import Alert
from orderwatch.errors import InvalidRequestError, PagingError
from orderwatch.observability import logger
from orderwatch.polling import connection_alerts
from orderwatch.polling.connection_alerts import (
    backlog_now,
    deadlines_started,
    most_urgent,
    quarantine_notice,
    watch_started,
)
from orderwatch.polling.cursor import (
    MAX_ATTEMPTS,
    ConnectionState,
    Now,
    Progress,
    Window,
    WindowKind,
    baseline_window,
    complete,
    incremental_window,
    open_window,
    undated_window,
)
from orderwatch.polling.detect import Observation
from orderwatch.polling.health import ConnectionCheck
from orderwatch.polling.policy import Policy
from orderwatch.trackstar.orders import DateField, Order, OrderPage, Quarantined

MAX_QUARANTINED = 200
"""Orders of a connection that are remembered as quarantined: beyond that they are logged and counted only."""


def begin(state: ConnectionState, *, now: Now, policy: Policy) -> ConnectionState:
    """Go on with the window that was left, or open the next one."""
    if state.progress:
        logger.info("going on with a window", extra={"window": state.progress.window.kind})
        # A poll that failed in a circle of page tokens must not fail again where they lead on by now.
        return state.model_copy(update={"progress": state.progress.model_copy(update={"pages_without_new_orders": 0})})
    return open_window(state, _next_window(state, now, policy), now, policy)


def recover(state: ConnectionState, error: InvalidRequestError, *, now: Now, policy: Policy) -> ConnectionState:
    """Begin again after a page token that expired, or fall back from a date filter that was refused (rule 5).

    Raises:
        InvalidRequestError: The one that was given, when it is about anything else.
    """
    progress = state.progress
    if progress and progress.page_token and error.names("page_token"):
        logger.warning("page token expired, reading the window again", extra={"request_id": error.request_id})
        return state.model_copy(update={"progress": progress.restarted()})
    uses_vendor_date = progress and progress.window.date_field is DateField.TRACKSTAR_UPDATED
    if progress and uses_vendor_date and error.names(DateField.TRACKSTAR_UPDATED):
        logger.warning("filter on trackstar_updated_date refused, using updated_date")
        state = _fall_back(state.model_copy(update={"is_filter_refused": True}))
        if progress.window.kind is WindowKind.BASELINE:
            window = progress.window.model_copy(update={"date_field": DateField.SHOP_UPDATED})
            return open_window(state, window, now, policy)
        return open_window(state, _next_window(state, now, policy), now, policy)
    raise error


def advance(
    state: ConnectionState,
    page: OrderPage,
    observed: Observation,
    *,
    now: Now,
    policy: Policy,
    check: ConnectionCheck,
) -> tuple[ConnectionState, list[Alert]]:
    """Move on behind a page: to the next one, to the first one again, or past the window.

    Returns:
        The state behind the page, and what is to be alerted about the connection itself: orders that cannot be
        watched, the start of the watch.
    """
    state = connection_alerts.remember_statuses(_choose_date_field(state, observed), observed)
    state, notices = _quarantine(state, page, observed)
    progress = _count(_progress_of(state), page, observed, policy)
    if page.next_token and progress.leads_nowhere(page.next_token):
        return _restart_after_loop(state, progress), notices
    if page.next_token:
        return _next_page(state, progress, page.next_token), notices
    if progress.is_short():
        return _restart(state, progress), notices
    is_baseline = progress.window.kind is WindowKind.BASELINE
    if is_baseline and not (progress.read_count or check.answered):
        # Lists are empty until the first sync is done, and whether it is could not be asked: try again later.
        return state.model_copy(update={"progress": None}), notices
    state, doubts = connection_alerts.report_unknown(state, policy=policy, now=now.vendor)
    started = _started(state, progress, observed, policy)
    return complete(state, progress, now=now, policy=policy), [*notices, *doubts, *started]


def _started(state: ConnectionState, progress: Progress, observed: Observation, policy: Policy) -> list[Alert]:
    """What is said once a baseline is done, or the deadlines of a shop that was watched before are recorded."""
    rules, connection, data_as_of = policy.deadlines, observed.connection, state.data_as_of
    if progress.window.kind is WindowKind.BASELINE:
        waiting = backlog_now(progress, now=observed.observed_at)
        return [
            watch_started(
                progress,
                connection=connection,
                statuses=policy.statuses,
                rules=rules,
                waiting=waiting,
                data_as_of=data_as_of,
            )
        ]
    is_news = state.deadline_rules is None or progress.past
    if progress.window.kind is WindowKind.DEADLINES and rules and is_news:
        return [deadlines_started(progress, connection, rules=rules, data_as_of=data_as_of)]
    return []


def _next_page(state: ConnectionState, progress: Progress, page_token: str) -> ConnectionState:
    logger.info("page read", extra={"read": progress.read_count, "expected_count": progress.expected_count})
    return state.model_copy(update={"progress": progress.model_copy(update={"page_token": page_token})})


def _restart_after_loop(state: ConnectionState, progress: Progress) -> ConnectionState:
    """Read the window again, as an expired token would have it; fail where that was tried often enough.

    Raises:
        PagingError: The page tokens led nowhere in every attempt.
    """
    if progress.attempt >= MAX_ATTEMPTS:
        raise PagingError(
            f"GET /cart/orders: the page token repeats after {progress.read_count} orders of connection "
            f"{state.connection_id}, {MAX_ATTEMPTS} times: tell Trackstar's support"
        )
    logger.warning("the page token repeats, reading the window again", extra={"attempt": progress.attempt})
    return state.model_copy(update={"progress": progress.restarted()})


def _restart(state: ConnectionState, progress: Progress) -> ConnectionState:
    logger.warning(
        "orders moved while they were read, reading the window again",
        extra={"read": progress.read_count, "expected_count": progress.expected_count, "attempt": progress.attempt},
    )
    return state.model_copy(update={"progress": progress.restarted()})


def _progress_of(state: ConnectionState) -> Progress:
    if state.progress is None:
        raise AssertionError("no window is open")
    return state.progress


def _next_window(state: ConnectionState, now: Now, policy: Policy) -> Window:
    if state.cursor is None or state.last_read_started_at is None:
        return baseline_window(vendor_now=now.vendor, days=policy.baseline_days)
    if not state.has_orders:
        return undated_window(vendor_now=now.vendor)
    cursor = min(state.cursor, state.read_until or state.cursor)
    if state.date_field is DateField.TRACKSTAR_UPDATED:
        cursor = min(cursor, state.fell_back_at or cursor)
    return incremental_window(
        cursor=cursor,
        cursor_age=now.ours - state.last_read_started_at,
        vendor_now=now.vendor,
        date_field=state.date_field,
        sync_frequency=state.sync_frequency,
    )


def _choose_date_field(state: ConnectionState, observed: Observation) -> ConnectionState:
    """Use Trackstar's date where any order ever showed one, else the shop's (rule 5)."""
    if not observed.orders:
        return state
    shows = any(order.trackstar_updated_date for order in observed.orders.values())
    state = state.model_copy(update={"has_orders": True, "has_vendor_dates": state.has_vendor_dates or shows})
    if not state.has_vendor_dates:
        return _fall_back(state)
    if state.date_field is DateField.SHOP_UPDATED and not state.is_filter_refused:
        logger.info("orders show trackstar_updated_date, using it from now on")
        return state.model_copy(update={"date_field": DateField.TRACKSTAR_UPDATED})
    return state


def _fall_back(state: ConnectionState) -> ConnectionState:
    if state.date_field is DateField.SHOP_UPDATED:
        return state
    logger.warning("using updated_date, as trackstar_updated_date is missing or refused")
    fell_back_at = state.fell_back_at or min(filter(None, (state.cursor, state.read_until)), default=None)
    return state.model_copy(update={"date_field": DateField.SHOP_UPDATED, "fell_back_at": fell_back_at})


def _quarantine(state: ConnectionState, page: OrderPage, observed: Observation) -> tuple[ConnectionState, list[Alert]]:
    """Remember which orders cannot be watched and why; the operators are notified of those that are new (rule 9)."""
    known = _still_unread(state.quarantined, observed)
    fresh = _new_reasons(page.quarantined, known)
    for order_id, reason in fresh.items():
        logger.warning("order quarantined", extra={"order_id": order_id, "reason": reason})
    named = dict(list(fresh.items())[: max(MAX_QUARANTINED - len(known), 0)])
    notice = quarantine_notice(named, connection=observed.connection, now=observed.observed_at)
    return state.model_copy(update={"quarantined": known | named}), [notice] if notice else []


def _still_unread(quarantined: Mapping[str, str], observed: Observation) -> dict[str, str]:
    watched = {order.quarantine_key for order in observed.orders.values()} if quarantined else set()
    return {order_id: reason for order_id, reason in quarantined.items() if order_id not in watched}


def _new_reasons(quarantined: Iterable[Quarantined], known: Mapping[str, str]) -> dict[str, str]:
    return {each.key: each.reason for each in quarantined if known.get(each.key) != each.reason}


def _count(progress: Progress, page: OrderPage, observed: Observation, policy: Policy) -> Progress:
    """Count what was not served before: an order that moves while the window is read may turn up twice."""
    fresh = [order for order in observed.orders.values() if progress.seen.add(order.id)]
    bad = sum(1 for each in page.quarantined if each.order_id is None or progress.seen.add(each.order_id))
    attention = Counter(progress.attention)
    attention.update(order.status for order in fresh if policy.needs_attention(order.status))
    is_baseline = progress.window.kind is WindowKind.BASELINE
    past = Counter(progress.past)
    past.update(kind for order in fresh if (kind := _past_kind(order, progress.window, policy)))
    return progress.model_copy(
        update={
            "read_count": progress.read_count + len(fresh) + bad,
            "expected_count": max(progress.expected_count, page.total_count or 0),
            "pages_without_new_orders": 0 if fresh or bad else progress.pages_without_new_orders + 1,
            "attention": dict(attention),
            "waiting": most_urgent(progress.waiting, observed, policy) if is_baseline else (),
            "past": dict(past),
        }
    )


def _past_kind(order: Order, window: Window, policy: Policy) -> str | None:
    """The deadline of an order that had passed when the watch of it began, where this window begins that."""
    if policy.deadlines is None or window.kind not in {WindowKind.BASELINE, WindowKind.DEADLINES}:
        return None
    return policy.deadlines.past_shipping(order.status, order.latest_ship_date, by=window.until)
