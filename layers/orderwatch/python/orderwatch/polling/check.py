"""The look at the connection that every poll begins with (rule 10)."""

from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from orderwatch.alerts.alert import Alert
from orderwatch.alerts.parts import AlertConnection
from orderwatch.errors import NotFoundError, TrackstarError
from orderwatch.observability import logger
from orderwatch.polling.health import Health, assess, health_after, unknown_to_trackstar
from orderwatch.polling.notices import health_alerts, refused_settings
from orderwatch.polling.state import ConnectionState
from orderwatch.trackstar.connections import TrackstarConnection


class ConnectionSource(Protocol):
    """What a check needs of Trackstar."""

    def now(self) -> datetime:
        """The vendor's clock at its latest answer."""

    def connection(self) -> TrackstarConnection:
        """What Trackstar says of the connection."""


@dataclass(frozen=True, slots=True)
class ConnectionCheck:
    """What a look at the connection found.

    Attributes:
        state: The state that was given, with what Trackstar says of the integration and its syncs.
        connection: What alerts call the connection, its integration included.
        health: How the connection is from now on.
        answered: Whether Trackstar said how it is.
        awaits_first_sync: Whether its lists are still empty, whatever orders the shop has.
        sync_age: Seconds since the last sync of orders, where Trackstar tells.
        is_syncing: Whether Trackstar says that a sync of its orders is in progress.
        known_until: Up to when what Trackstar shows of the shop is whole, by its clock (rule 19); None: nobody knows.
    """

    state: ConnectionState
    connection: AlertConnection
    health: Health
    answered: bool = False
    awaits_first_sync: bool = False
    sync_age: float | None = None
    is_syncing: bool = False
    known_until: datetime | None = None


def check_connection(vendor: ConnectionSource, state: ConnectionState, connection: AlertConnection) -> ConnectionCheck:
    """Ask how the connection is; a question that fails never stops the reading of orders."""
    connection = connection.model_copy(update={"integration": state.integration})
    try:
        record = vendor.connection()
    except NotFoundError as error:
        logger.error("connection unknown to trackstar", exc_info=error)
        return ConnectionCheck(state, connection, health_after(state.health, unknown_to_trackstar(now=vendor.now())))
    except TrackstarError as error:
        logger.warning("connection could not be checked", exc_info=error)
        health, now = state.health or Health(since=vendor.now()), vendor.now()
        known_until = min(state.data_as_of, now) if state.data_as_of else None
        return ConnectionCheck(state, connection, health, known_until=known_until)
    now, synced_at = vendor.now(), record.orders_schedule.synced_at
    integration = record.integration_name or state.integration
    learned = {
        "integration": integration,
        "sync_frequency": record.sync_frequency,
        "data_as_of": synced_at or state.data_as_of,
    }
    assessed = found = assess(record, now=now)
    if state.health and state.is_unread and not found.is_trouble:
        found = state.health  # what Trackstar says is no proof that we can read
    return ConnectionCheck(
        state.model_copy(update=learned),
        connection.model_copy(update={"integration": integration}),
        health_after(state.health, found),
        answered=True,
        awaits_first_sync=record.awaits_historical_sync,
        sync_age=max((now - synced_at).total_seconds(), 0.0) if synced_at else None,
        is_syncing=bool(record.orders_schedule.in_progress),
        known_until=_known_until(record, state.data_as_of, assessed, now=now),
    )


def _known_until(
    record: TrackstarConnection, told_before: datetime | None, found: Health, *, now: datetime
) -> datetime | None:
    """Never later than the data: where Trackstar never told when it synced, two syncs ago is taken to be seen."""
    told = record.orders_schedule.complete_until or told_before
    if told:
        return min(told, now)
    return None if found.is_trouble else now - 2 * record.sync_frequency


def note_health(
    state: ConnectionState, health: Health, connection: AlertConnection
) -> tuple[ConnectionState, list[Alert]]:
    """The state with this health, and the alerts where it is news."""
    alerts = health_alerts(state.health, health, connection=connection, data_as_of=state.data_as_of)
    return state.model_copy(update={"health": health}), alerts


def note_check(
    state: ConnectionState, check: ConnectionCheck, *, settings_flaw: str | None, now: datetime
) -> tuple[ConnectionState, list[Alert]]:
    """The state with what is known of the connection beside its orders, and the alerts where it is news.

    Args:
        state: The state up to now.
        check: What Trackstar says of it.
        settings_flaw: Why the shop's own settings cannot be read; None: they can.
        now: The vendor's clock.
    """
    state, alerts = note_health(state, check.health, check.connection)
    if settings_flaw and settings_flaw != state.settings_flaw:
        alerts.append(refused_settings(settings_flaw, connection=check.connection, now=now))
    return state.model_copy(update={"settings_flaw": settings_flaw}), alerts
