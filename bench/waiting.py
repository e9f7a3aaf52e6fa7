"""From the shop's change to SNS, over a simulated day: the floor is the delay until the end of the vendor's sync.

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

from bench.cost import MESSAGES, ROW_BYTES, SCANNED
from bench.metered_dynamodb import MeteredDynamoDB
from bench.report import Say, Section, Target
from orderwatch.alerts.parts import AlertConnection
from orderwatch.polling.schedule import poll_reason
from orderwatch.polling.sync import request_sync
from orderwatch.reading.cursor import Now
from orderwatch.trackstar.connections import TrackstarConnection
from orderwatch_local.simulator import Shop
from tests.support.clocks import NOON
from tests.support.cloud import Tables
from tests.support.world import MINUTE, World

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
ADDED = (MINUTE + PUBLISHED_AFTER) / MINUTE
"""Minutes that may be added to the floor: the interval of the ticks, and the time to publish."""

TEXT = f"""\
One shop, {CHANGES} orders of which become an exception at random times of a day. Trackstar syncs it once an hour,
up to five minutes late. A sync takes a minute, and its changes are visible at its end, which is the floor. Time is
simulated. The scheduling of polls, the polls and their requests are real. Requests are those of 25 hours. A poll
takes three SQS requests (send, receive, delete; ten are sent in one) and one invocation. A tick takes one
invocation, one request to Trackstar for 1,000 shops, and one to DynamoDB for 1 MB of rows. {SHOPS[1]} and {SHOPS[2]}
shops are multiples of one shop's polls, plus the ticks of one stack. Sending alerts and the Parameter Store are not
included."""


@dataclass(frozen=True)
class Setting:
    """How a stack is set.

    Attributes:
        name: In the table.
        sync_every: `SyncMinutes`.
    """

    name: str
    sync_every: timedelta | None = None


SETTINGS = (Setting("ticks every minute"), Setting("ticks every minute, SyncMinutes=5", sync_every=5 * MINUTE))


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
        self._invisible: list[str] = []
        self.waited: list[float] = []
        self.waited_for_sync: list[float] = []
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
        for tick in range(25 * 60):
            self._at(NOON + MINUTE * tick + timedelta(seconds=17), self._tick)
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

    def _change(self, order_id: str) -> None:
        self._world.shop.move(order_id, "exception")
        self._changed[order_id] = self._world.our_clock.now()
        self._invisible.append(order_id)

    def _sync(self, shop: Shop) -> None:
        if not shop.quirks.is_syncing:
            shop.quirks.is_syncing = True
            self._at(self._world.our_clock.now() + SYNC_TAKES, lambda: self._synced(shop))

    def _synced(self, shop: Shop) -> None:
        shop.quirks.is_syncing = False
        shop.sync()
        self.waited_for_sync += [self._minutes_since(order_id) for order_id in self._invisible]
        self._invisible.clear()

    def _minutes_since(self, order_id: str) -> float:
        return (self._world.our_clock.now() - self._changed[order_id]) / MINUTE

    def _tick(self) -> None:
        self.ticks += 1
        if not self._is_wanted():
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
        orders = [alert.order for alert in self._world.new_alerts() if alert.order]
        self.waited += [self._minutes_since(order.id) + PUBLISHED_AFTER / MINUTE for order in orders]

    def _is_wanted(self) -> bool:
        world = self._world
        listed = TrackstarConnection.model_validate(world.shop.connection())
        # Not metered: a tick scans the rows of all shops.
        requests, now = self._memory.requests, Now(world.vendor_clock.now(), world.our_clock.now())
        why = poll_reason(world.state(), listed, now=now, max_gap=MAX_GAP, sync_every=self._setting.sync_every)
        self._memory.requests = requests
        return why is not None


def _of_a_stack(day: Day, shops: int) -> Counter[str]:
    """Requests of this many shops and one stack's ticks."""
    made = Counter({service: shops * number for service, number in day.requests.items()})
    made["SQS"] += -(-shops * day.polls // MESSAGES) if shops > 1 else day.polls
    made["Lambda"] += day.ticks
    made["Trackstar"] += day.ticks
    made["DynamoDB"] += day.ticks * -(-shops * ROW_BYTES // SCANNED)
    return made


def measure(say: Say) -> Section:
    """Play a day under each setting."""
    rows, targets = [], list[Target]()
    for setting in SETTINGS:
        say(setting.name)
        day = Day(setting).play()
        floor, (median, p99) = statistics.median(day.waited_for_sync), _median_and_p99(day.waited)
        made = [_of_a_stack(day, shops) for shops in SHOPS]
        requests = ["; ".join(f"{each[service]:,}" for each in made) for service in SERVICES]
        rows.append([setting.name, f"{floor:.1f}", f"{median:.1f}", f"{p99:.1f}", f"{day.polls:,}", *requests])
        what, added = f"waiting: added to the median by {setting.name}", median - floor
        targets.append(Target(what, f"{added:.2f} min", f"at most {ADDED:.2f} min", added <= ADDED))
    services = [f"{service}: {', '.join(map(str, SHOPS))} shops" for service in SERVICES]
    head = ["setting", "median until the sync, min", "median, min", "p99, min", "polls of a shop", *services]
    return Section("Waiting: from the shop's change to SNS", TEXT, head, rows, targets)


def _median_and_p99(values: list[float]) -> tuple[float, float]:
    quantiles = statistics.quantiles(values, n=100)
    return quantiles[49], quantiles[98]
