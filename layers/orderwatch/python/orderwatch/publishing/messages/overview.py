"""What is said of a daily summary as a whole: the decision first, then its figures in words."""

from datetime import tzinfo
from decimal import Decimal

from orderwatch.alerts import kinds
from orderwatch.alerts.daily import Changes, DailySummary, Figures, ShopSummary, SummaryOrder, Unseen, WaitingAges, Week
from orderwatch.alerts.parts import MAX_TEXT, by_urgency
from orderwatch.publishing.messages import text, times

MAX_UNSEEN = 5
"""Shops out of sight that are named in one line; the others are counted."""
_REASONS = {"at_risk": "at risk", "late": "late", "stuck": "stuck"}
_UNSEEN = {"waiting": "its first reading is not done", "unread": "not read", "stale": "not synced"}
_DAY = 24


def shop(summary: ShopSummary) -> str:
    """What a person calls the shop."""
    return text.clip(text.clean(summary.label) or "unnamed shop", MAX_TEXT)


def headline(daily: DailySummary) -> str:
    """How many wait, how many of them are late, and what cannot be seen: `14 orders wait, 5 of them late`."""
    parts = [_waiting(daily), *_out_of_sight(daily)]
    return ", ".join(filter(None, parts)) or f"Nothing waits in {text.plural(daily.watched_shops, 'shop')}"


def _waiting(daily: DailySummary) -> str | None:
    total = daily.total
    waits = f"{text.plural(total.waiting, 'order')} {'waits' if total.waiting == 1 else 'wait'}"
    risk = f"{total.at_risk:,} at risk" if total.at_risk else None
    if not total.waiting:
        unseen = "Nothing that can be seen waits" if daily.unseen_shops else None
        return f"Nothing waits, {risk}" if risk and not unseen else ", ".join(filter(None, [unseen, risk])) or None
    return ", ".join(filter(None, [waits, f"{total.late:,} late" if total.late else None, risk]))


def _out_of_sight(daily: DailySummary) -> list[str]:
    count = daily.unseen_shops
    return [f"{text.plural(count, 'shop')} not visible"] if count else []


def places(daily: DailySummary) -> str | None:
    """In how many shops what waits is: `In 3 of 12 shops`; None where nothing is told of any."""
    told = len(daily.shops) + daily.more_shops
    return f"In {told:,} of {text.plural(daily.watched_shops, 'shop')}" if told else None


def unseen_shops(daily: DailySummary, zone: tzinfo) -> str | None:
    """`Nordic Outdoor since Wed 4 Mar 02:00 CET (blocked)`, for each shop that cannot be seen."""
    unseen = [(each, each.unseen) for each in daily.shops if each.unseen]
    named = [f"{shop(each)} {since(state, zone, daily)}" for each, state in unseen[:MAX_UNSEEN]]
    return "; ".join([*named, *text.more(daily.unseen_shops - len(named), "shop", "shops")]) or None


def since(unseen: Unseen, zone: tzinfo, daily: DailySummary) -> str:
    """`since Wed 4 Mar 02:00 CET (blocked)`."""
    why = f"({_UNSEEN.get(unseen.state, text.clean(unseen.state))})"
    return f"since {times.moment(unseen.since, zone, beside=daily.at)} {why}" if unseen.since else why


def first(daily: DailySummary) -> tuple[ShopSummary, SummaryOrder] | None:
    """What to begin with: of the most urgent orders of each shop the most urgent one."""
    firsts = [(each, each.orders[0]) for each in daily.shops if each.orders]
    return min(firsts, key=_urgency, default=None)


def _urgency(each: tuple[ShopSummary, SummaryOrder]) -> tuple[bool, object]:
    _, order = each
    return order.reason == "at_risk", by_urgency(order.ship_by, order.total_price)


def reason_phrase(reason: str) -> str:
    """Why an order is told of, within a sentence: `in exception`, `at risk`."""
    return _REASONS.get(reason) or text.clean(kinds.status_phrase(reason))


def reasons(counted: Figures) -> str:
    """`6 in exception, 5 backordered, 3 only late`: some of the others are late too, and the shop's figure says so."""
    phrases = {reason: reason_phrase(reason) for reason in counted.by_reason}
    if "late" in phrases and counted.by_reason["late"] < counted.late:
        phrases["late"] = "only late"
    return ", ".join(f"{count:,} {phrases[reason]}" for reason, count in counted.by_reason.items())


def ages(counts: WaitingAges) -> str:
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
    waits = "waits" if counted.waiting == 1 else "wait"
    only = "".join(map(reason_phrase, counted.by_reason)) if len(counted.by_reason) == 1 else ""
    said = [f"{counted.waiting:,} {waits} ({only or reasons(counted)})"] if counted.waiting else []
    said += [f"{counted.late:,} late"] if counted.late else []
    said += [f"{counted.at_risk:,} at risk"] if counted.at_risk else []
    return ", ".join(said) or "nothing waits"


def quiet(daily: DailySummary) -> str | None:
    """How many shops there are that can be seen and where nothing waits."""
    return f"Nothing waits in {text.plural(daily.quiet_shops, 'other shop')}" if daily.quiet_shops else None


def facts(daily: DailySummary, zone: tzinfo) -> dict[str, str | None]:
    """The figures of all shops together, by label; None where there is nothing to say."""
    changed, total = daily.changes, daily.total
    label = f"Since {times.moment(changed.since, zone, beside=daily.at)}" if changed else "Since"
    return {
        "Shops": f"{daily.watched_shops:,} watched",
        "Not visible": unseen_shops(daily, zone),
        "Waiting": reasons(total),
        "How long": ages(total.ages),
        "Without a value": text.plural(total.without_value, "order") if total.without_value else None,
        label: changes(changed) if changed else None,
        "In seven days": weeks(daily.week, daily.week_before) if daily.week else None,
    }
