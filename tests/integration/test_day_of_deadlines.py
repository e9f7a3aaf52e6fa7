"""A whole scripted day with its deadlines: the alerts are exactly the expected ones."""

import itertools
from collections import Counter
from dataclasses import replace
from zoneinfo import ZoneInfo

import pytest

from orderwatch.alerts.alert import Alert
from orderwatch.deadlines.rules import DeadlineRules
from orderwatch_local.demo.expected import AlertKey, expected_order_alerts
from orderwatch_local.demo.run import ZONES
from orderwatch_local.simulator import day_of_three_shops
from tests.support.cloud import Tables
from tests.support.polls import WATCHED, client_of, poll

KINDS = {"order.late", "order.at_risk", "order.recovered", "order.exception", "order.backordered", "order.cancelled"}


def deadline_alerts_in(alerts: list[Alert]) -> Counter[AlertKey]:
    return Counter((alert.connection_id, alert.order.id, alert.kind) for alert in alerts if alert.order)


@pytest.mark.parametrize("seed", [1, 2])
def test_a_day_of_three_shops_alerts_each_deadline_once(seed: int) -> None:
    script, tables, ticks = day_of_three_shops(seed), Tables.in_memory(), itertools.count()
    trackstar = script.begin(monotonic=lambda: float(next(ticks)))

    def poll_all() -> None:
        for shop in trackstar.shops:
            zone = ZoneInfo(ZONES.get(shop.connection_id, "UTC"))
            policy = replace(WATCHED, deadlines=DeadlineRules(zone=zone))
            poll(client_of(trackstar, shop), tables.store, shop.connection_id, policy=policy)

    poll_all()
    assert deadline_alerts_in(tables.all_alerts()) == Counter(), "deadlines past at the baseline are not alerted"
    assert sum("past their ship-by" in (alert.detail or "") for alert in tables.all_alerts()) == 3
    for hour in script.hours:
        script.apply(hour)
        script.sync()
        poll_all()

    owed = expected_order_alerts(script, ZONES)
    assert deadline_alerts_in(tables.all_alerts()) == owed
    by_kind = Counter(kind for _, _, kind in owed.elements())
    assert by_kind.keys() == KINDS
    assert by_kind["order.late"] >= 10, "at least the orders with wrong dates"
