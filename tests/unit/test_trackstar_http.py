"""Requests to Trackstar: retries, rate limit, the vendor's clock, limits of a response, secrets (rules 13, 18)."""

import itertools
import logging
import time
import traceback
import zlib
from collections.abc import Callable, Iterator
from datetime import UTC, datetime

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
from orderwatch.trackstar.client import ConnectionClient, Trackstar
from orderwatch.trackstar.http import VendorRateLimit, read_body, read_error_body
from orderwatch_local.simulator import Response, ShopTransport
from tests.support.clocks import NOON, FakeClock
from tests.support.replies import EMPTY_PAGE, SECRET, Replies, client_over, read_page
from tests.support.world import World

MEBIBYTE = 2**20


@pytest.fixture(autouse=True)
def fake_clock() -> FakeClock:
    fake_clock = FakeClock()
    clock.use(fake_clock)
    return fake_clock


# Retries


REFUSED = b'{"error": "no", "origin": "trackstar"}'
NOT_TRACKSTARS: dict[str, bytes] = {
    "nothing": b"",
    "HTML": b"<html><h1>403 Forbidden</h1></html>",
    "AWS's gateway": b'{"message": "Forbidden"}',
    "an error of another API": b'{"error": {"code": 404, "message": "Not found"}}',
    "no text": b'{"error": null}',
    "a blank text": b'{"error": " "}',
    "a list": b'[{"error": "no"}]',
    "plain text": b"error: no",
    "half a body": REFUSED[:-1],
    "a login page": b'{"data": [], "login": "https://wifi.example"}',
}
"""Bodies that come from a proxy, a gateway or a captive portal."""
FAULTS: dict[str, Response | Exception] = {
    **{str(status): Response(status) for status in (204, 408, 425, 429, 500, 502, 503, 504, 599)},
    "an error in a 200": Response(200, body=b'{"error": "internal error", "data": []}'),
    "an error object": Response(200, body=b'{"error": {"code": 7}, "data": [{"id": "1", "status": "open"}]}'),
    "errors in a 200": Response(200, body=b'{"errors": ["timeout"], "data": [], "total_count": 0}'),
    "no list of a number of orders": Response(200, body=b'{"data": null, "total_count": 3}'),
    "no list of an unknown number": Response(200, body=b'{"data": null}'),
    **{
        f"{status} with {what}": Response(status, body=body)
        for status in (401, 403, 404)
        for what, body in NOT_TRACKSTARS.items()
    },
    "a page of HTML": Response(200, body=b"<html>Maintenance</html>"),
    "a body that is no page": Response(200, body=b'{"orders": []}'),
    "half a body": Response(200, body=b'{"data": [{"id": "1", "sta'),
    "a reset": httpx.ReadError("Connection reset by peer"),
    "a timeout": httpx.ReadTimeout("timed out"),
    "no connection": httpx.ConnectError("refused"),
    "a slow connection": httpx.ConnectTimeout("timed out"),
    "no response": Response(200, drop=True),
    "a connection that is cut": Response(200, body=b'{"data": []}', cut_at=5),
    **{
        f"a body that is not {name}": Response(200, (("Content-Encoding", name),), b"\x1b\x03not as declared")
        for name in ("gzip", "deflate", "br", "hex")
    },
}


@pytest.mark.parametrize("fault", FAULTS.values(), ids=FAULTS)
def test_a_transient_fault_is_retried_up_to_five_tries(fake_clock: FakeClock, fault: Response | Exception) -> None:
    four = Replies(*[fault] * 4)
    assert read_page(four.client()) == []
    assert (len(four.requests), len(fake_clock.slept)) == (5, 4)

    five = Replies(*[fault] * 5)
    with pytest.raises(UnavailableError, match="GET /cart/orders: "):
        read_page(five.client())
    assert (len(five.requests), len(fake_clock.slept)) == (5, 8)


@pytest.mark.parametrize(
    "body",
    [
        b'{"data": null, "next_token": null, "total_count": 0}',
        b'{"error": null, "data": []}',
        b'{"error": "", "errors": [], "data": []}',
    ],
)
def test_an_empty_list_is_an_empty_page(body: bytes) -> None:
    vendor = Replies(Response(200, body=body))
    assert read_page(vendor.client()) == []
    assert len(vendor.requests) == 1


