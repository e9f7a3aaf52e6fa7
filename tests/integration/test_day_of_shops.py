"""A whole scripted day through the real path: HTTP semantics, tables, outbox, topic, queue."""

import itertools
from collections.abc import Sequence
from typing import Any

import pytest

from orderwatch_local.simulator import Hour, Script, day_of_three_shops
from orderwatch_local.simulator import Trackstar as SimulatedTrackstar
from orderwatch_local.simulator.scenario import STORM_HOUR, ShopDay
from orderwatch_local.simulator.script import DAY, THREE_SHOPS
from tests.support.cloud import Inbox, Tables
from tests.support.delivered import expected_alerts_of, order_alerts_in
from tests.support.polls import client_of, poll
from tests.support.sending import send


class Watch:
    """orderwatch over one scripted day."""

    def __init__(self, script: Script, tables: Tables, inbox: Inbox) -> None:
        self._script, self._tables, self._inbox = script, tables, inbox
        self._topic = inbox.topic
        ticks = itertools.count()
        self._trackstar: SimulatedTrackstar = script.begin(monotonic=lambda: float(next(ticks)))
        self.baseline = len(script.visible_changes)

    def tick(self) -> list[dict[str, Any]]:
        """Poll every shop and publish; what reached the inbox."""
        for shop in self._trackstar.shops:
            poll(client_of(self._trackstar, shop), self._tables.store, shop.connection_id)
        send(self._tables.alert_keys(), outbox=self._tables.alerts, topic=self._topic)
        return self._inbox.receive()

    def play(self, hours: Sequence[Hour]) -> list[dict[str, Any]]:
        """Let the hours pass, one tick after each sync; what reached the inbox."""
        bodies = []
        for hour in hours:
            self._script.apply(hour)
            self._script.sync()
            bodies += self.tick()
        return bodies


@pytest.mark.parametrize("seed", range(1, 3))
def test_a_day_of_three_shops_is_alerted_as_it_was_visible(seed: int, inbox: Inbox) -> None:
    script = day_of_three_shops(seed)
    watch = Watch(script, Tables.in_memory(), inbox)
    assert sorted(body["kind"] for body in watch.tick()) == ["watch.started"] * 3

    bodies = watch.play(script.hours)

    expected = expected_alerts_of(script.visible_changes[watch.baseline :])
    assert order_alerts_in(bodies) == expected
    assert any(body["kind"] == "order.digest" for body in bodies)
    assert expected.total() > 20


def test_a_storm_gives_the_same_alerts_on_deployed_tables(tables: Tables, inbox: Inbox) -> None:
    stormy = next(facts for facts in THREE_SHOPS if facts.storm)
    script = Script([ShopDay(7, stormy, DAY)], DAY)
    watch = Watch(script, tables, inbox)
    for hour in script.hours[:STORM_HOUR]:
        script.apply(hour)
    script.sync()
    watch.tick()
    before = len(script.visible_changes)

    bodies = watch.play(script.hours[STORM_HOUR : STORM_HOUR + 2])

    expected = expected_alerts_of(script.visible_changes[before:])
    assert order_alerts_in(bodies) == expected
    assert any(body["kind"] == "order.digest" for body in bodies)
