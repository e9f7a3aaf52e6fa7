"""What the simulated vendor does beyond its API description: filters, pages that drift, quirks, its rate limit."""

from datetime import timedelta
from typing import Any
from urllib.parse import quote, urlencode

import httpx
import pytest

from orderwatch_local.simulator import (
    ACCESS_TOKEN_HEADER,
    API_KEY_HEADER,
    Paging,
    RefusedError,
    Request,
    Resource,
    Response,
    Shop,
    Spelling,
    Trackstar,
    VirtualClock,
)
from tests.support.clocks import NOON

MINUTE = timedelta(minutes=1)
KEY, TOKEN = "the-key", "token-conn_a"
HEADERS = {API_KEY_HEADER: KEY, ACCESS_TOKEN_HEADER: TOKEN}


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

    def place(self, *ids: str, status: str = "open") -> None:
        """New orders of the first shop, each synced a minute after the one before."""
        for order_id in ids:
            self.a.place({"id": order_id, "order_number": f"#{order_id}", "status": status})
            self.sync()

    def sync(self) -> None:
        self.clock.advance(MINUTE)
        self.a.sync()

    def get(self, path: str, params: dict[str, object] | None = None, *, token: str = TOKEN) -> Response:
        return self.send("GET", f"{path}?{urlencode(params or {})}", HEADERS | {ACCESS_TOKEN_HEADER: token})

    def post_sync(self, body: bytes = b"{}") -> Response:
        return self.send("POST", "/connections/sync", HEADERS, body)

    def send(self, method: str, target: str, headers: dict[str, str], body: bytes = b"") -> Response:
        return self.trackstar.handle(Request.of(method, target, headers.items(), body))

    def page(self, **params: object) -> Any:
        response = self.get("/cart/orders", params)
        assert response.status == 200, response.body
        return response.json()

    def orders(self, **filters: object) -> list[str]:
        return [order["id"] for order in self.page(**filters)["data"]]


@pytest.fixture
def world() -> TwoShops:
    return TwoShops()


def assert_refused(response: Response, parameter: str) -> None:
    assert response.status == 422
    assert parameter in response.json()["error"]


# Requests


def test_a_token_is_valid_for_its_own_connection(world: TwoShops) -> None:
    world.place("o1")
    assert world.orders() == ["o1"]
    assert world.get("/cart/orders/o1", token="token-conn_b").status == 404
    world.trackstar.disconnect("conn_a")
    assert world.get("/cart/orders").status == 401
    assert world.get("/connections/conn_a").status == 404


@pytest.mark.parametrize(
    ("method", "path", "status", "allowed"),
    [
        ("GET", "/", 404, None),
        ("GET", "/cart", 404, None),
        ("GET", "/cart/orders/", 404, None),
        ("GET", "/cart/orders/o1/lines", 404, None),
        ("GET", "/cart/customers", 404, None),
        ("GET", "//cart/orders", 404, None),
        ("POST", "/cart/orders", 405, "GET"),
        ("DELETE", "/cart/orders/o1", 405, "GET"),
        ("GET", "/connections/sync", 405, "POST"),
    ],
)
def test_unknown_paths_and_methods_are_refused(
    world: TwoShops, method: str, path: str, status: int, allowed: str | None
) -> None:
    response = world.send(method, path, HEADERS)
    assert (response.status, response.header("allow")) == (status, allowed)


def test_a_repeated_parameter_is_refused(world: TwoShops) -> None:
    assert_refused(world.send("GET", "/cart/orders?limit=5&status=open&limit=6", HEADERS), "limit")


def test_a_connection_may_refuse_a_documented_filter(world: TwoShops) -> None:
    world.a.quirks.refused_filters = {"trackstar_updated_date"}
    date = "2026-01-05T08:00:00Z"
    assert_refused(world.get("/cart/orders", {"trackstar_updated_date[gte]": date}), "trackstar_updated_date")
    assert world.get("/cart/orders", {"updated_date[gte]": date}).status == 200


