"""The resident memory of a poll that reads a million orders of one shop for the first time."""

from bench.pages import PAGE, served
from bench.reading import read
from bench.report import Say, Section, Target

PAGES = 1000
BOUND = 150.0
TEXT = f"""\
The baseline of a shop with {PAGES * PAGE:,} new orders, in a process that has imported poll_orders and created its
boto3 clients. The table shows the peak of resident memory (`VmHWM`) by orders read. It grows with the set of order
ids that were read, which prevents counting an order twice."""


def measure(say: Say) -> Section:
    """Run the benchmark."""
    say(f"a baseline of {PAGES * PAGE:,} orders")
    with served(PAGES) as url:
        readings = read("baseline", url)
    assert readings[-1]["orders"] == PAGES * PAGE
    rows = [[f"{reading['orders']:,}", f"{reading['peak']:.0f} MB"] for reading in readings]
    peak, early = readings[-1]["peak"], next(each["peak"] for each in readings if each["orders"] >= 10 * PAGE)
    targets = [
        Target("memory: peak", f"{peak:.0f} MB", f"at most {BOUND:.0f} MB", peak <= BOUND),
        Target(
            "memory: growth after the first ten pages",
            f"{(peak - early) * 2**20 / (PAGES * PAGE):.0f} bytes an order",
            "at most 32 bytes an order",
            (peak - early) * 2**20 <= 32 * PAGES * PAGE,
        ),
    ]
    return Section("Memory", TEXT, ["orders read", "peak"], rows, targets)
