"""One poll of one connection: read what changed, and write every changed order together with its alert.

Then the orders whose deadline has passed are read again, and alerted if they are still open (rule 19). After a sync of
the products, backordered orders that the stock covers are alerted (rule 23).

A poll can be killed at any line: what was written stays, and the rest is read again (rules 1 and 4). It stops before
its time runs out, and the next poll continues at the saved page (rule 7).
"""

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta

from orderwatch import clock
from orderwatch.alerts.parts import AlertConnection
from orderwatch.alerts.summary import ALL_SHOPS
from orderwatch.errors import ForbiddenError, NoProgressError, PagingError, TrackstarError, UnauthorizedError
from orderwatch.observability import logger
from orderwatch.polling.commit import Store, commit, log_alerts
from orderwatch.polling.connection_alerts import page_alerts
from orderwatch.polling.detect import Observation
from orderwatch.polling.health import (
    Probe,
    health_after,
    health_after_refusal,
    poll_failing_since,
    probe_connection,
    refused_by_trackstar,
    with_api_key,
    with_health,
    with_probe,
)
from orderwatch.polling.metrics import Outcome, PollMetrics
from orderwatch.polling.overdue import notify_overdue
from orderwatch.polling.rereader import Rereader
from orderwatch.polling.restock import alert_restocked
from orderwatch.reading.cursor import Now, ReadContext, Vendor
from orderwatch.reading.policy import Policy
from orderwatch.reading.window import MAX_ATTEMPTS, Progress
from orderwatch.records import ConnectionState, Health


def poll(
    connection: AlertConnection,
    *,
    vendor: Vendor,
    store: Store,
    policy: Policy,
    has_time: Callable[[], bool],
    requested_at: datetime,
    restart: bool = False,
    settings_flaw: str | None = None,
) -> PollMetrics:
    """Read one connection up to now, with one commit for each page.

    Args:
        connection: The connection, as alerts show it.
        vendor: Trackstar.
        store: The tables.
        policy: What is watched.
        has_time: Called before each page; False stops the poll, and the next one continues.
        requested_at: When the poll was requested, by our clock. If a later reading has finished, this poll ends at
            once, so that requests in the queue behind a long poll cost nothing (rule 14).
        restart: Whether a window that is being read is read from its first page again.
        settings_flaw: Why the shop's own settings are invalid; None if they are valid.

    Raises:
        TrackstarError: A page cannot be read now, or the reading gets no further. The cursor stays, and the next poll
            tries again.
        PollSupersededError: Another poll of the connection is running.
    """
    state = store.load(connection.id)
    if state.cursor.progress is None and state.cursor.has_read_since(requested_at):
        return PollMetrics(outcome=Outcome.ALREADY_READ)
    if restart:
        state = replace(state, cursor=replace(state.cursor, progress=None))
    probe = probe_connection(vendor, state, connection)
    metrics = PollMetrics(sync_age=probe.sync_age, is_syncing=probe.is_syncing)
    _save_api_key(store, state, probe.health, probe.connection)
    if probe.awaits_initial_sync:  # Trackstar's lists are still empty, even if the shop has orders
        save_health(store, probe.state, probe.health, probe.connection)
        return metrics.ended(Outcome.INITIAL_SYNC)
    state = replace(probe.state, cursor=probe.state.cursor.begin(_context(vendor, probe, policy)))
    continued = state.cursor.progress if probe.state.cursor.progress else None
    while progress := state.cursor.progress:
        if progress.is_exhausted or not has_time():
            save_health(store, state, probe.health, probe.connection, always=True)
            _raise_if_stuck(progress, continued)
            return metrics.ended(Outcome.UNFINISHED, remaining=progress.remaining)
        try:
            page = vendor.order_page(progress.window, page_token=progress.page_token, size=progress.page_size)
        except (UnauthorizedError, ForbiddenError) as error:
            logger.error("Trackstar refused access; the next poll tries again", exc_info=error)
            seen = refused_by_trackstar(error, is_key_accepted=probe.is_key_accepted, now=vendor.now())
            refused = health_after_refusal(probe.health_before_reading, seen)
            save_health(store, state, refused, probe.connection)
            return metrics.ended(Outcome.UNAUTHORIZED)
        except TrackstarError as error:  # a refused token or filter, or too large a page; others are raised again
            state = replace(state, cursor=state.cursor.recover(error, _context(vendor, probe, policy)))
            continue
        metrics.count_page(page)
        observed = Observation.of(
            page, state, progress.window, probe.connection, now=vendor.now(), policy=policy, reading=requested_at
        )
        context = _context(vendor, probe, policy)
        after = state.cursor.after(page, observed.orders, context)
        state, alerts = page_alerts(state, page, observed, after, context)
        state = replace(state, cursor=after.cursor)
        state, more_alerts = with_probe(state, probe, settings_flaw=settings_flaw, now=vendor.now())
        state = commit(store, state, observed, alerts=[*alerts, *more_alerts], policy=policy, metrics=metrics)
    rereader = Rereader(
        vendor=vendor,
        store=store,
        probe=probe,
        policy=policy,
        has_time=has_time,
        reading=requested_at,
        metrics=metrics,
    )
    state, remaining = notify_overdue(rereader, state)
    alert_restocked(rereader, state)
    return metrics.ended(Outcome.UNFINISHED if remaining else Outcome.FINISHED, remaining=remaining)


