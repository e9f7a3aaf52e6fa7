"""One poll of one connection: read what changed, and write every order that moved with its alert beside it.

    health ── window ── page ── stored rows ── decisions ── one write ── next page ── cursor

A poll may die at any line: what was written stays, the rest is read again (rules 1 and 4). It stops by itself when its
time is nearly up; the next one goes on at the saved page (rule 7).
"""

from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Protocol

from aws_lambda_powertools.metrics import MetricUnit

from orderwatch.alerts import KIND_WATCH_STARTED, Alert, AlertConnection, connection_alert, status_phrase
from orderwatch.errors import (
    ForbiddenError,
    InvalidRequestError,
    NotFoundError,
    PollSupersededError,
    TrackstarError,
    UnauthorizedError,
)
from orderwatch.observability import count_by, logger, metrics
from orderwatch.polling.health import Health, assess, health_after, refused_by_trackstar, unknown_to_trackstar
from orderwatch.polling.notices import health_alert, quarantine_notice
from orderwatch.polling.seen_orders import SeenOrders
from orderwatch.polling.state import ConnectionState
from orderwatch.polling.transitions import Observation, OrderWrite, Policy, Reason, StoredOrder, decide
from orderwatch.polling.windows import (
    SWEEP_INTERVAL,
    Progress,
    Window,
    WindowKind,
    baseline_window,
    incremental_window,
    sweep_window,
    undated_window,
)
from orderwatch.trackstar.connections import TrackstarConnection
from orderwatch.trackstar.orders import OrderPage, SeenOrder
from orderwatch.trackstar.query import DateField

MAX_QUARANTINED = 200
"""Orders of a connection that are remembered as quarantined: beyond that they are logged and counted, not told."""
MAX_CONFLICT_ROUNDS = 5
"""How often orders that another poll moved meanwhile are read and decided again before this poll gives way."""
MAX_WAITING = 98
"""Moves and alerts of one page that wait for the next page's write: both fit one transaction, or it is no loss."""


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

    def commit(
        self, state: ConnectionState, *, writes: Sequence[OrderWrite], alerts: Sequence[Alert]
    ) -> list[OrderWrite]:
        """Write the writes, then the state with the last of them.

        Returns:
            The writes whose row was not as expected. Where there are any, the state is not written.

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
        silenced: Orders first seen that are older than the watch, recorded and not told (rule 8).
        moved: Orders written.
        alerts: Alerts written.
        found_by_sweep: Alerts that only the sweep found; stays 0 (rule 6).
        left: Orders of an unfinished window that are still to be read.
        conflicts: Orders that had moved meanwhile and were decided again.
        transitions: Transitions that are told, by the kind of their alert: `AlertStatuses` bounds the kinds.
        sync_age: Seconds since the vendor's last sync of the shop's orders, where it tells.
    """

    outcome: Outcome = Outcome.FINISHED
    pages: int = 0
    orders: int = 0
    quarantined: int = 0
    silenced: int = 0
    moved: int = 0
    alerts: int = 0
    found_by_sweep: int = 0
    left: int = 0
    conflicts: int = 0
    transitions: Counter[str] = field(default_factory=Counter)
    sync_age: float | None = None

    def report(self) -> None:
        """Put the counts into the metrics and one line of the log."""
        counts = {
            "PollsFinished": int(self.outcome is Outcome.FINISHED),
            "PagesRead": self.pages,
            "OrdersRead": self.orders,
            "OrdersQuarantined": self.quarantined,
            "OrdersSilenced": self.silenced,
            "OrdersMoved": self.moved,
            "AlertsWritten": self.alerts,
            "FoundBySweep": self.found_by_sweep,
            "OrdersLeft": self.left,
            "OrdersInConflict": self.conflicts,
        }
        for name, count in counts.items():
            metrics.add_metric(name, MetricUnit.Count, count)
        if self.sync_age is not None:
            metrics.add_metric("SyncAge", MetricUnit.Seconds, self.sync_age)
        count_by("Transitions", "kind", self.transitions)
        logger.info("poll ended", extra={"outcome": str(self.outcome), **counts})


