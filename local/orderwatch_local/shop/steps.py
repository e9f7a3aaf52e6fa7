"""What can happen in a scripted hour, one step each."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from orderwatch_local.shop.connection_errors import invalid_credentials
from orderwatch_local.shop.records import Record
from orderwatch_local.shop.shop import Shop


@dataclass(frozen=True, slots=True)
class Place:
    """A customer orders."""

    connection_id: str
    at: datetime
    order: Record

    def play(self, shop: Shop) -> None:
        """Makes it happen, at the shop's present time."""
        shop.place(self.order)


@dataclass(frozen=True, slots=True)
class Move:
    """An order takes another status.

    Attributes:
        previous_status: The status it had.
        changes: Other fields that change with it.
    """

    connection_id: str
    at: datetime
    order_id: str
    previous_status: str
    status: str
    raw_status: str | None = None
    changes: Mapping[str, object] = field(default_factory=dict)

    def play(self, shop: Shop) -> None:
        """Makes it happen, at the shop's present time."""
        shop.move(self.order_id, self.status, self.raw_status, changes=self.changes)


@dataclass(frozen=True, slots=True)
class Restock:
    """A product's stock is counted again.

    Attributes:
        on_hand: Units by warehouse id.
    """

    connection_id: str
    at: datetime
    product_id: str
    on_hand: Mapping[str, int]

    def play(self, shop: Shop) -> None:
        """Makes it happen, at the shop's present time."""
        shop.restock(self.product_id, self.on_hand)


@dataclass(frozen=True, slots=True)
class Block:
    """The shop refuses the credentials that Trackstar has: nothing is synced any longer."""

    connection_id: str
    at: datetime

    def play(self, shop: Shop) -> None:
        """Makes it happen, at the shop's present time."""
        shop.errors = [invalid_credentials()]


@dataclass(frozen=True, slots=True)
class Restore:
    """Somebody gives Trackstar new credentials."""

    connection_id: str
    at: datetime

    def play(self, shop: Shop) -> None:
        """Makes it happen, at the shop's present time."""
        shop.errors = []


type Step = Place | Move | Restock | Block | Restore


@dataclass(frozen=True, slots=True)
class Hour:
    """One hour of a script.

    Attributes:
        number: From 0.
        starts_at, ends_at: Its bounds; the syncs are due at its end.
        steps: In the order of their time, all shops together.
    """

    number: int
    starts_at: datetime
    ends_at: datetime
    steps: tuple[Step, ...]
