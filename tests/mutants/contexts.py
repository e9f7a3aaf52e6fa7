"""A pytest plugin: coverage learns which test executes a line, and the time of each test is written to a file."""

import json
import os
import resource
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

import pytest
from coverage import Coverage

TIMES = "MUTANTS_TIMES"
"""The variable that names the file of the times."""

MEMORY = 6 * 2**30
"""Bytes that a test process may map: a mutant may loop for ever and collect."""

resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
_seconds: defaultdict[str, float] = defaultdict(float)
_failed: set[str] = set()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: pytest.Item) -> Iterator[None]:
    """Fixtures count as their test does."""
    if coverage := Coverage.current():
        coverage.switch_context(item.nodeid.split("[")[0])
    return (yield)


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    """Add up the time of a test function over its parameters."""
    name = report.nodeid.split("[")[0]
    _seconds[name] += report.duration
    if report.failed:
        _failed.add(name)


def pytest_sessionfinish() -> None:
    """Write the times of the functions that passed: a test that always fails kills no mutant."""
    passed = {name: seconds for name, seconds in _seconds.items() if name not in _failed}
    if path := os.environ.get(TIMES):
        Path(path).write_text(json.dumps(passed))