@dataclass(slots=True)
class _Unwritten:
    """What was read and decided since the last write.

    Attributes:
        pages: Pages read.
        writes: What is to be written of their orders.
        alerts: What is to be told beside them.
        sightings: Of each order that writes, what was seen of it and how: it may have to be decided again.
        pages_with_moves: Pages that `sightings` keeps in memory.
        sweep: Whether they were read by a sweep.
    """

    pages: int = 0
    writes: list[OrderWrite] = field(default_factory=list)
    alerts: list[Alert] = field(default_factory=list)
    sightings: dict[str, tuple[SeenOrder, Observation]] = field(default_factory=dict)
    pages_with_moves: int = 0
    sweep: bool = False

    def add(self, writes: Sequence[OrderWrite], alerts: Sequence[Alert]) -> None:
        """Add a page."""
        self.pages += 1
        self.pages_with_moves += bool(writes)
        self.writes += writes
        self.alerts += alerts

    def may_wait(self) -> bool:
        """Whether it is little enough to be written together with the next page."""
        told = sum(1 for move in self.writes if move.alert)
        return self.pages_with_moves <= 1 and len(self.writes) + told + len(self.alerts) <= MAX_WAITING


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
    _seen: SeenOrders = field(default_factory=SeenOrders)
    _unwritten: _Unwritten = field(default_factory=_Unwritten)
    _awaits_first_sync: bool = False
    _is_checked: bool = False

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
        state, seen = self._look(state)
        if self._awaits_first_sync:
            self._save(state, seen)
            return self._end(Outcome.WAITING)
        return self._end(self._read(self._begun(state), health_after(state.health, seen)))

    def _end(self, outcome: Outcome) -> PollSummary:
        self.summary.outcome = outcome
        return self.summary

    def _look(self, state: ConnectionState) -> tuple[ConnectionState, Health]:
        """Ask how the connection is; a question that fails never stops the reading of orders (rule 10)."""
        try:
            record = self.shop.connection()
        except NotFoundError as error:
            logger.error("connection unknown to trackstar", exc_info=error)
            return state, unknown_to_trackstar(now=self.shop.now())
        except TrackstarError as error:
            logger.warning("connection could not be checked", exc_info=error)
            return state, state.health or Health(since=self.shop.now())
        # Whatever else is wrong: a list that is still empty must not be taken for a shop without orders.
        self._awaits_first_sync = record.awaits_historical_sync
        self._is_checked = True
        if synced_at := record.orders_schedule.synced_at:
            self.summary.sync_age = max((self.shop.now() - synced_at).total_seconds(), 0.0)
        state = state.model_copy(
            update={
                "integration": record.integration_name or state.integration,
                "sync_frequency": record.sync_frequency,
                "data_as_of": record.orders_schedule.synced_at or state.data_as_of,
            }
        )
        return state, assess(record, now=self.shop.now())

    def _begun(self, state: ConnectionState) -> ConnectionState:
        """Go on with the window that was left, or open the next one."""
        if state.progress:
            logger.info("going on with a window", extra={"window": state.progress.window.kind})
            self._seen = SeenOrders.restored(state.progress.seen)
            return state
        return self._opened(state, self._next_window(state))

    def _opened(self, state: ConnectionState, window: Window) -> ConnectionState:
        return state.model_copy(update={"progress": Progress(window=window, began_at=self.clock())})

    def _next_window(self, state: ConnectionState) -> Window:
        now = self.shop.now()
        if state.cursor is None or state.cursor_set_at is None:
            return baseline_window(vendor_now=now, days=self.policy.baseline_days)
        if not state.has_orders:
            return undated_window(vendor_now=now)
        return incremental_window(
            cursor=min(state.cursor, state.read_until or state.cursor),
            cursor_age=self.clock() - state.cursor_set_at,
            vendor_now=now,
            date_field=state.date_field,
            sync_frequency=state.sync_frequency,
        )

    def _read(self, state: ConnectionState, health: Health) -> Outcome:
        while progress := state.progress:
            if not self.has_time():
                self._written(state, health)
                self.summary.left = max(progress.promised - progress.distinct, 0)
                return Outcome.UNFINISHED
            try:
                page = self.shop.order_page(progress.window, page_token=progress.page_token)
            except InvalidRequestError as error:
                state = self._asked_otherwise(self._written(state, health), progress, error)
            except (UnauthorizedError, ForbiddenError) as error:
                self._refused(self._written(state, health), error)
                return Outcome.UNAUTHORIZED
            except TrackstarError:
                self._written(state, health)
                raise
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
        """Decide what one page shows, and write it as one with how far the reading has come."""
        newest = _newest_of_each(page.orders, self.shop.now())
        if not newest.keys().isdisjoint(self._unwritten.sightings):
            state = self._written(state, health)  # an order that shows up again is decided upon what was written
        self.summary.pages += 1
        self.summary.orders += len(newest)
        self.summary.quarantined += len(page.quarantined)
        progress = self._counted(progress, page, newest.values())
        state, notices = self._quarantined(_dated(state, page), page, newest)
        after, alerts = self._after_page(state, progress, page.next_token)
        observation = Observation(
            connection=self._labelled(state),
            observed_at=self.shop.now(),
            baseline=progress.window.kind is WindowKind.BASELINE,
            watch_started_at=state.watch_started_at,
            data_as_of=state.data_as_of,
            in_full=page.in_full,
        )
        writes = self._decided([(order, observation) for order in newest.values()])
        self._unwritten.add(writes, [*alerts, *notices])
        self._unwritten.sightings |= {move.order_id: (newest[move.order_id], observation) for move in writes}
        self._unwritten.sweep = progress.window.kind is WindowKind.SWEEP
        goes_on = after.progress is not None and after.progress.page_token is not None
        return after if goes_on and self._unwritten.may_wait() else self._written(after, health)

    def _quarantined(
        self, state: ConnectionState, page: OrderPage, good: Collection[str]
    ) -> tuple[ConnectionState, list[Alert]]:
        """Remember which orders cannot be watched and why, and tell the operators of those that are new (rule 9)."""
        known = {order_id: reason for order_id, reason in state.quarantined.items() if order_id not in good}
        fresh = {record.key: record.reason for record in page.quarantined if known.get(record.key) != record.reason}
        for order_id, reason in fresh.items():
            logger.warning("order quarantined", extra={"order_id": order_id, "reason": reason})
        told = dict(list(fresh.items())[: max(MAX_QUARANTINED - len(known), 0)])
        notice = quarantine_notice(told, connection=self._labelled(state), now=self.shop.now())
        return state.model_copy(update={"quarantined": known | told}), [notice] if notice else []

    def _labelled(self, state: ConnectionState) -> AlertConnection:
        return self.connection.model_copy(update={"integration": state.integration})

    def _counted(self, progress: Progress, page: OrderPage, orders: Collection[SeenOrder]) -> Progress:
        """Count what was not served before: an order that writes while the window is read may turn up twice."""
        fresh = [order for order in orders if self._seen.add(order.id)]
        bad = sum(1 for each in page.quarantined if each.order_id is None or self._seen.add(each.order_id))
        attention = Counter(progress.attention)
        attention.update(order.status for order in fresh if self.policy.watches(order.status))
        return progress.model_copy(
            update={
                "distinct": progress.distinct + len(fresh) + bad,
                "promised": max(progress.promised, page.total_count or 0),
                "attention": dict(attention),
            }
        )

    def _after_page(
        self, state: ConnectionState, progress: Progress, next_token: str | None
    ) -> tuple[ConnectionState, list[Alert]]:
        if next_token:
            logger.info("page read", extra={"read": progress.distinct, "promised": progress.promised})
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
        if window.kind is WindowKind.BASELINE and not (progress.distinct or self._is_checked):
            # Lists are empty until the first sync is done, and whether it is could not be asked: try again later.
            return state.model_copy(update={"progress": None}), []
        done = {"progress": None, "last_success_at": self.clock()}
        if window.kind is WindowKind.SWEEP:
            return state.model_copy(update=done | {"last_sweep_at": window.until}), []
        cursor = max(state.cursor or window.until, window.until)
        done |= {"cursor": cursor, "read_until": window.until, "cursor_set_at": progress.began_at}
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

    def _written(self, state: ConnectionState, health: Health) -> ConnectionState:
        """Write what was decided since the last time, with how far the reading has come."""
        unwritten, self._unwritten = self._unwritten, _Unwritten()
        if not unwritten.pages:
            return state
        state, alerts = self._with_health(self._with_seen(state), health, unwritten.alerts)
        writes: Sequence[OrderWrite] = unwritten.writes
        for _ in range(MAX_CONFLICT_ROUNDS):
            lost = self.store.commit(state, writes=writes, alerts=alerts)
            self._count_written(writes, lost, sweep=unwritten.sweep)
            if not lost:
                _log_written(alerts)
                return state.model_copy(update={"revision": state.revision + 1})
            writes = self._decided([unwritten.sightings[move.order_id] for move in lost])
        raise PollSupersededError(f"orders of connection {self.connection.id} keep moving under this poll")

    def _with_seen(self, state: ConnectionState) -> ConnectionState:
        if state.progress is None or state.progress.page_token is None:
            return state
        progress = state.progress.model_copy(update={"seen": self._seen.saved()})
        return state.model_copy(update={"progress": progress})

    def _with_health(
        self, state: ConnectionState, health: Health, alerts: Sequence[Alert]
    ) -> tuple[ConnectionState, list[Alert]]:
        told = health_alert(state.health, health, connection=self._labelled(state), data_as_of=state.data_as_of)
        return state.model_copy(update={"health": health}), [*alerts, told] if told else list(alerts)

    def _decided(self, seen: Collection[tuple[SeenOrder, Observation]]) -> list[OrderWrite]:
        stored = self.store.stored_orders(self.connection.id, [order.id for order, _ in seen])
        writes = (decide(order, stored.get(order.id), observation=sight, policy=self.policy) for order, sight in seen)
        return [move for move in writes if move]

    def _count_written(self, writes: Sequence[OrderWrite], lost: Sequence[OrderWrite], *, sweep: bool) -> None:
        lost_ids = {move.order_id for move in lost}
        written = [move for move in writes if move.order_id not in lost_ids]
        told = [move.alert for move in written if move.alert]
        _log_written(told)
        self.summary.moved += len(written)
        self.summary.silenced += sum(1 for move in written if move.reason is Reason.BEFORE_WATCH)
        self.summary.alerts += len(told)
        self.summary.transitions.update(alert.kind for alert in told)
        self.summary.found_by_sweep += len(told) if sweep else 0
        self.summary.conflicts += len(lost)

    def _refused(self, state: ConnectionState, error: TrackstarError) -> None:
        logger.error("access refused", exc_info=error)
        self._save(state, refused_by_trackstar(now=self.shop.now()))

    def _save(self, state: ConnectionState, seen: Health) -> None:
        """Write what is known of the connection; nothing where nothing changed."""
        after, alerts = self._with_health(state, health_after(state.health, seen), [])
        if after.health != state.health:
            self.store.commit(after, writes=[], alerts=alerts)
            _log_written(alerts)


