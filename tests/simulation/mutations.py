"""Mutations: rules broken on purpose, one at a time, to show that the simulation finds them.

A mutation changes what a class of the product offers to the others, or what passes through it: a method of a table, of
a client or of a value, an environment variable, or a request to the simulated AWS.
"""

import json
import random
from collections.abc import Callable, Collection, Mapping, Sequence
from copy import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from orderwatch import clock
from orderwatch.alerts.alert import Alert, AlertKey
from orderwatch.aws.alert_table import AlertTable
from orderwatch.aws.connection_table import ConnectionTable
from orderwatch.aws.order_table import OrderTable
from orderwatch.aws.poll_store import PollStore
from orderwatch.aws.rate_limit import RateLimiter
from orderwatch.errors import InvalidRequestError, ResponseTooLargeError, TrackstarError
from orderwatch.polling.detect import Evaluation, Observation, OrderWrite
from orderwatch.reading.cursor import AfterPage, Cursor, ReadContext
from orderwatch.reading.window import OVERLAP, Progress, ReadIds, Window, WindowKind
from orderwatch.records import ConnectionState, StoredOrder
from orderwatch.trackstar.client import ConnectionClient
from orderwatch.trackstar.fields import parse_json
from orderwatch.trackstar.orders import DateField, Order, OrderDetails, OrderPage, OrderQuery, Version
from tests.simulation.cloud import ALERTS, ObservedTables
from tests.simulation.event_sources import EventSources
from tests.simulation.functions import ENVIRONMENT
from tests.simulation.plan import WATCHED

type Mutation = Callable[[pytest.MonkeyPatch], None]

MUTATIONS: dict[str, Mutation] = {}

_commit = PollStore.commit
_stored_orders = PollStore.stored_orders
_acquire = AlertTable.acquire
_transact = ObservedTables.transact_write_items
_partition_key = ObservedTables.partition_key
_order_page = ConnectionClient.order_page
_filters = OrderQuery.filters
_version = Order.version
_observation = Observation.of
_begin, _after, _recover = Cursor.begin, Cursor.after, Cursor.recover
_restarted = Progress.restarted
_read_page = OrderPage.read


def mutation(breaks: Mutation) -> Mutation:
    """Register a mutation under its name."""
    MUTATIONS[breaks.__name__] = breaks
    return breaks


# What passes through the product


def change_writes(patch: pytest.MonkeyPatch, change: Callable[[OrderWrite], OrderWrite]) -> None:
    """Change every row of an order that a poll writes, or the alerts that are written with it."""

    def commit(
        self: PollStore, state: ConnectionState, *, writes: Sequence[OrderWrite], alerts: Sequence[Alert]
    ) -> list[OrderWrite]:
        return _commit(self, state, writes=[change(write) for write in writes], alerts=alerts)

    patch.setattr(PollStore, "commit", commit)


def change_observations(patch: pytest.MonkeyPatch, change: Callable[[Observation, OrderPage], Observation]) -> None:
    """Change what the pages of a window show."""

    def of(page: OrderPage, *arguments: Any, **options: Any) -> Observation:
        return change(_observation(page, *arguments, **options), page)

    patch.setattr(Observation, "of", of)


def change_pages(patch: pytest.MonkeyPatch, change: Callable[[OrderPage], OrderPage]) -> None:
    """Change the pages that Trackstar serves."""

    def order_page(self: ConnectionClient, query: OrderQuery, *, page_token: str | None, size: int) -> OrderPage:
        return change(_order_page(self, query, page_token=page_token, size=size))

    patch.setattr(ConnectionClient, "order_page", order_page)


def change_windows(patch: pytest.MonkeyPatch, change: Callable[[Window], Window]) -> None:
    """Change the filters by which the pages of incremental windows are requested."""

    def order_page(self: ConnectionClient, query: Window, *, page_token: str | None, size: int) -> OrderPage:
        window = change(query) if query.kind is WindowKind.INCREMENTAL else query
        return _order_page(self, window, page_token=page_token, size=size)

    patch.setattr(ConnectionClient, "order_page", order_page)


def rename_filters(patch: pytest.MonkeyPatch, before: str, after: str) -> None:
    """Send the filters of orders under other names."""

    def filters(self: OrderQuery) -> dict[str, str]:
        return {name.replace(before, after): value for name, value in _filters(self).items()}

    patch.setattr(OrderQuery, "filters", filters)


