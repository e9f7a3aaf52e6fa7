"""The content of a daily summary: the headline, the figures of all shops, and a block for each shop."""

from collections import Counter
from datetime import timedelta, tzinfo
from decimal import Decimal
from typing import NamedTuple

from orderwatch.alerts.alert import Alert
from orderwatch.alerts.parts import MAX_TEXT, by_urgency
from orderwatch.alerts.summary import (
    BacklogAges,
    Changes,
    DailySummary,
    Figures,
    NotVisible,
    ShopSummary,
    SummaryOrder,
    SummaryProduct,
    Week,
)
from orderwatch.clock import duration
from orderwatch.rendering import formatting
from orderwatch.rendering.lists import MAX_REASON, Entry, product_code
from orderwatch.rendering.reasons import in_words

MAX_NOT_VISIBLE = 5
"""Maximum number of shops that are listed as not visible; the others are counted."""
MAX_ORDERS = 5
"""Maximum number of orders of a shop in a message to people; the JSON lists more."""
MAX_OWNERS = 8
"""Maximum number of people who are named with their taken orders; the others are counted."""
_REASONS = {"at_risk": "at risk", "late": "late", "stuck": "stuck"}
_STATES = {"initial_sync": "its first sync is not complete", "poll_failing": "polls fail", "stale": "not synced"}
_DAY = 24


def shop_label(shop: ShopSummary) -> str:
    """The name of the shop; its id if it has no name."""
    return formatting.clip(formatting.clean(shop.label) or "unnamed shop", MAX_TEXT)


def headline(summary: DailySummary) -> str:
    """`14 orders need attention, 5 of them late. 2 at risk. 1 shop not visible`: no order is counted twice."""
    total, not_visible = summary.total, summary.shops_not_visible
    if total.needs_attention:
        first = f"{formatting.plural(total.needs_attention, 'order')} {_need(total.needs_attention)} attention"
    else:
        first = "No visible order needs attention" if not_visible else "No order needs attention"
    if summary.is_quiet and summary.watched_shops > 1:
        first += f" in {formatting.plural(summary.watched_shops, 'shop')}"
    hidden = [f"{formatting.plural(not_visible, 'shop')} not visible"] if not_visible else []
    return ". ".join([f"{first}{_late(total)}", *_at_risk(total), *hidden])


def _need(count: int) -> str:
    return "needs" if count == 1 else "need"


def _late(figures: Figures) -> str:
    """`, 2 of them late`, as far as there are any."""
    count, late = figures.needs_attention, figures.late
    if not late:
        return ""
    if late < count:
        return f", {late:,} of them late"
    return ", and is late" if count == 1 else ", all of them late"


def _at_risk(figures: Figures) -> list[str]:
    return [f"{figures.at_risk:,} at risk"] if figures.at_risk else []


def first_order(summary: DailySummary) -> tuple[ShopSummary, SummaryOrder] | None:
    """The most urgent order of all shops."""
    firsts = [(each, each.orders[0]) for each in summary.shops if each.orders]
    return min(
        firsts,
        key=lambda each: (each[1].rank, by_urgency(each[1].ship_by, each[1].total_price)),
        default=None,
    )


def reason_phrase(reason: str) -> str:
    """The reason as part of a sentence: `in exception`, `at risk`."""
    return _REASONS.get(reason) or formatting.status_phrase(reason)


def facts(summary: DailySummary, zone: tzinfo) -> dict[str, str | None]:
    """The figures of all shops, by label; None if a figure is zero or unknown."""
    changes, total = summary.changes, summary.total
    since = f"Since {formatting.moment(changes.since, zone, beside=summary.at)}" if changes else "Since"
    return {
        "Shops": f"{summary.watched_shops:,} watched",
        "Not visible": _shops_not_visible(summary, zone),
        "Needs attention": _by_reason(total),
        "Taken": _by_owner(total) if total.taken else None,
        "Snoozed": formatting.plural(total.snoozed, "order") if total.snoozed else None,
        "Not taken": formatting.plural(total.unowned, "order") if total.taken or total.snoozed else None,
        "How long": _ages(total.ages),
        "Without a value": formatting.plural(total.without_value, "order") if total.without_value else None,
        since: _changes(changes) if changes else None,
        "In seven days": _weeks(summary.week, summary.week_before) if summary.week else None,
    }


def _shops_not_visible(summary: DailySummary, zone: tzinfo) -> str | None:
    """`Nordic Outdoor since Wed 4 Mar 02:00 CET (blocked)`, for each shop that is not visible."""
    found = [(each, each.not_visible) for each in summary.shops if each.not_visible]
    named = [f"{shop_label(each)} {_since(problem, zone, summary)}" for each, problem in found[:MAX_NOT_VISIBLE]]
    return "; ".join([*named, *formatting.more(summary.shops_not_visible - len(named), "shop", "shops")]) or None


