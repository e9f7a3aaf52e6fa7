"""Requests of a poll and its alerts, compared with the minimum."""

import math

from bench.report import Say, Section, Target
from orderwatch.publishing.publish import SEND_BATCH
from tests.support.request_counts import CASES, Case, Counted, count_requests

PRODUCTS = (1, 100, 101, 250)
"""Distinct products of ten alerted orders."""
TEXT = """\
One poll of a shop whose orders are known, and the sending of its alerts outside digests. The simulated shop and the
clients of DynamoDB and SNS count the requests. With N unchanged and M changed orders, of which A are alerted, an
atomic design needs 1 + ⌈(N+M)/100⌉ + ⌈(M+A+1)/100⌉ DynamoDB requests: the connection's row, the orders' rows, and
one transaction for each hundred rows written. It is at least one transaction a page, so a poll that is killed loses
only the page that it was reading. Deadlines are off here. They add one query a poll, and for each hundred overdue
orders one request to Trackstar, one for their rows and one transaction. One request to Trackstar gets a hundred
products, and a warm function caches them for five minutes. Sending needs two DynamoDB requests for each hundred alerts
(read and lease), and one for the marks of each five messages, which are made before the next messages are sent.
Invocations, the queue, parameters and the rate limit are not included."""
HEAD = (
    "unchanged, changed, alerts",
    "DynamoDB",
    "floor",
    "SNS",
    "floor",
    "Trackstar: health, pages",
    "products: cold, warm",
    "DynamoDB to send",
    "floor",
)


def measure(say: Say) -> Section:
    """Run the benchmark."""
    rows, targets = [], list[Target]()
    for case in (*CASES, *(Case(0, 10, 10, products=each) for each in PRODUCTS)):
        say(_name(case))
        counted = count_requests(case)
        rows.append(_row(case, counted))
        targets += _targets(case, counted)
    return Section("Requests", TEXT, HEAD, rows, targets)


def _name(case: Case) -> str:
    name = f"{case.unchanged:,}, {case.changed:,}, {case.alerts:,}"
    return f"{name} of {case.products} product{'s' if case.products > 1 else ''}" if case.products else name


def _row(case: Case, counted: Counted) -> list[str]:
    health = counted.trackstar.total() - counted.trackstar["/cart/orders"]
    return [
        _name(case),
        str(counted.poll.total()),
        str(case.floor),
        str(counted.publishing["sns.PublishBatch"]),
        str(math.ceil(case.alerts / SEND_BATCH)),
        f"{health}, {counted.trackstar['/cart/orders']}",
        f"{counted.products_cold.total()}, {counted.products_warm.total()}",
        str(counted.publishing.total() - counted.publishing["sns.PublishBatch"]),
        str(_floor_to_send(case)),
    ]


def _floor_to_send(case: Case) -> int:
    return 2 * math.ceil(case.alerts / 100) + math.ceil(case.alerts / SEND_BATCH)


def _targets(case: Case, counted: Counted) -> list[Target]:
    if case.products:
        cold, warm = counted.products_cold.total(), counted.products_warm.total()
        floor = math.ceil(case.products / 100)
        what = f"requests: products of {_name(case)}"
        return [Target(what, f"{cold} cold, {warm} warm", f"{floor} cold, 0 warm", (cold, warm) == (floor, 0))]
    to_sns = counted.publishing["sns.PublishBatch"]
    to_dynamodb = counted.publishing.total() - to_sns
    to_trackstar = counted.trackstar.total()
    return [
        _exact(f"requests: DynamoDB, poll of {_name(case)}", counted.poll.total(), case.floor),
        _exact(f"requests: SNS, alerts of {_name(case)}", to_sns, math.ceil(case.alerts / SEND_BATCH)),
        _exact(f"requests: DynamoDB to send, alerts of {_name(case)}", to_dynamodb, _floor_to_send(case)),
        _exact(f"requests: Trackstar, poll of {_name(case)}", to_trackstar, 1 + case.pages),
    ]


def _exact(what: str, counted: int, floor: int) -> Target:
    return Target(what, f"{counted}", f"exactly {floor}", counted == floor)
