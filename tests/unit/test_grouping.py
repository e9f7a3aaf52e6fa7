from datetime import timedelta
from decimal import Decimal
from itertools import chain

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orderwatch.alerts.alert import Alert
from orderwatch.alerts.kinds import Severity
from orderwatch.alerts.parts import AlertLineItem, Digest, DigestedProduct
from orderwatch.publishing.group import MAX_ORDERS, MAX_PRODUCTS, MIXED, group
from orderwatch.rendering import email
from orderwatch_local.preview.samples import NOW, SAMPLES, order_alert


def _alerts(count: int, *, kind: str = "order.backordered", shop: str = "a", **fields: object) -> list[Alert]:
    alerts = [
        order_alert(kind, alert_id=f"{shop}-{kind}-{n}", number=f"N{n}", id=str(n), **fields) for n in range(count)
    ]
    return [alert.model_copy(update={"connection_id": shop}) for alert in alerts]


@pytest.mark.parametrize(
    ("count", "threshold", "messages"),
    [(5, 5, 5), (6, 5, 1), (1, 0, 1), (2, 0, 1), (2, 1, 1), (0, 5, 0), (100, 5, 1), (101, 5, 2), (5_000, 5, 50)],
)
def test_more_alerts_than_the_threshold_become_digests(count: int, threshold: int, messages: int) -> None:
    assert len(group(_alerts(count), threshold=threshold)) == messages


def test_one_alert_is_never_a_digest() -> None:
    (only,) = group(_alerts(1), threshold=0)
    assert (only.alert, only.members) == (_alerts(1)[0], (_alerts(1)[0],))


def test_kinds_and_shops_are_counted_separately() -> None:
    alerts = [*_alerts(4), *_alerts(4, shop="b"), *_alerts(4, kind="order.cancelled")]
    assert [each.alert for each in group(alerts, threshold=5)] == alerts


def test_messages_are_in_the_order_of_their_first_alerts() -> None:
    cancelled, storm = _alerts(2, kind="order.cancelled"), _alerts(6)
    groups = group([cancelled[0], *storm, cancelled[1]], threshold=5)
    assert [each.alert.kind for each in groups] == ["order.cancelled", "order.digest", "order.cancelled"]


@given(
    storm=st.lists(
        st.tuples(st.sampled_from(["order.exception", "order.cancelled"]), st.sampled_from("ab")), max_size=40
    ),
    threshold=st.integers(0, 8),
)
def test_every_alert_is_in_exactly_one_message(storm: list[tuple[str, str]], threshold: int) -> None:
    alerts = [
        order_alert(kind, alert_id=str(n)).model_copy(update={"connection_id": shop})
        for n, (kind, shop) in enumerate(storm)
    ]
    groups = group(alerts, threshold=threshold)
    members = chain.from_iterable(each.members for each in groups)
    assert sorted(alert.alert_id for alert in members) == sorted(alert.alert_id for alert in alerts)
    assert all(each.alert.digest is None or each.alert.digest.count == len(each.members) for each in groups)


def test_a_digest_names_all_its_orders() -> None:
    for each in group(_alerts(2 * MAX_ORDERS + 1), threshold=5):
        assert each.alert.digest is not None
        assert [order.alert_id for order in each.alert.digest.orders] == [alert.alert_id for alert in each.members]
        body = email.body(each.alert)
        assert all(f"- #{alert.order.number}: " in body for alert in each.members if alert.order)


def test_the_digests_of_a_storm_have_the_same_size() -> None:
    assert [len(each.members) for each in group(_alerts(101), threshold=5)] == [50, 51]


def test_a_digest_has_severity_and_value_by_currency() -> None:
    alerts = [
        *_alerts(3, kind="order.exception", total_price=Decimal(10)),
        *_alerts(1, kind="order.exception", currency=None),
    ]
    (digest,) = (each.alert for each in group(alerts, threshold=3))
    assert digest.severity is Severity.CRITICAL
    assert digest.digest is not None
    assert digest.digest.value_by_currency == {"EUR": Decimal(30)}


def test_the_id_of_a_digest_does_not_depend_on_the_order() -> None:
    alerts = _alerts(6)
    ids = {group(batch, threshold=5)[0].alert.alert_id for batch in (alerts, alerts[::-1])}
    other = group([*alerts[:5], _alerts(7)[6]], threshold=5)
    assert len(ids) == 1
    assert other[0].alert.alert_id not in ids


def test_recovered_orders_of_several_statuses_share_a_digest() -> None:
    fields = {"previous_status": "exception"}
    alerts = [
        *_alerts(3, kind="order.recovered", status="processing", **fields),
        *_alerts(3, kind="order.recovered", status="fulfilled", **fields),
    ]
    (only,) = group(alerts, threshold=5)
    assert only.alert.digest is not None
    assert only.alert.digest.status == MIXED