def test_an_id_may_have_any_character(world: TwoShops) -> None:
    odd = "gid://shop/Order/1?x=é #"
    world.place(odd)
    assert world.get("/cart/orders/" + quote(odd, safe="")).json()["data"]["id"] == odd


# Filters


@pytest.mark.parametrize(
    ("filters", "found"),
    [
        ({"status": "exception"}, ["o2"]),
        ({"status[eq]": "exception"}, ["o2"]),
        ({"status[neq]": "exception"}, ["o1", "o3"]),
        ({"status[in]": "exception,cancelled"}, ["o2", "o3"]),
        ({"status[nin]": "exception,cancelled"}, ["o1"]),
        ({"trackstar_updated_date[eq]": "2026-01-05T12:02:00Z"}, ["o2"]),
        ({"trackstar_updated_date[neq]": "2026-01-05T12:02:00Z"}, ["o1", "o3"]),
        ({"trackstar_updated_date[gt]": "2026-01-05T12:02:00Z"}, ["o3"]),
        ({"trackstar_updated_date[gte]": "2026-01-05T12:02:00Z"}, ["o2", "o3"]),
        ({"trackstar_updated_date[lt]": "2026-01-05T12:02:00Z"}, ["o1"]),
        ({"trackstar_updated_date[lte]": "2026-01-05T12:02:00Z"}, ["o1", "o2"]),
        ({"status[neq]": "open", "created_date[gt]": "2026-01-05T12:01:00Z"}, ["o3"]),
        ({"ids[in]": "o2,o9", "status": "cancelled"}, ["o2"]),
    ],
)
def test_every_operator_filters_as_documented(world: TwoShops, filters: dict[str, str], found: list[str]) -> None:
    world.place("o1")
    world.place("o2", status="exception")
    world.place("o3", status="cancelled")
    assert world.orders(**filters) == found


def test_a_null_date_never_matches_a_filter_on_it(world: TwoShops) -> None:
    world.place("o1")
    world.a.garble("o1", {"updated_date": None})
    world.a.sync()
    for operator in ("eq", "neq", "gt", "gte", "lt", "lte"):
        assert world.orders(**{f"updated_date[{operator}]": "2026-01-05T12:00:00Z"}) == []
    assert world.orders() == ["o1"]


# Pages


def test_pages_end_with_a_null_token_and_have_the_total_count(world: TwoShops) -> None:
    world.place("o1", "o2", "o3")
    first = world.page(limit=2)
    second = world.page(limit=2, page_token=first["next_token"])
    assert [order["id"] for page in (first, second) for order in page["data"]] == ["o1", "o2", "o3"]
    assert (first["total_count"], second["total_count"], second["next_token"]) == (3, 3, None)
    connections = world.get("/connections", {"limit": 1}).json()
    rest = world.get("/connections", {"limit": 1, "page_token": connections["next_token"]}).json()
    assert (rest["data"][0]["connection_id"], rest["next_token"]) == ("conn_b", None)


def test_a_page_token_does_not_remember_the_filters(world: TwoShops) -> None:
    world.place("o1", "o2", status="exception")
    world.place("o3")
    token = world.page(limit=1, status="exception")["next_token"]
    assert world.orders(page_token=token) == ["o2", "o3"]


@pytest.mark.parametrize(
    ("window", "rest", "count"),
    [
        ({"trackstar_updated_date[lte]": "2026-01-05T12:03:00Z"}, ["o3"], 2),
        ({}, ["o3", "o1"], 3),
    ],
    ids=["it leaves the window and hides another", "it comes twice"],
)
def test_an_order_that_changes_between_pages_moves(
    world: TwoShops, window: dict[str, str], rest: list[str], count: int
) -> None:
    world.place("o1", "o2", "o3")
    token = world.page(limit=1, **window)["next_token"]
    world.a.move("o1", "confirmed")
    world.sync()
    second = world.page(page_token=token, **window)
    assert [order["id"] for order in second["data"]] == rest
    assert second["total_count"] == count


