"""Our client of Trackstar's API against the simulated vendor: retries, pace, odd answers, and no secret anywhere."""

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
from orderwatch.polling.cursor import Window, WindowKind, baseline_window
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
def needs_attention() -> FakeClock:
    return FakeClock()


@pytest.fixture
def world() -> World:
    world = World()
    world.place("1", "2")
    return world


def client(world: World, needs_attention: FakeClock | None = None, **options: Any) -> ConnectionClient:
    if needs_attention:
        clock.use(needs_attention)
    return world.client(**options)


def ids(shop: ConnectionClient) -> list[str]:
    return [order.id for order in shop.order_page(EVERYTHING, page_token=None).orders]


def answer(world: World, *responses: Response | Exception) -> None:
    """Give these answers to the next requests, and the true one from then on."""
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
    """Our client of the simulated vendor over a loopback port."""
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
def test_a_fault_on_the_wire_is_tried_again(world: World, shop: ConnectionClient, fault: Response) -> None:
    answer(world, fault, fault)
    assert ids(shop) == ["1", "2"]


def test_a_page_token_does_not_remember_the_filters_so_every_page_repeats_them(
    world: World, shop: ConnectionClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("orderwatch.trackstar.client.PAGE_SIZE", 1)
    window = Window(kind=WindowKind.INCREMENTAL, after=NOON, until=NOON, date_field=DateField.SHOP_UPDATED)
    token = shop.order_page(window, page_token=None).next_token
    assert token
    shop.order_page(window, page_token=token)
    first, second = world.queries()
    assert second == first | {"page_token": token}
    assert first["updated_date[gte]"] == first["updated_date[lte]"] == "2026-01-05T12:00:00Z"


def test_an_api_that_cannot_be_reached_is_named_with_what_to_check(wire: httpx.BaseTransport) -> None:
    with socket.socket() as deaf:
        deaf.bind(("127.0.0.1", 0))  # bound and not listening: nobody answers there
        url = f"http://127.0.0.1:{deaf.getsockname()[1]}"
        with pytest.raises(UnavailableError, match=r"127\.0\.0\.1.*TrackstarBaseUrl"):
            over_http(url, wire, api_key=API_KEY, access_token=TOKEN).connection()


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
    "a body that cannot be unpacked": Response(200, headers=(("Content-Encoding", "gzip"),), body=b"no gzip"),
}


@pytest.mark.parametrize("fault", FAULTS.values(), ids=FAULTS)
def test_a_fault_that_may_pass_is_tried_again_and_given_up_after_five_tries(
    world: World, needs_attention: FakeClock, fault: Response | Exception
) -> None:
    answer(world, *[fault] * (MAX_TRIES - 1))
    assert ids(client(world, needs_attention)) == ["1", "2"]
    assert len(needs_attention.slept) == MAX_TRIES - 1

    answer(world, *[fault] * MAX_TRIES)
    with pytest.raises(UnavailableError):
        client(world, needs_attention).order_page(EVERYTHING, page_token=None)


def test_waits_between_tries_are_jittered_within_a_bound_that_doubles(world: World) -> None:
    all_waits = []
    for _ in range(20):
        needs_attention = FakeClock()
        answer(world, *[Response(503)] * 4)
        client(world, needs_attention).connection()
        all_waits.append(needs_attention.slept)
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
def test_an_answer_is_not_asked_for_again(
    world: World, needs_attention: FakeClock, status: int, error: type[TrackstarError]
) -> None:
    answer(world, Response(status, (("X-Request-Id", "req-7"),), b'{"error": "no"}'))
    with pytest.raises(error, match=rf"GET /cart/orders: {status} \(request req-7\)") as caught:
        client(world, needs_attention).order_page(EVERYTHING, page_token=None)
    assert type(caught.value) is error
    assert caught.value.request_id == "req-7"
    assert needs_attention.slept == []


