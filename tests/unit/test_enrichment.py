"""Product details in alerts: what a line gets, and which missing details are named (rule 11)."""

from decimal import Decimal

import pytest
from pydantic import ValidationError

from orderwatch.alerts.alert import Alert
from orderwatch.alerts.parts import AlertLineItem, AlertOrder
from orderwatch.publishing.enrich import SKIPPED_LATE, enrich, product_ids_of, without_details
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


def _alert(*product_ids: str | None, sku: str | None = None) -> Alert:
    lines = tuple(AlertLineItem(product_id=each, sku=sku, quantity=Decimal(3)) for each in product_ids)
    return order_alert("order.backordered", line_items=lines)


def _order(alert: Alert) -> AlertOrder:
    assert alert.order is not None
    return alert.order


def enriched(alert: Alert, *products: Product) -> Alert:
    (found,) = enrich([alert], {product.id: product for product in products})
    return found


def line_with(**changes: object) -> tuple[AlertLineItem, tuple[str, ...]]:
    """The line of a tent that differs in these fields, and what is missing."""
    alert = enriched(_alert("901"), TENT.model_copy(update=changes))
    return _order(alert).line_items[0], alert.enrichment.missing


def test_a_line_gets_name_picture_link_and_stock() -> None:
    line, missing = line_with()
    assert line == AlertLineItem(
        sku="TENT-2P",
        name="Trail Tent",
        quantity=Decimal(3),
        on_hand=Decimal(1),
        on_hand_by_warehouse={"w1": Decimal(1)},
        image_url="https://cdn.example.com/t.jpg",
        url="https://admin.example.com/p/901",
        product_id="901",
    )
    assert missing == ()
    assert enriched(_alert("901"), TENT).enrichment.complete


def test_kits_and_inactive_products_are_shown() -> None:
    line, _ = line_with(is_kit=True, active=False)
    assert (line.is_kit, line.active) == (True, False)


def test_a_parent_product_has_no_stock() -> None:
    line, missing = line_with(parent_product_id="901")
    assert (line.on_hand, line.on_hand_by_warehouse, line.name) == (None, {}, "Trail Tent")
    assert missing == ("stock of TENT-2P: the order line names a parent product, and only its variants have stock",)


@pytest.mark.parametrize(("on_hand", "by_warehouse"), [(40, {}), (1, {"w1": Decimal(1)}), (None, {"w1": Decimal(1)})])
def test_a_line_keeps_the_stock_that_its_alert_is_about(on_hand: int | None, by_warehouse: dict[str, Decimal]) -> None:
    known = Decimal(on_hand) if on_hand else None
    alert = order_alert("order.restocked", line_items=(AlertLineItem(product_id="901", on_hand=known),))
    [line] = _order(enriched(alert, TENT)).line_items
    assert (line.on_hand, line.on_hand_by_warehouse) == (known or TENT.inventory, by_warehouse)


@pytest.mark.parametrize("product_id", ["unknown", None])
def test_a_line_without_a_known_product_stays_as_it_is(product_id: str | None) -> None:
    alert = _alert(product_id)
    assert _order(enriched(alert, TENT)).line_items == _order(alert).line_items


@pytest.mark.parametrize(("warehouses", "listed", "missing"), [(50, 50, 0), (51, 0, 1)])
def test_stock_is_listed_by_up_to_50_warehouses(warehouses: int, listed: int, missing: int) -> None:
    line, missing_details = line_with(inventory_by_warehouse_id={str(n): Decimal(1) for n in range(warehouses)})
    assert (line.on_hand, len(line.on_hand_by_warehouse), len(missing_details)) == (Decimal(1), listed, missing)


def test_a_product_name_of_any_length_fits_the_alert() -> None:
    assert len(line_with(name="x\n" * 900)[0].name or "") <= 160


@pytest.mark.parametrize(
    ("product_id", "sku", "gap"),
    [
        ("gone", "SKU-1", "product details of SKU-1: not found in Trackstar"),
        ("gone", None, "product details of gone: not found in Trackstar"),
        (None, "SKU-1", "product details of SKU-1: the order line names no product"),
        (None, None, "product details of line 1: the order line names no product"),
        ("7", None, "stock of 7: not provided by the shop"),
    ],
)
def test_missing_details_are_named_in_words_for_people(product_id: str | None, sku: str | None, gap: str) -> None:
    alert = enriched(_alert(product_id, sku=sku), Product(id="7"))
    assert not alert.enrichment.complete
    assert alert.enrichment.missing == (gap,)


@pytest.mark.parametrize(("gone", "listed", "last"), [(20, 20, "not found in Trackstar"), (21, 21, "+1 more")])
def test_twenty_missing_details_are_listed_once_each(gone: int, listed: int, last: str) -> None:
    missing = enriched(_alert(*(f"gone-{n}" for n in range(gone)), "gone-0")).enrichment.missing
    assert len(missing) == listed
    assert missing[-1].endswith(last)


def test_only_alerts_with_lines_name_missing_details() -> None:
    alerts = [_alert("901"), _alert(), SAMPLES["connection.blocked"]]
    plainer = without_details(alerts, SKIPPED_LATE)
    assert [alert.enrichment.missing for alert in plainer] == [(f"product details: {SKIPPED_LATE}",), (), ()]
    assert [alert.enrichment.complete for alert in plainer] == [False, True, True]
    assert [alert.order for alert in plainer] == [alert.order for alert in alerts]
    assert enriched(alerts[2]) == alerts[2]


def test_each_product_is_requested_once() -> None:
    assert product_ids_of([_alert("901", "5"), _alert("5", None), SAMPLES["connection.blocked"]]) == ["901", "5"]


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
    without_product = (AlertLineItem(quantity=Decimal(1), on_hand=Decimal(1)),) * 2
    order = _order(order_alert("order.backordered", line_items=(*lines, *without_product)))
    assert [order.shortfall(line) for line in order.line_items] == [*[short] * len(lines), None, None], reason


def test_a_page_of_products_keeps_its_good_records() -> None:
    page = ProductPage.model_validate_json(
        '{"data": [{"id": "1", "inventory": "many", "inventory_by_warehouse_id": {"w": 2, "x": null}, "active": "?",'
        ' "image_url": "javascript:x", "is_kit": true}, {"name": "no id"}, 7, null, {"id": 2, "name": ""}],'
        ' "next_token": null, "total_count": 5}'
    )
    assert [each.model_dump(exclude_none=True) for each in page.products] == [
        {"id": "1", "inventory_by_warehouse_id": {"w": Decimal(2), "x": None}, "is_kit": True},
        {"id": "2"},
    ]
    assert [each.unreadable for each in page.products] == [{"inventory", "image_url"}, frozenset()]


def test_a_page_without_a_list_is_empty_if_it_counts_none() -> None:
    assert ProductPage.model_validate_json('{"data": null, "total_count": 0}').products == []
    for body in ('{"data": null, "total_count": 2}', '{"data": null}'):
        with pytest.raises(ValidationError):
            ProductPage.model_validate_json(body)
