"""What is read from Trackstar: pages and lookups of orders and products, connections; each against its simulator."""

import itertools
import json
from collections.abc import Sequence
from datetime import datetime, timedelta

import pytest
from pydantic import SecretStr

from orderwatch.errors import NotSupportedError, TrackstarError, UnavailableError
from orderwatch.trackstar.client import AccountClient, Trackstar
from orderwatch.trackstar.orders import DateField, OrderQuery, id_batches
from orderwatch_local.simulator import Envelope, Paging, Resource, Response, Shop, ShopTransport
from tests.support.clocks import NOON
from tests.support.replies import SECRET, Replies
from tests.support.world import World


def world_with(*ids: str) -> World:
    """A shop with these orders, and with products of the same ids."""
    world = World()
    products = [{"id": each, "name": f"Product {each}"} for each in ids]
    shop = Shop("conn_a", access_token="token-of-conn_a", clock=world.vendor_clock, products=products)
    world.shops["conn_a"] = shop
    world.trackstar.connect(shop)
    world.place(*ids)
    return world


def paths(world: World) -> list[str]:
    """The requested paths below /cart, oldest first."""
    return [each.path.removeprefix("/cart") for each in world.trackstar.requests]


def requested_ids(world: World, path: str) -> list[list[str]]:
    """The ids of each list by ids."""
    return [query["ids[in]"].split(",") for query in world.queries(path) if "ids[in]" in query]


def pages_with_new_tokens(page: str) -> Replies:
    """A vendor whose lists have no end."""
    return Replies(*(Response(200, body=page.replace("TOKEN", f"t{number}").encode()) for number in range(201)))


# Pages of orders


@pytest.mark.parametrize(
    ("query", "filters"),
    [
        (OrderQuery(until=NOON), {}),
        (OrderQuery(until=NOON, statuses=("exception", "cancelled")), {"status[in]": "exception,cancelled"}),
        (
            OrderQuery(after=NOON - timedelta(hours=1), until=NOON),
            {
                "trackstar_updated_date[gte]": "2026-01-05T11:00:00Z",
                "trackstar_updated_date[lte]": "2026-01-05T12:00:00Z",
            },
        ),
        (
            OrderQuery(
                after=datetime.fromisoformat("2026-01-05T12:00:00.999999+01:00"),
                until=NOON,
                date_field=DateField.SHOP_UPDATED,
            ),
            {"updated_date[gte]": "2026-01-05T11:00:00Z", "updated_date[lte]": "2026-01-05T12:00:00Z"},
        ),
    ],
)
def test_every_page_of_a_list_has_all_its_filters(query: OrderQuery, filters: dict[str, str]) -> None:
    vendor = Replies()
    client = vendor.client()
    client.order_page(query, page_token=None)
    client.order_page(query, page_token="t1")
    first, second = (dict(request.query) for request in vendor.requests)
    assert first == {"limit": "1000", **filters}
    assert second == first | {"page_token": "t1"}


# Orders by id


def test_orders_are_found_in_one_request_as_they_are_now() -> None:
    world = world_with("1", "2", "3")
    world.move("2", "fulfilled")
    found = world.client().orders(["1", "2"])
    assert {order.id: order.status for order in found.orders} == {"1": "open", "2": "fulfilled"}
    assert list(found.gone) == []
    assert world.queries() == [{"limit": "1000", "ids[in]": "1,2"}]


def test_an_order_missing_from_the_list_is_requested_by_its_id() -> None:
    world = world_with("1")
    found = world.client().orders(["1", "gone"])
    assert ([order.id for order in found.orders], list(found.gone)) == (["1"], ["gone"])
    assert paths(world) == ["/orders", "/orders/gone"]


def test_orders_are_requested_one_by_one_if_the_list_is_refused() -> None:
    world = world_with("1", "2")
    world.shop.quirks.refused_filters = {"ids"}
    found = world.client().orders(["1", "2"])
    assert [order.id for order in found.orders] == ["1", "2"]
    assert paths(world) == ["/orders", "/orders/1", "/orders/2"]


