"""Statuses are compared in one spelling, and the shop's own spelling is kept (rule 9)."""

import json

import pytest

from orderwatch.settings import PollOrdersSettings, read_settings
from orderwatch.statuses import DOCUMENTED_STATUSES, normalize_status
from orderwatch.trackstar.orders import Order, OrderPage
from tests.support.permissions import environment_of
from tests.support.world import World, kinds

SPELLINGS = {
    "Exception": "exception",
    "EXCEPTION": "exception",
    " cancelled ": "cancelled",
    "\tcancelled\n": "cancelled",
    "canceled": "cancelled",
    "CANCELED": "cancelled",
    "BACKORDERED": "backordered",
    "back-ordered": "backordered",
    "Back Ordered": "backordered",
    "back_order": "backordered",
    "Backorder": "backordered",
    "partially-fulfilled": "partially_fulfilled",
    "Partially  Fulfilled": "partially_fulfilled",
    "PartiallyFulfilled": "partially_fulfilled",
    "partially - fulfilled": "partially_fulfilled",
    "partially\u00a0fulfilled": "partially_fulfilled",
    "partially\u2011fulfilled": "partially_fulfilled",
    "excep\u200btion": "exception",
    "exception\x00": "exception",
    "On Hold": "on_hold",
    "on-hold": "on_hold",
    "In Customs \u2013 EU": "in_customs_eu",
    "Wartet auf Größe": "wartet_auf_grösse",
    "pre\tpaid": "pre_paid",
    "42": "42",
    "\U0001f525": "\U0001f525",
    "--": "--",
    "unfulfilled": "unfulfilled",
    "not cancelled": "not_cancelled",
}


@pytest.mark.parametrize(
    ("given", "status"), [*SPELLINGS.items(), *((each, each) for each in sorted(DOCUMENTED_STATUSES))]
)
def test_every_spelling_of_a_status_is_the_same_status(given: str, status: str) -> None:
    assert normalize_status(given) == status
    assert normalize_status(status) == status


def read(status: object, raw_status: object = None) -> list[Order]:
    """The order as a whole page shows it, as a page with a bad record shows it, and as its record alone does."""
    record = {"id": "1", "status": status, "raw_status": raw_status}
    whole, mixed = json.dumps({"data": [record]}).encode(), json.dumps({"data": [record, None]}).encode()
    return [OrderPage.read(whole).orders[0], OrderPage.read(mixed).orders[0], Order.of(record)]


@pytest.mark.parametrize(
    ("given", "raw", "status", "raw_status"),
    [
        ("exception", None, "exception", None),
        ("Exception", None, "exception", "Exception"),
        ("Exception", "", "exception", "Exception"),
        ("Exception", "Address", "exception", "Address"),
        (" exception ", None, "exception", None),
        ("canceled", None, "cancelled", "canceled"),
        ("on_hold", None, "on_hold", None),
        ("On Hold", None, "on_hold", "On Hold"),
        (42, None, "42", None),
        ("Waiting for jane@example.com", None, "waiting_for_[e-mail]", "Waiting for [e-mail]"),
        ("Call +49 170 1234567", None, "call_[phone]", "Call [phone]"),
        ("jane@example.com", None, "[e-mail]", None),
        ("x\x1b[2J", None, "x_[2j", "x [2J"),
        ("X" * 128, None, "x" * 128, "X" * 128),
    ],
)
def test_an_order_keeps_the_shops_own_word(given: object, raw: object, status: str, raw_status: str | None) -> None:
    for order in read(given, raw):
        assert (order.status, order.raw_status) == (status, raw_status)
        assert "jane" not in repr(order)


@pytest.mark.parametrize(
    ("setting", "watched"),
    [
        ("Exception, canceled ,BACK-ORDERED", {"exception", "cancelled", "backordered"}),
        ("on-hold,On Hold,,", {"on_hold"}),
    ],
)
def test_watched_statuses_may_be_spelled_in_any_way(setting: str, watched: set[str]) -> None:
    environment = environment_of("PollOrdersFunction") | {"ALERT_STATUSES": setting}
    assert read_settings(PollOrdersSettings, environment).alert_statuses == watched


def test_a_watched_status_is_alerted_in_any_spelling() -> None:
    world = World().started("1", "2", "3")
    for order_id, status in {"1": "Exception", "2": " cancelled ", "3": "BACKORDERED"}.items():
        world.move(order_id, status)
    assert sorted(kinds(world.next_poll())) == ["order.backordered", "order.cancelled", "order.exception"]
    assert world.stored("1").raw_status == "Exception"


@pytest.mark.parametrize("status", ["Exception", "EXCEPTION ", "exception"])
def test_another_spelling_is_no_change(status: str) -> None:
    world = World().started("1")
    world.move("1", "exception")
    assert kinds(world.next_poll()) == ["order.exception"]
    world.move("1", status)
    assert world.next_poll() == []
