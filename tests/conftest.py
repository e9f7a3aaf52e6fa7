"""What every test begins with."""

from collections.abc import Iterator

import pytest
from hypothesis import settings

from orderwatch import clock
from tests.support.clocks import InstantSleepClock

# A busy machine is no failure.
settings.register_profile("any machine", deadline=None)
settings.load_profile("any machine")


@pytest.fixture(autouse=True)
def process_clock() -> Iterator[None]:
    """Waiting takes no time, and whatever clock a test uses is gone after it."""
    clock.use(InstantSleepClock())
    yield
    clock.use(None)
