"""Our client and the simulated vendor over real sockets: what only a connection can show."""

import socket
import threading
from collections.abc import Iterator

import httpx
import pytest

from orderwatch.errors import UnavailableError
from orderwatch.trackstar.client import ConnectionClient
from orderwatch_local.errors import PortInUseError
from orderwatch_local.simulator import Response, ShopServer, serve
from orderwatch_local.simulator.script import API_KEY
from tests.support.clocks import NOON
from tests.support.replies import client_over, read_page
from tests.support.world import World

HEADERS = {"x-trackstar-api-key": API_KEY, "x-trackstar-access-token": "token-of-conn_a"}


@pytest.fixture
def world() -> World:
    world = World()
    world.place("1", "2", raw_status="é")
    return world


@pytest.fixture
def server(world: World) -> Iterator[ShopServer]:
    with serve(world.trackstar) as running:
        yield running


@pytest.fixture
def sockets() -> Iterator[httpx.BaseTransport]:
    with httpx.HTTPTransport() as transport:
        yield transport


@pytest.fixture
def shop(server: ShopServer, sockets: httpx.BaseTransport) -> ConnectionClient:
    return client_over(sockets, url=server.url, api_key=API_KEY, access_token="token-of-conn_a")


def test_every_request_of_a_poll_works_over_http(shop: ConnectionClient, world: World) -> None:
    assert read_page(shop) == ["1", "2"]
    assert [order.raw_status for order in shop.orders(["1"]).orders] == ["é"]
    assert shop.connection().integration_name == "shopify"
    assert shop.products(["unknown"]) == {}
    assert shop.warehouses() == {"wh-east": "Bethlehem (PA)", "wh-west": "Reno (NV)"}
    assert shop.now() == NOON
    shop.start_sync()
    assert world.trackstar.requests[-1].method == "POST"


@pytest.mark.parametrize(
    "fault",
    [Response(503), Response(200, body=b'{"data": []}', cut_at=5), Response(200, drop=True)],
    ids=["an error", "a body that is cut", "no response"],
)
def test_a_fault_on_the_wire_is_retried(world: World, shop: ConnectionClient, fault: Response) -> None:
    faults = iter([fault, fault])
    world.trackstar.intercept = lambda _: next(faults, None)
    assert read_page(shop) == ["1", "2"]
    assert len(world.trackstar.requests) == 3


def test_an_unreachable_api_is_named_with_what_to_check(sockets: httpx.BaseTransport) -> None:
    with socket.socket() as deaf:
        deaf.bind(("127.0.0.1", 0))  # bound but not listening
        url = f"http://127.0.0.1:{deaf.getsockname()[1]}"
        with pytest.raises(UnavailableError, match=r"127\.0\.0\.1.*TrackstarBaseUrl"):
            client_over(sockets, url=url).connection()


def test_a_response_has_one_date_and_its_length(server: ShopServer) -> None:
    response = httpx.get(f"{server.url}/cart/orders", headers=HEADERS)
    assert response.http_version == "HTTP/1.1"
    assert response.headers.get_list("date") == ["Mon, 05 Jan 2026 12:00:00 GMT"]
    assert "server" not in response.headers
    assert int(response.headers["content-length"]) == len(response.content)


def test_a_connection_is_kept_alive_even_after_errors(server: ShopServer) -> None:
    key = f"x-trackstar-api-key: {API_KEY}".encode()
    raw = (
        b"GET /nowhere HTTP/1.1\r\nHost: x\r\n" + key + b"\r\n\r\n"
        b"GET /connections HTTP/1.1\r\nHost: x\r\nConnection: close\r\n" + key + b"\r\n\r\n"
    )
    with socket.create_connection(("127.0.0.1", server.port), timeout=10) as connection:
        connection.sendall(raw)
        answer = b"".join(iter(lambda: connection.recv(65536), b""))
    assert answer.count(b"HTTP/1.1 ") == 2
    assert answer.startswith(b"HTTP/1.1 404")
    assert b"HTTP/1.1 200" in answer


def test_the_server_listens_on_a_free_port_or_a_chosen_one(world: World) -> None:
    with serve(world.trackstar) as first:
        port = first.port
        with pytest.raises(PortInUseError, match=f"port {port} of 127.0.0.1 is in use"):
            serve(world.trackstar, port=port)
    with serve(world.trackstar, port=port) as second:
        assert httpx.get(f"{second.url}/connections", headers=HEADERS).status_code == 200


def test_closing_disconnects_idle_clients_and_ends_threads(world: World) -> None:
    before = set(threading.enumerate())
    server = serve(world.trackstar)
    with httpx.Client(base_url=server.url, headers=HEADERS, timeout=10) as client:
        client.get("/connections")
        started = set(threading.enumerate()) - before
        server.close()
        for thread in started:
            thread.join(timeout=10)
        assert not any(thread.is_alive() for thread in started)
        with pytest.raises(httpx.TransportError):
            client.get("/connections")
