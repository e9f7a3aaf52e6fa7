"""From the shop's change to SNS, over a simulated day: the delay until the vendor's sync, and until our next poll.

The rules that decide when a shop is polled, the polls and the requests are the real ones; time is simulated.
"""

import heapq
import random
import statistics
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import count

from bench.cost import MESSAGES, ROWS, MeteredDynamoDB
from bench.report import Say, Section, Target
from orderwatch.alerts.parts import AlertConnection
from orderwatch.polling.schedule import poll_reason
from orderwatch.polling.sync import request_sync
from orderwatch.reading.cursor import Now
from orderwatch.trackstar.connections import TrackstarConnection
from orderwatch_local.simulator import Shop
from tests.support.cloud import Tables
from tests.support.world import MINUTE, NOON, World

CHANGES = 400
"""Orders of the shop that come into exception in the day, at moments drawn at random."""
DAY = timedelta(days=1)
SYNC_EVERY = timedelta(hours=1)
SYNC_DRIFT = 5 * MINUTE
"""Up to how late a sync of the schedule begins: so that none keeps step with our ticks."""
SYNC_TAKES = MINUTE
PUBLISHED_AFTER = timedelta(seconds=1.5)
"""From the alert's row to SNS: the second for which the stream's records are gathered, and our own time."""
MAX_GAP = 15 * MINUTE
SHOPS = (1, 20, 500)
SERVICES = ("Trackstar", "DynamoDB", "SQS", "Lambda")
MINUTES_OF_A_MEDIAN = 5.0

TEXT = f"""\
One shop, {CHANGES} orders of which become an exception at random times of a day. Trackstar syncs it once an hour,
up to five minutes late. A sync takes a minute, and its changes are visible at its end. Time is simulated. The
scheduling of polls, the polls and their requests are real. Requests are those of the day and one more hour. A poll
takes three SQS requests (send, receive, delete; ten are sent in one) and one invocation. A tick takes one
invocation, one request to Trackstar for 1,000 shops, and one to DynamoDB for 100 rows. {SHOPS[1]} and {SHOPS[2]}
shops are multiples of one shop's polls, plus the ticks of one stack. Sending alerts and the Parameter Store are not
included."""


@dataclass(frozen=True)
class Setting:
    """How a stack is set.

    Attributes:
        name: In the table.
        tick: The schedule's interval.
        looks: Whether a tick looks before it polls.
        sync_every: `SyncMinutes`.
    """

    name: str
    tick: timedelta
    looks: bool
    sync_every: timedelta | None = None


SETTINGS = (
    Setting("polls every five minutes", 5 * MINUTE, looks=False),
    Setting("ticks every minute", MINUTE, looks=True),
    Setting("ticks every minute, SyncMinutes=5", MINUTE, looks=True, sync_every=5 * MINUTE),
)


