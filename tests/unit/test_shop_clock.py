"""The clocks of the simulated vendor."""

from datetime import UTC, datetime, timedelta, timezone

import pytest

from orderwatch_local.simulator import LiveClock, VirtualClock
from tests.support.clocks import NOON, FakeClock, running_on

SECOND = timedelta(seconds=1)


def test_a_virtual_clock_shows_what_was_set_in_utc() -> None:
    clock = VirtualClock(NOON.astimezone(timezone(9 * 3600 * SECOND)))
    clock.advance(SECOND)
    assert (clock.now(), clock.now().tzinfo) == (NOON + SECOND, UTC)
    clock.set(NOON - SECOND)
    assert clock.now() == NOON - SECOND
    with pytest.raises(ValueError, match="time zone"):
        clock.set(datetime(2026, 1, 5))  # noqa: DTZ001 - the point of the test


def test_a_live_clock_runs_from_its_start_and_never_back() -> None:
    with running_on(machine := FakeClock()):
        clock = LiveClock(NOON)
        machine.sleep(60)
        clock.set(NOON - 10 * SECOND)
        assert clock.now() == NOON - 10 * SECOND
        clock.start()
        machine.sleep(5)
        clock.set(NOON - 20 * SECOND)
        assert clock.now() == NOON - 5 * SECOND
        clock.set(NOON)
        machine.sleep(1)
        assert clock.now() == NOON + SECOND
