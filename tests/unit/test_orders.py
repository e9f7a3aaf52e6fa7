"""Orders as integrations send them: invalid fields are ignored, invalid records are quarantined."""

import json
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orderwatch.trackstar.fields import MAX_TEXT_LENGTH
from orderwatch.trackstar.orders import MAX_ID_LENGTH, Order, OrderDetails, OrderPage, Version, VersionClock

NOON = datetime(2026, 1, 5, 12, tzinfo=UTC)
FIELDS = sorted([*Order.model_fields, *OrderDetails.model_fields])
PERSONAL = {
    "full_name": "Jane Personal",
    "company": "Personal Ltd",
    "address1": "1 Personal Street",
    "city": "Personalville",
    "phone_number": "+1-555-PERSONAL",
    "email_address": "jane@personal.example",
}


def page(*records: Any) -> OrderPage:
    body = json.dumps({"data": records, "next_token": None, "total_count": len(records)}).encode()
    return OrderPage.read(body)


def order(**fields: Any) -> Order:
    [read] = page({"id": "1", "status": "open", **fields}).orders
    return read


def value_of(field: str, read: Order) -> object:
    return getattr(read if field in Order.model_fields else read.details, field)


def test_a_full_record_is_read_as_it_is() -> None:
    read = order(
        order_number="#1001",
        raw_status="on hold",
        trackstar_updated_date="2026-01-05T12:00:00Z",
        invoice_currency_code="eur",
        total_price=129.90,
        external_system_url="https://admin.example/1",
        line_items=[{"product_id": "p1", "product_sku": "SKU", "quantity": 2, "unit_price": "64.95"}],
    )
    assert (read.number, read.raw_status, read.details.invoice_currency_code) == ("#1001", "on hold", "EUR")
    assert read.trackstar_updated_date == NOON
    assert str(read.details.total_price) == "129.9"
    assert read.details.external_system_url == "https://admin.example/1"
    assert (read.details.line_items[0].product_sku, read.details.line_items[0].quantity) == ("SKU", Decimal(2))


@pytest.mark.parametrize(
    ("field", "value", "reason"),
    [
        ("order_number", None, "null"),
        ("order_number", "  ", "blank"),
        ("order_number", ["1"], "a list"),
        ("raw_status", {"a": 1}, "an object"),
        ("raw_status", "x" * (MAX_TEXT_LENGTH + 1), "too long: a row holds 400 KB"),
        ("updated_date", "yesterday", "no date"),
        ("created_date", "0001-01-01T00:00:00+05:00", "before time in UTC"),
        ("created_date", "9999-12-31T23:59:59-05:00", "after time in UTC"),
        ("total_price", "free", "no number"),
        ("total_price", "NaN", "not a number"),
        ("total_price", "Infinity", "not finite"),
        ("total_price", "1" * 40, "too many digits"),
        ("invoice_currency_code", "EURO", "no ISO code"),
        ("external_system_url", "javascript:alert(1)", "no web address"),
        ("external_system_url", "https://a b", "a space inside"),
        ("external_system_url", "https://a/" + "x" * 3000, "too long"),
    ],
)
def test_a_malformed_field_becomes_none(field: str, value: object, reason: str) -> None:
    assert value_of(field, order(**{field: value})) is None, reason


@pytest.mark.parametrize(
    ("field", "value", "read"),
    [
        ("order_number", 1001, "1001"),
        ("order_number", " #1 ", "#1"),
        ("total_price", "12.50", Decimal("12.50")),
        ("updated_date", "2026-01-05T12:00:00", NOON),
        ("updated_date", "2026-01-05T13:00:00+01:00", NOON),
    ],
)
def test_a_value_in_another_form_is_converted(field: str, value: object, read: object) -> None:
    assert value_of(field, order(**{field: value})) == read


def test_two_records_of_one_order_keep_their_own_details() -> None:
    read = page(
        {"id": "1", "status": "open", "total_price": 1}, None, {"id": "1", "status": "exception", "total_price": 2}
    )
    assert [each.details.total_price for each in read.orders] == [Decimal(1), Decimal(2)]


def test_a_number_is_accepted_as_an_id() -> None:
    [read] = page({"id": 5501042, "status": "open"}).orders
    assert (read.id, read.number) == ("5501042", "5501042")


@pytest.mark.parametrize("lines", [None, "none", {}, [None, 1, "x", []]])
def test_invalid_lines_leave_an_order_without_lines(lines: object) -> None:
    assert order(line_items=lines).details.line_items == ()


def test_a_malformed_line_does_not_affect_the_others() -> None:
    read = order(line_items=[None, {"product_sku": "", "quantity": "many"}, {"product_sku": "SKU"}])
    assert [line.product_sku for line in read.details.line_items] == [None, "SKU"]