def test_a_refused_parameter_can_be_asked_for_by_its_name(world: World) -> None:
    world.shop.quirks.refused_filters = {"trackstar_updated_date"}
    window = Window(kind=WindowKind.INCREMENTAL, after=NOON, until=NOON)
    with pytest.raises(InvalidRequestError) as caught:
        client(world).order_page(window, page_token=None)
    assert caught.value.names("trackstar_updated_date")
    assert not caught.value.names("page_token")


@pytest.mark.parametrize("name", ["retry-after", "x-rate-limit-retry-after"])
def test_what_the_vendor_says_of_waiting_is_honoured_in_both_spellings(
    world: World, needs_attention: FakeClock, name: str
) -> None:
    answer(world, Response(429, ((name, "7"),)))
    assert ids(client(world, needs_attention)) == ["1", "2"]
    assert needs_attention.slept == [7.0]


@pytest.mark.parametrize("value", ["Wed, 21 Oct 2026 07:28:00 GMT", "", "soon", "nan", "-5"])
def test_a_wait_that_cannot_be_understood_is_replaced_by_our_own(
    world: World, needs_attention: FakeClock, value: str
) -> None:
    answer(world, Response(429, (("retry-after", value),)))
    assert ids(client(world, needs_attention)) == ["1", "2"]
    assert 0 <= needs_attention.slept[0] <= 0.25


def test_no_wait_goes_beyond_the_time_that_is_left(world: World, needs_attention: FakeClock) -> None:
    answer(world, Response(429, (("retry-after", "30"),)))
    with pytest.raises(UnavailableError, match="429"):
        client(world, needs_attention, seconds_left=lambda: 29.0).order_page(EVERYTHING, page_token=None)
    assert needs_attention.slept == []


# The pace


@pytest.mark.parametrize("spelling", Spelling)
@pytest.mark.parametrize("seconds_a_request", [0.0, 0.01, 0.09])
def test_ten_requests_a_second_are_never_exceeded_and_never_refused(
    world: World, needs_attention: FakeClock, spelling: Spelling, seconds_a_request: float
) -> None:
    strict = World(rate_limit=10, monotonic=needs_attention.monotonic, spelling=spelling)
    strict.place("1")
    shop = client(strict, needs_attention)
    sent: list[float] = []
    for _ in range(45):
        shop.order_page(EVERYTHING, page_token=None)
        sent.append(needs_attention.seconds)
        needs_attention.seconds += seconds_a_request
    assert {exchange.status for exchange in strict.trackstar.requests} == {200}
    assert all(later - earlier >= 1.0 for earlier, later in zip(sent, sent[10:], strict=False))
    assert sent[-1] - sent[0] < 9, "and it is hardly slower than allowed"


@pytest.mark.parametrize("spelling", Spelling)
def test_a_budget_that_another_reader_used_up_is_waited_for(
    world: World, needs_attention: FakeClock, spelling: Spelling
) -> None:
    world.trackstar.spelling = spelling
    reset = str(int(NOON.timestamp()) + 1)
    headers = ((f"{spelling}-remaining", "0"), (f"{spelling}-reset", reset))
    answer(world, Response(200, headers, b'{"data": []}'))
    shop = client(world, needs_attention)
    shop.order_page(EVERYTHING, page_token=None)
    assert needs_attention.slept == []
    assert ids(shop) == ["1", "2"]
    assert needs_attention.slept == [1.0]


# Odd answers


@pytest.mark.parametrize("envelope", Envelope)
def test_a_connection_is_read_from_all_three_envelopes(world: World, envelope: Envelope) -> None:
    world.trackstar.envelope = envelope
    world.shop.errors = [invalid_credentials()]
    record = client(world).connection()
    assert (record.connection_id, len(record.errors)) == ("conn_a", 1)


def test_a_bare_list_of_one_is_an_envelope_too(world: World) -> None:
    answer(world, Response(200, body=json.dumps([{"connection_id": "conn_a", "integration_name": "wix"}]).encode()))
    assert client(world).connection().integration_name == "wix"


@pytest.mark.parametrize(
    "body", [b"[]", b'{"data": []}', b'{"data": {"connection_id": "conn_b"}}', b"null", b"7", b"<html>"]
)
def test_an_answer_without_the_connection_is_a_fault(world: World, body: bytes) -> None:
    answer(world, *[Response(200, body=body)] * MAX_TRIES)
    with pytest.raises(UnavailableError):
        client(world).connection()


