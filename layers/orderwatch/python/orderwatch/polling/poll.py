"""One poll of one connection: read what changed, and write every order that moved with its alert beside it.

Then the orders whose deadline has come are read anew, and those that did not move are told (rule 19).

A poll may die at any line: what was written stays, and the rest is read again (rules 1 and 4). It stops by itself when
its time is nearly up, and the next one goes on at the saved page (rule 7).
"""

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Protocol

from orderwatch import clock
from orderwatch.alerts.parts import AlertConnection
from orderwatch.errors import ForbiddenError, InvalidRequestError, TrackstarError, UnauthorizedError
from orderwatch.observability import logger
from orderwatch.polling import advance
from orderwatch.polling.commit import Store, commit, log_alerts
from orderwatch.polling.cursor import ConnectionState, Now, Window
from orderwatch.polling.detect import Observation
from orderwatch.polling.health import (
    ConnectionCheck,
    ConnectionSource,
    check_connection,
    health_after,
    note_check,
    note_health,
    poll_failing_since,
    refused_by_trackstar,
)
from orderwatch.polling.metrics import Outcome, PollMetrics
from orderwatch.polling.overdue import OrderSource, notify_overdue
from orderwatch.polling.policy import Policy
from orderwatch.records import Health
from orderwatch.trackstar.orders import OrderPage


class Vendor(ConnectionSource, OrderSource, Protocol):
    """What a poll needs of Trackstar: one connection."""

    def order_page(self, window: Window, *, page_token: str | None) -> OrderPage:
        """One page of the window, every filter repeated.

        Raises:
            TrackstarError: It cannot be read now; the cursor stays, and the next poll tries again.
        """


def poll(
    connection: AlertConnection,
    *,
    vendor: Vendor,
    store: Store,
    policy: Policy,
    has_time: Callable[[], bool],
    asked_at: datetime,
    settings_flaw: str | None = None,
) -> PollMetrics:
    """Read one connection to the end of its window: one commit a page.

    `has_time` is asked before each page. A reading that began after `asked_at` (our clock) has seen all that this one
    would: ticks that piled up behind a long poll end at once (rule 14). `settings_flaw`: why the shop's own settings
    cannot be read. Raises what `Vendor` and `Store` raise.
    """
    state = store.load(connection.id)
    if state.progress is None and state.has_read_since(asked_at):
        return PollMetrics(outcome=Outcome.ALREADY_READ)
    check = check_connection(vendor, state, connection)
    summary = PollMetrics(sync_age=check.sync_age, is_syncing=check.is_syncing)
    if check.awaits_first_sync:  # its lists are still empty: not to be taken for a shop without orders
        save_health(store, check.state, check.health, check.connection)
        return summary.ended(Outcome.INITIAL_SYNC)
    state = advance.begin(check.state, now=Now.of(vendor), policy=policy)
    while progress := state.progress:
        if not has_time():
            if not summary.pages:  # that a page token has expired, and how the connection is, no page has written
                save_position(store, state, check)
            return summary.ended(Outcome.UNFINISHED, left=progress.left)
        try:
            page = vendor.order_page(progress.window, page_token=progress.page_token)
        except InvalidRequestError as error:  # an expired token, a refused filter; anything else is raised again
            state = advance.recover(state, error, now=Now.of(vendor), policy=policy)
            continue
        except (UnauthorizedError, ForbiddenError) as error:
            save_refusal(store, state, error, check.connection, now=vendor.now())
            return summary.ended(Outcome.UNAUTHORIZED)
        summary.count_page(page)
        observed = Observation.of(page, state, progress.window, check.connection, now=vendor.now(), policy=policy)
        state, notices = advance.advance(state, page, observed, now=Now.of(vendor), policy=policy, check=check)
        state, news = note_check(state, check, settings_flaw=settings_flaw, now=vendor.now())
        state = commit(store, state, observed, alerts=[*notices, *news], policy=policy, summary=summary)
    left = notify_overdue(vendor, store, state, check, policy=policy, has_time=has_time, summary=summary)
    return summary.ended(Outcome.UNFINISHED if left else Outcome.FINISHED, left=left)


def save_position(store: Store, state: ConnectionState, check: ConnectionCheck) -> None:
    """Write where the next poll goes on, and how the connection is."""
    state, news = note_health(state, check.health, check.connection)
    store.commit(state, writes=[], alerts=news)
    log_alerts(news)


def save_health(store: Store, state: ConnectionState, health: Health, connection: AlertConnection) -> None:
    """Write how the connection is, with its alert; nothing where nothing changed."""
    if health == state.health:
        return
    state, news = note_health(state, health, connection)
    store.commit(state, writes=[], alerts=news)
    log_alerts(news)


def save_refusal(
    store: Store, state: ConnectionState, error: TrackstarError, connection: AlertConnection, *, now: datetime
) -> None:
    """Write that the API key or the access token is refused."""
    logger.error("access refused", exc_info=error)
    save_health(store, state, health_after(state.health, refused_by_trackstar(now=now)), connection)


def alert_poll_failing(connection: AlertConnection, *, store: Store, suppression: timedelta) -> None:
    """Notify the operators, once, of a connection of which no reading has come to its end for so long.

    Call it when a poll failed, or when its message comes again because it died. The next reading that comes to its end
    makes it good.

    Raises:
        PollSupersededError: Another poll of the connection is at work.
    """
    state, now = store.load(connection.id), clock.now()
    began_at = state.progress.began_at if state.progress else None
    since = state.last_success_at or began_at
    if since and now - since >= suppression:
        save_health(store, state, health_after(state.health, poll_failing_since(since, now=now)), connection)
