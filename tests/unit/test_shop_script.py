"""The scripted day of three shops, on which the demo and the end-to-end tests rely."""

from collections import Counter
from datetime import timedelta

import pytest

from orderwatch_local.demo.expected import delivered_alerts, expected_connection_alerts, expected_order_alerts
from orderwatch_local.demo.run import ZONES
from orderwatch_local.simulator import Block, Hour, Move, Place, Restore, Script, day_of_three_shops
from orderwatch_local.simulator.scenario import STORM_RECOVERIES, STORM_SIZE
from orderwatch_local.simulator.script import THREE_SHOPS
from orderwatch_local.simulator.seeded_data import units_left

WATCHED = {"exception", "backordered", "cancelled"}
PROBLEMS = WATCHED | {"other"}
DIGEST_THRESHOLD = 5


@pytest.fixture(scope="module", params=[1, pytest.param(2, marks=pytest.mark.slow)])
def played(request: pytest.FixtureRequest) -> Script:
    script = day_of_three_shops(request.param)
    script.begin()
    for hour in script.hours:
        script.apply(hour)
        script.sync()
    return script


def moves(script: Script) -> list[Move]:
    return [step for hour in script.hours for step in hour.steps if isinstance(step, Move)]


def placed(script: Script) -> list[Place]:
    return [step for hour in script.hours for step in hour.steps if isinstance(step, Place)]


def watched_moves(hour: Hour) -> Counter[tuple[str, str]]:
    """The number of alerts that an hour's moves cause, by shop and status."""
    steps = [step for step in hour.steps if isinstance(step, Move) and step.status in WATCHED]
    return Counter((step.connection_id, step.status) for step in steps)


def test_three_different_shops_have_about_a_thousand_orders(played: Script) -> None:
    orders = {shop.connection_id: shop.orders() for shop in played.shops}
    assert 950 <= sum(map(len, orders.values())) <= 1060
    assert len({order["invoice_currency_code"] for listed in orders.values() for order in listed}) == 3
    begins_at = played.hours[0].starts_at
    before = [sum(seen.visible_at <= begins_at for seen in shop.visible_changes) for shop in played.shops]
    assert before == [facts.orders_before for facts in THREE_SHOPS]


def test_a_blocked_shop_hides_changes_but_no_problem(played: Script) -> None:
    block, restore = [step for hour in played.hours for step in hour.steps if isinstance(step, Block | Restore)]
    assert restore.at - block.at > timedelta(hours=1)
    own = [seen for seen in played.visible_changes if seen.connection_id == block.connection_id]
    assert [seen for seen in own if block.at < seen.visible_at < restore.at] == []
    problems = [move for move in moves(played) if PROBLEMS & {move.status, move.previous_status}]
    assert min(move.at for move in problems if move.connection_id == block.connection_id) > restore.at
    expected = [(block.connection_id, "", f"connection.{kind}") for kind in ("blocked", "recovered")]
    assert expected_connection_alerts(played.hours) == Counter(expected)


def test_problems_of_every_kind_begin_and_end(played: Script) -> None:
    statuses = [(move.previous_status, move.status) for move in moves(played)]
    seen = [each for each in statuses if PROBLEMS & set(each)]
    assert 30 <= len(seen) <= 45
    assert {status for _, status in seen} >= PROBLEMS
    assert set(seen) >= {("backordered", "processing"), ("exception", "cancelled"), ("exception", "processing")}
    assert all(move.raw_status for move in moves(played) if move.status in {"exception", "other"})
    assert [each.order["status"] for each in placed(played) if each.order["status"] in WATCHED] == ["exception"]


def test_only_the_storm_has_over_four_alerts_of_a_kind_an_hour(played: Script) -> None:
    *others, storm = sorted(count for hour in played.hours for count in watched_moves(hour).values())
    assert storm == STORM_SIZE
    assert max(others) <= 4
    hour = max(played.hours, key=lambda hour: max(watched_moves(hour).values(), default=0))
    [(connection_id, status)] = [key for key, count in watched_moves(hour).items() if count == STORM_SIZE]
    shop = next(shop for shop in played.shops if shop.connection_id == connection_id)
    struck = [move for move in moves(played) if (move.connection_id, move.status) == (connection_id, status)]
    lines = [shop.order(move.order_id)["line_items"][0] for move in struck if hour.starts_at < move.at < hour.ends_at]
    assert len({line["product_id"] for line in lines}) == 1


def test_parts_ship_and_stock_comes_back_for_some(played: Script) -> None:
    restocked = Counter(key for key in expected_order_alerts(played, ZONES).elements() if key[2] == "order.restocked")
    by_shop = Counter(connection_id for connection_id, _, _ in restocked)
    assert by_shop["conn_sora"] == 1
    assert DIGEST_THRESHOLD < by_shop["conn_alpine"] < STORM_SIZE - STORM_RECOVERIES, "a digest, and some get nothing"
    cancelled = [order for shop in played.shops for order in shop.orders("cancelled") if order["shipments"]]
    assert [sum(units_left(order)) > 0 for order in cancelled] == [True]
    late = {order for _, order, kind in expected_order_alerts(played, ZONES) if kind == "order.late"}
    partly = [each for shop in played.shops for each in shop.orders("partially_fulfilled") if each["id"] in late]
    assert all(order["shipping_groups"][0]["warehouse_id"] == "wh-west" for order in partly)
    assert partly


def test_every_step_of_every_order_becomes_visible_once(played: Script) -> None:
    planned = Counter((step.connection_id, step.order["id"]) for step in placed(played))
    planned += Counter((move.connection_id, move.order_id) for move in moves(played))
    assert Counter((seen.connection_id, seen.order_id) for seen in played.changes_of_day) == planned


def test_a_connection_alert_counts_and_watch_started_does_not() -> None:
    alert = {"connection_id": "conn_a", "kind": "connection.blocked"}
    assert delivered_alerts(alert) == Counter([("conn_a", "", "connection.blocked")])
    assert delivered_alerts(alert | {"kind": "watch.started"}) == Counter()
