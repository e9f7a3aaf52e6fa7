"""Which orders of a window were read, so that none is counted twice (rule 6), in 16 to 32 bytes for each.

A set of a million ids would outgrow the function; this is a table of fingerprints with open addressing.
"""

import base64
import hashlib
from array import array
from typing import Self

MAX_SAVED = 10_000
"""Orders of a window that the next poll still knows to be read: 80 KB of the connection's row."""
_FINGERPRINT_BYTES = 6
_FIRST_SLOTS = 4096


class SeenOrders:
    """The orders read."""

    def __init__(self) -> None:
        self._slots = array("Q", bytes(8 * _FIRST_SLOTS))
        self._count = 0

    @classmethod
    def restored(cls, saved: str) -> Self:
        """Those that another poll saved."""
        seen, known = cls(), base64.b64decode(saved)
        for at in range(0, len(known), _FINGERPRINT_BYTES):
            seen._insert(int.from_bytes(known[at : at + _FINGERPRINT_BYTES]))
        return seen

    def __eq__(self, other: object) -> bool:
        return isinstance(other, SeenOrders) and set(self._slots) == set(other._slots)

    __hash__ = None  # type: ignore[assignment] # it grows

    def __len__(self) -> int:
        return self._count

    def add(self, order_id: str) -> bool:
        """Remember an order; True where it was not known."""
        return self._insert(_fingerprint(order_id))

    def saved(self) -> str:
        """All of them for the next poll, or none where they are too many for the row."""
        if self._count > MAX_SAVED:
            return ""
        known = (fingerprint.to_bytes(_FINGERPRINT_BYTES) for fingerprint in self._slots if fingerprint)
        return base64.b64encode(b"".join(known)).decode("ascii")

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


def _fingerprint(order_id: str) -> int:
    """The same in every process; never 0, which marks an empty slot."""
    digest = hashlib.blake2b(order_id.encode("utf-8", "surrogatepass"), digest_size=_FINGERPRINT_BYTES)
    return int.from_bytes(digest.digest()) or 1
