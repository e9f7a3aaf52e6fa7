"""The orders of a digest, by reason, and those that wait when a watch begins: in the same words in every channel."""

from collections import Counter
from collections.abc import Iterator
from datetime import tzinfo
from typing import NamedTuple

from orderwatch.alerts.alert import Alert
from orderwatch.alerts.kinds import KIND_RECOVERED
from orderwatch.alerts.many import Digest, DigestedOrder, WaitingOrder
from orderwatch.alerts.parts import by_urgency
from orderwatch.publishing.messages import text, times, wording

MAX_REASONS = 8
"""Reasons that the list of reasons names; the rest are counted, with their orders."""
_MAX_REASON = 80
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
    due: times.Due | None
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
    return [_waiting(each, alert) for each in alert.waiting.orders] if alert.waiting else []


def total(alert: Alert) -> int:
    """How many orders there are in all, those included that are not listed."""
    if alert.digest:
        return alert.digest.count
    return len(alert.waiting.orders) + alert.waiting.more_orders if alert.waiting else 0


def heading(alert: Alert) -> str:
    """What stands above the list."""
    return "Waiting now, the most urgent first" if alert.waiting else "Orders"


def reasons(alert: Alert) -> str | None:
    """How many orders have which reason, all of them counted; None where there is no reason to name."""
    digest = alert.digest
    if digest is None or digest.of_kind == KIND_RECOVERED:
        return None
    counts = _counts(digest)
    if set(counts) <= {NO_REASON}:
        return None
    shown = counts.most_common(MAX_REASONS)
    rest = counts.total() - sum(count for _, count in shown)
    left_out = text.more(len(counts) - len(shown), "reason", "reasons")
    named = [f"{why} ({count:,})" for why, count in shown]
    return ", ".join([*named, *(f"{each} ({rest:,})" for each in left_out)])


def _counts(digest: Digest) -> Counter[str]:
    """Orders by reason as it is shown: a raw status that says no more than the status is none."""
    counts: Counter[str] = Counter()
    for each in digest.reasons:
        counts[_reason(each.raw_status, digest.status)] += each.orders
    return counts


def _reason(raw_status: str | None, status: str) -> str:
    return text.clip(wording.reason_beyond(raw_status, status) or NO_REASON, _MAX_REASON)


def _digested(alert: Alert, digest: Digest) -> Iterator[Entry]:
    named, counts = reasons(alert) is not None, _counts(digest)
    zone, seen = times.zone_of(alert.connection), times.seen_at(alert)
    for why, orders in _by_reason(digest).items():
        above = f"{why} ({text.plural(counts[why], 'order')})" if named else None
        for order in orders:
            due = times.due(order.ship_by, status=digest.status, seen=seen, zone=zone)
            yield Entry(above, wording.number(order), _said(order, digest), due, order.url)
            above = None


def _by_reason(digest: Digest) -> dict[str, list[DigestedOrder]]:
    """The orders by reason as it is shown: several raw statuses may show as one."""
    together: dict[str, list[DigestedOrder]] = {}
    for order in digest.orders:
        together.setdefault(_reason(order.raw_status, digest.status), []).append(order)
    return {
        why: sorted(orders, key=lambda order: by_urgency(order.ship_by, order.total_price))
        for why, orders in together.items()
    }


def _said(order: DigestedOrder, digest: Digest) -> list[str]:
    worth = text.money(order.total_price, order.currency) if order.total_price is not None else "no total"
    before = text.clean(order.previous_status or "") if digest.of_kind == KIND_RECOVERED else ""
    return [worth, *([f"was {before}"] if before else [])]


def _waiting(order: WaitingOrder, alert: Alert) -> Entry:
    zone: tzinfo = times.zone_of(alert.connection)
    due = times.due(order.ship_by, status=order.status, seen=times.seen_at(alert), zone=zone)
    why = wording.reason_beyond(order.raw_status, order.status)
    how = f"{wording.status_phrase(order.status)}{f' ({text.clip(why, _MAX_REASON)})' if why else ''}"
    worth = [text.money(order.total_price, order.currency)] if order.total_price is not None else []
    return Entry(None, wording.number(order), [how, *worth], due, order.url)
