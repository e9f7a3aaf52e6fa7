"""A process that dies between any two of its calls loses no alert, and repeats at most one (rules 1, 2 and 15)."""

from collections import Counter
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import timedelta
from itertools import count

import httpx
import pytest

from orderwatch.alerts.alert import AlertKey
from orderwatch.aws.alert_table import LEASE_DURATION
from orderwatch.aws.sns import AlertTopic
from orderwatch_local.simulator import ShopTransport
from tests.support.cloud import Tables
from tests.support.crashing import CrashingProcess, Killed
from tests.support.polls import poll
from tests.support.recording_sns import ARN, RecordingSns
from tests.support.sending import ProductsOf, send
from tests.support.world import World

REDRIVEN_AFTER = timedelta(minutes=10)


@pytest.fixture(autouse=True)
def pages_of_three(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("orderwatch.trackstar.client.PAGE_SIZE", 3)


@dataclass
class Watch:
    """orderwatch over one shop: processes that may die, and the events that start them."""

    process: CrashingProcess = field(default_factory=CrashingProcess)
    world: World = field(default_factory=World)
    sns: RecordingSns = field(default_factory=RecordingSns)

    @property
    def tables(self) -> Tables:
        """The tables as the process reaches them."""
        return self.world.tables.through(self.process.dynamodb(self.world.tables.client))

    @property
    def transport(self) -> httpx.BaseTransport:
        """Trackstar as the process reaches it."""
        return self.process.transport(ShopTransport(self.world.trackstar))

    def live(self) -> None:
        """One tick: a poll, and the stream's events of what it wrote."""
        self.world.pass_time()
        before = set(self.world.tables.alert_keys())
        with suppress(Killed):
            poll(self.world.client(transport=self.transport), self.tables.store, self.world.shop.connection_id)
        self.publish(key for key in self.world.tables.alert_keys() if key not in before)

    def publish(self, keys: Iterable[AlertKey]) -> None:
        with suppress(Killed):
            send(
                list(keys),
                outbox=self.tables.alerts,
                topic=AlertTopic(self.process.sns(self.sns), ARN),
                products=ProductsOf(lambda _: self.world.client(transport=self.transport)),
                digest_threshold=2,
            )

    def recover(self) -> None:
        """A healthy process: the next tick, and what is pending for long."""
        self.process = CrashingProcess()
        self.live()
        self.world.pass_time(max(LEASE_DURATION, REDRIVEN_AFTER) + timedelta(minutes=1))
        self.publish(self.tables.alerts.pending_since_before(self.world.our_clock.now() - REDRIVEN_AFTER))


def of_a_first_day(watch: Watch) -> list[tuple[str, str]]:
    """The next poll is the baseline."""
    watch.world.place("1", "2", "3", "4", status="exception")
    return []


def of_a_day_with_problems(watch: Watch) -> list[tuple[str, str]]:
    """Orders that the baseline recorded have moved; the order and the kind of each alert."""
    watch.world.place("1", "2", "3")
    watch.world.place("4", status="exception")
    watch.live()
    watch.world.pass_time()
    for order_id in "123":
        watch.world.move(order_id, "exception")
    watch.world.move("4", "cancelled")
    watch.world.place("5", status="backordered")
    return [*((each, "order.exception") for each in "123"), ("4", "order.cancelled"), ("5", "order.backordered")]


@pytest.mark.parametrize("begin", [of_a_first_day, of_a_day_with_problems])
def test_a_crash_at_any_call_loses_nothing_and_repeats_once(begin: Callable[[Watch], list[tuple[str, str]]]) -> None:
    for position in count(1):
        watch = Watch()
        expected = begin(watch)
        process = watch.process = CrashingProcess(position)
        watch.live()
        watch.recover()

        written = watch.world.tables.all_alerts()
        assert sorted((alert.order.id, alert.kind) for alert in written if alert.order) == expected, position
        copies = Counter(watch.sns.sent_ids())
        assert copies.keys() == {alert.alert_id for alert in written}, position
        assert max(copies.values()) <= 1 + process.is_crashed, position
        assert len(written) == len(expected) + 1, "watch.started"
        if not process.is_crashed:
            break
    assert position > 12, "a tick makes that many calls"


def test_repeated_and_reordered_events_change_nothing() -> None:
    watch = Watch()
    of_a_day_with_problems(watch)
    watch.live()
    sent, tables = list(watch.sns.taken), watch.world.tables
    rows = tables.rows("AlertTable"), tables.rows("OrderTable")

    requested_at = watch.world.our_clock.now()
    for _ in range(3):  # the same message again, and one that was on its way before
        watch.world.poll(requested_at=requested_at)
        watch.world.poll(requested_at=requested_at - timedelta(hours=1))
    watch.publish([key for key in reversed(tables.alert_keys()) for _ in range(2)])

    assert watch.sns.taken == sent
    assert (tables.rows("AlertTable"), tables.rows("OrderTable")) == rows
