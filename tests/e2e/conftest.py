"""The deployed template: one local cloud, built and deployed once for all the tests of this process."""

from collections.abc import Iterator
from datetime import UTC, datetime

import pytest

from orderwatch_cli.stack import Outputs
from orderwatch_local.cloud.local_cloud import LocalCloud
from orderwatch_local.simulator import Trackstar, VirtualClock, serve
from tests.support.slack_channel import SlackChannel

API_KEY = "key-of-the-tests"
# No schedules here: a test starts each poll itself.
NEVER = "rate(365 days)"
WITHIN = 60.0
"""Seconds for what takes less than two: a wide bound, so that a fault fails the test instead of hanging it."""


@pytest.fixture(scope="session")
def slack_channel() -> Iterator[SlackChannel]:
    with SlackChannel() as channel:
        yield channel


@pytest.fixture(scope="session")
def clock() -> VirtualClock:
    """The vendor's clock."""
    return VirtualClock(datetime(2026, 3, 2, 10, 15, tzinfo=UTC))


@pytest.fixture(scope="session")
def trackstar(clock: VirtualClock) -> Trackstar:
    """The vendor; a test connects its own shop."""
    return Trackstar(API_KEY, [], clock, rate_limit=1000)


@pytest.fixture(scope="session")
def trackstar_url(trackstar: Trackstar) -> Iterator[str]:
    with serve(trackstar) as server:
        yield server.url


@pytest.fixture(scope="session")
def cloud() -> Iterator[LocalCloud]:
    with LocalCloud() as running:
        yield running


@pytest.fixture(scope="session")
def deployed(cloud: LocalCloud, trackstar_url: str, slack_channel: SlackChannel) -> Outputs:
    """The template's outputs, with every secret put."""
    cloud.put_secret("/orderwatch/trackstar/api-key", API_KEY)
    cloud.put_secret("/orderwatch/slack/webhook-url", slack_channel.url)
    return cloud.deploy({"TrackstarBaseUrl": trackstar_url, "SlackEnabled": "true", "PollSchedule": NEVER})