def _raise_if_stuck(progress: Progress, continued: Progress | None) -> None:
    """Fail the poll if the window's end cannot be reached, or it got no further than the one before (rule 7).

    Args:
        progress: Where the poll ends.
        continued: Where it began; None: it opened a window.

    Raises:
        PagingError: Every attempt ended at a refused or repeated page token.
        NoProgressError: The poll ends where it began.
    """
    if progress.is_exhausted:
        raise PagingError(
            f"GET /cart/orders: the page tokens are refused or repeat in {MAX_ATTEMPTS} attempts: "
            "contact Trackstar's support"
        )
    if continued and not progress.is_beyond(continued):
        raise NoProgressError(f"GET /cart/orders: a whole poll got no further than {progress.read_count} orders")


def _context(vendor: Vendor, probe: Probe, policy: Policy) -> ReadContext:
    syncs = probe.state.syncs
    return ReadContext(Now.of(vendor), policy, syncs.frequency, syncs.last_end, is_probed=probe.is_successful)


def save_health(
    store: Store, state: ConnectionState, health: Health, connection: AlertConnection, *, always: bool = False
) -> None:
    """Write the state with this health, and the alerts about its change. `always` writes even without a change."""
    if health == state.health and not always:
        return
    _save_api_key(store, state, health, connection)
    state, alerts = with_health(state, health, connection)
    store.commit(state, writes=[], alerts=alerts)
    log_alerts(alerts)


def _save_api_key(store: Store, state: ConnectionState, health: Health, connection: AlertConnection) -> None:
    """Alert for all shops that the API key is refused or accepted again, before the shop's own row changes.

    If the shop's row is not written after that, the next poll comes here again and finds it alerted.
    """
    was_refused = state.health is not None and state.health.is_key_refused
    if was_refused is health.is_key_refused:
        return
    shared, alerts = with_api_key(store.load(ALL_SHOPS), state, health, connection)
    if alerts:
        store.commit(shared, writes=[], alerts=alerts)
        log_alerts(alerts)


def alert_poll_failing(connection: AlertConnection, *, store: Store, stalled_after: timedelta) -> None:
    """Alert the operators, once, if no reading of the connection has finished for this time.

    Call it when a poll's message is delivered again: the poll failed, or the function was killed. The next reading that
    finishes resolves the problem.

    Raises:
        PollSupersededError: Another poll of the connection is running.
    """
    state, now = store.load(connection.id), clock.now()
    progress = state.cursor.progress
    since = state.cursor.last_success_at or (progress.began_at if progress else None)
    if since and now - since >= stalled_after:
        failing = poll_failing_since(since, now=now, connection=connection)
        save_health(store, state, health_after(state.health, failing), connection)