@pytest.mark.parametrize(
    ("ids", "sizes"),
    [
        ([], []),
        (["1"], [1]),
        (["1"] * 100, [100]),
        (["1"] * 101, [100, 1]),
        (["x" * 1999, "y" * 2000], [2]),
        (["x" * 2000, "y" * 2000], [1, 1]),
        (["a,b", "1"], [1]),
    ],
)
def test_the_ids_of_one_request_are_few_and_short(ids: Sequence[str], sizes: Sequence[int]) -> None:
    batches = list(id_batches(ids))
    assert [len(batch) for batch in batches] == sizes
    assert list(itertools.chain(*batches)) == [each for each in ids if "," not in each]


@pytest.mark.parametrize(("paging", "then"), [(Paging.FORWARD, ["/orders"]), (Paging.STUCK, ["/orders/4"])])
def test_a_list_by_ids_is_read_page_by_page(monkeypatch: pytest.MonkeyPatch, paging: Paging, then: list[str]) -> None:
    monkeypatch.setattr("orderwatch.trackstar.client.PAGE_SIZE", 2)
    ids = [str(number) for number in range(5)]
    world = world_with(*ids)
    world.shop.quirks.paging = paging
    found = world.client().orders(ids)
    assert sorted({order.id for order in found.orders}) == ids
    assert list(found.gone) == []
    assert paths(world) == ["/orders", "/orders", *then]


def test_a_list_by_ids_without_an_end_is_left_after_200_pages() -> None:
    vendor = pages_with_new_tokens('{"data": [{"id": "1", "status": "open"}], "next_token": "TOKEN"}')
    assert len(vendor.client().orders(["1"]).orders) == 200
    assert len(vendor.requests) == 200


@pytest.mark.parametrize(
    "records",
    [
        ['{"id": "1"}'],
        ['{"id": "1", "status": null}'],
        ['{"id": "1", "status": "op\\ud800en"}'],
        ['{"id": "1", "status": "open"}', '{"id": "1", "status": null}'],
    ],
)
def test_an_order_with_a_broken_record_is_neither_found_nor_gone(records: Sequence[str]) -> None:
    listed = Response(200, body=f'{{"data": [{", ".join(records)}]}}'.encode())
    single = Response(200, body=f'{{"data": {records[-1]}}}'.encode())
    found = Replies(listed, single).client().orders(["1"])
    assert (list(found.orders), list(found.gone)) == ([], [])


@pytest.mark.parametrize("body", [b"<html>", b"[]", b'{"data": []}', b'{"error": "x"}'])
def test_a_response_without_an_order_is_a_fault(body: bytes) -> None:
    world = world_with("1")
    world.trackstar.intercept = lambda request: Response(200, body=body) if request.path.endswith("/x") else None
    with pytest.raises(UnavailableError, match=r"^GET /cart/orders/x: unexpected response"):
        world.client().orders(["1", "x"])


# Products by id


def test_a_hundred_products_need_one_request() -> None:
    ids = [f"p{number}" for number in range(205)]
    world = world_with(*ids)
    found = world.client().products(ids)
    assert {each: product.name for each, product in found.items()} == {each: f"Product {each}" for each in ids}
    assert [len(each) for each in requested_ids(world, "/cart/products")] == [100, 100, 5]
    assert {query["limit"] for query in world.queries("/cart/products")} == {"1000"}


def test_products_are_requested_singly_if_the_list_is_refused() -> None:
    world = world_with("1", "2")
    world.shop.quirks.refused_filters = {"ids"}
    found = world.client().products(["1", "gone", "2"])
    assert {each: product.name for each, product in found.items()} == {"1": "Product 1", "2": "Product 2"}
    assert paths(world) == ["/products", "/products/1", "/products/gone", "/products/2"]


def test_an_integration_without_products_gets_one_request() -> None:
    world = world_with("1")
    world.shop.quirks.lacks = {Resource.PRODUCTS}
    with pytest.raises(NotSupportedError):
        world.client().products(["1", "2"])
    assert len(world.trackstar.requests) == 1


def test_an_invalid_product_counts_as_missing() -> None:
    single, listed = b'{"data": {"name": "without an id"}}', b'{"data": [7, {"id": "2"}, {"name": "x"}]}'
    found = Replies(Response(200, body=single), Response(200, body=listed)).client().products(["1,", "2"])
    assert list(found) == ["2"]


# Orders and products


