"""What an observed order writes and alerts: tables of decisions, each row with its reason."""

from copy import replace
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from orderwatch.alerts.alert import Alert
from orderwatch.alerts.kinds import KIND_AT_RISK, KIND_LATE
from orderwatch.alerts.parts import AlertConnection
from orderwatch.deadlines.alerts import deadline_id, resolved_id
from orderwatch.deadlines.rules import NO_DEADLINE, Deadline, DeadlineRules, DeadlineState, Suppression
from orderwatch.polling.detect import (
    Observation,
    OrderWrite,
    Reason,
    detect,
    newest_of_each,
    reason_for,
    suppression_for,
    version_of,
)
from orderwatch.reading.cursor import Cursor, DeadlineWatch
from orderwatch.reading.policy import Policy
from orderwatch.reading.window import WindowKind
from orderwatch.records import ConnectionState, Extract, OlderCopy, StoredOrder
from orderwatch.trackstar.orders import Order, Version, VersionClock
from tests.support.alerts import OBSERVED, SEEN_AT, first_sight
from tests.support.any_record import ANY_JSON, FIELDS
from tests.support.clocks import NOON

SECOND, MINUTE, HOUR, DAY = timedelta(seconds=1), timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)
RULES = DeadlineRules(zone=ZoneInfo("UTC"))
POLICY = Policy(statuses=frozenset({"exception", "backordered", "cancelled"}))
WITH_DEADLINES = replace(POLICY, deadlines=RULES)
BASELINE = replace(OBSERVED, window=WindowKind.BASELINE, watch_started_at=None)
TRACKSTAR, SHOP, BY_US = VersionClock.TRACKSTAR, VersionClock.SHOP, VersionClock.OBSERVED


def stored(
    status: str, *, minute: int = 0, alerted: bool = True, clock: VersionClock = TRACKSTAR, **fields: Any
) -> StoredOrder:
    return StoredOrder(
        status=status,
        raw_status=None,
        version=Version(NOON + minute * MINUTE, clock),
        status_since=NOON - HOUR,
        order_number="#1",
        status_alert_id="alert-before" if POLICY.watches(status) and alerted else None,
        **{"needs_attention": POLICY.needs_attention(status, fields.get("deadline_state", NO_DEADLINE)), **fields},
    )


def seen(status: str, *, minute: int = 1, raw_status: str | None = None, **fields: Any) -> Order:
    changed = NOON + minute * MINUTE
    return Order.of(
        {"id": "1", "status": status, "raw_status": raw_status, "trackstar_updated_date": changed, **fields}
    )


def moved(
    order: Order, before: StoredOrder | None, *, observation: Observation = OBSERVED, policy: Policy = POLICY
) -> OrderWrite:
    write = detect(order, before, observation=observation, policy=policy)
    assert isinstance(write, OrderWrite)
    assert (write.order_id, write.expected) == (order.id, before), "it expects the row that it was decided on"
    return write


def alert_of(write: OrderWrite) -> Alert:
    assert write.alert
    return write.alert


# Transitions


@pytest.mark.parametrize(
    ("before", "after", "kind", "why"),
    [
        (stored("open"), "exception", "order.exception", "into a watched status"),
        (stored("open"), "cancelled", "order.cancelled", "into a final watched status"),
        (stored("exception"), "cancelled", "order.cancelled", "watched to watched is a new alert"),
        (stored("backordered"), "backordered", None, "a new version of the same status is no alert"),
        (stored("exception"), "processing", "order.recovered", "the old one was watched, the new one is not"),
        (stored("exception"), "other", "order.recovered", "an unwatched status is an unwatched status"),
        (stored("exception", alerted=False), "processing", None, "a problem without an alert has no recovery"),
        (stored("exception", alerted=False), "cancelled", "order.cancelled", "a problem of the baseline gets worse"),
        (stored("open"), "processing", None, "between unwatched statuses"),
        (stored("open"), "teleported", None, "a status the vendor invents is stored only"),
        (None, "exception", "order.exception", "first seen in a watched status after the baseline"),
        (None, "open", None, "first seen in an unwatched one"),
    ],
)
def test_the_alert_of_a_status_change(before: StoredOrder | None, after: str, kind: str | None, why: str) -> None:
    write = moved(seen(after), before)
    assert (write.alert.kind if write.alert else None) == kind, why
    assert write.alerts == ((write.alert,) if kind else ())
    assert write.stored.status == after, "it is stored whether or not there is an alert"


