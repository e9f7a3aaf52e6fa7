"""The health of a connection by Trackstar's record of it, and the alerts about a connection (rules 9 and 10)."""

import json
from collections.abc import Collection
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from orderwatch.alerts.alert import Alert
from orderwatch.alerts.kinds import Recipients
from orderwatch.alerts.parts import AlertConnection
from orderwatch.deadlines.rules import DeadlineRules
from orderwatch.errors import NotFoundError, UnauthorizedError, UnavailableError
from orderwatch.polling.connection_alerts import (
    health_alerts,
    page_alerts,
    quarantine_alert,
    refused_settings,
    refused_sync,
)
from orderwatch.polling.detect import Observation
from orderwatch.polling.health import (
    Probe,
    assess,
    health_after,
    health_after_refusal,
    poll_failing_since,
    probe_connection,
    refused_by_trackstar,
    with_api_key,
    with_probe,
)
from orderwatch.reading.cursor import AfterPage, Cursor, DeadlineWatch, Now, ReadContext
from orderwatch.reading.policy import Policy
from orderwatch.reading.window import BacklogCount, Progress, Window, WindowKind
from orderwatch.records import ConnectionState, Health, HealthState, Syncs
from orderwatch.rendering import email
from orderwatch.trackstar.connections import SyncError, TrackstarConnection, read_connection
from orderwatch.trackstar.orders import Order, OrderPage, Quarantined
from tests.support.clocks import NOON

SECOND, MINUTE, HOUR = timedelta(seconds=1), timedelta(minutes=1), timedelta(hours=1)
SHOP = AlertConnection(id="conn_a")
EVERYBODY, OPERATORS = Recipients.EVERYBODY, Recipients.OPERATORS
HEALTHY, INITIAL_SYNC, STALE, BLOCKED, UNAUTHORIZED, POLL_FAILING = HealthState


def record(**fields: Any) -> TrackstarConnection:
    return TrackstarConnection.model_validate({"connection_id": "conn_a", **fields})


def synced(at: datetime | str | None = None, **fields: Any) -> dict[str, Any]:
    schedule = {"function_name": "get_orders", "sync_frequency": 3600, "latest_sync": at, **fields}
    return {"sync_schedules": [schedule]}


def endpoint_error(preventing: object) -> dict[str, Any]:
    return {"error_message": "m", "affected_endpoints": [{"endpoint": "get_orders", "preventing_sync": preventing}]}


def error(kind: str, resource: str | None = None) -> dict[str, Any]:
    return {"errors": [{"error_type": kind, "resource": resource}]}


def affected(*endpoints: object, preventing: object = True) -> dict[str, Any]:
    return {"affected_endpoints": [{"endpoint": endpoint, "preventing_sync": preventing} for endpoint in endpoints]}


# What an error is about

ORDERS, PRODUCTS, NEITHER = (True, False), (False, True), (False, False)


NAMES: dict[tuple[bool, bool], tuple[object, ...]] = {
    ORDERS: (
        *("get_orders", "GET_ORDERS", "getOrders", "GetOrders", "GETOrders", "getorders", "list_orders", "read_orders"),
        *("orders", "Order", "cart_order", "cart-orders", "cartOrders", "cartorders", "OrderLineItems"),
        *("/cart/orders", "/cart/orders/{id}", "GET /cart/orders?limit=1", "https://a.example/v2/orders.json"),
        *("fulfillment_orders", None, "", " ", "*", 7, ["get_orders"]),
    ),
    PRODUCTS: (
        *("get_products", "Products", "/cart/products?order=asc", "productVariants", "inventory"),
        "get_inventory_levels",
    ),
    NEITHER: (
        *("purchase_orders", "purchaseOrders", "/wms/purchase-orders", "get_warehouses", "border", "recorders"),
        "customers",
    ),
}


@pytest.mark.parametrize(("name", "concerned"), [(name, each) for each, names in NAMES.items() for name in names])
def test_an_error_blocks_what_it_names_and_everything_if_it_names_nothing(
    name: object, concerned: tuple[bool, bool]
) -> None:
    for fields in (affected(name), {"error_type": "missing_permission", "resource": name}):
        error = SyncError.model_validate(fields)
        assert (error.blocks_orders, error.blocks_products) == concerned, fields


