"""Trackstar's records: invalid fields become None, invalid orders are quarantined (rule 9), versions (rule 3)."""

import json
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given

from orderwatch.trackstar.connections import TrackstarConnection
from orderwatch.trackstar.orders import Order, OrderDetails, OrderPage, Version, VersionClock
from orderwatch.trackstar.products import Product
from orderwatch.trackstar.shipments import Shipment, ShippingGroup
from tests.support.any_record import ANY_JSON
from tests.support.clocks import NOON

HOUR = timedelta(hours=1)


def page(*records: Any, **rest: object) -> OrderPage:
    return OrderPage.read(json.dumps({"data": records, "next_token": None, **rest}).encode())


def order(**fields: Any) -> Order:
    [read] = page({"id": "1", "status": "open", **fields}).orders
    return read


def value_of(field: str, read: Order) -> object:
    return getattr(read if hasattr(read, field) else read.details, {"shipments": "left"}.get(field, field))


# Fields


@pytest.mark.parametrize(
    ("field", "value", "read"),
    [
        ("order_number", "#1001", "#1001"),
        ("order_number", " #1 ", "#1"),
        ("order_number", 1001, "1001"),
        ("order_number", "x", "x"),
        ("order_number", None, None),
        ("order_number", "  ", None),
        ("order_number", ["1"], None),
        ("raw_status", "on hold", "on hold"),
        ("raw_status", "x" * 2048, "x" * 2048),
        ("raw_status", "x" * 2049, None),
        ("raw_status", {"a": 1}, None),
        ("updated_date", "2026-01-05T12:00:00Z", NOON),
        ("updated_date", "2026-01-05T12:00:00", NOON),
        ("updated_date", "2026-01-05T13:00:00+01:00", NOON),
        ("created_date", "0001-01-01T00:00:00+05:00", None),
        ("trackstar_updated_date", "9999-12-31T23:59:59-05:00", None),
        ("updated_date", "2026-01-05 13:00:00 +0100", NOON),
        ("latest_ship_date", "2026-01-05T00:00:00+01:00", datetime(2026, 1, 5, tzinfo=UTC)),
        ("latest_ship_date", "Mon, 05 Jan 2026 00:00:00 -0500", datetime(2026, 1, 5, tzinfo=UTC)),
        ("latest_ship_date", "2026-01-05T13:00:00+01:00", NOON),
        ("total_price", 129.90, Decimal("129.9")),
        ("total_price", "12.50", Decimal("12.50")),
        ("total_price", "1" * 30, Decimal("1" * 30)),
        ("total_price", "1" * 31, None),
        ("total_price", "free", None),
        ("total_price", "NaN", None),
        ("total_price", "Infinity", None),
        ("invoice_currency_code", "eur", "EUR"),
        ("invoice_currency_code", "EURO", None),
        ("external_system_url", "https://admin.example/1", "https://admin.example/1"),
        ("external_system_url", "https://a/" + "x" * 2038, "https://a/" + "x" * 2038),
        ("external_system_url", "https://a/" + "x" * 2039, None),
        ("external_system_url", "javascript:alert(1)", None),
        ("external_system_url", "https://a b", None),
        ("shipments", [], ()),
        ("shipments", {}, None),
        ("shipments", [None, 7, "shipped", [], {"status": "shipped"}], (Shipment(status="shipped"),)),
        ("shipping_groups", None, ()),
        ("shipping_groups", [None, {"warehouse_id": 7}], (ShippingGroup(warehouse_id="7"),)),
        ("line_items", None, ()),
        ("line_items", {}, ()),
        ("line_items", [None, 1, "x", []], ()),
    ],
)
def test_a_field_is_converted_or_becomes_none(field: str, value: object, read: object) -> None:
    assert value_of(field, order(**{field: value})) == read