@given(st.dictionaries(st.sampled_from(FIELDS), ANY_JSON, max_size=6))
@example({"line_items": 5})
@example({"line_items": True, "shipments": 5, "shipping_groups": "x"})
def test_whatever_a_record_has_beside_id_and_status_it_is_alerted(fields: dict[str, Any]) -> None:
    order = Order.of({**fields, "id": "1", "status": "exception"})
    write = moved(order, None, observation=replace(OBSERVED, watch_started_at=None))
    assert alert_of(write).kind == "order.exception"
    assert Extract.from_json(write.stored.extract or "") == Extract.of(order.details)


def test_recoveries_can_be_left_out() -> None:
    quiet = replace(POLICY, notify_recovered=False)
    assert moved(seen("processing"), stored("exception"), policy=quiet).alert is None
    assert (Policy(()).notify_recovered, Policy(()).baseline_days) == (True, 0), "unless the stack says otherwise"


@pytest.mark.parametrize(
    ("status", "passed", "needs_attention"),
    [
        ("exception", None, True),
        ("backordered", None, True),
        ("cancelled", None, False),
        ("open", None, False),
        ("open", KIND_AT_RISK, False),
        ("open", KIND_LATE, True),
        ("fulfilled", KIND_LATE, False),
        ("other", KIND_LATE, False),
    ],
)
def test_which_orders_need_attention(status: str, passed: str | None, needs_attention: bool) -> None:
    state = DeadlineState(passed=Deadline(NOON, passed)) if passed else NO_DEADLINE
    assert POLICY.needs_attention(status, state) is needs_attention
    row = moved(seen(status), stored("confirmed", deadline_state=state), policy=POLICY).stored
    assert row.needs_attention is needs_attention


def test_a_row_holds_its_status_and_how_often_it_changed() -> None:
    first = moved(seen("exception"), None).stored
    assert (first.changes, first.version, first.status_since) == (1, Version(NOON + MINUTE, TRACKSTAR), NOON + MINUTE)
    same = moved(seen("exception", minute=5), replace(first, changes=4)).stored
    assert (same.changes, same.version.at, same.status_since) == (4, NOON + 5 * MINUTE, NOON + MINUTE)
    assert same.status_alert_id == first.status_alert_id
    other = moved(seen("processing", minute=9), replace(first, changes=4))
    assert (other.stored.changes, other.stored.status_since) == (5, NOON + 9 * MINUTE)
    assert (alert_of(other).kind, other.stored.status_alert_id) == ("order.recovered", None)


def test_a_row_has_the_id_of_the_alert_about_its_status() -> None:
    write = moved(seen("exception"), stored("open"))
    assert write.stored.status_alert_id == alert_of(write).alert_id


# Why an order is written


UNDATED, RAW = Order(id="1", status="open"), Order(id="1", status="open", raw_status="new")