@pytest.mark.parametrize(
    ("record", "order_id", "reason"),
    [
        ({"status": "open"}, None, "id: missing"),
        ({"id": "", "status": "open"}, None, "id: string_too_short"),
        ({"id": None, "status": "open"}, None, "id: string_type"),
        ({"id": ["x"], "status": "open"}, None, "id: string_type"),
        ({"id": "x" * (MAX_ID_LENGTH + 1), "status": "open"}, None, "id: string_too_long"),
        ({"id": "1"}, "1", "status: missing"),
        ({"id": "1", "status": None}, "1", "status: string_type"),
        ({"id": "1", "status": ""}, "1", "status: string_too_short"),
        ({"id": "1", "status": "Jane " * 50}, "1", "status: string_too_long"),
        (None, None, "record: model_type"),
        ("Jane", None, "record: model_type"),
        ([], None, "record: model_type"),
    ],
)
def test_an_invalid_record_is_quarantined_without_its_values(record: object, order_id: str | None, reason: str) -> None:
    read = page({"id": "before", "status": "open"}, record, {"id": "after", "status": "open"})
    assert [order.id for order in read.orders] == ["before", "after"]
    [quarantined] = read.quarantined
    assert quarantined.order_id == order_id
    assert quarantined.reason == reason
    assert "Jane" not in quarantined.reason


@pytest.mark.parametrize(
    "record",
    [
        {"order_id": "1", "reason": "I am quarantined"},
        {"__class__": "Quarantined", "order_id": "1", "reason": "x"},
        {"Order": {"id": "1", "status": "open"}},
        {"type": "Order", "order_id": "1", "reason": "x"},
    ],
)
def test_a_record_shaped_like_our_classes_is_an_invalid_record(record: dict[str, object]) -> None:
    read = page(record)
    assert read.orders == []
    assert read.quarantined[0].reason == "id: missing, status: missing"
    assert read.quarantined[0].order_id is None


def test_no_personal_data_is_read() -> None:
    read = order(
        ship_to_address=PERSONAL,
        bill_to_address=PERSONAL,
        shipments=[{"ship_to_address": PERSONAL}],
        additional_fields={"note": PERSONAL},
        tags=["Jane Personal"],
        customer=PERSONAL,
        line_items=[{"product_sku": "SKU", "gift_note": "For Jane Personal", "ship_to_address": PERSONAL}],
    )
    dumped = (
        read.model_dump_json() + repr(read) + str(read.__dict__) + read.details.model_dump_json() + repr(read.details)
    )
    assert "personal" not in dumped.lower()


def body(*records: bytes, rest: bytes = b', "next_token": null, "total_count": 5}') -> bytes:
    return b'{"data": [' + b", ".join(records) + b"]" + rest


RECORD = b'{"id": "1", "status": "open", "city": "Bonn", "lines": [{"sku": "S"}, {"sku": "T"}], "tags": ["a", "b"]}'
DAMAGED = b'{"id": "2", "status": "open", "city": "a\tb"}'


@pytest.mark.parametrize("records", [[RECORD], [RECORD, DAMAGED, RECORD]], ids=["intact", "damaged"])
def test_a_body_that_is_cut_off_anywhere_is_never_a_page(records: list[bytes]) -> None:
    whole = body(*records)
    assert OrderPage.read(whole).orders
    for size in range(len(whole)):
        with pytest.raises(ValueError, match=r"."):
            OrderPage.read(whole[:size])


def test_a_page_is_read_in_any_order_of_its_keys() -> None:
    for record in (RECORD, DAMAGED):
        read = OrderPage.read(b'{"total_count": 2, "next_token": "t", "data": [' + record + b"]}")
        assert (len(read.orders), read.next_token, read.total_count) == (1, "t", 2)


@pytest.mark.parametrize("value", [b"", b"{", b"[]", b"7", b'{"orders": []}', b'{"data": {}}', b'{"data": null}'])
def test_what_is_not_a_page_is_an_error(value: bytes) -> None:
    with pytest.raises(ValueError, match=r"."):
        OrderPage.read(value)


@given(
    st.recursive(
        st.none() | st.booleans() | st.floats() | st.text() | st.integers(),
        lambda inner: st.lists(inner) | st.dictionaries(st.sampled_from(FIELDS) | st.text(), inner),
    )
)
def test_no_record_can_fail_the_page(record: Any) -> None:
    read = page(record, {"id": "good", "status": "open"})
    assert read.orders[-1].id == "good"
    assert len(read.orders) + len(read.quarantined) == 2
    for each in read.orders:
        assert isinstance(each.details, OrderDetails)


# Versions


@pytest.mark.parametrize(
    ("fields", "clock", "reason"),
    [
        ({"trackstar_updated_date": NOON, "updated_date": NOON - timedelta(hours=1)}, VersionClock.TRACKSTAR, "best"),
        ({"updated_date": NOON}, VersionClock.SHOP, "the connection sends no trackstar dates"),
        ({}, VersionClock.OBSERVED, "no date at all"),
    ],
)
def test_a_version_is_dated_by_the_best_available_clock(
    fields: dict[str, datetime], clock: VersionClock, reason: str
) -> None:
    assert Order(id="1", status="open", **fields).version(NOON) == Version(NOON, clock), reason


@pytest.mark.parametrize(
    ("one", "other", "older"),
    [
        (Version(NOON, VersionClock.TRACKSTAR), Version(NOON + timedelta(seconds=1), VersionClock.TRACKSTAR), True),
        (Version(NOON, VersionClock.TRACKSTAR), Version(NOON, VersionClock.TRACKSTAR), False),
        (Version(NOON, VersionClock.SHOP), Version(NOON + timedelta(days=1), VersionClock.TRACKSTAR), False),
    ],
    ids=["earlier by the same clock", "the same moment", "clocks that cannot be compared"],
)
def test_only_versions_of_the_same_clock_are_compared(one: Version, other: Version, older: bool) -> None:
    assert one.is_older_than(other) is older
