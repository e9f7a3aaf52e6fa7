from collections import Counter
from datetime import timedelta

import pytest

from orderwatch_local.demo.expected import delivered_alerts, expected_connection_alerts
from orderwatch_local.simulator import Block, Hour, Move, Place, Restore, Script, day_of_three_shops
from orderwatch_local.simulator.scenario import STORM_SIZE
from orderwatch_local.simulator.script import THREE_SHOPS

SEEDS = (1, 2, 3, 4, 5)
WATCHED = {"exception", "backordered", "cancelled"}
TROUBLE = WATCHED | {"other"}


@pytest.fixture(scope="module", params=SEEDS)
def played(request: pytest.FixtureRequest) -> Script:
    script = day_of_three_shops(request.param)
    script.begin()
    for hour in script.hours:
        script.apply(hour)
        script.sync()
    return script


def moves(hour: Hour) -> list[Move]:
    return [step for step in hour.steps if isinstance(step, Move)]


def kinds(hour: Hour) -> Counter[tuple[str, str]]:
    """Expected number of alerts in an hour, by shop and kind."""
    statuses: list[tuple[str, str | None, str]] = [
        (move.connection_id, move.previous_status, move.status) for move in moves(hour)
    ]
    statuses += [(step.connection_id, None, step.order["status"]) for step in hour.steps if isinstance(step, Place)]
    watched = [(shop, new) for shop, _, new in statuses if new in WATCHED]
    recovered = [(shop, "recovered") for shop, old, new in statuses if old in WATCHED and new not in WATCHED]
    return Counter(watched + recovered)


def test_the_seed_determines_the_day() -> None:
    assert day_of_three_shops(7).hours == day_of_three_shops(7).hours
    assert day_of_three_shops(7).hours != day_of_three_shops(8).hours


def test_a_day_has_three_shops_of_distinct_integration_and_currency(played: Script) -> None:
    currencies = {order["invoice_currency_code"] for shop in played.shops for order in shop.orders()}
    assert len({shop.integration_name for shop in played.shops}) == len(currencies) == 3


def test_a_day_has_about_a_thousand_orders_in_24_hours(played: Script) -> None:
    assert 950 <= sum(len(shop.orders()) for shop in played.shops) <= 1060
    assert len(played.hours) == 24


def test_the_shops_differ_in_size(played: Script) -> None:
    before = [
        sum(seen.visible_at <= played.hours[0].starts_at for seen in shop.visible_changes) for shop in played.shops
    ]
    assert before == [facts.orders_before for facts in THREE_SHOPS]
    assert len(set(before)) == len(before)


def test_a_blocked_shop_has_no_visible_changes(played: Script) -> None:
    steps = [step for hour in played.hours for step in hour.steps if isinstance(step, Block | Restore)]
    block, restore = steps
    assert (type(block), type(restore)) == (Block, Restore)
    shop = next(shop for shop in played.shops if shop.connection_id == block.connection_id == restore.connection_id)
    assert [seen for seen in shop.visible_changes if block.at < seen.visible_at < restore.at] == []
    assert restore.at - block.at > timedelta(hours=1)


def test_no_problem_is_hidden_while_a_shop_is_blocked(played: Script) -> None:
    block, restore = [step for hour in played.hours for step in hour.steps if isinstance(step, Block | Restore)]
    troubled = [
        step.at
        for hour in played.hours
        for step in moves(hour)
        if step.connection_id == block.connection_id and TROUBLE & {step.status, step.previous_status}
    ]
    assert min(troubled) > restore.at


def test_a_blocked_shop_has_two_expected_connection_alerts(played: Script) -> None:
    assert expected_connection_alerts(played.hours) == Counter(
        [("conn_sora", "", "connection.blocked"), ("conn_sora", "", "connection.recovered")]
    )


def test_a_connection_alert_counts_and_watch_started_does_not() -> None:
    alert = {"connection_id": "conn_a", "kind": "connection.blocked"}
    assert delivered_alerts(alert) == Counter([("conn_a", "", "connection.blocked")])
    assert delivered_alerts(alert | {"kind": "watch.started"}) == Counter()


def test_some_orders_are_in_a_watched_status_before_the_day_begins(played: Script) -> None:
    before = [seen for seen in played.visible_changes if seen.visible_at <= played.hours[0].starts_at]
    assert {seen.connection_id for seen in before if seen.status in WATCHED} == {s.connection_id for s in played.shops}


def test_between_30_and_45_problems_begin_or_end_in_the_day(played: Script) -> None:
    problems = [m for hour in played.hours for m in moves(hour) if TROUBLE & {m.status, m.previous_status}]
    assert 30 <= len(problems) <= 45


def test_every_kind_of_problem_and_recovery_occurs(played: Script) -> None:
    seen = {(move.previous_status, move.status) for hour in played.hours for move in moves(hour)}
    assert {new for _, new in seen} >= TROUBLE
    assert seen >= {("backordered", "processing"), ("exception", "cancelled"), ("exception", "processing")}


def test_one_order_is_in_exception_when_first_visible(played: Script) -> None:
    born = [seen for seen in played.changes_of_day if seen.previous_status is None and seen.status in WATCHED]
    assert [seen.status for seen in born] == ["exception"]


def test_exceptions_and_custom_statuses_have_a_raw_status(played: Script) -> None:
    troubled = [m for hour in played.hours for m in moves(hour) if m.status in {"exception", "other"}]
    assert all(move.raw_status for move in troubled)


def test_an_order_moves_or_is_placed_at_most_once_an_hour(played: Script) -> None:
    for hour in played.hours:
        ids = [(m.connection_id, m.order_id) for m in moves(hour)]
        ids += [(step.connection_id, step.order["id"]) for step in hour.steps if isinstance(step, Place)]
        assert max(Counter(ids).values()) == 1


def test_only_the_storm_has_over_four_alerts_of_a_kind_an_hour(played: Script) -> None:
    *others, storm = sorted(count for hour in played.hours for count in kinds(hour).values())
    assert storm == STORM_SIZE
    assert max(others) <= 4


def test_the_orders_of_the_storm_share_the_product_that_ran_out(played: Script) -> None:
    storm = max(played.hours, key=lambda hour: max(kinds(hour).values(), default=0))
    shop = next(shop for shop in played.shops if kinds(storm)[shop.connection_id, "backordered"] == STORM_SIZE)
    struck = [m.order_id for m in moves(storm) if m.connection_id == shop.connection_id and m.status == "backordered"]
    assert len({shop.order(order_id)["line_items"][0]["product_id"] for order_id in struck}) == 1


def test_every_step_of_every_order_becomes_visible(played: Script) -> None:
    planned = Counter((s.connection_id, s.order["id"]) for h in played.hours for s in h.steps if isinstance(s, Place))
    planned += Counter((m.connection_id, m.order_id) for hour in played.hours for m in moves(hour))
    assert Counter((seen.connection_id, seen.order_id) for seen in played.changes_of_day) == planned


def test_the_steps_are_in_order_within_their_hour(played: Script) -> None:
    for hour in played.hours:
        moments = [step.at for step in hour.steps]
        assert moments == sorted(moments)
        assert hour.starts_at <= moments[0] <= moments[-1] < hour.ends_at


def test_an_applied_hour_is_visible_only_after_the_sync() -> None:
    script = day_of_three_shops(1)
    script.begin()
    script.apply(script.hours[0])
    assert script.changes_of_day == []
    script.sync()
    assert script.changes_of_day != []