@pytest.mark.parametrize(
    ("before", "order", "reason", "why"),
    [
        (None, seen("exception"), Reason.FIRST_SEEN, "an unknown order"),
        (stored("open"), seen("exception"), Reason.STATUS_CHANGED, "another status"),
        (stored("open"), seen("exception", minute=0), Reason.STATUS_CHANGED, "of an equal version: the later reading"),
        (stored("open", minute=2), seen("exception"), Reason.OLDER_COPY, "an older page cannot overwrite a status"),
        (stored("open", minute=2), seen("open"), Reason.STALE, "an older page of the same status neither"),
        (stored("open"), seen("open", minute=0), Reason.UNCHANGED, "the overlap reads it again"),
        (stored("open"), seen("open"), Reason.SAME_STATUS, "a newer version of the same status"),
        (stored("open"), seen("open", minute=0, raw_status="new"), Reason.SAME_STATUS, "a changed raw status alone"),
        (stored("open", minute=9, clock=SHOP), seen("exception"), Reason.STATUS_CHANGED, "of two clocks: never stale"),
        (stored("open", minute=9, clock=SHOP), seen("open", minute=9), Reason.SAME_STATUS, "by another clock"),
        (stored("open", clock=BY_US), UNDATED, Reason.UNCHANGED, "an order without a date"),
        (stored("open", clock=BY_US), RAW, Reason.SAME_STATUS, "whose raw status changed"),
    ],
)
def test_the_reason_for_a_write(before: StoredOrder | None, order: Order, reason: Reason, why: str) -> None:
    version = version_of(order, before, OBSERVED)
    assert reason_for(order, before, version, observation=OBSERVED, policy=POLICY) is reason, why
    result = detect(order, before, observation=OBSERVED, policy=POLICY)
    assert (result if isinstance(result, Reason) else result.reason) is reason
    assert isinstance(result, Reason) == (reason in {Reason.STALE, Reason.UNCHANGED})


@pytest.mark.parametrize(
    ("before", "order", "observation", "reason"),
    [
        (None, seen("exception"), BASELINE, Reason.BASELINE),
        (stored("open"), seen("exception"), BASELINE, Reason.STATUS_CHANGED),
        (stored("open", minute=2), seen("exception"), replace(OBSERVED, observed_at=NOON), Reason.OLDER_COPY),
        (stored("open"), seen("open", minute=0), replace(OBSERVED, observed_at=NOON - HOUR), Reason.UNCHANGED),
    ],
    ids=["the baseline finds it", "it moved during the baseline", "older, behind a clock set back", "known, behind it"],
)
def test_the_reason_for_a_write_by_its_circumstances(
    before: StoredOrder | None, order: Order, observation: Observation, reason: Reason
) -> None:
    version = version_of(order, before, observation)
    assert reason_for(order, before, version, observation=observation, policy=POLICY) is reason


def readings_of(
    *seen_copies: tuple[Order, int], before: StoredOrder, watermark: datetime | None = None
) -> list[Reason]:
    """The reasons of these copies, each with the hour of its reading."""
    reasons, row = [], before
    for copy, hour in seen_copies:
        observation = replace(OBSERVED, reading=NOON + hour * HOUR, watermark=watermark)
        result = detect(copy, row, observation=observation, policy=POLICY)
        reasons.append(result if isinstance(result, Reason) else result.reason)
        row = row if isinstance(result, Reason) else result.stored
    return reasons


OLDER, AGAIN, BELIEVED = Reason.OLDER_COPY, Reason.STALE, Reason.STATUS_CHANGED
EXCEPTION, CANCELLED, CURRENT = seen("exception"), seen("cancelled"), seen("open", minute=9)


@pytest.mark.parametrize(
    ("copies", "reasons", "why"),
    [
        ([(EXCEPTION, 1), (EXCEPTION, 2), (EXCEPTION, 3)], [OLDER, OLDER, BELIEVED], "three readings in a row"),
        ([(EXCEPTION, 1)] * 3, [OLDER, AGAIN, AGAIN], "pages of one reading count once"),
        ([(EXCEPTION, 2), (EXCEPTION, 1), (EXCEPTION, 3)], [OLDER, AGAIN, OLDER], "a retried poll counts nothing"),
        ([(EXCEPTION, 1), (CANCELLED, 2), (EXCEPTION, 3)], [OLDER] * 3, "another status begins again"),
        (
            [(EXCEPTION, 1), (EXCEPTION, 2), (seen("open"), 3), (EXCEPTION, 4)],
            [OLDER, OLDER, Reason.STATE, OLDER],
            "an older copy as it is stored ends the row",
        ),
        (
            [(EXCEPTION, 1), (EXCEPTION, 2), (CURRENT, 3), (EXCEPTION, 4)],
            [OLDER, OLDER, Reason.STATE, OLDER],
            "not in a row",
        ),
    ],
)
def test_an_older_copy_that_three_readings_show_is_current(
    copies: list[tuple[Order, int]], reasons: list[Reason], why: str
) -> None:
    assert readings_of(*copies, before=stored("open", minute=9)) == reasons, why


