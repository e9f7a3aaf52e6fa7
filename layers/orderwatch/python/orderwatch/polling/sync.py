"""Request a sync of a shop sooner than Trackstar's schedule would run it (`SyncMinutes`); a failure costs no poll."""

from dataclasses import replace
from datetime import timedelta

from orderwatch.alerts.parts import AlertConnection
from orderwatch.errors import OrderwatchError, TrackstarError, UnavailableError
from orderwatch.observability import logger
from orderwatch.polling.commit import Store, log_alerts
from orderwatch.polling.connection_alerts import refused_sync
from orderwatch.polling.metrics import PollMetrics
from orderwatch.polling.schedule import may_request_sync
from orderwatch.reading.cursor import Now, Vendor
from orderwatch.records import ConnectionState


def request_sync(
    connection: AlertConnection, *, vendor: Vendor, store: Store, metrics: PollMetrics, sync_every: timedelta
) -> None:
    """Request a sync if the last one is old enough, at most once in that time. Call it after a finished poll.

    After a refusal no sync is requested for a day; the operators are notified of the first one. Errors are logged.

    Args:
        connection: The connection, as alerts show it.
        vendor: Trackstar.
        store: The tables.
        metrics: The metrics of the poll, with the age of the last sync.
        sync_every: How old the last sync may be.
    """
    if metrics.sync_age is None or metrics.is_syncing:
        return
    try:
        _request(connection, vendor, store, metrics.sync_age, sync_every)
    except OrderwatchError as error:
        logger.warning("no sync was requested", exc_info=error)


def _request(connection: AlertConnection, vendor: Vendor, store: Store, sync_age: float, sync_every: timedelta) -> None:
    state, now = store.load(connection.id), Now.of(vendor)
    if not may_request_sync(state.syncs, now.vendor - timedelta(seconds=sync_age), now, sync_every):
        return
    # Stored first: after a crash in between, one request is missing and none is repeated.
    state = replace(state, syncs=replace(state.syncs, requested_at=now.ours))
    store.commit(state, writes=[], alerts=[])
    try:
        vendor.start_sync()
    except UnavailableError as error:
        logger.warning("sync request failed; will retry later", exc_info=error)
    except TrackstarError as error:
        _record_refusal(connection, store, state.committed(), error, now)
    else:
        logger.info("sync requested")


def _record_refusal(
    connection: AlertConnection, store: Store, state: ConnectionState, error: TrackstarError, now: Now
) -> None:
    logger.warning("Trackstar refused the sync request; will retry in a day", exc_info=error)
    is_first = state.syncs.refused_at is None
    alerts = [refused_sync(str(error), connection=connection, now=now.vendor)] if is_first else []
    store.commit(replace(state, syncs=replace(state.syncs, refused_at=now.ours)), writes=[], alerts=alerts)
    log_alerts(alerts)
