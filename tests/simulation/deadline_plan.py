"""Ship-bys and calendars of a seed's shops, daylight saving included; drawn apart from the rest of the seed."""

import json
import random
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any

from tests.simulation.spellings import (
    FAR_DATES,
    NO_DATES,
    UNREADABLE_DATES,
    ZERO_DATES,
    Fields,
    ShipBySpellings,
)

MONDAY = datetime(2026, 1, 5, 12, tzinfo=UTC)
PLACES = (
    (MONDAY, "UTC"),
    (MONDAY, "Asia/Kathmandu"),
    (MONDAY, "Pacific/Auckland"),
    (datetime(2026, 3, 27, 9, tzinfo=UTC), "Europe/Berlin"),
    (datetime(2026, 10, 23, 9, tzinfo=UTC), "Europe/Berlin"),
    (datetime(2026, 3, 6, 16, tzinfo=UTC), "America/New_York"),
    (datetime(2026, 10, 23, 16, tzinfo=UTC), "Atlantic/Azores"),
    (datetime(2026, 4, 22, 9, tzinfo=UTC), "Africa/Cairo"),
    (datetime(2026, 4, 3, 2, tzinfo=UTC), "Australia/Lord_Howe"),
    (datetime(2026, 12, 23, 12, tzinfo=UTC), "Europe/Berlin"),
)
"""When a run begins, and the zone of its shops: plain days, and days before a change of clocks or a holiday."""
HOLIDAYS = ("2026-01-06", "2026-04-03", "2026-12-24", "2026-12-25", "2026-12-26")
SHARE_OFF, SHARE_WITHOUT_SETTINGS, SHARE_FLAWED = 0.1, 0.3, 0.05
SHARE_ALIGNED = 0.6
"""Of the runs that watch orders while a day ends in the zone of their shops."""
AHEAD_OF_MIDNIGHT = timedelta(minutes=25)
NONSENSE = (NO_DATES, UNREADABLE_DATES, ZERO_DATES, FAR_DATES)
NO_SYNC_TIMES = (None, None, "0001-01-01T00:00:00Z", "1970-01-01T00:00:00Z", "9999-12-31T23:59:59Z")
"""What a connection reports that knows no time of a sync."""


@dataclass(frozen=True)
class Calendar:
    """A shop's calendar as the oracle knows it."""

    zone: str = "UTC"
    working_days: tuple[str, ...] = ("mon", "tue", "wed", "thu", "fri")
    holidays: tuple[str, ...] = ()
    late_warning_hours: int = 24
    stuck_days: int = 0

    @property
    def settings(self) -> str:
        """As the operator stores it."""
        return json.dumps(
            {
                "time_zone": self.zone,
                "working_days": list(self.working_days),
                "holidays": list(self.holidays),
                "late_warning_hours": self.late_warning_hours,
                "stuck_days": self.stuck_days,
            }
        )


