"""Rule 12: which alerts become digests, and what they say. A late order in exception is one message."""

import json
from collections.abc import Sequence
from copy import replace
from datetime import timedelta
from decimal import Decimal
from itertools import chain
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from moto.sns.utils import FilterPolicyMatcher

from orderwatch.alerts.alert import Alert
from orderwatch.alerts.kinds import KIND_AT_RISK, KIND_LATE, KIND_RECOVERED, KIND_RESTOCKED, KIND_STUCK, Severity
from orderwatch.alerts.parts import AlertLineItem, Digest, DigestedProduct
from orderwatch.ownership import Ownership
from orderwatch.publishing.group import Group, group, merge_alerts, messages_of
from orderwatch.records import StoredOrder
from orderwatch.rendering.fallback import plain
from orderwatch.rendering.sns import render
from orderwatch.trackstar.orders import Version, VersionClock
from orderwatch_local.preview.samples import NOW, SAMPLES, order_alert
from tests.support.recording_sns import alert_ids_in

HOUR, DAY = timedelta(hours=1), timedelta(days=1)


def alerts_of(count: int, *, kind: str = "order.backordered", shop: str = "a", **fields: object) -> list[Alert]:
    alerts = [
        order_alert(kind, alert_id=f"{shop}-{kind}-{n}", number=f"N{n}", id=str(n), **fields) for n in range(count)
    ]
    return [alert.model_copy(update={"connection_id": shop}) for alert in alerts]


def digest_of(alerts: Sequence[Alert]) -> Digest:
    (only,) = group(alerts, threshold=1)
    assert only.alert.digest is not None
    return only.alert.digest


# Which alerts become digests


@pytest.mark.parametrize(
    ("count", "threshold", "sizes"),
    [
        (0, 5, []),
        (5, 5, [1] * 5),
        (6, 5, [6]),
        (1, 0, [1]),
        (2, 0, [2]),
        (2, 1, [2]),
        (100, 5, [100]),
        (101, 5, [50, 51]),
        (250, 5, [83, 83, 84]),
    ],
)
def test_more_alerts_than_the_threshold_become_digests(count: int, threshold: int, sizes: list[int]) -> None:
    groups = group(alerts_of(count), threshold=threshold)
    assert [len(each.members) for each in groups] == sizes
    assert [each.alert.digest is not None for each in groups] == [size > 1 for size in sizes]


def test_kinds_and_shops_are_counted_separately() -> None:
    alerts = [*alerts_of(4), *alerts_of(4, shop="b"), *alerts_of(4, kind="order.cancelled")]
    assert [each.alert for each in group(alerts, threshold=5)] == alerts


def test_alerts_about_a_connection_are_never_digested() -> None:
    blocked = [SAMPLES["connection.blocked"]] * 20
    assert [each.members for each in group(blocked, threshold=0)] == [(each,) for each in blocked]


def test_messages_are_in_the_order_of_their_first_alerts() -> None:
    (first, last), storm = alerts_of(2, kind="order.cancelled"), alerts_of(6)
    groups = group([storm[0], first, *storm[1:], last], threshold=5)
    assert [each.alert.kind for each in groups] == ["order.digest", "order.cancelled", "order.cancelled"]
    assert [each.members for each in groups[1:]] == [(first,), (last,)]


KINDS_AND_SHOPS = st.tuples(st.sampled_from(["order.exception", "order.cancelled"]), st.sampled_from("ab"))


@given(storm=st.lists(KINDS_AND_SHOPS, max_size=40), threshold=st.integers(0, 8))
def test_every_alert_is_in_exactly_one_message(storm: list[tuple[str, str]], threshold: int) -> None:
    alerts = [
        order_alert(kind, alert_id=str(n)).model_copy(update={"connection_id": shop})
        for n, (kind, shop) in enumerate(storm)
    ]
    groups = group(alerts, threshold=threshold)
    members = chain.from_iterable(each.members for each in groups)
    assert sorted(alert.alert_id for alert in members) == sorted(alert.alert_id for alert in alerts)
    assert all(each.alert.digest is None or each.alert.digest.count == len(each.members) for each in groups)


# What a digest says