SENT: list[object] = ["shipped", "in_transit", "exception", None, 7, {}, "avoided", "not voided", "cancel requested"]
SENT += ["cancellation_pending", "Cancellation rejected", "partially returned", "return requested", "unreturned"]
SENT += ["non-voided", "not yet cancelled", "to be cancelled", "void_failed", "returning", "return label created"]
NOT_SENT = ["voided", "VOID", "cancelled", "canceled", "Cancelled ", "cancellation", "Label voided", "label_voided"]
NOT_SENT += ["LabelVoided", "returned", "RETURNED-TO-SENDER", "return to sender", "ReturnToSender", "order/cancelled"]
NOT_SENT += ["Returned: delivery failed", "delivery failed, returned", "RETURN TO SENDER (refused)", "CANCELLED_BY_US"]


@pytest.mark.parametrize("field", ["status", "raw_status"])
@pytest.mark.parametrize(("value", "left"), [*((each, 1) for each in SENT), *((each, 0) for each in NOT_SENT)])
def test_only_shipments_that_have_left_are_counted(field: str, value: object, left: int) -> None:
    details = order(shipments=[{"status": "shipped", field: value}]).details
    assert details.left is not None
    assert len(details.left) == left


def test_a_malformed_line_does_not_affect_the_others() -> None:
    read = order(line_items=[None, {"product_sku": "", "quantity": "many"}, {"product_sku": 7, "quantity": "2"}])
    assert [(line.product_sku, line.quantity) for line in read.details.line_items] == [(None, None), ("7", 2)]


def test_two_records_of_one_order_keep_their_own_details() -> None:
    good, other = {"id": "1", "status": "open", "total_price": 1}, {"id": "1", "status": "exception", "total_price": 2}
    for records in ([good, other], [good, None, other]):
        assert [each.details.total_price for each in page(*records).orders] == [Decimal(1), Decimal(2)]


def test_an_order_without_its_record_has_no_details() -> None:
    assert Order(id="1", status="open").details == OrderDetails()


@pytest.mark.parametrize(
    ("fields", "seen"),
    [
        ({"trackstar_created_date": "2026-01-05T12:00:00Z", "created_date": "2026-01-01T12:00:00Z"}, NOON),
        ({"created_date": "2026-01-05T12:00:00Z"}, NOON),
        ({}, None),
    ],
)
def test_an_order_is_first_seen_when_trackstar_created_it(fields: dict[str, str], seen: datetime | None) -> None:
    assert order(**fields).details.first_seen_by_trackstar == seen


# Records


@pytest.mark.parametrize(
    ("record", "order_id", "reason"),
    [
        ({"status": "open"}, None, "id is missing"),
        ({"id": "", "status": "open"}, None, "id is empty"),
        ({"id": None, "status": "open"}, None, "id must be a text"),
        ({"id": ["x"], "status": "open"}, None, "id must be a text"),
        ({"id": "x" * 257, "status": "open"}, None, "id has more than 256 characters"),
        ({"id": "x" * 256}, "x" * 256, "status is missing"),
        ({"id": "\u200b"}, None, "status is missing"),
        ({"id": "1", "status": None}, "1", "status must be a text"),
        ({"id": "1", "status": ""}, "1", "status is empty"),
        ({"id": "1", "status": "Jane " * 26}, "1", "status has more than 128 characters"),
        ({"order_id": "1", "reason": "x", "__class__": "Quarantined"}, None, "id is missing; status is missing"),
        ({"id": "1", "status": "Jane\ufffd"}, "1", "status is malformed"),
        (None, None, "record must be an object"),
        ("Jane", None, "record must be an object"),
        ([], None, "record must be an object"),
    ],
)
def test_an_invalid_record_is_quarantined_without_its_values(record: object, order_id: str | None, reason: str) -> None:
    read = page({"id": "before", "status": "open"}, record, {"id": "after", "status": "open"})
    assert [each.id for each in read.orders] == ["before", "after"]
    [quarantined] = read.quarantined
    assert (quarantined.order_id, quarantined.reason) == (order_id, reason)
    assert quarantined.key == (order_id or f"without id ({reason})")


