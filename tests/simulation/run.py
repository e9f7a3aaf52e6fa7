"""One seed's simulated run: the real handlers, and everything around them."""

import hashlib
import random
from collections import Counter
from collections.abc import Callable
from datetime import timedelta
from typing import Any

from orderwatch_local.simulator import Shop
from orderwatch_local.simulator import Trackstar as SimulatedTrackstar
from tests.simulation import deadline_plan, people_plan
from tests.simulation.activity import ShopActivity
from tests.simulation.aws_calls import AwsCalls
from tests.simulation.checks import RunChecks
from tests.simulation.cloud import PREFIX, FifoQueue, ObservedTables, ParameterStore, first_shards
from tests.simulation.content_oracle import ContentOracle
from tests.simulation.deadline_calendar import day_is_over
from tests.simulation.deadline_oracle import DeadlineOracle
from tests.simulation.event_sources import SENDERS, EventSources
from tests.simulation.facts import Violation
from tests.simulation.functions import TIMEOUTS, installed
from tests.simulation.invocations import MAX_AT_ONCE, Invocation, Invocations
from tests.simulation.large_orders import LargeOrders
from tests.simulation.older_copies import OlderCopyOracle
from tests.simulation.oracle import Oracle
from tests.simulation.page_tokens import PageTokenFaults
from tests.simulation.people import ACTION_KEY, People
from tests.simulation.plan import SPELLINGS, STATUSES, TICK, Plan, ShopPlan, drawn
from tests.simulation.problems import PROBLEMS, lose_products
from tests.simulation.quiet_hours_oracle import QuietHoursOracle
from tests.simulation.reminder_oracle import ReminderOracle
from tests.simulation.restock_oracle import RestockOracle
from tests.simulation.shipments import Shipments
from tests.simulation.stock import Stock
from tests.simulation.summary_oracle import SummaryOracle
from tests.simulation.sync_times import SyncTimes
from tests.simulation.timeline import SkewedClock, Timeline
from tests.simulation.vendor_calls import VendorCalls
from tests.simulation.visible import Known, VisibleShop
from tests.simulation.warehouses import Warehouses
from tests.support.recording_sns import RecordingSns

API_KEY = "organisation-key"
REDRIVE_EVERY = 900.0
SUMMARY_EVERY = 2400.0
CALM_SECONDS = 30 * 3600.0
PRODUCTS_FAULTS = 0.2
"""The share of shops whose products cannot be synced for a while."""
NULL_IF_EMPTY = 0.3
"""The share of shops whose empty lists have no list."""


