"""Every kind of response of the simulated vendor, checked against the vendor's API description."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from itertools import product
from types import MappingProxyType
from urllib.parse import urlencode

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from orderwatch_local.simulator import (
    ACCESS_TOKEN_HEADER,
    API_KEY_HEADER,
    Envelope,
    Request,
    Resource,
    Response,
    Shop,
    Trackstar,
    TrackstarDates,
    VirtualClock,
    day_of_three_shops,
    endpoint_error,
    invalid_credentials,
    json_response,
    missing_permission,
)
from orderwatch_local.simulator.filters import ORDER_GRAMMAR
from orderwatch_local.simulator.scenario import LIFECYCLE
from orderwatch_local.simulator.script import API_KEY
from orderwatch_local.simulator.seeded_data import OrderBook, seeded_catalogue
from tests.support.api_description import OPERATIONS
from tests.support.clocks import NOON

KEY, TOKEN, CONNECTION, ORDER, PRODUCT = "the-key", "the-token", "conn_a", "o001001", "p0001-1"
HEADERS = {API_KEY_HEADER: KEY, ACCESS_TOKEN_HEADER: TOKEN}
PATHS = {
    "listOrders": "/cart/orders",
    "getOrder": f"/cart/orders/{ORDER}",
    "listProducts": "/cart/products",
    "getProduct": f"/cart/products/{PRODUCT}",
    "listWarehouses": "/cart/warehouses",
    "listConnections": "/connections",
    "getConnection": f"/connections/{CONNECTION}",
    "syncConnection": "/connections/sync",
}
LISTS = ("listOrders", "listProducts", "listWarehouses", "listConnections")
CART = ("listOrders", "getOrder", "listProducts", "getProduct", "listWarehouses")
OF_A_CONNECTION = (*CART, "syncConnection")
CATALOGUE = seeded_catalogue(1, currency="USD", host="shop.example", families=6)


class OneShop:
    """One shop with two orders of every status, and the vendor; its rate limit's clock is stopped."""

    def __init__(self, *, rate_limit: int = 10) -> None:
        self.clock = VirtualClock(NOON)
        self.shop = Shop(CONNECTION, access_token=TOKEN, clock=self.clock, products=CATALOGUE.products)
        book = OrderBook(1, catalogue=CATALOGUE, country="US", host="shop.example")
        for status in (*LIFECYCLE, "backordered", "exception", "cancelled", "other") * 2:
            self.shop.place(book.write(NOON - timedelta(days=1), status=status))
        self.shop.sync()
        self.trackstar = Trackstar(KEY, [self.shop], self.clock, rate_limit=rate_limit, monotonic=lambda: 0.0)

    def ask(
        self,
        operation: str,
        *,
        path: str = "",
        query: Mapping[str, str] = MappingProxyType({}),
        headers: Mapping[str, str] = HEADERS,
        body: bytes = b"{}",
    ) -> Response:
        target = f"{path or PATHS[operation]}?{urlencode(query)}"
        return self.trackstar.handle(Request.of(OPERATIONS[operation].method, target, headers.items(), body))


def check(operation: str, response: Response, *, is_json: bool = True) -> None:
    headers = httpx.Headers(list(response.headers))
    OPERATIONS[operation].check(response.status, headers, response.body, is_json=is_json)


type Prepare = Callable[[OneShop], object]


@dataclass(frozen=True)
class Case:
    """A request and the status that it must get."""

    name: str
    operation: str
    status: int
    path: str = ""
    query: Mapping[str, str] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=lambda: HEADERS)
    body: bytes = b'{"functions_to_sync": ["get_orders"]}'
    prepare: Prepare = lambda _: None
    is_json: bool = True


def disable(world: OneShop) -> None:
    world.shop.quirks.disabled = True


def exhaust(world: OneShop) -> None:
    """Both budgets, of reads and of writes."""
    for operation in ("listProducts", "syncConnection"):
        while world.ask(operation).status != 429:
            pass


def lack_everything(world: OneShop) -> None:
    world.shop.quirks.lacks = set(Resource)
    world.shop.quirks.lacks_warehouses = True


def answer(response: Response) -> Prepare:
    return lambda world: setattr(world.trackstar, "intercept", lambda _: response)


def in_envelope(envelope: Envelope) -> Prepare:
    return lambda world: setattr(world.trackstar, "envelope", envelope)