NEXT_WEEK = NOON + 7 * 24 * HOUR


@pytest.mark.parametrize(
    ("ship_by", "due", "reasons", "why"),
    [
        (NOON, None, [Reason.STALE] * 3, "nothing new"),
        (NEXT_WEEK, None, [OLDER, OLDER, Reason.SAME_STATUS], "another ship-by"),
        (NOON, NOON + MINUTE, [Reason.STALE] * 3, "its deadline is ahead"),
        (NOON, NOON, [OLDER, OLDER, Reason.SAME_STATUS], "its deadline has passed"),
    ],
)
def test_an_older_copy_in_the_same_status_is_counted_if_it_matters(
    ship_by: datetime, due: datetime | None, reasons: list[Reason], why: str
) -> None:
    state = DeadlineState(due=Deadline(due, KIND_LATE) if due else None)
    row = stored("open", minute=9, ship_by=NOON, deadline_state=state)
    copies = [(seen("open", latest_ship_date=ship_by), hour) for hour in (1, 2, 3)]
    assert readings_of(*copies, before=row, watermark=NOON) == reasons, why


def test_an_older_copy_that_is_believed_is_alerted_with_its_own_version() -> None:
    row = stored("open", minute=9, older_copy=OlderCopy("exception", 2, NOON - HOUR))
    write = moved(seen("exception"), row)
    assert (alert_of(write).kind, write.stored.older_copy) == ("order.exception", None)
    assert write.stored.version == Version(NOON + MINUTE, TRACKSTAR)
    assert moved(seen("open", minute=2), write.stored).reason is Reason.STATUS_CHANGED


def test_a_version_in_the_future_counts_as_seen_now() -> None:
    write = moved(seen("exception", minute=3000), stored("open"))
    assert write.stored.version == Version(NOON + DAY, BY_US)


@pytest.mark.parametrize(
    ("days", "created", "started_at", "reason", "why"),
    [
        (30, NOON - HOUR, NOON, Reason.BEFORE_WATCH, "Trackstar had it before the watch"),
        (1, NOON, NOON, Reason.BEFORE_WATCH, "at the same moment"),
        (30, NOON + SECOND, NOON, Reason.FIRST_SEEN, "it is new"),
        (30, None, NOON, Reason.FIRST_SEEN, "its age is unknown"),
        (30, NOON - HOUR, None, Reason.FIRST_SEEN, "nothing says when the watch began"),
        (0, NOON - HOUR, NOON, Reason.FIRST_SEEN, "a baseline of everything would have it: it is new"),
    ],
)
def test_an_unknown_order_after_a_capped_baseline(
    days: int, created: datetime | None, started_at: datetime | None, reason: Reason, why: str
) -> None:
    policy, observation = replace(POLICY, baseline_days=days), replace(OBSERVED, watch_started_at=started_at)
    by_trackstar = seen("exception", trackstar_created_date=created, created_date=NOON + 99 * MINUTE)
    by_the_shop = seen("exception", created_date=created)
    for order in [by_trackstar, by_the_shop] if created else [by_the_shop]:
        write = moved(order, None, observation=observation, policy=policy)
        assert write.reason is reason, why
        assert (write.alert is not None) == (reason is Reason.FIRST_SEEN)


