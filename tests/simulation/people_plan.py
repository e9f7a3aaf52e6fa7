"""Reminders, quiet hours and the people of a seed; drawn apart from the rest of the seed."""

import json
import random
from collections.abc import Collection
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from functools import cache

from orderwatch.shop_settings import time_zone
from tests.simulation.deadline_calendar import DAYS
from tests.simulation.deadline_plan import AHEAD_OF_MIDNIGHT, Calendar, DeadlinePlan

SHARE_WITH_PEOPLE = 0.5
"""The share of seeds with reminders, quiet hours or people who act."""
SHARE_LINKS, SHARE_QUIET, SHARE_OWN_REMINDERS, SHARE_ROTATED, SHARE_REDRIVE_DOWN = 0.7, 0.6, 0.4, 0.4, 0.5
NIGHTS = ((time(20), time(7)), (time(22, 30), time(6)), (time(2, 30), time(9)))
"""Quiet hours over midnight, and some that begin in the hour that clocks skip or repeat."""
HOUR = 3600.0
HOPS = (1.5 * HOUR, 4 * HOUR, 9 * HOUR, 14 * HOUR, 22 * HOUR)
"""Seconds without a poll: together they reach a day on which clocks change."""
KEY_LENGTH = 64
MINUTE, DAY = timedelta(minutes=1), timedelta(days=1)


@cache
def wall_time(day: date, at: time, zone: str) -> datetime:
    """When the clocks of a zone first show a time, in UTC; a skipped time comes as long after the change as planned."""
    wanted, local = datetime.combine(day, at), time_zone(zone)
    moment = datetime.combine(day, at, UTC) - timedelta(hours=15)
    shown = moment.astimezone(local).replace(tzinfo=None)
    before = shown
    while shown < wanted:
        before, moment = shown, moment + MINUTE
        shown = moment.astimezone(local).replace(tzinfo=None)
    return moment if shown == wanted else moment + (wanted - before - MINUTE)


@dataclass(frozen=True)
class QuietTime:
    """The quiet hours of one shop, and the calendar that applies to them."""

    start: time
    end: time
    on_working_days: bool
    calendar: Calendar

    @property
    def setting(self) -> str:
        """As the operator stores it."""
        return f"{self.start:%H:%M}-{self.end:%H:%M}{' working days' * self.on_working_days}"

    def end_at(self, moment: datetime) -> datetime | None:
        """When the quiet hours of a moment end; None: it is not in any."""
        today, zone = moment.astimezone(time_zone(self.calendar.zone)).date(), self.calendar.zone
        ends = []
        for day in filter(self._begins_on, (today - DAY, today, today + DAY)):
            end = wall_time(day if self.start < self.end else day + DAY, self.end, zone)
            if wall_time(day, self.start, zone) <= moment < end:
                ends.append(end)
        return max(ends, default=None)

    def _begins_on(self, day: date) -> bool:
        is_business = DAYS[day.weekday()] in self.calendar.working_days and str(day) not in self.calendar.holidays
        return is_business or not self.on_working_days


@dataclass(frozen=True)
class PeoplePlan:
    """What a seed has of reminders, quiet hours and people.

    Attributes:
        reminder_hours: Of the stack.
        of_shops: By connection, its own hours.
        max_reminders: The most reminders in a row.
        quiet_times: By connection, its quiet hours.
        has_links: Whether messages have links.
        key: The key of the links.
        rotates: Whether the key is replaced.
        acts: How often somebody does something while all fails.
        hops: Seconds without a poll after that, one after the other.
        is_redrive_down: Whether redrive_alerts does not run in those.
    """

    reminder_hours: int = 0
    of_shops: dict[str, int] = field(default_factory=dict)
    max_reminders: int = 3
    quiet_times: dict[str, QuietTime] = field(default_factory=dict)
    has_links: bool = False
    key: str = ""
    rotates: bool = False
    acts: int = 0
    hops: tuple[float, ...] = ()
    is_redrive_down: bool = False
    chance: random.Random = field(default_factory=random.Random, repr=False, compare=False)

    def hours(self, connection_id: str) -> int:
        """The business hours after which an order of a shop is reminded about."""
        return self.of_shops.get(connection_id, self.reminder_hours)

    @property
    def environment(self) -> dict[str, str]:
        """The variables of the functions."""
        return {
            "REMINDER_HOURS": str(self.reminder_hours),
            "MAX_REMINDERS": str(self.max_reminders),
            "ACTION_URL": "https://actions.invalid/" if self.has_links else "",
        }

    def in_settings(self, connection_id: str, settings: str | None) -> str | None:
        """The settings of a shop with its reminders and quiet hours."""
        own: dict[str, object] = {}
        if connection_id in self.of_shops:
            own["reminder_hours"] = self.of_shops[connection_id]
        if quiet := self.quiet_times.get(connection_id):
            own["quiet_hours"] = quiet.setting
        return json.dumps(json.loads(settings or "{}") | own) if own else settings


def drawn(seed: int, promises: DeadlinePlan, connection_ids: Collection[str]) -> PeoplePlan:
    """The people of a seed."""
    rng = random.Random(f"people:{seed}")
    if rng.random() >= SHARE_WITH_PEOPLE:
        return PeoplePlan()
    own = [each for each in connection_ids if each not in promises.flawed]
    return PeoplePlan(
        reminder_hours=rng.choice((0, 1, 1, 2, 8)),
        of_shops={each: rng.choice((0, 1, 3, 24)) for each in own if rng.random() < SHARE_OWN_REMINDERS},
        max_reminders=rng.choice((1, 2, 3)),
        quiet_times={each: _quiet_time(rng, promises, each) for each in own if rng.random() < SHARE_QUIET},
        has_links=rng.random() < SHARE_LINKS,
        key=f"{rng.getrandbits(4 * KEY_LENGTH):0{KEY_LENGTH}x}",
        rotates=rng.random() < SHARE_ROTATED,
        acts=rng.choice((4, 8, 12)),
        hops=tuple(rng.choice(HOPS) for _ in range(rng.choice((2, 3, 4)))),
        is_redrive_down=rng.random() < SHARE_REDRIVE_DOWN,
        chance=rng,
    )


def _quiet_time(rng: random.Random, promises: DeadlinePlan, connection_id: str) -> QuietTime:
    """Quiet hours of a night, or some that are near the run's first hour."""
    calendar = promises.of_shops.get(connection_id) or promises.of_stack or Calendar()
    local = promises.begins_at.astimezone(time_zone(calendar.zone))
    begins = datetime.combine(local.date() + DAY, time()) - AHEAD_OF_MIDNIGHT if promises.is_aligned else local
    start = begins + timedelta(minutes=rng.randint(-60, 40))
    near = (start.time(), (start + timedelta(minutes=rng.choice((30, 60, 200, 660)))).time())
    times = rng.choice((*NIGHTS, near, near, near))
    return QuietTime(
        times[0].replace(second=0, microsecond=0, tzinfo=None),
        times[1].replace(second=0, microsecond=0, tzinfo=None),
        on_working_days=rng.random() < 0.4,
        calendar=calendar,
    )
