"""Read orders again by their ids and write what that shows: deadlines (rule 19) and stock that is back (rule 23)."""

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from datetime import datetime

from orderwatch.polling.commit import Store, clear_gone, commit
from orderwatch.polling.detect import Observation
from orderwatch.polling.health import Probe
from orderwatch.polling.metrics import PollMetrics
from orderwatch.polling.restock_alert import Restock
from orderwatch.reading.cursor import Vendor
from orderwatch.reading.policy import Policy
from orderwatch.reading.window import WindowKind
from orderwatch.records import ConnectionState


@dataclass(frozen=True, slots=True, kw_only=True)
class Rereader:
    """What a poll has to read orders again.

    Attributes:
        vendor: Trackstar.
        store: The tables.
        probe: The result of the probe.
        policy: What is watched.
        has_time: Called before each request; False leaves the rest to the next poll.
        reading: When the poll was requested.
        metrics: Counts the writes.
    """

    vendor: Vendor
    store: Store
    probe: Probe
    policy: Policy
    has_time: Callable[[], bool]
    reading: datetime
    metrics: PollMetrics

    def read_again(
        self,
        state: ConnectionState,
        order_ids: Sequence[str],
        window: WindowKind,
        *,
        watermark: datetime | None = None,
        restock: Restock | None = None,
    ) -> tuple[ConnectionState, Collection[str]]:
        """Read these orders, at most `MAX_IDS`, and write them. The last two arguments are those of `Observation`.

        Returns:
            The stored state, and the ids of the orders that Trackstar no longer has.

        Raises:
            TrackstarError: The orders cannot be read now; nothing was written.
            PollSupersededError: Another poll of the connection is running.
        """
        found = self.vendor.orders(order_ids)
        observed = Observation.by_id(
            found.orders,
            state,
            self.probe.connection,
            window=window,
            now=self.vendor.now(),
            policy=self.policy,
            reading=self.reading,
            watermark=watermark,
            restock=restock,
        )
        state = commit(self.store, state, observed, alerts=[], policy=self.policy, metrics=self.metrics)
        return clear_gone(self.store, state, found.gone), found.gone
