"""What became of the orders that waited: a summary remembers them, and the next one compares. Pure functions."""

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

MAX_MEMORY = 200_000
"""Characters of what one summary remembers: some 10,000 waiting orders, beside the figures in a row of 400 KB."""
WEEK = timedelta(days=7)
_TENTH = Decimal("0.1")

type WaitedSince = Mapping[str, datetime]
"""The orders of a shop that waited, with since when."""


@dataclass(frozen=True, slots=True)
class PreviousSummary:
    """A summary that was made before.

    Attributes:
        daily: Its figures.
        waited: What waited in each shop; None where that was too much to remember.
    """

    daily: DailySummary
    waited: Mapping[str, WaitedSince] | None


def encode(waiting: Mapping[str, WaitedSince]) -> str | None:
    """What waits, as text for the next summary; None where it is too much for the row."""
    seconds = {
        shop: {order_id: int(since.timestamp()) for order_id, since in orders.items()}
        for shop, orders in waiting.items()
    }
    packed = zlib.compress(json.dumps(seconds, separators=(",", ":")).encode(), level=9)
    text = base64.b85encode(packed).decode("ascii")
    return text if len(text) <= MAX_MEMORY else None


def decode(memory: str) -> dict[str, dict[str, datetime]]:
    """What `encode` gave."""
    seconds = json.loads(zlib.decompress(base64.b85decode(memory)))
    return {
        shop: {order_id: datetime.fromtimestamp(since, UTC) for order_id, since in orders.items()}
        for shop, orders in seconds.items()
    }


def cleared_ids(waited: WaitedSince, waiting: WaitedSince) -> list[str]:
    """The orders that waited and do not any longer."""
    return [order_id for order_id in waited if order_id not in waiting]


def hours_to_clear(waited: WaitedSince, rows: Mapping[str, StoredOrder]) -> list[Decimal]:
    """How long each cleared order waited, where its row tells: one whose ship-by was moved kept its status.

    Args:
        waited: The orders that waited before.
        rows: Of those that were cleared.
    """
    spans = (row.status_since - waited[order_id] for order_id, row in rows.items())
    return [Decimal(span / timedelta(hours=1)) for span in spans if span > timedelta()]


def changes(since: datetime, *, waited: WaitedSince, waiting: WaitedSince, hours: Sequence[Decimal]) -> Changes:
    """What changed in one shop since a moment."""
    return Changes(
        since=since,
        waited=len(waited),
        new=sum(order_id not in waited for order_id in waiting),
        cleared=len(cleared_ids(waited, waiting)),
        median_hours_to_clear=_median(hours),
    )


def total_changes(since: datetime, shops: Iterable[Changes], hours: Sequence[Decimal]) -> Changes:
    """What changed in all shops."""
    every = list(shops)
    return Changes(
        since=since,
        waited=sum(each.waited for each in every),
        new=sum(each.new for each in every),
        cleared=sum(each.cleared for each in every),
        median_hours_to_clear=_median(hours),
    )


def _median(hours: Sequence[Decimal]) -> Decimal | None:
    return median(hours).quantize(_TENTH, rounding=ROUND_HALF_UP) if hours else None


def weeks(now: DailySummary, past: Sequence[PreviousSummary]) -> tuple[Week | None, Week | None]:
    """The last seven days and the seven before, by the summaries of that time; None where they do not reach as far.

    Args:
        now: The summary that is being made.
        past: Those before, the newest first.
    """
    every = [now, *(each.daily for each in past)]
    return _week(every, until=now.day), _week(every, until=now.day - WEEK)


def _week(every: Sequence[DailySummary], *, until: date) -> Week | None:
    inside = [each for each in every if until - WEEK < each.day <= until]
    changed = [each.changes for each in inside if each.changes]
    if not inside or len(changed) < len(inside):  # what the first summary found, nobody compared
        return None
    return Week(
        new=sum(each.new for each in changed),
        cleared=sum(each.cleared for each in changed),
        waiting=inside[0].total.waiting,
    )
