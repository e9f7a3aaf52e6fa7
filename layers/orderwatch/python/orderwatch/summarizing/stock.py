"""The products that most of the backordered orders of a shop wait for, and how many of them are on hand."""

from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal
from typing import Protocol

from orderwatch.alerts.daily import ShopSummary, SummaryProduct
from orderwatch.alerts.parts import short_of
from orderwatch.polling.snapshot import Extract, ExtractLine
from orderwatch.publishing.details import LookedUp
from orderwatch.summarizing.orders import SummedOrder
from orderwatch.trackstar.products import Product

BACKORDERED = "backordered"
"""The status whose orders wait for stock: of any other, a product explains nothing."""
MAX_PRODUCTS = 5
MAX_STOCKED = 20
"""Shops whose stock is asked for: each costs Trackstar a request."""
DETAILS = "product details: "


class ProductSource(Protocol):
    """Where products come from, within its own limit of time."""

    def look_up(self, connection_id: str, product_ids: Sequence[str]) -> LookedUp:
        """The products of a connection, or why there are none; raises nothing."""


def wanted_products(orders: Iterable[SummedOrder]) -> list[SummaryProduct]:
    """Every product of the backordered orders that wait: what most of them have comes first."""
    waiting = [order.extract for order in orders if order.waits and order.row.status == BACKORDERED]
    found: dict[str, list[ExtractLine]] = {}
    orders_with: dict[str, int] = {}
    alone: dict[str, int] = {}
    for extract in waiting:
        keys = {_key(line) for line in extract.lines}
        for key in filter(None, keys):
            orders_with[key] = orders_with.get(key, 0) + 1
            alone[key] = alone.get(key, 0) + _is_whole(extract, keys)
        for line in extract.lines:
            found.setdefault(_key(line), []).append(line)
    products = [_product(found[key], count, alone[key]) for key, count in orders_with.items()]
    return sorted(products, key=lambda each: (-each.orders, -each.alone, -(each.ordered or 0), each.sku or ""))


def _key(line: ExtractLine) -> str:
    """Equal for two lines of one product; empty where the line names none."""
    return line.product_id or line.sku or ""


def _is_whole(extract: Extract, keys: set[str]) -> bool:
    return len(keys) == 1 and not extract.more_lines


def _product(lines: Sequence[ExtractLine], orders: int, alone: int) -> SummaryProduct:
    quantities = [line.quantity for line in lines if line.quantity is not None]
    return SummaryProduct(
        sku=next((line.sku for line in lines if line.sku), None),
        product_id=lines[0].product_id,
        orders=orders,
        alone=alone,
        ordered=sum(quantities, Decimal(0)) if quantities else None,
    )


def stocked_shops(
    shops: Iterable[ShopSummary], orders: Mapping[str, Sequence[SummedOrder]], source: ProductSource | None
) -> tuple[list[ShopSummary], list[str]]:
    """The shops with the products that hold up their orders, and why the stock of some is not known.

    Args:
        shops: The worst first: the stock of the first `MAX_STOCKED` that have such products is asked for.
        orders: All that a summary tells of, by connection.
        source: Where products are looked up; None: nowhere.
    """
    told: list[ShopSummary] = []
    gaps: list[str] = []
    asked = 0
    for shop in shops:
        wanted = wanted_products(orders[shop.connection_id])
        top = tuple(wanted[:MAX_PRODUCTS])
        if source and top and asked < MAX_STOCKED:
            asked += 1
            found = source.look_up(shop.connection_id, [each.product_id for each in top if each.product_id])
            top = with_stock(top, found.products)
            gaps += [f"stock at {shop.label}: {found.gap.removeprefix(DETAILS)}"] if found.gap else []
        told.append(shop.model_copy(update={"products": top, "more_products": len(wanted) - len(top)}))
    return told, gaps


def with_stock(wanted: Iterable[SummaryProduct], products: Mapping[str, Product]) -> tuple[SummaryProduct, ...]:
    """The same with what is on hand, where that is known."""
    return tuple(_stocked(each, products.get(each.product_id or "")) for each in wanted)


def _stocked(wanted: SummaryProduct, product: Product | None) -> SummaryProduct:
    if product is None or product.is_parent:  # a parent has no stock of its own
        return wanted
    short = short_of(wanted.ordered, product.inventory) if wanted.ordered is not None else None
    return wanted.model_copy(
        update={"sku": wanted.sku or product.sku, "on_hand": product.inventory, "short": short},
    )
