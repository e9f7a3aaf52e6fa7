"""Pages that are broken somewhere: each broken record costs itself, and a body that was cut off is never a page."""

import json
import time
from typing import Any

import pytest

from orderwatch.trackstar.orders import OrderPage
from orderwatch.trackstar.page_parts import split

BROKEN = b'{"id": "x", "status": "open", "city": Bonn", "lines": [{"sku": "S"}, {"sku": "T"}]}'


def record(order_id: str, **fields: Any) -> bytes:
    full = {"id": order_id, "status": "open", "city": "Bonn", "lines": [{"sku": "S"}, {"sku": "T"}], **fields}
    return json.dumps(full).encode()


def page(*records: bytes, rest: bytes = b', "next_token": null, "total_count": 5}') -> bytes:
    return b'{"data": [' + b", ".join(records) + b"]" + rest


def ids(body: bytes) -> list[str]:
    return [order.id for order in OrderPage.read(body).orders]


@pytest.mark.parametrize("sound_between", [0, 1, 3])
def test_what_lies_between_two_broken_records_is_read(sound_between: int) -> None:
    between = [record(f"between {number}") for number in range(sound_between)]
    read = OrderPage.read(page(record("1"), BROKEN, *between, BROKEN, record("5")))
    assert [order.id for order in read.orders] == ["1", *(f"between {number}" for number in range(sound_between)), "5"]
    assert {each.order_id for each in read.quarantined} == {"x"}


def test_records_between_broken_ones_are_known_even_where_the_page_begins_with_a_broken_one() -> None:
    assert ids(page(BROKEN, record("2"), BROKEN, record("4"))) == ["2", "4"]


def test_an_object_within_a_broken_record_never_passes_for_an_order() -> None:
    shipment = '"shipments": [{"id": "s1", "status": "exception"}, {"id": "s2", "status": "exception"}]'
    broken = b'{"id": "x", "city": Bonn", ' + shipment.encode() + b', "status": "open"}'
    assert ids(page(record("1"), broken, broken, record("4"))) == ["1", "4"]


def test_a_broken_record_that_ends_early_lets_none_of_its_objects_pass_for_an_order() -> None:
    broken = b'{"id": "x", "status": "open", "ships": "s1"}, {"id": "s2", "status": "exception"}], "city": "Bonn"}'
    assert ids(page(record("1"), broken, record("3"))) == ["1", "3"]


def test_an_order_quoted_in_a_text_is_no_order() -> None:
    quoted = json.dumps("}, " + record("fake").decode() + ", {")
    broken = b'{"id": "x", "status": "open", "note": ' + quoted.encode() + b', "city": Bonn"}'
    assert ids(page(record("1"), broken, broken, record("4"))) == ["1", "4"]


def test_a_comma_that_is_missing_between_two_records_costs_one_of_them_at_most() -> None:
    body = page(record("1"), record("2") + record("3"), record("4"))
    assert {"1", "3", "4"} <= set(ids(body))


@pytest.mark.parametrize("damage", [None, BROKEN, b'{"id": "x", "status": "open", "city": "a\tb"}'])
def test_a_body_that_was_cut_off_anywhere_is_never_a_page(damage: bytes | None) -> None:
    records = [record("1"), *([damage] if damage else []), record("3", tags=["a", "b"])]
    body = page(*records)
    assert ids(body)
    for size in range(len(body)):
        with pytest.raises(ValueError, match=r"."):
            OrderPage.read(body[:size])


def test_a_list_that_comes_last_is_read_too() -> None:
    damaged = b'{"id": "2", "status": "open", "city": "a\tb"}'
    body = b'{"total_count": 2, "next_token": "t", "data": [' + record("1") + b", " + damaged + b"]}"
    read = OrderPage.read(body)
    assert ([order.id for order in read.orders], read.next_token, read.total_count) == (["1", "2"], "t", 2)


@pytest.mark.parametrize(
    "body", [b"", b"{", b"[]", b'{"orders": []}', b'{"data": {}}', b'{"data": null, "next_token": null}', b'{"data"}']
)
def test_what_is_no_page_is_none(body: bytes) -> None:
    with pytest.raises(ValueError, match=r"."):
        split(body)


@pytest.mark.parametrize(
    "piece",
    [b"[", b'{"a":', b'"', b"\\", b"},{", b'},{"a":[{}', b'{"id":"1","status":"open"},', b'{"a":"\\"},', b"]"],
    ids=repr,
)
def test_the_effort_grows_no_faster_than_the_page(piece: bytes) -> None:
    def seconds(repeated: int) -> float:
        body = page(record("1"), b'{"id": ' + piece * repeated, BROKEN, record("3"))
        begun = time.process_time()
        split(body)
        return time.process_time() - begun

    small = min(seconds(2_000) for _ in range(3))
    assert seconds(20_000) < 40 * small + 0.2