@pytest.mark.parametrize("field", ["trackstar_updated_date", "updated_date"])
def test_of_two_copies_on_a_page_the_newest_counts(field: str) -> None:
    old, new = ({"id": "1", "status": status, field: f"20{year}-01-01"} for status, year in (("a", 26), ("b", 27)))
    later, other = {"id": "1", "status": "c", field: "2027-01-01"}, {"id": "2", "status": "d"}
    for records, status in (([old, new], "b"), ([new, old], "b"), ([new, later], "c")):
        newest = newest_of_each(map(Order.of, [*records, other]))
        assert {each.id: each.status for each in newest.values()} == {"1": status, "2": "d"}


@pytest.mark.parametrize("shop_date", ["2026-01-01", "2026-01-02", None])
def test_copies_without_a_common_trackstar_date_are_told_apart(shop_date: str | None) -> None:
    old: dict[str, Any] = {
        "id": "1",
        "status": "old",
        "updated_date": shop_date,
        "trackstar_updated_date": "1970-01-01",
    }
    new: dict[str, Any] = {
        "id": "1",
        "status": "new",
        "updated_date": "2026-01-02",
        "trackstar_updated_date": "2026-01-02",
    }
    for records in ([old, new], [new, old]):
        assert newest_of_each(map(Order.of, records))["1"].status == "new"


# Identity (rule 2)


def test_a_transition_always_has_the_same_alert_id() -> None:
    def id_of(order: Order, before: StoredOrder | None = None, connection_id: str = "conn_a", **seen_at: Any) -> str:
        observation = replace(OBSERVED, connection=AlertConnection(id=connection_id), **seen_at)
        return alert_of(moved(order, before or stored("open"), observation=observation)).alert_id

    original = id_of(seen("exception"))
    assert original == id_of(seen("exception"), observed_at=NOON + 9 * DAY, data_as_of=None)
    others = {
        id_of(seen("exception"), connection_id="conn_b"),
        id_of(seen("cancelled")),
        id_of(seen("exception", minute=2)),
        id_of(seen("exception", id="2")),
        id_of(seen("exception"), stored("open", changes=3)),
    }
    assert len(others | {original}) == 6


# Deadlines (rule 19)

SHIP_BY = NOON + 3 * DAY
LATE, AT_RISK = Deadline(SHIP_BY, KIND_LATE), Deadline(SHIP_BY - DAY, KIND_AT_RISK)
DUE = stored("open", ship_by=SHIP_BY, deadline_state=DeadlineState(due=AT_RISK))
WAS_LATE = stored("open", ship_by=SHIP_BY, deadline_state=DeadlineState(passed=LATE, deadline_alert_id="late-1"))


def due(status: str = "open", *, minute: int = 0, ship_by: datetime | None = SHIP_BY) -> Order:
    return seen(status, minute=minute, latest_ship_date=ship_by)


def overdue(order: Order, before: StoredOrder, *, until: datetime = SHIP_BY) -> OrderWrite:
    return moved(order, before, observation=replace(OBSERVED, watermark=until), policy=WITH_DEADLINES)


def test_a_missed_deadline_is_alerted_with_its_row() -> None:
    write = overdue(due(), DUE)
    alert = write.deadline_alert
    assert alert
    assert alert.order
    assert (write.reason, write.alerts, alert.kind) == (Reason.STATE, (alert,), "order.late")
    assert (alert.alert_id, alert.data_as_of) == (deadline_id("conn_a", "1", LATE), NOON)
    assert (alert.order.due_at, alert.order.previous_status, alert.order.status_since) == (SHIP_BY, None, NOON - HOUR)
    assert write.stored.deadline_state == DeadlineState(passed=LATE, deadline_alert_id=alert.alert_id)
    assert write.stored.needs_attention


