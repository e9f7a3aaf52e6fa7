"""Every kind of response of the simulated vendor, over HTTP, checked against the vendor's OpenAPI page."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import product

import httpx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jsonschema import ValidationError

from orderwatch_local.simulator import (
    ACCESS_TOKEN_HEADER,
    API_KEY_HEADER,
    Envelope,
    Resource,
    Response,
    Shop,
    ShopTransport,
    Spelling,
    Trackstar,
    TrackstarDates,
    VirtualClock,
    day_of_three_shops,
    endpoint_error,
    invalid_credentials,
    json_response,
    missing_permission,
    serve,
)
from orderwatch_local.simulator.filters import ORDER_GRAMMAR
from orderwatch_local.simulator.scenario import LIFECYCLE
from orderwatch_local.simulator.script import API_KEY
from orderwatch_local.simulator.seeded_data import OrderBook, seeded_catalogue
from tests.integration.trackstar.page import page

NOON = datetime(2026, 1, 5, 12, tzinfo=UTC)
KEY, TOKEN, CONNECTION, ORDER, PRODUCT = "the-key", "the-token", "conn_a", "o001001", "p0001-1"
HEADERS = {API_KEY_HEADER: KEY, ACCESS_TOKEN_HEADER: TOKEN}
PATHS = {
    "listOrders": "/cart/orders",
    "getOrder": f"/cart/orders/{ORDER}",
    "listProducts": "/cart/products",
    "getProduct": f"/cart/products/{PRODUCT}",
    "listConnections": "/connections",
    "getConnection": f"/connections/{CONNECTION}",
    "syncConnection": "/connections/sync",
}
CART = ("listOrders", "getOrder", "listProducts", "getProduct")
OF_A_CONNECTION = (*CART, "syncConnection")
STATUSES = (*LIFECYCLE, "backordered", "exception", "cancelled", "other")


class ServedShop:
    """One shop with a few orders of every status, and the vendor; its rate limit's clock is stopped."""

    def __init__(self) -> None:
        self.clock = VirtualClock(NOON)
        catalogue = seeded_catalogue(1, currency="USD", host="shop.example", families=6)
        self.shop = Shop(CONNECTION, access_token=TOKEN, clock=self.clock, products=catalogue.products)
        book = OrderBook(1, catalogue=catalogue, country="US", host="shop.example")
        for status in STATUSES * 2:
            self.shop.place(book.write(NOON - timedelta(days=1), status=status))
        self.shop.sync()
        self.trackstar = Trackstar(KEY, [self.shop], self.clock, monotonic=lambda: 0.0)


type Prepare = Callable[[ServedShop], object]


@dataclass(frozen=True)
class Case:
    """A request and the status that it must get."""

    name: str
    operation: str
    status: int
    path: str = ""
    query: dict[str, str] = field(default_factory=dict)
    headers: dict[str, str] = field(default_factory=lambda: HEADERS)
    body: bytes = b'{"functions_to_sync": ["get_orders"]}'
    prepare: Prepare = lambda _: None
    is_json: bool = True


def disable(world: ServedShop) -> None:
    world.shop.quirks.disabled = True


def exhaust(world: ServedShop) -> None:
    """Both budgets, of reads and of writes."""
    with httpx.Client(transport=ShopTransport(world.trackstar), base_url="https://vendor.example") as client:
        for method, path in (("GET", PATHS["listProducts"]), ("POST", PATHS["syncConnection"])):
            while client.request(method, path, headers=HEADERS, content=b"{}").status_code != 429:
                pass


def lack_everything(world: ServedShop) -> None:
    world.shop.quirks.lacks = set(Resource)


def answer(response: Response) -> Prepare:
    return lambda world: setattr(world.trackstar, "intercept", lambda _: response)


def dates(kind: TrackstarDates) -> Prepare:
    def prepare(world: ServedShop) -> None:
        world.shop.quirks.trackstar_dates = kind
        world.shop.edit(ORDER, {"tags": None})
        world.shop.sync()

    return prepare


def move_on(world: ServedShop) -> None:
    world.shop.move(ORDER, "a status of tomorrow", "its word", changes={"line_items": None, "shipments": None})
    world.shop.restock(PRODUCT, {"wh-east": 3})
    world.shop.sync()


