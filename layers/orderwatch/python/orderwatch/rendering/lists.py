"""The orders of a digest, by reason, and those that wait when a watch begins: in the same words in every channel."""

from collections import Counter
from collections.abc import Iterator
from datetime import timedelta, tzinfo
from decimal import Decimal
from typing import NamedTuple

from orderwatch.alerts import kinds
from orderwatch.alerts.alert import Alert
from orderwatch.alerts.kinds import KIND_RECOVERED
from orderwatch.alerts.parts import MAX_TEXT, BacklogOrder, Digest, DigestedOrder, by_urgency
from orderwatch.alerts.summary import (
    BacklogAges,
    Changes,
    DailySummary,
    Figures,
    ShopSummary,
    SummaryOrder,
    SummaryProduct,
    Unseen,
    Week,
)
from orderwatch.rendering import content, formatting

MAX_REASONS = 8
"""Reasons that the list of reasons names; the rest are counted, with their orders."""
NO_REASON = "no reason given"


class Entry(NamedTuple):
    """One order of a list.

    Attributes:
        heading: The reason and how many orders have it, at the first order of each; else None.
        number: The order's number.
        said: What else there is to say of it, each without its full stop.
        due: When it must ship.
        url: Where to open it, as the shop gave it.
    """

    heading: str | None
    number: str
    said: list[str]
    due: formatting.Due | None
    url: str | None

    @property
    def line(self) -> str:
        """`#1042: ship by Fri 6 Mar 10:00 CET (in 35 h), 129.90 EUR`."""
        parts = [*([f"ship by {self.due.said}"] if self.due else []), *self.said]
        return f"{self.number}: {', '.join(parts)}" if parts else self.number


def entries(alert: Alert) -> list[Entry]:
    """The orders that the alert lists, in its order: a digest's by reason, then all by ship-by and value."""
    if alert.digest:
        return list(_digested(alert, alert.digest))
    return [_backlog_entry(each, alert) for each in alert.waiting.orders] if alert.waiting else []


def total(alert: Alert) -> int:
    """How many orders there are in all, those included that are not listed."""
    if alert.digest:
        return alert.digest.count
    return len(alert.waiting.orders) + alert.waiting.more_orders if alert.waiting else 0


def heading(alert: Alert) -> str:
    """What stands above the list."""
    return "Waiting now, the most urgent first" if alert.waiting else "Orders"


def digest_reasons(alert: Alert) -> str | None:
    """How many orders have which reason, all of them counted; None where there is no reason to name."""
    digest = alert.digest
    if digest is None or digest.of_kind == KIND_RECOVERED:
        return None
    counts = _counts(digest)
    if set(counts) <= {NO_REASON}:
        return None
    shown = counts.most_common(MAX_REASONS)
    rest = counts.total() - sum(count for _, count in shown)
    left_out = formatting.more(len(counts) - len(shown), "reason", "reasons")
    named = [f"{why} ({count:,})" for why, count in shown]
    return ", ".join([*named, *(f"{each} ({rest:,})" for each in left_out)])


def _counts(digest: Digest) -> Counter[str]:
    """Orders by reason as it is shown: a raw status that says no more than the status is none."""
    counts: Counter[str] = Counter()
    for each in digest.reasons:
        counts[_reason(each.raw_status, digest.status)] += each.orders
    return counts


def _reason(raw_status: str | None, status: str) -> str:
    return formatting.clip(content.reason_beyond(raw_status, status) or NO_REASON, _MAX_REASON)


def _digested(alert: Alert, digest: Digest) -> Iterator[Entry]:
    named, counts = digest_reasons(alert) is not None, _counts(digest)
    zone, seen = formatting.zone_of(alert.connection), formatting.seen_at(alert)
    for why, orders in _by_reason(digest).items():
        above = f"{why} ({formatting.plural(counts[why], 'order')})" if named else None
        for order in orders:
            due = formatting.due(order.ship_by, status=digest.status, seen=seen, zone=zone)
            yield Entry(above, content.number(order), _said(order, digest), due, order.url)
            above = None


