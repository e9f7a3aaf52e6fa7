"""Whatever bytes come (rule 18): answers of the vendor that are damaged, endless, slow or odd."""

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
from orderwatch.polling.cursor import baseline_window
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
def needs_attention(world: World) -> FakeClock:
    """The process's clock from now on."""
    needs_attention = FakeClock()
    clock.use(needs_attention)
    return needs_attention


def client(world: World, **options: Any) -> ConnectionClient:
    return world.client(**options)


def ids(shop: ConnectionClient) -> list[str]:
    return [order.id for order in shop.order_page(EVERYTHING, page_token=None).orders]


def answer(world: World, *responses: Response) -> None:
    """Give these answers to the next requests, and the true one from then on."""
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
    "an escape that is none": rb'{"id": "2", "status": "open", "note": "C:\x\u12"}',
    "a trailing comma": b'{"id": "2", "status": "open", "tags": ["a",],}',
    "NaN": b'{"id": "2", "status": "open", "total_price": NaN, "total_tax": -Infinity}',
    "a key that is there twice": b'{"id": "2", "status": "exception", "status": "open"}',
}


@pytest.mark.parametrize("record", READABLE.values(), ids=READABLE)
def test_a_flaw_in_a_field_that_nobody_reads_costs_nothing(world: World, record: bytes) -> None:
    answer(world, page_of(FIRST, record, LAST))
    page = client(world).order_page(EVERYTHING, page_token=None)
    assert [(order.id, order.status) for order in page.orders] == [("1", "open"), ("2", "open"), ("3", "open")]
    assert page.quarantined == []
    assert page.orders[1].details.total_price is None


BROKEN = {
    "an id with a lone surrogate": (rb'{"id": "ord-\ud800", "status": "open"}', "ord-\ufffd"),
    "an id with a Latin-1 byte": (b'{"id": "ord-\xfc", "status": "open"}', "ord-\ufffd"),
    "a status with a lone surrogate": (rb'{"id": "2", "status": "exc\ud800ption"}', "2"),
    "nested 100,000 deep": (b'{"id": "2", "status": "open", "x": ' + b"[" * 100_000 + b"]" * 100_000 + b"}", "2"),
    "nested without an end": (b'{"id": "2", "status": "open", "x": ' + b"[" * 100_000 + b"}", "2"),
    "a quote that is missing": (b'{"id": "2", "status": "open", "city": Bonn", "state": "NW"}', "2"),
    "the last quote missing": (b'{"id": "2", "status": "open", "city": "Bonn}', "2"),
    "a bracket that is missing": (b'{"id": "2", "status": "open", "lines": [{"sku": "S"}}', "2"),
    "a bracket too many": (b'{"id": "2", "status": "open"}}', "2"),
}


@pytest.mark.parametrize(("record", "known_by"), BROKEN.values(), ids=BROKEN)
def test_a_record_that_cannot_be_read_costs_itself_alone(world: World, record: bytes, known_by: str) -> None:
    answer(world, page_of(FIRST, record, LAST))
    page = client(world).order_page(EVERYTHING, page_token=None)
    assert [order.id for order in page.orders] == ["1", "3"]
    [quarantined] = page.quarantined
    assert quarantined.order_id == known_by
    assert "Bonn" not in quarantined.reason
    assert (page.next_token, page.total_count) == (None, 3)


def test_a_byte_order_mark_is_no_part_of_the_page(world: World) -> None:
    answer(world, Response(200, body=b"\xef\xbb\xbf" + page_of(FIRST).body))
    assert ids(client(world)) == ["1"]


@pytest.mark.parametrize("count", [b"9" * 60, b"-1", b"3.5", b"1e999", b"NaN", b"true", b"[]", b"9" * 5000])
def test_a_count_that_makes_no_sense_is_no_count(world: World, count: bytes) -> None:
    answer(world, page_of(FIRST, rest=b'"next_token": null, "total_count": ' + count))
    assert client(world).order_page(EVERYTHING, page_token=None).total_count is None


