from datetime import UTC, datetime, timedelta, timezone

import pytest

from orderwatch_local.simulator import LiveClock, SystemClock, VirtualClock
from tests.support.clocks import FakeClock, running_on

NOON = datetime(2026, 1, 5, 12, tzinfo=UTC)


def test_the_system_clock_tells_utc() -> None:
    assert SystemClock().now().tzinfo is UTC


def test_a_virtual_clock_stands_still_until_it_is_moved() -> None:
    clock = VirtualClock(NOON)
    assert clock.now() == clock.now() == NOON
    clock.advance(timedelta(minutes=5))
    assert clock.now() == NOON + timedelta(minutes=5)


def test_a_virtual_clock_can_jump_back() -> None:
    clock = VirtualClock(NOON)
    clock.set(NOON - timedelta(days=1))
    assert clock.now() == NOON - timedelta(days=1)


def test_a_virtual_clock_tells_utc_whatever_zone_it_was_set_in() -> None:
    clock = VirtualClock(NOON.astimezone(timezone(timedelta(hours=9))))
    assert clock.now().tzinfo is UTC


def test_a_moment_without_a_time_zone_is_refused() -> None:
    with pytest.raises(ValueError, match="time zone"):
        VirtualClock(datetime(2026, 1, 5))  # noqa: DTZ001 - the point of the test


def test_a_live_clock_stands_still_until_it_is_started_and_runs_from_then_on() -> None:
    with running_on(machine := FakeClock()):
        clock = LiveClock(NOON)
        machine.sleep(60)
        assert clock.now() == NOON
        clock.start()
        machine.sleep(5)
        assert clock.now() == NOON + timedelta(seconds=5)


def test_a_live_clock_that_runs_jumps_forward_and_never_back() -> None:
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
