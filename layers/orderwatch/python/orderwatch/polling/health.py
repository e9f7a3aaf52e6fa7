"""Whether a connection's orders can be seen: the rules of its health, as pure functions (rule 10).

Silence is never taken for health: orders of a shop whose credentials are blocked simply stop changing, so a reader that
reads only orders sees nothing wrong. `assess` turns what Trackstar says of a connection into a state.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from orderwatch.alerts.alert import Alert
from orderwatch.alerts.parts import AlertConnection
from orderwatch.errors import NotFoundError, TrackstarError
from orderwatch.observability import logger
from orderwatch.polling.connection_alerts import health_alerts, refused_settings
from orderwatch.polling.cursor import ConnectionState, VendorClock
from orderwatch.records import UNHEALTHY_STATES, Health, HealthState
from orderwatch.trackstar.connections import TrackstarConnection

HEALTHY_CHECKS_TO_RECOVER = 2
"""Checks in a row that must find a trouble gone before its end is alerted."""


def health_after(before: Health | None, seen: Health) -> Health:
    """The state after a check: trouble is believed at once, its end only after `HEALTHY_CHECKS_TO_RECOVER` checks in a row.

    A connection that comes and goes is thus alerted once, not at every turn; and while it is in trouble, only a worse
    trouble is.

    Args:
        before: The state up to now.
        seen: What this check found.
    """
    if before is None or not before.is_unhealthy:
        return before if before and before.state is seen.state else seen
    if seen.is_unhealthy:
        worse = UNHEALTHY_STATES.index(seen.state) > UNHEALTHY_STATES.index(before.state)
        return seen if worse else before.model_copy(update={"healthy_checks": 0})
    healthy_checks = before.healthy_checks + (seen.state is HealthState.HEALTHY)
    return (
        seen
        if healthy_checks >= HEALTHY_CHECKS_TO_RECOVER
        else before.model_copy(update={"healthy_checks": healthy_checks})
    )


def assess(connection: TrackstarConnection, *, now: datetime) -> Health:
    """The state of a connection by what Trackstar says of it.

    Args:
        connection: Trackstar's record.
        now: The vendor's clock, the one by which its syncs are dated.
    """
    if any(error.blocks_orders for error in connection.errors):
        detail = "Trackstar's access to the shop was refused or lacks a permission: no change is visible."
        return Health(state=HealthState.BLOCKED, since=now, detail=detail)
    if connection.awaits_historical_sync:
        detail = "Trackstar has not finished its first sync of this shop's orders: nothing can be read yet."
        return Health(state=HealthState.INITIAL_SYNC, since=now, detail=detail)
    synced_at = connection.orders_schedule.synced_at
    if synced_at and now - synced_at > 2 * connection.sync_frequency:
        detail = (
            "Trackstar's last sync of this shop's orders is older than twice its sync frequency: changes since then "
            "are not visible."
        )
        return Health(state=HealthState.STALE, since=now, detail=detail)
    return Health(since=now)


def unknown_to_trackstar(*, now: datetime) -> Health:
    """The state of a connection that Trackstar no longer has."""
    detail = "Trackstar no longer knows this connection."
    return Health(state=HealthState.BLOCKED, since=now, detail=detail)


def refused_by_trackstar(*, now: datetime) -> Health:
    """The state of a connection whose API key or access token is refused."""
    detail = "No order of the shop can be read; what changes meanwhile is alerted once it can."
    return Health(state=HealthState.UNAUTHORIZED, since=now, detail=detail)


def poll_failing_since(moment: datetime, *, now: datetime) -> Health:
    """The state of a connection whose polls begin and do not come to their end (both by our clock)."""
    detail = (
        f"No poll of this shop has come to its end since {moment:%Y-%m-%d %H:%M} UTC: what changed since then is not "
        "alerted."
    )
    return Health(state=HealthState.POLL_FAILING, since=now, detail=detail)


class ConnectionSource(VendorClock, Protocol):
    """What a check needs of Trackstar."""

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
        watermark: Up to when what Trackstar shows of the shop is whole, by its clock (rule 19); None: nobody knows.
    """

    state: ConnectionState
    connection: AlertConnection
    health: Health
    answered: bool = False
    awaits_first_sync: bool = False
    sync_age: float | None = None
    is_syncing: bool = False
    watermark: datetime | None = None


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
        watermark = min(state.data_as_of, now) if state.data_as_of else None
        return ConnectionCheck(state, connection, health, watermark=watermark)
    now, synced_at = vendor.now(), record.orders_schedule.synced_at
    integration = record.integration_name or state.integration
    learned = {
        "integration": integration,
        "sync_frequency": record.sync_frequency,
        "data_as_of": synced_at or state.data_as_of,
    }
    assessed = found = assess(record, now=now)
    if state.health and state.is_poll_failing and not found.is_unhealthy:
        found = state.health  # what Trackstar says is no proof that we can read
    return ConnectionCheck(
        state.model_copy(update=learned),
        connection.model_copy(update={"integration": integration}),
        health_after(state.health, found),
        answered=True,
        awaits_first_sync=record.awaits_historical_sync,
        sync_age=max((now - synced_at).total_seconds(), 0.0) if synced_at else None,
        is_syncing=bool(record.orders_schedule.in_progress),
        watermark=_watermark(record, state.data_as_of, assessed, now=now),
    )


def _watermark(
    record: TrackstarConnection, told_before: datetime | None, found: Health, *, now: datetime
) -> datetime | None:
    """Never later than the data: where Trackstar never told when it synced, two syncs ago is taken to be seen."""
    alerted = record.orders_schedule.complete_until or told_before
    if alerted:
        return min(alerted, now)
    return None if found.is_unhealthy else now - 2 * record.sync_frequency


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