def test_a_digest_names_all_its_orders() -> None:
    for each in group(alerts_of(201), threshold=5):
        assert each.alert.digest is not None
        assert [order.alert_id for order in each.alert.digest.orders] == [alert.alert_id for alert in each.members]


def test_a_digest_has_the_severity_and_the_value_of_its_orders() -> None:
    priced = alerts_of(3, kind="order.exception", total_price=Decimal(10))
    (digest,) = group([*priced, *alerts_of(1, kind="order.exception", currency=None)], threshold=3)
    assert (digest.alert.severity, digest.alert.connection) == (Severity.CRITICAL, priced[0].connection)
    assert digest.alert.digest
    assert (digest.alert.digest.of_kind, digest.alert.digest.status) == ("order.exception", "exception")
    assert digest.alert.digest.value_by_currency == {"EUR": Decimal(30)}


def test_the_id_of_a_digest_does_not_depend_on_the_order() -> None:
    alerts = alerts_of(7)
    ids = [group(batch, threshold=5)[0].alert.alert_id for batch in (alerts[:6], alerts[5::-1], alerts[1:])]
    assert (ids[0] == ids[1], ids[0] == ids[2]) == (True, False)


def test_a_digest_of_recovered_orders_has_a_mixed_status_and_no_reasons() -> None:
    alerts = [
        order_alert("order.recovered", alert_id=status, status=status, raw_status="Address")
        for status in ("processing", "fulfilled")
    ]
    digest = digest_of(alerts)
    assert (digest.of_kind, digest.status, digest.reasons) == ("order.recovered", "mixed", ())


def test_a_digest_is_as_fresh_as_its_oldest_alert_and_seen_with_its_latest() -> None:
    alerts = [order_alert("order.exception", alert_id=str(n), id=str(n), seen_at=NOW + n * HOUR) for n in range(3)]
    as_of = [
        alert.model_copy(update={"data_as_of": at}) for alert, at in zip(alerts, (NOW, None, NOW - DAY), strict=True)
    ]
    (only,) = group(as_of, threshold=1)
    assert only.alert.digest
    assert (only.alert.data_as_of, only.alert.digest.seen_at) == (NOW - DAY, NOW + 2 * HOUR)


def test_a_digest_sorts_by_reason_ship_by_and_value() -> None:
    orders = [
        ("Fraud", 5, 1),
        ("Address", None, 9),
        ("Address", 3, 1),
        ("Fraud", -2, 1),
        ("Address", 3, 7),
        ("Address", 1, 1),
    ]
    digest = digest_of(
        [
            order_alert(
                "order.exception",
                alert_id=str(n),
                number=f"N{n}",
                raw_status=reason,
                ship_by=NOW + days * DAY if days is not None else None,
                total_price=Decimal(value),
            )
            for n, (reason, days, value) in enumerate(orders)
        ]
    )
    assert [order.number for order in digest.orders] == ["N5", "N4", "N2", "N1", "N3", "N0"]
    assert [(each.raw_status, each.orders) for each in digest.reasons] == [("Address", 4), ("Fraud", 2)]
    assert (digest.overdue, digest.due_soon) == (1, 1)


# The products of a digest


def line(sku: str, quantity: int | None, on_hand: int | None = None, **fields: object) -> AlertLineItem:
    return AlertLineItem.model_validate({"sku": sku, "quantity": quantity, "on_hand": on_hand, **fields})


def digest_with(*orders: tuple[AlertLineItem, ...], kind: str = "order.backordered") -> Digest:
    return digest_of(
        [order_alert(kind, alert_id=str(n), id=str(n), line_items=lines) for n, lines in enumerate(orders)]
    )


@pytest.mark.parametrize(
    ("on_hand", "orders", "is_listed_for_backorders", "is_listed_for_exceptions"),
    [
        (0, 1, True, True),
        (0, 2, True, True),
        (9, 1, False, False),
        (2, 2, False, True),
        (None, 1, False, False),
        (None, 2, True, True),
    ],
)
def test_products_that_are_short_or_in_several_orders_are_listed(
    on_hand: int | None, orders: int, is_listed_for_backorders: bool, is_listed_for_exceptions: bool
) -> None:
    lines = [(line("LAMP", 1, on_hand),)] * orders + [()]
    for kind, is_listed in (("backordered", is_listed_for_backorders), ("exception", is_listed_for_exceptions)):
        digest = digest_with(*lines, kind=f"order.{kind}")
        assert (len(digest.products), digest.more_products) == ((1, 0) if is_listed else (0, 1))


