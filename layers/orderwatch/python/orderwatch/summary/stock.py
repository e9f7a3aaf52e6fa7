"""The products that hold up the backordered orders of a shop, and their stock."""

from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from decimal import Decimal
from typing import NamedTuple, Protocol

from orderwatch.alerts.parts import ProductKey, shared_ids, short_of
from orderwatch.alerts.summary import ShopSummary, SummaryProduct
from orderwatch.allocation import Need, allocate, line_key
from orderwatch.records import ExtractLine
from orderwatch.statuses import BACKORDERED
from orderwatch.summary.figures import SummaryRow
from orderwatch.trackstar.products import Product, ProductLookup

MAX_PRODUCTS = 5
"""Maximum number of products that are listed for a shop."""
MAX_LOOKED_UP = 100
"""Maximum number of products of a shop that are looked up: one request to Trackstar."""
MAX_SHOPS = 20
"""Maximum number of shops whose products are looked up."""


class StockSource(Protocol):
    """Looks up products, within its own time limit."""

    def look_up(self, connection_id: str, product_ids: Sequence[str]) -> ProductLookup:
        """The products of a connection, or why they are missing; raises nothing."""


def add_products(
    shops: Iterable[ShopSummary], orders: Mapping[str, Sequence[SummaryRow]], source: StockSource | None
) -> tuple[list[ShopSummary], list[str]]:
    """Add the products that hold up orders to each shop, and return why the stock of some shops is unknown.

    Args:
        shops: The worst first: products are looked up for the first `MAX_SHOPS` that have any.
        orders: The orders of the summary, by connection.
        source: Where products are looked up; None: nowhere.
    """
    complete: list[ShopSummary] = []
    missing: list[str] = []
    lookups = 0
    for shop in shops:
        backlog = backordered(orders[shop.connection_id])
        ids = product_ids(backlog)
        products: Mapping[str, Product] = {}
        if source and ids and lookups < MAX_SHOPS:
            lookups += 1
            found = source.look_up(shop.connection_id, ids)
            products = found.products
            if found.missing_reason:
                missing.append(f"stock at {shop.label}: {found.missing_reason}")
        blockers, in_stock = blocking_products(backlog, products)
        top = tuple(blockers[:MAX_PRODUCTS])
        complete.append(shop.with_products(top, more=len(blockers) - len(top), in_stock=in_stock))
    return complete, missing


def backordered(orders: Iterable[SummaryRow]) -> list[Need]:
    """The orders that lack stock."""
    found = (order for order in orders if order.needs_attention and order.row.status == BACKORDERED)
    return [Need(order.id, order.row, order.extract) for order in found]


def product_ids(backlog: Iterable[Need]) -> list[str]:
    """At most `MAX_LOOKED_UP` product ids, those in the most orders first; ties keep the order of the orders."""
    of_orders = (dict.fromkeys(line.product_id for line in need.extract.lines) for need in backlog)
    counts = Counter(each for ids in of_orders for each in ids if each)
    return [product_id for product_id, _ in counts.most_common(MAX_LOOKED_UP)]


class Blockers(NamedTuple):
    """The products that hold up orders, those in the most orders first, and the number of orders that none holds up."""

    products: list[SummaryProduct]
    in_stock: int


def blocking_products(backlog: Sequence[Need], products: Mapping[str, Product]) -> Blockers:
    """The products whose stock does not cover these orders or is unknown, and the orders that are wholly covered."""
    extracts = [need.extract for need in backlog]
    keys = [[line_key(line, products) for line in extract.lines] for extract in extracts]
    lines: dict[ProductKey, list[ExtractLine]] = {}
    for extract, of_extract in zip(extracts, keys, strict=True):
        for line, key in zip(extract.lines, of_extract, strict=True):
            if key:
                lines.setdefault(key, []).append(line)
    shared = shared_ids(lines)
    stock = {key: stock_of(key, of_product, products, shared) for key, of_product in lines.items()}
    blocking = {key for key, each in stock.items() if not each.is_covered}
    # A line that names no product has the key None: it holds up its order too, but cannot be listed.
    needed = [set(of_extract) - (stock.keys() - blocking) for of_extract in keys]
    orders = Counter(key for each in needed for key in each)
    only = Counter(
        key
        for each, extract in zip(needed, extracts, strict=True)
        if len(each) == 1 and not extract.more_lines
        for key in each
    )
    covered = set(allocate(backlog, products))
    can_ship = Counter(
        key for each, need in zip(needed, backlog, strict=True) if need.order_id in covered for key in each
    )
    blockers = [
        SummaryProduct(
            sku=each.sku,
            product_id=each.product_id,
            orders=orders[key],
            only_blocker=only[key],
            can_ship=can_ship[key] if each.on_hand is not None else None,
            outstanding=each.outstanding,
            on_hand=each.on_hand,
            short=each.short,
            is_kit=each.is_kit,
        )
        for key, each in stock.items()
        if key in blocking
    ]
    blockers.sort(key=lambda each: (-each.orders, -each.only_blocker, -(each.outstanding or 0), each.sku or ""))
    lines_known = [bool(extract.lines) and not extract.more_lines for extract in extracts]
    return Blockers(blockers, sum(known and not each for known, each in zip(lines_known, needed, strict=True)))


class ProductStock(NamedTuple):
    """The units of a product that are still to ship, and its stock; None where a number is unknown."""

    sku: str | None
    product_id: str | None
    outstanding: Decimal | None
    on_hand: Decimal | None
    is_kit: bool | None
    is_counted: bool
    """Whether every quantity is known."""

    @property
    def short(self) -> Decimal | None:
        """Units still to ship beyond the stock on hand; None if the stock is sufficient, unknown or that of a kit."""
        return None if self.outstanding is None or self.is_kit else short_of(self.outstanding, self.on_hand)

    @property
    def is_covered(self) -> bool:
        """Whether the stock is known to suffice; never for a kit, whose parts decide."""
        return self.is_counted and self.on_hand is not None and self.short is None and not self.is_kit


def stock_of(
    key: ProductKey, lines: Sequence[ExtractLine], products: Mapping[str, Product], shared: Collection[str]
) -> ProductStock:
    """What these lines, all of one product, need and what is on hand.

    Args:
        key: The product.
        lines: Its lines.
        products: The records of products, by id.
        shared: The product ids that occur with several SKUs.
    """
    product_id, sku = key
    quantities = [line.quantity for line in lines if line.quantity is not None]
    product = products.get(product_id or "")
    has_stock = product is not None and product.has_stock_of_line(sku, is_shared=product.id in shared)
    return ProductStock(
        sku=sku,
        product_id=product_id,
        outstanding=sum(quantities, Decimal(0)) if quantities else None,
        on_hand=product.inventory if product and has_stock else None,
        is_kit=product.is_kit if product and product.is_of_line(sku) else None,
        is_counted=len(quantities) == len(lines),
    )