def write_unconditionally(patch: pytest.MonkeyPatch, table: type, method: str, key: str) -> None:
    """Remove the condition from an action of a table's transactions."""
    action_of = getattr(table, method)

    def unconditional(*arguments: Any, **options: Any) -> dict[str, Any]:
        [(kind, action)] = action_of(*arguments, **options).items()
        kept = {name: part for name, part in action.items() if name in {"TableName", "Item"}}
        condition = f"attribute_exists({key}) OR attribute_not_exists({key})"
        return {kind: kept | {"ConditionExpression": condition}}

    patch.setattr(table, method, unconditional)


# Transactions (rules 1 to 4)


@mutation
def cursor_before_the_writes(patch: pytest.MonkeyPatch) -> None:
    def commit(
        self: PollStore, state: ConnectionState, *, writes: Sequence[OrderWrite], alerts: Sequence[Alert]
    ) -> list[OrderWrite]:
        _commit(self, state, writes=[], alerts=alerts)
        return _commit(self, state.committed(), writes=writes, alerts=[])

    patch.setattr(PollStore, "commit", commit)


@mutation
def state_before_the_alert(patch: pytest.MonkeyPatch) -> None:
    def commit(
        self: PollStore, state: ConnectionState, *, writes: Sequence[OrderWrite], alerts: Sequence[Alert]
    ) -> list[OrderWrite]:
        without = [replace(write, alert=None, deadline_alert=None) for write in writes]
        lost = _commit(self, state, writes=without, alerts=alerts)
        late = [alert for write in writes for alert in write.alerts]
        _commit(self, state.committed(), writes=[], alerts=late)
        return lost

    patch.setattr(PollStore, "commit", commit)


