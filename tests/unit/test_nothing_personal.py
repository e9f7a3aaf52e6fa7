"""Personal data in fields that we do not read never reaches our tables, logs or messages (rule 13)."""

import json
import logging
from pathlib import Path
from typing import Any

import pytest
import yaml
from pydantic import BaseModel

from orderwatch.alerts.alert import Alert
from orderwatch.alerts.parts import AlertLineItem, AlertOrder
from orderwatch.rendering import fallback, slack
from orderwatch.trackstar.orders import LineItem, Order, OrderDetails
from orderwatch.trackstar.products import Product
from orderwatch_local.preview.page import page
from orderwatch_local.simulator import Record, Shop
from tests.support.recording_sns import RecordingSns
from tests.support.sending import ProductsOf, send
from tests.support.world import World

PRIVATE = "Ada-Private"
_DOCUMENT = yaml.safe_load((Path(__file__).parents[1] / "integration/trackstar/openapi.yaml").read_text("utf-8"))
SCHEMAS: dict[str, Any] = _DOCUMENT["components"]["schemas"]
UNDOCUMENTED = ("customer", "email", "note_to_seller")
MEASURES = ("total_price", "total_tax", "latest_ship_date", "invoice_currency_code", "created_date")
"""Fields that we read as something else than text: a shop that writes a name there must not be believed."""


def planted(schema: str, read_by: type[BaseModel]) -> Record:
    """A record of the schema with something personal in each field that our model does not read."""
    fields = [*SCHEMAS[schema]["properties"], *UNDOCUMENTED]
    return {name: _private(name) for name in fields if name not in read_by.model_fields}


def _private(name: str) -> object:
    """As deep as such fields are: `ship_to_address` is an object, `shipments` a list of them."""
    said = f"{PRIVATE} {name}"
    return {"full_name": said, "lines": [{"email_address": f"{PRIVATE}@shopper.example"}, said]}


def order(order_id: str, **fields: object) -> Record:
    line = planted("LineItem", LineItem) | {"product_id": "p1", "product_sku": "LAMP-1", "quantity": 2}
    return planted("Order", Order) | {"id": order_id, "status": "open", "line_items": [line], **fields}


class Watch(World):
    """A shop whose orders are known, and everything that leaves this process afterwards."""

    def __init__(self, log: pytest.LogCaptureFixture, out: pytest.CaptureFixture[str]) -> None:
        super().__init__()
        product = planted("Product", Product) | {"id": "p1", "sku": "LAMP-1", "name": "Trail lamp", "inventory": 1}
        shop = Shop("conn_a", access_token="token-of-conn_a", clock=self.vendor_clock, products=[product])
        self.shops["conn_a"] = shop
        self.trackstar.connect(shop)
        self.log, self.out = log, out

    def baseline(self, *orders: Record) -> None:
        for each in orders:
            self.shop.place(each)
        self.shop.sync()
        self.poll()
        self.pass_time()

    def alerts(self) -> list[Alert]:
        """Poll and send; the sent alerts."""
        self.shop.sync()
        self.poll()
        self.sns = RecordingSns()
        products = ProductsOf(lambda _: self.client())
        send(self.tables.alert_keys(), outbox=self.tables.alerts, topic=self.sns.topic, products=products)
        return [Alert.model_validate(body) for body in self.sns.taken]

    def everything(self) -> str:
        """What was stored, sent and logged."""
        rows = [self.tables.rows(table) for table in ("OrderTable", "ConnectionTable", "AlertTable")]
        records = [f"{record.getMessage()} {record.__dict__}" for record in self.log.records]
        return "".join([json.dumps([self.sns.batches, rows]), *records, *self.out.readouterr()])


@pytest.fixture
def watch(caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str]) -> Watch:
    caplog.set_level(logging.DEBUG)
    return Watch(caplog, capsys)


def test_every_personal_field_of_the_documentation_is_planted() -> None:
    fields = planted("Order", Order)
    assert {"ship_to_address", "bill_to_address", "shipments", "additional_fields", "tags"} <= fields.keys()
    assert PRIVATE in json.dumps(fields["ship_to_address"])


@pytest.mark.parametrize("model", [Order, OrderDetails, LineItem, Product, Alert, AlertOrder, AlertLineItem])
def test_no_model_has_a_field_for_personal_data(model: type[BaseModel]) -> None:
    names = " ".join(model.model_fields)
    assert [word for word in ("address", "phone", "email", "customer", "company", "postal") if word in names] == []


def test_nothing_personal_is_stored_sent_or_logged(watch: Watch) -> None:
    watch.baseline(order("o1"), order("o2", **dict.fromkeys(MEASURES, f"{PRIVATE} 7")))
    for order_id in ("o1", "o2"):
        watch.shop.move(order_id, "exception", "address_failed")
    alerts = watch.alerts()
    assert {alert.order.id for alert in alerts if alert.order} == {"o1", "o2"}
    shown = [(slack.blocks(alert), slack.plain(alert), fallback.plain(alert), page(alert)) for alert in alerts]
    assert PRIVATE not in f"{shown} {watch.everything()}"


def test_contact_data_and_keys_in_texts_and_links_are_removed(watch: Watch) -> None:
    email, phone = contacts = ("ada@shopper.example", "+49 170 1234567")
    link = "https://admin.example/orders/o1?customer=ada%40shopper.example&access_token=key-of-ada"
    known = {"status": "open", "line_items": [], "external_system_url": link}
    watch.baseline(
        {"id": "o1", "order_number": f"#1042 {email}", **known}, {"id": "o2", "order_number": phone, **known}
    )
    for order_id in ("o1", "o2"):
        watch.shop.move(order_id, "exception", f"asked {email}, {phone}")
    orders = [alert.order for alert in watch.alerts() if alert.order]
    assert {(order.number, order.raw_status, order.url) for order in orders} == {
        ("#1042 [e-mail]", "asked [e-mail], [phone]", "https://admin.example/orders/o1"),
        ("o2", "asked [e-mail], [phone]", "https://admin.example/orders/o1"),
    }
    everything = watch.everything()
    assert [each for each in (*contacts, "ada%40", "key-of-ada") if each in everything] == []


def test_a_quarantine_alert_contains_no_values_of_the_record(watch: Watch) -> None:
    watch.baseline(order("o1"))
    watch.shop.garble("o1", {"status": {"full_name": PRIVATE}})
    assert "orders.quarantined" in {alert.kind for alert in watch.alerts()}
    assert PRIVATE not in watch.everything()
