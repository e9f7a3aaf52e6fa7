"""The health of a connection: the probe at the beginning of every poll, and the states that follow from it (rule 10).

A lack of changes is no sign of health: if a shop's credentials are blocked, its orders simply stop changing.
"""

from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from orderwatch.alerts.alert import Alert
from orderwatch.alerts.parts import AlertConnection
from orderwatch.alerts.summary import ALL_SHOPS
from orderwatch.clock import duration
from orderwatch.errors import NotFoundError, TrackstarError, UnauthorizedError
from orderwatch.observability import logger
from orderwatch.polling.connection_alerts import health_alerts, products_blocked, refused_settings, with_unreadable
from orderwatch.reading.cursor import Vendor
from orderwatch.records import UNHEALTHY_STATES, ConnectionState, Health, HealthState, Secret
from orderwatch.rendering.formatting import moment, zone_of
from orderwatch.trackstar.connections import TrackstarConnection
from orderwatch.trackstar.fields import UnreadableValues

HEALTHY_CHECKS_TO_RECOVER = 2
"""Consecutive checks that must find an unhealthy connection healthy before its recovery is alerted."""
KEY_ALERT_COVERS = timedelta(days=1)
"""Time after an alert about the API key in which a further shop that is refused causes no other one."""


@dataclass(frozen=True, slots=True)
class Probe:
    """The result of requesting Trackstar's record of a connection.

    Attributes:
        state: The connection's state, updated with the integration and the syncs in the record.
        connection: The connection, as alerts show it.
        health: Its health from now on.
        is_successful: Whether Trackstar returned the record.
        is_key_accepted: Whether Trackstar accepts the API key, which this request needs alone; None if unknown.
        awaits_initial_sync: Whether Trackstar's lists are still empty, even if the shop has orders.
        sync_age: Seconds since the last sync of orders; None if unknown.
        is_syncing: Whether a sync of orders is in progress.
        are_products_blocked: Whether the products alone are not synced; None if unknown.
        watermark: Up to when Trackstar's copy of the shop is complete, by its clock (rule 19); None if unknown.
        products_end: Up to when its copy of the products is complete, as Trackstar dates it (rule 23); None if unknown.
        unreadable: The values of the record that cannot be read (rule 21).
    """

    state: ConnectionState
    connection: AlertConnection
    health: Health
    is_successful: bool = False
    is_key_accepted: bool | None = None
    awaits_initial_sync: bool = False
    sync_age: float | None = None
    is_syncing: bool = False
    are_products_blocked: bool | None = None
    watermark: datetime | None = None
    products_end: datetime | None = None
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
        health = health_after_refusal(state.health, unknown_to_trackstar(now=vendor.now()))
        return Probe(state, connection, health, is_key_accepted=True)
    except TrackstarError as error:
        logger.warning("connection could not be checked; reading its orders anyway", exc_info=error)
        now, last_end = vendor.now(), state.syncs.last_end
        watermark = min(last_end, now) if last_end else None
        health = replace(state.health or Health(since=now), suspected=None)
        is_accepted = False if isinstance(error, UnauthorizedError) else None
        return Probe(state, connection, health, is_key_accepted=is_accepted, watermark=watermark)
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
        is_key_accepted=True,
        awaits_initial_sync=record.awaits_historical_sync,
        sync_age=max((now - synced_at).total_seconds(), 0.0) if synced_at else None,
        is_syncing=bool(record.orders_schedule.in_progress),
        are_products_blocked=record.are_products_blocked,
        watermark=_watermark(record, state.syncs.last_end, assessed, now=now),
        products_end=record.products_schedule.complete_until,
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


def with_api_key(
    shared: ConnectionState, shop: ConnectionState, health: Health, connection: AlertConnection
) -> tuple[ConnectionState, list[Alert]]:
    """The row that all shops share with the API key's health, and the alerts if a shop's new health changes it.

    The first shop that believes a refusal alerts it, and the first that is accepted again ends it.

    Args:
        shared: The row of `ALL_SHOPS`; only its health is used.
        shop: The row of the shop, with its health up to now.
        health: The shop's health from now on.
        connection: The shop, as alerts show it.
    """
    known = shared.health if shared.health and shared.health.is_key_refused else None
    if health.is_key_refused:
        read_at = shop.cursor.last_success_at
        was_accepted = known and ((read_at and read_at > known.since) or health.since - known.since > KEY_ALERT_COVERS)
        if known and not was_accepted:
            return shared, []
        known, after = None, replace(health, healthy_checks=0)
    else:
        after = Health(since=health.since)
    every = AlertConnection(id=ALL_SHOPS, name="All shops", time_zone=connection.time_zone)
    return replace(shared, health=after), health_alerts(known, after, connection=every)


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
        is_another = seen.state is before.state and not before.is_same_problem(seen)
        return seen if is_worse or is_another else replace(before, healthy_checks=0)
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
        return stale_since(synced_at, connection.sync_frequency, now=now)
    return Health(since=now)


def unknown_to_trackstar(*, now: datetime) -> Health:
    """The health of a connection that Trackstar no longer has."""
    return Health(state=HealthState.BLOCKED, since=now, detail="Trackstar no longer knows this connection.")


def stale_since(synced_at: datetime, frequency: timedelta, *, now: datetime) -> Health:
    """The health of a connection that Trackstar has not synced for longer than twice its frequency."""
    normally = {timedelta(hours=1): "hourly", timedelta(days=1): "daily"}.get(frequency, f"every {duration(frequency)}")
    detail = (
        f"Trackstar has not synced this shop's orders for {duration(now - synced_at)}, normally {normally}. "
        "Later changes are not visible."
    )
    return Health(state=HealthState.STALE, since=now, detail=detail)


_REFUSALS = {
    Secret.API_KEY: "Trackstar refused the API key of all shops.",
    Secret.ACCESS_TOKEN: "Trackstar refused the shop's access token.",
    None: "Trackstar refused to show the shop's orders.",
}


def refused_by_trackstar(error: TrackstarError, *, is_key_accepted: bool | None, now: datetime) -> Health:
    """The health of a connection whose orders Trackstar refused to show.

    A 401 does not say which secret is wrong: it is the access token if the API key alone is accepted, else the key.
    A 403 is about neither of them.
    """
    secrets = {True: Secret.ACCESS_TOKEN, False: Secret.API_KEY, None: None}
    refused = secrets[is_key_accepted] if isinstance(error, UnauthorizedError) else None
    detail = f"{_REFUSALS[refused]} Changes are alerted as soon as orders can be read again."
    return Health(state=HealthState.UNAUTHORIZED, since=now, detail=detail, refused=refused)


def poll_failing_since(at: datetime, *, now: datetime, connection: AlertConnection) -> Health:
    """The health of a connection of which nothing was read to the end since a moment, by our clock."""
    shown = moment(at, zone_of(connection), beside=now)
    detail = f"No complete read since {shown}. Later changes are not alerted."
    return Health(state=HealthState.POLL_FAILING, since=now, detail=detail)
