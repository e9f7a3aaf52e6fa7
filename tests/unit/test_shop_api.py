"""The simulated vendor, rule by rule, called without a socket."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Any
from urllib.parse import quote, urlencode

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from orderwatch_local.simulator import (
    ACCESS_TOKEN_HEADER,
    API_KEY_HEADER,
    Envelope,
    Paging,
    Record,
    Request,
    Resource,
    Response,
    Shop,
    ShopTransport,
    Spelling,
    Trackstar,
    VirtualClock,
)

NOON = datetime(2026, 1, 5, 12, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
KEY = "the-key"
TOKEN = "token-conn_a"


class TwoShops:
    """Two shops of one organisation and the vendor, with a monotonic clock that a test moves."""

    def __init__(self, **options: Any) -> None:
        self.clock = VirtualClock(NOON)
        self.monotonic = 100.0
        products = [{"id": f"p{n}", "parent_product_id": "p1", "name": None} for n in range(1, 4)]
        self.a, self.b = (
            Shop(name, access_token=f"token-{name}", clock=self.clock, products=products)
            for name in ("conn_a", "conn_b")
        )
        settings: dict[str, Any] = {"rate_limit": 1_000_000, "monotonic": lambda: self.monotonic, **options}
        self.trackstar = Trackstar(KEY, [self.a, self.b], self.clock, **settings)

    def place(self, *ids: str, shop: Shop | None = None, status: str = "open") -> None:
        """New orders, each synced a minute after the one before."""
        for order_id in ids:
            (shop or self.a).place({"id": order_id, "order_number": f"#{order_id}", "status": status})
            self.clock.advance(MINUTE)
            (shop or self.a).sync()

    def get(self, path: str, params: dict[str, object] | None = None, *, token: str | None = TOKEN) -> Response:
        headers = {API_KEY_HEADER: KEY} | ({ACCESS_TOKEN_HEADER: token} if token else {})
        return self.send("GET", f"{path}?{urlencode(params or {})}", headers)

    def send(self, method: str, target: str, headers: dict[str, str], body: bytes = b"") -> Response:
        return self.trackstar.handle(Request.of(method, target, headers.items(), body))

    def orders(self, **params: object) -> list[str]:
        response = self.get(
            "/cart/orders", {name.replace("__", "[") + "]" * ("__" in name): v for name, v in params.items()}
        )
        assert response.status == 200, response.body
        return [order["id"] for order in response.json()["data"]]

    def page(self, **params: object) -> Any:
        response = self.get("/cart/orders", params)
        assert response.status == 200, response.body
        return response.json()


@pytest.fixture
def world() -> TwoShops:
    return TwoShops()


def error_of(response: Response) -> str:
    return str(response.json()["error"])


# Who may ask


@pytest.mark.parametrize("headers", [{}, {API_KEY_HEADER: "wrong"}, {ACCESS_TOKEN_HEADER: TOKEN}])
@pytest.mark.parametrize("path", ["/cart/orders", "/connections", "/connections/conn_a", "/nowhere"])
def test_without_the_right_api_key_everything_is_401(world: TwoShops, path: str, headers: dict[str, str]) -> None:
    assert world.send("GET", path, headers).status == 401


@pytest.mark.parametrize("token", [None, "wrong", ""])
@pytest.mark.parametrize("path", ["/cart/orders", "/cart/orders/o1", "/cart/products", "/cart/products/p1"])
def test_carts_need_the_access_token(world: TwoShops, path: str, token: str | None) -> None:
    assert world.get(path, token=token).status == 401


def test_a_token_is_valid_for_its_own_connection(world: TwoShops) -> None:
    world.place("o1")
    world.place("o2", shop=world.b)
    assert world.orders() == ["o1"]
    assert world.get("/cart/orders/o2").status == 404


def test_connections_need_only_the_api_key(world: TwoShops) -> None:
    assert world.get("/connections", token=None).status == 200
    assert world.get("/connections/conn_b", token=None).status == 200


def test_a_disabled_connection_is_403(world: TwoShops) -> None:
    world.a.quirks.disabled = True
    assert world.get("/cart/orders").status == 403


def test_a_disconnected_shop_is_unknown(world: TwoShops) -> None:
    world.trackstar.disconnect("conn_a")
    assert world.get("/cart/orders").status == 401
    assert world.get("/connections/conn_a").status == 404


def test_a_missing_endpoint_is_501_of_the_integration(world: TwoShops) -> None:
    world.a.quirks.lacks = {Resource.PRODUCTS}
    for path in ("/cart/products", "/cart/products/p1"):
        assert (world.get(path).status, world.get(path).json()["origin"]) == (501, "integration")
    assert world.get("/cart/orders").status == 200


@pytest.mark.parametrize(
    "path", ["/", "/cart", "/cart/orders/", "/cart/orders/o1/lines", "/cart/customers", "//cart/orders"]
)
def test_unknown_paths_are_404(world: TwoShops, path: str) -> None:
    assert world.get(path).status == 404


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [("POST", "/cart/orders", "GET"), ("DELETE", "/cart/orders/o1", "GET"), ("GET", "/connections/sync", "POST")],
)
def test_a_wrong_method_is_405_and_names_the_right_one(world: TwoShops, method: str, path: str, allowed: str) -> None:
    response = world.send(method, path, {API_KEY_HEADER: KEY, ACCESS_TOKEN_HEADER: TOKEN})
    assert (response.status, response.header("allow")) == (405, allowed)


# What may be asked


@pytest.mark.parametrize(
    ("path", "parameter", "value"),
    [
        ("/cart/orders", "colour", "red"),
        ("/cart/orders", "order_number", "#1"),
        ("/cart/orders", "ids", "o1"),
        ("/cart/orders", "ids[nin]", "o1"),
        ("/cart/orders", "status[gt]", "open"),
        ("/cart/orders", "status[]", "open"),
        ("/cart/orders", "status[EQ]", "open"),
        ("/cart/orders", "status", ""),
        ("/cart/orders", "status[in]", "open,,other"),
        ("/cart/orders", "updated_date[in]", "2026-01-05T08:00:00Z"),
        ("/cart/orders", "updated_date[gte]", "2026-01-05T08:00:00"),
        ("/cart/orders", "updated_date[gte]", "2026-01-05T08:00:00.5Z"),
        ("/cart/orders", "updated_date[gte]", "2026-01-05T08:00:00+00:00"),
        ("/cart/orders", "updated_date[gte]", "2026-01-05"),
        ("/cart/orders", "updated_date[gte]", "2026-13-05T08:00:00Z"),
        ("/cart/orders", "updated_date[gte]", "٢٠٢٦-01-05T08:00:00Z"),
        ("/cart/orders", "limit", "0"),
        ("/cart/orders", "limit", "1001"),
        ("/cart/orders", "limit", "-1"),
        ("/cart/orders", "limit", "ten"),
        ("/cart/orders", "page_token", "made-up"),
        ("/cart/orders", "page_token", ""),
        ("/cart/products", "status", "open"),
        ("/cart/products", "updated_date[gte]", "2026-01-05T08:00:00Z"),
        ("/connections", "ids[in]", "conn_a"),
    ],
)
def test_an_undocumented_parameter_is_422_with_its_name(world: TwoShops, path: str, parameter: str, value: str) -> None:
    response = world.get(path, {parameter: value})
    assert response.status == 422
    assert parameter in error_of(response)


def test_a_repeated_parameter_is_422(world: TwoShops) -> None:
    headers = {API_KEY_HEADER: KEY, ACCESS_TOKEN_HEADER: TOKEN}
    response = world.send("GET", "/cart/orders?limit=5&status=open&limit=6", headers)
    assert (response.status, "limit" in error_of(response)) == (422, True)


@pytest.mark.parametrize("parameter", ["ids[in]", "status[in]", "status[nin]"])
def test_a_hundred_values_are_allowed_and_one_more_is_422(world: TwoShops, parameter: str) -> None:
    values = [f"v{n}" for n in range(101)]
    assert world.get("/cart/orders", {parameter: ",".join(values[:100])}).status == 200
    response = world.get("/cart/orders", {parameter: ",".join(values)})
    assert (response.status, parameter in error_of(response)) == (422, True)


def test_a_connection_may_refuse_a_documented_filter(world: TwoShops) -> None:
    world.a.quirks.refused_filters = {"trackstar_updated_date"}
    response = world.get("/cart/orders", {"trackstar_updated_date[gte]": "2026-01-05T08:00:00Z"})
    assert (response.status, "trackstar_updated_date" in error_of(response)) == (422, True)
    assert world.get("/cart/orders", {"updated_date[gte]": "2026-01-05T08:00:00Z"}).status == 200


@given(name=st.text(max_size=30), value=st.text(max_size=30))
def test_no_parameter_causes_a_server_error(name: str, value: str) -> None:
    assert TwoShops().get("/cart/orders", {name: value}).status in {200, 422}


# What the filters mean


def test_a_bare_field_is_the_same_as_eq(world: TwoShops) -> None:
    world.place("o1")
    world.place("o2", status="exception")
    assert world.orders(status="exception") == world.orders(status__eq="exception") == ["o2"]


def test_every_operator_filters_as_documented(world: TwoShops) -> None:
    world.place("o1", "o2", "o3")
    second = world.get("/cart/orders/o2").json()["data"]["trackstar_updated_date"]
    found = {
        op: world.orders(**{f"trackstar_updated_date__{op}": second}) for op in ("eq", "neq", "gt", "gte", "lt", "lte")
    }
    assert found == {
        "eq": ["o2"],
        "neq": ["o1", "o3"],
        "gt": ["o3"],
        "gte": ["o2", "o3"],
        "lt": ["o1"],
        "lte": ["o1", "o2"],
    }


def test_in_and_nin_take_lists(world: TwoShops) -> None:
    world.place("o1")
    world.place("o2", status="exception")
    world.place("o3", status="cancelled")
    assert world.orders(status__in="exception,cancelled") == ["o2", "o3"]
    assert world.orders(status__nin="exception,cancelled") == ["o1"]


def test_filters_are_combined_by_and(world: TwoShops) -> None:
    world.place("o1", "o2")
    world.place("o3", status="exception")
    assert world.orders(status="open", created_date__gt="2026-01-05T12:00:00Z") == ["o2"]


def test_with_ids_every_other_filter_is_ignored(world: TwoShops) -> None:
    world.place("o1", "o2")
    assert world.orders(ids__in="o2,o9", status="cancelled") == ["o2"]


@pytest.mark.parametrize("operator", ["eq", "neq", "gt", "gte", "lt", "lte"])
def test_a_null_date_never_matches_a_filter_on_it(world: TwoShops, operator: str) -> None:
    world.place("o1")
    world.a.garble("o1", {"updated_date": None})
    world.a.sync()
    assert world.orders(**{f"updated_date__{operator}": "2026-01-05T12:00:00Z"}) == []
    assert world.orders() == ["o1"]


def test_lists_are_empty_until_the_historical_sync_is_completed() -> None:
    world = TwoShops()
    shop = Shop("conn_c", access_token="token-conn_c", clock=world.clock, historical_sync_completed=False)
    world.trackstar.connect(shop)
    world.place("o1", shop=shop)
    page = world.get("/cart/orders", token="token-conn_c").json()
    assert page == {"data": [], "next_token": None, "total_count": 0}
    assert world.get("/connections/conn_c").json()["data"]["historical_sync_completed"]["get_orders"] is False


def test_an_id_may_have_any_character(world: TwoShops) -> None:
    odd = "gid://shop/Order/1?x=é #"
    world.place(odd)
    assert world.get("/cart/orders/" + quote(odd, safe="")).json()["data"]["id"] == odd


def test_products_are_listed_by_id_and_one_by_one(world: TwoShops) -> None:
    world.a.sync()
    listed = world.get("/cart/products", {"ids[in]": "p1,p3"}).json()["data"]
    assert [product["id"] for product in listed] == ["p1", "p3"]
    assert world.get("/cart/products/p2").json()["data"]["id"] == "p2"
    assert world.get("/cart/products/p9").status == 404


# Pages


def test_pages_end_with_a_null_token_and_have_the_total_count(world: TwoShops) -> None:
    world.place("o1", "o2", "o3")
    first = world.page(limit=2)
    second = world.page(limit=2, page_token=first["next_token"])
    assert [order["id"] for page in (first, second) for order in page["data"]] == ["o1", "o2", "o3"]
    assert (first["total_count"], second["total_count"], second["next_token"]) == (3, 3, None)


def test_a_page_token_does_not_remember_the_filters(world: TwoShops) -> None:
    world.place("o1", "o2", status="exception")
    world.place("o3")
    token = world.page(limit=1, status="exception")["next_token"]
    assert [order["id"] for order in world.page(page_token=token)["data"]] == ["o2", "o3"]


def test_an_order_that_changes_between_pages_hides_another(world: TwoShops) -> None:
    world.place("o1", "o2", "o3")
    upper = "2026-01-05T12:03:00Z"
    window = {"trackstar_updated_date[lte]": upper}
    first = world.get("/cart/orders", {"limit": 1, **window}).json()
    world.a.move("o1", "confirmed")
    world.clock.advance(MINUTE)
    world.a.sync()
    second = world.get("/cart/orders", {"limit": 9, "page_token": first["next_token"], **window}).json()
    assert [order["id"] for page in (first, second) for order in page["data"]] == ["o1", "o3"]
    assert (first["total_count"], second["total_count"]) == (3, 2)


def test_an_order_that_changes_between_pages_can_come_twice(world: TwoShops) -> None:
    world.place("o1", "o2", "o3")
    first = world.page(limit=1)
    world.a.move("o1", "confirmed")
    world.clock.advance(MINUTE)
    world.a.sync()
    second = world.page(page_token=first["next_token"])
    assert [order["id"] for page in (first, second) for order in page["data"]] == ["o1", "o3", "o1"]


def test_superseded_copies_come_before_or_after_the_new_ones(world: TwoShops) -> None:
    world.place("o1", "o2")
    world.a.quirks.shows_superseded = True
    for order_id in ("o1", "o2"):
        world.a.move(order_id, "exception")
    world.clock.advance(MINUTE)
    world.a.sync()
    shown = [(order["id"], order["status"]) for order in world.page()["data"]]
    assert shown == [("o1", "exception"), ("o1", "open"), ("o2", "open"), ("o2", "exception")]


def test_page_tokens_of_a_bad_integration_can_be_stuck(world: TwoShops) -> None:
    world.place("o1", "o2", "o3")
    world.a.quirks.paging = Paging.STUCK
    token = world.page(limit=1)["next_token"]
    assert world.page(limit=1, page_token=token)["next_token"] == token


def test_page_tokens_of_a_bad_integration_can_loop(world: TwoShops) -> None:
    world.place("o1", "o2")
    world.a.quirks.paging = Paging.LOOP
    pages = [world.page(limit=1)]
    for _ in range(3):
        pages.append(world.page(limit=1, page_token=pages[-1]["next_token"]))
    assert [page["data"][0]["id"] for page in pages] == ["o1", "o2", "o1", "o2"]


@pytest.mark.parametrize(
    ("path", "token"), [("/cart/orders", "token-conn_b"), ("/cart/products", "token-conn_a"), ("/connections", None)]
)
def test_a_page_token_is_valid_for_its_own_list_only(world: TwoShops, path: str, token: str | None) -> None:
    world.place("o1", "o2")
    page_token = world.page(limit=1)["next_token"]
    response = world.get(path, {"page_token": page_token}, token=token)
    assert (response.status, "page_token" in error_of(response)) == (422, True)


def test_a_page_token_expires() -> None:
    world = TwoShops(page_token_lifetime=timedelta(minutes=10))
    world.place("o1", "o2")
    token = world.page(limit=1)["next_token"]
    world.clock.advance(timedelta(minutes=10) - timedelta(seconds=1))
    assert world.get("/cart/orders", {"page_token": token}).status == 200
    world.clock.advance(timedelta(seconds=1))
    response = world.get("/cart/orders", {"page_token": token})
    assert (response.status, "page_token" in error_of(response)) == (422, True)


def test_connections_are_paged_too(world: TwoShops) -> None:
    first = world.get("/connections", {"limit": 1}).json()
    second = world.get("/connections", {"limit": 1, "page_token": first["next_token"]}).json()
    found = [connection["connection_id"] for page in (first, second) for connection in page["data"]]
    assert (found, second["next_token"]) == (["conn_a", "conn_b"], None)


# Connections and syncs


@pytest.mark.parametrize(
    ("envelope", "unwrap"),
    [
        (Envelope.DATA, lambda body: body["data"]),
        (Envelope.BARE, lambda body: body),
        (Envelope.LIST_OF_ONE, lambda body: body["data"][0]),
    ],
)
def test_a_connection_comes_in_any_documented_envelope(envelope: Envelope, unwrap: Callable[[Any], Record]) -> None:
    world = TwoShops(envelope=envelope)
    assert unwrap(world.get("/connections/conn_a").json())["integration_name"] == "shopify"


def post_sync(world: TwoShops, body: bytes) -> Response:
    return world.send("POST", "/connections/sync", {API_KEY_HEADER: KEY, ACCESS_TOKEN_HEADER: TOKEN}, body)


def test_a_requested_sync_copies_the_shop_of_the_token(world: TwoShops) -> None:
    world.a.place({"id": "o1", "status": "open"})
    response = post_sync(world, b'{"functions_to_sync": ["get_orders"]}')
    assert response.json() == {"id": "conn_a", "syncing": True, "functions_to_sync": ["get_orders"]}
    assert world.orders() == ["o1"]


def test_a_hook_can_handle_a_requested_sync() -> None:
    asked: list[tuple[str, tuple[Resource, ...]]] = []
    world = TwoShops(on_sync=lambda shop, resources: asked.append((shop.connection_id, resources)))
    world.a.place({"id": "o1", "status": "open"})
    assert post_sync(world, b"{}").json()["functions_to_sync"] == []
    assert asked == [("conn_a", tuple(Resource))]
    assert world.orders() == []


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"not json",
        b"[]",
        b'{"functions_to_sync": "get_orders"}',
        b'{"functions_to_sync": ["x"]}',
        b'{"functions_to_sync": [[]]}',
    ],
)
def test_an_undocumented_sync_request_is_422(world: TwoShops, body: bytes) -> None:
    assert post_sync(world, body).status == 422


# Every answer


def test_every_response_has_id_date_and_content_type(world: TwoShops) -> None:
    responses = [world.get(path) for path in ("/cart/orders", "/cart/orders/none", "/nowhere", "/connections")]
    assert len({response.header("x-request-id") for response in responses}) == 4
    assert {parsedate_to_datetime(str(response.header("date"))) for response in responses} == {NOON}
    assert {response.header("date") for response in responses} == {"Mon, 05 Jan 2026 12:00:00 GMT"}
    assert {response.header("content-type") for response in responses} == {"application/json"}


def test_the_request_log_has_no_headers(world: TwoShops) -> None:
    world.get("/cart/orders", {"status": "open"})
    world.get("/nowhere")
    assert [(e.method, e.path, e.query, e.status) for e in world.trackstar.requests] == [
        ("GET", "/cart/orders", (("status", "open"),), 200),
        ("GET", "/nowhere", (), 404),
    ]
    assert KEY not in repr(world.trackstar.requests)


def test_the_repr_of_a_request_has_no_secrets() -> None:
    assert KEY not in repr(Request.of("GET", "/", [(API_KEY_HEADER, KEY)]))


# The rate limit


def test_the_eleventh_read_within_a_second_is_429() -> None:
    world = TwoShops(rate_limit=10)
    answers = [world.get("/cart/orders") for _ in range(11)]
    assert [answer.status for answer in answers] == [200] * 10 + [429]
    assert [answer.header("x-ratelimit-remaining") for answer in answers] == [
        str(left) for left in [*range(9, -1, -1), 0]
    ]
    assert (answers[10].header("retry-after"), answers[10].header("x-ratelimit-limit")) == ("1", "10")
    world.monotonic += 1
    assert world.get("/cart/orders").status == 200


def test_the_window_slides() -> None:
    world = TwoShops(rate_limit=2)
    world.get("/cart/orders")
    world.monotonic += 0.6
    assert world.get("/cart/orders").status == 200
    world.monotonic += 0.5
    assert world.get("/cart/orders").status == 200
    assert world.get("/cart/orders").status == 429


def test_the_reset_is_in_the_vendors_time(world: TwoShops) -> None:
    assert world.get("/cart/orders").header("x-ratelimit-reset") == str(int(NOON.timestamp()) + 1)


def test_each_token_has_a_limit_and_connections_have_none() -> None:
    world = TwoShops(rate_limit=1)
    assert [world.get("/cart/orders").status for _ in range(2)] == [200, 429]
    assert world.get("/cart/orders", token="token-conn_b").status == 200
    assert [world.get("/connections").status for _ in range(5)] == [200] * 5


def test_writes_have_a_limit_of_their_own() -> None:
    world = TwoShops(rate_limit=1, write_limit=2)
    assert [post_sync(world, b"{}").status for _ in range(3)] == [200, 200, 429]
    assert world.get("/cart/orders").status == 200


def test_refusals_count_and_have_rate_limit_headers() -> None:
    world = TwoShops(rate_limit=2)
    assert [world.get("/cart/orders/none").status for _ in range(3)] == [404, 404, 429]
    assert world.get("/cart/orders/none").header("x-ratelimit-remaining") == "0"


def test_an_older_deployment_has_other_header_names() -> None:
    world = TwoShops(rate_limit=1, spelling=Spelling.OLDER)
    world.get("/cart/orders")
    refused = world.get("/cart/orders")
    assert {name for name, _ in refused.headers if "rate" in name or "retry" in name} == {
        "x-rate-limit-limit",
        "x-rate-limit-remaining",
        "x-rate-limit-reset",
        "x-rate-limit-retry-after",
    }


# Faults


def test_an_intercepted_response_has_the_common_headers(world: TwoShops) -> None:
    gateway = Response(502, (("Content-Type", "text/html"),), b"<h1>Bad Gateway</h1>")
    world.trackstar.intercept = lambda request: gateway if request.path == "/cart/orders" else None
    response = world.get("/cart/orders")
    assert (response.status, response.body) == (502, gateway.body)
    assert response.header("content-type") == "text/html"
    assert response.header("x-request-id")
    assert world.get("/connections").status == 200


def test_a_refused_request_is_not_intercepted(world: TwoShops) -> None:
    world.trackstar.intercept = lambda _: Response(500)
    assert world.get("/cart/orders", token="wrong").status == 401


def client_of(world: TwoShops) -> httpx.Client:
    headers = {API_KEY_HEADER: KEY, ACCESS_TOKEN_HEADER: TOKEN}
    return httpx.Client(transport=ShopTransport(world.trackstar), base_url="https://vendor.example", headers=headers)


def test_the_transport_answers_in_process(world: TwoShops) -> None:
    world.place("o1")
    with client_of(world) as client:
        response = client.get("/cart/orders", params={"ids[in]": "o1", "limit": 5})
    assert [order["id"] for order in response.json()["data"]] == ["o1"]
    assert response.headers["x-ratelimit-limit"]


def test_the_transport_sends_bodies(world: TwoShops) -> None:
    with client_of(world) as client:
        answer = client.post("/connections/sync", json={"functions_to_sync": ["get_products"]}).json()
    assert answer["functions_to_sync"] == ["get_products"]


@pytest.mark.parametrize("fault", [Response(200, drop=True), Response(200, body=b'{"data": []}', cut_at=5)])
def test_a_broken_response_raises_the_error_of_a_socket(world: TwoShops, fault: Response) -> None:
    world.trackstar.intercept = lambda _: fault
    with client_of(world) as client, pytest.raises(httpx.RemoteProtocolError):
        client.get("/cart/orders")


def test_an_exception_of_intercept_is_raised_and_logged(world: TwoShops) -> None:
    def time_out(_: Request) -> Response:
        raise httpx.ReadTimeout("too slow")

    world.trackstar.intercept = time_out
    with client_of(world) as client, pytest.raises(httpx.ReadTimeout):
        client.get("/cart/orders")
    assert world.trackstar.requests[-1].status == 0