@dataclass(frozen=True)
class DeadlinePlan:
    """The deadlines of one seed.

    Attributes:
        begins_at: The moment at which the run's time starts.
        zone: The zone in which days end.
        of_stack: What applies where a shop sets nothing; None: deadlines are off.
        of_shops: By connection, its own calendar.
        flawed: Connections whose settings cannot be read.
        is_aligned: Whether the watch begins shortly before a day ends.
        history: Seconds that pass between the orders that are there before the watch.
        edits: The chance that a step in an order's life is an edit of its ship-by, or its end.
        without_sync_times: Connections that do not report when they were synced.
        no_sync_time: What they report instead.
        spellings: How the shops write ship-bys.
    """

    begins_at: datetime
    zone: str
    of_stack: Calendar | None
    of_shops: dict[str, Calendar]
    flawed: frozenset[str]
    is_aligned: bool
    history: float
    edits: float
    without_sync_times: frozenset[str]
    no_sync_time: str | None
    spellings: ShipBySpellings = field(repr=False, compare=False)
    chance: random.Random = field(repr=False, compare=False)

    def calendar(self, connection_id: str) -> Calendar | None:
        """What applies to a shop; None: no deadline."""
        if self.of_stack is None or connection_id in self.flawed:
            return self.of_stack
        return self.of_shops.get(connection_id, self.of_stack)

    @property
    def environment(self) -> dict[str, str]:
        """The variables of poll_orders."""
        stack = self.of_stack or Calendar()
        return {
            "TIME_ZONE": stack.zone,
            "DEADLINE_ALERTS": str(self.of_stack is not None).lower(),
            "LATE_WARNING_HOURS": str(stack.late_warning_hours),
            "STUCK_DAYS": str(stack.stuck_days),
        }

    def settings(self, connection_id: str) -> str | None:
        """The shop's parameter, where it has one."""
        if connection_id in self.flawed:
            return '{"time_zone": "Nowhere"}'
        calendar = self.of_shops.get(connection_id)
        return calendar.settings if calendar else None

    def ship_by(self, now: datetime) -> Fields:
        """What a shop writes into an order's `latest_ship_date`, and what it means."""
        day = timedelta(days=1)
        near = timedelta(seconds=self.chance.randint(-3600, 5400))
        kind = self.chance.choice(("none", "day", "day", "near", "near", "warning", "later", "far", "nonsense"))
        moments: dict[str, datetime] = {
            "day": now + self.chance.choice((-1, 0, 0, 0, 1, 2)) * day,
            "near": now + near,
            "warning": now + self.chance.choice((4, 24)) * timedelta(hours=1) + near,
            "later": now + timedelta(seconds=self.chance.randint(5400, 30 * 3600)),
        }
        if kind == "day":
            return self.spellings.of_day(moments["day"].date())
        if kind in moments:
            return self.spellings.of_moment(moments[kind])
        values = {"far": FAR_DATES, "none": NO_DATES[:1]}
        return self.spellings.of_none(values.get(kind) or self.chance.choice(NONSENSE))


def drawn(seed: int, connection_ids: list[str]) -> DeadlinePlan:
    """The deadlines of a seed."""
    rng = random.Random(f"orderwatch:deadlines:{seed}")
    begins_at, zone = rng.choice(PLACES)
    apart = random.Random(f"spellings:{seed}")
    shops = {each: _calendar(rng, zone) for each in connection_ids if rng.random() > SHARE_WITHOUT_SETTINGS}
    flawed = frozenset(each for each in shops if rng.random() < SHARE_FLAWED)
    without_sync_times = frozenset(each for each in connection_ids if rng.random() < SHARE_OFF)
    return DeadlinePlan(
        begins_at=begins_at,
        zone=zone,
        of_stack=None if rng.random() < SHARE_OFF else _calendar_of_stack(_calendar(rng, zone)),
        of_shops=shops,
        flawed=flawed,
        is_aligned=rng.random() < SHARE_ALIGNED,
        history=rng.choice((0.0, 0.0, 3600.0, 40_000.0)),
        edits=rng.choice((0.1, 0.3)),
        without_sync_times=without_sync_times,
        no_sync_time=apart.choice(NO_SYNC_TIMES),
        spellings=ShipBySpellings(zone, apart),
        chance=rng,
    )


def _calendar(rng: random.Random, zone: str) -> Calendar:
    days: Any = rng.choice((Calendar.working_days, ("sun", "mon", "tue", "wed", "thu"), ("mon", "wed", "fri", "sat")))
    return Calendar(
        zone=rng.choice((zone, zone, zone, "UTC")),
        working_days=days,
        holidays=tuple(each for each in HOLIDAYS if rng.random() < 0.7),
        late_warning_hours=rng.choice((24, 24, 4, 0)),
        stuck_days=rng.choice((0, 1, 1, 2)),
    )


def _calendar_of_stack(calendar: Calendar) -> Calendar:
    """A stack has a zone, a warning and stuck days; only a shop has working days and holidays."""
    return replace(calendar, working_days=Calendar.working_days, holidays=())
