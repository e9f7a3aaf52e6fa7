"""The client of Trackstar's API against the simulated vendor: retries, rate limit, odd responses, no leaked secrets."""

import json
import logging
import socket
import traceback
from collections.abc import Callable, Iterator
from decimal import Decimal
from typing import Any

import httpx
import pytest
from pydantic import SecretStr

from orderwatch import clock
from orderwatch.errors import (
    ForbiddenError,
    InvalidRequestError,
    NotFoundError,
    NotSupportedError,
    TrackstarError,
    UnauthorizedError,
    UnavailableError,
)
from orderwatch.reading.window import Window, WindowKind, baseline_window
from orderwatch.trackstar.client import ConnectionClient, Trackstar
from orderwatch.trackstar.http import MAX_TRIES
from orderwatch.trackstar.orders import DateField
from orderwatch_local.simulator import (
    Envelope,
    Request,
    Resource,
    Response,
    ShopTransport,
    Spelling,
    invalid_credentials,
    script,
    serve,
)
from tests.support.clocks import FakeClock
from tests.support.world import NOON, World

EVERYTHING = baseline_window(vendor_now=NOON, days=0)
API_KEY, TOKEN = "very-secret-key", "very-secret-token"


@pytest.fixture
def fake_clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def world() -> World:
    world = World()
    world.place("1", "2")
    return world


def client(world: World, fake_clock: FakeClock | None = None, **options: Any) -> ConnectionClient:
    if fake_clock:
        clock.use(fake_clock)
    return world.client(**options)


def ids(shop: ConnectionClient) -> list[str]:
    return [order.id for order in shop.order_page(EVERYTHING, page_token=None).orders]


def respond(world: World, *responses: Response | Exception) -> None:
    """Return these responses to the next requests, then the real ones."""
    remaining = iter(responses)

    def intercept(request: Request) -> Response | None:
        response = next(remaining, None)
        if isinstance(response, Exception):
            raise response
        return response

    world.trackstar.intercept = intercept


# Over real HTTP


@pytest.fixture
def wire() -> Iterator[httpx.BaseTransport]:
    """Real sockets, closed at the end."""
    with httpx.HTTPTransport() as transport:
        yield transport


@pytest.fixture
def shop(world: World, wire: httpx.BaseTransport) -> Iterator[ConnectionClient]:
    """The client of the simulated vendor over a loopback port."""
    with serve(world.trackstar) as server:
        yield over_http(server.url, wire, api_key=script.API_KEY, access_token=world.shop.access_token)


def over_http(url: str, wire: httpx.BaseTransport, *, api_key: str, access_token: str) -> ConnectionClient:
    return Trackstar(url, transport=wire).client_of(
        "conn_a",
        api_key=SecretStr(api_key),
        access_token=SecretStr(access_token),
        seconds_left=lambda: 60.0,
    )


def test_orders_connection_and_products_are_read_over_http(shop: ConnectionClient) -> None:
    assert ids(shop) == ["1", "2"]
    assert shop.connection().integration_name == "shopify"
    assert shop.products(["unknown"]) == {}
    assert shop.now() == NOON


@pytest.mark.parametrize(
    "fault", [Response(503), Response(200, body=b'{"data": []}', cut_at=5), Response(200, drop=True)]
)
def test_a_fault_on_the_wire_is_retried(world: World, shop: ConnectionClient, fault: Response) -> None:
    respond(world, fault, fault)
    assert ids(shop) == ["1", "2"]


