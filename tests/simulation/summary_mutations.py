"""Rules about summaries (rule 20) broken on purpose, one at a time."""

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any

import pytest

from orderwatch.aws.dynamodb import put_action
from orderwatch.records import Extract, ExtractLine
from orderwatch.summary.changes import encode
from orderwatch.summary.figures import SummaryRow
from orderwatch.summary.stock import ProductStock, stock_of
from orderwatch.trackstar.products import Product

type Mutation = Callable[[pytest.MonkeyPatch], None]

_PATH = "orderwatch.summary.build"


def blocked_shops_counted_as_visible(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(f"{_PATH}.not_visible", lambda state, **_: None)


def late_orders_not_in_the_backlog(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(
        SummaryRow,
        "needs_attention",
        property(lambda self: self.row.needs_attention and self.row.status in self.watched),
    )


def orders_at_risk_in_the_backlog(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(SummaryRow, "needs_attention", property(lambda self: self.row.needs_attention or self.is_at_risk))


def ages_run_ahead_of_the_data(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(f"{_PATH}.as_of", lambda state, at: at)


def money_is_summed_across_currencies(patch: pytest.MonkeyPatch) -> None:
    def extract(self: SummaryRow) -> Extract:
        return Extract.from_json(self.row.extract or "{}").model_copy(update={"currency": "EUR"})

    patch.setattr(SummaryRow, "extract", property(extract))


def half_of_the_backlog_not_stored(patch: pytest.MonkeyPatch) -> None:
    def forgetful(waiting: Mapping[str, Mapping[str, datetime]]) -> str | None:
        return encode({shop: dict(list(orders.items())[::2]) for shop, orders in waiting.items()})

    patch.setattr(f"{_PATH}.encode", forgetful)


def repeated_requests_write_again(patch: pytest.MonkeyPatch) -> None:
    def unconditional(table: str, row: Any, **_: Any) -> dict[str, Any]:
        anything = "attribute_exists(alert_id) OR attribute_not_exists(alert_id)"
        return put_action(table, row, condition=anything, values={})

    patch.setattr("orderwatch.aws.alert_table.put_action", unconditional)


def stock_counts_one_order_only(patch: pytest.MonkeyPatch) -> None:
    def last_line_only(lines: Sequence[ExtractLine], products: Mapping[str, Product]) -> ProductStock:
        return stock_of(lines[-1:], products)

    patch.setattr("orderwatch.summary.stock.stock_of", last_line_only)


def unknown_stock_is_enough(patch: pytest.MonkeyPatch) -> None:
    def enough(lines: Sequence[ExtractLine], products: Mapping[str, Product]) -> ProductStock:
        product = stock_of(lines, products)
        return product if product.on_hand is not None else product._replace(on_hand=product.ordered)

    patch.setattr("orderwatch.summary.stock.stock_of", enough)


MUTATIONS: dict[str, Mutation] = {
    mutation.__name__: mutation
    for mutation in (
        blocked_shops_counted_as_visible,
        late_orders_not_in_the_backlog,
        orders_at_risk_in_the_backlog,
        ages_run_ahead_of_the_data,
        money_is_summed_across_currencies,
        half_of_the_backlog_not_stored,
        repeated_requests_write_again,
        stock_counts_one_order_only,
        unknown_stock_is_enough,
    )
}
