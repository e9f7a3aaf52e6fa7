"""Rules about what is outstanding (rule 22) and stock that is back (rule 23) broken on purpose, one at a time."""

import random
from collections.abc import Mapping, Sequence
from copy import replace
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest

from orderwatch import allocation
from orderwatch.allocation import Need
from orderwatch.aws.poll_store import PollStore
from orderwatch.polling.detect import Evaluation
from orderwatch.polling.restock_alert import Restock
from orderwatch.records import StoredOrder
from orderwatch.trackstar.orders import Order
from orderwatch.trackstar.products import Product
from tests.simulation.mutations import mutation

LONG_AGO = datetime(2000, 1, 1, tzinfo=UTC)

_allocate, _needs_of = allocation.allocate, allocation.needs_of
_covers = Restock.covers
_needing_attention = PollStore.needing_attention


@mutation
def shipped_lines_counted_as_short(patch: pytest.MonkeyPatch) -> None:
    def all_of_it(ordered: Decimal | None, shipped: Decimal | None) -> Decimal | None:
        return ordered

    for name in ("alerts.parts", "records"):
        patch.setattr(f"orderwatch.{name}.outstanding_units", all_of_it)


@mutation
def one_unit_for_two_orders(patch: pytest.MonkeyPatch) -> None:
    def allocate(needs: Sequence[Need], products: Mapping[str, Product]) -> list[str]:
        return [need.order_id for need in needs if _allocate([need], products)]

    patch.setattr("orderwatch.polling.restock.allocate", allocate)


@mutation
def restocked_alerted_twice(patch: pytest.MonkeyPatch) -> None:
    def needing_attention(self: PollStore, connection_id: str) -> dict[str, StoredOrder]:
        rows = _needing_attention(self, connection_id)
        return {order_id: replace(row, restocked_at=None) for order_id, row in rows.items()}

    def same(self: Evaluation) -> StoredOrder | None:
        found = self.stored if self.stored and self.stored.status == self.order.status else None
        return replace(found, restocked_at=None) if found and self.observation.restock else found

    patch.setattr(PollStore, "needing_attention", needing_attention)
    patch.setattr(Evaluation, "same", property(same))
    patch.setattr("orderwatch.polling.restock_alert.alert_id", lambda *parts: f"{random.getrandbits(64):x}")


@mutation
def restocked_by_stale_products(patch: pytest.MonkeyPatch) -> None:
    def needs_of(rows: Mapping[str, StoredOrder]) -> list[Need]:
        found = ((need, need.row.version._replace(at=LONG_AGO)) for need in _needs_of(rows))
        return [need._replace(row=replace(need.row, version=version)) for need, version in found]

    def covers(self: Restock, order: Order, **options: Any) -> bool:
        return _covers(self, order, at=LONG_AGO)

    patch.setattr("orderwatch.polling.restock.needs_of", needs_of)
    patch.setattr(Restock, "covers", covers)


@mutation
def stock_never_looked_at(patch: pytest.MonkeyPatch) -> None:
    patch.setattr("orderwatch.polling.poll.alert_restocked", lambda *arguments, **options: None)