@pytest.mark.parametrize(
    ("status", "error"),
    [
        (301, TrackstarError),
        (400, TrackstarError),
        (401, UnauthorizedError),
        (403, ForbiddenError),
        (404, NotFoundError),
        (418, TrackstarError),
        (422, InvalidRequestError),
        (499, TrackstarError),
        (501, NotSupportedError),
    ],
)
def test_a_permanent_error_is_not_retried(fake_clock: FakeClock, status: int, error: type[TrackstarError]) -> None:
    vendor = Replies(Response(status, (("X-Request-Id", "req-7"),), REFUSED))
    with pytest.raises(error, match=rf"^GET /cart/orders: {status} \(request req-7\)$") as caught:
        read_page(vendor.client())
    assert type(caught.value) is error
    assert caught.value.request_id == "req-7"
    assert (len(vendor.requests), fake_clock.slept) == (1, [])


@pytest.mark.parametrize("kind", [httpx.UnsupportedProtocol, httpx.LocalProtocolError, httpx.InvalidURL])
def test_a_request_that_cannot_be_sent_is_not_retried(kind: Callable[[str], Exception]) -> None:
    vendor = Replies(kind("bad"))
    with pytest.raises(TrackstarError, match=r"^GET /cart/orders cannot be sent: (\w+)$") as caught:
        read_page(vendor.client())
    assert type(caught.value) is TrackstarError
    assert len(vendor.requests) == 1


def test_delays_are_random_up_to_a_bound_that_doubles(fake_clock: FakeClock, monkeypatch: pytest.MonkeyPatch) -> None:
    bounds: list[tuple[float, float]] = []

    def highest(low: float, high: float) -> float:
        bounds.append((low, high))
        return high

    monkeypatch.setattr("orderwatch.trackstar.http.random.uniform", highest)
    read_page(Replies(*[Response(503)] * 4).client())
    assert bounds == [(0, 0.25), (0, 0.5), (0, 1.0), (0, 2.0)]
    assert fake_clock.slept == [0.25, 0.5, 1.0, 2.0]


@pytest.mark.parametrize(
    ("header", "value", "slept"),
    [
        ("retry-after", "7", 7.0),
        ("retry-after", "7.5", 7.5),
        ("x-ratelimit-retry-after", "7", 7.0),
        ("x-rate-limit-retry-after", "7", 7.0),
        ("retry-after", "Wed, 21 Oct 2026 07:28:30 GMT", 30.0),
        ("retry-after", "Wed, 21 Oct 2026 07:27:30 GMT", 0.25),
        ("retry-after", "tomorrow", 0.25),
        ("retry-after", "", 0.25),
        ("retry-after", "nan", 0.25),
        ("retry-after", "inf", 0.25),
        ("retry-after", "-5", 0.25),
        ("retry-after", "0.1", 0.25),
    ],
)
def test_retry_after_is_honoured_if_it_is_readable(
    fake_clock: FakeClock, monkeypatch: pytest.MonkeyPatch, header: str, value: str, slept: float
) -> None:
    monkeypatch.setattr("orderwatch.trackstar.http.random.uniform", lambda _, high: high)
    date = ("date", "Wed, 21 Oct 2026 07:28:00 GMT")
    read_page(Replies(Response(429, ((header, value), date))).client())
    assert fake_clock.slept == [slept]


def test_a_delay_within_the_time_left_is_waited(fake_clock: FakeClock) -> None:
    read_page(Replies(Response(429, (("retry-after", "30"),))).client(seconds_left=lambda: 30.5))
    assert fake_clock.slept == [30.0]


@pytest.mark.parametrize("seconds_left", [30.0, 29.0])
def test_no_delay_takes_all_the_time_left(fake_clock: FakeClock, seconds_left: float) -> None:
    vendor = Replies(Response(429, (("retry-after", "30"), ("X-Request-Id", "req-7"))))
    with pytest.raises(UnavailableError, match=r"^GET /cart/orders: 429 \(request req-7\)$") as caught:
        read_page(vendor.client(seconds_left=lambda: seconds_left))
    assert caught.value.request_id == "req-7"
    assert (len(vendor.requests), fake_clock.slept) == (1, [])