def dates(kind: TrackstarDates) -> Prepare:
    def prepare(world: OneShop) -> None:
        world.shop.quirks.trackstar_dates = kind
        world.shop.edit(ORDER, {"tags": None})
        world.shop.sync()

    return prepare


def move_on(world: OneShop) -> None:
    world.shop.move(ORDER, "a status of tomorrow", "its word", changes={"line_items": None, "shipments": None})
    world.shop.restock(PRODUCT, {"wh-east": 3})
    world.shop.sync()


def fail_in_every_documented_way(world: OneShop) -> None:
    broken = endpoint_error("get_orders", preventing_sync=True, first_seen=NOON, last_seen=NOON)
    world.shop.errors = [invalid_credentials(), missing_permission("products"), broken]
    world.shop.quirks.latest_sync_field = "latest_data"


def sync_for_the_first_time(world: OneShop) -> None:
    """A connection whose historical sync is still running replaces the other one."""
    world.trackstar.connect(
        Shop("conn_b", access_token=TOKEN, clock=world.clock, historical_sync_completed=False),
    )
    world.trackstar.disconnect(CONNECTION)


SERVED = [
    *(Case(f"{o} as it should be", o, 200) for o in PATHS),
    Case("a first page of many", "listOrders", 200, query={"limit": "2"}),
    Case("orders by id", "listOrders", 200, query={"ids[in]": f"{ORDER},unknown"}),
    Case("a hundred ids", "listOrders", 200, query={"ids[in]": ",".join(map(str, range(100)))}),
    Case("no order matches", "listOrders", 200, query={"updated_date[gt]": "2099-01-01T00:00:00Z"}),
    Case("products by id", "listProducts", 200, query={"ids[in]": PRODUCT}),
    Case("orders without Trackstar's dates", "listOrders", 200, prepare=dates(TrackstarDates.ABSENT)),
    Case("orders with null dates", "listOrders", 200, prepare=dates(TrackstarDates.NULL)),
    Case("an order after a move", "getOrder", 200, prepare=move_on),
    Case("a product after a restock", "getProduct", 200, prepare=move_on),
    Case("orders before the first sync is completed", "listOrders", 200, prepare=sync_for_the_first_time),
    Case("connections before the first sync is completed", "listConnections", 200, prepare=sync_for_the_first_time),
    Case("a connection with errors", "getConnection", 200, prepare=fail_in_every_documented_way),
    Case("a sync of everything", "syncConnection", 200, body=b"{}"),
    *(Case(f"a connection as {e}", "getConnection", 200, prepare=in_envelope(e)) for e in Envelope),
]
REFUSED = [
    *(Case(f"{o} without a key", o, 401, headers={}) for o in PATHS),
    *(Case(f"{o} with a wrong key", o, 401, headers=HEADERS | {API_KEY_HEADER: "x"}) for o in PATHS),
    *(Case(f"{o} without a token", o, 401, headers={API_KEY_HEADER: KEY}) for o in OF_A_CONNECTION),
    *(Case(f"{o} with a wrong token", o, 401, headers=HEADERS | {ACCESS_TOKEN_HEADER: "x"}) for o in OF_A_CONNECTION),
    *(Case(f"{o} where it is disabled", o, 403, prepare=disable) for o in OF_A_CONNECTION),
    *(Case(f"{o} too often", o, 429, prepare=exhaust) for o in OF_A_CONNECTION),
    *(Case(f"{o} where it is not implemented", o, 501, prepare=lack_everything) for o in CART),
    Case("an unknown order", "getOrder", 404, path="/cart/orders/unknown"),
    Case("an unknown product", "getProduct", 404, path="/cart/products/unknown"),
    Case("an unknown connection", "getConnection", 404, path="/connections/unknown"),
    Case("a sync of something unknown", "syncConnection", 422, body=b'{"functions_to_sync": ["get_weather"]}'),
    Case("a sync of something else than a list", "syncConnection", 422, body=b'{"functions_to_sync": "get_orders"}'),
    Case("a sync without an object", "syncConnection", 422, body=b"[]"),
    Case("a sync without a body", "syncConnection", 422, body=b""),
]
ERROR = json_response({"error": "Something broke", "origin": "trackstar"}, status=500)
OLD_ERROR = json_response({"error": "Something broke"}, status=503)
HTML = Response(502, (("Content-Type", "text/html; charset=utf-8"),), b"<h1>Bad Gateway</h1>")
FAULTS = [
    *(Case(f"{o} with a fault", o, 500, prepare=answer(ERROR)) for o in PATHS),
    Case("an older fault", "listOrders", 503, prepare=answer(OLD_ERROR)),
    *(Case(f"{o} behind a broken gateway", o, 502, prepare=answer(HTML), is_json=False) for o in PATHS),
]