def test_short_products_come_first_then_those_in_most_orders() -> None:
    lines = (line("UNKNOWN", 1), line("SHORT", 5, 1), line("SHORTER", 5, 0))
    digest = digest_with(
        lines, lines, (line("UNKNOWN", 1), line("OFTEN SHORT", 1, 2)), *[(line("OFTEN SHORT", 1, 2),)] * 2
    )
    assert [each.sku for each in digest.products] == ["OFTEN SHORT", "SHORTER", "SHORT", "UNKNOWN"]


def test_five_products_are_listed_and_the_rest_is_counted() -> None:
    lines = tuple(line(f"SKU-{n}", 1) for n in range(8))
    digest = digest_with(lines, lines)
    assert (len(digest.products), digest.more_products) == (5, 3)


def test_a_product_adds_up_the_lines_of_its_orders() -> None:
    lamp, tent = line("LAMP", 3, 4, product_id="1"), line("TENT", 1)
    first, second = digest_with((tent,), (lamp, tent), (lamp, lamp), (lamp, line("", 1))).products
    assert first == DigestedProduct(
        sku="LAMP", product_id="1", orders=3, outstanding=Decimal(12), on_hand=Decimal(4), short=Decimal(8)
    )
    assert second == DigestedProduct(sku="TENT", orders=2, outstanding=Decimal(2))


def test_a_product_combines_what_its_lines_have() -> None:
    bare, full = line("LAMP", None, product_id="1"), line("LAMP", 2, 1, product_id="1", name="Lamp")
    assert digest_with((bare,), (full,)).products == (
        DigestedProduct(
            sku="LAMP",
            name="Lamp",
            product_id="1",
            orders=2,
            outstanding=Decimal(2),
            on_hand=Decimal(1),
            short=Decimal(1),
        ),
    )
    assert digest_with((bare,), (bare,)).products == (DigestedProduct(sku="LAMP", product_id="1", orders=2),)


# Two alerts about one order


STILL = "It was to ship by now and is still in exception."
EXCEPTION = order_alert("order.exception", alert_id="exception", due_at=None)
LATE = order_alert(KIND_LATE, alert_id="late", due_at=NOW).replace(detail=STILL)


def merged(*alerts: Alert, threshold: int = 5) -> list[Group]:
    return merge_alerts(group(alerts, threshold=threshold))


@pytest.mark.parametrize("alerts", [(EXCEPTION, LATE), (LATE, EXCEPTION)], ids=["exception first", "late first"])
def test_exception_and_late_are_merged_into_one_message(alerts: tuple[Alert, Alert]) -> None:
    [both] = merged(*alerts)
    assert both.members == (EXCEPTION, LATE)
    assert (both.alert.kind, both.alert.alert_id, both.alert.detail) == ("order.exception", "exception", STILL)
    assert [(each.kind, each.alert_id) for each in both.alert.merged] == [(KIND_LATE, "late")]
    assert both.alert.order
    assert both.alert.order.due_at == NOW


@pytest.mark.parametrize(("status", "deadline"), [("order.backordered", KIND_LATE), ("order.exception", KIND_AT_RISK)])
def test_a_merged_alert_has_the_higher_severity(status: str, deadline: str) -> None:
    [both] = merged(order_alert(status), order_alert(deadline))
    assert both.alert.severity is Severity.CRITICAL


@pytest.mark.parametrize(
    ("alerts", "kinds"),
    [
        ((KIND_RESTOCKED, KIND_LATE), [KIND_RESTOCKED]),
        ((KIND_RESTOCKED, "order.recovered"), [KIND_RESTOCKED, "order.recovered"]),
        (("order.backordered", KIND_RESTOCKED), ["order.backordered", KIND_RESTOCKED]),
    ],
    ids=["late", "recovered", "backordered"],
)
def test_stock_that_is_back_is_merged_with_a_deadline_only(alerts: tuple[str, ...], kinds: list[str]) -> None:
    found = merged(*(order_alert(each, alert_id=each, status="backordered") for each in alerts))
    assert [each.alert.kind for each in found] == kinds
    assert [member.kind for each in found for member in each.members] == list(alerts)