@pytest.mark.parametrize(
    ("order_id", "read", "quarantine_key"),
    [("1", "1", "1"), (5501042, "5501042", "5501042"), ("x" * 256, "x" * 256, "x" * 256), ("a\x1bb", "a\x1bb", "a b")],
)
def test_an_order_is_known_by_its_id(order_id: object, read: str, quarantine_key: str) -> None:
    found = order(id=order_id)
    assert (found.id, found.number, found.quarantine_key) == (read, read, quarantine_key)
    assert order(id=order_id, order_number="#7").number == "#7"


@given(ANY_JSON)
def test_no_record_can_fail_the_page(record: Any) -> None:
    read = page(record, {"id": "good", "status": "open"})
    assert read.orders[-1].id == "good"
    assert len(read.orders) + len(read.quarantined) == 2
    for each in read.orders:
        assert isinstance(each.details, OrderDetails)


# Pages


RECORD = b'{"id": "1", "status": "open", "city": "Bonn", "lines": [{"sku": "S"}, {"sku": "T"}], "tags": ["a", "b"]}'
DAMAGED = b'{"id": "2", "status": "open", "city": "a\tb"}'


@pytest.mark.parametrize("records", [RECORD, RECORD + b", " + DAMAGED], ids=["intact", "damaged"])
def test_a_body_that_is_cut_off_anywhere_is_never_a_page(records: bytes) -> None:
    whole = b'{"data": [' + records + b'], "next_token": null, "total_count": 5}'
    assert OrderPage.read(whole).orders
    for size in range(len(whole)):
        with pytest.raises(ValueError, match=r"."):
            OrderPage.read(whole[:size])


@pytest.mark.parametrize("record", [RECORD, DAMAGED])
def test_a_page_is_read_in_any_order_of_its_keys(record: bytes) -> None:
    read = OrderPage.read(b'{"total_count": 2, "next_token": "t", "data": [' + record + b"]}")
    assert (len(read.orders), read.next_token, read.total_count) == (1, "t", 2)


@pytest.mark.parametrize("value", [b"", b"{", b"[]", b"7", b'{"orders": []}', b'{"data": {}}', b'{"data": null}'])
def test_what_is_not_a_page_is_an_error(value: bytes) -> None:
    with pytest.raises(ValueError, match=r"."):
        OrderPage.read(value)


@pytest.mark.parametrize(
    ("count", "read"),
    [
        ("0", 0),
        ("1000000000", 1_000_000_000),
        ("1000000001", None),
        ("9" * 5000, None),
        ("-1", None),
        ("3.5", None),
        ("1e999", None),
        ("NaN", None),
        ("true", None),
        ('"3"', None),
        ("[]", None),
        ("null", None),
    ],
)
def test_an_implausible_count_is_ignored(count: str, read: int | None) -> None:
    assert OrderPage.read(f'{{"data": [], "total_count": {count}}}'.encode()).total_count == read


@pytest.mark.parametrize("token", ["t", "t" * 4096, "a b/+=="])
def test_a_page_token_is_read_as_it_is(token: str) -> None:
    assert page(next_token=token).next_token == token


@pytest.mark.parametrize("token", ["t" * 4097, "\ufffd", "a\tb", 7, {}, []])
def test_an_invalid_page_token_is_an_error_and_not_the_last_page(token: object) -> None:
    with pytest.raises(ValueError, match="next_token"):
        page(next_token=token)


# Versions


