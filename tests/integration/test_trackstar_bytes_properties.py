"""Arbitrary bytes through the client, the poll, the tables and the alerts (rule 18)."""

import json
from collections.abc import Callable
from dataclasses import asdict
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from orderwatch.alerts.kinds import KIND_QUARANTINED
from orderwatch.errors import TrackstarError, UnavailableError
from orderwatch.polling.metrics import Outcome
from orderwatch.reading.window import baseline_window
from orderwatch.rendering.fallback import render_or_plain
from orderwatch.sanitize import one_line
from orderwatch.trackstar.orders import OrderPage
from orderwatch_local.simulator import Request, Response
from tests.support.world import NOON, World

EVERYTHING = baseline_window(vendor_now=NOON, days=0)
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


def page(third: bytes) -> bytes:
    records = [order("1"), order("2"), third, order("4"), order("5")]
    return b'{"data": [' + b", ".join(records) + b'], "next_token": null, "total_count": 5}'


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
    st.binary(max_size=12).map(lambda token: page(order("3")).replace(b"null", b'"' + token + b'"')),
    st.binary(max_size=12).map(lambda envelope: page(order("3")).replace(b'"total_count": 5', envelope)),
)
HEADERS = st.sampled_from(
    [
        "Date", "X-Request-Id", "Content-Encoding", "Content-Type", "Location", "Set-Cookie", "Retry-After",
        "x-ratelimit-remaining", "x-ratelimit-reset",
    ]
)  # fmt: skip
ANY_VALUE = st.text(st.characters(max_codepoint=255), max_size=30)


def assert_everything_can_be_written_and_sent(world: World) -> None:
    for table in ("OrderTable", "ConnectionTable", "AlertTable"):
        json.dumps(world.tables.rows(table), ensure_ascii=False, default=str).encode()
    for alert in world.tables.all_alerts():
        message, error = render_or_plain(alert)
        assert error is None
        json.dumps(asdict(message), ensure_ascii=False, default=str).encode()


def error_of(call: Callable[[], Any]) -> str | None:
    """The text of the `TrackstarError`; None if there was none."""
    try:
        call()
    except TrackstarError as error:
        return str(error)
    return None


def always(body: bytes) -> Callable[[Request], Response | None]:
    return lambda request: Response(200, body=body) if request.path == "/cart/orders" else None


NASTY = {
    "an id with a lone surrogate": (rb'{"id": "ord-\ud800", "status": "exception"}', "ord-\ufffd"),
    "an id with a Latin-1 byte": (b'{"id": "ord-\xfc", "status": "exception"}', "ord-\ufffd"),
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


@settings(max_examples=400)
@given(mutated())
def test_any_record_affects_only_itself_or_fails_the_page(record: bytes) -> None:
    try:
        read = OrderPage.read(page(record))
    except ValueError:
        return
    assert {each.id for each in read.orders} >= set(OTHERS)


@settings(max_examples=60)
@given(ANY_BODY, st.sampled_from([200, 404, 422, 500]), st.dictionaries(HEADERS, ANY_VALUE, max_size=4))
def test_any_response_is_a_record_or_a_trackstar_error(body: bytes, status: int, headers: dict[str, str]) -> None:
    world = World()
    world.trackstar.intercept = lambda _: Response(status, tuple(headers.items()), body)
    client = world.client()
    calls: list[Callable[[], Any]] = [
        lambda: client.order_page(EVERYTHING, page_token=None),
        client.connection,
        lambda: client.products(["p"]),
        client.now,
    ]
    for text in filter(None, map(error_of, calls)):
        assert text == one_line(text, 500)


@settings(max_examples=60)
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


def test_an_order_with_a_sanitized_id_can_leave_the_quarantine() -> None:
    world = World()
    world.poll()
    world.trackstar.intercept = always(page(rb'{"id": "a\u001bb", "status": null}'))
    world.next_poll()
    assert list(world.state().quarantined) == ["a b"]
    world.trackstar.intercept = always(page(rb'{"id": "a\u001bb", "status": "open"}'))
    world.next_poll()
    assert world.state().quarantined == {}