def _by_reason(digest: Digest) -> dict[str, list[DigestedOrder]]:
    """The orders by reason as it is shown: several raw statuses may show as one."""
    merge_alerts: dict[str, list[DigestedOrder]] = {}
    for order in digest.orders:
        merge_alerts.setdefault(_reason(order.raw_status, digest.status), []).append(order)
    return {
        why: sorted(orders, key=lambda order: by_urgency(order.ship_by, order.total_price))
        for why, orders in merge_alerts.items()
    }


def _said(order: DigestedOrder, digest: Digest) -> list[str]:
    worth = formatting.money(order.total_price, order.currency) if order.total_price is not None else "no total"
    before = formatting.clean(order.previous_status or "") if digest.of_kind == KIND_RECOVERED else ""
    return [worth, *([f"was {before}"] if before else [])]


def _backlog_entry(order: BacklogOrder, alert: Alert) -> Entry:
    zone: tzinfo = formatting.zone_of(alert.connection)
    due = formatting.due(order.ship_by, status=order.status, seen=formatting.seen_at(alert), zone=zone)
    why = content.reason_beyond(order.raw_status, order.status)
    how = f"{content.status_phrase(order.status)}{f' ({formatting.clip(why, _MAX_REASON)})' if why else ''}"
    worth = [formatting.money(order.total_price, order.currency)] if order.total_price is not None else []
    return Entry(None, content.number(order), [how, *worth], due, order.url)


MAX_UNSEEN = 5
"""Shops out of sight that are named in one line; the others are counted."""
_REASONS = {"at_risk": "at risk", "late": "late", "stuck": "stuck"}
_UNSEEN = {"initial_sync": "its first reading is not done", "poll_failing": "not read", "stale": "not synced"}
_DAY = 24


def shop_label(summary: ShopSummary) -> str:
    """What a person calls the shop."""
    return formatting.clip(formatting.clean(summary.label) or "unnamed shop", MAX_TEXT)


def headline(daily: DailySummary) -> str:
    """How many wait, how many of them are late, and what cannot be seen: `14 orders wait, 5 of them late`."""
    parts = [_waiting(daily), *_out_of_sight(daily)]
    return ", ".join(filter(None, parts)) or f"Nothing waits in {formatting.plural(daily.watched_shops, 'shop')}"


def _waiting(daily: DailySummary) -> str | None:
    total = daily.total
    needs_attention = f"{formatting.plural(total.waiting, 'order')} {'waits' if total.waiting == 1 else 'wait'}"
    risk = f"{total.at_risk:,} at risk" if total.at_risk else None
    if not total.waiting:
        unseen = "Nothing that can be seen waits" if daily.unseen_shops else None
        return f"Nothing waits, {risk}" if risk and not unseen else ", ".join(filter(None, [unseen, risk])) or None
    return ", ".join(filter(None, [needs_attention, f"{total.late:,} late" if total.late else None, risk]))


def _out_of_sight(daily: DailySummary) -> list[str]:
    count = daily.unseen_shops
    return [f"{formatting.plural(count, 'shop')} not visible"] if count else []


def places(daily: DailySummary) -> str | None:
    """In how many shops what waits is: `In 3 of 12 shops`; None where nothing is told of any."""
    alerted = len(daily.shops) + daily.more_shops
    return f"In {alerted:,} of {formatting.plural(daily.watched_shops, 'shop')}" if alerted else None


def unseen_shops(daily: DailySummary, zone: tzinfo) -> str | None:
    """`Nordic Outdoor since Wed 4 Mar 02:00 CET (blocked)`, for each shop that cannot be seen."""
    unseen = [(each, each.unseen) for each in daily.shops if each.unseen]
    named = [f"{shop_label(each)} {since(state, zone, daily)}" for each, state in unseen[:MAX_UNSEEN]]
    return "; ".join([*named, *formatting.more(daily.unseen_shops - len(named), "shop", "shops")]) or None


