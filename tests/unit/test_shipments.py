"""Rule 22: what has left of each order line, by any kind of shipment record, and which warehouse ships the rest."""

from collections.abc import Sequence
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orderwatch.alerts.parts import outstanding_units
from orderwatch.polling.detect import alert_lines, alert_shipments
from orderwatch.records import Extract
from orderwatch.trackstar.orders import OrderDetails
from orderwatch.trackstar.shipments import warehouses_of_lines
from tests.support.alerts import alert_of

type Record = dict[str, Any]


def line(product_id: object = None, sku: object = None, quantity: object = 1, **fields: object) -> Record:
    return {"product_id": product_id, "product_sku": sku, "quantity": quantity} | fields


def parcel(*lines: object, **fields: object) -> Record:
    return {"status": "shipped", "line_items": list(lines)} | fields


def read(lines: object, shipments: object = None, groups: object = None) -> OrderDetails:
    return OrderDetails.model_validate({"line_items": lines, "shipments": shipments, "shipping_groups": groups})


PLACEHOLDERS: tuple[object, ...] = (0, "0", "None", "null", "", " ", "-1", "n/a", None)
NO_UNITS: tuple[object, ...] = (None, 0, -1, "many", [])
NO_LIST: tuple[object, ...] = (None, {}, "shipped", 1)
LAMP, TENT = line("7", "LAMP", 3), line("8", "TENT", 2)


@pytest.mark.parametrize(
    ("lines", "shipments", "shipped", "unknown", "why"),
    [
        ([LAMP, TENT], [], [0, 0], 0, "nothing has left"),
        ([LAMP, TENT], [parcel(line("7", "LAMP", 2))], [2, 0], 0, "a part has left"),
        ([LAMP, TENT], [parcel(line("7", "LAMP"), line("8", "TENT", 2))], [1, 2], 0, "one shipment, two lines"),
        ([LAMP], [parcel(line("7", "LAMP")), parcel(line("7", "LAMP"))], [2], 0, "several shipments add up"),
        ([LAMP], [parcel(line("7", "LAMP", 2))] * 2, [3], 0, "never beyond what was ordered"),
        ([LAMP, TENT], [parcel(line("7", "LAMP", 9))], [3, 0], 0, "what is left over is ignored"),
        ([line("7", "A", "2.5")], [parcel(line("7", "A", 0.5)), parcel(line("7", "A", "1,5"))], [2], 0, "fractions"),
        # Which line
        ([LAMP], [parcel(line("9", "LAMP"))], [1], 0, "the SKU alone is enough"),
        ([LAMP], [parcel(line("7"))], [1], 0, "the id alone is enough where the shipped line has no SKU"),
        ([line("7", None, 3)], [parcel(line("7", "LAMP"))], [1], 0, "the id alone, where the order line has no SKU"),
        ([LAMP], [parcel(line("7", "MAST"))], [0], 1, "one id, two SKUs: two products"),
        ([LAMP], [parcel(line("9"))], [0], 1, "an unknown product"),
        ([line("7", "RED"), line("7", "BLUE")], [parcel(line("7", "BLUE"))], [0, 1], 0, "variants share an id"),
        ([line("7", "RED"), line("7", "BLUE")], [parcel(line("7"))], [0, 0], 1, "which variant is not known"),
        ([line("7", "RED"), line("7")], [parcel(line("7"))], [0, 0], 1, "whether both are one product is not known"),
        (
            [line("7", "RED"), line("8", "BLUE")],
            [parcel(line("1", "BLUE"))],
            [0, 1],
            0,
            "a parent's id in the shipment",
        ),
        ([LAMP], [parcel(line(None, " lamp "))], [1], 0, "blanks and letter case of a SKU say nothing"),
        ([line("7", "a"), line("7", "B")], [parcel(line("7", "A"))], [1, 0], 0, "nor beside an id"),
        ([line(7, 70, 3)], [parcel(line("7", "70", "2"))], [2], 0, "numbers and texts are alike"),
        *(
            ([line(each, "A"), line(each, "B")], [parcel(line(each, "B"))], [0, 1], 0, f"{each!r} is no id")
            for each in PLACEHOLDERS
        ),
        ([line("0", "None")], [parcel(line("0", "None"))], [0], 1, "placeholders on both sides agree on nothing"),
        ([line(None, "A", line_item_id="0")], [parcel(line(None, "B", line_item_id="0"))], [0], 1, "nor as line ids"),
        # Two lines of one product
        ([LAMP, LAMP], [parcel(line("7", "LAMP", 4))], [3, 1], 0, "they fill in their order"),
        ([LAMP, LAMP], [parcel(line("7", "LAMP", 2)), parcel(line("7", "LAMP", 2))], [3, 1], 0, "over shipments too"),
        (
            [LAMP | {"line_item_id": "a"}, LAMP | {"line_item_id": "b"}],
            [parcel(line("7", "LAMP", 2, line_item_id="b"))],
            [0, 2],
            0,
            "a line id says which",
        ),
        # Strong before weak
        (
            [line("7", "A"), line("8", "A")],
            [parcel(line(None, "A")), parcel(line("7", "A"))],
            [1, 1],
            0,
            "the SKU alone comes after the id, in whatever order they are listed",
        ),
        (
            [line("7", "A", line_item_id="a"), line("7", "A", line_item_id="b")],
            [parcel(line("7", "A"), line(None, None, line_item_id="a"))],
            [1, 1],
            0,
            "the product comes after the line id",
        ),
        (
            [line("7", "A"), line("8", "A")],
            [parcel(line("8", "A", 9))],
            [0, 1],
            0,
            "a strong match does not spill over",
        ),
        ([line("7", "A", line_item_id="a")], [parcel(line("7", "A", line_item_id="z"))], [1], 0, "an unknown line id"),
        # What cannot be counted
        ([LAMP], [parcel()], [0], 1, "no lines"),
        ([LAMP], [{"status": "shipped"}], [0], 1, "no list of lines"),
        ([LAMP], [parcel("LAMP", None, 7)], [0], 1, "lines that are no objects"),
        *(([LAMP], [parcel(line("7", "LAMP", each))], [0], 1, f"{each!r} units") for each in NO_UNITS),
        ([LAMP], [parcel(line("7", "LAMP"), line("9"))], [1], 0, "one of its lines is counted"),
        ([LAMP], [parcel(), parcel(line("7", "LAMP", 2)), parcel()], [2], 2, "each shipment by itself"),
        ([], [parcel(line("7", "LAMP"))], [], 1, "the order has no lines"),
        ([line("7", "LAMP", None)], [parcel(line("7", "LAMP", 2))], [2], 0, "how many were ordered is not known"),
        # What has not left
        *(
            ([LAMP], [parcel(line("7", "LAMP"), **{field: word})], [0], 0, word)
            for field in ("status", "raw_status")
            for word in ("voided", "Cancelled", "RETURNED")
        ),
        # Not known
        *(([LAMP, TENT], each, [None, None], 0, "no list of shipments") for each in NO_LIST),
    ],
)
def test_units_that_have_left(
    lines: list[Record], shipments: object, shipped: Sequence[object], unknown: int, why: str
) -> None:
    found = read(lines, shipments).shipped_units
    assert (list(found.by_line), found.unknown) == (list(shipped), unknown), why


