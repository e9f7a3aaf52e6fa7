"""What a message says of the part of an order that has left, of the part that is still to ship, and of parcels."""

import json
import re
from collections.abc import Callable
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest

from orderwatch.alerts.alert import Alert
from orderwatch.alerts.parts import AlertLineItem, AlertShipment
from orderwatch.publishing.enrich import enrich
from orderwatch.publishing.group import group
from orderwatch.rendering import amazon_q, content, email, lists, next_steps, shipping, slack, sms, sns
from orderwatch.trackstar.products import Product
from orderwatch_local.preview.samples import order_alert
from tests.support.alerts import alert_of, parcels, plain_spaces

PARTLY = "partially_fulfilled"
DUE = datetime(2026, 3, 4, 20, tzinfo=UTC)
PARCEL = AlertShipment(carrier="DHL", tracking_number="0034", tracking_url="https://t.example/0034", warehouse="w1")


def line(sku: str, quantity: object = 1, shipped: object = 0, **fields: object) -> AlertLineItem:
    return AlertLineItem.model_validate({"sku": sku, "quantity": quantity, "shipped": shipped, **fields})


def open_order(*lines: AlertLineItem, kind: str = "order.exception", **fields: Any) -> Alert:
    return order_alert(kind, **{"status": PARTLY, "line_items": lines, **fields})


LAMP, CLOCK = line("LAMP", 2, 2), line("CLOCK-S", 1, name="Desk clock, small")
A, B, C, D, E = (line(each) for each in "ABCDE")


@pytest.mark.parametrize(
    ("alert", "said"),
    [
        (open_order(LAMP, CLOCK), "Shipped: 2 of 3 items. Still to ship: 1 × Desk clock, small."),
        (open_order(line("A", 3, 1)), "Shipped: 1 of 3 items. Still to ship: 2 × A."),
        (open_order(line("A", "1.5", "0.5")), "Shipped: 0.5 of 1.5 items. Still to ship: 1 × A."),
        (open_order(line("A", 1, 1)), "Shipped: 1 of 1 item."),
        (open_order(LAMP, line("A", 1, 1)), "Shipped: 3 of 3 items."),
        (open_order(A, B, LAMP), "Shipped: 2 of 4 items. Still to ship: 1 × A; 1 × B."),
        (
            open_order(LAMP, A, B, C, D, E),
            "Shipped: 2 of 7 items. Still to ship: 1 × A; 1 × B; 1 × C; +2 more products.",
        ),
        (open_order(A, line("A"), LAMP), "Shipped: 2 of 4 items. Still to ship: 2 × A."),
        (open_order(LAMP, line("A", None, 0)), "Shipped: 2 items. Still to ship: ? × A."),
        (open_order(LAMP, line("A", None, 1)), "Shipped: 3 items. Still to ship: ? × A."),
        (open_order(A, B, shipments=()), None),
        (open_order(line("A", 1, None)), None),
        (open_order(LAMP, A, more_line_items=1), None),
        (
            open_order(A, shipments=parcels(1), unknown_shipments=1),
            "1 parcel has left, contents unknown. Still to ship, at most: 1 × A.",
        ),
        (
            open_order(LAMP, A, shipments=parcels(3), unknown_shipments=2),
            "Shipped: 2 of 3 items. 2 parcels have left, contents unknown. Still to ship, at most: 1 × A.",
        ),
        (open_order(A, unknown_shipments=1, more_line_items=1), "1 parcel has left, contents unknown."),
        (open_order(unknown_shipments=1), "1 parcel has left, contents unknown."),
        # Not open any more
        (open_order(LAMP, CLOCK, kind="order.recovered", status="processing"), None),
        (open_order(LAMP, CLOCK, kind="order.other", status="fulfilled"), None),
        (open_order(LAMP, CLOCK, kind="order.cancelled", status="cancelled"), None),
    ],
)
def test_what_is_still_to_ship(alert: Alert, said: str | None) -> None:
    assert shipping.progress(alert) == said


HAMBURG = {"w1": "Hamburg"}


