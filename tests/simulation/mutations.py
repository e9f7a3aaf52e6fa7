"""Mutations: rules broken on purpose, one at a time, to show that the simulation finds them."""

import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from orderwatch import clock
from orderwatch.alerts.alert import Alert, AlertKey
from orderwatch.aws.alert_table import AlertTable
from orderwatch.aws.dynamodb import Unit, put_action
from orderwatch.aws.rate_limit import RateLimiter
from orderwatch.aws.stores import PollStore
from orderwatch.polling.detect import Evaluation, OrderWrite, Reason
from orderwatch.reading.cursor import Cursor, ReadContext
from orderwatch.reading.window import OVERLAP, Progress, ReadIds, Window, WindowKind
from orderwatch.records import ConnectionState
from orderwatch.trackstar.client import ConnectionClient
from orderwatch.trackstar.orders import DateField, Order, OrderPage, OrderQuery, Version
from tests.simulation.cloud import ALERTS, ObservedTables
from tests.simulation.event_sources import EventSources
from tests.simulation.functions import ENVIRONMENT
from tests.simulation.plan import drawn

type Mutation = Callable[[pytest.MonkeyPatch], None]

_commit = PollStore.commit
_acquire = AlertTable.acquire
_update = AlertTable._update
_order_page = ConnectionClient.order_page
_filters = OrderQuery.filters
_next_window = Cursor._next_window


def _filters_by(field_of: Callable[[str], str]) -> Callable[[OrderQuery], dict[str, str]]:
    """The filters of a query under other names."""
    return lambda query: {field_of(name): value for name, value in _filters(query).items()}


def cursor_before_the_writes(patch: pytest.MonkeyPatch) -> None:
    def commit(
        self: PollStore, state: ConnectionState, *, writes: Sequence[OrderWrite], alerts: Sequence[Alert]
    ) -> list[OrderWrite]:
        _commit(self, state, writes=[], alerts=alerts)
        later = state.committed()
        guard: Unit[OrderWrite | None] = Unit(None, (self._connections.unchanged_action(later),))
        for move in writes:
            self._write([self._unit(state.connection_id, move)], guard)
        return []

    patch.setattr(PollStore, "commit", commit)


def state_before_the_alert(patch: pytest.MonkeyPatch) -> None:
    def commit(
        self: PollStore, state: ConnectionState, *, writes: Sequence[OrderWrite], alerts: Sequence[Alert]
    ) -> list[OrderWrite]:
        without = [replace(move, alert=None) for move in writes]
        lost = _commit(self, state, writes=without, alerts=alerts)
        alerts = [move.alert for move in writes if move.alert]
        later = state.committed()
        _commit(self, later, writes=[], alerts=alerts)
        return lost

    patch.setattr(PollStore, "commit", commit)


