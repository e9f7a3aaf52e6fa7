"""Fixtures of every test."""

from collections.abc import Iterator

import pytest
from hypothesis import settings

from orderwatch import clock
from tests.support.clocks import InstantSleepClock

# A busy machine must not fail a test.
settings.register_profile("any machine", deadline=None)
settings.load_profile("any machine")


@pytest.fixture(autouse=True)
def process_clock() -> Iterator[None]:
    """Sleeping takes no time; the system's clock is restored after each test."""
    clock.use(InstantSleepClock())
    yield
    clock.use(None)