def _since(problem: NotVisible, zone: tzinfo, summary: DailySummary) -> str:
    """`since Wed 4 Mar 02:00 CET (blocked)`."""
    state = f"({_STATES.get(problem.state, formatting.clean(problem.state))})"
    return f"since {formatting.moment(problem.since, zone, beside=summary.at)} {state}" if problem.since else state


def _by_reason(figures: Figures) -> str:
    """`6 in exception, 3 late, no other problem`: `late` also counts orders that are listed by their status."""
    phrases = {reason: reason_phrase(reason) for reason in figures.by_reason}
    if "late" in phrases and figures.by_reason["late"] < figures.late:
        phrases["late"] = "late, no other problem"
    return ", ".join(f"{count:,} {phrases[reason]}" for reason, count in figures.by_reason.items())


def _by_owner(figures: Figures) -> str:
    """`5 orders (Ana 3, Ben 2)`."""
    named = [f"{formatting.clean(owner)} {count:,}" for owner, count in figures.by_owner.items()]
    others = formatting.more(len(named) - MAX_OWNERS, "person", "people")
    return f"{formatting.plural(figures.taken, 'order')} ({', '.join([*named[:MAX_OWNERS], *others])})"


def _ages(ages: BacklogAges) -> str:
    """`3 under a day, 5 for 1 to 3 days, 2 for over a week`."""
    counts = {
        "under a day": ages.under_1_day,
        "for 1 to 3 days": ages.from_1_to_3_days,
        "for 3 to 7 days": ages.from_3_to_7_days,
        "for over a week": ages.over_7_days,
    }
    return ", ".join(f"{count:,} {how_long}" for how_long, count in counts.items() if count)


def _changes(changes: Changes) -> str:
    """`6 new, 9 cleared (median 5 h)`."""
    hours = changes.median_hours_to_clear
    median = f" (median {_hours(hours)})" if hours is not None else ""
    return f"{changes.new:,} new, {changes.cleared:,} cleared{median}"


def _hours(hours: Decimal) -> str:
    if hours < 1:
        return "under 1 h"
    return f"{hours:.0f} h" if hours < 2 * _DAY else f"{hours / _DAY:.0f} d"


def _weeks(week: Week, before: Week | None) -> str:
    """`12 new, 20 cleared; the week before 9 new, 3 cleared`."""
    this_week = f"{week.new:,} new, {week.cleared:,} cleared"
    return f"{this_week}; the week before {before.new:,} new, {before.cleared:,} cleared" if before else this_week


class ShopBlock(NamedTuple):
    """What a summary says about one shop.

    Attributes:
        state: Its figures in one line, or that it is not visible.
        facts: Ages, value, changes, reasons in the shop's own words, backorders that stock does not explain.
        products: The products that hold up backordered orders, one line each, without those of unknown stock.
    """

    name: str
    state: str
    facts: list[str]
    orders: list[Entry]
    more_orders: list[str]
    products: list[str]
    more_products: list[str]


def blocks(alert: Alert, summary: DailySummary) -> list[ShopBlock]:
    """A block for every listed shop, the worst first."""
    zone = formatting.zone_of(alert.connection)
    return [_block(shop, summary, zone) for shop in summary.shops]


def closing(summary: DailySummary) -> list[str]:
    """The shops that have no block: those cut off, and those without an order to report."""
    more = formatting.more(summary.more_shops, "shop", "shops")
    lines = [f"{each}, included in the figures above" for each in more]
    if summary.quiet_shops and summary.shops:
        lines.append(f"No order needs attention in {formatting.plural(summary.quiet_shops, 'other shop')}")
    return lines


def _block(shop: ShopSummary, summary: DailySummary, zone: tzinfo) -> ShopBlock:
    state = _figures(shop)
    if shop.not_visible:
        state = f"not visible {_since(shop.not_visible, zone, summary)}; last known: {state}"
    return ShopBlock(
        name=shop_label(shop),
        state=state,
        facts=_shop_facts(shop),
        orders=[_entry(order, shop) for order in shop.orders[:MAX_ORDERS]],
        more_orders=formatting.more(shop.more_orders + len(shop.orders[MAX_ORDERS:]), "order", "orders"),
        products=[_product(each) for each in shop.products if not _is_unknown(each)],
        more_products=formatting.more(shop.more_products, "product", "products"),
    )


def _figures(figures: Figures) -> str:
    """`7 need attention (4 in exception, 3 backordered), 2 of them late. 1 at risk`."""
    count = figures.needs_attention
    only = "".join(map(reason_phrase, figures.by_reason)) if len(figures.by_reason) == 1 else ""
    reasons = f" ({only or _by_reason(figures)})" if only != "late" else ""
    parts = [f"{count:,} {_need(count)} attention{reasons}{_late(figures)}"] if count else []
    owned = [f"{n:,} {what}" for n, what in ((figures.taken, "taken"), (figures.snoozed, "snoozed")) if n]
    return ". ".join([*parts, *filter(None, [", ".join(owned)]), *_at_risk(figures)]) or "no order needs attention"


