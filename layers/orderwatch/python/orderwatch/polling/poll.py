"""One poll of one connection: read what changed, and write every changed order together with its alert.

Then the orders whose deadline has passed are read again, and alerted if they are still open (rule 19).

A poll may be killed at any line: what was written stays, and the rest is read again (rules 1 and 4). It stops by itself
before its time runs out, and the next poll continues at the saved page (rule 7).
"""

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta

from orderwatch import clock
from orderwatch.alerts.parts import AlertConnection
from orderwatch.errors import ForbiddenError, InvalidRequestError, UnauthorizedError
from orderwatch.observability import logger
from orderwatch.polling.commit import Store, commit, log_alerts
from orderwatch.polling.connection_alerts import after_page
from orderwatch.polling.detect import Observation
from orderwatch.polling.health import (
    Probe,
    health_after,
    poll_failing_since,
    probe_connection,
    refused_by_trackstar,
    with_health,
    with_probe,
)
from orderwatch.polling.metrics import Outcome, PollMetrics
from orderwatch.polling.overdue import notify_overdue
from orderwatch.reading.cursor import Now, ReadContext, Vendor
from orderwatch.reading.policy import Policy
from orderwatch.records import ConnectionState, Health


def poll(
    connection: AlertConnection,
    *,
    vendor: Vendor,
    store: Store,
    policy: Policy,
    has_time: Callable[[], bool],
    requested_at: datetime,
    settings_flaw: str | None = None,
) -> PollMetrics:
    """Read one connection to the end of its window, with one commit for each page.

    Args:
        connection: The connection, as alerts show it.
        vendor: Trackstar.
        store: The tables.
        policy: What is watched.
        has_time: Called before each page; False stops the poll, and the next one continues.
        requested_at: When the poll was requested, by our clock. If a later reading has finished, this poll ends at once:
            requests that pile up behind a long poll cost nothing (rule 14).
        settings_flaw: Why the shop's own settings cannot be read, if so.

    Raises:
        TrackstarError: A page cannot be read now; the cursor stays, and the next poll tries again.
        PollSupersededError: Another poll of the connection is running.
    """
    state = store.load(connection.id)
    if state.cursor.progress is None and state.cursor.has_read_since(requested_at):
        return PollMetrics(outcome=Outcome.ALREADY_READ)
    probe = probe_connection(vendor, state, connection)
    metrics = PollMetrics(sync_age=probe.sync_age, is_syncing=probe.is_syncing)
    if probe.awaits_initial_sync:  # its lists are still empty, whatever orders the shop has
        save_health(store, probe.state, probe.health, probe.connection)
        return metrics.ended(Outcome.INITIAL_SYNC)
    state = replace(probe.state, cursor=probe.state.cursor.begin(_context(vendor, probe, policy)))
    while progress := state.cursor.progress:
        if not has_time():
            if not metrics.pages:  # no page has saved the cursor and the health
                save_health(store, state, probe.health, probe.connection, always=True)
            return metrics.ended(Outcome.UNFINISHED, remaining=progress.remaining)
        try:
            page = vendor.order_page(progress.window, page_token=progress.page_token)
        except InvalidRequestError as error:  # an expired token or a refused filter; anything else is raised again
            state = replace(state, cursor=state.cursor.recover(error, _context(vendor, probe, policy)))
            continue
        except (UnauthorizedError, ForbiddenError) as error:
            logger.error("access refused", exc_info=error)
            refused = health_after(state.health, refused_by_trackstar(now=vendor.now()))
            save_health(store, state, refused, probe.connection)
            return metrics.ended(Outcome.UNAUTHORIZED)
        metrics.count_page(page)
        observed = Observation.of(page, state, progress.window, probe.connection, now=vendor.now(), policy=policy)
        state, alerts = after_page(state, page, observed, _context(vendor, probe, policy))
        state, news = with_probe(state, probe, settings_flaw=settings_flaw, now=vendor.now())
        state = commit(store, state, observed, alerts=[*alerts, *news], policy=policy, metrics=metrics)
    remaining = notify_overdue(vendor, store, state, probe, policy=policy, has_time=has_time, metrics=metrics)
    return metrics.ended(Outcome.UNFINISHED if remaining else Outcome.FINISHED, remaining=remaining)


def _context(vendor: Vendor, probe: Probe, policy: Policy) -> ReadContext:
    syncs = probe.state.syncs
    return ReadContext(Now.of(vendor), policy, syncs.frequency, syncs.last_end, is_probed=probe.is_successful)


def save_health(
    store: Store, state: ConnectionState, health: Health, connection: AlertConnection, *, always: bool = False
) -> None:
    """Write the connection's health with the alerts about its change.

    Args:
        store: The tables.
        state: The connection's row.
        health: Its health from now on.
        connection: The connection, as alerts show it.
        always: Whether the row is written even if its health has not changed.
    """
    if health == state.health and not always:
        return
    state, alerts = with_health(state, health, connection)
    store.commit(state, writes=[], alerts=alerts)
    log_alerts(alerts)


def alert_poll_failing(connection: AlertConnection, *, store: Store, stalled_after: timedelta) -> None:
    """Alert the operators, once, if no reading of the connection has finished for a while.

    Call it when a poll failed, or when its message is delivered again because the function was killed. The next reading
    that finishes resolves it.

    Args:
        connection: The connection, as alerts show it.
        store: The tables.
        stalled_after: For how long no reading may finish.

    Raises:
        PollSupersededError: Another poll of the connection is running.
    """
    state, now = store.load(connection.id), clock.now()
    progress = state.cursor.progress
    since = state.cursor.last_success_at or (progress.began_at if progress else None)
    if since and now - since >= stalled_after:
        save_health(store, state, health_after(state.health, poll_failing_since(since, now=now)), connection)
