"""`make bench`: run every benchmark, compare each with its floor, and write docs/benchmarks.md."""

import sys
import time
from collections.abc import Callable, Mapping

from rich.console import Console

from bench.cold_start import measure as cold_start
from bench.cost import measure as cost
from bench.latency import measure as latency
from bench.memory import measure as memory
from bench.reading import measure as reading
from bench.report import Say, Section, document, show, show_targets
from bench.requests import measure as requests
from bench.scale import measure as scale
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
    "tick": tick,
    "summary": summary,
    "cost": cost,
}
PAGE = ROOT / "docs/benchmarks.md"
WIDTH = 130
"""Columns of a table that is piped into a file, at least."""


def main() -> None:
    """Run the named benchmarks, or all of them; only a complete run writes the page."""
    logger.setLevel("CRITICAL")
    console = Console(highlight=False)
    console.width = max(console.width, WIDTH)
    names = sys.argv[1:] or list(BENCHMARKS)
    if unknown := set(names) - set(BENCHMARKS):
        sys.exit(f"no such benchmark: {', '.join(sorted(unknown))}; there are {', '.join(BENCHMARKS)}")
    begun, sections = time.monotonic(), list[Section]()
    for name in names:
        sections.append(_measured(console, name))
        show(console, sections[-1])
    show_targets(console, [target for section in sections for target in section.targets])
    if names == list(BENCHMARKS):
        PAGE.write_text(document(sections, command="make bench", seconds=time.monotonic() - begun), encoding="utf-8")
        console.print(f"written to {PAGE.relative_to(ROOT)}")


def _measured(console: Console, name: str) -> Section:
    begun = time.monotonic()

    def say(what: str) -> None:
        console.print(f"{name}: {what} ...", style="dim")

    section = BENCHMARKS[name](say)
    console.print(f"{name}: {time.monotonic() - begun:.0f} s", style="dim")
    return section


if __name__ == "__main__":
    main()
