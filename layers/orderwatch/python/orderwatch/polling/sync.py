"""Asking Trackstar to sync a shop sooner than its schedule would (`SyncMinutes`): nothing of it can cost a poll."""

from datetime import datetime, timedelta
from typing import Protocol

from orderwatch import clock
from orderwatch.alerts.parts import AlertConnection
from orderwatch.errors import OrderwatchError, TrackstarError, UnavailableError
from orderwatch.observability import logger
from orderwatch.polling.commit import Store, log_alerts
from orderwatch.polling.connection_alerts import refused_sync
from orderwatch.polling.cursor import ConnectionState, Now
from orderwatch.polling.metrics import PollMetrics
from orderwatch.polling.schedule import may_ask_for_sync


class SyncSource(Protocol):
    """What asking for a sync needs of Trackstar."""

    def now(self) -> datetime:
        """The vendor's clock at its latest answer."""

    def start_sync(self) -> None:
        """Ask Trackstar to pull the shop's orders now.

        Raises:
            TrackstarError: It does not; `UnavailableError` where that may pass.
        """


def ask_for_sync(
    connection: AlertConnection, *, vendor: SyncSource, store: Store, summary: PollMetrics, sync_every: timedelta
) -> None:
    """Ask for a sync where the last one is that old, at most once in that time; call it behind a finished poll.

    A refusal ends the asking for a day, and the operators are notified of the first. Whatever fails here is logged.

    Args:
        connection: What alerts call it.
        vendor: Trackstar.
        store: The tables.
        summary: Of the poll: what Trackstar said of the syncs.
        sync_every: How old the last sync may be.
    """
    if summary.sync_age is None or summary.is_syncing:
        return
    try:
        _ask(connection, vendor, store, summary.sync_age, sync_every)
    except OrderwatchError as error:
        logger.warning("no sync was asked for", exc_info=error)


def _ask(connection: AlertConnection, vendor: SyncSource, store: Store, sync_age: float, sync_every: timedelta) -> None:
    state, now = store.load(connection.id), Now(vendor.now(), clock.now())
    if not may_ask_for_sync(state, now.vendor - timedelta(seconds=sync_age), now, sync_every):
        return
    # Written first: a process that dies in between asks once too little, never twice.
    asked = {"sync_asked_at": now.ours}
    store.commit(state.model_copy(update=asked), writes=[], alerts=[])
    state = state.model_copy(update=asked | {"revision": state.revision + 1})
    try:
        vendor.start_sync()
    except UnavailableError as error:
        logger.warning("trackstar could not be asked to sync", exc_info=error)
    except TrackstarError as error:
        _note_refusal(connection, store, state, error, now)
    else:
        logger.info("sync asked for")


def _note_refusal(
    connection: AlertConnection, store: Store, state: ConnectionState, error: TrackstarError, now: Now
) -> None:
    logger.warning("trackstar refuses to sync: not asked again for a day", exc_info=error)
    is_news = state.sync_refused_at is None
    notices = [refused_sync(str(error), connection=connection, now=now.vendor)] if is_news else []
    store.commit(state.model_copy(update={"sync_refused_at": now.ours}), writes=[], alerts=notices)
    log_alerts(notices)
