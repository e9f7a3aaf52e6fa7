"""Trackstar's client within the time budget of details, where requests hang until they time out."""

from collections.abc import Callable, Mapping, Sequence

import httpx
import pytest
from pydantic import SecretStr

from orderwatch import clock
from orderwatch.publishing.enrich import ProductDetails
from orderwatch.trackstar.client import ConnectionClient, Trackstar
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


class HangingNames(Hanging):
    """Has the product p1, in one warehouse, after a second; other requests hang."""

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        if request.url.path != "/cart/products":
            return super().handle_request(request)
        clock.sleep(1.0)
        product = {"id": "p1", "inventory": 1, "inventory_by_warehouse_id": {"wh_1": 1}}
        return httpx.Response(200, json={"data": [product]})


class Details:
    """The products and warehouses of every connection, by the real client."""

    def __init__(self, trackstar: Trackstar) -> None:
        self._trackstar = trackstar

    def products(
        self, connection_id: str, product_ids: Sequence[str], *, seconds_left: Callable[[], float]
    ) -> Mapping[str, Product]:
        return self._client_of(connection_id, seconds_left).products(product_ids)

    def warehouse_settings(self, connection_id: str) -> Mapping[str, str]:
        return {}

    def warehouses(self, connection_id: str, *, seconds_left: Callable[[], float]) -> Mapping[str, str]:
        return self._client_of(connection_id, seconds_left).warehouses()

    def _client_of(self, connection_id: str, seconds_left: Callable[[], float]) -> ConnectionClient:
        secret = SecretStr("secret")
        return self._trackstar.client_of(connection_id, api_key=secret, access_token=secret, seconds_left=seconds_left)


HANGS = pytest.mark.parametrize(
    ("waits_for", "error"), [("read", httpx.ReadTimeout), ("connect", httpx.ConnectTimeout), ("read", httpx.ReadError)]
)


@HANGS
@pytest.mark.parametrize("products", [("p1",), ("p,1", "p,2")], ids=["listed", "one by one"])
def test_no_alert_waits_long_if_trackstar_hangs(
    waits_for: str, error: type[httpx.TransportError], products: tuple[str, ...]
) -> None:
    fake_clock = FakeClock()
    clock.use(fake_clock)
    trackstar = Trackstar("https://trackstar.invalid", transport=Hanging(waits_for, error))
    details, began = ProductDetails(Details(trackstar)), fake_clock.seconds
    alerts = [alert_of("1", connection_id=shop, product_ids=products) for shop in SHOPS]
    came = [alert.connection_id for alert in alerts for batch in details.enriched_batches([alert]) for alert in batch]
    assert came == SHOPS
    assert fake_clock.seconds - began < LONGEST_WAIT


@HANGS
def test_hanging_names_of_warehouses_cost_no_alert_its_products(
    waits_for: str, error: type[httpx.TransportError]
) -> None:
    fake_clock = FakeClock()
    clock.use(fake_clock)
    source = Details(Trackstar("https://trackstar.invalid", transport=HangingNames(waits_for, error)))
    details, began = ProductDetails(source, warehouses=source), fake_clock.seconds
    for shop in SHOPS[:8]:
        [alert] = [
            each
            for batch in details.enriched_batches([alert_of("1", connection_id=shop, product_ids=("p1",))])
            for each in batch
        ]
        assert alert.enrichment.complete
    assert fake_clock.seconds - began < LONGEST_WAIT
