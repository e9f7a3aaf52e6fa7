"""One poll of a simulated shop: our own time, and the requests that it makes."""

import statistics
from collections.abc import Sequence
from dataclasses import dataclass, replace

from bench.meter import Meter
from bench.scale import MeteredTransport
from orderwatch_local.simulator import ShopTransport
from tests.support.polls import client_of, poll
from tests.support.world import World


@dataclass(frozen=True)
class PollCost:
    """What one poll takes.

    Attributes:
        seconds: In our own code.
        dynamodb: Requests to DynamoDB.
        trackstar: Requests to Trackstar.
        alerts: Alerts that it wrote.
    """

    seconds: float
    dynamodb: int
    trackstar: int
    alerts: int


def metered_poll(world: World) -> PollCost:
    """Poll the world's first shop."""
    meter = Meter()
    transport = MeteredTransport(ShopTransport(world.trackstar), meter)
    vendor = client_of(world.trackstar, world.shop, transport=transport)
    store = world.tables.through(meter.client(world.tables.client, "DynamoDB")).store
    result, seconds = meter.own(lambda: poll(vendor, store, world.shop.connection_id, policy=world.policy))
    return PollCost(seconds, meter.requests["DynamoDB"], meter.requests["Trackstar"], result.alerts)


def median(costs: Sequence[PollCost]) -> PollCost:
    """The last of these costs, with the median of the seconds."""
    return replace(costs[-1], seconds=statistics.median(each.seconds for each in costs))