def test_an_id_with_a_comma_or_a_slash_is_one_id() -> None:
    ids = ["a,b", "a", "c/d", "é?"]
    world = world_with(*ids)
    assert sorted(order.id for order in world.client().orders(ids).orders) == sorted(ids)
    assert sorted(world.client().products(ids)) == sorted(ids)
    assert requested_ids(world, "/cart/orders") == requested_ids(world, "/cart/products") == [["a", "c/d", "é?"]]


@pytest.mark.parametrize("seconds_left", [-0.5, 0.0])
def test_no_single_request_starts_without_time(seconds_left: float) -> None:
    world = world_with("1,")
    client = world.client(seconds_left=lambda: seconds_left)
    for lookup in (client.orders, client.products):
        with pytest.raises(UnavailableError, match=r"/\{id\}: no time is left$"):
            lookup(["1,"])
    assert paths(world) == []


@pytest.mark.parametrize("seconds_left", [0.01, 1.0])
def test_a_single_request_starts_in_the_last_second(seconds_left: float) -> None:
    client = world_with("1,").client(seconds_left=lambda: seconds_left)
    assert len(client.orders(["1,"]).orders) == len(client.products(["1,"])) == 1


@pytest.mark.parametrize("odd_id", ["\ud800", "p" * 70_000])
def test_an_id_that_fits_no_url_is_a_trackstar_error(odd_id: str) -> None:
    with pytest.raises(TrackstarError):
        world_with().client().products([odd_id])


def test_a_page_token_that_is_too_long_for_a_url_is_not_sent() -> None:
    with pytest.raises(TrackstarError, match="cannot be sent"):
        world_with().client().order_page(OrderQuery(until=NOON), page_token="t" * 70_000)


# Connections


@pytest.mark.parametrize("envelope", Envelope)
def test_a_connection_is_read_from_all_three_envelopes(envelope: Envelope) -> None:
    world = World(envelope=envelope)
    record = world.client().connection()
    assert (record.connection_id, record.integration_name) == ("conn_a", "shopify")
    assert [each.path for each in world.trackstar.requests] == ["/connections/conn_a"]


@pytest.mark.parametrize(
    "record",
    [
        [{"connection_id": "conn_a", "integration_name": "wix"}],
        [7, {"connection_id": "conn_b"}, {"connection_id": "conn_a", "integration_name": "wix"}],
    ],
)
def test_a_connection_is_read_from_similar_envelopes(record: object) -> None:
    vendor = Replies(Response(200, body=json.dumps(record).encode()))
    assert vendor.client().connection().integration_name == "wix"


@pytest.mark.parametrize(
    "record",
    [[], {"data": []}, {"data": {"connection_id": "conn_b"}}, None, 7, {"errors": ["timeout"]}, {"data": {"x": 1}}],
)
def test_a_response_without_the_connection_is_a_fault(record: object) -> None:
    vendor = Replies(*[Response(200, body=json.dumps(record).encode())] * 5)
    with pytest.raises(UnavailableError, match="the body does not contain the connection"):
        vendor.client().connection()


def account(vendor: Replies) -> AccountClient:
    trackstar = Trackstar("https://trackstar.invalid", transport=ShopTransport(vendor))
    return trackstar.account(api_key=SecretStr(SECRET), seconds_left=lambda: 60.0)


def connections(*ids: object, next_token: str | None = None) -> Response:
    page = {"data": [{"connection_id": each} for each in ids], "next_token": next_token}
    return Response(200, (("Date", "Mon, 05 Jan 2026 12:00:00 GMT"),), json.dumps(page).encode())


def test_all_connections_are_read_page_by_page() -> None:
    vendor = Replies(connections("a", None, "", next_token="t1"), connections("b", next_token="t2"), connections("c"))
    client = account(vendor)
    assert client.vendor_now is None
    found = client.connections()
    assert {name: each.connection_id for name, each in found.items()} == {"a": "a", "b": "b", "c": "c"}
    assert client.vendor_now == NOON
    assert [dict(each.query) for each in vendor.requests] == [
        {"limit": "1000"},
        {"limit": "1000", "page_token": "t1"},
        {"limit": "1000", "page_token": "t2"},
    ]
    assert "x-trackstar-access-token" not in vendor.requests[0].headers


