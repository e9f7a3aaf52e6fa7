"""A scripted day of a shop: what is sent is what the visible changes and the deadlines require."""

import itertools
from collections import Counter
from dataclasses import replace
from zoneinfo import ZoneInfo

from orderwatch.deadlines.rules import DeadlineRules
from orderwatch_local.demo.expected import AlertKey, delivered_alerts, expected_order_alerts
from orderwatch_local.demo.run import ZONES
from orderwatch_local.simulator import Script
from orderwatch_local.simulator.scenario import ShopDay
from orderwatch_local.simulator.script import DAY, THREE_SHOPS
from tests.support.cloud import Tables
from tests.support.polls import WATCHED, client_of, poll
from tests.support.recording_sns import RecordingSns
from tests.support.sending import send


def test_a_day_of_a_shop_is_alerted_as_it_was_visible() -> None:
    profile = next(each for each in THREE_SHOPS if each.connection_id in ZONES)
    script, tables, sns = Script([ShopDay(1, profile, DAY)], DAY), Tables.in_memory(), RecordingSns()
    trackstar = script.begin(monotonic=map(float, itertools.count()).__next__)
    [shop] = trackstar.shops
    policy = replace(WATCHED, deadlines=DeadlineRules(zone=ZoneInfo(ZONES[shop.connection_id])))

    def tick() -> None:
        poll(client_of(trackstar, shop), tables.store, shop.connection_id, policy=policy)
        send(tables.alert_keys(), outbox=tables.alerts, topic=sns.topic)

    tick()
    [started] = sns.taken
    assert "already overdue" in started["detail"], "they are counted, not alerted"
    sns.taken.clear()
    for hour in script.hours:
        script.apply(hour)
        script.sync()
        tick()

    found: Counter[AlertKey] = Counter()
    for body in sns.taken:
        found.update(delivered_alerts(body))
    assert found == expected_order_alerts(script, ZONES)