@pytest.mark.parametrize("token", [b'"' + b"t" * 70_000 + b'"', rb'"\ud800"', b"7", b"{}"])
def test_a_page_token_that_cannot_be_followed_is_a_fault_and_never_the_last_page(world: World, token: bytes) -> None:
    answer(world, *[page_of(FIRST, rest=b'"next_token": ' + token + b', "total_count": 9')] * MAX_TRIES)
    with pytest.raises(UnavailableError, match="next_token"):
        client(world).order_page(EVERYTHING, page_token=None)


def test_a_page_token_that_no_address_can_hold_is_not_sent(world: World) -> None:
    with pytest.raises(TrackstarError, match="cannot be sent"):
        client(world).order_page(EVERYTHING, page_token="t" * 70_000)


@pytest.mark.parametrize("flaw", [b"\t", b"\xfc", rb"\ud800"])
def test_a_flaw_in_a_text_costs_neither_the_connection_nor_a_product(world: World, flaw: bytes) -> None:
    answer(world, Response(200, body=b'{"connection_id": "conn_a", "integration_name": "wix", "note": "%b"}' % flaw))
    assert client(world).connection().integration_name == "wix"
    answer(world, Response(200, body=b'{"data": [{"id": "p1", "sku": "S", "note": "%b"}, 7]}' % flaw))
    assert client(world).products(["p1"])["p1"].sku == "S"
    answer(world, Response(200, body=b'{"data": {"id": "a,b", "sku": "S", "note": "%b"}}' % flaw))
    assert client(world).products(["a,b"])["a,b"].sku == "S"


@pytest.mark.parametrize("product_id", ["\ud800", "p" * 70_000])
def test_a_product_that_no_address_can_name_ends_in_a_documented_error(world: World, product_id: str) -> None:
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
def test_a_date_header_that_makes_no_sense_is_no_clock(world: World, needs_attention: FakeClock, date: str) -> None:
    answer(world, Response(200, (("Date", date),), b'{"data": []}'))
    assert client(world).now() == needs_attention.now().replace(microsecond=0)


