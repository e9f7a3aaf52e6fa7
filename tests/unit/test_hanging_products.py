"""Trackstar's client within the budget of product details, where requests hang until they time out."""

from collections.abc import Callable, Mapping, Sequence

import httpx
import pytest
from pydantic import SecretStr

from orderwatch import clock
from orderwatch.publishing.enrich import ProductDetails
from orderwatch.trackstar.client import Trackstar
from orderwatch.trackstar.products import Product
from tests.support.alerts import alert_of
from tests.support.clocks import FakeClock

LONGEST_WAIT = 30.0
SHOPS = [f"conn_{number}" for number in range(20)]


class Hanging(httpx.BaseTransport):
    """Returns no response; each request ends at the client's timeout.

    Args:
        waits_for: The part of a request that hangs, as httpx names its timeout.
        error: What it ends with.
    """

    def __init__(self, waits_for: str, error: type[httpx.TransportError]) -> None:
        self._waits_for, self._error = waits_for, error

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        clock.sleep(request.extensions["timeout"][self._waits_for])
        raise self._error("hangs", request=request)


class Products:
    """The products of every connection, by the real client."""

    def __init__(self, trackstar: Trackstar) -> None:
        self._trackstar = trackstar

    def products(
        self, connection_id: str, product_ids: Sequence[str], *, seconds_left: Callable[[], float]
    ) -> Mapping[str, Product]:
        secret = SecretStr("secret")
        client = self._trackstar.client_of(
            connection_id, api_key=secret, access_token=secret, seconds_left=seconds_left
        )
        return client.products(product_ids)


@pytest.mark.parametrize(
    ("waits_for", "error"), [("read", httpx.ReadTimeout), ("connect", httpx.ConnectTimeout), ("read", httpx.ReadError)]
)
@pytest.mark.parametrize("products", [("p1",), ("p,1", "p,2")], ids=["listed", "one by one"])
def test_no_alert_waits_long_if_trackstar_hangs(
    waits_for: str, error: type[httpx.TransportError], products: tuple[str, ...]
) -> None:
    fake_clock = FakeClock()
    clock.use(fake_clock)
    trackstar = Trackstar("https://trackstar.invalid", transport=Hanging(waits_for, error))
    details, began = ProductDetails(Products(trackstar)), fake_clock.seconds
    alerts = [alert_of("1", connection_id=shop, product_ids=products) for shop in SHOPS]
    came = [alert.connection_id for alert in alerts for batch in details.enriched_batches([alert]) for alert in batch]
    assert came == SHOPS
    assert fake_clock.seconds - began < LONGEST_WAIT
