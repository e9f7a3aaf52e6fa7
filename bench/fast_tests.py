"""The seconds of `make test-fast`, compared with only collecting its tests."""

import re
import subprocess
import sys
import time
from collections.abc import Sequence

from bench.report import Say, Section, Target
from tests.support.template import ROOT

BOUND = 60.0
FAST = ("make", "test-fast")
COLLECT = (*FAST, f"PYTEST={sys.executable} -m pytest -q --collect-only")
TEXT = """\
Unit and integration tests as `make test-fast` runs them, on two cores. The floor collects the same tests in one
process: it imports the product and every test."""


def measure(say: Say) -> Section:
    """Run the benchmark."""
    say("collecting the tests")
    floor, _ = _run(COLLECT)
    say("make test-fast")
    seconds, output = _run(FAST)
    [passed] = re.findall(r"(\d+) passed", output)
    rows = [
        ["collect the tests (the floor)", "", f"{floor:.1f} s", "1.00"],
        ["make test-fast", f"{int(passed):,}", f"{seconds:.1f} s", f"{seconds / floor:.2f}"],
    ]
    targets = [Target("tests: make test-fast", f"{seconds:.0f} s", f"at most {BOUND:.0f} s", seconds <= BOUND)]
    return Section("Tests", TEXT, ["", "tests", "seconds", "x the floor"], rows, targets)


def _run(command: Sequence[str]) -> tuple[float, str]:
    """Seconds and output of a command that must succeed."""
    begun = time.monotonic()
    done = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, text=True, check=True)
    return time.monotonic() - begun, done.stdout