@mutation
def no_redrive(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(EventSources, "redrive", lambda self: None)


@mutation
def sync_times_trusted_forever(patch: pytest.MonkeyPatch) -> None:
    patch.setitem(ENVIRONMENT, "MAX_POLL_GAP_MINUTES", "1000000")


@mutation
def random_alert_ids(patch: pytest.MonkeyPatch) -> None:
    def change(write: OrderWrite) -> OrderWrite:
        renamed = write.alert and write.alert.model_copy(update={"alert_id": f"{random.getrandbits(64):x}"})
        return replace(write, alert=renamed)

    change_writes(patch, change)


@mutation
def statuses_not_counted(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Evaluation, "changes", property(lambda self: 1))


@mutation
def ids_not_scoped_by_connection(patch: pytest.MonkeyPatch) -> None:
    write_action, read = OrderTable.write_action, OrderTable.read

    def write(self: OrderTable, connection_id: str, write: OrderWrite) -> dict[str, Any]:
        return write_action(self, "", write)

    def read_all(self: OrderTable, connection_id: str, order_ids: Collection[str]) -> dict[str, StoredOrder]:
        return read(self, "", order_ids)

    patch.setattr(OrderTable, "write_action", write)
    patch.setattr(OrderTable, "read", read_all)


@mutation
def no_conditions(patch: pytest.MonkeyPatch) -> None:
    # Removing only the row's condition is not noticed: the connection's revision also stops an overtaken poll.
    write_unconditionally(patch, OrderTable, "write_action", "order_key")
    write_unconditionally(patch, ConnectionTable, "save_action", "connection_id")


@mutation
def older_versions_overwrite(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Version, "is_older_than", lambda self, other: False)


@mutation
def equal_versions_are_stale(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Version, "is_older_than", lambda self, other: self.clock == other.clock and self.at <= other.at)


@mutation
def future_versions_trusted(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Order, "version", lambda self, observed_at: _version(self, datetime.max.replace(tzinfo=UTC)))


@mutation
def last_copy_on_a_page_wins(patch: pytest.MonkeyPatch) -> None:
    change_observations(patch, lambda shown, page: replace(shown, orders={each.id: each for each in page.orders}))


@mutation
def first_copy_on_a_page_wins(patch: pytest.MonkeyPatch) -> None:
    change_observations(
        patch, lambda shown, page: replace(shown, orders={each.id: each for each in reversed(page.orders)})
    )


@mutation
def older_copies_never_believed(patch: pytest.MonkeyPatch) -> None:
    patch.setattr("orderwatch.polling.detect.READINGS_TO_BELIEVE", 1000)


@mutation
def older_copies_believed_at_once(patch: pytest.MonkeyPatch) -> None:
    patch.setattr("orderwatch.polling.detect.READINGS_TO_BELIEVE", 1)


@mutation
def older_ship_bys_never_believed(patch: pytest.MonkeyPatch) -> None:
    patch.setattr("orderwatch.polling.detect._matters", lambda order, stored, _: order.status != stored.status)


# Sending (rules 2 and 17)


@mutation
def sent_marked_before_the_send(patch: pytest.MonkeyPatch) -> None:
    def acquire(self: AlertTable, keys: Collection[AlertKey], *, owner: str) -> set[AlertKey]:
        leased = _acquire(self, keys, owner=owner)
        self.mark_sent({key: "early" for key in keys if key in leased})
        return leased

    patch.setattr(AlertTable, "acquire", acquire)


@mutation
def lease_never_checked(patch: pytest.MonkeyPatch) -> None:
    # Alerts whose condition failed count as leased together with those of their transaction.
    patch.setattr(AlertTable, "acquire", lambda self, keys, *, owner: _acquire(self, keys, owner=owner) | set(keys))


@mutation
def leases_without_an_owner(patch: pytest.MonkeyPatch) -> None:
    def transact_write_items(self: ObservedTables, **request: Any) -> dict[str, Any]:
        actions = json.loads(json.dumps(request["TransactItems"]).replace(" OR lease_owner = :owner", ""))
        return _transact(self, TransactItems=actions)

    patch.setattr(ObservedTables, "transact_write_items", transact_write_items)


@mutation
def leases_never_released(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(AlertTable, "release", lambda self, keys, *, owner: None)


@mutation
def alert_ids_hashed_over_shards(patch: pytest.MonkeyPatch) -> None:
    def partition_key(self: ObservedTables, table: str) -> str:
        return "alert_id" if table == ALERTS else _partition_key(self, table)

    patch.setattr(ObservedTables, "partition_key", partition_key)


@mutation
def rate_limit_per_sender(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(RateLimiter, "acquire", lambda self, count=1, *, within=0.0: count)


# Windows (rules 4 and 5)


@mutation
def gt_for_gte(patch: pytest.MonkeyPatch) -> None:
    rename_filters(patch, "[gte]", "[gt]")


@mutation
def lt_for_lte(patch: pytest.MonkeyPatch) -> None:
    rename_filters(patch, "[lte]", "[lt]")


@mutation
def no_overlap(patch: pytest.MonkeyPatch) -> None:
    change_windows(patch, lambda window: replace(window, after=window.after and window.after + OVERLAP))


@mutation
def watermark_on_the_shops_date(patch: pytest.MonkeyPatch) -> None:
    change_windows(patch, lambda window: replace(window, date_field=DateField.SHOP_UPDATED))


@mutation
def undated_orders_never_read(patch: pytest.MonkeyPatch) -> None:
    change_windows(patch, lambda window: replace(window, after=window.after or window.until - timedelta(hours=1)))


@mutation
def cursor_trusted_after_a_jump(patch: pytest.MonkeyPatch) -> None:
    def begin(self: Cursor, context: ReadContext) -> Cursor:
        opened = _begin(self, context)
        known = [moment for moment in (self.position, self.read_until, self.fell_back_at) if moment]
        if self.progress or not (known and opened.progress and opened.progress.window.after):
            return opened
        window = replace(opened.progress.window, after=min(known) - OVERLAP)
        return replace(opened, progress=replace(opened.progress, window=window))

    patch.setattr(Cursor, "begin", begin)


@mutation
def cursor_by_our_clock(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(ConnectionClient, "now", lambda self: clock.now().replace(microsecond=0))


@mutation
def one_missing_date_changes_the_filter(patch: pytest.MonkeyPatch) -> None:
    def after(self: Cursor, page: OrderPage, orders: Mapping[str, Order], context: ReadContext) -> AfterPage:
        found = _after(self, page, orders, context)
        is_dated = all(order.trackstar_updated_date for order in orders.values())
        date_field = self.date_field if is_dated else DateField.SHOP_UPDATED
        return found._replace(cursor=replace(found.cursor, date_field=date_field))

    patch.setattr(Cursor, "after", after)


# Pages (rules 4 to 7)


@mutation
def first_page_only(patch: pytest.MonkeyPatch) -> None:
    change_pages(patch, lambda page: replace(page, next_token=None, total_count=None))


@mutation
def filters_on_the_first_page_only(patch: pytest.MonkeyPatch) -> None:
    def order_page(self: ConnectionClient, query: OrderQuery, *, page_token: str | None, size: int) -> OrderPage:
        bare = replace(query, after=None, statuses=()) if page_token else query
        return _order_page(self, bare, page_token=page_token, size=size)

    patch.setattr(ConnectionClient, "order_page", order_page)


@mutation
def short_windows_not_read_again(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Progress, "is_short", lambda self: False)


@mutation
def orders_counted_twice(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(ReadIds, "add", lambda self, order_ids: [True for _ in order_ids])


@mutation
def page_token_loops_followed(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Progress, "is_loop", lambda self, next_token: False)


@mutation
def restarts_not_counted(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Progress, "restarted", lambda self: replace(_restarted(self), attempt=self.attempt))


@mutation
def refused_tokens_kept(patch: pytest.MonkeyPatch) -> None:
    # Refusals in other words than the documented ones.
    names_token = lambda self: isinstance(self, InvalidRequestError) and self.names("page_token")  # noqa: E731
    patch.setattr(TrackstarError, "refuses_request", property(names_token))


@mutation
def polls_without_progress_succeed(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Progress, "is_beyond", lambda self, other: True)


@mutation
def exhausted_windows_left_to_the_next_poll(patch: pytest.MonkeyPatch) -> None:
    patch.setattr("orderwatch.polling.poll._raise_if_stuck", lambda progress, continued: None)


@mutation
def pages_never_shrink(patch: pytest.MonkeyPatch) -> None:
    def recover(self: Cursor, error: TrackstarError, context: ReadContext) -> Cursor:
        if isinstance(error, ResponseTooLargeError):
            raise error
        return _recover(self, error, context)

    patch.setattr(Cursor, "recover", recover)


@mutation
def oversized_orders_not_passed(patch: pytest.MonkeyPatch) -> None:
    def of_ends(head: bytes, tail: bytes) -> OrderPage:
        raise ValueError

    patch.setattr(OrderPage, "of_ends", of_ends)


# What the vendor says (rules 9, 10 and 18)


@mutation
def statuses_compared_as_spelled(patch: pytest.MonkeyPatch) -> None:
    def change(page: OrderPage) -> OrderPage:
        for order in page.orders:
            vars(order)["status"] = order.given_status
        return page

    change_pages(patch, change)


@mutation
def pages_of_a_proxy_believed(patch: pytest.MonkeyPatch) -> None:
    patch.setattr("orderwatch.trackstar.http.has_vendor_error", lambda body: True)


@mutation
def errors_in_a_200_ignored(patch: pytest.MonkeyPatch) -> None:
    def without_errors(body: bytes) -> OrderPage:
        page = parse_json(body)
        if isinstance(page, dict):
            page = {name: value for name, value in page.items() if name not in {"error", "errors"}}
        return _read_page(json.dumps(page).encode())

    patch.setattr(OrderPage, "read", without_errors)


@mutation
def missing_lists_are_empty(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(OrderPage, "read", lambda body: _read_page(body.replace(b'"data": null', b'"data": []')))


# What is alerted (rule 8)


@mutation
def alerts_by_the_baseline(patch: pytest.MonkeyPatch) -> None:
    change_observations(patch, lambda shown, page: replace(shown, window=WindowKind.INCREMENTAL))


@mutation
def recovery_without_an_alert(patch: pytest.MonkeyPatch) -> None:
    def stored_orders(self: PollStore, connection_id: str, order_ids: Collection[str]) -> dict[str, StoredOrder]:
        rows = _stored_orders(self, connection_id, order_ids)
        alerted = {order_id: row for order_id, row in rows.items() if row.status in WATCHED}
        return rows | {order_id: replace(row, status_alert_id="any") for order_id, row in alerted.items()}

    patch.setattr(PollStore, "stored_orders", stored_orders)


@mutation
def orders_without_a_date_are_older_than_the_watch(patch: pytest.MonkeyPatch) -> None:
    def first_seen(self: OrderDetails) -> datetime:
        return self.trackstar_created_date or self.created_date or datetime.min.replace(tzinfo=UTC)

    patch.setattr(OrderDetails, "first_seen_by_trackstar", property(first_seen))
