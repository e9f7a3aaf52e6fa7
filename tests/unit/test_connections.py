"""The state of a connection by Trackstar's record, and the alerts of its changes."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from orderwatch.alerts.kinds import Recipients
from orderwatch.alerts.parts import AlertConnection
from orderwatch.polling.connection_alerts import health_alerts
from orderwatch.polling.health import assess
from orderwatch.reading.cursor import Cursor
from orderwatch.records import Health, HealthState
from orderwatch.rendering.next_steps import next_step
from orderwatch.trackstar.connections import TrackstarConnection

NOON = datetime(2026, 1, 5, 12, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
SHOP = AlertConnection(id="conn_a")


def record(**fields: Any) -> TrackstarConnection:
    return TrackstarConnection.model_validate({"connection_id": "conn_a", **fields})


def schedule(**fields: Any) -> dict[str, Any]:
    return {"function_name": "get_orders", "sync_frequency": 3600, **fields}


def endpoint_error(preventing: object) -> dict[str, Any]:
    return {"error_message": "m", "affected_endpoints": [{"endpoint": "get_orders", "preventing_sync": preventing}]}


@pytest.mark.parametrize(
    ("fields", "state", "why"),
    [
        ({}, HealthState.HEALTHY, "no fields, no problem"),
        ({"errors": None, "sync_schedules": "none"}, HealthState.HEALTHY, "invalid values are ignored"),
        ({"errors": [None, 1, "x"]}, HealthState.HEALTHY, "entries that are not objects are ignored"),
        (
            {"errors": [{"error_type": "invalid_credentials", "resource": None}]},
            HealthState.BLOCKED,
            "blocks all syncing",
        ),
        (
            {"errors": [{"error_type": "invalid_credentials", "resource": "products"}]},
            HealthState.BLOCKED,
            "every resource",
        ),
        ({"errors": [{"error_type": "missing_permission", "resource": "get_orders"}]}, HealthState.BLOCKED, "orders"),
        ({"errors": [{"error_type": "missing_permission", "resource": "products"}]}, HealthState.HEALTHY, "not orders"),
        ({"errors": [endpoint_error(True)]}, HealthState.BLOCKED, "the other documented shape"),
        ({"errors": [endpoint_error(False)]}, HealthState.HEALTHY, "an error that prevents no sync"),
        ({"errors": [endpoint_error("maybe")]}, HealthState.HEALTHY, "an invalid flag"),
        (
            {"errors": [{"error_type": "invented_tomorrow"}]},
            HealthState.HEALTHY,
            "an unknown error type blocks nothing",
        ),
        ({"historical_sync_completed": {"get_orders": False}}, HealthState.INITIAL_SYNC, "nothing can be read yet"),
        ({"historical_sync_completed": {"get_products": False}}, HealthState.HEALTHY, "products only"),
        ({"historical_sync_completed": {"get_orders": None}}, HealthState.HEALTHY, "unknown"),
        ({"sync_schedules": [schedule(last_crawl_end="2026-01-05T10:00:00Z")]}, HealthState.HEALTHY, "just twice"),
        ({"sync_schedules": [schedule(last_crawl_end="2026-01-05T09:59:59Z")]}, HealthState.STALE, "more than twice"),
        ({"sync_schedules": [schedule(latest_sync="2026-01-05T09:00:00Z")]}, HealthState.STALE, "one spelling"),
        ({"sync_schedules": [schedule(latest_data="2026-01-05T09:00:00Z")]}, HealthState.STALE, "the other spelling"),
        (
            {"sync_schedules": [schedule(sync_frequency=86400, latest_sync="2026-01-04T12:00:00Z")]},
            HealthState.HEALTHY,
            "a daily sync is not stale after a day",
        ),
        ({"sync_schedules": [schedule(latest_sync=None)]}, HealthState.HEALTHY, "a sync without a date"),
        (
            {"sync_schedules": [{"function_name": "get_products", "latest_sync": "2025-01-01T00:00:00Z"}]},
            HealthState.HEALTHY,
            "products may be old",
        ),
    ],
)
def test_the_state_of_a_connection_follows_trackstars_record(
    fields: dict[str, Any], state: HealthState, why: str
) -> None:
    health = assess(record(**fields), now=NOON)
    assert health.state is state, why
    assert bool(health.detail) is (state is not HealthState.HEALTHY), "a problem has a description"


def test_the_newest_date_of_a_sync_counts() -> None:
    connection = record(
        sync_schedules=[schedule(last_crawl_end="2026-01-05T11:00:00Z", latest_sync="2026-01-05T09:00:00Z")]
    )
    assert connection.orders_schedule.synced_at == NOON - timedelta(hours=1)


EVERYBODY, OPERATORS = Recipients.EVERYBODY, Recipients.OPERATORS
HEALTHY, INITIAL_SYNC = HealthState.HEALTHY, HealthState.INITIAL_SYNC
STALE, BLOCKED, UNAUTHORIZED = HealthState.STALE, HealthState.BLOCKED, HealthState.UNAUTHORIZED


@pytest.mark.parametrize(
    ("before", "after", "kind", "why"),
    [
        (None, HEALTHY, None, "a healthy start sends no alert"),
        (None, INITIAL_SYNC, None, "neither does the first sync"),
        (None, BLOCKED, "connection.blocked", "an unhealthy start does"),
        (HEALTHY, BLOCKED, "connection.blocked", "a problem"),
        (HEALTHY, STALE, "connection.stale", "a problem"),
        (HEALTHY, UNAUTHORIZED, "connection.unauthorized", "a problem"),
        (BLOCKED, BLOCKED, None, "alerted already"),
        (STALE, BLOCKED, "connection.blocked", "another problem"),
        (BLOCKED, HEALTHY, "connection.recovered", "its end"),
        (STALE, HEALTHY, "connection.recovered", "its end"),
        (UNAUTHORIZED, HEALTHY, "connection.recovered", "its end"),
        (BLOCKED, INITIAL_SYNC, None, "not resolved yet"),
        (INITIAL_SYNC, HEALTHY, None, "the first sync was not alerted"),
        (INITIAL_SYNC, BLOCKED, "connection.blocked", "a problem"),
        (HEALTHY, HEALTHY, None, "as ever"),
    ],
)
def test_a_change_of_state_and_its_end_are_alerted_once(
    before: HealthState | None, after: HealthState, kind: str | None, why: str
) -> None:
    old = Health(state=before, since=NOON, detail="before") if before else None
    new = Health(state=after, since=NOON + MINUTE, detail="after")
    alerts = health_alerts(old, new, connection=SHOP)
    assert [(alert.kind, alert.recipients) for alert in alerts] == (
        [(kind, EVERYBODY), (kind, OPERATORS)] if kind else []
    ), why
    assert len({alert.alert_id for alert in alerts}) == len(alerts), "each recipient has its own alert"


def test_our_own_problems_are_for_operators_only() -> None:
    problem, good = Health(state=HealthState.POLL_FAILING, since=NOON), Health(since=NOON + MINUTE)
    for before, after in ((None, problem), (problem, good)):
        assert [alert.recipients for alert in health_alerts(before, after, connection=SHOP)] == [OPERATORS]


@pytest.mark.parametrize(
    ("state", "command"),
    [(UNAUTHORIZED, "orderwatch connect"), (BLOCKED, "orderwatch poll"), (STALE, "orderwatch poll")],
)
def test_each_recipient_gets_the_step_that_they_can_take(state: HealthState, command: str) -> None:
    for_shop, for_operators = health_alerts(None, Health(state=state, since=NOON, detail="Bad."), connection=SHOP)
    assert f"{command} {SHOP.id}" in next_step(for_operators)
    assert "orderwatch " not in next_step(for_shop).replace("operators of orderwatch are", "")
    assert for_shop.detail == for_operators.detail == "Bad.", "the detail is the same"


def test_the_same_problem_later_is_another_alert() -> None:
    first, _ = health_alerts(None, Health(state=BLOCKED, since=NOON), connection=SHOP)
    second, _ = health_alerts(None, Health(state=BLOCKED, since=NOON + MINUTE), connection=SHOP)
    assert first.alert_id != second.alert_id


def test_a_recovery_names_the_problem_and_its_duration() -> None:
    for lasted, text in ((MINUTE, "1 min"), (200 * MINUTE, "3 h 20 min"), (3000 * MINUTE, "2 d 2 h")):
        alert, _ = health_alerts(Health(state=BLOCKED, since=NOON), Health(since=NOON + lasted), connection=SHOP)
        assert alert.detail == f"It was blocked for {text}."


@pytest.mark.parametrize(
    ("set_at", "read"), [(None, False), (NOON - MINUTE, False), (NOON, True), (NOON + MINUTE, True)]
)
def test_a_read_that_started_after_the_request_counts(set_at: datetime | None, read: bool) -> None:
    state = Cursor(last_read_started_at=set_at)
    assert state.has_read_since(NOON) is read
