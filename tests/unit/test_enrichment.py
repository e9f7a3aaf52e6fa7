from decimal import Decimal

import pytest

from orderwatch.alerts.alert import Alert
from orderwatch.alerts.parts import AlertLineItem, AlertOrder
from orderwatch.publishing.enrich import (
    MAX_MISSING,
    MAX_WAREHOUSES,
    SKIPPED_LATE,
    enrich,
    product_ids_of,
    without_details,
)
from orderwatch.trackstar.products import Product, ProductPage
from orderwatch_local.preview.samples import SAMPLES, order_alert

TENT = Product(
    id="901",
    name="Trail Tent",
    sku="TENT-2P",
    parent_product_id="900",
    image_url="https://cdn.example.com/t.jpg",
    external_system_url="https://admin.example.com/p/901",
    inventory=Decimal(1),
    inventory_by_warehouse_id={"w1": Decimal(1), "w2": None},
)


def by_id(*products: Product) -> dict[str, Product]:
    return {product.id: product for product in products}


def _alert(*product_ids: str | None, sku: str | None = None) -> Alert:
    lines = tuple(AlertLineItem(product_id=each, sku=sku, quantity=Decimal(3)) for each in product_ids)
    return order_alert("order.backordered", line_items=lines)


def _order(alert: Alert) -> AlertOrder:
    assert alert.order is not None
    return alert.order


def test_a_line_gets_name_picture_link_and_stock() -> None:
    (alert,) = enrich([_alert("901")], by_id(TENT))
    assert _order(alert).line_items[0] == AlertLineItem(
        sku="TENT-2P",
        name="Trail Tent",
        quantity=Decimal(3),
        on_hand=Decimal(1),
        on_hand_by_warehouse={"w1": Decimal(1)},
        image_url="https://cdn.example.com/t.jpg",
        url="https://admin.example.com/p/901",
        product_id="901",
    )
    assert alert.enrichment.complete
    assert _order(alert).shortfall(_order(alert).line_items[0]) == 2


def test_kits_and_inactive_products_are_marked() -> None:
    bundle = TENT.model_copy(update={"is_kit": True, "active": False})
    (alert,) = enrich([_alert("901")], by_id(bundle))
    line = _order(alert).line_items[0]
    assert (line.is_kit, line.active) == (True, False)


@pytest.mark.parametrize(
    ("quantities", "on_hand", "short", "reason"),
    [
        ([3, 2], 4, 1, "enough for each line, not for both together"),
        ([3, 2], 5, None, "exactly enough"),
        ([3, None], 1, 2, "an unknown quantity adds nothing"),
        ([None], 1, None, "nothing is known"),
        ([2], -3, 2, "a stock below zero counts as none"),
        ([2], None, None, "the stock is not known"),
    ],
)
def test_the_lines_of_one_product_draw_on_one_stock(
    quantities: list[int | None], on_hand: int | None, short: int | None, reason: str
) -> None:
    stock = None if on_hand is None else Decimal(on_hand)
    lines = tuple(
        AlertLineItem(product_id="901", quantity=None if each is None else Decimal(each), on_hand=stock)
        for each in quantities
    )
    order = _order(order_alert("order.backordered", line_items=(*lines, AlertLineItem(quantity=Decimal(9)))))
    assert [order.shortfall(line) for line in order.line_items[:-1]] == [short] * len(lines), reason


def test_lines_without_a_product_are_not_combined() -> None:
    lines = tuple(AlertLineItem(quantity=Decimal(1), on_hand=Decimal(1)) for _ in range(2))
    order = _order(order_alert("order.backordered", line_items=lines))
    assert [order.shortfall(line) for line in order.line_items] == [None, None]


def test_each_product_is_requested_once() -> None:
    assert product_ids_of([_alert("901", "5"), _alert("5", None), SAMPLES["connection.blocked"]]) == ["901", "5"]


def test_a_parent_product_has_no_stock() -> None:
    parent = TENT.model_copy(update={"parent_product_id": "901"})
    (alert,) = enrich([_alert("901")], by_id(parent))
    line = _order(alert).line_items[0]
    assert (line.on_hand, line.on_hand_by_warehouse, line.name) == (None, {}, "Trail Tent")
    assert alert.enrichment.missing == (
        "stock of TENT-2P: the order line names a parent product, and only its variants have stock",
    )


@pytest.mark.parametrize(
    ("product_id", "sku", "gap"),
    [
        ("gone", "SKU-1", "product details of SKU-1: not found in Trackstar"),
        ("gone", None, "product details of gone: not found in Trackstar"),
        (None, None, "product details of line 1: the order line names no product"),
        ("7", None, "stock of 7: not provided by the shop"),
    ],
)
def test_missing_details_are_named_in_words_for_people(product_id: str | None, sku: str | None, gap: str) -> None:
    (alert,) = enrich([_alert(product_id, sku=sku)], by_id(Product(id="7")))
    assert not alert.enrichment.complete
    assert alert.enrichment.missing == (gap,)


def test_only_alerts_with_lines_name_missing_details() -> None:
    alerts = [_alert("901"), _alert(), SAMPLES["connection.blocked"]]
    plainer = without_details(alerts, SKIPPED_LATE)
    assert [alert.enrichment.missing for alert in plainer] == [(f"product details: {SKIPPED_LATE}",), (), ()]
    assert [alert.order for alert in plainer] == [alert.order for alert in alerts]


def test_a_long_list_of_missing_details_is_cut_and_counted() -> None:
    (alert,) = enrich([_alert(*(f"gone-{n}" for n in range(60)))], by_id())
    assert len(alert.enrichment.missing) == MAX_MISSING + 1
    assert alert.enrichment.missing[-1] == f"+{60 - MAX_MISSING} more"


def test_stock_in_too_many_warehouses_is_a_sum() -> None:
    counts: dict[str, Decimal | None] = {str(n): Decimal(1) for n in range(MAX_WAREHOUSES + 1)}
    crowded = TENT.model_copy(update={"inventory_by_warehouse_id": counts})
    (alert,) = enrich([_alert("901")], by_id(crowded))
    assert _order(alert).line_items[0].on_hand == 1
    assert _order(alert).line_items[0].on_hand_by_warehouse == {}
    assert not alert.enrichment.complete


def test_a_product_name_of_any_length_fits_the_alert() -> None:
    (alert,) = enrich([_alert("901")], by_id(TENT.model_copy(update={"name": "x\n" * 900})))
    assert len(_order(alert).line_items[0].name or "") <= 160


def test_a_page_keeps_its_good_records() -> None:
    page = ProductPage.model_validate_json(
        '{"data": [{"id": "1", "inventory": "many", "inventory_by_warehouse_id": {"w": 2, "x": null}, "active": "?",'
        ' "image_url": "javascript:x", "is_kit": true}, {"name": "no id"}, 7, null, {"id": 2, "name": ""}],'
        ' "next_token": null, "total_count": 5}'
    )
    assert page.products == [
        Product(id="1", inventory_by_warehouse_id={"w": Decimal(2), "x": None}, is_kit=True),
        Product(id="2"),
    ]