@pytest.mark.parametrize("frequency", [1e15, -1, 0, "often", None])
def test_a_sync_frequency_that_makes_no_sense_is_taken_for_the_default(world: World, frequency: object) -> None:
    schedule = {"function_name": "get_orders", "sync_frequency": frequency}
    answer(world, Response(200, body=json.dumps({"connection_id": "conn_a", "sync_schedules": [schedule]}).encode()))
    assert client(world).connection().sync_frequency.total_seconds() == 3600


def test_a_lone_surrogate_in_one_record_does_not_cost_the_page(world: World) -> None:
    body = (
        b'{"data": [{"id": "1", "status": "open"}, {"id": "\\ud800", "status": "open"},'
        b' {"id": "3", "status": "open", "order_number": "\\udfff", "total_price": 12.10}], "next_token": null}'
    )
    answer(world, Response(200, body=body))
    page = client(world).order_page(EVERYTHING, page_token=None)
    assert [order.id for order in page.orders] == ["1", "3"]
    assert len(page.quarantined) == 1
    assert page.orders[1].order_number == "\ufffd"
    assert page.orders[1].details.total_price == Decimal("12.10")


def test_more_than_a_hundred_products_are_asked_for_in_as_many_requests_as_it_takes(world: World) -> None:
    products = {f"p{number}": {"id": f"p{number}", "name": f"Product {number}"} for number in range(205)}

    def intercept(request: Request) -> Response:
        connections_to_poll = dict(request.query)["ids[in]"].split(",")
        return Response(200, body=json.dumps({"data": [products[each] for each in connections_to_poll]}).encode())

    world.trackstar.intercept = intercept
    assert set(client(world).products(list(products))) == set(products)
    assert [len(query["ids[in]"].split(",")) for query in world.queries("/cart/products")] == [100, 100, 5]


def test_a_shop_without_products_says_so(world: World) -> None:
    world.shop.quirks.lacks = {Resource.PRODUCTS}
    with pytest.raises(NotSupportedError):
        client(world).products(["p1"])


# The vendor's clock


def test_the_vendors_clock_is_that_of_its_latest_answer_whatever_the_answer(world: World) -> None:
    shop = client(world, access_token="wrong")
    with pytest.raises(UnauthorizedError):
        shop.order_page(EVERYTHING, page_token=None)
    assert shop.now() == NOON
    world.pass_time()
    shop.connection()
    assert shop.now() == world.vendor_clock.now()


@pytest.mark.parametrize("date", ["", "yesterday", "Mon, 99 Foo 2026 99:00:00 GMT"])
def test_without_a_date_header_our_own_clock_serves(world: World, date: str) -> None:
    answer(world, Response(200, (("Date", date),), b'{"data": []}'))
    assert client(world).now() == world.our_clock.now().replace(microsecond=0)


# Secrets


def everything_said(error: BaseException, caplog: pytest.LogCaptureFixture) -> str:
    records = [f"{record.getMessage()} {record.__dict__}" for record in caplog.records]
    return "\n".join([*traceback.format_exception(error), str(error), repr(error), *records])


FAILURES: dict[str, Callable[[World], None]] = {
    "refused": lambda world: None,  # neither key nor token is right
    "faults": lambda world: answer(world, *[Response(500, body=TOKEN.encode())] * MAX_TRIES),
    "resets": lambda world: answer(world, *[httpx.ReadError(TOKEN)] * MAX_TRIES),
    "422": lambda world: answer(world, Response(422, body=TOKEN.encode())),
    "a body that echoes": lambda world: answer(world, *[Response(200, body=f'"{TOKEN}"'.encode())] * MAX_TRIES),
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
    said = everything_said(caught.value, caplog)
    assert API_KEY not in said
    assert TOKEN not in said


class _Unauthorized(httpx.BaseTransport):
    """Intercepted answers come although the secrets are wrong."""

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
