"""A whole scripted day through the real path: HTTP semantics, tables, outbox, topic, queue."""

import itertools

from orderwatch.publishing import publish
from orderwatch_local.shop import day_of_three_shops
from tests.support.cloud import Inbox, Tables
from tests.support.polls import client_of, poll
from tests.support.truth import expected_alerts, told_in


def test_a_day_of_three_shops_is_told_exactly_as_it_was_visible(tables: Tables, inbox: Inbox) -> None:
    script = day_of_three_shops(seed=7)
    ticks = itertools.count()
    trackstar = script.begin(monotonic=lambda: float(next(ticks)))
    baseline = len(script.truth)

    def poll_all() -> None:
        for shop in trackstar.shops:
            poll(client_of(trackstar, shop), tables.store, shop.connection_id)
        publish(tables.alert_ids(), outbox=tables.alerts, topic=inbox.topic, products_of=None, digest_threshold=5)

    poll_all()
    assert sorted(body["kind"] for body in inbox.take()) == ["watch.started"] * 3
    bodies = []
    for hour in script.hours:
        script.apply(hour)
        script.sync()
        poll_all()
        bodies += inbox.take()

    assert told_in(bodies) == expected_alerts(script.truth, baseline=baseline)
    assert any(body["kind"] == "order.digest" for body in bodies)
    assert len(expected_alerts(script.truth, baseline=baseline)) > 20
