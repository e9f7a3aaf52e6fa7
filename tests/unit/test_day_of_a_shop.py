"""A scripted day of a shop: what is sent is what the visible changes, the deadlines and the stock require."""

import itertools
from collections import Counter
from dataclasses import replace
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from orderwatch.deadlines.rules import DeadlineRules
from orderwatch_local.demo.expected import AlertKey, delivered_alerts, expected_order_alerts
from orderwatch_local.demo.run import REMINDER_HOURS, ZONES
from orderwatch_local.simulator import Script, Shop
from orderwatch_local.simulator.scenario import ShopDay, ShopProfile
from orderwatch_local.simulator.script import DAY, THREE_SHOPS
from orderwatch_local.simulator.seeded_data import units_left
from tests.support.cloud import Tables
from tests.support.polls import WATCHED, client_of, poll
from tests.support.recording_sns import RecordingSns
from tests.support.sending import send


@pytest.mark.parametrize("profile", THREE_SHOPS, ids=lambda profile: profile.connection_id)
def test_a_day_of_a_shop_is_alerted_as_it_was_visible(profile: ShopProfile) -> None:
    script, tables, sns = Script([ShopDay(1, profile, DAY)], DAY), Tables.in_memory(), RecordingSns()
    trackstar = script.begin(monotonic=map(float, itertools.count()).__next__)
    [shop] = trackstar.shops
    zone = ZoneInfo(ZONES.get(shop.connection_id, "UTC"))
    rules = DeadlineRules(zone=zone, reminder_hours=REMINDER_HOURS.get(shop.connection_id, 0))
    policy = replace(WATCHED, deadlines=rules, restock_alerts=True)

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
        if body.get("order"):
            check_parcels(body["order"], shop)
    order_alerts = Counter({key: count for key, count in found.items() if key[1]})
    assert order_alerts == expected_order_alerts(script, ZONES, reminder_hours=REMINDER_HOURS)


def check_parcels(alerted: dict[str, Any], shop: Shop) -> None:
    """What an order that was shipped in part still has to ship, and which parcels left of a cancelled one."""
    order = shop.order(alerted["id"])
    if alerted["status"] == order["status"] == "partially_fulfilled":
        assert [line["outstanding"] for line in alerted["line_items"]] == units_left(order)
        assert {line["warehouse"] for line in alerted["line_items"] if line["outstanding"]} == {"wh-west"}
    if alerted["status"] == "cancelled":
        numbers = [each["tracking_number"] for each in order["shipments"]]
        assert [each["tracking_number"] for each in alerted["shipments"]] == numbers
