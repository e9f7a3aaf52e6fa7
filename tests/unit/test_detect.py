"""What counts as a transition: the tables of decisions, each row with its reason."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from orderwatch.alerts.parts import AlertConnection
from orderwatch.polling.detect import Observation, OrderWrite, Reason, detect, reason_for
from orderwatch.reading.policy import Policy
from orderwatch.reading.window import WindowKind
from orderwatch.records import StoredOrder
from orderwatch.trackstar.orders import Order, Version, VersionClock

NOON = datetime(2026, 1, 5, 12, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
POLICY = Policy(statuses=frozenset({"exception", "backordered", "cancelled"}))
OBSERVED = Observation(
    connection=AlertConnection(id="conn_a"),
    observed_at=NOON + timedelta(days=1),
    window=WindowKind.INCREMENTAL,
    watch_started_at=NOON,
    data_as_of=NOON,
)
BASELINE = replace(OBSERVED, window=WindowKind.BASELINE, watch_started_at=None)


def stored(
    status: str, *, minute: int = 0, alerted: bool = True, clock: VersionClock = VersionClock.TRACKSTAR
) -> StoredOrder:
    return StoredOrder(
        status=status,
        raw_status=None,
        version=Version(NOON + minute * MINUTE, clock),
        status_since=NOON - 60 * MINUTE,
        order_number="#1",
        needs_attention=POLICY.needs_attention(status),
        status_alert_id="alert-before" if POLICY.watches(status) and alerted else None,
    )


def seen(status: str, *, minute: int = 1, raw_status: str | None = None) -> Order:
    return Order(id="1", status=status, raw_status=raw_status, trackstar_updated_date=NOON + minute * MINUTE)


def moved(
    order: Order, before: StoredOrder | None, *, observation: Observation = OBSERVED, policy: Policy = POLICY
) -> OrderWrite:
    write = detect(order, before, observation=observation, policy=policy)
    assert isinstance(write, OrderWrite)
    return write


@pytest.mark.parametrize(
    ("status", "needs_attention"),
    [("exception", True), ("backordered", True), ("cancelled", False), ("open", False)],
)
def test_an_order_in_an_open_watched_status_needs_attention(status: str, needs_attention: bool) -> None:
    assert moved(seen(status), stored("processing")).stored.needs_attention is needs_attention
    assert moved(seen(status, minute=2), stored(status)).stored.needs_attention is needs_attention


@pytest.mark.parametrize(
    ("before", "after", "kind", "why"),
    [
        (stored("open"), "exception", "order.exception", "into a watched status"),
        (stored("open"), "backordered", "order.backordered", "into a watched status"),
        (stored("open"), "cancelled", "order.cancelled", "into a watched status"),
        (stored("exception"), "cancelled", "order.cancelled", "watched to watched is a new alert"),
        (stored("backordered"), "backordered", None, "a new version of the same status is no alert"),
        (stored("exception"), "processing", "order.recovered", "the old one was watched, the new one is not"),
        (stored("exception"), "other", "order.recovered", "an unwatched status is an unwatched status"),
        (stored("exception", alerted=False), "processing", None, "a problem without an alert has no recovery"),
        (
            stored("exception", alerted=False),
            "cancelled",
            "order.cancelled",
            "a problem of the baseline gets worse",
        ),
        (stored("open"), "processing", None, "between unwatched statuses"),
        (stored("open"), "other", None, "`other` is not watched here"),
        (stored("open"), "teleported", None, "a status the vendor invents is stored only"),
        (None, "exception", "order.exception", "first seen in a watched status after the baseline"),
        (None, "open", None, "first seen in an unwatched one"),
    ],
)
def test_the_alert_of_a_status_change(before: StoredOrder | None, after: str, kind: str | None, why: str) -> None:
    write = moved(seen(after), before)
    assert (write.alert.kind if write.alert else None) == kind, why
    assert write.stored.status == after, "it is stored whether or not there is an alert"


@pytest.mark.parametrize(
    ("before", "order", "observation", "policy", "reason"),
    [
        (None, seen("exception"), OBSERVED, POLICY, Reason.FIRST_SEEN),
        (None, seen("exception"), BASELINE, POLICY, Reason.BASELINE),
        (stored("open"), seen("exception"), BASELINE, POLICY, Reason.STATUS_CHANGED),
        (stored("open"), seen("exception"), OBSERVED, POLICY, Reason.STATUS_CHANGED),
        (stored("open"), seen("exception", minute=0), OBSERVED, POLICY, Reason.STATUS_CHANGED),
        (stored("open", minute=2), seen("exception"), OBSERVED, POLICY, Reason.STALE),
        (stored("open", minute=2), seen("open"), OBSERVED, POLICY, Reason.STALE),
        (stored("open"), seen("open", minute=0), OBSERVED, POLICY, Reason.UNCHANGED),
        (stored("open"), seen("open"), OBSERVED, POLICY, Reason.SAME_STATUS),
        (stored("open"), seen("open", minute=0, raw_status="new"), OBSERVED, POLICY, Reason.SAME_STATUS),
        (stored("open", minute=9, clock=VersionClock.SHOP), seen("exception"), OBSERVED, POLICY, Reason.STATUS_CHANGED),
    ],
    ids=[
        "an unknown order",
        "an order the baseline finds",
        "one that moved after the baseline had read it",
        "another status",
        "another status of an equal version: the later reading wins",
        "an older page cannot overwrite a newer status",
        "an older page of the same status neither",
        "the overlap reads it again",
        "a newer version of the same status",
        "a changed raw status alone",
        "versions of two clocks cannot be compared: never called stale",
    ],
)
def test_the_reason_for_a_write(
    before: StoredOrder | None, order: Order, observation: Observation, policy: Policy, reason: Reason
) -> None:
    assert reason_for(order, before, observation=observation, policy=policy) is reason
    write = detect(order, before, observation=observation, policy=policy)
    assert isinstance(write, Reason) == (reason in {Reason.STALE, Reason.UNCHANGED})


@pytest.mark.parametrize(
    ("days", "created", "reason", "why"),
    [
        (30, NOON - 60 * MINUTE, Reason.BEFORE_WATCH, "Trackstar had it before the watch"),
        (30, NOON, Reason.BEFORE_WATCH, "at the same moment"),
        (30, NOON + MINUTE, Reason.FIRST_SEEN, "it is new"),
        (30, None, Reason.FIRST_SEEN, "its age is unknown"),
        (0, NOON - 60 * MINUTE, Reason.FIRST_SEEN, "a baseline of everything would have it: it is new"),
    ],
)
def test_an_unknown_order_after_a_capped_baseline(
    days: int, created: datetime | None, reason: Reason, why: str
) -> None:
    policy = Policy(statuses=POLICY.statuses, baseline_days=days)
    record = {"id": "1", "status": "exception"}
    by_trackstar = Order.of(record | {"trackstar_created_date": created, "created_date": NOON + 99 * MINUTE})
    by_the_shop = Order.of(record | {"created_date": created})
    for order in [by_trackstar, by_the_shop] if created else [by_the_shop]:
        assert reason_for(order, None, observation=OBSERVED, policy=policy) is reason, why
        alert = moved(order, None, policy=policy).alert
        assert (alert is not None) == (reason is Reason.FIRST_SEEN)


def test_recoveries_can_be_left_out() -> None:
    quiet = Policy(statuses=POLICY.statuses, notify_recovered=False)
    assert moved(seen("processing"), stored("exception"), policy=quiet).alert is None


def test_status_other_includes_the_raw_status() -> None:
    policy = Policy(statuses={"other"})
    alert = moved(seen("other", raw_status="fraud hold"), stored("open"), policy=policy).alert
    assert alert
    assert alert.order
    assert (alert.kind, alert.order.raw_status) == ("order.other", "fraud hold")


def test_an_alert_has_the_previous_status_and_its_date() -> None:
    alert = moved(seen("cancelled"), stored("exception")).alert
    assert alert
    assert alert.order
    assert alert.order.previous_status == "exception"
    assert alert.order.previous_status_since == NOON - 60 * MINUTE
    assert alert.order.updated_at == NOON + MINUTE


def test_a_transition_always_has_the_same_alert_id() -> None:
    def alerted_id(order: Order, connection_id: str = "conn_a") -> str:
        observation = replace(
            OBSERVED,
            connection=AlertConnection(id=connection_id),
            observed_at=NOON + timedelta(days=1),
            data_as_of=None,
        )
        alert = moved(order, stored("open"), observation=observation).alert
        assert alert
        return alert.alert_id

    original = moved(seen("exception"), stored("open")).alert
    assert original
    assert alerted_id(seen("exception")) == original.alert_id
    others = {
        alerted_id(seen("exception"), "conn_b"),
        alerted_id(seen("cancelled")),
        alerted_id(seen("exception", minute=2)),
        alerted_id(seen("exception").model_copy(update={"id": "2"})),
    }
    assert len(others | {original.alert_id}) == 5


def test_a_new_version_of_a_status_keeps_since_and_alert_id() -> None:
    before = stored("exception")
    after = moved(seen("exception", minute=5), before).stored
    assert (after.status_since, after.status_alert_id) == (before.status_since, "alert-before")
    assert after.version.at == NOON + 5 * MINUTE


def test_a_write_expects_the_row_that_it_was_decided_on() -> None:
    before = stored("open")
    assert moved(seen("exception"), before).expected is before
    assert moved(seen("exception"), None).expected is None


def test_a_row_keeps_the_alert_id_of_its_current_status() -> None:
    into = moved(seen("exception"), stored("open"))
    assert into.alert
    assert into.stored.status_alert_id == into.alert.alert_id
    assert moved(seen("processing", minute=2), into.stored).stored.status_alert_id is None
