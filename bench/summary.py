"""What the summary of many shops costs: our own time, requests to DynamoDB, and bytes."""

import statistics

from bench.meter import Meter
from bench.report import Say, Section, Target
from orderwatch import clock
from orderwatch.polling.detect import OrderWrite, Reason
from orderwatch.rendering.sns import MAX_BYTES, render
from orderwatch.summary.build import PreparedSummary, summarize
from tests.support.clocks import NOON, FakeClock
from tests.support.cloud import Tables
from tests.support.memory_dynamodb import MemoryDynamoDB
from tests.support.summaries import AT, DAY, HOUR, extract, healthy, late_for, request, row, shop

SHOPS = (1, 50, 500)
ORDERS = 10
"""Waiting orders of each shop: 5,000 of 500."""
RUNS = 2
SECONDS = 10.0
"""Maximum of our own seconds for a summary of 500 shops, without DynamoDB; the function has 300."""
TEXT = f"""\
{ORDERS} orders of every shop need attention, half of them late. The rules, the tables' adapters and the messages
are real. The tables are in memory, and the time inside them is subtracted. Each summary is compared with a previous
one. The table shows medians of {RUNS} runs."""


def measure(say: Say) -> Section:
    """Measure it."""
    fake_clock = FakeClock()
    fake_clock.seconds = (AT - NOON).total_seconds()
    clock.use(fake_clock)
    try:
        rows = [_measured(number, say) for number in SHOPS]
    finally:
        clock.use(None)
    seconds, message_bytes = float(rows[-1][1].removesuffix(" s")), int(rows[-1][4].replace(",", ""))
    return Section(
        title="Summary",
        text=TEXT,
        head=("shops", "our own time", "requests to DynamoDB", "bytes of the row", "bytes of the message"),
        rows=rows,
        targets=[
            Target(
                "summary of 500 shops: our own time", f"{seconds} s", f"at most {SECONDS:.0f} s", seconds <= SECONDS
            ),
            Target(
                "summary of 500 shops: one message",
                f"{message_bytes:,} bytes",
                f"at most {MAX_BYTES:,} bytes",
                message_bytes <= MAX_BYTES,
            ),
        ],
    )


def _measured(shops: int, say: Say) -> list[str]:
    say(f"shops: {shops:,}")
    tables = Tables.over(MemoryDynamoDB())
    names = [f"conn-{number:04}" for number in range(shops)]
    for name in names:
        _fill(tables, name)
    tables.summaries.put(_summed(tables, names, Meter())[0])
    meters = [Meter() for _ in range(RUNS)]
    runs = [_summed(tables, names, meter) for meter in meters]
    summary, seconds = runs[0][0], statistics.median(each for _, each in runs)
    kept = len(summary.alert.model_dump_json(exclude_none=True).encode()) + len(summary.snapshot or "")
    requests, message = meters[0].requests["DynamoDB"], render(summary.alert).size
    return [f"{shops:,}", f"{seconds:.2f} s", f"{requests:,}", f"{kept:,}", f"{message:,}"]


def _fill(tables: Tables, name: str) -> None:
    writes = []
    for number in range(ORDERS):
        kept = extract(("LAMP", 1), ("TENT", 2)).model_copy(update={"url": f"https://{name}.example/orders/{number}"})
        late = late_for(number * HOUR) if number % 2 else row().deadline_state
        stored = row("backordered", since=number * DAY, deadline_state=late, kept=kept)
        writes.append(OrderWrite(f"order-{number}", None, stored, alert=None, reason=Reason.BASELINE))
    tables.store.commit(healthy(name), writes=writes, alerts=())


def _summed(tables: Tables, names: list[str], meter: Meter) -> tuple[PreparedSummary, float]:
    """A summary, and our own seconds for it."""
    store = tables.through(meter.client(tables.client, "DynamoDB")).summaries
    shops, day = [shop(name) for name in names], request(at=AT + DAY)
    return meter.own(lambda: summarize(shops, store=store, products=None, request=day))