def test_a_transition_and_a_missed_deadline_are_two_alerts() -> None:
    write = overdue(due("exception", minute=1), DUE)
    assert [alert.kind for alert in write.alerts] == ["order.exception", "order.late"]
    assert write.reason is Reason.STATUS_CHANGED


def test_an_order_that_was_gone_and_returns_needs_attention() -> None:
    write = moved(seen("exception"), stored("exception", minute=1).without_attention())
    assert (write.reason, write.alert, write.stored.needs_attention) == (Reason.STATE, None, True)


def test_a_deadline_that_was_alerted_is_unchanged() -> None:
    observation = replace(OBSERVED, watermark=SHIP_BY + DAY)
    assert detect(due(), WAS_LATE, observation=observation, policy=WITH_DEADLINES) is Reason.UNCHANGED


@pytest.mark.parametrize(
    ("order", "detail", "is_same_status"),
    [
        (due(ship_by=SHIP_BY + DAY), "It is no longer late: it has a new ship-by.", True),
        (due("fulfilled", minute=1), "It was late and is now fulfilled.", False),
    ],
)
def test_a_resolved_deadline_is_a_recovery(order: Order, detail: str, is_same_status: bool) -> None:
    alert = alert_of(overdue(order, WAS_LATE))
    assert (alert.kind, alert.detail) == ("order.recovered", detail)
    assert (alert.alert_id == resolved_id("conn_a", "1", LATE)) is is_same_status
    quiet = replace(WITH_DEADLINES, notify_recovered=False)
    assert moved(order, WAS_LATE, policy=quiet).alert is None


@pytest.mark.parametrize(
    ("rules", "since", "expected"),
    [
        (RULES.fingerprint, NOON, Suppression(NOON, is_recording=False)),
        (RULES.fingerprint, None, Suppression(NOON + DAY, is_recording=True)),
        ("other rules", NOON, Suppression(NOON + DAY, is_recording=True)),
    ],
    ids=["watched", "never watched", "other rules"],
)
def test_deadlines_of_other_rules_are_recorded_again(rules: str, since: datetime | None, expected: Suppression) -> None:
    state = ConnectionState(connection_id="conn_a", cursor=Cursor(deadlines=DeadlineWatch(rules, since)))
    assert suppression_for(state, WITH_DEADLINES, now=NOON + DAY) == expected


def test_an_order_before_a_capped_watch_has_no_past_deadline_alerted() -> None:
    policy = replace(WITH_DEADLINES, baseline_days=30)
    observation = replace(OBSERVED, suppression=Suppression(NOON, is_recording=False))
    for passes_at, state in (
        (NOON + DAY, DeadlineState(passed=Deadline(NOON + DAY, KIND_LATE))),
        (NOON + DAY + HOUR, DeadlineState(Deadline(NOON + DAY + HOUR, KIND_LATE), Deadline(NOON + HOUR, KIND_AT_RISK))),
    ):
        order = seen("open", created_date=NOON - DAY, latest_ship_date=passes_at)
        assert moved(order, None, observation=observation, policy=policy).stored.deadline_state == state


# The snapshot and the extract of a record

RECORD: dict[str, Any] = {
    "order_number": "#1001",
    "external_system_url": "https://shop.example/1",
    "invoice_currency_code": "EUR",
    "total_price": 12,
    "total_tax": 3,
    "total_discount": 2,
    "total_shipping": 1,
    "created_date": NOON - DAY,
    "latest_ship_date": SHIP_BY,
    "shipments": [{}, {}],
    "line_items": [{"product_id": f"p{n}", "product_sku": f"s{n}", "quantity": n, "unit_price": 1} for n in range(120)],
}