@pytest.mark.parametrize(
    ("alert", "said"),
    [
        (
            open_order(line("A", warehouse="w1"), B, kind="order.late", warehouses=HAMBURG),
            "Still to ship: 1 × A (Hamburg); 1 × B.",
        ),
        (
            open_order(line("A", warehouse="w1"), line("B", warehouse="w1"), kind="order.at_risk", warehouses=HAMBURG),
            "Still to ship from Hamburg: 1 × A; 1 × B.",
        ),
        (
            open_order(line("A", warehouse="w1"), line("A", warehouse="w2"), kind="order.late"),
            "Still to ship: 2 × A.",
        ),
        (open_order(line("A", warehouse="wh_2"), kind="order.late"), "Still to ship from wh_2: 1 × A."),
        (open_order(LAMP, line("A", warehouse="w2")), "Shipped: 2 of 3 items. Still to ship from w2: 1 × A."),
        (open_order(line("A", warehouse="w1"), kind="order.exception"), None),
        (open_order(A, kind="order.late"), None),
    ],
)
def test_a_late_order_says_which_warehouse_ships_it(alert: Alert, said: str | None) -> None:
    assert shipping.progress(alert) == said


CHANNELS: dict[str, Callable[[Alert], str]] = {
    "email": email.body,
    "slack": lambda alert: json.dumps(slack.blocks(alert).blocks, ensure_ascii=False),
    "amazon_q": lambda alert: json.dumps(amazon_q.notification(alert), ensure_ascii=False),
}


@pytest.mark.parametrize("channel", CHANNELS)
def test_every_channel_says_what_is_still_to_ship_before_the_items(channel: str) -> None:
    text = plain_spaces(CHANNELS[channel](open_order(LAMP, CLOCK)))
    summary, clock, lamp = (
        text.index(each)
        for each in (
            "Shipped: 2 of 3 items. Still to ship: 1 × Desk clock, small.",
            "1 × Desk clock, small (CLOCK-S)",
            "2 × LAMP – shipped",
        )
    )
    assert summary < clock < lamp


def test_a_text_message_counts_what_is_still_to_ship() -> None:
    late = open_order(LAMP, CLOCK, kind="order.late", url=None)
    assert "Still partly shipped, 1 of 3 items still to ship" in sms.body(late)


@pytest.mark.parametrize("kind", ["order.recovered", "order.other"])
@pytest.mark.parametrize("channel", [*CHANNELS, "sms"])
def test_a_fulfilled_order_has_nothing_still_to_ship(channel: str, kind: str) -> None:
    alert = open_order(line("A", 3, 1), LAMP, kind=kind, status="fulfilled", previous_status="exception")
    text = (CHANNELS | {"sms": sms.body})[channel](alert)
    assert "still to ship" not in text.lower()
    assert "– shipped" not in text


def notes(alert: Alert) -> list[str]:
    return [f"{each.what}: {', '.join(filter(None, [each.notes, each.short]))}" for each in lists.items(alert, 9)]


def test_the_items_say_what_has_left() -> None:
    partly = line("SOCK", 3, 2, on_hand=0)
    order = (LAMP, partly, line("TENT", on_hand=4))
    assert notes(open_order(*order)) == [
        "3 × SOCK: 1 of 3 still to ship, 0 in stock, 1 short",
        "1 × TENT: 4 in stock",
        "2 × LAMP: shipped",
    ]
    assert notes(open_order(*order, kind="order.cancelled", status="cancelled")) == [
        "3 × SOCK: 2 of 3 shipped",
        "1 × TENT: not shipped",
        "2 × LAMP: shipped",
    ]
    unknown = open_order(*order, kind="order.cancelled", status="cancelled", unknown_shipments=1)
    assert notes(unknown)[1] == "1 × TENT: ", "it may be in the parcel whose contents are unknown"
    assert notes(open_order(line("A", None, 1))) == ["? × A: 1 of ? shipped"]


def test_the_stock_of_a_product_is_for_the_lines_that_are_still_to_ship() -> None:
    first, second, third = (line("A", 2, shipped, on_hand=1) for shipped in (2, 1, 0))
    assert notes(open_order(first, second, third)) == [
        "2 × A: 1 of 2 still to ship, 1 in stock for 1 + 2, 2 short",
        "2 × A: ",
        "2 × A: shipped",
    ]


def test_warehouses_are_named_where_they_have_a_name() -> None:
    stock = {"w1": Decimal(3), "w2": Decimal(1)}
    alert = open_order(line("A", on_hand=4, on_hand_by_warehouse=stock), warehouses=HAMBURG)
    assert notes(alert) == ["1 × A: 4 in stock (Hamburg 3, w2 1)"]