def fail_in_every_documented_way(world: ServedShop) -> None:
    broken = endpoint_error("get_orders", preventing_sync=True, first_seen=NOON, last_seen=NOON)
    world.shop.errors = [invalid_credentials(), missing_permission("products"), broken]
    world.shop.quirks.latest_sync_field = "latest_data"


def forget(world: ServedShop) -> None:
    """A connection whose historical sync is still running."""
    world.trackstar.connect(
        Shop("conn_b", access_token=TOKEN, clock=world.clock, historical_sync_completed=False),
    )
    world.trackstar.disconnect(CONNECTION)


SERVED = [Case(f"{operation} as it should be", operation, 200) for operation in PATHS]
PAGES = [
    Case("a first page of many", "listOrders", 200, query={"limit": "2"}),
    Case("orders by id", "listOrders", 200, query={"ids[in]": f"{ORDER},unknown"}),
    Case("no order matches", "listOrders", 200, query={"updated_date[gt]": "2099-01-01T00:00:00Z"}),
    Case("products by id", "listProducts", 200, query={"ids[in]": PRODUCT}),
    Case("orders without Trackstar's dates", "listOrders", 200, prepare=dates(TrackstarDates.ABSENT)),
    Case("orders with null dates", "listOrders", 200, prepare=dates(TrackstarDates.NULL)),
    Case("an order after a move", "getOrder", 200, prepare=move_on),
    Case("a product after a restock", "getProduct", 200, prepare=move_on),
    Case("orders before the historical sync is completed", "listOrders", 200, prepare=forget),
    Case("connections before the historical sync is completed", "listConnections", 200, prepare=forget),
    Case("a connection with errors", "getConnection", 200, prepare=fail_in_every_documented_way),
    Case("a sync of everything", "syncConnection", 200, body=b"{}"),
    *(
        Case(f"a connection as {e}", "getConnection", 200, prepare=lambda w, e=e: setattr(w.trackstar, "envelope", e))  # type: ignore[misc]
        for e in Envelope
    ),
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
    *(
        Case(f"{o} with {name}={value}"[:60], o, 422, query={name: value})
        for o, (name, value) in product(
            ("listOrders", "listProducts", "listConnections"),
            [
                ("colour", "red"),
                ("limit", "0"),
                ("limit", "1001"),
                ("page_token", "made-up"),
                ("ids[in]", ",".join(map(str, range(101)))),
                ("status[between]", "a,b"),
                ("updated_date[gte]", "yesterday"),
            ],
        )
    ),
    Case("a sync of something unknown", "syncConnection", 422, body=b'{"functions_to_sync": ["get_weather"]}'),
    Case("a sync without a body", "syncConnection", 422, body=b""),
]
ERROR = json_response({"error": "Something broke", "origin": "trackstar"}, status=500)
OLD_ERROR = json_response({"error": "Something broke"}, status=503)
HTML = Response(502, (("Content-Type", "text/html; charset=utf-8"),), b"<h1>Bad Gateway</h1>")
FAULTS = [
    *(Case(f"{o} with a fault", o, 500, prepare=answer(ERROR)) for o in PATHS),
    *(Case(f"{o} with an older fault", o, 503, prepare=answer(OLD_ERROR)) for o in PATHS),
    *(Case(f"{o} behind a broken gateway", o, 502, prepare=answer(HTML), is_json=False) for o in PATHS),
]
CASES = [*SERVED, *PAGES, *REFUSED, *FAULTS]


def documented_status(operation: str, status: int) -> str:
    exact = str(status) in page().operations[operation].responses
    return str(status) if exact else f"{status // 100}XX"


@pytest.fixture(scope="module")
def client() -> Iterator[httpx.Client]:
    with httpx.Client(timeout=10) as shared:
        yield shared


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_a_response_over_http_is_as_documented(case: Case, client: httpx.Client) -> None:
    world = ServedShop()
    case.prepare(world)
    operation = page().operations[case.operation]
    with serve(world.trackstar) as server:
        content = case.body if operation.method == "POST" else None
        url = server.url + (case.path or PATHS[case.operation])
        got = client.request(operation.method, url, params=case.query, headers=case.headers, content=content)
    assert got.status_code == case.status, got.text
    page().check(operation, status=got.status_code, headers=got.headers, body=got.content, is_json=case.is_json)


