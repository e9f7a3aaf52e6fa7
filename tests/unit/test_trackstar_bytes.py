"""Damaged bytes of the vendor, through the client, the poll, the tables and the alerts (rule 18)."""

import json
from collections.abc import Callable
from dataclasses import asdict
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orderwatch.alerts.kinds import KIND_QUARANTINED
from orderwatch.errors import TrackstarError, UnavailableError
from orderwatch.polling.metrics import Outcome
from orderwatch.rendering.fallback import render_or_plain
from orderwatch.sanitize import one_line
from orderwatch.trackstar.fields import parse_json
from orderwatch.trackstar.orders import OrderPage
from orderwatch_local.simulator import Request, Response
from tests.support.replies import Replies, read_page
from tests.support.world import World

OTHERS = ["1", "2", "4", "5"]


def order(order_id: str) -> bytes:
    record = {
        "id": order_id,
        "order_number": f"#{order_id}",
        "status": "exception",
        "trackstar_updated_date": "2026-01-05T12:00:00Z",
        "ship_to_address": {"city": 'Bonn "B", {x}', "lines": []},
        "tags": ["a", "b\\"],
        "line_items": [{"product_id": "p", "quantity": 1}, {"product_id": "q", "quantity": 2.5}],
        "total_price": 12.5,
    }
    return json.dumps(record).encode()


def page(third: bytes, rest: bytes = b'"next_token": null, "total_count": 5') -> bytes:
    records = [order("1"), order("2"), third, order("4"), order("5")]
    return b'{"data": [' + b", ".join(records) + b"], " + rest + b"}"


# Slightly damaged JSON


@pytest.mark.parametrize(
    ("body", "value"),
    [
        (b'{"a": [1, "x", 2.5, null, true]}', {"a": [1, "x", 2.5, None, True]}),
        (b'\xef\xbb\xbf{"a": 1}', {"a": 1}),
        (b'{"a": {"b": "x\ty"}, "n": 7}', {"a": {"b": "x\ty"}, "n": 7}),
        (b'["a\x00b", "a\r\nb"]', ["a\x00b", "a\r\nb"]),
        (b'["M\xfcnchen", "M\xc3"]', ["M\ufffdnchen", "M\ufffd"]),
        (rb'{"\ud800": ["\ud83d", {"a": "\udfff"}]}', {"\ufffd": ["\ufffd", {"a": "\ufffd"}]}),
        (b'["\xed\xa0\xbd"]', ["\ufffd\ufffd\ufffd"]),
        (b'["\t", ' + b"9" * 5000 + b"]", ["\t", "9" * 5000]),
        (b'{"a": 1, "a": 2}', {"a": 2}),
    ],
)
def test_slightly_damaged_json_is_read(body: bytes, value: object) -> None:
    assert parse_json(body) == value


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
def test_a_page_that_is_not_json_is_a_fault_without_its_text(record: bytes) -> None:
    with pytest.raises(ValueError, match=r"^the body is (not JSON|nested too deeply)") as caught:
        OrderPage.read(page(record))
    assert "Bonn" not in str(caught.value)


READABLE = {
    "a raw tab": b'{"id": "3", "status": "open", "total_price": 12, "ship_to_address": {"city": "a\tb"}}',
    "one Latin-1 byte": b'{"id": "3", "status": "open", "total_price": 12, "ship_to_address": {"city": "M\xfcnchen"}}',
    "a lone surrogate": rb'{"id": "3", "status": "open", "total_price": 12, "order_number": "\udfff"}',
    "an integer of 5,000 digits": b'{"id": "3", "status": "open", "total_price": 12, "n": ' + b"9" * 5000 + b"}",
    "NaN": b'{"id": "3", "status": "open", "total_price": 12, "total_tax": -Infinity, "n": NaN}',
    "a key that is there twice": b'{"id": "3", "status": "exception", "total_price": 12, "status": "open"}',
}