def test_what_has_left_is_not_short() -> None:
    facts = {"status": "backordered", "kind": "order.backordered"}
    covered = open_order(line("A", 5, 3, on_hand=2), **facts)
    assert content.explanation(covered) is None
    assert next_steps.next_step(covered) == "The rest is in stock: ask the warehouse why the order is on backorder."
    short = open_order(line("A", 5, 3, on_hand=1), LAMP, **facts)
    assert content.explanation(short) == "1 × A short"
    assert "1 x A short" in email.subject(short)
    kit = open_order(line("SET", 1, 1, is_kit=True), line("A", 1, 0, on_hand=1), **facts)
    assert content.explanation(kit) is None, "a kit that has left is not awaited"


@pytest.mark.parametrize(
    ("alert", "step"),
    [
        (open_order(LAMP, CLOCK, kind="order.late"), "Ship the rest today, or give the customer a new date."),
        (
            open_order(A, unknown_shipments=1, kind="order.late"),
            "Ship the rest today, or give the customer a new date.",
        ),
        (open_order(A, kind="order.late"), "Ship it today, or give the customer a new date."),
        (
            open_order(LAMP, CLOCK, kind="order.at_risk", ship_by=DUE),
            "Make sure the rest ships by Wed 4 Mar 21:00 CET.",
        ),
        (
            open_order(LAMP, line("A", on_hand=1), kind="order.at_risk"),
            "Make sure the rest ships in time. It is in stock.",
        ),
        (
            open_order(LAMP, line("A", on_hand=0), kind="order.at_risk"),
            "Make sure the rest ships in time. Not everything is in stock: 1 × A short.",
        ),
        *(
            (
                open_order(LAMP, kind=kind, status=status),
                "Everything has left: find out why the order is still open in the shop.",
            )
            for kind, status in (
                ("order.late", PARTLY),
                ("order.at_risk", PARTLY),
                ("order.stuck", PARTLY),
                ("order.backordered", "backordered"),
            )
        ),
        (
            open_order(LAMP, kind="order.cancelled", status="cancelled", shipments=parcels(2)),
            "Recall them or await their return.",
        ),
    ],
)
def test_the_next_step_is_about_the_rest(alert: Alert, step: str) -> None:
    assert next_steps.next_step(alert) == step


def cancelled(*shipments: AlertShipment, **fields: Any) -> Alert:
    return order_alert("order.cancelled", **{"shipments": shipments, "warehouses": HAMBURG, **fields})


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({}, "DHL 0034 from Hamburg"),
        ({"warehouse": None}, "DHL 0034"),
        ({"warehouse": "w2", "status": "delivered"}, "DHL 0034 from w2, delivered"),
        ({"status": "Shipped"}, "DHL 0034 from Hamburg"),
        ({"carrier": None}, "0034 from Hamburg"),
        ({"tracking_number": None, "warehouse": None}, "DHL"),
        ({"carrier": None, "tracking_number": None, "warehouse": None}, "Parcel"),
    ],
)
def test_a_parcel_shows_what_is_known_of_it(fields: dict[str, Any], said: str) -> None:
    [parcel] = shipping.parcels(cancelled(PARCEL.model_copy(update=fields)))
    assert parcel == (said, "https://t.example/0034")


@pytest.mark.parametrize("channel", CHANNELS)
def test_every_channel_shows_how_to_find_the_parcel(channel: str) -> None:
    text = plain_spaces(CHANNELS[channel](cancelled(PARCEL)))
    assert "DHL 0034 from Hamburg" in text
    assert "https://t.example/0034" in text
    assert text.index("DHL 0034") < text.index("#1042", text.index("Parcels that have left"))


@pytest.mark.parametrize("channel", CHANNELS)
@pytest.mark.parametrize(
    ("tracked", "others", "not_listed", "more"),
    [(5, 0, 0, None), (6, 0, 0, "+1 more parcel"), (2, 3, 0, "+3 more parcels"), (20, 0, 12, "+27 more parcels")],
)
def test_every_channel_counts_the_parcels_that_it_leaves_out(
    channel: str, tracked: int, others: int, not_listed: int, more: str | None
) -> None:
    numbered = [PARCEL.model_copy(update={"tracking_number": f"N{number:02}"}) for number in range(tracked)]
    text = CHANNELS[channel](cancelled(*(parcels(others) or ()), *numbered, more_shipments=not_listed))
    assert text.count("DHL N") == min(tracked, 5)
    assert (f"{more}" in text) if more else ("more parcel" not in text)
    assert f"{tracked + others + not_listed} parcels have left already" in text