class Day:
    """A day under one setting."""

    def __init__(self, setting: Setting) -> None:
        self._setting = setting
        self._memory = MeteredDynamoDB()
        self._world = World(on_sync=lambda shop, resources: self._sync(shop))
        self._world.tables = Tables.over(self._memory)
        self._due: list[tuple[datetime, int, Callable[[], object]]] = []
        self._numbers = count()
        self._changed: dict[str, datetime] = {}
        self.waited: list[float] = []
        self.polls = self.ticks = 0

    def play(self) -> "Day":
        """Play it, and an hour more for the alerts of the last changes."""
        world, chance = self._world, random.Random(1)
        for number in range(CHANGES):
            world.place(str(number))
        world.poll()
        world.new_alerts()
        world.trackstar.requests.clear()
        self._memory.requests = 0
        for number in range(CHANGES):
            self._at(NOON + DAY * chance.random(), lambda number=number: self._change(str(number)))  # type: ignore[misc]
        for hour in range(25):
            self._at(NOON + SYNC_EVERY * hour + SYNC_DRIFT * chance.random(), lambda: self._sync(world.shop))
        self._every(self._setting.tick, self._tick, first=timedelta(seconds=17))
        while self._due and self._due[0][0] < NOON + DAY + SYNC_EVERY:
            moment, _, happens = heapq.heappop(self._due)
            world.pass_time(moment - world.our_clock.now())
            happens()
        return self

    @property
    def requests(self) -> Counter[str]:
        """Of the day's polls, without the ticks."""
        made = {"Trackstar": len(self._world.trackstar.requests), "DynamoDB": self._memory.requests}
        return Counter({**made, "SQS": 2 * self.polls, "Lambda": self.polls})

    def _at(self, moment: datetime, happens: Callable[[], object]) -> None:
        heapq.heappush(self._due, (moment, next(self._numbers), happens))

    def _every(self, interval: timedelta, happens: Callable[[], object], *, first: timedelta) -> None:
        moment = NOON + first
        while moment < NOON + DAY + SYNC_EVERY:
            self._at(moment, happens)
            moment += interval

    def _change(self, order_id: str) -> None:
        self._world.shop.move(order_id, "exception")
        self._changed[order_id] = self._world.our_clock.now()

    def _sync(self, shop: Shop) -> None:
        if not shop.quirks.is_syncing:
            shop.quirks.is_syncing = True
            self._at(self._world.our_clock.now() + SYNC_TAKES, lambda: self._synced(shop))

    @staticmethod
    def _synced(shop: Shop) -> None:
        shop.quirks.is_syncing = False
        shop.sync()

    def _tick(self) -> None:
        self.ticks += 1
        if self._setting.looks and not self._is_wanted():
            return
        self.polls += 1
        summary = self._world.poll()
        if self._setting.sync_every:
            request_sync(
                AlertConnection(id=self._world.shop.connection_id),
                vendor=self._world.client(),
                store=self._world.tables.store,
                metrics=summary,
                sync_every=self._setting.sync_every,
            )
        alerted_at = self._world.our_clock.now() + PUBLISHED_AFTER
        orders = [alert.order for alert in self._world.new_alerts() if alert.order]
        self.waited += [(alerted_at - self._changed.pop(order.id)).total_seconds() / 60 for order in orders]

    def _is_wanted(self) -> bool:
        world = self._world
        listed = TrackstarConnection.model_validate(world.shop.connection())
        # Not metered: a tick reads the rows of all shops in one request.
        requests, now = self._memory.requests, Now(world.vendor_clock.now(), world.our_clock.now())
        why = poll_reason(world.state(), listed, now=now, max_gap=MAX_GAP, sync_every=self._setting.sync_every)
        self._memory.requests = requests
        return why is not None


def _of_a_stack(day: Day, setting: Setting, shops: int) -> Counter[str]:
    """Requests of this many shops and one stack's ticks."""
    made = Counter({service: shops * number for service, number in day.requests.items()})
    made["SQS"] += -(-shops * day.polls // MESSAGES) if shops > 1 else day.polls
    made["Lambda"] += day.ticks
    if setting.looks:
        made["Trackstar"] += day.ticks
        made["DynamoDB"] += day.ticks * -(-shops // ROWS)
    return made


def measure(say: Say) -> Section:
    """Play a day under each setting."""
    rows, days = [], dict[str, Day]()
    for setting in SETTINGS:
        say(setting.name)
        day = days[setting.name] = Day(setting).play()
        quantiles = statistics.quantiles(day.waited, n=100)
        waited = [f"{quantiles[49]:.1f}", f"{quantiles[98]:.1f}", f"{day.polls:,}"]
        made = [_of_a_stack(day, setting, shops) for shops in SHOPS]
        requests = ["; ".join(f"{each[service]:,}" for each in made) for service in SERVICES]
        rows.append([setting.name, *waited, *requests])
    services = [f"{service}: {', '.join(map(str, SHOPS))} shops" for service in SERVICES]
    head = ["setting", "median, min", "p99, min", "polls of a shop", *services]
    return Section("Waiting: from the shop's change to SNS", TEXT, head, rows, _targets(days))


def _targets(days: dict[str, Day]) -> list[Target]:
    before, after, synced = (days[setting.name] for setting in SETTINGS)
    targets = [_no_more(before, after, shops) for shops in SHOPS[1:]]
    median = statistics.median(synced.waited)
    bound = f"under {MINUTES_OF_A_MEDIAN:.0f} min"
    what = "waiting: median with SyncMinutes=5"
    return [*targets, Target(what, f"{median:.1f} min", bound, median < MINUTES_OF_A_MEDIAN)]


def _no_more(before: Day, after: Day, shops: int) -> Target:
    old, new = _of_a_stack(before, SETTINGS[0], shops), _of_a_stack(after, SETTINGS[1], shops)
    requests = ", ".join(f"{new[service]:,} {service}" for service in sorted(new))
    bound = ", ".join(f"{old[service]:,}" for service in sorted(new))
    holds = all(new[service] <= old[service] for service in new)
    return Target(f"waiting: requests of ticks every minute, {shops} shops", requests, f"at most {bound}", holds)