def since(unseen: Unseen, zone: tzinfo, daily: DailySummary) -> str:
    """`since Wed 4 Mar 02:00 CET (blocked)`."""
    why = f"({_UNSEEN.get(unseen.state, formatting.clean(unseen.state))})"
    return f"since {formatting.moment(unseen.since, zone, beside=daily.at)} {why}" if unseen.since else why


def first(daily: DailySummary) -> tuple[ShopSummary, SummaryOrder] | None:
    """What to begin with: of the most urgent orders of each shop the most urgent one."""
    firsts = [(each, each.orders[0]) for each in daily.shops if each.orders]
    return min(firsts, key=_urgency, default=None)


def _urgency(each: tuple[ShopSummary, SummaryOrder]) -> tuple[bool, object]:
    _, order = each
    return order.reason == "at_risk", by_urgency(order.ship_by, order.total_price)


def reason_phrase(reason: str) -> str:
    """Why an order is told of, within a sentence: `in exception`, `at risk`."""
    return _REASONS.get(reason) or formatting.clean(kinds.status_phrase(reason))


def reasons(counted: Figures) -> str:
    """`6 in exception, 5 backordered, 3 only late`: some of the others are late too, and the shop's figure says so."""
    phrases = {reason: reason_phrase(reason) for reason in counted.by_reason}
    if "late" in phrases and counted.by_reason["late"] < counted.late:
        phrases["late"] = "only late"
    return ", ".join(f"{count:,} {phrases[reason]}" for reason, count in counted.by_reason.items())


def ages(counts: BacklogAges) -> str:
    """`3 under a day, 5 for 1 to 3 days, 2 for over a week`."""
    said = {
        "under a day": counts.under_1_day,
        "for 1 to 3 days": counts.from_1_to_3_days,
        "for 3 to 7 days": counts.from_3_to_7_days,
        "for over a week": counts.over_7_days,
    }
    return ", ".join(f"{count:,} {how_long}" for how_long, count in said.items() if count)


def changes(changed: Changes) -> str:
    """`6 new, 4 cleared (half of them within 5 h)`."""
    median = changed.median_hours_to_clear
    within = f" (half of them within {_hours(median)})" if median is not None else ""
    return f"{changed.new:,} new, {changed.cleared:,} cleared{within}"


def _hours(hours: Decimal) -> str:
    if hours < 1:
        return "an hour"
    return f"{hours:.0f} h" if hours < 2 * _DAY else f"{hours / _DAY:.0f} d"


def weeks(week: Week, before: Week | None) -> str:
    """`12 new, 20 cleared; the week before 9 new, 3 cleared`."""
    said = f"{week.new:,} new, {week.cleared:,} cleared"
    return f"{said}; the week before {before.new:,} new, {before.cleared:,} cleared" if before else said


def figures(counted: Figures) -> str:
    """A shop's figures in one line, but for the money: `7 wait (4 in exception, 3 backordered), 2 late, 1 at risk`."""
    needs_attention = "waits" if counted.waiting == 1 else "wait"
    only = "".join(map(reason_phrase, counted.by_reason)) if len(counted.by_reason) == 1 else ""
    said = [f"{counted.waiting:,} {needs_attention} ({only or reasons(counted)})"] if counted.waiting else []
    said += [f"{counted.late:,} late"] if counted.late else []
    said += [f"{counted.at_risk:,} at risk"] if counted.at_risk else []
    return ", ".join(said) or "nothing waits"


def quiet(daily: DailySummary) -> str | None:
    """How many shops there are that can be seen and where nothing waits."""
    return f"Nothing waits in {formatting.plural(daily.quiet_shops, 'other shop')}" if daily.quiet_shops else None