def _log_written(alerts: Sequence[Alert]) -> None:
    """By their ids an alert is followed from here through the other functions."""
    if alerts:
        logger.info("alerts written", extra={"alert_ids": [alert.alert_id for alert in alerts]})


def _dated(state: ConnectionState, page: OrderPage) -> ConnectionState:
    """Fall back to the shop's dates where a page shows that the vendor's are missing (rule 5)."""
    if not page.orders:
        return state
    state = state if state.has_orders else state.model_copy(update={"has_orders": True})
    missing = all(order.trackstar_updated_date is None for order in page.orders)
    if not missing or state.date_field is DateField.SHOP_UPDATED:
        return state
    logger.warning("orders lack trackstar_updated_date, using updated_date from now on")
    return state.model_copy(update={"date_field": DateField.SHOP_UPDATED})


def _newest_of_each(orders: Sequence[SeenOrder], observed_at: datetime) -> dict[str, SeenOrder]:
    """One record an order: a page may hold one twice, and only its newest version counts."""
    newest = {order.id: order for order in orders}
    if len(newest) == len(orders):
        return newest
    newest.clear()
    for order in orders:
        known = newest.get(order.id)
        if known is None or not order.version(observed_at).is_older_than(known.version(observed_at)):
            newest[order.id] = order
    return newest
