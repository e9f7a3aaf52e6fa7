"""One poll of one connection: read what changed, and write every order that moved with its alert beside it.

    health ── window ── page ── stored rows ── decisions ── one write ── next page ── cursor

A poll may die at any line: what was written stays, the rest is read again (rules 1 and 4). It stops by itself when its
time is nearly up; the next one goes on at the saved page (rule 7).
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Protocol

from aws_lambda_powertools.metrics import MetricUnit

from orderwatch.alerts import KIND_WATCH_STARTED, Alert, AlertConnection, connection_alert, status_phrase
from orderwatch.connections import (
    ConnectionState,
    Health,
    HealthState,
    TrackstarConnection,
    health_alert,
    judge,
)
from orderwatch.errors import (
    ForbiddenError,
    InvalidRequestError,
    PollSupersededError,
    TrackstarError,
    UnauthorizedError,
)
from orderwatch.observability import logger, metrics
from orderwatch.orders import Order, OrderPage
from orderwatch.transitions import Move, Policy, Sighting, StoredOrder, move_of
from orderwatch.windows import (
    SWEEP_INTERVAL,
    DateField,
    Progress,
    Window,
    WindowKind,
    baseline_window,
    incremental_window,
    sweep_window,
)

MAX_CONFLICT_ROUNDS = 5
"""How often orders that another poll moved meanwhile are read and decided again before this poll gives way."""


class Shop(Protocol):
    """What a poll needs of Trackstar: one connection."""

    def now(self) -> datetime:
        """The vendor's clock at its latest answer."""

    def connection(self) -> TrackstarConnection:
        """What Trackstar says of the connection."""

    def order_page(self, window: Window, *, page_token: str | None) -> OrderPage:
        """One page of the window, every filter repeated."""


class Store(Protocol):
    """What a poll needs of the tables."""

    def load(self, connection_id: str) -> ConnectionState:
        """The connection's row, a new one where there is none."""

    def stored_orders(self, connection_id: str, order_ids: Collection[str]) -> Mapping[str, StoredOrder]:
        """The rows of these orders, those that there are."""

    def commit(self, state: ConnectionState, *, moves: Sequence[Move], alerts: Sequence[Alert]) -> list[Move]:
        """Write the moves, then the state with the last of them.

        Returns:
            The moves whose row was not as expected. Where there are any, the state is not written.

        Raises:
            PollSupersededError: The connection's row is not the one that was loaded.
        """


class Outcome(StrEnum):
    """How a poll ended."""

    FINISHED = "finished"
    UNFINISHED = "unfinished"
    ALREADY_READ = "already read"
    WAITING = "waiting for the first sync"
    UNAUTHORIZED = "unauthorized"


@dataclass(slots=True)
class PollSummary:
    """What a poll did, counted.

    Attributes:
        outcome: How it ended.
        pages: Pages read.
        orders: Records read that can be watched.
        quarantined: Records read that cannot (rule 9).
        moved: Orders written.
        alerts: Alerts written.
        found_by_sweep: Alerts that only the sweep found; stays 0 (rule 6).
        conflicts: Orders that had moved meanwhile and were decided again.
    """

    outcome: Outcome = Outcome.FINISHED
    pages: int = 0
    orders: int = 0
    quarantined: int = 0
    moved: int = 0
    alerts: int = 0
    found_by_sweep: int = 0
    conflicts: int = 0

    def report(self) -> None:
        """Put the counts into the metrics and one line of the log."""
        counts = {
            "PollsFinished": int(self.outcome is Outcome.FINISHED),
            "PagesRead": self.pages,
            "OrdersRead": self.orders,
            "OrdersQuarantined": self.quarantined,
            "OrdersMoved": self.moved,
            "AlertsWritten": self.alerts,
            "FoundBySweep": self.found_by_sweep,
            "OrdersInConflict": self.conflicts,
        }
        for name, count in counts.items():
            metrics.add_metric(name, MetricUnit.Count, count)
        logger.info("poll ended", extra={"outcome": str(self.outcome), **counts})


