"""The health of a connection: the probe at the beginning of every poll, and the states that follow from it (rule 10).

A lack of changes is no sign of health: if a shop's credentials are blocked, its orders simply stop changing.
"""

from dataclasses import dataclass, field, replace
from datetime import datetime

from orderwatch.alerts.alert import Alert
from orderwatch.alerts.parts import AlertConnection
from orderwatch.errors import NotFoundError, TrackstarError
from orderwatch.observability import logger
from orderwatch.polling.connection_alerts import health_alerts, products_blocked, refused_settings, with_unreadable
from orderwatch.reading.cursor import Vendor
from orderwatch.records import UNHEALTHY_STATES, ConnectionState, Health, HealthState
from orderwatch.trackstar.connections import TrackstarConnection
from orderwatch.trackstar.fields import UnreadableValues

HEALTHY_CHECKS_TO_RECOVER = 2
"""Consecutive checks that must find an unhealthy connection healthy before its recovery is alerted."""


@dataclass(frozen=True, slots=True)
class Probe:
    """The result of requesting Trackstar's record of a connection.

    Attributes:
        state: The connection's state, updated with the integration and the syncs in the record.
        connection: The connection, as alerts show it.
        health: Its health from now on.
        is_successful: Whether Trackstar returned the record.
        awaits_initial_sync: Whether Trackstar's lists are still empty, even if the shop has orders.
        sync_age: Seconds since the last sync of orders; None if unknown.
        is_syncing: Whether a sync of orders is in progress.
        are_products_blocked: Whether the products alone are not synced; None if unknown.
        watermark: Up to when Trackstar's copy of the shop is complete, by its clock (rule 19); None if unknown.
        unreadable: The values of the record that cannot be read (rule 21).
    """

    state: ConnectionState
    connection: AlertConnection
    health: Health
    is_successful: bool = False
    awaits_initial_sync: bool = False
    sync_age: float | None = None
    is_syncing: bool = False
    are_products_blocked: bool | None = None
    watermark: datetime | None = None
    unreadable: UnreadableValues = field(default_factory=UnreadableValues)

    @property
    def health_before_reading(self) -> Health | None:
        """The health to which a refusal of the orders is added: a problem that the probe found, else the stored one."""
        before = self.state.health
        suspected = before.suspected if before else None
        return replace(self.health, suspected=suspected) if self.health.is_unhealthy else before


def probe_connection(vendor: Vendor, state: ConnectionState, connection: AlertConnection) -> Probe:
    """Request Trackstar's record of the connection. A failed request never stops the reading of orders."""
    connection = connection.of_integration(state.integration)
    try:
        record = vendor.connection()
    except NotFoundError as error:
        logger.error("Trackstar does not know the connection", exc_info=error)
        return Probe(state, connection, health_after_refusal(state.health, unknown_to_trackstar(now=vendor.now())))
    except TrackstarError as error:
        logger.warning("connection could not be checked; reading its orders anyway", exc_info=error)
        now, last_end = vendor.now(), state.syncs.last_end
        watermark = min(last_end, now) if last_end else None
        health = state.health or Health(since=now)
        return Probe(state, connection, replace(health, suspected=None), watermark=watermark)
    now, synced_at = vendor.now(), record.orders_schedule.synced_at
    syncs = replace(state.syncs, frequency=record.sync_frequency, last_end=synced_at or state.syncs.last_end)
    integration = record.integration_name or state.integration
    assessed = found = assess(record, now=now)
    if state.health and state.is_poll_failing and not assessed.is_unhealthy:
        found = state.health  # a healthy record does not show that orders can be read
    return Probe(
        replace(state, integration=integration, syncs=syncs),
        connection.of_integration(integration),
        health_after(state.health, found),
        is_successful=True,
        awaits_initial_sync=record.awaits_historical_sync,
        sync_age=max((now - synced_at).total_seconds(), 0.0) if synced_at else None,
        is_syncing=bool(record.orders_schedule.in_progress),
        are_products_blocked=record.are_products_blocked,
        watermark=_watermark(record, state.syncs.last_end, assessed, now=now),
        unreadable=record.unreadable,
    )


def _watermark(
    record: TrackstarConnection, last_end: datetime | None, found: Health, *, now: datetime
) -> datetime | None:
    """The watermark is never later than the data: two syncs ago if Trackstar never showed when it synced."""
    complete_until = record.orders_schedule.complete_until or last_end
    if complete_until:
        return min(complete_until, now)
    return None if found.is_unhealthy else now - 2 * record.sync_frequency


