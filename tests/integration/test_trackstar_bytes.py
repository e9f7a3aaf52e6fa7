"""Responses of the vendor that are damaged, endless, slow or odd (rule 18)."""

import gzip
import itertools
import logging
import time
import tracemalloc
import zlib
from collections.abc import Iterable, Iterator, Mapping
from types import MappingProxyType
from typing import Any

import httpx
import pytest
from pydantic import SecretStr

from orderwatch import clock
from orderwatch.errors import InvalidRequestError, NotFoundError, TrackstarError, UnavailableError
from orderwatch.reading.window import baseline_window
from orderwatch.trackstar.client import ConnectionClient, Trackstar
from orderwatch.trackstar.http import MAX_TRIES
from orderwatch_local.simulator import Response
from tests.support.clocks import FakeClock
from tests.support.world import NOON, World

EVERYTHING = baseline_window(vendor_now=NOON, days=0)


@pytest.fixture
def world() -> World:
    world = World()
    world.place("1", "2")
    return world


@pytest.fixture
def fake_clock(world: World) -> FakeClock:
    """Replaces the process's clock."""
    fake_clock = FakeClock()
    clock.use(fake_clock)
    return fake_clock


def client(world: World, **options: Any) -> ConnectionClient:
    return world.client(**options)


def ids(shop: ConnectionClient) -> list[str]:
    return [order.id for order in shop.order_page(EVERYTHING, page_token=None).orders]


def respond(world: World, *responses: Response) -> None:
    """Return these responses to the next requests, then the real ones."""
    remaining = iter(responses)
    world.trackstar.intercept = lambda _: next(remaining, None)


def page_of(*records: bytes, rest: bytes = b'"next_token": null, "total_count": 3') -> Response:
    return Response(200, body=b'{"data": [' + b", ".join(records) + b"], " + rest + b"}")


FIRST, LAST = b'{"id": "1", "status": "open"}', b'{"id": "3", "status": "open"}'
READABLE = {
    "a raw tab": b'{"id": "2", "status": "open", "ship_to_address": {"city": "a\tb"}}',
    "a raw NUL": b'{"id": "2", "status": "open", "ship_to_address": {"city": "a\x00b"}}',
    "a line break in a string": b'{"id": "2", "status": "open", "raw_status": "a\r\nb"}',
    "one Latin-1 byte in a city": b'{"id": "2", "status": "open", "ship_to_address": {"city": "M\xfcnchen"}}',
    "half a character before a quote": b'{"id": "2", "status": "open", "ship_to_address": {"city": "M\xc3"}}',
    "a lone surrogate in a city": rb'{"id": "2", "status": "open", "ship_to_address": {"city": "\ud83d"}}',
    "a surrogate in UTF-8": b'{"id": "2", "status": "open", "ship_to_address": {"city": "\xed\xa0\xbd"}}',
    "an integer of 5,000 digits": b'{"id": "2", "status": "open", "additional_fields": {"n": ' + b"9" * 5000 + b"}}",
    "NaN": b'{"id": "2", "status": "open", "total_price": NaN, "total_tax": -Infinity}',
    "a key that is there twice": b'{"id": "2", "status": "exception", "status": "open"}',
}


@pytest.mark.parametrize("record", READABLE.values(), ids=READABLE)
def test_damage_in_an_unused_field_has_no_effect(world: World, record: bytes) -> None:
    respond(world, page_of(FIRST, record, LAST))
    page = client(world).order_page(EVERYTHING, page_token=None)
    assert [(order.id, order.status) for order in page.orders] == [("1", "open"), ("2", "open"), ("3", "open")]
    assert page.quarantined == []
    assert page.orders[1].details.total_price is None


DAMAGED = {
    "an id with a lone surrogate": (rb'{"id": "ord-\ud800", "status": "open"}', "ord-\ufffd"),
    "an id with a Latin-1 byte": (b'{"id": "ord-\xfc", "status": "open"}', "ord-\ufffd"),
    "a status with a lone surrogate": (rb'{"id": "2", "status": "exc\ud800ption"}', "2"),
    "a status with a Latin-1 byte": (b'{"id": "2", "status": "exc\xfcption"}', "2"),
    "an id of 5,000 digits": (b'{"id": ' + b"9" * 5000 + b', "status": "open"}', None),
}


