"""Personal data in fields that we do not read never reaches our tables, logs or messages (rule 13)."""

import json
import logging
from pathlib import Path
from typing import Any

import pytest
import yaml
from pydantic import BaseModel

from orderwatch.alerts.alert import Alert
from orderwatch.rendering import fallback, slack
from orderwatch.trackstar.orders import LineItem, Order
from orderwatch.trackstar.products import Product
from orderwatch_local.preview.page import page
from orderwatch_local.simulator import Record, Shop
from tests.support.recording_sns import RecordingSns
from tests.support.sending import ProductsOf, send
from tests.support.world import World

PRIVATE = "Ada-Private"
_DOCUMENT = yaml.safe_load((Path(__file__).parent / "trackstar/openapi.yaml").read_text(encoding="utf-8"))
SCHEMAS: dict[str, Any] = _DOCUMENT["components"]["schemas"]
UNDOCUMENTED = ("customer", "email", "note_to_seller")
MEASURES = ("total_price", "total_tax", "latest_ship_date", "invoice_currency_code", "created_date")
"""Fields that we read as something else than text: a shop that writes a name there must not be believed."""


def planted(schema: str, read_by: type[BaseModel]) -> Record:
    """A record of the page's schema with something personal in each field that our model does not read."""
    fields = [*SCHEMAS[schema]["properties"], *UNDOCUMENTED]
    return {name: _private(name) for name in fields if name not in read_by.model_fields}


def _private(name: str) -> object:
    """As deep as such fields are: `ship_to_address` is an object, `shipments` a list of them."""
    said = f"{PRIVATE} {name}"
    return {"full_name": said, "lines": [{"email_address": f"{PRIVATE}@shopper.example"}, said]}


def order(order_id: str, **fields: object) -> Record:
    line = planted("LineItem", LineItem) | {"product_id": "p1", "product_sku": "LAMP-1", "quantity": 2}
    return planted("Order", Order) | {"id": order_id, "status": "open", "line_items": [line], **fields}


@pytest.fixture
def world() -> World:
    world = World()
    product = planted("Product", Product) | {"id": "p1", "sku": "LAMP-1", "name": "Trail lamp", "inventory": 1}
    shop = Shop("conn_a", access_token="token-of-conn_a", clock=world.vendor_clock, products=[product])
    world.shops["conn_a"] = shop
    world.trackstar.connect(shop)
    return world


def changed(world: World, *orders: Record) -> RecordingSns:
    """Orders that are known become `exception`; where the alerts of it were sent."""
    for each in orders:
        world.shop.place(each)
    world.shop.sync()
    world.poll()
    world.pass_time()
    for each in orders:
        world.shop.move(each["id"], "exception", "address_failed")
    world.shop.sync()
    world.poll()
    sns = RecordingSns()
    send(
        world.tables.alert_keys(),
        outbox=world.tables.alerts,
        topic=sns.topic,
        products=ProductsOf(lambda _: world.client()),
    )
    return sns


def written(world: World) -> str:
    tables = ("OrderTable", "ConnectionTable", "AlertTable")
    return json.dumps([world.tables.rows(table) for table in tables])


def test_every_personal_field_of_the_documentation_is_planted() -> None:
    fields = planted("Order", Order)
    assert {"ship_to_address", "bill_to_address", "shipments", "additional_fields", "tags"} <= fields.keys()
    assert PRIVATE in json.dumps(fields["ship_to_address"])


def test_nothing_personal_is_stored_sent_or_logged(
    world: World, caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str]
) -> None:
    caplog.set_level(logging.DEBUG)
    sns = changed(world, order("o1"), order("o2", **dict.fromkeys(MEASURES, f"{PRIVATE} 7")))
    records = [f"{record.getMessage()} {record.__dict__}" for record in caplog.records]
    alerts = [Alert.model_validate(body) for body in sns.taken]

    assert {alert.order.id for alert in alerts if alert.order} == {"o1", "o2"}
    assert PRIVATE not in json.dumps(sns.batches)
    assert PRIVATE not in written(world)
    assert PRIVATE not in "".join([*records, *capsys.readouterr()])
    for alert in alerts:
        assert PRIVATE not in str([slack.blocks(alert), slack.plain(alert), fallback.plain(alert), page(alert)])


def test_contact_data_and_keys_in_texts_and_links_are_removed(
    world: World, caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str]
) -> None:
    caplog.set_level(logging.DEBUG)
    contacts = ("ada@shopper.example", "+49 170 1234567", "key-of-ada")
    link = "https://admin.example/orders/o1?customer=ada%40shopper.example&access_token=key-of-ada"
    known = {"status": "open", "line_items": [], "external_system_url": link}
    world.shop.place({"id": "o1", "order_number": f"#1042 {contacts[0]}", **known})
    world.shop.place({"id": "o2", "order_number": contacts[1], **known})
    world.shop.sync()
    world.poll()
    world.pass_time()
    for order_id in ("o1", "o2"):
        world.shop.move(order_id, "exception", f"asked {contacts[0]}, {contacts[1]}")
    world.shop.sync()
    world.poll()
    sns = RecordingSns()
    send(world.tables.alert_keys(), outbox=world.tables.alerts, topic=sns.topic)

    orders = [alert.order for alert in map(Alert.model_validate, sns.taken) if alert.order]
    assert {(order.number, order.raw_status, order.url) for order in orders} == {
        ("#1042 [e-mail]", "asked [e-mail], [phone]", "https://admin.example/orders/o1"),
        ("o2", "asked [e-mail], [phone]", "https://admin.example/orders/o1"),
    }
    records = [f"{record.getMessage()} {record.__dict__}" for record in caplog.records]
    everything = json.dumps(sns.batches) + written(world) + "".join([*records, *capsys.readouterr()])
    assert [each for each in (*contacts, "ada%40") if each in everything] == []


def test_a_quarantine_alert_contains_no_values_of_the_record(
    world: World, caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str]
) -> None:
    caplog.set_level(logging.DEBUG)
    world.shop.place(order("o1"))
    world.shop.sync()
    world.poll()
    world.pass_time()
    world.shop.garble("o1", {"status": {"full_name": PRIVATE}})
    world.shop.sync()
    world.poll()
    sns = RecordingSns()
    send(world.tables.alert_keys(), outbox=world.tables.alerts, topic=sns.topic)

    assert "orders.quarantined" in {body["kind"] for body in sns.taken}
    records = [f"{record.getMessage()} {record.__dict__}" for record in caplog.records]
    assert PRIVATE not in json.dumps(sns.batches) + written(world) + "".join([*records, *capsys.readouterr()])
