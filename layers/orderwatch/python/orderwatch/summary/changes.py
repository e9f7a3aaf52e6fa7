"""The changes since the previous summary, whose row stores a snapshot of the backlog."""

import base64
import json
import zlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import ROUND_HALF_UP, Decimal
from statistics import median

from orderwatch.alerts.summary import Changes, DailySummary, Week
from orderwatch.records import StoredOrder

MAX_SNAPSHOT = 200_000
"""Maximum characters of an encoded snapshot: about 10,000 orders. The row also holds the alert, and takes 400 KB."""
MIN_FOR_MEDIAN = 5
"""Orders from which on a median says something."""
WEEK = timedelta(days=7)
_TENTH = Decimal("0.1")

type OrdersSince = Mapping[str, datetime]
"""When each order of a shop that needs attention began to need it, by order id."""
type Snapshot = Mapping[str, OrdersSince]
"""The orders that need attention in each shop."""


@dataclass(frozen=True, slots=True)
class PreviousSummary:
    """An earlier summary."""

    summary: DailySummary
    snapshot: Snapshot | None
    """The orders that needed attention; None if they were too many to store."""


def encode(snapshot: Snapshot) -> str | None:
    """The snapshot as text for the alert's row; None if it is longer than `MAX_SNAPSHOT`."""
    seconds = {
        shop: {order_id: int(since.timestamp()) for order_id, since in orders.items()}
        for shop, orders in snapshot.items()
    }
    packed = zlib.compress(json.dumps(seconds, separators=(",", ":")).encode(), level=9)
    text = base64.b85encode(packed).decode("ascii")
    return text if len(text) <= MAX_SNAPSHOT else None


def decode(text: str) -> dict[str, dict[str, datetime]]:
    """The snapshot that `encode` turned into text."""
    seconds = json.loads(zlib.decompress(base64.b85decode(text)))
    return {
        shop: {order_id: datetime.fromtimestamp(since, UTC) for order_id, since in orders.items()}
        for shop, orders in seconds.items()
    }


def cleared_ids(before: OrdersSince, now: OrdersSince) -> list[str]:
    """The orders that needed attention before and do not any more."""
    return [order_id for order_id in before if order_id not in now]


def hours_to_clear(
    before: OrdersSince, cleared: Mapping[str, StoredOrder], *, watched_since: datetime | None
) -> list[Decimal]:
    """Hours from when each cleared order of the previous summary began to need attention until its status changed.

    An order that kept its status is left out: its ship-by was moved, and no row says when. So is one that needed
    attention before the watch began: nobody was alerted about it until then.
    """
    began = {key: before[key] for key in cleared if watched_since is None or before[key] >= watched_since}
    spans = (cleared[order_id].status_since - since for order_id, since in began.items())
    return [Decimal(span / timedelta(hours=1)) for span in spans if span > timedelta()]


def shop_changes(since: datetime, *, before: OrdersSince, now: OrdersSince, hours: Sequence[Decimal]) -> Changes:
    """The changes in one shop since the previous summary; `hours` come from `hours_to_clear`."""
    return Changes(
        since=since,
        previous=len(before),
        new=sum(order_id not in before for order_id in now),
        cleared=len(cleared_ids(before, now)),
        median_hours_to_clear=_median(hours),
    )


def total_changes(since: datetime, shops: Iterable[Changes], hours: Sequence[Decimal]) -> Changes:
    """The changes in all shops; `hours` are those of all shops too."""
    every = list(shops)
    return Changes(
        since=since,
        previous=sum(each.previous for each in every),
        new=sum(each.new for each in every),
        cleared=sum(each.cleared for each in every),
        median_hours_to_clear=_median(hours),
    )


def _median(hours: Sequence[Decimal]) -> Decimal | None:
    enough = len(hours) >= MIN_FOR_MEDIAN
    return median(hours).quantize(_TENTH, rounding=ROUND_HALF_UP) if enough else None


def week_changes(until: date, summaries: Sequence[DailySummary]) -> Week | None:
    """The changes of the seven days up to `until`; None if a summary of that week has no changes.

    The newest summary comes first.
    """
    inside = [each for each in summaries if until - WEEK < each.day <= until]
    changes = [each.changes for each in inside if each.changes]
    if not inside or len(changes) < len(inside):
        return None
    return Week(
        new=sum(each.new for each in changes),
        cleared=sum(each.cleared for each in changes),
        needs_attention=inside[0].total.needs_attention,
    )
