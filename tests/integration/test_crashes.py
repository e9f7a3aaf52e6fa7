"""Crashes before and after every outgoing call: nothing is lost, and copies are at most one more than crashes."""

import random
from collections import Counter
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import timedelta
from itertools import count

import pytest

from orderwatch.alerts.alert import AlertKey
from orderwatch.aws.alert_table import LEASE_DURATION
from orderwatch.aws.sns import AlertTopic
from orderwatch.errors import PollSupersededError
from orderwatch_local.simulator import ShopTransport
from tests.support.crashing import CrashingProcess, Killed
from tests.support.delivered import expected_alerts_of, order_alerts_in
from tests.support.recording_sns import ARN, RecordingSns
from tests.support.sending import ProductsOf, send
from tests.support.world import MINUTE, World

REDRIVEN_AFTER = timedelta(minutes=10)
ORDERS = ("1", "2", "3", "4", "5", "6", "7")


@pytest.fixture(autouse=True)
def pages_of_three(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("orderwatch.trackstar.client.PAGE_SIZE", 3)


@dataclass
class Watch:
    """orderwatch over one shop: processes that may die, and the events that start them."""

    process: CrashingProcess
    world: World = field(default_factory=World)
    sns: RecordingSns = field(default_factory=RecordingSns)

    def poll(self) -> None:
        transport = self.process.transport(ShopTransport(self.world.trackstar))
        with suppress(Killed, PollSupersededError):
            self._crashing_world().poll(transport=transport)

    def publish(self, keys: Iterable[AlertKey]) -> None:
        with suppress(Killed):
            send(
                list(keys),
                outbox=self._crashing_world().tables.alerts,
                topic=AlertTopic(self.process.sns(self.sns), ARN),
                products=ProductsOf(
                    lambda _: self.world.client(transport=self.process.transport(ShopTransport(self.world.trackstar)))
                ),
                digest_threshold=3,
            )

    def redrive(self) -> None:
        overdue = self.world.tables.alerts.pending_since_before(self.world.our_clock.now() - REDRIVEN_AFTER)
        self.publish(list(overdue))

    def _crashing_world(self) -> World:
        """The same shops and tables, with a table client that may crash the process."""
        crashing = World.__new__(World)
        crashing.__dict__ = {**self.world.__dict__}
        crashing.tables = self.world.tables.through(self.process.dynamodb(self.world.tables.client))
        return crashing

    def assert_cursor_passed_only_what_is_written(self) -> None:
        """Rule 4, by the shop's own record."""
        state = self.world.state()
        if state.cursor.position is None:
            return
        for seen in self.world.shop.visible_changes:
            if seen.version and seen.version <= f"{state.cursor.position:%Y-%m-%dT%H:%M:%SZ}":
                assert self.world.stored(seen.order_id).version.at >= seen.visible_at

    def live(self) -> None:
        """One tick: a poll, and the stream's events of what it wrote."""
        self.world.pass_time()
        before = set(self.world.tables.alert_keys())
        self.poll()
        self.assert_cursor_passed_only_what_is_written()
        self.publish(key for key in self.world.tables.alert_keys() if key not in before)

    def recover(self) -> None:
        """More ticks, repeated and reordered stream events, and the redrive."""
        for _ in range(2):
            self.live()
        self.world.pass_time(LEASE_DURATION)
        self.publish(reversed(self.world.tables.alert_keys()))
        self.world.pass_time(REDRIVEN_AFTER + MINUTE)
        self.redrive()

    def expected(self, *, baseline: int) -> Counter[tuple[str, str, str]]:
        return expected_alerts_of(self.world.shop.visible_changes[baseline:])

    def order_alerts(self) -> Counter[tuple[str, str, str]]:
        return order_alerts_in(self.sns.taken)


def of_a_day_with_problems(watch: Watch) -> int:
    """An undisturbed baseline, and then problems; the number of alerts of the baseline."""
    watch.world.place("1", "2", "3", "4")
    watch.world.place("5", status="exception")
    healthy, watch.process = watch.process, CrashingProcess()
    watch.live()
    watch.process = healthy
    baseline = len(watch.world.shop.visible_changes)
    watch.world.pass_time()
    for order_id in "1234":
        watch.world.move(order_id, "exception")
    watch.world.move("5", "cancelled")
    watch.world.place("6", status="backordered")
    watch.world.place("7")
    return baseline


def of_a_first_day(watch: Watch) -> int:
    """A baseline: everything that is there is there before it."""
    watch.world.place(*ORDERS, status="exception")
    return len(watch.world.shop.visible_changes)


SCENARIOS: dict[str, Callable[[Watch], int]] = {"a first day": of_a_first_day, "problems": of_a_day_with_problems}


def crashes_in(scenario: Callable[[Watch], int], *crashes: tuple[int, bool]) -> int:
    """Play a scenario with these crashes, compare the alerts with the expected ones, and count the crashes."""
    process = CrashingProcess(*crashes)
    watch = Watch(process)
    baseline = scenario(watch)
    watch.live()
    watch.recover()
    watch.process = CrashingProcess()
    watch.recover()
    found, expected = watch.order_alerts(), watch.expected(baseline=baseline)
    assert set(found) == set(expected), f"crashes at {crashes}"
    copies = Counter(watch.sns.sent_ids())
    assert max(copies.values(), default=0) <= process.crashed + 1
    assert len(copies) == expected.total() + 1, "each alert once, and watch.started"
    assert not list(watch.world.tables.alerts.pending_since_before(watch.world.our_clock.now()))
    return process.crashed


@pytest.mark.parametrize("scenario", SCENARIOS.values(), ids=SCENARIOS)
def test_a_crash_at_any_call_loses_nothing_and_duplicates_once(
    scenario: Callable[[Watch], int],
) -> None:
    for position in count(1):
        if crashes_in(scenario, (position, False)) + crashes_in(scenario, (position, True)) == 0:
            break
    assert position > 20, "the scenario makes that many outgoing calls"


@pytest.mark.parametrize("seed", range(4))
def test_crashes_at_any_three_calls_lose_nothing(seed: int) -> None:
    rng = random.Random(seed)
    for _ in range(20):
        crashes = [(position, rng.random() < 0.5) for position in rng.sample(range(1, 70), 3)]
        crashes_in(rng.choice(list(SCENARIOS.values())), *crashes)


def test_repeated_and_reordered_events_change_nothing() -> None:
    watch = Watch(CrashingProcess())
    of_a_day_with_problems(watch)
    watch.live()
    sent = list(watch.sns.taken)
    rows = watch.world.tables.rows("AlertTable"), watch.world.tables.rows("OrderTable")

    requested_at = watch.world.our_clock.now()
    for _ in range(3):  # the same message again, and one that was on its way before
        watch.world.poll(requested_at=requested_at)
        watch.world.poll(requested_at=requested_at - timedelta(hours=1))
    watch.publish([key for key in reversed(watch.world.tables.alert_keys()) for _ in range(2)])

    assert watch.sns.taken == sent
    assert (watch.world.tables.rows("AlertTable"), watch.world.tables.rows("OrderTable")) == rows