def with_health(
    state: ConnectionState, health: Health, connection: AlertConnection
) -> tuple[ConnectionState, list[Alert]]:
    """The state with this health, and the alerts about the change."""
    alerts = health_alerts(state.health, health, connection=connection, data_as_of=state.syncs.last_end)
    return replace(state, health=health), alerts


def with_probe(
    state: ConnectionState, probe: Probe, *, settings_flaw: str | None, now: datetime
) -> tuple[ConnectionState, list[Alert]]:
    """The state with what the probe found and the flaw of the shop's settings, and the alerts about changes."""
    state, alerts = with_health(state, probe.health, probe.connection)
    state, unreadable = with_unreadable(state, probe.unreadable, connection=probe.connection, now=now)
    alerts += unreadable

    if probe.are_products_blocked and not state.are_products_blocked:
        alerts.append(products_blocked(connection=probe.connection, now=now))
    if probe.are_products_blocked is not None:
        state = replace(state, are_products_blocked=probe.are_products_blocked)
    if settings_flaw and settings_flaw != state.settings_flaw:
        alerts.append(refused_settings(settings_flaw, connection=probe.connection, now=now))
    return replace(state, settings_flaw=settings_flaw), alerts


def health_after(before: Health | None, seen: Health) -> Health:
    """The health after a check.

    A problem begins with the first check that finds it and ends after `HEALTHY_CHECKS_TO_RECOVER` consecutive checks,
    so a connection that flaps is alerted once. While a connection is unhealthy, only a more severe state replaces the
    current one.
    """
    before = replace(before, suspected=None) if before else None
    if before is None or not before.is_unhealthy:
        return before if before and before.state is seen.state else seen
    if seen.is_unhealthy:
        is_worse = UNHEALTHY_STATES.index(seen.state) > UNHEALTHY_STATES.index(before.state)
        return seen if is_worse else replace(before, healthy_checks=0)
    healthy_checks = before.healthy_checks + (seen.state is HealthState.HEALTHY)
    return seen if healthy_checks >= HEALTHY_CHECKS_TO_RECOVER else replace(before, healthy_checks=healthy_checks)


def health_after_refusal(before: Health | None, seen: Health) -> Health:
    """The health after a poll that Trackstar refused (401, 403 or 404).

    A single refusal can come from a proxy or a gateway, so it is believed when the next poll is refused too. Until then
    the state stays, and `suspected` makes the next tick poll the connection (`polling.schedule`).
    """
    after = health_after(before, seen)
    if before and (before.suspected or before.state is after.state):
        return after
    return replace(before or Health(since=seen.since), healthy_checks=0, suspected=seen.state)


def assess(connection: TrackstarConnection, *, now: datetime) -> Health:
    """The health of a connection by Trackstar's record of it; `now` is the vendor's clock, which dates its syncs."""
    if connection.are_orders_blocked:
        detail = "Trackstar's access to the shop was refused or lacks a permission. No change is visible."
        return Health(state=HealthState.BLOCKED, since=now, detail=detail)
    if connection.awaits_historical_sync:
        detail = "Trackstar has not finished its initial sync of this shop's orders. Nothing can be read yet."
        return Health(state=HealthState.INITIAL_SYNC, since=now, detail=detail)
    synced_at = connection.orders_schedule.synced_at
    if synced_at and now - synced_at > 2 * connection.sync_frequency:
        detail = (
            "Trackstar's last sync of this shop's orders is older than twice its sync frequency. Later changes are not "
            "visible."
        )
        return Health(state=HealthState.STALE, since=now, detail=detail)
    return Health(since=now)


def unknown_to_trackstar(*, now: datetime) -> Health:
    """The health of a connection that Trackstar no longer has."""
    return Health(state=HealthState.BLOCKED, since=now, detail="Trackstar no longer knows this connection.")


def refused_by_trackstar(*, now: datetime) -> Health:
    """The health of a connection whose API key or access token is refused."""
    detail = "No order of the shop can be read. Changes are alerted as soon as it can be read again."
    return Health(state=HealthState.UNAUTHORIZED, since=now, detail=detail)


def poll_failing_since(moment: datetime, *, now: datetime) -> Health:
    """The health of a connection whose polls have not finished since a moment, by our clock."""
    detail = f"No poll of this shop has finished since {moment:%Y-%m-%d %H:%M} UTC. Later changes are not alerted."
    return Health(state=HealthState.POLL_FAILING, since=now, detail=detail)