@pytest.mark.parametrize("record", READABLE.values(), ids=READABLE)
def test_damage_in_an_unused_field_has_no_effect(record: bytes) -> None:
    read = OrderPage.read(page(record))
    assert [each.id for each in read.orders] == ["1", "2", "3", "4", "5"]
    assert (read.orders[2].status, read.orders[2].details.total_price) == ("open", Decimal(12))
    assert read.orders[4].details.line_items[1].quantity == Decimal("2.5")
    assert (read.quarantined, read.total_count) == ([], 5)


DAMAGED = {
    "an id with a lone surrogate": (
        rb'{"id": "ord-\ud800", "status": "open"}',
        "ord-\ufffd",
        "is malformed",
    ),
    "an id with a Latin-1 byte": (b'{"id": "ord-\xfc", "status": "open"}', "ord-\ufffd", "is malformed"),
    "a status with a lone surrogate": (rb'{"id": "3", "status": "exc\ud800ption"}', "3", "is malformed"),
    "a status with a Latin-1 byte": (b'{"id": "3", "status": "exc\xfcption"}', "3", "is malformed"),
    "an id of 5,000 digits": (
        b'{"id": ' + b"9" * 5000 + b', "status": "open"}',
        None,
        "id has more than 256 characters",
    ),
}


@pytest.mark.parametrize(("record", "order_id", "reason"), DAMAGED.values(), ids=DAMAGED)
def test_a_damaged_id_or_status_quarantines_only_its_record(record: bytes, order_id: str | None, reason: str) -> None:
    read = OrderPage.read(page(record))
    assert [each.id for each in read.orders] == OTHERS
    [quarantined] = read.quarantined
    assert quarantined.order_id == order_id
    assert reason in quarantined.reason
    assert (read.next_token, read.total_count) == (None, 5)


@pytest.mark.parametrize("flaw", [b"\t", b"\xfc", rb"\ud800"])
def test_damaged_text_affects_neither_connection_nor_product(flaw: bytes) -> None:
    client = Replies(
        Response(200, body=b'{"connection_id": "conn_a", "integration_name": "wix", "note": "%b"}' % flaw),
        Response(200, body=b'{"data": {"id": "a,b", "sku": "S", "note": "%b"}}' % flaw),
        Response(200, body=b'{"data": [{"id": "p1", "sku": "S", "note": "%b"}, 7]}' % flaw),
    ).client()
    assert client.connection().integration_name == "wix"
    assert {each: product.sku for each, product in client.products(["a,b", "p1"]).items()} == {"a,b": "S", "p1": "S"}


# A poll of damaged pages


def always(body: bytes) -> Callable[[Request], Response | None]:
    return lambda request: Response(200, body=body) if request.path == "/cart/orders" else None


def assert_everything_can_be_written_and_sent(world: World) -> None:
    for table in ("OrderTable", "ConnectionTable", "AlertTable"):
        json.dumps(world.tables.rows(table), ensure_ascii=False, default=str).encode()
    for alert in world.tables.all_alerts():
        message, error = render_or_plain(alert)
        assert error is None
        json.dumps(asdict(message), ensure_ascii=False, default=str).encode()


NASTY = {
    "an id with a lone surrogate": (rb'{"id": "ord-\ud800", "status": "exception"}', "ord-\ufffd"),
    "an id that clears the terminal": (b'{"id": "a\\u001b[2J\\u202eb", "status": null}', "a [2Jb"),
}


@pytest.mark.parametrize(("record", "known_by"), NASTY.values(), ids=NASTY)
def test_a_poll_alerts_the_other_orders_and_reports_the_bad_one(record: bytes, known_by: str) -> None:
    world = World()
    world.poll()
    world.new_alerts()
    world.trackstar.intercept = always(page(record))
    world.pass_time()
    assert world.poll().outcome is Outcome.FINISHED
    alerted = world.new_alerts()
    assert [alert.order.id for alert in alerted if alert.order] == OTHERS
    [notice] = [alert for alert in alerted if alert.kind == KIND_QUARANTINED]
    assert notice.detail
    assert f"{known_by} (" in notice.detail
    assert notice.detail.isprintable()
    assert list(world.state().quarantined) == [known_by]
    assert_everything_can_be_written_and_sent(world)
    assert world.next_poll() == [], "it is reported once"