def gt_for_gte(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(OrderQuery, "filters", _filters_by(lambda name: name.replace("[gte]", "[gt]")))


def lt_for_lte(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(OrderQuery, "filters", _filters_by(lambda name: name.replace("[lte]", "[lt]")))


def watermark_on_the_shops_date(patch: pytest.MonkeyPatch) -> None:
    def window(*, start: datetime, vendor_now: datetime, **_: Any) -> Window:
        kind, field = WindowKind.INCREMENTAL, DateField.SHOP_UPDATED
        return Window(kind=kind, after=start - OVERLAP, until=vendor_now, date_field=field)

    patch.setattr("orderwatch.reading.cursor.incremental_window", window)


def cursor_trusted_after_a_jump(patch: pytest.MonkeyPatch) -> None:
    def window(*, start: datetime, vendor_now: datetime, date_field: DateField, **_: Any) -> Window:
        kind = WindowKind.INCREMENTAL
        return Window(kind=kind, after=start - OVERLAP, until=vendor_now, date_field=date_field)

    patch.setattr("orderwatch.reading.cursor.incremental_window", window)


def cursor_by_our_clock(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(ConnectionClient, "now", lambda self: clock.now().replace(microsecond=0))


def no_overlap(patch: pytest.MonkeyPatch) -> None:
    patch.setattr("orderwatch.reading.window.OVERLAP", timedelta(0))


def _unconditional(key: str) -> Callable[..., dict[str, Any]]:
    """`put_action` that ignores its condition."""
    anything = f"attribute_exists({key}) OR attribute_not_exists({key})"
    return lambda table, row, **_: put_action(table, row, condition=anything, values={})


def no_conditions(patch: pytest.MonkeyPatch) -> None:
    # Removing only the row's condition is not noticed: the connection's revision also stops an overtaken poll.
    patch.setattr("orderwatch.aws.order_table.put_action", _unconditional("order_key"))
    patch.setattr("orderwatch.aws.connection_table.put_action", _unconditional("connection_id"))


def older_versions_overwrite(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Version, "is_older_than", lambda self, other: False)


def equal_versions_are_stale(patch: pytest.MonkeyPatch) -> None:
    def is_older_than(self: Version, other: Version) -> bool:
        return self.clock == other.clock and self.at <= other.at

    patch.setattr(Version, "is_older_than", is_older_than)


def sent_marked_before_the_send(patch: pytest.MonkeyPatch) -> None:
    def acquire(self: AlertTable, key: AlertKey, *, owner: str) -> bool:
        taken = _acquire(self, key, owner=owner)
        if taken:
            self.mark_sent(key, message_id="early")
        return taken

    patch.setattr(AlertTable, "acquire", acquire)


def lease_never_checked(patch: pytest.MonkeyPatch) -> None:
    def acquire(self: AlertTable, key: AlertKey, *, owner: str) -> bool:
        _acquire(self, key, owner=owner)
        return True

    patch.setattr(AlertTable, "acquire", acquire)


def leases_without_an_owner(patch: pytest.MonkeyPatch) -> None:
    def update(self: AlertTable, key: AlertKey, expression: str, *, condition: str, values: dict[str, Any]) -> bool:
        foreign = condition.replace(" OR lease_owner = :owner", "")
        return _update(self, key, expression, condition=foreign, values=values)

    patch.setattr(AlertTable, "_update", update)


def leases_never_released(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(AlertTable, "release", lambda self, key, *, owner: None)


def first_page_only(patch: pytest.MonkeyPatch) -> None:
    def order_page(self: ConnectionClient, window: Window, *, page_token: str | None) -> OrderPage:
        page = _order_page(self, window, page_token=page_token)
        return replace(page, next_token=None, total_count=None)

    patch.setattr(ConnectionClient, "order_page", order_page)


def filters_on_the_first_page_only(patch: pytest.MonkeyPatch) -> None:
    def order_page(self: ConnectionClient, window: Window, *, page_token: str | None) -> OrderPage:
        bare = replace(window, after=None, statuses=()) if page_token else window
        return _order_page(self, bare, page_token=page_token)

    patch.setattr(ConnectionClient, "order_page", order_page)


def ids_not_scoped_by_connection(patch: pytest.MonkeyPatch) -> None:
    patch.setattr("orderwatch.aws.order_table.order_key", lambda connection_id, order_id: order_id)


def short_windows_not_read_again(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Progress, "is_short", lambda self: False)


def orders_counted_twice(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(ReadIds, "add", lambda self, order_id: True)


def undated_orders_never_read(patch: pytest.MonkeyPatch) -> None:
    def next_window(self: Cursor, context: ReadContext) -> Window:
        window = _next_window(self, context)
        is_undated = window.kind is WindowKind.INCREMENTAL and window.after is None
        return replace(window, after=window.until - timedelta(hours=1)) if is_undated else window

    patch.setattr(Cursor, "_next_window", next_window)


def random_alert_ids(patch: pytest.MonkeyPatch) -> None:
    patch.setattr("orderwatch.polling.detect.alert_id", lambda *parts: f"{random.getrandbits(64):x}")


def alerts_by_the_baseline(patch: pytest.MonkeyPatch) -> None:
    patch.setattr("orderwatch.polling.detect._reason_for_unknown", lambda order, **_: Reason.FIRST_SEEN)


def recovery_without_an_alert(patch: pytest.MonkeyPatch) -> None:
    def kind_of(seen: Any, _deadlines: Any) -> str | None:
        if seen.same:
            return None
        if seen.policy.watches(seen.order.status):
            return f"order.{seen.order.status}"
        known, policy = seen.stored, seen.policy
        return "order.recovered" if known and policy.watches(known.status) and policy.notify_recovered else None

    patch.setattr(Evaluation, "_kind", kind_of)


def _storm_in_every_run(patch: pytest.MonkeyPatch) -> None:
    """Only a storm shows these, and only one run in four has a storm."""
    patch.setattr("tests.simulation.run.drawn", lambda seed: replace(drawn(seed), storm=True))


def alert_ids_hashed_over_shards(patch: pytest.MonkeyPatch) -> None:
    _storm_in_every_run(patch)
    _partition_key = ObservedTables.partition_key

    def partition_key(self: ObservedTables, table: str) -> str:
        return "alert_id" if table == ALERTS else _partition_key(self, table)

    patch.setattr(ObservedTables, "partition_key", partition_key)


def rate_limit_per_sender(patch: pytest.MonkeyPatch) -> None:
    _storm_in_every_run(patch)
    patch.setattr(RateLimiter, "acquire", lambda self, count=1, *, within=0.0: count)


def one_missing_date_changes_the_filter(patch: pytest.MonkeyPatch) -> None:
    def choose(self: Cursor, orders: Mapping[str, Order]) -> Cursor:
        dated = all(order.trackstar_updated_date for order in orders.values())
        cursor = replace(self, has_orders=self.has_orders or bool(orders))
        return cursor if dated else replace(cursor, date_field=DateField.SHOP_UPDATED)

    patch.setattr(Cursor, "_choose_date_field", choose)


def future_versions_trusted(patch: pytest.MonkeyPatch) -> None:
    _version = Order.version

    def version(self: Order, observed_at: datetime) -> Version:
        return _version(self, max(observed_at, datetime.max.replace(tzinfo=UTC)))

    patch.setattr(Order, "version", version)


def statuses_not_counted(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Evaluation, "changes", property(lambda self: 1))


def page_token_loops_followed(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Progress, "is_loop", lambda self, next_token: False)


def last_copy_on_a_page_wins(patch: pytest.MonkeyPatch) -> None:
    def newest_of_each(orders: Sequence[Order]) -> dict[str, Order]:
        return {order.id: order for order in orders}

    patch.setattr("orderwatch.polling.detect.newest_of_each", newest_of_each)


def first_copy_on_a_page_wins(patch: pytest.MonkeyPatch) -> None:
    def newest_of_each(orders: Sequence[Order]) -> dict[str, Order]:
        return {order.id: order for order in reversed(orders)}

    patch.setattr("orderwatch.polling.detect.newest_of_each", newest_of_each)


def sync_times_trusted_forever(patch: pytest.MonkeyPatch) -> None:
    patch.setitem(ENVIRONMENT, "MAX_POLL_GAP_MINUTES", "1000000")


def no_redrive(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(EventSources, "redrive", lambda self: None)


MUTATIONS: dict[str, Mutation] = {
    mutation.__name__: mutation
    for mutation in (
        cursor_before_the_writes,
        state_before_the_alert,
        gt_for_gte,
        lt_for_lte,
        watermark_on_the_shops_date,
        cursor_trusted_after_a_jump,
        cursor_by_our_clock,
        no_overlap,
        no_conditions,
        older_versions_overwrite,
        equal_versions_are_stale,
        sent_marked_before_the_send,
        lease_never_checked,
        leases_without_an_owner,
        leases_never_released,
        first_page_only,
        filters_on_the_first_page_only,
        ids_not_scoped_by_connection,
        short_windows_not_read_again,
        orders_counted_twice,
        undated_orders_never_read,
        random_alert_ids,
        alerts_by_the_baseline,
        recovery_without_an_alert,
        one_missing_date_changes_the_filter,
        future_versions_trusted,
        statuses_not_counted,
        page_token_loops_followed,
        last_copy_on_a_page_wins,
        first_copy_on_a_page_wins,
        sync_times_trusted_forever,
        no_redrive,
        alert_ids_hashed_over_shards,
        rate_limit_per_sender,
    )
}