def _shop_facts(shop: ShopSummary) -> list[str]:
    changes = shop.changes if shop.changes and (shop.changes.new or shop.changes.cleared) else None
    is_cut = shop.needs_attention > len(shop.orders[:MAX_ORDERS])  # listed orders show their reasons themselves
    reasons = Counter[str]()
    for raw, count in shop.raw_reasons.items():  # several codes of the shop can be one reason in words
        reasons[formatting.clip(in_words(formatting.clean(raw)), MAX_REASON)] += count
    without_value = f"{shop.without_value:,} without a value" if shop.without_value else None
    labelled = [
        ("How long", _ages(shop.ages)),
        ("Value", ", ".join(filter(None, [formatting.amounts(shop.value_by_currency), without_value]))),
        ("Since the last summary", _changes(changes) if changes else None),
        ("Reasons", ", ".join(f"{reason} ({count:,})" for reason, count in reasons.items()) if is_cut else None),
        ("Stock unknown", _without_stock(shop)),
    ]
    have = "backorder has" if shop.in_stock == 1 else "backorders have"
    in_stock = [f"{shop.in_stock:,} {have} everything in stock: ask the warehouse"] if shop.in_stock else []
    return [*(f"{label}: {value}" for label, value in labelled if value), *in_stock]


def _without_stock(shop: ShopSummary) -> str:
    """`FILTER-02 (4 orders)`: the products of which nothing says that they are short."""
    unknown = [each for each in shop.products if _is_unknown(each)]
    named = [f"{product_code(each)} ({formatting.plural(each.orders, 'order')})" for each in unknown]
    are_all = len(unknown) == len(shop.products)  # else the list of the others ends with the number of further ones
    return ", ".join([*named, *(formatting.more(shop.more_products, "product", "products") if are_all else [])])


def _entry(order: SummaryOrder, shop: ShopSummary) -> Entry:
    due = formatting.due(order.ship_by, status=order.status, seen=shop.as_of, zone=formatting.zone_of(shop))
    still = f", still {formatting.status_phrase(order.status)}" if order.reason in _REASONS else ""
    raw = formatting.reason(order.raw_status, order.status)
    own_words = f" ({formatting.clip(raw, MAX_REASON)})" if raw else ""
    value = [formatting.money(order.total_price, order.currency)] if order.total_price is not None else []
    age = duration(max(shop.as_of - order.since, timedelta()), units=1)
    what = f"{reason_phrase(order.reason)}{still}{own_words}, for {age}"
    if order.reason == "late" and due:  # the ship-by says that it is late, and for how long
        what = f"still {formatting.status_phrase(order.status)}{own_words}"
    return Entry(None, formatting.order_number(order), [what, *value, *_owned(order, shop)], due, order.url)


def _owned(order: SummaryOrder, shop: ShopSummary) -> list[str]:
    """`taken by Ana since Mon 2 Mar 10:00 CET`, and until when it is snoozed."""
    zone = formatting.zone_of(shop)
    since = f" since {formatting.moment(order.taken_at, zone, beside=shop.as_of)}" if order.taken_at else ""
    taken = [f"taken by {formatting.clean(order.owner)}{since}"] if order.owner else []
    until = order.snoozed_until
    return [*taken, *([f"snoozed until {formatting.moment(until, zone, beside=shop.as_of)}"] if until else [])]


def _is_unknown(product: SummaryProduct) -> bool:
    """Whether nothing says that the product is short: neither a stock nor that it is a kit."""
    return product.on_hand is None and not product.is_kit


def _product(product: SummaryProduct) -> str:
    """`KENYA-1KG: 16 short, 13 orders (9 need nothing else)`; `4 of its 13 orders could ship now` if stock is left."""
    alone = product.only_blocker
    only = f" ({alone:,} {'needs' if alone == 1 else 'need'} nothing else)" if alone else ""
    orders = formatting.plural(product.orders, "order")
    if product.can_ship:
        which = f"{product.can_ship:,} of its" if product.can_ship < product.orders else "all"
        orders = f"{orders} that could ship now" if product.orders == 1 else f"{which} {orders} could ship now"
    return f"{product_code(product)}: {_stock(product)}, {orders}{only}"


def _stock(product: SummaryProduct) -> str:
    if product.short is not None:
        return f"{formatting.quantity(product.short)} short"
    if product.is_kit:
        return "a kit whose parts decide"
    return f"{formatting.quantity(product.on_hand or Decimal())} on hand, units to ship unknown"
