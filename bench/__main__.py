"""`make bench`: run every benchmark, compare each with its floor, and write docs/benchmarks.md."""

import sys
import time
from collections.abc import Callable, Mapping
from functools import partial

from bench.baseline import measure as baseline
from bench.cold_start import measure as cold_start
from bench.cost import measure as cost
from bench.fast_tests import measure as fast_tests
from bench.latency import measure as latency
from bench.reading import measure as reading
from bench.reading import measure_memory as memory
from bench.reminders import measure as reminders
from bench.report import Say, Section, document, targets_of
from bench.requests import measure as requests
from bench.scale import measure as scale
from bench.stock import measure as stock
from bench.storm import measure as storm
from bench.summary import measure as summary
from bench.tick import measure as tick
from bench.waiting import measure as waiting
from orderwatch.observability import logger
from tests.support.template import ROOT

BENCHMARKS: Mapping[str, Callable[[Say], Section]] = {
    "reading": reading,
    "memory": memory,
    "requests": requests,
    "cold-start": cold_start,
    "latency": latency,
    "waiting": waiting,
    "scale": scale,
    "baseline": baseline,
    "tick": tick,
    "stock": stock,
    "reminders": reminders,
    "storm": storm,
    "summary": summary,
    "cost": cost,
    "tests": fast_tests,
}
PAGE = ROOT / "docs/benchmarks.md"


def main() -> None:
    """Run the named benchmarks, or all of them; only a complete run writes the page."""
    logger.setLevel("CRITICAL")
    names = sys.argv[1:] or list(BENCHMARKS)
    if unknown := set(names) - set(BENCHMARKS):
        sys.exit(f"no such benchmark: {', '.join(sorted(unknown))}; there are {', '.join(BENCHMARKS)}")
    begun, sections = time.monotonic(), list[Section]()
    for name in names:
        sections.append(BENCHMARKS[name](partial(_say, name)))
        sys.stdout.write(f"{sections[-1]}\n\n")
    sys.stdout.write(f"{targets_of(sections)}\n")
    if names == list(BENCHMARKS):
        PAGE.write_text(document(sections, command="make bench", seconds=time.monotonic() - begun), encoding="utf-8")


def _say(name: str, what: str) -> None:
    sys.stderr.write(f"{time.strftime('%H:%M:%S')} {name}: {what}\n")


if __name__ == "__main__":
    main()