@dataclass
class Poller:
    """One poll of one connection.

    Args:
        connection: The shop.
        shop: Its side at Trackstar.
        store: The tables.
        policy: What the user wants to be told.
        clock: Our clock, aware.
        has_time: False when the poll must stop soon: asked before each page.
    """

    connection: AlertConnection
    shop: Shop
    store: Store
    policy: Policy
    clock: Callable[[], datetime]
    has_time: Callable[[], bool]
    summary: PollSummary = field(default_factory=PollSummary)
    _seen: set[str] = field(default_factory=set)
    _awaits_first_sync: bool = False

    def run(self, *, asked_at: datetime) -> PollSummary:
        """Read what changed, until it is all read or the time is up.

        Args:
            asked_at: Our clock when the poll was asked for. A reading that began later has seen all that this one
                would: ticks that piled up behind a long poll end here (rule 14).

        Raises:
            TrackstarError: The API cannot be read now; the cursor stays, and the next poll tries again.
            PollSupersededError: Another poll of the connection is at work.
        """
        state = self.store.load(self.connection.id)
        if state.progress is None and state.has_read_since(asked_at):
            return self._end(Outcome.ALREADY_READ)
        state, health = self._look(state)
        if self._awaits_first_sync or health.state is HealthState.WAITING:
            self._save(state, health)
            return self._end(Outcome.WAITING)
        return self._end(self._read(self._begun(state), health))

    def _end(self, outcome: Outcome) -> PollSummary:
        self.summary.outcome = outcome
        return self.summary

    def _look(self, state: ConnectionState) -> tuple[ConnectionState, Health]:
        """Ask how the connection is; a question that fails never stops the reading of orders (rule 10)."""
        try:
            record = self.shop.connection()
        except TrackstarError as error:
            logger.warning("connection could not be checked", exc_info=error)
            return state, state.health or Health(since=self.shop.now())
        # Whatever else is wrong: a list that is still empty must not be taken for a shop without orders.
        self._awaits_first_sync = record.awaits_historical_sync
        state = state.model_copy(
            update={
                "integration": record.integration_name or state.integration,
                "sync_frequency": record.sync_frequency,
                "data_as_of": record.orders_schedule.synced_at or state.data_as_of,
            }
        )
        return state, judge(record, now=self.shop.now())

    def _begun(self, state: ConnectionState) -> ConnectionState:
        """Go on with the window that was left, or open the next one."""
        if state.progress:
            logger.info("going on with a window", extra={"window": state.progress.window.kind})
            return state
        return self._opened(state, self._next_window(state))

    def _opened(self, state: ConnectionState, window: Window) -> ConnectionState:
        return state.model_copy(update={"progress": Progress(window=window, began_at=self.clock())})

    def _next_window(self, state: ConnectionState) -> Window:
        now = self.shop.now()
        if state.cursor is None or state.cursor_set_at is None:
            return baseline_window(vendor_now=now, days=self.policy.baseline_days)
        return incremental_window(
            cursor=state.cursor,
            cursor_age=self.clock() - state.cursor_set_at,
            vendor_now=now,
            date_field=state.date_field,
            sync_frequency=state.sync_frequency,
        )

    def _read(self, state: ConnectionState, health: Health) -> Outcome:
        while progress := state.progress:
            if not self.has_time():
                return Outcome.UNFINISHED
            try:
                page = self.shop.order_page(progress.window, page_token=progress.page_token)
            except InvalidRequestError as error:
                state = self._asked_otherwise(state, progress, error)
            except (UnauthorizedError, ForbiddenError) as error:
                self._refused(state, error)
                return Outcome.UNAUTHORIZED
            else:
                state = self._take(state, progress, page, health)
        return Outcome.FINISHED

    def _asked_otherwise(
        self, state: ConnectionState, progress: Progress, error: InvalidRequestError
    ) -> ConnectionState:
        """Answer a 422: begin again after an expired page token, fall back from a filter that is refused (rule 5)."""
        if progress.page_token and error.names("page_token"):
            logger.warning("page token expired, reading the window again", extra={"request_id": error.request_id})
            return self._restarted(state, progress)
        if progress.window.date_field is DateField.TRACKSTAR_UPDATED and error.names(DateField.TRACKSTAR_UPDATED):
            logger.warning("filter on trackstar_updated_date refused, using updated_date from now on")
            state = state.model_copy(update={"date_field": DateField.SHOP_UPDATED})
            if state.cursor is None:
                window = progress.window.model_copy(update={"date_field": DateField.SHOP_UPDATED})
                return self._opened(state, window)
            return self._opened(state, self._next_window(state))
        raise error

    def _restarted(self, state: ConnectionState, progress: Progress) -> ConnectionState:
        self._seen.clear()
        return state.model_copy(update={"progress": progress.again()})

    def _take(self, state: ConnectionState, progress: Progress, page: OrderPage, health: Health) -> ConnectionState:
        """Write what one page shows, and how far the reading has come, as one."""
        newest = _newest_of_each(page.orders, self.shop.now())
        for record in page.quarantined:
            logger.warning("order quarantined", extra={"order_id": record.order_id, "reason": record.reason})
        fresh = [order for order_id, order in newest.items() if order_id not in self._seen]
        self._seen.update(newest)
        self.summary.pages += 1
        self.summary.orders += len(newest)
        self.summary.quarantined += len(page.quarantined)
        progress = self._counted(progress, page, fresh)
        after, alerts = self._after_page(state, progress, page.next_token)
        sighting = Sighting(
            connection=self._labelled(state),
            observed_at=self.shop.now(),
            baseline=progress.window.kind is WindowKind.BASELINE,
            watch_started_at=state.watch_started_at,
            data_as_of=state.data_as_of,
        )
        return self._commit(after, health, newest, sighting, alerts, sweep=progress.window.kind is WindowKind.SWEEP)

    def _labelled(self, state: ConnectionState) -> AlertConnection:
        return self.connection.model_copy(update={"integration": state.integration})

    def _counted(self, progress: Progress, page: OrderPage, fresh: Sequence[Order]) -> Progress:
        attention = dict(progress.attention)
        for order in fresh:
            if self.policy.watches(order.status):
                attention[order.status] = attention.get(order.status, 0) + 1
        return progress.model_copy(
            update={
                "distinct": progress.distinct + len(fresh) + len(page.quarantined),
                "promised": max(progress.promised, page.total_count or 0),
                "attention": attention,
            }
        )

    def _after_page(
        self, state: ConnectionState, progress: Progress, next_token: str | None
    ) -> tuple[ConnectionState, list[Alert]]:
        if next_token:
            on_the_way = progress.model_copy(update={"page_token": next_token})
            return state.model_copy(update={"progress": on_the_way}), []
        if progress.is_short():
            logger.warning(
                "orders moved while they were read, reading the window again",
                extra={"read": progress.distinct, "promised": progress.promised, "attempt": progress.attempt},
            )
            return self._restarted(state, progress), []
        return self._completed(state, progress)

    def _completed(self, state: ConnectionState, progress: Progress) -> tuple[ConnectionState, list[Alert]]:
        """Every page of the window was read: the cursor may pass it with this page's write (rule 4)."""
        self._seen.clear()
        window = progress.window
        done = {"progress": None, "last_success_at": self.clock()}
        if window.kind is WindowKind.SWEEP:
            return state.model_copy(update=done | {"last_sweep_at": window.until}), []
        cursor = max(state.cursor or window.until, window.until)
        done |= {"cursor": cursor, "cursor_set_at": progress.began_at}
        if window.kind is WindowKind.BASELINE:
            done |= {"watch_started_at": window.until, "baseline_completed_at": self.shop.now()}
            done |= {"last_sweep_at": window.until}
            return state.model_copy(update=done), [self._watch_started(state, progress)]
        after = state.model_copy(update=done)
        if self._sweep_is_due(after):
            sweep = sweep_window(vendor_now=self.shop.now(), statuses=self.policy.statuses)
            after = self._opened(after, sweep)
        return after, []

    def _sweep_is_due(self, state: ConnectionState) -> bool:
        return state.last_sweep_at is None or self.shop.now() - state.last_sweep_at >= SWEEP_INTERVAL

    def _watch_started(self, state: ConnectionState, progress: Progress) -> Alert:
        now_in = [f"{count:,} {status_phrase(status)}" for status, count in sorted(progress.attention.items())]
        standing = f"{', '.join(now_in)} now" if now_in else "none needs attention now"
        return connection_alert(
            KIND_WATCH_STARTED,
            connection=self._labelled(state),
            since=progress.window.until,
            detail=f"Watching {progress.distinct:,} orders; {standing}.",
            data_as_of=state.data_as_of,
        )

    def _commit(
        self,
        state: ConnectionState,
        health: Health,
        orders: Mapping[str, Order],
        sighting: Sighting,
        alerts: Sequence[Alert],
        *,
        sweep: bool,
    ) -> ConnectionState:
        state, alerts = self._with_health(state, health, alerts)
        moves = self._decided(orders.values(), sighting)
        for _ in range(MAX_CONFLICT_ROUNDS):
            lost = self.store.commit(state, moves=moves, alerts=alerts)
            self._count_written(moves, lost, sweep=sweep)
            if not lost:
                return state.model_copy(update={"revision": state.revision + 1})
            moves = self._decided([orders[move.order_id] for move in lost], sighting)
        raise PollSupersededError(f"orders of connection {self.connection.id} keep moving under this poll")

    def _with_health(
        self, state: ConnectionState, health: Health, alerts: Sequence[Alert]
    ) -> tuple[ConnectionState, list[Alert]]:
        told = health_alert(state.health, health, connection=self._labelled(state))
        if not health.changes(state.health):
            return state, list(alerts)
        return state.model_copy(update={"health": health}), [*alerts, told] if told else list(alerts)

    def _decided(self, orders: Collection[Order], sighting: Sighting) -> list[Move]:
        stored = self.store.stored_orders(self.connection.id, [order.id for order in orders])
        moves = (move_of(order, stored.get(order.id), sighting=sighting, policy=self.policy) for order in orders)
        return [move for move in moves if move]

    def _count_written(self, moves: Sequence[Move], lost: Sequence[Move], *, sweep: bool) -> None:
        lost_ids = {move.order_id for move in lost}
        written = [move for move in moves if move.order_id not in lost_ids]
        told = sum(1 for move in written if move.alert)
        self.summary.moved += len(written)
        self.summary.alerts += told
        self.summary.found_by_sweep += told if sweep else 0
        self.summary.conflicts += len(lost)

    def _refused(self, state: ConnectionState, error: TrackstarError) -> None:
        detail = (
            "Trackstar refused this shop's access: put a valid token (or API key) into the Parameter Store "
            f"({type(error).__name__})."
        )
        logger.error("access refused", exc_info=error)
        self._save(state, Health(state=HealthState.UNAUTHORIZED, since=self.shop.now(), detail=detail))

    def _save(self, state: ConnectionState, health: Health) -> None:
        """Write what is known of the connection; nothing where nothing changed."""
        after, alerts = self._with_health(state, health, [])
        if after.health != state.health:
            self.store.commit(after, moves=[], alerts=alerts)


def _newest_of_each(orders: Sequence[Order], observed_at: datetime) -> dict[str, Order]:
    """One record an order: a page may hold one twice, and only its newest version counts."""
    newest: dict[str, Order] = {}
    for order in orders:
        known = newest.get(order.id)
        if known is None or not order.version(observed_at).is_older_than(known.version(observed_at)):
            newest[order.id] = order
    return newest
