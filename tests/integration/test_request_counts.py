"""Requests of a poll and its alerts to AWS and Trackstar: no more than needed."""

import math
from dataclasses import replace
from zoneinfo import ZoneInfo

import pytest

from orderwatch.deadlines.rules import DeadlineRules
from orderwatch.publishing.publish import SEND_BATCH
from tests.support.polls import WATCHED
from tests.support.request_counts import CASES, Case, count_requests


@pytest.mark.parametrize("case", CASES, ids=str)
def test_a_poll_and_its_alerts_make_the_fewest_requests(case: Case) -> None:
    orders, writes = case.unchanged + case.changed, case.changed + case.alerts + 1
    transactions = max(math.ceil(writes / 100), case.pages)
    counted = count_requests(case)
    assert counted.poll == {
        "dynamodb.GetItem": 1,
        "dynamodb.BatchGetItem": math.ceil(orders / 100),
        "dynamodb.TransactWriteItems": transactions,
    }
    assert counted.poll.total() == case.floor
    assert counted.trackstar == {"/connections/conn_a": 1, "/cart/orders": case.pages}
    assert counted.publishing["sns.PublishBatch"] == math.ceil(case.alerts / SEND_BATCH)
    assert counted.publishing["dynamodb.BatchGetItem"] == math.ceil(case.alerts / 100)
    assert counted.publishing["dynamodb.UpdateItem"] == 2 * case.alerts, "each is leased, and marked when it is sent"
    assert (
        counted.publishing.total()
        == math.ceil(case.alerts / SEND_BATCH) + math.ceil(case.alerts / 100) + 2 * case.alerts
    )


@pytest.mark.parametrize("case", CASES, ids=str)
def test_deadlines_cost_one_query_and_no_trackstar_request(case: Case) -> None:
    rules = DeadlineRules(zone=ZoneInfo("Europe/Berlin"))
    counted = count_requests(case, policy=replace(WATCHED, deadlines=rules))
    assert counted.poll["dynamodb.Query"] == 1
    assert counted.poll.total() == case.floor + 1
    assert counted.trackstar == {"/connections/conn_a": 1, "/cart/orders": case.pages}


@pytest.mark.parametrize("products", [0, 1, 100, 101, 250])
def test_products_are_read_by_the_hundred_and_cached(products: int) -> None:
    counted = count_requests(Case(0, 10, 10, products=products))
    assert counted.products_cold.total() == counted.products_cold["/cart/products"] == math.ceil(products / 100)
    assert counted.products_warm.total() == 0
