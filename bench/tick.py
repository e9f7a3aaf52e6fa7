"""A tick of ten thousand shops: within the time and the memory of dispatch_polls.

`python -m bench.tick` is one such tick in a process of its own, whose peak memory is measured.
"""

import json
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from datetime import timedelta
from itertools import batched
from typing import Any, cast

import httpx
from pydantic import SecretStr

from bench.peak import peak_megabytes
from bench.prices import CORE
from bench.report import Say, Section, Target
from orderwatch.aws.connection_table import ConnectionTable, row_from_state
from orderwatch.aws.dynamodb import to_item
from orderwatch.aws.poll_queue import BATCH, PollQueue
from orderwatch.polling.schedule import connections_to_poll
from orderwatch.reading.cursor import Cursor, Now
from orderwatch.records import ConnectionState, Health, Syncs
from orderwatch.trackstar.client import Trackstar
from tests.simulation.cloud import FifoQueue
from tests.support.clocks import NOON
from tests.support.template import load_template
from tests.support.world import MINUTE

SHOPS = (1_000, 5_000, 10_000)
MOVED = 10
"""One shop in this many was synced since its last reading, and is asked to be polled."""
ROWS, LISTED = 1_000, 1_000
"""Of one request: rows of a scan (1 MB), connections."""
SECONDS = {"DynamoDB": 0.150, "SQS": 0.015, "Trackstar": 1.0}
"""Assumed for every request, until its answer is there; DynamoDB's has 1 MB."""
FUNCTION = load_template()["Resources"]["DispatchPollsFunction"]["Properties"]
TEXT = f"""\
One tick of dispatch_polls, in its own process: the registry, Trackstar's list, the decision, and a message for one
shop in {MOVED}. Its own time is measured on one core. For a function with
{FUNCTION["MemorySize"]} MB it is multiplied by {CORE} / {FUNCTION["MemorySize"]}, which is Lambda's share of a
core. Responses are assumed to take {SECONDS["DynamoDB"] * 1e3:.0f} ms ({ROWS:,} rows from DynamoDB),
{SECONDS["SQS"] * 1e3:.0f} ms (SQS) and {SECONDS["Trackstar"]:.0f} s ({LISTED:,} connections from Trackstar). Time and
memory include the simulated services. The Parameter Store is listed after the messages were sent, every 15 minutes."""


class _Rows:
    """DynamoDB with a row for each shop, as it is after a quiet day."""

    def __init__(self, shops: int) -> None:
        self._shops = shops

    def get_paginator(self, operation: str) -> "_Rows":
        return self

    def paginate(self, **request: Any) -> Iterator[dict[str, Any]]:
        for numbers in batched(range(self._shops), ROWS, strict=False):
            yield {"Items": [_row(_id(number)) for number in numbers]}


def _id(number: int) -> str:
    return f"conn_{number:06}"


def _row(connection_id: str) -> dict[str, Any]:
    state = ConnectionState(
        connection_id=connection_id,
        revision=4_000,
        cursor=Cursor(
            position=NOON,
            last_read_started_at=NOON,
            read_until=NOON,
            last_sync_end_read=NOON,
            last_success_at=NOON,
            last_sweep_at=NOON,
            baseline_completed_at=NOON,
            watch_started_at=NOON,
        ),
        syncs=Syncs(last_end=NOON),
        health=Health(since=NOON),
    )
    return to_item(row_from_state(state))


def _listed(shops: int, request: httpx.Request) -> httpx.Response:
    first = int(request.url.params.get("page_token", "0"))
    records = [_record(number) for number in range(first, min(first + LISTED, shops))]
    token = str(first + LISTED) if first + LISTED < shops else None
    body = json.dumps({"data": records, "next_token": token, "total_count": shops})
    return httpx.Response(200, stream=httpx.ByteStream(body.encode()))


def _record(number: int) -> dict[str, Any]:
    synced = f"{NOON + MINUTE * (number % MOVED == 0):%Y-%m-%dT%H:%M:%SZ}"
    names = ("get_orders", "get_products")
    schedules = [{"function_name": name, "last_crawl_end": synced, "sync_frequency": 3600} for name in names]
    completed = dict.fromkeys(names, True)
    record = {"connection_id": _id(number), "integration_name": "shopify", "sync_schedules": schedules}
    return record | {"historical_sync_completed": completed, "errors": [], "customer_id": f"customer-{number}"}


def tick(shops: int) -> int:
    """One tick; how many polls it asks for."""
    registry = ConnectionTable(cast("Any", _Rows(shops)), "connections").registry()
    transport = httpx.MockTransport(lambda request: _listed(shops, request))
    trackstar = Trackstar("https://trackstar.invalid", transport=transport)
    listed = trackstar.account(api_key=SecretStr("key"), seconds_left=lambda: 60.0).connections()
    now = Now(NOON + 2 * MINUTE, NOON + 2 * MINUTE)
    reasons = connections_to_poll(
        registry.watched, registry.states, listed, now=now, max_gap=timedelta(minutes=15), sync_every=None
    )
    queue = PollQueue(cast("Any", FifoQueue(lambda: 0.0, lambda group: None)), "polls")
    return len(queue.request_polls(reasons))


def main() -> None:
    """One tick of as many shops as the command line says; prints its seconds and its peak of megabytes."""
    begun = time.process_time()
    asked = tick(int(sys.argv[1]))
    seconds = time.process_time() - begun
    sys.stdout.write(json.dumps({"asked": asked, "seconds": seconds, "megabytes": peak_megabytes()}))


def measure(say: Say) -> Section:
    """Ticks of more and more shops."""
    rows, targets = [], list[Target]()
    for shops in SHOPS:
        say(f"{shops:,} shops")
        found = _measured(shops)
        waited, own = _waited(shops, found["asked"]), found["seconds"] * CORE / FUNCTION["MemorySize"]
        cells = [f"{found['asked']:,}", f"{found['seconds']:.1f} s", f"{own:.1f} s", f"{waited:.1f} s"]
        rows.append([f"{shops:,}", *cells, f"{own + waited:.1f} s", f"{found['megabytes']:.0f} MB"])
    what, seconds = f"tick of {SHOPS[-1]:,} shops", own + waited
    in_time, fits = seconds <= FUNCTION["Timeout"], found["megabytes"] <= FUNCTION["MemorySize"]
    targets.append(Target(f"{what}: time", f"{seconds:.0f} s", f"at most {FUNCTION['Timeout']} s", in_time))
    memory = f"at most {FUNCTION['MemorySize']} MB"
    targets.append(Target(f"{what}: memory", f"{found['megabytes']:.0f} MB", memory, fits))
    head = ["shops", "polls asked for", "own time", "on its share of a core", "waiting", "in all", "peak"]
    return Section("A tick of many shops", TEXT, head, rows, targets)


def _measured(shops: int) -> dict[str, float]:
    command = [sys.executable, "-m", "bench.tick", str(shops)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    [found] = re.findall(r"^{.*}$", done.stdout, re.MULTILINE)
    measured: dict[str, float] = json.loads(found)
    return measured


def _waited(shops: int, asked: float) -> float:
    requests = {"DynamoDB": shops / ROWS, "Trackstar": shops / LISTED, "SQS": asked / BATCH}
    return sum(SECONDS[service] * number for service, number in requests.items())


if __name__ == "__main__":
    main()
