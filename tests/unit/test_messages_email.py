from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest

from orderwatch.alerts.parts import AlertLineItem
from orderwatch.rendering import email
from orderwatch_local.preview.samples import NOW, order_alert
from tests.support.alerts import plain_spaces

LAMP = AlertLineItem(sku="LAMP-1", quantity=Decimal(3), on_hand=Decimal(1))


@pytest.mark.parametrize(
    ("kind", "number", "ends"),
    [
        ("order.exception", "1042", "[exception] Order #1042 at Shop Shop Shop"),
        ("order.exception", "9" * 160, " at Shop Shop Shop Shop Shop Sho..., 129.90 EUR"),
        ("order.backordered", "9" * 160, " at Shop Sho..., 2 x LAMP-1 short, 129.90 EUR"),
    ],
)
def test_a_long_subject_cuts_the_shop_and_keeps_what_is_urgent(kind: str, number: str, ends: str) -> None:
    alert = order_alert(kind, number=number, line_items=(LAMP,))
    subject = email.subject(
        alert.model_copy(update={"connection": alert.connection.model_copy(update={"name": "Shop " * 30})})
    )
    assert ends in subject
    assert len(subject) <= email.MAX_SUBJECT


@pytest.mark.parametrize(
    ("previous", "shown"),
    [
        ({"previous_status_since": NOW - timedelta(hours=3, minutes=20)}, "was processing for 3 h 20 min"),
        ({"previous_status_since": NOW + timedelta(hours=1)}, "was processing"),
        ({"previous_status_since": None}, "was processing"),
        ({"previous_status": None}, "first seen in this status"),
    ],
    ids=["known", "dates that contradict", "unknown since", "never seen"],
)
def test_the_previous_status_shows_how_long_it_lasted(previous: dict[str, Any], shown: str) -> None:
    lines = plain_spaces(email.body(order_alert("order.exception", **previous))).splitlines()
    assert f"Status: exception ({shown})" in lines