@pytest.mark.parametrize(
    ("fields", "concerned", "why"),
    [
        (affected("get_products", "get_orders"), ORDERS, "one of several endpoints"),
        (affected("get_products", None), ORDERS, "one that is not named"),
        (affected("get_orders", "get_products", preventing=False), NEITHER, "it prevents no sync"),
        ({"error_type": "invalid_credentials", "resource": "products"}, ORDERS, "it blocks every sync"),
        ({"error_type": "missing_permission"}, ORDERS, "no resource is named"),
        ({"error_type": "invented_tomorrow", "resource": "orders"}, NEITHER, "an unknown type"),
        ({"error_message": "Something failed."}, NEITHER, "nothing says that it prevents a sync"),
        ({"error_type": "missing_permission", "resource": "products", **affected("get_orders")}, ORDERS, "both shapes"),
    ],
)
def test_an_error_blocks_by_its_type_and_flag(fields: dict[str, Any], concerned: tuple[bool, bool], why: str) -> None:
    error = SyncError.model_validate(fields)
    assert (error.blocks_orders, error.blocks_products) == concerned, why


# The state


@pytest.mark.parametrize(
    ("fields", "state", "why"),
    [
        ({}, HEALTHY, "no fields, no problem"),
        ({"errors": None, "sync_schedules": "none"}, HEALTHY, "invalid values are ignored"),
        ({"errors": [None, 1, "x"]}, HEALTHY, "entries that are not objects are ignored"),
        (error("invalid_credentials"), BLOCKED, "blocks all syncing"),
        (error("invalid_credentials", "products"), BLOCKED, "of every resource"),
        (error("missing_permission", "get_orders"), BLOCKED, "orders"),
        (error("missing_permission", "products"), HEALTHY, "not orders"),
        ({"errors": [endpoint_error(True)]}, BLOCKED, "the other documented shape"),
        ({"errors": [affected("get_products")]}, HEALTHY, "products only degrade the alerts"),
        ({"errors": [endpoint_error(False)]}, HEALTHY, "an error that prevents no sync"),
        ({"errors": [endpoint_error("maybe")]}, HEALTHY, "an invalid flag"),
        (error("invented_tomorrow"), HEALTHY, "an unknown error type blocks nothing"),
        ({"historical_sync_completed": {"get_orders": False}}, INITIAL_SYNC, "nothing can be read yet"),
        ({"historical_sync_completed": {"get_products": False}}, HEALTHY, "products only"),
        ({"historical_sync_completed": {"get_orders": None}}, HEALTHY, "unknown"),
        (synced(NOON - 2 * HOUR), HEALTHY, "just twice the frequency"),
        (synced(NOON - 2 * HOUR - SECOND), STALE, "more than twice"),
        (synced(latest_data=NOON - 3 * HOUR), STALE, "the other spelling"),
        (synced(NOON - 3 * HOUR, last_crawl_end=NOON - HOUR), HEALTHY, "the newest date of a sync counts"),
        (synced(NOON - 24 * HOUR, sync_frequency=86400), HEALTHY, "a daily sync is not stale after a day"),
        (synced(None), HEALTHY, "a sync without a date"),
        (synced("0001-01-01T00:00:00Z"), HEALTHY, "a date that means none"),
        (synced("1970-01-01"), HEALTHY, "another one"),
        (synced("a while ago"), HEALTHY, "a date that cannot be read"),
        (synced(NOON - 9 * HOUR, function_name="get_products"), HEALTHY, "products may be old"),
    ],
)
def test_the_state_of_a_connection_follows_trackstars_record(
    fields: dict[str, Any], state: HealthState, why: str
) -> None:
    health = assess(record(**fields), now=NOON)
    assert (health.state, health.since) == (state, NOON), why
    assert bool(health.detail) is (state is not HEALTHY), "a problem has a description"


@pytest.mark.parametrize(
    ("checks", "states", "why"),
    [
        ([HEALTHY, BLOCKED, BLOCKED], [HEALTHY, BLOCKED, BLOCKED], "it begins with the first check"),
        ([BLOCKED, HEALTHY, HEALTHY], [BLOCKED, BLOCKED, HEALTHY], "it ends after two healthy checks"),
        ([BLOCKED, HEALTHY, BLOCKED, HEALTHY, HEALTHY], [BLOCKED] * 4 + [HEALTHY], "in a row"),
        ([BLOCKED, INITIAL_SYNC, HEALTHY, HEALTHY], [BLOCKED] * 3 + [HEALTHY], "an initial sync is not healthy"),
        ([STALE, BLOCKED, UNAUTHORIZED], [STALE, BLOCKED, UNAUTHORIZED], "a worse problem replaces it"),
        ([UNAUTHORIZED, BLOCKED, STALE], [UNAUTHORIZED] * 3, "a lesser one does not"),
        ([INITIAL_SYNC, HEALTHY], [INITIAL_SYNC, HEALTHY], "an initial sync ends at once"),
    ],
)
def test_a_problem_begins_at_once_and_ends_after_two_checks(
    checks: list[HealthState], states: list[HealthState], why: str
) -> None:
    health, found = None, []
    for number, state in enumerate(checks):
        health = health_after(health, Health(state=state, since=NOON + number * MINUTE))
        found.append(health.state)
    assert found == states, why


