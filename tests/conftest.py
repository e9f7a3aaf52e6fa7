"""Fixtures of every test."""

from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, settings

from orderwatch import clock
from tests.support.clocks import InstantSleepClock

# No deadlines: a busy machine must not fail a test. `make test-all` asks for `many`.
settings.register_profile(
    "few", deadline=None, max_examples=10, derandomize=True, suppress_health_check=[HealthCheck.too_slow]
)
settings.register_profile("many", settings.get_profile("few"), max_examples=1000, derandomize=False)
settings.load_profile("few")


@pytest.fixture(autouse=True)
def process_clock() -> Iterator[None]:
    """Sleeping takes no time; the system's clock is restored after each test."""
    clock.use(InstantSleepClock())
    yield
    clock.use(None)