def test_a_list_of_connections_without_an_end_is_an_error() -> None:
    stuck = Replies(*[connections("a", next_token="t1")] * 5)
    with pytest.raises(UnavailableError, match="the page tokens repeat"):
        account(stuck).connections()
    assert len(stuck.requests) == 2
    endless = pages_with_new_tokens('{"data": [], "next_token": "TOKEN"}')
    with pytest.raises(UnavailableError, match="the page tokens repeat"):
        account(endless).connections()
    assert len(endless.requests) == 200


# Warehouses


def warehouses(*records: object, next_token: object = None) -> Response:
    return Response(200, body=json.dumps({"data": records, "next_token": next_token}).encode())


NO_NAMES: list[object] = [None, " ", "n/a", [], {}]
NO_IDS: list[object] = [None, "", 0, "-1", "null", []]


@pytest.mark.parametrize(
    ("record", "names"),
    [
        ({"id": "wh_1", "name": "Bethlehem (PA)", "code": "BTH"}, {"wh_1": "Bethlehem (PA)"}),
        ({"id": 7, "name": "Hamburg"}, {"7": "Hamburg"}),
        *(({"id": "wh_1", "name": blank, "code": "BTH"}, {"wh_1": "BTH"}) for blank in NO_NAMES),
        ({"id": "wh_1", "name": "  ", "code": None}, {}),
        ({"id": "wh_1"}, {}),
        *(({"id": placeholder, "name": "Nowhere"}, {}) for placeholder in NO_IDS),
        ({"name": "Nowhere"}, {}),
        ("wh_1", {}),
        (None, {}),
        ({"id": "wh_1", "name": "Nord\nHamburg\x1b[2J &amp; S\u00fcd"}, {"wh_1": "Nord Hamburg [2J & S\u00fcd"}),
        ({"id": "wh_1", "name": "Hall of ada@example.com"}, {"wh_1": "Hall of [e-mail]"}),
        ({"id": "wh_1", "name": "x" * 500}, {"wh_1": "x" * 80}),
    ],
)
def test_a_warehouse_is_read_by_its_name_else_its_code(record: object, names: dict[str, str]) -> None:
    vendor = Replies(warehouses(record, {"id": "wh_2", "name": "Lyon", "address": {"full_name": "Ada"}}))
    assert vendor.client().warehouses() == {**names, "wh_2": "Lyon"}


@pytest.mark.parametrize(
    ("pages", "requests"),
    [([None], 1), (["t1", None], 2), (["t1", "t1", "t1"], 2), (["t1", "t2", "t1", "t2"], 3), ([7], 1)],
    ids=["one", "two", "stuck", "loop", "malformed token"],
)
def test_warehouses_are_read_until_a_token_repeats(pages: list[object], requests: int) -> None:
    vendor = Replies(*(warehouses({"id": f"w{n}", "name": f"W{n}"}, next_token=t) for n, t in enumerate(pages, 1)))
    assert list(vendor.client().warehouses()) == [f"w{n}" for n in range(1, requests + 1)]
    tokens = [dict(each.query).get("page_token") for each in vendor.requests]
    assert tokens == [None, *pages[: requests - 1]]


def test_at_most_ten_pages_of_warehouses_are_read() -> None:
    endless = pages_with_new_tokens('{"data": [], "next_token": "TOKEN"}')
    assert endless.client().warehouses() == {}
    assert len(endless.requests) == 10


def test_no_page_of_warehouses_is_requested_without_time() -> None:
    seconds = iter([9.0, 9.0, 0.0])
    vendor = Replies(warehouses(next_token="t1"))
    with pytest.raises(UnavailableError, match="GET /cart/warehouses: no time is left"):
        vendor.client(seconds_left=lambda: next(seconds, 0.0)).warehouses()
    assert len(vendor.requests) == 1


@pytest.mark.parametrize(
    ("status", "is_permanent"),
    [*((status, True) for status in (400, 401, 403, 404, 405, 410, 422, 501)), *((s, False) for s in (429, 500, 503))],
)
def test_a_refused_list_of_warehouses_is_permanent(status: int, is_permanent: bool) -> None:
    vendor = Replies(*[Response(status, body=b'{"error": "no"}')] * 5)
    with pytest.raises(TrackstarError) as caught:
        vendor.client().warehouses()
    assert caught.value.is_permanent is is_permanent
