"""Rules about summaries (rule 20) and products (rule 22) broken on purpose, one at a time."""

from collections.abc import Callable, Collection
from dataclasses import replace

import pytest

from orderwatch import clock
from orderwatch.alerts.parts import AlertLineItem
from orderwatch.aws.alert_table import AlertTable
from orderwatch.aws.summary_store import SummaryStore
from orderwatch.records import ConnectionState, Extract
from orderwatch.summary.build import PreparedSummary
from orderwatch.summary.changes import decode, encode
from orderwatch.summary.figures import SummaryRow
from orderwatch.trackstar.shipments import Shipment
from tests.simulation.mutations import mutation, write_unconditionally

_states, _put = SummaryStore.states, SummaryStore.put


def _change_states(patch: pytest.MonkeyPatch, change: Callable[[ConnectionState], ConnectionState]) -> None:
    """Change the rows of connections that a summary reads."""

    def states(self: SummaryStore, connection_ids: Collection[str]) -> dict[str, ConnectionState]:
        return {each: change(state) for each, state in _states(self, connection_ids).items()}

    patch.setattr(SummaryStore, "states", states)


@mutation
def blocked_shops_counted_as_visible(patch: pytest.MonkeyPatch) -> None:
    _change_states(patch, lambda state: replace(state, health=None))


@mutation
def ages_run_ahead_of_the_data(patch: pytest.MonkeyPatch) -> None:
    _change_states(patch, lambda state: replace(state, syncs=replace(state.syncs, last_end=clock.now())))


@mutation
def late_orders_not_in_the_backlog(patch: pytest.MonkeyPatch) -> None:
    needs_attention = property(lambda self: self.row.needs_attention and self.row.status in self.watched)
    patch.setattr(SummaryRow, "needs_attention", needs_attention)


@mutation
def orders_at_risk_in_the_backlog(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(SummaryRow, "needs_attention", property(lambda self: self.row.needs_attention or self.is_at_risk))


@mutation
def money_is_summed_across_currencies(patch: pytest.MonkeyPatch) -> None:
    def extract(self: SummaryRow) -> Extract:
        return Extract.from_json(self.row.extract or "{}").model_copy(update={"currency": "EUR"})

    patch.setattr(SummaryRow, "extract", property(extract))


@mutation
def snoozed_orders_counted_as_taken(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(SummaryRow, "is_snoozed", False)


@mutation
def half_of_the_backlog_not_stored(patch: pytest.MonkeyPatch) -> None:
    def put(self: SummaryStore, prepared: PreparedSummary) -> bool:
        stored = decode(prepared.snapshot or "")
        half = {shop: dict(list(orders.items())[::2]) for shop, orders in stored.items()}
        return _put(self, replace(prepared, snapshot=encode(half)))

    patch.setattr(SummaryStore, "put", put)


@mutation
def repeated_requests_write_again(patch: pytest.MonkeyPatch) -> None:
    write_unconditionally(patch, AlertTable, "put_action", "alert_id")


@mutation
def products_by_id_alone(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(AlertLineItem, "product_key", property(lambda self: (self.product_id, None)))


@mutation
def voided_shipments_counted(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Shipment, "is_called_off", False)