@pytest.mark.parametrize("state", [HEALTHY, BLOCKED])
def test_a_state_keeps_its_beginning(state: HealthState) -> None:
    before = Health(state=state, since=NOON)
    assert health_after(before, Health(state=state, since=NOON + MINUTE)) == before


REFUSED = {BLOCKED, UNAUTHORIZED}
"""What a 401, 403 or 404 shows, in the tests below; `!` marks what Trackstar's own record of the connection shows."""


@pytest.mark.parametrize(
    ("polls", "states", "why"),
    [
        ([HEALTHY, UNAUTHORIZED, UNAUTHORIZED], [HEALTHY, HEALTHY, UNAUTHORIZED], "two in a row"),
        ([HEALTHY, BLOCKED, BLOCKED], [HEALTHY, HEALTHY, BLOCKED], "an unknown connection"),
        ([UNAUTHORIZED, UNAUTHORIZED], [HEALTHY, UNAUTHORIZED], "from the first poll on"),
        ([UNAUTHORIZED, HEALTHY] * 3, [HEALTHY] * 6, "one healthy poll between them"),
        ([INITIAL_SYNC, UNAUTHORIZED, INITIAL_SYNC, UNAUTHORIZED], [INITIAL_SYNC] * 4, "or any that is not refused"),
        ([HEALTHY, BLOCKED, UNAUTHORIZED], [HEALTHY, HEALTHY, UNAUTHORIZED], "two refusals of different kinds"),
        ([STALE, UNAUTHORIZED, UNAUTHORIZED], [STALE, STALE, UNAUTHORIZED], "a lesser problem stays until then"),
        ([STALE, HEALTHY, UNAUTHORIZED, HEALTHY, HEALTHY], [STALE] * 4 + [HEALTHY], "a refusal is not healthy"),
        ([UNAUTHORIZED] * 3 + [HEALTHY, UNAUTHORIZED, HEALTHY], [HEALTHY] + [UNAUTHORIZED] * 5, "it is known by then"),
    ],
)
def test_a_refusal_is_believed_when_a_second_poll_sees_it(
    polls: list[HealthState], states: list[HealthState], why: str
) -> None:
    health, found = None, []
    for number, state in enumerate(polls):
        after = health_after_refusal if state in REFUSED else health_after
        health = after(health, Health(state=state, since=NOON + number * MINUTE))
        found.append(health.state)
        assert health.suspected in {None, state}
    assert found == states, why


# The probe


STATE = ConnectionState(connection_id="conn_a", integration="shopify", syncs=Syncs(last_end=NOON - 9 * HOUR))
FAILING = replace(STATE, health=Health(state=POLL_FAILING, since=NOON - HOUR))


def probe(response: TrackstarConnection | Exception, state: ConnectionState = STATE) -> Probe:
    """The probe at noon, with this record of the connection or this error."""

    def answer() -> TrackstarConnection:
        if isinstance(response, Exception):
            raise response
        return response

    vendor: Any = SimpleNamespace(now=lambda: NOON, connection=answer)
    return probe_connection(vendor, state, SHOP)


def test_a_probe_shows_the_syncs_and_the_integration() -> None:
    found = probe(record(**synced(NOON - MINUTE, sync_frequency=1800, in_progress=True), integration_name="etsy"))
    assert found.state == replace(STATE, integration="etsy", syncs=Syncs(timedelta(minutes=30), NOON - MINUTE))
    assert (found.connection.integration, found.health) == ("etsy", Health(since=NOON))
    assert (found.is_successful, found.awaits_initial_sync) == (True, False)
    assert (found.sync_age, found.is_syncing, found.watermark) == (60.0, True, NOON - MINUTE)