@pytest.mark.parametrize(
    ("fields", "version"),
    [
        ({"trackstar_updated_date": NOON, "updated_date": NOON - HOUR}, Version(NOON, VersionClock.TRACKSTAR)),
        ({"updated_date": NOON}, Version(NOON, VersionClock.SHOP)),
        ({"updated_date": NOON - HOUR}, Version(NOON - HOUR, VersionClock.SHOP)),
        ({"updated_date": NOON + HOUR}, Version(NOON, VersionClock.OBSERVED)),
        ({}, Version(NOON, VersionClock.OBSERVED)),
    ],
)
def test_a_version_is_dated_by_the_best_available_clock(fields: dict[str, datetime], version: Version) -> None:
    assert Order(id="1", status="open", **fields).version(NOON) == version


@pytest.mark.parametrize(
    ("clock", "at", "older"),
    [
        (VersionClock.TRACKSTAR, NOON + timedelta(seconds=1), True),
        (VersionClock.TRACKSTAR, NOON, False),
        (VersionClock.TRACKSTAR, NOON - HOUR, False),
        (VersionClock.SHOP, NOON + HOUR, False),
    ],
)
def test_only_versions_of_the_same_clock_are_compared(clock: VersionClock, at: datetime, older: bool) -> None:
    assert Version(NOON, VersionClock.TRACKSTAR).is_older_than(Version(at, clock)) is older


# Connections and products


def schedule_of(**fields: object) -> TrackstarConnection:
    schedules = [{"function_name": "get_products"}, {"function_name": "get_orders", **fields}]
    return TrackstarConnection.model_validate({"sync_schedules": schedules})


@pytest.mark.parametrize(
    ("frequency", "seconds"),
    [
        (300, 300),
        (1, 1),
        (31 * 86_400, 31 * 86_400),
        (31 * 86_400 + 1, 3600),
        (0, 3600),
        (-0.5, 3600),
        (1e15, 3600),
        ("often", 3600),
        (None, 3600),
    ],
)
def test_an_implausible_sync_frequency_becomes_the_default(frequency: object, seconds: int) -> None:
    assert schedule_of(sync_frequency=frequency).sync_frequency == timedelta(seconds=seconds)


ELEVEN, TWELVE, ONE = (f"2026-01-05T{hour}:00:00Z" for hour in (11, 12, 13))


@pytest.mark.parametrize(
    ("fields", "synced_at", "complete_until"),
    [
        ({}, None, None),
        ({"last_crawl_start": ELEVEN, "last_crawl_end": TWELVE}, NOON, NOON - HOUR),
        ({"last_crawl_start": TWELVE, "last_crawl_end": TWELVE}, NOON, NOON),
        ({"last_crawl_start": ELEVEN, "last_crawl_end": TWELVE, "latest_sync": ONE}, NOON + HOUR, NOON + HOUR),
        ({"last_crawl_start": ONE, "last_crawl_end": TWELVE}, NOON, NOON),
        ({"last_crawl_start": ELEVEN}, None, None),
        ({"last_crawl_end": TWELVE, "latest_data": ONE}, NOON, NOON),
        ({"latest_sync": TWELVE, "latest_data": ONE}, NOON, NOON),
        ({"latest_data": ONE}, NOON + HOUR, NOON + HOUR),
    ],
)
def test_a_copy_is_complete_until_its_last_sync_began(
    fields: dict[str, str], synced_at: datetime | None, complete_until: datetime | None
) -> None:
    schedule = schedule_of(**fields).orders_schedule
    assert (schedule.synced_at, schedule.complete_until) == (synced_at, complete_until)


def test_a_products_counts_are_those_that_are_known() -> None:
    record = {"id": 7, "parent_product_id": "7", "inventory_by_warehouse_id": {"a": 1, "b": None, "c": "many", "d": 0}}
    product = Product.model_validate(record)
    assert (product.id, product.is_parent) == ("7", True)
    assert product.on_hand_by_warehouse == {"a": 1, "d": 0}
    other = Product.model_validate({"id": "8", "parent_product_id": "7", "active": "perhaps"})
    assert (other.is_parent, other.active, other.on_hand_by_warehouse) == (False, None, {})