def test_an_order_with_a_sanitized_id_can_leave_the_quarantine() -> None:
    world = World()
    world.poll()
    world.trackstar.intercept = always(page(rb'{"id": "a\u001bb", "status": null}'))
    world.next_poll()
    assert list(world.state().quarantined) == ["a b"]
    world.trackstar.intercept = always(page(rb'{"id": "a\u001bb", "status": "open"}'))
    world.next_poll()
    assert world.state().quarantined == {}


def test_a_page_that_is_not_json_fails_the_poll_and_keeps_the_cursor() -> None:
    world = World()
    world.poll()
    world.place("1", status="exception")
    world.pass_time()
    before = world.state()
    world.trackstar.intercept = always(page(b'{"id": "3", "status": "open", "tags": ["a",]}'))
    with pytest.raises(UnavailableError, match="not JSON"):
        world.poll()
    assert world.state() == before
    world.trackstar.intercept = None
    assert "1" in {alert.order.id for alert in world.next_poll() if alert.order}


# Any bytes


@st.composite
def mutated(draw: st.DrawFn) -> bytes:
    """An order with some bytes replaced, inserted or removed."""
    record = order("3")
    some_bytes = st.one_of(st.binary(max_size=4), st.sampled_from([b'"', b"\\", b"{", b"}", b"[", b"]", b",", b"\xff"]))
    for _ in range(draw(st.integers(1, 3))):
        begin = draw(st.integers(0, len(record)))
        end = min(len(record), begin + draw(st.sampled_from([0, 0, 1, 1, 2, 9, 40])))
        record = record[:begin] + draw(some_bytes) + record[end:]
    return record


ANY_BODY = st.one_of(
    st.binary(max_size=60),
    mutated().map(page),
    st.binary(max_size=12).map(lambda token: page(order("3"), b'"next_token": "' + token + b'"')),
    st.binary(max_size=12).map(lambda envelope: page(order("3"), envelope)),
)
HEADERS = st.sampled_from(
    [
        "Date", "X-Request-Id", "Content-Encoding", "Content-Type", "Location", "Set-Cookie", "Retry-After",
        "x-ratelimit-remaining", "x-ratelimit-reset",
    ]
)  # fmt: skip
ANY_VALUE = st.text(st.characters(max_codepoint=255), max_size=30)


def error_of(call: Callable[[], Any]) -> str | None:
    """The text of the `TrackstarError`; None if there was none."""
    try:
        call()
    except TrackstarError as error:
        return str(error)
    return None


@given(mutated())
def test_any_record_affects_only_itself_or_fails_the_page(record: bytes) -> None:
    try:
        read = OrderPage.read(page(record))
    except ValueError:
        return
    assert {each.id for each in read.orders} >= set(OTHERS)


@given(ANY_BODY, st.sampled_from([200, 404, 422, 500]), st.dictionaries(HEADERS, ANY_VALUE, max_size=4))
def test_any_response_is_a_record_or_a_trackstar_error(body: bytes, status: int, headers: dict[str, str]) -> None:
    client = Replies(*[Response(status, tuple(headers.items()), body)] * 20).client()
    calls: list[Callable[[], Any]] = [
        lambda: read_page(client),
        client.connection,
        lambda: client.products(["p"]),
        client.now,
    ]
    for text in filter(None, map(error_of, calls)):
        assert text == one_line(text, 500)


@given(ANY_BODY)
def test_a_poll_of_any_bytes_ends_in_an_error_or_writes_all(body: bytes) -> None:
    world = World()
    world.poll()
    world.pass_time()
    world.trackstar.intercept = always(body)
    pages_left = iter([True] * 3)  # its page token may point to itself
    error_of(lambda: world.poll(has_time=lambda: next(pages_left, False)))
    assert_everything_can_be_written_and_sent(world)
    world.trackstar.intercept = None
    world.place("later", status="exception")
    assert "later" in {alert.order.id for alert in world.next_poll() if alert.order}