def test_a_digest_is_as_fresh_as_its_oldest_member() -> None:
    alerts = _alerts(6)
    as_of = [alert.data_as_of for alert in alerts if alert.data_as_of]
    older = alerts[3].model_copy(update={"data_as_of": as_of[3].replace(year=2025)})
    (only,) = group([*alerts[:3], older, *alerts[4:]], threshold=5)
    assert only.alert.data_as_of == older.data_as_of


def _line(sku: str, quantity: int | None, on_hand: int | None = None, **fields: object) -> AlertLineItem:
    return AlertLineItem.model_validate({"sku": sku, "quantity": quantity, "on_hand": on_hand, **fields})


def _digest(*orders: tuple[AlertLineItem, ...]) -> Digest:
    alerts = [
        order_alert("order.backordered", alert_id=str(n), id=str(n), line_items=lines) for n, lines in enumerate(orders)
    ]
    (only,) = group(alerts, threshold=1)
    assert only.alert.digest is not None
    return only.alert.digest


def test_products_are_sorted_by_orders_and_compared_with_stock() -> None:
    lamp, tent = _line("LAMP", 3, 4, product_id="1"), _line("TENT", 1)
    digest = _digest((tent,), (lamp, tent), (lamp, lamp), (lamp,))
    first, second = digest.products
    assert first == DigestedProduct(
        sku="LAMP", product_id="1", orders=3, ordered=Decimal(12), on_hand=Decimal(4), short=Decimal(8)
    )
    assert second == DigestedProduct(sku="TENT", orders=2, ordered=Decimal(2))


def test_backordered_products_with_enough_stock_are_left_out() -> None:
    lines = (_line("ENOUGH", 1, 10), _line("UNKNOWN", 1), _line("SHORT", 5, 1), _line("SHORTER", 5, 0))
    digest = _digest(lines, lines, (_line("UNKNOWN", 1),))
    assert [each.sku for each in digest.products] == ["SHORTER", "SHORT", "UNKNOWN"]
    assert digest.more_products == 1


def test_products_beyond_the_first_few_are_counted() -> None:
    lines = tuple(_line(f"SKU-{n}", 1) for n in range(MAX_PRODUCTS + 3))
    digest = _digest(lines, lines)
    assert (len(digest.products), digest.more_products) == (MAX_PRODUCTS, 3)


def test_a_product_of_one_order_that_is_in_stock_is_not_affected() -> None:
    digest = _digest((_line("BOTH", 1), _line("PLENTY", 1, 5)), (_line("BOTH", 1), _line("SHORT", 2, 1)))
    assert ([each.sku for each in digest.products], digest.more_products) == (["SHORT", "BOTH"], 1)


def test_a_product_combines_what_its_lines_have() -> None:
    (product,) = _digest(
        (_line("", None, product_id="1"),), (_line("LAMP", 2, 1, product_id="1", name="Lamp"),)
    ).products
    assert product == DigestedProduct(
        sku="LAMP", name="Lamp", product_id="1", orders=2, ordered=Decimal(2), on_hand=Decimal(1), short=Decimal(1)
    )


def test_alerts_about_a_connection_are_never_digested() -> None:
    blocked = [SAMPLES["connection.blocked"]] * 20
    assert len(group(blocked, threshold=0)) == 20


def _with_reasons(*orders: tuple[str | None, int | None, int]) -> list[Alert]:
    """Orders by reason, days until the ship-by, value; numbered in this order."""
    return [
        order_alert(
            "order.exception",
            alert_id=str(n),
            id=str(n),
            number=f"N{n}",
            raw_status=reason,
            ship_by=NOW + timedelta(days=days) if days is not None else None,
            total_price=Decimal(value),
        )
        for n, (reason, days, value) in enumerate(orders)
    ]


def test_a_digest_sorts_by_reason_ship_by_and_value() -> None:
    alerts = _with_reasons(
        ("Fraud", 5, 1), ("Address", None, 9), ("Address", 3, 1), ("Fraud", -2, 1), ("Address", 3, 7), ("Address", 1, 1)
    )
    digest = group(alerts, threshold=1)[0].alert.digest
    assert digest
    assert [order.number for order in digest.orders] == ["N5", "N4", "N2", "N1", "N3", "N0"]
    assert [(each.raw_status, each.orders) for each in digest.reasons] == [("Address", 4), ("Fraud", 2)]
    assert (digest.overdue, digest.due_soon) == (1, 1)


def test_a_digest_of_recovered_orders_has_no_reasons() -> None:
    alerts = [each.model_copy(update={"kind": "order.recovered"}) for each in _with_reasons(*[("Address", 1, 1)] * 3)]
    digest = group(alerts, threshold=1)[0].alert.digest
    assert digest
    assert digest.reasons == ()
