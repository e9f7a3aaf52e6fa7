"""Request a sync of a shop before Trackstar's schedule runs one (`SyncMinutes`). A failure does not fail the poll."""

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
    """Request a sync after a finished poll if the last sync is older than `sync_every`.

    After a refusal no sync is requested for a day. The operators are notified of the first refusal. Errors are logged.
    """
    try:
        _request(connection, vendor, store, metrics, sync_every)
    except OrderwatchError as error:
        logger.warning("sync could not be requested; the next poll tries again", exc_info=error)


def _request(
    connection: AlertConnection, vendor: Vendor, store: Store, metrics: PollMetrics, sync_every: timedelta
) -> None:
    if metrics.sync_age is None or metrics.is_syncing:
        return
    state, now = store.load(connection.id), Now.of(vendor)
    if not may_request_sync(state.syncs, now.vendor - timedelta(seconds=metrics.sync_age), now, sync_every):
        return
    # Stored first, so that a crash after the request cannot repeat it.
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
