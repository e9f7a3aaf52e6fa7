from datetime import UTC, datetime, timedelta, timezone

import pytest

from orderwatch_local.simulator import LiveClock, SystemClock, VirtualClock
from tests.support.clocks import FakeClock, running_on

NOON = datetime(2026, 1, 5, 12, tzinfo=UTC)


def test_the_system_clock_is_in_utc() -> None:
    assert SystemClock().now().tzinfo is UTC


def test_a_virtual_clock_changes_only_when_it_is_set() -> None:
    clock = VirtualClock(NOON)
    assert clock.now() == clock.now() == NOON
    clock.advance(timedelta(minutes=5))
    assert clock.now() == NOON + timedelta(minutes=5)


def test_a_virtual_clock_can_be_set_back() -> None:
    clock = VirtualClock(NOON)
    clock.set(NOON - timedelta(days=1))
    assert clock.now() == NOON - timedelta(days=1)


def test_a_virtual_clock_converts_to_utc() -> None:
    clock = VirtualClock(NOON.astimezone(timezone(timedelta(hours=9))))
    assert clock.now().tzinfo is UTC


def test_a_moment_without_a_time_zone_is_refused() -> None:
    with pytest.raises(ValueError, match="time zone"):
        VirtualClock(datetime(2026, 1, 5))  # noqa: DTZ001 - the point of the test


def test_a_live_clock_runs_from_its_start() -> None:
    with running_on(machine := FakeClock()):
        clock = LiveClock(NOON)
        machine.sleep(60)
        assert clock.now() == NOON
        clock.start()
        machine.sleep(5)
        assert clock.now() == NOON + timedelta(seconds=5)


def test_a_running_live_clock_is_never_set_back() -> None:
    with running_on(machine := FakeClock()):
        clock = LiveClock(NOON)
        clock.set(NOON - timedelta(days=1))
        clock.start()
        machine.sleep(5)
        clock.set(NOON - timedelta(days=2))
        assert clock.now() == NOON - timedelta(days=1) + timedelta(seconds=5)
        clock.set(NOON)
        assert clock.now() == NOON
        machine.sleep(1)
        assert clock.now() == NOON + timedelta(seconds=1)