@pytest.mark.parametrize(
    ("quantity", "shipped", "outstanding"),
    [(3, 2, 1), (3, 3, 0), ("2.5", 1, "1.5"), (3, None, 3), (None, 2, None), (None, None, None)],
)
def test_what_is_outstanding_of_a_line(quantity: object, shipped: object, outstanding: object) -> None:
    shipments = None if shipped is None else [parcel(line("7", "LAMP", shipped))]
    details = read([line("7", "LAMP", quantity)], shipments)
    expected = None if outstanding is None else Decimal(str(outstanding))
    [shown] = alert_lines(details)
    kept = [each.quantity for each in Extract.of(details).lines]
    assert shown.outstanding == expected
    assert kept == ([] if expected == 0 else [expected]), "a row keeps the lines of which something is to ship"


def test_the_row_keeps_nothing_of_a_parcel() -> None:
    details = read(
        [LAMP, TENT], [parcel(line("8", "TENT", 2), tracking_number="1Z1", tracking_url="https://t.example/1")]
    )
    assert Extract.of(details).to_json() == '{"lines":[{"sku":"LAMP","quantity":"3","product_id":"7"}]}'


def test_the_lines_beyond_the_row_are_those_that_are_to_ship() -> None:
    lines = [line(str(number), f"S{number}") for number in range(1, 31)]
    extract = Extract.of(read(lines, [parcel(*lines[:5])]))
    assert (extract.lines[0].sku, len(extract.lines), extract.more_lines) == ("S6", 20, 5)


def test_an_alert_shows_the_parcels_that_have_left() -> None:
    facts = {
        "carrier": "Swift &amp; Co",
        "tracking_number": " 00340 4341\n6109 ",
        "tracking_url": "https://t.example/1",
    }
    details = read([], [parcel(**facts, warehouse_id="wh_1"), parcel(status="voided"), {"raw_status": "On its way"}])
    shown = alert_shipments(details)
    assert shown is not None
    assert [each.model_dump(exclude_none=True) for each in shown] == [
        {
            "carrier": "Swift & Co",
            "tracking_number": "00340 4341 6109",
            "tracking_url": "https://t.example/1",
            "status": "shipped",
            "warehouse": "wh_1",
        },
        {"status": "On its way"},
    ]


@pytest.mark.parametrize(
    "hostile",
    [
        {"tracking_number": "0", "carrier": "None"},
        {"tracking_url": "javascript:alert(1)"},
        {"tracking_url": "https://t.example/jane@mail.example"},
        {"tracking_url": f"https://t.example/{'x' * 500}"},
        {"carrier": {}, "tracking_number": [], "tracking_url": 7, "warehouse_id": "x" * 161},
    ],
)
def test_what_is_no_tracking_data_is_left_out(hostile: Record) -> None:
    [shown] = alert_shipments(read([], [hostile])) or ()
    assert not shown.model_dump(exclude_none=True)


