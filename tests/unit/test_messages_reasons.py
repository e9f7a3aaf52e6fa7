"""A shop's reason in words, and the texts of the kinds."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from orderwatch.alerts.alert import Alert
from orderwatch.alerts.parts import AlertLineItem
from orderwatch.publishing.group import group, merge_alerts
from orderwatch.rendering import content, email, lists, slack, sms
from orderwatch_local.preview.samples import SAMPLES, order_alert
from tests.support.alerts import parcels, plain_spaces


@pytest.mark.parametrize(
    ("raw", "said"),
    [
        ("address_verification_failed", "Address check failed (address_verification_failed)."),
        ("payment_review", "Payment under review (payment_review)."),
        ("InvoiceUnconfirmed", "Invoice not confirmed (InvoiceUnconfirmed)."),
        ("label_error", "Label error."),
        ("HIGH_RISK_OF_FRAUD", "High risk of fraud."),
        ("on-hold", "On hold (on-hold)."),
        ("PAYMENT_DECLINED: card expired", "PAYMENT DECLINED: card expired."),
        ("Address verification failed", "Address verification failed."),
        ("Supplier delayed", "Supplier delayed."),
        ("__x__", "__x__."),
    ],
)
def test_a_machine_code_is_shown_in_words(raw: str, said: str) -> None:
    alert = order_alert("order.exception", raw_status=raw)
    assert email.body(alert).startswith(said)
    assert alert.order
    assert alert.order.raw_status == raw


def _opening(alert: Alert) -> str:
    """The first two lines of the e-mail."""
    return "\n".join(plain_spaces(email.body(alert)).splitlines()[:2])


_DUE: dict[str, Any] = {"ship_by": datetime(2026, 3, 11, 14, 30, tzinfo=UTC), "status": "open"}


def _line(on_hand: int | None) -> dict[str, Any]:
    return {"line_items": (AlertLineItem.model_validate({"sku": "LAMP", "quantity": 3, "on_hand": on_hand}),)}


@pytest.mark.parametrize(
    ("alert", "opening"),
    [
        (
            order_alert("order.cancelled", raw_status="cancelled_by_customer", shipments=parcels(0)),
            "Cancelled by customer. Nothing has shipped. 129.90 EUR.\nDo: stop picking.",
        ),
        (
            order_alert("order.late", **_DUE | {"status": "partially_fulfilled", "due_at": _DUE["ship_by"]}),
            (
                "Still partly shipped. Ship by Wed 11 Mar 15:30 CET (less than a minute overdue). 129.90 EUR.\n"
                "Do: ship it today, or give the customer a new date."
            ),
        ),
        (
            order_alert("order.at_risk", **_DUE),
            (
                "Still open. Ship by Wed 11 Mar 15:30 CET (in 7 d). 129.90 EUR.\n"
                "Do: make sure it ships by Wed 11 Mar 15:30 CET."
            ),
        ),
        (
            order_alert("order.at_risk", **_DUE, **_line(3)),
            (
                "Still open. Ship by Wed 11 Mar 15:30 CET (in 7 d). 129.90 EUR.\n"
                "Do: make sure it ships by Wed 11 Mar 15:30 CET. Everything is in stock."
            ),
        ),
        (
            order_alert("order.at_risk", **_DUE, **_line(1)),
            (
                "Still open. Ship by Wed 11 Mar 15:30 CET (in 7 d). 129.90 EUR.\n"
                "Do: make sure it ships by Wed 11 Mar 15:30 CET. Not everything is in stock: 2 \u00d7 LAMP short."
            ),
        ),
        (
            SAMPLES["order.stuck"],
            "Confirmed for 3 business days, with no ship-by date. 129.90 EUR.\nDo: find out what is holding it up.",
        ),
        (
            SAMPLES["order.restocked"],
            (
                "Backordered order #1042 can ship now. Ship by Mon 9 Mar 17:00 CET (in 5 d). 104.20 EUR.\n"
                "Do: ship it: everything that is still to ship is in stock."
            ),
        ),
        (
            SAMPLES["order.recovered"],
            (
                "Order #1042 is no longer in exception: now processing. Taken by Ana. 129.90 EUR.\n"
                "No action needed. The problem is resolved."
            ),
        ),
    ],
    ids=["cancelled", "late", "at risk", "at risk, in stock", "at risk, short", "stuck", "restocked", "recovered"],
)
def test_the_opening_says_what_happened_and_what_to_do(alert: Alert, opening: str) -> None:
    assert _opening(alert) == opening


@pytest.mark.parametrize(
    ("facts", "total"),
    [
        ({}, "129.90 EUR"),
        ({"total_tax": 20, "total_discount": 12.205}, "129.90 EUR (incl. 20.00 tax, 12.21 discount applied)"),
        ({"total_shipping": 9.9}, "129.90 EUR (incl. 9.90 shipping)"),
        ({"total_discount": 5, "currency": "JPY"}, "130 JPY (5 discount applied)"),
        ({"currency": None}, "129.90"),
        ({"total_price": None}, "not given by the shop"),
    ],
)
def test_the_total_names_its_parts(facts: dict[str, Any], total: str) -> None:
    assert f"\nTotal: {total}\n" in plain_spaces(email.body(order_alert("order.exception", **facts)))


@pytest.mark.parametrize(
    ("given", "shown"),
    [
        ({"shipping_method": "Express", "carrier": "DHL"}, "Express (DHL)"),
        ({"shipping_method": "DHL Express", "carrier": "dhl"}, "DHL Express"),
        ({"carrier": "UPS"}, "UPS"),
        ({"shipping_method": "x\u202ey" * 200}, ("xy" * 200)[:160]),
        ({}, None),
    ],
)
def test_the_shipping_method_is_shown_if_the_shop_gives_it(given: dict[str, Any], shown: str | None) -> None:
    lines = [line for line in email.body(order_alert("order.late", **given)).splitlines() if "Shipping: " in line]
    assert lines == ([f"Shipping: {shown}"] if shown else [])


@pytest.mark.parametrize("kind", [kind for kind in SAMPLES if kind.startswith("order.")])
def test_no_status_with_underscores_reaches_people(kind: str) -> None:
    assert "partially_fulfilled" not in email.subject(SAMPLES[kind]) + email.body(SAMPLES[kind])


def _digest(kind: str, **fields: Any) -> Alert:
    members = [order_alert(kind, alert_id=str(n), id=str(n), number=f"N{n}", **_of(fields, n)) for n in range(3)]
    return group(members, threshold=1)[0].alert


def _of(fields: dict[str, Any], number: int) -> dict[str, Any]:
    return {name: value[number] if isinstance(value, list) else value for name, value in fields.items()}


@pytest.mark.parametrize(
    ("alert", "step"),
    [
        (_digest("order.late", status="open"), "Do: ship them today, or give the customers new dates."),
        (_digest("order.at_risk", status="open"), "Do: make sure they ship in time."),
        (_digest("order.stuck", status="open"), "Do: find out what is holding them up."),
        (_digest("order.restocked"), "Do: ship them: everything that is still to ship is in stock."),
        (_digest("order.backordered"), "Do: restock, or offer the customers a substitute, a later date or a refund."),
        (_digest("order.recovered", status="processing"), "No action needed. The problems are resolved."),
        (_digest("order.cancelled", shipments=parcels(0)), "Do: stop picking them."),
        (
            _digest("order.cancelled", shipments=[parcels(each) for each in (0, 2, 1)]),
            "Do: recall what has shipped, or wait for its return; stop the rest.",
        ),
        (
            _digest("order.cancelled", shipments=[parcels(0), None, parcels(1)]),
            "Do: stop picking and shipping those that the warehouse already has.",
        ),
        (_digest("order.on_hold"), "Do: open the orders and check whether they need you."),
    ],
)
def test_a_digest_speaks_of_many(alert: Alert, step: str) -> None:
    assert _opening(alert).splitlines()[1] == step


@pytest.mark.parametrize(
    ("skus", "said"),
    [
        (["KENYA"], ": KENYA 40 in stock"),
        (["KENYA", "MUG", "FILTER"], ": KENYA 40 in stock, +2 more products"),
        ([], ""),
    ],
)
def test_a_digest_of_restocked_orders_says_what_is_in_stock(skus: list[str], said: str) -> None:
    lines = tuple(AlertLineItem(sku=each, quantity=Decimal(2), on_hand=Decimal(40)) for each in skus)
    alert = _digest("order.restocked", status="backordered", raw_status="out of stock", line_items=lines)
    assert content.headline(alert) == f"3 backordered orders can ship now{said}"
    assert _opening(alert).startswith(f"3 backordered orders can ship now at Nordic Outdoor{said}. 389.70 EUR.")
    body = plain_spaces(email.body(alert))
    assert ("In stock:\n- KENYA: in 3 orders (6 still to ship, 40 in stock)" in body) is bool(skus)
    assert "Reasons" not in body, "that it lacks the stock is no longer true"


def test_a_digest_without_reasons_lists_its_orders_by_ship_by() -> None:
    dates = [datetime(2026, 3, day, tzinfo=UTC) for day in (13, 12, 14)]
    alert = _digest("order.restocked", ship_by=dates, raw_status=["no stock", "awaiting", "no stock"])
    assert [entry.due.ship_by.day for entry in lists.entries(alert) if entry.due] == [12, 13, 14]


def test_a_late_order_whose_stock_is_back_is_both() -> None:
    alerts = [order_alert(each, alert_id=each, status="backordered") for each in ("order.restocked", "order.late")]
    [both] = merge_alerts(group(alerts, threshold=5))
    assert content.headline(both.alert) == "Backordered order #1042 is late and can ship now"
    assert sms.body(both.alert).startswith("Backordered order #1042 is late and can ship now")


@pytest.mark.parametrize(
    ("shipments", "said"),
    [
        ([parcels(each) for each in (0, 2, 1)], " 2 of them shipped already."),
        (parcels(0), " None of them has shipped."),
        ([parcels(0), None, parcels(1)], ""),
    ],
)
def test_a_digest_of_cancelled_orders_says_how_many_shipped(shipments: object, said: str) -> None:
    alert = _digest("order.cancelled", shipments=shipments, ship_by=datetime(2026, 3, 5, tzinfo=UTC))
    assert _opening(alert).startswith(f"3 orders are cancelled at Nordic Outdoor.{said} 389.70 EUR.")
    assert "ship by" not in email.body(alert)
    sections = [
        block["text"]["text"] for block in slack.blocks(alert).blocks if block["type"] == "section" and "text" in block
    ]
    assert said.strip() in plain_spaces(sections[0])


def test_a_recovered_order_that_shipped_has_no_ship_by_in_a_digest() -> None:
    due = datetime(2026, 3, 5, 9, tzinfo=UTC)
    said = plain_spaces(email.body(_digest("order.recovered", status=["fulfilled", "open", "open"], ship_by=due)))
    assert "- #N0: 129.90 EUR, was processing, now fulfilled" in said
    assert "- #N1: ship by Thu 5 Mar 10:00 CET (in 20 h), 129.90 EUR, was processing, now open" in said


@pytest.mark.parametrize(
    ("quantities", "more", "shown"),
    [
        ([1], 0, ", 1 item"),
        ([2, 3], 0, ", 5 items"),
        (["0.5"], 0, ", 0.5 items"),
        ([1, None], 0, ""),
        ([1], 4, ""),
        ([], 0, ""),
    ],
)
def test_an_order_of_a_digest_shows_its_number_of_items(quantities: list[Any], more: int, shown: str) -> None:
    lines = tuple(AlertLineItem(sku="A", quantity=Decimal(each) if each else None) for each in quantities)
    said = plain_spaces(email.body(_digest("order.exception", line_items=lines, more_line_items=more)))
    assert f"- #N0: 129.90 EUR{shown}\n" in said


def test_the_order_number_is_the_link_in_slack() -> None:
    text = str(slack.blocks(SAMPLES["order.digest"]).blocks)
    assert "/orders/1043|#1043>: ship by" in text
    assert "|open>" not in text


@pytest.mark.parametrize("number", ["*1042*", "<!here>", "a|b", "_x_", "`1`"])
def test_an_order_number_cannot_break_its_link(number: str) -> None:
    numbers = [number, "1", "2"]
    members = [order_alert("order.late", alert_id=each, id=each, number=each, seen_at=_SEEN) for each in numbers]
    text = str(slack.blocks(group(members, threshold=1)[0].alert).blocks)
    assert "|<" not in text.replace("{_}|<", "")
    assert "<!here" not in text


_SEEN = datetime(2026, 3, 4, 12, tzinfo=UTC) + timedelta(hours=1)
