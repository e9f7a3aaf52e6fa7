"""The simulated vendor over real sockets."""

import socket
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime

import httpx
import pytest

from orderwatch_local.errors import PortInUseError
from orderwatch_local.simulator import (
    ACCESS_TOKEN_HEADER,
    API_KEY_HEADER,
    Resource,
    Response,
    Shop,
    ShopServer,
    Trackstar,
    VirtualClock,
    serve,
)

NOON = datetime(2026, 1, 5, 12, tzinfo=UTC)
HEADERS = {API_KEY_HEADER: "the-key", ACCESS_TOKEN_HEADER: "the-token"}


@pytest.fixture
def trackstar() -> Trackstar:
    clock = VirtualClock(NOON)
    shop = Shop("conn_a", access_token="the-token", clock=clock, products=[{"id": "p1"}])
    shop.place({"id": "o1", "status": "open", "order_number": "#1 é"})
    shop.sync()
    return Trackstar("the-key", [shop], clock, rate_limit=1000)


@pytest.fixture
def server(trackstar: Trackstar) -> Iterator[ShopServer]:
    with serve(trackstar) as running:
        yield running


@pytest.fixture
def client(server: ShopServer) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=server.url, headers=HEADERS, timeout=10) as running:
        yield running


def test_a_response_has_length_and_date_and_no_server(client: httpx.Client) -> None:
    response = client.get("/cart/orders")
    assert response.json()["data"][0]["order_number"] == "#1 é"
    assert response.http_version == "HTTP/1.1"
    assert response.headers.get_list("date") == ["Mon, 05 Jan 2026 12:00:00 GMT"]
    assert "server" not in response.headers
    assert int(response.headers["content-length"]) == len(response.content)


def test_a_connection_is_kept_alive_even_after_errors(server: ShopServer) -> None:
    raw = (
        b"GET /nowhere HTTP/1.1\r\nHost: x\r\nx-trackstar-api-key: the-key\r\n\r\n"
        b"GET /connections HTTP/1.1\r\nHost: x\r\nConnection: close\r\nx-trackstar-api-key: the-key\r\n\r\n"
    )
    with socket.create_connection(("127.0.0.1", server.port), timeout=10) as connection:
        connection.sendall(raw)
        answer = b"".join(iter(lambda: connection.recv(65536), b""))
    assert answer.count(b"HTTP/1.1 ") == 2
    assert answer.startswith(b"HTTP/1.1 404")
    assert b"HTTP/1.1 200" in answer


def test_a_sync_can_be_requested_over_http(client: httpx.Client, trackstar: Trackstar) -> None:
    trackstar.shops[0].place({"id": "o2", "status": "open"})
    assert client.post("/connections/sync", json={}).json()["syncing"] is True
    assert trackstar.shops[0].find(Resource.ORDERS, "o2")


def test_a_dropped_response_closes_the_connection(client: httpx.Client, trackstar: Trackstar) -> None:
    trackstar.intercept = lambda _: Response(200, drop=True)
    with pytest.raises(httpx.RemoteProtocolError):
        client.get("/cart/orders")


def test_a_cut_response_is_shorter_than_its_content_length(client: httpx.Client, trackstar: Trackstar) -> None:
    trackstar.intercept = lambda _: Response(200, body=b'{"data": []}', cut_at=5)
    with pytest.raises(httpx.RemoteProtocolError, match="without sending complete"):
        client.get("/cart/orders")
    trackstar.intercept = None
    assert client.get("/cart/orders").status_code == 200


def test_many_clients_are_served_at_once(server: ShopServer, trackstar: Trackstar) -> None:
    everyone_is_here = threading.Barrier(8, timeout=10)

    def wait_for_all(_: object) -> None:
        everyone_is_here.wait()

    trackstar.intercept = wait_for_all
    with ThreadPoolExecutor(8) as pool:
        asked = [pool.submit(httpx.get, f"{server.url}/cart/orders", headers=HEADERS) for _ in range(8)]
        assert [answer.result().status_code for answer in asked] == [200] * 8
    assert len(trackstar.requests) == 8


def test_a_port_in_use_is_an_error(server: ShopServer, trackstar: Trackstar) -> None:
    with pytest.raises(PortInUseError, match=f"port {server.port} of 127.0.0.1 is in use"):
        serve(trackstar, port=server.port)


def test_the_server_listens_on_a_chosen_port(trackstar: Trackstar) -> None:
    with serve(trackstar) as first:
        port = first.port
    with serve(trackstar, port=port) as second:
        assert httpx.get(f"{second.url}/connections", headers=HEADERS).status_code == 200


def test_closing_disconnects_idle_clients_and_ends_threads(trackstar: Trackstar) -> None:
    before = set(threading.enumerate())
    server = serve(trackstar)
    with httpx.Client(base_url=server.url, headers=HEADERS, timeout=10) as client:
        client.get("/connections")
        started = set(threading.enumerate()) - before
        server.close()
        for thread in started:
            thread.join(timeout=10)
        assert not any(thread.is_alive() for thread in started)
        with pytest.raises(httpx.TransportError):
            client.get("/connections")