def facts(daily: DailySummary, zone: tzinfo) -> dict[str, str | None]:
    """The figures of all shops together, by label; None where there is nothing to say."""
    changed, total = daily.changes, daily.total
    label = f"Since {formatting.moment(changed.since, zone, beside=daily.at)}" if changed else "Since"
    return {
        "Shops": f"{daily.watched_shops:,} watched",
        "Not visible": unseen_shops(daily, zone),
        "Waiting": reasons(total),
        "How long": ages(total.ages),
        "Without a value": formatting.plural(total.without_value, "order") if total.without_value else None,
        label: changes(changed) if changed else None,
        "In seven days": weeks(daily.week, daily.week_before) if daily.week else None,
    }


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
    zone = formatting.zone_of(alert.connection)
    return [_block(shop, daily, zone) for shop in daily.shops]


def closing(daily: DailySummary) -> list[str]:
    """The shops that are not listed: those cut off, and those where nothing waits."""
    cut = [f"{each}: the figures above count them" for each in formatting.more(daily.more_shops, "shop", "shops")]
    without_any = quiet(daily)
    return [*cut, *([without_any] if without_any and daily.shops else [])]


def _block(shop: ShopSummary, daily: DailySummary, zone: tzinfo) -> ShopBlock:
    counted = figures(shop)
    unseen = f"not visible {since(shop.unseen, zone, daily)}; last known: {counted}" if shop.unseen else None
    return ShopBlock(
        name=shop_label(shop),
        state=unseen or counted,
        facts=_facts(shop),
        orders=[_entry(order, shop) for order in shop.orders],
        more_orders=formatting.more(shop.more_orders, "order", "orders"),
        products=[_product(each) for each in shop.products],
        more_products=formatting.more(shop.more_products, "product", "products"),
    )


def _facts(shop: ShopSummary) -> list[str]:
    is_cut = shop.waiting > len(shop.orders)  # what is listed says why itself
    raw = [
        f"{formatting.clip(formatting.clean(why), _MAX_REASON)} ({count:,})" for why, count in shop.raw_reasons.items()
    ]
    said = [
        ("How long", ages(shop.ages)),
        ("Value", _worth(shop)),
        ("Since the last summary", _changes(shop)),
        ("Reasons", ", ".join(raw) if is_cut else None),
    ]
    return [f"{label}: {value}" for label, value in said if value]


def _changes(shop: ShopSummary) -> str | None:
    changed = shop.changes
    return changes(changed) if changed and (changed.new or changed.cleared) else None


def _worth(shop: ShopSummary) -> str | None:
    worth = content.amounts(shop.value_by_currency)
    without = f"{shop.without_value:,} without a value" if shop.without_value else None
    return ", ".join(filter(None, [worth, without])) or None


def _entry(order: SummaryOrder, shop: ShopSummary) -> Entry:
    due = formatting.due(
        order.ship_by, status=order.status, seen=shop.as_of, zone=formatting.zone_named(shop.time_zone)
    )
    still = f", still {content.status_phrase(order.status)}" if order.reason in {"late", "stuck", "at_risk"} else ""
    why = content.reason_beyond(order.raw_status, order.status)
    own = f" ({formatting.clip(why, _MAX_REASON)})" if why else ""
    worth = [formatting.money(order.total_price, order.currency)] if order.total_price is not None else []
    how = f"{reason_phrase(order.reason)}{still}{own}, for {formatting.span(max(shop.as_of - order.since, _NONE))}"
    return Entry(None, content.number(order), [how, *worth], due, order.url)


def _product(product: SummaryProduct) -> str:
    code = formatting.clean(product.sku or "") or formatting.clean(product.product_id or "") or "no SKU"
    alone = f" ({product.alone:,} {'waits' if product.alone == 1 else 'wait'} for it alone)" if product.alone else ""
    said = [f"{code}: in {formatting.plural(product.orders, 'order')}{alone}"]
    said += [f"ordered {formatting.quantity(product.ordered)}"] if product.ordered is not None else []
    said += [f"on hand {formatting.quantity(product.on_hand)}" if product.on_hand is not None else "stock not known"]
    return ", ".join(said) + (f": short {formatting.quantity(product.short)}" if product.short is not None else "")
