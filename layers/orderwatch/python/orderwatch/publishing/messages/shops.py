"""The shops of a daily summary, one block each: in the same words in every channel, which decides how much fits."""

from datetime import timedelta, tzinfo
from typing import NamedTuple

from orderwatch.alerts.alert import Alert
from orderwatch.alerts.daily import DailySummary, ShopSummary, SummaryOrder, SummaryProduct
from orderwatch.publishing.messages import overview, text, times, wording
from orderwatch.publishing.messages.listing import Entry

_MAX_REASON = 80
_NONE = timedelta()


class ShopBlock(NamedTuple):
    """What is said of one shop.

    Attributes:
        name: What people call it.
        state: Its figures, or that it cannot be seen, in one line.
        facts: How long, how much, what changed, the shop's own words.
        orders: The most urgent ones.
        more_orders: `+3 more orders`.
        products: What its backordered orders wait for, each in one line.
        more_products: `+3 more products`.
    """

    name: str
    state: str
    facts: list[str]
    orders: list[Entry]
    more_orders: list[str]
    products: list[str]
    more_products: list[str]


def blocks(alert: Alert, daily: DailySummary) -> list[ShopBlock]:
    """Every shop that is listed, the worst first."""
    zone = times.zone_of(alert.connection)
    return [_block(shop, daily, zone) for shop in daily.shops]


def closing(daily: DailySummary) -> list[str]:
    """The shops that are not listed: those cut off, and those where nothing waits."""
    cut = [f"{each}: the figures above count them" for each in text.more(daily.more_shops, "shop", "shops")]
    quiet = overview.quiet(daily)
    return [*cut, *([quiet] if quiet and daily.shops else [])]


def _block(shop: ShopSummary, daily: DailySummary, zone: tzinfo) -> ShopBlock:
    figures = overview.figures(shop)
    unseen = f"not visible {overview.since(shop.unseen, zone, daily)}; last known: {figures}" if shop.unseen else None
    return ShopBlock(
        name=overview.shop(shop),
        state=unseen or figures,
        facts=_facts(shop),
        orders=[_entry(order, shop) for order in shop.orders],
        more_orders=text.more(shop.more_orders, "order", "orders"),
        products=[_product(each) for each in shop.products],
        more_products=text.more(shop.more_products, "product", "products"),
    )


def _facts(shop: ShopSummary) -> list[str]:
    is_cut = shop.waiting > len(shop.orders)  # what is listed says why itself
    raw = [f"{text.clip(text.clean(why), _MAX_REASON)} ({count:,})" for why, count in shop.raw_reasons.items()]
    said = [
        ("How long", overview.ages(shop.ages)),
        ("Value", _worth(shop)),
        ("Since the last summary", _changes(shop)),
        ("Reasons", ", ".join(raw) if is_cut else None),
    ]
    return [f"{label}: {value}" for label, value in said if value]


def _changes(shop: ShopSummary) -> str | None:
    changed = shop.changes
    return overview.changes(changed) if changed and (changed.new or changed.cleared) else None


def _worth(shop: ShopSummary) -> str | None:
    worth = wording.amounts(shop.value_by_currency)
    without = f"{shop.without_value:,} without a value" if shop.without_value else None
    return ", ".join(filter(None, [worth, without])) or None


def _entry(order: SummaryOrder, shop: ShopSummary) -> Entry:
    due = times.due(order.ship_by, status=order.status, seen=shop.as_of, zone=times.zone_named(shop.time_zone))
    still = f", still {wording.status_phrase(order.status)}" if order.reason in {"late", "stuck", "at_risk"} else ""
    why = wording.reason_beyond(order.raw_status, order.status)
    own = f" ({text.clip(why, _MAX_REASON)})" if why else ""
    worth = [text.money(order.total_price, order.currency)] if order.total_price is not None else []
    how = f"{overview.reason_phrase(order.reason)}{still}{own}, for {times.span(max(shop.as_of - order.since, _NONE))}"
    return Entry(None, wording.number(order), [how, *worth], due, order.url)


def _product(product: SummaryProduct) -> str:
    code = text.clean(product.sku or "") or text.clean(product.product_id or "") or "no SKU"
    alone = f" ({product.alone:,} {'waits' if product.alone == 1 else 'wait'} for it alone)" if product.alone else ""
    said = [f"{code}: in {text.plural(product.orders, 'order')}{alone}"]
    said += [f"ordered {text.quantity(product.ordered)}"] if product.ordered is not None else []
    said += [f"on hand {text.quantity(product.on_hand)}" if product.on_hand is not None else "stock not known"]
    return ", ".join(said) + (f": short {text.quantity(product.short)}" if product.short is not None else "")
