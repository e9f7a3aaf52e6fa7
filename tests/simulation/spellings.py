"""What shops write into the dates of an order, each value with its meaning (rule 21), whatever the product reads.

The meaning of a ship-by is in the record itself, in a field that the product does not read.
"""

import random
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, date, datetime, time
from email.utils import format_datetime
from typing import Any

from orderwatch.shop_settings import time_zone

MEANING = "meant_ship_by"
"""The field with the meaning of the ship-by."""
UNREADABLE = "unreadable"
NO_DATES: tuple[object, ...] = (None, "", " ", "never", "N/A", 0, "0", "-1", "0000-00-00", "0000-00-00 00:00:00")
ZERO_DATES = (
    "0001-01-01T00:00:00Z",
    "1899-12-30T00:00:00Z",
    "1970-01-01T00:00:00Z",
    "1970-01-01",
    "1999-12-31 23:59:59",
)
FAR_DATES = ("2099-12-31T00:00:00Z", "2099-12-31", "9999-12-31T23:59:59Z", "9999-12-31", "20991231", 4102444800)
UNREADABLE_DATES: tuple[object, ...] = ("soon", "03/05/2026", "05.03.2026", "20260305100000", "March 5, 2026", [], True)
"""Day and month are not guessed, and neither is what other text means."""
MIDNIGHT = time()

type Fields = dict[str, Any]


def ship_by_fields(value: object, meaning: datetime | str | None) -> Fields:
    """The fields of an order with this ship-by."""
    meant = meaning.isoformat() if isinstance(meaning, datetime) else meaning
    return {"latest_ship_date": value, MEANING: meant}


@dataclass(frozen=True)
class ShipBySpellings:
    """Spells the ship-bys of a seed's shops.

    Args:
        zone: The zone of the shops.
        chance: Draws the spellings, apart from everything else of a seed.
    """

    zone: str
    chance: random.Random

    def of_moment(self, at: datetime) -> Fields:
        """A ship-by with a time."""
        at = at.replace(microsecond=0)
        spelled = self.chance.choice(MOMENTS)
        local = at.astimezone(time_zone(self.zone))
        if local.time() == MIDNIGHT or at.time() == MIDNIGHT:
            spelled = _plain
        return ship_by_fields(spelled(at, local), at)

    def of_day(self, day: date) -> Fields:
        """A ship-by that is a day."""
        midnight = datetime.combine(day, MIDNIGHT, UTC)
        local = datetime.combine(day, MIDNIGHT, time_zone(self.zone))
        kind = self.chance.choice(("plain", "plain", "date", "with offset", "with offset", "own midnight", "24", "odd"))
        if kind == "date":
            return ship_by_fields(self.chance.choice((f"{day}", f"{day:%Y%m%d}", int(f"{day:%Y%m%d}"))), midnight)
        if kind == "with offset":
            return ship_by_fields(self.chance.choice((local.isoformat(), f"{local:%Y-%m-%dT%H:%M:%S%z}")), midnight)
        if kind == "own midnight":
            return ship_by_fields(_plain(local.astimezone(UTC), local), local.astimezone(UTC))
        if kind == "24":
            return ship_by_fields(f"{day}T24:00:00Z", midnight.replace(hour=23, minute=59, second=59))
        spelled = self.chance.choice(MOMENTS_IN_UTC) if kind == "odd" else _plain
        return ship_by_fields(spelled(midnight, midnight), midnight)

    def of_none(self, values: tuple[object, ...]) -> Fields:
        """A ship-by that stands for none, or that cannot be read."""
        return ship_by_fields(self.chance.choice(values), UNREADABLE if values is UNREADABLE_DATES else None)


def _plain(at: datetime, local: datetime) -> str:
    return f"{at:%Y-%m-%dT%H:%M:%SZ}"


type Spelling = Callable[[datetime, datetime], object]
"""From a moment, in UTC and in the zone of the shop, to how a shop writes it."""

MOMENTS_IN_UTC: tuple[Spelling, ...] = (
    lambda at, local: f"{at:%Y-%m-%d %H:%M:%S +0000}",
    lambda at, local: f"{at:%Y-%m-%d %H:%M:%S UTC}",
    lambda at, local: f"{at:%Y-%m-%dT%H:%M:%S+00}",
    lambda at, local: f" {at:%Y-%m-%dT%H:%M:%SZ}  ",
    lambda at, local: f"{at:%Y/%m/%d %H:%M:%S}",
    lambda at, local: f"{at:%Y%m%dT%H%M%SZ}",
    lambda at, local: format_datetime(at, usegmt=True),
    lambda at, local: int(at.timestamp()),
    lambda at, local: f"{at.timestamp():.0f}",
    lambda at, local: 1000 * int(at.timestamp()),
    lambda at, local: f"{1000 * at.timestamp():.0f}",
)
MOMENTS: tuple[Spelling, ...] = (
    *(_plain,) * 10,
    *MOMENTS_IN_UTC,
    lambda at, local: local.isoformat(),
    lambda at, local: f"{local:%Y-%m-%d %H:%M:%S %z}",
    lambda at, local: format_datetime(local),
)
