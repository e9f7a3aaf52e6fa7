"""Requests of a poll and its alerts to AWS and Trackstar: no more than needed."""

import math
from dataclasses import replace
from zoneinfo import ZoneInfo

import pytest

from orderwatch.deadlines.rules import DeadlineRules
from orderwatch_local.simulator.mirror import Resource
from tests.support.polls import WATCHED
from tests.support.request_counts import Case, count_requests


@pytest.mark.parametrize("case", [Case(1000, 10, 2), Case(0, 120, 120)], ids=str)
def test_a_poll_and_its_alerts_make_the_fewest_requests(case: Case) -> None:
    orders, writes = case.unchanged + case.changed, case.changed + case.alerts + 1
    counted = count_requests(case)
    assert counted.poll == {
        "dynamodb.GetItem": 1,
        "dynamodb.BatchGetItem": math.ceil(orders / 100),
        "dynamodb.TransactWriteItems": max(math.ceil(writes / 100), case.pages),
    }
    assert counted.poll.total() == case.floor
    assert counted.trackstar == {"/connections/conn_a": 1, "/cart/orders": case.pages}
    assert counted.publishing == {
        "sns.PublishBatch": math.ceil(case.alerts / 5),
        "dynamodb.BatchGetItem": math.ceil(case.alerts / 100),
        # Leases, a hundred a request, and the marks of five messages.
        "dynamodb.TransactWriteItems": math.ceil(case.alerts / 100) + math.ceil(case.alerts / 5),
    }


def test_deadlines_cost_one_query_and_no_trackstar_request() -> None:
    case = Case(10, 5, 5)
    counted = count_requests(case, policy=replace(WATCHED, deadlines=DeadlineRules(zone=ZoneInfo("Europe/Berlin"))))
    assert counted.poll["dynamodb.Query"] == 1
    assert counted.poll.total() == case.floor + 1
    assert counted.trackstar == {"/connections/conn_a": 1, "/cart/orders": 1}


@pytest.mark.parametrize(("synced", "more"), [((Resource.ORDERS,), 0), (tuple(Resource), 1)])
def test_a_look_at_the_stock_costs_one_query_and_one_write(synced: tuple[Resource, ...], more: int) -> None:
    case = Case(10, 5, 5)
    counted = count_requests(case, policy=replace(WATCHED, restock_alerts=True), synced=synced)
    assert counted.poll["dynamodb.Query"] == more
    assert counted.poll.total() == case.floor + 2 * more
    assert counted.trackstar == {"/connections/conn_a": 1, "/cart/orders": 1}


@pytest.mark.parametrize("products", [0, 100, 101])
def test_products_are_read_by_the_hundred_and_cached(products: int) -> None:
    counted = count_requests(Case(0, 10, 10, products=products))
    assert counted.products_cold.total() == counted.products_cold["/cart/products"] == math.ceil(products / 100)
    assert counted.products_warm.total() == 0