@pytest.mark.parametrize(
    "other",
    [
        order_alert("order.recovered"),
        order_alert("order.exception", id="2"),
        order_alert("order.exception").model_copy(update={"connection_id": "another"}),
        order_alert(KIND_AT_RISK),
        SAMPLES["connection.blocked"],
    ],
    ids=["recovered", "another order", "another shop", "another deadline", "no order"],
)
def test_only_a_status_and_a_deadline_of_one_order_are_merged(other: Alert) -> None:
    assert [each.members for each in merged(other, LATE)] == [(other,), (LATE,)]


def test_a_digest_is_not_merged() -> None:
    late = [order_alert(KIND_LATE, alert_id=str(number), id=str(number)) for number in range(8)]
    found = merged(order_alert("order.exception", id="3"), *late)
    assert [len(each.members) for each in found] == [1, 8]
    assert "8 orders are late" in render(found[1].alert).bodies["email"]


def test_every_channel_and_filter_sees_both_kinds() -> None:
    [both] = merged(EXCEPTION, LATE)
    message = render(both.alert)
    assert STILL in message.bodies["email"]
    for channel in ("email", "sms", "https"):
        assert "is in exception and late" in message.bodies[channel]
    for body in (message.bodies["sqs"], plain(both.alert).bodies["sqs"]):
        assert alert_ids_in(json.loads(body)) == ["exception", "late"]
    matching = {kind for kind in ("order.exception", KIND_LATE, "order.stuck") if matches(kind, message.attributes)}
    assert matching == {"order.exception", KIND_LATE}


def matches(kind: str, attributes: Any) -> bool:
    given = {name: {"Type": each.type, "Value": each.value} for name, each in attributes.items()}
    return bool(FilterPolicyMatcher({"kind": [kind]}, "MessageAttributes").matches(given, ""))


# An order that recovered before its alerts were sent

BEGAN = NOW - 3 * HOUR


def problem(kind: str = "order.backordered", *, of: str = "1", status: str = "backordered") -> Alert:
    return order_alert(kind, alert_id=f"{kind}-{of}", id=of, status=status, previous_status=None, status_since=BEGAN)


def recovery(was: str | None = "backordered", *, of: str = "1", **fields: object) -> Alert:
    ended: dict[str, object] = {"status": "processing", "status_since": NOW} if was else {"status_since": BEGAN}
    previous = {"previous_status": was, "previous_status_since": BEGAN if was else None}
    return order_alert(KIND_RECOVERED, alert_id=f"recovered-{of}", id=of, **previous | ended | fields)


@pytest.mark.parametrize("is_first", [True, False])
def test_an_order_that_recovered_is_one_message(is_first: bool) -> None:
    before, after = problem(), recovery()
    [only] = messages_of([before, after] if is_first else [after, before], threshold=5)
    assert only.members == (before, after)
    assert (only.alert.kind, only.alert.severity) == (KIND_RECOVERED, Severity.INFO)
    message = render(only.alert)
    assert "was backordered and is now processing" in message.bodies["email"]
    assert alert_ids_in(json.loads(message.bodies["sqs"])) == ["recovered-1", "order.backordered-1"]
    assert matches("order.backordered", message.attributes)


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (problem(KIND_STUCK, status="processing"), recovery("processing")),
        (problem(KIND_STUCK, status="processing"), recovery(None, status="processing")),
        (problem(KIND_RESTOCKED), recovery()),
    ],
    ids=["stuck and moved", "stuck and dated", "restocked"],
)
def test_every_problem_that_ended_with_it_is_merged(before: Alert, after: Alert) -> None:
    assert [each.members for each in messages_of([before, after], threshold=5)] == [(before, after)]