@pytest.mark.parametrize(("record", "order_id"), DAMAGED.values(), ids=DAMAGED)
def test_a_damaged_id_or_status_quarantines_only_its_record(world: World, record: bytes, order_id: str | None) -> None:
    respond(world, page_of(FIRST, record, LAST))
    page = client(world).order_page(EVERYTHING, page_token=None)
    assert [order.id for order in page.orders] == ["1", "3"]
    [quarantined] = page.quarantined
    assert quarantined.order_id == order_id
    assert (page.next_token, page.total_count) == (None, 3)


@pytest.mark.parametrize("flaw", [b"\xfc", rb"\ud800"])
def test_an_order_read_by_id_with_a_damaged_status_is_not_used(world: World, flaw: bytes) -> None:
    respond(world, page_of(), Response(200, body=b'{"data": {"id": "1", "status": "op%ben"}}' % flaw))
    found = client(world).orders(["1"])
    assert (found.orders, found.gone) == ([], [])


UNREADABLE = {
    "an invalid escape": rb'{"id": "2", "status": "open", "note": "C:\x\u12"}',
    "a trailing comma": b'{"id": "2", "status": "open", "tags": ["a",],}',
    "nested 100,000 deep": b'{"id": "2", "status": "open", "x": ' + b"[" * 100_000 + b"]" * 100_000 + b"}",
    "nested without an end": b'{"id": "2", "status": "open", "x": ' + b"[" * 100_000 + b"}",
    "a missing quote": b'{"id": "2", "status": "open", "city": Bonn", "state": "NW"}',
    "the last quote missing": b'{"id": "2", "status": "open", "city": "Bonn}',
    "a missing bracket": b'{"id": "2", "status": "open", "lines": [{"sku": "S"}}',
    "a bracket too many": b'{"id": "2", "status": "open"}}',
}