def test_superseded_copies_come_before_or_after_the_new_ones(world: TwoShops) -> None:
    world.place("o1", "o2")
    world.a.quirks.shows_superseded = True
    for order_id in ("o1", "o2"):
        world.a.move(order_id, "exception")
    world.sync()
    shown = [(order["id"], order["status"]) for order in world.page()["data"]]
    assert shown == [("o1", "exception"), ("o1", "open"), ("o2", "open"), ("o2", "exception")]


@pytest.mark.parametrize("date", [None, "0000-00-00", "1970-01-01", "03/05/2026", "2099-12-31T00:00:00Z"])
def test_a_copy_with_a_damaged_date_is_not_shown_as_superseded(world: TwoShops, date: str | None) -> None:
    world.place("o1")
    world.a.quirks.shows_superseded = True
    world.a.garble("o1", {"trackstar_updated_date": date})
    world.a.move("o1", "confirmed")
    world.sync()
    world.a.heal("o1")
    world.a.move("o1", "exception")
    world.sync()
    assert [order["status"] for order in world.page()["data"]] == ["exception"]


@pytest.mark.parametrize(
    ("paging", "found"),
    [
        (Paging.FORWARD, ["o1", "o2", "o3"]),
        (Paging.STUCK, ["o1", "o2", "o2", "o2", "o2"]),
        (Paging.LOOP, ["o1", "o2", "o3", "o1", "o2"]),
    ],
)
def test_page_tokens_can_be_stuck_or_loop(world: TwoShops, paging: Paging, found: list[str]) -> None:
    world.place("o1", "o2", "o3")
    world.a.quirks.paging = paging
    read: list[str] = []
    query: dict[str, object] | None = {"limit": 1}
    while query and len(read) < 5:
        page = world.page(**query)
        read += [order["id"] for order in page["data"]]
        query = page["next_token"] and {"limit": 1, "page_token": page["next_token"]}
    assert read == found


def test_page_tokens_can_be_refused_in_any_words(world: TwoShops) -> None:
    world.place("o1", "o2", "o3")
    tokens = [world.page(limit=limit)["next_token"] for limit in (1, 2)]
    world.a.quirks.refuse_token = lambda token: RefusedError(410, "Gone") if token == tokens[0] else None
    refused, accepted = (world.get("/cart/orders", {"page_token": token}) for token in tokens)
    assert (refused.status, refused.json()["error"], accepted.status) == (410, "Gone", 200)


def test_an_empty_list_can_be_null(world: TwoShops) -> None:
    world.a.quirks.null_if_empty = True
    assert world.page() == {"data": None, "next_token": None, "total_count": 0}
    world.place("o1")
    assert world.orders() == ["o1"]


def test_a_page_token_is_valid_for_its_list_and_an_hour(world: TwoShops) -> None:
    world.place("o1", "o2")
    token = {"page_token": world.page(limit=1)["next_token"]}
    assert_refused(world.get("/cart/orders", token, token="token-conn_b"), "page_token")
    assert_refused(world.get("/cart/products", token), "page_token")
    assert_refused(world.get("/connections", token), "page_token")
    world.clock.advance(60 * MINUTE - timedelta(seconds=1))
    assert world.get("/cart/orders", token).status == 200
    world.clock.advance(timedelta(seconds=1))
    assert_refused(world.get("/cart/orders", token), "page_token")


# Syncs


def test_a_requested_sync_copies_the_shop_or_calls_the_hook() -> None:
    asked: list[tuple[str, tuple[Resource, ...]]] = []
    world, hooked = TwoShops(), TwoShops(on_sync=lambda shop, what: asked.append((shop.connection_id, what)))
    world.a.place({"id": "o1", "status": "open"})
    response = world.post_sync(b'{"functions_to_sync": ["get_orders"]}')
    assert response.json() == {"id": "conn_a", "syncing": True, "functions_to_sync": ["get_orders"]}
    assert world.orders() == ["o1"]
    assert hooked.post_sync().json()["functions_to_sync"] == []
    assert asked == [("conn_a", tuple(Resource))]


