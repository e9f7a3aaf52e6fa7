"""The reading position of a connection: what to ask for next, and what a page changes about it.

    begin ── page ── advance ── page ── advance ... ── the window is done, and the cursor passes it
                 └── recover: an expired page token, a refused filter

Pure functions over the saved state. The cursor passes a window only when every page of it was read (rule 4); all bounds
are by the vendor's clock, and ours only tells how long ago something was (rule 5).
"""

from collections import Counter
from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import NamedTuple, Self

from orderwatch import clock
from orderwatch.alerts import Alert
from orderwatch.errors import InvalidRequestError
from orderwatch.observability import logger
from orderwatch.polling.check import ConnectionCheck, ConnectionSource
from orderwatch.polling.notices import quarantine_notice, watch_started
from orderwatch.polling.state import ConnectionState
from orderwatch.polling.transitions import Observation, Policy
from orderwatch.polling.windows import (
    SWEEP_INTERVAL,
    Progress,
    Window,
    WindowKind,
    baseline_window,
    incremental_window,
    sweep_window,
    undated_window,
)
from orderwatch.trackstar.orders import OrderPage, Quarantined
from orderwatch.trackstar.query import DateField

MAX_QUARANTINED = 200
"""Orders of a connection that are remembered as quarantined: beyond that they are logged and counted only."""


class Now(NamedTuple):
    """The two clocks at one moment."""

    vendor: datetime
    ours: datetime

    @classmethod
    def of(cls, vendor: ConnectionSource) -> Self:
        """The vendor's clock at its latest answer, and ours."""
        return cls(vendor.now(), clock.now())


def begin(state: ConnectionState, *, now: Now, policy: Policy) -> ConnectionState:
    """Go on with the window that was left, or open the next one."""
    if state.progress:
        logger.info("going on with a window", extra={"window": state.progress.window.kind})
        return state
    return _open(state, _next_window(state, now, policy), now)


def recover(state: ConnectionState, error: InvalidRequestError, *, now: Now, policy: Policy) -> ConnectionState:
    """Begin again after a page token that expired, or fall back from a date filter that was refused (rule 5).

    Raises:
        InvalidRequestError: The one that was given, when it is about anything else.
    """
    progress = state.progress
    if progress and progress.page_token and error.names("page_token"):
        logger.warning("page token expired, reading the window again", extra={"request_id": error.request_id})
        return state.model_copy(update={"progress": progress.again()})
    uses_vendor_date = progress and progress.window.date_field is DateField.TRACKSTAR_UPDATED
    if progress and uses_vendor_date and error.names(DateField.TRACKSTAR_UPDATED):
        logger.warning("filter on trackstar_updated_date refused, using updated_date from now on")
        state = state.model_copy(update={"date_field": DateField.SHOP_UPDATED})
        if progress.window.kind is WindowKind.BASELINE:
            return _open(state, progress.window.model_copy(update={"date_field": DateField.SHOP_UPDATED}), now)
        return _open(state, _next_window(state, now, policy), now)
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
    state = _choose_date_field(state, observed)
    state, notices = _quarantine(state, page, observed)
    progress = _count(_progress_of(state), page, observed, policy)
    if page.next_token:
        return _go_on(state, progress, page.next_token), notices
    if progress.is_short():
        return _start_again(state, progress), notices
    if progress.window.kind is not WindowKind.BASELINE:
        return _complete(state, progress, now=now, policy=policy), notices
    if not (progress.distinct or check.answered):
        # Lists are empty until the first sync is done, and whether it is could not be asked: try again later.
        return state.model_copy(update={"progress": None}), notices
    started = watch_started(progress, connection=observed.connection, data_as_of=state.data_as_of)
    return _complete(state, progress, now=now, policy=policy), [*notices, started]


def _go_on(state: ConnectionState, progress: Progress, page_token: str) -> ConnectionState:
    logger.info("page read", extra={"read": progress.distinct, "promised": progress.promised})
    return state.model_copy(update={"progress": progress.model_copy(update={"page_token": page_token})})


def _start_again(state: ConnectionState, progress: Progress) -> ConnectionState:
    logger.warning(
        "orders moved while they were read, reading the window again",
        extra={"read": progress.distinct, "promised": progress.promised, "attempt": progress.attempt},
    )
    return state.model_copy(update={"progress": progress.again()})


def _progress_of(state: ConnectionState) -> Progress:
    if state.progress is None:
        raise AssertionError("no window is open")
    return state.progress


def _next_window(state: ConnectionState, now: Now, policy: Policy) -> Window:
    if state.cursor is None or state.cursor_set_at is None:
        return baseline_window(vendor_now=now.vendor, days=policy.baseline_days)
    if not state.has_orders:
        return undated_window(vendor_now=now.vendor)
    return incremental_window(
        cursor=min(state.cursor, state.read_until or state.cursor),
        cursor_age=now.ours - state.cursor_set_at,
        vendor_now=now.vendor,
        date_field=state.date_field,
        sync_frequency=state.sync_frequency,
    )


def _open(state: ConnectionState, window: Window, now: Now) -> ConnectionState:
    return state.model_copy(update={"progress": Progress(window=window, began_at=now.ours)})


def _complete(state: ConnectionState, progress: Progress, *, now: Now, policy: Policy) -> ConnectionState:
    """Every page of the window was read: the cursor passes it with this page's write (rule 4)."""
    window = progress.window
    done = {"progress": None, "last_success_at": now.ours}
    if window.kind is WindowKind.SWEEP:
        return state.model_copy(update=done | {"last_sweep_at": window.until})
    cursor = max(state.cursor or window.until, window.until)
    done |= {"cursor": cursor, "read_until": window.until, "cursor_set_at": progress.began_at}
    if window.kind is WindowKind.BASELINE:
        done |= {"watch_started_at": window.until, "baseline_completed_at": now.vendor, "last_sweep_at": window.until}
        return state.model_copy(update=done)
    state = state.model_copy(update=done)
    if state.last_sweep_at is None or now.vendor - state.last_sweep_at >= SWEEP_INTERVAL:
        return _open(state, sweep_window(vendor_now=now.vendor, statuses=policy.statuses), now)
    return state


def _choose_date_field(state: ConnectionState, observed: Observation) -> ConnectionState:
    """Fall back to the shop's dates where a page shows that the vendor's are missing (rule 5)."""
    if not observed.orders:
        return state
    state = state if state.has_orders else state.model_copy(update={"has_orders": True})
    missing = all(order.trackstar_updated_date is None for order in observed.orders.values())
    if not missing or state.date_field is DateField.SHOP_UPDATED:
        return state
    logger.warning("orders lack trackstar_updated_date, using updated_date from now on")
    return state.model_copy(update={"date_field": DateField.SHOP_UPDATED})


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
    attention.update(order.status for order in fresh if policy.watches(order.status))
    return progress.model_copy(
        update={
            "distinct": progress.distinct + len(fresh) + bad,
            "promised": max(progress.promised, page.total_count or 0),
            "attention": dict(attention),
        }
    )