class SimulatedRun:
    """Everything of one seed; its parts share this state.

    Args:
        plan: What kind of run it is.

    Attributes:
        habits: Decides what does not change the course of a seed: spellings, kinds of a fault, products, page tokens.
        trace: What happened, a line for each event; the same for every run of a seed.
        running: The invocations under way, the innermost last.
        is_calm: Whether nothing fails any more.
        sent: Messages that SNS took: seconds, topic, body.
        alerts_written: Transactions with alerts, by connection.
        worked: Seconds that invocations took.
        last_polls: By connection, when its row was written last, and `worked` then.
        stuck: Connections that never answer.
    """

    def __init__(self, plan: Plan) -> None:
        self.plan, self.chance = plan, plan.chance
        self.promises = deadline_plan.drawn(plan.seed, [shop.connection_id for shop in plan.shops])
        self.people_plan = people_plan.drawn(plan.seed, self.promises, [shop.connection_id for shop in plan.shops])
        self.habits = random.Random(f"habits:{plan.seed}")
        self.sync_times = SyncTimes.drawn(plan.seed, [shop.connection_id for shop in plan.shops])
        late = {shop.connection_id: bool(shop.first_sync_after) for shop in plan.shops}
        self.stock = Stock.drawn(plan.seed, late)
        self.warehouses = Warehouses.drawn(plan.seed, late if self.stock.on_hand else (), self.promises.flawed)
        self.shipments = Shipments(random.Random(f"shipments:{plan.seed}"))
        self.large_orders, self.page_tokens = LargeOrders.drawn(plan.seed), PageTokenFaults(self)
        self.time = Timeline(self.promises.begins_at)
        self.our_clock = SkewedClock(self.time, plan.our_skew)
        self.vendor_clock = SkewedClock(self.time, plan.vendor_skew)
        self.trace: list[str] = []
        self.is_calm = False
        self.latency = plan.latency
        self.activity, self.aws_calls, self.invocations = ShopActivity(self), AwsCalls(self), Invocations(self)
        self.event_sources, self.checks, self.people = EventSources(self), RunChecks(self), People(self)
        self.tables = ObservedTables(self.aws_calls.wrote, self.aws_calls.updated, self.people.changed)
        self.visible = {shop.connection_id: VisibleShop(shop.said_frequency) for shop in plan.shops}
        self.known = known = Known(self.tables, self.visible)
        self.deadlines = DeadlineOracle(known, self.promises.calendar, plan.baseline_days > 0)
        self.older_copies = OlderCopyOracle(known)
        self.contents = ContentOracle(known, self.stock, lambda: self.time.seconds)
        self.restocks = RestockOracle(known, self.stock.is_watched)
        self.reminders = ReminderOracle(
            known,
            self.deadlines,
            self.people_plan.hours,
            self.people_plan.max_reminders,
            lambda: self.time.seconds,
            self.our_clock.now,
        )
        self.quiet_hours = QuietHoursOracle(known, self.people_plan.quiet_times.get, self.our_clock.now)
        self.summaries = SummaryOracle(known, self.deadlines, self.contents)
        self.oracle = Oracle(known, plan.notify_recovered, plan.baseline_days, self.deadlines)
        self.queue = FifoQueue(
            lambda: self.time.seconds, self.event_sources.message_sent, lambda: self.happens(plan.aws_fault)
        )
        self.shards = first_shards(plan.shards)
        self.sent: list[tuple[float, str, dict[str, Any]]] = []
        self.alerts_written: Counter[str] = Counter()
        self.sns, self.parameters = RecordingSns(), ParameterStore()
        self.parameters.values[f"{PREFIX}/trackstar/api-key"] = API_KEY
        if self.people_plan.has_links:
            self.parameters.values[ACTION_KEY] = self.people_plan.key
        self.shops = {each.connection_id: self._opened(each) for each in plan.shops}
        self.trackstar: SimulatedTrackstar = SimulatedTrackstar(
            API_KEY,
            self.shops.values(),
            self.vendor_clock,
            monotonic=self.our_clock.monotonic,
            rate_limit=plan.rate_limit,
            page_token_lifetime=timedelta(seconds=plan.token_lifetime),
            envelope=plan.envelope,
        )
        self.vendor_calls = VendorCalls(self)
        self.running: list[Invocation] = []
        self.worked = 0.0
        self.last_polls: dict[str, tuple[float, float]] = {}
        self.stuck: set[str] = {each.connection_id for each in plan.shops if each.is_broken}

    def _opened(self, plan: ShopPlan) -> Shop:
        shop = Shop(
            plan.connection_id,
            access_token=f"token-of-{plan.connection_id}",
            clock=self.vendor_clock,
            products=self.stock.products(plan.connection_id),
            sync_frequency=plan.said_frequency,
            historical_sync_completed=not plan.first_sync_after,
        )
        shop.quirks.trackstar_dates, shop.quirks.shows_superseded = plan.dates, plan.shows_superseded
        shop.quirks.spell_status = self.habits.choice(SPELLINGS)
        shop.quirks.refuse_token = self.page_tokens.of(plan.connection_id)
        shop.quirks.lacks_warehouses = plan.connection_id in self.warehouses.without_list
        shop.quirks.reports_syncs = plan.connection_id not in self.promises.without_sync_times
        shop.quirks.no_sync_time = self.promises.no_sync_time
        parameters = f"{PREFIX}/connections/{plan.connection_id}"
        self.parameters.values[f"{parameters}/access-token"] = shop.access_token
        settings = self.people_plan.in_settings(plan.connection_id, self.promises.settings(plan.connection_id))
        if settings := self.warehouses.in_settings(plan.connection_id, settings):
            self.parameters.values[f"{parameters}/settings"] = settings
        return shop

    @property
    def environment(self) -> dict[str, str]:
        """The variables of the functions that the seed decides."""
        return {
            "NOTIFY_RECOVERED": str(self.plan.notify_recovered).lower(),
            "BASELINE_DAYS": str(self.plan.baseline_days),
            "STALLED_AFTER_MINUTES": "30",
            "DIGEST_THRESHOLD": str(self.plan.digest_threshold),
            "RESTOCK_ALERTS": str(self.stock.is_watched).lower(),
            **self.promises.environment,
            **self.people_plan.environment,
        }

    def happens(self, chance: float) -> bool:
        return not self.is_calm and chance > 0 and self.chance.random() < chance

    def play(self) -> None:
        """Play the whole run.

        Raises:
            Violation: A rule does not hold.
        """
        self._begin()
        if self.promises.is_aligned:
            self._wait_for_midnight()
        active = self.plan.ticks * TICK
        self._schedule(active)
        began = self.time.seconds
        self.time.play(self.time.seconds + active)
        self.checks.check_delays(began)
        self.people.play_days()
        self._calm_down()
        self._settle()
        self.people.end()
        self.checks.check_end()

    def _begin(self) -> None:
        for plan in self.plan.shops:
            shop = self.shops[plan.connection_id]
            for _ in range(plan.orders):
                self.activity.place(shop, self.stock.status(self.chance.choice(STATUSES)))
                if self.chance.random() < 0.3:
                    self.activity.sync(plan.connection_id)
                    self.time.spend(self.chance.choice((0.0, 1.0, 90000.0 if self.plan.baseline_days else 60.0)))
                    self.time.spend(self.promises.history)
            self.activity.sync(plan.connection_id)
            self.stock.sync(self, shop)
            if plan.first_sync_after:
                self.time.after(plan.first_sync_after, lambda shop=shop: self.activity.complete_first_sync(shop))  # type: ignore[misc]

    def _wait_for_midnight(self) -> None:
        """Let time pass until shortly before a day ends in the shops' zone."""
        now = self.vendor_clock.now()
        midnight = next(
            end
            for back in (1, 0, -1)
            if (end := day_is_over((now - timedelta(days=back)).date(), self.promises.zone)) > now
        )
        self.time.spend(max((midnight - now - deadline_plan.AHEAD_OF_MIDNIGHT).total_seconds(), 0.0))

    def _schedule(self, active: float) -> None:
        start = self.time.seconds
        for number in range(self.plan.ticks):
            self.time.at(start + number * TICK, self.event_sources.tick)
        self._every(REDRIVE_EVERY, active, self.event_sources.redrive)
        self._every(SUMMARY_EVERY, active, self.event_sources.sum_up)
        for plan in self.plan.shops:
            self._schedule_shop(plan, active)
            if self.habits.random() < PRODUCTS_FAULTS:
                shop = self.shops[plan.connection_id]
                self.time.after(self.habits.uniform(0, active), lambda shop=shop: lose_products(self, shop))  # type: ignore[misc]
        for _ in range(self.plan.problems):
            self._schedule_problem(active)
        for shop in self.shops.values():
            shop.quirks.null_if_empty = self.habits.random() < NULL_IF_EMPTY
            self.page_tokens.schedule(shop, active)
            self.stock.schedule(self, shop, active)
            self.large_orders.schedule(self, shop, active)
        self.people.schedule(active)

    def _every(self, seconds: float, until: float, happens: Callable[[], None]) -> None:
        start = self.time.seconds
        moment = seconds * self.chance.random()
        while moment < until:
            self.time.at(start + moment, happens)
            moment += seconds

    def _schedule_shop(self, plan: ShopPlan, active: float) -> None:
        shop = self.shops[plan.connection_id]
        self.activity.schedule_wrong_clock(plan, active)
        self._every(min(plan.sync_every, 900.0), active, lambda: self._sync_in_time(plan))
        for _ in range(int(self.plan.life * self.plan.ticks * 0.7)):
            happens = (
                self.chance.choice((self.activity.change_and_sync, self.activity.flip))
                if self.happens(self.plan.flips)
                else self.activity.change
            )
            self.time.after(self.chance.uniform(0, active), lambda happens=happens: happens(shop))  # type: ignore[misc]

    def _sync_in_time(self, plan: ShopPlan) -> None:
        if self.happens(self.plan.late_event):
            return
        self.activity.sync(plan.connection_id)
        if self.happens(self.plan.vendor_jump):
            self.activity.jump_clock()

    def _schedule_problem(self, active: float) -> None:
        shop = self.activity.any_shop()
        problem = PROBLEMS[self.chance.choice(sorted(PROBLEMS))]
        starts = self.chance.uniform(0, active)
        lasts = self.chance.uniform(60, active)

        def begin() -> None:
            problem.begin(self, shop)
            self.note(f"{shop.connection_id} {problem.note}")

        self.time.after(starts, begin)
        self.time.after(min(starts + lasts, active), lambda: problem.end(self, shop))

    def _calm_down(self) -> None:
        self.is_calm = True
        self.latency = 0.05
        self.stuck.clear()
        for shop in self.shops.values():
            for problem in PROBLEMS.values():
                problem.end(self, shop)
            self.page_tokens.accept(shop)
            self.sync_times.restore(shop, reports_syncs=shop.connection_id not in self.promises.without_sync_times)
            shop.quirks.clock_error = 0.0
            self.activity.complete_first_sync(shop)
            for record in shop.orders():
                shop.heal(record["id"])
        self.note("calm")

    def _settle(self) -> None:
        start = self.time.seconds
        self.calm_ticks(2)
        self.checks.check_first_polls(start)
        self.calm_ticks(1)
        self.checks.check_unreported_changes()
        self.time.play(start + CALM_SECONDS)
        self.calm_ticks(2)
        self.event_sources.sum_up()
        self.calm_ticks(1)
        self.checks.check_restocks()
        if self.plan.storm:
            self.checks.check_storm()

    def calm_ticks(self, count: int) -> None:
        for _ in range(count):
            for connection_id in self.shops:
                self.activity.sync(connection_id)
                self.stock.sync(self, self.shops[connection_id])
            self.event_sources.tick()
            self.time.play(self.time.seconds + TICK)
            self.event_sources.redrive()

    def note(self, what: str) -> None:
        self.trace.append(f"{self.time.seconds:10.2f} {'  ' * len(self.running)}{what}")

    @property
    def digest(self) -> str:
        """Identifies what happened: two runs with the same trace have the same digest."""
        return hashlib.sha256("\n".join(self.trace).encode()).hexdigest()


def run(seed: int) -> SimulatedRun:
    """Play one seed.

    Raises:
        Violation: A rule does not hold; it carries the trace.
    """
    random.seed(seed)
    simulated = SimulatedRun(drawn(seed))
    copies = dict.fromkeys(sorted(TIMEOUTS), MAX_AT_ONCE) | {"publish_alerts": SENDERS}
    with installed(simulated, copies):
        try:
            simulated.play()
        except Violation as violation:
            violation.trace = (str(simulated.plan), *simulated.trace)
            raise
    return simulated