@pytest.mark.parametrize(
    ("products", "end"),
    [
        ({"latest_sync": NOON - HOUR}, NOON - HOUR),
        ({"last_crawl_start": NOON - HOUR, "last_crawl_end": NOON - MINUTE}, NOON - HOUR),
        ({"latest_sync": NOON + HOUR}, NOON + HOUR),
        ({"function_name": "get_variants", "latest_sync": NOON}, None),
        ({}, None),
    ],
    ids=["a date", "a crawl that took long", "ahead of the clock", "another resource", "no date"],
)
def test_a_probe_shows_up_to_when_the_products_are_complete(products: dict[str, Any], end: datetime | None) -> None:
    orders = synced(NOON - MINUTE)["sync_schedules"]
    found = probe(record(sync_schedules=[*orders, {"function_name": "get_products", **products}]))
    assert (found.products_end, found.watermark) == (end, NOON - MINUTE)


def test_a_sync_date_that_cannot_be_read_is_reported_once() -> None:
    body = json.dumps({"connection_id": "conn_a", **synced("a while ago")}).encode()
    found = probe(read_connection("conn_a", body))
    state, alerts = with_probe(found.state, found, settings_flaw=None, now=NOON)
    assert [(alert.kind, alert.recipients) for alert in alerts] == [("orders.unreadable_values", "operators")]
    assert alerts[0].detail
    assert "latest_sync (1)" in alerts[0].detail
    assert with_probe(state, found, settings_flaw=None, now=NOON) == (state, [])


def test_a_probe_without_them_keeps_those_of_before() -> None:
    found = probe(record(historical_sync_completed={"get_orders": False}))
    assert found.state == STATE
    assert (found.connection.integration, found.health.state) == ("shopify", INITIAL_SYNC)
    assert (found.is_successful, found.awaits_initial_sync) == (True, True)
    assert (found.sync_age, found.is_syncing, found.watermark) == (None, False, NOON - 9 * HOUR)


@pytest.mark.parametrize("kind", [NotFoundError, UnavailableError])
def test_a_failed_probe_changes_no_state(kind: type[Exception]) -> None:
    found = probe(kind("GET /connections/conn_a"))
    assert (found.state, found.connection.integration) == (STATE, "shopify")
    assert (found.is_successful, found.awaits_initial_sync) == (False, False)
    assert (found.sync_age, found.is_syncing) == (None, False)


@pytest.mark.parametrize(
    ("response", "state", "watermark", "why"),
    [
        (record(**synced(NOON - MINUTE)), STATE, NOON - MINUTE, "the end of the last sync"),
        (record(**synced(NOON + MINUTE)), STATE, NOON, "never later than now"),
        (
            record(**synced(NOON - MINUTE, last_crawl_start=NOON - 3 * MINUTE, last_crawl_end=NOON - MINUTE)),
            STATE,
            NOON - 3 * MINUTE,
            "a sync can miss what changes while it runs",
        ),
        (record(), STATE, NOON - 9 * HOUR, "the last sync that was seen"),
        (record(), replace(STATE, syncs=Syncs()), NOON - 2 * HOUR, "two syncs ago if none was ever seen"),
        (record(), replace(FAILING, syncs=Syncs()), NOON - 2 * HOUR, "failed polls do not hold it back"),
        (record(**error("invalid_credentials")), replace(STATE, syncs=Syncs()), None, "unknown while it is blocked"),
        (UnavailableError("down"), STATE, NOON - 9 * HOUR, "the last one counts without a record"),
        (UnavailableError("down"), replace(STATE, syncs=Syncs(last_end=NOON + HOUR)), NOON, "but not the future"),
        (UnavailableError("down"), replace(STATE, syncs=Syncs()), None, "none was ever seen"),
        (NotFoundError("gone"), STATE, None, "Trackstar no longer has the shop"),
    ],
)
def test_the_watermark_is_never_later_than_the_data(
    response: TrackstarConnection | Exception, state: ConnectionState, watermark: datetime | None, why: str
) -> None:
    assert probe(response, state).watermark == watermark, why


def test_the_age_of_a_sync_is_never_negative() -> None:
    assert probe(record(**synced(NOON + MINUTE))).sync_age == 0