@pytest.mark.parametrize(("seconds_left", "read"), [(60.0, 20.0), (20.0, 20.0), (7.0, 7.0), (0.0, 0.1)])
def test_a_request_times_out_before_the_callers_time_ends(seconds_left: float, read: float) -> None:
    def answer(request: httpx.Request) -> httpx.Response:
        assert request.extensions["timeout"] == {"connect": 5.0, "read": read, "write": read, "pool": read}
        return httpx.Response(200, content=EMPTY_PAGE.body)

    read_page(client_over(httpx.MockTransport(answer), seconds_left=lambda: seconds_left))


@pytest.mark.parametrize("status", [200, 201, 202, 204, 299])
def test_any_2xx_answers_the_request_for_a_sync(status: int) -> None:
    vendor = Replies(Response(status))
    vendor.client().start_sync()
    [request] = vendor.requests
    assert (request.method, request.path) == ("POST", "/connections/sync")
    assert request.body == b'{"functions_to_sync":["get_orders"]}'


@pytest.mark.parametrize(
    ("reply", "error"),
    [
        (Response(302), TrackstarError),
        (Response(404, body=REFUSED), NotFoundError),
        (Response(404), UnavailableError),
        (Response(429), UnavailableError),
        (Response(503), UnavailableError),
        (httpx.ReadTimeout("timed out"), UnavailableError),
    ],
)
def test_a_request_for_a_sync_is_not_retried(reply: Response | Exception, error: type[TrackstarError]) -> None:
    vendor = Replies(reply)
    with pytest.raises(error, match=r"^POST /connections/sync: ") as caught:
        vendor.client().start_sync()
    assert type(caught.value) is error
    assert len(vendor.requests) == 1


def test_every_response_is_counted_by_its_status() -> None:
    counted: list[int] = []
    transport = ShopTransport(Replies(Response(503), Response(429)))
    with Trackstar("https://trackstar.invalid", transport=transport, on_response=counted.append) as trackstar:
        account = trackstar.account(api_key=SecretStr(SECRET), seconds_left=lambda: 60.0)
        assert account.connections() == {}
    assert counted == [503, 429, 200]


# The rate limit


@pytest.mark.parametrize(("pause", "slept"), [(0.0, [0.375]), (0.25, [0.125]), (0.375, []), (0.5, []), (0.875, [])])
def test_the_eleventh_request_is_a_second_after_the_first(
    fake_clock: FakeClock, pause: float, slept: list[float]
) -> None:
    limit = VendorRateLimit()
    for _ in range(10):
        limit.wait()
        fake_clock.seconds += 0.0625
    assert fake_clock.slept == []
    fake_clock.seconds += pause
    limit.wait()
    assert fake_clock.slept == slept


def test_the_limit_of_the_vendor_is_used_but_never_exceeded(fake_clock: FakeClock) -> None:
    strict = World(rate_limit=10, monotonic=fake_clock.monotonic)
    clock.use(fake_clock)
    shop = strict.client()
    began = fake_clock.seconds
    for _ in range(31):
        read_page(shop)
        fake_clock.seconds += 0.01
    assert {exchange.status for exchange in strict.trackstar.requests} == {200}
    assert fake_clock.seconds - began < 3.5, "it is not much slower than the limit"


def headers(remaining: str | None, reset: str | None, spelling: str = "x-ratelimit") -> dict[str, str]:
    given = {f"{spelling}-remaining": remaining, f"{spelling}-reset": reset}
    return {name: value for name, value in given.items() if value is not None}


AT_NOON = int(NOON.timestamp())


@pytest.mark.parametrize(
    ("received", "vendor_now", "slept"),
    [
        (headers("0", f"{AT_NOON + 1}"), NOON, [1.0]),
        (headers("0", f"{AT_NOON + 1}", "x-rate-limit"), NOON, [1.0]),
        (headers("0", f"{AT_NOON + 2}"), NOON, [2.0]),
        (headers("0", f"{AT_NOON + 3}"), NOON, [2.0]),
        (headers("0", f"{AT_NOON}"), NOON, []),
        (headers("0", f"{AT_NOON - 5}"), NOON, []),
        (headers("1", f"{AT_NOON + 1}"), NOON, []),
        (headers("0", None), NOON, []),
        (headers("0", "soon"), NOON, []),
        (headers(None, f"{AT_NOON + 1}"), NOON, []),
        (headers("0", f"{AT_NOON + 1}"), None, []),
    ],
)
def test_a_limit_used_up_by_others_delays_until_the_reset(
    fake_clock: FakeClock, received: dict[str, str], vendor_now: datetime | None, slept: list[float]
) -> None:
    limit = VendorRateLimit()
    limit.update_from_headers(received, vendor_now)
    limit.wait()
    assert fake_clock.slept == slept