@pytest.mark.parametrize(
    "other",
    [
        problem("order.exception", status="backordered"),
        problem(KIND_AT_RISK),
        problem(of="2"),
        problem().model_copy(update={"connection_id": "another"}),
        order_alert("order.backordered", alert_id="again", id="1", status="backordered", status_since=NOW),
        order_alert("order.cancelled", alert_id="cancelled", id="1", status="cancelled", status_since=BEGAN),
    ],
    ids=["critical", "at risk", "another order", "another shop", "backordered again", "another status"],
)
def test_another_problem_keeps_its_own_message(other: Alert) -> None:
    assert [each.members for each in messages_of([other, recovery()], threshold=5)] == [(other,), (recovery(),)]


def test_a_resolved_deadline_leaves_the_status_of_the_order() -> None:
    found = messages_of([problem(), recovery(None, status="backordered")], threshold=5)
    assert [each.alert.kind for each in found] == ["order.backordered", KIND_RECOVERED]


def test_a_digest_names_recovered_orders_only_once() -> None:
    before, after = [problem(of=str(n)) for n in range(9)], [recovery(of=str(n)) for n in range(6)]
    still, recovered = sorted(messages_of([*before, *after], threshold=2), key=lambda each: len(each.members))
    assert (still.alert.digest, recovered.alert.digest) != (None, None)
    assert still.members == tuple(before[6:])
    assert {each.key for each in recovered.members} == {each.key for each in (*before[:6], *after)}
    email = render(recovered.alert).bodies["email"]
    assert "6 orders recovered" in email
    assert email.count("was backordered") == 6
    assert len(alert_ids_in(json.loads(render(recovered.alert).bodies["sqs"]))) == 12


# An order that has left its problem, as its row says


def current(status: str = "fulfilled", *, of: str = "1") -> dict[tuple[str, str], StoredOrder]:
    at = Version(NOW, VersionClock.TRACKSTAR)
    row = StoredOrder(status, None, at, status_since=NOW, order_number=of, needs_attention=status == "backordered")
    return {(problem().connection_id, of): row}


def test_an_order_that_has_left_its_problem_is_sent_as_recovered() -> None:
    at_risk = problem(KIND_AT_RISK, status="processing")
    backordered, restocked = problem(), problem(KIND_RESTOCKED)
    [only] = messages_of([at_risk, backordered, restocked], threshold=5, current=current())
    assert only.members == (at_risk, backordered, restocked)
    assert (only.alert.kind, only.alert.severity) == (KIND_RECOVERED, Severity.INFO)
    message = render(only.alert)
    assert "was backordered and is now fulfilled" in message.bodies["email"]
    assert {*alert_ids_in(json.loads(message.bodies["sqs"]))} == {each.alert_id for each in only.members}
    assert matches(KIND_AT_RISK, message.attributes)


def test_an_alerted_recovery_takes_the_rest_of_its_order() -> None:
    at_risk, before, after = problem(KIND_AT_RISK, status="processing"), problem(), recovery()
    [only] = messages_of([at_risk, before, after], threshold=5, current=current())
    assert {each.key for each in only.members} == {at_risk.key, before.key, after.key}
    listed = alert_ids_in(json.loads(render(only.alert).bodies["sqs"]))
    assert sorted(listed) == sorted(each.alert_id for each in only.members)


@pytest.mark.parametrize(
    ("alert", "status"),
    [
        (problem(KIND_AT_RISK, status="confirmed"), "processing"),
        (problem(KIND_AT_RISK, status="processing"), "processing"),
        (problem(of="2"), "fulfilled"),
        (problem().model_copy(update={"connection_id": "another"}), "fulfilled"),
    ],
    ids=["still at risk in another status", "still at risk", "another order", "another shop"],
)
def test_a_problem_that_can_still_be_so_is_sent_as_it_is(alert: Alert, status: str) -> None:
    assert messages_of([alert], threshold=5, current=current(status)) == [Group(alert, (alert,))]


def test_an_order_that_was_taken_since_has_its_owner() -> None:
    [(key, row)] = current("backordered").items()
    taken = replace(row, ownership=Ownership("Ana", NOW, note="asked the supplier"))
    [only] = messages_of([problem()], threshold=5, current={key: taken})
    email = render(only.alert).bodies["email"]
    assert ("Taken by: Ana" in email, "asked the supplier" in email) == (True, True)
    [digest] = messages_of([problem(), problem(of="2")], threshold=1, current={key: taken})
    assert "taken by Ana" in render(digest.alert).bodies["email"]
