"""The time to read 100,000 orders, compared with a floor, and the memory of the baseline of a million."""

import json
import subprocess
import sys
from collections import defaultdict
from operator import truediv
from statistics import median
from typing import Any

from bench.pages import PAGE, served
from bench.report import Say, Section, Target
from tests.support.template import ROOT

PAGES = 100
ROUNDS = 5
BOUNDS = {"unchanged": 1.3, "changed": 2.2, "new": 4.2, "tables, unchanged": 2.5, "tables, new": 4.0}
BASELINE_PAGES = 1000
MAX_MEGABYTES, MAX_BYTES_AN_ORDER = 150, 32
LABELS = {
    "floor": "fetch, decode, pick three fields (the floor)",
    "unchanged": "poll, every order unchanged",
    "changed": "poll, every order in another status",
    "alerted": "poll, every order in another status, one in fifty alerted",
    "new": "poll, every order new, one in eight listed",
    "tables, unchanged": "poll, every order unchanged, through the adapters of the tables",
    "tables, new": "poll, every order new, through the adapters of the tables",
}
TEXT = f"""\
The poll reads {PAGES * PAGE:,} orders of three lines in pages of {PAGE:,}, with its real HTTP client, from a server
in another process. It includes health, pages, stored rows, decisions and writes. Deadlines are on, as by default.
The floor fetches with httpx, decodes with orjson and picks three fields. The readers take turns for {ROUNDS}
rounds. The table shows the medians; a ratio is the median of the rounds' ratios. The tables are in memory: they
generate the rows of a watched shop and discard writes. "New" is a baseline whose rows are kept in a dictionary;
an order that is listed needs all of its record, so its page is parsed twice. "Through the adapters" adds DynamoDB's
notation, conditions and transactions over a dictionary of all rows, without the seconds inside that dictionary.
boto3 and the network are not included."""


MEMORY_TEXT = f"""\
The baseline of a shop with {BASELINE_PAGES * PAGE:,} new orders, in a process that has imported poll_orders and created
its boto3 clients. The table shows the peak of resident memory (`VmHWM`) and the seconds by orders read, without the
tables: see "Baseline of a large shop". Memory grows with the set of order ids that were read, which prevents counting
an order twice."""


def read(what: str, url: str) -> list[dict[str, Any]]:
    """The measurements that a reader process prints."""
    command = [sys.executable, "-m", "bench.reader", what, url]
    done = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, text=True, check=True)
    return [json.loads(line) for line in done.stdout.splitlines()]


def measure(say: Say) -> Section:
    """Run the benchmark."""
    seconds: defaultdict[str, list[float]] = defaultdict(list)
    with served(PAGES) as url:
        for number in range(1, ROUNDS + 1):
            say(f"round {number} of {ROUNDS}")
            for what in ("floor", "unchanged", "changed", "alerted", "new", "tables"):
                for reading in read(what, url):
                    assert reading["orders"] == PAGES * PAGE
                    seconds[reading["what"]].append(reading["seconds"])
    typical = {what: median(took) for what, took in seconds.items()}
    ratios = {what: median(map(truediv, took, seconds["floor"])) for what, took in seconds.items()}
    rows = [
        [label, f"{typical[what]:.2f} s", f"{typical[what] / (PAGES * PAGE) * 1e6:.1f} µs", f"{ratios[what]:.2f}"]
        for what, label in LABELS.items()
    ]
    floor = f"{typical['floor'] / (PAGES * PAGE) * 1e6:.1f} µs an order"
    targets = [
        Target.ratio(f"reading: {LABELS[what]}", ratios[what], at_most=bound, floor=floor)
        for what, bound in BOUNDS.items()
    ]
    return Section("Reading", TEXT, ["reader", "all", "each order", "x the floor"], rows, targets)


def measure_memory(say: Say) -> Section:
    """Run the benchmark."""
    orders = BASELINE_PAGES * PAGE
    say(f"a baseline of {orders:,} orders")
    with served(BASELINE_PAGES) as url:
        readings = read("baseline", url)
    assert readings[-1]["orders"] == orders
    rows = [[f"{each['orders']:,}", f"{each['peak']:.0f} MB", f"{each['seconds']:.1f} s"] for each in readings]
    peak, early = readings[-1]["peak"], next(each["peak"] for each in readings if each["orders"] >= 10 * PAGE)
    growth, bound = (peak - early) * 2**20 / orders, f"at most {MAX_BYTES_AN_ORDER} bytes an order"
    what = "memory: growth after the first ten pages"
    targets = [
        Target("memory: peak", f"{peak:.0f} MB", f"at most {MAX_MEGABYTES} MB", peak <= MAX_MEGABYTES),
        Target(what, f"{growth:.0f} bytes an order", bound, growth <= MAX_BYTES_AN_ORDER),
    ]
    return Section("Memory", MEMORY_TEXT, ["orders read", "peak", "seconds"], rows, targets)
