"""Polls of simulated shops, in this process."""

from collections.abc import Callable
from datetime import datetime

import httpx

from orderwatch import clock
from orderwatch.alerts.parts import AlertConnection
from orderwatch.polling.commit import Store
from orderwatch.polling.metrics import PollMetrics
from orderwatch.polling.poll import poll as real_poll
from orderwatch.reading.policy import Policy
from orderwatch.trackstar.client import ConnectionClient
from orderwatch_local.simulator import Shop, ShopTransport
from orderwatch_local.simulator import Trackstar as SimulatedTrackstar
from orderwatch_local.simulator.script import API_KEY
from tests.support.replies import client_over

WATCHED = Policy(statuses=frozenset({"exception", "backordered", "cancelled"}))


def client_of(
    trackstar: SimulatedTrackstar,
    shop: Shop,
    *,
    api_key: str = API_KEY,
    access_token: str | None = None,
    seconds_left: Callable[[], float] = lambda: 60.0,
    transport: httpx.BaseTransport | None = None,
) -> ConnectionClient:
    """Our client for one simulated shop."""
    return client_over(
        transport or ShopTransport(trackstar),
        shop.connection_id,
        api_key=api_key,
        access_token=access_token or shop.access_token,
        seconds_left=seconds_left,
    )


def poll(
    client: ConnectionClient,
    store: Store,
    connection_id: str,
    *,
    policy: Policy = WATCHED,
    has_time: Callable[[], bool] = lambda: True,
    requested_at: datetime | None = None,
    restart: bool = False,
) -> PollMetrics:
    """One poll, requested now unless another time is given."""
    requested_at = requested_at or clock.now()
    return real_poll(
        AlertConnection(id=connection_id),
        vendor=client,
        store=store,
        policy=policy,
        has_time=has_time,
        requested_at=requested_at,
        restart=restart,
    )