@pytest.mark.parametrize("case", [*SERVED, *REFUSED, *FAULTS], ids=lambda case: case.name)
def test_a_response_is_as_documented(case: Case) -> None:
    world = OneShop()
    case.prepare(world)
    got = world.ask(case.operation, path=case.path, query=case.query, headers=case.headers, body=case.body)
    assert got.status == case.status, got.body
    check(case.operation, got, is_json=case.is_json)


UNDOCUMENTED = {
    "colour": ["red"],
    "limit": ["0", "1001", "-1", "ten"],
    "page_token": ["made-up", ""],
    "ids[in]": [",".join(map(str, range(101)))],
    "status": [""],
    "status[in]": ["open,,other"],
    "updated_date[gte]": ["yesterday", "2026-01-05T08:00:00", "2026-01-05T08:00:00.5Z", "2026-13-05T08:00:00Z"],
    **{name: ["open"] for name in ("ids", "ids[nin]", "order_number", "status[]", "status[EQ]", "status[gt]")},
    "updated_date[in]": ["2026-01-05T08:00:00Z"],
}


@pytest.mark.parametrize(("parameter", "values"), UNDOCUMENTED.items())
def test_an_undocumented_parameter_is_422_with_its_name(parameter: str, values: Sequence[str]) -> None:
    world = OneShop(rate_limit=1000)
    for operation, value in product(LISTS, values):
        got = world.ask(operation, query={parameter: value})
        assert got.status == 422
        assert parameter in got.json()["error"]
        check(operation, got)


@pytest.mark.parametrize("operation", LISTS)
def test_every_documented_parameter_is_accepted(operation: str) -> None:
    world = OneShop(rate_limit=1000)
    world.trackstar.connect(Shop("conn_b", access_token="other", clock=world.clock))
    token = world.ask(operation, query={"limit": "1"}).json()["next_token"]
    for name, schema in OPERATIONS[operation].parameters.items():
        value = token if name == "page_token" else valid_value(schema)
        assert world.ask(operation, query={name: value}).status == 200, name


def valid_value(schema: Mapping[str, object]) -> str:
    if schema["type"] == "integer":
        return str(schema["maximum"])
    return "2026-01-05T08:00:00Z" if "pattern" in schema else "open"


FIELDS = (*ORDER_GRAMMAR, "limit", "raw_status")
OPERATORS = ("", "[eq]", "[neq]", "[gt]", "[gte]", "[lt]", "[lte]", "[in]", "[nin]", "[like]")
VALUES = st.sampled_from(("open", "10", "2026-01-05T08:00:00Z", "2026-01-05", "open,exception", "")) | st.text()
QUERIES = st.dictionaries(
    st.builds(str.__add__, st.sampled_from(FIELDS), st.sampled_from(OPERATORS)) | st.text(), VALUES, max_size=3
)


ANY_QUERY = OneShop(rate_limit=1_000_000)


@pytest.mark.parametrize("operation", LISTS)
@given(query=QUERIES)
def test_any_query_gets_a_documented_response(operation: str, query: Mapping[str, str]) -> None:
    got = ANY_QUERY.ask(operation, query=query)
    check(operation, got)
    undocumented = query.keys() - OPERATIONS[operation].parameters.keys()
    assert got.status == (422 if undocumented else got.status)
    assert got.status == 200 or any(name in got.json()["error"] for name in query)


@pytest.mark.slow
def test_a_scripted_day_is_as_documented() -> None:
    script = day_of_three_shops(1)
    trackstar = script.begin(monotonic=lambda: script.clock.now().timestamp())
    for hour in script.hours:
        script.apply(hour)
        script.sync()
    for shop, operation in product(script.shops, ("listOrders", "listProducts")):
        headers = {API_KEY_HEADER: API_KEY, ACCESS_TOKEN_HEADER: shop.access_token}
        got = trackstar.handle(Request.of("GET", PATHS[operation], headers.items()))
        assert got.json()["next_token"] is None
        check(operation, got)