def test_an_alert_shows_the_order_as_it_was_seen() -> None:
    alert = alert_of(moved(seen("cancelled", raw_status="fraud", **RECORD), stored("exception")))
    order = alert.order
    assert order
    assert (alert.connection_id, alert.data_as_of, order.number, order.url) == (
        "conn_a",
        NOON,
        "#1001",
        "https://shop.example/1",
    )
    assert (order.status, order.raw_status, order.previous_status) == ("cancelled", "fraud", "exception")
    assert order.previous_status_since == NOON - HOUR
    assert (order.created_at, order.updated_at, order.seen_at) == (NOON - DAY, NOON + MINUTE, NOON + DAY)
    assert (order.currency, order.ship_by, order.shipment_count) == ("EUR", SHIP_BY, 2)
    assert (order.total_price, order.total_tax, order.total_discount, order.total_shipping) == tuple(
        map(Decimal, (12, 3, 2, 1))
    )
    line = order.line_items[2]
    assert (line.sku, line.product_id, line.quantity, line.unit_price) == ("s2", "p2", Decimal(2), Decimal(1))
    assert (len(order.line_items), order.more_line_items) == (100, 20)


@pytest.mark.parametrize(
    ("status", "ships_in", "is_kept", "why"),
    [
        ("processing", 2 * DAY, False, "it needs no attention, like most orders"),
        ("processing", None, False, "it has no ship-by"),
        ("processing", 6 * HOUR, True, "it is at risk"),
        ("processing", -HOUR, True, "it is late"),
        ("exception", 2 * DAY, True, "it is in a watched status"),
        ("on_hold", None, True, "it is in a watched status, though not an open one"),
        ("fulfilled", -HOUR, False, "nothing is left to do"),
        ("cancelled", -HOUR, False, "its status is final, so it needs no attention"),
    ],
)
def test_a_row_keeps_its_extract_while_a_summary_needs_it(
    status: str, ships_in: timedelta | None, *, is_kept: bool, why: str
) -> None:
    policy = replace(WITH_DEADLINES, statuses={"exception", "cancelled", "on_hold"})
    recording = replace(BASELINE, suppression=Suppression(OBSERVED.observed_at, is_recording=True))
    ship_by = OBSERVED.observed_at + ships_in if ships_in else None
    order = seen(status, **(RECORD | {"latest_ship_date": ship_by}))
    text = moved(order, None, observation=recording, policy=policy).stored.extract
    assert (text is not None) is is_kept, why
    if text:
        kept = Extract.from_json(text)
        assert (kept.currency, kept.total_price, kept.url) == ("EUR", Decimal(12), "https://shop.example/1")
        assert (len(kept.lines), kept.more_lines, kept.lines[2].sku) == (20, 99, "s3")


@pytest.mark.parametrize(
    ("changed", "began"),
    [(-3 * DAY, -3 * DAY), (DAY, timedelta()), (None, timedelta())],
    ids=["three days before Trackstar's first sync", "later than the sync", "not given"],
)
def test_a_status_seen_first_began_at_the_latest_when_the_shop_changed_it(
    changed: timedelta | None, began: timedelta
) -> None:
    record = {"updated_date": SEEN_AT + changed} if changed else {}
    assert first_sight("o1", record=record).stored.status_since == SEEN_AT + began


@pytest.mark.parametrize(
    ("record", "method", "carrier"),
    [
        (
            {"shipping_method_name": "Express", "requested_shipping_method": "fast", "carrier_name": "DHL"},
            "Express",
            "DHL",
        ),
        ({"requested_shipping_method": "fast"}, "fast", None),
        ({"shipping_method_name": "n/a", "carrier_name": "None"}, None, None),
        ({"shipping_method_name": "call ada@example.com", "carrier_name": ["x"]}, "call [e-mail]", None),
        ({"shipping_method_name": "a\nb", "carrier_name": "c" * 500}, "a b", "c" * 160),
    ],
)
def test_an_alert_has_the_shipping_method_and_the_carrier(
    record: dict[str, Any], method: str | None, carrier: str | None
) -> None:
    order = alert_of(first_sight("o1", record=record)).order
    assert order
    assert (order.shipping_method, order.carrier) == (method, carrier)
