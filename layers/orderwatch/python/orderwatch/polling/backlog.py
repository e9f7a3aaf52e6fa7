"""What the orders of a window add up to: the backlog that `watch.started` reports, and the ids that were read."""

import base64
import hashlib
from array import array
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Self

from orderwatch.alerts.parts import Backlog, BacklogOrder, by_urgency
from orderwatch.polling.policy import Policy
from orderwatch.trackstar.orders import Order

MAX_LISTED = 10
"""Orders that `watch.started` lists: the first ones to work on."""
MAX_SAVED_IDS = 10_000
"""Ids that a window saves for the next poll: 80 KB of the connection's row."""
_FINGERPRINT_BYTES = 6
_FIRST_SLOTS = 4096


class ReadIds:
    """The orders that a window has read, so that none is counted twice (rule 6), in 16 to 32 bytes each.

    A table of fingerprints with open addressing: a `set` of a million ids takes 62 MiB, this one 16. It is the one
    mutable part of a cursor: it grows in place, since a copy for each page would be quadratic.
    """

    def __init__(self) -> None:
        self._slots = array("Q", bytes(8 * _FIRST_SLOTS))
        self._count = 0

    @classmethod
    def from_text(cls, text: str) -> Self:
        """Decode the result of `to_text`."""
        ids, known = cls(), base64.b64decode(text)
        for at in range(0, len(known), _FINGERPRINT_BYTES):
            ids._insert(int.from_bytes(known[at : at + _FINGERPRINT_BYTES]))
        return ids

    def to_text(self) -> str:
        """Encode for the connection's row; empty where there are more than `MAX_SAVED_IDS`."""
        if self._count > MAX_SAVED_IDS:
            return ""
        known = (fingerprint.to_bytes(_FINGERPRINT_BYTES) for fingerprint in self._slots if fingerprint)
        return base64.b64encode(b"".join(known)).decode("ascii")

    def __eq__(self, other: object) -> bool:
        return isinstance(other, ReadIds) and set(self._slots) == set(other._slots)

    __hash__ = None  # type: ignore[assignment] # it is mutable

    def __len__(self) -> int:
        return self._count

    def add(self, order_id: str) -> bool:
        """Add an order; True where it is new."""
        digest = hashlib.blake2b(order_id.encode("utf-8", "surrogatepass"), digest_size=_FINGERPRINT_BYTES)
        return self._insert(int.from_bytes(digest.digest()) or 1)  # 0 marks an empty slot

    def _insert(self, fingerprint: int) -> bool:
        slots = self._slots
        at = fingerprint % len(slots)
        while known := slots[at]:
            if known == fingerprint:
                return False
            at = (at + 1) % len(slots)
        slots[at] = fingerprint
        self._count += 1
        if 2 * self._count > len(slots):
            self._grow()
        return True

    def _grow(self) -> None:
        before = self._slots
        self._slots = array("Q", bytes(2 * before.itemsize * len(before)))
        self._count = 0
        for fingerprint in before:
            if fingerprint:
                self._insert(fingerprint)


@dataclass(frozen=True, slots=True)
class BacklogCount:
    """The orders of a window that a person would want to know of when a watch begins.

    Attributes:
        by_status: Number of orders that need attention, by status.
        most_urgent: The most urgent of them, at most `MAX_LISTED`; counted by a baseline only.
        overdue: Number of orders whose deadline passed before the window began, by the kind of the latest (rule 19).
    """

    by_status: Mapping[str, int] = field(default_factory=dict)
    most_urgent: tuple[BacklogOrder, ...] = ()
    overdue: Mapping[str, int] = field(default_factory=dict)

    def with_orders(self, new: Iterable[Order], policy: Policy, *, overdue_by: datetime | None) -> Self:
        """Count orders that were not counted before.

        Args:
            new: The orders.
            policy: What is watched.
            overdue_by: When the watch of deadlines begins; None: this window does not begin it.
        """
        by_status, overdue = Counter(self.by_status), Counter(self.overdue)
        for order in new:
            if policy.needs_attention(order.status):
                by_status[order.status] += 1
            if policy.deadlines and overdue_by:
                kind = policy.deadlines.past_shipping(order.status, order.latest_ship_date, by=overdue_by)
                overdue.update([kind] if kind else [])
        return type(self)(dict(by_status), self.most_urgent, dict(overdue))

    def listing(self, shown: Mapping[str, Order], policy: Policy) -> Self:
        """List the most urgent orders after one more page; a newer record of an order replaces the one listed."""
        listed = {order.id: order for order in self.most_urgent if order.id not in shown}
        listed |= {order.id: _listed(order) for order in shown.values() if policy.needs_attention(order.status)}
        urgent = sorted(listed.values(), key=lambda order: by_urgency(order.ship_by, order.total_price))
        return type(self)(self.by_status, tuple(urgent[:MAX_LISTED]), self.overdue)

    def backlog(self, *, now: datetime) -> Backlog | None:
        """The backlog as the alert shows it; None where no order needs attention.

        Args:
            now: The vendor's clock.
        """
        if not self.by_status:
            return None
        # An order that moved while the window was read may be counted and need no attention any more.
        more = max(sum(self.by_status.values()) - len(self.most_urgent), 0)
        return Backlog(seen_at=now, by_status=dict(self.by_status), orders=self.most_urgent, more_orders=more)


def _listed(order: Order) -> BacklogOrder:
    details = order.details
    return BacklogOrder(
        id=order.id,
        number=order.number,
        url=details.external_system_url,
        status=order.status,
        raw_status=order.raw_status,
        currency=details.invoice_currency_code,
        total_price=details.total_price,
        ship_by=order.latest_ship_date,
    )