@pytest.mark.parametrize("channel", CHANNELS)
def test_long_words_of_carriers_leave_the_number_of_parcels_exact(channel: str) -> None:
    hostile = AlertShipment(
        carrier="N" + "*" * 150, tracking_number="&" * 160, tracking_url=f"https://t.example/{'x' * 480}"
    )
    text = CHANNELS[channel](cancelled(*[hostile] * 7))
    [more] = re.findall(r"\+(\d) more parcels", text)
    assert len(re.findall("[-•] N", text)) == 7 - int(more)


def test_parcels_of_which_nothing_is_known_are_only_counted() -> None:
    assert "Parcels that have left" not in email.body(cancelled(*(parcels(2) or ())))


@pytest.mark.parametrize(
    ("count", "unknown", "said"),
    [
        (1, 1, "1 parcel has left, contents unknown"),
        (3, 3, "3 parcels have left, contents unknown"),
        (3, 1, "3 parcels have left already, contents of 1 unknown"),
    ],
)
def test_a_cancellation_says_if_the_contents_are_unknown(count: int, unknown: int, said: str) -> None:
    assert content.explanation(cancelled(*(parcels(count) or ()), unknown_shipments=unknown)) == said


def test_the_words_of_a_carrier_are_no_markup() -> None:
    hostile = AlertShipment(carrier="<!here> *DHL*", tracking_number="`1`", tracking_url="https://t.example/<|x>")
    alert = cancelled(hostile)
    assert "<!here>" not in CHANNELS["slack"](alert) + CHANNELS["amazon_q"](alert)
    assert "t.example" not in CHANNELS["slack"](alert) + CHANNELS["email"](alert)
    assert "*DHL*" not in CHANNELS["slack"](alert).replace("{_}|*>DHL", "")


def test_only_a_cancelled_order_shows_its_parcels() -> None:
    assert shipping.parcels(open_order(LAMP, CLOCK, shipments=(PARCEL,))) == []


def test_a_digest_counts_what_is_still_to_ship() -> None:
    lines = (line("LAMP", 3, 3, on_hand=0), line("TENT", 4, 1, on_hand=5))
    members = [open_order(*lines, kind="order.backordered", alert_id=str(n), id=str(n)) for n in range(3)]
    [only] = group(members, threshold=1)
    assert only.alert.digest
    assert [(each.sku, each.outstanding, each.short) for each in only.alert.digest.products] == [
        ("TENT", Decimal(9), Decimal(4))
    ]
    text = plain_spaces(email.body(only.alert))
    assert "- TENT: 4 short, in 3 orders (9 still to ship, 5 in stock)" in text
    assert text.count("129.90 EUR, 3 of 7 items still to ship") == 3


@pytest.mark.parametrize(
    ("kind", "status"), [("order.cancelled", "cancelled"), ("order.recovered", "processing"), ("order.x", "fulfilled")]
)
def test_a_digest_of_orders_that_are_not_open_counts_their_items(kind: str, status: str) -> None:
    members = [open_order(line("A", 4, 1), kind=kind, status=status, alert_id=str(n), id=str(n)) for n in range(2)]
    [only] = group(members, threshold=1)
    assert ", 4 items" in plain_spaces(email.body(only.alert))
    assert "still to ship" not in plain_spaces(email.body(only.alert))


def test_product_details_keep_what_has_left_of_a_line() -> None:
    record = {
        "line_items": [{"product_id": "7", "product_sku": "A", "quantity": 3}],
        "shipments": [{"line_items": [{"product_id": "7", "quantity": 2}]}],
        "shipping_groups": [{"warehouse_id": "w1", "line_items": [{"product_id": "7"}]}],
    }
    [alert] = enrich([alert_of("1", record=record)], {"7": Product(id="7", name="Lamp\n" * 100, inventory=Decimal(1))})
    assert alert.order
    [found] = alert.order.line_items
    assert (found.quantity, found.shipped, found.outstanding, found.warehouse) == (*map(Decimal, (3, 2, 1)), "w1")
    assert (found.on_hand, len(found.name or ""), "\n" in (found.name or "")) == (Decimal(1), 160, False)
    shown = json.loads(sns.json_body(alert))["order"]["line_items"][0]
    assert (shown["quantity"], shown["shipped"], shown["outstanding"], shown["warehouse"]) == (3, 2, 1, "w1")