def test_every_page_repeats_the_filters(world: World, shop: ConnectionClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("orderwatch.trackstar.client.PAGE_SIZE", 1)
    window = Window(kind=WindowKind.INCREMENTAL, after=NOON, until=NOON, date_field=DateField.SHOP_UPDATED)
    token = shop.order_page(window, page_token=None).next_token
    assert token
    shop.order_page(window, page_token=token)
    first, second = world.queries()
    assert second == first | {"page_token": token}
    assert first["updated_date[gte]"] == first["updated_date[lte]"] == "2026-01-05T12:00:00Z"


def test_an_unreachable_api_is_named_with_what_to_check(wire: httpx.BaseTransport) -> None:
    with socket.socket() as deaf:
        deaf.bind(("127.0.0.1", 0))  # bound but not listening
        url = f"http://127.0.0.1:{deaf.getsockname()[1]}"
        with pytest.raises(UnavailableError, match=r"127\.0\.0\.1.*TrackstarBaseUrl"):
            over_http(url, wire, api_key=API_KEY, access_token=TOKEN).connection()


def test_the_connection_pool_is_closed_at_the_end_of_its_block() -> None:
    class Wire(httpx.BaseTransport):
        closed = 0

        def close(self) -> None:
            self.closed += 1

    wire = Wire()
    with Trackstar("https://trackstar.invalid", transport=wire):
        assert not wire.closed
    assert wire.closed


# Retries


FAULTS = {
    "429": Response(429, body=b'{"error": "Too many"}'),
    "500": Response(500),
    "502 in HTML": Response(502, body=b"<html>Bad gateway</html>"),
    "503": Response(503),
    "an HTML page with 200": Response(200, body=b"<html>Maintenance</html>"),
    "a body that is no page": Response(200, body=b'{"orders": []}'),
    "half a body": Response(200, body=b'{"data": [{"id": "1", "sta'),
    "bytes that are no text": Response(200, body=b'\xff\xfe{"data": []}'),
    "no end of brackets": Response(200, body=b"[" * 200_000),
    "a reset": httpx.ReadError("Connection reset by peer"),
    "a timeout": httpx.ReadTimeout("timed out"),
    "no connection": httpx.ConnectError("refused"),
    "a body that was cut off": httpx.RemoteProtocolError("peer closed connection"),
    "a body that cannot be decoded": Response(200, headers=(("Content-Encoding", "gzip"),), body=b"no gzip"),
}


@pytest.mark.parametrize("fault", FAULTS.values(), ids=FAULTS)
def test_a_transient_fault_is_retried_up_to_five_tries(
    world: World, fake_clock: FakeClock, fault: Response | Exception
) -> None:
    respond(world, *[fault] * (MAX_TRIES - 1))
    assert ids(client(world, fake_clock)) == ["1", "2"]
    assert len(fake_clock.slept) == MAX_TRIES - 1

    respond(world, *[fault] * MAX_TRIES)
    with pytest.raises(UnavailableError):
        client(world, fake_clock).order_page(EVERYTHING, page_token=None)


def test_delays_are_random_within_a_bound_that_doubles(world: World) -> None:
    all_waits = []
    for _ in range(20):
        fake_clock = FakeClock()
        respond(world, *[Response(503)] * 4)
        client(world, fake_clock).connection()
        all_waits.append(fake_clock.slept)
    for attempt, bound in enumerate([0.25, 0.5, 1.0, 2.0]):
        drawn = [slept[attempt] for slept in all_waits]
        assert all(0 <= wait <= bound for wait in drawn)
        assert len(set(drawn)) > 10


@pytest.mark.parametrize(
    ("status", "error"),
    [
        (400, TrackstarError),
        (401, UnauthorizedError),
        (403, ForbiddenError),
        (404, NotFoundError),
        (422, InvalidRequestError),
        (501, NotSupportedError),
        (301, TrackstarError),
    ],
)
def test_a_permanent_error_is_not_retried(
    world: World, fake_clock: FakeClock, status: int, error: type[TrackstarError]
) -> None:
    respond(world, Response(status, (("X-Request-Id", "req-7"),), b'{"error": "no"}'))
    with pytest.raises(error, match=rf"GET /cart/orders: {status} \(request req-7\)") as caught:
        client(world, fake_clock).order_page(EVERYTHING, page_token=None)
    assert type(caught.value) is error
    assert caught.value.request_id == "req-7"
    assert fake_clock.slept == []


def test_the_error_knows_the_refused_parameter(world: World) -> None:
    world.shop.quirks.refused_filters = {"trackstar_updated_date"}
    window = Window(kind=WindowKind.INCREMENTAL, after=NOON, until=NOON)
    with pytest.raises(InvalidRequestError) as caught:
        client(world).order_page(window, page_token=None)
    assert caught.value.names("trackstar_updated_date")
    assert not caught.value.names("page_token")


@pytest.mark.parametrize("name", ["retry-after", "x-rate-limit-retry-after"])
def test_retry_after_is_honoured_in_both_spellings(world: World, fake_clock: FakeClock, name: str) -> None:
    respond(world, Response(429, ((name, "7"),)))
    assert ids(client(world, fake_clock)) == ["1", "2"]
    assert fake_clock.slept == [7.0]


@pytest.mark.parametrize("value", ["Wed, 21 Oct 2026 07:28:00 GMT", "", "soon", "nan", "-5"])
def test_an_invalid_retry_after_is_ignored(world: World, fake_clock: FakeClock, value: str) -> None:
    respond(world, Response(429, (("retry-after", value),)))
    assert ids(client(world, fake_clock)) == ["1", "2"]
    assert 0 <= fake_clock.slept[0] <= 0.25


def test_no_delay_exceeds_the_time_left(world: World, fake_clock: FakeClock) -> None:
    respond(world, Response(429, (("retry-after", "30"),)))
    with pytest.raises(UnavailableError, match="429"):
        client(world, fake_clock, seconds_left=lambda: 29.0).order_page(EVERYTHING, page_token=None)
    assert fake_clock.slept == []


# The rate limit


@pytest.mark.parametrize("spelling", Spelling)
@pytest.mark.parametrize("seconds_a_request", [0.0, 0.01, 0.09])
def test_ten_requests_a_second_are_never_exceeded(
    world: World, fake_clock: FakeClock, spelling: Spelling, seconds_a_request: float
) -> None:
    strict = World(rate_limit=10, monotonic=fake_clock.monotonic, spelling=spelling)
    strict.place("1")
    shop = client(strict, fake_clock)
    sent: list[float] = []
    for _ in range(45):
        shop.order_page(EVERYTHING, page_token=None)
        sent.append(fake_clock.seconds)
        fake_clock.seconds += seconds_a_request
    assert {exchange.status for exchange in strict.trackstar.requests} == {200}
    assert all(later - earlier >= 1.0 for earlier, later in zip(sent, sent[10:], strict=False))
    assert sent[-1] - sent[0] < 9, "it is not much slower than the limit"


@pytest.mark.parametrize("spelling", Spelling)
def test_a_limit_used_up_by_another_reader_delays_the_request(
    world: World, fake_clock: FakeClock, spelling: Spelling
) -> None:
    world.trackstar.spelling = spelling
    reset = str(int(NOON.timestamp()) + 1)
    headers = ((f"{spelling}-remaining", "0"), (f"{spelling}-reset", reset))
    respond(world, Response(200, headers, b'{"data": []}'))
    shop = client(world, fake_clock)
    shop.order_page(EVERYTHING, page_token=None)
    assert fake_clock.slept == []
    assert ids(shop) == ["1", "2"]
    assert fake_clock.slept == [1.0]


# Odd responses


@pytest.mark.parametrize("envelope", Envelope)
def test_a_connection_is_read_from_all_three_envelopes(world: World, envelope: Envelope) -> None:
    world.trackstar.envelope = envelope
    world.shop.errors = [invalid_credentials()]
    record = client(world).connection()
    assert (record.connection_id, len(record.errors)) == ("conn_a", 1)


def test_a_bare_list_of_one_is_an_envelope_too(world: World) -> None:
    respond(world, Response(200, body=json.dumps([{"connection_id": "conn_a", "integration_name": "wix"}]).encode()))
    assert client(world).connection().integration_name == "wix"


@pytest.mark.parametrize(
    "body", [b"[]", b'{"data": []}', b'{"data": {"connection_id": "conn_b"}}', b"null", b"7", b"<html>"]
)
def test_a_response_without_the_connection_is_a_fault(world: World, body: bytes) -> None:
    respond(world, *[Response(200, body=body)] * MAX_TRIES)
    with pytest.raises(UnavailableError):
        client(world).connection()


@pytest.mark.parametrize("frequency", [1e15, -1, 0, "often", None])
def test_an_implausible_sync_frequency_becomes_the_default(world: World, frequency: object) -> None:
    schedule = {"function_name": "get_orders", "sync_frequency": frequency}
    respond(world, Response(200, body=json.dumps({"connection_id": "conn_a", "sync_schedules": [schedule]}).encode()))
    assert client(world).connection().sync_frequency.total_seconds() == 3600


def test_a_lone_surrogate_affects_only_its_record(world: World) -> None:
    body = (
        b'{"data": [{"id": "1", "status": "open"}, {"id": "\\ud800", "status": "open"},'
        b' {"id": "3", "status": "open", "order_number": "\\udfff", "total_price": 12.10}], "next_token": null}'
    )
    respond(world, Response(200, body=body))
    page = client(world).order_page(EVERYTHING, page_token=None)
    assert [order.id for order in page.orders] == ["1", "3"]
    assert len(page.quarantined) == 1
    assert page.orders[1].order_number == "\ufffd"
    assert page.orders[1].details.total_price == Decimal("12.10")


def test_more_than_a_hundred_products_take_several_requests(world: World) -> None:
    products = {f"p{number}": {"id": f"p{number}", "name": f"Product {number}"} for number in range(205)}

    def intercept(request: Request) -> Response:
        requested = dict(request.query)["ids[in]"].split(",")
        return Response(200, body=json.dumps({"data": [products[each] for each in requested]}).encode())

    world.trackstar.intercept = intercept
    assert set(client(world).products(list(products))) == set(products)
    assert [len(query["ids[in]"].split(",")) for query in world.queries("/cart/products")] == [100, 100, 5]


def test_an_integration_without_products_is_not_supported(world: World) -> None:
    world.shop.quirks.lacks = {Resource.PRODUCTS}
    with pytest.raises(NotSupportedError):
        client(world).products(["p1"])


# The vendor's clock


def test_the_vendors_clock_is_that_of_its_latest_response(world: World) -> None:
    shop = client(world, access_token="wrong")
    with pytest.raises(UnauthorizedError):
        shop.order_page(EVERYTHING, page_token=None)
    assert shop.now() == NOON
    world.pass_time()
    shop.connection()
    assert shop.now() == world.vendor_clock.now()


@pytest.mark.parametrize("date", ["", "yesterday", "Mon, 99 Foo 2026 99:00:00 GMT"])
def test_without_a_date_header_the_local_clock_is_used(world: World, date: str) -> None:
    respond(world, Response(200, (("Date", date),), b'{"data": []}'))
    assert client(world).now() == world.our_clock.now().replace(microsecond=0)


# Secrets


def everything_logged(error: BaseException, caplog: pytest.LogCaptureFixture) -> str:
    records = [f"{record.getMessage()} {record.__dict__}" for record in caplog.records]
    return "\n".join([*traceback.format_exception(error), str(error), repr(error), *records])


FAILURES: dict[str, Callable[[World], None]] = {
    "refused": lambda world: None,  # neither key nor token is right
    "faults": lambda world: respond(world, *[Response(500, body=TOKEN.encode())] * MAX_TRIES),
    "resets": lambda world: respond(world, *[httpx.ReadError(TOKEN)] * MAX_TRIES),
    "422": lambda world: respond(world, Response(422, body=TOKEN.encode())),
    "a body that echoes": lambda world: respond(world, *[Response(200, body=f'"{TOKEN}"'.encode())] * MAX_TRIES),
}


@pytest.mark.parametrize("token", [TOKEN, f"{TOKEN}\n", f"{TOKEN}é"], ids=["plain", "with a line break", "not ASCII"])
@pytest.mark.parametrize("happens", FAILURES.values(), ids=FAILURES)
def test_no_secret_is_in_an_error_a_log_or_a_repr(
    world: World, happens: Callable[[World], None], token: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    happens(world)
    trackstar = Trackstar("https://trackstar.invalid", transport=_Unauthorized(world))

    def read() -> None:
        shop = trackstar.client_of(
            "conn_a",
            api_key=SecretStr(API_KEY),
            access_token=SecretStr(token),
            seconds_left=lambda: 60.0,
        )
        assert TOKEN not in repr(shop) + repr(trackstar)
        shop.order_page(EVERYTHING, page_token=None)

    with pytest.raises(TrackstarError) as caught:
        read()
    text = everything_logged(caught.value, caplog)
    assert API_KEY not in text
    assert TOKEN not in text


class _Unauthorized(httpx.BaseTransport):
    """Returns the intercepted responses although the secrets are wrong."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._real = ShopTransport(world.trackstar)

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        intercept = self._world.trackstar.intercept
        if intercept is None:
            return self._real.handle_request(request)
        response = intercept(Request.of(request.method, str(request.url), request.headers.items()))
        assert response
        return httpx.Response(response.status, stream=httpx.ByteStream(response.body))