@pytest.mark.parametrize(
    ("response", "before", "state", "why"),
    [
        (record(), None, HEALTHY, "a healthy record"),
        (UnavailableError("down"), None, HEALTHY, "an unknown one counts as healthy"),
        (UnavailableError("down"), Health(state=STALE, since=NOON), STALE, "and changes nothing"),
        (NotFoundError("gone"), Health(since=NOON, suspected=BLOCKED), BLOCKED, "Trackstar no longer knows it"),
        (record(), FAILING.health, POLL_FAILING, "a healthy record does not end failing polls"),
        (record(**error("invalid_credentials")), FAILING.health, BLOCKED, "a worse problem replaces them"),
    ],
)
def test_the_health_after_a_probe(
    response: TrackstarConnection | Exception, before: Health | None, state: HealthState, why: str
) -> None:
    once = probe(response, replace(STATE, health=before))
    assert once.health.state is state, why
    twice = probe(response, replace(STATE, health=once.health))
    assert twice.health.state is state, "nor does a second one"


def test_a_connection_that_is_not_found_is_suspected_first() -> None:
    found = probe(NotFoundError("gone"), replace(STATE, health=Health(since=NOON - HOUR)))
    assert found.health == Health(since=NOON - HOUR, suspected=BLOCKED)
    after, alerts = with_probe(found.state, found, settings_flaw=None, now=NOON)
    assert (after.health, alerts) == (found.health, [])
    assert probe(UnavailableError("down"), after).health.suspected is None, "unless it cannot be asked for"


def test_failing_polls_end_two_checks_after_one_succeeded() -> None:
    health = FAILING.health
    for state in (POLL_FAILING, HEALTHY):
        recovered = replace(FAILING, health=health, cursor=Cursor(last_success_at=NOON))
        health = probe(record(), recovered).health
        assert health.state is state


@pytest.mark.parametrize(
    ("before", "flaw", "is_alerted"),
    [
        (None, "bad zone", True),
        ("bad zone", "bad zone", False),
        ("bad zone", "no JSON", True),
        ("bad zone", None, False),
    ],
)
def test_flawed_settings_are_alerted_once_each(before: str | None, flaw: str | None, is_alerted: bool) -> None:
    state = replace(STATE, settings_flaw=before, health=Health(since=NOON))
    after, alerts = with_probe(state, probe(record(), state), settings_flaw=flaw, now=NOON)
    assert after.settings_flaw == flaw
    assert [(alert.kind, alert.recipients) for alert in alerts] == ([("settings.refused", OPERATORS)] * is_alerted)
    assert all(flaw and flaw in (alert.detail or "") for alert in alerts)


NO_PRODUCTS: dict[str, Any] = {"errors": [affected("get_products")]}


@pytest.mark.parametrize(
    ("responses", "kinds"),
    [
        ([NO_PRODUCTS, NO_PRODUCTS], ["products.blocked"]),
        ([error("missing_permission", "Products")], ["products.blocked"]),
        ([NO_PRODUCTS, {}, NO_PRODUCTS], ["products.blocked"] * 2),
        ([NO_PRODUCTS, None, NO_PRODUCTS], ["products.blocked"]),
        ([{"errors": [affected("get_products", preventing=False)]}], []),
        ([{"errors": [affected("get_products"), affected("get_orders")]}], ["products.blocked", "connection.blocked"]),
        ([error("invalid_credentials", "products")], ["connection.blocked"]),
    ],
)
def test_a_products_fault_is_reported_to_operators_once(
    responses: list[dict[str, Any] | None], kinds: list[str]
) -> None:
    state, alerts = replace(STATE, health=Health(since=NOON)), []
    for fields in responses:
        found = probe(UnavailableError("down") if fields is None else record(**fields), state)
        state, new = with_probe(found.state, found, settings_flaw=None, now=NOON)
        alerts += [alert for alert in new if alert.kind == "products.blocked" or alert.recipients is EVERYBODY]
    assert sorted(alert.kind for alert in alerts) == sorted(kinds)
    assert {alert.recipients for alert in alerts if alert.kind == "products.blocked"} <= {OPERATORS}


# The alerts about its health


