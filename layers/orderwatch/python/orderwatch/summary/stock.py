"""The products that hold up the backordered orders of a shop, and how many of them are on hand."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal

from orderwatch.alerts.parts import short_of
from orderwatch.alerts.summary import ShopSummary, SummaryProduct
from orderwatch.publishing.enrich import LookedUp, ProductDetails
from orderwatch.records import Extract, ExtractLine
from orderwatch.summary.figures import SummaryRow
from orderwatch.trackstar.products import Product

BACKORDERED = "backordered"
"""The status whose orders wait for stock: of any other, a product explains nothing."""
MAX_PRODUCTS = 5
MAX_ASKED = 100
"""Products of a shop whose stock is asked for: one request to Trackstar."""
MAX_STOCKED = 20
"""Shops whose stock is asked for."""
DETAILS = "product details: "


def stocked_shops(
    shops: Iterable[ShopSummary], orders: Mapping[str, Sequence[SummaryRow]], source: ProductDetails | None
) -> tuple[list[ShopSummary], list[str]]:
    """The shops with the products that hold up their orders, and why the stock of some is not known.

    Args:
        shops: The worst first: the stock of the first `MAX_STOCKED` that have such products is asked for.
        orders: All that a summary tells of, by connection.
        source: Where products are looked up; None: nowhere.
    """
    alerted: list[ShopSummary] = []
    gaps: list[str] = []
    asked = 0
    for shop in shops:
        waiting = backordered(orders[shop.connection_id])
        ids, found = product_ids(waiting), LookedUp({})
        if source and ids and asked < MAX_STOCKED:
            asked += 1
            found = source.look_up(shop.connection_id, ids)
        gaps += [f"stock at {shop.label}: {found.missing_reason.removeprefix(DETAILS)}"] if found.missing_reason else []
        held = held_up_by(waiting, found.products)
        top = tuple(held[:MAX_PRODUCTS])
        alerted.append(shop.model_copy(update={"products": top, "more_products": len(held) - len(top)}))
    return alerted, gaps


def backordered(orders: Iterable[SummaryRow]) -> list[Extract]:
    """What the orders say that wait for stock."""
    return [order.extract for order in orders if order.needs_attention and order.row.status == BACKORDERED]


def product_ids(waiting: Iterable[Extract]) -> list[str]:
    """The products that most of these orders have, `MAX_ASKED` at most; where they tie, the first of them."""
    of_orders = (dict.fromkeys(line.product_id for line in extract.lines) for extract in waiting)
    counts = Counter(each for ids in of_orders for each in ids if each)
    return [product_id for product_id, _ in counts.most_common(MAX_ASKED)]


def held_up_by(waiting: Sequence[Extract], products: Mapping[str, Product]) -> list[SummaryProduct]:
    """Every product of these orders of which there is not known to be enough: what holds up most of them comes first.

    An order waits for a product alone where there is enough of everything else that it has.
    """
    lines: dict[str, list[ExtractLine]] = {}
    for extract in waiting:
        for line in extract.lines:
            lines.setdefault(_key(line), []).append(line)
    made = {key: _product(of_product, products) for key, of_product in lines.items() if key}
    missing = {key for key, product in made.items() if product.on_hand is None or product.short is not None}
    wants = [{_key(line) for line in extract.lines} - (made.keys() - missing) for extract in waiting]
    alone = Counter(
        key for keys, extract in zip(wants, waiting, strict=True) if len(keys) == 1 and not extract.more_lines
        for key in keys
    )  # fmt: skip
    orders = Counter(key for keys in wants for key in keys)
    held = [
        product.model_copy(update={"orders": orders[key], "alone": alone[key]})
        for key, product in made.items()
        if key in missing
    ]
    return sorted(held, key=lambda each: (-each.orders, -each.alone, -(each.ordered or 0), each.sku or ""))


def _key(line: ExtractLine) -> str:
    """Equal for two lines of one product; empty where the line names none."""
    return line.product_id or line.sku or ""


def _product(lines: Sequence[ExtractLine], products: Mapping[str, Product]) -> SummaryProduct:
    quantities = [line.quantity for line in lines if line.quantity is not None]
    ordered = sum(quantities, Decimal(0)) if quantities else None
    product = products.get(lines[0].product_id or "")
    on_hand = product.inventory if product and not product.is_parent else None  # a parent has no stock of its own
    return SummaryProduct(
        sku=next((line.sku for line in lines if line.sku), product.sku if product else None),
        product_id=lines[0].product_id,
        orders=1,
        ordered=ordered,
        on_hand=on_hand,
        short=short_of(ordered, on_hand) if ordered is not None else None,
    )