@pytest.mark.parametrize("record", UNREADABLE.values(), ids=UNREADABLE)
def test_a_page_that_is_not_json_fails_with_the_request_id(
    world: World, fake_clock: FakeClock, record: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    body = page_of(FIRST, record, LAST).body
    respond(world, *[Response(200, (("X-Request-Id", f"req-{number}"),), body) for number in range(1, MAX_TRIES + 1)])
    with pytest.raises(UnavailableError, match=r"GET /cart/orders: .*\(request req-5\)") as caught:
        client(world).order_page(EVERYTHING, page_token=None)
    assert caught.value.request_id == "req-5"
    assert "Bonn" not in str(caught.value)
    logged = [entry.__dict__["request_id"] for entry in caplog.records if "request_id" in entry.__dict__]
    assert logged == ["req-1", "req-2", "req-3", "req-4"]


def test_a_byte_order_mark_is_skipped(world: World) -> None:
    respond(world, Response(200, body=b"\xef\xbb\xbf" + page_of(FIRST).body))
    assert ids(client(world)) == ["1"]


@pytest.mark.parametrize("count", [b"9" * 60, b"-1", b"3.5", b"1e999", b"NaN", b"true", b"[]", b"9" * 5000])
def test_an_implausible_count_is_ignored(world: World, count: bytes) -> None:
    respond(world, page_of(FIRST, rest=b'"next_token": null, "total_count": ' + count))
    assert client(world).order_page(EVERYTHING, page_token=None).total_count is None


@pytest.mark.parametrize("token", [b'"' + b"t" * 70_000 + b'"', rb'"\ud800"', b'"\xfc"', b"7", b"{}", b"9" * 5000])
def test_an_invalid_page_token_is_a_fault_and_not_the_last_page(world: World, token: bytes) -> None:
    respond(world, *[page_of(FIRST, rest=b'"next_token": ' + token + b', "total_count": 9')] * MAX_TRIES)
    with pytest.raises(UnavailableError, match="next_token"):
        client(world).order_page(EVERYTHING, page_token=None)


def test_a_page_token_that_is_too_long_for_a_url_is_not_sent(world: World) -> None:
    with pytest.raises(TrackstarError, match="cannot be sent"):
        client(world).order_page(EVERYTHING, page_token="t" * 70_000)


@pytest.mark.parametrize("flaw", [b"\t", b"\xfc", rb"\ud800"])
def test_damaged_text_affects_neither_connection_nor_product(world: World, flaw: bytes) -> None:
    respond(world, Response(200, body=b'{"connection_id": "conn_a", "integration_name": "wix", "note": "%b"}' % flaw))
    assert client(world).connection().integration_name == "wix"
    respond(world, Response(200, body=b'{"data": [{"id": "p1", "sku": "S", "note": "%b"}, 7]}' % flaw))
    assert client(world).products(["p1"])["p1"].sku == "S"
    respond(world, Response(200, body=b'{"data": {"id": "a,b", "sku": "S", "note": "%b"}}' % flaw))
    assert client(world).products(["a,b"])["a,b"].sku == "S"


@pytest.mark.parametrize("product_id", ["\ud800", "p" * 70_000])
def test_a_product_id_that_fits_no_url_is_a_trackstar_error(world: World, product_id: str) -> None:
    with pytest.raises(TrackstarError):
        client(world).products([product_id])


DATES = [
    "Fri, 31 Dec 9999 23:59:59 -0500",
    "Fri, 31 Dec 9999 23:59:59 GMT",
    "Mon, 01 Jan 0001 00:00:00 +0500",
    "Mon, 05 Jan 2026 12:00:00 +99999999999999",
    "Mon, 05 Jan 2026 12:00:00 +9999",
]


@pytest.mark.parametrize("date", DATES)
def test_an_implausible_date_header_is_ignored(world: World, fake_clock: FakeClock, date: str) -> None:
    respond(world, Response(200, (("Date", date),), b'{"data": []}'))
    assert client(world).now() == fake_clock.now().replace(microsecond=0)


def test_a_date_header_without_a_zone_is_utc(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TZ", "America/New_York")
    time.tzset()
    try:
        respond(world, Response(200, (("Date", "Mon, 05 Jan 2026 12:00:00 -0000"),), b'{"data": []}'))
        assert client(world).now() == NOON
    finally:
        monkeypatch.undo()
        time.tzset()


@pytest.mark.parametrize("charset", ["hex", "rot13", "utf-7", "no-such-charset"])
def test_an_odd_charset_does_not_change_an_error(world: World, charset: str) -> None:
    headers = (("Content-Type", f"application/json; charset={charset}"),)
    respond(world, Response(422, headers, b'{"error": "page_token \xff"}'))
    with pytest.raises(InvalidRequestError) as caught:
        client(world).order_page(EVERYTHING, page_token=None)
    assert caught.value.names("page_token")


NASTY_ID = "req\x1b[2J\x85-\u202eevil " + "x" * 5000


def test_the_request_id_is_sanitized_before_it_is_logged(
    world: World, fake_clock: FakeClock, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    headers = (("X-Request-Id", NASTY_ID),)
    respond(world, Response(503, headers), Response(404, headers))
    with pytest.raises(NotFoundError) as caught:
        client(world).connection()
    logged = [record.__dict__["request_id"] for record in caplog.records if "request_id" in record.__dict__]
    for text in [str(caught.value), caught.value.request_id or "", *logged]:
        assert text.isprintable()
        assert "evil" in text
        assert len(text) < 250
    assert logged


# Limits of a response


class _Streamed(httpx.BaseTransport):
    """Streams one response in chunks; counts the chunks that were read and whether it was closed."""

    def __init__(
        self, chunks: Iterable[bytes], *, status: int = 200, headers: Mapping[str, str] = MappingProxyType({})
    ) -> None:
        self._chunks, self._status, self._headers = chunks, status, headers
        self.asked: list[httpx.Request] = []
        self.taken, self.closed = 0, 0

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        self.asked.append(request)
        return httpx.Response(self._status, headers=self._headers, stream=_Chunks(self))

    def chunks(self) -> Iterator[bytes]:
        for chunk in self._chunks:
            self.taken += 1
            yield chunk


class _Chunks(httpx.SyncByteStream):
    def __init__(self, owner: _Streamed) -> None:
        self._owner = owner

    def __iter__(self) -> Iterator[bytes]:
        return self._owner.chunks()

    def close(self) -> None:
        self._owner.closed += 1


MEGABYTE = b" " * 2**20


def test_an_endless_body_is_cut_at_a_limit_in_the_error(world: World, fake_clock: FakeClock) -> None:
    endless = _Streamed(itertools.repeat(MEGABYTE, 200))
    with pytest.raises(TrackstarError, match=r"GET /cart/orders: the response is larger than 32 MiB"):
        client(world, transport=endless).order_page(EVERYTHING, page_token=None)
    assert endless.taken <= 33
    assert endless.closed
    assert fake_clock.slept == [], "a retry would get the same body"


def test_a_decompression_bomb_stops_at_the_limit(world: World, fake_clock: FakeClock) -> None:
    packer = zlib.compressobj(9, wbits=31)
    packed = b"".join([*(packer.compress(MEGABYTE) for _ in range(300)), packer.flush()])
    on_the_wire = (bytes(chunk) for chunk in itertools.batched(packed, 64 * 1024, strict=False))
    bomb = _Streamed(on_the_wire, headers={"content-encoding": "gzip"})
    tracemalloc.start()
    with pytest.raises(TrackstarError, match="larger than 32 MiB"):
        client(world, transport=bomb).order_page(EVERYTHING, page_token=None)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert bomb.taken == 1
    assert peak < 160 * 2**20


def test_a_compressed_body_is_decoded_and_a_cut_one_is_a_fault(world: World, fake_clock: FakeClock) -> None:
    packed = gzip.compress(page_of(FIRST).body)
    whole = _Streamed([packed[:9], packed[9:]], headers={"content-encoding": "gzip"})
    assert ids(client(world, transport=whole)) == ["1"]
    assert whole.asked[0].headers["accept-encoding"] == "gzip"
    cut = _Streamed([packed[:-12]], headers={"content-encoding": "gzip"})
    with pytest.raises(UnavailableError, match="not JSON"):
        client(world, transport=cut).order_page(EVERYTHING, page_token=None)


@pytest.mark.parametrize("encoding", ["br", "gzip", "deflate", "hex"])
def test_a_body_in_another_encoding_than_declared_is_a_fault(
    world: World, fake_clock: FakeClock, encoding: str
) -> None:
    odd = _Streamed([b"\x1b\x03not what the header says"], headers={"content-encoding": encoding})
    with pytest.raises(UnavailableError, match=r"DecodingError|not JSON"):
        client(world, transport=odd).order_page(EVERYTHING, page_token=None)


def test_a_body_that_drips_is_a_fault_after_its_time(world: World, fake_clock: FakeClock) -> None:
    def drips() -> Iterator[bytes]:
        for _ in range(1000):
            fake_clock.seconds += 5.0
            yield b" "

    slow = _Streamed(drips())
    begun = fake_clock.seconds
    with pytest.raises(UnavailableError, match="not complete within"):
        client(world, transport=slow, seconds_left=lambda: begun + 60 - fake_clock.seconds).connection()
    assert fake_clock.seconds - begun < 75


@pytest.mark.parametrize("status", [401, 404, 422])
def test_the_body_of_an_error_is_cut_and_its_status_counts(world: World, status: int) -> None:
    endless = _Streamed(itertools.repeat(MEGABYTE, 200), status=status)
    with pytest.raises(TrackstarError, match=str(status)):
        client(world, transport=endless).order_page(EVERYTHING, page_token=None)
    assert endless.taken <= 2
    assert endless.closed


@pytest.mark.parametrize("headers", [{}, {"content-encoding": "gzip"}], ids=["slow", "not gzip"])
def test_an_error_whose_body_cannot_be_read_keeps_its_status(
    world: World, fake_clock: FakeClock, headers: dict[str, str]
) -> None:
    def drips() -> Iterator[bytes]:
        while True:
            fake_clock.seconds += 20.0
            yield b"no gzip"

    with pytest.raises(NotFoundError):
        client(world, transport=_Streamed(drips(), status=404, headers=headers)).connection()


# Cookies and redirects


def test_a_cookie_of_one_connection_is_not_sent_for_another() -> None:
    responses = _Streamed([page_of(FIRST).body], headers={"set-cookie": "session=of-shop-a; Path=/"})
    trackstar = Trackstar("https://trackstar.invalid", transport=responses)
    for name in ("conn_a", "conn_a", "conn_b"):
        shop = trackstar.client_of(
            name, api_key=SecretStr("key"), access_token=SecretStr("token"), seconds_left=lambda: 60.0
        )
        shop.order_page(EVERYTHING, page_token=None)
    assert [request.headers.get("cookie") for request in responses.asked] == [None, None, None]


@pytest.mark.parametrize(
    "location", ["https://elsewhere.example/", "//elsewhere.example", "/cart", "http://[", "x" * 65_530, "\x1b\xff"]
)
def test_a_redirect_is_not_followed(world: World, fake_clock: FakeClock, location: str) -> None:
    moved = _Streamed([b""], status=302, headers={"location": location})
    with pytest.raises(TrackstarError):
        client(world, transport=moved).order_page(EVERYTHING, page_token=None)
    assert {request.url.host for request in moved.asked} == {"trackstar.invalid"}
    assert {request.url.path for request in moved.asked} == {"/cart/orders"}