# Every response


def test_every_response_has_its_own_id_and_the_vendors_date(world: TwoShops) -> None:
    responses = [world.get(path) for path in ("/cart/orders", "/cart/orders/none", "/nowhere", "/connections")]
    assert len({response.header("x-request-id") for response in responses}) == 4
    assert {response.header("date") for response in responses} == {"Mon, 05 Jan 2026 12:00:00 GMT"}


def test_the_request_log_has_no_secrets(world: TwoShops) -> None:
    world.get("/cart/orders", {"status": "open"})
    world.get("/nowhere")
    assert [(e.method, e.path, e.query, e.status) for e in world.trackstar.requests] == [
        ("GET", "/cart/orders", (("status", "open"),), 200),
        ("GET", "/nowhere", (), 404),
    ]
    assert KEY not in repr(world.trackstar.requests) + repr(Request.of("GET", "/", HEADERS.items()))


# The rate limit


def test_the_eleventh_read_within_a_second_is_429() -> None:
    world = TwoShops(rate_limit=10)
    answers = [world.get("/cart/orders/none") for _ in range(11)]
    assert [answer.status for answer in answers] == [404] * 10 + [429]
    assert [answer.header("x-ratelimit-remaining") for answer in answers] == [*"9876543210", "0"]
    assert answers[10].header("x-ratelimit-reset") == str(int(NOON.timestamp()) + 1)
    assert (answers[10].header("retry-after"), answers[10].header("x-ratelimit-limit")) == ("1", "10")
    world.monotonic += 1
    assert world.get("/cart/orders").status == 200


@pytest.mark.parametrize(
    ("moments", "statuses"), [((0, 0.6, 1.1, 1.1), (200, 200, 200, 429)), ((0, 0, 0.9, 1), (200, 200, 429, 200))]
)
def test_the_window_of_the_rate_limit_slides(moments: tuple[float, ...], statuses: tuple[int, ...]) -> None:
    world = TwoShops(rate_limit=2)
    answers = []
    for moment in moments:
        world.monotonic = 100.0 + moment
        answers.append(world.get("/cart/orders").status)
    assert tuple(answers) == statuses


def test_each_token_has_a_limit_and_so_have_its_writes() -> None:
    world = TwoShops(rate_limit=1, write_limit=2)
    assert [world.get("/cart/orders").status for _ in range(2)] == [200, 429]
    assert world.get("/cart/orders", token="token-conn_b").status == 200
    assert [world.post_sync().status for _ in range(3)] == [200, 200, 429]
    assert [world.get("/connections").status for _ in range(5)] == [200] * 5


def test_an_older_deployment_has_other_header_names() -> None:
    world = TwoShops(rate_limit=1, spelling=Spelling.OLDER)
    world.get("/cart/orders")
    refused = world.get("/cart/orders")
    names = {name for name, _ in refused.headers if "rate" in name or "retry" in name}
    assert names == {f"x-rate-limit-{name}" for name in ("limit", "remaining", "reset", "retry-after")}


# Faults


def test_an_intercepted_response_has_the_common_headers(world: TwoShops) -> None:
    gateway = Response(502, (("Content-Type", "text/html"),), b"<h1>Bad Gateway</h1>")
    world.trackstar.intercept = lambda request: gateway if request.path == "/cart/orders" else None
    response = world.get("/cart/orders")
    assert (response.status, response.body, response.header("content-type")) == (502, gateway.body, "text/html")
    assert response.header("x-request-id")
    assert world.get("/connections").status == 200
    assert world.get("/cart/orders", token="wrong").status == 401, "a refused request is not intercepted"


def test_an_exception_of_intercept_is_raised_and_logged(world: TwoShops) -> None:
    def time_out(_: Request) -> Response:
        raise httpx.ReadTimeout("too slow")

    world.trackstar.intercept = time_out
    with pytest.raises(httpx.ReadTimeout):
        world.get("/cart/orders")
    assert world.trackstar.requests[-1].status == 0