def test_the_cases_cover_every_documented_status() -> None:
    documented = {(name, status) for name, operation in page().operations.items() for status in operation.responses}
    assert {(case.operation, documented_status(case.operation, case.status)) for case in CASES} == documented


def test_a_scripted_day_is_as_documented() -> None:
    script = day_of_three_shops(1)
    trackstar = script.begin(monotonic=lambda: script.clock.now().timestamp())
    for hour in script.hours:
        script.apply(hour)
        script.sync()
    with httpx.Client(transport=ShopTransport(trackstar), base_url="https://vendor.example") as client:
        for shop, operation in product(script.shops, ("listOrders", "listProducts")):
            headers = {API_KEY_HEADER: API_KEY, ACCESS_TOKEN_HEADER: shop.access_token}
            got = client.get(PATHS[operation], headers=headers)
            assert got.json()["next_token"] is None
            page().check(page().operations[operation], status=200, headers=got.headers, body=got.content)


@pytest.mark.parametrize("operation", ["listOrders", "listProducts", "listConnections"])
def test_every_documented_parameter_is_accepted(operation: str) -> None:
    world = ServedShop()
    token = world_page_token(world, operation)
    for name, schema in page().operations[operation].parameters.items():
        value = token if name == "page_token" else valid_value(schema)
        assert ask(ServedShop(), operation, {name: value}).status_code == 200, name


def world_page_token(world: ServedShop, operation: str) -> str:
    world.trackstar.connect(Shop("conn_b", access_token="other", clock=world.clock))
    return str(ask(world, operation, {"limit": "1"}).json()["next_token"])


def valid_value(schema: dict[str, object]) -> str:
    if schema["type"] == "integer":
        return str(schema["maximum"])
    return "2026-01-05T08:00:00Z" if "pattern" in schema else "open"


def ask(world: ServedShop, operation: str, query: dict[str, str]) -> httpx.Response:
    with httpx.Client(transport=ShopTransport(world.trackstar), base_url="https://vendor.example") as client:
        return client.get(PATHS[operation], params=query, headers=HEADERS)


FIELDS = (*ORDER_GRAMMAR, "limit", "raw_status")
OPERATORS = ("", "[eq]", "[neq]", "[gt]", "[gte]", "[lt]", "[lte]", "[in]", "[nin]", "[like]")
VALUES = st.sampled_from(("open", "10", "2026-01-05T08:00:00Z", "2026-01-05", "open,exception", ""))
QUERIES = st.dictionaries(
    st.builds(str.__add__, st.sampled_from(FIELDS), st.sampled_from(OPERATORS)), VALUES, max_size=3
)


@pytest.mark.parametrize("operation", ["listOrders", "listProducts", "listConnections"])
@settings(max_examples=60)
@given(query=QUERIES)
def test_any_query_gets_a_documented_response(operation: str, query: dict[str, str]) -> None:
    documented = page().operations[operation]
    got = ask(ServedShop(), operation, query)
    page().check(documented, status=got.status_code, headers=got.headers, body=got.content)
    undocumented = query.keys() - documented.parameters.keys()
    if undocumented:
        assert got.status_code == 422
    if got.status_code == 422:
        assert any(name in got.json()["error"] for name in query)


def test_the_check_finds_an_unknown_field_or_a_missing_header() -> None:
    operation = page().operations["getConnection"]
    headers = httpx.Headers({"X-Request-Id": "1", "Content-Type": "application/json"})
    page().check(operation, status=404, headers=headers, body=b'{"error": "no"}')
    with pytest.raises(ValidationError):
        page().check(operation, status=404, headers=headers, body=b'{"error": "no", "code": 4}')
    with pytest.raises(AssertionError, match="X-Request-Id"):
        page().check(operation, status=404, headers={"content-type": "application/json"}, body=b'{"error": "no"}')
    with pytest.raises(AssertionError, match="does not document 418"):
        page().check(operation, status=418, headers=headers, body=b"{}")


def test_the_check_knows_the_older_rate_limit_headers() -> None:
    world = ServedShop()
    world.trackstar.spelling = Spelling.OLDER
    got = ask(world, "listOrders", {})
    with pytest.raises(AssertionError, match="x-ratelimit-limit"):
        page().check(page().operations["listOrders"], status=200, headers=got.headers, body=got.content)