def test_clients_of_a_connection_share_its_limit(fake_clock: FakeClock) -> None:
    date = ("Date", "Mon, 05 Jan 2026 12:00:00 GMT")
    used_up = Response(200, (date, *headers("0", f"{AT_NOON + 1}").items()), EMPTY_PAGE.body)
    trackstar = Trackstar("https://trackstar.invalid", transport=ShopTransport(Replies(used_up)))
    first, second, other = (
        trackstar.client_of(name, api_key=SecretStr("k"), access_token=SecretStr("t"), seconds_left=lambda: 60.0)
        for name in ("conn_a", "conn_a", "conn_b")
    )
    read_page(first)
    read_page(other)
    assert fake_clock.slept == []
    read_page(second)
    assert fake_clock.slept == [1.0]


# The vendor's clock


@pytest.fixture
def in_new_york(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    with monkeypatch.context() as patch:
        patch.setenv("TZ", "America/New_York")
        time.tzset()
        yield
    time.tzset()


LOCAL = datetime(2026, 1, 5, 12, 16, 40, tzinfo=UTC)


@pytest.mark.parametrize(
    ("date", "now"),
    [
        ("Mon, 05 Jan 2026 12:00:00 GMT", NOON),
        ("Mon, 05 Jan 2026 13:00:00 +0100", NOON),
        ("Mon, 05 Jan 2026 12:00:00 -0000", NOON),
        ("Wed, 01 Jan 2020 00:00:00 GMT", datetime(2020, 1, 1, tzinfo=UTC)),
        ("Tue, 31 Dec 2019 23:59:59 GMT", LOCAL),
        ("Tue, 31 Dec 2199 00:00:00 GMT", datetime(2199, 12, 31, tzinfo=UTC)),
        ("Wed, 01 Jan 2200 00:00:00 GMT", LOCAL),
        ("Fri, 31 Dec 9999 23:59:59 -0500", LOCAL),
        ("Mon, 01 Jan 0001 00:00:00 +0500", LOCAL),
        ("Mon, 05 Jan 2026 12:00:00 +99999999999999", LOCAL),
        ("Mon, 99 Foo 2026 99:00:00 GMT", LOCAL),
        ("yesterday", LOCAL),
        ("", LOCAL),
    ],
)
def test_the_vendors_clock_is_its_date_header_or_else_ours(
    fake_clock: FakeClock, in_new_york: None, date: str, now: datetime
) -> None:
    fake_clock.seconds += 0.5
    vendor = Replies(Response(200, (("Date", date),), EMPTY_PAGE.body))
    client = vendor.client()
    assert client.now() == now
    assert client.now() == now
    assert [(each.path, dict(each.query)) for each in vendor.requests] == [("/cart/orders", {"limit": "1"})]


def test_the_vendors_clock_is_that_of_its_latest_date() -> None:
    replies = [
        Response(401, (("Date", "Mon, 05 Jan 2026 12:00:00 GMT"),), REFUSED),
        EMPTY_PAGE,
        Response(200, (("Date", "Mon, 05 Jan 2026 12:05:00 GMT"),), EMPTY_PAGE.body),
    ]
    client = Replies(*replies).client()
    assert client.now() == NOON, "a refused token is the error of the next read"
    read_page(client)
    assert client.now() == NOON
    read_page(client)
    assert client.now() == datetime(2026, 1, 5, 12, 5, tzinfo=UTC)


# Limits of a response


def client_getting(response: httpx.Response, seconds_left: Callable[[], float] = lambda: 60.0) -> ConnectionClient:
    return client_over(httpx.MockTransport(lambda _: response), seconds_left=seconds_left)


def test_a_body_may_have_16_mebibytes() -> None:
    most = httpx.Response(200, content=itertools.repeat(b" " * MEBIBYTE, 16))
    assert len(read_body(most, 60.0)) == 16 * MEBIBYTE


@pytest.mark.parametrize(
    ("headers", "chunk", "taken"),
    [({}, b" " * MEBIBYTE, 17), ({"content-encoding": "gzip"}, zlib.compress(b" " * 40 * MEBIBYTE, wbits=31), 1)],
    ids=["plain", "a decompression bomb"],
)
def test_a_larger_body_is_an_error_without_retry(
    fake_clock: FakeClock, headers: dict[str, str], chunk: bytes, taken: int
) -> None:
    chunks = iter([chunk] * 40)
    response = httpx.Response(200, headers=headers, content=chunks)
    with pytest.raises(TrackstarError, match=r"^GET /cart/orders: the response is larger than 16 MiB$"):
        read_page(client_getting(response))
    assert len(list(chunks)) == 40 - taken
    assert response.is_closed
    assert fake_clock.slept == [], "a retry would get the same body"


def test_a_compressed_body_is_requested_and_decoded() -> None:
    packed = zlib.compress(b'{"data": [{"id": "1", "status": "open"}]}', wbits=31)

    def answer(request: httpx.Request) -> httpx.Response:
        assert request.headers["accept-encoding"] == "gzip"
        return httpx.Response(200, headers={"content-encoding": "gzip"}, content=iter([packed[:9], packed[9:]]))

    assert read_page(client_over(httpx.MockTransport(answer))) == ["1"]


@pytest.mark.parametrize(
    ("seconds_left", "arrives_after", "limit"), [(60.0, 30.0, None), (60.0, 30.5, 30), (7.0, 7.0, None), (7.0, 7.5, 7)]
)
def test_a_body_must_be_complete_in_time(
    fake_clock: FakeClock, seconds_left: float, arrives_after: float, limit: int | None
) -> None:
    def slow() -> Iterator[bytes]:
        fake_clock.seconds += arrives_after
        yield b"{}"

    left = iter([seconds_left, 0.0])
    response = httpx.Response(200, headers={"x-request-id": "req-7"}, content=slow())
    with pytest.raises(UnavailableError) as caught:
        read_page(client_getting(response, lambda: next(left)))
    fault = f"the response was not complete within {limit} s" if limit else "unexpected response (data: missing)"
    assert str(caught.value) == f"GET /cart/orders: {fault} (request req-7)"


@pytest.mark.parametrize(("size", "taken"), [(64 * 1024, 1), (MEBIBYTE, 1), (32 * 1024, 2)])
def test_of_an_errors_body_64_kibibytes_are_read(size: int, taken: int) -> None:
    chunks = iter([b" " * size] * 9)
    assert len(read_error_body(httpx.Response(422, content=chunks), 60.0)) == 64 * 1024
    assert len(list(chunks)) == 9 - taken


@pytest.mark.parametrize("headers", [{}, {"content-encoding": "gzip"}], ids=["slow", "not gzip"])
def test_an_error_whose_body_cannot_be_read_keeps_its_status(fake_clock: FakeClock, headers: dict[str, str]) -> None:
    def drips() -> Iterator[bytes]:
        while True:
            fake_clock.seconds += 20.0
            yield b"page_token"

    with pytest.raises(InvalidRequestError) as caught:
        read_page(client_getting(httpx.Response(422, headers=headers, content=drips())))
    assert not caught.value.names("page_token")


@pytest.mark.parametrize("charset", ["utf-8", "hex", "no-such-charset"])
def test_a_refused_parameter_is_read_from_the_error(charset: str) -> None:
    content_type = ("Content-Type", f"application/json; charset={charset}")
    with pytest.raises(InvalidRequestError) as caught:
        read_page(Replies(Response(422, (content_type,), b'{"error": "page_token \xff"}')).client())
    assert caught.value.names("page_token")
    assert not caught.value.names("updated_date")


# Request ids


def test_the_request_id_of_each_try_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    faults = [Response(200, (("X-Request-Id", f"req-{number}"),), b"Bonn") for number in range(1, 6)]
    with pytest.raises(UnavailableError, match=r"^GET /cart/orders: .*not JSON.*\(request req-5\)$") as caught:
        read_page(Replies(*faults).client())
    assert caught.value.request_id == "req-5"
    assert "Bonn" not in str(caught.value)
    logged = [entry.__dict__["request_id"] for entry in caplog.records if "request_id" in entry.__dict__]
    assert logged == ["req-1", "req-2", "req-3", "req-4"]


@pytest.mark.parametrize(
    ("sent", "read"),
    [
        ("req\x1b[2J\x85-\u202eevil", "req [2J -evil"),
        ("x" * 128, "x" * 128),
        ("x" * 129, "x" * 128),
        (" ", None),
    ],
)
def test_a_request_id_is_sanitized(sent: str, read: str | None) -> None:
    response = httpx.Response(404, headers=[(b"x-request-id", sent.encode())], content=REFUSED)
    with pytest.raises(NotFoundError) as caught:
        read_page(client_getting(response))
    assert caught.value.request_id == read
    assert str(caught.value) == "GET /cart/orders: 404" + (f" (request {read})" if read else "")


# Secrets, cookies and redirects


@pytest.mark.parametrize(
    "reply",
    [
        Response(401, body=SECRET.encode()),
        Response(401, body=f'{{"error": "{SECRET}"}}'.encode()),
        Response(422, body=SECRET.encode()),
        Response(500, body=SECRET.encode()),
        Response(200, body=f'"{SECRET}"'.encode()),
        httpx.ReadError(SECRET),
        httpx.LocalProtocolError(SECRET),
    ],
    ids=str,
)
def test_no_secret_is_in_an_error_a_log_or_a_repr(
    reply: Response | Exception, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    client = Replies(*[reply] * 5).client()
    with pytest.raises(TrackstarError) as caught:
        read_page(client)
    logged = [f"{record.getMessage()} {record.__dict__}" for record in caplog.records]
    shown = [*traceback.format_exception(caught.value), repr(caught.value), repr(client), *logged]
    assert SECRET not in "\n".join(shown)


@pytest.mark.parametrize("secret", ["", " \n", f"{SECRET}\n{SECRET}", f"{SECRET}é"])
@pytest.mark.parametrize("name", ["api_key", "access_token"])
def test_a_secret_that_no_header_can_contain_is_not_sent(name: str, secret: str) -> None:
    vendor = Replies()
    client = client_over(ShopTransport(vendor), **{name: secret})  # type: ignore[arg-type]
    header = f"x-trackstar-{name.replace('_', '-')}"
    with pytest.raises(UnauthorizedError, match=f"^the secret for {header} is empty or contains") as caught:
        read_page(client)
    assert SECRET not in "".join(traceback.format_exception(caught.value))
    assert vendor.requests == []


def test_each_request_has_the_secrets_without_blanks_around() -> None:
    vendor = Replies()
    read_page(client_over(ShopTransport(vendor), api_key="the-key\n", access_token=" the-token"))
    [request] = vendor.requests
    assert request.headers["x-trackstar-api-key"] == "the-key"
    assert request.headers["x-trackstar-access-token"] == "the-token"


def test_a_cookie_of_one_connection_is_not_sent_for_another() -> None:
    vendor = Replies(*[Response(200, (("Set-Cookie", "session=of-shop-a; Path=/"),), EMPTY_PAGE.body)] * 3)
    trackstar = Trackstar("https://trackstar.invalid", transport=ShopTransport(vendor))
    for name in ("conn_a", "conn_a", "conn_b"):
        secrets = {"api_key": SecretStr("key"), "access_token": SecretStr("token")}
        read_page(trackstar.client_of(name, **secrets, seconds_left=lambda: 60.0))
    assert [request.headers.get("cookie") for request in vendor.requests] == [None, None, None]


@pytest.mark.parametrize(
    "location", [b"https://elsewhere.example/", b"//elsewhere.example", b"/cart", b"http://[", b"\x1b\xff"]
)
def test_a_redirect_is_not_followed(location: bytes) -> None:
    with pytest.raises(TrackstarError, match=r"^GET /cart/orders: 302$"):
        read_page(client_getting(httpx.Response(302, headers=[(b"location", location)])))


def test_the_connection_pool_is_closed_at_the_end_of_its_block() -> None:
    class Pool(httpx.MockTransport):
        closed = 0

        def close(self) -> None:
            self.closed += 1

    pool = Pool(lambda _: httpx.Response(200))
    with Trackstar("https://trackstar.invalid", transport=pool):
        assert not pool.closed
    assert pool.closed