def test_a_date_header_without_a_zone_is_in_utc(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TZ", "America/New_York")
    time.tzset()
    try:
        answer(world, Response(200, (("Date", "Mon, 05 Jan 2026 12:00:00 -0000"),), b'{"data": []}'))
        assert client(world).now() == NOON
    finally:
        monkeypatch.undo()
        time.tzset()


@pytest.mark.parametrize("charset", ["hex", "rot13", "utf-7", "no-such-charset"])
def test_a_refusal_in_an_odd_charset_is_a_refusal(world: World, charset: str) -> None:
    headers = (("Content-Type", f"application/json; charset={charset}"),)
    answer(world, Response(422, headers, b'{"error": "page_token \xff"}'))
    with pytest.raises(InvalidRequestError) as caught:
        client(world).order_page(EVERYTHING, page_token=None)
    assert caught.value.names("page_token")


NASTY_ID = "req\x1b[2J\x85-\u202eevil " + "x" * 5000


def test_the_vendors_request_id_is_cleaned_before_it_is_told(
    world: World, needs_attention: FakeClock, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    headers = (("X-Request-Id", NASTY_ID),)
    answer(world, Response(503, headers), Response(404, headers))
    with pytest.raises(NotFoundError) as caught:
        client(world).connection()
    logged = [record.__dict__["request_id"] for record in caplog.records if "request_id" in record.__dict__]
    for said in [str(caught.value), caught.value.request_id or "", *logged]:
        assert said.isprintable()
        assert "evil" in said
        assert len(said) < 250
    assert logged


# Bounds of an answer


class _Streamed(httpx.BaseTransport):
    """Gives one answer in chunks, and remembers how many were taken and whether it was closed."""

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


def test_a_body_without_end_is_given_up_at_a_bound_that_the_error_names(
    world: World, needs_attention: FakeClock
) -> None:
    endless = _Streamed(itertools.repeat(MEGABYTE, 200))
    with pytest.raises(TrackstarError, match=r"GET /cart/orders: the answer is larger than 32 MiB"):
        client(world, transport=endless).order_page(EVERYTHING, page_token=None)
    assert endless.taken <= 33
    assert endless.closed
    assert needs_attention.slept == [], "it would be as large the next time"


def test_a_small_body_that_unpacks_without_end_is_given_up_at_the_same_bound(
    world: World, needs_attention: FakeClock
) -> None:
    packer = zlib.compressobj(9, wbits=31)
    packed = [packer.compress(MEGABYTE) for _ in range(100)]
    bomb = _Streamed([b"".join([*packed, packer.flush()])], headers={"content-encoding": "gzip"})
    tracemalloc.start()
    with pytest.raises(TrackstarError, match="larger than 32 MiB"):
        client(world, transport=bomb).order_page(EVERYTHING, page_token=None)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 80 * 2**20


def test_a_packed_body_is_unpacked_and_one_that_was_cut_off_is_a_fault(
    world: World, needs_attention: FakeClock
) -> None:
    packed = gzip.compress(page_of(FIRST).body)
    whole = _Streamed([packed[:9], packed[9:]], headers={"content-encoding": "gzip"})
    assert ids(client(world, transport=whole)) == ["1"]
    assert whole.asked[0].headers["accept-encoding"] == "gzip"
    cut = _Streamed([packed[:-12]], headers={"content-encoding": "gzip"})
    with pytest.raises(UnavailableError, match="unpacked"):
        client(world, transport=cut).order_page(EVERYTHING, page_token=None)


@pytest.mark.parametrize("encoding", ["br", "gzip, gzip", "hex"])
def test_a_body_packed_in_a_way_that_was_not_asked_for_is_a_fault(
    world: World, needs_attention: FakeClock, encoding: str
) -> None:
    odd = _Streamed([gzip.compress(gzip.compress(page_of(FIRST).body))], headers={"content-encoding": encoding})
    with pytest.raises(UnavailableError, match="unpacked"):
        client(world, transport=odd).order_page(EVERYTHING, page_token=None)


def test_a_body_that_drips_is_given_up_when_its_time_is_over(world: World, needs_attention: FakeClock) -> None:
    def drips() -> Iterator[bytes]:
        for _ in range(1000):
            needs_attention.seconds += 5.0
            yield b" "

    slow = _Streamed(drips())
    begun = needs_attention.seconds
    with pytest.raises(UnavailableError, match="not there whole within"):
        client(world, transport=slow, seconds_left=lambda: begun + 60 - needs_attention.seconds).connection()
    assert needs_attention.seconds - begun < 75


@pytest.mark.parametrize("status", [401, 404, 422])
def test_the_body_of_a_refusal_is_bounded_and_changes_nothing_of_what_it_means(world: World, status: int) -> None:
    endless = _Streamed(itertools.repeat(MEGABYTE, 200), status=status)
    with pytest.raises(TrackstarError, match=str(status)):
        client(world, transport=endless).order_page(EVERYTHING, page_token=None)
    assert endless.taken <= 2
    assert endless.closed


# Nothing goes to others


def test_a_cookie_of_one_shop_is_not_sent_for_another() -> None:
    answers = _Streamed([page_of(FIRST).body], headers={"set-cookie": "session=of-shop-a; Path=/"})
    trackstar = Trackstar("https://trackstar.invalid", transport=answers)
    for name in ("conn_a", "conn_a", "conn_b"):
        shop = trackstar.client_of(
            name, api_key=SecretStr("key"), access_token=SecretStr("token"), seconds_left=lambda: 60.0
        )
        shop.order_page(EVERYTHING, page_token=None)
    assert [request.headers.get("cookie") for request in answers.asked] == [None, None, None]


@pytest.mark.parametrize(
    "location", ["https://elsewhere.example/", "//elsewhere.example", "/cart", "http://[", "x" * 65_530, "\x1b\xff"]
)
def test_a_redirect_is_never_followed_with_the_secrets(world: World, needs_attention: FakeClock, location: str) -> None:
    moved = _Streamed([b""], status=302, headers={"location": location})
    with pytest.raises(TrackstarError):
        client(world, transport=moved).order_page(EVERYTHING, page_token=None)
    assert {request.url.host for request in moved.asked} == {"trackstar.invalid"}
    assert {request.url.path for request in moved.asked} == {"/cart/orders"}