@pytest.mark.parametrize(
    ("before", "after", "kind", "why"),
    [
        (None, HEALTHY, None, "a healthy start sends no alert"),
        (None, INITIAL_SYNC, None, "neither does the first sync"),
        (None, BLOCKED, "connection.blocked", "an unhealthy start does"),
        (HEALTHY, STALE, "connection.stale", "a problem"),
        (HEALTHY, UNAUTHORIZED, "connection.unauthorized", "a problem"),
        (BLOCKED, BLOCKED, None, "alerted already"),
        (STALE, BLOCKED, "connection.blocked", "another problem"),
        (BLOCKED, HEALTHY, "connection.recovered", "its end"),
        (BLOCKED, INITIAL_SYNC, None, "not resolved yet"),
        (HEALTHY, INITIAL_SYNC, None, "no problem"),
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
    alerts = health_alerts(old, new, connection=SHOP, data_as_of=NOON)
    expected = [(kind, EVERYBODY, NOON), (kind, OPERATORS, NOON)] if kind else []
    assert [(alert.kind, alert.recipients, alert.data_as_of) for alert in alerts] == expected, why
    assert len({alert.alert_id for alert in alerts}) == len(alerts), "each recipient has its own alert"


def test_our_own_problems_are_for_operators_only() -> None:
    problem, good = Health(state=POLL_FAILING, since=NOON), Health(since=NOON + MINUTE)
    for before, after in ((None, problem), (problem, good)):
        assert [alert.recipients for alert in health_alerts(before, after, connection=SHOP)] == [OPERATORS]


@pytest.mark.parametrize(
    ("state", "text"),
    [
        (BLOCKED, "It was blocked for 3 h 20 min."),
        (STALE, "The data was out of date for 3 h 20 min."),
        (POLL_FAILING, "It could not be read for 3 h 20 min."),
        (UNAUTHORIZED, "Trackstar refused access for 3 h 20 min."),
    ],
)
def test_a_recovery_names_the_problem_and_its_duration(state: HealthState, text: str) -> None:
    alert, *_ = health_alerts(Health(state=state, since=NOON), Health(since=NOON + 200 * MINUTE), connection=SHOP)
    assert alert.detail == text


@pytest.mark.parametrize(
    ("every", "age", "text"),
    [
        (HOUR, 3 * HOUR, "for 3 h, normally hourly."),
        (24 * HOUR, 50 * HOUR, "for 2 d 2 h, normally daily."),
        (30 * MINUTE, 61 * MINUTE, "for 1 h 1 min, normally every 30 min."),
    ],
)
def test_stale_data_shows_for_how_long_and_what_is_normal(every: timedelta, age: timedelta, text: str) -> None:
    found = record(**synced(NOON - age, sync_frequency=every.total_seconds()))
    assert text in assess(found, now=NOON).detail


@pytest.mark.parametrize(
    ("zone", "now", "shown"),
    [
        ("Europe/Berlin", NOON, "Mon 5 Jan 12:20 CET"),
        ("Asia/Tokyo", NOON, "Mon 5 Jan 20:20 JST"),
        ("No/Where", NOON, "Mon 5 Jan 11:20 UTC"),
        ("UTC", datetime(2027, 1, 1, tzinfo=UTC), "Thu 31 Dec 2026 23:20 UTC"),
    ],
)
def test_failing_polls_show_the_last_read_in_the_shops_zone(zone: str, now: datetime, shown: str) -> None:
    health = poll_failing_since(now - 40 * MINUTE, now=now, connection=AlertConnection(id="a", time_zone=zone))
    assert health.detail.startswith(f"No complete read since {shown}.")


@pytest.mark.parametrize(
    ("flaw", "command"),
    [
        ("time_zone: no time zone", " --time-zone ZONE"),
        ("stuck_days: Input should be less than 366; time_zone: no time zone", " --time-zone ZONE --stuck-days DAYS"),
        ("tiem_zone: Extra inputs are not permitted", ""),
        ("no JSON object", ""),
    ],
)
def test_invalid_settings_show_the_command_that_corrects_them(flaw: str, command: str) -> None:
    step = refused_settings(flaw, connection=SHOP, now=NOON).next_step or ""
    what = "Set them again" if command else "Delete them"
    assert step == f"{what}, run: orderwatch settings {SHOP.id} --remove{command}"


def test_a_refused_key_is_about_all_shops() -> None:
    health = refused_by_trackstar(UnauthorizedError("401"), is_key_accepted=False, now=NOON)
    _, [everybody, operators] = with_api_key(STATE, STATE, health, SHOP)
    assert email.subject(operators) == "[access refused] All shops"
    assert email.body(operators).splitlines()[:3] == [
        "All shops: the orders cannot be read.",
        "Trackstar refused the API key of all shops. Changes are alerted as soon as orders can be read again.",
        "Do: store a valid API key, run: orderwatch connect-trackstar",
    ]
    assert "orderwatch connect" not in email.body(everybody)


# What a page shows about its connection

POLICY = Policy(statuses={"exception"})
WITH_DEADLINES = replace(POLICY, deadlines=DeadlineRules(zone=ZoneInfo("UTC")))
LATE = "1 is already overdue; it won't be alerted."
OBSERVED = Observation(SHOP, NOON, WindowKind.INCREMENTAL, watch_started_at=None, data_as_of=None)


def shown(
    state: ConnectionState = STATE,
    *,
    statuses: Collection[str] = (),
    quarantined: Collection[Quarantined] = (),
    finished: Progress | None = None,
    policy: Policy = POLICY,
) -> tuple[ConnectionState, list[Alert]]:
    """The state and the alerts after a page with orders in these statuses, whose ids are their statuses."""
    orders = {status: Order(id=status, status=status) for status in statuses}
    page = OrderPage(list(orders.values()), list(quarantined), None, None)
    context = ReadContext(Now(NOON, NOON), policy, HOUR, NOON - MINUTE)
    return page_alerts(state, page, replace(OBSERVED, orders=orders), AfterPage(state.cursor, finished), context)


def finished(kind: WindowKind, **fields: Any) -> Progress:
    return Progress(window=Window(kind=kind, until=NOON), began_at=NOON, **fields)


def test_a_page_without_anything_new_causes_no_alert() -> None:
    assert shown(statuses=["open", "exception"]) == (STATE, [])
    assert shown(finished=finished(WindowKind.INCREMENTAL)) == (STATE, [])


@pytest.mark.parametrize(
    ("backlog", "policy", "detail"),
    [
        (BacklogCount(), POLICY, "Now watching 1,234 orders, none in a watched status."),
        (
            BacklogCount({"exception": 2, "backordered": 1}),
            replace(WITH_DEADLINES, statuses={"exception", "backordered"}),
            "Now watching 1,234 orders (2 in exception, 1 backordered).",
        ),
        (
            BacklogCount(overdue={"order.late": 1}),
            WITH_DEADLINES,
            f"Now watching 1,234 orders, none in a watched status. {LATE}",
        ),
    ],
)
def test_a_finished_baseline_is_one_alert(backlog: BacklogCount, policy: Policy, detail: str) -> None:
    progress = finished(WindowKind.BASELINE, read_count=1234, backlog=backlog)
    _, [alert] = shown(finished=progress, policy=policy)
    assert (alert.kind, alert.detail, alert.data_as_of) == ("watch.started", detail, NOON - MINUTE)
    assert alert.backlog == backlog.backlog(now=NOON)


@pytest.mark.parametrize(
    ("recorded", "overdue", "detail"),
    [
        (None, {}, "None has passed."),
        (None, {"order.late": 1}, LATE),
        ("other rules", {"order.late": 1}, LATE),
        ("other rules", {}, None),
    ],
)
def test_recorded_deadlines_are_one_alert(recorded: str | None, overdue: dict[str, int], detail: str | None) -> None:
    state = replace(STATE, cursor=Cursor(deadlines=DeadlineWatch(recorded, NOON)))
    progress = finished(WindowKind.DEADLINES, read_count=1234, backlog=BacklogCount(overdue=overdue))
    _, alerts = shown(state, finished=progress, policy=WITH_DEADLINES)
    text = f"Now watching the deadlines of 1,234 open orders. {detail}"
    assert [alert.detail for alert in alerts] == ([text] if detail else [])
    assert {alert.kind for alert in alerts} <= {"watch.started"}
    for kind in (WindowKind.SWEEP, WindowKind.INCREMENTAL):
        assert (
            shown(state, finished=replace(progress, window=Window(kind=kind, until=NOON)), policy=WITH_DEADLINES)[1]
            == []
        )


# Statuses that may be misspelt


def test_a_status_that_no_order_had_is_reported_once_by_its_name() -> None:
    policy, end = Policy(statuses={"exceptoin", "cancelled", "on_hold"}), finished(WindowKind.INCREMENTAL)
    assert shown(policy=policy) == (STATE, []), "before the window is read it is not known"
    state, [alert, _] = shown(statuses=["on_hold"], finished=end, policy=policy)
    assert (alert.kind, alert.connection_id, alert.recipients) == ("status.unknown", "AlertStatuses", OPERATORS)
    assert "AlertStatuses contains exceptoin, " in (alert.detail or "")
    assert (state.other_statuses, state.reported_statuses) == (("on_hold",), ("exceptoin",))
    assert shown(state, finished=end, policy=policy) == (state, [])
    _, [other, _] = shown(replace(STATE, connection_id="conn_b"), statuses=["on_hold"], finished=end, policy=policy)
    assert other.alert_id == alert.alert_id, "one alert for all shops"


@pytest.mark.parametrize("kind", [WindowKind.BASELINE, WindowKind.INCREMENTAL])
def test_a_new_status_is_reported_once_when_its_window_ends(kind: WindowKind) -> None:
    policy, end = Policy(statuses={"exception", "on_hold"}), finished(kind)
    state, alerts = shown(statuses=["other", "in_customs", "Exception"], policy=policy)
    assert alerts == [], "the window is not read to its end"
    state, alerts = shown(state, statuses=["on_hold", "In-Customs"], finished=end, policy=policy)
    alert = alerts[0]
    assert (alert.kind, alert.recipients, alert.severity) == ("status.new", OPERATORS, "warning")
    assert ": in_customs, on_hold (watched). " in (alert.detail or "")
    assert [each.kind for each in alerts[1:]] == ["watch.started"] * (kind is WindowKind.BASELINE)
    for status in ("on_hold", "open"):
        after, alerts = shown(state, statuses=[status], finished=finished(WindowKind.SWEEP), policy=policy)
        assert (after, alerts) == (state, [])


def test_twenty_new_statuses_are_named() -> None:
    _, [alert] = shown(statuses=[f"s{number:02}" for number in range(60)], finished=finished(WindowKind.SWEEP))
    assert "s18, s19 and 30 more. " in (alert.detail or ""), "fifty are recorded"


def test_at_most_fifty_undocumented_statuses_are_recorded() -> None:
    names = [f"s{number:02}" for number in range(60)]
    assert shown(statuses=names)[0].other_statuses == tuple(names[:50])
    for known, expected in ((48, [*names[:48], "x", "y"]), (49, [*names[:49], "x"]), (50, names[:50])):
        state = replace(STATE, other_statuses=tuple(names[:known]))
        assert shown(state, statuses=["x", "y", "open", "s00"])[0].other_statuses == tuple(expected)


# Quarantine (rule 9)


def broken(*order_ids: str | None, reason: str = "status is missing") -> list[Quarantined]:
    return [Quarantined(order_id, reason) for order_id in order_ids]


def test_quarantined_orders_are_reported_once_for_each_reason() -> None:
    state, [alert] = shown(quarantined=broken("2", "1", None))
    assert (alert.kind, alert.recipients) == ("orders.quarantined", OPERATORS)
    assert alert.detail == (
        "3 orders cannot be watched because the records are malformed: 2 (status is missing), 1 (status is missing), "
        "without id (status is missing). All other orders are watched."
    )
    assert shown(state, quarantined=broken("1", "2", None)) == (state, [])
    state, [alert] = shown(state, quarantined=broken("1", reason="id is too long"))
    assert "1 order cannot be watched because the records are malformed: 1 (id is too long). " in (alert.detail or "")


def test_a_record_that_can_be_read_leaves_the_quarantine() -> None:
    state = replace(STATE, quarantined={"open": "status is missing", "2": "status is missing"})
    after, alerts = shown(state, statuses=["open"])
    assert (after.quarantined, alerts) == ({"2": "status is missing"}, [])
    _, [alert] = shown(after, quarantined=broken("open"))
    assert "open (status is missing)" in (alert.detail or "")


@pytest.mark.parametrize(("count", "named", "more"), [(20, 20, ""), (21, 20, " and 1 more")])
def test_twenty_quarantined_orders_are_named(count: int, named: int, more: str) -> None:
    alert = quarantine_alert({f"o{number}": "bad" for number in range(count)}, connection=SHOP, now=NOON)
    assert alert.detail
    assert alert.detail.count("(bad)") == named
    assert f"(bad){more}. All other orders" in alert.detail


@pytest.mark.parametrize(
    ("known", "kept", "is_alerted"), [(198, 2, True), (199, 1, True), (200, 0, False), (201, 0, False)]
)
def test_two_hundred_quarantined_orders_are_kept(known: int, kept: int, is_alerted: bool) -> None:
    state = replace(STATE, quarantined={f"o{number}": "bad" for number in range(known)})
    after, alerts = shown(state, quarantined=broken("x", "y", "z")[: 2 if known < 200 else 3])
    assert len(after.quarantined) == known + kept
    assert bool(alerts) is is_alerted


def test_a_refused_sync_shows_two_hundred_characters_of_the_reason() -> None:
    alert = refused_sync("x" * 300, connection=SHOP, now=NOON)
    assert alert.detail
    assert (alert.kind, alert.recipients, alert.detail.count("x")) == ("sync.refused", OPERATORS, 200)
