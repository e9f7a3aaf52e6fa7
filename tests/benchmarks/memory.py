"""The resident memory of a poll that reads a million orders of one shop for the first time."""

from tests.benchmarks.pages import PAGE, served
from tests.benchmarks.reading import read
from tests.benchmarks.report import Say, Section, Target

PAGES = 1000
BOUND = 150.0
TEXT = f"""The baseline of a shop of {PAGES * PAGE:,} orders, every one of them new, in a process that has imported
poll_orders and made its clients of boto3: the peak of resident memory (`VmHWM`) after a number of orders. What grows is
the record of the orders that were read, so that none is counted twice."""


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
