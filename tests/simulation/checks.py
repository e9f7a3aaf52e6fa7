"""Checks of a whole simulated run: delays, storms, the rate of a topic, and the state after the calm."""

from collections import Counter
from typing import TYPE_CHECKING

from orderwatch.aws.rate_limit import TOPIC_LIMIT
from orderwatch_local.simulator import Resource
from orderwatch_local.simulator.filters import ListQuery
from tests.simulation.cloud import ORDERS
from tests.simulation.facts import Violation
from tests.simulation.plan import TICK
from tests.simulation.stock import counts_in
from tests.simulation.sync_times import MAX_GAP

if TYPE_CHECKING:
    from tests.simulation.run import SimulatedRun

STORM = 12
"""Orders of a storm: more than any threshold of a digest."""
RATE_JITTER = 0.05
"""Seconds by which a request may reach SNS later than it was meant to."""


class RunChecks:
    """Checks what no single transaction or message shows."""

    def __init__(self, run: "SimulatedRun") -> None:
        self._run = run

    def check_delays(self, began: float) -> None:
        """Rule 14: a broken shop does not delay the others, except that here one invocation runs after the other.

        A tick skips a shop whose last reading is younger than `MAX_GAP`.
        """
        for plan in self._run.plan.shops:
            if plan.is_broken or plan.first_sync_after or not self._run.plan.only_one_is_broken:
                continue
            at, worked_then = self._run.last_polls.get(plan.connection_id, (began, 0.0))
            delay = self._run.time.seconds - at - (self._run.worked - worked_then)
            if delay > MAX_GAP + 2 * TICK:
                raise Violation(f"{plan.connection_id} was not polled for {delay:.0f} s beside a broken shop")

    def check_unreported_changes(self) -> None:
        """Rule 1 where no sync is reported: a change is read within `MaxPollGapMinutes` and a tick."""
        placed = {shop: self._run.activity.place_open(shop) for shop in self._run.shops.values()}
        self._run.calm_ticks(1)
        for shop, order_id in placed.items():
            shop.move(order_id, "exception")
            shop.sync([Resource.ORDERS], is_reported=False)
            self._run.activity.show(shop)
        self._run.note("every shop changes, not reported")
        for _ in range(int(MAX_GAP / TICK) + 1):
            self._run.event_sources.tick()
            self._run.time.play(self._run.time.seconds + TICK)
        for shop, order_id in placed.items():
            row = self._run.tables.row(ORDERS, f"{shop.connection_id}#{order_id}") or {}
            if row.get("status") != "exception":
                raise Violation(f"{shop.connection_id}: an unreported change is not read after {MAX_GAP + TICK:.0f} s")

    def check_storm(self) -> None:
        """Many orders of every shop move at once: few messages a shop, and few a second in total (rule 17)."""
        placed = {
            shop: [self._run.activity.place_open(shop) for _ in range(STORM)] for shop in self._run.shops.values()
        }
        self._run.calm_ticks(1)
        self._run.sent.clear()
        self._run.alerts_written.clear()
        for shop, order_ids in placed.items():
            for order_id in order_ids:
                shop.move(order_id, "exception")
        self._run.calm_ticks(1)
        self._check_storm_messages()
        for shop, order_ids in placed.items():
            for number, order_id in enumerate(order_ids):
                statuses = ("backordered", "cancelled", "open")
                shop.move(order_id, statuses[min(number // self._run.plan.digest_threshold, 2)])
        self._run.calm_ticks(1)
        self._check_rate()

    def _check_storm_messages(self) -> None:
        kinds = (
            (body["connection_id"], (body["digest"] or {}).get("of_kind", body["kind"])) for *_, body in self._run.sent
        )
        messages = Counter(connection_id for connection_id, kind in kinds if kind == "order.exception")
        for connection_id, count in messages.items():
            if count > self._run.alerts_written[connection_id]:
                raise Violation(f"a storm of {connection_id} became {count} messages")

    def _check_rate(self) -> None:
        for began, topic, _ in self._run.sent:
            within = [at for at, other, _ in self._run.sent if other == topic and 0 <= at - began < 1.0 - RATE_JITTER]
            if len(within) > TOPIC_LIMIT.messages:
                raise Violation(f"{topic} got {len(within)} messages within a second")

    def check_first_polls(self, start: float) -> None:
        """Rule 14: within two intervals of any fault, a shop is polled again."""
        for connection_id in self._run.shops:
            if self._run.last_polls.get(connection_id, (0.0, 0.0))[0] < start:
                raise Violation(f"{connection_id} was not polled within two intervals of the calm")

    def check_end(self) -> None:
        self._run.oracle.check_alerts()
        self._run.reminders.check_end()
        if not self._run.summaries.checked["calm"]:
            raise Violation("no summary was written in the calm")
        for connection_id in self._run.shops:
            self._run.oracle.check_shop(connection_id)

    def check_restocks(self) -> None:
        """Rule 23: after the calm every order that the stock covers is alerted or recorded."""
        for shop in self._run.shops.values():
            counts = counts_in(shop.select(Resource.PRODUCTS, ListQuery()))
            self._run.restocks.check_end(shop.connection(), counts)