def test_contact_data_in_tracking_data_is_masked() -> None:
    [shown] = (
        alert_shipments(read([], [{"carrier": "call +49 170 1234567", "tracking_number": "jane@mail.example"}])) or ()
    )
    assert (shown.carrier, shown.tracking_number) == ("call [phone]", "[e-mail]")


def group(warehouse: object, *lines: Record, **fields: object) -> Record:
    return {"warehouse_id": warehouse, "status": "open", "line_items": list(lines)} | fields


@pytest.mark.parametrize(
    ("groups", "expected", "why"),
    [
        (None, [None, None], "no groups"),
        ([group("w1", LAMP), group("w2", TENT)], ["w1", "w2"], "each its own"),
        ([group("w1", line("7", None, None))], ["w1", None], "a quantity is not needed"),
        ([group("w1", LAMP), group("w2", LAMP)], [None, None], "two warehouses ship parts of one line"),
        ([group("w1", LAMP), group("w1", LAMP)], ["w1", None], "two groups of one warehouse"),
        ([group("w1", LAMP), group(None, LAMP)], [None, None], "the other warehouse is not known"),
        ([group("w1", LAMP, status="Shipped"), group("w2", LAMP)], ["w2", None], "the first part has left"),
        ([group("w1", LAMP, raw_status="cancelled"), group("w2", LAMP)], ["w2", None], "called off"),
        ([group("0", LAMP)], [None, None], "a placeholder is no warehouse"),
        ([group("w1", line("9", "MAST"))], [None, None], "an unknown product"),
    ],
)
def test_the_warehouse_that_will_ship_a_line(groups: object, expected: list[str | None], why: str) -> None:
    details = read([LAMP, TENT], None, groups)
    assert warehouses_of_lines(details.line_items, details.shipping_groups) == expected, why


IDS: list[object] = [None, "", "0", "None", 7, "7", "8", " 8 ", True, {}]
AMOUNTS: list[object] = [None, 0, 1, 2, -1, 0.5, "2", "1,5", "many", 10**29, "1e-9", [], True]
ANYTHING = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=5), st.just([]), st.just({})
)
LINES = st.fixed_dictionaries(
    {},
    optional={
        "line_item_id": st.sampled_from(IDS),
        "product_id": st.sampled_from(IDS),
        "product_sku": st.sampled_from([None, "A", "a", "B", " B ", "None", 7]),
        "quantity": st.sampled_from(AMOUNTS),
    },
)
ANY_LINES = st.lists(LINES | ANYTHING, max_size=5) | ANYTHING
PARTS = st.fixed_dictionaries(
    {"line_items": ANY_LINES},
    optional={
        name: st.sampled_from(["shipped", "voided", "w1"]) | ANYTHING
        for name in ("status", "raw_status", "warehouse_id", "carrier", "tracking_number", "tracking_url")
    },
)
ANY_PARTS = st.lists(PARTS | ANYTHING, max_size=4) | ANYTHING


@given(lines=ANY_LINES, shipments=ANY_PARTS, groups=ANY_PARTS)
def test_no_more_leaves_than_was_ordered(lines: object, shipments: object, groups: object) -> None:
    details = read(lines, shipments, groups)
    units, shown = details.shipped_units, alert_lines(details)
    Extract.of(details).to_json()
    for ordered, shipped, listed in zip(details.line_items, units.by_line, shown, strict=True):
        if shipped is None:
            assert details.left is None
        elif ordered.quantity is not None:
            assert 0 <= shipped <= max(ordered.quantity, Decimal(0))
        assert listed.outstanding == outstanding_units(ordered.quantity, shipped)
    assert 0 <= units.unknown <= len(details.left or ())
    assert len(alert_shipments(details) or ()) == len(details.left or ())


@pytest.mark.parametrize("filler", ["\U0001f600", "\x01", '"'])
def test_the_largest_alert_fits_a_row(filler: str) -> None:
    text = filler * 150
    lines = [line(f"{number}{text}", f"{number}{text}") for number in range(120)]
    part = {"carrier": f"c{text}", "tracking_number": f"t{text}", "warehouse_id": f"w{text}", "status": f"s{text}"}
    link = {"tracking_url": f"https://t.example/{'é' * 480}"}
    record = {
        "line_items": lines,
        "shipments": [parcel(**part, **link)] * 30,
        "shipping_groups": [group("w" + text, *lines)],
    }
    alert = alert_of("1", record=record | {"raw_status": text})
    assert alert.order
    assert (len(alert.order.line_items), alert.order.more_line_items) == (100, 20)
    assert (len(alert.order.shipments or ()), alert.order.more_shipments, alert.order.unknown_shipments) == (20, 10, 30)
    assert alert.order.line_items[99].warehouse
    assert len(alert.model_dump_json().encode()) < 390_000, "DynamoDB takes 400 KB"
